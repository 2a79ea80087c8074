/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/sound_reader.h"

#include "decoders/audio_decode.h"
#include "decoders/audio_graph.h"
#include <errno.h>
#include <fcntl.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/audio_fifo.h>

struct dec_sound_reader {
    uint64_t session;
    enum AVSampleFormat format;
    int rate, channels;
    struct dec_source source; /* its descriptor is our own */
    struct dec_media *media;
    AVCodecContext *decoder;
    int stream;
    AVPacket *packet;
    AVFrame *decoded, *filtered;
    struct dec_audio_graph graph;
    AVAudioFifo *queue; /* decoded and not read yet */
    int64_t position;   /* of the queue's first sample */
    int64_t total;      /* of samples, once it has ended */
    int n_graphs;       /* so far */
    bool any, ended;
    struct base_reason *why; /* of the read in work */
};

static struct dec_sound_reader *kept;

static void reader_destroy(struct dec_sound_reader *r)
{
    if (!r)
        return;
    dec_audio_graph_finish(&r->graph);
    av_audio_fifo_free(r->queue);
    av_frame_free(&r->filtered);
    av_frame_free(&r->decoded);
    av_packet_free(&r->packet);
    avcodec_free_context(&r->decoder);
    dec_media_close(r->media);
    base_close_fd(&r->source.fd);
    free(r);
}

void dec_sound_reader_drop(void)
{
    reader_destroy(base_steal_pointer(kept));
}

static int open_stream(struct dec_sound_reader *r, struct dec_work *work)
{
    int err = dec_media_open(&r->source, &r->media, &work->why);
    if (err)
        return err;
    err = dec_audio_stream_open(r->media, work->index->audio_stream, &r->stream, &r->decoder);
    if (err < 0)
        return dec_media_fail(&work->why, err, "cannot decode its audio");
    return 0;
}

static int reader_open(struct dec_sound_reader *r, struct dec_work *work)
{
    r->session = work->job->session;
    r->source = work->source;
    r->source.fd = fcntl(work->source.fd, F_DUPFD_CLOEXEC, 3);
    r->packet = av_packet_alloc();
    r->decoded = av_frame_alloc();
    r->filtered = av_frame_alloc();
    r->queue = av_audio_fifo_alloc(r->format, r->channels, 1 << 16);
    if (r->source.fd < 0 || !r->packet || !r->decoded || !r->filtered || !r->queue)
        return base_fail(&work->why, -ENOMEM, "out of memory");
    return open_stream(r, work);
}

int dec_sound_reader_get(struct dec_work *work, enum AVSampleFormat format, int rate, int channels,
                         int64_t position, struct dec_sound_reader **ret)
{
    if (!kept || kept->session != work->job->session || kept->format != format || kept->rate != rate ||
        kept->channels != channels || kept->position > position) {
        dec_sound_reader_drop();
        kept = calloc(1, sizeof *kept);
        if (!kept)
            return base_fail(&work->why, -ENOMEM, "out of memory");
        *kept =
            (struct dec_sound_reader){.format = format, .rate = rate, .channels = channels, .source.fd = -1};
        int err = reader_open(kept, work);
        if (err) {
            dec_sound_reader_drop();
            return err;
        }
    }
    *ret = kept;
    return 0;
}

/* ---- Decoding ---- */

static int open_graph(struct dec_sound_reader *r, const AVFrame *like)
{
    const enum AVSampleFormat formats[2] = {r->format, AV_SAMPLE_FMT_NONE};
    const int rates[2] = {r->rate, 0};
    char layout[128] = "";
    /* As many channels as there are: in the stream's own order. */
    bool keep = like->ch_layout.nb_channels == r->channels;
    AVChannelLayout wanted = {0};
    av_channel_layout_default(&wanted, r->channels);
    av_channel_layout_describe(&wanted, layout, sizeof layout);
    const struct dec_audio_target target = {formats, rates, keep ? NULL : layout};
    dec_audio_graph_finish(&r->graph);
    r->n_graphs++;
    int err = dec_audio_graph_init(&r->graph, like, &target);
    if (err < 0)
        return dec_media_fail(r->why, err, "cannot convert its audio");
    if (av_buffersink_get_channels(r->graph.sink) != r->channels)
        return base_fail(r->why, -EIO, "its audio has other channels than when it was indexed");
    return 0;
}

