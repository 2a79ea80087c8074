/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files, sound and subtitles, and blocks of sound. */
#include "cache/making.h"

#include <errno.h>
#include <sys/stat.h>

/* Whether what a job writes is what the task is asked for, and read while it grows. */
static bool is_streamed(const struct making *m, const struct dec_job *job, const struct base_hash *key)
{
    /* What a member is unpacked from may have to be unpacked first. */
    return job->kind == DEC_AUDIO ||
           (job->kind == DEC_UNPACK && m->t->kind == TASK_UNPACK && base_hash_equal(key, &m->t->key));
}

int making_run_file_job(struct making *m, struct dec_job *job, const struct ingredients *in,
                        const struct base_hash *key, uint64_t max_bytes, struct cache_segment **ret)
{
    struct cache_writer *writer;
    int err = making_begin_output(m, max_bytes, &writer);
    if (err)
        return err;
    int fds[DEC_N_FDS] = {in->source, cache_writer_fd(writer), in->index, -1};
    const bool streamed = is_streamed(m, job, key);
    struct making_stream s = making_stream_begin(m, in->source, &in->stamp, streamed ? writer : NULL);
    const struct job_listener listener = {.on_progress = streamed ? making_stream_grew : NULL, .context = &s};
    struct job_result result;
    job->range_offset = m->offset;
    job->range_bytes = m->bytes;
    int64_t begin_ns = base_now_ns();
    err = run_job(m->worker, job, fds, max_bytes, &listener, &result);
    making_stream_end(&s);
    if (err) {
        m->why = result.why;
        err = making_fail_job(m, err, key);
    } else {
        err = making_check_unchanged(m, in->source, &in->stamp, &in->identity);
    }
    if (err) {
        cache_writer_abort(writer);
        return err;
    }
    struct cache_layout layout = {.payload_bytes = result.reply.bytes, .file_bytes = result.reply.bytes};
    if (result.reply.has_sum)
        cache_writer_sum(writer, &result.reply.sum);
    err = cache_writer_commit(writer, key, &layout, (uint64_t)(base_now_ns() - begin_ns) / 1000, ret);
    return err ? making_fail(m, base_fail(&m->why, err, "the worker's file makes no sense")) : 0;
}

/* Makes what a task of sound is about, if it is not there. 0 or a failure that is told already. */
static int make_whole(struct making *m, struct dec_job *job, struct cache_segment **ret)
{
    const struct cache_task *t = m->t;
    if (cache_segment_get(m->c->store, &t->key, ret) == 0)
        return 0;
    if (making_failed_before(m, &t->key))
        return making_fail(m, -EIO);
    base_autoclose int source = -1, index = -1;
    int err = making_open_inputs(m, &source, &index);
    if (err)
        return err;
    const struct ingredients in = {source, index, m->opened, t->media->identity};
    return making_run_file_job(m, job, &in, &t->key, job->file_bytes, ret);
}

int make_audio(struct making *m, struct cache_segment **ret)
{
    struct dec_job job = making_new_job(m, DEC_AUDIO);
    job.audio = view_of_clip(m->c, m->t->media, m->t->view).audio;
    job.file_bytes = media_view(m->c, m->t->media, m->t->view).file_bytes;
    return make_whole(m, &job, ret);
}

static int make_part(struct making *m, const struct dec_array_spec *spec, struct cache_segment **ret)
{
    struct dec_job job = making_new_job(m, DEC_ARRAY);
    job.array = *spec;
    job.file_bytes = dec_array_bytes(spec);
    return make_whole(m, &job, ret);
}

/* A block of a wave, the whole file of features, or a part of a stack. */
int make_sound(struct making *m, struct cache_segment **ret)
{
    const struct cache_view view = view_of_clip(m->c, m->t->media, m->t->view);
    const struct clip_view v = media_view(m->c, m->t->media, m->t->view);
    if (view.kind == CACHE_PART)
        return make_part(m, &view.array, ret);
    struct dec_job job = making_new_job(m, DEC_SOUND);
    job.sound = view.sound;
    job.first = m->t->first;
    job.file_bytes = view.kind == CACHE_WAVE ? wave_block_bytes(&view.sound, &v, job.first) : v.file_bytes;
    return make_whole(m, &job, ret);
}

/* No text is longer than a few times its source; and none that people read is longer than this. */
static uint64_t max_subtitle_bytes(const struct making *m, const struct cache_file_stamp *stamp)
{
    const uint64_t most = 16 << 20;
    return BASE_MIN((m->archive ? m->bytes : stamp->size) * 4 + (64 << 10), most);
}

/* Of a member of an archive it is one, too. */
static int open_sidecar_member(struct making *m, struct ingredients *in)
{
    const struct cache_source *source = &m->c->sources[m->t->clip];
    int err = making_open_member(m, source->archive, source->sidecar_member, &in->source);
    in->stamp = m->opened;
    in->identity = m->member_identity;
    return err;
}

