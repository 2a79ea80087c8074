/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache.h"

#include "base/io.h"
#include "base/log.h"
#include "cache/reading.h"
#include "cache/watch.h"
#include <errno.h>
#include <fcntl.h>

static size_t cpu_count(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 256 ? 256 : (size_t)n;
}

static int open_parts(struct cache *c, const struct cache_options *options, struct base_reason *why)
{
    int err = roots_open(c, why);
    if (err)
        return err;
    if (access(options->decoder, X_OK) < 0)
        return base_fail(why, -errno, "%s: cannot run the decoder: %s", options->decoder, strerror(errno));
    err = cache_store_open(options->dir, options->size_bytes, &c->store, why);
    if (!err)
        cache_store_set_min_free(c->store, options->min_free_bytes);
    return err;
}

static int reserve_clips(struct cache *c)
{
    if (archives_init(c) < 0 ||
        base_grow_init(&c->sources_memory, CACHE_MAX_CLIPS * sizeof *c->sources) < 0 ||
        base_grow_init(&c->clips_memory, CACHE_MAX_CLIPS * sizeof *c->clips) < 0 ||
        base_grow_init(&c->sidecars_memory, CACHE_MAX_CLIPS * sizeof *c->sidecars) < 0)
        return -ENOMEM;
    c->sources = c->sources_memory.data;
    c->clips = c->clips_memory.data;
    c->sidecars = c->sidecars_memory.data;
    return 0;
}

int cache_add_sources(struct cache *c, const struct cache_source *sources, size_t n, size_t *ret_first)
{
    size_t first = c->n_clips, all = first + n;
    if (all > CACHE_MAX_CLIPS)
        return -E2BIG;
    if (base_grow_to(&c->sources_memory, all * sizeof *sources) < 0 ||
        base_grow_to(&c->clips_memory, all * sizeof *c->clips) < 0 ||
        base_grow_to(&c->sidecars_memory, all * sizeof *c->sidecars) < 0)
        return -ENOMEM;
    if (n > 0)
        memcpy((struct cache_source *)c->sources_memory.data + first, sources, n * sizeof *sources);
    for (size_t i = first; i < all; i++)
        c->clips[i].worker = -1;
    int err = watch_add(c->watch, first, n);
    if (err)
        return err;
    pthread_mutex_lock(&c->lock);
    c->n_clips = all;
    pthread_mutex_unlock(&c->lock);
    *ret_first = first;
    return 0;
}

size_t cache_n_clips(struct cache *c)
{
    pthread_mutex_lock(&c->lock);
    size_t n = c->n_clips;
    pthread_mutex_unlock(&c->lock);
    return n;
}

void cache_show_clips(struct cache *c, const uint32_t *clips, size_t n)
{
    pthread_mutex_lock(&c->lock);
    c->counters.past_end = 0;
    for (size_t i = 0; i < c->n_clips; i++)
        c->clips[i].hidden = true;
    for (size_t i = 0; i < n; i++) {
        struct clip *clip = &c->clips[clips[i]];
        c->counters.past_end += clip->hidden && clip->past_end;
        clip->hidden = false;
    }
    pthread_mutex_unlock(&c->lock);
}

int cache_create(const struct cache_options *options, struct cache **ret, struct base_reason *why)
{
    if (options->n_views > CACHE_MAX_VIEWS)
        return base_fail(why, -EINVAL, "more than %d views", CACHE_MAX_VIEWS);
    struct cache *c = calloc(1, sizeof *c);
    if (!c)
        return base_fail(why, -ENOMEM, "out of memory");
    c->options = *options;
    c->root = -1;
    pthread_mutex_init(&c->lock, NULL);
    base_cond_init(&c->work);
    base_cond_init(&c->linger);
    c->n_workers = options->workers > 0 ? (size_t)options->workers : cpu_count();
    pthread_mutex_init(&c->files_lock, NULL);
    pthread_mutex_init(&c->judging, NULL);
    for (size_t i = 0; i < options->n_views; i++) {
        c->views[i] = options->views[i];
        c->view_hashes[i] = key_of_view(&options->views[i]);
    }
    size_t first;
    int err = reserve_clips(c);
    if (!err)
        err = cache_add_sources(c, options->sources, options->n_clips, &first);
    err = err ? base_fail(why, err, "out of memory") : open_parts(c, options, why);
    if (!err) {
        err = jobs_start(c);
        if (err)
            base_fail(why, err, "cannot start threads: %s", strerror(-err));
    }
    if (!err && options->refresh_seconds > 0) {
        err = watch_start(c, options->refresh_seconds, &c->watch);
        if (err)
            base_fail(why, err, "cannot watch the corpus: %s", strerror(-err));
    }
    if (err)
        cache_destroy(c);
    else
        *ret = c;
    return err;
}

