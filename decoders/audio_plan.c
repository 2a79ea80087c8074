/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/audio_plan.h"

#include "decoders/audio_graph.h"
#include "decoders/media.h"

#include <errno.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/mathematics.h>

enum {
    MAX_RATE = 768000,
    MAX_CHANNELS = 64,
    SILENCE_RATE = 44100, /* of files made up where there is no stream */
    SILENCE_CHANNELS = 2,
};

/* ---- WAV: Microsoft's "Multimedia Programming Interface and Data Specifications 1.0" and
 * WAVEFORMATEXTENSIBLE ---- */

size_t dec_wav_header_bytes(int channels)
{
    return channels > 2 ? 68 : 44;
}

size_t dec_wav_header(const struct dec_audio_plan *plan, uint64_t channel_mask,
                      uint8_t out[DEC_WAV_MAX_HEADER])
{
    static const uint8_t pcm_guid_tail[14] = {0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71};
    size_t len = dec_wav_header_bytes(plan->channels), fmt = len - 28;
    uint64_t data = plan->bytes - len;
    uint32_t frame_bytes = 2 * (uint32_t)plan->channels;
    memcpy(out, "RIFF", 4);
    /* too long for the format: unknown, until the end of the file, as programs write that cannot seek back */
    AV_WL32(out + 4, (uint32_t)BASE_MIN(plan->bytes - 8, UINT32_MAX));
    memcpy(out + 8, "WAVEfmt ", 8);
    AV_WL32(out + 16, (uint32_t)fmt);
    AV_WL16(out + 20, fmt > 16 ? 0xfffe : 1);
    AV_WL16(out + 22, (uint16_t)plan->channels);
    AV_WL32(out + 24, (uint32_t)plan->rate);
    AV_WL32(out + 28, (uint32_t)plan->rate * frame_bytes);
    AV_WL16(out + 32, (uint16_t)frame_bytes);
    AV_WL16(out + 34, 16);
    if (fmt > 16) {
        AV_WL16(out + 36, 22);
        AV_WL16(out + 38, 16);
        AV_WL32(out + 40, channel_mask <= UINT32_MAX ? (uint32_t)channel_mask : 0);
        AV_WL16(out + 44, 1);
        memcpy(out + 46, pcm_guid_tail, sizeof pcm_guid_tail);
    }
    memcpy(out + len - 8, "data", 4);
    AV_WL32(out + len - 4, (uint32_t)(plan->bytes > UINT32_MAX ? UINT32_MAX : data));
    return len;
}

/* ---- MP3 ---- */

int dec_audio_encoder_open(const struct dec_audio_plan *plan, enum AVSampleFormat format,
                           AVCodecContext **ret)
{
    AVCodecContext *encoder = avcodec_alloc_context3(plan->encoder);
    if (!encoder)
        return AVERROR(ENOMEM);
    encoder->sample_rate = plan->rate;
    encoder->sample_fmt = format;
    encoder->time_base = (AVRational){1, plan->rate};
    encoder->thread_count = 1;
    if (plan->bitrate)
        encoder->bit_rate = plan->bitrate;
    av_channel_layout_default(&encoder->ch_layout, plan->channels);
    int err = avcodec_open2(encoder, plan->encoder, NULL);
    if (err < 0) {
        avcodec_free_context(&encoder);
        return err;
    }
    *ret = encoder;
    return 0;
}

static AVFrame *one_sample(const struct dec_audio_plan *plan)
{
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return NULL;
    frame->format = AV_SAMPLE_FMT_FLTP;
    frame->sample_rate = plan->rate;
    frame->nb_samples = 1;
    av_channel_layout_default(&frame->ch_layout, plan->channels);
    if (av_frame_get_buffer(frame, 0) < 0)
        av_frame_free(&frame);
    else
        av_samples_set_silence(frame->extended_data, 0, 1, plan->channels, frame->format);
    return frame;
}

/* LAME chooses the bit rate when none is asked for, and rounds what is asked for to what the format has: the
 * first header of a file of one sample tells. */
static int first_header(const struct dec_audio_plan *plan, uint32_t *ret)
{
    AVCodecContext *encoder = NULL;
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = one_sample(plan);
    int err = packet && frame ? dec_audio_encoder_open(plan, frame->format, &encoder) : AVERROR(ENOMEM);
    if (err >= 0)
        err = avcodec_send_frame(encoder, frame);
    if (err >= 0)
        err = avcodec_send_frame(encoder, NULL);
    if (err >= 0)
        err = avcodec_receive_packet(encoder, packet);
    if (err >= 0)
        err = packet->size >= 4 ? 0 : AVERROR_UNKNOWN;
    if (err >= 0)
        *ret = AV_RB32(packet->data);
    av_frame_free(&frame);
    av_packet_free(&packet);
    avcodec_free_context(&encoder);
    return err;
}

