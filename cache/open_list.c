/* SPDX-License-Identifier: Apache-2.0 */
/* Segments kept open, least recently used last, found by key in a small hash table. */
#include "cache/store_private.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define OPEN_MAX_DEFAULT 128u
#define OPEN_MIN 8u
#define BUCKETS 256u
/* Segments that could not be kept on disk stay in memory for a while, within this bound: the reads that
 * follow the first would otherwise each make their segment again. */
#define MEMORY_MAX_BYTES ((uint64_t)64 << 20)

struct cache_open_list {
    /* Guards all below and the list's fields of the segments. Innermost; no I/O while it is held. */
    pthread_mutex_t lock;
    struct cache_segment *newest, *oldest;
    struct cache_segment *buckets[BUCKETS];
    size_t n, max;
    uint64_t memory_bytes;
    /* Uses of segments that left the list before they were written. When it is full uses are forgotten: they
     * only order eviction. */
    struct cache_db_use left[CACHE_USES_MAX];
    size_t n_left;
};

/* A quarter of what the process may open: the rest is for sources, workers and the mount. */
static size_t open_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return OPEN_MAX_DEFAULT;
    return (size_t)BASE_MAX(OPEN_MIN, BASE_MIN(OPEN_MAX_DEFAULT, limit.rlim_cur / 4));
}

int cache_open_list_create(struct cache_open_list **ret)
{
    struct cache_open_list *list = calloc(1, sizeof *list);
    if (!list)
        return -ENOMEM;
    pthread_mutex_init(&list->lock, NULL);
    list->max = open_max();
    *ret = list;
    return 0;
}

static struct cache_segment **bucket_of(struct cache_open_list *list, const struct base_hash *key)
{
    return &list->buckets[key->bytes[15] % BUCKETS];
}

static struct cache_segment *find_locked(struct cache_open_list *list, const struct base_hash *key)
{
    struct cache_segment *s = *bucket_of(list, key);
    while (s && !base_hash_equal(&s->key, key))
        s = s->chain;
    return s;
}

static void link_newest_locked(struct cache_open_list *list, struct cache_segment *s)
{
    s->newer = NULL;
    s->older = list->newest;
    if (s->older)
        s->older->newer = s;
    else
        list->oldest = s;
    list->newest = s;
}

static void unlink_locked(struct cache_open_list *list, struct cache_segment *s)
{
    if (s->newer)
        s->newer->older = s->older;
    else
        list->newest = s->older;
    if (s->older)
        s->older->newer = s->newer;
    else
        list->oldest = s->newer;
}

/* Takes s out; the list's reference becomes the caller's. */
static struct cache_segment *remove_locked(struct cache_open_list *list, struct cache_segment *s)
{
    struct cache_segment **link = bucket_of(list, &s->key);
    while (*link != s)
        link = &(*link)->chain;
    *link = s->chain;
    unlink_locked(list, s);
    list->n--;
    if (s->in_memory)
        list->memory_bytes -= cache_content_bytes(&s->layout);
    if (s->dirty && list->n_left < CACHE_USES_MAX)
        list->left[list->n_left++] = (struct cache_db_use){s->key, s->used_ms};
    return s;
}

void cache_open_list_destroy(struct cache_open_list *list)
{
    if (!list)
        return;
    while (list->oldest)
        cache_segment_unref(remove_locked(list, list->oldest));
    pthread_mutex_destroy(&list->lock);
    free(list);
}

struct cache_segment *cache_open_list_find(struct cache_open_list *list, const struct base_hash *key)
{
    int64_t now_ms = cache_now_ms();
    pthread_mutex_lock(&list->lock);
    struct cache_segment *s = find_locked(list, key);
    if (s) {
        unlink_locked(list, s);
        link_newest_locked(list, s);
        s->used_ms = now_ms;
        s->dirty = !s->in_memory;
        cache_segment_ref(s);
    }
    pthread_mutex_unlock(&list->lock);
    return s;
}

bool cache_open_list_has(struct cache_open_list *list, const struct base_hash *key)
{
    pthread_mutex_lock(&list->lock);
    bool has = find_locked(list, key) != NULL;
    pthread_mutex_unlock(&list->lock);
    return has;
}