void cache_refuse(struct cache *c)
{
    if (c)
        jobs_refuse(c);
}

void cache_stop(struct cache *c)
{
    if (c)
        jobs_stop(c);
}

void cache_destroy(struct cache *c)
{
    if (!c)
        return;
    cache_stop(c);
    watch_stop(c->watch);
    media_unref_list(c->media_newest);
    files_finish(c);
    archives_finish(c);
    base_grow_finish(&c->sources_memory);
    base_grow_finish(&c->clips_memory);
    base_grow_finish(&c->sidecars_memory);
    cache_store_close(c->store);
    roots_close(c);
    pthread_cond_destroy(&c->work);
    pthread_cond_destroy(&c->linger);
    pthread_mutex_destroy(&c->lock);
    pthread_mutex_destroy(&c->files_lock);
    pthread_mutex_destroy(&c->judging);
    free(c);
}

void cache_waiter_finish(struct cache_waiter *w)
{
    cache_segment_unref(base_steal_pointer(w->segment));
    media_unref(base_steal_pointer(w->media));
}

int take_error(struct cache_waiter *w, size_t clip)
{
    if (!w || w->clip != clip)
        return 0;
    int err = w->error;
    w->error = 0;
    return err;
}

/* What was found out for a waiter is not lost to it, however many others are asked for meanwhile. */
static void give_back_locked(struct cache *c, size_t clip, struct cache_waiter *w)
{
    const struct clip *k = &c->clips[clip];
    struct media *m = w ? w->media : NULL;
    if (m && !k->media && m->clip == clip && m->version == k->version && media_mark(m) == k->told)
        media_attach_locked(c, clip, media_ref(m));
}

/* Whether the archive that a clip is of, if it is of one, has not changed. */
static bool is_there_locked(struct cache *c, size_t clip)
{
    const struct archive *a = archive_of(c, c->sources[clip].archive);
    return !a || archive_is_current_locked(c, a);
}

/* 0, also when nothing is known yet, -ESTALE, or -EIO for a clip whose versions are used up. */
static int known_media(struct cache *c, size_t clip, uint32_t version, struct cache_waiter *w,
                       struct media **ret)
{
    pthread_mutex_lock(&c->lock);
    const struct clip *k = &c->clips[clip];
    int err = k->version != version || !is_there_locked(c, clip) ? -ESTALE
              : version == CACHE_MAX_VERSION                     ? -EIO
                                                                 : 0;
    if (!err)
        give_back_locked(c, clip, w);
    *ret = !err && k->media ? media_ref(k->media) : NULL;
    media_used_locked(c, *ret);
    pthread_mutex_unlock(&c->lock);
    return err;
}

static int get_media(struct cache *c, size_t clip, uint32_t version, struct cache_waiter *w,
                     struct media **ret)
{
    int err = take_error(w, clip);
    if (!err)
        err = known_media(c, clip, version, w, ret);
    if (err || *ret)
        return err;
    const struct cache_task task = {.kind = TASK_INDEX, .clip = clip, .key = key_of_indexing(clip)};
    return jobs_wait_for(c, &task, w);
}

/* Waits until count (and, with `measured`, size) of a view are known; for subtitles that means made. */
static int need_view(struct cache *c, size_t clip, size_t view, struct media *m, bool measured,
                     struct cache_waiter *w, struct clip_view *ret)
{
    *ret = media_view(c, m, view);
    if (ret->counted && (!measured || ret->measured || ret->n_files == 0))
        return 0;
    struct cache_task task = {.kind = TASK_MEASURE, .clip = clip, .view = view, .media = m};
    task.key = key_of_size(c, m, view);
    if (ret->unmade && (!w || w->glances))
        return -ENODATA;
    if (ret->unmade) {
        task.kind = TASK_COMMAND;
        task.key = key_of_segment(c, m, view, 0, 0);
    }
    if (c->views[view].kind == CACHE_SUBTITLES) {
        task.kind = TASK_SUBTITLES;
        task.key = key_of_segment(c, m, view, 0, 0);
    }
    return jobs_wait_for(c, &task, w);
}

