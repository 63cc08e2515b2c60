/*
 * What the preloaded disk knows, and decides by it: which files are the trail's, what
 * is written down, what fails, and how full the disk is. It stands in nobody's way:
 * that is for disk.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
  uint64_t killed;     /* whether the next operation kills the program instead */
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

/*
 * Before an operation. A program that is to be killed is killed here: from elsewhere
 * that would come between what is done and its entry in the log, too.
 */
static void begin(void) {
  pthread_mutex_lock(&mutex);
  if (control && control->killed)
    syscall(SYS_kill, getpid(), SIGKILL);
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
