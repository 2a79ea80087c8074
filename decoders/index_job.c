/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DEC_INDEX: reads all packets of a source once and writes its media index.
 *
 * Frames are told from packets alone where that is exact, for some codecs from the headers of the pictures in
 * them (reorder.h). Everything that could make it wrong (a codec that hides or merges frames, missing or
 * repeated times, damage, a start in the middle of a group of pictures) is noticed on the way, and then the
 * frames are counted by decoding, once, exactly as ffmpeg's command line would.
 */
#include "base/io.h"
#include "decoders/decode.h"
#include "decoders/input_clock.h"
#include "decoders/npy_read.h"
#include "decoders/reorder.h"

#include <errno.h>

struct frame_list {
    struct dec_frame *frames;
    struct dec_key *keys; /* .frame: for packets the number of the packet's frame in decoding order */
    uint32_t n, n_keys, cap, keys_cap;
};

static void frame_list_finish(struct frame_list *l)
{
    free(l->frames);
    free(l->keys);
    *l = (struct frame_list){0};
}

static int grow(void **array, uint32_t *cap, uint32_t n, size_t size)
{
    if (n < *cap)
        return 0;
    if (n >= DEC_MAX_FRAMES)
        return -EFBIG;
    uint32_t larger = *cap ? *cap * 2 : 256;
    void *moved = realloc(*array, (size_t)larger * size);
    if (!moved)
        return -ENOMEM;
    *array = moved;
    *cap = larger;
    return 0;
}

static int add_frame(struct frame_list *l, int64_t pts, int64_t duration)
{
    int err = grow((void **)&l->frames, &l->cap, l->n, sizeof *l->frames);
    if (!err)
        l->frames[l->n++] =
            (struct dec_frame){pts == AV_NOPTS_VALUE ? DEC_NO_PTS : pts, BASE_MAX(duration, 0)};
    return err;
}

static int add_key(struct frame_list *l, struct dec_key key)
{
    int err = grow((void **)&l->keys, &l->keys_cap, l->n_keys, sizeof *l->keys);
    if (!err)
        l->keys[l->n_keys++] = key;
    return err;
}

/* What is being found out about one source. */
struct indexing {
    struct dec_work *work;
    struct dec_media *media;
    const AVStream *video; /* NULL = none */
    struct dec_index *index;
    struct dec_input_clock clock;
    struct frame_list list;
    struct dec_audio_count *audio;
    int64_t first_key_pts;
    bool reorders; /* frames are told from picture headers, by this: */
    struct dec_reorder order;
    bool own_pts;      /* and all of them have the times of their own packets */
    const char *doubt; /* why packets do not tell the frames; NULL = they do */
};

static int add_shown(struct indexing *x, const struct dec_shown *f)
{
    int64_t start = x->index->start_pts;
    int64_t pts = f->best == AV_NOPTS_VALUE ? AV_NOPTS_VALUE : f->best + start;
    int64_t dts = f->dts == AV_NOPTS_VALUE ? DEC_NO_PTS : f->dts + start;
    x->own_pts = x->own_pts && f->pts != AV_NOPTS_VALUE && f->pts == f->best;
    dec_input_clock_frame(&x->clock, f->best, f->duration, x->video->avg_frame_rate);
    int err =
        f->key ? add_key(&x->list, (struct dec_key){x->list.n, pts, dts, f->pos, (uint32_t)f->bytes, false})
               : 0;
    return err ? err : add_frame(&x->list, pts, f->duration);
}

/* The same steps as in counting by decoding: the times that come out depend on all of them. */
static void note_reordered_packet(struct indexing *x, AVPacket *packet, int *err)
{
    struct dec_shown shown;
    bool any;
    dec_input_clock_packet(&x->clock, packet);
    x->index->largest_packet = BASE_MAX(x->index->largest_packet, packet->size);
    if (packet->flags & (AV_PKT_FLAG_CORRUPT | AV_PKT_FLAG_DISCARD))
        x->doubt = "a damaged packet";
    if (packet->size == 0 || x->doubt)
        return;
    packet->dts = dec_input_clock_send(&x->clock, packet);
    x->doubt = dec_reorder_packet(&x->order, packet, &shown, &any);
    dec_input_clock_sent(&x->clock, packet, x->video->avg_frame_rate);
    if (!x->doubt && any)
        *err = add_shown(x, &shown);
}

