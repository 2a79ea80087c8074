/* SPDX-License-Identifier: Apache-2.0 */
/* The member list: what goes in comes out, and no bytes whatever give a record that breaks the rules. */
#include "decoders/members_private.h"

#include "check.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static uint64_t seed;

static uint64_t random_below(uint64_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (seed >> 33) % n;
}

/* ---- Names ---- */

static const char *plain(const char *name, uint8_t *ret_why)
{
    static char out[DEC_MAX_NAME + 1];
    size_t len = 0;
    *ret_why = dec_name_make_plain(name, strlen(name), out, &len);
    if (!*ret_why && len > 0)
        CHECK(strlen(out) == len && dec_name_is_plain(out, len));
    return out;
}

#define CHECK_PLAIN(name, want)                                                                              \
    {                                                                                                        \
        uint8_t why;                                                                                         \
        const char *have = plain(name, &why);                                                                \
        CHECK_INT(why, 0);                                                                                   \
        CHECK_STR(have, want);                                                                               \
    }
#define CHECK_REFUSED(name, want)                                                                            \
    {                                                                                                        \
        uint8_t why;                                                                                         \
        (void)plain(name, &why);                                                                             \
        CHECK_INT(why, want);                                                                                \
    }

static void test_names(void)
{
    static char deep[2 * DEC_MAX_DEPTH + 3], wide[DEC_MAX_NAME + 2];
    CHECK_PLAIN("a/b", "a/b")
    CHECK_PLAIN("./a//b/./c/", "a/b/c")
    CHECK_PLAIN("./", "")
    CHECK_PLAIN("...", "...")
    CHECK_PLAIN("..a/b..", "..a/b..")
    CHECK_PLAIN("\xff\xfe/\n", "\xff\xfe/\n")
    CHECK_REFUSED("", DEC_REFUSED_NAME)
    CHECK_REFUSED("/a", DEC_REFUSED_ABSOLUTE)
    CHECK_REFUSED("..", DEC_REFUSED_PARENT)
    CHECK_REFUSED("a/../b", DEC_REFUSED_PARENT)
    CHECK_REFUSED("a/..", DEC_REFUSED_PARENT)
    for (size_t i = 0; i <= DEC_MAX_DEPTH; i++)
        memcpy(deep + 2 * i, "d/", 2);
    CHECK_REFUSED(deep, DEC_REFUSED_DEEP)
    CHECK_REFUSED(deep + 2, 0)
    memset(wide, 'w', DEC_MAX_NAME + 1);
    CHECK_REFUSED(wide, DEC_REFUSED_LONG)
    CHECK_REFUSED(wide + 1, 0)
    CHECK(!dec_name_is_plain("a\0b", 3) && !dec_name_is_plain("a/", 2) && !dec_name_is_plain("/a", 2));
    CHECK(!dec_name_is_plain("a//b", 4) && !dec_name_is_plain("a/./b", 5) && !dec_name_is_plain("", 0));
}

static bool is_safe(const char *name, const char *target)
{
    return dec_symlink_is_safe(name, strlen(name), target, strlen(target));
}

static void test_symlinks(void)
{
    CHECK(is_safe("a", "b") && is_safe("a", "./b//c") && is_safe("a/b", "../c") && is_safe("a/b/c", "../.."));
    CHECK(!is_safe("a", "") && !is_safe("a", "/b") && !is_safe("a", "..") && !is_safe("a/b", "../../c"));
    /* Where `up` is a link to "../../..", this is outside. */
    CHECK(!is_safe("x", "a/b/c/up/.."));
}

/* ---- Lists ---- */

enum { MANY = 1000 };

struct made {
    struct dec_member members[MANY];
    char names[MANY][40], targets[MANY][12];
    struct dec_extent extents[MANY][3];
};

