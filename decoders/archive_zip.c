/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listing a zip by its central directory, in two passes: the first finds where each member's bytes are, so
 * that members which share bytes can be refused (a few kilobytes that overlap unpack to petabytes), the
 * second lists.
 *
 * Names are bytes: those that say that they are UTF-8, an Info-ZIP Unicode path beside the name, else as they
 * stand, whatever code page that is. Times are the extended timestamp if there is one, else DOS time taken
 * for UTC.
 *
 * Formats: PKWARE's "APPNOTE.TXT", 6.3; Info-ZIP's "extrafld.txt".
 */
#include "decoders/listing.h"
#include "decoders/unpack.h"
#include "decoders/zip.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>
#include <zlib.h>

enum {
    LOCAL_BYTES = 30,
    ENTRY_BYTES = 46,
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR64_BYTES = 20,
    MAX_COMMENT = 65535,
    ENCRYPTED_FLAGS = 1 << 0 | 1 << 6 | 1 << 13, /* the data, strongly, or the headers */
    PATCH_FLAG = 1 << 5,
    DESCRIPTOR_FLAG = 1 << 3,
    HOST_UNIX = 3,
    HOST_MAC = 19,
    EXTRA_ZIP64 = 0x0001,
    EXTRA_TIMESTAMP = 0x5455,
    EXTRA_UNICODE_PATH = 0x7075,
};

/* Where the central directory is. */
struct directory {
    uint64_t at, bytes;
    uint64_t shift; /* added to offsets that the zip tells: something stands before it, as in self-extracting
                       ones */
};

struct entry {
    uint16_t flags, method;
    uint8_t host;
    uint32_t mode; /* of Unix; 0 = not told */
    uint64_t packed, size, header;
    int64_t mtime_s;
    const char *name; /* in buffer, or in the extra field behind it; not terminated */
    size_t name_len;
    uint8_t buffer[2 * 65536];
};

struct place {
    uint64_t begin, end, data;
};

struct zip {
    struct dec_listing *l;
    struct directory directory;
    struct place *places; /* of each entry; begin == end: refuse it, for there is no such header */
    uint32_t *order;      /* by begin */
    size_t n, cap;
    uint64_t unpacked_bytes; /* of the deflated members that are listed so far */
    struct entry entry;
    /* The directory, read by and by. */
    uint64_t read_to;
    size_t in_at, in_len;
    uint8_t in[64 * 1024];
};

int dec_zip_local_read(const struct dec_source *source, uint64_t header, struct dec_zip_local *ret)
{
    uint8_t local[LOCAL_BYTES];
    if (header > INT64_MAX || dec_source_read_all(source, local, sizeof local, header) < 0 ||
        memcmp(local, "PK\3\4", 4) != 0)
        return -EIO;
    ret->flags = dec_le16(local + 6);
    ret->method = dec_le16(local + 8);
    ret->crc = dec_le32(local + 14);
    ret->data = header + LOCAL_BYTES + dec_le16(local + 26) + dec_le16(local + 28);
    return 0;
}

bool dec_zip_has_crc(const struct dec_source *source, uint64_t header, uint64_t packed_bytes, uint32_t crc)
{
    struct dec_zip_local local;
    uint8_t behind[8];
    if (dec_zip_local_read(source, header, &local) < 0)
        return false;
    if (!(local.flags & DESCRIPTOR_FLAG))
        return local.crc == crc;
    /* The descriptor begins with a mark, or does not. */
    return dec_source_read_all(source, behind, sizeof behind, local.data + packed_bytes) == 0 &&
           (dec_le32(behind) == crc || (memcmp(behind, "PK\7\10", 4) == 0 && dec_le32(behind + 4) == crc));
}

/* ---- Where the directory is ---- */

/* The 64-bit end, which a locator in front of the other end leads to; also when something was put before the
 * zip. */
static bool find_end64(const struct dec_source *source, uint64_t end_at, uint8_t *end64, uint64_t *ret_at)
{
    uint8_t locator[LOCATOR64_BYTES];
    if (end_at < LOCATOR64_BYTES + END64_BYTES ||
        dec_source_read_all(source, locator, sizeof locator, end_at - LOCATOR64_BYTES) < 0 ||
        memcmp(locator, "PK\6\7", 4) != 0)
        return false;
    const uint64_t places[] = {end_at - LOCATOR64_BYTES - END64_BYTES, dec_le64(locator + 8)};
    for (size_t i = 0; i < BASE_ARRAY_LEN(places); i++) {
        if (places[i] > end_at || dec_source_read_all(source, end64, END64_BYTES, places[i]) < 0 ||
            memcmp(end64, "PK\6\6", 4) != 0)
            continue;
        *ret_at = places[i];
        return true;
    }
    return false;
}

