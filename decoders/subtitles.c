/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DEC_SUBTITLES: the SRT file of a view, from a text file beside the video or from the video's own text
 * stream.
 *
 * Text files are read by our own parser (subtitle_files.c), which forgives more than FFmpeg's; streams are
 * decoded by FFmpeg, with the times that ffmpeg's command line gives. Both go through the same cleaning and
 * writing.
 */
#include "decoders/cues.h"
#include "decoders/media.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/mathematics.h>

enum {
    MAX_SIDECAR_BYTES = 16 << 20,
    ASS_FIELDS = 8, /* before the text, in the lines that FFmpeg's decoders give */
};

static int write_cues(struct dec_work *work, struct dec_cues *cues)
{
    struct base_bytes srt = {0};
    int err = 0;
    if (!cues->failed)
        dec_cues_write(cues, work->job->subtitles.from_us / 1000, work->job->subtitles.clip_us / 1000, &srt);
    if (cues->failed || srt.failed)
        err = base_fail(&work->why, -ENOMEM, "out of memory for its subtitles");
    else
        err = dec_output_write(work, srt.data, srt.len, 0);
    if (!err)
        work->reply->bytes = srt.len;
    base_bytes_finish(&srt);
    return err;
}

/* ---- Beside the video ---- */

static int read_source(struct dec_work *work, uint8_t **ret, size_t *ret_len)
{
    uint64_t len;
    if (dec_source_size(&work->source, &len) < 0)
        return base_fail(&work->why, -EIO, "cannot be read");
    if (len > MAX_SIDECAR_BYTES)
        return base_fail(&work->why, -EFBIG, "larger than any subtitle file (%d MiB)",
                         MAX_SIDECAR_BYTES >> 20);
    base_autofree uint8_t *data = malloc(len + 1);
    if (!data)
        return base_fail(&work->why, -ENOMEM, "out of memory");
    int err = dec_source_read_all(&work->source, data, len, 0);
    if (err)
        return base_fail(&work->why, err, "cannot be read: %s", strerror(-err));
    *ret = base_steal_pointer(data);
    *ret_len = len;
    return 0;
}

static int parse_file(struct dec_work *work, struct dec_cues *cues, struct base_bytes *text)
{
    base_autofree uint8_t *data = NULL;
    size_t len = 0;
    int err = read_source(work, &data, &len);
    if (err)
        return err;
    dec_text_to_utf8(data, len, text);
    if (text->failed)
        return base_fail(&work->why, -ENOMEM, "out of memory");
    if (text->len > 0 && dec_cues_parse(cues, (const char *)text->data, text->len))
        return base_fail(&work->why, -EIO, "not a subtitle file: no line has a cue's times");
    if (text->len == 0 && len > 3)
        return base_fail(&work->why, -EIO, "not a subtitle file: it holds no text");
    return 0;
}

/* ---- In the video ---- */

struct reading {
    struct dec_work *work;
    AVCodecContext *decoder;
    const AVStream *stream;
    int64_t offset; /* added to every pts, in the stream's units */
    struct dec_cues *cues;
};

static int open_decoder(struct reading *r)
{
    const AVCodec *codec = avcodec_find_decoder(r->stream->codecpar->codec_id);
    r->decoder = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!r->decoder)
        return base_fail(&r->work->why, codec ? -ENOMEM : -EIO, "no decoder for its subtitles");
    int err = avcodec_parameters_to_context(r->decoder, r->stream->codecpar);
    r->decoder->pkt_timebase = r->stream->time_base;
    r->decoder->thread_count = 1;
    if (err >= 0)
        err = avcodec_open2(r->decoder, codec, NULL);
    return err < 0 ? dec_media_fail(&r->work->why, err, "cannot decode its subtitles") : 0;
}

/* The text of "ReadOrder,Layer,Style,Name,MarginL,MarginR,MarginV,Effect,Text". */
static const char *ass_text(const char *line)
{
    for (int i = 0; line && i < ASS_FIELDS; i++) {
        line = strchr(line, ',');
        line = line ? line + 1 : NULL;
    }
    return line;
}

