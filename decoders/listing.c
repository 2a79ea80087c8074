/* SPDX-License-Identifier: Apache-2.0 */
/* DEC_LIST: what kind of archive a source is, told by its content, and the list of what it holds. */
#include "decoders/listing.h"
#include "decoders/hdf5_file.h"
#include "decoders/unpack.h"

#include <errno.h>

enum { REFUSED_NAME_BYTES = 200, BLOCK = 512 };

void dec_listing_truncate(struct dec_listing *l, const char *format, ...)
{
    if (l->facts.truncated)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(l->facts.reason, sizeof l->facts.reason, format, args);
    va_end(args);
    l->facts.truncated = true;
}

static int add(struct dec_listing *l, const struct dec_member *m)
{
    if (l->on_array)
        return 0;
    int err = dec_members_add(&l->writer, m);
    if (err == -EFBIG) {
        dec_listing_truncate(l, "more members than a list may have");
        return 1;
    }
    return err ? base_fail(&l->work->why, err, "its list cannot be written: %s", strerror(-err)) : 0;
}

int dec_listing_refuse(struct dec_listing *l, const char *name, enum dec_refusal why)
{
    struct dec_member m = {.kind = DEC_MEMBER_REFUSED, .why = (uint8_t)why, .name = name};
    m.name_len = strnlen(name, REFUSED_NAME_BYTES);
    return add(l, &m);
}

/* The reason why a link may not be, or 0; m->target is set. */
static uint8_t check_target(struct dec_listing *l, struct dec_member *m, const char *target)
{
    size_t len = strlen(target);
    m->target = m->kind == DEC_MEMBER_SYMLINK ? target : l->target;
    m->target_len = len;
    if (m->kind == DEC_MEMBER_SYMLINK)
        return dec_symlink_is_safe(m->name, m->name_len, target, len) ? 0 : DEC_REFUSED_LINK;
    uint8_t why = dec_name_make_plain(target, len, l->target, &m->target_len);
    return why || m->target_len == 0 ? DEC_REFUSED_LINK : 0;
}

int dec_listing_add(struct dec_listing *l, struct dec_member *m, const char *name, const char *target)
{
    uint8_t why = dec_name_make_plain(name, strlen(name), l->name, &m->name_len);
    m->name = l->name;
    if (!why && m->name_len == 0) {
        if (m->kind == DEC_MEMBER_DIR)
            return 0;
        why = DEC_REFUSED_NAME;
    }
    if (!why && (m->kind == DEC_MEMBER_HARDLINK || m->kind == DEC_MEMBER_SYMLINK))
        why = check_target(l, m, target ? target : "");
    if (!why && m->kind == DEC_MEMBER_FILE && m->size > DEC_MAX_MEMBER_BYTES)
        why = DEC_REFUSED_BOMB;
    return why ? dec_listing_refuse(l, name, why) : add(l, m);
}

static int list_plain_tar(struct dec_listing *l)
{
    static struct dec_plain_stream stream;
    int err = dec_plain_stream_begin(&stream, &l->work->source);
    if (err)
        return base_fail(&l->work->why, -EIO, "cannot be read: %s", strerror(-err));
    l->facts.stream_bytes = l->facts.archive_bytes;
    if (l->work->list_fd >= 0)
        err = dec_resume_tar(l, l->work->list_fd, &stream.stream);
    if (!err)
        err = dec_list_tar(l, &stream.stream, DEC_STORED);
    if (err)
        return err;
    err = dec_hash_end(&l->work->source, &l->facts, l->facts.end_hash);
    return err ? base_fail(&l->work->why, err, "cannot be read: %s", strerror(-err)) : 0;
}

/* ---- Packed ---- */

static int open_unpacker(struct dec_listing *l, struct dec_points *points, struct dec_unpacker **ret)
{
    return dec_unpacker_of_archive(&l->work->source, points, ret, &l->work->why);
}

struct unpacked_stream {
    struct dec_stream stream;
    struct dec_unpacker *unpacker;
    struct dec_listing *l;
    bool no_memory; /* which a skip cannot tell */
    uint8_t buffer[64 * 1024];
};

/* Damage and bombs end the list, and leave what came before. */
static ssize_t read_unpacked(struct unpacked_stream *s, size_t len)
{
    struct base_reason why;
    ssize_t n = dec_unpacker_read(s->unpacker, s->buffer, len, &why);
    if (n > 0 && dec_is_bomb(s->unpacker->position, dec_unpacker_used(s->unpacker))) {
        dec_listing_truncate(s->l, "it unpacks to more than %u times its size", DEC_BOMB_RATIO);
        return -EIO;
    }
    s->no_memory = s->no_memory || n == -ENOMEM;
    if (n < 0 && n != -ENOMEM)
        dec_listing_truncate(s->l, "%s", why.text);
    s->stream.block = s->buffer;
    s->stream.block_len = (size_t)BASE_MAX(n, 0);
    s->stream.position += s->stream.block_len;
    return n;
}

static ssize_t unpacked_read(struct dec_stream *stream, const uint8_t **ret)
{
    struct unpacked_stream *s = (struct unpacked_stream *)stream;
    *ret = s->buffer;
    return read_unpacked(s, sizeof s->buffer);
}