static bool take_end(const struct dec_source *source, uint64_t end_at, const uint8_t *end,
                     struct directory *ret)
{
    uint8_t end64[END64_BYTES];
    uint64_t at = end_at, bytes = dec_le32(end + 12), told = dec_le32(end + 16);
    if (find_end64(source, end_at, end64, &at)) {
        bytes = dec_le64(end64 + 40);
        told = dec_le64(end64 + 48);
    }
    if (bytes > at || told > at - bytes)
        return false;
    *ret = (struct directory){.at = at - bytes, .bytes = bytes, .shift = at - bytes - told};
    return true;
}

static bool find_directory(const struct dec_source *source, uint64_t bytes, struct directory *ret)
{
    static uint8_t tail[END_BYTES + MAX_COMMENT];
    size_t len = BASE_MIN(bytes, sizeof tail);
    if (len < END_BYTES || dec_source_read_all(source, tail, len, bytes - len) < 0)
        return false;
    for (size_t i = len - END_BYTES + 1; i-- > 0;)
        if (memcmp(tail + i, "PK\5\6", 4) == 0 && i + END_BYTES + dec_le16(tail + i + 20) <= len &&
            take_end(source, bytes - len + i, tail + i, ret))
            return true;
    return false;
}

bool dec_is_zip(const struct dec_source *source, uint64_t bytes)
{
    struct directory unused;
    return find_directory(source, bytes, &unused);
}

/* ---- Reading the directory ---- */

static void rewind_directory(struct zip *z)
{
    z->read_to = z->directory.at;
    z->in_at = z->in_len = 0;
}

/* The next bytes of the directory. false at its end. */
static bool read_bytes(struct zip *z, uint8_t *out, size_t len)
{
    while (len > 0) {
        if (z->in_at == z->in_len) {
            uint64_t left = z->directory.at + z->directory.bytes - z->read_to;
            ssize_t n = dec_source_read(&z->l->work->source, z->in, BASE_MIN(left, sizeof z->in), z->read_to);
            if (n <= 0)
                return false;
            z->read_to += (uint64_t)n;
            z->in_at = 0;
            z->in_len = (size_t)n;
        }
        size_t n = BASE_MIN(len, z->in_len - z->in_at);
        memcpy(out, z->in + z->in_at, n);
        z->in_at += n;
        out += n;
        len -= n;
    }
    return true;
}

/* DOS: 7 bits of years since 1980, month, day; hours, minutes, pairs of seconds. */
static int64_t dos_time(uint16_t date, uint16_t clock)
{
    struct tm tm = {.tm_year = (date >> 9) + 80,
                    .tm_mon = (date >> 5 & 15) - 1,
                    .tm_mday = date & 31,
                    .tm_hour = clock >> 11,
                    .tm_min = clock >> 5 & 63,
                    .tm_sec = (clock & 31) * 2};
    return date ? timegm(&tm) : 0;
}

/* The fields that did not fit 32 bits, in this order. */
static bool take_zip64(struct entry *e, const uint8_t *data, size_t len)
{
    uint64_t *const fields[] = {&e->size, &e->packed, &e->header};
    for (size_t i = 0; i < BASE_ARRAY_LEN(fields); i++) {
        if (*fields[i] != UINT32_MAX)
            continue;
        if (len < 8)
            return false;
        *fields[i] = dec_le64(data);
        data += 8;
        len -= 8;
    }
    return true;
}

static void take_unicode_path(struct entry *e, const uint8_t *data, size_t len)
{
    enum { BEFORE_NAME = 5 }; /* version, CRC of the name that it stands for */
    if (len <= BEFORE_NAME || data[0] != 1 ||
        dec_le32(data + 1) != crc32(0, (const uint8_t *)e->name, (uInt)e->name_len))
        return;
    e->name = (const char *)data + BEFORE_NAME;
    e->name_len = len - BEFORE_NAME;
}

static bool take_extra(struct entry *e, const uint8_t *data, size_t len)
{
    while (len >= 4) {
        uint16_t id = dec_le16(data), n = dec_le16(data + 2);
        if (n > len - 4)
            return true; /* some writers fill up with what is no field */
        if (id == EXTRA_ZIP64 && !take_zip64(e, data + 4, n))
            return false;
        if (id == EXTRA_TIMESTAMP && n >= 5 && (data[4] & 1))
            e->mtime_s = (int32_t)dec_le32(data + 5);
        if (id == EXTRA_UNICODE_PATH)
            take_unicode_path(e, data + 4, n);
        data += 4 + n;
        len -= 4u + n;
    }
    return true;
}

