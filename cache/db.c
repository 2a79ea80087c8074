/* SPDX-License-Identifier: Apache-2.0 */
/* The connection: opening, schema, errors, transactions. */
#include "cache/db_private.h"

#include "base/log.h"
#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* How long a statement waits for another process's transaction. All of them are short. */
#define BUSY_MS 5000
#define PAGE_BYTES 4096u

/* Step i takes schema i to i + 1, inside the transaction that sets user_version. Released steps never change.
 */
static const char *const migrations[] = {
    /* WITHOUT ROWID where rows are small: one tree instead of two. About 100 bytes a segment, index included.
     */
    "CREATE TABLE segments (key BLOB PRIMARY KEY, bytes INTEGER NOT NULL, class INTEGER NOT NULL,"
    "                       used INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX segments_by_age ON segments (class, used);"
    "CREATE TABLE work (owner INTEGER, seq INTEGER, bytes INTEGER NOT NULL, key BLOB,"
    "                   PRIMARY KEY (owner, seq)) WITHOUT ROWID;"
    /* The sum over segments, kept by triggers: REPLACE is never used on segments, because it would pass them
       by. */
    "CREATE TABLE totals (id INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, n INTEGER NOT NULL);"
    "INSERT INTO totals VALUES (0, 0, 0);"
    "CREATE TRIGGER segment_added AFTER INSERT ON segments BEGIN"
    "  UPDATE totals SET bytes = bytes + new.bytes, n = n + 1; END;"
    "CREATE TRIGGER segment_removed AFTER DELETE ON segments BEGIN"
    "  UPDATE totals SET bytes = bytes - old.bytes, n = n - 1; END;"
    /* Facts may be large, so they have a rowid: small keys in the tree, data in overflow pages. */
    "CREATE TABLE facts (key BLOB PRIMARY KEY, sum BLOB NOT NULL, data BLOB NOT NULL);"
    "CREATE TABLE identities (name BLOB PRIMARY KEY, identity BLOB NOT NULL, proof BLOB NOT NULL)"
    "  WITHOUT ROWID;"
    "CREATE TABLE state (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;",
};
#define SCHEMA_VERSION ((int)BASE_ARRAY_LEN(migrations))

static const char *const statement_sql[DB_N_STATEMENTS] = {
    [DB_BEGIN] = "BEGIN IMMEDIATE",
    [DB_COMMIT] = "COMMIT",
    [DB_ROLLBACK] = "ROLLBACK",
    [DB_TOTALS] = "SELECT bytes, n FROM totals WHERE id = 0",
    [DB_WORK_SUM] = "SELECT coalesce(sum(bytes), 0), 0 FROM work",
    [DB_WORK_RESERVED] = "SELECT coalesce(sum(bytes), 0), 0 FROM work WHERE key IS NULL",
    [DB_WORK_ADD] = "INSERT INTO work (owner, seq, bytes, key) VALUES (?, ?, ?, ?)",
    [DB_WORK_REMOVE] = "DELETE FROM work WHERE owner = ? AND seq = ?",
    [DB_WORK_SET_KEY] = "UPDATE work SET key = ?, bytes = ? WHERE owner = ? AND seq = ? AND key IS NULL",
    [DB_WORK_HAS_KEY] = "SELECT 1 FROM work WHERE key = ?",
    [DB_WORK_HAS_ID] = "SELECT 1 FROM work WHERE owner = ? AND seq = ?",
    [DB_WORK_OWNERS] = "SELECT DISTINCT owner FROM work LIMIT ?",
    [DB_WORK_OF] = "SELECT seq, key FROM work WHERE owner = ? LIMIT ?",
    [DB_SEGMENT_ADD] = "INSERT INTO segments (key, bytes, class, used) VALUES (?, ?, ?, ?)",
    [DB_SEGMENT_REMOVE] = "DELETE FROM segments WHERE key = ?",
    [DB_SEGMENT_BYTES] = "SELECT bytes FROM segments WHERE key = ?",
    [DB_SEGMENT_OLDEST] = "SELECT key, bytes, used FROM segments WHERE class = ? ORDER BY used LIMIT 1",
    [DB_SEGMENT_USED] = "UPDATE segments SET used = ?1 WHERE key = ?2 AND used < ?1",
    [DB_SEGMENT_KEYS] = "SELECT key FROM segments WHERE key > ? ORDER BY key LIMIT ?",
    [DB_FACT_GET] = "SELECT sum, data FROM facts WHERE key = ?",
    [DB_FACT_PUT] = "REPLACE INTO facts (key, sum, data) VALUES (?, ?, ?)",
    [DB_FACT_REMOVE] = "DELETE FROM facts WHERE key = ?",
    [DB_IDENTITY_GET] = "SELECT identity, proof FROM identities WHERE name = ?",
    [DB_IDENTITY_PUT] = "REPLACE INTO identities (name, identity, proof) VALUES (?, ?, ?)",
    [DB_STATE_GET] = "SELECT value FROM state WHERE name = 'boot'",
    [DB_STATE_PUT] = "REPLACE INTO state (name, value) VALUES ('boot', ?)",
};