static uint64_t unpacked_skip(struct dec_stream *stream, uint64_t n)
{
    struct unpacked_stream *s = (struct unpacked_stream *)stream;
    uint64_t begin = stream->position, end = begin + n;
    while (stream->position < end && read_unpacked(s, BASE_MIN(end - stream->position, sizeof s->buffer)) > 0)
        s->l->work->progress(s->l->work, 0);
    stream->block_len = 0;
    return stream->position - begin;
}

/* What the stream holds, by its first block. */
static int check_unpacked(struct dec_listing *l)
{
    struct dec_unpacker *u;
    uint8_t head[BLOCK];
    size_t len = 0;
    ssize_t n = 1;
    int err = open_unpacker(l, NULL, &u);
    if (err)
        return err;
    while (len < sizeof head && n > 0) {
        n = dec_unpacker_read(u, head + len, sizeof head - len, &l->work->why);
        len += (size_t)BASE_MAX(n, 0);
    }
    dec_unpacker_destroy(u);
    if (n < 0)
        return (int)n;
    if (len == sizeof head && dec_is_tar(head))
        return 0;
    return base_fail(&l->work->why, -EIO, "a single file that is packed, not an archive");
}

static int list_unpacked(struct dec_listing *l, struct dec_points *points)
{
    static struct unpacked_stream s;
    s.stream = (struct dec_stream){.read = unpacked_read, .skip = unpacked_skip};
    s.l = l;
    s.no_memory = false;
    int err = open_unpacker(l, points, &s.unpacker);
    if (err)
        return err;
    err = dec_list_tar(l, &s.stream, DEC_STREAM);
    /* Only at its end the stream tells that all of it was right. */
    if (!err)
        (void)s.stream.skip(&s.stream, INT64_MAX);
    if (!err && s.no_memory)
        err = base_fail(&l->work->why, -ENOMEM, "out of memory");
    l->facts.stream_bytes = s.stream.position;
    dec_unpacker_destroy(s.unpacker);
    return err;
}

static int list_packed_tar(struct dec_listing *l, struct base_bytes *packed_points)
{
    struct dec_points points = {0};
    int err = check_unpacked(l);
    if (!err)
        err = list_unpacked(l, &points);
    /* xz's come from the indexes behind the blocks, which were compared with them only if all was read. */
    if (!err && !(l->facts.truncated && l->facts.filter == DEC_XZ))
        dec_points_pack(&points, packed_points);
    dec_points_finish(&points);
    l->facts.points = packed_points->data;
    l->facts.points_bytes = packed_points->len;
    return !err && packed_points->failed ? base_fail(&l->work->why, -ENOMEM, "out of memory") : err;
}

/* ---- Any ---- */

static uint8_t filter_of(const uint8_t *head, size_t len)
{
    static const uint8_t filters[] = {[DEC_PACKING_GZ] = DEC_GZ,
                                      [DEC_PACKING_BZ2] = DEC_BZ2,
                                      [DEC_PACKING_XZ] = DEC_XZ,
                                      [DEC_PACKING_ZST] = DEC_ZST};
    enum dec_packing packing;
    return dec_is_packed(head, len, &packing) ? filters[packing] : DEC_UNFILTERED;
}

static int list_any(struct dec_listing *l, struct base_bytes *packed_points)
{
    uint8_t head[BLOCK] = {0};
    uint64_t hdf5_at = 0;
    ssize_t n = dec_source_read(&l->work->source, head, sizeof head, 0);
    if (n < 0)
        return base_fail(&l->work->why, (int)n, "cannot be read: %s", strerror(-(int)n));
    bool is_hdf5 = dec_hdf5_find(&l->work->source, &hdf5_at);
    /* Zeros before it would be the end of a tar. */
    if (is_hdf5 && (hdf5_at == 0 || head[0] == 0))
        return dec_list_hdf5(l);
    l->writer.format = l->facts.format = DEC_TAR;
    if (n == sizeof head && dec_is_tar(head))
        return list_plain_tar(l);
    l->facts.filter = filter_of(head, (size_t)n);
    if (l->facts.filter)
        return list_packed_tar(l, packed_points);
    l->writer.format = l->facts.format = DEC_ZIP;
    if (dec_is_zip(&l->work->source, l->facts.archive_bytes))
        return dec_list_zip(l);
    if (is_hdf5)
        return dec_list_hdf5(l);
    return base_fail(
        &l->work->why, -EIO,
        n >= 4 && memcmp(head, "PK\3\4", 4) == 0
            ? "a zip whose end is missing: it was cut off"
            : "not an archive that corpusfs knows (tar, tar.gz, tar.bz2, tar.xz, tar.zst, zip, HDF5)");
}

int dec_run_list(struct dec_work *work)
{
    static struct dec_listing l;
    struct base_bytes packed_points = {0};
    l = (struct dec_listing){.work = work, .writer.fd = work->output};
    int err = dec_source_size(&work->source, &l.facts.archive_bytes);
    if (err)
        return base_fail(&work->why, err, "cannot be read: %s", strerror(-err));
    err = list_any(&l, &packed_points);
    if (!err) {
        err = dec_members_close(&l.writer, &l.facts, &work->reply->bytes);
        if (err)
            base_fail(&work->why, err, "its list cannot be written: %s", strerror(-err));
    }
    base_bytes_finish(&packed_points);
    dec_members_writer_finish(&l.writer);
    return err;
}
