/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xz, in any number of streams, by liblzma.
 *
 * Seek points are the blocks that the indexes at the streams' ends tell of; there are several where xz ran
 * with threads or a block size. A pass from one decodes block after block to the stream's index, and goes on
 * behind it.
 *
 * Format: "The .xz File Format", 1.1.0; lzma/base.h and lzma/index.h.
 */
#include "decoders/unpack.h"

#include <errno.h>
#include <lzma.h>

#define MEMORY_LIMIT (UINT64_C(1) << 30) /* xz -9 takes 65 MiB */

enum { FOOTER = LZMA_STREAM_HEADER_SIZE, FILLING = 4 };

struct unxzing {
    lzma_stream z;
    bool by_blocks; /* else by streams */
    lzma_block block;
    lzma_filter filters[LZMA_FILTERS_MAX + 1];
    bool finished;
};

static int fail(lzma_ret result, struct base_reason *why)
{
    switch (result) {
    case LZMA_MEM_ERROR:
        return base_fail(why, -ENOMEM, "out of memory");
    case LZMA_MEMLIMIT_ERROR:
        return base_fail(why, -EIO, "what is packed takes more than 1 GiB of memory to unpack");
    case LZMA_BUF_ERROR:
        return base_fail(why, -EIO, "what is packed is cut off");
    default:
        return base_fail(why, -EIO, "what is packed is damaged (xz, error %d)", (int)result);
    }
}

/* ---- Seek points ---- */

static void note_blocks(struct dec_unpacker *u, const lzma_index *index)
{
    lzma_index_iter i;
    lzma_index_iter_init(&i, index);
    while (!lzma_index_iter_next(&i, LZMA_INDEX_ITER_NONEMPTY_BLOCK)) {
        const struct dec_point point = {.packed = u->begin + i.block.compressed_file_offset,
                                        .unpacked = i.block.uncompressed_file_offset,
                                        .detail = i.stream.flags ? (uint8_t)i.stream.flags->check : 0};
        if (point.unpacked > 0 && dec_points_wants(u->points, point.unpacked, false))
            dec_points_add(u->points, &point);
    }
}

/* Reads the indexes. Where there are none, the file is cut off, and unpacking will tell. */
static void find_blocks(struct dec_unpacker *u, struct base_reason *why)
{
    lzma_stream z = LZMA_STREAM_INIT;
    lzma_index *index = NULL;
    lzma_ret result = lzma_file_info_decoder(&z, &index, MEMORY_LIMIT, u->end - u->begin);
    while (result == LZMA_OK || result == LZMA_SEEK_NEEDED) {
        if (result == LZMA_SEEK_NEEDED)
            dec_unpacker_jump(u, u->begin + z.seek_pos);
        if (dec_unpacker_fill(u, why) < 0)
            break;
        z.next_in = u->in + u->in_at;
        z.avail_in = u->in_len - u->in_at;
        result = lzma_code(&z, LZMA_RUN);
        u->in_at = u->in_len - z.avail_in;
    }
    if (result == LZMA_STREAM_END)
        note_blocks(u, index);
    lzma_index_end(index, NULL);
    lzma_end(&z);
    dec_unpacker_jump(u, u->begin);
}

/* ---- Passes ---- */

static int begin_streams(struct dec_unpacker *u, struct base_reason *why)
{
    struct unxzing *s = u->state;
    s->by_blocks = false;
    lzma_ret result = lzma_stream_decoder(&s->z, MEMORY_LIMIT, LZMA_CONCATENATED);
    return result == LZMA_OK ? 0 : fail(result, why);
}

static int begin_block(struct dec_unpacker *u, struct base_reason *why)
{
    struct unxzing *s = u->state;
    uint8_t header[LZMA_BLOCK_HEADER_SIZE_MAX];
    uint64_t at = dec_unpacker_at(u);
    if (at >= u->end || dec_source_read_all(&u->source, header, 1, at) < 0)
        return fail(LZMA_BUF_ERROR, why);
    s->block.version = 1;
    s->block.ignore_check = false;
    s->block.header_size = lzma_block_header_size_decode(header[0]);
    s->block.filters = s->filters;
    if (s->block.header_size > u->end - at ||
        dec_source_read_all(&u->source, header, s->block.header_size, at) < 0)
        return fail(LZMA_BUF_ERROR, why);
    lzma_ret result = lzma_block_header_decode(&s->block, NULL, header);
    if (result != LZMA_OK)
        return fail(result, why);
    uint64_t memory = lzma_raw_decoder_memusage(s->filters);
    result = memory > MEMORY_LIMIT ? LZMA_MEMLIMIT_ERROR : lzma_block_decoder(&s->z, &s->block);
    lzma_filters_free(s->filters, NULL);
    if (result != LZMA_OK)
        return fail(result, why);
    dec_unpacker_jump(u, at + s->block.header_size);
    return 0;
}

