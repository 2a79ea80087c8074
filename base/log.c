/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

enum { PATH_BYTES = 4096 };

static atomic_int log_fd = STDERR_FILENO;
static atomic_int log_level = BASE_LOG_INFO;
static char log_path[PATH_BYTES];
static pthread_mutex_t turning = PTHREAD_MUTEX_INITIALIZER;

void base_log_set_level(enum base_log_level level)
{
    atomic_store(&log_level, level);
}

static int open_log(void)
{
    int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

int base_log_to_file(const char *path)
{
    if (strlen(path) + sizeof ".1" > sizeof log_path)
        return -ENAMETOOLONG;
    (void)snprintf(log_path, sizeof log_path, "%s", path);
    int fd = open_log();
    if (fd < 0)
        return fd;
    atomic_store(&log_fd, fd);
    return 0;
}

bool base_log_is_file(void)
{
    return atomic_load(&log_fd) != STDERR_FILENO;
}

/* Where the path still names the file that is open: if another process has turned the log, it does not. */
static bool is_current(int fd)
{
    struct stat open_file, named;
    return fstat(fd, &open_file) == 0 && stat(log_path, &named) == 0 && open_file.st_ino == named.st_ino &&
           open_file.st_dev == named.st_dev;
}

/* Goes on in a new file when this one is full. The lock on the full file lets one process rename it; the
 * others find the name changed. The descriptor keeps its number, so that other threads write on. */
static void turn_full_log(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || (uint64_t)st.st_size < BASE_LOG_MAX_BYTES || !S_ISREG(st.st_mode))
        return;
    pthread_mutex_lock(&turning);
    if (fstat(fd, &st) == 0 && (uint64_t)st.st_size >= BASE_LOG_MAX_BYTES && flock(fd, LOCK_EX) == 0) {
        char older[PATH_BYTES + 2];
        (void)snprintf(older, sizeof older, "%s.1", log_path);
        bool turned = !is_current(fd) || rename(log_path, older) == 0;
        (void)flock(fd, LOCK_UN);
        base_autoclose int fresh = turned ? open_log() : -1;
        if (fresh >= 0)
            (void)dup3(fresh, fd, O_CLOEXEC);
    }
    pthread_mutex_unlock(&turning);
}

static size_t put_time(char *out, size_t room)
{
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    return strftime(out, room, "%Y-%m-%d %H:%M:%S ", &tm);
}

static size_t put_escaped(char *out, size_t room, const char *text)
{
    size_t len = 0;
    for (; *text && len + 5 < room; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f)
            len += (size_t)snprintf(out + len, room - len, "\\x%02x", c);
        else
            out[len++] = *text;
    }
    return len;
}

void base_log(enum base_log_level level, const char *format, ...)
{
    static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
    if ((int)level > atomic_load(&log_level))
        return;
    int saved_errno = errno;
    char text[2048], line[4096];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    int fd = atomic_load(&log_fd);
    if (fd != STDERR_FILENO)
        turn_full_log(fd);
    size_t len = fd == STDERR_FILENO ? 0 : put_time(line, sizeof line);
    len += (size_t)snprintf(line + len, sizeof line - len, "corpusfs: %s", names[level]);
    len += put_escaped(line + len, sizeof line - len - 1, text);
    line[len++] = '\n';
    ssize_t ignored = write(fd, line, len);
    (void)ignored;
    errno = saved_errno;
}
