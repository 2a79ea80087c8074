/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/making.h"

#include <errno.h>

/* As kept in the index. */
struct kept_size {
    uint64_t file_bytes;
    uint32_t width, height;
};

static void set_size(struct making *m, const struct kept_size *size)
{
    struct clip_view *v = &m->t->media->views[m->t->view];
    const struct cache_view *view = &m->c->views[m->t->view];
    pthread_mutex_lock(&m->c->lock);
    v->file_bytes = v->frame_bytes = size->file_bytes;
    v->width = size->width;
    v->height = size->height;
    if (view->kind == CACHE_ARRAY || view->kind == CACHE_WAVE)
        array_measured(view, v);
    v->measured = true;
    pthread_mutex_unlock(&m->c->lock);
}

static bool find_size(struct making *m, const struct base_hash *key, struct kept_size *ret)
{
    struct base_bytes kept = {0};
    bool found = cache_fact_get(m->c->store, key, &kept) == 0 && kept.len == sizeof *ret;
    if (found)
        memcpy(ret, kept.data, sizeof *ret);
    base_bytes_finish(&kept);
    return found;
}

static enum dec_kind measuring(enum cache_view_kind kind)
{
    if (kind == CACHE_WAVE || kind == CACHE_FEATURES)
        return DEC_MEASURE_SOUND;
    return kind == CACHE_AUDIO ? DEC_MEASURE_AUDIO : DEC_MEASURE_FRAMES;
}

static int run_measure_job(struct making *m, const struct base_hash *key, struct kept_size *ret)
{
    const struct cache_view view = view_to_measure(m->c, m->t->media, m->t->view);
    base_autoclose int source = -1, output = -1, index = -1, boxes = -1;
    int err = making_open_inputs(m, &source, &index);
    if (!err)
        err = making_open_boxes(m, &boxes);
    if (err)
        return err;
    output = making_memory_file();
    if (output < 0)
        return making_fail(m, base_fail(&m->why, -ENOMEM, "out of memory"));
    struct dec_job job = making_new_job(m, measuring(view.kind));
    if (view.kind == CACHE_AUDIO)
        job.audio = view.audio;
    else if (view.kind == CACHE_WAVE || view.kind == CACHE_FEATURES)
        job.sound = view.sound;
    else
        job.frames = view.frames;
    int fds[DEC_N_FDS] = {source, output, index, boxes};
    struct job_result result;
    err = run_job(m->worker, &job, fds, 0, NULL, &result);
    if (err) {
        m->why = result.why;
        return result.reply.stale ? make_recount(m, source, key) : making_fail_job(m, err, key);
    }
    err = making_check_unchanged(m, source, &m->opened, &m->t->media->identity);
    if (err)
        return err;
    *ret = (struct kept_size){result.reply.file_bytes, result.reply.width, result.reply.height};
    cache_fact_put(m->c->store, key, ret, sizeof *ret);
    return 0;
}

int make_size(struct making *m)
{
    if (m->c->views[m->t->view].kind == CACHE_COMMAND)
        return make_command_size(m);
    struct kept_size size;
    struct base_hash key = key_of_size(m->c, m->t->media, m->t->view);
    if (!find_size(m, &key, &size)) {
        if (making_failed_before(m, &key))
            return making_fail(m, -EIO);
        int err = run_measure_job(m, &key, &size);
        if (err)
            return err;
    }
    set_size(m, &size);
    return 0;
}