static void add_rects(const AVSubtitle *sub, struct base_bytes *text)
{
    for (unsigned i = 0; i < sub->num_rects; i++) {
        const AVSubtitleRect *rect = sub->rects[i];
        const char *line = rect->ass ? ass_text(rect->ass) : NULL;
        if (!line)
            continue;
        if (text->len)
            base_bytes_append(text, "\\N", 2);
        base_bytes_append(text, line, strlen(line));
    }
}

static void add_subtitle(struct reading *r, const AVSubtitle *sub)
{
    struct base_bytes text = {0};
    const int64_t limit = INT64_MAX / 4;
    if (sub->pts == AV_NOPTS_VALUE || sub->pts > limit || sub->pts < -limit)
        return;
    add_rects(sub, &text);
    int64_t start_us = sub->pts + (int64_t)sub->start_display_time * 1000;
    int64_t start = av_rescale_rnd(start_us, 1, 1000, AV_ROUND_NEAR_INF);
    bool has_end = sub->end_display_time > sub->start_display_time && sub->end_display_time != UINT32_MAX;
    int64_t length = (int64_t)sub->end_display_time - sub->start_display_time;
    if (text.failed)
        r->cues->failed = true;
    else if (text.len > 0)
        dec_cues_add(r->cues, start, has_end ? start + length : DEC_CUE_NO_END, (const char *)text.data,
                     text.len, DEC_MARKUP_ASS);
    base_bytes_finish(&text);
}

static void decode_packet(struct reading *r, AVPacket *packet)
{
    AVSubtitle sub = {0};
    int got = 0;
    if (packet->size == 0)
        return;
    if (packet->pts != AV_NOPTS_VALUE)
        packet->pts = av_sat_add64(packet->pts, r->offset);
    if (avcodec_decode_subtitle2(r->decoder, &sub, &got, packet) >= 0 && got)
        add_subtitle(r, &sub);
    avsubtitle_free(&sub);
}

/* ffmpeg counts times from the start of the file, which is its earliest stream's. */
static int64_t start_offset(const struct dec_media *media, const AVStream *stream)
{
    int64_t start = media->format->start_time;
    return start == AV_NOPTS_VALUE ? 0 : av_rescale_q(-start, AV_TIME_BASE_Q, stream->time_base);
}

static int read_stream(struct reading *r, struct dec_media *media)
{
    for (unsigned i = 0; i < media->format->nb_streams; i++)
        media->format->streams[i]->discard = (int)i == media->text ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    r->stream = media->format->streams[media->text];
    r->offset = start_offset(media, r->stream);
    AVPacket *packet = av_packet_alloc();
    int err = packet ? open_decoder(r) : base_fail(&r->work->why, -ENOMEM, "out of memory");
    while (!err && !r->cues->failed && av_read_frame(media->format, packet) >= 0) {
        if (packet->stream_index == media->text)
            decode_packet(r, packet);
        av_packet_unref(packet);
        r->work->progress(r->work, 0);
    }
    av_packet_free(&packet);
    avcodec_free_context(&r->decoder);
    return err ? err : dec_media_check_read(media, &r->work->why);
}

static int read_video(struct dec_work *work, struct dec_cues *cues)
{
    struct dec_media *media = NULL;
    struct reading r = {.work = work, .cues = cues};
    int err = dec_media_open(&work->source, &media, &work->why);
    if (err)
        return err;
    err = media->text >= 0 ? read_stream(&r, media) : 0; /* none: an empty file */
    dec_media_close(media);
    return err;
}

int dec_run_subtitles(struct dec_work *work)
{
    struct dec_cues cues = {0};
    struct base_bytes text = {0};
    int err = work->job->subtitles.sidecar ? parse_file(work, &cues, &text) : read_video(work, &cues);
    if (!err)
        err = write_cues(work, &cues);
    base_bytes_finish(&text);
    dec_cues_finish(&cues);
    return err;
}
