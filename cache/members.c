/* SPDX-License-Identifier: Apache-2.0 */
/* What is in an archive: names, attributes, bytes. */
#include "cache/archives.h"

#include "base/io.h"
#include "cache/private.h"

#include <errno.h>
#include <sys/mman.h>

static enum cache_member_kind kind_of(const struct dec_member *m)
{
    return m->kind == DEC_MEMBER_DIR       ? CACHE_MEMBER_DIR
           : m->kind == DEC_MEMBER_SYMLINK ? CACHE_MEMBER_SYMLINK
                                           : CACHE_MEMBER_FILE;
}

/* A record of an archive that has not changed. The cursor is to be ended, also after an error. */
static int find_member(struct cache *c, uint32_t archive, uint32_t number, struct dec_members_cursor *cursor,
                       struct archive **ret_archive, struct dec_member *ret)
{
    struct archive *a = archive_of(c, archive);
    cursor->extents = NULL;
    if (!a)
        return -ENOENT;
    if (!archive_is_current(c, a))
        return -ESTALE;
    *ret_archive = a;
    return archive_record(a, number, cursor, ret);
}

/* ---- Hard links ---- */

/* What a name means at a place of the list. */
struct binding {
    uint64_t hash; /* 0 = free */
    uint32_t content;
};
struct bindings {
    struct binding *slots;
    uint32_t mask;
};

static struct binding *bind(const struct bindings *b, const char *name, size_t len)
{
    struct base_hash full = base_hash_of(name, len);
    uint64_t hash;
    memcpy(&hash, full.bytes, sizeof hash);
    hash |= 1;
    for (uint32_t at = (uint32_t)(hash >> 32) & b->mask;; at = (at + 1) & b->mask)
        if (b->slots[at].hash == hash || b->slots[at].hash == 0)
            return b->slots[at].hash ? &b->slots[at] : (b->slots[at].hash = hash, &b->slots[at]);
}

static bool is_bound(const struct bindings *b, const char *name, size_t len)
{
    struct base_hash full = base_hash_of(name, len);
    uint64_t hash;
    memcpy(&hash, full.bytes, sizeof hash);
    hash |= 1;
    uint32_t at = (uint32_t)(hash >> 32) & b->mask;
    while (b->slots[at].hash && b->slots[at].hash != hash)
        at = (at + 1) & b->mask;
    return b->slots[at].hash != 0;
}

/* Names that hard links have or point to. */
static int bind_names(const struct archive *a, struct dec_members_cursor *cursor, struct bindings *b,
                      size_t *ret_n_links)
{
    struct dec_member m;
    size_t n = 0;
    dec_members_begin(&a->list, cursor);
    while (dec_members_next(cursor, &m) > 0)
        n += m.kind == DEC_MEMBER_HARDLINK;
    dec_members_end(cursor);
    *ret_n_links = n;
    b->mask = 15;
    while (b->mask < n * 4)
        b->mask = b->mask * 2 + 1;
    b->slots = n > 0 ? calloc((size_t)b->mask + 1, sizeof *b->slots) : NULL;
    if (n == 0 || !b->slots)
        return n == 0 ? 0 : -ENOMEM;
    dec_members_begin(&a->list, cursor);
    while (dec_members_next(cursor, &m) > 0) {
        if (m.kind != DEC_MEMBER_HARDLINK)
            continue;
        bind(b, m.name, m.name_len)->content = UINT32_MAX;
        bind(b, m.target, m.target_len)->content = UINT32_MAX;
    }
    dec_members_end(cursor);
    return 0;
}

static int compare_names(const void *x, const void *y)
{
    const struct archive_names *a = x, *b = y;
    return (a->content > b->content) - (a->content < b->content);
}

