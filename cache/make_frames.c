/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/making.h"

#include <errno.h>

int make_frames(struct making *m, struct cache_segment **ret)
{
    const struct cache_task *t = m->t;
    const struct clip_view v = media_view(m->c, t->media, t->view);
    if (cache_segment_get(m->c->store, &t->key, ret) == 0)
        return 0;
    if (making_failed_before(m, &t->key))
        return making_fail(m, -EIO);
    base_autoclose int source = -1, index = -1;
    int err = making_open_inputs(m, &source, &index);
    if (err)
        return err;
    uint64_t n = (uint64_t)t->last - t->first + 1;
    uint64_t max_bytes = n * (v.file_bytes + sizeof(struct dec_entry));
    struct cache_writer *writer;
    err = making_begin_output(m, max_bytes, &writer);
    if (err)
        return err;
    struct dec_job job = making_new_job(m, DEC_FRAMES);
    job.frames = m->c->views[t->view].frames;
    job.first = t->first;
    job.last = t->last;
    job.file_bytes = v.file_bytes;
    job.width = v.width;
    job.height = v.height;
    const int fds[DEC_N_FDS] = {source, cache_writer_fd(writer), index};
    struct job_result result;
    int64_t begin_ns = base_now_ns();
    err = run_job(m->worker, &job, fds, max_bytes, NULL, NULL, &result);
    if (!err)
        err = making_check_unchanged(m, source, &m->opened, &t->media->identity);
    else {
        m->why = result.why;
        err = result.reply.stale ? make_recount(m, source, &t->key) : making_fail_job(m, err, &t->key);
    }
    uint64_t table = n * sizeof(struct dec_entry);
    if (!err && result.reply.bytes < table)
        err = making_fail(m, base_fail(&m->why, -EPROTO, "the worker wrote less than it said"));
    if (err) {
        cache_writer_abort(writer);
        return err;
    }
    if (result.reply.reason[0]) {
        /* Its readers get EIO; the segment's other frames are good. */
        base_fail(&m->why, -EIO, "%s", result.reply.reason);
        (void)making_fail(m, -EIO);
    }
    struct cache_layout layout = {
        .payload_bytes = result.reply.bytes - table,
        .file_bytes = v.file_bytes,
        .n_entries = (uint32_t)n,
        .fill = result.reply.fill,
        .tail_bytes = result.reply.tail_bytes,
    };
    err = cache_writer_commit(writer, &t->key, &layout, (uint64_t)(base_now_ns() - begin_ns) / 1000, ret);
    return err ? making_fail(m, base_fail(&m->why, err, "the worker's frames make no sense")) : 0;
}
