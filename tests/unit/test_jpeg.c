/* SPDX-License-Identifier: Apache-2.0 */
/* JPEGs of our own encoder, read by libjpeg-turbo and compared with what its encoder makes of the same
 * picture. */
#include "decoders/picture.h"

#include "check.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <turbojpeg.h>

struct shape {
    int width, height, format, subsampling;
};

static const struct shape shapes[] = {
    {1, 1, AV_PIX_FMT_YUVJ420P, TJSAMP_420},     {8, 8, AV_PIX_FMT_YUVJ420P, TJSAMP_420},
    {17, 15, AV_PIX_FMT_YUVJ420P, TJSAMP_420},   {97, 65, AV_PIX_FMT_YUV420P, TJSAMP_420},
    {160, 120, AV_PIX_FMT_YUVJ420P, TJSAMP_420}, {33, 31, AV_PIX_FMT_YUVJ422P, TJSAMP_422},
    {50, 16, AV_PIX_FMT_YUV422P, TJSAMP_422},    {9, 100, AV_PIX_FMT_YUVJ444P, TJSAMP_444},
    {64, 64, AV_PIX_FMT_YUV444P, TJSAMP_444},    {1, 1, AV_PIX_FMT_GRAY8, TJSAMP_GRAY},
    {61, 43, AV_PIX_FMT_GRAY8, TJSAMP_GRAY},
};
static const int qualities[] = {1, 20, 50, 75, 92, 95, 98, 100};

enum content { SMOOTH, GRAIN, NOISE, EXTREMES, N_CONTENTS };

static uint8_t sample(enum content content, int x, int y)
{
    int random = (int)(((uint32_t)x * 2654435761u ^ (uint32_t)(y + 77) * 2246822519u) * 3266489917u >> 24);
    switch (content) {
    case SMOOTH:
        return (uint8_t)(128 + 100 * sin(x / 9.0) * cos(y / 13.0));
    case GRAIN:
        return (uint8_t)(128 + 90 * sin(x / 9.0) * cos(y / 13.0) + random / 16.0);
    case NOISE:
        return (uint8_t)random;
    default:
        return random & 1 ? 255 : 0;
    }
}

/* Of luma, TurboJPEG would tell one more where it is odd. */
static int width_of(const struct shape *s, int plane)
{
    return plane ? tjPlaneWidth(plane, s->width, s->subsampling) : s->width;
}

static int height_of(const struct shape *s, int plane)
{
    return plane ? tjPlaneHeight(plane, s->height, s->subsampling) : s->height;
}

static int planes_of(const struct shape *s)
{
    return s->subsampling == TJSAMP_GRAY ? 1 : 3;
}

/* flipped: the lines stand in memory from the last to the first, as a filter may give them. */
static AVFrame *new_picture(const struct shape *s, enum content content, bool flipped)
{
    AVFrame *f = av_frame_alloc();
    f->width = s->width;
    f->height = s->height;
    f->format = s->format;
    if (!CHECK(av_frame_get_buffer(f, 0) == 0))
        abort();
    for (int plane = 0; plane < planes_of(s); plane++) {
        int width = width_of(s, plane), height = height_of(s, plane);
        if (flipped) {
            f->data[plane] += (ptrdiff_t)(height - 1) * f->linesize[plane];
            f->linesize[plane] = -f->linesize[plane];
        }
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                f->data[plane][(ptrdiff_t)y * f->linesize[plane] + x] = sample(content, x + plane, y);
    }
    return f;
}

static struct base_bytes encode(const struct shape *s, enum content content, int quality, bool flipped)
{
    struct base_bytes out = {0};
    struct base_reason why;
    AVFrame *picture = new_picture(s, content, flipped);
    if (!CHECK(dec_jpeg_encode(picture, quality, &out, &why) == 0))
        (void)fprintf(stderr, "%s\n", why.text);
    av_frame_free(&picture);
    return out;
}

