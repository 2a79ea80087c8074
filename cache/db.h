/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of the cache: one SQLite connection, used by one thread at a time under its own lock. Internal to
 * cache/. Only db*.c see sqlite3.h; SQLite's codes become negative errno values there, and are logged there.
 *
 * The rules that keep rows and files together, between threads, processes and crashes:
 *
 *   1. A row of `work` is a piece of work in progress: (owner, seq), the disk it may use, and, from the
 * moment it touches a segment's file, that segment's key. It is committed before the file it speaks of is
 * made or removed, and goes when the file is final or gone.
 *   2. Only the owner of the work row with key K makes, replaces or removes the file of K. At most one work
 * row has K.
 *   3. A key has a row in `segments` or a work row, never both. `segments` rows have a complete file.
 *
 * So a file without a row does not exist while anyone lives, and what a dead owner leaves is found from its
 * work rows, without looking through directories: its temporary file and the file of its key are removed,
 * then the row (owner.c). Losing power may lose the last transactions, but not files: the first start after a
 * boot that followed no clean end compares all rows and files (sweep.c).
 *
 * Errors common to all: -ENOSPC, -EBUSY (another process had the database for seconds), -EBADMSG (corrupted),
 * -ENOTCONN (not connected, see cache_db_connect), -EIO, -EROFS, -ENOMEM.
 */
#ifndef CACHE_DB_H
#define CACHE_DB_H

#include "base/bytes.h"
#include "base/hash.h"

struct cache_db;
struct cache_file_stamp;

/* Does not connect. 0 or -ENOMEM. `budget_bytes` is what everything in `dir` may take, the database included.
 */
int cache_db_create(const char *dir, uint64_t budget_bytes, struct cache_db **ret);
void cache_db_destroy(struct cache_db *db); /* NULL is allowed */
/* (Re)opens index.sqlite, makes or migrates its schema. A database found corrupted is removed and begun anew.
 * The caller holds the directory's lock (store.c). -ENOTSUP: a newer schema. On failure the connection is
 * closed. */
int cache_db_connect(struct cache_db *db, struct base_reason *why);
/* False when it has to be connected again: closed, corrupted, or its file was moved or removed. */
bool cache_db_usable(struct cache_db *db);
/* Folds the write-ahead log into the database, so that both are durable and the log is empty. */
void cache_db_checkpoint(struct cache_db *db);
/* The boot during which the database was last in use; zero = it was ended cleanly; -ENOENT = it is new. */
int cache_db_boot_get(struct cache_db *db, struct base_hash *ret);
int cache_db_boot_put(struct cache_db *db, const struct base_hash *boot);

/* ---- Work and segments ---- */

struct cache_work {
    int64_t owner;
    uint64_t seq; /* never used twice by an owner */
};
/* A work row as found in the database. */
struct cache_db_work {
    struct cache_work id;
    struct base_hash key;
    bool has_key;
};
struct cache_db_segment {
    struct base_hash key;
    uint64_t bytes;      /* what it takes of the budget */
    uint32_t cost_class; /* see cache_cost_class() */
    int64_t used_ms;     /* time of day of the last use */
};
struct cache_db_use {
    struct base_hash key;
    int64_t used_ms;
};

/* Cost classes are powers of two of the microseconds that making 4 KiB of a segment takes. Eviction takes the
 * segment with the largest age / 2^class: one that costs twice as much to make stays twice as long. */
#define CACHE_N_COST_CLASSES 24u
uint32_t cache_cost_class(uint64_t cost_us, uint64_t bytes);

/* Adds a work row without a key that may use `bytes`. -ENOSPC: the budget is short of *ret_short bytes, which
 * evicting would free; *ret_short = 0: it would not help, or the disk is full. */