static int note_reordered_end(struct indexing *x)
{
    struct dec_shown shown;
    if (!dec_reorder_end(&x->order, &shown))
        return 0;
    int64_t dts = dec_input_clock_send(&x->clock, NULL);
    dec_input_clock_sent(&x->clock, NULL, x->video->avg_frame_rate);
    if (shown.best == AV_NOPTS_VALUE)
        shown.best = dts;
    return add_shown(x, &shown);
}

static void note_video_packet(struct indexing *x, AVPacket *packet, int *err)
{
    bool key = packet->flags & AV_PKT_FLAG_KEY;
    int64_t raw_pts = packet->pts, raw_dts = packet->dts;
    dec_input_clock_packet(&x->clock, packet);
    if (packet->size > 0) {
        dec_input_clock_send(&x->clock, packet);
        dec_input_clock_sent(&x->clock, packet, x->video->avg_frame_rate);
    }
    x->index->largest_packet = BASE_MAX(x->index->largest_packet, packet->size);
    if (packet->flags & AV_PKT_FLAG_CORRUPT)
        x->doubt = "a damaged packet";
    if (x->clock.corrected)
        x->doubt = "a jump in its times";
    if (!key && x->list.n_keys == 0)
        x->doubt = "no keyframe at its start";
    if (key && x->list.n_keys == 0)
        x->first_key_pts = raw_pts;
    if (key)
        *err = add_key(&x->list, (struct dec_key){x->list.n, raw_pts, raw_dts, packet->pos,
                                                  (uint32_t)packet->size, false});
    if (*err || !dec_packet_shows(x->video, packet))
        return;
    if (raw_pts == AV_NOPTS_VALUE)
        x->doubt = "frames without a time";
    if (raw_pts < x->first_key_pts)
        x->doubt = "frames before its first keyframe";
    *err = add_frame(&x->list, raw_pts, packet->duration);
}

/* One pass over all packets. A read error in the middle is where ffmpeg stops, too: what came before counts.
 */
static int read_packets(struct indexing *x)
{
    AVPacket *packet = av_packet_alloc();
    if (!packet)
        return base_fail(&x->work->why, -ENOMEM, "out of memory");
    int err = 0, averror = 0;
    while (!err && (averror = av_read_frame(x->media->format, packet)) >= 0) {
        if (packet->stream_index == x->media->video)
            x->reorders ? note_reordered_packet(x, packet, &err) : note_video_packet(x, packet, &err);
        else if (x->audio && packet->stream_index == x->media->audio)
            dec_audio_count_packet(x->audio, packet);
        av_packet_unref(packet);
        x->work->progress(x->work, 0);
    }
    av_packet_free(&packet);
    if (averror < 0 && averror != AVERROR_EOF)
        x->doubt = "a read error";
    if (x->media->format->pb->error)
        x->doubt = "a read error";
    if (err)
        return base_fail(&x->work->why, err,
                         err == -EFBIG ? "more frames than corpusfs allows" : "out of memory");
    return 0;
}

static int by_pts(const void *a, const void *b)
{
    const struct dec_frame *x = a, *y = b;
    return (x->pts > y->pts) - (x->pts < y->pts);
}

static uint32_t find_pts(const struct frame_list *l, int64_t pts)
{
    uint32_t low = 0, high = l->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (l->frames[middle].pts < pts)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_unique_pts(const struct frame_list *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (l->frames[i].pts == DEC_NO_PTS || (i > 0 && l->frames[i].pts <= l->frames[i - 1].pts))
            return false;
    return true;
}

/* Puts frames into output order and gives keys their frame; keys of hidden frames stand at the next shown
 * one. */
static void order_frames(struct frame_list *l)
{
    if (l->n > 0)
        qsort(l->frames, l->n, sizeof *l->frames, by_pts);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < l->n_keys; i++) {
        struct dec_key key = l->keys[i];
        key.frame = find_pts(l, key.pts);
        if (key.frame < l->n && (kept == 0 || key.frame > l->keys[kept - 1].frame))
            l->keys[kept++] = key;
    }
    l->n_keys = kept;
}

