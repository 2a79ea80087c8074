/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/making.h"
#include "cache/watch.h"

#include <errno.h>

/* All that the store keeps as a fact: some 30 million frames of the worst kind. */
enum { MAX_INDEX_BYTES = 64 << 20 };

/* key: where a failure is remembered. */
static int run_index_job(struct making *m, int source, bool recount, const struct base_hash *key,
                         struct base_bytes *packed)
{
    base_autoclose int output = making_memory_file();
    if (output < 0)
        return making_fail(m, base_fail(&m->why, output, "no memory for its index"));
    struct dec_job job = making_new_job(m, DEC_INDEX);
    job.recount = recount;
    int fds[DEC_N_FDS] = {source, output, -1, -1};
    struct job_result result;
    int err = run_job(m->worker, &job, fds, MAX_INDEX_BYTES, NULL, &result);
    if (err) {
        m->why = result.why;
        return making_fail_job(m, err, key);
    }
    if (base_bytes_reserve(packed, result.reply.bytes) < 0)
        return -ENOMEM;
    err = base_pread_all(output, packed->data, result.reply.bytes, 0);
    if (err)
        return making_fail(m, base_fail(&m->why, err, "the worker wrote less than it said"));
    packed->len = result.reply.bytes;
    return 0;
}

/* false: the clip has a newer version. */
static bool install_media(struct making *m, struct media *media)
{
    struct cache *c = m->c;
    uint32_t told = media_mark(media), most_files = 0;
    for (uint32_t i = 0; i < media->n_views; i++)
        most_files = BASE_MAX(most_files, media->views[i].n_files);
    pthread_mutex_lock(&c->lock);
    struct clip *clip = &c->clips[m->t->clip];
    bool current = clip->version == media->version;
    struct media *old = current ? media_detach_locked(c, m->t->clip) : media;
    uint32_t told_before = told, version = media->version;
    media->session = ++c->last_session;
    if (current) {
        media_attach_locked(c, m->t->clip, media);
        if (!m->t->media)
            m->t->media = media_ref(media); /* for those who wait for it */
        told_before = clip->told ? clip->told : told;
        clip->told = told;
        most_files = clip->most_files = BASE_MAX(clip->most_files, most_files);
    }
    struct media *list = media_trim_locked(c);
    pthread_mutex_unlock(&c->lock);
    media_unref_list(list);
    media_unref(old);
    /* It was counted anew, or the counted one was lost with the store. */
    if (told != told_before)
        clip_tell(c, m->t->clip, version, most_files);
    return current;
}

/* A cut that does not fit its source is what is left of it; that is told once, for as long as it is so. */
static void check_cut(struct making *m, const struct media *media)
{
    struct cache *c = m->c;
    struct cache_cut_times t;
    media_cut_times(media, &c->sources[m->t->clip].cut, &t);
    pthread_mutex_lock(&c->lock);
    struct clip *clip = &c->clips[m->t->clip];
    bool before = clip->past_end;
    clip->past_end = t.past_end;
    if (!clip->hidden && before != t.past_end)
        c->counters.past_end += t.past_end ? 1 : -UINT64_C(1);
    pthread_mutex_unlock(&c->lock);
    const struct source_place place = source_place(c, m->path);
    if (t.past_end && !before)
        base_log(BASE_LOG_WARNING, "%s/%s: a clip from %.3f s to %.3f s goes past its end at %.3f s",
                 place.dir, place.path, (double)t.from_us / 1e6, (double)t.to_us / 1e6,
                 (double)t.source_us / 1e6);
}

/* 0, -EAGAIN when the clip has a newer version, -EPROTO for an index that makes no sense, -EFBIG, -ENOMEM;
 * m->why is filled. */
static int adopt_index(struct making *m, struct base_bytes *packed, const struct base_hash *identity,
                       const struct cache_file_stamp *stamp, uint32_t version)
{
    struct media *media;
    int err = media_create(m->c, m->t->clip, packed, identity, stamp, &media);
    if (err == -EFBIG)
        return base_fail(&m->why, err, "its times would give more than %u frames", DEC_MAX_FRAMES);
    if (err == -ENOMEM)
        return base_fail(&m->why, err, "no memory for its index");
    if (err)
        return base_fail(&m->why, -EPROTO, "the worker gave a media index that makes no sense");
    media->version = version;
    check_cut(m, media);
    return install_media(m, media) ? 0 : -EAGAIN;
}

/* An index that makes no sense: what was kept is made anew at the next question, but a worker that gave it
 * would give it again. */
