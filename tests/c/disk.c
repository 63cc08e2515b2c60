/*
 * A disk that the tests can hold: preloaded into keygate (LD_PRELOAD), it stands
 * between the program and the files of one audit trail.
 *
 * - It writes down every change of these files, every sync, and every byte that
 *   the program sends to a socket, in the order in which they happened
 *   (KEYGATE_DISK_LOG).
 * - It makes the operation fail that the control file names, emulates a disk of a
 *   given size, and kills the program between two operations (KEYGATE_DISK_CONTROL).
 *
 * KEYGATE_DISK_FILES is the trail's main file. Its files are those whose names
 * begin with it; other files are left alone. The layouts of the log and of the
 * control file are told in tests/it/support/disk.rs, which reads and writes them.
 */
#include "disk/state.h"
#include <arpa/inet.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

static int opened(const char *path, int flags, mode_t mode) {
  int file = file_of(path);
  if (file == NONE)
    return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
  begin();
  int fd = -1;
  if (!fails(OPEN, file)) {
    int created = (flags & O_CREAT) && access(path, F_OK);
    fd = syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (fd >= 0 && fd < DESCRIPTORS)
      tracked[fd] = 1 + file;
    if (fd >= 0 && created)
      note((struct entry){CREATED, file, 0, 0}, NULL);
    struct stat it;
    if (fd >= 0 && file < FILES && (created || !known[file]) && !fstat(fd, &it)) {
      known[file] = 1;
      gives(file, 0);
      uint64_t size = control ? control->size : 0;
      if (control)
        control->size = 0; /* what is there already fits */
      takes(file, 0, it.st_size);
      if (control)
        control->size = size;
    }
  }
  int error = errno;
  pthread_mutex_unlock(&mutex);
  errno = error;
  return fd;
}

#define OPENED(name)                                                                               \
  int name(const char *path, int flags, ...) {                                                     \
    va_list rest;                                                                                  \
    va_start(rest, flags);                                                                         \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                        \
    va_end(rest);                                                                                  \
    return opened(path, flags, mode);                                                              \
  }
OPENED(open)
OPENED(open64)

/* One that fails has closed the file all the same, as on Linux. */
int close(int fd) {
  int file = file_at(fd);
  if (file == NONE)
    return syscall(SYS_close, fd);
  begin();
  tracked[fd] = 0;
  int result = syscall(SYS_close, fd);
  if (fails(CLOSE, file))
    result = -1;
  int error = errno;
  pthread_mutex_unlock(&mutex);
  errno = error;
  return result;
}

/* Sends. Nothing that is logged happens between the sending and its entry. */
static ssize_t sent(int fd, const struct msghdr *message, int flags) {
  struct sockaddr_storage other;
  socklen_t size = sizeof other;
  int error = errno;
  int of_interest = log_to >= 0 && !getpeername(fd, (struct sockaddr *)&other, &size) &&
                    other.ss_family == AF_INET;
  errno = error;
  if (!of_interest)
    return syscall(SYS_sendmsg, fd, message, flags);
  struct sockaddr_in *to = (struct sockaddr_in *)&other;
  begin();
  ssize_t done = syscall(SYS_sendmsg, fd, message, flags);
  error = errno;
  size_t left = done > 0 ? done : 0;
  for (size_t at = 0; left && at < (size_t)message->msg_iovlen; at++) {
    struct iovec part = message->msg_iov[at];
    size_t length = part.iov_len < left ? part.iov_len : left;
    note((struct entry){SENT, ntohl(to->sin_addr.s_addr), ntohs(to->sin_port), length},
         part.iov_base);
    left -= length;
  }
  pthread_mutex_unlock(&mutex);
  errno = error;
  return done;
}

static int is_socket(int fd) {
  struct stat it;
  int error = errno;
  int is = log_to >= 0 && !fstat(fd, &it) && S_ISSOCK(it.st_mode);
  errno = error;
  return is;
}

