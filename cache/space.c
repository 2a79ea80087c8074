/* SPDX-License-Identifier: Apache-2.0 */
/* Making room: reservations, eviction, removal. */
#include "cache/store_private.h"

#include "base/log.h"
#include <errno.h>
#include <sys/statvfs.h>

/* Evicting and reserving are two transactions, and other threads and processes take room in between: this
 * often is tried again before a segment is not kept. */
#define ROUNDS 64
#define VICTIMS_AT_ONCE 32u
/* Left on the disk beside min_free, so that the database can go on writing - evictions, above all. */
#define DISK_SLACK_BYTES ((uint64_t)512 << 10)

void cache_space_release(struct cache_store *store, const struct cache_db_work *works, size_t n)
{
    /* A row that cannot be removed would hold its room for as long as this process lives. */
    if (cache_db_release(store->db, works, n) < 0)
        atomic_store(&store->lost, true);
}

static struct cache_work next_works(struct cache_store *store, uint64_t n)
{
    return (struct cache_work){cache_store_owner(store).id, atomic_fetch_add(&store->next_seq, n)};
}

/* Removes the files of claimed segments. The claims give the right to: db.h, rule 2. */
static void finish_removal(struct cache_store *store, const struct cache_db_work *works, size_t n)
{
    struct cache_db_work done[VICTIMS_AT_ONCE] = {0};
    size_t n_done = 0;
    for (size_t i = 0; i < n; i++) {
        struct cache_path path = cache_path_segment(store->dir, &works[i].key);
        bool gone = unlink(path.text) == 0 || errno == ENOENT || errno == ENOTDIR;
        int err = gone ? 0 : -errno;
        /* After the unlink: cache_segment_get() adds to the list first and then looks for the link. */
        cache_open_list_drop(store->open, &works[i].key);
        if (gone)
            done[n_done++] = works[i];
        else
            base_log(BASE_LOG_WARNING, "cannot remove %s: %s", path.text, strerror(-err));
    }
    cache_space_release(store, done, n_done);
    if (n_done < n)
        atomic_store(&store->lost, true);
}

int cache_space_evict(struct cache_store *store, uint64_t bytes)
{
    struct cache_db_work works[VICTIMS_AT_ONCE];
    size_t n;
    /* What was read a moment ago must not look old, and what dead owners hold is free. */
    cache_store_flush_uses(store);
    (void)cache_owners_reap(store->dir, store->db, cache_store_owner(store).id);
    int err = cache_db_claim_victims(store->db, next_works(store, VICTIMS_AT_ONCE), bytes, cache_now_ms(),
                                     works, VICTIMS_AT_ONCE, &n);
    if (err)
        return err;
    finish_removal(store, works, n);
    atomic_fetch_add(&store->evicted, n);
    return n > 0 ? 0 : -ENOSPC;
}

/* How much is missing on the disk for `bytes` more, min_free kept. */
static uint64_t disk_short(struct cache_store *store, uint64_t bytes)
{
    struct statvfs st;
    if (statvfs(store->dir, &st) < 0)
        return 0;
    uint64_t min_free = atomic_load(&store->min_free_bytes);
    uint64_t want = bytes + min_free + DISK_SLACK_BYTES;
    if (min_free > 0)
        want += cache_db_growth(store->db);
    uint64_t have = (uint64_t)st.f_bavail * st.f_frsize;
    return want > have ? want - have : 0;
}

void cache_space_trim(struct cache_store *store)
{
    uint64_t bytes, n;
    while (cache_db_usage(store->db, &bytes, &n) == 0 && bytes > store->budget_bytes && n > 0)
        if (cache_space_evict(store, bytes - store->budget_bytes) < 0)
            return;
    for (int round = 0; round < ROUNDS && atomic_load(&store->min_free_bytes) > 0; round++) {
        uint64_t missing = disk_short(store, 0);
        if (missing == 0 || cache_space_evict(store, missing) < 0)
            return;
    }
}

bool cache_space_remove(struct cache_store *store, const struct base_hash *key)
{
    struct cache_db_work work = {.id = next_works(store, 1), .key = *key, .has_key = true};
    if (cache_db_claim_key(store->db, work.id, key) < 0)
        return false;
    finish_removal(store, &work, 1);
    return true;
}

/* Sees to it that what writers are about to allocate fits on the disk. */
static int make_disk_room(struct cache_store *store)
{
    uint64_t missing = 0;
    for (int round = 0; round < ROUNDS; round++) {
        missing = disk_short(store, atomic_load(&store->allocating_bytes));
        if (missing == 0)
            return 0;
        int err = cache_space_evict(store, missing);
        if (err)
            return err;
    }
    return -ENOSPC;
}

static int reserve_row(struct cache_store *store, uint64_t bytes, struct cache_work *ret_work)
{
    uint64_t missing = 0;
    int err = -ENOSPC;
    *ret_work = next_works(store, 1);
    for (int round = 0; round < ROUNDS; round++) {
        err = cache_db_reserve(store->db, *ret_work, bytes, &missing);
        /* Without `missing` it was SQLite's own: a full disk. */
        if (err != -ENOSPC || missing == 0 || (err = cache_space_evict(store, missing)) < 0)
            break;
        missing = 0;
        err = -ENOSPC;
    }
    return err;
}

void cache_space_allocated(struct cache_store *store, uint64_t bytes)
{
    atomic_fetch_sub(&store->allocating_bytes, bytes);
}

int cache_space_reserve(struct cache_store *store, uint64_t bytes, struct cache_work *ret_work)
{
    if (bytes > store->budget_bytes)
        return -ENOSPC;
    atomic_fetch_add(&store->allocating_bytes, bytes);
    int err = make_disk_room(store);
    if (!err)
        err = reserve_row(store, bytes, ret_work);
    if (err)
        cache_space_allocated(store, bytes);
    return err;
}
