/* Preloaded into a process, this stands between it and the files under one folder.

   It counts the calls that change them, makes the N-th one fail or the process die there, and writes down a line for
   each that it counted, so that a power cut can be played afterwards. Every function makes its system call itself: no
   look-up of the function that it hides, and nothing that could change errno in between. Linux, 64 bits. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum how { NOTHING, DIE_BEFORE, DIE_AFTER, DIE_HALFWAY, FAIL, SHORT };
enum { READS = 1, WRITES = 2 }; /* what kind of call */

static char watched[PATH_MAX]; /* the folder; empty: nothing is watched */
static size_t watched_length;
static int trace = -1;
static long calls, at; /* so far; the first to act upon */
static long times;     /* how many from there on; -1 for all */
static int how, error, reads_too;
static int die_after;
static long fired;

/* ---- what the driver asks for */

void torture_watch(const char *folder) {
    snprintf(watched, sizeof watched, "%s", folder);
    watched_length = strlen(watched);
}

void torture_arm(long first, long count, int what, int number, int reads) {
    calls = fired = 0;
    at = first, times = count, how = what, error = number, reads_too = reads;
}

long torture_calls(void) { return calls; }

long torture_fired(void) { return fired; }

static void record(const char *op, const char *path, const char *other, long offset, const void *data, size_t length);