/* How many names each content has in the end. */
static int count_names(struct archive *a, const struct bindings *b)
{
    a->counts = calloc(a->n_links * 2 + 1, sizeof *a->counts);
    if (!a->counts)
        return -ENOMEM;
    size_t n = 0;
    for (uint32_t i = 0; i <= b->mask; i++)
        if (b->slots[i].hash && b->slots[i].content != UINT32_MAX)
            a->counts[n++] = (struct archive_names){b->slots[i].content, 1};
    if (n > 1)
        qsort(a->counts, n, sizeof *a->counts, compare_names);
    for (size_t i = 0; i < n; i++) {
        if (a->n_counts > 0 && a->counts[a->n_counts - 1].content == a->counts[i].content)
            a->counts[a->n_counts - 1].n++;
        else
            a->counts[a->n_counts++] = a->counts[i];
    }
    return 0;
}

/* Follows each link to the last member of that name before it, as unpacking would. */
static int resolve(struct archive *a, struct dec_members_cursor *cursor, const struct bindings *b)
{
    struct dec_member m;
    size_t n = 0;
    struct archive_link *links = calloc(a->n_links + 1, sizeof *links);
    if (!links)
        return -ENOMEM;
    dec_members_begin(&a->list, cursor);
    for (uint32_t number = 0; dec_members_next(cursor, &m) > 0; number++) {
        uint32_t content = number;
        if (m.kind == DEC_MEMBER_REFUSED)
            continue;
        if (m.kind == DEC_MEMBER_HARDLINK && n < a->n_links) {
            content = bind(b, m.target, m.target_len)->content;
            links[n++] = (struct archive_link){number, content};
        }
        if (m.kind == DEC_MEMBER_DIR)
            content = UINT32_MAX;
        if (is_bound(b, m.name, m.name_len))
            bind(b, m.name, m.name_len)->content = content;
    }
    dec_members_end(cursor);
    a->links = links;
    return 0;
}

static int link_names(struct archive *a)
{
    struct dec_members_cursor cursor;
    struct bindings b = {0};
    int err = bind_names(a, &cursor, &b, &a->n_links);
    if (!err && a->n_links > 0)
        err = resolve(a, &cursor, &b);
    if (!err && a->n_links > 0)
        err = count_names(a, &b);
    free(b.slots);
    if (err)
        a->n_links = 0;
    a->linked = !err;
    return err;
}

