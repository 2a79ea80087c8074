/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the store share: a cache directory for each test, segments whose bytes follow from a
 * number, and what stands on the disk. One process of tests; main() calls store_tests().
 */
#ifndef TESTS_UNIT_STORE_H
#define TESTS_UNIT_STORE_H

#include "base/io.h"
#include "base/log.h"
#include "cache/store.h"
#include "tests/unit/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)

static char test_dir[256]; /* of the test that runs; the cache is test_dir/cache */
static char cache_dir[300];
static unsigned test_seed;

/* ---- Directories ---- */

static inline int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    (void)remove(path); /* may be gone already: stores work in it */
    return 0;
}

static inline void remove_tree(const char *dir)
{
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void setup_in(const char *place)
{
    (void)snprintf(test_dir, sizeof test_dir, "%s/corpusfs-store-XXXXXX", place);
    if (!mkdtemp(test_dir))
        abort();
    (void)snprintf(cache_dir, sizeof cache_dir, "%s/cache", test_dir);
}

static inline void setup(void)
{
    setup_in("/tmp");
}

static inline void teardown(void)
{
    remove_tree(test_dir);
}

static _Atomic uint64_t du_sum;

static inline int du_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)path, (void)ftw;
    if (flag != FTW_NS)
        du_sum += (uint64_t)st->st_blocks * 512;
    return 0;
}

/* What du says of a directory. One thread at a time. */
static inline uint64_t du(const char *dir)
{
    du_sum = 0;
    (void)nftw(dir, du_one, 16, FTW_PHYS);
    return du_sum;
}

static uint64_t n_found;
static char last_found[PATH_MAX];

static inline int count_segment(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    if (flag == FTW_F && ftw->level == 3 && strstr(path, "/segments/")) {
        n_found++;
        (void)snprintf(last_found, sizeof last_found, "%s", path);
    }
    return 0;
}

/* Files below segments/; one of them is last_found. */
static inline uint64_t n_files(void)
{
    n_found = 0;
    (void)nftw(cache_dir, count_segment, 16, FTW_PHYS);
    return n_found;
}

static inline unsigned n_tmp(void)
{
    char path[320];
    (void)snprintf(path, sizeof path, "%s/tmp", cache_dir);
    DIR *dir = opendir(path);
    unsigned n = 0;
    for (struct dirent *e; dir && (e = readdir(dir));)
        n += e->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return n;
}

static inline void in_cache(const char *name, char out[400])
{
    (void)snprintf(out, 400, "%s/%s", cache_dir, name);
}

/* ---- Segments whose bytes follow from a number ---- */

static inline struct base_hash key_of(unsigned id)
{
    return base_hash_of(&id, sizeof id);
}

static inline uint8_t byte_of(unsigned id, uint64_t i)
{
    return (uint8_t)(id * 31 + i * 7 + (i >> 9));
}

static inline struct cache_store *open_store(uint64_t size_bytes)
{
    struct cache_store *store = NULL;
    struct base_reason why = {{0}};
    int err = cache_store_open(cache_dir, size_bytes, &store, &why);
    if (!CHECK_INT(err, 0)) {
        (void)fprintf(stderr, "%s\n", why.text);
        abort();
    }
    return store;
}

/* A whole file of len bytes. */
static inline int put_whole(struct cache_store *store, unsigned id, size_t len, uint64_t cost_us,
                            uint64_t max_bytes, struct cache_segment **ret)
{
    struct cache_writer *w;
    int err = cache_writer_begin(store, max_bytes, &w);
    if (err)
        return err;
    base_autofree uint8_t *data = malloc(len + 1);
    if (!data)
        abort();
    for (size_t i = 0; i < len; i++)
        data[i] = byte_of(id, i);
    err = base_pwrite_all(cache_writer_fd(w), data, len, 0);
    if (err) {
        cache_writer_abort(w);
        return err;
    }
    struct base_hash key = key_of(id);
    struct cache_layout layout = {.payload_bytes = len, .file_bytes = len};
    return cache_writer_commit(w, &key, &layout, cost_us, ret);
}

static inline bool right(const struct cache_segment *s, unsigned id, size_t len)
{
    base_autofree uint8_t *data = malloc(len + 1);
    if (!data || cache_segment_read(s, 0, data, len + 1, 0) != (ssize_t)len)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (data[i] != byte_of(id, i))
            return false;
    }
    return true;
}

/* Makes and forgets; false when it did not work. */
static inline bool make(struct cache_store *store, unsigned id, size_t len, uint64_t cost_us)
{
    struct cache_segment *s = NULL;
    int err = put_whole(store, id, len, cost_us, len, &s);
    bool good = !err && right(s, id, len);
    cache_segment_unref(s);
    return good;
}

/* 1: kept and right; 0: not there; -1: wrong. */
static inline int look(struct cache_store *store, unsigned id, size_t len)
{
    struct cache_segment *s;
    struct base_hash key = key_of(id);
    int err = cache_segment_get(store, &key, &s);
    if (err)
        return err == -ENOENT ? 0 : -1;
    int result = right(s, id, len) ? 1 : -1;
    cache_segment_unref(s);
    return result;
}

static inline bool get_or_make(struct cache_store *store, unsigned id, size_t len)
{
    int found = look(store, id, len);
    return found > 0 || (found == 0 && make(store, id, len, 1000));
}

static inline struct cache_usage usage(struct cache_store *store)
{
    struct cache_usage u;
    cache_store_usage(store, &u);
    return u;
}

/* ---- Running ---- */

struct store_test {
    const char *name;
    void (*run)(void);
};
#define STORE_TEST(name)                                                                                     \
    {                                                                                                        \
#name, name                                                                                          \
    }

/* Arguments: names of tests to run (all), and --seed N. The value is main()'s. */
static inline int store_tests(int argc, char **argv, const struct store_test *tests, size_t n)
{
    const char *only = NULL;
    test_seed = (unsigned)time(NULL);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            test_seed = (unsigned)strtoul(argv[++i], NULL, 10);
        else
            only = argv[i];
    }
    (void)fprintf(stderr, "seed %u\n", test_seed);
    unsigned seed = test_seed;
    base_log_set_level(getenv("LOG") ? BASE_LOG_DEBUG : BASE_LOG_ERROR);
    for (size_t i = 0; i < n; i++) {
        if (only && !strstr(tests[i].name, only))
            continue;
        test_seed = seed;
        check_test = tests[i].name;
        int64_t start = base_now_ns();
        tests[i].run();
        (void)fprintf(stderr, "%s: %.2f s\n", tests[i].name, (double)(base_now_ns() - start) / 1e9);
    }
    return check_result();
}

#endif