static void frames_from_packets(struct indexing *x)
{
    order_frames(&x->list);
    if (!has_unique_pts(&x->list)) {
        x->doubt = "frames with equal times";
        return;
    }
    if (x->list.n > 0 && x->list.keys[0].frame != 0) {
        x->doubt = "frames before its first keyframe";
        return;
    }
    x->index->pts_unique = true;
    if (x->list.n > 0) {
        const struct dec_frame *last = &x->list.frames[x->list.n - 1];
        dec_input_clock_frame(&x->clock, last->pts - x->index->start_pts, last->duration,
                              x->video->avg_frame_rate);
    }
    x->index->end_us = dec_input_clock_end(&x->clock);
}

static int frames_from_headers(struct indexing *x)
{
    int err = note_reordered_end(x);
    x->index->pts_unique = x->own_pts && !x->clock.corrected && has_unique_pts(&x->list);
    x->index->end_us = dec_input_clock_end(&x->clock);
    return err ? base_fail(&x->work->why, err, "out of memory") : 0;
}

/* ---- Counting by decoding ---- */

struct counting {
    struct indexing *x;
    AVCodecContext *decoder;
    AVFrame *frame;
    bool raw_pts_good;  /* frames carry the pts of their packets, nothing was corrected */
    bool damaged;       /* the decoder reported errors */
    atomic_uint errors; /* it complained of since they were looked at */
    uint32_t
        damaged_until; /* keyframes that come out before this one may be damaged: decoders give frames late */
    int64_t dts_queue[64]; /* decoding times given to the decoder while draining */
    int n_dts;
};

enum { MOST_DELAY = 32 };

static void note_damage(struct counting *c)
{
    struct frame_list *l = &c->x->list;
    c->damaged = true;
    c->damaged_until = l->n + MOST_DELAY;
    if (l->n_keys > 0)
        l->keys[l->n_keys - 1].damaged = true;
}

static void note_error(struct counting *c, int averror)
{
    unsigned complaints = atomic_exchange(&c->errors, 0);
    if (complaints > 0 || (averror < 0 && averror != AVERROR(EAGAIN) && averror != AVERROR_EOF))
        note_damage(c);
}

static int add_counted_key(struct counting *c, int64_t pts)
{
    struct indexing *x = c->x;
    const AVFrame *f = c->frame;
    struct dec_key key = {
        .frame = x->list.n,
        .pts = pts,
        .dts = f->pkt_dts == AV_NOPTS_VALUE ? DEC_NO_PTS : f->pkt_dts + x->index->start_pts,
        .pos = f->pkt_pos,
        .bytes = (uint32_t)BASE_MAX(f->pkt_size, 0),
        .damaged = x->list.n < c->damaged_until,
    };
    return add_key(&x->list, key);
}

static int count_frame(struct counting *c, bool draining)
{
    const AVFrame *f = c->frame;
    struct indexing *x = c->x;
    int64_t best = f->best_effort_timestamp;
    if (draining && best == AV_NOPTS_VALUE && c->n_dts > 0) {
        best = c->dts_queue[0];
        memmove(c->dts_queue, c->dts_queue + 1, sizeof *c->dts_queue * (size_t)--c->n_dts);
    }
    if (f->pts == AV_NOPTS_VALUE || f->pts != best)
        c->raw_pts_good = false;
    dec_input_clock_frame(&x->clock, best, f->pkt_duration, c->decoder->framerate);
    int64_t file_pts = best == AV_NOPTS_VALUE ? AV_NOPTS_VALUE : best + x->index->start_pts;
    int err = f->key_frame ? add_counted_key(c, file_pts) : 0;
    if (f->decode_error_flags || (f->flags & AV_FRAME_FLAG_CORRUPT))
        note_damage(c);
    return err ? err : add_frame(&x->list, file_pts, f->pkt_duration);
}

/* Takes one frame out of the decoder: 1, 0 when it wants more input, or a negative errno. While draining, an
 * error is only the end of one frame: others may follow (FFmpeg bounds the number of such errors). */
static int take_frame(struct counting *c, bool draining)
{
    int averror = avcodec_receive_frame(c->decoder, c->frame);
    note_error(c, averror);
    if (averror < 0)
        return draining && averror != AVERROR_EOF && averror != AVERROR(EAGAIN);
    int err = count_frame(c, draining);
    av_frame_unref(c->frame);
    c->x->work->progress(c->x->work, 0);
    return err ? err : 1;
}

