/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures as rows of an array: uint8 or float32, pixel by pixel or plane by plane. */
#include "decoders/picture.h"

#include <errno.h>

uint64_t dec_rgb_bytes(const struct dec_frames_spec *spec, const AVFrame *picture)
{
    return dec_row_bytes(spec, (uint32_t)picture->width, (uint32_t)picture->height);
}

bool dec_rgb_is_encoded(const struct dec_frames_spec *spec, const AVFrame *picture)
{
    return spec->format == DEC_RGB && !spec->floats && !spec->planar &&
           picture->linesize[0] == picture->width * 3;
}

/* What each value of a channel becomes: with one rounding a step, as NumPy does it in float32. */
static void fill_table(const struct dec_frames_spec *spec, int channel, float table[256])
{
    for (int i = 0; i < 256; i++) {
        float value = (float)i;
        if (spec->top == 1)
            value /= 255;
        value -= spec->mean[channel];
        table[i] = value / spec->std[channel];
    }
}

static void put_floats(const struct dec_frames_spec *spec, const AVFrame *p, float *out)
{
    float tables[3][256];
    size_t pixels = (size_t)p->width * (size_t)p->height;
    size_t next = spec->planar ? 1 : 3, plane = spec->planar ? pixels : 1;
    for (int c = 0; c < 3; c++)
        fill_table(spec, c, tables[c]);
    for (int y = 0; y < p->height; y++) {
        const uint8_t *in = p->data[0] + (ptrdiff_t)y * p->linesize[0];
        for (int x = 0; x < p->width; x++, in += 3, out += next) {
            out[0] = tables[0][in[0]];
            out[plane] = tables[1][in[1]];
            out[2 * plane] = tables[2][in[2]];
        }
    }
}

static void put_planes(const AVFrame *p, uint8_t *out)
{
    size_t pixels = (size_t)p->width * (size_t)p->height;
    for (int y = 0; y < p->height; y++) {
        const uint8_t *in = p->data[0] + (ptrdiff_t)y * p->linesize[0];
        for (int x = 0; x < p->width; x++, in += 3, out++) {
            out[0] = in[0];
            out[pixels] = in[1];
            out[2 * pixels] = in[2];
        }
    }
}

static void put_pixels(const AVFrame *p, uint8_t *out)
{
    size_t row = (size_t)p->width * 3;
    for (int y = 0; y < p->height; y++)
        memcpy(out + (size_t)y * row, p->data[0] + (ptrdiff_t)y * p->linesize[0], row);
}

int dec_rgb_encode(const struct dec_frames_spec *spec, const AVFrame *picture, struct base_bytes *out,
                   struct base_reason *why)
{
    size_t bytes = (size_t)dec_rgb_bytes(spec, picture);
    if (base_bytes_reserve(out, bytes))
        return base_fail(why, -ENOMEM, "out of memory");
    uint8_t *to = out->data + out->len;
    if (spec->floats)
        put_floats(spec, picture, (float *)(void *)to);
    else if (spec->planar)
        put_planes(picture, to);
    else
        put_pixels(picture, to);
    out->len += bytes;
    return 0;
}
