/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From decoded audio to what an encoder takes: the filter graph that ffmpeg's command line puts between them.
 */
#ifndef DECODERS_AUDIO_GRAPH_H
#define DECODERS_AUDIO_GRAPH_H

#include "base/base.h"

#include <libavfilter/avfilter.h>
#include <libavutil/channel_layout.h>
#include <libavutil/frame.h>

/* What comes out. Lists end as FFmpeg ends them in AVCodec; NULL = anything. */
struct dec_audio_target {
    const enum AVSampleFormat *formats; /* -1 */
    const int *rates;                   /* 0 */
    const char *layouts;                /* names with | between them */
};

struct dec_audio_graph {
    AVFilterGraph *graph;
    AVFilterContext *source, *sink;
    int rate, format; /* what goes in */
    AVChannelLayout layout;
};

/* Makes a graph for frames like `like` (format, sample_rate, ch_layout). 0 or FFmpeg's error code. *g must be
 * zeroed or finished before; it needs dec_audio_graph_finish() also after a failure. */
int dec_audio_graph_init(struct dec_audio_graph *g, const AVFrame *like,
                         const struct dec_audio_target *target);
void dec_audio_graph_finish(struct dec_audio_graph *g);
/* Whether a frame is of the kind the graph was made for. */
bool dec_audio_graph_fits(const struct dec_audio_graph *g, const AVFrame *frame);

/* How many samples come out for `samples` of them at rate in when asked for rate out: exactly what the
 * resampler gives with its flush at the end, for frames of 1024 samples. 0 or FFmpeg's error code. */
int dec_audio_resampled(int in, int out, int64_t samples, int64_t *ret);

#endif
