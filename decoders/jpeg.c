/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A baseline JPEG from planes of YUV, or of grey alone, with the tables that `quality` means everywhere
 * (those of T.81, K.1 and K.2, scaled as the IJG's library does).
 *
 * What a library would not do is leave out weak coefficients: one whose loss is hardly to be seen costs a
 * reader as much time, and the file as many bytes, as a strong one. docs/design.md, "Pictures", has the
 * numbers.
 */
#include "decoders/jpeg_coding.h"
#include "decoders/picture.h"

#include <endian.h>
#include <errno.h>
#include <libavcodec/avdct.h>
#include <libavutil/mem.h>
#include <libavutil/pixdesc.h>

static const uint8_t luma_table[64] = {16, 11, 10, 16, 24,  40,  51,  61,  12, 12, 14, 19, 26,  58,  60,  55,
                                       14, 13, 16, 24, 40,  57,  69,  56,  14, 17, 22, 29, 51,  87,  80,  62,
                                       18, 22, 37, 56, 68,  109, 103, 77,  24, 35, 55, 64, 81,  104, 113, 92,
                                       49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99};
static const uint8_t chroma_table[64] = {17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
                                         24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
                                         99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
                                         99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99};

/* In the block's own order, line by line; coefficients are eight times those of an orthonormal transform, as
 * the transform gives them. Numbers are signed because that is what processors compare. */
struct quantiser {
    uint8_t table[64];
    int16_t half[64];
    uint16_t factor[64]; /* level = (coefficient + half) * factor >> 16 */
    int16_t least[64];   /* smaller coefficients become 0 */
};

struct component {
    const uint8_t *samples;
    ptrdiff_t stride;
    int width, height;
    int across, down; /* blocks in a minimum coded unit */
    unsigned kind;    /* DEC_JPEG_LUMA, ... */
    int dc;
};

struct scan {
    AVDCT *dct;
    struct component components[3];
    uint8_t n;                      /* of them: 3, or 1 of a grey picture */
    struct quantiser quantisers[2]; /* by kind */
    struct base_bytes symbols;      /* uint32_t */
};

/*
 * A coefficient x of step s is worth its symbol if leaving it out adds at least `worth` to the squared error:
 * x^2 - (x - s)^2 >= worth. That matters for the fine steps of the low frequencies, where a level of one is
 * next to nothing, and hardly for the coarse ones. `worth` grows with the square of the steps, so that all
 * qualities lose about as little.
 */
static void make_quantiser(const uint8_t table[64], int quality, struct quantiser *ret)
{
    int scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
    int strength = BASE_MIN(scale, 100), worth = 64 * strength * strength / 50;
    for (int i = 0; i < 64; i++) {
        int entry = (table[i] * scale + 50) / 100;
        entry = BASE_MAX(1, BASE_MIN(entry, 255));
        int step = 8 * entry;
        ret->table[i] = (uint8_t)entry;
        ret->half[i] = (int16_t)(step / 2);
        ret->factor[i] = (uint16_t)((65536 + step - 1) / step);
        ret->least[i] = (int16_t)(i == 0 ? 0 : (worth / step + step) / 2);
    }
}

/* flags: of each level, whether it is not zero. */
__attribute__((optimize("O3"))) static void quantise(const struct quantiser *q, const int16_t block[64],
                                                     int16_t levels[restrict 64], uint8_t flags[restrict 64])
{
    for (int i = 0; i < 64; i++) {
        int16_t sign = (int16_t)(block[i] >> 15);
        int16_t size = (int16_t)((block[i] ^ sign) - sign);
        int16_t level = (int16_t)((uint32_t)(uint16_t)(size + q->half[i]) * q->factor[i] >> 16);
        level = level > 1023 ? 1023 : level; /* baseline has no more */
        level = size < q->least[i] ? 0 : level;
        levels[i] = (int16_t)((level ^ sign) - sign);
        flags[i] = level != 0;
    }
}

/* The bits of a line's flags, at their places in zigzag order. Made before there are threads, which encode at
 * once. */
static uint64_t line_bits[8][256];

__attribute__((constructor)) static void make_line_bits(void)
{
    for (unsigned place = 0; place < 64; place++)
        for (unsigned bits = 0; bits < 256; bits++)
            if (bits >> dec_jpeg_zigzag[place] % 8 & 1)
                line_bits[dec_jpeg_zigzag[place] / 8][bits] |= UINT64_C(1) << place;
}

/* Which levels are not zero, in zigzag order. */
static uint64_t nonzero_places(const uint8_t flags[64])
{
    uint64_t places = 0;
    for (int line = 0; line < 8; line++) {
        uint64_t eight;
        memcpy(&eight, flags + 8 * line, sizeof eight);
        /* Moves the lowest bit of each byte into the top byte. */
        places |= line_bits[line][le64toh(eight) * UINT64_C(0x0102040810204080) >> 56];
    }
    return places;
}

/* A block's samples, the middle of their range being 0. */
static void get_block(const uint8_t *samples, ptrdiff_t stride, int16_t block[restrict 64])
{
    for (int row = 0; row < 8; row++)
        for (int i = 0; i < 8; i++)
            block[8 * row + i] = (int16_t)(samples[row * stride + i] - 128);
}

/* The same of a block that reaches beyond its plane, whose last samples are repeated there. */
static void get_edge_block(const struct component *c, int x, int y, int16_t block[restrict 64])
{
    for (int row = 0; row < 8; row++) {
        const uint8_t *line = c->samples + BASE_MIN(y + row, c->height - 1) * c->stride;
        for (int i = 0; i < 8; i++)
            block[8 * row + i] = (int16_t)(line[BASE_MIN(x + i, c->width - 1)] - 128);
    }
}

static uint32_t *add_block(struct scan *s, struct component *c, int x, int y, uint32_t *symbols)
{
    _Alignas(16) int16_t block[64], levels[64];
    _Alignas(16) uint8_t flags[64];
    uint64_t nonzero = 0;
    int dc_before = c->dc;
    if (x < c->width && y < c->height) {
        if (x + 8 <= c->width && y + 8 <= c->height)
            get_block(c->samples + y * c->stride + x, c->stride, block);
        else
            get_edge_block(c, x, y, block);
        s->dct->fdct(block);
        quantise(&s->quantisers[c->kind], block, levels, flags);
        nonzero = nonzero_places(flags);
        c->dc = levels[0];
    } else {
        levels[0] = (int16_t)c->dc; /* nobody sees it */
    }
    return dec_jpeg_block_symbols(levels, nonzero, dc_before, c->kind, symbols);
}

/* The minimum coded units that begin at a line of luma. */
static uint32_t *add_row(struct scan *s, int y, uint32_t *symbols)
{
    const struct component *luma = &s->components[0];
    for (int unit = 0; unit * 8 * luma->across < luma->width; unit++)
        for (uint8_t i = 0; i < s->n; i++) {
            struct component *c = &s->components[i];
            int left = unit * 8 * c->across, top = y / luma->down * c->down;
            for (int block = 0; block < c->across * c->down; block++)
                symbols = add_block(s, c, left + block % c->across * 8, top + block / c->across * 8, symbols);
        }
    return symbols;
}

static int add_rows(struct scan *s)
{
    const struct component *luma = &s->components[0];
    size_t blocks = ((size_t)luma->width / 8 + 2) * (size_t)luma->down * 3; /* of a row, at most */
    for (int y = 0; y < luma->height; y += 8 * luma->down) {
        if (base_bytes_reserve(&s->symbols, blocks * DEC_JPEG_BLOCK_SYMBOLS * sizeof(uint32_t)) < 0)
            return -ENOMEM;
        uint8_t *end = (uint8_t *)add_row(s, y, (uint32_t *)(void *)(s->symbols.data + s->symbols.len));
        s->symbols.len = (size_t)(end - s->symbols.data);
    }
    return 0;
}

static void put_headers(const struct scan *s, struct base_bytes *out)
{
    static const uint8_t start[] = {0xff, 0xd8, 0xff, 0xe0, 0, 16, 'J', 'F', 'I', 'F',
                                    0,    1,    1,    0,    0, 1,  0,   1,   0,   0};
    base_bytes_append(out, start, sizeof start);
    for (uint8_t i = 0; i < BASE_MIN(s->n, 2); i++) {
        const uint8_t head[] = {0xff, 0xdb, 0, 2 + 1 + 64, i};
        base_bytes_append(out, head, sizeof head);
        for (int place = 0; place < 64; place++)
            base_bytes_append(out, &s->quantisers[i].table[dec_jpeg_zigzag[place]], 1);
    }
    const struct component *luma = &s->components[0];
    const uint8_t frame[] = {0xff,
                             0xc0,
                             0,
                             (uint8_t)(8 + 3 * s->n),
                             8,
                             (uint8_t)(luma->height >> 8),
                             (uint8_t)luma->height,
                             (uint8_t)(luma->width >> 8),
                             (uint8_t)luma->width,
                             s->n,
                             1,
                             (uint8_t)(luma->across << 4 | luma->down),
                             0,
                             2,
                             0x11,
                             1,
                             3,
                             0x11,
                             1};
    base_bytes_append(out, frame, sizeof frame - 3 * (3u - s->n));
}

static void begin(struct scan *s, const AVFrame *yuv, const AVPixFmtDescriptor *format, int quality)
{
    make_quantiser(luma_table, quality, &s->quantisers[DEC_JPEG_LUMA]);
    make_quantiser(chroma_table, quality, &s->quantisers[DEC_JPEG_CHROMA]);
    s->n = format->nb_components;
    for (int i = 0; i < s->n; i++) {
        int across = i > 0 ? format->log2_chroma_w : 0, down = i > 0 ? format->log2_chroma_h : 0;
        s->components[i] = (struct component){
            .samples = yuv->data[i],
            .stride = yuv->linesize[i],
            .width = AV_CEIL_RSHIFT(yuv->width, across),
            .height = AV_CEIL_RSHIFT(yuv->height, down),
            .across = i > 0 ? 1 : 1 << format->log2_chroma_w,
            .down = i > 0 ? 1 : 1 << format->log2_chroma_h,
            .kind = i > 0 ? DEC_JPEG_CHROMA : DEC_JPEG_LUMA,
        };
    }
}

static bool is_planar(const AVPixFmtDescriptor *d)
{
    if (d->nb_components == 1)
        return d->comp[0].depth == 8 && !(d->flags & AV_PIX_FMT_FLAG_PAL);
    return d->nb_components == 3 && d->comp[0].depth == 8 && (d->flags & AV_PIX_FMT_FLAG_PLANAR) &&
           !(d->flags & AV_PIX_FMT_FLAG_RGB) && d->log2_chroma_w <= 1 && d->log2_chroma_h <= d->log2_chroma_w;
}

int dec_jpeg_encode(AVFrame *yuv, int quality, struct base_bytes *out, struct base_reason *why)
{
    static const uint8_t scan[] = {0xff, 0xda, 0, 6 + 2 * 3, 3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0};
    static const uint8_t grey_scan[] = {0xff, 0xda, 0, 6 + 2, 1, 1, 0x00, 0, 63, 0};
    static const uint8_t end[] = {0xff, 0xd9};
    const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(yuv->format);
    if (!format || !is_planar(format) || yuv->width > UINT16_MAX || yuv->height > UINT16_MAX)
        return base_fail(why, -EINVAL, "no JPEG of pixel format %s", av_get_pix_fmt_name(yuv->format));
    struct scan s = {.dct = avcodec_dct_alloc()};
    int err = s.dct && avcodec_dct_init(s.dct) >= 0 ? 0 : -ENOMEM;
    if (!err) {
        begin(&s, yuv, format, quality);
        err = add_rows(&s);
    }
    if (!err) {
        put_headers(&s, out);
        const uint32_t *symbols = (const uint32_t *)(const void *)s.symbols.data;
        const bool grey = s.n == 1;
        err = dec_jpeg_put_scan(out, grey ? grey_scan : scan, grey ? sizeof grey_scan : sizeof scan, symbols,
                                s.symbols.len / sizeof *symbols);
        base_bytes_append(out, end, sizeof end);
    }
    base_bytes_finish(&s.symbols);
    av_free(s.dct);
    return err || out->failed ? base_fail(why, -ENOMEM, "out of memory") : 0;
}
