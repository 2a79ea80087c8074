/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/picture.h"

#include <errno.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/display.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <math.h>

static void drop_graph(struct dec_picture *p)
{
    avfilter_graph_free(&p->graph);
    p->source = p->sink = NULL;
}

void dec_picture_finish(struct dec_picture *p)
{
    drop_graph(p);
    av_frame_free(&p->out);
}

static bool is_full_range(const AVFrame *f)
{
    switch (f->format) {
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_YUVJ422P:
    case AV_PIX_FMT_YUVJ444P:
    case AV_PIX_FMT_YUVJ440P:
    case AV_PIX_FMT_YUVJ411P:
        return true;
    default:
        return f->color_range == AVCOL_RANGE_JPEG;
    }
}

static bool is_yuv(const AVFrame *f)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    return d && d->nb_components >= 3 && !(d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL));
}

/* Chroma as the video has it: 444, 422, or for all else (4:2:0, 4:1:1, grey) 420. */
static int subsampling_of(const AVFrame *f)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    if (!d || d->nb_components < 3 || d->log2_chroma_h > 0 || d->log2_chroma_w > 1)
        return 420;
    return d->log2_chroma_w == 0 ? 444 : 422;
}

/* What the sink accepts. PNG and PPM: what ffmpeg's encoders of that name accept, so that the filters choose
 * what they would choose there. JPEG: planar YUV; of limited-range YUV as it is, because expanding its range
 * here is faster (render()). */
static const char *sink_formats(const struct dec_frames_spec *spec, const AVFrame *in)
{
    if (spec->flow)
        return spec->luma ? "gray" : "rgb24";
    if (spec->format == DEC_PNG)
        return "rgb24|rgba|rgb48be|rgba64be|gray|ya8|gray16be|ya16be";
    if (spec->format == DEC_PPM)
        return "rgb24|rgb48be";
    if (spec->format == DEC_RGB)
        return "rgb24";
    bool limited = is_yuv(in) && !is_full_range(in);
    switch (spec->subsampling ? spec->subsampling : subsampling_of(in)) {
    case 444:
        return limited ? "yuv444p" : "yuvj444p";
    case 422:
        return limited ? "yuv422p" : "yuvj422p";
    default:
        return limited ? "yuv420p" : "yuvj420p";
    }
}

/* Appends a filter to the chain that ends in *last. */
static int append(struct dec_picture *p, AVFilterContext **last, const char *name, const char *args)
{
    AVFilterContext *filter;
    int err = avfilter_graph_create_filter(&filter, avfilter_get_by_name(name), name, args, NULL, p->graph);
    if (err >= 0)
        err = avfilter_link(*last, 0, filter, 0);
    *last = filter;
    return err;
}

static double rotation_degrees(const int32_t *matrix)
{
    double theta = -round(av_display_rotation_get(matrix));
    return theta - 360 * floor(theta / 360 + 0.9 / 360);
}

/* ffmpeg's -autorotate: the filters it documents to insert for a display matrix. */
static int append_rotation(struct dec_picture *p, AVFilterContext **last)
{
    const int32_t *m = p->input.rotation;
    double theta = p->input.rotated ? rotation_degrees(m) : 0;
    int err = 0;
    if (!p->input.rotated || isnan(theta))
        return 0;
    if (fabs(theta - 90) < 1.0)
        return append(p, last, "transpose", m[3] > 0 ? "cclock_flip" : "clock");
    if (fabs(theta - 270) < 1.0)
        return append(p, last, "transpose", m[3] < 0 ? "clock_flip" : "cclock");
    if (fabs(theta - 180) < 1.0) {
        if (m[0] < 0)
            err = append(p, last, "hflip", NULL);
        return err >= 0 && m[4] < 0 ? append(p, last, "vflip", NULL) : err;
    }
    if (fabs(theta) > 1.0) {
        char angle[64];
        (void)snprintf(angle, sizeof angle, "%f*PI/180", theta);
        return append(p, last, "rotate", angle);
    }
    return m[4] < 0 ? append(p, last, "vflip", NULL) : 0;
}

