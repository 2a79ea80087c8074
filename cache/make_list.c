/* SPDX-License-Identifier: Apache-2.0 */
/* Listing what is in an archive. */
#include "cache/making.h"
#include "cache/watch.h"

#include <errno.h>

/* A list is evicted last: without it nothing of its archive can be shown. */
static const uint64_t list_cost_us = UINT64_C(1) << 40;

/* ---- What is kept ---- */

/* What was listed last under a path, for an archive that grows. */
struct last_list {
    struct base_hash identity;
    uint64_t archive_bytes;
};

static struct base_hash key_of_last(const struct making *m)
{
    base_autofree char *name = NULL;
    const struct source_place place = source_place(m->c, m->path);
    if (asprintf(&name, "last list %u %s/%s", DEC_VERSION, place.dir, place.path) < 0)
        return (struct base_hash){0};
    return base_hash_of(name, strlen(name));
}

static void remember_last(struct making *m, const struct archive *a)
{
    struct last_list last = {a->identity, a->list.archive_bytes};
    struct base_hash key = key_of_last(m);
    cache_fact_put(m->c->store, &key, &last, sizeof last);
}

/* The segment of the list that a shorter archive had under this path, or NULL. */
static struct cache_segment *find_last(struct making *m, uint64_t archive_bytes, uint64_t *ret_known_bytes)
{
    struct last_list last;
    struct base_bytes kept = {0};
    struct base_hash key = key_of_last(m);
    bool found = cache_fact_get(m->c->store, &key, &kept) == 0 && kept.len == sizeof last;
    if (found)
        memcpy(&last, kept.data, sizeof last);
    base_bytes_finish(&kept);
    if (!found || last.archive_bytes == 0 || last.archive_bytes >= archive_bytes)
        return NULL;
    struct cache_segment *s = NULL;
    key = key_of_list(&last.identity);
    *ret_known_bytes = last.archive_bytes;
    return cache_segment_get(m->c->store, &key, &s) == 0 ? s : NULL;
}

static int keep(struct making *m, const struct base_hash *key, const uint8_t *data, size_t len)
{
    struct cache_writer *writer;
    struct cache_segment *s = NULL;
    struct cache_layout layout = {.payload_bytes = len, .file_bytes = len};
    int err = cache_writer_begin(m->c->store, len, &writer);
    if (err)
        return err;
    err = base_pwrite_all(cache_writer_fd(writer), data, len, 0);
    if (err) {
        cache_writer_abort(writer);
        return err;
    }
    err = cache_writer_commit(writer, key, &layout, list_cost_us, &s);
    cache_segment_unref(s);
    return err;
}

static int read_segment(const struct cache_segment *s, uint8_t **ret, size_t *ret_len)
{
    size_t len = cache_segment_layout(s)->payload_bytes;
    uint8_t *data = malloc(len + 1);
    for (size_t at = 0; data && at < len;) {
        ssize_t n = cache_segment_read(s, 0, data + at, len - at, at);
        if (n <= 0) {
            free(data);
            return -EIO;
        }
        at += (size_t)n;
    }
    *ret = data;
    *ret_len = len;
    return data ? 0 : -ENOMEM;
}

/* ---- The archive ---- */

/* Says what is not shown. `fresh`: it was not listed before, so each is told by name. */
static void tell(struct making *m, const struct archive *a, bool fresh)
{
    const struct source_place place = source_place(m->c, m->path);
    if (a->list.truncated)
        base_log(BASE_LOG_WARNING, "%s/%s: %s; what stands before that is shown", place.dir, place.path,
                 a->list.reason);
    if (a->list.n_refused == 0)
        return;
    struct dec_members_cursor *cursor = fresh ? malloc(sizeof *cursor) : NULL;
    struct dec_member member;
    if (cursor) {
        dec_members_begin(&a->list, cursor);
        while (dec_members_next(cursor, &member) > 0)
            if (member.kind == DEC_MEMBER_REFUSED)
                base_log(BASE_LOG_WARNING, "%s/%s: %s: left out: it %s", place.dir, place.path, member.name,
                         dec_refusal_text(member.why));
        dec_members_end(cursor);
        free(cursor);
    }
    base_log(BASE_LOG_WARNING, "%s/%s: %llu members are left out", place.dir, place.path,
             (unsigned long long)a->list.n_refused);
}

/* Takes over `data`. *a has all but the list. 0, -EPROTO, or another negative errno. */
static int install(struct making *m, const struct archive *like, uint8_t *data, size_t len, bool fresh)
{
    struct archive *a = malloc(sizeof *a);
    if (!a) {
        free(data);
        return -ENOMEM;
    }
    *a = *like;
    a->packed = data;
    a->packed_bytes = len;
    int err = dec_members_open(data, len, &a->list);
    if (err) {
        archive_free(a);
        return err;
    }
    tell(m, a, fresh);
    if (!a->outer && fresh)
        remember_last(m, a);
    return archives_add(m->c, a, m->t->slot);
}

