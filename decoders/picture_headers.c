/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/picture_headers.h"

#include "decoders/bits.h"

static const char doubt_cut[] = "a header that is cut short";
static const char doubt_changed[] = "a sequence that changes";
static const char doubt_unusual[] = "an unusual kind of sequence";

enum {
    MPEG4_LAYER_FIRST = 0x20,
    MPEG4_LAYER_LAST = 0x2f,
    MPEG4_USER_DATA = 0xb2,
    MPEG4_GROUP = 0xb3,
    MPEG4_PICTURE = 0xb6,
    MPEG2_PICTURE = 0x00,
    MPEG2_SEQUENCE = 0xb3,
    MPEG2_EXTENSION = 0xb5,
};

/* Remembers a sequence's header, or compares it with the first. */
static bool same_as_first(struct dec_headers *h, const uint8_t *data, size_t len)
{
    size_t kept = BASE_MIN(len, sizeof h->first);
    if (h->first_bytes == 0) {
        memcpy(h->first, data, kept);
        h->first_bytes = len;
    }
    return h->first_bytes == len && memcmp(h->first, data, kept) == 0;
}

/* ---- MPEG-4 ---- */

enum { RECTANGULAR = 0, SIMPLE = 1, ADVANCED_SIMPLE = 17, STUDIO = 14 };

/* 6.2.3, VideoObjectLayer() */
static const char *mpeg4_layer(struct dec_headers *h, const uint8_t *data, size_t len)
{
    bool again = h->known;
    if (!same_as_first(h, data, len))
        return doubt_changed;
    if (again)
        return NULL;
    struct dec_bits b = {data, len * 8, 0, false};
    dec_bits_skip(&b, 1); /* random_accessible_vol */
    unsigned type = dec_bits_get(&b, 8);
    if (dec_bits_get(&b, 1)) /* is_object_layer_identifier */
        dec_bits_skip(&b, 4 + 3);
    if (dec_bits_get(&b, 4) == 15) /* aspect_ratio_info: extended_PAR */
        dec_bits_skip(&b, 8 + 8);
    h->low_delay = type == SIMPLE || type == ADVANCED_SIMPLE;
    if (dec_bits_get(&b, 1)) { /* vol_control_parameters */
        dec_bits_skip(&b, 2);
        h->low_delay = dec_bits_get(&b, 1);
        if (dec_bits_get(&b, 1)) /* vbv_parameters */
            dec_bits_skip(&b, 15 + 1 + 15 + 1 + 15 + 1 + 3 + 11 + 1 + 15 + 1);
    }
    unsigned shape = dec_bits_get(&b, 2);
    bool marker = dec_bits_get(&b, 1);
    h->resolution = dec_bits_get(&b, 16);
    marker = dec_bits_get(&b, 1) && marker;
    if (b.over)
        return doubt_cut;
    if (shape != RECTANGULAR || type == STUDIO || !marker || h->resolution == 0)
        return doubt_unusual;
    h->known = true;
    return NULL;
}

/* Bits of vop_time_increment. */
static unsigned time_bits(uint32_t resolution)
{
    unsigned bits = 1;
    while (bits < 16 && (resolution - 1) >> bits)
        bits++;
    return bits;
}

/* 6.2.5, VideoObjectPlane(): the type of a sprite counts as P. */
static const char *mpeg4_picture(const struct dec_headers *h, const uint8_t *data, size_t len,
                                 struct dec_picture *ret)
{
    static const enum dec_picture_type types[] = {DEC_PICTURE_I, DEC_PICTURE_P, DEC_PICTURE_B, DEC_PICTURE_P};
    struct dec_bits b = {data, len * 8, 0, false};
    ret->type = types[dec_bits_get(&b, 2)];
    ret->seconds = 0;
    while (dec_bits_get(&b, 1)) /* modulo_time_base */
        ret->seconds++;
    bool marker = dec_bits_get(&b, 1);
    ret->ticks = dec_bits_get(&b, time_bits(h->resolution));
    marker = dec_bits_get(&b, 1) && marker;
    ret->coded = dec_bits_get(&b, 1);
    if (b.over)
        return doubt_cut;
    return marker ? NULL : doubt_unusual;
}

/* 6.2.4, Group_of_VideoObjectPlane(). An all-zero one is taken for none, as decoders do. */
static const char *mpeg4_group(struct dec_headers *h, const uint8_t *data, size_t len)
{
    struct dec_bits b = {data, len * 8, 0, false};
    unsigned hours = dec_bits_get(&b, 5), minutes = dec_bits_get(&b, 6), marker = dec_bits_get(&b, 1),
             seconds = dec_bits_get(&b, 6);
    bool any = hours || minutes || marker || seconds || dec_bits_get(&b, 5);
    if (b.over)
        return doubt_cut;
    if (any)
        h->group_seconds = seconds + 60 * (minutes + 60 * (int64_t)hours);
    return NULL;
}

/* DivX signs its streams in user data, and ends with a p when a packet may hold several pictures:
 * "DivX503b1393p" or "DivX501Build413p". */
static void mpeg4_user_data(struct dec_headers *h, const uint8_t *data, size_t len)
{
    char text[64], last;
    int version, build;
    size_t kept = BASE_MIN(len, sizeof text - 1);
    memcpy(text, data, kept);
    text[kept] = '\0';
    int n = sscanf(text, "DivX%dBuild%d%c", &version, &build, &last);
    if (n < 2)
        n = sscanf(text, "DivX%db%d%c", &version, &build, &last);
    if (n >= 2)
        h->packed = n == 3 && last == 'p';
}