int dec_picture_take_box(const struct dec_picture_input *input, const AVFrame *frame,
                         const struct base_box *box, struct dec_frames_spec *spec, struct base_reason *why)
{
    double theta = input->rotated ? rotation_degrees(input->rotation) : 0;
    bool turned = fabs(theta - 90) < 1.0 || fabs(theta - 270) < 1.0;
    int32_t width = turned ? frame->height : frame->width, height = turned ? frame->width : frame->height;
    int32_t left = BASE_MAX(box->x, 0), top = BASE_MAX(box->y, 0);
    int32_t right = BASE_MIN(box->x + box->w, width), bottom = BASE_MIN(box->y + box->h, height);
    if (right <= left || bottom <= top)
        return base_fail(why, -EIO, "its box, %dx%d at %d,%d, lies outside of the picture of %dx%d", box->w,
                         box->h, box->x, box->y, width, height);
    /* The filter rounds to whole samples of chroma, and there must be one. */
    const char *exact = right - left < 4 || bottom - top < 4 ? ":exact=1" : "";
    (void)snprintf(spec->crop, sizeof spec->crop, "%d:%d:%d:%d%s", right - left, bottom - top, left, top,
                   exact);
    return 0;
}

static int append_crop(struct dec_picture *p, AVFilterContext **last)
{
    const char *crop = p->spec.crop;
    if (!crop[0])
        return 0;
    if (strcmp(crop, "left") == 0)
        crop = "iw/2:ih:0:0";
    else if (strcmp(crop, "right") == 0)
        crop = "iw/2:ih:iw-iw/2:0";
    return append(p, last, "crop", crop);
}

static int append_scale(struct dec_picture *p, AVFilterContext **last)
{
    const char *size = p->spec.size;
    char args[256];
    int shorter;
    if (!size[0])
        return 0;
    if (sscanf(size, "short:%d", &shorter) == 1)
        (void)snprintf(args, sizeof args, "w='if(gt(iw,ih),-1,%d)':h='if(gt(iw,ih),%d,-1)':flags=bicubic",
                       shorter, shorter);
    else
        (void)snprintf(args, sizeof args, "%s:flags=bicubic", size);
    return append(p, last, "scale", args);
}

static int build(struct dec_picture *p, const AVFrame *in, int width, int height)
{
    char args[256];
    AVRational base = p->input.time_base, aspect = p->input.aspect;
    (void)snprintf(args, sizeof args, "video_size=%dx%d:pix_fmt=%d:time_base=%d/%d:pixel_aspect=%d/%d",
                   in->width, in->height, in->format, base.num, base.den, aspect.num,
                   BASE_MAX(aspect.den, 1));
    p->graph = avfilter_graph_alloc();
    if (!p->graph)
        return AVERROR(ENOMEM);
    p->graph->nb_threads = 1;
    p->graph->scale_sws_opts = av_strdup("flags=bicubic");
    int err =
        avfilter_graph_create_filter(&p->source, avfilter_get_by_name("buffer"), "in", args, NULL, p->graph);
    AVFilterContext *last = p->source;
    if (err >= 0)
        err = append_rotation(p, &last);
    if (err >= 0)
        err = append_crop(p, &last);
    if (err >= 0)
        err = append_scale(p, &last);
    if (err >= 0 && width > 0) {
        (void)snprintf(args, sizeof args, "%d:%d:flags=bicubic", width, height);
        err = append(p, &last, "scale", args);
    }
    if (err >= 0)
        err = append(p, &last, "format", sink_formats(&p->spec, in));
    if (err >= 0)
        err = append(p, &last, "buffersink", NULL);
    p->sink = last;
    return err >= 0 ? avfilter_graph_config(p->graph, NULL) : err;
}

