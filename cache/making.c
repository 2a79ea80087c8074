/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/making.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* One line a clip: its first failure. The rest would say the same for every frame. */
int making_fail(struct making *m, int err)
{
    struct cache *c = m->c;
    const struct source_place place = source_place(c, m->path);
    pthread_mutex_lock(&c->lock);
    struct clip *clip = &c->clips[m->t->clip];
    bool log = !clip->logged && !c->stopping;
    clip->logged = true;
    if (!c->stopping)
        failures_add_locked(c, &place, m->why.text);
    pthread_mutex_unlock(&c->lock);
    if (log)
        base_log(BASE_LOG_ERROR, "%s/%s: %s", place.dir, place.path, m->why.text);
    return err == -ENOMEM || err == -ENFILE || err == -EMFILE ? err : -EIO;
}

/* Failures of a source version are remembered, so that they do not run again on every read. */
static int fail_for_good(struct making *m, const struct base_hash *key)
{
    struct base_hash failure = key_of_failure(key);
    cache_fact_put(m->c->store, &failure, m->why.text, strlen(m->why.text));
    return making_fail(m, -EIO);
}

bool making_failed_before(struct making *m, const struct base_hash *key)
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
int making_fail_job(struct making *m, int err, const struct base_hash *key)
{
    if (err == -ENOSPC) {
        /* Readers ask again, and then it is made in memory. */
        cache_store_pause(m->c->store, m->why.text);
        return -EAGAIN;
    }
    return err == -EIO || err == -EFBIG || err == -ETIMEDOUT ? fail_for_good(m, key) : making_fail(m, err);
}

int making_open(struct making *m, const char *path, int *ret_fd, struct cache_file_stamp *ret_stamp)
{
    m->path = path;
    int err = source_open(m->c, path, ret_fd, ret_stamp);
    if (err == -ENOENT)
        base_fail(&m->why, err, "the file has vanished");
    else if (err == -EACCES || err == -EPERM)
        base_fail(&m->why, err, "no permission to read it");
    else if (err == -EINVAL)
        base_fail(&m->why, err, "not a regular file");
    else if (err)
        base_fail(&m->why, err, "cannot open it: %s", strerror(-err));
    if (!err)
        return 0;
    int told = making_fail(m, err);
    return err == -ENOENT ? err : told;
}

int making_open_at_rest(struct making *m, uint32_t version, int *ret_fd, struct cache_file_stamp *ret_stamp)
{
    struct cache_file_stamp stamp = {0};
    int err = making_open(m, m->path, ret_fd, &stamp);
    if (err == -ENOENT)
        clip_saw(m->c, m->t->clip, version, &stamp);
    if (err)
        return err;
    err = source_settle(*ret_fd, &stamp);
    clip_saw(m->c, m->t->clip, version, &stamp);
    *ret_stamp = stamp;
    return err ? making_fail(m, base_fail(&m->why, err, "it is being written to")) : 0;
}

/* The question is asked again, and finds that its version has ended. */
int making_forget(struct making *m)
{
    if (m->archive) {
        (void)clip_check(m->c, archive_of(m->c, m->archive)->clip);
        return -EAGAIN;
    }
    if (m->t->media)
        (void)clip_forget(m->c, m->t->clip, m->t->media->version);
    else /* an archive that is listed */
        (void)clip_check(m->c, m->t->clip);
    return -EAGAIN;
}

int making_open_unchanged(struct making *m, int *ret_fd)
{
    struct cache_file_stamp stamp;
    const struct cache_source *origin = &m->c->sources[m->t->clip];
    m->path = origin->path;
    if (origin->archive)
        return making_open_member(m, origin->archive, origin->member, ret_fd);
    int err = source_open(m->c, m->path, ret_fd, &stamp);
    if (err == -ENOENT)
        return making_forget(m);
    if (err)
        return making_open(m, m->path, ret_fd, &stamp);
    if (source_is(m->c, m->path, *ret_fd, &m->opened, &m->t->media->stamp, &m->t->media->identity))
        return 0;
    base_close_fd(ret_fd);
    *ret_fd = -1;
    return making_forget(m);
}

