/* SPDX-License-Identifier: Apache-2.0 */
/*
 * abuffer -> aformat -> abuffersink, as ffmpeg 5.1's command line builds it; FFmpeg adds the aresample
 * between them. The equality of the results is tested against the command line.
 */
#include "decoders/audio_graph.h"

#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/bprint.h>
#include <libavutil/mathematics.h>
#include <libavutil/opt.h>
#include <libavutil/samplefmt.h>

enum {
    COUNT_CHUNK = 1024,  /* samples a frame when counting: an AAC frame */
    RESAMPLER_TAPS = 40, /* more than swresample's filter has, in samples of the lower of the two rates */
};

static int add_source(struct dec_audio_graph *g, const AVFrame *like)
{
    char args[256], layout[128] = "";
    bool known = like->ch_layout.order != AV_CHANNEL_ORDER_UNSPEC;
    if (known && av_channel_layout_describe(&like->ch_layout, layout, sizeof layout) > (int)sizeof layout)
        return AVERROR(EINVAL);
    int n = snprintf(args, sizeof args, "time_base=1/%d:sample_rate=%d:sample_fmt=%s:", like->sample_rate,
                     like->sample_rate, av_get_sample_fmt_name(like->format));
    if (known)
        snprintf(args + n, sizeof args - (size_t)n, "channel_layout=%s", layout);
    else
        snprintf(args + n, sizeof args - (size_t)n, "channels=%d", like->ch_layout.nb_channels);
    return avfilter_graph_create_filter(&g->source, avfilter_get_by_name("abuffer"), "in", args, NULL,
                                        g->graph);
}

static int add_sink(struct dec_audio_graph *g)
{
    g->sink = avfilter_graph_alloc_filter(g->graph, avfilter_get_by_name("abuffersink"), "out");
    if (!g->sink)
        return AVERROR(ENOMEM);
    int err = av_opt_set_int(g->sink, "all_channel_counts", 1, AV_OPT_SEARCH_CHILDREN);
    return err < 0 ? err : avfilter_init_str(g->sink, NULL);
}

static void describe_target(AVBPrint *args, const struct dec_audio_target *target)
{
    const char *between = "sample_fmts=";
    for (const enum AVSampleFormat *f = target->formats; f && *f != AV_SAMPLE_FMT_NONE; f++, between = "|")
        av_bprintf(args, "%s%s", between, av_get_sample_fmt_name(*f));
    between = args->len ? ":sample_rates=" : "sample_rates=";
    for (const int *r = target->rates; r && *r; r++, between = "|")
        av_bprintf(args, "%s%d", between, *r);
    if (target->layouts)
        av_bprintf(args, "%schannel_layouts=%s", args->len ? ":" : "", target->layouts);
}

static int add_format(struct dec_audio_graph *g, const struct dec_audio_target *target, AVFilterContext **ret)
{
    AVBPrint args;
    av_bprint_init(&args, 0, AV_BPRINT_SIZE_UNLIMITED);
    describe_target(&args, target);
    int err = AVERROR(ENOMEM);
    if (av_bprint_is_complete(&args))
        err = avfilter_graph_create_filter(ret, avfilter_get_by_name("aformat"), "format", args.str, NULL,
                                           g->graph);
    av_bprint_finalize(&args, NULL);
    return err;
}

int dec_audio_graph_init(struct dec_audio_graph *g, const AVFrame *like,
                         const struct dec_audio_target *target)
{
    AVFilterContext *format = NULL;
    *g = (struct dec_audio_graph){.graph = avfilter_graph_alloc()};
    if (!g->graph)
        return AVERROR(ENOMEM);
    if (!av_get_sample_fmt_name(like->format) || like->sample_rate <= 0)
        return AVERROR(EINVAL);
    g->graph->nb_threads = 1;
    g->rate = like->sample_rate;
    g->format = like->format;
    int err = av_channel_layout_copy(&g->layout, &like->ch_layout);
    if (err >= 0)
        err = add_source(g, like);
    if (err >= 0)
        err = add_sink(g);
    if (err >= 0)
        err = add_format(g, target, &format);
    if (err >= 0)
        err = avfilter_link(g->source, 0, format, 0);
    if (err >= 0)
        err = avfilter_link(format, 0, g->sink, 0);
    return err >= 0 ? avfilter_graph_config(g->graph, NULL) : err;
}

