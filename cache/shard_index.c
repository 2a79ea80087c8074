/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"
#include "cache/reader_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

void cache_shard_index_path(enum cache_shard_index kind, const char *shard, struct base_bytes *out)
{
    const char *slash = strrchr(shard, '/'), *name = slash ? slash + 1 : shard;
    size_t dir = (size_t)(name - shard);
    const char *dot = kind == CACHE_DALI ? strchr(name, '.') : strrchr(name, '.');
    size_t len = dir + (dot && dot > name ? (size_t)(dot - name) : strlen(name));
    base_bytes_printf(out, "%.*s%s", (int)len, shard, kind == CACHE_DALI ? ".idx" : ".tar.idx");
    base_bytes_append(out, "", 1);
}

/* Puts a file in its place as a whole. */
static int write_file(int root, const char *path, int data, uint64_t bytes, struct base_reason *why)
{
    const char *slash = strrchr(path, '/');
    base_autofree char *temporary = NULL;
    if (asprintf(&temporary, "%.*s.%s.%d", slash ? (int)(slash + 1 - path) : 0, path,
                 slash ? slash + 1 : path, (int)getpid()) < 0)
        return base_fail(why, -ENOMEM, "out of memory");
    base_autofree uint8_t *copy = malloc(bytes);
    int err = !copy ? -ENOMEM : base_pread_all(data, copy, bytes, 0);
    base_autoclose int fd =
        err ? -1 : openat(root, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (!err && fd < 0)
        return base_fail(why, -errno, "cannot be written beside its shard: %s", strerror(errno));
    if (!err)
        err = base_pwrite_all(fd, copy, bytes, 0);
    if (!err && (fsync(fd) < 0 || renameat(root, temporary, root, path) < 0))
        err = -errno;
    if (err && fd >= 0)
        (void)unlinkat(root, temporary, 0);
    return err ? base_fail(why, err, "cannot be written beside its shard: %s", strerror(-err)) : 0;
}

/* What a worker makes of the shard, and finds of the index, which may be -1. */
static int run_index_job(struct cache_reader *r, enum cache_shard_index kind, int shard, int index,
                         int output, struct job_result *result)
{
    struct dec_job job = {.kind = DEC_SHARD_INDEX, .threads = 1, .session = 1};
    int fds[DEC_N_FDS] = {shard, output, index, -1};
    job.shard_index.format = kind == CACHE_DALI ? DEC_DALI : DEC_ENERGON;
    return run_job(&r->worker, &job, fds, DEC_MAX_LIST_BYTES, NULL, result);
}

static int judge(struct cache_reader *r, const char *path, int index, int output, bool write,
                 const struct job_result *result, struct base_reason *why)
{
    if (index >= 0 && result->reply.file_bytes)
        return CACHE_INDEX_GOOD;
    if (write && result->reply.bytes > 0) {
        int err = write_file(r->cache.root, path, output, result->reply.bytes, why);
        return err ? err : CACHE_INDEX_WRITTEN;
    }
    if (index < 0)
        return CACHE_INDEX_NONE;
    return base_fail(why, -EINVAL, "does not fit its shard: %s",
                     *result->reply.reason ? result->reply.reason : "that is no plain tar");
}

int cache_shard_index(struct cache_reader *r, enum cache_shard_index kind, const char *shard,
                      const char *path, bool write, struct base_reason *why)
{
    struct cache_file_stamp stamp, index_stamp;
    struct job_result result;
    base_autoclose int source = -1, index = -1, output = -1;
    int err = source_open(&r->cache, path, &index, &index_stamp);
    if (err && err != -ENOENT)
        return base_fail(why, err, "cannot be opened: %s", strerror(-err));
    if (err && !write)
        return CACHE_INDEX_NONE;
    err = source_open(&r->cache, shard, &source, &stamp);
    if (!err)
        err = source_settle(source, &stamp);
    if (err)
        return base_fail(why, err, "its shard cannot be read: %s", strerror(-err));
    output = making_memory_file();
    if (output < 0)
        return base_fail(why, -ENOMEM, "out of memory");
    err = run_index_job(r, kind, source, index, output, &result);
    if (err)
        return base_fail(why, err, "its shard cannot be read: %s", result.why.text);
    if (!source_unchanged(source, &stamp))
        return base_fail(why, -EAGAIN, "its shard is being written to");
    return judge(r, path, index, output, write, &result, why);
}