int making_check_unchanged(struct making *m, int fd, const struct cache_file_stamp *was,
                           const struct base_hash *identity)
{
    struct cache_file_stamp now;
    if (m->archive)
        return making_check_origin(m, fd);
    return source_is(m->c, m->path, fd, &now, was, identity) ? 0 : making_forget(m);
}

struct dec_job making_new_job(struct making *m, enum dec_kind kind)
{
    struct cache *c = m->c;
    struct dec_job job = {.kind = kind, .range_offset = m->offset, .range_bytes = m->bytes};
    pthread_mutex_lock(&c->lock);
    /* Never that of another index: frame numbers mean something in one index only. Indexing has no session,
     * but the field must not be 0. */
    job.session = m->t->media ? m->t->media->session : UINT64_MAX;
    /* A lone job may use all processors; when other workers are busy, each has its own. A survey's are for
     * those to come: it opens the decoder that they will go on with. */
    bool surveys = c->surveyor == m->worker;
    size_t resting = c->n_idle + c->n_lingering + (c->surveyor && !surveys);
    bool all = surveys ? kind == DEC_MEASURE_FRAMES : resting + 1 >= c->n_workers;
    job.threads = all ? (uint32_t)BASE_MIN(c->n_workers, (size_t)16) : 1;
    pthread_mutex_unlock(&c->lock);
    return job;
}

int making_memory_file(void)
{
    int fd = memfd_create("corpusfs", MFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* The media index in a descriptor of its own, for a worker. */
static int index_file(const struct media *media)
{
    int fd = making_memory_file();
    if (fd < 0)
        return fd;
    int err = base_pwrite_all(fd, media->packed.data, media->packed.len, 0);
    if (err)
        close(fd);
    return err ? err : fd;
}

int making_open_inputs(struct making *m, int *ret_source, int *ret_index)
{
    int err = making_open_unchanged(m, ret_source);
    if (err)
        return err;
    *ret_index = index_file(m->t->media);
    return *ret_index < 0 ? making_fail(m, base_fail(&m->why, *ret_index, "no memory for its index")) : 0;
}

int making_open_boxes(struct making *m, int *ret_fd)
{
    *ret_fd = -1;
    if (!m->c->views[m->t->view].boxed)
        return 0;
    const struct base_boxes *boxes = boxes_of_clip(m->c, m->t->clip, m->t->view);
    int fd = making_memory_file();
    int err = fd < 0 ? fd : base_pwrite_all(fd, boxes->list, boxes->n * sizeof *boxes->list, 0);
    if (err) {
        base_close_fd(&fd);
        return making_fail(m, base_fail(&m->why, err, "no memory for its boxes"));
    }
    *ret_fd = fd;
    return 0;
}

int making_begin_output(struct making *m, uint64_t max_bytes, struct cache_writer **ret)
{
    int err = cache_writer_begin(m->c->store, max_bytes, ret);
    if (err == -ENOSPC)
        return making_fail(
            m, base_fail(&m->why, err,
                         "what is made of it takes up to %llu bytes, more than the cache has room "
                         "for; give it a larger cache.size",
                         (unsigned long long)max_bytes));
    return err ? making_fail(
                     m, base_fail(&m->why, err, "no place to write what is made of it: %s", strerror(-err)))
               : 0;
}

struct making_stream making_stream_begin(struct making *m, int source, const struct cache_file_stamp *stamp,
                                         const struct cache_writer *writer)
{
    return (struct making_stream){
        .m = m,
        .source = source,
        .stamp = stamp,
        .output = writer ? fcntl(cache_writer_fd(writer), F_DUPFD_CLOEXEC, 3) : -1,
    };
}

void making_stream_grew(void *stream, uint64_t bytes)
{
    struct making_stream *s = stream;
    if (s->output >= 0 && (s->m->in_segment || source_unchanged(s->source, s->stamp)))
        jobs_produced(s->m->c, s->m->t, s->output, bytes);
}

void making_stream_end(struct making_stream *s)
{
    pthread_mutex_lock(&s->m->c->lock);
    bool owned = s->m->t->output == s->output; /* by the task, since progress was told */
    pthread_mutex_unlock(&s->m->c->lock);
    if (!owned)
        base_close_fd(&s->output);
}
