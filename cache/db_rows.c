/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of segments and work. The rules they follow stand in db.h. */
#include "cache/db_private.h"

#include <errno.h>

uint32_t cache_cost_class(uint64_t cost_us, uint64_t bytes)
{
    uint64_t blocks = BASE_MAX(bytes / 4096, 1);
    uint64_t us_per_block = cost_us / blocks;
    uint32_t cost_class = 0;
    while (us_per_block > 1 && cost_class + 1 < CACHE_N_COST_CLASSES) {
        us_per_block >>= 1;
        cost_class++;
    }
    return cost_class;
}

int cache_db_reserve(struct cache_db *db, struct cache_work work, uint64_t bytes, uint64_t *ret_short)
{
    pthread_mutex_lock(&db->lock);
    int err = db_begin_locked(db);
    if (!err) {
        err = db_fits_locked(db, bytes, ret_short);
        if (!err)
            err = db_run_locked(db, DB_WORK_ADD, "iiih", work.owner, (int64_t)work.seq, (int64_t)bytes,
                                (const struct base_hash *)NULL);
        err = db_end_locked(db, err);
    }
    pthread_mutex_unlock(&db->lock);
    return err;
}

int cache_db_release(struct cache_db *db, const struct cache_db_work *works, size_t n)
{
    if (n == 0)
        return 0;
    pthread_mutex_lock(&db->lock);
    int err = db_begin_locked(db);
    if (!err) {
        for (size_t i = 0; !err && i < n; i++)
            err = db_run_locked(db, DB_WORK_REMOVE, "ii", works[i].id.owner, (int64_t)works[i].id.seq);
        err = db_end_locked(db, err);
    }
    pthread_mutex_unlock(&db->lock);
    return err;
}

/* The segment of a class that was not used for the longest time. */
struct head {
    struct cache_db_segment segment;
    bool known, none;
};

static int read_head_locked(struct cache_db *db, uint32_t cost_class, struct head *head)
{
    int err = 0;
    sqlite3_stmt *statement = db_bind_locked(db, DB_SEGMENT_OLDEST, &err, "i", (int64_t)cost_class);
    if (statement)
        err = db_step_locked(db, statement);
    if (err < 0)
        return err;
    head->known = true;
    head->none = err == 0;
    if (err == 0)
        return 0;
    head->segment.bytes = (uint64_t)sqlite3_column_int64(statement, 1);
    head->segment.used_ms = sqlite3_column_int64(statement, 2);
    bool good = db_column_hash(statement, 0, &head->segment.key);
    sqlite3_reset(statement);
    return good ? 0 : db_error_locked(db, SQLITE_CORRUPT);
}

/* age / 2^class, in 2^-24 ms. */
static uint64_t badness(const struct head *head, uint32_t cost_class, int64_t now_ms)
{
    uint64_t age = now_ms > head->segment.used_ms ? (uint64_t)(now_ms - head->segment.used_ms) : 1;
    return (BASE_MIN(age, (uint64_t)1 << 39) << 24) >> cost_class;
}

static int claim_locked(struct cache_db *db, struct cache_work work, uint64_t bytes,
                        const struct base_hash *key)
{
    int err = db_run_locked(db, DB_SEGMENT_REMOVE, "h", key);
    return err ? err
               : db_run_locked(db, DB_WORK_ADD, "iiih", work.owner, (int64_t)work.seq, (int64_t)bytes, key);
}

static int pick_locked(struct cache_db *db, struct head *heads, int64_t now_ms, struct head **ret)
{
    uint64_t worst = 0;
    *ret = NULL;
    for (uint32_t i = 0; i < CACHE_N_COST_CLASSES; i++) {
        int err = heads[i].known ? 0 : read_head_locked(db, i, &heads[i]);
        if (err < 0)
            return err;
        if (heads[i].none || (*ret && badness(&heads[i], i, now_ms) <= worst))
            continue;
        worst = badness(&heads[i], i, now_ms);
        *ret = &heads[i];
    }
    return 0;
}

static int claim_victims_locked(struct cache_db *db, struct cache_work first, uint64_t want_bytes,
                                int64_t now_ms, struct cache_db_work *out, size_t max, size_t *n)
{
    struct head heads[CACHE_N_COST_CLASSES] = {0};
    uint64_t got = 0;
    while (*n < max && got < want_bytes) {
        struct head *victim;
        int err = pick_locked(db, heads, now_ms, &victim);
        if (err || !victim)
            return err;
        struct cache_work work = {.owner = first.owner, .seq = first.seq + *n};
        err = claim_locked(db, work, victim->segment.bytes, &victim->segment.key);
        if (err)
            return err;
        out[*n] = (struct cache_db_work){.id = work, .key = victim->segment.key, .has_key = true};
        *n += 1;
        got += victim->segment.bytes;
        victim->known = false;
    }
    return 0;
}

