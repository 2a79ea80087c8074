/* SPDX-License-Identifier: Apache-2.0 */
/* The disk half of the cache: what is kept and given back, and what is evicted for it. */
#include "tests/unit/store.h"

#include <pthread.h>

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
    struct base_hash key = key_of(1);
    CHECK(!cache_segment_at_hand(store, &key));
    CHECK_INT(look(store, 1, 5000), 1);
    CHECK(cache_segment_at_hand(store, &key));
    CHECK_INT(look(store, 2, 0), 1);
    CHECK_INT(usage(store).n_segments, 2);
    cache_store_close(store);
    teardown();
}

/* What is expected gets to hand without being asked for, and counts as no use; what is not kept, or is
 * damaged, is left to who asks for it. */
static void test_expected(void)
{
    setup();
    struct cache_store *store = open_store(64 * MIB);
    const struct base_hash kept = key_of(1), none = key_of(2), bad = key_of(3);
    CHECK(make(store, 3, 5000, 10));
    CHECK_INT(n_files(), 1);
    CHECK_INT(truncate(last_found, 100), 0);
    CHECK(make(store, 1, 5000, 10));
    cache_store_close(store);
    store = open_store(64 * MIB);
    for (int i = 0; i < 100; i++)
        cache_segment_expect(store, &none);
    while (!cache_segment_at_hand(store, &kept)) {
        cache_segment_expect(store, &bad);
        cache_segment_expect(store, &kept);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    CHECK(!cache_segment_at_hand(store, &none));
    CHECK(!cache_segment_at_hand(store, &bad));
    CHECK_INT(usage(store).hits, 0);
    CHECK_INT(usage(store).bad, 0);
    CHECK_INT(look(store, 1, 5000), 1);
    CHECK_INT(look(store, 3, 5000), 0);
    CHECK_INT(usage(store).bad, 1);
    cache_segment_expect(store, &none); /* the store may be closed at any time */
    cache_store_close(store);
    teardown();
}

/* Of several, what was used lately is taken before what would have to be opened, and then the first. */
static void test_any(void)
{
    setup();
    struct cache_store *store = open_store(64 * MIB);
    const struct base_hash keys[] = {key_of(1), key_of(2), key_of(3)};
    const size_t n = BASE_ARRAY_LEN(keys);
    struct cache_segment *s = NULL;
    size_t number;
    CHECK_INT(cache_segment_get_any(store, keys, n, &number, &s), -ENOENT);
    CHECK_INT(usage(store).misses, 1);
    CHECK(make(store, 2, 5000, 10));
    CHECK_INT(n_files(), 1);
    base_autofree char *second = strdup(last_found);
    CHECK(make(store, 3, 5000, 10));
    cache_store_close(store);
    store = open_store(64 * MIB);
    CHECK_INT(look(store, 3, 5000), 1);
    CHECK_INT(cache_segment_get_any(store, keys, n, &number, &s), 0);
    CHECK_INT(number, 2);
    cache_segment_unref(s);
    cache_store_close(store);
    store = open_store(64 * MIB);
    CHECK_INT(cache_segment_get_any(store, keys, n, &number, &s), 0);
    CHECK_INT(number, 1);
    CHECK(base_hash_equal(cache_segment_key(s), &keys[1]));
    cache_segment_unref(s);
    cache_store_close(store);
    /* A bad one is none. */
    CHECK_INT(truncate(second, 100), 0);
    store = open_store(64 * MIB);
    CHECK_INT(cache_segment_get_any(store, keys, n, &number, &s), 0);
    CHECK_INT(number, 2);
    cache_segment_unref(s);
    CHECK_INT(usage(store).bad, 1);
    CHECK_INT(usage(store).hits, 1);
    cache_store_close(store);
    teardown();
}

enum { GETTERS = 8 };

struct getters {
    struct cache_store *store;
    struct base_hash key;
    struct cache_segment *got[GETTERS];
    _Atomic int next;
};

static void *get_one(void *argument)
{
    struct getters *g = argument;
    (void)cache_segment_get(g->store, &g->key, &g->got[atomic_fetch_add(&g->next, 1)]);
    return NULL;
}

/* Who wants a segment that is being opened gets the same one. */
static void test_opened_once(void)
{
    setup();
    struct cache_store *store = open_store(64 * MIB);
    CHECK(make(store, 1, 4 * MIB, 10));
    for (int round = 0; round < 20; round++) {
        cache_store_close(store);
        store = open_store(64 * MIB);
        struct getters g = {.store = store, .key = key_of(1)};
        pthread_t threads[GETTERS];
        for (int i = 0; i < GETTERS; i++)
            CHECK_INT(pthread_create(&threads[i], NULL, get_one, &g), 0);
        for (int i = 0; i < GETTERS; i++)
            pthread_join(threads[i], NULL);
        for (int i = 0; i < GETTERS; i++) {
            CHECK(g.got[i] && g.got[i] == g.got[0]);
            cache_segment_unref(g.got[i]);
        }
    }
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

/* A checksum that the writer knew: a right one is believed, and a wrong one found out by who reads it first.
 */
static void check_told_sum(bool is_right)
{
    setup();
    struct cache_store *store = open_store(64 * MIB);
    struct dec_entry entries[4] = {{0, 500}, {0, 500}, {0, 0}, {500, 1000}};
    struct cache_writer *w;
    struct cache_segment *s = NULL;
    struct base_hash key = key_of(7), sum;
    CHECK_INT(cache_writer_begin(store, 100 * KIB, &w), 0);
    write_frames(w, entries);
    CHECK_INT(base_hash_fd(cache_writer_fd(w), 0, frames_layout.payload_bytes + sizeof entries, &sum), 0);
    sum.bytes[3] ^= is_right ? 0 : 1;
    cache_writer_sum(w, &sum);
    CHECK_INT(cache_writer_commit(w, &key, &frames_layout, 10, &s), 0);
    cache_segment_unref(s);
    s = NULL;
    cache_store_close(store);
    store = open_store(64 * MIB);
    CHECK_INT(cache_segment_get(store, &key, &s), is_right ? 0 : -ENOENT);
    CHECK_INT(usage(store).bad, is_right ? 0 : 1);
    cache_segment_unref(s);
    cache_store_close(store);
    teardown();
}

static void test_told_sums(void)
{
    check_told_sum(true);
    check_told_sum(false);
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

/* ---- Tests: the index ---- */

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

int main(int argc, char **argv)
{
    static const struct store_test tests[] = {
        STORE_TEST(test_whole),
        STORE_TEST(test_expected),
        STORE_TEST(test_any),
        STORE_TEST(test_opened_once),
        STORE_TEST(test_frames),
        STORE_TEST(test_told_sums),
        STORE_TEST(test_untrusted_layouts),
        STORE_TEST(test_held_while_evicted),
        STORE_TEST(test_order),
        STORE_TEST(test_costly_ages),
        STORE_TEST(test_too_small),
        STORE_TEST(test_reservations),
        STORE_TEST(test_facts),
        STORE_TEST(test_facts_count),
        STORE_TEST(test_identities),
        STORE_TEST(test_index_size),
    };
    return store_tests(argc, argv, tests, BASE_ARRAY_LEN(tests));
}
