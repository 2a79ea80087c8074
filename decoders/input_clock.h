/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The times that ffmpeg's command line gives to the packets of an input before it decodes them: moved to
 * start at 0, jumps of broadcast streams closed, missing decoding times filled in. Restated from the
 * documented behaviour of its options -copyts, -dts_delta_threshold (10 s) and -dts_error_threshold (30 h),
 * and compared with the program in the tests.
 *
 * All stream times in the stream's time base, all others in microseconds. One object, one thread.
 */
#ifndef DECODERS_INPUT_CLOCK_H
#define DECODERS_INPUT_CLOCK_H

#include "decoders/media.h"

struct dec_input_clock {
    const AVStream *stream;
    bool jumps;        /* the format may have jumps in its times (MPEG-TS, MPEG-PS, ...) */
    bool corrected;    /* a jump was closed, or a time thrown away: times differ from those in the file */
    int64_t offset_us; /* added to every time */
    int64_t last_us;   /* dts of the last packet */
    bool started;
    int64_t dts, next_dts, pts, next_pts; /* AV_NOPTS_VALUE = unknown */
    int decoder_delay;                    /* frames that the decoder holds back for reordering */
};

void dec_input_clock_init(struct dec_input_clock *c, const struct dec_media *m, int stream,
                          int decoder_delay);
/* Changes the packet's times as ffmpeg does on reading it. */
void dec_input_clock_packet(struct dec_input_clock *c, AVPacket *packet);
/* To be called when a packet (NULL: the end) goes to the decoder; gives the decoding time that it has to
 * carry. */
int64_t dec_input_clock_send(struct dec_input_clock *c, const AVPacket *packet);
/* To be called after the decoder took it, with its frame rate and whether a frame came out (its best-effort
 * time and duration, both 0 if not known; pts AV_NOPTS_VALUE). */
void dec_input_clock_sent(struct dec_input_clock *c, const AVPacket *packet, AVRational frame_rate);
void dec_input_clock_frame(struct dec_input_clock *c, int64_t pts, int64_t duration, AVRational frame_rate);
/* Where the stream ends, in us from the file's start. */
int64_t dec_input_clock_end(const struct dec_input_clock *c);

#endif
