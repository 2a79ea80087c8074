/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/members_private.h"

#include <errno.h>

const char *dec_refusal_text(uint8_t why)
{
    static const char *const texts[DEC_N_REFUSALS] = {
        [DEC_REFUSED_ABSOLUTE] = "has an absolute name",
        [DEC_REFUSED_PARENT] = "has '..' in its name",
        [DEC_REFUSED_NAME] = "has an empty name, or a zero byte in it",
        [DEC_REFUSED_LONG] = "has a name of more than 4096 bytes",
        [DEC_REFUSED_DEEP] = "stands more than 1024 directories deep",
        [DEC_REFUSED_SPECIAL] = "is a device, a pipe or a socket",
        [DEC_REFUSED_LINK] = "is a link that may leave the archive",
        [DEC_REFUSED_CUT] = "reaches beyond the archive's end",
        [DEC_REFUSED_EXTENTS] = "has a map of holes that makes no sense",
        [DEC_REFUSED_ENCRYPTED] = "is encrypted",
        [DEC_REFUSED_METHOD] = "is packed by a method that corpusfs does not know",
        [DEC_REFUSED_OVERLAP] = "shares bytes with another",
        [DEC_REFUSED_BOMB] = "unpacks to far more than any real file would",
        [DEC_REFUSED_HEADER] = "has a header that makes no sense",
        [DEC_REFUSED_TYPE] = "holds neither integers, floats nor booleans",
        [DEC_REFUSED_ELSEWHERE] = "has its values in other files or datasets",
        [DEC_REFUSED_AGAIN] = "is a group that is listed under another name already",
    };
    return why < DEC_N_REFUSALS && texts[why] ? texts[why] : "is not wanted";
}

int dec_members_open(const uint8_t *data, size_t len, struct dec_members *ret)
{
    struct dec_members_frame frame;
    if (len < sizeof frame)
        return -EPROTO;
    memcpy(&frame, data, sizeof frame);
    if (memcmp(frame.magic, DEC_MEMBERS_MAGIC, sizeof frame.magic) != 0 ||
        !memchr(frame.reason, 0, sizeof frame.reason))
        return -EPROTO;
    if (frame.format < DEC_TAR || frame.format > DEC_HDF5 || frame.filter > DEC_ZST || frame.truncated > 1)
        return -EPROTO;
    uint64_t rest = len - sizeof frame;
    if (frame.n_members > DEC_MAX_MEMBERS || frame.archive_bytes > INT64_MAX ||
        frame.stream_bytes > INT64_MAX || frame.end_offset > frame.stream_bytes ||
        frame.last_header > frame.end_offset || frame.end_members > frame.n_members ||
        frame.end_refused > frame.n_refused || frame.records_bytes > rest || frame.points_bytes > rest)
        return -EPROTO;
    if (frame.records_bytes + frame.points_bytes + dec_table_entries(frame.n_members) * 8 != rest)
        return -EPROTO;
    *ret = (struct dec_members){
        .format = frame.format,
        .filter = frame.filter,
        .truncated = frame.truncated,
        .n_members = frame.n_members,
        .n_refused = frame.n_refused,
        .n_hardlinks = frame.n_hardlinks,
        .archive_bytes = frame.archive_bytes,
        .stream_bytes = frame.stream_bytes,
        .end_offset = frame.end_offset,
        .last_header = frame.last_header,
        .end_members = frame.end_members,
        .end_refused = frame.end_refused,
        .records = data + sizeof frame,
        .records_bytes = frame.records_bytes,
        .table = data + sizeof frame + frame.records_bytes,
        .points = data + (len - frame.points_bytes),
        .points_bytes = frame.points_bytes,
    };
    memcpy(ret->reason, frame.reason, sizeof ret->reason);
    memcpy(ret->end_hash, frame.end_hash, sizeof ret->end_hash);
    return 0;
}

void dec_members_begin(const struct dec_members *list, struct dec_members_cursor *ret)
{
    ret->list = list;
    ret->number = 0;
    ret->in = (struct base_reader){.next = list->records, .end = list->records + list->records_bytes};
    ret->extents = NULL;
    ret->extents_cap = 0;
    ret->last = (struct dec_member){0};
    ret->last_end = ret->last_gap = 0;
}

void dec_members_end(struct dec_members_cursor *cursor)
{
    free(base_steal_pointer(cursor->extents));
    cursor->extents_cap = 0;
}

static int next_of_table(struct dec_members_cursor *c)
{
    uint64_t at;
    memcpy(&at, c->list->table + c->number / DEC_RESTART * 8, sizeof at);
    if (at >= c->list->records_bytes)
        return -EPROTO;
    c->in.next = c->list->records + at;
    c->last = (struct dec_member){0};
    c->last_end = c->last_gap = 0;
    return 0;
}

int dec_members_seek(struct dec_members_cursor *cursor, uint64_t number)
{
    if (number >= cursor->list->n_members)
        return -ENOENT;
    uint64_t begin = number / DEC_RESTART * DEC_RESTART;
    if (cursor->number < begin || cursor->number > number)
        cursor->number = begin;
    struct dec_member skipped;
    int got = 1;
    while (got > 0 && cursor->number < number)
        got = dec_members_next(cursor, &skipped);
    return got < 0 ? got : 0;
}

/* ---- One record ---- */

