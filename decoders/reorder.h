/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which frames come out of a decoder of MPEG-1, MPEG-2 and MPEG-4 part 2 video, when, and with which times,
 * told from the pictures' headers alone. These decoders hold back one picture at most: a picture of type B is
 * shown at once, every other when the next one that is no B arrives.
 *
 * What has to be matched is what counting by decoding finds; where a stream does something out of the
 * ordinary the answer is a doubt, and then it has to be counted. One object, one thread.
 */
#ifndef DECODERS_REORDER_H
#define DECODERS_REORDER_H

#include "decoders/picture_headers.h"

/* A frame as it comes out. Times as the packets had them, AV_NOPTS_VALUE = none. */
struct dec_shown {
    int64_t pts; /* of its own packet, as duration, pos and bytes are */
    int64_t dts; /* of the packet whose decoding let it out */
    int64_t
        best; /* the one of both that is the more believable, as FFmpeg documents its best_effort_timestamp */
    int64_t duration; /* > 0 */
    int64_t pos;
    int bytes;
    bool key;
};

/* Decides between the times of packets and of decoding, by which of them went wrong more often. */
struct dec_best_time {
    int64_t last_pts, last_dts;
    unsigned bad_pts, bad_dts;
};

struct dec_reorder {
    struct dec_headers headers;
    struct dec_best_time times;
    struct dec_shown held; /* the picture that is held back */
    unsigned n_references; /* pictures that others may refer to, so far; no more than 2 are counted */
    bool is_held;
    bool waits; /* MPEG-4: a picture that arrived with the one before it; it is decoded with */
    struct dec_picture waiting; /* the next packet */
    /* MPEG-4 time, in units of the headers' resolution; the base is in seconds. */
    int64_t base, last_base, last_reference, distance;
};

/* NULL, or a reason for doubt. */
const char *dec_reorder_init(struct dec_reorder *r, const AVCodecParameters *par);
/* Takes the next packet (not empty; its times as the decoder would get them). NULL, or a reason for doubt.
 * *ret_any: a frame came out. */
const char *dec_reorder_packet(struct dec_reorder *r, const AVPacket *packet, struct dec_shown *ret,
                               bool *ret_any);
/* At the end: false = no frame is left. Its dts is not known, nor its best time if it has no pts. A picture
 * that waits for a packet is lost, as decoders lose it. */
bool dec_reorder_end(struct dec_reorder *r, struct dec_shown *ret);

#endif
