/* SPDX-License-Identifier: Apache-2.0 */
/* The disk half of the cache: what is kept, what is not, and that nothing - crashes, damage, other processes,
 * a full disk - changes a byte that is served. */
#include "base/io.h"
#include "base/log.h"
#include "cache/store.h"
#include "tests/unit/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)

static char test_dir[256]; /* of the test that runs; the cache is test_dir/cache */
static char cache_dir[300];
static unsigned test_seed;

/* ---- Directories ---- */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    (void)remove(path); /* may be gone already: stores work in it */
    return 0;
}

static void remove_tree(const char *dir)
{
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void setup(void)
{
    (void)snprintf(test_dir, sizeof test_dir, "/tmp/corpusfs-store-XXXXXX");
    if (!mkdtemp(test_dir))
        abort();
    (void)snprintf(cache_dir, sizeof cache_dir, "%s/cache", test_dir);
}

static void teardown(void)
{
    remove_tree(test_dir);
}

static _Atomic uint64_t du_sum;

static int du_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)path, (void)ftw;
    if (flag != FTW_NS)
        du_sum += (uint64_t)st->st_blocks * 512;
    return 0;
}

/* What du says of a directory. One thread at a time. */
static uint64_t du(const char *dir)
{
    du_sum = 0;
    (void)nftw(dir, du_one, 16, FTW_PHYS);
    return du_sum;
}

static uint64_t n_found;
static char last_found[PATH_MAX];

static int count_segment(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    if (flag == FTW_F && ftw->level == 3 && strstr(path, "/segments/")) {
        n_found++;
        (void)snprintf(last_found, sizeof last_found, "%s", path);
    }
    return 0;
}

/* Files below segments/; one of them is last_found. */
static uint64_t n_files(void)
{
    n_found = 0;
    (void)nftw(cache_dir, count_segment, 16, FTW_PHYS);
    return n_found;
}

static unsigned n_tmp(void)
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

/* ---- Segments whose bytes follow from a number ---- */

static struct base_hash key_of(unsigned id)
{
    return base_hash_of(&id, sizeof id);
}

static uint8_t byte_of(unsigned id, uint64_t i)
{
    return (uint8_t)(id * 31 + i * 7 + (i >> 9));
}

static struct cache_store *open_store(uint64_t size_bytes)
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
static int put_whole(struct cache_store *store, unsigned id, size_t len, uint64_t cost_us, uint64_t max_bytes,
                     struct cache_segment **ret)
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

static bool right(const struct cache_segment *s, unsigned id, size_t len)
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
static bool make(struct cache_store *store, unsigned id, size_t len, uint64_t cost_us)
{
    struct cache_segment *s = NULL;
    int err = put_whole(store, id, len, cost_us, len, &s);
    bool good = !err && right(s, id, len);
    cache_segment_unref(s);
    return good;
}

/* 1: kept and right; 0: not there; -1: wrong. */
static int look(struct cache_store *store, unsigned id, size_t len)
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

static bool get_or_make(struct cache_store *store, unsigned id, size_t len)
{
    int found = look(store, id, len);
    return found > 0 || (found == 0 && make(store, id, len, 1000));
}

static struct cache_usage usage(struct cache_store *store)
{
    struct cache_usage u;
    cache_store_usage(store, &u);
    return u;
}

/* ---- Tests: reading ---- */

static void test_whole(void)
{
    setup();
    struct cache_store *store = open_store(64 * MIB);
    CHECK_INT(look(store, 1, 5000), 0);
    CHECK(make(store, 1, 5000, 10));
    CHECK_INT(look(store, 1, 5000), 1);
    CHECK(make(store, 2, 0, 10)); /* an empty file is a file */
    CHECK_INT(look(store, 2, 0), 1);
    cache_store_close(store);
    CHECK_INT(n_tmp(), 0);
    store = open_store(64 * MIB);
    CHECK_INT(look(store, 1, 5000), 1);
    CHECK_INT(look(store, 2, 0), 1);
    CHECK_INT(usage(store).n_segments, 2);
    cache_store_close(store);
    teardown();
}

/* Three frames of 1000 bytes each: one with filling, the same again, one that could not be made, one that is
 * full. */
static void write_frames(struct cache_writer *w, struct dec_entry *entries)
{
    uint8_t payload[1500];
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = byte_of(7, i);
    payload[498] = 0xFF, payload[499] = 0xD9;
    CHECK_INT(base_pwrite_all(cache_writer_fd(w), payload, sizeof payload, 0), 0);
    CHECK_INT(base_pwrite_all(cache_writer_fd(w), entries, 4 * sizeof *entries, sizeof payload), 0);
}