/* The next entry into z->entry. 1; 0 at the directory's end; -EPROTO where it makes no sense any more. */
static int read_entry(struct zip *z)
{
    struct entry *e = &z->entry;
    uint8_t fixed[ENTRY_BYTES];
    if (z->read_to - (z->in_len - z->in_at) == z->directory.at + z->directory.bytes)
        return 0;
    if (!read_bytes(z, fixed, sizeof fixed) || memcmp(fixed, "PK\1\2", 4) != 0)
        return -EPROTO;
    size_t name_len = dec_le16(fixed + 28), extra_len = dec_le16(fixed + 30),
           comment_len = dec_le16(fixed + 32);
    if (!read_bytes(z, e->buffer, name_len + extra_len))
        return -EPROTO;
    e->host = fixed[5];
    e->flags = dec_le16(fixed + 8);
    e->method = dec_le16(fixed + 10);
    e->mtime_s = dos_time(dec_le16(fixed + 14), dec_le16(fixed + 12));
    e->packed = dec_le32(fixed + 20);
    e->size = dec_le32(fixed + 24);
    e->mode = e->host == HOST_UNIX || e->host == HOST_MAC ? dec_le32(fixed + 38) >> 16 : 0;
    e->header = dec_le32(fixed + 42);
    e->name = (const char *)e->buffer;
    e->name_len = name_len;
    if (!take_extra(e, e->buffer + name_len, extra_len))
        return -EPROTO;
    for (uint8_t skipped; comment_len > 0; comment_len--)
        if (!read_bytes(z, &skipped, 1))
            return -EPROTO;
    return 1;
}

/* ---- Where members are ---- */

static struct place find_place(const struct zip *z)
{
    const struct entry *e = &z->entry;
    struct dec_zip_local local;
    uint64_t begin = e->header + z->directory.shift;
    if (e->header > z->directory.at || dec_zip_local_read(&z->l->work->source, begin, &local) < 0 ||
        local.method != e->method || local.data > z->directory.at)
        return (struct place){0};
    /* One that reaches into the directory is as good as cut off. */
    uint64_t room = z->directory.at - local.data;
    return (struct place){begin, local.data + BASE_MIN(e->packed, room + 1), local.data};
}

static int add_place(struct zip *z)
{
    if (z->n == z->cap) {
        size_t cap = z->cap ? z->cap * 2 : 1024;
        struct place *places = realloc(z->places, cap * sizeof *places);
        if (!places)
            return base_fail(&z->l->work->why, -ENOMEM, "out of memory");
        z->places = places;
        z->cap = cap;
    }
    z->places[z->n++] = find_place(z);
    return 0;
}

static int by_begin(const void *a, const void *b, void *context)
{
    const struct place *places = context;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    if (places[i].begin != places[j].begin)
        return places[i].begin < places[j].begin ? -1 : 1;
    return i < j ? -1 : i > j;
}

/* Marks (data = 0) the members that begin before one in front of them has ended. */
static int mark_overlaps(struct zip *z)
{
    z->order = calloc(z->n + 1, sizeof *z->order);
    if (!z->order)
        return base_fail(&z->l->work->why, -ENOMEM, "out of memory");
    for (size_t i = 0; i < z->n; i++)
        z->order[i] = (uint32_t)i;
    qsort_r(z->order, z->n, sizeof *z->order, by_begin, z->places);
    uint64_t end = 0;
    for (size_t i = 0; i < z->n; i++) {
        struct place *place = &z->places[z->order[i]];
        if (place->begin < end && place->end > 0)
            place->data = 0;
        end = BASE_MAX(end, place->end);
    }
    return 0;
}

static int find_places(struct zip *z)
{
    int got, err = 0;
    rewind_directory(z);
    while (!err && z->n < DEC_MAX_MEMBERS && (got = read_entry(z)) > 0) {
        err = add_place(z);
        z->l->work->progress(z->l->work, 0);
    }
    return err ? err : mark_overlaps(z);
}

/* ---- Members ---- */

/* Alone, or together with those that are listed already. What is refused is no burden to those behind it, and
 * one that is packed as real files are is not refused for the others: as none shares bytes with another, all
 * of them together unpack to no more than they may. */
static bool is_bomb(const struct zip *z)
{
    const struct entry *e = &z->entry;
    if (e->method != DEC_ZIP_DEFLATED || e->size / DEC_BOMB_RATIO <= e->packed)
        return false;
    return dec_is_bomb(e->size, e->packed) ||
           dec_is_bomb(z->unpacked_bytes + e->size, z->l->facts.archive_bytes);
}