static uint32_t content_of_link(const struct archive *a, uint32_t number)
{
    size_t low = 0, high = a->n_links;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (a->links[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < a->n_links && a->links[low].number == number ? a->links[low].content : UINT32_MAX;
}

static uint32_t names_of(const struct archive *a, uint32_t content)
{
    const struct archive_names wanted = {.content = content};
    const struct archive_names *found =
        a->n_counts > 0 ? bsearch(&wanted, a->counts, a->n_counts, sizeof wanted, compare_names) : NULL;
    return found ? found->n : 1;
}

/* ---- Names ---- */

static int visit_names(struct archive *a, int (*visit)(void *context, const struct cache_member_name *member),
                       void *context)
{
    struct dec_members_cursor cursor, other;
    struct dec_member m, target;
    int err = a->linked ? 0 : link_names(a), more = 1;
    dec_members_begin(&a->list, &cursor);
    for (uint32_t number = 0; !err && (more = dec_members_next(&cursor, &m)) > 0; number++) {
        struct cache_member_name name = {m.name, m.name_len, number, number, kind_of(&m)};
        if (m.kind == DEC_MEMBER_REFUSED)
            continue;
        if (m.kind == DEC_MEMBER_HARDLINK) {
            name.content = content_of_link(a, number);
            if (name.content == UINT32_MAX)
                continue; /* of what is not there */
            err = archive_record(a, name.content, &other, &target);
            name.kind = kind_of(&target);
            dec_members_end(&other);
        }
        if (!err)
            err = visit(context, &name);
    }
    dec_members_end(&cursor);
    return err ? err : more < 0 ? -EIO : 0;
}

int cache_archive_visit(struct cache *c, uint32_t archive,
                        int (*visit)(void *context, const struct cache_member_name *member), void *context)
{
    struct archive *a = archive_of(c, archive);
    if (!a)
        return -ENOENT;
    if (!archive_use(a))
        return -ESTALE;
    int err = visit_names(a, visit, context);
    archive_unuse(a);
    return err;
}

int cache_member_get(struct cache *c, uint32_t archive, uint32_t content, struct cache_member *ret)
{
    struct dec_members_cursor cursor;
    struct dec_member m;
    struct archive *a;
    int err = find_member(c, archive, content, &cursor, &a, &m);
    if (!err && !archive_use(a))
        err = -ESTALE;
    if (!err) {
        *ret = (struct cache_member){kind_of(&m), m.kind == DEC_MEMBER_SYMLINK ? m.target_len : m.size,
                                     m.mtime_s, names_of(a, content)};
        archive_unuse(a);
    }
    dec_members_end(&cursor);
    return err;
}

int cache_member_link(struct cache *c, uint32_t archive, uint32_t content, struct base_bytes *out)
{
    struct dec_members_cursor cursor;
    struct dec_member m;
    struct archive *a;
    int err = find_member(c, archive, content, &cursor, &a, &m);
    if (!err && m.kind != DEC_MEMBER_SYMLINK)
        err = -EINVAL;
    if (!err)
        base_bytes_append(out, m.target, m.target_len + 1);
    dec_members_end(&cursor);
    return out->failed ? -ENOMEM : err;
}

/* ---- What is packed ---- */

struct unpack unpack_of_member(uint32_t archive, uint32_t number, const struct dec_member *member)
{
    if (member->storage == DEC_PACKED)
        return (struct unpack){archive, number, 0, member->size};
    return (struct unpack){archive, UINT32_MAX, member->offset, member->packed_bytes};
}

struct base_hash key_of_unpacked(const struct archive *a, const struct unpack *u)
{
    struct {
        char what[16];
        struct base_hash identity;
        uint64_t from, bytes;
        uint32_t version, member;
    } key = {.what = "unpack",
             .identity = a->identity,
             .from = u->from,
             .bytes = u->bytes,
             .version = DEC_VERSION,
             .member = u->member};
    return base_hash_of(&key, sizeof key);
}

/* Members of a packed stream that are smaller than this are unpacked together with what stands around them.
 */
enum { WINDOW_BYTES = 4 << 20 };

/* What is unpacked to read a member; *ret_at: where in it the member begins. */
static struct unpack unpack_to_read(const struct archive *a, uint32_t archive, uint32_t number,
                                    const struct dec_member *m, uint64_t *ret_at)
{
    struct unpack u = unpack_of_member(archive, number, m);
    uint64_t from = m->offset / WINDOW_BYTES * WINDOW_BYTES;
    uint64_t end = BASE_MIN(from + WINDOW_BYTES, a->list.stream_bytes);
    *ret_at = 0;
    if (m->storage == DEC_STREAM && m->packed_bytes < WINDOW_BYTES && m->offset + m->packed_bytes <= end) {
        *ret_at = m->offset - from;
        u.from = from;
        u.bytes = end - from;
    }
    return u;
}

static ssize_t read_unpacked(struct cache *c, const struct archive *a, const struct unpack *u,
                             struct cache_waiter *w, void *out, size_t len, uint64_t at)
{
    const struct cache_task task = {
        .kind = TASK_UNPACK, .clip = a->clip, .unpack = *u, .key = key_of_unpacked(a, u)};
    return read_made(c, w, &task, &task.key, u->bytes, out, len, at);
}

/* ---- Reading ---- */

struct member_read {
    struct cache *c;
    const struct archive *a;
    uint32_t archive, number;
    const struct dec_member *member;
    struct cache_waiter *w;
};

/* Bytes of what stands in the archive for the member. Not across its end. */
static ssize_t read_packed(const struct member_read *r, void *out, size_t len, uint64_t at)
{
    uint64_t begin;
    if (r->member->storage == DEC_STREAM || r->member->storage == DEC_PACKED) {
        struct unpack u = unpack_to_read(r->a, r->archive, r->number, r->member, &begin);
        return read_unpacked(r->c, r->a, &u, r->w, out, len, begin + at);
    }
    begin = r->a->offset + r->member->offset;
    if (!r->a->in_segment)
        return file_read(r->c, r->a->clip, r->a->version, out, len, begin + at);
    /* The archive is itself what was unpacked. */
    struct dec_members_cursor cursor;
    struct dec_member base;
    struct archive *outer = archive_of(r->c, r->a->outer);
    int err = archive_record(outer, r->a->member, &cursor, &base);
    if (err)
        return err;
    const struct unpack u = unpack_of_member(r->a->outer, r->a->member, &base);
    dec_members_end(&cursor);
    return read_unpacked(r->c, outer, &u, r->w, out, len, begin + at);
}

/* Between its extents a sparse member is zero. */
static ssize_t read_sparse(const struct member_read *r, char *out, size_t len, uint64_t offset)
{
    uint64_t packed = 0;
    memset(out, 0, len);
    for (uint32_t i = 0; i < r->member->n_extents; i++) {
        struct dec_extent e = r->member->extents[i];
        uint64_t from = BASE_MAX(e.at, offset), to = BASE_MIN(e.at + e.bytes, offset + len);
        for (ssize_t n; from < to; from += (uint64_t)n) {
            n = read_packed(r, out + (from - offset), (size_t)(to - from), packed + (from - e.at));
            if (n <= 0)
                return n < 0 ? n : -EIO;
        }
        packed += e.bytes;
    }
    return (ssize_t)len;
}

ssize_t cache_member_read(struct cache *c, uint32_t archive, uint32_t content, struct cache_waiter *w,
                          void *out, size_t len, uint64_t offset)
{
    struct dec_members_cursor cursor;
    struct dec_member m;
    struct archive *a;
    ssize_t n = find_member(c, archive, content, &cursor, &a, &m);
    if (!n)
        n = take_error(w, a->clip);
    if (!n && m.kind == DEC_MEMBER_FILE && offset < m.size) {
        const struct member_read r = {c, a, archive, content, &m, w};
        len = (size_t)BASE_MIN((uint64_t)len, m.size - offset);
        n = m.packed_bytes < m.size && m.storage != DEC_PACKED ? read_sparse(&r, out, len, offset)
                                                               : read_packed(&r, out, len, offset);
    }
    dec_members_end(&cursor);
    return count_read(c, w, n);
}

int cache_member_identity(struct cache *c, uint32_t archive, uint32_t content, struct base_hash *ret)
{
    struct dec_members_cursor cursor;
    struct dec_member m;
    struct archive *a;
    int err = find_member(c, archive, content, &cursor, &a, &m);
    if (!err && m.kind != DEC_MEMBER_FILE)
        err = -EINVAL;
    if (!err)
        *ret = archive_member_identity(a, &m);
    dec_members_end(&cursor);
    return err;
}

static int copy_all(struct cache *c, uint32_t archive, uint32_t content, uint64_t size, int fd)
{
    uint8_t block[64 * 1024];
    struct blocking_waiter b;
    int err = 0;
    blocking_init(&b);
    for (uint64_t at = 0; !err && at < size;) {
        ssize_t n = cache_member_read(c, archive, content, &b.waiter, block, sizeof block, at);
        if (n == -EINPROGRESS) {
            err = blocking_wait(&b);
            continue;
        }
        err = n > 0 ? base_pwrite_all(fd, block, (size_t)n, (off_t)at) : n < 0 ? (int)n : -EIO;
        at += n > 0 ? (uint64_t)n : 0;
    }
    blocking_finish(&b);
    return err;
}

int member_copy_to(struct cache *c, uint32_t archive, uint32_t content, int fd)
{
    struct cache_member m;
    int err = cache_member_get(c, archive, content, &m);
    return err ? err : copy_all(c, archive, content, m.size, fd);
}

int cache_member_copy(struct cache *c, uint32_t archive, uint32_t content, int *ret_fd)
{
    struct cache_member m;
    int err = cache_member_get(c, archive, content, &m);
    if (!err && m.size > CACHE_MAX_COPY)
        err = -EFBIG;
    if (err)
        return err;
    int fd = memfd_create("corpusfs", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    err = copy_all(c, archive, content, m.size, fd);
    if (err)
        close(fd);
    else
        *ret_fd = fd;
    return err;
}
