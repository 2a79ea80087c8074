/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many samples a packet holds, per codec. Nothing here has to be right for every file: the counter
 * compares each stream's first and last packets with the decoder, and decodes the whole stream when they
 * differ.
 */
#include "decoders/audio_decode.h"

#include <libavcodec/vorbis_parser.h>
#include <stdlib.h>

struct dec_audio_rule {
    enum AVCodecID codec;
    int pcm_frame_bytes; /* of all channels; 0 = not PCM */
    AVVorbisParseContext *vorbis;
    uint32_t header; /* what must not change in MPEG headers: rate and channels; 0 = none seen */
};

struct dec_audio_rule *dec_audio_rule_create(const AVCodecParameters *par)
{
    struct dec_audio_rule *rule = calloc(1, sizeof *rule);
    if (!rule)
        return NULL;
    rule->codec = par->codec_id;
    bool is_pcm = par->codec_id >= AV_CODEC_ID_FIRST_AUDIO && par->codec_id < AV_CODEC_ID_ADPCM_IMA_QT;
    int bits = is_pcm ? av_get_exact_bits_per_sample(par->codec_id) : 0;
    if (bits % 8 == 0 && par->ch_layout.nb_channels < 1024)
        rule->pcm_frame_bytes = bits / 8 * par->ch_layout.nb_channels;
    if (par->codec_id == AV_CODEC_ID_VORBIS && par->extradata_size > 0)
        rule->vorbis = av_vorbis_parse_init(par->extradata, par->extradata_size);
    return rule;
}

void dec_audio_rule_destroy(struct dec_audio_rule *rule)
{
    if (rule)
        av_vorbis_parse_free(&rule->vorbis);
    free(rule);
}

/* RFC 6716 3.1: the first byte names the mode and the frame's duration, and how many frames follow. Only for
 * CELT: the other modes resample inside, so that the decoder's output lags by a varying amount. */
static int opus_samples(const uint8_t *data, int len)
{
    enum { FIRST_CELT_CONFIG = 16 };
    int config = data[0] >> 3, code = data[0] & 3;
    if (config < FIRST_CELT_CONFIG || (code == 3 && len < 2))
        return -1;
    int frames = code == 0 ? 1 : code == 3 ? data[1] & 63 : 2;
    return frames * (120 << (config & 3)); /* 2.5, 5, 10, 20 ms at 48 kHz */
}

/* RFC 9639 9.1: sync code, block size code, and a coded number before an explicit block size. */
static int flac_samples(const uint8_t *data, int len)
{
    if (len < 16 || data[0] != 0xff || (data[1] & 0xfe) != 0xf8)
        return -1;
    int code = data[2] >> 4;
    if (code == 1)
        return 192;
    if (code >= 2 && code <= 5)
        return 144 << code;
    if (code >= 8)
        return 1 << code;
    if (code == 0)
        return -1;
    int number = 1;
    for (int lead = data[4]; lead >= 0xc0 && (lead & 0x40); lead = (lead << 1) & 0xff)
        number++;
    if (4 + number + 2 > len)
        return -1;
    const uint8_t *size = data + 4 + number;
    return code == 6 ? size[0] + 1 : (size[0] << 8 | size[1]) + 1;
}

/* ATSC A/52 5.3.1 and E.2.2: AC-3 frames have six blocks of 256 samples, those of E-AC-3 say how many. */
static int ac3_samples(const uint8_t *data, int len)
{
    static const int blocks[4] = {1, 2, 3, 6};
    if (len < 6 || data[0] != 0x0b || data[1] != 0x77)
        return -1;
    if (data[5] >> 3 <= 10)
        return 1536;
    if (data[2] >> 6 == 1) /* a dependent substream: more channels for the frame before */
        return -1;
    return data[4] >> 6 == 3 ? 1536 : blocks[data[4] >> 4 & 3] * 256;
}

/* Bits of an MPEG audio or ADTS header (ISO/IEC 11172-3 2.4.1.3, 13818-7 6.2) that a stream keeps: sync code,
 * version, layer, rate; and of ADTS the channels. Files that were joined may change them. */
static bool same_header(struct dec_audio_rule *rule, const uint8_t *data, uint32_t kept)
{
    uint32_t header = ((uint32_t)data[0] << 24 | data[1] << 16 | data[2] << 8 | data[3]) & kept;
    if (!rule->header)
        rule->header = header;
    return rule->header == header;
}

static bool same_mpeg_audio(struct dec_audio_rule *rule, const uint8_t *data, int len)
{
    return len >= 4 && data[0] == 0xff && data[1] >= 0xe0 && same_header(rule, data, 0xfffe0c00);
}

/* AAC comes with ADTS headers in transport streams, and without any headers elsewhere. */
static bool same_aac(struct dec_audio_rule *rule, const uint8_t *data, int len)
{
    bool adts = len >= 4 && data[0] == 0xff && (data[1] & 0xf6) == 0xf0;
    return adts ? same_header(rule, data, 0xfff6fdc0) : !rule->header;
}

static int vorbis_samples(struct dec_audio_rule *rule, const AVPacket *packet)
{
    if (!rule->vorbis)
        return -1;
    int flags = 0;
    int samples = av_vorbis_parse_frame_flags(rule->vorbis, packet->data, packet->size, &flags);
    return samples > 0 && flags == 0 ? samples : -1;
}

int dec_audio_rule_samples(struct dec_audio_rule *rule, const AVPacket *packet, int typical)
{
    const uint8_t *data = packet->data;
    int len = packet->size;
    if (len <= 0)
        return -1;
    if (rule->pcm_frame_bytes > 0)
        return len % rule->pcm_frame_bytes == 0 ? len / rule->pcm_frame_bytes : -1;
    switch (rule->codec) {
    case AV_CODEC_ID_AAC:
        return same_aac(rule, data, len) ? typical : -1;
    case AV_CODEC_ID_MP1:
    case AV_CODEC_ID_MP2:
    case AV_CODEC_ID_MP3:
        return same_mpeg_audio(rule, data, len) ? typical : -1;
    case AV_CODEC_ID_AC3:
    case AV_CODEC_ID_EAC3:
        return ac3_samples(data, len);
    case AV_CODEC_ID_OPUS:
        return opus_samples(data, len);
    case AV_CODEC_ID_FLAC:
        return flac_samples(data, len);
    case AV_CODEC_ID_VORBIS:
        return vorbis_samples(rule, packet);
    default:
        return -1;
    }
}
