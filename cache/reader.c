/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/reader_private.h"

#include "decoders/records.h"

#include <errno.h>
#include <fcntl.h>

static int open_parts(struct cache *c, const struct cache_reader_options *o, struct base_reason *why)
{
    int err = roots_open(c, why);
    if (err)
        return err;
    return o->dir ? cache_store_open(o->dir, o->size_bytes, &c->store, why) : 0;
}

int cache_reader_create(const struct cache_reader_options *options, struct cache_reader **ret,
                        struct base_reason *why)
{
    struct cache_reader *r = calloc(1, sizeof *r);
    if (!r)
        return base_fail(why, -ENOMEM, "out of memory");
    r->cache.options = (struct cache_options){
        .root = options->root, .merged = options->merged, .n_merged = options->n_merged};
    pthread_mutex_init(&r->cache.lock, NULL);
    r->worker.cache = &r->cache;
    cache_worker_init(&r->worker.process, options->decoder, options->worker_memory_bytes);
    int err = open_parts(&r->cache, options, why);
    if (err)
        cache_reader_destroy(r);
    else
        *ret = r;
    return err;
}

void cache_reader_destroy(struct cache_reader *r)
{
    if (!r)
        return;
    (void)cache_worker_stop(&r->worker.process);
    cache_store_close(r->cache.store);
    roots_close(&r->cache);
    pthread_mutex_destroy(&r->cache.lock);
    free(r);
}

static int run_table_job(struct cache_reader *r, int source, const struct base_bytes *spec,
                         struct base_bytes *ret, struct base_reason *why)
{
    base_autoclose int output = making_memory_file(), wanted = making_memory_file();
    if (output < 0 || wanted < 0 || base_pwrite_all(wanted, spec->data, spec->len, 0) < 0)
        return base_fail(why, -ENOMEM, "out of memory");
    struct dec_job job = {.kind = DEC_TABLE, .threads = 1, .session = 1};
    int fds[DEC_N_FDS] = {source, output, wanted, -1};
    struct job_result result;
    int err = run_job(&r->worker, &job, fds, 2 * DEC_MAX_RECORDS_BYTES, NULL, &result);
    if (err) {
        *why = result.why;
        return err == -ENOMEM ? err : -EIO;
    }
    size_t before = ret->len;
    if (base_bytes_reserve(ret, result.reply.bytes) < 0)
        return -ENOMEM;
    err = base_pread_all(output, ret->data + before, result.reply.bytes, 0);
    if (err)
        return base_fail(why, -EIO, "the worker wrote less than it said");
    ret->len += result.reply.bytes;
    return 0;
}

/* Whether the store has it. */
static bool find_kept(struct cache_reader *r, const struct base_hash *key, struct base_bytes *ret)
{
    struct dec_records records;
    size_t before = ret->len;
    if (r->cache.store && cache_fact_get(r->cache.store, key, ret) == 0 &&
        dec_records_open(ret->data + before, ret->len - before, &records) == 0)
        return true;
    ret->len = before;
    return false;
}

static int read_open(struct cache_reader *r, const char *path, int source, struct cache_file_stamp *stamp,
                     const struct base_bytes *spec, struct base_bytes *ret, struct base_reason *why)
{
    struct base_hash key = {0}, identity, wanted = base_hash_of(spec->data, spec->len);
    size_t before = ret->len;
    if (source_settle(source, stamp) < 0)
        return base_fail(why, -EIO, "it is being written to");
    if (r->cache.store && source_identity(&r->cache, path, source, stamp, &identity) < 0)
        return base_fail(why, -EIO, "cannot be read");
    if (r->cache.store)
        key = key_of_table(&identity, &wanted);
    if (find_kept(r, &key, ret))
        return 0;
    int err = run_table_job(r, source, spec, ret, why);
    if (!err && !source_unchanged(source, stamp))
        err = base_fail(why, -EIO, "it is being written to");
    if (!err && r->cache.store)
        cache_fact_put(r->cache.store, &key, ret->data + before, ret->len - before);
    return err;
}

int cache_read_table(struct cache_reader *r, const char *path, const struct base_bytes *spec,
                     struct base_bytes *ret, struct base_reason *why)
{
    struct cache_file_stamp stamp;
    base_autoclose int source = -1;
    int err = source_open(&r->cache, path, &source, &stamp);
    if (err)
        return base_fail(why, err == -ENOMEM ? err : -EIO, "cannot be opened: %s", strerror(-err));
    return read_open(r, path, source, &stamp, spec, ret, why);
}

int cache_read_member_table(struct cache_reader *r, struct cache *c, uint32_t archive, uint32_t member,
                            const struct base_bytes *spec, struct base_bytes *ret, struct base_reason *why)
{
    base_autoclose int source = -1;
    struct base_hash identity, wanted = base_hash_of(spec->data, spec->len);
    size_t before = ret->len;
    int err = cache_member_identity(c, archive, member, &identity);
    if (err)
        return base_fail(why, -EIO, "is no file in its archive");
    struct base_hash key = key_of_table(&identity, &wanted);
    if (find_kept(r, &key, ret))
        return 0;
    err = cache_member_copy(c, archive, member, &source);
    if (err)
        return base_fail(why, err == -ENOMEM ? err : -EIO, "cannot be read: %s", strerror(-err));
    err = run_table_job(r, source, spec, ret, why);
    if (!err && r->cache.store)
        cache_fact_put(r->cache.store, &key, ret->data + before, ret->len - before);
    return err;
}