static ssize_t written(int fd, const void *data, size_t length, off_t offset) {
  int file = file_at(fd);
  begin();
  ssize_t done = -1;
  if (!fails(WRITE, file) && !takes(file, offset, length)) {
    done = syscall(SYS_pwrite64, fd, data, length, offset);
    if (done > 0)
      note((struct entry){WRITTEN, file, offset, done}, data);
  }
  int error = errno;
  pthread_mutex_unlock(&mutex);
  errno = error;
  return done;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
  if (file_at(fd) == NONE)
    return syscall(SYS_pwrite64, fd, data, length, offset);
  return written(fd, data, length, offset);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
  return pwrite64(fd, data, length, offset);
}

ssize_t write(int fd, const void *data, size_t length) {
  struct iovec part = {(void *)data, length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (file_at(fd) == NONE)
    return is_socket(fd) ? sent(fd, &message, 0) : syscall(SYS_write, fd, data, length);
  off_t offset = lseek(fd, 0, SEEK_CUR);
  ssize_t done = written(fd, data, length, offset);
  if (done > 0)
    lseek(fd, offset + done, SEEK_SET);
  return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};
  return is_socket(fd) ? sent(fd, &message, 0) : syscall(SYS_writev, fd, parts, count);
}

ssize_t send(int fd, const void *data, size_t length, int flags) {
  struct iovec part = {(void *)data, length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  return sent(fd, &message, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  return sent(fd, message, flags);
}

/* Nothing is synced really: that costs time, and no test takes the power away. */
static int synced(int fd, int number) {
  int file = file_at(fd);
  if (file == NONE)
    return syscall(number, fd);
  begin();
  int result = -fails(SYNC, file);
  if (!result)
    note((struct entry){file == FOLDER ? FOLDER_SYNCED : SYNCED, file, 0, 0}, NULL);
  int error = errno;
  pthread_mutex_unlock(&mutex);
  errno = error;
  return result;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int ftruncate64(int fd, off64_t length) {
  int file = file_at(fd);
  if (file == NONE)
    return syscall(SYS_ftruncate, fd, length);
  begin();
  int result = -1;
  if (!fails(TRUNCATE, file)) {
    result = syscall(SYS_ftruncate, fd, length);
    if (!result) {
      gives(file, (length + BLOCK - 1) / BLOCK);
      note((struct entry){TRUNCATED, file, length, 0}, NULL);
    }
  }
  int error = errno;
  pthread_mutex_unlock(&mutex);
  errno = error;
  return result;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
  int file = file_at(fd);
  if (file == NONE)
    return syscall(SYS_fallocate, fd, mode, offset, length);
  begin();
  int result = -1;
  if (!fails(ALLOCATE, file) && !takes(file, offset, length))
    result = syscall(SYS_fallocate, fd, mode, offset, length);
  int error = errno;
  pthread_mutex_unlock(&mutex);
  errno = error;
  return result;
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
  return fallocate64(fd, mode, offset, length);
}

/* A disk that "fails" here says that it has become read-only. */
int fstatvfs64(int fd, struct statvfs64 *state) {
  struct statfs64 it;
  if (syscall(SYS_fstatfs, fd, &it))
    return -1;
  memset(state, 0, sizeof *state);
  state->f_bsize = it.f_bsize;
  state->f_frsize = it.f_frsize;
  int file = file_at(fd);
  begin();
  if (file != NONE && fails(ASK, file))
    state->f_flag |= ST_RDONLY;
  pthread_mutex_unlock(&mutex);
  return 0;
}

int fstatvfs(int fd, struct statvfs *state) {
  return fstatvfs64(fd, (struct statvfs64 *)state);
}

int unlink(const char *path) {
  int file = file_of(path);
  if (file == NONE)
    return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  begin();
  int result = -1;
  if (!fails(UNLINK, file)) {
    result = syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (!result) {
      gives(file, 0);
      note((struct entry){UNLINKED, file, 0, 0}, NULL);
    }
  }
  int error = errno;
  pthread_mutex_unlock(&mutex);
  errno = error;
  return result;
}