/* Opens the subtitle file as it was when the clip was looked into. 0, -ENOENT, -EAGAIN, or a failure that is
 * told already. */
static int open_sidecar(struct making *m, struct ingredients *in)
{
    m->path = m->c->sources[m->t->clip].sidecar;
    if (m->c->sources[m->t->clip].archive)
        return open_sidecar_member(m, in);
    int err = source_open(m->c, m->path, &in->source, &in->stamp);
    if (err && err != -ENOENT)
        return making_open(m, m->path, &in->source, &in->stamp);
    if (!err && source_settle(in->source, &in->stamp) < 0)
        return making_fail(m, base_fail(&m->why, -EBUSY, "it is being written to"));
    int bad = err ? 0 : source_identity(m->c, m->path, in->source, &in->stamp, &in->identity);
    if (bad)
        return making_fail(m, base_fail(&m->why, bad, "cannot read it: %s", strerror(-bad)));
    if (!clip_saw_sidecar(m->c, m->t->clip, m->t->media->version, &in->stamp, &in->identity))
        return making_forget(m);
    return err;
}

/* What tables say, as a file. 0, -ENOENT when they say nothing, or a failure that is told already. */
static int open_cues(struct making *m, struct ingredients *in)
{
    const struct cache_options *o = &m->c->options;
    const char *text = o->cues ? o->cues(o->clip_context, m->t->clip, m->t->view) : NULL;
    if (!text || !*text)
        return -ENOENT;
    struct stat st;
    int fd = making_memory_file();
    int err = fd < 0 ? fd : base_pwrite_all(fd, text, strlen(text), 0);
    if (!err && fstat(fd, &st) < 0)
        err = -errno;
    if (err) {
        base_close_fd(&fd);
        return making_fail(m, base_fail(&m->why, err, "no memory for its text"));
    }
    m->archive = 0; /* where another text was looked for */
    m->offset = m->bytes = 0;
    in->source = fd;
    in->stamp = stamp_of(&st);
    in->identity = base_hash_of(text, strlen(text));
    return 0;
}

/* Opens where a clip's text is; in->source stays -1 when it has none. */
static int open_text(struct making *m, struct dec_job *job, struct ingredients *in)
{
    const struct cache_source *source = &m->c->sources[m->t->clip];
    const struct cache_view *view = &m->c->views[m->t->view];
    for (int i = 0; i < view->subtitles.n_sources; i++) {
        if (view->subtitles.sources[i] == CACHE_SIDECAR && source->sidecar) {
            int err = open_sidecar(m, in);
            job->subtitles.sidecar = !err;
            if (err != -ENOENT)
                return err;
        }
        if (view->subtitles.sources[i] == CACHE_TABLE) {
            int err = open_cues(m, in);
            job->subtitles.sidecar = !err;
            if (err != -ENOENT)
                return err;
        }
        if (view->subtitles.sources[i] == CACHE_EMBEDDED && m->t->media->has_text) {
            int err = making_open_unchanged(m, &in->source);
            in->identity = m->t->media->identity;
            in->stamp = m->opened;
            return err;
        }
    }
    return 0;
}

static int make_text(struct making *m, struct dec_job *job, const struct ingredients *in,
                     const struct base_hash *key, struct cache_segment **ret)
{
    if (cache_segment_get(m->c->store, key, ret) == 0)
        return 0;
    if (making_failed_before(m, key))
        return making_fail(m, -EIO);
    return making_run_file_job(m, job, in, key, max_subtitle_bytes(m, &in->stamp), ret);
}

/* Subtitles are made when their size is asked for: nothing else tells it, and they are text, not pictures. */
int make_subtitles(struct making *m, struct cache_segment **ret)
{
    struct clip_view *v = &m->t->media->views[m->t->view];
    struct dec_job job = making_new_job(m, DEC_SUBTITLES);
    job.subtitles.from_us = m->t->media->from_us;
    job.subtitles.clip_us = m->t->media->clip_us;
    struct ingredients in = {.source = -1, .index = -1};
    int err = open_text(m, &job, &in);
    base_autoclose int source = in.source;
    bool exists = source >= 0 || m->c->views[m->t->view].subtitles.empty;
    struct base_hash key = key_of_subtitles(m->c, m->t->media, m->t->view, &in.identity);
    if (!err && source >= 0)
        err = make_text(m, &job, &in, &key, ret);
    if (err)
        return err;
    uint64_t bytes = *ret ? cache_segment_layout(*ret)->file_bytes : 0;
    pthread_mutex_lock(&m->c->lock);
    v->counted = v->measured = true;
    v->n_files = exists;
    v->file_bytes = bytes;
    v->text_key = key;
    pthread_mutex_unlock(&m->c->lock);
    /* As for the source, in make_index(). */
    return clip_check(m->c, m->t->clip) ? -EAGAIN : 0;
}
