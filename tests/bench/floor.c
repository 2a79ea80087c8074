/* SPDX-License-Identifier: Apache-2.0 */
/* The least that frames can cost: a loop around libavcodec, in one process, without a filesystem.
 *
 *     floor decode|convert|encode THREADS QUALITY < LIST
 *
 * A line of LIST is a video's path, for all its frames, or a path, a tab and the number of one frame from 0,
 * which is found as a player would: seek to the keyframe before it, decode on, and skip on the way what no
 * other frame refers to. Videos must have a constant rate. `convert` expands the levels of the wanted frames
 * to full range, `encode` also makes a JPEG of each.
 *
 * Prints what read_files prints; a time is that of one frame, from when the one before
 * it was ready. */
#include <inttypes.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <turbojpeg.h>

enum step { DECODE, CONVERT, ENCODE };

struct job {
    enum step step;
    int threads, quality;
    tjhandle encoder;
    unsigned char *jpeg; /* room for one, made by TurboJPEG */
    unsigned long room;
    uint64_t bytes;
    int64_t *taken_ns, last_ns; /* of each frame so far; when the last one was ready */
    size_t frames, most;
};

struct video {
    AVFormatContext *format;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    int stream;
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "floor: %s\n", what);
    exit(1);
}

static struct video open_video(const char *path, int threads)
{
    struct video v = {.packet = av_packet_alloc(), .frame = av_frame_alloc()};
    const AVCodec *decoder = NULL;
    if (avformat_open_input(&v.format, path, NULL, NULL) < 0 || avformat_find_stream_info(v.format, NULL) < 0)
        fail(path);
    v.stream = av_find_best_stream(v.format, AVMEDIA_TYPE_VIDEO, -1, -1, &decoder, 0);
    v.codec = decoder ? avcodec_alloc_context3(decoder) : NULL;
    if (!v.packet || !v.frame || !v.codec)
        fail(path);
    for (unsigned i = 0; i < v.format->nb_streams; i++)
        v.format->streams[i]->discard = (int)i == v.stream ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    avcodec_parameters_to_context(v.codec, v.format->streams[v.stream]->codecpar);
    v.codec->thread_count = threads;
    v.codec->thread_type = FF_THREAD_FRAME | FF_THREAD_SLICE;
    if (avcodec_open2(v.codec, decoder, NULL) < 0)
        fail(path);
    return v;
}

static void close_video(struct video *v)
{
    avcodec_free_context(&v->codec);
    avformat_close_input(&v->format);
    av_packet_free(&v->packet);
    av_frame_free(&v->frame);
}

/* The pts from which on the frame is wanted: half a frame before its own. */
static int64_t pts_of(const struct video *v, int64_t number)
{
    const AVStream *s = v->format->streams[v->stream];
    int64_t start = s->start_time == AV_NOPTS_VALUE ? 0 : s->start_time;
    int64_t halves = av_rescale_q(2 * number - 1, av_inv_q(s->avg_frame_rate), s->time_base);
    return start + halves / 2;
}

/* Packets up to `skip_until` (a pts) may be left out if no other frame refers to them. False at the end. */
static bool next_frame(struct video *v, int64_t skip_until)
{
    for (;;) {
        int r = avcodec_receive_frame(v->codec, v->frame);
        if (r >= 0)
            return true;
        if (r != AVERROR(EAGAIN))
            return false;
        do
            av_packet_unref(v->packet);
        while ((r = av_read_frame(v->format, v->packet)) >= 0 && v->packet->stream_index != v->stream);
        v->codec->skip_frame = r >= 0 && v->packet->pts < skip_until ? AVDISCARD_NONREF : AVDISCARD_DEFAULT;
        avcodec_send_packet(v->codec, r >= 0 ? v->packet : NULL);
    }
}

