/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an audio file will be, from the media index alone: rate, channels, number of samples, size in bytes.
 */
#ifndef DECODERS_AUDIO_PLAN_H
#define DECODERS_AUDIO_PLAN_H

#include "decoders/index.h"
#include "decoders/mp3.h"

#include <libavcodec/avcodec.h>

#define DEC_WAV_MAX_HEADER 68

struct dec_audio_plan {
    const AVCodec *encoder;
    int rate, channels; /* of the file */
    uint32_t bitrate;   /* asked for; 0 = the encoder's choice */
    bool from_stream;   /* false: there is no audio stream, the file is silence */
    int64_t skip;       /* so many samples of a channel come before a cut, */
    int64_t samples;    /* and so many are in the file */
    struct dec_mp3 mp3; /* for MP3 */
    uint64_t bytes;     /* of the whole file; 0 = there is no such file */
};

/* 0 or a negative errno with a reason: -EINVAL when the encoder cannot do what the view asks for. */
int dec_audio_plan(const struct dec_index *index, const struct dec_audio_spec *spec,
                   struct dec_audio_plan *ret, struct base_reason *why);

/* The encoder, opened; MP3 only. The caller frees it. 0 or FFmpeg's error code. */
int dec_audio_encoder_open(const struct dec_audio_plan *plan, enum AVSampleFormat format,
                           AVCodecContext **ret);

/* Writes a WAV header and returns its length: 44, or 68 bytes for more than two channels. channel_mask as in
 * Microsoft's WAVEFORMATEXTENSIBLE, which is FFmpeg's, too. */
size_t dec_wav_header(const struct dec_audio_plan *plan, uint64_t channel_mask,
                      uint8_t out[DEC_WAV_MAX_HEADER]);
size_t dec_wav_header_bytes(int channels);

#endif
