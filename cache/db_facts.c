/* SPDX-License-Identifier: Apache-2.0 */
/* Facts and identities: small things kept in the database itself. */
#include "cache/db_private.h"

#include <errno.h>

/* Room that a put takes of the budget: once in the log and once in the database, and pages of the trees. */
static uint64_t put_bytes(size_t len)
{
    return 2 * ((uint64_t)len + (uint64_t)len / 512) + (uint64_t)8 * 4096;
}

static int checksum(const struct base_hash *key, const void *data, size_t len, struct base_hash *ret)
{
    struct base_hasher *h = base_hasher_create();
    if (!h)
        return -ENOMEM;
    base_hasher_add(h, key, sizeof *key);
    base_hasher_add(h, data, len);
    *ret = base_hasher_finish(h);
    return 0;
}

/* Appends a fact's bytes if they have the checksum that was kept with them. */
static int take_fact(sqlite3_stmt *statement, const struct base_hash *key, struct base_bytes *out)
{
    struct base_hash kept, now;
    size_t len = (size_t)sqlite3_column_bytes(statement, 1);
    const void *data = len > 0 ? sqlite3_column_blob(statement, 1) : "";
    if (!data)
        return -ENOMEM;
    int err = checksum(key, data, len, &now);
    if (err)
        return err;
    if (!db_column_hash(statement, 0, &kept) || !base_hash_equal(&kept, &now))
        return -EIO;
    if (base_bytes_reserve(out, len) < 0)
        return -ENOMEM;
    base_bytes_append(out, data, len);
    return 0;
}

int cache_db_fact_get(struct cache_db *db, const struct base_hash *key, struct base_bytes *out)
{
    int err = 0;
    pthread_mutex_lock(&db->lock);
    sqlite3_stmt *statement = db_bind_locked(db, DB_FACT_GET, &err, "h", key);
    if (statement)
        err = db_step_locked(db, statement);
    if (err > 0) {
        err = take_fact(statement, key, out);
        sqlite3_reset(statement);
    } else if (err == 0) {
        err = -ENOENT;
    }
    pthread_mutex_unlock(&db->lock);
    return err;
}

int cache_db_fact_put(struct cache_db *db, const struct base_hash *key, const void *data, size_t len,
                      uint64_t *ret_short)
{
    struct base_hash sum;
    int err = checksum(key, data, len, &sum);
    if (err)
        return err;
    pthread_mutex_lock(&db->lock);
    err = db_begin_locked(db);
    if (!err) {
        err = db_fits_locked(db, put_bytes(len), ret_short);
        if (!err)
            err = db_run_locked(db, DB_FACT_PUT, "hhb", key, &sum, data, len);
        err = db_end_locked(db, err);
    }
    pthread_mutex_unlock(&db->lock);
    return err;
}

int cache_db_fact_remove(struct cache_db *db, const struct base_hash *key)
{
    pthread_mutex_lock(&db->lock);
    int err = db_run_locked(db, DB_FACT_REMOVE, "h", key);
    pthread_mutex_unlock(&db->lock);
    return err;
}

int cache_db_facts_clear(struct cache_db *db)
{
    pthread_mutex_lock(&db->lock);
    int err = db_begin_locked(db);
    if (!err)
        err = db_end_locked(db, db_exec_locked(db, "DELETE FROM facts; DELETE FROM identities"));
    if (!err)
        (void)db_exec_locked(db, "VACUUM");
    pthread_mutex_unlock(&db->lock);
    return err;
}

int cache_db_identity_get(struct cache_db *db, const struct base_hash *name, struct base_hash *ret_identity,
                          struct base_hash *ret_proof)
{
    int err = 0;
    pthread_mutex_lock(&db->lock);
    sqlite3_stmt *statement = db_bind_locked(db, DB_IDENTITY_GET, &err, "h", name);
    if (statement)
        err = db_step_locked(db, statement);
    if (err > 0) {
        bool good = db_column_hash(statement, 0, ret_identity) && db_column_hash(statement, 1, ret_proof);
        sqlite3_reset(statement);
        err = good ? 0 : -ENOENT;
    } else if (err == 0) {
        err = -ENOENT;
    }
    pthread_mutex_unlock(&db->lock);
    return err;
}

int cache_db_identity_put(struct cache_db *db, const struct base_hash *name, const struct base_hash *identity,
                          const struct base_hash *proof, uint64_t *ret_short)
{
    pthread_mutex_lock(&db->lock);
    int err = db_begin_locked(db);
    if (!err) {
        err = db_fits_locked(db, put_bytes(3 * sizeof *name), ret_short);
        if (!err)
            err = db_run_locked(db, DB_IDENTITY_PUT, "hhh", name, identity, proof);
        err = db_end_locked(db, err);
    }
    pthread_mutex_unlock(&db->lock);
    return err;
}