/* The segment that has to go to keep the bounds, or NULL. */
static struct cache_segment *surplus_locked(struct cache_open_list *list)
{
    if (list->n > list->max)
        return list->oldest;
    if (list->memory_bytes <= MEMORY_MAX_BYTES)
        return NULL;
    struct cache_segment *s = list->oldest;
    while (s && !s->in_memory)
        s = s->newer;
    return s;
}

static void add_locked(struct cache_open_list *list, struct cache_segment *s, bool dirty)
{
    struct cache_segment **bucket = bucket_of(list, &s->key);
    s->chain = *bucket;
    *bucket = cache_segment_ref(s);
    s->used_ms = cache_now_ms();
    s->dirty = dirty;
    link_newest_locked(list, s);
    list->n++;
    if (s->in_memory)
        list->memory_bytes += cache_content_bytes(&s->layout);
}

void cache_open_list_add(struct cache_open_list *list, struct cache_segment *segment, bool dirty)
{
    if (segment->in_memory && cache_content_bytes(&segment->layout) > MEMORY_MAX_BYTES / 4)
        return;
    struct cache_segment *surplus = NULL;
    pthread_mutex_lock(&list->lock);
    if (!find_locked(list, &segment->key))
        add_locked(list, segment, dirty);
    /* Chained, to be closed after the lock is gone. */
    for (struct cache_segment *s; (s = surplus_locked(list));) {
        remove_locked(list, s)->chain = surplus;
        surplus = s;
    }
    pthread_mutex_unlock(&list->lock);
    while (surplus) {
        struct cache_segment *next = surplus->chain;
        cache_segment_unref(surplus);
        surplus = next;
    }
}

void cache_open_list_drop(struct cache_open_list *list, const struct base_hash *key)
{
    pthread_mutex_lock(&list->lock);
    struct cache_segment *s = find_locked(list, key);
    if (s && !s->in_memory) {
        s->dirty = false;
        remove_locked(list, s);
    } else {
        s = NULL;
    }
    pthread_mutex_unlock(&list->lock);
    cache_segment_unref(s);
}

void cache_open_list_drop_segment(struct cache_open_list *list, const struct cache_segment *segment)
{
    pthread_mutex_lock(&list->lock);
    struct cache_segment *s = find_locked(list, &segment->key);
    if (s == segment) {
        s->dirty = false;
        remove_locked(list, s);
    } else {
        s = NULL;
    }
    pthread_mutex_unlock(&list->lock);
    cache_segment_unref(s);
}

void cache_open_list_drop_unlinked(struct cache_open_list *list)
{
    struct cache_segment *all[OPEN_MAX_DEFAULT];
    size_t n = 0;
    pthread_mutex_lock(&list->lock);
    for (struct cache_segment *s = list->newest; s && n < BASE_ARRAY_LEN(all); s = s->older) {
        if (!s->in_memory)
            all[n++] = cache_segment_ref(s);
    }
    pthread_mutex_unlock(&list->lock);
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        if (fstat(all[i]->fd, &st) == 0 && st.st_nlink == 0)
            cache_open_list_drop_segment(list, all[i]);
        cache_segment_unref(all[i]);
    }
}

size_t cache_open_list_take_uses(struct cache_open_list *list, struct cache_db_use *out, size_t max)
{
    size_t n = 0;
    pthread_mutex_lock(&list->lock);
    while (list->n_left > 0 && n < max)
        out[n++] = list->left[--list->n_left];
    for (struct cache_segment *s = list->newest; s && n < max; s = s->older) {
        if (s->dirty)
            out[n++] = (struct cache_db_use){s->key, s->used_ms};
        s->dirty = false;
    }
    pthread_mutex_unlock(&list->lock);
    return n;
}

bool cache_open_list_crowded(struct cache_open_list *list)
{
    pthread_mutex_lock(&list->lock);
    bool crowded = list->n_left > CACHE_USES_MAX / 2;
    pthread_mutex_unlock(&list->lock);
    return crowded;
}
