/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_decode's archives: every list is one that the daemon would take, and bytes do not depend on the way to
 * them. */
#include "decoders/listing.h"

#include "damage.h"
#include "fuzz.h"
#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { READS = 6, MAX_PIECE = 1 << 20, MAX_MEMORY_KIB = 2 << 20, BLOCK = 512 };

/* The list of the whole archive, for what is taken for one that grew. */
static struct result whole = {.fd = -1};
static uint64_t whole_bytes, last_session;

/* Puts the sum of a tar's header right. */
static void mend_header(uint8_t *header)
{
    enum { SUM_AT = 148, SUM_LEN = 8 };
    unsigned sum = 0;
    memset(header + SUM_AT, ' ', SUM_LEN);
    for (int i = 0; i < BLOCK; i++)
        sum += header[i];
    (void)snprintf((char *)header + SUM_AT, SUM_LEN, "%06o", sum);
}

size_t damage_archive(uint8_t *data, size_t len)
{
    bool mends = random_below(3) > 0;
    size_t n_blocks = len / BLOCK;
    base_autofree bool *is_header = calloc(n_blocks + 1, 1);
    if (!is_header)
        abort();
    for (size_t i = 0; mends && i < n_blocks; i++)
        is_header[i] = data[i * BLOCK] != 0 && dec_is_tar(data + i * BLOCK);
    len = damage(data, len);
    for (size_t i = 0; mends && (i + 1) * BLOCK <= len; i++)
        if (is_header[i])
            mend_header(data + i * BLOCK);
    return len;
}

static int make_list(int fd, uint64_t known_bytes, int known_fd, struct result *ret)
{
    struct dec_job job = {
        .kind = DEC_LIST, .threads = 1, .session = ++last_session, .list.known_bytes = known_bytes};
    return run_job(&job, fd, NULL, known_fd, ret);
}

static int unpack_piece(int fd, const struct dec_member *m, uint64_t from, uint64_t bytes, bool anew,
                        int list_fd, struct result *ret)
{
    last_session += anew;
    struct dec_job job = {.kind = DEC_UNPACK, .threads = 1, .session = last_session};
    job.unpack =
        (struct dec_unpack_spec){.from = from, .bytes = bytes, .size = m->size, .storage = m->storage};
    if (m->storage == DEC_PACKED) {
        job.unpack.header = m->offset;
        job.unpack.packed_bytes = m->packed_bytes;
    }
    return run_job(&job, fd, NULL, list_fd, ret);
}

static void unpack_member(int fd, const struct dec_member *m, int list_fd)
{
    uint64_t size = m->storage == DEC_PACKED ? m->size : m->packed_bytes;
    uint64_t at = random_below(size), bytes = 1 + random_below(BASE_MIN(size - at, (uint64_t)MAX_PIECE));
    struct result one, other;
    at += m->storage == DEC_STREAM ? m->offset : 0;
    int err = unpack_piece(fd, m, at, bytes, random_below(2), list_fd, &one);
    int other_err = unpack_piece(fd, m, at, bytes, true, -1, &other);
    if (!err && !other_err && memcmp(one.data, other.data, bytes) != 0)
        finding("%llu bytes at %llu of '%s' depend on where unpacking began", (unsigned long long)bytes,
                (unsigned long long)at, m->name);
    result_finish(&one);
    result_finish(&other);
}

static void check_list(const struct result *list, int fd)
{
    static struct dec_members_cursor c;
    struct dec_members members;
    struct dec_member m;
    int got, reads = 0;
    if (dec_members_open(list->data, list->reply.bytes, &members) < 0) {
        finding("a list that is none");
        return;
    }
    if (verbose)
        (void)fprintf(stderr, "  %llu members, %llu refused%s%s\n", (unsigned long long)members.n_members,
                      (unsigned long long)members.n_refused, members.truncated ? ", cut: " : "",
                      members.reason);
    dec_members_begin(&members, &c);
    while ((got = dec_members_next(&c, &m)) > 0) {
        bool is_packed = m.kind == DEC_MEMBER_FILE && (m.storage == DEC_STREAM || m.storage == DEC_PACKED) &&
                         m.size > 0 && m.packed_bytes > 0;
        if (is_packed && reads < READS && random_below(3) == 0) {
            unpack_member(fd, &m, list->fd);
            reads++;
        }
    }
    if (got < 0)
        finding("record %llu of its list breaks a rule", (unsigned long long)c.number);
    dec_members_end(&c);
}

static void check_memory(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    if (usage.ru_maxrss > MAX_MEMORY_KIB)
        finding("took %ld KiB of memory", usage.ru_maxrss);
}

void try_archive(int fd, bool is_damaged)
{
    struct result list, grown;
    struct stat st;
    if (make_list(fd, 0, -1, &list) == 0)
        check_list(&list, fd);
    if (is_damaged && whole.fd >= 0) {
        if (make_list(fd, whole_bytes, whole.fd, &grown) == 0)
            check_list(&grown, fd);
        result_finish(&grown);
    }
    check_memory();
    if (is_damaged) {
        result_finish(&list);
        return;
    }
    result_finish(&whole);
    whole = list;
    whole_bytes = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}