static int run_list_job(struct making *m, int source, const struct base_hash *key, const struct archive *like,
                        uint8_t **ret, size_t *ret_len)
{
    base_autoclose int output = making_memory_file(), known = -1;
    if (output < 0)
        return making_fail(m, base_fail(&m->why, output, "no memory for its list"));
    struct dec_job job = making_new_job(m, DEC_LIST);
    struct cache_segment *last = like->outer ? NULL : find_last(m, like->stamp.size, &job.list.known_bytes);
    if (last && (known = making_copy_segment(last)) < 0)
        job.list.known_bytes = 0;
    cache_segment_unref(last);
    int fds[DEC_N_FDS] = {source, output, known, -1};
    struct job_result result;
    int err = run_job(m->worker, &job, fds, DEC_MAX_LIST_BYTES, NULL, &result);
    if (err) {
        m->why = result.why;
        return making_fail_job(m, err, key);
    }
    if (making_check_origin(m, source) < 0)
        return -EAGAIN;
    uint8_t *data = malloc(result.reply.bytes + 1);
    err = data ? base_pread_all(output, data, result.reply.bytes, 0) : -ENOMEM;
    if (err) {
        free(data);
        return making_fail(m, base_fail(&m->why, err, "its list cannot be read"));
    }
    *ret = data;
    *ret_len = result.reply.bytes;
    return 0;
}

/* 0; 1: nothing is kept; or a negative errno. */
static int install_kept(struct making *m, const struct archive *like, const struct base_hash *key)
{
    struct cache_segment *s = NULL;
    uint8_t *data;
    size_t len;
    if (cache_segment_get(m->c->store, key, &s) < 0)
        return 1;
    int err = read_segment(s, &data, &len);
    cache_segment_unref(s);
    if (err)
        return err == -ENOMEM ? err : 1;
    err = install(m, like, data, len, false);
    return err == -EPROTO ? 1 : err;
}

static int list_origin(struct making *m, int source, const struct archive *like)
{
    struct base_hash key = key_of_list(&like->identity);
    uint8_t *data = NULL;
    size_t len = 0;
    int err = install_kept(m, like, &key);
    if (err <= 0)
        return err ? making_fail(m, base_fail(&m->why, err, "no memory for its list")) : 0;
    if (making_failed_before(m, &key))
        return making_fail(m, -EIO);
    err = run_list_job(m, source, &key, like, &data, &len);
    if (err)
        return err;
    (void)keep(m, &key, data, len);
    err = install(m, like, data, len, true);
    if (err == -EPROTO)
        return making_fail_job(m, base_fail(&m->why, -EIO, "the worker gave a list that makes no sense"),
                               &key);
    return err ? making_fail(m, base_fail(&m->why, err, "no room for its list")) : 0;
}

static int list_file(struct making *m, struct archive *like)
{
    base_autoclose int source = -1;
    if (clip_check(m->c, m->t->clip))
        return -EAGAIN;
    like->version = cache_version(m->c, m->t->clip);
    watch_clip(m->c->watch, m->t->clip);
    int err = making_open_at_rest(m, like->version, &source, &like->stamp);
    if (err)
        return err;
    m->opened = like->stamp;
    err = source_identity(m->c, m->path, source, &like->stamp, &like->file_identity);
    if (err)
        return making_fail(m, base_fail(&m->why, err, "cannot read it: %s", strerror(-err)));
    like->identity = like->file_identity;
    like->bytes = like->stamp.size;
    err = list_origin(m, source, like);
    return clip_check(m->c, m->t->clip) ? -EAGAIN : err;
}

/* Whether a member stands in its archive as it is. */
static bool is_stored(struct archive *a, uint32_t number)
{
    struct dec_members_cursor cursor;
    struct dec_member record;
    if (archive_record(a, number, &cursor, &record) < 0)
        return false;
    bool stored = record.storage == DEC_STORED;
    dec_members_end(&cursor);
    return stored;
}

static int list_member(struct making *m, const struct archive_slot *slot, struct archive *like)
{
    base_autoclose int source = -1;
    struct archive *outer = archive_of(m->c, slot->outer);
    int err = making_open_member(m, slot->outer, slot->member, &source);
    if (err)
        return err;
    like->version = outer->version;
    like->stamp = outer->stamp;
    like->file_identity = outer->file_identity;
    like->identity = m->member_identity;
    like->in_segment = m->in_segment;
    like->offset = m->offset;
    like->bytes = m->bytes;
    if (outer->in_segment && is_stored(outer, slot->member)) {
        /* It stands in the segment that the outer one stands in. */
        like->outer = outer->outer;
        like->member = outer->member;
    }
    return list_origin(m, source, like);
}

int make_list(struct making *m)
{
    pthread_mutex_lock(&m->c->lock);
    struct archive_slot slot = m->c->slots[m->t->slot];
    pthread_mutex_unlock(&m->c->lock);
    struct archive like = {.outer = slot.outer, .member = slot.member, .clip = slot.clip};
    m->path = slot.path;
    return slot.outer ? list_member(m, &slot, &like) : list_file(m, &like);
}
