/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/media.h"

#include "base/io.h"
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <sys/stat.h>

enum { IO_BLOCK = 64 * 1024 };

/* What the AVIO callbacks read from. */
struct source_io {
    struct dec_source source;
    int64_t position, size;
    int error; /* of the last read that failed, as a negative errno */
};

static int io_read(void *opaque, uint8_t *out, int len)
{
    struct source_io *io = opaque;
    ssize_t n = dec_source_read(&io->source, out, (size_t)len, (uint64_t)io->position);
    if (n < 0)
        io->error = (int)n;
    if (n <= 0)
        return n == 0 ? AVERROR_EOF : AVERROR(-(int)n);
    io->position += n;
    return (int)n;
}

static int64_t io_seek(void *opaque, int64_t offset, int whence)
{
    struct source_io *io = opaque;
    switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE:
        return io->size;
    case SEEK_SET:
        break;
    case SEEK_CUR:
        offset += io->position;
        break;
    case SEEK_END:
        offset += io->size;
        break;
    default:
        return AVERROR(EINVAL);
    }
    if (offset < 0)
        return AVERROR(EINVAL);
    io->position = offset;
    return offset;
}

static AVIOContext *io_create(const struct dec_source *source, struct base_reason *why)
{
    uint64_t size;
    if (dec_source_size(source, &size) < 0 || size == 0) {
        base_fail(why, -EIO, "the file is empty");
        return NULL;
    }
    struct source_io *io = malloc(sizeof *io);
    uint8_t *block = av_malloc(IO_BLOCK);
    AVIOContext *context = NULL;
    if (io && block) {
        *io = (struct source_io){.source = *source, .size = (int64_t)size};
        context = avio_alloc_context(block, IO_BLOCK, 0, io, io_read, NULL, io_seek);
    }
    if (!context) {
        free(io);
        av_free(block);
        base_fail(why, -ENOMEM, "out of memory");
    }
    return context;
}

static void io_destroy(AVIOContext *context)
{
    if (!context)
        return;
    free(context->opaque);
    av_freep(&context->buffer);
    avio_context_free(&context);
}

int dec_media_check_read(const struct dec_media *m, struct base_reason *why)
{
    const struct source_io *io = m->format->pb->opaque;
    return io->error ? base_fail(why, io->error == -ENOMEM ? -ENOMEM : -EIO, "cannot be read: %s",
                                 strerror(-io->error))
                     : 0;
}

