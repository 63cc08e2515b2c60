/*
 * A disk that the tests can hold: preloaded into keygate (LD_PRELOAD), it stands
 * between the program and the files of one audit trail.
 *
 * - It writes down every change of these files, every sync, and every byte that
 *   the program sends to a socket, in the order in which they happened
 *   (KEYGATE_DISK_LOG).
 * - It makes the operation fail that the control file names, and emulates a disk
 *   of a given size (KEYGATE_DISK_CONTROL).
 *
 * KEYGATE_DISK_FILES is the trail's main file. Its files are those whose names
 * begin with it; other files are left alone. The layouts of the log and of the
 * control file are told in tests/it/support/disk.rs, which reads and writes them.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The files of a trail; NONE is any other. */
enum { MAIN, WAL, SHM, LOCK, JOURNAL, OTHER, FOLDER, NONE };
#define FILES FOLDER

/* What is done to them; each is a bit of `control->operations`. */
enum { OPEN, WRITE, SYNC, TRUNCATE, ALLOCATE, UNLINK, CLOSE, ASK, OPERATIONS };

/* What the log tells. */
enum { CREATED = 1, WRITTEN, TRUNCATED, SYNCED, UNLINKED, FOLDER_SYNCED, SENT };

#define BLOCK 4096
#define BLOCKS (1 << 16)
#define DESCRIPTORS (1 << 16)

struct control {
  uint64_t operations; /* which operations count; 0: nothing fails */
  uint64_t files;      /* on which files, as bits */
  uint64_t at;         /* the operation that fails, counted from 1 */
  uint64_t error;      /* with this errno; 0: it does not, but its file is moved away */
  uint64_t lasting;    /* whether all later ones fail too */
  uint64_t counted;    /* told: how many operations have counted */
  uint64_t failed;     /* told: how many of them failed */
  uint64_t failed_at;  /* told: when the first of them did, in ns since 1970 */
  uint64_t size;       /* of the disk, in bytes; 0: without bounds */
  uint64_t used;       /* told: how much of it is taken */
  uint64_t refused;    /* told: how often it was full */
  uint64_t seen[OPERATIONS][NONE]; /* told: how many of each there were, on each */
};

struct entry {
  uint32_t kind;
  uint32_t file;   /* for SENT: the address of the other end */
  uint64_t offset; /* for SENT: its port */
  uint64_t length;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char files[PATH_MAX], folder[PATH_MAX];
static struct control *control;
static int log_to = -1;
static uint8_t tracked[DESCRIPTORS]; /* 1 + file */
static uint8_t allocated[FILES][BLOCKS];
static uint8_t known[FILES];

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("KEYGATE_DISK_FILES");
  if (!path || strlen(path) >= PATH_MAX)
    return;
  strcpy(files, path);
  strcpy(folder, path);
  char *slash = strrchr(folder, '/');
  if (slash)
    *slash = 0;
  /* raw system calls: ours are not to be seen by ourselves */
  if ((path = getenv("KEYGATE_DISK_LOG")))
    log_to = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if ((path = getenv("KEYGATE_DISK_CONTROL"))) {
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    void *at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (at != MAP_FAILED)
      control = at;
  }
}

static int file_of(const char *path) {
  size_t length = strlen(files);
  if (!length || !path)
    return NONE;
  if (!strcmp(path, folder))
    return FOLDER;
  if (strncmp(path, files, length))
    return NONE;
  const char *rest = path + length;
  if (!*rest)
    return MAIN;
  if (!strcmp(rest, "-wal"))
    return WAL;
  if (!strcmp(rest, "-shm"))
    return SHM;
  if (!strcmp(rest, ".lock"))
    return LOCK;
  if (!strcmp(rest, "-journal"))
    return JOURNAL;
  return OTHER;
}

static int file_at(int fd) {
  return fd >= 0 && fd < DESCRIPTORS && tracked[fd] ? tracked[fd] - 1 : NONE;
}

static void note(struct entry entry, const void *data) {
  if (log_to < 0)
    return;
  struct iovec parts[2] = {{&entry, sizeof entry}, {(void *)data, data ? entry.length : 0}};
  syscall(SYS_writev, log_to, parts, 2);
}

/* Gives a file another name, as somebody might who takes it for something else. */
static void move(int file) {
  static const char *const ends[FILES] = {"", "-wal", "-shm", ".lock", "-journal", ""};
  char from[PATH_MAX + 16], to[PATH_MAX + 16];
  if (file >= OTHER)
    return;
  stpcpy(stpcpy(from, files), ends[file]);
  stpcpy(stpcpy(to, from), ".moved");
  rename(from, to);
}

/* Whether this operation is to fail; then errno says how. */
static int fails(int operation, int file) {
  if (!control)
    return 0;
  control->seen[operation][file]++;
  if (!(control->operations & (1u << operation)) || !(control->files & (1u << file)))
    return 0;
  uint64_t count = ++control->counted;
  if (count != control->at && !(control->lasting && count > control->at))
    return 0;
  if (!control->failed) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    control->failed_at = now.tv_sec * 1000000000ull + now.tv_nsec;
  }
  control->failed++;
  if (!control->error) {
    move(file);
    return 0;
  }
  errno = control->error;
  return 1;
}

/* Takes blocks of the disk for a part of a file; fails if it is full. */
static int takes(int file, off_t from, off_t length) {
  if (!control || file >= FILES || length <= 0)
    return 0;
  uint64_t more = 0, first = from / BLOCK, last = (from + length - 1) / BLOCK;
  for (uint64_t at = first; at <= last && at < BLOCKS; at++)
    more += !allocated[file][at];
  if (more && control->size && control->used + more * BLOCK > control->size) {
    control->refused++;
    errno = ENOSPC;
    return -1;
  }
  for (uint64_t at = first; at <= last && at < BLOCKS; at++)
    allocated[file][at] = 1;
  control->used += more * BLOCK;
  return 0;
}

/* Gives back the blocks of a file from this one on. */
static void gives(int file, uint64_t from) {
  if (!control || file >= FILES)
    return;
  for (uint64_t at = from; at < BLOCKS; at++) {
    control->used -= allocated[file][at] ? BLOCK : 0;
    allocated[file][at] = 0;
  }
}

static int opened(const char *path, int flags, mode_t mode) {
  int file = file_of(path);
  if (file == NONE)
    return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
  pthread_mutex_lock(&mutex);
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
  pthread_mutex_lock(&mutex);
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
  pthread_mutex_lock(&mutex);
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
  pthread_mutex_lock(&mutex);
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
  pthread_mutex_lock(&mutex);
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
  pthread_mutex_lock(&mutex);
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
  pthread_mutex_lock(&mutex);
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
  pthread_mutex_lock(&mutex);
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
  pthread_mutex_lock(&mutex);
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
