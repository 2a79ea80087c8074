/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"
#include "decoders/members_private.h"

#include <errno.h>

/* What the last record and the seek points may take, which come when the list is full. */
enum { WRITE_BLOCK = 1 << 20, ROOM_BYTES = 128 << 20 };

static int flush(struct dec_members_writer *w)
{
    if (w->buffer.failed || w->table.failed || w->last_name.failed)
        return -ENOMEM;
    uint64_t at = sizeof(struct dec_members_frame) + w->records_bytes;
    if (base_pwrite_all(w->fd, w->buffer.data, w->buffer.len, (off_t)at) < 0)
        return -ENOSPC;
    w->records_bytes += w->buffer.len;
    w->buffer.len = 0;
    return 0;
}

static void begin_anew(struct dec_members_writer *w)
{
    uint64_t at = w->records_bytes + w->buffer.len;
    base_bytes_append(&w->table, &at, sizeof at);
    w->last_name.len = 0;
    w->last_end = w->last_gap = 0;
    w->last_mtime_s = 0;
}

static void put_name(struct dec_members_writer *w, const struct dec_member *m)
{
    size_t shared = 0, most = BASE_MIN(w->last_name.len, m->name_len);
    while (shared < most && w->last_name.data[shared] == (uint8_t)m->name[shared])
        shared++;
    base_bytes_put_u64(&w->buffer, shared);
    base_bytes_put_u64(&w->buffer, m->name_len - shared);
    base_bytes_append(&w->buffer, m->name + shared, m->name_len - shared);
    w->last_name.len = shared;
    base_bytes_append(&w->last_name, m->name + shared, m->name_len - shared);
}

static void put_extents(struct dec_members_writer *w, const struct dec_member *m)
{
    uint64_t end = 0;
    base_bytes_put_u64(&w->buffer, m->n_extents);
    for (uint32_t i = 0; i < m->n_extents; i++) {
        base_bytes_put_u64(&w->buffer, m->extents[i].at - end);
        base_bytes_put_u64(&w->buffer, m->extents[i].bytes);
        end = m->extents[i].at + m->extents[i].bytes;
    }
}

static void put_place(struct dec_members_writer *w, const struct dec_member *m, uint64_t expected)
{
    if (m->offset != expected)
        base_bytes_put_i64(&w->buffer, (int64_t)(m->offset - expected));
    base_bytes_put_u64(&w->buffer, m->size);
    if (m->storage == DEC_PACKED)
        base_bytes_put_u64(&w->buffer, m->packed_bytes);
    else if (m->packed_bytes < m->size)
        put_extents(w, m);
    w->last_gap = dec_gap(w->format, w->last_end, m->offset);
    w->last_end = m->offset + m->packed_bytes;
}

static void put_record(struct dec_members_writer *w, const struct dec_member *m)
{
    uint64_t expected = dec_expected_place(w->format, w->last_end, w->last_gap);
    uint8_t head = m->kind;
    if (m->kind == DEC_MEMBER_FILE) {
        head |= (uint8_t)(m->storage << DEC_STORAGE_SHIFT);
        head |= m->offset == expected ? DEC_EXPECTED_PLACE : 0;
        head |= m->storage != DEC_PACKED && m->packed_bytes < m->size ? DEC_HAS_EXTENTS : 0;
    }
    head |= m->mtime_s == w->last_mtime_s ? DEC_SAME_MTIME : 0;
    base_bytes_append(&w->buffer, &head, 1);
    put_name(w, m);
    if (m->kind == DEC_MEMBER_REFUSED) {
        base_bytes_append(&w->buffer, &m->why, 1);
        return;
    }
    if (m->mtime_s != w->last_mtime_s)
        base_bytes_put_i64(&w->buffer, m->mtime_s - w->last_mtime_s);
    w->last_mtime_s = m->mtime_s;
    if (m->kind == DEC_MEMBER_FILE) {
        put_place(w, m, expected);
    } else if (m->kind != DEC_MEMBER_DIR) {
        base_bytes_put_u64(&w->buffer, m->target_len);
        base_bytes_append(&w->buffer, m->target, m->target_len);
    }
}

int dec_members_add(struct dec_members_writer *w, const struct dec_member *member)
{
    struct dec_member m = *member;
    if (m.kind == DEC_MEMBER_REFUSED && w->n_refused++ >= DEC_MAX_REFUSED_TOLD)
        return 0;
    if (!dec_is_mtime(m.mtime_s))
        m.mtime_s = 0;
    if (w->n_members >= DEC_MAX_MEMBERS ||
        w->records_bytes + w->buffer.len + w->table.len + ROOM_BYTES > DEC_MAX_LIST_BYTES)
        return -EFBIG;
    if (w->n_members++ % DEC_RESTART == 0)
        begin_anew(w);
    w->n_hardlinks += m.kind == DEC_MEMBER_HARDLINK;
    put_record(w, &m);
    return w->buffer.len >= WRITE_BLOCK || w->buffer.failed ? flush(w) : 0;
}

int dec_members_close(struct dec_members_writer *w, const struct dec_members *facts, uint64_t *ret_bytes)
{
    struct dec_members_frame frame = {
        .magic = DEC_MEMBERS_MAGIC,
        .format = facts->format,
        .filter = facts->filter,
        .truncated = facts->truncated,
        .n_members = w->n_members,
        .n_refused = w->n_refused,
        .n_hardlinks = w->n_hardlinks,
        .archive_bytes = facts->archive_bytes,
        .stream_bytes = facts->stream_bytes,
        .end_offset = facts->end_offset,
        .last_header = facts->last_header,
        .end_members = facts->end_members,
        .end_refused = facts->end_refused,
        .points_bytes = facts->points_bytes,
    };
    int err = flush(w);
    if (err)
        return err;
    frame.records_bytes = w->records_bytes;
    memcpy(frame.reason, facts->reason, sizeof frame.reason);
    memcpy(frame.end_hash, facts->end_hash, sizeof frame.end_hash);
    uint64_t at = sizeof frame + w->records_bytes;
    if (base_pwrite_all(w->fd, &frame, sizeof frame, 0) < 0 ||
        base_pwrite_all(w->fd, w->table.data, w->table.len, (off_t)at) < 0 ||
        base_pwrite_all(w->fd, facts->points, facts->points_bytes, (off_t)(at + w->table.len)) < 0)
        return -ENOSPC;
    *ret_bytes = at + w->table.len + facts->points_bytes;
    return 0;
}

void dec_members_writer_finish(struct dec_members_writer *w)
{
    base_bytes_finish(&w->buffer);
    base_bytes_finish(&w->table);
    base_bytes_finish(&w->last_name);
}