/* (v - low) * 255 / (high - low), in 14 bits after the point, as the compiler can vectorise it. */
static void expand_plane(uint8_t *data, int stride, int width, int height, int middle_in, int middle_out,
                         int factor)
{
    for (int y = 0; y < height; y++) {
        uint8_t *row = data + (ptrdiff_t)y * stride;
        for (int x = 0; x < width; x++) {
            int value = ((row[x] - middle_in) * factor + (middle_out << 14) + (1 << 13)) >> 14;
            row[x] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
        }
    }
}

static void expand(AVFrame *f)
{
    if (f->format != AV_PIX_FMT_YUV420P)
        fail("only yuv420p is known here");
    if (av_frame_make_writable(f) < 0)
        fail("memory");
    expand_plane(f->data[0], f->linesize[0], f->width, f->height, 16, 0, 255 * (1 << 14) / 219);
    for (int i = 1; i < 3; i++)
        expand_plane(f->data[i], f->linesize[i], (f->width + 1) / 2, (f->height + 1) / 2, 128, 128,
                     255 * (1 << 14) / 224);
}

static void note(struct job *job)
{
    if (job->frames == job->most) {
        job->most = job->most ? 2 * job->most : 16384;
        job->taken_ns = realloc(job->taken_ns, job->most * sizeof *job->taken_ns);
        if (!job->taken_ns)
            fail("memory");
    }
    int64_t now = now_ns();
    job->taken_ns[job->frames++] = now - job->last_ns;
    job->last_ns = now;
}

static void encode(struct job *job, AVFrame *f)
{
    const unsigned char *planes[3] = {f->data[0], f->data[1], f->data[2]};
    unsigned long size = job->room;
    if (tjCompressFromYUVPlanes(job->encoder, planes, f->width, f->linesize, f->height, TJSAMP_420,
                                &job->jpeg, &size, job->quality, 0) < 0)
        fail(tjGetErrorStr2(job->encoder));
    job->room = size > job->room ? size : job->room;
    job->bytes += size;
}

static void use_frame(struct job *job, AVFrame *f)
{
    if (job->step >= CONVERT)
        expand(f);
    if (job->step >= ENCODE)
        encode(job, f);
    note(job);
}

static void all_frames(struct job *job, struct video *v)
{
    while (next_frame(v, INT64_MIN))
        use_frame(job, v->frame);
}

static void one_frame(struct job *job, struct video *v, int64_t number)
{
    int64_t wanted = pts_of(v, number);
    if (av_seek_frame(v->format, v->stream, wanted, AVSEEK_FLAG_BACKWARD) < 0)
        fail("cannot seek");
    while (next_frame(v, wanted))
        if (v->frame->best_effort_timestamp >= wanted) {
            use_frame(job, v->frame);
            return;
        }
    fail("no such frame");
}

static void run_line(struct job *job, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    char *tab = strchr(line, '\t');
    if (tab)
        *tab = '\0';
    struct video v = open_video(line, job->threads);
    if (tab)
        one_frame(job, &v, strtoll(tab + 1, NULL, 10));
    else
        all_frames(job, &v);
    close_video(&v);
}

static enum step step_named(const char *name)
{
    const char *names[] = {"decode", "convert", "encode"};
    for (int i = DECODE; i <= ENCODE; i++)
        if (!strcmp(name, names[i]))
            return (enum step)i;
    fail("the step is decode, convert or encode");
    return DECODE;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        fail("usage: floor decode|convert|encode THREADS QUALITY < LIST");
    struct job job = {.step = step_named(argv[1]), .threads = atoi(argv[2]), .quality = atoi(argv[3])};
    job.encoder = tjInitCompress();
    av_log_set_level(AV_LOG_ERROR);
    char *line = NULL;
    size_t size = 0;
    int64_t start = job.last_ns = now_ns();
    while (getline(&line, &size, stdin) > 0)
        run_line(&job, line);
    printf("%" PRId64 " %" PRId64 " %" PRIu64 "\n", start, now_ns(), job.bytes);
    for (size_t i = 0; i < job.frames; i++)
        printf("%" PRId64 "\n", job.taken_ns[i]);
    free(job.taken_ns);
    free(line);
    tjFree(job.jpeg);
    tjDestroy(job.encoder);
    return 0;
}
