/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts an audio stream's samples while its packets are demuxed, mostly without decoding them.
 *
 * The first packets are decoded until the codec's rule (audio_rule.c) was right several times in a row: by
 * then priming and pre-skip are over. From there packets are counted by the rule. The newest few are held
 * back, so that at the end of the stream, where trimming and cut-off packets are found, they can be decoded;
 * a packet in the middle that is marked as damaged or to be trimmed makes the decoder take over again for a
 * while.
 */
#include "decoders/audio_decode.h"
#include "decoders/media.h"

#include <errno.h>
#include <libavutil/mathematics.h>

enum {
    TRUST = 4, /* correct predictions in a row that end decoding */
    HELD = 4,  /* packets held back */
};

struct held {
    AVPacket *packet;
    int samples; /* by the rule */
};

struct dec_audio_count {
    AVCodecContext *decoder;
    AVFrame *frame;
    struct dec_audio_rule *rule;
    int stream, rate, channels; /* rate and channels of the first frame; 0 before */
    int64_t samples;            /* at that rate */
    int64_t packet_samples;     /* what the packet in the decoder gave */
    int64_t packets;            /* in all */
    int64_t nominal_us;         /* the stream's duration by its container */
    int trust, typical;
    bool decoding;
    AVPacket *before; /* the last packet whose samples are counted: warms up the decoder */
    struct held held[HELD];
    int n_held;
    int error;
};

static void destroy(struct dec_audio_count *c)
{
    for (int i = 0; i < c->n_held; i++)
        av_packet_free(&c->held[i].packet);
    av_packet_free(&c->before);
    av_frame_free(&c->frame);
    avcodec_free_context(&c->decoder);
    dec_audio_rule_destroy(c->rule);
    free(c);
}

struct dec_audio_count *dec_audio_count_create(const AVStream *stream)
{
    struct dec_audio_count *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->stream = stream->index;
    c->decoding = true;
    c->frame = av_frame_alloc();
    c->rule = dec_audio_rule_create(stream->codecpar);
    if (stream->duration > 0)
        c->nominal_us = av_rescale_q(stream->duration, stream->time_base, AV_TIME_BASE_Q);
    if (!c->frame || !c->rule) {
        destroy(c);
        return NULL;
    }
    /* Not having such a decoder is told by dec_audio_count_finish(). */
    int err = dec_audio_decoder_open(stream, &c->decoder);
    if (err < 0)
        c->error = err == AVERROR(ENOMEM) ? -ENOMEM : -EIO;
    return c;
}

static int note_frame(void *opaque, AVFrame *frame)
{
    struct dec_audio_count *c = opaque;
    if (!c->rate) {
        c->rate = frame->sample_rate;
        c->channels = frame->ch_layout.nb_channels;
    }
    c->packet_samples += frame->sample_rate == c->rate
                             ? frame->nb_samples
                             : av_rescale(frame->nb_samples, c->rate, frame->sample_rate);
    return 0;
}

/* Decodes one packet (NULL: the end) and returns how many samples came out. */
static int64_t decode(struct dec_audio_count *c, const AVPacket *packet)
{
    c->packet_samples = 0;
    if (dec_audio_decode(c->decoder, packet, c->frame, note_frame, c) < 0)
        c->error = -ENOMEM;
    return c->packet_samples;
}

static void keep_before(struct dec_audio_count *c, AVPacket *packet)
{
    av_packet_free(&c->before);
    c->before = packet;
}

static void decode_and_count(struct dec_audio_count *c, const AVPacket *packet, int predicted)
{
    int64_t got = decode(c, packet);
    c->samples += got;
    c->trust = predicted >= 0 && got == predicted ? c->trust + 1 : 0;
    c->typical = got > 0 && got <= INT32_MAX ? (int)got : -1;
    if (c->trust >= TRUST) {
        c->decoding = false;
        keep_before(c, av_packet_clone(packet));
        if (!c->before)
            c->error = -ENOMEM;
    }
}

/* From counting by the rule back to decoding: what is held back is decoded after one packet to warm up. */
static void resume_decoding(struct dec_audio_count *c)
{
    c->decoding = true;
    c->trust = 0;
    avcodec_flush_buffers(c->decoder);
    if (c->before)
        (void)decode(c, c->before);
    for (int i = 0; i < c->n_held; i++) {
        c->samples += decode(c, c->held[i].packet);
        av_packet_free(&c->held[i].packet);
    }
    c->n_held = 0;
}

static void hold(struct dec_audio_count *c, const AVPacket *packet, int samples)
{
    if (c->n_held == HELD) {
        c->samples += c->held[0].samples;
        keep_before(c, c->held[0].packet);
        memmove(c->held, c->held + 1, sizeof *c->held * (HELD - 1));
        c->n_held--;
    }
    AVPacket *copy = av_packet_clone(packet);
    if (!copy) {
        c->error = -ENOMEM;
        return;
    }
    c->held[c->n_held++] = (struct held){copy, samples};
}

static bool is_unusual(const AVPacket *packet)
{
    return (packet->flags & (AV_PKT_FLAG_CORRUPT | AV_PKT_FLAG_DISCARD)) ||
           av_packet_get_side_data(packet, AV_PKT_DATA_SKIP_SAMPLES, NULL) ||
           av_packet_get_side_data(packet, AV_PKT_DATA_NEW_EXTRADATA, NULL) ||
           av_packet_get_side_data(packet, AV_PKT_DATA_PARAM_CHANGE, NULL);
}

void dec_audio_count_packet(struct dec_audio_count *c, const AVPacket *packet)
{
    if (c->error || packet->size == 0)
        return;
    c->packets++;
    int predicted = dec_audio_rule_samples(c->rule, packet, c->typical);
    if (!c->decoding && (predicted < 0 || is_unusual(packet)))
        resume_decoding(c);
    if (c->decoding)
        decode_and_count(c, packet, is_unusual(packet) ? -1 : predicted);
    else
        hold(c, packet, predicted);
}

static int fill(struct dec_audio_count *c, struct dec_index *index)
{
    if (c->error)
        return c->error;
    if (!c->rate) {
        c->rate = c->decoder->sample_rate;
        c->channels = c->decoder->ch_layout.nb_channels;
    }
    if (c->rate <= 0 || c->channels <= 0)
        return -EIO;
    /* Packets, but none of them good: promise what the container promises, so that reading tells of the
     * damage. */
    if (c->samples == 0 && c->packets > 0)
        c->samples = BASE_MAX(av_rescale(c->nominal_us, c->rate, 1000000), 1);
    index->audio_stream = c->stream;
    index->audio_rate = c->rate;
    index->audio_channels = c->channels;
    index->audio_samples = c->samples;
    return 0;
}

int dec_audio_count_finish(struct dec_audio_count *c, struct dec_index *index)
{
    if (!c->error && !c->decoding)
        resume_decoding(c);
    if (!c->error)
        c->samples += decode(c, NULL);
    int err = fill(c, index);
    if (err)
        index->audio_stream = -1;
    destroy(c);
    return err;
}
