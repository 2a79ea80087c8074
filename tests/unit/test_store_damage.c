/* SPDX-License-Identifier: Apache-2.0 */
/* The store when things go wrong - damaged files, a broken index, a directory that is removed, a full disk:
 * nothing changes a byte that is served. */
#include "tests/unit/store.h"

#include <sys/mount.h>

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

/* ---- Tests: the ground goes away ---- */

static void test_directory_removed(void)
{
    setup();
    struct cache_store *store = open_store(12 * MIB);
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

/* Others take all that is free, once: then the cache makes room of its own, although its log cannot grow. */
static void test_full_disk_stays_full(void)
{
    setup();
    if (!small_disk("size=12m")) {
        teardown();
        return;
    }
    char path[400];
    in_cache("other-data", path);
    struct cache_store *store = open_store((uint64_t)1 << 30);
    for (unsigned i = 0; i < 12; i++)
        CHECK(make(store, i, 500 * KIB, 1000));
    fill_disk(path, MIB);
    uint64_t unkept = usage(store).unkept, evicted = usage(store).evicted;
    for (unsigned i = 100; i < 180; i++)
        CHECK(make(store, i, 500 * KIB, 1000));
    CHECK(usage(store).unkept - unkept <= 2);
    CHECK(usage(store).evicted - evicted >= 70);
    CHECK_INT(look(store, 179, 500 * KIB), 1);
    CHECK_INT(n_files(), usage(store).n_segments);
    cache_store_close(store);
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

int main(int argc, char **argv)
{
    static const struct store_test tests[] = {
        STORE_TEST(test_damage),           STORE_TEST(test_missing_file),
        STORE_TEST(test_corrupt_database), STORE_TEST(test_corrupt_database_later),
        STORE_TEST(test_newer_schema),     STORE_TEST(test_directory_removed),
        STORE_TEST(test_full_disk),        STORE_TEST(test_full_disk_stays_full),
        STORE_TEST(test_born_full),        STORE_TEST(test_directory_is_a_file),
    };
    return store_tests(argc, argv, tests, BASE_ARRAY_LEN(tests));
}