static void make_place(struct dec_member *m, struct dec_extent *extents, uint64_t *at)
{
    static const uint8_t storages[] = {DEC_STORED, DEC_STORED, DEC_STORED,
                                       DEC_SPARSE, DEC_STREAM, DEC_PACKED};
    m->storage = storages[random_below(BASE_ARRAY_LEN(storages))];
    m->size = m->packed_bytes = random_below(3) ? random_below(1 << random_below(24)) : 8192;
    m->offset = *at + 512 + random_below(3) / 2;
    if (m->storage == DEC_PACKED)
        m->packed_bytes = random_below(m->size + 1);
    if (m->storage == DEC_SPARSE) {
        extents[0] = (struct dec_extent){random_below(100), 1 + random_below(5000)};
        extents[1] = (struct dec_extent){10000, 10};
        m->extents = extents;
        m->n_extents = (uint32_t)random_below(3);
        m->size = 10010 + random_below(9);
        m->packed_bytes =
            (m->n_extents > 0 ? extents[0].bytes : 0) + (m->n_extents > 1 ? extents[1].bytes : 0);
    }
    *at = (m->offset + m->packed_bytes + 511) / 512 * 512;
}

static void make_member(struct made *all, size_t i, uint64_t *at)
{
    static const uint8_t kinds[] = {DEC_MEMBER_FILE,     DEC_MEMBER_FILE,    DEC_MEMBER_DIR,
                                    DEC_MEMBER_HARDLINK, DEC_MEMBER_SYMLINK, DEC_MEMBER_REFUSED};
    struct dec_member *m = &all->members[i];
    *m = (struct dec_member){.kind = kinds[random_below(BASE_ARRAY_LEN(kinds))], .name = all->names[i]};
    m->name_len = (size_t)snprintf(all->names[i], sizeof all->names[i], "shard/%06zu.%s", i + random_below(2),
                                   random_below(2) ? "jpg" : "\xe4.json");
    if (m->kind == DEC_MEMBER_REFUSED) {
        m->why = (uint8_t)(1 + random_below(DEC_N_REFUSALS - 1));
        return;
    }
    m->mtime_s = 1700000000 + (random_below(2) ? 0 : (int64_t)random_below(100000));
    if (m->kind == DEC_MEMBER_FILE) {
        make_place(m, all->extents[i], at);
    } else if (m->kind != DEC_MEMBER_DIR) {
        m->target = all->targets[i];
        m->target_len = (size_t)snprintf(all->targets[i], sizeof all->targets[i], "t%zu", i);
    }
}

static void write_list(const struct made *all, size_t n, struct dec_members *facts, struct base_bytes *ret)
{
    struct dec_members_writer w = {.fd = memfd_create("list", MFD_CLOEXEC), .format = facts->format};
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        CHECK_INT(dec_members_add(&w, &all->members[i]), 0);
    CHECK_INT(dec_members_close(&w, facts, &bytes), 0);
    CHECK_INT(base_bytes_reserve(ret, bytes), 0);
    CHECK_INT(pread(w.fd, ret->data, bytes, 0), bytes);
    ret->len = bytes;
    close(w.fd);
    dec_members_writer_finish(&w);
}

static void check_equal(const struct dec_member *have, const struct dec_member *want)
{
    CHECK_STR(have->name, want->name);
    CHECK(have->kind == want->kind && have->name_len == want->name_len && have->why == want->why);
    CHECK(have->mtime_s == want->mtime_s || want->kind == DEC_MEMBER_REFUSED);
    CHECK_STR(have->target, want->target);
    if (want->kind != DEC_MEMBER_FILE)
        return;
    CHECK(have->storage == want->storage);
    CHECK_INT(have->offset, want->offset);
    CHECK_INT(have->size, want->size);
    CHECK_INT(have->packed_bytes, want->packed_bytes);
    if (CHECK_INT(have->n_extents, want->n_extents))
        CHECK(have->n_extents == 0 ||
              memcmp(have->extents, want->extents, have->n_extents * sizeof *have->extents) == 0);
}

static struct dec_members facts_of(uint64_t end)
{
    return (struct dec_members){.format = DEC_TAR,
                                .filter = DEC_XZ,
                                .truncated = true,
                                .reason = "cut",
                                .archive_bytes = end,
                                .stream_bytes = end,
                                .end_offset = end,
                                .last_header = end / 2,
                                .end_members = 3,
                                .end_refused = 1,
                                .points = (const uint8_t *)"points",
                                .points_bytes = 6};
}

