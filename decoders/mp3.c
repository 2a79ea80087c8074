/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/mp3.h"

#include <errno.h>

enum {
    ENCODER_DELAY = 576, /* samples LAME puts before the first one */
    MIN_END_PADDING =
        576, /* LAME ends with at least as many, so that the decoder's overlap gets out the last one */
    TAG_BYTES = 156, /* "Info" to the tag's CRC */
    BITRATE_SHIFT = 12,
};

/* kbit/s by index, layer III: ISO/IEC 11172-3 2.4.2.3; the second row 13818-3, for the lower sampling
 * frequencies. */
static const int bitrates[2][15] = {
    {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
    {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
};

struct header {
    bool lower; /* MPEG-2 or 2.5: half as many samples a frame */
    bool mono;
    int rate, bitrate;
};

static bool header_parse(uint32_t word, struct header *ret)
{
    static const int rates[3] = {44100, 48000, 32000};
    unsigned version = word >> 19 & 3, layer = word >> 17 & 3, bitrate = word >> BITRATE_SHIFT & 15;
    unsigned rate = word >> 10 & 3;
    if (word >> 21 != 0x7ff || version == 1 || layer != 1 || bitrate == 0 || bitrate == 15 || rate == 3)
        return false;
    ret->lower = version != 3;
    ret->mono = (word >> 6 & 3) == 3;
    ret->rate = rates[rate] >> (version == 3 ? 0 : version == 2 ? 1 : 2);
    ret->bitrate = bitrates[ret->lower][bitrate] * 1000;
    return true;
}

/* Bytes of a frame without its padding slot. */
static uint32_t frame_bytes(const struct header *h)
{
    return (uint32_t)((h->lower ? 72 : 144) * h->bitrate / h->rate);
}

/* Bytes between a frame's header and its main data. */
static uint32_t side_info_bytes(const struct header *h)
{
    return h->lower ? (h->mono ? 9 : 17) : (h->mono ? 17 : 32);
}

/* The header of the Info frame: the audio's, at the first bit rate from the audio's on whose frame holds the
 * tag. */
static uint32_t info_header(uint32_t word, struct header *ret)
{
    for (uint32_t index = word >> BITRATE_SHIFT & 15; index < 15; index++) {
        uint32_t candidate = (word & ~(15u << BITRATE_SHIFT)) | index << BITRATE_SHIFT;
        if (header_parse(candidate, ret) && frame_bytes(ret) >= 4 + side_info_bytes(ret) + TAG_BYTES)
            return candidate;
    }
    return 0;
}

/* Padding slots among the first n frames. LAME keeps the lag between the wanted rate and whole bytes: it
 * starts at the fraction that one frame lacks, so the first frame is never padded. */
static uint64_t padding_slots(const struct header *h, uint64_t n)
{
    uint64_t lacking = (uint64_t)(h->lower ? 72 : 144) * (uint64_t)h->bitrate % (uint64_t)h->rate;
    return n == 0 ? 0 : ((n - 1) * lacking + (uint64_t)h->rate - 1) / (uint64_t)h->rate;
}

int dec_mp3_plan(uint32_t header, int64_t samples, struct dec_mp3 *ret)
{
    struct header h, info;
    header &= ~(1u << 9);
    if (samples < 0 || !header_parse(header, &h) || !info_header(header, &info))
        return -EPROTO;
    struct dec_mp3 mp3 = {.header = header, .rate = h.rate, .bitrate = h.bitrate, .samples = samples};
    mp3.frame_samples = h.lower ? 576 : 1152;
    if (samples / mp3.frame_samples > UINT32_MAX - 8)
        return -EFBIG;
    /* LAME makes no frame of nothing: an empty file holds one sample, which the padding hides. */
    int64_t with_delay = BASE_MAX(samples, 1) + ENCODER_DELAY;
    mp3.frames = (uint32_t)((with_delay + MIN_END_PADDING + mp3.frame_samples - 1) / mp3.frame_samples);
    mp3.end_padding = (int)((int64_t)mp3.frames * mp3.frame_samples - ENCODER_DELAY - samples);
    mp3.info_bytes = frame_bytes(&info);
    mp3.bytes = mp3.info_bytes + (uint64_t)mp3.frames * frame_bytes(&h) + padding_slots(&h, mp3.frames);
    if (mp3.bytes > UINT32_MAX)
        return -EFBIG;
    *ret = mp3;
    return 0;
}

static uint8_t *put_be(uint8_t *to, uint32_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        *to++ = (uint8_t)(value >> (8 * i));
    return to;
}

/* CRC-16 of the info tag specification: polynomial 0x8005, bits reflected, from 0. */
static uint16_t crc16(const uint8_t *data, size_t len)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xa001 : 0);
    }
    return (uint16_t)crc;
}

/* Where each hundredth of the time begins, in 256ths of the file. Linear, after the Info frame itself. */
static uint8_t *put_toc(uint8_t *to, const struct dec_mp3 *mp3)
{
    uint64_t audio = mp3->bytes - mp3->info_bytes;
    for (uint64_t i = 0; i < 100; i++)
        *to++ = (uint8_t)((mp3->info_bytes + audio * i / 100) * 255 / mp3->bytes);
    return to;
}

void dec_mp3_info_frame(const struct dec_mp3 *mp3, uint8_t out[DEC_MP3_MAX_FRAME])
{
    struct header h;
    memset(out, 0, mp3->info_bytes);
    uint8_t *to = put_be(out, info_header(mp3->header, &h), 4) + side_info_bytes(&h);
    memcpy(to, "Info", 4);                 /* "Xing" would say: variable bit rate */
    to = put_be(to + 4, 1 | 2 | 4 | 8, 4); /* frames, bytes, TOC, quality follow */
    to = put_be(to, mp3->frames, 4);
    to = put_be(to, (uint32_t)mp3->bytes, 4);
    to = put_toc(to, mp3);
    to = put_be(to, 50, 4);
    memcpy(to, "LAME3.100", 9); /* players trust delay and padding from names they know */
    to += 9;
    *to++ = 1;               /* revision 0, constant bit rate */
    to += 1 + 4 + 2 + 2 + 1; /* lowpass, peak, gains, flags: unknown */
    *to++ = (uint8_t)BASE_MIN(mp3->bitrate / 1000, 255);
    to = put_be(to, (uint32_t)(ENCODER_DELAY << 12 | mp3->end_padding), 3);
    to += 1 + 1 + 2; /* miscellaneous, gain, preset */
    to = put_be(to, (uint32_t)mp3->bytes, 4);
    to += 2; /* CRC of the music: 0, it is not made yet when this is served */
    put_be(to, crc16(out, (size_t)(to - out)), 2);
}
