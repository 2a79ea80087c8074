/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/making.h"

#include <errno.h>

enum { MAX_INDEX_BYTES = 512 << 20 };

static int run_index_job(struct making *m, int source, bool recount, const struct base_hash *key,
                         struct base_bytes *packed)
{
    base_autoclose int output = making_memory_file();
    if (output < 0)
        return making_fail(m, base_fail(&m->why, output, "no memory for its index"));
    struct dec_job job = making_new_job(m, DEC_INDEX);
    job.recount = recount;
    const int fds[DEC_N_FDS] = {source, output, -1};
    struct job_result result;
    int err = run_job(m->worker, &job, fds, MAX_INDEX_BYTES, NULL, NULL, &result);
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

static void install_media(struct making *m, struct media *media)
{
    struct cache *c = m->c;
    pthread_mutex_lock(&c->lock);
    struct clip *clip = &c->clips[m->t->clip];
    struct media *old = clip->media;
    clip->media = media;
    pthread_mutex_unlock(&c->lock);
    media_unref(old, c->options.n_views);
}

static int adopt_index(struct making *m, struct base_bytes *packed, const struct base_hash *identity,
                       const struct cache_file_stamp *stamp)
{
    struct media *media;
    int err = media_create(m->c, packed, identity, stamp, &media);
    if (err == -EFBIG)
        base_fail(&m->why, err, "its times would give more than %u frames", DEC_MAX_FRAMES);
    else if (err)
        base_fail(&m->why, err, "the worker gave a media index that makes no sense");
    if (err)
        return making_fail(m, err);
    install_media(m, media);
    return 0;
}

int make_index(struct making *m)
{
    base_autoclose int source = -1;
    struct cache_file_stamp stamp;
    struct base_hash identity;
    int err = making_open(m, m->c->options.sources[m->t->clip].path, &source, &stamp);
    if (err)
        return err;
    err = source_identity(m->c, m->path, source, &stamp, &identity);
    if (err)
        return making_fail(m, base_fail(&m->why, err, "cannot read it: %s", strerror(-err)));
    struct base_hash key = key_of_index(&identity);
    struct base_bytes packed = {0};
    bool kept = cache_fact_get(m->c->store, &key, &packed) == 0;
    if (!kept && making_failed_before(m, &key))
        return making_fail(m, -EIO);
    if (!kept) {
        packed.len = 0;
        err = run_index_job(m, source, false, &key, &packed);
        if (!err)
            cache_fact_put(m->c->store, &key, packed.data, packed.len);
    }
    if (err) {
        base_bytes_finish(&packed);
        return err;
    }
    err = adopt_index(m, &packed, &identity, &stamp);
    if (err && kept)
        cache_fact_remove(m->c->store, &key);
    return err;
}

/* Decoding did not find what packets had promised: count the frames by decoding, once, and go on with the truth. */
int make_recount(struct making *m, int source)
{
    struct cache *c = m->c;
    const struct media *old = m->t->media;
    struct base_hash key = key_of_index(&old->identity);
    if (old->counted)
        return making_fail(m, -EIO);
    base_log(BASE_LOG_WARNING, "%s/%s: damaged: %s; its frames are counted by decoding", c->options.root, m->path,
             m->why.text);
    struct base_bytes packed = {0};
    int err = run_index_job(m, source, true, &key, &packed);
    if (!err) {
        cache_fact_put(c->store, &key, packed.data, packed.len);
        pthread_mutex_lock(&c->lock);
        c->clips[m->t->clip].generation++;
        pthread_mutex_unlock(&c->lock);
        err = adopt_index(m, &packed, &old->identity, &old->stamp);
    } else {
        base_bytes_finish(&packed);
    }
    if (!err && c->options.on_change)
        c->options.on_change(c->options.context, m->t->clip);
    return err ? err : -EAGAIN;
}