/* Members 0..n - 1 but for the refused ones that are too many to be told. */
static size_t make_all(struct made *all, uint64_t *at)
{
    size_t n = 0, refused = 0;
    for (size_t i = 0; i < MANY; i++) {
        make_member(all, n, at);
        bool told = all->members[n].kind != DEC_MEMBER_REFUSED || ++refused <= DEC_MAX_REFUSED_TOLD;
        n += told;
    }
    return n;
}

static void test_round_trip(void)
{
    static struct made all;
    static struct dec_members_cursor c;
    uint64_t at = 0;
    size_t n = make_all(&all, &at);
    struct dec_members facts = facts_of(at), list;
    struct dec_member m;
    struct base_bytes bytes = {0};
    write_list(&all, n, &facts, &bytes);
    CHECK_INT(dec_members_open(bytes.data, bytes.len, &list), 0);
    uint64_t n_hardlinks = 0;
    for (size_t i = 0; i < n; i++)
        n_hardlinks += all.members[i].kind == DEC_MEMBER_HARDLINK;
    CHECK_INT(list.n_hardlinks, n_hardlinks);
    CHECK(list.n_members == n && list.filter == DEC_XZ && list.truncated && list.end_offset == at &&
          list.last_header == at / 2);
    CHECK(list.end_members == 3 && list.end_refused == 1);
    CHECK_STR(list.reason, "cut");
    CHECK(list.points_bytes == 6 && memcmp(list.points, "points", 6) == 0);
    dec_members_begin(&list, &c);
    for (size_t i = 0; i < n; i++)
        if (CHECK_INT(dec_members_next(&c, &m), 1))
            check_equal(&m, &all.members[i]);
    CHECK_INT(dec_members_next(&c, &m), 0);
    for (int i = 0; i < 300; i++) {
        size_t wanted = random_below(n);
        CHECK_INT(dec_members_seek(&c, wanted), 0);
        if (CHECK_INT(dec_members_next(&c, &m), 1))
            check_equal(&m, &all.members[wanted]);
    }
    CHECK_INT(dec_members_seek(&c, n), -ENOENT);
    dec_members_end(&c);
    base_bytes_finish(&bytes);
}

/* A shard as WebDataset writes it takes some 15 bytes a member. */
static void test_small(void)
{
    static struct made all;
    struct dec_members facts = facts_of(MANY * 10240);
    struct base_bytes bytes = {0};
    for (size_t i = 0; i < MANY; i++) {
        all.members[i] = (struct dec_member){.name = all.names[i], .size = 8192, .packed_bytes = 8192};
        all.members[i].offset = 512 + i * 8704;
        all.members[i].mtime_s = 1700000000 + (int64_t)i;
        all.members[i].name_len = (size_t)snprintf(all.names[i], sizeof all.names[i], "train/%08zu.jpg", i);
    }
    write_list(&all, MANY, &facts, &bytes);
    CHECK(bytes.len < 20 * MANY);
    base_bytes_finish(&bytes);
}

static void test_too_many_refused(void)
{
    static struct made all;
    struct dec_members facts = facts_of(0), list;
    struct base_bytes bytes = {0};
    for (size_t i = 0; i < MANY; i++)
        all.members[i] =
            (struct dec_member){.kind = DEC_MEMBER_REFUSED, .name = "/", .name_len = 1, .why = 1};
    write_list(&all, MANY, &facts, &bytes);
    CHECK_INT(dec_members_open(bytes.data, bytes.len, &list), 0);
    CHECK_INT(list.n_members, DEC_MAX_REFUSED_TOLD);
    CHECK_INT(list.n_refused, MANY);
    base_bytes_finish(&bytes);
}

