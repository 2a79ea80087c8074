/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/flow.h"

#include "decoders/flow_engine.h"

#include <errno.h>
#include <math.h>

dec_flow_find *dec_flow_engine;

/* Flow is smooth: at quality 95, DIS and a bound of 20, pictures of the flow of testsrc2 take 0.04 to 0.1
 * byte a pixel. Twice that, so that what moves in many pieces fits, too. */
uint64_t dec_flow_file_bytes(const struct dec_frames_spec *spec, uint64_t pixels)
{
    return 1024 + pixels * (spec->quality > 95 ? 40 : 20) / 100;
}

static float clip(float value, float bound)
{
    if (isnan(value))
        return 0;
    return fminf(fmaxf(value, -bound), bound);
}

/* Renders one of the frames; *ret is the caller's. */
static int render(const struct dec_job *job, struct dec_picture *p, const struct dec_flow_frames *pair,
                  int which, AVFrame **ret, struct base_reason *why)
{
    AVFrame *rendered;
    int err = dec_picture_render(p, &pair->inputs[which], pair->frames[which], &job->frames, (int)job->width,
                                 (int)job->height, &rendered, why);
    if (err)
        return err;
    *ret = av_frame_clone(rendered);
    return *ret ? 0 : base_fail(why, -ENOMEM, "out of memory");
}

static int find(const struct dec_job *job, AVFrame *const rendered[2], float *flow, struct base_reason *why)
{
    const struct dec_flow_picture pictures[2] = {{rendered[0]->data[0], rendered[0]->linesize[0]},
                                                 {rendered[1]->data[0], rendered[1]->linesize[0]}};
    int err = dec_flow_engine(job->frames.flow == DEC_DIS, !job->frames.luma, rendered[0]->width,
                              rendered[0]->height, pictures, flow);
    if (err == -ENOMEM)
        return base_fail(why, err, "out of memory");
    return err ? base_fail(why, -EIO, "no flow is found in pictures of %dx%d", rendered[0]->width,
                           rendered[0]->height)
               : 0;
}

static int put_row(const struct dec_frames_spec *spec, const float *flow, size_t n, struct base_bytes *out)
{
    const size_t bytes = n * (spec->floats ? sizeof *flow : 1);
    if (base_bytes_reserve(out, bytes))
        return -ENOMEM;
    uint8_t *to = out->data + out->len;
    for (size_t i = 0; i < n; i++) {
        float value = clip(flow[i], spec->bound);
        if (spec->floats)
            memcpy(to + i * sizeof value, &value, sizeof value);
        else
            to[i] = (uint8_t)(int8_t)lrintf(value);
    }
    out->len += bytes;
    return 0;
}

/* -bound becomes black, bound white. */
static int put_picture(const struct dec_job *job, const float *flow, struct base_bytes *out,
                       bool *ret_lowered, struct base_reason *why)
{
    const double bound = (double)job->frames.bound;
    const size_t n = (size_t)job->width * job->height;
    base_autofree uint8_t *grey = malloc(n);
    AVFrame *picture = av_frame_alloc();
    int err = grey && picture ? 0 : base_fail(why, -ENOMEM, "out of memory");
    for (size_t i = 0; !err && i < n; i++)
        grey[i] = (uint8_t)lrint(((double)clip(flow[i], job->frames.bound) + bound) * 255 / (2 * bound));
    if (!err) {
        picture->format = AV_PIX_FMT_GRAY8;
        picture->width = picture->linesize[0] = (int)job->width;
        picture->height = (int)job->height;
        picture->data[0] = grey;
        err = dec_picture_encode(&job->frames, picture, job->file_bytes, out, ret_lowered, why);
    }
    av_frame_free(&picture);
    return err;
}

static int put_pictures(const struct dec_job *job, const float *flow, struct base_bytes *out,
                        size_t *ret_split, unsigned *ret_lowered, struct base_reason *why)
{
    bool lowered[2] = {false};
    int err = put_picture(job, flow, out, &lowered[0], why);
    *ret_split = out->len;
    if (!err)
        err = put_picture(job, flow + (size_t)job->width * job->height, out, &lowered[1], why);
    *ret_lowered = (unsigned)lowered[0] + lowered[1];
    return err;
}

int dec_flow_make(const struct dec_job *job, struct dec_picture *p, const struct dec_flow_frames *pair,
                  struct base_bytes *out, size_t *ret_split, unsigned *ret_lowered, struct base_reason *why)
{
    const size_t n = 2 * (size_t)job->width * job->height;
    AVFrame *rendered[2] = {NULL};
    base_autofree float *flow = calloc(n, sizeof *flow);
    if (!dec_flow_engine)
        return base_fail(why, -EIO, "this worker finds no optical flow: it was built without OpenCV");
    int err = flow ? 0 : base_fail(why, -ENOMEM, "out of memory");
    for (int i = 0; !err && i < 2; i++)
        err = render(job, p, pair, i, &rendered[i], why);
    if (!err)
        err = find(job, rendered, flow, why);
    av_frame_free(&rendered[0]);
    av_frame_free(&rendered[1]);
    if (err)
        return err;
    if (job->frames.format == DEC_JPG)
        return put_pictures(job, flow, out, ret_split, ret_lowered, why);
    return put_row(&job->frames, flow, n, out) ? base_fail(why, -ENOMEM, "out of memory") : 0;
}
