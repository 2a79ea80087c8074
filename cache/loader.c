/* SPDX-License-Identifier: Apache-2.0 */
/* Opening kept segments: reading all of one and checking it takes milliseconds when it comes from the disk,
 * so whoever wants one that is being opened waits for that, and those that will be wanted are opened ahead.
 */
#include "cache/store_private.h"

#include <errno.h>
#include <sys/stat.h>

enum { MOST_EXPECTED = 8 };

/* A segment that is being opened. */
struct loading {
    const struct base_hash *key;
    struct loading *next;
};

struct cache_loader {
    struct cache_store *store;
    pthread_t thread;
    /* Guards the fields below; held for moments, alone. */
    pthread_mutex_t lock;
    pthread_cond_t more; /* expected, or stopping */
    pthread_cond_t done; /* one is not being opened any more */
    struct loading *loading;
    struct base_hash expected[MOST_EXPECTED]; /* the oldest first */
    size_t n_expected;
    bool stopping;
};

static bool is_loading_locked(const struct cache_loader *loader, const struct base_hash *key)
{
    const struct loading *l = loader->loading;
    while (l && !base_hash_equal(l->key, key))
        l = l->next;
    return l != NULL;
}

/* True: nobody else is opening it, so do, and call end() then. False: somebody was. */
static bool begin(struct cache_loader *loader, const struct base_hash *key, struct loading *l)
{
    pthread_mutex_lock(&loader->lock);
    bool mine = !is_loading_locked(loader, key);
    if (mine) {
        *l = (struct loading){key, loader->loading};
        loader->loading = l;
    }
    while (!mine && is_loading_locked(loader, key))
        pthread_cond_wait(&loader->done, &loader->lock);
    pthread_mutex_unlock(&loader->lock);
    return mine;
}

static void end(struct cache_loader *loader, const struct loading *l)
{
    pthread_mutex_lock(&loader->lock);
    struct loading **at = &loader->loading;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    pthread_cond_broadcast(&loader->done);
    pthread_mutex_unlock(&loader->lock);
}

/* A file that was removed after it was opened holds its room on disk as long as it is in the list. */
static void add_unless_unlinked(struct cache_store *store, struct cache_segment *s, bool used)
{
    struct stat st;
    cache_open_list_add(store->open, s, used);
    if (fstat(s->fd, &st) == 0 && st.st_nlink == 0)
        cache_open_list_drop_segment(store->open, s);
    if (cache_open_list_crowded(store->open))
        cache_store_kick(store);
}

/* From the list, or else from the disk; used: not only expected. */
static int open_segment(struct cache_store *store, const struct base_hash *key, bool used,
                        struct cache_segment **ret)
{
    struct loading l;
    while (!(*ret = cache_open_list_find(store->open, key)))
        if (begin(store->loader, key, &l)) {
            int err = cache_segment_load(store->dir, key, ret);
            if (!err)
                add_unless_unlinked(store, *ret, used);
            end(store->loader, &l);
            return err;
        }
    return 0;
}

/* Of several that would do, what is in the list is not looked for on the disk. */
static bool find_any(struct cache_store *store, const struct base_hash keys[], size_t n, size_t *ret_number,
                     struct cache_segment **ret)
{
    *ret = NULL;
    for (size_t i = 0; i < n && !*ret; i++) {
        *ret = cache_open_list_find(store->open, &keys[i]);
        *ret_number = i;
    }
    return *ret != NULL;
}

/* The first of those that are kept; -ENOENT: none is, and bad ones are removed. */
static int open_any(struct cache_store *store, const struct base_hash keys[], size_t n, size_t *ret_number,
                    struct cache_segment **ret)
{
    int err = -ENOENT;
    for (size_t i = 0; i < n && err == -ENOENT; i++) {
        err = open_segment(store, &keys[i], true, ret);
        *ret_number = i;
        if (err == -EBADMSG) {
            cache_store_remove_bad(store, &keys[i]);
            err = -ENOENT;
        }
    }
    return err;
}

int cache_segment_get_any(struct cache_store *store, const struct base_hash keys[], size_t n,
                          size_t *ret_number, struct cache_segment **ret)
{
    struct cache_segment *s;
    int err = find_any(store, keys, n, ret_number, &s) ? 0 : open_any(store, keys, n, ret_number, &s);
    if (!err) {
        atomic_fetch_add(&store->hits, 1);
        *ret = s;
        return 0;
    }
    if (err != -ENOENT)
        return err;
    /* Only then, since it costs a query: a row without a file is unusual. */
    for (size_t i = 0; i < n; i++)
        (void)cache_db_forget_missing(store->db, &keys[i]);
    atomic_fetch_add(&store->misses, 1);
    return -ENOENT;
}

int cache_segment_get(struct cache_store *store, const struct base_hash *key, struct cache_segment **ret)
{
    size_t number;
    return cache_segment_get_any(store, key, 1, &number, ret);
}

bool cache_segment_at_hand(struct cache_store *store, const struct base_hash *key)
{
    return cache_open_list_has(store->open, key);
}

void cache_segment_expect(struct cache_store *store, const struct base_hash *key)
{
    struct cache_loader *loader = store->loader;
    if (cache_open_list_has(store->open, key))
        return;
    pthread_mutex_lock(&loader->lock);
    if (loader->n_expected < MOST_EXPECTED && !is_loading_locked(loader, key)) {
        loader->expected[loader->n_expected++] = *key;
        pthread_cond_signal(&loader->more);
    }
    pthread_mutex_unlock(&loader->lock);
}

static bool take_expected(struct cache_loader *loader, struct base_hash *ret)
{
    pthread_mutex_lock(&loader->lock);
    while (!loader->stopping && loader->n_expected == 0)
        pthread_cond_wait(&loader->more, &loader->lock);
    bool goes_on = !loader->stopping;
    if (goes_on) {
        *ret = loader->expected[0];
        memmove(loader->expected, loader->expected + 1, --loader->n_expected * sizeof *loader->expected);
    }
    pthread_mutex_unlock(&loader->lock);
    return goes_on;
}

static void *loader_main(void *argument)
{
    struct cache_loader *loader = argument;
    struct base_hash key;
    while (take_expected(loader, &key)) {
        struct cache_segment *s;
        /* One that is not there, or bad, is dealt with by who asks for it. */
        if (!cache_open_list_has(loader->store->open, &key) &&
            open_segment(loader->store, &key, false, &s) == 0)
            cache_segment_unref(s);
    }
    return NULL;
}

int cache_loader_create(struct cache_store *store, struct cache_loader **ret)
{
    struct cache_loader *loader = calloc(1, sizeof *loader);
    if (!loader)
        return -ENOMEM;
    loader->store = store;
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->more, NULL);
    pthread_cond_init(&loader->done, NULL);
    /* Before its thread is there to look for it. */
    *ret = loader;
    int err = pthread_create(&loader->thread, NULL, loader_main, loader);
    if (err) {
        *ret = NULL;
        free(loader);
    }
    return -err;
}

void cache_loader_destroy(struct cache_loader *loader)
{
    if (!loader)
        return;
    pthread_mutex_lock(&loader->lock);
    loader->stopping = true;
    pthread_cond_signal(&loader->more);
    pthread_mutex_unlock(&loader->lock);
    pthread_join(loader->thread, NULL);
    pthread_cond_destroy(&loader->more);
    pthread_cond_destroy(&loader->done);
    pthread_mutex_destroy(&loader->lock);
    free(loader);
}
