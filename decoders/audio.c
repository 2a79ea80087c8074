/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DEC_MEASURE_AUDIO and DEC_AUDIO: the audio file of a view.
 *
 * Decoder -> filter graph -> queue -> writer. What ffmpeg's command line would write is the measure; but the
 * size stands before the first packet is read (audio_plan.c), so the queue is cut or filled with silence to
 * the promised number of samples.
 */
#include "decoders/audio_decode.h"
#include "decoders/audio_graph.h"
#include "decoders/audio_plan.h"
#include "decoders/media.h"

#include <errno.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/audio_fifo.h>
#include <libavutil/intreadwrite.h>

enum {
    WRITE_BLOCK = 16 * 1024, /* bytes written at once: about a second of MP3 */
    SILENCE_BLOCK = 4096,    /* samples */
};

struct making {
    struct dec_work *work;
    struct dec_audio_plan plan;
    AVFrame *decoded, *filtered, *queued;
    AVPacket *packet;
    struct dec_audio_graph graph;
    AVCodecContext *encoder;    /* MP3 only */
    AVAudioFifo *queue;         /* samples in the file's format, not written yet */
    enum AVSampleFormat format; /* of the queue */
    int block;                  /* samples the encoder takes at once */
    int64_t samples;            /* to be queued in all */
    int64_t skipped_samples;    /* left out before them so far */
    int64_t queued_samples;     /* put into the queue so far */
    struct base_bytes out;
    uint64_t written; /* bytes that are in the output */
    bool any;         /* the decoder gave something */
};

int dec_run_measure_audio(struct dec_work *work)
{
    struct dec_audio_plan plan;
    int err = dec_audio_plan(work->index, &work->job->audio, &plan, &work->why);
    if (!err)
        work->reply->file_bytes = plan.bytes;
    return err;
}

static int out_of_memory(struct making *m)
{
    return base_fail(&m->work->why, -ENOMEM, "out of memory");
}

/* ---- The output ---- */

static int flush_out(struct making *m)
{
    if (m->out.failed)
        return out_of_memory(m);
    if (m->written + m->out.len > m->plan.bytes)
        return base_fail(&m->work->why, -EIO, "the encoder gave more than %llu bytes",
                         (unsigned long long)m->plan.bytes);
    int err = dec_output_write(m->work, m->out.data, m->out.len, m->written);
    if (err)
        return err;
    m->written += m->out.len;
    m->out.len = 0;
    m->work->progress(m->work, m->written);
    return 0;
}

static int write_bytes(struct making *m, const void *data, size_t len)
{
    base_bytes_append(&m->out, data, len);
    return m->out.len >= WRITE_BLOCK ? flush_out(m) : 0;
}

static int write_header(struct making *m, uint64_t channel_mask)
{
    uint8_t header[DEC_MP3_MAX_FRAME];
    size_t len = m->plan.mp3.info_bytes;
    if (len)
        dec_mp3_info_frame(&m->plan.mp3, header);
    else
        len = dec_wav_header(&m->plan, channel_mask, header);
    int err = write_bytes(m, header, len);
    return err ? err : flush_out(m); /* readers may wait for it */
}

/* ---- Encoding ---- */

static int take_packets(struct making *m)
{
    int err = 0;
    while (!err && avcodec_receive_packet(m->encoder, m->packet) >= 0) {
        err = write_bytes(m, m->packet->data, (size_t)m->packet->size);
        av_packet_unref(m->packet);
    }
    return err;
}

static int encode(struct making *m, AVFrame *frame)
{
    if (!m->encoder)
        return frame
                   ? write_bytes(m, frame->data[0], (size_t)frame->nb_samples * 2 * (size_t)m->plan.channels)
                   : 0;
    int err = avcodec_send_frame(m->encoder, frame);
    if (err < 0)
        return dec_media_fail(&m->work->why, err, "cannot encode its audio");
    return take_packets(m);
}

/* Takes n samples out of the queue. */
static int encode_queued(struct making *m, int n)
{
    AVFrame *f = m->queued;
    av_frame_unref(f);
    f->nb_samples = n;
    f->format = m->format;
    f->sample_rate = m->plan.rate;
    av_channel_layout_default(&f->ch_layout, m->plan.channels);
    int err = av_frame_get_buffer(f, 0);
    if (err >= 0)
        err = av_audio_fifo_read(m->queue, (void **)f->extended_data, n);
    return err < 0 ? dec_media_fail(&m->work->why, err, "cannot queue its audio") : encode(m, f);
}

