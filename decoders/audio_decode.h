/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An audio decoder driven as ffmpeg 5.1's command line drives it, and what packets alone tell of their
 * samples.
 */
#ifndef DECODERS_AUDIO_DECODE_H
#define DECODERS_AUDIO_DECODE_H

#include "decoders/media.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

/* A decoder for one stream, single-threaded; the caller frees it with avcodec_free_context(). 0 or FFmpeg's
 * error code. */
int dec_audio_decoder_open(const AVStream *stream, AVCodecContext **ret);

/* Chooses the stream that was indexed as `wanted`, else the best one, leaves the others out, and opens its
 * decoder, which the caller frees. 0 or FFmpeg's error code: AVERROR_STREAM_NOT_FOUND when there is none. */
int dec_audio_stream_open(struct dec_media *media, int wanted, int *ret_stream, AVCodecContext **ret);

/* Called for each decoded frame; a negative result ends the decoding. The frame may be changed. */
typedef int dec_audio_frame(void *opaque, AVFrame *frame);

/* Decodes one packet, NULL = the end. Damage is not an error: it gives fewer frames, as for ffmpeg. 0, or
 * what the callback gave. `scratch` is any frame; it is left empty. */
int dec_audio_decode(AVCodecContext *decoder, const AVPacket *packet, AVFrame *scratch, dec_audio_frame *each,
                     void *opaque);

/* How many samples a packet decodes to, before trimming. */
struct dec_audio_rule;
/* NULL when out of memory. */
struct dec_audio_rule *dec_audio_rule_create(const AVCodecParameters *par);
void dec_audio_rule_destroy(struct dec_audio_rule *rule);
/* Call for every packet in order. -1 = only decoding can tell. `typical` is what the last packet gave when it
 * was decoded: for codecs whose packets are all alike. */
int dec_audio_rule_samples(struct dec_audio_rule *rule, const AVPacket *packet, int typical);

#endif