static int push(struct dec_sound_reader *r, AVFrame *frame)
{
    int err = av_buffersrc_add_frame_flags(r->graph.source, frame, AV_BUFFERSRC_FLAG_PUSH);
    if (err < 0)
        return dec_media_fail(r->why, err, "cannot convert its audio");
    while (av_buffersink_get_frame(r->graph.sink, r->filtered) >= 0) {
        int n = r->filtered->nb_samples;
        bool done = av_audio_fifo_write(r->queue, (void **)r->filtered->extended_data, n) == n;
        av_frame_unref(r->filtered);
        if (!done)
            return base_fail(r->why, -ENOMEM, "out of memory");
    }
    return 0;
}

/* As in audio.c: gaps are closed, and a change in mid-stream makes a new graph. */
static int filter(void *opaque, AVFrame *frame)
{
    struct dec_sound_reader *r = opaque;
    r->any = true;
    frame->pts = AV_NOPTS_VALUE;
    int err = dec_audio_graph_fits(&r->graph, frame) ? 0 : open_graph(r, frame);
    return err ? err : push(r, frame);
}

static int decode_end(struct dec_sound_reader *r)
{
    r->ended = true;
    int err = dec_audio_decode(r->decoder, NULL, r->decoded, filter, r);
    if (!err && !r->any)
        return base_fail(r->why, -EIO, "none of its audio can be decoded");
    err = err ? err : push(r, NULL);
    r->total = r->position + av_audio_fifo_size(r->queue);
    return err;
}

static int decode_more(struct dec_sound_reader *r, struct dec_work *work)
{
    int err = 0;
    if (av_read_frame(r->media->format, r->packet) < 0) {
        err = dec_media_check_read(r->media, r->why);
        return err ? err : decode_end(r);
    }
    if (r->packet->stream_index == r->stream)
        err = dec_audio_decode(r->decoder, r->packet, r->decoded, filter, r);
    av_packet_unref(r->packet);
    work->progress(work, 0);
    return err;
}

/* Drops what stands before a position. */
static int skip_to(struct dec_sound_reader *r, struct dec_work *work, int64_t position)
{
    int err = 0;
    while (!err && r->position < position) {
        int have = av_audio_fifo_size(r->queue);
        int drop = (int)BASE_MIN((int64_t)have, position - r->position);
        av_audio_fifo_drain(r->queue, drop);
        r->position += drop;
        if (drop == have && r->ended)
            r->position = position;
        else if (drop == have)
            err = decode_more(r, work);
    }
    return err;
}

/* Samples that damage has lost are not made up. Those that each change in mid-stream loses with its graph
 * are, some dozens each. */
static int check_missing(const struct dec_sound_reader *r, int64_t end)
{
    const int64_t missing = r->ended ? end - r->total : 0;
    if (missing <= (int64_t)(r->n_graphs - 1) * BASE_MAX(r->rate / 500, 1))
        return 0;
    return base_fail(r->why, -EIO,
                     "damaged: only %.3f s of its sound can be decoded, less than its packets promise",
                     (double)r->total / r->rate);
}

int dec_sound_reader_read(struct dec_sound_reader *r, struct dec_work *work, int64_t position, int n,
                          uint8_t **planes)
{
    r->why = &work->why;
    int err = skip_to(r, work, position);
    while (!err && !r->ended && av_audio_fifo_size(r->queue) < n)
        err = decode_more(r, work);
    if (!err)
        err = check_missing(r, position + n);
    if (err)
        return err;
    int got = BASE_MIN(av_audio_fifo_size(r->queue), n);
    if (av_audio_fifo_read(r->queue, (void **)planes, got) != got)
        return base_fail(&work->why, -ENOMEM, "out of memory");
    av_samples_set_silence(planes, got, n - got, r->channels, r->format);
    r->position += n;
    return 0;
}
