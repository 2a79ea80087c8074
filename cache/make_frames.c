/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/making.h"

#include <errno.h>

/* What of a task is being made: the wanted frame alone, or all of its segment. */
struct frames_job {
    struct making *m;
    int source;
    uint32_t n; /* entries: one, or two, for each frame */
    struct base_hash key;
    struct cache_writer *writer;
    struct making_stream rows; /* of an array */
    int64_t begin_ns;
    bool ended; /* by on_first(), with this outcome: */
    int err;
    struct cache_segment **ret;
};

static uint64_t max_bytes_of(const struct frames_job *f, uint32_t n)
{
    const struct cache_task *t = f->m->t;
    return (uint64_t)n * (media_view(f->m->c, t->media, t->view).frame_bytes + sizeof(struct dec_entry));
}

/* n frames. 0 or a failure that is told already. */
static int begin_frames(struct frames_job *f, const struct base_hash *key, uint32_t n)
{
    f->key = *key;
    f->n = n * dec_entries_of_frame(&f->m->c->views[f->m->t->view].frames);
    f->begin_ns = base_now_ns();
    if (making_failed_before(f->m, key))
        return making_fail(f->m, -EIO);
    return making_begin_output(f->m, max_bytes_of(f, f->n), &f->writer);
}

static int keep_frames(struct frames_job *f, const struct dec_reply *reply)
{
    struct making *m = f->m;
    struct cache_writer *writer = base_steal_pointer(f->writer);
    uint64_t table = f->n * sizeof(struct dec_entry);
    int err = making_check_unchanged(m, f->source, &m->opened, &m->t->media->identity);
    if (!err && reply->bytes < table)
        err = making_fail(m, base_fail(&m->why, -EPROTO, "the worker wrote less than it said"));
    if (err) {
        cache_writer_abort(writer);
        return err;
    }
    if (reply->reason[0]) {
        /* Its readers get EIO; the segment's other frames are good. */
        base_fail(&m->why, -EIO, "%s", reply->reason);
        (void)making_fail(m, -EIO);
    }
    struct cache_layout layout = {
        .payload_bytes = reply->bytes - table,
        .file_bytes = media_view(m->c, m->t->media, m->t->view).frame_bytes,
        .n_entries = f->n,
        .fill = reply->fill,
        .tail_bytes = reply->tail_bytes,
    };
    if (reply->has_sum)
        cache_writer_sum(writer, &reply->sum);
    err =
        cache_writer_commit(writer, &f->key, &layout, (uint64_t)(base_now_ns() - f->begin_ns) / 1000, f->ret);
    return err ? making_fail(m, base_fail(&m->why, err, "the worker's frames make no sense")) : 0;
}

/* The wanted frame is served and kept as a segment of its own; the whole one is begun if it is wanted by now.
 */
static int on_first(void *context, const struct dec_reply *reply)
{
    struct frames_job *f = context;
    struct cache_task *t = f->m->t;
    f->err = keep_frames(f, reply);
    if (!f->err && jobs_made_first(f->m->c, t, *f->ret)) {
        cache_segment_unref(base_steal_pointer(*f->ret));
        f->err = begin_frames(f, &t->key, t->last - t->first + 1);
        if (!f->err)
            return cache_writer_fd(f->writer);
    }
    f->ended = true;
    return -1;
}

static void on_progress(void *context, uint64_t bytes)
{
    struct frames_job *f = context;
    making_stream_grew(&f->rows, bytes);
}

static int run_frames_job(struct frames_job *f, int index, int boxes, uint32_t wanted)
{
    struct making *m = f->m;
    const struct cache_task *t = m->t;
    const struct clip_view v = media_view(m->c, t->media, t->view);
    struct dec_job job = making_new_job(m, DEC_FRAMES);
    job.frames = view_of_clip(m->c, t->media, t->view).frames;
    job.first = t->first;
    job.last = t->last;
    job.wanted = wanted;
    job.onward = wanted ? t->onward : 0;
    job.file_bytes = v.frame_bytes;
    job.width = v.width;
    job.height = v.height;
    int fds[DEC_N_FDS] = {f->source, cache_writer_fd(f->writer), index, boxes};
    const bool array = m->c->views[t->view].kind == CACHE_ARRAY;
    f->rows = making_stream_begin(m, f->source, &m->opened, array ? f->writer : NULL);
    const struct job_listener listener = {
        .on_first = on_first, .on_progress = array ? on_progress : NULL, .context = f};
    struct job_result result;
    const uint32_t entries = (t->last - t->first + 1) * dec_entries_of_frame(&job.frames);
    int err = run_job(m->worker, &job, fds, max_bytes_of(f, entries), &listener, &result);
    making_stream_end(&f->rows);
    if (f->ended)
        return f->err;
    if (!err)
        return keep_frames(f, &result.reply);
    m->why = result.why;
    return result.reply.stale ? make_recount(m, f->source, &f->key) : making_fail_job(m, err, &f->key);
}

int make_frames(struct making *m, struct cache_segment **ret)
{
    struct cache_task *t = m->t;
    if (cache_segment_get(m->c->store, &t->key, ret) == 0)
        return 0;
    uint32_t wanted = jobs_wanted(m->c, t);
    struct base_hash lone = key_of_segment(m->c, t->media, t->view, wanted - 1, wanted - 1);
    struct frames_job f = {.m = m, .ret = ret};
    base_autoclose int source = -1, index = -1, boxes = -1;
    int err = making_open_inputs(m, &source, &index);
    if (!err)
        err = making_open_boxes(m, &boxes);
    if (err)
        return err;
    f.source = source;
    err = begin_frames(&f, wanted ? &lone : &t->key, wanted ? 1 : t->last - t->first + 1);
    if (!err)
        err = run_frames_job(&f, index, boxes, wanted);
    cache_writer_abort(f.writer);
    return err;
}