int cache_db_claim_victims(struct cache_db *db, struct cache_work first, uint64_t want_bytes, int64_t now_ms,
                           struct cache_db_work *out, size_t max, size_t *ret_n)
{
    size_t n = 0;
    pthread_mutex_lock(&db->lock);
    int err = db_begin_locked(db);
    if (!err)
        err = db_end_locked(db, claim_victims_locked(db, first, want_bytes, now_ms, out, max, &n));
    pthread_mutex_unlock(&db->lock);
    *ret_n = err ? 0 : n;
    return err;
}

/* The bytes of a kept segment, -ENOENT, or another negative errno. */
static int segment_bytes_locked(struct cache_db *db, const struct base_hash *key, uint64_t *ret)
{
    int err = 0;
    sqlite3_stmt *statement = db_bind_locked(db, DB_SEGMENT_BYTES, &err, "h", key);
    if (statement)
        err = db_step_locked(db, statement);
    if (err <= 0)
        return err < 0 ? err : -ENOENT;
    *ret = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return 0;
}

int cache_db_claim_key(struct cache_db *db, struct cache_work work, const struct base_hash *key)
{
    uint64_t bytes = 0;
    pthread_mutex_lock(&db->lock);
    int err = db_begin_locked(db);
    if (!err) {
        int busy = db_run_locked(db, DB_WORK_HAS_KEY, "h", key);
        err = busy > 0 ? -EBUSY : busy;
        if (!err)
            err = segment_bytes_locked(db, key, &bytes);
        if (!err || err == -ENOENT)
            err = claim_locked(db, work, bytes, key);
        err = db_end_locked(db, err);
    }
    pthread_mutex_unlock(&db->lock);
    return err;
}

/* 1: the key has a row or somebody works on it. */
static int taken_locked(struct cache_db *db, const struct base_hash *key)
{
    int taken = db_run_locked(db, DB_SEGMENT_BYTES, "h", key);
    return taken ? taken : db_run_locked(db, DB_WORK_HAS_KEY, "h", key);
}

int cache_db_publish_begin(struct cache_db *db, struct cache_work work, const struct base_hash *key,
                           uint64_t bytes)
{
    pthread_mutex_lock(&db->lock);
    int err = db_begin_locked(db);
    if (!err) {
        int taken = taken_locked(db, key);
        err = taken > 0 ? -EEXIST : taken;
        if (!err)
            err = db_run_locked(db, DB_WORK_SET_KEY, "hiii", key, (int64_t)bytes, work.owner,
                                (int64_t)work.seq);
        if (!err && db_changes_locked(db) == 0)
            err = -ESTALE;
        err = db_end_locked(db, err);
    }
    pthread_mutex_unlock(&db->lock);
    return err;
}

static int add_locked(struct cache_db *db, const struct cache_db_segment *s)
{
    return db_run_locked(db, DB_SEGMENT_ADD, "hiii", &s->key, (int64_t)s->bytes, (int64_t)s->cost_class,
                         s->used_ms);
}

int cache_db_publish_end(struct cache_db *db, struct cache_work work, const struct cache_db_segment *segment)
{
    pthread_mutex_lock(&db->lock);
    int err = db_begin_locked(db);
    if (!err) {
        err = db_run_locked(db, DB_WORK_REMOVE, "ii", work.owner, (int64_t)work.seq);
        if (!err && db_changes_locked(db) == 0)
            err = -ESTALE;
        if (!err)
            err = add_locked(db, segment);
        err = db_end_locked(db, err);
    }
    pthread_mutex_unlock(&db->lock);
    return err;
}