static int plan_mp3(struct dec_audio_plan *plan, struct base_reason *why)
{
    uint32_t header = 0;
    int err = first_header(plan, &header);
    if (err < 0)
        return dec_media_fail(why, err, "the MP3 encoder does not start");
    err = dec_mp3_plan(header, plan->samples, &plan->mp3);
    if (err)
        return base_fail(why, err,
                         err == -EFBIG ? "too long for an MP3 file" : "the MP3 encoder gives no MP3");
    if (plan->mp3.rate != plan->rate)
        return base_fail(why, -EIO, "the MP3 encoder changed the rate to %d Hz", plan->mp3.rate);
    plan->bytes = plan->mp3.bytes;
    return 0;
}

static bool encoder_has_rate(const AVCodec *encoder, int rate)
{
    for (const int *r = encoder->supported_samplerates; r && *r; r++)
        if (*r == rate)
            return true;
    return !encoder->supported_samplerates;
}

/* The nearest one, the first of two equally near: what FFmpeg's filters agree on. */
static int nearest_rate(const AVCodec *encoder, int rate)
{
    int best = rate;
    for (const int *r = encoder->supported_samplerates; r && *r; r++)
        if (r == encoder->supported_samplerates || abs(*r - rate) < abs(best - rate))
            best = *r;
    return best;
}

static int choose_format(const struct dec_audio_spec *spec, int rate, int channels,
                         struct dec_audio_plan *plan, struct base_reason *why)
{
    bool mp3 = spec->format == DEC_MP3;
    if (rate <= 0 || rate > MAX_RATE || channels <= 0 || channels > MAX_CHANNELS)
        return base_fail(why, -EIO, "audio of %d Hz and %d channels", rate, channels);
    if (spec->rate > MAX_RATE || spec->channels > MAX_CHANNELS || (mp3 && spec->channels > 2))
        return base_fail(why, -EINVAL, "cannot make audio of %u Hz and %u channels", spec->rate,
                         spec->channels);
    if (spec->rate && !encoder_has_rate(plan->encoder, (int)spec->rate))
        return base_fail(why, -EINVAL, "MP3 has no rate of %u Hz", spec->rate);
    plan->rate = spec->rate ? (int)spec->rate : nearest_rate(plan->encoder, rate);
    plan->channels = spec->channels ? spec->channels : mp3 ? BASE_MIN(channels, 2) : channels;
    plan->bitrate = BASE_MIN(spec->bitrate, 1000000);
    return 0;
}

/* Of the whole file's samples those that the spec asks for. */
static void cut(const struct dec_audio_spec *spec, struct dec_audio_plan *plan)
{
    if (spec->from_us == 0 && spec->to_us == 0)
        return;
    int64_t end = BASE_MIN(av_rescale(spec->to_us, plan->rate, 1000000), plan->samples);
    plan->skip = BASE_MIN(av_rescale(spec->from_us, plan->rate, 1000000), end);
    plan->samples = end - plan->skip;
}

int dec_audio_plan(const struct dec_index *index, const struct dec_audio_spec *spec,
                   struct dec_audio_plan *ret, struct base_reason *why)
{
    struct dec_audio_plan plan = {.from_stream = index->audio_stream >= 0};
    if (!plan.from_stream && !spec->silence) {
        *ret = plan;
        return 0;
    }
    plan.encoder = avcodec_find_encoder_by_name(spec->format == DEC_MP3 ? "libmp3lame" : "pcm_s16le");
    if (!plan.encoder)
        return base_fail(why, -ENOSYS, "this FFmpeg was built without the encoder for it");
    int err = choose_format(spec, plan.from_stream ? index->audio_rate : SILENCE_RATE,
                            plan.from_stream ? index->audio_channels : SILENCE_CHANNELS, &plan, why);
    if (err)
        return err;
    if (plan.from_stream) {
        if (index->audio_samples < 0 || index->audio_samples > INT64_MAX / MAX_RATE / MAX_CHANNELS)
            return base_fail(why, -EFBIG, "audio of %lld samples", (long long)index->audio_samples);
        err = dec_audio_resampled(index->audio_rate, plan.rate, index->audio_samples, &plan.samples);
        if (err < 0)
            return dec_media_fail(why, err, "cannot resample");
    } else {
        plan.samples = av_rescale(BASE_MAX(index->duration_us, 0), plan.rate, 1000000);
    }
    cut(spec, &plan);
    plan.bytes = dec_wav_header_bytes(plan.channels) + (uint64_t)plan.samples * 2 * (uint64_t)plan.channels;
    if (spec->format == DEC_MP3)
        err = plan_mp3(&plan, why);
    if (!err)
        *ret = plan;
    return err;
}