/* The rotation: of the frame where it has its own, else of the stream. */
static bool find_rotation(const AVStream *stream, const AVFrame *frame, int32_t matrix[9])
{
    const AVFrameSideData *own = av_frame_get_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX);
    if (own && own->size >= 9 * sizeof *matrix) {
        memcpy(matrix, own->data, 9 * sizeof *matrix);
        return true;
    }
    size_t size = 0;
    const uint8_t *data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    if (!data || size < 9 * sizeof *matrix)
        return false;
    memcpy(matrix, data, 9 * sizeof *matrix);
    return true;
}

struct dec_picture_input dec_picture_input_of(const AVStream *stream, const AVFrame *frame)
{
    AVRational aspect = stream->sample_aspect_ratio;
    struct dec_picture_input input = {
        .time_base = stream->time_base,
        .aspect = aspect.num ? aspect : frame->sample_aspect_ratio,
    };
    input.rotated = find_rotation(stream, frame, input.rotation);
    return input;
}

static bool input_equal(const struct dec_picture_input *a, const struct dec_picture_input *b)
{
    return av_cmp_q(a->time_base, b->time_base) == 0 && a->aspect.num == b->aspect.num &&
           a->aspect.den == b->aspect.den && a->rotated == b->rotated &&
           memcmp(a->rotation, b->rotation, sizeof a->rotation) == 0;
}

static bool graph_fits(const struct dec_picture *p, const struct dec_picture_input *input, const AVFrame *in,
                       const struct dec_frames_spec *spec)
{
    return p->graph && memcmp(&p->spec, spec, sizeof *spec) == 0 && p->in_width == in->width &&
           p->in_height == in->height && p->in_format == in->format && p->in_range == (int)in->color_range &&
           p->in_matrix == (int)in->colorspace && input_equal(&p->input, input);
}

/* (Re)builds the graph for a frame. When it gives another size than the clip has, one more scale is put
 * behind it. */
static int prepare(struct dec_picture *p, const AVFrame *in, int width, int height)
{
    drop_graph(p);
    int err = build(p, in, 0, 0);
    if (err >= 0 && width > 0 &&
        (av_buffersink_get_w(p->sink) != width || av_buffersink_get_h(p->sink) != height)) {
        drop_graph(p);
        err = build(p, in, width, height);
    }
    p->in_width = in->width;
    p->in_height = in->height;
    p->in_format = in->format;
    p->in_range = in->color_range;
    p->in_matrix = in->colorspace;
    if (err < 0)
        drop_graph(p);
    return err;
}

static int check_size(const AVFrame *frame, struct base_reason *why)
{
    if (frame->width > 16384 || frame->height > 16384)
        return base_fail(why, -EFBIG, "a picture of %dx%d; corpusfs allows 16384x16384", frame->width,
                         frame->height);
    return 0;
}

int dec_picture_measure(struct dec_picture *p, const struct dec_picture_input *input, const AVFrame *like,
                        const struct dec_frames_spec *spec, int *ret_width, int *ret_height,
                        struct base_reason *why)
{
    int err = check_size(like, why);
    if (err)
        return err;
    p->spec = *spec;
    p->input = *input;
    err = prepare(p, like, 0, 0);
    if (err < 0)
        return dec_media_fail(why, err, "cannot scale its pictures");
    *ret_width = av_buffersink_get_w(p->sink);
    *ret_height = av_buffersink_get_h(p->sink);
    return 0;
}

static void expand_range(AVFrame *yuv)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(yuv->format);
    int chroma_height = AV_CEIL_RSHIFT(yuv->height, d->log2_chroma_h);
    int chroma_width = AV_CEIL_RSHIFT(yuv->width, d->log2_chroma_w);
    for (int y = 0; y < yuv->height; y++)
        dec_pixels_expand_luma(yuv->data[0] + (ptrdiff_t)y * yuv->linesize[0], (size_t)yuv->width);
    for (int plane = 1; plane < 3; plane++)
        for (int y = 0; y < chroma_height; y++)
            dec_pixels_expand_chroma(yuv->data[plane] + (ptrdiff_t)y * yuv->linesize[plane],
                                     (size_t)chroma_width);
}

