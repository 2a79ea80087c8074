/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker's thread does with a task: look whether it was made before, run the job, check and keep the result. */
#include "base/io.h"
#include "base/log.h"
#include "cache/private.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* One task being made. */
struct making {
    struct worker_thread *worker;
    struct cache *c;
    struct cache_task *t;
    const char *path; /* of the source, for messages */
    struct base_reason why;
};

/* One line a clip: its first failure. The rest would say the same for every frame. */
static int fail(struct making *m, int err)
{
    struct cache *c = m->c;
    pthread_mutex_lock(&c->lock);
    struct clip *clip = &c->clips[m->t->clip];
    bool log = !clip->logged && !c->stopping;
    clip->logged = true;
    pthread_mutex_unlock(&c->lock);
    if (log)
        base_log(BASE_LOG_ERROR, "%s/%s: %s", c->options.root, m->path, m->why.text);
    return err == -ENOMEM || err == -ENFILE || err == -EMFILE ? err : -EIO;
}

/* Failures of a source version are remembered, so that they do not run again on every read. */
static int fail_for_good(struct making *m, const struct base_hash *key)
{
    struct base_hash failure = key_of_failure(key);
    cache_fact_put(m->c->store, &failure, m->why.text, strlen(m->why.text));
    return fail(m, -EIO);
}

static bool failed_before(struct making *m, const struct base_hash *key)
{
    struct base_hash failure = key_of_failure(key);
    struct base_bytes text = {0};
    bool found = cache_fact_get(m->c->store, &failure, &text) == 0 && !text.failed;
    if (found)
        base_fail(&m->why, 0, "%.*s", (int)text.len, (const char *)text.data);
    base_bytes_finish(&text);
    return found;
}

/* Ends a job's failure: what the source itself caused is remembered, what befell the worker is not. */
static int fail_job(struct making *m, int err, const struct base_hash *key)
{
    return err == -EIO || err == -EFBIG || err == -ETIMEDOUT ? fail_for_good(m, key) : fail(m, err);
}

static int open_path(struct making *m, const char *path, int *ret_fd, struct cache_file_stamp *ret_stamp)
{
    m->path = path;
    int err = source_open(m->c, path, ret_fd, ret_stamp);
    if (err == -ENOENT)
        base_fail(&m->why, err, "the file has vanished; mount again to forget it");
    else if (err == -EACCES || err == -EPERM)
        base_fail(&m->why, err, "no permission to read it");
    else if (err == -EINVAL)
        base_fail(&m->why, err, "not a regular file");
    else if (err)
        base_fail(&m->why, err, "cannot open it: %s", strerror(-err));
    return err ? fail(m, err) : 0;
}

/* Forgets what was known of a clip; the next question finds out anew. */
static void forget_clip(struct making *m, const struct media *old)
{
    struct cache *c = m->c;
    pthread_mutex_lock(&c->lock);
    struct clip *clip = &c->clips[m->t->clip];
    bool current = clip->media == old;
    if (current) {
        clip->media = NULL;
        clip->generation++;
        clip->logged = false;
    }
    pthread_mutex_unlock(&c->lock);
    if (!current)
        return;
    media_unref((struct media *)old, c->options.n_views);
    if (c->options.on_change)
        c->options.on_change(c->options.context, m->t->clip);
}

static bool same_file(const struct cache_file_stamp *a, const struct cache_file_stamp *b)
{
    return a->size == b->size && a->mtime_ns == b->mtime_ns && a->inode == b->inode && a->device == b->device;
}

/* Opens the source of a task whose media is known. A source that changed since is not read: a reader that has the old size must
 * not get new bytes. */
static int open_unchanged(struct making *m, int *ret_fd)
{
    struct cache_file_stamp stamp;
    int err = open_path(m, m->c->options.sources[m->t->clip].path, ret_fd, &stamp);
    if (err)
        return err;
    if (same_file(&stamp, &m->t->media->stamp))
        return 0;
    base_close_fd(ret_fd);
    *ret_fd = -1;
    base_log(BASE_LOG_WARNING, "%s/%s: changed while mounted; what was known of it is forgotten", m->c->options.root,
             m->path);
    forget_clip(m, m->t->media);
    return -EIO;
}

/* After a job: a source that was written to meanwhile may have given a mixture. */
static int check_still_unchanged(struct making *m, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    const struct cache_file_stamp *was = &m->t->media->stamp;
    int64_t mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    if ((uint64_t)st.st_size == was->size && mtime_ns == was->mtime_ns)
        return 0;
    forget_clip(m, m->t->media);
    base_fail(&m->why, -EIO, "changed while it was read");
    return fail(m, -EIO);
}