static int fail_adopting(struct making *m, int err, bool kept, const struct base_hash *key)
{
    if (err != -EPROTO)
        return err == -EAGAIN ? err : making_fail(m, err);
    cache_fact_remove(m->c->store, key);
    return kept ? making_fail(m, err) : making_fail_job(m, -EIO, key);
}

/* Opens the source as it is now, and what that is. 0 or a failure that is told already. */
static int open_source(struct making *m, uint32_t version, int *ret_fd, struct cache_file_stamp *ret_stamp,
                       struct base_hash *ret_identity)
{
    const struct cache_source *source = &m->c->sources[m->t->clip];
    int err = source->archive ? making_open_member(m, source->archive, source->member, ret_fd)
                              : making_open_at_rest(m, version, ret_fd, ret_stamp);
    if (err)
        return err;
    if (source->archive) {
        *ret_stamp = m->opened;
        *ret_identity = m->member_identity;
        return 0;
    }
    m->opened = *ret_stamp;
    err = source_identity(m->c, m->path, *ret_fd, ret_stamp, ret_identity);
    return err ? making_fail(m, base_fail(&m->why, err, "cannot read it: %s", strerror(-err))) : 0;
}

static int index_version(struct making *m, uint32_t version)
{
    base_autoclose int source = -1;
    struct cache_file_stamp stamp;
    struct base_hash identity;
    int err = open_source(m, version, &source, &stamp, &identity);
    if (err)
        return err;
    struct base_hash key = key_of_index(&identity);
    struct base_bytes packed = {0};
    bool kept = cache_fact_get(m->c->store, &key, &packed) == 0;
    if (!kept && making_failed_before(m, &key))
        return making_fail(m, -EIO);
    if (!kept) {
        packed.len = 0;
        err = run_index_job(m, source, false, &key, &packed);
        if (!err && !m->in_segment && !source_unchanged(source, &stamp))
            err = -EAGAIN;
        if (!err)
            cache_fact_put(m->c->store, &key, packed.data, packed.len);
    }
    if (err) {
        base_bytes_finish(&packed);
        return err;
    }
    err = adopt_index(m, &packed, &identity, &stamp, version);
    return err ? fail_adopting(m, err, kept, &key) : 0;
}

int make_index(struct making *m)
{
    uint32_t version = cache_version(m->c, m->t->clip);
    /* Its time may have been told before. */
    if (clip_check(m->c, m->t->clip))
        return -EAGAIN;
    watch_clip(m->c->watch, m->t->clip);
    int err = index_version(m, version);
    /* What changed meanwhile was told by inotify too early for anyone to care. */
    return clip_check(m->c, m->t->clip) ? -EAGAIN : err;
}

static bool is_current(struct making *m, const struct media *media)
{
    pthread_mutex_lock(&m->c->lock);
    bool current = m->c->clips[m->t->clip].media == media;
    pthread_mutex_unlock(&m->c->lock);
    return current;
}

static bool has_arrays(const struct cache *c)
{
    for (size_t i = 0; i < c->options.n_views; i++)
        if (c->views[i].kind == CACHE_ARRAY)
            return true;
    return false;
}

/* Decoding did not find what packets had promised: count the frames by decoding, once, and go on with the
 * truth. Frames keep their places then, but what an array's reader has of its shape is wrong for all of it:
 * that version ends. */
int make_recount(struct making *m, int source, const struct base_hash *failure)
{
    struct cache *c = m->c;
    const struct media *old = m->t->media;
    struct base_hash key = key_of_index(&old->identity);
    if (old->counted)
        return making_fail_job(m, -EIO, failure);
    if (!is_current(m, old))
        return -EAGAIN;
    const struct source_place place = source_place(c, m->path);
    base_log(BASE_LOG_WARNING, "%s/%s: damaged: %s; its frames are counted by decoding", place.dir,
             place.path, m->why.text);
    struct base_bytes packed = {0};
    int err = run_index_job(m, source, true, failure, &packed);
    if (!err)
        err = making_check_unchanged(m, source, &m->opened, &old->identity);
    if (err) {
        base_bytes_finish(&packed);
        return err;
    }
    cache_fact_put(c->store, &key, packed.data, packed.len);
    uint32_t version = old->version;
    if (has_arrays(c) && clip_forget(c, m->t->clip, version))
        version++;
    err = adopt_index(m, &packed, &old->identity, &old->stamp, version);
    if (err == -EAGAIN)
        return err;
    return err ? making_fail_job(m, err == -ENOMEM ? err : -EIO, failure) : -EAGAIN;
}