static int begin(struct dec_unpacker *u, const struct dec_point *point, struct base_reason *why)
{
    struct unxzing *s = u->state = calloc(1, sizeof *s);
    if (!s)
        return base_fail(why, -ENOMEM, "out of memory");
    if (u->points)
        find_blocks(u, why);
    if (!point)
        return begin_streams(u, why);
    if (point->packed < u->begin || point->packed >= u->end || point->detail > LZMA_CHECK_ID_MAX)
        return base_fail(why, -EIO, "a seek point that makes no sense");
    s->by_blocks = true;
    s->block.check = (lzma_check)point->detail;
    dec_unpacker_jump(u, point->packed);
    return begin_block(u, why);
}

static void end(struct dec_unpacker *u)
{
    struct unxzing *s = u->state;
    if (s)
        lzma_end(&s->z);
    free(s);
    u->state = NULL;
}

/* Behind a stream's blocks stands its index, whose first byte is 0, and a footer; then filling, and another
 * stream.
 */
static int skip_index(struct dec_unpacker *u, struct base_reason *why)
{
    struct unxzing *s = u->state;
    lzma_index *index = NULL;
    lzma_ret result = lzma_index_decoder(&s->z, &index, MEMORY_LIMIT);
    while (result == LZMA_OK) {
        int more = dec_unpacker_fill(u, why);
        if (more < 0)
            return more;
        s->z.next_in = u->in + u->in_at;
        s->z.avail_in = u->in_len - u->in_at;
        result = more > 0 ? lzma_code(&s->z, LZMA_RUN) : LZMA_BUF_ERROR;
        u->in_at = u->in_len - s->z.avail_in;
    }
    lzma_index_end(index, NULL);
    if (result != LZMA_STREAM_END)
        return fail(result, why);
    uint8_t filling[FILLING] = {0};
    uint64_t at = dec_unpacker_at(u) + FOOTER;
    while (u->end - at >= FILLING && at < u->end &&
           dec_source_read_all(&u->source, filling, FILLING, at) == 0 &&
           memcmp(filling, "\0\0\0", FILLING) == 0)
        at += FILLING;
    dec_unpacker_jump(u, at);
    s->finished = at >= u->end;
    return s->finished ? 0 : begin_streams(u, why);
}

static int next_block(struct dec_unpacker *u, struct base_reason *why)
{
    int more = dec_unpacker_fill(u, why);
    if (more <= 0)
        return more < 0 ? more : fail(LZMA_BUF_ERROR, why);
    return u->in[u->in_at] == 0 ? skip_index(u, why) : begin_block(u, why);
}

static ssize_t unpack(struct dec_unpacker *u, uint8_t *out, size_t len, struct base_reason *why)
{
    struct unxzing *s = u->state;
    size_t made = 0;
    while (made == 0 && !s->finished) {
        int more = dec_unpacker_fill(u, why);
        if (more < 0)
            return more;
        s->z.next_in = u->in + u->in_at;
        s->z.avail_in = u->in_len - u->in_at;
        s->z.next_out = out;
        s->z.avail_out = len;
        lzma_ret result = lzma_code(&s->z, more > 0 ? LZMA_RUN : LZMA_FINISH);
        u->in_at = u->in_len - s->z.avail_in;
        made = len - s->z.avail_out;
        int err = 0;
        if (result == LZMA_STREAM_END && s->by_blocks)
            err = next_block(u, why);
        else if (result == LZMA_STREAM_END)
            s->finished = true;
        else if (result != LZMA_OK)
            err = fail(result, why);
        if (err)
            return made > 0 ? (ssize_t)made : err;
    }
    return (ssize_t)made;
}

const struct dec_codec dec_codec_xz = {begin, unpack, end};
