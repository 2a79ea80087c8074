/* SPDX-License-Identifier: Apache-2.0 */
/* Every call of the store that can fail fails once, or from then on, or writes half: what is served stays
 * right, and the next start finds rows and files in agreement. Of the calls of a kind, a random part each
 * run. */
#include "cache/store_private.h"
#include "tests/lib/faults.h"
#include "tests/unit/store.h"

#include <sqlite3.h>

#define BUDGET (1 * MIB)
#define SEGMENT_BYTES ((size_t)70 * KIB)
#define RUNS_OF_A_KIND 16u

/* ---- Memory: of the store's own code by the linker's --wrap, of SQLite by its configuration ---- */

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__real_realloc(void *old, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_realloc(void *old, size_t len);

void *__wrap_malloc(size_t len)
{
    return faults_hit(FAULTS_MEMORY) ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
    return faults_hit(FAULTS_MEMORY) ? NULL : __real_calloc(n, len);
}

void *__wrap_realloc(void *old, size_t len)
{
    return faults_hit(FAULTS_MEMORY) ? NULL : __real_realloc(old, len);
}

static sqlite3_mem_methods sqlite_memory;

static void *sqlite_malloc(int len)
{
    return faults_hit(FAULTS_MEMORY) ? NULL : sqlite_memory.xMalloc(len);
}

static void *sqlite_realloc(void *old, int len)
{
    return faults_hit(FAULTS_MEMORY) ? NULL : sqlite_memory.xRealloc(old, len);
}

static void wrap_sqlite_memory(void)
{
    CHECK_INT(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory), SQLITE_OK);
    sqlite3_mem_methods ours = sqlite_memory;
    ours.xMalloc = sqlite_malloc;
    ours.xRealloc = sqlite_realloc;
    CHECK_INT(sqlite3_config(SQLITE_CONFIG_MALLOC, &ours), SQLITE_OK);
}

/* ---- A life of a store ---- */

static uint8_t buffer[SEGMENT_BYTES];

static bool buffer_right(unsigned id)
{
    for (size_t i = 0; i < sizeof buffer; i++) {
        if (buffer[i] != byte_of(id, i))
            return false;
    }
    return true;
}

static void check_segment(struct cache_segment *s, unsigned id)
{
    memset(buffer, 0, sizeof buffer);
    CHECK_INT(cache_segment_read(s, 0, buffer, sizeof buffer, 0), sizeof buffer);
    CHECK(buffer_right(id));
    cache_segment_unref(s);
}

/* As make() of store.h, without memory of its own: an error is an answer, wrong bytes are none. */
static int put(struct cache_store *store, unsigned id)
{
    struct cache_writer *w;
    struct cache_segment *s = NULL;
    struct base_hash key = key_of(id);
    const struct cache_layout layout = {.payload_bytes = SEGMENT_BYTES, .file_bytes = SEGMENT_BYTES};
    int err = cache_writer_begin(store, SEGMENT_BYTES, &w);
    if (err)
        return err;
    for (size_t i = 0; i < sizeof buffer; i++)
        buffer[i] = byte_of(id, i);
    err = base_pwrite_all(cache_writer_fd(w), buffer, sizeof buffer, 0);
    if (err) {
        cache_writer_abort(w);
        return err;
    }
    err = cache_writer_commit(w, &key, &layout, 1000, &s);
    if (!err)
        check_segment(s, id);
    return err;
}

static int get(struct cache_store *store, unsigned id)
{
    struct cache_segment *s = NULL;
    struct base_hash key = key_of(id);
    int err = cache_segment_get(store, &key, &s);
    if (!err)
        check_segment(s, id);
    return err;
}

static void use_facts(struct cache_store *store)
{
    struct base_hash key = key_of(1), found;
    struct cache_file_stamp stamp = {.size = 1, .inode = 2};
    struct base_bytes out = {0};
    cache_fact_put(store, &key, "fact", 4);
    if (cache_fact_get(store, &key, &out) == 0)
        CHECK(out.len == 4 && memcmp(out.data, "fact", 4) == 0);
    base_bytes_finish(&out);
    cache_fact_remove(store, &key);
    cache_identity_put(store, "/path", &stamp, &key);
    if (cache_identity_get(store, "/path", &stamp, &found) == 0)
        CHECK(base_hash_equal(&found, &key));
}