static int translate(int code, int system_errno)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EBADMSG;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_CANTOPEN:
        /* Where SQLite could not make a file it tries to open it, and keeps that error. The directory is
         * there; so there is no room, or there is soon. */
        if (system_errno == ENOENT)
            return -ENOSPC;
        /* fall through */
    case SQLITE_IOERR:
        return system_errno == ENOSPC || system_errno == EDQUOT ? -ENOSPC
               : system_errno > 0                               ? -system_errno
                                                                : -EIO;
    default:
        return -EIO;
    }
}

int db_error_locked(struct cache_db *db, int code)
{
    int err = translate(code, db->handle ? sqlite3_system_errno(db->handle) : 0);
    if (err == -EBADMSG)
        db->corrupt = true;
    if (err == -ENOSPC)
        db->full = true;
    if (err != db->logged)
        base_log(BASE_LOG_WARNING, "%s: %s", db->path.text,
                 db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code));
    db->logged = err;
    return err;
}

static sqlite3_stmt *prepared_locked(struct cache_db *db, enum db_statement which, int *ret_err)
{
    sqlite3_stmt **statement = &db->statements[which];
    if (!db->handle) {
        *ret_err = -ENOTCONN;
        return NULL;
    }
    if (*statement)
        return *statement;
    int code =
        sqlite3_prepare_v3(db->handle, statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
    /* The words are right: what they speak of is not there, so this is no index of ours any more. */
    if (code != SQLITE_OK)
        *ret_err = db_error_locked(db, code == SQLITE_ERROR ? SQLITE_CORRUPT : code);
    return *statement;
}

static int bind_next(sqlite3_stmt *statement, int i, char type, va_list *args)
{
    if (type == 'i')
        return sqlite3_bind_int64(statement, i, va_arg(*args, int64_t));
    if (type == 'h') { /* a NULL pointer binds NULL */
        const struct base_hash *hash = va_arg(*args, const struct base_hash *);
        return sqlite3_bind_blob64(statement, i, hash, sizeof *hash, SQLITE_TRANSIENT);
    }
    const void *data = va_arg(*args, const void *);
    size_t len = va_arg(*args, size_t);
    /* Static: callers step before they return. "" makes an empty blob, not NULL. */
    return sqlite3_bind_blob64(statement, i, len > 0 ? data : "", len, SQLITE_STATIC);
}

static sqlite3_stmt *bind_locked(struct cache_db *db, enum db_statement which, int *ret_err,
                                 const char *types, va_list *args)
{
    sqlite3_stmt *statement = prepared_locked(db, which, ret_err);
    int code = SQLITE_OK;
    for (int i = 1; statement && code == SQLITE_OK && types[i - 1]; i++)
        code = bind_next(statement, i, types[i - 1], args);
    if (code == SQLITE_OK)
        return statement;
    *ret_err = db_error_locked(db, code);
    return NULL;
}

sqlite3_stmt *db_bind_locked(struct cache_db *db, enum db_statement which, int *ret_err, const char *types,
                             ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *statement = bind_locked(db, which, ret_err, types, &args);
    va_end(args);
    return statement;
}

int db_run_locked(struct cache_db *db, enum db_statement which, const char *types, ...)
{
    int err = 0;
    va_list args;
    va_start(args, types);
    sqlite3_stmt *statement = bind_locked(db, which, &err, types, &args);
    va_end(args);
    if (statement)
        err = db_step_locked(db, statement);
    if (err > 0)
        sqlite3_reset(statement);
    return err;
}

int db_step_locked(struct cache_db *db, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return 1;
    int err = code == SQLITE_DONE ? 0 : db_error_locked(db, code);
    sqlite3_reset(statement);
    return err;
}

int db_begin_locked(struct cache_db *db)
{
    /* On a full disk the log cannot grow, and without it nothing can be evicted that would make room. Folded
     * back it is written anew from its start, in the room that it has. */
    if (db->full && db->handle)
        (void)sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    db->full = false;
    int err = db_run_locked(db, DB_BEGIN, "");
    /* Never one that nobody will end. */
    if (err < 0 && db->handle && !sqlite3_get_autocommit(db->handle))
        (void)db_run_locked(db, DB_ROLLBACK, "");
    return err;
}

int db_end_locked(struct cache_db *db, int err)
{
    if (err >= 0) {
        err = db_run_locked(db, DB_COMMIT, "");
        if (err == 0)
            db->logged = 0;
    }
    /* Some errors (a full disk) have rolled back already; then there is nothing to end. */
    if (err < 0 && db->handle && !sqlite3_get_autocommit(db->handle))
        (void)db_run_locked(db, DB_ROLLBACK, "");
    return err;
}

int db_changes_locked(struct cache_db *db)
{
    return sqlite3_changes(db->handle);
}

bool db_column_hash(sqlite3_stmt *statement, int column, struct base_hash *ret)
{
    if (sqlite3_column_bytes(statement, column) != (int)sizeof *ret)
        return false;
    memcpy(ret, sqlite3_column_blob(statement, column), sizeof *ret);
    return true;
}

static uint64_t size_of(const char *dir, const char *name)
{
    struct stat st;
    struct cache_path path = cache_path_in(dir, name);
    return stat(path.text, &st) < 0 ? 0 : BASE_MAX((uint64_t)st.st_size, (uint64_t)st.st_blocks * 512);
}

/* What is on disk beside segments and temporary files, and the room that the database may need before the
 * next look: once the log's length, and a page for each directory below segments/. */
static uint64_t overhead(const struct cache_db *db)
{
    struct stat st;
    struct cache_path segments = cache_path_in(db->dir, "segments");
    /* Two links and one for each directory; filesystems that do not count them say 1. */
    uint64_t n_dirs = stat(segments.text, &st) == 0 && st.st_nlink >= 2 ? (uint64_t)st.st_nlink - 2 : 256;
    uint64_t log = BASE_MAX(size_of(db->dir, "index.sqlite-wal"), db->log_bytes);
    return size_of(db->dir, "index.sqlite") + log + db->log_bytes +
           BASE_MAX(size_of(db->dir, "index.sqlite-shm"), (uint64_t)64 * 1024) + (n_dirs + 4) * PAGE_BYTES;
}

uint64_t cache_db_growth(const struct cache_db *db)
{
    uint64_t log = BASE_MIN(size_of(db->dir, "index.sqlite-wal"), db->log_bytes);
    return db->log_bytes - log + db->log_bytes;
}

/* A row of two numbers that are never negative. */
static int read_sums_locked(struct cache_db *db, enum db_statement which, uint64_t ret[2])
{
    int err = 0;
    sqlite3_stmt *statement = db_bind_locked(db, which, &err, "");
    if (statement)
        err = db_step_locked(db, statement);
    if (err <= 0)
        return err < 0 ? err : db_error_locked(db, SQLITE_CORRUPT);
    for (int i = 0; i < 2; i++)
        ret[i] = (uint64_t)BASE_MAX(sqlite3_column_int64(statement, i), 0);
    sqlite3_reset(statement);
    return 0;
}

int db_used_locked(struct cache_db *db, uint64_t *ret_bytes, uint64_t *ret_n)
{
    uint64_t segments[2], work[2];
    int err = read_sums_locked(db, DB_TOTALS, segments);
    if (!err)
        err = read_sums_locked(db, DB_WORK_SUM, work);
    if (err)
        return err;
    *ret_bytes = segments[0] + work[0] + overhead(db);
    *ret_n = segments[1];
    return 0;
}

int db_fits_locked(struct cache_db *db, uint64_t bytes, uint64_t *ret_short)
{
    uint64_t used, n, reserved[2];
    int err = db_used_locked(db, &used, &n);
    if (!err)
        err = read_sums_locked(db, DB_WORK_RESERVED, reserved);
    if (err)
        return err;
    if (used + bytes <= db->budget_bytes)
        return 0;
    bool possible = bytes + reserved[0] + overhead(db) <= db->budget_bytes;
    *ret_short = possible ? used + bytes - db->budget_bytes : 0;
    return -ENOSPC;
}

/* A larger log is folded back more rarely, and takes room from segments. */
static void set_log_bytes(struct cache_db *db)
{
    struct statvfs st;
    uint64_t disk_bytes = statvfs(db->dir, &st) == 0 ? (uint64_t)st.f_blocks * st.f_frsize : UINT64_MAX;
    uint64_t log_bytes = BASE_MIN(BASE_MIN(db->budget_bytes, disk_bytes) / 64, (uint64_t)4 << 20);
    db->log_bytes = BASE_MAX(log_bytes, (uint64_t)64 << 10);
}

int cache_db_create(const char *dir, uint64_t budget_bytes, struct cache_db **ret)
{
    struct cache_db *db = calloc(1, sizeof *db);
    char *copy = strdup(dir);
    if (!db || !copy) {
        free(db);
        free(copy);
        return -ENOMEM;
    }
    db->dir = copy;
    db->path = cache_path_in(dir, "index.sqlite");
    db->budget_bytes = budget_bytes;
    set_log_bytes(db);
    pthread_mutex_init(&db->lock, NULL);
    *ret = db;
    return 0;
}

static void disconnect_locked(struct cache_db *db)
{
    for (size_t i = 0; i < BASE_ARRAY_LEN(db->statements); i++) {
        sqlite3_finalize(db->statements[i]);
        db->statements[i] = NULL;
    }
    sqlite3_close(db->handle);
    db->handle = NULL;
}

void cache_db_destroy(struct cache_db *db)
{
    if (!db)
        return;
    disconnect_locked(db);
    pthread_mutex_destroy(&db->lock);
    free(db->dir);
    free(db);
}

static int read_version_locked(struct cache_db *db, int *ret)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db->handle, "PRAGMA user_version", -1, &statement, NULL);
    if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        *ret = sqlite3_column_int(statement, 0);
        code = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return code == SQLITE_OK ? 0 : db_error_locked(db, code);
}