void dec_audio_graph_finish(struct dec_audio_graph *g)
{
    avfilter_graph_free(&g->graph);
    av_channel_layout_uninit(&g->layout);
    *g = (struct dec_audio_graph){0};
}

bool dec_audio_graph_fits(const struct dec_audio_graph *g, const AVFrame *frame)
{
    return g->graph && g->rate == frame->sample_rate && g->format == frame->format &&
           av_channel_layout_compare(&g->layout, &frame->ch_layout) == 0;
}

/* One silent frame of n samples; NULL when out of memory. */
static AVFrame *silent_frame(int rate, int n)
{
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return NULL;
    frame->format = AV_SAMPLE_FMT_FLTP;
    frame->sample_rate = rate;
    frame->nb_samples = BASE_MAX(n, 1);
    av_channel_layout_default(&frame->ch_layout, 1);
    if (av_frame_get_buffer(frame, 0) < 0) {
        av_frame_free(&frame);
        return NULL;
    }
    av_samples_set_silence(frame->extended_data, 0, frame->nb_samples, 1, AV_SAMPLE_FMT_FLTP);
    return frame;
}

/* Takes what is ready out of the graph. */
static int64_t drain(struct dec_audio_graph *g, AVFrame *into)
{
    int64_t total = 0;
    while (av_buffersink_get_frame(g->sink, into) >= 0) {
        total += into->nb_samples;
        av_frame_unref(into);
    }
    return total;
}

static int count_through(struct dec_audio_graph *g, int rate, int64_t samples, int64_t *ret)
{
    AVFrame *out = av_frame_alloc();
    int err = out ? 0 : AVERROR(ENOMEM);
    *ret = 0;
    /* the short frame comes last, as a decoder gives it */
    for (int64_t left = samples; left > 0 && err >= 0; left -= COUNT_CHUNK) {
        AVFrame *in = silent_frame(rate, (int)BASE_MIN(left, COUNT_CHUNK));
        err = in ? av_buffersrc_add_frame_flags(g->source, in, AV_BUFFERSRC_FLAG_PUSH) : AVERROR(ENOMEM);
        av_frame_free(&in);
        *ret += err >= 0 ? drain(g, out) : 0;
    }
    if (err >= 0)
        err = av_buffersrc_add_frame_flags(g->source, NULL, AV_BUFFERSRC_FLAG_PUSH);
    *ret += err >= 0 ? drain(g, out) : 0;
    av_frame_free(&out);
    return err;
}

int dec_audio_resampled(int in, int out, int64_t samples, int64_t *ret)
{
    *ret = samples;
    if (in == out || samples == 0)
        return 0;
    /* The resampler's phase repeats after in/gcd samples, which give out/gcd: whole periods are computed, the
     * rest runs through the resampler itself. The rest keeps its position in a frame where that is cheap: how
     * many samples wait in the resampler at the end depends a little on the last frame's length. */
    int64_t gcd = av_gcd(in, out), period = in / gcd;
    int64_t aligned = period * (COUNT_CHUNK / av_gcd(period, COUNT_CHUNK));
    if (aligned < (1 << 20))
        period = aligned;
    int64_t least = 4 * COUNT_CHUNK + RESAMPLER_TAPS * (int64_t)BASE_MAX(in / out, 1);
    int64_t periods = samples > least ? (samples - least) / period : 0;
    AVFrame *like = silent_frame(in, 1);
    if (!like)
        return AVERROR(ENOMEM);
    struct dec_audio_graph g = {0};
    int rates[2] = {out, 0};
    int err = dec_audio_graph_init(&g, like, &(struct dec_audio_target){.rates = rates});
    if (err >= 0)
        err = count_through(&g, in, samples - periods * period, ret);
    *ret += periods * (period / (in / gcd)) * (out / gcd);
    dec_audio_graph_finish(&g);
    av_frame_free(&like);
    return err < 0 ? err : 0;
}
