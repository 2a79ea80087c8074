/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/source.h"

#include <errno.h>
#include <sys/stat.h>

static bool is_whole(const struct dec_source *source)
{
    return source->offset == 0 && source->bytes == 0;
}

int dec_source_size(const struct dec_source *source, uint64_t *ret)
{
    struct stat st;
    if (fstat(source->fd, &st) < 0)
        return -errno;
    uint64_t file_bytes = (uint64_t)st.st_size;
    uint64_t there = source->offset < file_bytes ? file_bytes - source->offset : 0;
    *ret = is_whole(source) ? file_bytes : BASE_MIN(source->bytes, there);
    return 0;
}

ssize_t dec_source_read(const struct dec_source *source, void *out, size_t len, uint64_t at)
{
    if (!is_whole(source)) {
        uint64_t left = at < source->bytes ? source->bytes - at : 0;
        len = BASE_MIN(len, left);
    }
    if (len == 0 || at > (uint64_t)INT64_MAX - source->offset)
        return 0;
    for (;;) {
        ssize_t n = pread(source->fd, out, len, (off_t)(source->offset + at));
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return -errno;
    }
}

int dec_source_read_all(const struct dec_source *source, void *out, size_t len, uint64_t at)
{
    uint8_t *next = out;
    while (len > 0) {
        ssize_t n = dec_source_read(source, next, len, at);
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        next += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}