static bool read_name(struct dec_members_cursor *c, struct dec_member *m)
{
    uint64_t shared = base_reader_u64(&c->in), rest = base_reader_u64(&c->in);
    if (c->in.failed || shared > c->last.name_len || rest > DEC_MAX_NAME - shared)
        return false;
    base_reader_copy(&c->in, c->name + shared, rest);
    m->name = c->name;
    m->name_len = shared + rest;
    c->name[m->name_len] = 0;
    return !c->in.failed;
}

static bool read_target(struct dec_members_cursor *c, struct dec_member *m)
{
    uint64_t len = base_reader_u64(&c->in);
    if (c->in.failed || len > DEC_MAX_NAME)
        return false;
    base_reader_copy(&c->in, c->target, len);
    m->target = c->target;
    m->target_len = len;
    c->target[len] = 0;
    if (m->kind == DEC_MEMBER_SYMLINK)
        return dec_symlink_is_safe(m->name, m->name_len, m->target, m->target_len);
    return dec_name_is_plain(m->target, m->target_len);
}

static int read_extents(struct dec_members_cursor *c, struct dec_member *m)
{
    uint64_t n = base_reader_u64(&c->in), end = 0;
    if (c->in.failed || n > DEC_MAX_EXTENTS)
        return -EPROTO;
    if (n > c->extents_cap) {
        struct dec_extent *extents = realloc(c->extents, n * sizeof *extents);
        if (!extents)
            return -ENOMEM;
        c->extents = extents;
        c->extents_cap = (uint32_t)n;
    }
    m->packed_bytes = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t gap = base_reader_u64(&c->in), bytes = base_reader_u64(&c->in);
        if (c->in.failed || gap > m->size - end || bytes == 0 || bytes > m->size - end - gap)
            return -EPROTO;
        c->extents[i] = (struct dec_extent){end + gap, bytes};
        end += gap + bytes;
        m->packed_bytes += bytes;
    }
    m->extents = c->extents;
    m->n_extents = (uint32_t)n;
    return m->packed_bytes < m->size ? 0 : -EPROTO;
}

static bool is_inside(const struct dec_members *list, const struct dec_member *m)
{
    uint64_t end = m->storage == DEC_STREAM ? list->stream_bytes : list->archive_bytes;
    return m->offset <= end && m->packed_bytes <= end - m->offset;
}

static int read_place(struct dec_members_cursor *c, uint8_t head, struct dec_member *m)
{
    uint64_t expected = dec_expected_place(c->list->format, c->last_end, c->last_gap);
    m->storage = head >> DEC_STORAGE_SHIFT & 3;
    m->offset = head & DEC_EXPECTED_PLACE ? expected : expected + (uint64_t)base_reader_i64(&c->in);
    m->packed_bytes = m->size = base_reader_u64(&c->in);
    if (c->in.failed || m->size > DEC_MAX_MEMBER_BYTES)
        return -EPROTO;
    if (m->storage == DEC_PACKED)
        m->packed_bytes = base_reader_u64(&c->in);
    int err = 0;
    bool can_be_sparse = m->storage == DEC_SPARSE || m->storage == DEC_STREAM;
    if (head & DEC_HAS_EXTENTS)
        err = can_be_sparse ? read_extents(c, m) : -EPROTO;
    else if (m->storage == DEC_SPARSE)
        err = -EPROTO;
    if (!err && (c->in.failed || !is_inside(c->list, m)))
        err = -EPROTO;
    c->last_gap = dec_gap(c->list->format, c->last_end, m->offset);
    c->last_end = m->offset + m->packed_bytes;
    return err;
}

static int read_record(struct dec_members_cursor *c, struct dec_member *m)
{
    uint8_t head;
    base_reader_copy(&c->in, &head, 1);
    m->kind = head & DEC_KIND_MASK;
    if (m->kind > DEC_MEMBER_REFUSED || !read_name(c, m))
        return -EPROTO;
    if (m->kind == DEC_MEMBER_REFUSED) {
        base_reader_copy(&c->in, &m->why, 1);
        bool good = m->why > 0 && m->why < DEC_N_REFUSALS && strlen(m->name) == m->name_len;
        return good && !c->in.failed ? 0 : -EPROTO;
    }
    if (!dec_name_is_plain(m->name, m->name_len))
        return -EPROTO;
    m->mtime_s = c->last.mtime_s;
    if (!(head & DEC_SAME_MTIME))
        m->mtime_s = (int64_t)((uint64_t)m->mtime_s + (uint64_t)base_reader_i64(&c->in));
    if (c->in.failed || !dec_is_mtime(m->mtime_s))
        return -EPROTO;
    if (m->kind == DEC_MEMBER_FILE)
        return read_place(c, head, m);
    if (m->kind == DEC_MEMBER_DIR)
        return 0;
    return read_target(c, m) ? 0 : -EPROTO;
}

int dec_members_next(struct dec_members_cursor *cursor, struct dec_member *ret)
{
    if (cursor->number >= cursor->list->n_members)
        return 0;
    struct dec_member m = {0};
    int err = cursor->number % DEC_RESTART == 0 ? next_of_table(cursor) : 0;
    if (!err)
        err = read_record(cursor, &m);
    if (err)
        return err;
    int64_t mtime_s = m.kind == DEC_MEMBER_REFUSED ? cursor->last.mtime_s : m.mtime_s;
    cursor->last = m;
    cursor->last.mtime_s = mtime_s;
    cursor->number++;
    *ret = m;
    return 1;
}
