/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a decoded frame to the bytes of an image file: rotation, crop and scale by the same filters that
 * ffmpeg's command line would use, then JPEG, PNG, PPM or the samples themselves.
 */
#ifndef DECODERS_PICTURE_H
#define DECODERS_PICTURE_H

#include "base/boxes.h"
#include "base/bytes.h"
#include "decoders/media.h"

#include <libavutil/frame.h>

/* What filters have to know of a frame beside its pixels: its stream's time base, and from the frame or else
 * the stream the shape of a pixel and the display matrix. */
struct dec_picture_input {
    AVRational time_base, aspect;
    bool rotated;
    int32_t rotation[9]; /* all zero where there is none */
};

struct dec_picture_input dec_picture_input_of(const AVStream *stream, const AVFrame *frame);

/* Filters for one spec, rebuilt when the frames' size or format changes. Zero-initialise. One thread. */
struct dec_picture {
    struct dec_frames_spec spec;
    struct AVFilterGraph *graph;
    struct AVFilterContext *source, *sink;
    int in_width, in_height, in_format, in_range, in_matrix;
    struct dec_picture_input input; /* that the graph was built for */
    AVFrame *out;
};

void dec_picture_finish(struct dec_picture *p);

/* Makes a spec that crops a box out of this frame: the part of it that lies in the picture. -EIO with why
 * when nothing of it does. */
int dec_picture_take_box(const struct dec_picture_input *input, const AVFrame *frame,
                         const struct base_box *box, struct dec_frames_spec *spec, struct base_reason *why);

/* The frame as the view wants to see it, still uncompressed; *ret is borrowed until the next call. width,
 * height: the size that every frame of the clip has (0 = whatever the filters give): like ffmpeg's autoscale,
 * frames of another size are scaled to it. 0 or a negative errno with why. */
int dec_picture_render(struct dec_picture *p, const struct dec_picture_input *input, const AVFrame *frame,
                       const struct dec_frames_spec *spec, int width, int height, AVFrame **ret,
                       struct base_reason *why);

/* The size of what dec_picture_render() gives for frames like this one, of which only size, format and shape
 * count: it needs no pixels. 0 or a negative errno with why. */
int dec_picture_measure(struct dec_picture *p, const struct dec_picture_input *input, const AVFrame *like,
                        const struct dec_frames_spec *spec, int *ret_width, int *ret_height,
                        struct base_reason *why);

/* The number of bytes that a frame's file has at most, for formats whose size follows from the picture (PNG:
 * worst case, PPM). */
uint64_t dec_picture_worst_bytes(const struct dec_frames_spec *spec, const AVFrame *rendered);

/* What every frame of a format is filled up with: the byte, and how many bytes of the encoded frame stand
 * behind the filling. */
void dec_picture_filling(const struct dec_frames_spec *spec, uint32_t *ret_fill, uint32_t *ret_tail_bytes);

/* Appends the encoded file to out. file_bytes: the size it will have with filling; 0 = measuring, any size. A
 * JPEG that would be larger is encoded at the highest quality that fits, and *ret_lowered set. 0, -EFBIG when
 * nothing fits, or another negative errno. */
int dec_picture_encode(const struct dec_frames_spec *spec, AVFrame *rendered, uint64_t file_bytes,
                       struct base_bytes *out, bool *ret_lowered, struct base_reason *why);

/* The encoders behind it (jpeg.c, png.c, npy_rgb.c). quality 1..100. */
int dec_jpeg_encode(AVFrame *yuv, int quality, struct base_bytes *out, struct base_reason *why);
int dec_png_encode(const AVFrame *picture, uint64_t file_bytes, struct base_bytes *out,
                   struct base_reason *why);
uint64_t dec_png_worst_bytes(const AVFrame *picture);
int dec_ppm_encode(const AVFrame *picture, struct base_bytes *out, struct base_reason *why);
int dec_rgb_encode(const struct dec_frames_spec *spec, const AVFrame *picture, struct base_bytes *out,
                   struct base_reason *why);
/* Whether the picture's bytes stand in memory as dec_rgb_encode() would write them. */
bool dec_rgb_is_encoded(const struct dec_frames_spec *spec, const AVFrame *picture);
/* Of a picture of this size. */
uint64_t dec_rgb_bytes(const struct dec_frames_spec *spec, const AVFrame *picture);

/* Limited (16..235) to full (0..255) range in place, luma or chroma; n samples (pixels.c). */
void dec_pixels_expand_luma(uint8_t *samples, size_t n);
void dec_pixels_expand_chroma(uint8_t *samples, size_t n);

#endif
