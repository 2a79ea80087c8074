/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a video decoder the way ffmpeg's command line does, and the few facts about a codec's packets
 * that tell frames from packets without decoding.
 */
#ifndef DECODERS_DECODE_H
#define DECODERS_DECODE_H

#include "decoders/media.h"

#include <libavcodec/avcodec.h>
#include <stdatomic.h>

/* A decoder for one stream; the caller frees it with avcodec_free_context(). 0 or a negative errno with a
 * reason. *errors counts what the decoder complains of, on whichever of its threads: many decoders cover up
 * for damage and return no error, but none without a message. Those of a packet are counted when its frame
 * comes out. */
int dec_open_decoder(const AVStream *stream, unsigned threads, atomic_uint *errors, AVCodecContext **ret,
                     struct base_reason *why);

/* True when every packet of this stream that dec_packet_shows() gives exactly one frame, so that frames can
 * be counted by demuxing alone. */
bool dec_packets_are_frames(const AVStream *stream);
/* True when frames that the codec marks as referred to by no other leave no trace: leaving them out changes
 * nothing in those that follow. */
bool dec_nonref_can_be_skipped(const AVStream *stream);
/* True when the packet holds nothing but such a frame, as far as that can be told at a glance (H.264 in mp4
 * and Matroska): the decoder need not get it. Its threads work one packet each, so one that is skipped costs
 * more than its time. */
bool dec_packet_is_nonref(const AVStream *stream, const AVPacket *packet);
/* False for a packet that only updates references (hidden VP8 and VP9 frames). */
bool dec_packet_shows(const AVStream *stream, const AVPacket *packet);

#endif
