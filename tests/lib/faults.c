/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The next one's function of that name, whose type is that of the one here. */
#define NEXT(name)                                                                                           \
    __extension__({                                                                                          \
        static __typeof__(&(name)) next;                                                                     \
        if (!next)                                                                                           \
            next = (__typeof__(&(name)))dlsym(RTLD_NEXT, #name);                                             \
        next;                                                                                                \
    })

static struct faults own, *control = &own;
static int trace = -1;

__attribute__((constructor)) static void find_control(void)
{
    const char *path = getenv("CORPUSFS_FAULTS");
    char name[PATH_MAX];
    int fd = path ? NEXT(open64)(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED)
        control = map;
    close(fd);
    (void)snprintf(name, sizeof name, "%s.sql", path);
    trace = NEXT(open64)(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

struct faults *faults_control(void)
{
    return control;
}

/* ---- Which calls ---- */

/* The mode in which a call is to fail, or -1. */
static int chosen(enum faults_kind kind)
{
    struct faults_of_kind *k = &control->kinds[kind];
    uint64_t n = atomic_fetch_add(&k->calls, 1) + 1;
    if (n < k->first || n > k->last)
        return -1;
    atomic_fetch_add(&k->failed, 1);
    return k->mode == FAULTS_SHORT && n > k->first ? FAULTS_FAIL : (int)k->mode;
}

int faults_hit(enum faults_kind kind)
{
    return chosen(kind) >= 0;
}

static int chosen_path(enum faults_kind kind, const char *path)
{
    size_t len = strlen(control->dir);
    return len > 0 && strncmp(path, control->dir, len) == 0 ? chosen(kind) : -1;
}

static int chosen_fd(enum faults_kind kind, int fd)
{
    struct stat st;
    bool ours = fd > 2 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_dev == control->device;
    return ours ? chosen(kind) : -1;
}

static int fail(enum faults_kind kind)
{
    errno = (int)control->kinds[kind].error;
    return -1;
}

/* Evaluates `call` unless `mode` says that it is not done, and gives its value or the fault. */
#define WITH_FAULT(kind, mode, call)                                                                         \
    __extension__({                                                                                          \
        int mode_ = (mode);                                                                                  \
        __typeof__(call) value_ = -1;                                                                        \
        if (mode_ < 0 || mode_ == FAULTS_LATE)                                                               \
            value_ = (call);                                                                                 \
        mode_ < 0 ? value_ : fail(kind);                                                                     \
    })

/* ---- libc. Programs for large files call the names in 64; both are one function. ---- */

ssize_t write(int fd, const void *data, size_t len)
{
    int mode = chosen_fd(FAULTS_WRITE, fd);
    if (mode == FAULTS_SHORT && len > 1)
        return NEXT(write)(fd, data, len / 2);
    return WITH_FAULT(FAULTS_WRITE, mode, NEXT(write)(fd, data, len));
}

ssize_t pread64(int fd, void *out, size_t len, off_t offset)
{
    struct stat st;
    if (control->poison != 0 && fstat(fd, &st) == 0 && st.st_ino == control->poison)
        __builtin_trap();
    return NEXT(pread64)(fd, out, len, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t offset)
{
    int mode = chosen_fd(FAULTS_WRITE, fd);
    if (mode == FAULTS_SHORT && len > 1)
        return NEXT(pwrite64)(fd, data, len / 2, offset);
    return WITH_FAULT(FAULTS_WRITE, mode, NEXT(pwrite64)(fd, data, len, offset));
}

int fsync(int fd)
{
    return WITH_FAULT(FAULTS_SYNC, chosen_fd(FAULTS_SYNC, fd), NEXT(fsync)(fd));
}

int fdatasync(int fd)
{
    return WITH_FAULT(FAULTS_SYNC, chosen_fd(FAULTS_SYNC, fd), NEXT(fdatasync)(fd));
}

int rename(const char *from, const char *to)
{
    return WITH_FAULT(FAULTS_RENAME, chosen_path(FAULTS_RENAME, to), NEXT(rename)(from, to));
}

int ftruncate64(int fd, off_t len)
{
    return WITH_FAULT(FAULTS_RESIZE, chosen_fd(FAULTS_RESIZE, fd), NEXT(ftruncate64)(fd, len));
}

int fallocate64(int fd, int mode, off_t offset, off_t len)
{
    return WITH_FAULT(FAULTS_RESIZE, chosen_fd(FAULTS_RESIZE, fd), NEXT(fallocate64)(fd, mode, offset, len));
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t permissions = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return WITH_FAULT(FAULTS_CREATE, flags & O_CREAT ? chosen_path(FAULTS_CREATE, path) : -1,
                      NEXT(open64)(path, flags, permissions));
}

int mkdir(const char *path, mode_t mode)
{
    return WITH_FAULT(FAULTS_MKDIR, chosen_path(FAULTS_MKDIR, path), NEXT(mkdir)(path, mode));
}

int unlink(const char *path)
{
    return WITH_FAULT(FAULTS_UNLINK, chosen_path(FAULTS_UNLINK, path), NEXT(unlink)(path));
}

/* ---- SQLite ---- */

/* SQLite's functions call each other, and what one of them does is not to be believed when the other did
 * nothing: only the outermost counts. */
static _Thread_local int depth;

/* As WITH_FAULT, for functions that return SQLite's codes. */
#define WITH_CODE(call)                                                                                      \
    __extension__({                                                                                          \
        int mode_ = depth > 0 ? -1 : chosen(FAULTS_SQLITE), code_ = SQLITE_OK;                               \
        depth++;                                                                                             \
        if (mode_ < 0 || mode_ == FAULTS_LATE)                                                               \
            code_ = (call);                                                                                  \
        depth--;                                                                                             \
        mode_ < 0 ? code_ : (int)control->kinds[FAULTS_SQLITE].error;                                        \
    })

int sqlite3_step(sqlite3_stmt *statement)
{
    if (control->tracing)
        (void)dprintf(trace, "%s\n", NEXT(sqlite3_sql)(statement));
    return WITH_CODE(NEXT(sqlite3_step)(statement));
}

int sqlite3_prepare_v2(sqlite3 *db, const char *sql, int len, sqlite3_stmt **ret, const char **tail)
{
    return WITH_CODE(NEXT(sqlite3_prepare_v2)(db, sql, len, ret, tail));
}

int sqlite3_prepare_v3(sqlite3 *db, const char *sql, int len, unsigned flags, sqlite3_stmt **ret,
                       const char **tail)
{
    return WITH_CODE(NEXT(sqlite3_prepare_v3)(db, sql, len, flags, ret, tail));
}

int sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **), void *context,
                 char **ret_message)
{
    return WITH_CODE(NEXT(sqlite3_exec)(db, sql, row, context, ret_message));
}

int sqlite3_open_v2(const char *name, sqlite3 **ret, int flags, const char *vfs)
{
    return WITH_CODE(NEXT(sqlite3_open_v2)(name, ret, flags, vfs));
}

int sqlite3_wal_checkpoint_v2(sqlite3 *db, const char *name, int mode, int *ret_log, int *ret_done)
{
    return WITH_CODE(NEXT(sqlite3_wal_checkpoint_v2)(db, name, mode, ret_log, ret_done));
}