static const struct cache_layout frames_layout = {
    .payload_bytes = 1500, .file_bytes = 1000, .n_entries = 4, .fill = 0xFF, .tail_bytes = 2};

static uint8_t frame_byte(unsigned entry, size_t i)
{
    if (entry == 3)
        return byte_of(7, 500 + i);
    return i < 498 ? byte_of(7, i) : i == 999 ? 0xD9 : 0xFF;
}

static bool frames_right(const struct cache_segment *s)
{
    static const size_t lens[] = {1, 2, 3, 499, 1000, 5000};
    uint8_t out[5000];
    for (unsigned entry = 0; entry < 4; entry++) {
        for (size_t k = 0; entry != 2 && k < BASE_ARRAY_LEN(lens); k++) {
            for (size_t offset = 0; offset < 1002; offset++) {
                size_t want = offset < 1000 ? BASE_MIN(lens[k], 1000 - offset) : 0;
                if (cache_segment_read(s, entry, out, lens[k], offset) != (ssize_t)want)
                    return false;
                for (size_t i = 0; i < want; i++) {
                    if (out[i] != frame_byte(entry, offset + i))
                        return false;
                }
            }
        }
    }
    return cache_segment_read(s, 2, out, 10, 0) == -EIO && cache_segment_read(s, 4, out, 10, 0) == -ERANGE;
}

static void test_frames(void)
{
    setup();
    struct cache_store *store = open_store(64 * MIB);
    struct dec_entry entries[4] = {{0, 500}, {0, 500}, {0, 0}, {500, 1000}};
    struct cache_writer *w;
    struct cache_segment *s = NULL;
    struct base_hash key = key_of(7);
    CHECK_INT(cache_writer_begin(store, 100 * KIB, &w), 0);
    write_frames(w, entries);
    CHECK_INT(cache_writer_commit(w, &key, &frames_layout, 10, &s), 0);
    CHECK(frames_right(s));
    cache_segment_unref(s);
    cache_store_close(store);
    store = open_store(64 * MIB);
    CHECK_INT(cache_segment_get(store, &key, &s), 0);
    CHECK(frames_right(s));
    CHECK_INT(cache_segment_layout(s)->n_entries, 4);
    CHECK(usage(store).bytes < 8 * MIB); /* the reservation shrank to what was written */
    cache_segment_unref(s);
    cache_store_close(store);
    teardown();
}

static int commit_entry(struct cache_store *store, struct dec_entry bad, struct cache_layout layout,
                        uint64_t max)
{
    struct dec_entry entries[4] = {{0, 500}, bad, {0, 0}, {500, 1000}};
    struct cache_writer *w;
    struct cache_segment *s = NULL;
    struct base_hash key = key_of(7);
    CHECK_INT(cache_writer_begin(store, max, &w), 0);
    write_frames(w, entries);
    int err = cache_writer_commit(w, &key, &layout, 10, &s);
    cache_segment_unref(s);
    return err;
}

static void test_untrusted_layouts(void)
{
    setup();
    struct cache_store *store = open_store(64 * MIB);
    struct cache_layout l = frames_layout;
    struct dec_entry good = {0, 500};
    uint64_t before = usage(store).bytes;
    CHECK_INT(commit_entry(store, (struct dec_entry){0, 1}, l, 8192), -EPROTO);            /* < tail */
    CHECK_INT(commit_entry(store, (struct dec_entry){0, 1001}, l, 8192), -EPROTO);         /* > file */
    CHECK_INT(commit_entry(store, (struct dec_entry){1100, 500}, l, 8192), -EPROTO);       /* > payload */
    CHECK_INT(commit_entry(store, (struct dec_entry){UINT32_MAX, 500}, l, 8192), -EPROTO); /* overflow */
    CHECK_INT(commit_entry(store, (struct dec_entry){500, UINT32_MAX}, l, 8192), -EPROTO);
    CHECK_INT(commit_entry(store, good, l, 1000), -EPROTO); /* more than was reserved */
    l.n_entries = 65537;
    CHECK_INT(commit_entry(store, good, l, 8192), -EPROTO);
    l.n_entries = 5; /* more than was written */
    CHECK_INT(commit_entry(store, good, l, 8192), -EPROTO);
    l = frames_layout, l.payload_bytes = UINT64_MAX;
    CHECK_INT(commit_entry(store, good, l, 8192), -EPROTO);
    l = frames_layout, l.fill = 256;
    CHECK_INT(commit_entry(store, good, l, 8192), -EPROTO);
    l = frames_layout, l.tail_bytes = 1001;
    CHECK_INT(commit_entry(store, good, l, 8192), -EPROTO);
    l = frames_layout, l.n_entries = 0; /* a whole file is its payload */
    CHECK_INT(commit_entry(store, good, l, 8192), -EPROTO);
    CHECK_INT(n_files(), 0);
    CHECK_INT(n_tmp(), 1); /* the store's own lock */
    CHECK(usage(store).bytes <= before + 64 * KIB);
    CHECK_INT(commit_entry(store, good, frames_layout, 8192), 0);
    CHECK_INT(n_files(), 1);
    cache_store_close(store);
    teardown();
}

