/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the headers of MPEG-1, MPEG-2 and MPEG-4 part 2 video tell of the pictures in a packet, without
 * decoding any: their types, and whether the sequence holds pictures back for reordering.
 *
 * Sources: ISO/IEC 11172-2, 2.4.2 (MPEG-1); ISO/IEC 13818-2, 6.2.2 and 6.2.3 (MPEG-2); ISO/IEC 14496-2, 6.2.3
 * to 6.2.5 (MPEG-4). Only what encoders for files write is understood; at anything else the functions say why
 * they doubt, and the pictures have to be counted by decoding. One object, one thread.
 */
#ifndef DECODERS_PICTURE_HEADERS_H
#define DECODERS_PICTURE_HEADERS_H

#include "base/base.h"

#include <libavcodec/avcodec.h>

enum dec_picture_type { DEC_PICTURE_I, DEC_PICTURE_P, DEC_PICTURE_B };

struct dec_picture {
    enum dec_picture_type type;
    bool coded;   /* MPEG-4: false = only a mark that nothing new is shown */
    size_t start; /* where its start code stands in the packet */
    /* MPEG-4: seconds begun since the last picture that is no B, and time in the second, in units of
     * struct dec_headers' resolution. */
    uint32_t seconds, ticks;
};

struct dec_headers {
    enum AVCodecID codec;
    bool known;            /* the sequence's header was seen: what follows is valid */
    bool low_delay;        /* no picture is held back */
    uint8_t first[64];     /* the header as it was seen first: it may be repeated, but not change */
    size_t first_bytes;    /* of it; at most all of `first` is compared */
    uint32_t resolution;   /* MPEG-4: units a second */
    bool packed;           /* MPEG-4: several pictures may share a packet (DivX) */
    int64_t group_seconds; /* MPEG-4: time that a group's header gave in the packet read last; -1 = none */
};

enum { DEC_MOST_PICTURES = 4 }; /* in a packet */

/* Whether there is anything to be told for a codec. */
bool dec_headers_for(enum AVCodecID codec);
/* Starts with what the container keeps beside the packets. NULL, or a reason for doubt. */
const char *dec_headers_init(struct dec_headers *h, const AVCodecParameters *par);
/* Reads a packet's headers: its pictures, in their order. NULL, or a reason for doubt. */
const char *dec_headers_read(struct dec_headers *h, const uint8_t *data, size_t len,
                             struct dec_picture ret[DEC_MOST_PICTURES], int *ret_n);

#endif