/* get_media() and need_view() in one; *ret_media has a reference on success. */
static int ask_view(struct cache *c, size_t clip, uint32_t version, size_t view, bool measured,
                    struct cache_waiter *w, struct media **ret_media, struct clip_view *ret)
{
    struct media *m;
    int err = get_media(c, clip, version, w, &m);
    if (err)
        return err;
    err = need_view(c, clip, view, m, measured, w, ret);
    if (err)
        media_unref(m);
    else
        *ret_media = m;
    return err;
}

int cache_count(struct cache *c, size_t clip, uint32_t version, size_t view, struct cache_waiter *w,
                uint32_t *ret)
{
    struct media *m;
    struct clip_view v;
    struct cache_file_stamp stamp;
    if (c->views[view].kind == CACHE_FILE) {
        *ret = 1;
        return file_stamp(c, clip, version, &stamp);
    }
    int err = ask_view(c, clip, version, view, false, w, &m, &v);
    if (err)
        return err;
    *ret = v.n_files;
    media_unref(m);
    return 0;
}

int cache_cut_times(struct cache *c, size_t clip, uint32_t version, const struct cache_cut *cut,
                    struct cache_waiter *w, struct cache_cut_times *ret)
{
    struct media *m;
    int err = get_media(c, clip, version, w, &m);
    if (err)
        return err;
    media_cut_times(m, cut, ret);
    media_unref(m);
    return 0;
}

int cache_size(struct cache *c, size_t clip, uint32_t version, size_t view, struct cache_waiter *w,
               uint64_t *ret_bytes)
{
    struct media *m;
    struct clip_view v;
    struct cache_file_stamp stamp = {0};
    if (c->views[view].kind == CACHE_FILE) {
        int found = file_stamp(c, clip, version, &stamp);
        *ret_bytes = stamp.size;
        return found;
    }
    int err = ask_view(c, clip, version, view, true, w, &m, &v);
    if (err)
        return err;
    *ret_bytes = v.file_bytes;
    media_unref(m);
    return 0;
}

int cache_mtime_ns(struct cache *c, size_t clip, int64_t *ret)
{
    pthread_mutex_lock(&c->lock);
    const struct clip *k = &c->clips[clip];
    struct cache_file_stamp seen = k->seen;
    bool known = k->looked;
    uint32_t version = k->version;
    pthread_mutex_unlock(&c->lock);
    if (!known) {
        int err = clip_glance(c, clip, version, &seen);
        if (err)
            return err;
    }
    if (seen.inode == 0)
        return -ENOENT;
    *ret = seen.mtime_ns;
    return 0;
}

struct cache_segment *reading_find(struct reading *r, const struct base_hash keys[], size_t n,
                                   size_t *ret_number)
{
    struct cache_segment *s = NULL;
    for (size_t i = 0; r->w->segment && i < n; i++) {
        if (!base_hash_equal(cache_segment_key(r->w->segment), &keys[i]))
            continue;
        *ret_number = i;
        return base_steal_pointer(r->w->segment);
    }
    return cache_segment_get_any(r->c->store, keys, n, ret_number, &s) == 0 ? s : NULL;
}

static ssize_t read_segment(struct reading *r, struct cache_segment *s, uint32_t entry)
{
    ssize_t n = cache_segment_read(s, entry, r->out, r->len, r->offset);
    cache_segment_unref(s);
    return n;
}

struct cache_task reading_task(const struct reading *r, enum task_kind kind, uint32_t first, uint32_t last)
{
    struct cache_task task = {
        .kind = kind, .clip = r->clip, .view = r->view, .media = r->media, .first = first, .last = last};
    task.key = key_of_segment(r->c, r->media, r->view, first, last);
    return task;
}

/* The segment behind the one that ends with `last`; false: there is none. */
static bool next_segment(const struct reading *r, enum task_kind kind, uint32_t last, struct cache_task *ret)
{
    uint32_t first;
    if (last + 1 >= r->v.n_frames)
        return false;
    plan_segment(&r->v, last + 1, &first, &last);
    *ret = reading_task(r, kind, first, last);
    return true;
}

