/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

int base_pread_all(int fd, void *out, size_t len, off_t offset)
{
    uint8_t *to = out;
    while (len > 0) {
        ssize_t n = pread(fd, to, len, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO;
        to += n;
        len -= (size_t)n;
        offset += n;
    }
    return 0;
}

int base_pwrite_all(int fd, const void *data, size_t len, off_t offset)
{
    const uint8_t *from = data;
    while (len > 0) {
        ssize_t n = pwrite(fd, from, len, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        from += n;
        len -= (size_t)n;
        offset += n;
    }
    return 0;
}

int base_read_file(const char *path, size_t cap, char **ret, size_t *ret_len)
{
    base_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t len = 0, room = 4096;
    base_autofree char *data = malloc(room + 1);
    while (data) {
        ssize_t n = read(fd, data + len, room - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0) {
            data[len] = 0;
            *ret = base_steal_pointer(data);
            *ret_len = len;
            return 0;
        }
        len += (size_t)n;
        if (len > cap)
            return -EFBIG;
        if (len == room) {
            room *= 2;
            char *larger = realloc(data, room + 1);
            if (!larger)
                return -ENOMEM;
            data = larger;
        }
    }
    return -ENOMEM;
}

int64_t base_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void base_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void base_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ns)
{
    const struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    (void)pthread_cond_timedwait(cond, lock, &until);
}