int cache_db_reserve(struct cache_db *db, struct cache_work work, uint64_t bytes, uint64_t *ret_short);
/* Removes work rows. */
int cache_db_release(struct cache_db *db, const struct cache_db_work *works, size_t n);
/* Turns segments that eviction would take first into work rows of `first`'s owner (seq counted up from
 * first), at most `max`, until they hold `want_bytes`. The caller removes the files, then releases the rows.
 */
int cache_db_claim_victims(struct cache_db *db, struct cache_work first, uint64_t want_bytes, int64_t now_ms,
                           struct cache_db_work *out, size_t max, size_t *ret_n);
/* The same for one key, which need not have a row. -EBUSY: somebody is at work on it. */
int cache_db_claim_key(struct cache_db *db, struct cache_work work, const struct base_hash *key);
/* Before the rename: gives a reservation its key and its final size. -EEXIST: the key is kept already, or
 * being worked on; -ESTALE: the reservation is gone. */
int cache_db_publish_begin(struct cache_db *db, struct cache_work work, const struct base_hash *key,
                           uint64_t bytes);
/* After the rename: the work row becomes a segment's row. -ESTALE: the work row is gone, and with it perhaps
 * the file. */
int cache_db_publish_end(struct cache_db *db, struct cache_work work, const struct cache_db_segment *segment);
/* Removes the row of a key whose file is not there (somebody outside removed it): 1 if there was one, else 0.
 */
int cache_db_forget_missing(struct cache_db *db, const struct base_hash *key);
/* Adds rows for files that have none, where neither a row nor work stands and the file is still there: how
 * many, or a negative errno. */
int cache_db_adopt(struct cache_db *db, const struct cache_db_segment *segments, size_t n);
/* 1, 0, or a negative errno. */
int cache_db_has(struct cache_db *db, const struct base_hash *key);
/* Up to `max` keys of segments above `after` (NULL: from the first), ascending. */
int cache_db_keys(struct cache_db *db, const struct base_hash *after, struct base_hash *out, size_t max,
                  size_t *ret_n);
int cache_db_put_uses(struct cache_db *db, const struct cache_db_use *uses, size_t n);
/* Up to `max` owners of work rows. */
int cache_db_owners(struct cache_db *db, int64_t *out, size_t max, size_t *ret_n);
/* Up to `max` work rows of an owner. */
int cache_db_works(struct cache_db *db, int64_t owner, struct cache_db_work *out, size_t max, size_t *ret_n);
/* Bytes of everything that counts towards the budget, and number of segments. */
int cache_db_usage(struct cache_db *db, uint64_t *ret_bytes, uint64_t *ret_n);

/* By how many bytes the index may grow on the disk before the next look at it: its log is folded back at a
 * certain length. */
uint64_t cache_db_growth(const struct cache_db *db);

/* What stands in a directory's index, read-only: usage as above. -ENOENT: there is no index. */
int cache_db_look(const char *dir, uint64_t budget_bytes, uint64_t *ret_bytes, uint64_t *ret_n);

/* ---- Facts ---- */

/* Puts: -ENOSPC as for cache_db_reserve(). Gets: -ENOENT, -EIO for a bad checksum. */
int cache_db_fact_get(struct cache_db *db, const struct base_hash *key, struct base_bytes *out);
int cache_db_fact_put(struct cache_db *db, const struct base_hash *key, const void *data, size_t len,
                      uint64_t *ret_short);
int cache_db_fact_remove(struct cache_db *db, const struct base_hash *key);
/* Removes all facts and identities, and gives the room in the database back to the disk. */
int cache_db_facts_clear(struct cache_db *db);
/* `name` = hash of the path, `proof` = hash of path, stamp and identity: what is kept instead of them. */
int cache_db_identity_get(struct cache_db *db, const struct base_hash *name, struct base_hash *ret_identity,
                          struct base_hash *ret_proof);
int cache_db_identity_put(struct cache_db *db, const struct base_hash *name, const struct base_hash *identity,
                          const struct base_hash *proof, uint64_t *ret_short);

#endif