/* A list ends where it would get too long. */
static void test_limits(void)
{
    const struct dec_member m = {.kind = DEC_MEMBER_DIR, .name = "d", .name_len = 1};
    struct dec_members_writer w = {.fd = memfd_create("list", MFD_CLOEXEC)};
    w.n_members = DEC_MAX_MEMBERS - 1;
    CHECK_INT(dec_members_add(&w, &m), 0);
    CHECK_INT(dec_members_add(&w, &m), -EFBIG);
    w.n_members = 1;
    w.records_bytes = DEC_MAX_LIST_BYTES;
    CHECK_INT(dec_members_add(&w, &m), -EFBIG);
    close(w.fd);
    dec_members_writer_finish(&w);
}

/* ---- Hostile bytes ---- */

static void check_rules(const struct dec_members *list, const struct dec_member *m)
{
    uint64_t end = m->storage == DEC_STREAM ? list->stream_bytes : list->archive_bytes;
    CHECK(m->kind <= DEC_MEMBER_REFUSED && strlen(m->name) == m->name_len && m->name_len <= DEC_MAX_NAME);
    if (m->kind == DEC_MEMBER_REFUSED) {
        CHECK(m->why > 0 && m->why < DEC_N_REFUSALS);
        return;
    }
    CHECK(dec_name_is_plain(m->name, m->name_len));
    if (m->kind == DEC_MEMBER_SYMLINK)
        CHECK(dec_symlink_is_safe(m->name, m->name_len, m->target, m->target_len));
    if (m->kind == DEC_MEMBER_HARDLINK)
        CHECK(dec_name_is_plain(m->target, m->target_len));
    if (m->kind != DEC_MEMBER_FILE)
        return;
    CHECK(m->packed_bytes <= end && m->offset <= end - m->packed_bytes && m->size <= DEC_MAX_MEMBER_BYTES);
    uint64_t last = 0, sum = 0;
    for (uint32_t i = 0; i < m->n_extents; i++) {
        CHECK(m->extents[i].at >= last && m->extents[i].bytes > 0);
        last = m->extents[i].at + m->extents[i].bytes;
        sum += m->extents[i].bytes;
    }
    CHECK(last <= m->size &&
          (m->storage == DEC_PACKED || sum == (m->packed_bytes < m->size ? m->packed_bytes : 0)));
}

static void read_all(const struct base_bytes *bytes)
{
    static struct dec_members_cursor c;
    struct dec_members list;
    struct dec_member m;
    if (dec_members_open(bytes->data, bytes->len, &list) < 0)
        return;
    dec_members_begin(&list, &c);
    int got;
    while ((got = dec_members_next(&c, &m)) > 0)
        check_rules(&list, &m);
    CHECK(got == 0 || got == -EPROTO);
    got = list.n_members > 0 ? dec_members_seek(&c, random_below(list.n_members)) : 0;
    CHECK(got == 0 || got == -EPROTO);
    dec_members_end(&c);
}

static void test_damaged(void)
{
    static struct made all;
    uint64_t at = 0;
    size_t n = make_all(&all, &at);
    struct dec_members facts = facts_of(at);
    struct base_bytes good = {0}, bad = {0};
    write_list(&all, n, &facts, &good);
    for (int i = 0; i < 3000; i++) {
        bad.len = 0;
        base_bytes_append(&bad, good.data, good.len);
        for (uint64_t flips = 1 + random_below(4); flips > 0; flips--)
            bad.data[random_below(random_below(3) ? bad.len : 256)] ^= (uint8_t)(1u << random_below(8));
        if (random_below(8) == 0)
            bad.len = random_below(bad.len);
        read_all(&bad);
    }
    base_bytes_finish(&good);
    base_bytes_finish(&bad);
}

int main(void)
{
    const char *given = getenv("CORPUSFS_SEED");
    seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    (void)printf("CORPUSFS_SEED=%llu\n", (unsigned long long)seed);
    CHECK_RUN(test_names);
    CHECK_RUN(test_symlinks);
    CHECK_RUN(test_round_trip);
    CHECK_RUN(test_small);
    CHECK_RUN(test_too_many_refused);
    CHECK_RUN(test_limits);
    CHECK_RUN(test_damaged);
    return check_result();
}
