/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zstandard, in any number of frames, by libzstd. Seek points are the beginnings of frames: zstd writes one,
 * pzstd and the seekable format many.
 *
 * Format: RFC 8878.
 */
#include "decoders/unpack.h"

#include <errno.h>
#include <zstd.h>
#include <zstd_errors.h>

enum { MAX_WINDOW_LOG = 30 }; /* 1 GiB; `zstd --ultra -22` takes 128 MiB */

struct unzsting {
    ZSTD_DStream *z;
    bool in_frame;
};

static int begin(struct dec_unpacker *u, const struct dec_point *point, struct base_reason *why)
{
    struct unzsting *s = u->state = calloc(1, sizeof *s);
    if (s)
        s->z = ZSTD_createDStream();
    if (!s || !s->z || ZSTD_isError(ZSTD_DCtx_setParameter(s->z, ZSTD_d_windowLogMax, MAX_WINDOW_LOG)))
        return base_fail(why, -ENOMEM, "out of memory");
    if (point && (point->packed < u->begin || point->packed > u->end))
        return base_fail(why, -EIO, "a seek point that makes no sense");
    if (point)
        dec_unpacker_jump(u, point->packed);
    return 0;
}

static void end(struct dec_unpacker *u)
{
    struct unzsting *s = u->state;
    if (s)
        ZSTD_freeDStream(s->z);
    free(s);
    u->state = NULL;
}

static void note_frame(struct dec_unpacker *u)
{
    const struct dec_point point = {.packed = dec_unpacker_at(u), .unpacked = u->position};
    if (u->points && point.unpacked > 0 && dec_points_wants(u->points, point.unpacked, false))
        dec_points_add(u->points, &point);
}

static ssize_t unpack(struct dec_unpacker *u, uint8_t *out, size_t len, struct base_reason *why)
{
    struct unzsting *s = u->state;
    ZSTD_outBuffer to = {.dst = out, .size = len};
    while (to.pos == 0) {
        int more = dec_unpacker_fill(u, why);
        if (more < 0 || (more == 0 && !s->in_frame))
            return more;
        if (!s->in_frame)
            note_frame(u);
        ZSTD_inBuffer from = {.src = u->in, .size = u->in_len, .pos = u->in_at};
        size_t result = ZSTD_decompressStream(s->z, &to, &from);
        u->in_at = from.pos;
        if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation)
            return base_fail(why, -ENOMEM, "out of memory");
        if (ZSTD_isError(result))
            return base_fail(why, -EIO, "what is packed is damaged: %s", ZSTD_getErrorName(result));
        s->in_frame = result != 0;
        if (more == 0 && to.pos == 0 && s->in_frame)
            return base_fail(why, -EIO, "what is packed is cut off");
    }
    return (ssize_t)to.pos;
}

const struct dec_codec dec_codec_zst = {begin, unpack, end};