static int encode_ready(struct making *m)
{
    int err = 0;
    while (!err && av_audio_fifo_size(m->queue) >= m->block)
        err = encode_queued(m, m->block);
    return err;
}

/* Queues up to n samples, those that were promised, and encodes what makes a whole block. */
static int queue_samples(struct making *m, void **data, int n)
{
    int skip = (int)BASE_MIN((int64_t)n, m->plan.skip - m->skipped_samples);
    m->skipped_samples += skip;
    n = (int)BASE_MIN((int64_t)n - skip, m->samples - m->queued_samples);
    if (n <= 0)
        return 0;
    /* The queue is empty as long as something is skipped. */
    if (av_audio_fifo_write(m->queue, data, skip + n) < skip + n || av_audio_fifo_drain(m->queue, skip) < 0)
        return out_of_memory(m);
    m->queued_samples += n;
    return encode_ready(m);
}

/* Opens the encoder and writes the header, once the format is known that the samples come in. */
static int start_file(struct making *m, enum AVSampleFormat format, uint64_t channel_mask)
{
    m->format = format;
    m->block = 1024;
    m->samples = m->plan.samples;
    if (m->work->job->audio.format == DEC_MP3) {
        int err = dec_audio_encoder_open(&m->plan, format, &m->encoder);
        if (err < 0)
            return dec_media_fail(&m->work->why, err, "the MP3 encoder does not start");
        m->block = m->encoder->frame_size;
        m->samples = BASE_MAX(m->plan.samples, 1); /* of nothing it would make no frame: see mp3.c */
    }
    m->queue = av_audio_fifo_alloc(format, m->plan.channels, m->block * 2);
    return m->queue ? write_header(m, channel_mask) : out_of_memory(m);
}

/* ---- Filtering ---- */

static int open_graph(struct making *m, const AVFrame *like)
{
    const struct dec_audio_spec *spec = &m->work->job->audio;
    const enum AVSampleFormat again[2] = {m->format, AV_SAMPLE_FMT_NONE};
    const int rates[2] = {m->plan.rate, 0};
    char layout[128] = "";
    /* A view's channels and MP3's two layouts are fixed; WAV takes the stream's layout, but once the header
     * stands it keeps to the number of channels that the header tells. */
    bool keep = !m->queue && !spec->channels && spec->format == DEC_WAV &&
                like->ch_layout.nb_channels == m->plan.channels;
    AVChannelLayout wanted = {0};
    av_channel_layout_default(&wanted, m->plan.channels);
    av_channel_layout_describe(&wanted, layout, sizeof layout);
    struct dec_audio_target target = {
        .formats = m->queue ? again : m->plan.encoder->sample_fmts,
        .rates = rates,
        .layouts = keep ? NULL : layout,
    };
    dec_audio_graph_finish(&m->graph);
    int err = dec_audio_graph_init(&m->graph, like, &target);
    if (err < 0)
        return dec_media_fail(&m->work->why, err, "cannot convert its audio");
    if (av_buffersink_get_channels(m->graph.sink) != m->plan.channels)
        return base_fail(&m->work->why, -EIO, "its audio has other channels than when it was indexed");
    return 0;
}

static uint64_t graph_channel_mask(const struct making *m)
{
    AVChannelLayout layout = {0};
    uint64_t mask = 0;
    if (av_buffersink_get_ch_layout(m->graph.sink, &layout) >= 0 && layout.order == AV_CHANNEL_ORDER_NATIVE)
        mask = layout.u.mask;
    av_channel_layout_uninit(&layout);
    return mask;
}

/* Encodes what the graph has ready. 0 or a negative errno. */
static int drain_graph(struct making *m)
{
    int err = 0;
    while (!err && av_buffersink_get_frame(m->graph.sink, m->filtered) >= 0) {
        err = queue_samples(m, (void **)m->filtered->extended_data, m->filtered->nb_samples);
        av_frame_unref(m->filtered);
    }
    return err;
}

static int push(struct making *m, AVFrame *frame)
{
    int err = av_buffersrc_add_frame_flags(m->graph.source, frame, AV_BUFFERSRC_FLAG_PUSH);
    if (err < 0)
        return dec_media_fail(&m->work->why, err, "cannot convert its audio");
    return drain_graph(m);
}

/* Like ffmpeg, a change of rate or channels in mid-stream makes a new graph; the old one's last few samples
 * are lost. */
