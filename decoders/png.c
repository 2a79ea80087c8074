/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PNG (W3C PNG specification) with one private ancillary chunk, cfPd, before IEND, whose data are zeros up to
 * the size that the file was promised to have; and PPM (netpbm's ppm(5)).
 */
#include "decoders/picture.h"

#include <errno.h>
#include <png.h>
#include <zlib.h>

/* The chunk's CRC, then IEND: what stands behind the filling. */
enum { CHUNK_OVERHEAD = 12, TAIL_BYTES = 4 + CHUNK_OVERHEAD };

struct png_writer {
    struct base_bytes *out;
    struct base_reason *why;
};

static void on_error(png_structp png, png_const_charp message)
{
    struct png_writer *writer = png_get_error_ptr(png);
    base_fail(writer->why, -EIO, "PNG: %s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void on_write(png_structp png, png_bytep data, size_t len)
{
    struct png_writer *writer = png_get_io_ptr(png);
    base_bytes_append(writer->out, data, len);
}

static void on_flush(png_structp png)
{
    (void)png;
}

struct png_layout {
    int color_type, depth, pixel_bytes;
};

static bool layout_of(int format, struct png_layout *ret)
{
    switch (format) {
    case AV_PIX_FMT_RGB24:
        *ret = (struct png_layout){PNG_COLOR_TYPE_RGB, 8, 3};
        return true;
    case AV_PIX_FMT_RGBA:
        *ret = (struct png_layout){PNG_COLOR_TYPE_RGB_ALPHA, 8, 4};
        return true;
    case AV_PIX_FMT_RGB48BE:
        *ret = (struct png_layout){PNG_COLOR_TYPE_RGB, 16, 6};
        return true;
    case AV_PIX_FMT_RGBA64BE:
        *ret = (struct png_layout){PNG_COLOR_TYPE_RGB_ALPHA, 16, 8};
        return true;
    case AV_PIX_FMT_GRAY8:
        *ret = (struct png_layout){PNG_COLOR_TYPE_GRAY, 8, 1};
        return true;
    case AV_PIX_FMT_YA8:
        *ret = (struct png_layout){PNG_COLOR_TYPE_GRAY_ALPHA, 8, 2};
        return true;
    case AV_PIX_FMT_GRAY16BE:
        *ret = (struct png_layout){PNG_COLOR_TYPE_GRAY, 16, 2};
        return true;
    case AV_PIX_FMT_YA16BE:
        *ret = (struct png_layout){PNG_COLOR_TYPE_GRAY_ALPHA, 16, 4};
        return true;
    default:
        return false;
    }
}

uint64_t dec_png_worst_bytes(const AVFrame *picture)
{
    struct png_layout layout;
    if (!layout_of(picture->format, &layout))
        return 0;
    uint64_t raw = (uint64_t)picture->height * (1 + (uint64_t)picture->width * (uint64_t)layout.pixel_bytes);
    /* zlib never expands by more than its stored form (5 bytes each 16 KiB, zlib.h's deflateBound is
     * smaller), libpng cuts its output into IDAT chunks of 8 KiB. */
    uint64_t packed = raw + raw / 1000 + 1024;
    uint64_t chunks = packed / 8192 + 1;
    return 8 + 25 + packed + chunks * CHUNK_OVERHEAD + 2 * CHUNK_OVERHEAD;
}

static int write_image(const AVFrame *picture, const struct png_layout *layout, struct png_writer *writer)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, writer, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_write_struct(&png, NULL);
        return base_fail(writer->why, -ENOMEM, "out of memory");
    }
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        return -EIO;
    }
    png_set_write_fn(png, writer, on_write, on_flush);
    png_set_IHDR(png, info, (png_uint_32)picture->width, (png_uint_32)picture->height, layout->depth,
                 layout->color_type, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_SUB);
    png_set_compression_level(png, 2);
    png_write_info(png, info);
    for (int y = 0; y < picture->height; y++)
        png_write_row(png, picture->data[0] + (ptrdiff_t)y * picture->linesize[0]);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return 0;
}

static void put_be32(uint8_t out[4], uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* CRC-32 of the chunk type followed by n zero bytes. */
static uint32_t filling_crc(const uint8_t type[4], uint64_t n)
{
    static const uint8_t zeros[4096];
    uint32_t crc = (uint32_t)crc32(0, type, 4);
    for (; n > 0; n -= BASE_MIN(n, sizeof zeros))
        crc = (uint32_t)crc32(crc, zeros, (uInt)BASE_MIN(n, sizeof zeros));
    return crc;
}

int dec_png_encode(const AVFrame *picture, uint64_t file_bytes, struct base_bytes *out,
                   struct base_reason *why)
{
    struct png_layout layout;
    if (!layout_of(picture->format, &layout))
        return base_fail(why, -EINVAL, "no PNG of this pixel format");
    struct png_writer writer = {out, why};
    size_t start = out->len;
    int err = write_image(picture, &layout, &writer);
    if (err || out->failed)
        return err ? err : base_fail(why, -ENOMEM, "out of memory");
    uint8_t end[CHUNK_OVERHEAD], chunk[8] = {0, 0, 0, 0, 'c', 'f', 'P', 'd'}, crc[4];
    out->len -= sizeof end;
    memcpy(end, out->data + out->len, sizeof end);
    uint64_t used = out->len - start + CHUNK_OVERHEAD + sizeof end;
    if (file_bytes == 0)
        file_bytes = used;
    if (used > file_bytes)
        return base_fail(why, -EFBIG, "a PNG larger than the worst case");
    put_be32(chunk, (uint32_t)(file_bytes - used));
    put_be32(crc, filling_crc(chunk + 4, file_bytes - used));
    base_bytes_append(out, chunk, sizeof chunk);
    base_bytes_append(out, crc, sizeof crc);
    base_bytes_append(out, end, sizeof end);
    return out->failed ? base_fail(why, -ENOMEM, "out of memory") : 0;
}

int dec_ppm_encode(const AVFrame *picture, struct base_bytes *out, struct base_reason *why)
{
    bool deep = picture->format == AV_PIX_FMT_RGB48BE;
    if (!deep && picture->format != AV_PIX_FMT_RGB24)
        return base_fail(why, -EINVAL, "no PPM of this pixel format");
    base_bytes_printf(out, "P6\n%d %d\n%d\n", picture->width, picture->height, deep ? 65535 : 255);
    for (int y = 0; y < picture->height; y++)
        base_bytes_append(out, picture->data[0] + (ptrdiff_t)y * picture->linesize[0],
                          (size_t)picture->width * (deep ? 6 : 3));
    return out->failed ? base_fail(why, -ENOMEM, "out of memory") : 0;
}