/* Makes, finds, evicts, makes again, verifies, and clears. */
static void use(struct cache_store *store)
{
    struct cache_writer *w;
    struct cache_verified verified;
    uint64_t n, bytes;
    for (unsigned id = 0; id < 14; id++)
        (void)put(store, id);
    use_facts(store);
    for (unsigned id = 0; id < 14; id++)
        (void)get(store, id);
    (void)put(store, 13);
    if (cache_writer_begin(store, SEGMENT_BYTES, &w) == 0)
        cache_writer_abort(w);
    (void)cache_store_verify(store, NULL, NULL, &verified);
    CHECK_INT(verified.n_bad, 0);
    (void)cache_store_clear(store, &n, &bytes);
    for (unsigned id = 14; id < 18; id++)
        (void)put(store, id);
    for (unsigned id = 14; id < 18; id++)
        (void)get(store, id);
}

/* Opens, uses and closes it; 0 or the error with which it could not be opened. */
static int live(void)
{
    struct cache_store *store = NULL;
    struct base_reason why = {{0}};
    int err = cache_store_open(cache_dir, BUDGET, &store, &why);
    if (err)
        CHECK(why.text[0]);
    else
        use(store);
    cache_store_close(store);
    return err;
}

/* ---- What must be true of a directory after it ---- */

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t n = -1;
    if (CHECK_INT(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK) &&
        CHECK_INT(sqlite3_step(statement), SQLITE_ROW))
        n = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return n;
}

static int charge_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)path;
    if (flag == FTW_F && ftw->level == 2)
        n_found += BASE_MAX(cache_charge((uint64_t)st->st_size), (uint64_t)st->st_blocks * 512);
    return 0;
}