int db_exec_locked(struct cache_db *db, const char *sql)
{
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : db_error_locked(db, code);
}

static int migrate_locked(struct cache_db *db, struct base_reason *why)
{
    int version = 0;
    int err = db_begin_locked(db);
    if (err < 0)
        return err;
    err = read_version_locked(db, &version);
    if (!err && (version < 0 || version > SCHEMA_VERSION))
        err = base_fail(
            why, -ENOTSUP,
            "the cache directory %s was written by a newer corpusfs (schema %d, this one knows %d): "
            "use that version, or another cache directory, or remove this one",
            db->dir, version, SCHEMA_VERSION);
    for (int i = version; !err && i < SCHEMA_VERSION; i++)
        err = db_exec_locked(db, migrations[i]);
    if (!err && version < SCHEMA_VERSION) {
        char sql[64];
        (void)snprintf(sql, sizeof sql, "PRAGMA user_version = %d", SCHEMA_VERSION);
        err = db_exec_locked(db, sql);
    }
    return db_end_locked(db, err);
}

static int open_locked(struct cache_db *db, struct base_reason *why)
{
    set_log_bytes(db);
    int code = sqlite3_open_v2(
        db->path.text, &db->handle,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code != SQLITE_OK)
        return db_error_locked(db, code);
    sqlite3_busy_timeout(db->handle, BUSY_MS);
    /* A connection to a database that was removed or replaced must not, when it is closed, delete the new
     * one's log by name: so no connection ever does, and a clean end empties the log instead
     * (cache_db_checkpoint). */
    int on = 1;
    sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    char sql[256];
    (void)snprintf(
        sql, sizeof sql,
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = OFF;"
        "PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = %u; PRAGMA journal_size_limit = %u",
        (unsigned)(db->log_bytes / PAGE_BYTES), (unsigned)db->log_bytes);
    int err = db_exec_locked(db, sql);
    return err ? err : migrate_locked(db, why);
}

