/* SPDX-License-Identifier: Apache-2.0 */
/* What db.c, db_rows.c and db_facts.c share: the connection and short ways to run statements. */
#ifndef CACHE_DB_PRIVATE_H
#define CACHE_DB_PRIVATE_H

#include "cache/db.h"
#include "cache/paths.h"
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

enum db_statement {
    DB_BEGIN,
    DB_COMMIT,
    DB_ROLLBACK,
    DB_TOTALS,
    DB_WORK_SUM,
    DB_WORK_RESERVED,
    DB_WORK_ADD,
    DB_WORK_REMOVE,
    DB_WORK_SET_KEY,
    DB_WORK_HAS_KEY,
    DB_WORK_HAS_ID,
    DB_WORK_OWNERS,
    DB_WORK_OF,
    DB_SEGMENT_ADD,
    DB_SEGMENT_REMOVE,
    DB_SEGMENT_BYTES,
    DB_SEGMENT_OLDEST,
    DB_SEGMENT_USED,
    DB_SEGMENT_KEYS,
    DB_FACT_GET,
    DB_FACT_PUT,
    DB_FACT_REMOVE,
    DB_IDENTITY_GET,
    DB_IDENTITY_PUT,
    DB_STATE_GET,
    DB_STATE_PUT,
    DB_N_STATEMENTS
};

struct cache_db {
    char *dir;
    struct cache_path path; /* index.sqlite */
    uint64_t budget_bytes;
    /* Guards all below and serialises the connection. Innermost: nothing else is locked while it is held.
     * Held across SQLite's own I/O, which is small and bounded; never across a segment's. */
    pthread_mutex_t lock;
    sqlite3 *handle;                           /* NULL: not connected */
    sqlite3_stmt *statements[DB_N_STATEMENTS]; /* prepared at first use */
    _Atomic uint64_t log_bytes;                /* where the write-ahead log is folded back */
    bool corrupt;
    bool full;  /* the log could not grow */
    int logged; /* last error that was logged: a full disk gives one line, not one a read */
};

/* Translates and logs; also notes corruption. */
int db_error_locked(struct cache_db *db, int code);
/* Binds by `types` - i: int64_t, h: const struct base_hash *, b: const void *, size_t - in the statement's
 * order. NULL and *ret_err on failure. */
sqlite3_stmt *db_bind_locked(struct cache_db *db, enum db_statement which, int *ret_err, const char *types,
                             ...);
/* 1: a row; 0: the end; or a negative errno. At anything but a row the statement is reset. */
int db_step_locked(struct cache_db *db, sqlite3_stmt *statement);
/* Bind and step once, for statements whose rows do not matter. 1: there was a row, 0, or a negative errno. */
int db_run_locked(struct cache_db *db, enum db_statement which, const char *types, ...);
/* A write transaction: every begin that returned 0 is ended, which commits if err is 0, else rolls back and
 * returns err. */
int db_begin_locked(struct cache_db *db);
int db_end_locked(struct cache_db *db, int err);
/* Statements without parameters or results. */
int db_exec_locked(struct cache_db *db, const char *sql);
/* Rows changed by the last statement. */
int db_changes_locked(struct cache_db *db);
/* Copies a 16-byte column. */
bool db_column_hash(sqlite3_stmt *statement, int column, struct base_hash *ret);
/* Bytes that count towards the budget now, the database and directories included. In a write transaction, so
 * that nothing can be added meanwhile. */
int db_used_locked(struct cache_db *db, uint64_t *ret_bytes, uint64_t *ret_n);
/* 0, or -ENOSPC and by how much `bytes` more would go over the budget; *ret_short = 0 when not even evicting
 * all segments would make that room. */
int db_fits_locked(struct cache_db *db, uint64_t bytes, uint64_t *ret_short);

#endif