/* The first segment of a clip that is known, whose media the caller releases; false: it is not known. */
static bool first_segment(struct cache *c, size_t clip, size_t view, struct cache_task *ret)
{
    struct reading r = {.c = c, .clip = clip, .view = view};
    uint32_t first, last;
    pthread_mutex_lock(&c->lock);
    if (clip < c->n_clips && c->clips[clip].media)
        r.media = media_ref(c->clips[clip].media);
    pthread_mutex_unlock(&c->lock);
    if (!r.media)
        return false;
    r.v = media_view(c, r.media, view);
    if (!r.v.counted || r.v.n_frames == 0) {
        media_unref(r.media);
        return false;
    }
    plan_segment(&r.v, 0, &first, &last);
    *ret = reading_task(&r, TASK_FRAMES, first, last);
    return true;
}

/* The beginning of a clip that is known, for who reads a tree in order. */
static void expect_clip(struct cache *c, size_t clip, size_t view)
{
    struct cache_task task;
    if (!first_segment(c, clip, view, &task))
        return;
    cache_segment_expect(c->store, &task.key);
    media_unref(task.media);
}

/* What stands behind the segment that ends with `last`, if it is kept: two segments, since reading one may
 * take as long as serving one. */
static void expect_next(struct reading *r, uint32_t last)
{
    struct cache_task task = {.last = last};
    for (int i = 0; i < 2; i++) {
        if (!next_segment(r, TASK_FRAMES, task.last, &task)) {
            expect_clip(r->c, r->clip + 1, r->view);
            return;
        }
        cache_segment_expect(r->c->store, &task.key);
    }
}

static bool is_at_hand(const struct reading *r, uint32_t frame)
{
    uint32_t first, last;
    plan_segment(&r->v, frame, &first, &last);
    const struct base_hash key = key_of_segment(r->c, r->media, r->view, first, last);
    return cache_segment_at_hand(r->c->store, &key);
}

/* The same at a clip's end, once all of it is made, for who reads clips through in order: while the last
 * frames are read, the processors have nothing else to do. */
static void reading_beyond(struct reading *r)
{
    struct cache *c = r->c;
    struct cache_task task;
    size_t clip;
    pthread_mutex_lock(&c->lock);
    bool goes_on = survey_goes_on_locked(c, r->clip, r->view, &clip);
    pthread_mutex_unlock(&c->lock);
    if (!goes_on || !is_at_hand(r, r->v.n_frames - 1) || !first_segment(c, clip, r->view, &task))
        return;
    task.beyond = true;
    if (media_view(c, task.media, r->view).measured && !cache_segment_at_hand(c->store, &task.key))
        (void)jobs_wait_for(c, &task, NULL);
    media_unref(task.media);
}

void reading_ahead(struct reading *r, enum task_kind kind, uint32_t last)
{
    struct cache_task task;
    if (next_segment(r, kind, last, &task)) {
        if (!cache_segment_at_hand(r->c->store, &task.key))
            (void)jobs_wait_for(r->c, &task, NULL);
    } else if (kind == TASK_FRAMES) {
        reading_beyond(r);
    }
}

static void note_asked(struct reading *r, uint32_t frame)
{
    if (r->w->asked)
        return;
    r->w->asked = true;
    pthread_mutex_lock(&r->c->lock);
    survey_note_reader_locked(r->c, r->clip, r->view);
    plan_asked_locked(&r->media->views[r->view], frame, r->w->reader);
    pthread_mutex_unlock(&r->c->lock);
}

/* last: that of the frame's segment; s may hold it alone. */
static ssize_t read_kept_frame(struct reading *r, struct cache_segment *s, uint32_t frame, uint32_t entry,
                               uint32_t last)
{
    const struct cache_view *view = &r->c->views[r->view];
    const uint32_t of_frame = dec_entries_of_frame(&view->frames);
    bool is_whole = cache_segment_layout(s)->n_entries > of_frame;
    pthread_mutex_lock(&r->c->lock);
    struct clip_view *v = &r->media->views[r->view];
    bool ahead = plan_answered_locked(v, frame);
    bool expect = is_whole && plan_kept_locked(v, frame);
    pthread_mutex_unlock(&r->c->lock);
    if (ahead || expect)
        expect_next(r, last);
    if (ahead)
        reading_ahead(r, TASK_FRAMES, last);
    return read_segment(r, s, entry * of_frame + view->entry);
}

