/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <time.h>

static atomic_int log_fd = STDERR_FILENO;
static atomic_int log_level = BASE_LOG_INFO;

void base_log_set_level(enum base_log_level level)
{
    atomic_store(&log_level, level);
}

int base_log_to_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    atomic_store(&log_fd, fd);
    return 0;
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
    size_t len = fd == STDERR_FILENO ? 0 : put_time(line, sizeof line);
    len += (size_t)snprintf(line + len, sizeof line - len, "corpusfs: %s", names[level]);
    len += put_escaped(line + len, sizeof line - len - 1, text);
    line[len++] = '\n';
    ssize_t ignored = write(fd, line, len);
    (void)ignored;
    errno = saved_errno;
}