/* The rows' sums are those of the files that are there. */
static void check_figures(void)
{
    char path[400];
    sqlite3 *db = NULL;
    in_cache("index.sqlite", path);
    CHECK_INT(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    CHECK_INT(number(db, "SELECT count(*) FROM work"), 0);
    CHECK_INT(number(db, "SELECT n FROM totals"), n_files());
    CHECK_INT(number(db, "SELECT bytes FROM totals"),
              number(db, "SELECT coalesce(sum(bytes), 0) FROM segments"));
    in_cache("segments", path);
    n_found = 0;
    (void)nftw(path, charge_one, 16, FTW_PHYS);
    CHECK_INT(number(db, "SELECT bytes FROM totals"), n_found);
    sqlite3_close(db);
}

static void check_afterwards(void)
{
    struct cache_verified v;
    CHECK(du(cache_dir) <= BUDGET);
    struct cache_store *store = open_store(BUDGET);
    CHECK_INT(cache_store_verify(store, NULL, NULL, &v), 0);
    CHECK_INT(v.n_bad + v.n_orphans + v.n_missing, 0);
    for (unsigned id = 0; id < 18; id++)
        CHECK(get(store, id) == 0 || put(store, id) == 0);
    CHECK_INT(get(store, 17), 0);
    CHECK_INT(usage(store).unkept, 0);
    CHECK_INT(usage(store).bad, 0);
    CHECK(du(cache_dir) <= usage(store).bytes);
    cache_store_close(store);
    CHECK_INT(n_tmp(), 0);
    check_figures();
}

/* ---- Faults ---- */

static void disarm(void)
{
    for (unsigned i = 0; i < FAULTS_N_KINDS; i++)
        faults_control()->kinds[i].first = faults_control()->kinds[i].last = 0;
}

static void begin(enum faults_kind kind)
{
    struct stat st = {0};
    setup_in(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"); /* syncing is what takes time on a disk */
    CHECK_INT(stat(test_dir, &st), 0);
    faults_control()->device = st.st_dev;
    (void)snprintf(faults_control()->dir, sizeof faults_control()->dir, "%s", cache_dir);
    faults_control()->kinds[kind].calls = faults_control()->kinds[kind].failed = 0;
}

/* How many calls of the kind a life makes when nothing fails. */
static uint64_t count_calls(enum faults_kind kind)
{
    begin(kind);
    CHECK_INT(live(), 0);
    uint64_t n = faults_control()->kinds[kind].calls;
    check_afterwards();
    teardown();
    return n;
}

static const struct variant {
    enum faults_kind kind;
    const char *name;
    enum faults_mode mode;
    uint64_t error;
    uint64_t length; /* so many calls fail */
} variants[] = {
    {FAULTS_WRITE, "write: full disk", FAULTS_SHORT, ENOSPC, UINT64_MAX / 2},
    {FAULTS_WRITE, "write: once full", FAULTS_FAIL, ENOSPC, 1},
    {FAULTS_WRITE, "write: once EIO", FAULTS_FAIL, EIO, 1},
    {FAULTS_WRITE, "write: once half", FAULTS_SHORT, ENOSPC, 1},
    {FAULTS_SYNC, "sync: EIO", FAULTS_FAIL, EIO, 1},
    {FAULTS_RENAME, "rename: EIO", FAULTS_FAIL, EIO, 1},
    {FAULTS_RENAME, "rename: done, but EIO", FAULTS_LATE, EIO, 1},
    {FAULTS_RENAME, "rename: full disk", FAULTS_FAIL, ENOSPC, UINT64_MAX / 2},
    {FAULTS_RESIZE, "resize: full disk", FAULTS_FAIL, ENOSPC, UINT64_MAX / 2},
    {FAULTS_RESIZE, "resize: once EIO", FAULTS_FAIL, EIO, 1},
    {FAULTS_CREATE, "create: full disk", FAULTS_FAIL, ENOSPC, UINT64_MAX / 2},
    {FAULTS_CREATE, "create: once EIO", FAULTS_FAIL, EIO, 1},
    {FAULTS_CREATE, "create: once too many", FAULTS_FAIL, EMFILE, 1},
    {FAULTS_MKDIR, "mkdir: full disk", FAULTS_FAIL, ENOSPC, UINT64_MAX / 2},
    {FAULTS_MKDIR, "mkdir: once EIO", FAULTS_FAIL, EIO, 1},
    {FAULTS_UNLINK, "unlink: once EIO", FAULTS_FAIL, EIO, 1},
    {FAULTS_UNLINK, "unlink: done, but EIO", FAULTS_LATE, EIO, 1},
    {FAULTS_UNLINK, "unlink: no longer permitted", FAULTS_FAIL, EPERM, UINT64_MAX / 2},
    {FAULTS_SQLITE, "sqlite: full disk", FAULTS_FAIL, SQLITE_FULL, UINT64_MAX / 2},
    {FAULTS_SQLITE, "sqlite: once full", FAULTS_FAIL, SQLITE_FULL, 1},
    {FAULTS_SQLITE, "sqlite: once EIO", FAULTS_FAIL, SQLITE_IOERR_WRITE, 1},
    {FAULTS_SQLITE, "sqlite: once busy", FAULTS_FAIL, SQLITE_BUSY, 1},
    {FAULTS_SQLITE, "sqlite: once corrupt", FAULTS_FAIL, SQLITE_CORRUPT, 1},
    {FAULTS_SQLITE, "sqlite: done, but EIO", FAULTS_LATE, SQLITE_IOERR_WRITE, 1},
    {FAULTS_MEMORY, "memory: once", FAULTS_FAIL, ENOMEM, 1},
    {FAULTS_MEMORY, "memory: from then on", FAULTS_FAIL, ENOMEM, UINT64_MAX / 2},
};

/* True: the call was made, and failed. */
static bool run_fault(const struct variant *v, uint64_t n)
{
    int before = check_failures;
    begin(v->kind);
    struct faults_of_kind *k = &faults_control()->kinds[v->kind];
    k->mode = v->mode;
    k->error = v->error;
    k->first = n;
    k->last = n + v->length - 1;
    int err = live();
    disarm();
    if (v->error == ENOSPC || (v->kind == FAULTS_SQLITE && v->error == SQLITE_FULL))
        CHECK_INT(err, 0); /* a full disk is no reason not to start */
    check_afterwards();
    teardown();
    if (check_failures > before)
        (void)fprintf(stderr, "... with call %llu: %s (opened: %s)\n", (unsigned long long)n, v->name,
                      err ? strerror(-err) : "yes");
    return k->failed > 0;
}

static void run_variant(const struct variant *v)
{
    uint64_t n_calls = count_calls(v->kind);
    unsigned runs = 0, reached = 0, seed = test_seed;
    CHECK(n_calls > 0);
    if (n_calls <= RUNS_OF_A_KIND || getenv("CORPUSFS_TEST_ALL")) {
        for (uint64_t n = 1; n <= n_calls; n++, runs++)
            reached += run_fault(v, n);
    } else {
        /* One of each part, so that no time of a store's life is left out. */
        for (uint64_t part = 0; part < RUNS_OF_A_KIND; part++, runs++) {
            uint64_t from = n_calls * part / RUNS_OF_A_KIND, to = n_calls * (part + 1) / RUNS_OF_A_KIND;
            reached += run_fault(v, 1 + from + (uint64_t)rand_r(&seed) % (to - from));
        }
    }
    CHECK(reached > runs / 2); /* not always all: a life has not always the same number of calls */
    (void)fprintf(stderr, "%s: %u of %llu calls\n", v->name, reached, (unsigned long long)n_calls);
}

static void test_faults(void)
{
    for (size_t i = 0; i < BASE_ARRAY_LEN(variants); i++)
        run_variant(&variants[i]);
}

int main(int argc, char **argv)
{
    static const struct store_test tests[] = {STORE_TEST(test_faults)};
    wrap_sqlite_memory();
    return store_tests(argc, argv, tests, BASE_ARRAY_LEN(tests));
}