/* Decoding errors are not fatal to ffmpeg, and not here: it goes on with the next packet. */
static int count_packet(struct counting *c, AVPacket *packet)
{
    struct dec_input_clock *clock = &c->x->clock;
    if (packet->size == 0)
        return 0;
    packet->dts = dec_input_clock_send(clock, packet);
    note_error(c, avcodec_send_packet(c->decoder, packet));
    dec_input_clock_sent(clock, packet, c->decoder->framerate);
    int got = 1;
    while (got > 0)
        got = take_frame(c, false);
    return got;
}

/* At the end every frame that the decoder still holds has a decoding time of its own, guessed from the rate.
 */
static int count_rest(struct counting *c)
{
    struct dec_input_clock *clock = &c->x->clock;
    (void)avcodec_send_packet(c->decoder, NULL);
    int got = 1;
    while (got > 0) {
        int64_t dts = dec_input_clock_send(clock, NULL);
        if (c->n_dts < (int)BASE_ARRAY_LEN(c->dts_queue))
            c->dts_queue[c->n_dts++] = dts;
        dec_input_clock_sent(clock, NULL, c->decoder->framerate);
        got = take_frame(c, true);
    }
    return got;
}

static int count_all(struct counting *c, AVPacket *packet)
{
    struct indexing *x = c->x;
    int err = 0;
    while (!err && av_read_frame(x->media->format, packet) >= 0) {
        if (packet->stream_index == x->media->video) {
            dec_input_clock_packet(&x->clock, packet);
            err = count_packet(c, packet);
        }
        av_packet_unref(packet);
        x->work->progress(x->work, 0);
    }
    return err ? err : count_rest(c);
}

/* Counts anew with so many threads. */
static int count_with(struct indexing *x, unsigned threads, bool *ret_damaged)
{
    dec_media_close(x->media);
    x->media = NULL;
    int err = dec_media_open(&x->work->source, &x->media, &x->work->why);
    if (err)
        return err;
    x->video = x->media->format->streams[x->media->video];
    for (unsigned i = 0; i < x->media->format->nb_streams; i++)
        if ((int)i != x->media->video)
            x->media->format->streams[i]->discard = AVDISCARD_ALL;
    struct counting c = {.x = x, .raw_pts_good = true, .frame = av_frame_alloc()};
    AVPacket *packet = av_packet_alloc();
    err = packet && c.frame ? 0 : base_fail(&x->work->why, -ENOMEM, "out of memory");
    if (!err)
        err = dec_open_decoder(x->video, threads, &c.errors, &c.decoder, &x->work->why);
    if (!err) {
        /* Only times and numbers matter here. */
        c.decoder->skip_loop_filter = AVDISCARD_ALL;
        x->list.n = x->list.n_keys = 0;
        dec_input_clock_init(&x->clock, x->media, x->media->video, c.decoder->has_b_frames);
        err = count_all(&c, packet);
        if (err)
            base_fail(&x->work->why, err,
                      err == -EFBIG ? "more frames than corpusfs allows" : "out of memory");
    }
    x->index->counted = true;
    x->index->damaged = *ret_damaged = c.damaged;
    x->index->pts_unique = c.raw_pts_good && !x->clock.corrected && has_unique_pts(&x->list);
    x->index->end_us = dec_input_clock_end(&x->clock);
    av_packet_free(&packet);
    av_frame_free(&c.frame);
    avcodec_free_context(&c.decoder);
    return err;
}

/* What comes out of a damaged stream depends on the number of threads: then that of one counts. */
static int frames_from_decoding(struct indexing *x)
{
    unsigned threads = x->work->job->recount ? 1 : x->work->job->threads;
    bool damaged = false;
    int err = count_with(x, threads, &damaged);
    return !err && damaged && threads > 1 ? count_with(x, 1, &damaged) : err;
}

/* ---- The whole ---- */

static void discard_other_streams(struct dec_media *m)
{
    for (unsigned i = 0; i < m->format->nb_streams; i++)
        if ((int)i != m->video && (int)i != m->audio)
            m->format->streams[i]->discard = AVDISCARD_ALL;
}