void torture_trace(const char *file) {
    trace = syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

void torture_note(const char *words) { record("note", words, "", 0, "", 0); }

/* ---- which calls count */

static int inside(const char *path) {
    return watched_length && !strncmp(path, watched, watched_length) &&
           (path[watched_length] == '/' || !path[watched_length]);
}

static void name_of(int handle, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
}

static void full(int folder, const char *name, char *path) {
    if (*name == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return;
    }
    if (folder != AT_FDCWD)
        name_of(folder, path);
    else if (syscall(SYS_getcwd, path, PATH_MAX) < 0)
        *path = 0;
    size_t length = strlen(path);
    snprintf(path + length, PATH_MAX - length, "/%s", name);
}

static void record(const char *op, const char *path, const char *other, long offset, const void *data, size_t length) {
    char head[3 * PATH_MAX];
    if (trace < 0)
        return;
    int size = snprintf(head, sizeof head, "%s\t%ld\t%zu\t%s\t%s\n", op, offset, length, path, other);
    struct iovec parts[] = {{head, size}, {(void *)data, length}, {"\n", 1}};
    int saved_errno = errno;
    if (syscall(SYS_writev, trace, parts, 3) != size + (long)length + 1)
        abort(); /* a trace with a hole would accuse the innocent */
    errno = saved_errno;
}

static void die(void) {
    syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    for (;;)
        pause();
}

/* Before a call on a file inside: -1, with errno, when it has to fail. `length` is what a write would write. */
static int begin(int kind, size_t *length) {
    if (!how || (kind == READS && !reads_too)) {
        calls += kind == WRITES;
        return 0;
    }
    calls++;
    if (calls < at || (times >= 0 && calls >= at + times))
        return 0;
    fired++;
    switch (how) {
    case DIE_BEFORE:
        die();
    case DIE_HALFWAY:
        if (length)
            *length /= 2; /* then as DIE_AFTER */
    case DIE_AFTER:
        die_after = 1;
        return 0;
    case SHORT:
        if (fired == 1 && length && *length > 1) {
            *length /= 2;
            return 0;
        }
    }
    errno = error;
    return -1;
}

static void end(void) {
    if (die_after)
        die();
}

/* ---- the calls themselves */

static int open_in(int folder, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    int changes = flags & (O_CREAT | O_WRONLY | O_RDWR | O_TRUNC), there = 0;
    if (!watched_length || !changes)
        return syscall(SYS_openat, folder, name, flags, mode);
    full(folder, name, path);
    if (!inside(path))
        return syscall(SYS_openat, folder, name, flags, mode);
    if (begin(WRITES, NULL))
        return -1;
    there = !syscall(SYS_faccessat, folder, name, F_OK);
    int handle = syscall(SYS_openat, folder, name, flags, mode);
    record(handle < 0 ? "failed" : !there ? "create" : flags & O_TRUNC ? "size" : "open", path, "", 0, "", 0);
    end();
    return handle;
}

#define OPEN(name, first, folder)                                                                                      \
    int name(first const char *path, int flags, ...) {                                                                 \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                        \
        va_end(rest);                                                                                                  \
        return open_in(folder, path, flags, mode);                                                                     \
    }
#define NONE
#define FOLDER int folder,
OPEN(open, NONE, AT_FDCWD)
OPEN(open64, NONE, AT_FDCWD)
OPEN(openat, FOLDER, folder)
OPEN(openat64, FOLDER, folder)

int creat(const char *path, mode_t mode) { return open_in(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

/* A write where `offset` says, or, if that is negative, where the file stands. */
static ssize_t put(int handle, const void *data, size_t length, off_t offset) {
    char path[PATH_MAX];
    path[0] = 0;
    if (watched_length)
        name_of(handle, path);
    int counts = inside(path);
    if (counts && begin(WRITES, &length))
        return -1;
    ssize_t done = offset < 0 ? syscall(SYS_write, handle, data, length)
                              : syscall(SYS_pwrite64, handle, data, length, offset);
    if (counts && done < 0)
        record("failed", path, "", 0, "", 0);
    else if (counts) {
        int saved_errno = errno;
        off_t start = offset < 0 ? lseek(handle, 0, SEEK_CUR) - done : offset;
        errno = saved_errno;
        record("write", path, "", start, data, done);
    }
    if (counts)
        end();
    return done;
}

ssize_t write(int handle, const void *data, size_t length) { return put(handle, data, length, -1); }
ssize_t pwrite(int handle, const void *data, size_t length, off_t offset) { return put(handle, data, length, offset); }
ssize_t pwrite64(int handle, const void *data, size_t length, off64_t offset) {
    return put(handle, data, length, offset);
}

ssize_t writev(int handle, const struct iovec *parts, int count) {
    ssize_t all = 0;
    for (int part = 0; part < count; part++) {
        ssize_t done = put(handle, parts[part].iov_base, parts[part].iov_len, -1);
        if (done < 0)
            return all ? all : -1;
        all += done;
        if ((size_t)done < parts[part].iov_len)
            break;
    }
    return all;
}

/* numpy writes an array to a file through stdio, whose own calls nothing can stand before: so write it here. */
size_t fwrite(const void *data, size_t size, size_t count, FILE *stream) {
    char path[PATH_MAX];
    path[0] = 0;
    if (watched_length)
        name_of(fileno(stream), path);
    if (!inside(path))
        return fwrite_unlocked(data, size, count, stream);
    if (fflush(stream))
        return 0;
    size_t length = size * count, done = 0;
    while (done < length) {
        ssize_t some = put(fileno(stream), (const char *)data + done, length - done, -1);
        if (some < 0 && errno == EINTR)
            continue; /* the C library's own fwrite would give up; what is tried here is not the C library */
        if (some < 0)
            break;
        done += some;
    }
    int saved_errno = errno;
    fseeko(stream, lseek(fileno(stream), 0, SEEK_CUR), SEEK_SET);
    errno = saved_errno;
    return size ? done / size : 0;
}

/* A copy from one file to the other within the system, by parts. It is made of a read and a write: the trace has to
   hold the data. `from` and `to` are where it reads and writes; NULL: where the files stand, which moves on. */
static ssize_t copy(int source, off_t *from, int target, off_t *to, size_t length) {
    char data[1 << 16];
    if (length > sizeof data)
        length = sizeof data;
    ssize_t some = from ? syscall(SYS_pread64, source, data, length, *from) : syscall(SYS_read, source, data, length);
    if (some <= 0)
        return some;
    ssize_t done = put(target, data, some, to ? *to : -1);
    if (done < 0) {
        int saved_errno = errno;
        if (!from)
            lseek(source, -some, SEEK_CUR);
        errno = saved_errno;
        return -1;
    }
    if (from)
        *from += done;
    else if (done < some)
        lseek(source, done - some, SEEK_CUR);
    if (to)
        *to += done;
    return done;
}

ssize_t sendfile(int target, int source, off_t *from, size_t length) {
    return copy(source, from, target, NULL, length);
}
ssize_t sendfile64(int target, int source, off64_t *from, size_t length) {
    return sendfile(target, source, from, length);
}
ssize_t copy_file_range(int source, off64_t *from, int target, off64_t *to, size_t length, unsigned flags) {
    (void)flags; /* there are none yet */
    return copy(source, from, target, to, length);
}

static ssize_t get(int handle, void *data, size_t length, off_t offset) {
    char path[PATH_MAX];
    if (watched_length && reads_too) {
        name_of(handle, path);
        if (inside(path)) {
            if (begin(READS, NULL))
                return -1;
            record("read", path, "", offset < 0 ? 0 : offset, "", 0);
        }
    }
    return offset < 0 ? syscall(SYS_read, handle, data, length) : syscall(SYS_pread64, handle, data, length, offset);
}

ssize_t read(int handle, void *data, size_t length) { return get(handle, data, length, -1); }
ssize_t pread(int handle, void *data, size_t length, off_t offset) { return get(handle, data, length, offset); }
ssize_t pread64(int handle, void *data, size_t length, off64_t offset) { return get(handle, data, length, offset); }

/* A call on an open file that returns 0 or -1. */
#define ON_FILE(op, offset, call)                                                                                      \
    char path[PATH_MAX];                                                                                               \
    path[0] = 0;                                                                                                       \
    if (watched_length)                                                                                                \
        name_of(handle, path);                                                                                         \
    if (!inside(path))                                                                                                 \
        return call;                                                                                                   \
    if (begin(WRITES, NULL))                                                                                           \
        return -1;                                                                                                     \
    int done = call;                                                                                                   \
    record(done ? "failed" : op, path, "", offset, "", 0);                                                             \
    end();                                                                                                             \
    return done;

int fsync(int handle) { ON_FILE("sync", 0, syscall(SYS_fsync, handle)) }
int fdatasync(int handle) { ON_FILE("sync", 0, syscall(SYS_fdatasync, handle)) }
int ftruncate(int handle, off_t size) { ON_FILE("size", size, syscall(SYS_ftruncate, handle, size)) }
int ftruncate64(int handle, off64_t size) { return ftruncate(handle, size); }
int fallocate(int handle, int mode, off_t offset, off_t length) {
    ON_FILE("room", offset + length, syscall(SYS_fallocate, handle, mode, offset, length))
}
int fallocate64(int handle, int mode, off64_t offset, off64_t length) {
    return fallocate(handle, mode, offset, length);
}
int posix_fallocate(int handle, off_t offset, off_t length) { return fallocate(handle, 0, offset, length) ? errno : 0; }
int posix_fallocate64(int handle, off64_t offset, off64_t length) { return posix_fallocate(handle, offset, length); }

/* A call on one name, or two, that returns 0 or -1. */
#define ON_NAMES(op, from, name, to, other, call)                                                                      \
    char path[PATH_MAX], second[PATH_MAX];                                                                             \
    if (!watched_length)                                                                                               \
        return call;                                                                                                   \
    full(from, name, path);                                                                                            \
    full(to, other, second);                                                                                           \
    if (!inside(path) && !inside(second))                                                                              \
        return call;                                                                                                   \
    if (begin(WRITES, NULL))                                                                                           \
        return -1;                                                                                                     \
    int done = call;                                                                                                   \
    record(done ? "failed" : op, path, second, 0, "", 0);                                                              \
    end();                                                                                                             \
    return done;

int renameat2(int from, const char *name, int to, const char *other, unsigned flags) {
    ON_NAMES(flags & RENAME_EXCHANGE ? "swap" : "rename", from, name, to, other, syscall(SYS_renameat2, from, name, to, other, flags))
}
int renameat(int from, const char *name, int to, const char *other) { return renameat2(from, name, to, other, 0); }
int rename(const char *name, const char *other) { return renameat2(AT_FDCWD, name, AT_FDCWD, other, 0); }

int linkat(int from, const char *name, int to, const char *other, int flags) {
    ON_NAMES("link", from, name, to, other, syscall(SYS_linkat, from, name, to, other, flags))
}
int link(const char *name, const char *other) { return linkat(AT_FDCWD, name, AT_FDCWD, other, 0); }

int unlinkat(int from, const char *name, int flags) {
    ON_NAMES("unlink", from, name, AT_FDCWD, "", syscall(SYS_unlinkat, from, name, flags))
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }
int remove(const char *name) { return unlink(name) && errno == EISDIR ? rmdir(name) : 0; }

int mkdirat(int from, const char *name, mode_t mode) {
    ON_NAMES("mkdir", from, name, AT_FDCWD, "", syscall(SYS_mkdirat, from, name, mode))
}
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }
