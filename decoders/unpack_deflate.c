/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip, in any number of members, and the raw DEFLATE of zip, by zlib.
 *
 * A seek point is the beginning of a DEFLATE block: the last 32 KiB that came out, and where in its byte the
 * block begins. The check at a gzip member's end is skipped by a pass that did not see the member's
 * beginning.
 *
 * Formats: RFC 1951, RFC 1952; zlib.h on Z_BLOCK, inflatePrime() and inflateSetDictionary().
 */
#include "decoders/unpack.h"

#include <errno.h>
#include <zlib.h>

enum {
    RAW = -15,
    GZIP = 15 + 16,
    WINDOW = 32 << 10,
    TRAILER = 8, /* of a gzip member: CRC and size */
    BLOCK_ENDS = 128,
    LAST_BLOCK = 64,
};

struct inflating {
    z_stream z;
    bool is_gzip;
    bool raw;     /* what is inflated now has no header and trailer of gzip around it */
    bool between; /* before a gzip member that is not the first */
    bool finished;
};

static int begin(struct dec_unpacker *u, bool is_gzip, bool raw, struct base_reason *why)
{
    struct inflating *s = u->state = calloc(1, sizeof *s);
    if (!s || inflateInit2(&s->z, raw ? RAW : GZIP) != Z_OK)
        return base_fail(why, -ENOMEM, "out of memory");
    s->is_gzip = is_gzip;
    s->raw = raw;
    return 0;
}

/* Takes up unpacking in the middle of a stream. */
static int resume(struct dec_unpacker *u, const struct dec_point *point, struct base_reason *why)
{
    struct inflating *s = u->state;
    uint8_t window[WINDOW], before = 0;
    uLongf window_bytes = sizeof window;
    bool good = point->packed > u->begin && point->packed <= u->end && point->detail < 8 && point->window &&
                uncompress(window, &window_bytes, point->window, point->window_bytes) == Z_OK;
    if (good && point->detail > 0)
        good = dec_source_read_all(&u->source, &before, 1, point->packed - 1) == 0 &&
               inflatePrime(&s->z, point->detail, before >> (8 - point->detail)) == Z_OK;
    if (!good || inflateSetDictionary(&s->z, window, (uInt)window_bytes) != Z_OK)
        return base_fail(why, -EIO, "a seek point that makes no sense");
    dec_unpacker_jump(u, point->packed);
    return 0;
}

static int gz_begin(struct dec_unpacker *u, const struct dec_point *point, struct base_reason *why)
{
    int err = begin(u, true, point != NULL, why);
    return err || !point ? err : resume(u, point, why);
}

static int deflate_begin(struct dec_unpacker *u, const struct dec_point *point, struct base_reason *why)
{
    (void)point; /* nobody notes any: members of zips are unpacked whole */
    return begin(u, false, true, why);
}

static void end(struct dec_unpacker *u)
{
    struct inflating *s = u->state;
    if (s)
        inflateEnd(&s->z);
    free(s);
    u->state = NULL;
}

static void note_point(struct dec_unpacker *u, uint64_t position)
{
    struct inflating *s = u->state;
    uint8_t window[WINDOW], packed[WINDOW + WINDOW / 8];
    uInt window_bytes = 0;
    uLongf packed_bytes = sizeof packed;
    if (inflateGetDictionary(&s->z, window, &window_bytes) != Z_OK ||
        compress2(packed, &packed_bytes, window, window_bytes, Z_BEST_SPEED) != Z_OK)
        return;
    const struct dec_point point = {.packed = dec_unpacker_at(u),
                                    .unpacked = position,
                                    .detail = (uint8_t)(s->z.data_type & 7),
                                    .window = packed,
                                    .window_bytes = packed_bytes};
    dec_points_add(u->points, &point);
}

/* Behind a gzip member: 1 when another follows, 0 at the end; what else may follow is filling. */
static int next_member(struct dec_unpacker *u, struct base_reason *why)
{
    struct inflating *s = u->state;
    int more = dec_unpacker_fill(u, why);
    if (more <= 0 || u->in[u->in_at] != 0x1f)
        return BASE_MIN(more, 0);
    s->between = false;
    s->raw = false;
    return inflateReset2(&s->z, GZIP) == Z_OK ? 1 : base_fail(why, -ENOMEM, "out of memory");
}

static void on_stream_end(struct dec_unpacker *u)
{
    struct inflating *s = u->state;
    if (s->is_gzip && s->raw)
        dec_unpacker_jump(u, dec_unpacker_at(u) + TRAILER);
    s->between = s->is_gzip;
    s->finished = !s->is_gzip;
}

static ssize_t unpack(struct dec_unpacker *u, uint8_t *out, size_t len, struct base_reason *why)
{
    struct inflating *s = u->state;
    s->z.next_out = out;
    s->z.avail_out = (uInt)BASE_MIN(len, (size_t)1 << 30);
    while (s->z.next_out == out && !s->finished) {
        int more = s->between ? next_member(u, why) : dec_unpacker_fill(u, why);
        if (more < 0 || (more == 0 && s->between))
            return more;
        s->z.next_in = u->in + u->in_at;
        s->z.avail_in = (uInt)(u->in_len - u->in_at);
        int result = inflate(&s->z, u->points ? Z_BLOCK : Z_NO_FLUSH);
        u->in_at = u->in_len - s->z.avail_in;
        uint64_t position = u->position + (uint64_t)(s->z.next_out - out);
        if (result == Z_STREAM_END) {
            on_stream_end(u);
        } else if (result == Z_MEM_ERROR) {
            return base_fail(why, -ENOMEM, "out of memory");
        } else if (result == Z_BUF_ERROR && more == 0) {
            return base_fail(why, -EIO, "what is packed is cut off");
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            return base_fail(why, -EIO, "what is packed is damaged: %s",
                             s->z.msg ? s->z.msg : "by no rule of DEFLATE");
        } else if (u->points && (s->z.data_type & BLOCK_ENDS) && !(s->z.data_type & LAST_BLOCK) &&
                   dec_points_wants(u->points, position, true)) {
            note_point(u, position);
        }
    }
    return s->z.next_out - out;
}

const struct dec_codec dec_codec_gz = {gz_begin, unpack, end};
const struct dec_codec dec_codec_deflate = {deflate_begin, unpack, end};