static struct base_bytes encode_by_turbojpeg(const struct shape *s, enum content content, int quality)
{
    struct base_bytes out = {0};
    AVFrame *f = new_picture(s, content, false);
    unsigned long bytes = tjBufSize(s->width, s->height, s->subsampling);
    CHECK(base_bytes_reserve(&out, bytes) == 0);
    tjhandle jpeg = tjInitCompress();
    CHECK(tjCompressFromYUVPlanes(jpeg, (const unsigned char **)f->data, s->width, f->linesize, s->height,
                                  s->subsampling, &out.data, &bytes, quality,
                                  TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT) == 0);
    out.len = bytes;
    tjDestroy(jpeg);
    av_frame_free(&f);
    return out;
}

/* The mean squared difference from the true picture, over all samples; a warning of the decoder is a failure.
 */
static double error_of(const struct base_bytes *jpeg, const struct shape *s, enum content content)
{
    AVFrame *truth = new_picture(s, content, false), *have = new_picture(s, content, false);
    tjhandle decoder = tjInitDecompress();
    int width, height, subsampling, space;
    CHECK(tjDecompressHeader3(decoder, jpeg->data, jpeg->len, &width, &height, &subsampling, &space) == 0);
    CHECK_INT(width, s->width);
    CHECK_INT(height, s->height);
    CHECK_INT(subsampling, s->subsampling);
    if (!CHECK(tjDecompressToYUVPlanes(decoder, jpeg->data, jpeg->len, have->data, 0, have->linesize, 0,
                                       TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING) == 0))
        (void)fprintf(stderr, "%s\n", tjGetErrorStr2(decoder));
    tjDestroy(decoder);
    double sum = 0, n = 0;
    for (int plane = 0; plane < planes_of(s); plane++)
        for (int y = 0; y < height_of(s, plane); y++)
            for (int x = 0; x < width_of(s, plane); x++, n++) {
                double d = truth->data[plane][(ptrdiff_t)y * truth->linesize[plane] + x] -
                           have->data[plane][(ptrdiff_t)y * have->linesize[plane] + x];
                sum += d * d;
            }
    av_frame_free(&truth);
    av_frame_free(&have);
    return sum / n;
}

static void check_one(const struct shape *s, enum content content, int quality)
{
    struct base_bytes ours = encode(s, content, quality, false), flipped = encode(s, content, quality, true);
    struct base_bytes theirs = encode_by_turbojpeg(s, content, quality);
    CHECK(ours.len == flipped.len && memcmp(ours.data, flipped.data, ours.len) == 0);
    CHECK(ours.data[0] == 0xff && ours.data[1] == 0xd8);
    CHECK(ours.data[ours.len - 2] == 0xff && ours.data[ours.len - 1] == 0xd9);
    double error = error_of(&ours, s, content), bound = 2 * error_of(&theirs, s, content) + 0.5;
    if (!CHECK(error <= bound) || !CHECK(ours.len <= theirs.len + 16))
        (void)fprintf(stderr, "%dx%d, format %d, content %d, quality %d: error %.2f, bytes %zu of %zu\n",
                      s->width, s->height, s->format, (int)content, quality, error, ours.len, theirs.len);
    base_bytes_finish(&ours);
    base_bytes_finish(&flipped);
    base_bytes_finish(&theirs);
}

/* Of every shape, content and quality: read without a warning, about as good, and not larger. */
static void test_like_turbojpeg(void)
{
    for (size_t s = 0; s < BASE_ARRAY_LEN(shapes); s++)
        for (enum content content = 0; content < N_CONTENTS; content++)
            for (size_t q = 0; q < BASE_ARRAY_LEN(qualities); q++)
                check_one(&shapes[s], content, qualities[q]);
}

static void test_other_formats_are_refused(void)
{
    const struct shape rgb = {16, 16, AV_PIX_FMT_GBRP, TJSAMP_444};
    struct base_bytes out = {0};
    struct base_reason why;
    AVFrame *picture = new_picture(&rgb, SMOOTH, false);
    CHECK_INT(dec_jpeg_encode(picture, 90, &out, &why), -EINVAL);
    CHECK_INT(out.len, 0);
    av_frame_free(&picture);
    base_bytes_finish(&out);
}

int main(void)
{
    CHECK_RUN(test_like_turbojpeg);
    CHECK_RUN(test_other_formats_are_refused);
    return check_result();
}
