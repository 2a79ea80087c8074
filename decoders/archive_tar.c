/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listing a tar: v7, ustar, GNU and PAX, with their long names, large sizes and holes, by libarchive, which
 * is fed from a stream that skips what members hold.
 *
 * Format: POSIX.1-2008 "pax", and GNU tar's manual, "Basic Tar Format" and "Sparse Formats".
 */
#include "decoders/listing.h"

#include "base/hash.h"
#include "base/io.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <sys/stat.h>

enum {
    BLOCK = 512,
    /* What an archive is known again by when it grew, beside the last header: its ends, and as many blocks
     * between them. */
    END_BYTES = 4096,
    N_SAMPLES = 64,
    /* What stands between the end of a tar and another that was appended to it: zeros up to the end of a
     * record. Reading on through more would cost an hour where somebody made a file of nothing but a hole. */
    MAX_ZERO_BYTES = 16 << 20,
    /* A header with what belongs to it, such zeros too. Maps of sparse files are as long as they like, and
     * take ten times their length of memory; the longest that a list takes has some 3 MiB. */
    MAX_HEADER_BYTES = 32 << 20,
};

struct tar {
    struct dec_listing *l;
    struct dec_stream *stream;
    enum dec_member_storage storage;
    struct archive *archive;
    struct archive_entry *entry;
    uint64_t begin;      /* where in the stream libarchive began */
    uint64_t header;     /* where the header that was asked for last begins, or would */
    uint64_t zero_bytes; /* that were read one after the other */
    bool in_header;
    struct dec_extent *extents;
};