/* 0, or why the entry is refused. */
static uint8_t check_entry(const struct zip *z, const struct place *place)
{
    const struct entry *e = &z->entry;
    uint32_t type = e->mode & S_IFMT;
    if (e->flags & ENCRYPTED_FLAGS)
        return DEC_REFUSED_ENCRYPTED;
    if (type && type != S_IFREG && type != S_IFDIR && type != S_IFLNK)
        return DEC_REFUSED_SPECIAL;
    if ((e->method != DEC_ZIP_STORED && e->method != DEC_ZIP_DEFLATED) || (e->flags & PATCH_FLAG))
        return DEC_REFUSED_METHOD;
    if (place->end == 0 || (e->method == DEC_ZIP_STORED && e->size != e->packed))
        return DEC_REFUSED_HEADER;
    if (place->data == 0)
        return DEC_REFUSED_OVERLAP;
    if (place->end > z->directory.at)
        return DEC_REFUSED_CUT;
    return is_bomb(z) ? DEC_REFUSED_BOMB : 0;
}

/* The target of a symbolic link is what its member holds. */
static bool read_target(struct zip *z, const struct dec_member *m, const struct place *place)
{
    const struct dec_source *source = &z->l->work->source;
    struct dec_unpacker *u = NULL;
    size_t len = 0;
    ssize_t n = 1;
    if (m->size == 0 || m->size > DEC_MAX_NAME)
        return false;
    z->l->target[m->size] = 0;
    if (m->storage == DEC_STORED)
        return dec_source_read_all(source, z->l->target, m->size, place->data) == 0;
    if (dec_unpacker_of_member(source, m->offset, m->packed_bytes, &u, NULL) < 0)
        return false;
    while (len < m->size && n > 0) {
        n = dec_unpacker_read(u, (uint8_t *)z->l->target + len, m->size - len, NULL);
        len += (size_t)BASE_MAX(n, 0);
    }
    dec_unpacker_destroy(u);
    return len == m->size;
}

static int list_entry(struct zip *z, const struct place *place)
{
    struct dec_listing *l = z->l;
    struct entry *e = &z->entry;
    static char name[65536 + 1], target[DEC_MAX_NAME + 1];
    memcpy(name, e->name, e->name_len);
    name[e->name_len] = 0;
    if (memchr(e->name, 0, e->name_len))
        return dec_listing_refuse(l, name, DEC_REFUSED_NAME);
    struct dec_member m = {
        .kind = DEC_MEMBER_FILE, .size = e->size, .packed_bytes = e->packed, .mtime_s = e->mtime_s};
    uint8_t why = check_entry(z, place);
    if (why)
        return dec_listing_refuse(l, name, (enum dec_refusal)why);
    z->unpacked_bytes += e->method == DEC_ZIP_DEFLATED ? BASE_MIN(e->size, DEC_MAX_MEMBER_BYTES) : 0;
    m.storage = e->method == DEC_ZIP_DEFLATED ? DEC_PACKED : DEC_STORED;
    m.offset = m.storage == DEC_PACKED ? place->begin : place->data;
    if ((e->mode & S_IFMT) == S_IFDIR || (e->name_len > 0 && name[e->name_len - 1] == '/'))
        m.kind = DEC_MEMBER_DIR;
    else if ((e->mode & S_IFMT) == S_IFLNK)
        m.kind = DEC_MEMBER_SYMLINK;
    if (m.kind != DEC_MEMBER_SYMLINK)
        return dec_listing_add(l, &m, name, NULL);
    if (!read_target(z, &m, place) || memchr(l->target, 0, m.size))
        return dec_listing_refuse(l, name, DEC_REFUSED_LINK);
    memcpy(target, l->target, m.size + 1);
    return dec_listing_add(l, &m, name, target);
}

static int list_entries(struct zip *z)
{
    int got = 0, err = 0;
    rewind_directory(z);
    for (size_t i = 0; !err && i < z->n; i++) {
        got = read_entry(z);
        if (got <= 0)
            break;
        err = list_entry(z, &z->places[i]);
        z->l->work->progress(z->l->work, 0);
    }
    if (err)
        return BASE_MIN(err, 0);
    got = read_entry(z);
    if (got < 0)
        dec_listing_truncate(z->l, "its directory makes no sense behind %zu members", z->n);
    else if (got > 0)
        dec_listing_truncate(z->l, "more members than a list may have");
    return 0;
}

int dec_list_zip(struct dec_listing *l)
{
    static struct zip z;
    memset(&z, 0, offsetof(struct zip, entry));
    z.l = l;
    l->facts.stream_bytes = l->facts.archive_bytes;
    if (!find_directory(&l->work->source, l->facts.archive_bytes, &z.directory))
        return base_fail(&l->work->why, -EIO, "a zip without a directory");
    l->facts.end_offset = z.directory.at;
    int err = find_places(&z);
    if (!err)
        err = list_entries(&z);
    free(z.order);
    free(z.places);
    return err;
}
