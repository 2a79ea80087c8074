/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/reorder.h"

#include <libavutil/avutil.h>

const char *dec_reorder_init(struct dec_reorder *r, const AVCodecParameters *par)
{
    *r = (struct dec_reorder){.times = {.last_pts = INT64_MIN, .last_dts = INT64_MIN}};
    return dec_headers_init(&r->headers, par);
}

static int64_t best_time(struct dec_best_time *t, int64_t pts, int64_t dts)
{
    bool has_pts = pts != AV_NOPTS_VALUE, has_dts = dts != AV_NOPTS_VALUE;
    if (has_dts)
        t->bad_dts += dts <= t->last_dts;
    if (has_pts)
        t->bad_pts += pts <= t->last_pts;
    if (has_dts || has_pts) {
        t->last_dts = has_dts ? dts : pts;
        t->last_pts = has_pts ? pts : dts;
    }
    return has_pts && (t->bad_pts <= t->bad_dts || !has_dts) ? pts : dts;
}

static void show(struct dec_reorder *r, struct dec_shown frame, int64_t dts, struct dec_shown *ret,
                 bool *ret_any)
{
    frame.dts = dts;
    frame.best = best_time(&r->times, frame.pts, dts);
    *ret = frame;
    *ret_any = true;
}

/* ISO/IEC 14496-2, 6.3.5: a B picture's time lies between those of the two others around it. Decoders leave
 * one out for which that is not so. */
static const char *follow_time(struct dec_reorder *r, const struct dec_picture *p)
{
    int64_t resolution = r->headers.resolution;
    if (p->type == DEC_PICTURE_B) {
        int64_t time = (r->last_base + p->seconds) * resolution + p->ticks;
        int64_t from_first = r->distance - (r->last_reference - time);
        bool between = r->distance > from_first && from_first > 0;
        return between ? NULL : "pictures out of order";
    }
    r->last_base = r->base;
    r->base += p->seconds;
    int64_t time = r->base * resolution + p->ticks;
    r->distance = time - r->last_reference;
    r->last_reference = time;
    return NULL;
}

/* One picture is decoded; what comes out has this packet's decoding time. */
static const char *decode(struct dec_reorder *r, const struct dec_picture *p, const AVPacket *packet,
                          struct dec_shown *ret, bool *ret_any)
{
    bool is_b = p->type == DEC_PICTURE_B;
    if (r->n_references == 0 && (p->type != DEC_PICTURE_I || !p->coded))
        return "no keyframe at its start";
    if (is_b && (r->n_references < 2 || r->headers.low_delay))
        return "pictures that refer to others which are not there";
    const char *doubt = r->headers.codec == AV_CODEC_ID_MPEG4 ? follow_time(r, p) : NULL;
    if (doubt || !p->coded)
        return doubt;
    if (packet->duration <= 0)
        return "pictures without a duration";
    struct dec_shown frame = {
        .pts = packet->pts,
        .duration = packet->duration,
        .pos = packet->pos,
        .bytes = packet->size,
        .key = p->type == DEC_PICTURE_I,
    };
    if (is_b || r->headers.low_delay) {
        show(r, frame, packet->dts, ret, ret_any);
    } else {
        if (r->is_held)
            show(r, r->held, packet->dts, ret, ret_any);
        r->held = frame;
        r->is_held = true;
    }
    if (!is_b)
        r->n_references = BASE_MIN(r->n_references + 1, 2u);
    return NULL;
}

/* A packet that brings a picture beside the one it is decoded with, or, after such a one, in the place of it:
 * DivX puts P and B into one packet, and has later ones lag behind until a mark of a few bytes, not coded,
 * ends it. */
static const char *decode_packed(struct dec_reorder *r, const struct dec_picture *pictures, int n,
                                 const AVPacket *packet, struct dec_shown *ret, bool *ret_any)
{
    enum { MARK_BYTES = 7 };
    bool waited = r->waits;
    struct dec_picture now = waited ? r->waiting : pictures[0];
    const struct dec_picture *later = waited ? &pictures[0] : n > 1 ? &pictures[1] : NULL;
    if (n > (waited ? 1 : 2))
        return "many pictures in a packet";
    bool is_mark = waited && !later->coded && packet->size <= MARK_BYTES;
    r->waits = later && !is_mark;
    if (r->waits && (later->type == DEC_PICTURE_P || !later->coded ||
                     (size_t)packet->size - (waited ? 0 : later->start) <= MARK_BYTES))
        return "pictures packed in an unusual way";
    if (r->waits)
        r->waiting = *later;
    return decode(r, &now, packet, ret, ret_any);
}

const char *dec_reorder_packet(struct dec_reorder *r, const AVPacket *packet, struct dec_shown *ret,
                               bool *ret_any)
{
    struct dec_picture pictures[DEC_MOST_PICTURES];
    int n = 0;
    *ret_any = false;
    const char *doubt = dec_headers_read(&r->headers, packet->data, (size_t)packet->size, pictures, &n);
    if (doubt)
        return doubt;
    if (n == 0)
        return "packets without a picture";
    if (r->headers.group_seconds >= 0) {
        if (r->waits)
            return "pictures packed in an unusual way";
        r->base = r->headers.group_seconds;
    }
    if (r->headers.packed)
        return decode_packed(r, pictures, n, packet, ret, ret_any);
    return n == 1 ? decode(r, &pictures[0], packet, ret, ret_any) : "many pictures in a packet";
}

bool dec_reorder_end(struct dec_reorder *r, struct dec_shown *ret)
{
    bool any = false;
    if (r->is_held)
        show(r, r->held, AV_NOPTS_VALUE, ret, &any);
    return any;
}