static int filter(void *opaque, AVFrame *frame)
{
    struct making *m = opaque;
    int err = 0;
    m->any = true;
    frame->pts = AV_NOPTS_VALUE; /* gaps are closed, as in the files that ffmpeg writes */
    if (!dec_audio_graph_fits(&m->graph, frame))
        err = open_graph(m, frame);
    if (!err && !m->queue)
        err = start_file(m, av_buffersink_get_format(m->graph.sink), graph_channel_mask(m));
    return err ? err : push(m, frame);
}

/* ---- The whole file ---- */

static int decode_packets(struct making *m, struct dec_media *media, AVCodecContext *decoder, int stream)
{
    AVPacket *packet = av_packet_alloc();
    int err = packet ? 0 : out_of_memory(m);
    while (!err && m->queued_samples < m->plan.samples && av_read_frame(media->format, packet) >= 0) {
        if (packet->stream_index == stream)
            err = dec_audio_decode(decoder, packet, m->decoded, filter, m);
        av_packet_unref(packet);
        m->work->progress(m->work, m->written);
    }
    av_packet_free(&packet);
    if (!err)
        err = dec_media_check_read(media, &m->work->why);
    if (!err)
        err = dec_audio_decode(decoder, NULL, m->decoded, filter, m);
    if (!err && !m->any)
        return base_fail(&m->work->why, -EIO, "none of its audio can be decoded");
    return err ? err : push(m, NULL);
}

static int decode_stream(struct making *m, struct dec_media *media)
{
    AVCodecContext *decoder = NULL;
    int stream = -1;
    int err = dec_audio_stream_open(media, m->work->index->audio_stream, &stream, &decoder);
    if (err < 0)
        return dec_media_fail(&m->work->why, err, "cannot decode its audio");
    err = decode_packets(m, media, decoder, stream);
    avcodec_free_context(&decoder);
    return err;
}

static int make_from_stream(struct making *m)
{
    struct dec_media *media = NULL;
    int err = dec_media_open(&m->work->source, &media, &m->work->why);
    if (!err)
        err = decode_stream(m, media);
    dec_media_close(media);
    return err;
}

/* Fills up to the promised number of samples: streams with damage inside, and files that are all silence. */
static int fill_up(struct making *m)
{
    uint8_t *data[AV_NUM_DATA_POINTERS * 8] = {0};
    int err = av_samples_alloc(data, NULL, m->plan.channels, SILENCE_BLOCK, m->format, 0);
    if (err < 0)
        return out_of_memory(m);
    av_samples_set_silence(data, 0, SILENCE_BLOCK, m->plan.channels, m->format);
    err = 0;
    while (!err && m->queued_samples < m->samples)
        err = queue_samples(m, (void **)data, SILENCE_BLOCK);
    av_freep(&data[0]);
    return err;
}

static int finish_file(struct making *m)
{
    int err = m->queue ? 0 : start_file(m, m->plan.encoder->sample_fmts[0], 0);
    if (!err)
        err = fill_up(m);
    if (!err && av_audio_fifo_size(m->queue) > 0)
        err = encode_queued(m, av_audio_fifo_size(m->queue));
    if (!err)
        err = encode(m, NULL);
    if (!err)
        err = flush_out(m);
    if (!err && m->written != m->plan.bytes)
        err = base_fail(&m->work->why, -EIO, "the encoder gave %llu bytes instead of %llu",
                        (unsigned long long)m->written, (unsigned long long)m->plan.bytes);
    return err;
}

static int make_file(struct making *m)
{
    m->decoded = av_frame_alloc();
    m->filtered = av_frame_alloc();
    m->queued = av_frame_alloc();
    m->packet = av_packet_alloc();
    if (!m->decoded || !m->filtered || !m->queued || !m->packet)
        return out_of_memory(m);
    int err = m->plan.from_stream && m->plan.samples > 0 ? make_from_stream(m) : 0;
    return err ? err : finish_file(m);
}

int dec_run_audio(struct dec_work *work)
{
    struct making m = {.work = work};
    int err = dec_audio_plan(work->index, &work->job->audio, &m.plan, &work->why);
    if (err)
        return err;
    if (m.plan.bytes == 0 || m.plan.bytes != work->job->file_bytes) {
        work->reply->stale = 1;
        return base_fail(&work->why, -EIO, "its audio has another size than when it was measured");
    }
    err = make_file(&m);
    if (!err)
        work->reply->bytes = work->reply->file_bytes = m.written;
    dec_audio_graph_finish(&m.graph);
    avcodec_free_context(&m.encoder);
    av_audio_fifo_free(m.queue);
    av_packet_free(&m.packet);
    av_frame_free(&m.queued);
    av_frame_free(&m.filtered);
    av_frame_free(&m.decoded);
    base_bytes_finish(&m.out);
    return err;
}