static ssize_t read_frame(struct reading *r, uint32_t frame)
{
    uint32_t first, last;
    bool ahead;
    note_asked(r, frame);
    plan_segment(&r->v, frame, &first, &last);
    struct cache_task task = reading_task(r, TASK_FRAMES, first, last);
    const struct base_hash keys[] = {task.key, key_of_segment(r->c, r->media, r->view, frame, frame)};
    size_t number;
    struct cache_segment *s = reading_find(r, keys, first != last ? 2 : 1, &number);
    if (s)
        return read_kept_frame(r, s, frame, number == 0 ? frame - first : 0, last);
    pthread_mutex_lock(&r->c->lock);
    task.wanted = plan_read_locked(&r->media->views[r->view], frame, &ahead);
    task.strides = r->media->views[r->view].strides;
    task.onward = r->media->views[r->view].onward;
    pthread_mutex_unlock(&r->c->lock);
    r->w->frame = frame + 1;
    int err = jobs_wait_for(r->c, &task, r->w);
    if (ahead)
        reading_ahead(r, TASK_FRAMES, last);
    return err;
}

/* Sound that is being made: as much as is final. -EAGAIN: ask again from the start. */
static ssize_t read_running(struct reading *r, struct cache_task *t, uint64_t size)
{
    uint64_t end = BASE_MIN(r->offset + r->len, size);
    ssize_t n = jobs_read(r->c, t, r->out, (size_t)(end - r->offset), r->offset);
    return n == -ENODATA ? jobs_wait_more(r->c, t, r->w, end - 1) : n;
}

ssize_t read_made(struct cache *c, struct cache_waiter *w, const struct cache_task *task,
                  const struct base_hash *segment, uint64_t size, void *out, size_t len, uint64_t offset)
{
    struct reading r = {.c = c, .w = w, .out = out, .len = len, .offset = offset};
    if (offset >= size)
        return 0;
    size_t number;
    struct cache_segment *s = reading_find(&r, segment, 1, &number);
    if (s)
        return read_segment(&r, s, 0);
    struct cache_task *t = jobs_find(c, &task->key);
    if (t) {
        ssize_t n = read_running(&r, t, size);
        jobs_release(c, t);
        if (n != -EAGAIN)
            return n;
    }
    return jobs_wait_for(c, task, w);
}

static ssize_t read_whole(struct reading *r, enum task_kind kind)
{
    const struct cache_task task = reading_task(r, kind, 0, 0);
    return read_made(r->c, r->w, &task, kind == TASK_SUBTITLES ? &r->v.text_key : &task.key, r->v.file_bytes,
                     r->out, r->len, r->offset);
}

ssize_t count_read(struct cache *c, const struct cache_waiter *w, ssize_t n)
{
    if (n >= 0)
        atomic_fetch_add_explicit(w->waits == 0 ? &c->hits : &c->misses, 1, memory_order_relaxed);
    return n;
}

ssize_t cache_read(struct cache *c, size_t clip, uint32_t version, size_t view, uint32_t file,
                   struct cache_waiter *w, void *out, size_t len, uint64_t offset)
{
    struct reading r = {.c = c, .clip = clip, .view = view, .w = w, .out = out, .len = len, .offset = offset};
    if (c->views[view].kind == CACHE_FILE)
        return count_read(c, w, file_read(c, clip, version, out, len, offset));
    ssize_t n = ask_view(c, clip, version, view, true, w, &r.media, &r.v);
    if (n)
        return n;
    if (file >= r.v.n_files)
        n = -ENOENT;
    else if (c->views[view].kind == CACHE_FRAMES)
        n = read_frame(&r, file);
    else if (c->views[view].kind == CACHE_ARRAY || c->views[view].kind == CACHE_WAVE)
        n = read_array(&r);
    else if (c->views[view].kind == CACHE_FEATURES || c->views[view].kind == CACHE_PART)
        n = read_whole(&r, TASK_SOUND);
    else if (c->views[view].kind == CACHE_COMMAND)
        n = read_whole(&r, TASK_COMMAND);
    else
        n = read_whole(&r, c->views[view].kind == CACHE_AUDIO ? TASK_AUDIO : TASK_SUBTITLES);
    media_unref(r.media);
    return count_read(c, w, n);
}

void cache_counters(struct cache *c, struct cache_counters *ret)
{
    pthread_mutex_lock(&c->lock);
    *ret = c->counters;
    ret->workers = c->n_workers;
    ret->workers_busy = c->n_workers - c->n_idle - c->n_lingering;
    ret->queued = c->n_queued;
    pthread_mutex_unlock(&c->lock);
    ret->hits = atomic_load(&c->hits);
    ret->misses = atomic_load(&c->misses);
}

void cache_usage(struct cache *c, struct cache_usage *ret)
{
    cache_store_usage(c->store, ret);
}
