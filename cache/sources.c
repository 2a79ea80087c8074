/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"
#include "cache/private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

int source_open(const struct cache *c, const char *path, int *ret_fd, struct cache_file_stamp *ret_stamp)
{
    /* O_NONBLOCK: a FIFO in a corpus must not hang the mount; it changes nothing for files. */
    const struct source_place place = source_place(c, path);
    int fd = openat(place.root, place.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return -EINVAL;
    }
    *ret_stamp = stamp_of(&st);
    *ret_fd = fd;
    return 0;
}

bool source_unchanged(int fd, const struct cache_file_stamp *was)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return false;
    struct cache_file_stamp now = stamp_of(&st);
    return stamp_equal(&now, was);
}

int source_identity_then(struct cache *c, const char *path, const struct cache_file_stamp *stamp,
                         struct base_hash *ret)
{
    base_autofree char *full = NULL;
    const struct source_place place = source_place(c, path);
    if (asprintf(&full, "%s/%s", place.dir, place.path) < 0)
        return -ENOMEM;
    return cache_identity_get(c->store, full, stamp, ret);
}

int source_identity(struct cache *c, const char *path, int fd, const struct cache_file_stamp *stamp,
                    struct base_hash *ret)
{
    const uint64_t ends = 64 * 1024;
    base_autofree char *full = NULL;
    const struct source_place place = source_place(c, path);
    if (asprintf(&full, "%s/%s", place.dir, place.path) < 0)
        return -ENOMEM;
    if (cache_identity_get(c->store, full, stamp, ret) == 0)
        return 0;
    struct {
        uint64_t size;
        int64_t mtime_ns;
        struct base_hash head, tail;
    } parts = {.size = stamp->size, .mtime_ns = stamp->mtime_ns};
    uint64_t part = BASE_MIN(stamp->size, ends);
    int err = base_hash_fd(fd, 0, part, &parts.head);
    if (!err)
        err = base_hash_fd(fd, (off_t)(stamp->size - part), part, &parts.tail);
    if (err)
        return err;
    *ret = base_hash_of(&parts, sizeof parts);
    cache_identity_put(c->store, full, stamp, ret);
    return 0;
}

bool source_is(struct cache *c, const char *path, int fd, struct cache_file_stamp *stamp,
               const struct cache_file_stamp *was, const struct base_hash *identity)
{
    struct base_hash now;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return false;
    *stamp = stamp_of(&st);
    if (stamp_equal(stamp, was))
        return true;
    return stamp->size == was->size && stamp->mtime_ns == was->mtime_ns &&
           source_identity(c, path, fd, stamp, &now) == 0 && base_hash_equal(&now, identity);
}
