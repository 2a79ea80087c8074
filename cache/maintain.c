/* SPDX-License-Identifier: Apache-2.0 */
/* Looking after a cache directory as a whole: checking it, clearing it. */
#include "cache/store_private.h"

#include <errno.h>

/* ---- Verifying ---- */

struct verifying {
    struct cache_store *store;
    void (*on_progress)(void *context, const struct cache_verified *so_far);
    void *context;
    struct cache_verified *so_far;
};

static int verify_segment(void *context, const struct base_hash *key)
{
    struct verifying *v = context;
    struct cache_segment *s = NULL;
    int err = cache_segment_load(v->store->dir, key, &s);
    if (!err) {
        v->so_far->bytes_checked += cache_content_bytes(&s->layout);
        cache_segment_unref(s);
    } else if (err == -EBADMSG) {
        cache_store_remove_bad(v->store, key);
        v->so_far->n_bad++;
    } else if (err == -ENOENT) {
        /* Evicted meanwhile, or removed by hand: then its row is still there. */
        int gone = cache_db_forget_missing(v->store->db, key);
        v->so_far->n_missing += gone > 0;
        if (gone < 0)
            return gone;
    } else {
        return err;
    }
    v->so_far->n_checked++;
    if (v->on_progress)
        v->on_progress(v->context, v->so_far);
    return 0;
}

int cache_store_verify(struct cache_store *store,
                       void (*on_progress)(void *context, const struct cache_verified *so_far), void *context,
                       struct cache_verified *ret)
{
    struct verifying v = {store, on_progress, context, ret};
    uint64_t bytes;
    *ret = (struct cache_verified){0};
    int err = cache_store_ground(store);
    if (!err)
        err = cache_sweep(store);
    ret->n_orphans = store->swept.n_adopted + store->swept.n_removed;
    ret->n_missing = store->swept.n_missing;
    store->swept = (struct cache_swept){0};
    if (!err)
        err = cache_db_usage(store->db, &bytes, &ret->n_segments);
    return err ? err : cache_each_segment(store, verify_segment, &v);
}

/* ---- Clearing ---- */

static int remove_segment(void *store, const struct base_hash *key)
{
    (void)cache_space_remove(store, key);
    return 0;
}

int cache_store_clear(struct cache_store *store, uint64_t *ret_n_segments, uint64_t *ret_bytes)
{
    uint64_t before = 0, after = 0, n_before = 0, n_after = 0, evicted = atomic_load(&store->evicted);
    int err = cache_store_ground(store);
    if (!err)
        err = cache_sweep(store); /* files without a row get one, and go with the others */
    if (!err)
        err = cache_db_usage(store->db, &before, &n_before);
    if (err)
        return err;
    /* Most go in batches. A live mount may make new ones as fast as that, so that there is a bound; what is
     * left of the old ones goes one by one. */
    while (!err && atomic_load(&store->evicted) - evicted < n_before)
        err = cache_space_evict(store, before);
    if (!err || err == -ENOSPC)
        err = cache_each_segment(store, remove_segment, store);
    if (!err)
        err = cache_db_facts_clear(store->db);
    cache_db_checkpoint(store->db);
    if (!err)
        err = cache_db_usage(store->db, &after, &n_after);
    *ret_n_segments = n_before;
    *ret_bytes = before > after ? before - after : 0;
    return err;
}

int cache_store_look(const char *dir, uint64_t size_bytes, uint64_t *ret_bytes, uint64_t *ret_n_segments)
{
    return cache_db_look(dir, size_bytes, ret_bytes, ret_n_segments);
}
