/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/audio_decode.h"

#include <libavutil/channel_layout.h>

int dec_audio_decoder_open(const AVStream *stream, AVCodecContext **ret)
{
    const AVCodec *codec = avcodec_find_decoder(stream->codecpar->codec_id);
    if (!codec || codec->type != AVMEDIA_TYPE_AUDIO)
        return AVERROR_DECODER_NOT_FOUND;
    AVCodecContext *decoder = avcodec_alloc_context3(codec);
    if (!decoder)
        return AVERROR(ENOMEM);
    int err = avcodec_parameters_to_context(decoder, stream->codecpar);
    decoder->pkt_timebase = stream->time_base;
    decoder->thread_count = 1;
    /* PCM in AVI and MOV often has a channel count and no layout: ffmpeg guesses the usual one. */
    int channels = decoder->ch_layout.nb_channels;
    if (decoder->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC && channels > 0)
        av_channel_layout_default(&decoder->ch_layout, channels);
    if (err >= 0)
        err = avcodec_open2(decoder, codec, NULL);
    if (err < 0) {
        avcodec_free_context(&decoder);
        return err;
    }
    *ret = decoder;
    return 0;
}

int dec_audio_stream_open(struct dec_media *media, int wanted, int *ret_stream, AVCodecContext **ret)
{
    AVFormatContext *f = media->format;
    bool is_there = wanted >= 0 && wanted < (int)f->nb_streams &&
                    f->streams[wanted]->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
    int stream = is_there ? wanted : media->audio;
    if (stream < 0)
        return AVERROR_STREAM_NOT_FOUND;
    for (unsigned i = 0; i < f->nb_streams; i++)
        f->streams[i]->discard = (int)i == stream ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    *ret_stream = stream;
    return dec_audio_decoder_open(f->streams[stream], ret);
}

int dec_audio_decode(AVCodecContext *decoder, const AVPacket *packet, AVFrame *scratch, dec_audio_frame *each,
                     void *opaque)
{
    if (packet && packet->size == 0)
        return 0;
    int err = avcodec_send_packet(decoder, packet);
    if (err < 0 && err != AVERROR_EOF)
        return err == AVERROR(ENOMEM) ? err : 0;
    while (avcodec_receive_frame(decoder, scratch) >= 0) {
        err = scratch->nb_samples > 0 && scratch->sample_rate > 0 ? each(opaque, scratch) : 0;
        av_frame_unref(scratch);
        if (err < 0)
            return err;
    }
    return 0;
}