/* ---- Tests: budget and eviction ---- */

static void test_held_while_evicted(void)
{
    setup();
    struct cache_store *store = open_store(8 * MIB);
    struct cache_segment *s = NULL;
    CHECK_INT(put_whole(store, 0, 300 * KIB, 1, 300 * KIB, &s), 0);
    for (unsigned i = 1; i < 60; i++)
        CHECK(make(store, i, 300 * KIB, 1));
    CHECK_INT(look(store, 0, 300 * KIB), 0);
    CHECK(right(s, 0, 300 * KIB));
    CHECK(usage(store).evicted > 30);
    cache_segment_unref(s);
    cache_store_close(store);
    teardown();
}

static void test_order(void)
{
    setup();
    struct cache_store *store = open_store(8 * MIB);
    size_t len = 500 * KIB;
    CHECK(make(store, 100, len, 500000)); /* costs 500 times as much as the others */
    usleep(3000);
    for (unsigned i = 0; i < 9; i++) {
        CHECK(make(store, i, len, 1000));
        usleep(3000);
    }
    CHECK_INT(look(store, 0, len), 1); /* the oldest is used again */
    for (unsigned i = 10; i < 16; i++) {
        CHECK(make(store, i, len, 1000));
        usleep(3000);
    }
    CHECK(usage(store).evicted > 0);
    CHECK_INT(look(store, 0, len), 1);   /* used: stayed */
    CHECK_INT(look(store, 1, len), 0);   /* the oldest unused went */
    CHECK_INT(look(store, 100, len), 1); /* the oldest of all is worth more */
    CHECK_INT(look(store, 15, len), 1);
    cache_store_close(store);
    teardown();
}

/* What costs much to make stays longer, not for good: it goes when its age is that many times the others'. */
static void test_costly_ages(void)
{
    setup();
    struct cache_store *store = open_store(8 * MIB);
    size_t len = 500 * KIB;
    CHECK(make(store, UINT32_MAX, len, 1000)); /* 8 us a block: class 3 */
    CHECK_INT(n_files(), 1);
    int64_t until = base_now_ns() + (int64_t)60 * 1000000000;
    unsigned i = 0;
    while (access(last_found, F_OK) == 0 && base_now_ns() < until)
        CHECK(make(store, i++, len, 1));
    CHECK(base_now_ns() < until);
    CHECK(usage(store).evicted > 5); /* others went first */
    cache_store_close(store);
    teardown();
}

static void test_too_small(void)
{
    setup();
    struct cache_store *store = open_store(2 * MIB);
    CHECK(make(store, 1, 100 * KIB, 1));
    CHECK_INT(n_files(), 1);
    CHECK(make(store, 2, 3 * MIB, 1)); /* from memory */
    CHECK_INT(n_files(), 1);           /* and nothing was evicted for what cannot fit */
    CHECK_INT(usage(store).unkept, 1);
    struct cache_writer *writer = NULL;
    CHECK_INT(cache_writer_begin(store, (uint64_t)2 << 30, &writer), -ENOSPC); /* too much for memory */
    CHECK(writer == NULL);
    cache_store_set_min_free(store, (uint64_t)1 << 60);
    CHECK(make(store, 3, 100 * KIB, 1));
    CHECK_INT(usage(store).unkept, 2);
    cache_store_close(store);
    teardown();
}

/* ---- Tests: threads ---- */

#define N_THREADS 8u
#define BUDGET (12 * MIB)

struct load {
    struct cache_store *store;
    unsigned seed, n_ids, rounds;
    atomic_uint *failures;
};

static size_t len_of(unsigned id)
{
    return 20 * KIB + (id * 7919) % (300 * KIB);
}

static void *run_load(void *data)
{
    struct load *load = data;
    for (unsigned i = 0; i < load->rounds; i++) {
        unsigned id = (unsigned)rand_r(&load->seed) % load->n_ids;
        if (!get_or_make(load->store, id, len_of(id)))
            atomic_fetch_add(load->failures, 1);
    }
    return NULL;
}