static bool file_missing(const struct cache_db *db, const struct base_hash *key)
{
    struct cache_path path = cache_path_segment(db->dir, key);
    return access(path.text, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

int cache_db_forget_missing(struct cache_db *db, const struct base_hash *key)
{
    pthread_mutex_lock(&db->lock);
    /* Looks without a transaction first: a miss is usual, a row without a file is not. */
    int removed = 0, err = db_run_locked(db, DB_SEGMENT_BYTES, "h", key);
    if (err > 0) {
        err = db_begin_locked(db);
        if (!err) {
            /* No file appears under a key that has a row and no work (rule 2), so looking once is enough. */
            if (file_missing(db, key) && (err = db_run_locked(db, DB_SEGMENT_REMOVE, "h", key)) == 0)
                removed = db_changes_locked(db) > 0;
            err = db_end_locked(db, err);
        }
    }
    pthread_mutex_unlock(&db->lock);
    return err ? err : removed;
}

int cache_db_adopt(struct cache_db *db, const struct cache_db_segment *segments, size_t n)
{
    int n_added = 0;
    if (n == 0)
        return 0;
    pthread_mutex_lock(&db->lock);
    int err = db_begin_locked(db);
    if (!err) {
        for (size_t i = 0; err >= 0 && i < n; i++) {
            err = taken_locked(db, &segments[i].key);
            if (err != 0 || file_missing(db, &segments[i].key))
                continue;
            err = add_locked(db, &segments[i]);
            n_added++;
        }
        err = db_end_locked(db, BASE_MIN(err, 0));
    }
    pthread_mutex_unlock(&db->lock);
    return err ? err : n_added;
}

int cache_db_has(struct cache_db *db, const struct base_hash *key)
{
    pthread_mutex_lock(&db->lock);
    int has = taken_locked(db, key);
    pthread_mutex_unlock(&db->lock);
    return has;
}

int cache_db_keys(struct cache_db *db, const struct base_hash *after, struct base_hash *out, size_t max,
                  size_t *ret_n)
{
    size_t n = 0;
    int err = 0;
    pthread_mutex_lock(&db->lock);
    sqlite3_stmt *statement = db_bind_locked(db, DB_SEGMENT_KEYS, &err, "bi", (const void *)after,
                                             after ? sizeof *after : (size_t)0, (int64_t)max);
    while (statement && n < max && (err = db_step_locked(db, statement)) > 0) {
        if (!db_column_hash(statement, 0, &out[n++])) {
            err = db_error_locked(db, SQLITE_CORRUPT);
            break;
        }
    }
    if (statement)
        sqlite3_reset(statement);
    pthread_mutex_unlock(&db->lock);
    *ret_n = n;
    return BASE_MIN(err, 0);
}

/* Small transactions: each use may touch three pages, and the log has its bound. */
#define USES_AT_ONCE 32u

static int put_uses_locked(struct cache_db *db, const struct cache_db_use *uses, size_t n)
{
    int err = db_begin_locked(db);
    if (err)
        return err;
    for (size_t i = 0; !err && i < n; i++)
        err = db_run_locked(db, DB_SEGMENT_USED, "ih", uses[i].used_ms, &uses[i].key);
    return db_end_locked(db, err);
}

int cache_db_put_uses(struct cache_db *db, const struct cache_db_use *uses, size_t n)
{
    int err = 0;
    for (size_t i = 0; !err && i < n; i += USES_AT_ONCE) {
        pthread_mutex_lock(&db->lock);
        err = put_uses_locked(db, uses + i, BASE_MIN(n - i, USES_AT_ONCE));
        pthread_mutex_unlock(&db->lock);
    }
    return err;
}

int cache_db_owners(struct cache_db *db, int64_t *out, size_t max, size_t *ret_n)
{
    size_t n = 0;
    int err = 0;
    pthread_mutex_lock(&db->lock);
    sqlite3_stmt *statement = db_bind_locked(db, DB_WORK_OWNERS, &err, "i", (int64_t)max);
    while (statement && n < max && (err = db_step_locked(db, statement)) > 0)
        out[n++] = sqlite3_column_int64(statement, 0);
    if (statement)
        sqlite3_reset(statement);
    pthread_mutex_unlock(&db->lock);
    *ret_n = n;
    return BASE_MIN(err, 0);
}

int cache_db_works(struct cache_db *db, int64_t owner, struct cache_db_work *out, size_t max, size_t *ret_n)
{
    size_t n = 0;
    int err = 0;
    pthread_mutex_lock(&db->lock);
    sqlite3_stmt *statement = db_bind_locked(db, DB_WORK_OF, &err, "ii", owner, (int64_t)max);
    while (statement && n < max && (err = db_step_locked(db, statement)) > 0) {
        out[n].id = (struct cache_work){owner, (uint64_t)sqlite3_column_int64(statement, 0)};
        out[n].has_key = db_column_hash(statement, 1, &out[n].key);
        n++;
    }
    if (statement)
        sqlite3_reset(statement);
    pthread_mutex_unlock(&db->lock);
    *ret_n = n;
    return BASE_MIN(err, 0);
}

int cache_db_usage(struct cache_db *db, uint64_t *ret_bytes, uint64_t *ret_n)
{
    pthread_mutex_lock(&db->lock);
    int err = db_used_locked(db, ret_bytes, ret_n);
    pthread_mutex_unlock(&db->lock);
    return err;
}
