/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Constant-bitrate MP3 files whose size is known before a sample is encoded: how many frames LAME will give,
 * how long each is, and the Info frame that stands before them. Pure functions.
 *
 * Sources: ISO/IEC 11172-3 2.4.2.3 and 13818-3 (frame header, frame length); the "mp3 info tag"
 * specification, revision 1 (layout of the Info frame); what LAME 3.100 does, as documented for its encoder
 * delay and padding and checked against its output by the tests.
 */
#ifndef DECODERS_MP3_H
#define DECODERS_MP3_H

#include "base/base.h"

#define DEC_MP3_MAX_FRAME 2880 /* bytes: more than any layer III frame has */

struct dec_mp3 {
    uint32_t header;     /* of every audio frame, its padding bit 0 */
    int rate, bitrate;   /* Hz, bit/s */
    int frame_samples;   /* a frame's, a channel: 1152 or 576 */
    int64_t samples;     /* a channel, as a player that honours delay and padding gives them */
    uint32_t frames;     /* audio frames, without the Info frame */
    int end_padding;     /* samples LAME appends */
    uint32_t info_bytes; /* length of the Info frame */
    uint64_t bytes;      /* of the whole file */
};

/* Fills *ret from the first header that the encoder gave and the number of samples. -EPROTO when the header
 * is none of layer III, -EFBIG when the counts do not fit the Info frame's 32-bit fields. */
int dec_mp3_plan(uint32_t header, int64_t samples, struct dec_mp3 *ret);

/* Writes the Info frame: mp3->info_bytes bytes. */
void dec_mp3_info_frame(const struct dec_mp3 *mp3, uint8_t out[DEC_MP3_MAX_FRAME]);

#endif
