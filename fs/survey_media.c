/* SPDX-License-Identifier: Apache-2.0 */
/* Demuxes the clips that a survey found, or those of them that tables cut out of videos, so that mounts need
 * not: what it learns is kept as each clip is done. */
#include "fs/private.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>

/* The clips of a video are those from the one to before the other. */
struct video {
    size_t from, to;
};

/* One run, by several threads. */
struct indexing {
    const struct fs_options *options;
    struct cache *cache;
    const struct cfg_clips *clips;
    size_t first, n;      /* clips of the cache: one a video */
    struct video *videos; /* parallel to them */
    atomic_size_t next, n_bad;
    fs_progress *on_progress;
    void *context;
    pthread_mutex_t lock; /* guards what is below, on_progress, and the report */
    size_t done, n_past_end;
};

/* Who waits for one clip. */
struct asker {
    struct cache_waiter waiter; /* first: wake() casts back */
    sem_t woken;
};

static void wake(struct cache_waiter *w)
{
    (void)sem_post(&((struct asker *)w)->woken);
}

/* Where a part of a clip's source is; to know is to have indexed it. */
static int ask_times(struct cache *c, size_t clip, const struct cache_cut *cut, struct cache_cut_times *ret)
{
    struct asker asker = {.waiter.wake = wake};
    int err;
    (void)sem_init(&asker.woken, 0, 0);
    while ((err = cache_cut_times(c, clip, cache_version(c, clip), cut, &asker.waiter, ret)) == -EINPROGRESS)
        while (sem_wait(&asker.woken) < 0 && errno == EINTR)
            ;
    cache_waiter_finish(&asker.waiter);
    (void)sem_destroy(&asker.woken);
    return err;
}

/* The first ones are told, and how many there are. */
static void report_past_end(struct indexing *x, const struct cfg_clip *clip, const struct cache_cut_times *t)
{
    enum { MAX_TOLD = 20 };
    char table[4096];
    base_autofree char *line = NULL;
    pthread_mutex_lock(&x->lock);
    if (++x->n_past_end <= MAX_TOLD && x->options->report &&
        asprintf(&line, "%s:%u: %s: from %.3f s to %.3f s goes past its end at %.3f s: cut off there",
                 cfg_full_path(x->options->cfg, clip->table, table, sizeof table), clip->line, clip->label,
                 (double)t->from_us / 1e6, (double)t->to_us / 1e6, (double)t->source_us / 1e6) >= 0)
        x->options->report(NULL, line);
    pthread_mutex_unlock(&x->lock);
}

/* Indexes a video, and holds the parts of it that are clips against its length. */
static int index_video(struct indexing *x, size_t i)
{
    static const struct cache_cut whole = {0};
    struct cache_cut_times t;
    int err = ask_times(x->cache, x->first + i, &whole, &t);
    for (size_t k = x->videos[i].from; !err && k < x->videos[i].to; k++) {
        const struct cfg_clip *clip = &x->clips->clips[k];
        const struct cache_cut cut = fs_source_of(clip).cut;
        err = clip->table ? ask_times(x->cache, x->first + i, &cut, &t) : 0;
        if (!err && clip->table && t.past_end)
            report_past_end(x, clip, &t);
    }
    return err;
}

static void *index_videos(void *argument)
{
    struct indexing *x = argument;
    for (size_t i; (i = atomic_fetch_add(&x->next, 1)) < x->n;) {
        if (index_video(x, i) < 0)
            atomic_fetch_add(&x->n_bad, 1);
        pthread_mutex_lock(&x->lock);
        x->done++;
        if (x->on_progress)
            x->on_progress(x->context, x->done, x->n);
        pthread_mutex_unlock(&x->lock);
    }
    return NULL;
}

/* Parts of a video, which follow each other, have its index. */
static bool same_video(const struct cfg_clip *a, const struct cfg_clip *b)
{
    return a->archive == b->archive && a->member == b->member && strcmp(a->label, b->label) == 0;
}

/* The clips from this one on that are of its video: the number of the first that is not. *ret_cut: a table
 * cut one of them out. */
static size_t end_of_video(const struct cfg_clips *clips, size_t i, bool *ret_cut)
{
    size_t end = i;
    *ret_cut = false;
    do
        *ret_cut = *ret_cut || clips->clips[end].table;
    while (++end < clips->n && same_video(&clips->clips[end - 1], &clips->clips[end]));
    return end;
}

/* Tells the cache of each video once. */
static int add_videos(struct indexing *x)
{
    const struct cfg_clips *clips = x->clips;
    base_autofree struct cache_source *sources = calloc(clips->n + 1, sizeof *sources);
    x->videos = calloc(clips->n + 1, sizeof *x->videos);
    if (!sources || !x->videos)
        return -ENOMEM;
    for (size_t i = 0, end; i < clips->n; i = end) {
        bool cut;
        end = end_of_video(clips, i, &cut);
        if (!cut && !x->options->index_media)
            continue;
        x->videos[x->n] = (struct video){i, end};
        sources[x->n] = fs_source_of(&clips->clips[i]);
        sources[x->n++].cut = (struct cache_cut){0};
    }
    return cache_add_sources(x->cache, sources, x->n, &x->first);
}

static int run_threads(struct indexing *x)
{
    enum { MAX_THREADS = 64 };
    pthread_t threads[MAX_THREADS];
    int workers = cfg_workers(x->options->cfg), n = 0, err = 0;
    long wanted = workers ? workers : sysconf(_SC_NPROCESSORS_ONLN);
    wanted = BASE_MAX(1, BASE_MIN(wanted, MAX_THREADS));
    while (n < wanted && !err) {
        err = -pthread_create(&threads[n], NULL, index_videos, x);
        n += !err;
    }
    for (int i = 0; i < n; i++)
        (void)pthread_join(threads[i], NULL);
    return n > 0 ? 0 : err;
}

bool fs_survey_needs_media(const struct fs_options *o, const struct cfg_clips *clips)
{
    for (size_t i = 0; !o->index_media && i < clips->n; i++)
        if (clips->clips[i].table)
            return true;
    return o->index_media;
}

int fs_survey_media(const struct fs_options *o, struct cache *cache, const struct cfg_clips *clips,
                    fs_progress *on_progress, void *context, struct fs_survey *s)
{
    struct indexing x = {
        .options = o, .cache = cache, .clips = clips, .on_progress = on_progress, .context = context};
    int err = add_videos(&x);
    if (!err) {
        pthread_mutex_init(&x.lock, NULL);
        err = run_threads(&x);
        pthread_mutex_destroy(&x.lock);
    }
    free(x.videos);
    s->n_bad_media = x.n_bad;
    s->n_past_end = x.n_past_end;
    return err;
}
