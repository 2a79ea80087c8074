/* SPDX-License-Identifier: Apache-2.0 */
/* Demuxes the clips that a survey found, so that mounts need not: what it learns is kept as each clip is
 * done. */
#include "fs/private.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>

/* One run, by several threads. */
struct indexing {
    struct cache *cache;
    size_t first, n; /* clips of the cache */
    atomic_size_t next, n_bad;
    fs_progress *on_progress;
    void *context;
    pthread_mutex_t lock; /* guards `done`, and on_progress */
    size_t done;
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

/* How many frames there are is told by what is wanted here. */
static int index_clip(struct cache *c, size_t clip)
{
    struct asker asker = {.waiter.wake = wake};
    uint32_t n;
    int err;
    (void)sem_init(&asker.woken, 0, 0);
    while ((err = cache_count(c, clip, cache_version(c, clip), 0, &asker.waiter, &n)) == -EINPROGRESS)
        while (sem_wait(&asker.woken) < 0 && errno == EINTR)
            ;
    cache_waiter_finish(&asker.waiter);
    (void)sem_destroy(&asker.woken);
    return err;
}

static void *index_clips(void *argument)
{
    struct indexing *x = argument;
    for (size_t i; (i = atomic_fetch_add(&x->next, 1)) < x->n;) {
        if (index_clip(x->cache, x->first + i) < 0)
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

int fs_survey_media(const struct fs_options *o, struct cache *cache, const struct cfg_clips *clips,
                    fs_progress *on_progress, void *context, size_t *ret_bad)
{
    enum { MAX_THREADS = 64 };
    struct indexing x = {.cache = cache, .on_progress = on_progress, .context = context};
    pthread_t threads[MAX_THREADS];
    long workers = cfg_workers(o->cfg) ? cfg_workers(o->cfg) : sysconf(_SC_NPROCESSORS_ONLN);
    int n = 0, wanted = (int)BASE_MAX(1, BASE_MIN(workers, MAX_THREADS));
    base_autofree struct cache_source *sources = calloc(clips->n + 1, sizeof *sources);
    for (size_t i = 0; sources && i < clips->n; i++) {
        if (x.n > 0 && same_video(&clips->clips[i - 1], &clips->clips[i]))
            continue;
        sources[x.n] = fs_source_of(&clips->clips[i]);
        sources[x.n++].cut = (struct cache_cut){0};
    }
    int err = sources ? cache_add_sources(cache, sources, x.n, &x.first) : -ENOMEM;
    if (err)
        return err;
    pthread_mutex_init(&x.lock, NULL);
    while (n < wanted && !err) {
        err = -pthread_create(&threads[n], NULL, index_clips, &x);
        n += !err;
    }
    for (int i = 0; i < n; i++)
        (void)pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&x.lock);
    *ret_bad = x.n_bad;
    return n > 0 ? 0 : err;
}