static const char *mpeg4_unit(struct dec_headers *h, unsigned code, const uint8_t *data, size_t len,
                              struct dec_picture *picture, bool *ret_is_picture)
{
    if (code >= MPEG4_LAYER_FIRST && code <= MPEG4_LAYER_LAST)
        return mpeg4_layer(h, data, len);
    if (code == MPEG4_USER_DATA)
        mpeg4_user_data(h, data, len);
    if (code == MPEG4_GROUP)
        return mpeg4_group(h, data, len);
    *ret_is_picture = code == MPEG4_PICTURE;
    if (code != MPEG4_PICTURE)
        return NULL;
    return h->known ? mpeg4_picture(h, data, len, picture) : doubt_unusual;
}

/* ---- MPEG-1 and -2 ---- */

enum { SEQUENCE_EXTENSION = 1, PICTURE_CODING_EXTENSION = 8, FRAME_STRUCTURE = 3 };

/* 6.2.2.1, sequence_header(): what may not change are the first 4 bytes, sizes and rate. */
static const char *mpeg2_sequence(struct dec_headers *h, const uint8_t *data, size_t len)
{
    if (len < 4)
        return doubt_cut;
    if (!same_as_first(h, data, 4))
        return doubt_changed;
    h->known = true;
    return NULL;
}

static const char *mpeg2_extension(struct dec_headers *h, const uint8_t *data, size_t len)
{
    struct dec_bits b = {data, len * 8, 0, false};
    unsigned kind = dec_bits_get(&b, 4);
    if (kind == SEQUENCE_EXTENSION) { /* 6.2.2.3 */
        dec_bits_skip(&b, 8 + 1 + 2 + 2 + 2 + 12 + 1 + 8);
        h->low_delay = dec_bits_get(&b, 1);
    } else if (kind == PICTURE_CODING_EXTENSION) { /* 6.2.3.1 */
        dec_bits_skip(&b, 16 + 2);
        if (dec_bits_get(&b, 2) != FRAME_STRUCTURE && !b.over)
            return "pictures of one field";
    }
    return b.over ? doubt_cut : NULL;
}

/* 6.2.3, picture_header() */
static const char *mpeg2_picture(const uint8_t *data, size_t len, struct dec_picture *ret)
{
    struct dec_bits b = {data, len * 8, 0, false};
    dec_bits_skip(&b, 10); /* temporal_reference */
    unsigned type = dec_bits_get(&b, 3);
    if (b.over)
        return doubt_cut;
    if (type < 1 || type > 3)
        return doubt_unusual;
    ret->type = DEC_PICTURE_I + (type - 1);
    ret->coded = true;
    return NULL;
}

static const char *mpeg2_unit(struct dec_headers *h, unsigned code, const uint8_t *data, size_t len,
                              struct dec_picture *picture, bool *ret_is_picture)
{
    *ret_is_picture = code == MPEG2_PICTURE;
    switch (code) {
    case MPEG2_SEQUENCE:
        return mpeg2_sequence(h, data, len);
    case MPEG2_EXTENSION:
        return mpeg2_extension(h, data, len);
    case MPEG2_PICTURE:
        return h->known ? mpeg2_picture(data, len, picture) : doubt_unusual;
    default:
        return NULL;
    }
}

/* ---- The units of a packet ---- */

bool dec_headers_for(enum AVCodecID codec)
{
    return codec == AV_CODEC_ID_MPEG4 || codec == AV_CODEC_ID_MPEG1VIDEO || codec == AV_CODEC_ID_MPEG2VIDEO;
}

/* Where the next start code (00 00 01 xx) stands, from `from` on; len = there is none. */
static size_t next_start(const uint8_t *data, size_t len, size_t from)
{
    while (from + 4 <= len) {
        const uint8_t *one = memchr(data + from + 2, 1, len - from - 3);
        if (!one)
            return len;
        from = (size_t)(one - data) - 2;
        if (data[from] == 0 && data[from + 1] == 0)
            return from;
        from++;
    }
    return len;
}

const char *dec_headers_read(struct dec_headers *h, const uint8_t *data, size_t len,
                             struct dec_picture ret[DEC_MOST_PICTURES], int *ret_n)
{
    const char *doubt = NULL;
    int n = 0;
    h->group_seconds = -1;
    for (size_t at = next_start(data, len, 0), next; !doubt && at < len; at = next) {
        struct dec_picture picture = {.start = at};
        bool is_picture = false;
        unsigned code = data[at + 3];
        next = next_start(data, len, at + 4);
        const uint8_t *unit = data + at + 4;
        doubt = h->codec == AV_CODEC_ID_MPEG4
                    ? mpeg4_unit(h, code, unit, next - at - 4, &picture, &is_picture)
                    : mpeg2_unit(h, code, unit, next - at - 4, &picture, &is_picture);
        if (is_picture && n == DEC_MOST_PICTURES)
            doubt = "many pictures in a packet";
        else if (is_picture)
            ret[n++] = picture;
    }
    *ret_n = n;
    return doubt;
}

const char *dec_headers_init(struct dec_headers *h, const AVCodecParameters *par)
{
    struct dec_picture pictures[DEC_MOST_PICTURES];
    int n;
    *h = (struct dec_headers){.codec = par->codec_id, .group_seconds = -1};
    return dec_headers_read(h, par->extradata, (size_t)BASE_MAX(par->extradata_size, 0), pictures, &n);
}