int dec_picture_render(struct dec_picture *p, const struct dec_picture_input *input, const AVFrame *frame,
                       const struct dec_frames_spec *spec, int width, int height, AVFrame **ret,
                       struct base_reason *why)
{
    if (!p->out && !(p->out = av_frame_alloc()))
        return base_fail(why, -ENOMEM, "out of memory");
    av_frame_unref(p->out);
    int err = check_size(frame, why);
    if (err)
        return err;
    if (!graph_fits(p, input, frame, spec)) {
        p->spec = *spec;
        p->input = *input;
        err = prepare(p, frame, width, height);
    }
    if (err >= 0)
        err = av_buffersrc_add_frame_flags(p->source, (AVFrame *)frame, AV_BUFFERSRC_FLAG_KEEP_REF);
    if (err >= 0)
        err = av_buffersink_get_frame(p->sink, p->out);
    if (err < 0) {
        drop_graph(p);
        return dec_media_fail(why, err, "cannot scale a picture");
    }
    if (spec->format == DEC_JPG && !spec->flow && is_yuv(frame) && !is_full_range(frame)) {
        err = av_frame_make_writable(p->out);
        if (err < 0)
            return dec_media_fail(why, err, "cannot scale a picture");
        expand_range(p->out);
    }
    *ret = p->out;
    return 0;
}

uint64_t dec_picture_worst_bytes(const struct dec_frames_spec *spec, const AVFrame *rendered)
{
    if (spec->format == DEC_PNG)
        return dec_png_worst_bytes(rendered);
    if (spec->format == DEC_RGB)
        return dec_rgb_bytes(spec, rendered);
    bool deep = rendered->format == AV_PIX_FMT_RGB48BE;
    char header[64];
    int len = snprintf(header, sizeof header, "P6\n%d %d\n%d\n", rendered->width, rendered->height,
                       deep ? 65535 : 255);
    return (uint64_t)len + (uint64_t)rendered->width * (uint64_t)rendered->height * (deep ? 6 : 3);
}

void dec_picture_filling(const struct dec_frames_spec *spec, uint32_t *ret_fill, uint32_t *ret_tail_bytes)
{
    *ret_fill = spec->format == DEC_JPG ? 0xff : 0;
    *ret_tail_bytes = spec->format == DEC_JPG ? 2 : spec->format == DEC_PNG ? 16 : 0;
}

/* The highest quality below spec->quality whose file fits: found by bisection, so that it is the same on
 * every run. */
static int encode_lower(const struct dec_frames_spec *spec, AVFrame *rendered, uint64_t file_bytes,
                        struct base_bytes *out, struct base_reason *why)
{
    size_t start = out->len;
    int low = 0, high = spec->quality; /* low fits (0: nothing known to fit), high does not */
    int err = 0;
    while (!err && high - low > 1) {
        int middle = (low + high) / 2;
        out->len = start;
        err = dec_jpeg_encode(rendered, middle, out, why);
        if (out->len - start <= file_bytes)
            low = middle;
        else
            high = middle;
    }
    out->len = start;
    if (err)
        return err;
    if (low == 0)
        return base_fail(why, -EFBIG, "a picture that does not fit its size at any quality");
    return dec_jpeg_encode(rendered, low, out, why);
}

int dec_picture_encode(const struct dec_frames_spec *spec, AVFrame *rendered, uint64_t file_bytes,
                       struct base_bytes *out, bool *ret_lowered, struct base_reason *why)
{
    *ret_lowered = false;
    if (spec->format == DEC_PNG)
        return dec_png_encode(rendered, file_bytes, out, why);
    if (spec->format == DEC_PPM)
        return dec_ppm_encode(rendered, out, why);
    if (spec->format == DEC_RGB)
        return dec_rgb_encode(spec, rendered, out, why);
    size_t start = out->len;
    int err = dec_jpeg_encode(rendered, spec->quality, out, why);
    if (err || file_bytes == 0 || out->len - start <= file_bytes)
        return err;
    out->len = start;
    *ret_lowered = true;
    return encode_lower(spec, rendered, file_bytes, out, why);
}