static void remove_files_locked(struct cache_db *db)
{
    static const char *const names[] = {"index.sqlite", "index.sqlite-wal", "index.sqlite-shm"};
    for (size_t i = 0; i < BASE_ARRAY_LEN(names); i++) {
        struct cache_path path = cache_path_in(db->dir, names[i]);
        (void)unlink(path.text);
    }
}

static bool moved_locked(struct cache_db *db)
{
    int moved = 1;
    return sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK || moved;
}

/* A corrupted database is removed, not kept beside: a second copy would count towards the budget, and all in
 * it can be found again, segments from their files and facts from the sources. Not when another process has
 * put a new one in its place meanwhile. */
static void remove_corrupt_locked(struct cache_db *db)
{
    bool ours = !db->handle || !moved_locked(db);
    disconnect_locked(db);
    if (!ours)
        return;
    base_log(BASE_LOG_WARNING, "%s is corrupted: it is made anew from the segments in %s", db->path.text,
             db->dir);
    remove_files_locked(db);
}

int cache_db_connect(struct cache_db *db, struct base_reason *why)
{
    pthread_mutex_lock(&db->lock);
    db->logged = 0;
    if (db->corrupt)
        remove_corrupt_locked(db);
    disconnect_locked(db);
    db->corrupt = false;
    int err = open_locked(db, why);
    if (err == -EBADMSG) {
        remove_corrupt_locked(db);
        db->corrupt = false;
        err = open_locked(db, why);
    }
    if (err && err != -ENOTSUP)
        base_fail(why, err, "the cache index %s cannot be used: %s", db->path.text,
                  db->handle ? sqlite3_errmsg(db->handle) : strerror(-err));
    if (err)
        disconnect_locked(db);
    pthread_mutex_unlock(&db->lock);
    return err;
}