int dec_media_fail(struct base_reason *why, int averror, const char *what)
{
    char words[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(averror, words, sizeof words);
    return base_fail(why, averror == AVERROR(ENOMEM) ? -ENOMEM : -EIO, "%s: %s", what, words);
}

/* The scores are those that ffmpeg documents under "Automatic stream selection" (highest resolution, most
 * channels), with its tie-breaks: streams that gave packets while probing, then the default disposition. */
static int64_t stream_score(const AVStream *st)
{
    const AVCodecParameters *par = st->codecpar;
    int64_t score = (st->event_flags & AVSTREAM_EVENT_FLAG_NEW_PACKETS) ? 100000000 : 0;
    if (st->disposition & AV_DISPOSITION_DEFAULT)
        score += 5000000;
    if (par->codec_type == AVMEDIA_TYPE_VIDEO) {
        if (st->disposition & AV_DISPOSITION_ATTACHED_PIC)
            return 1;
        return score + (int64_t)par->width * par->height;
    }
    return score + par->ch_layout.nb_channels;
}

static bool is_text(const AVStream *st)
{
    const AVCodecDescriptor *descriptor = avcodec_descriptor_get(st->codecpar->codec_id);
    return descriptor && (descriptor->props & AV_CODEC_PROP_TEXT_SUB);
}

static void choose_streams(struct dec_media *m)
{
    int64_t best_video = 0, best_audio = 0;
    m->video = m->audio = m->text = -1;
    for (unsigned i = 0; i < m->format->nb_streams; i++) {
        const AVStream *st = m->format->streams[i];
        int64_t score = stream_score(st);
        if (st->codecpar->codec_type == AVMEDIA_TYPE_VIDEO && score > best_video) {
            best_video = score;
            m->video = (int)i;
        } else if (st->codecpar->codec_type == AVMEDIA_TYPE_AUDIO && score > best_audio) {
            best_audio = score;
            m->audio = (int)i;
        } else if (st->codecpar->codec_type == AVMEDIA_TYPE_SUBTITLE && m->text < 0 && is_text(st)) {
            m->text = (int)i;
        }
    }
}

/* Formats that are no single media file: playlists and scripts that name other files (the sandbox could not
 * open them), still pictures, and plain text that FFmpeg's subtitle and tty guessers would take for media. */
static bool is_media_format(const AVInputFormat *format)
{
    static const char *const refused[] = {"concat", "hls",        "dash",  "sdp",
                                          "tty",    "ffmetadata", "lavfi", "image2"};
    for (size_t i = 0; i < BASE_ARRAY_LEN(refused); i++)
        if (strcmp(format->name, refused[i]) == 0)
            return false;
    return true;
}

static bool has_media_stream(const struct dec_media *m)
{
    return m->video >= 0 || m->audio >= 0;
}

int dec_media_open(const struct dec_source *source, struct dec_media **ret, struct base_reason *why)
{
    struct dec_media *m = calloc(1, sizeof *m);
    if (!m)
        return base_fail(why, -ENOMEM, "out of memory");
    AVIOContext *io = io_create(source, why);
    m->format = io ? avformat_alloc_context() : NULL;
    int err = m->format ? 0 : -EIO;
    if (!err) {
        m->format->pb = io;
        m->format->flags |= AVFMT_FLAG_CUSTOM_IO;
        /* On failure this frees and clears m->format. */
        int averror = avformat_open_input(&m->format, NULL, NULL, NULL);
        if (averror < 0)
            err = dec_media_fail(why, averror, "not a video that can be read");
    }
    if (!err && !is_media_format(m->format->iformat))
        err = base_fail(why, -EIO, "not a video file, but %s", m->format->iformat->long_name);
    if (!err) {
        int averror = avformat_find_stream_info(m->format, NULL);
        if (averror < 0)
            err = dec_media_fail(why, averror, "cannot find its streams");
    }
    if (!err) {
        choose_streams(m);
        if (!has_media_stream(m))
            err = base_fail(why, -EIO, "holds neither video nor audio");
    }
    if (err) {
        if (m->format)
            dec_media_close(m);
        else {
            io_destroy(io);
            free(m);
        }
        return err;
    }
    *ret = m;
    return 0;
}

void dec_media_close(struct dec_media *m)
{
    if (!m)
        return;
    AVIOContext *io = m->format->pb;
    avformat_close_input(&m->format);
    io_destroy(io);
    free(m);
}

/* While the bytes are at hand: the daemon would have to read them back for it. */
static void sum_up(struct dec_work *work, const void *data, size_t len, uint64_t offset)
{
    if (work->sum && offset == work->summed)
        base_hasher_continue(work->sum, data, len);
    else if (work->sum)
        (void)base_hasher_finish(base_steal_pointer(work->sum));
    work->summed += len;
}

void dec_output_sum(struct dec_work *work, struct dec_reply *reply)
{
    const bool whole = work->sum && work->summed == reply->bytes;
    const struct base_hash sum =
        work->sum ? base_hasher_finish(base_steal_pointer(work->sum)) : (struct base_hash){{0}};
    work->summed = 0;
    reply->has_sum = whole;
    if (whole)
        reply->sum = sum;
}

int dec_output_write(struct dec_work *work, const void *data, size_t len, uint64_t offset)
{
    int err = base_pwrite_all(work->output, data, len, (off_t)offset);
    sum_up(work, data, len, offset);
    return err ? base_fail(&work->why, -ENOSPC, "what is made of it cannot be written: %s", strerror(-err))
               : 0;
}

/* The one that indexing left, and the file that its source is in. */
static struct dec_media *kept;
static struct stat kept_file;

static struct dec_source *source_of(const struct dec_media *m)
{
    struct source_io *io = m->format->pb->opaque;
    return &io->source;
}

void dec_media_keep(struct dec_media *m)
{
    /* Long before any time that a file can have, but far enough from the type's end. */
    const int64_t beginning = -(INT64_C(1) << 60);
    dec_media_close(base_steal_pointer(kept));
    bool rewinds = m && m->video >= 0 && dec_media_check_read(m, NULL) == 0 &&
                   strstr(m->format->iformat->name, "mp4") && fstat(source_of(m)->fd, &kept_file) == 0 &&
                   av_seek_frame(m->format, m->video, beginning, AVSEEK_FLAG_BACKWARD) >= 0;
    if (!rewinds) {
        dec_media_close(m);
        return;
    }
    kept = m;
    source_of(kept)->fd = -1;
}

struct dec_media *dec_media_take(const struct dec_source *source)
{
    struct stat st;
    if (!kept || fstat(source->fd, &st) < 0)
        return NULL;
    struct dec_source *was = source_of(kept);
    if (source->offset != was->offset || source->bytes != was->bytes)
        return NULL;
    if (st.st_dev != kept_file.st_dev || st.st_ino != kept_file.st_ino || st.st_size != kept_file.st_size ||
        memcmp(&st.st_mtim, &kept_file.st_mtim, sizeof st.st_mtim) != 0 ||
        memcmp(&st.st_ctim, &kept_file.st_ctim, sizeof st.st_ctim) != 0)
        return NULL;
    was->fd = source->fd;
    return base_steal_pointer(kept);
}