static void run_threads(struct cache_store *store, unsigned n, unsigned seed, unsigned n_ids, unsigned rounds,
                        unsigned *ret_failures)
{
    pthread_t threads[N_THREADS];
    struct load loads[N_THREADS];
    atomic_uint failures = 0;
    for (unsigned i = 0; i < n; i++) {
        loads[i] = (struct load){store, seed + i, n_ids, rounds, &failures};
        if (pthread_create(&threads[i], NULL, run_load, &loads[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    *ret_failures = failures;
}

/* A process that works on the cache directory with n threads; its exit code is 0 when nothing failed. */
static pid_t start_child(unsigned n, unsigned seed, unsigned n_ids, unsigned rounds, uint64_t budget)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct cache_store *store = NULL;
    struct base_reason why = {{0}};
    if (cache_store_open(cache_dir, budget, &store, &why) < 0) {
        (void)fprintf(stderr, "child: %s\n", why.text);
        _exit(3);
    }
    unsigned failures;
    run_threads(store, n, seed, n_ids, rounds, &failures);
    cache_store_close(store);
    _exit(failures ? 2 : 0);
}

/* What du says while processes stand still in the middle of their work: a walk beside running ones would
 * count a file that is removed behind it, and the one that takes its room as well. */
static uint64_t du_stopped(const pid_t *children, size_t n)
{
    siginfo_t info;
    for (size_t i = 0; i < n; i++)
        if (kill(children[i], SIGSTOP) == 0)
            (void)waitid(P_PID, (id_t)children[i], &info, WSTOPPED | WEXITED | WNOWAIT);
    uint64_t bytes = du(cache_dir);
    for (size_t i = 0; i < n; i++)
        (void)kill(children[i], SIGCONT);
    return bytes;
}

/* Waits for children (at most 8), looking at the directory all the while: the most that it ever took. All
 * must exit with 0. */
static uint64_t watch_children(const pid_t *children, size_t n)
{
    bool done[8] = {false};
    uint64_t most = 0;
    for (size_t left = n; left > 0;) {
        if (left == n)
            most = BASE_MAX(most, du_stopped(children, n));
        for (size_t i = 0; i < n; i++) {
            int status = -1;
            if (done[i] || waitpid(children[i], &status, WNOHANG) != children[i])
                continue;
            CHECK_INT(status, 0);
            done[i] = true;
            left--;
        }
        usleep(1000);
    }
    return most;
}

static void test_budget_under_threads(void)
{
    setup();
    struct cache_store *store = open_store(BUDGET);
    unsigned failures;
    run_threads(store, N_THREADS, test_seed, 700, 250, &failures); /* 700 x 170 KiB: ten times the budget */
    struct cache_usage u = usage(store);
    CHECK_INT(failures, 0);
    CHECK(u.evicted > 100);
    CHECK(u.unkept < u.made / 20);
    CHECK_INT(n_files(), u.n_segments);
    CHECK(u.bytes <= u.budget_bytes);
    cache_store_close(store);
    CHECK(du(cache_dir) <= BUDGET);
    pid_t child = start_child(N_THREADS, test_seed, 700, 250, BUDGET);
    uint64_t most = watch_children(&child, 1);
    CHECK(most <= BUDGET);
    CHECK(most > BUDGET / 3); /* the budget is used, too */
    teardown();
}

static void test_reservations(void)
{
    setup();
    struct cache_store *store = open_store(16 * MIB);
    struct cache_writer *a, *b;
    CHECK_INT(cache_writer_begin(store, 8 * MIB, &a), 0);
    CHECK(usage(store).bytes > 8 * MIB);
    CHECK_INT(cache_writer_begin(store, 8 * MIB, &b), 0); /* does not fit beside it: in memory */
    CHECK(usage(store).bytes < 16 * MIB);
    cache_writer_abort(b);
    cache_writer_abort(a);
    cache_writer_abort(NULL);
    CHECK(usage(store).bytes < 2 * MIB);
    CHECK_INT(n_tmp(), 1);
    CHECK_INT(usage(store).unkept, 0);
    cache_store_close(store);
    teardown();
}

/* ---- Tests: damage ---- */

static void damage(const char *path, off_t at)
{
    uint8_t byte;
    base_autoclose int fd = open(path, O_RDWR);
    CHECK_INT(base_pread_all(fd, &byte, 1, at), 0);
    byte ^= 0x10;
    CHECK_INT(base_pwrite_all(fd, &byte, 1, at), 0);
}

static void test_damage(void)
{
    setup();
    struct stat st = {0};
    struct cache_store *store = open_store(64 * MIB);
    CHECK(make(store, 1, 5000, 10));
    cache_store_close(store);
    n_files();
    CHECK_INT(stat(last_found, &st), 0);
    for (off_t at = 0; at < st.st_size; at += at < 4990 ? 499 : 1) {
        store = open_store(64 * MIB);
        damage(last_found, at);
        CHECK_INT(look(store, 1, 5000), 0);
        CHECK_INT(n_files(), 0);
        CHECK_INT(usage(store).n_segments, 0);
        CHECK_INT(usage(store).bad, 1);
        CHECK(make(store, 1, 5000, 10));
        cache_store_close(store);
        n_files();
    }
    for (off_t len = 0; len < st.st_size; len += 777) {
        store = open_store(64 * MIB);
        CHECK_INT(truncate(last_found, len), 0);
        CHECK_INT(look(store, 1, 5000), 0);
        CHECK(make(store, 1, 5000, 10));
        cache_store_close(store);
    }
    teardown();
}

static void test_missing_file(void)
{
    setup();
    struct cache_store *store = open_store(64 * MIB);
    CHECK(make(store, 1, 5000, 10));
    cache_store_close(store);
    store = open_store(64 * MIB);
    n_files();
    CHECK_INT(unlink(last_found), 0);
    CHECK_INT(look(store, 1, 5000), 0);
    CHECK_INT(usage(store).n_segments, 0);
    CHECK(make(store, 1, 5000, 10));
    CHECK_INT(n_files(), 1);
    cache_store_close(store);
    teardown();
}

static void in_cache(const char *name, char out[400])
{
    (void)snprintf(out, 400, "%s/%s", cache_dir, name);
}

static void test_corrupt_database(void)
{
    setup();
    char path[400];
    struct cache_store *store = open_store(64 * MIB);
    for (unsigned i = 0; i < 20; i++)
        CHECK(make(store, i, 5000, 10));
    cache_store_close(store);
    in_cache("index.sqlite", path);
    int fd = open(path, O_WRONLY);
    CHECK_INT(base_pwrite_all(fd, "this was a database", 19, 0), 0);
    close(fd);
    store = open_store(64 * MIB);
    CHECK_INT(usage(store).n_segments, 20);
    for (unsigned i = 0; i < 20; i++)
        CHECK_INT(look(store, i, 5000), 1);
    cache_store_close(store);
    teardown();
}

/* The damage is inside and shows when the store is at work. */
static void test_corrupt_database_later(void)
{
    setup();
    char path[400];
    struct stat st = {0};
    struct cache_store *store = open_store(64 * MIB);
    for (unsigned i = 0; i < 20; i++)
        CHECK(make(store, i, 5000, 10));
    cache_store_close(store);
    in_cache("index.sqlite", path);
    CHECK_INT(stat(path, &st), 0);
    int fd = open(path, O_WRONLY);
    base_autofree uint8_t *noise = malloc((size_t)st.st_size);
    memset(noise, 0x5a, (size_t)st.st_size);
    CHECK_INT(base_pwrite_all(fd, noise, (size_t)st.st_size - 4096, 4096), 0);
    close(fd);
    struct base_reason why;
    if (cache_store_open(cache_dir, 64 * MIB, &store, &why) == 0) {
        for (unsigned i = 0; i < 60; i++)
            CHECK(get_or_make(store, i, 5000));
        CHECK(make(store, 100, 5000, 10));
        CHECK_INT(usage(store).n_segments, n_files());
        CHECK(n_files() >= 55);
        cache_store_close(store);
    } else {
        CHECK_STR(why.text, "a damaged index is no reason not to start");
    }
    teardown();
}

static void test_newer_schema(void)
{
    setup();
    char path[400];
    uint8_t version[4] = {0, 0, 0, 99}; /* user_version stands at 60, big-endian: SQLite's file format, 1.3 */
    cache_store_close(open_store(64 * MIB));
    in_cache("index.sqlite", path);
    int fd = open(path, O_WRONLY);
    CHECK_INT(base_pwrite_all(fd, version, 4, 60), 0);
    close(fd);
    struct cache_store *store = NULL;
    struct base_reason why = {{0}};
    CHECK_INT(cache_store_open(cache_dir, 64 * MIB, &store, &why), -ENOTSUP);
    CHECK(strstr(why.text, cache_dir) && strstr(why.text, "newer"));
    CHECK(!store);
    teardown();
}

/* ---- Tests: facts ---- */

static int fact_is(struct cache_store *store, unsigned id, const char *text)
{
    struct base_hash key = key_of(id);
    struct base_bytes out = {0};
    base_bytes_append(&out, ">", 1);
    int err = cache_fact_get(store, &key, &out);
    if (!err)
        err = out.len == 1 + strlen(text) && memcmp(out.data + 1, text, out.len - 1) == 0;
    base_bytes_finish(&out);
    return err;
}

static void test_facts(void)
{
    setup();
    struct cache_store *store = open_store(64 * MIB);
    struct base_hash key = key_of(1), other = key_of(2);
    CHECK_INT(fact_is(store, 1, ""), -ENOENT);
    cache_fact_put(store, &key, "one", 3);
    cache_fact_put(store, &other, "", 0);
    CHECK_INT(fact_is(store, 1, "one"), 1);
    cache_fact_put(store, &key, "two", 3);
    cache_store_close(store);
    store = open_store(64 * MIB);
    CHECK_INT(fact_is(store, 1, "two"), 1);
    CHECK_INT(fact_is(store, 2, ""), 1);
    cache_fact_remove(store, &key);
    CHECK_INT(fact_is(store, 1, ""), -ENOENT);
    cache_store_close(store);
    teardown();
}

static void test_facts_count(void)
{
    setup();
    struct cache_store *store = open_store(8 * MIB);
    base_autofree uint8_t *data = calloc(1, 700 * KIB);
    for (unsigned i = 0; i < 30; i++)
        CHECK(make(store, i, 300 * KIB, 1));
    for (unsigned i = 0; i < 30; i++) {
        struct base_hash key = key_of(i);
        cache_fact_put(store, &key, data, 700 * KIB);
        CHECK(du(cache_dir) <= 8 * MIB);
    }
    CHECK(make(store, 100, 100 * KIB, 1));
    CHECK(du(cache_dir) <= 8 * MIB);
    cache_store_close(store);
    teardown();
}

static void test_identities(void)
{
    setup();
    struct cache_store *store = open_store(64 * MIB);
    struct cache_file_stamp stamp = {.size = 1, .inode = 2, .device = 3, .mtime_ns = 4, .ctime_ns = 5},
                            later = stamp;
    later.mtime_ns++;
    struct base_hash identity = key_of(1), found;
    CHECK_INT(cache_identity_get(store, "/a", &stamp, &found), -ENOENT);
    cache_identity_put(store, "/a", &stamp, &identity);
    CHECK_INT(cache_identity_get(store, "/a", &stamp, &found), 0);
    CHECK(base_hash_equal(&found, &identity));
    CHECK_INT(cache_identity_get(store, "/a", &later, &found), -ENOENT);
    CHECK_INT(cache_identity_get(store, "/b", &stamp, &found), -ENOENT);
    cache_store_close(store);
    teardown();
}

/* ---- Tests: several processes, crashes ---- */

static void test_two_processes(void)
{
    setup();
    const pid_t children[] = {start_child(2, test_seed, 200, 200, BUDGET),
                              start_child(2, test_seed + 10, 200, 200, BUDGET)};
    CHECK(watch_children(children, 2) <= BUDGET);
    struct cache_store *store = open_store(BUDGET);
    CHECK_INT(n_files(), usage(store).n_segments);
    cache_store_close(store);
    CHECK_INT(n_tmp(), 0);
    teardown();
}

/* One store makes, the other reads; what one evicts the other lets go. */
static void test_two_stores(void)
{
    setup();
    struct cache_store *a = open_store(8 * MIB), *b = open_store(8 * MIB);
    CHECK(make(a, 1, 300 * KIB, 1));
    CHECK_INT(look(b, 1, 300 * KIB), 1);
    CHECK(make(b, 1, 300 * KIB, 1)); /* made twice, kept once */
    CHECK_INT(n_files(), 1);
    CHECK_INT(usage(b).n_segments, 1);
    CHECK_INT(usage(b).unkept, 0);
    for (unsigned i = 2; i < 40; i++)
        CHECK(make(i % 2 ? a : b, i, 300 * KIB, 1));
    CHECK_INT(n_files(), usage(a).n_segments);
    CHECK(du(cache_dir) <= 8 * MIB);
    cache_store_close(a);
    CHECK(make(b, 50, 300 * KIB, 1));
    cache_store_close(b);
    CHECK_INT(n_tmp(), 0);
    teardown();
}

static void verify_after_crash(void)
{
    struct cache_store *store = open_store(BUDGET);
    CHECK_INT(n_tmp(), 1);
    CHECK_INT(n_files(), usage(store).n_segments);
    for (unsigned id = 0; id < 200; id++)
        CHECK(look(store, id, len_of(id)) >= 0);
    CHECK_INT(usage(store).bad, 0);
    CHECK(du(cache_dir) <= BUDGET);
    cache_store_close(store);
}

static void test_crashes(void)
{
    setup();
    unsigned seed = test_seed;
    for (unsigned i = 0; i < 50; i++) {
        pid_t pid = start_child(2, seed + i, 200, 1000000, BUDGET);
        usleep(1000 + (unsigned)rand_r(&seed) % 60000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        verify_after_crash();
    }
    teardown();
}

/* Reserves most of a budget once told to, says so, and waits to be killed. */
static void child_reserve(int go, int done)
{
    int err = 0;
    struct cache_writer *w;
    if (read(go, &err, sizeof err) != (ssize_t)sizeof err)
        _exit(3);
    err = cache_writer_begin(open_store(16 * MIB), 12 * MIB, &w);
    if (write(done, &err, sizeof err) == (ssize_t)sizeof err)
        pause();
    _exit(4);
}

/* What a dead process reserved is free for one that was there all the time. The child is forked before there
 * are threads and databases. */
static void test_dead_neighbour(void)
{
    setup();
    int go[2], done[2], err = -1;
    if (pipe(go) < 0 || pipe(done) < 0)
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        child_reserve(go[0], done[1]);
    }
    close(done[1]);
    struct cache_store *store = open_store(16 * MIB);
    CHECK_INT(write(go[1], &err, sizeof err), sizeof err);
    CHECK_INT(read(done[0], &err, sizeof err), sizeof err);
    CHECK_INT(err, 0);
    CHECK(usage(store).bytes > 12 * MIB);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (unsigned i = 0; i < 20; i++)
        CHECK(make(store, i, 600 * KIB, 1));
    CHECK_INT(usage(store).unkept, 0);
    CHECK(n_files() > 15);
    CHECK_INT(n_tmp(), 1);
    cache_store_close(store);
    close(go[0]);
    close(go[1]);
    close(done[0]);
    teardown();
}

/* ---- Tests: the ground goes away ---- */

static void test_directory_removed(void)
{
    setup();
    struct cache_store *store = open_store(BUDGET);
    struct cache_writer *w;
    struct cache_segment *s = NULL;
    CHECK_INT(put_whole(store, 500, 5000, 1, 5000, &s), 0);
    CHECK_INT(cache_writer_begin(store, 5000, &w), 0);
    remove_tree(cache_dir);
    CHECK(right(s, 500, 5000));
    uint8_t data[100];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = byte_of(501, i);
    struct base_hash key = key_of(501);
    struct cache_layout layout = {.payload_bytes = sizeof data, .file_bytes = sizeof data};
    struct cache_segment *in_work = NULL;
    CHECK_INT(base_pwrite_all(cache_writer_fd(w), data, sizeof data, 0), 0);
    CHECK_INT(cache_writer_commit(w, &key, &layout, 1, &in_work), 0);
    CHECK(right(in_work, 501, sizeof data));
    for (unsigned i = 0; i < 20; i++)
        CHECK(get_or_make(store, i, 5000));
    CHECK(n_files() >= 20);
    CHECK_INT(usage(store).n_segments, n_files());
    cache_segment_unref(s);
    cache_segment_unref(in_work);
    cache_store_close(store);
    CHECK_INT(n_tmp(), 0);
    teardown();
}

static void *remove_again(void *data)
{
    atomic_uint *running = data;
    while (atomic_load(running) > 0) {
        remove_tree(cache_dir);
        usleep(20000);
    }
    return NULL;
}

static void test_directory_removed_under_load(void)
{
    setup();
    struct cache_store *store = open_store(BUDGET);
    pthread_t remover;
    atomic_uint running = 1;
    unsigned failures;
    if (pthread_create(&remover, NULL, remove_again, &running) != 0)
        abort();
    /* du() is not for two threads, and here not of interest: the remover uses no du(). */
    run_threads(store, N_THREADS, test_seed, 100, 100, &failures);
    atomic_store(&running, 0);
    pthread_join(remover, NULL);
    CHECK_INT(failures, 0);
    usleep(1100000); /* a failed start is not tried again at once */
    CHECK(make(store, 1000, 5000, 1));
    CHECK(make(store, 1001, 5000, 1));
    CHECK_INT(look(store, 1001, 5000), 1);
    CHECK_INT(n_files(), usage(store).n_segments);
    cache_store_close(store);
    teardown();
}

static bool small_disk(const char *size)
{
    if (mkdir(cache_dir, 0700) == 0 && mount("none", cache_dir, "tmpfs", 0, size) == 0)
        return true;
    (void)fprintf(stderr, "SKIPPED: %s needs to mount a tmpfs: %s\n", check_test, strerror(errno));
    return false;
}

/* Leaves `bytes` on the disk. */
static void fill_disk(const char *path, size_t block)
{
    base_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    base_autofree uint8_t *zeros = calloc(1, block);
    while (block > 0) {
        if (write(fd, zeros, block) < (ssize_t)block)
            block /= 2;
    }
}

static void test_full_disk(void)
{
    setup();
    if (!small_disk("size=6m")) {
        teardown();
        return;
    }
    char path[400];
    in_cache("other-data", path);
    struct cache_store *store = open_store(64 * MIB); /* more than the disk has */
    for (unsigned i = 0; i < 60; i++)
        CHECK(get_or_make(store, i, 200 * KIB));
    CHECK_INT(usage(store).unkept, 0);
    CHECK(usage(store).evicted > 0);
    /* Somebody else takes whatever eviction gives back. */
    for (unsigned i = 0; i < 100; i++) {
        fill_disk(path, MIB);
        CHECK(get_or_make(store, i, 200 * KIB));
    }
    CHECK(usage(store).unkept > 0);
    cache_store_close(store);
    store = open_store(64 * MIB); /* on a disk that is full already */
    for (unsigned i = 0; i < 30; i++)
        CHECK(get_or_make(store, i, 200 * KIB));
    CHECK_INT(unlink(path), 0);
    usleep(1100000);
    uint64_t unkept = usage(store).unkept;
    for (unsigned i = 200; i < 240; i++)
        CHECK(get_or_make(store, i, 100 * KIB));
    CHECK_INT(usage(store).unkept, unkept); /* back to normal */
    CHECK_INT(n_files(), usage(store).n_segments);
    cache_store_close(store);
    CHECK_INT(n_tmp(), 0);
    (void)umount(cache_dir);
    teardown();
}

/* The disk of the test is full before the cache was ever used. */
static void test_born_full(void)
{
    setup();
    if (!small_disk("size=200k")) {
        teardown();
        return;
    }
    char path[400];
    in_cache("other-data", path);
    fill_disk(path, 64 * KIB);
    struct cache_store *store = open_store(64 * MIB);
    for (unsigned i = 0; i < 10; i++)
        CHECK(get_or_make(store, i, 50 * KIB));
    cache_store_close(store);
    (void)umount(cache_dir);
    teardown();
}

static void test_directory_is_a_file(void)
{
    setup();
    int fd = open(cache_dir, O_WRONLY | O_CREAT, 0600);
    close(fd);
    struct cache_store *store = NULL;
    struct base_reason why = {{0}};
    CHECK_INT(cache_store_open(cache_dir, MIB, &store, &why), -ENOTDIR);
    CHECK(strstr(why.text, cache_dir));
    teardown();
}

/* A row takes about 100 bytes, so with a dozen frames in a segment well below 16 bytes for each. */
static void test_index_size(void)
{
    setup();
    struct stat st = {0};
    char path[400];
    struct cache_store *store = open_store(256 * MIB);
    for (unsigned i = 0; i < 3000; i++)
        CHECK(make(store, i, 100, i));
    CHECK_INT(usage(store).n_segments, 3000);
    CHECK_INT(usage(store).unkept, 0);
    cache_store_close(store);
    in_cache("index.sqlite", path);
    CHECK_INT(stat(path, &st), 0);
    CHECK(st.st_size < 3000 * 16 * 12);
    (void)fprintf(stderr, "index: %.1f bytes a segment\n", (double)st.st_size / 3000);
    teardown();
}

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
#define TEST(name)                                                                                           \
    {                                                                                                        \
#name, name                                                                                          \
    }
    TEST(test_whole),
    TEST(test_frames),
    TEST(test_untrusted_layouts),
    TEST(test_held_while_evicted),
    TEST(test_order),
    TEST(test_costly_ages),
    TEST(test_too_small),
    TEST(test_budget_under_threads),
    TEST(test_reservations),
    TEST(test_damage),
    TEST(test_missing_file),
    TEST(test_corrupt_database),
    TEST(test_corrupt_database_later),
    TEST(test_newer_schema),
    TEST(test_facts),
    TEST(test_facts_count),
    TEST(test_identities),
    TEST(test_two_processes),
    TEST(test_two_stores),
    TEST(test_crashes),
    TEST(test_dead_neighbour),
    TEST(test_directory_removed),
    TEST(test_directory_removed_under_load),
    TEST(test_full_disk),
    TEST(test_born_full),
    TEST(test_directory_is_a_file),
    TEST(test_index_size),
};

/* Arguments: names of tests to run (all), and --seed N. */
int main(int argc, char **argv)
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
    for (size_t i = 0; i < BASE_ARRAY_LEN(tests); i++) {
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