static bool is_zero(const uint8_t *data, size_t len)
{
    return len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

/* ---- What libarchive reads ---- */

static la_ssize_t on_read(struct archive *a, void *context, const void **ret)
{
    struct tar *t = context;
    const uint8_t *block = NULL;
    ssize_t n = t->stream->read(t->stream, &block);
    if (n < 0) {
        archive_set_error(a, (int)-n, "cannot be read: %s", strerror((int)-n));
        return ARCHIVE_FATAL;
    }
    if (t->in_header && t->stream->position - t->header > MAX_HEADER_BYTES) {
        archive_set_error(a, EFBIG, "a header of more than %d MiB", MAX_HEADER_BYTES >> 20);
        return ARCHIVE_FATAL;
    }
    *ret = block;
    t->zero_bytes = is_zero(block, (size_t)n) ? t->zero_bytes + (uint64_t)n : 0;
    t->l->work->progress(t->l->work, 0);
    return t->zero_bytes > MAX_ZERO_BYTES ? 0 : n;
}

static la_int64_t on_skip(struct archive *a, void *context, la_int64_t n)
{
    struct tar *t = context;
    (void)a;
    if (n <= 0)
        return 0;
    t->zero_bytes = 0;
    return (la_int64_t)t->stream->skip(t->stream, (uint64_t)n);
}

static int open_archive(struct tar *t)
{
    struct archive *a = t->archive = archive_read_new();
    t->entry = archive_entry_new();
    t->begin = t->stream->position;
    bool good = a && t->entry && archive_read_support_format_tar(a) == ARCHIVE_OK &&
                archive_read_set_options(a, "read_concatenated_archives") == ARCHIVE_OK &&
                archive_read_set_read_callback(a, on_read) == ARCHIVE_OK &&
                archive_read_set_skip_callback(a, on_skip) == ARCHIVE_OK &&
                archive_read_set_callback_data(a, t) == ARCHIVE_OK;
    if (!good)
        return base_fail(&t->l->work->why, -ENOMEM, "out of memory");
    return archive_read_open1(a) == ARCHIVE_OK ? 0 : 1;
}

/* ---- One member ---- */

static uint64_t position(struct tar *t)
{
    return t->begin + (uint64_t)archive_filter_bytes(t->archive, 0);
}

/* All members so far are whole, and what comes next is a header. libarchive tells where a header was only as
 * long as it could read it. */
static void begin_header(struct tar *t)
{
    uint64_t at = position(t);
    t->header = BASE_MIN(at, t->stream->position);
    t->l->facts.end_offset = t->header;
    t->l->facts.end_members = t->l->writer.n_members;
    t->l->facts.end_refused = t->l->writer.n_refused;
}

/* 0, or why the member's map of holes makes no sense. -ENOMEM. */
static int take_extents(struct tar *t, struct dec_member *m)
{
    la_int64_t at, bytes;
    int n = archive_entry_sparse_reset(t->entry);
    m->packed_bytes = m->size;
    if (n <= 0)
        return 0;
    if ((unsigned)n > DEC_MAX_EXTENTS)
        return DEC_REFUSED_EXTENTS;
    if (!t->extents)
        t->extents = calloc(DEC_MAX_EXTENTS, sizeof *t->extents);
    if (!t->extents)
        return -ENOMEM;
    uint64_t end = 0, sum = 0;
    while (archive_entry_sparse_next(t->entry, &at, &bytes) == ARCHIVE_OK) {
        if (at < 0 || bytes < 0 || (uint64_t)at < end || (uint64_t)at > m->size ||
            (uint64_t)bytes > m->size - (uint64_t)at)
            return DEC_REFUSED_EXTENTS;
        if (bytes > 0)
            t->extents[m->n_extents++] = (struct dec_extent){(uint64_t)at, (uint64_t)bytes};
        end = (uint64_t)(at + bytes);
        sum += (uint64_t)bytes;
    }
    if (sum == m->size) {
        m->n_extents = 0;
        return 0;
    }
    m->packed_bytes = sum;
    m->extents = t->extents;
    if (m->storage == DEC_STORED)
        m->storage = DEC_SPARSE;
    return 0;
}

static bool take_kind(struct tar *t, struct dec_member *m, const char **ret_target)
{
    *ret_target = archive_entry_hardlink(t->entry);
    if (*ret_target) {
        m->kind = DEC_MEMBER_HARDLINK;
        return true;
    }
    switch (archive_entry_filetype(t->entry)) {
    case AE_IFREG:
        m->kind = DEC_MEMBER_FILE;
        return true;
    case AE_IFDIR:
        m->kind = DEC_MEMBER_DIR;
        return true;
    case AE_IFLNK:
        m->kind = DEC_MEMBER_SYMLINK;
        *ret_target = archive_entry_symlink(t->entry);
        return true;
    default:
        return false;
    }
}

/* The member of the header that was read. 0, 1 when it is the last that can be listed, or a negative errno.
 */
static int list_member(struct tar *t)
{
    struct dec_member m = {.storage = (uint8_t)t->storage, .offset = position(t)};
    const char *name = archive_entry_pathname(t->entry), *target = NULL;
    m.mtime_s = archive_entry_mtime_is_set(t->entry) ? archive_entry_mtime(t->entry) : 0;
    bool known = take_kind(t, &m, &target);
    int why = known ? 0 : DEC_REFUSED_SPECIAL;
    if (m.kind == DEC_MEMBER_FILE && known) {
        la_int64_t size = archive_entry_size(t->entry);
        m.size = size < 0 ? UINT64_MAX : (uint64_t)size;
        why = take_extents(t, &m);
    }
    if (why < 0)
        return base_fail(&t->l->work->why, why, "out of memory");
    name = name ? name : "";
    /* Its bytes go by, and have to be there. */
    bool skipped = archive_read_data_skip(t->archive) == ARCHIVE_OK;
    uint64_t end = skipped ? position(t) : t->stream->position;
    if (m.kind == DEC_MEMBER_FILE && !why && (m.offset > end || m.packed_bytes > end - m.offset))
        why = skipped ? DEC_REFUSED_EXTENTS : DEC_REFUSED_CUT;
    int err = 0;
    if (!t->l->on_file)
        err = why ? dec_listing_refuse(t->l, name, (enum dec_refusal)why)
                  : dec_listing_add(t->l, &m, name, target);
    else if (!why && m.kind == DEC_MEMBER_FILE)
        err = t->l->on_file(t->l, t->header, &m, name);
    if (!err && skipped) {
        t->l->facts.last_header = t->header;
        return 0;
    }
    if (!skipped)
        dec_listing_truncate(t->l, "it is cut off: %s", archive_error_string(t->archive));
    return err < 0 ? err : 1;
}

/* ---- The archive ---- */

/* True when the stream holds the end mark at `at`, as far as can be seen now. */
static bool ended_before(const struct tar *t, uint64_t at)
{
    const struct dec_stream *s = t->stream;
    uint64_t begin = s->position - s->block_len;
    if (at >= begin && at <= s->position && s->position - at >= BLOCK)
        return is_zero(s->block + (at - begin), BLOCK);
    return t->zero_bytes > 0;
}

static int list_members(struct tar *t)
{
    int err = 0, got = ARCHIVE_OK;
    while (!err) {
        begin_header(t);
        t->in_header = true;
        got = archive_read_next_header2(t->archive, t->entry);
        t->in_header = false;
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
            break;
        err = list_member(t);
    }
    if (err)
        return err < 0 ? err : 0;
    if (got != ARCHIVE_EOF && archive_errno(t->archive) == ENOMEM)
        return base_fail(&t->l->work->why, -ENOMEM, "out of memory");
    if (got != ARCHIVE_EOF && !ended_before(t, t->header))
        dec_listing_truncate(t->l, "it is damaged or cut off at byte %llu: %s", (unsigned long long)t->header,
                             archive_error_string(t->archive));
    return 0;
}

int dec_list_tar(struct dec_listing *l, struct dec_stream *stream, enum dec_member_storage storage)
{
    struct tar t = {.l = l, .stream = stream, .storage = storage};
    int err = open_archive(&t);
    if (!err)
        err = list_members(&t);
    else if (err > 0) {
        err = 0;
        l->facts.end_offset = t.begin;
        dec_listing_truncate(l, "%s", archive_error_string(t.archive));
    }
    archive_entry_free(t.entry);
    archive_read_free(t.archive);
    free(t.extents);
    return err;
}

/* The sum of a header's bytes, its own field taken for blanks, stands in that field in octal digits. */
bool dec_is_tar(const uint8_t *block)
{
    enum { SUM_AT = 148, SUM_LEN = 8 };
    uint32_t sum = 0, told = 0;
    int signed_sum = 0;
    bool any = false;
    if (is_zero(block, BLOCK))
        return true;
    for (int i = 0; i < BLOCK; i++) {
        uint8_t byte = i >= SUM_AT && i < SUM_AT + SUM_LEN ? ' ' : block[i];
        sum += byte;
        signed_sum += (int8_t)byte;
    }
    for (int i = SUM_AT; i < SUM_AT + SUM_LEN; i++) {
        if (block[i] >= '0' && block[i] <= '7') {
            told = told * 8 + (uint32_t)(block[i] - '0');
            any = true;
        } else if (any || block[i] != ' ') {
            break;
        }
    }
    return any && (told == sum || (int64_t)told == signed_sum);
}

/* A header has a name, a time and a sum in it: two archives that have the same ones at the beginning and at
 * the end, and the same bytes here and there, are the same so far, or somebody wants them to look so. */
int dec_hash_end(const struct dec_source *source, const struct dec_members *list, uint8_t ret[16])
{
    static uint8_t bytes[BLOCK + 2 * END_BYTES + N_SAMPLES * BLOCK];
    const uint64_t end = list->end_offset;
    size_t header_len = BASE_MIN((uint64_t)BLOCK, end - list->last_header), len = header_len;
    size_t end_len = BASE_MIN((uint64_t)END_BYTES, end);
    int err = dec_source_read_all(source, bytes, header_len, list->last_header);
    if (!err)
        err = dec_source_read_all(source, bytes + len, end_len, end - end_len);
    len += end_len;
    if (!err)
        err = dec_source_read_all(source, bytes + len, end_len, 0);
    len += end_len;
    for (uint64_t i = 0; !err && i < N_SAMPLES && end >= BLOCK; i++, len += BLOCK)
        err = dec_source_read_all(source, bytes + len, BLOCK, end / BLOCK * i / N_SAMPLES * BLOCK);
    if (err)
        return err;
    struct base_hash hash = base_hash_of(bytes, len);
    memcpy(ret, hash.bytes, sizeof hash.bytes);
    return 0;
}

/* ---- A tar that grew ---- */

/* True when the archive began as the list says, and a member's header may stand at its old end. */
static bool has_old_end(const struct dec_listing *l, const struct dec_members *old)
{
    uint8_t hash[16];
    return old->format == DEC_TAR && old->filter == DEC_UNFILTERED &&
           old->archive_bytes == l->work->job->list.known_bytes &&
           old->archive_bytes <= l->facts.archive_bytes && dec_hash_end(&l->work->source, old, hash) == 0 &&
           memcmp(hash, old->end_hash, sizeof hash) == 0;
}

/* All but what was cut off then, which may be whole now. */
static int copy_members(struct dec_listing *l, const struct dec_members *old)
{
    static struct dec_members_cursor cursor;
    struct dec_member m;
    int got = 1, err = 0;
    dec_members_begin(old, &cursor);
    for (uint64_t i = 0; !err && i < old->end_members && (got = dec_members_next(&cursor, &m)) > 0; i++)
        err = dec_members_add(&l->writer, &m);
    dec_members_end(&cursor);
    l->writer.n_refused = old->end_refused;
    return err ? err : BASE_MIN(got, 0);
}

int dec_resume_tar(struct dec_listing *l, int list_fd, struct dec_stream *stream)
{
    struct stat st;
    struct dec_members old;
    if (fstat(list_fd, &st) < 0 || (uint64_t)st.st_size > DEC_MAX_LIST_BYTES)
        return 0;
    size_t len = (size_t)st.st_size;
    base_autofree uint8_t *data = malloc(len + 1);
    if (!data)
        return base_fail(&l->work->why, -ENOMEM, "out of memory");
    if (base_pread_all(list_fd, data, len, 0) < 0 || dec_members_open(data, len, &old) < 0 ||
        !has_old_end(l, &old))
        return 0;
    int err = copy_members(l, &old);
    if (err)
        return base_fail(&l->work->why, err, "its old list makes no sense");
    l->facts.end_offset = stream->position = old.end_offset;
    l->facts.last_header = old.last_header;
    return 0;
}