bool cache_db_usable(struct cache_db *db)
{
    pthread_mutex_lock(&db->lock);
    bool usable = db->handle && !db->corrupt && !moved_locked(db);
    pthread_mutex_unlock(&db->lock);
    return usable;
}

static int look_locked(struct cache_db *db, uint64_t *ret_bytes, uint64_t *ret_n)
{
    int version = 0;
    int code = sqlite3_open_v2(db->path.text, &db->handle,
                               SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code != SQLITE_OK)
        return db_error_locked(db, code);
    sqlite3_busy_timeout(db->handle, BUSY_MS);
    int err = read_version_locked(db, &version);
    if (!err && version != SCHEMA_VERSION)
        err = version == 0 ? -ENOENT : -ENOTSUP;
    return err ? err : db_used_locked(db, ret_bytes, ret_n);
}

int cache_db_look(const char *dir, uint64_t budget_bytes, uint64_t *ret_bytes, uint64_t *ret_n)
{
    struct cache_db *db;
    int err = cache_db_create(dir, budget_bytes, &db);
    if (err)
        return err;
    pthread_mutex_lock(&db->lock);
    err = access(db->path.text, F_OK) < 0 ? -errno : look_locked(db, ret_bytes, ret_n);
    pthread_mutex_unlock(&db->lock);
    cache_db_destroy(db);
    return err;
}

void cache_db_checkpoint(struct cache_db *db)
{
    pthread_mutex_lock(&db->lock);
    /* Fails when another process reads just now; then that one does it. */
    if (db->handle && !moved_locked(db))
        (void)sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    pthread_mutex_unlock(&db->lock);
}

int cache_db_boot_get(struct cache_db *db, struct base_hash *ret)
{
    pthread_mutex_lock(&db->lock);
    int err = 0;
    sqlite3_stmt *statement = db_bind_locked(db, DB_STATE_GET, &err, "");
    if (statement)
        err = db_step_locked(db, statement);
    if (err > 0) {
        err = db_column_hash(statement, 0, ret) ? 0 : -ENOENT;
        sqlite3_reset(statement);
    } else if (err == 0) {
        err = -ENOENT;
    }
    pthread_mutex_unlock(&db->lock);
    return err;
}

int cache_db_boot_put(struct cache_db *db, const struct base_hash *boot)
{
    pthread_mutex_lock(&db->lock);
    int err = db_run_locked(db, DB_STATE_PUT, "h", boot);
    pthread_mutex_unlock(&db->lock);
    return err;
}