static struct dec_job new_job(struct making *m, enum dec_kind kind)
{
    struct cache *c = m->c;
    struct dec_job job = {.kind = kind};
    pthread_mutex_lock(&c->lock);
    job.session = (uint64_t)(m->t->clip + 1) << 24 | (c->clips[m->t->clip].generation & 0xffffff);
    /* A lone job may use all processors; when other workers are busy, each has its own. */
    job.threads = c->n_idle + 1 >= c->n_workers ? (uint32_t)BASE_MIN(c->n_workers, (size_t)16) : 1;
    pthread_mutex_unlock(&c->lock);
    return job;
}

static int memory_file(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* The media index in a descriptor of its own, for a worker. */
static int index_file(const struct media *media)
{
    int fd = memory_file("index");
    if (fd < 0)
        return fd;
    int err = base_pwrite_all(fd, media->packed.data, media->packed.len, 0);
    if (err)
        close(fd);
    return err ? err : fd;
}

/* ---- Indexing ---- */

enum { MAX_INDEX_BYTES = 512 << 20 };

static int run_index_job(struct making *m, int source, bool recount, const struct base_hash *key,
                         struct base_bytes *packed)
{
    base_autoclose int output = memory_file("index");
    if (output < 0)
        return fail(m, base_fail(&m->why, output, "no memory for its index"));
    struct dec_job job = new_job(m, DEC_INDEX);
    job.recount = recount;
    const int fds[DEC_N_FDS] = {source, output, -1};
    struct job_result result;
    int err = run_job(m->worker, &job, fds, MAX_INDEX_BYTES, NULL, NULL, &result);
    if (err) {
        m->why = result.why;
        return fail_job(m, err, key);
    }
    if (base_bytes_reserve(packed, result.reply.bytes) < 0)
        return -ENOMEM;
    err = base_pread_all(output, packed->data, result.reply.bytes, 0);
    if (err)
        return fail(m, base_fail(&m->why, err, "the worker wrote less than it said"));
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
        return fail(m, err);
    install_media(m, media);
    return 0;
}

static int make_index(struct making *m)
{
    base_autoclose int source = -1;
    struct cache_file_stamp stamp;
    struct base_hash identity;
    int err = open_path(m, m->c->options.sources[m->t->clip].path, &source, &stamp);
    if (err)
        return err;
    err = source_identity(m->c, m->path, source, &stamp, &identity);
    if (err)
        return fail(m, base_fail(&m->why, err, "cannot read it: %s", strerror(-err)));
    struct base_hash key = key_of_index(&identity);
    struct base_bytes packed = {0};
    bool kept = cache_fact_get(m->c->store, &key, &packed) == 0;
    if (!kept && failed_before(m, &key))
        return fail(m, -EIO);
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
static int recount(struct making *m, int source)
{
    struct cache *c = m->c;
    const struct media *old = m->t->media;
    struct base_hash key = key_of_index(&old->identity);
    if (old->counted)
        return fail(m, -EIO);
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

/* ---- Sizes ---- */

/* As kept in the index. */
struct kept_size {
    uint64_t file_bytes;
    uint32_t width, height;
};

static void set_size(struct making *m, const struct kept_size *size)
{
    struct clip_view *v = &m->t->media->views[m->t->view];
    pthread_mutex_lock(&m->c->lock);
    v->file_bytes = size->file_bytes;
    v->width = size->width;
    v->height = size->height;
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

static int run_measure_job(struct making *m, const struct base_hash *key, struct kept_size *ret)
{
    const struct cache_view *view = &m->c->views[m->t->view];
    base_autoclose int source = -1, output = -1, index = -1;
    int err = open_unchanged(m, &source);
    if (err)
        return err;
    output = memory_file("measure");
    index = index_file(m->t->media);
    if (output < 0 || index < 0)
        return fail(m, base_fail(&m->why, -ENOMEM, "out of memory"));
    struct dec_job job = new_job(m, view->kind == CACHE_FRAMES ? DEC_MEASURE_FRAMES : DEC_MEASURE_AUDIO);
    if (view->kind == CACHE_FRAMES)
        job.frames = view->frames;
    else
        job.audio = view->audio;
    const int fds[DEC_N_FDS] = {source, output, index};
    struct job_result result;
    err = run_job(m->worker, &job, fds, 0, NULL, NULL, &result);
    if (err) {
        m->why = result.why;
        return result.reply.stale ? recount(m, source) : fail_job(m, err, key);
    }
    *ret = (struct kept_size){result.reply.file_bytes, result.reply.width, result.reply.height};
    cache_fact_put(m->c->store, key, ret, sizeof *ret);
    return 0;
}

static int make_size(struct making *m)
{
    struct kept_size size;
    struct base_hash key = key_of_size(m->c, m->t->media, m->t->view);
    if (!find_size(m, &key, &size)) {
        if (failed_before(m, &key))
            return fail(m, -EIO);
        int err = run_measure_job(m, &key, &size);
        if (err)
            return err;
    }
    set_size(m, &size);
    return 0;
}

/* ---- Segments ---- */

static int begin_output(struct making *m, uint64_t max_bytes, struct cache_writer **ret)
{
    int err = cache_writer_begin(m->c->store, max_bytes, ret);
    return err ? fail(m, base_fail(&m->why, err, "no place to write what is made of it: %s", strerror(-err))) : 0;
}

static int make_frames(struct making *m, struct cache_segment **ret)
{
    const struct cache_task *t = m->t;
    const struct clip_view *v = &t->media->views[t->view];
    if (cache_segment_get(m->c->store, &t->key, ret) == 0)
        return 0;
    if (failed_before(m, &t->key))
        return fail(m, -EIO);
    base_autoclose int source = -1, index = -1;
    int err = open_unchanged(m, &source);
    if (err)
        return err;
    index = index_file(t->media);
    if (index < 0)
        return fail(m, base_fail(&m->why, index, "out of memory"));
    uint64_t n = (uint64_t)t->last - t->first + 1;
    uint64_t max_bytes = n * (v->file_bytes + sizeof(struct dec_entry));
    struct cache_writer *writer;
    err = begin_output(m, max_bytes, &writer);
    if (err)
        return err;
    struct dec_job job = new_job(m, DEC_FRAMES);
    job.frames = m->c->views[t->view].frames;
    job.first = t->first;
    job.last = t->last;
    job.file_bytes = v->file_bytes;
    job.width = v->width;
    job.height = v->height;
    const int fds[DEC_N_FDS] = {source, cache_writer_fd(writer), index};
    struct job_result result;
    int64_t begin_ns = base_now_ns();
    err = run_job(m->worker, &job, fds, max_bytes, NULL, NULL, &result);
    if (!err)
        err = check_still_unchanged(m, source);
    else {
        m->why = result.why;
        err = result.reply.stale ? recount(m, source) : fail_job(m, err, &t->key);
    }
    uint64_t table = n * sizeof(struct dec_entry);
    if (!err && result.reply.bytes < table)
        err = fail(m, base_fail(&m->why, -EPROTO, "the worker wrote less than it said"));
    if (err) {
        cache_writer_abort(writer);
        return err;
    }
    struct cache_layout layout = {
        .payload_bytes = result.reply.bytes - table,
        .file_bytes = v->file_bytes,
        .n_entries = (uint32_t)n,
        .fill = result.reply.fill,
        .tail_bytes = result.reply.tail_bytes,
    };
    err = cache_writer_commit(writer, &t->key, &layout, (uint64_t)(base_now_ns() - begin_ns) / 1000, ret);
    return err ? fail(m, base_fail(&m->why, err, "the worker's frames make no sense")) : 0;
}

/* ---- Whole files: sound and subtitles ---- */

struct streaming {
    struct making *m;
    int output;
};

static void on_progress(void *context, uint64_t bytes)
{
    struct streaming *s = context;
    jobs_produced(s->m->c, s->m->t, s->output, bytes);
}

/* Runs a job that writes one whole file, and keeps it under `key`. Readers of sound get its beginning while it is made. */
static int run_file_job(struct making *m, struct dec_job *job, const int sources[2], const struct base_hash *key,
                        uint64_t max_bytes, uint64_t *ret_bytes, struct cache_segment **ret)
{
    struct cache_writer *writer;
    int err = begin_output(m, max_bytes, &writer);
    if (err)
        return err;
    const int fds[DEC_N_FDS] = {sources[0], cache_writer_fd(writer), sources[1]};
    struct streaming s = {.m = m, .output = job->kind == DEC_AUDIO ? dup(cache_writer_fd(writer)) : -1};
    struct job_result result;
    int64_t begin_ns = base_now_ns();
    err = run_job(m->worker, job, fds, max_bytes, s.output >= 0 ? on_progress : NULL, &s, &result);
    pthread_mutex_lock(&m->c->lock);
    if (m->t->output != s.output)
        base_close_fd(&s.output); /* no progress was told, so the task does not own it */
    pthread_mutex_unlock(&m->c->lock);
    if (err) {
        m->why = result.why;
        cache_writer_abort(writer);
        return err;
    }
    *ret_bytes = result.reply.bytes;
    struct cache_layout layout = {.payload_bytes = result.reply.bytes, .file_bytes = result.reply.bytes};
    err = cache_writer_commit(writer, key, &layout, (uint64_t)(base_now_ns() - begin_ns) / 1000, ret);
    return err ? base_fail(&m->why, err, "the worker's file makes no sense") : 0;
}

static int make_audio(struct making *m, struct cache_segment **ret)
{
    const struct cache_task *t = m->t;
    if (cache_segment_get(m->c->store, &t->key, ret) == 0)
        return 0;
    if (failed_before(m, &t->key))
        return fail(m, -EIO);
    base_autoclose int source = -1, index = -1;
    int err = open_unchanged(m, &source);
    if (err)
        return err;
    index = index_file(t->media);
    if (index < 0)
        return fail(m, base_fail(&m->why, index, "out of memory"));
    struct dec_job job = new_job(m, DEC_AUDIO);
    job.audio = m->c->views[t->view].audio;
    job.file_bytes = t->media->views[t->view].file_bytes;
    uint64_t bytes;
    err = run_file_job(m, &job, (const int[2]){source, index}, &t->key, job.file_bytes, &bytes, ret);
    if (err)
        return fail_job(m, err, &t->key);
    err = check_still_unchanged(m, source);
    if (err) {
        cache_segment_unref(*ret);
        *ret = NULL;
    }
    return err;
}

enum { MAX_SUBTITLE_BYTES = 64 << 20 };

/* Where a clip's text is: an open descriptor, or -1 when it has none. */
static int open_text(struct making *m, struct dec_job *job, int *ret_fd, struct base_hash *ret_identity)
{
    const struct cache_source *source = &m->c->options.sources[m->t->clip];
    const struct cache_view *view = &m->c->views[m->t->view];
    struct cache_file_stamp stamp;
    for (int i = 0; i < view->subtitles.n_sources; i++) {
        if (view->subtitles.sources[i] == CACHE_SIDECAR && source->sidecar) {
            job->subtitles.sidecar = 1;
            int err = open_path(m, source->sidecar, ret_fd, &stamp);
            return err ? err : source_identity(m->c, source->sidecar, *ret_fd, &stamp, ret_identity);
        }
        if (view->subtitles.sources[i] == CACHE_EMBEDDED && m->t->media->has_text) {
            *ret_identity = m->t->media->identity;
            return open_unchanged(m, ret_fd);
        }
    }
    return 0;
}

/* Subtitles are made when their size is asked for: nothing else tells it, and they are text, not pictures. */
static int make_subtitles(struct making *m, struct cache_segment **ret)
{
    const struct cache_view *view = &m->c->views[m->t->view];
    struct clip_view *v = &m->t->media->views[m->t->view];
    struct dec_job job = new_job(m, DEC_SUBTITLES);
    job.subtitles.clip_us = m->t->media->clip_us;
    base_autoclose int source = -1;
    struct base_hash identity = {0};
    int err = open_text(m, &job, &source, &identity);
    if (err)
        return err;
    uint64_t bytes = 0;
    bool exists = source >= 0 || view->subtitles.empty;
    struct base_hash key = key_of_subtitles(m->c, m->t->media, m->t->view, &identity);
    if (source >= 0 && cache_segment_get(m->c->store, &key, ret) == 0) {
        bytes = cache_segment_layout(*ret)->file_bytes;
    } else if (source >= 0) {
        if (failed_before(m, &key))
            return fail(m, -EIO);
        err = run_file_job(m, &job, (const int[2]){source, -1}, &key, MAX_SUBTITLE_BYTES, &bytes, ret);
        if (err)
            return fail_job(m, err, &key);
    }
    pthread_mutex_lock(&m->c->lock);
    bool changed = v->measured && v->file_bytes != bytes;
    v->counted = v->measured = true;
    v->n_files = exists;
    v->file_bytes = bytes;
    v->text_key = key;
    pthread_mutex_unlock(&m->c->lock);
    if (changed && m->c->options.on_change)
        m->c->options.on_change(m->c->options.context, m->t->clip);
    return 0;
}

int make_task(struct worker_thread *w, struct cache_task *t, struct cache_segment **ret_segment)
{
    struct making m = {.worker = w, .c = w->cache, .t = t, .path = w->cache->options.sources[t->clip].path};
    switch (t->kind) {
    case TASK_INDEX:
        return make_index(&m);
    case TASK_MEASURE:
        return make_size(&m);
    case TASK_FRAMES:
        return make_frames(&m, ret_segment);
    case TASK_AUDIO:
        return make_audio(&m, ret_segment);
    case TASK_SUBTITLES:
        return make_subtitles(&m, ret_segment);
    }
    return -EIO;
}