static void describe_video(struct indexing *x)
{
    struct dec_index *index = x->index;
    AVRational rate = av_guess_frame_rate(x->media->format, (AVStream *)x->video, NULL);
    index->video_stream = x->media->video;
    index->width = x->video->codecpar->width;
    index->height = x->video->codecpar->height;
    index->tb_num = x->video->time_base.num;
    index->tb_den = x->video->time_base.den;
    index->rate_num = rate.num > 0 && rate.den > 0 ? rate.num : 0;
    index->rate_den = rate.num > 0 && rate.den > 0 ? rate.den : 0;
    index->only_stream = x->media->format->nb_streams == 1;
    dec_input_clock_init(&x->clock, x->media, x->media->video, x->video->codecpar->video_delay);
    index->start_pts = -av_rescale_q(x->clock.offset_us, AV_TIME_BASE_Q, x->video->time_base);
    x->reorders = dec_headers_for(x->video->codecpar->codec_id);
    x->own_pts = true;
    if (x->reorders)
        x->doubt = dec_reorder_init(&x->order, x->video->codecpar);
}

static int index_video(struct indexing *x, bool must_count)
{
    if (!x->reorders && !dec_packets_are_frames(x->video))
        x->doubt = "a codec whose packets do not tell its frames";
    if (must_count)
        x->doubt = "an index that decoding did not confirm";
    int err = 0;
    if (!x->doubt && x->reorders)
        err = frames_from_headers(x);
    else if (!x->doubt)
        frames_from_packets(x);
    if (!err && x->doubt)
        err = frames_from_decoding(x);
    if (err)
        return err;
    if (x->list.n == 0)
        return base_fail(&x->work->why, -EIO, "no frame of its video can be decoded");
    x->index->frames = base_steal_pointer(x->list.frames);
    x->index->n_frames = x->list.n;
    x->index->keys = base_steal_pointer(x->list.keys);
    x->index->n_keys = x->list.n_keys;
    return 0;
}

static int index_media(struct indexing *x)
{
    discard_other_streams(x->media);
    if (x->media->video >= 0) {
        x->video = x->media->format->streams[x->media->video];
        describe_video(x);
    }
    if (x->media->audio >= 0) {
        const AVStream *st = x->media->format->streams[x->media->audio];
        x->audio = dec_audio_count_create(st);
        if (!x->audio)
            return base_fail(&x->work->why, -ENOMEM, "out of memory");
        x->index->audio_stream = x->media->audio;
        if (st->start_time != AV_NOPTS_VALUE)
            x->index->audio_start_us = av_rescale_q(st->start_time, st->time_base, AV_TIME_BASE_Q);
    }
    x->index->text_stream = x->media->text;
    int err = read_packets(x);
    if (x->audio) {
        int audio_err = dec_audio_count_finish(base_steal_pointer(x->audio), x->index);
        if (audio_err == -ENOMEM)
            err = base_fail(&x->work->why, -ENOMEM, "out of memory");
    }
    if (!err && x->video)
        err = index_video(x, x->work->job->recount);
    if (!err) {
        x->index->duration_us = BASE_MAX(x->index->end_us, 0);
        if (x->index->duration_us == 0 && x->index->audio_stream >= 0)
            x->index->duration_us = av_rescale(x->index->audio_samples, AV_TIME_BASE, x->index->audio_rate);
    }
    return err;
}

static int write_index(struct dec_work *work, const struct dec_index *index)
{
    struct base_bytes packed = {0};
    dec_index_pack(index, &packed);
    int err = packed.failed ? -ENOMEM : base_pwrite_all(work->output, packed.data, packed.len, 0);
    work->reply->bytes = packed.len;
    base_bytes_finish(&packed);
    return err ? base_fail(&work->why, err, "cannot write the index: %s", strerror(-err)) : 0;
}

int dec_run_index(struct dec_work *work)
{
    struct dec_index index = {.video_stream = -1, .audio_stream = -1, .text_stream = -1};
    struct indexing x = {.work = work, .index = &index};
    if (dec_is_npy(&work->source)) /* has neither pictures nor sound */
        return write_index(work, &index);
    int err = dec_media_open(&work->source, &x.media, &work->why);
    if (!err)
        err = index_media(&x);
    if (!err)
        err = write_index(work, &index);
    if (!err && index.counted)
        work->reply->n_decoded = index.n_frames;
    if (!err && index.pts_unique && !index.counted)
        dec_media_keep(base_steal_pointer(x.media));
    frame_list_finish(&x.list);
    dec_index_finish(&index);
    dec_media_close(x.media);
    return err;
}
