/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/session.h"

#include "decoders/decode.h"
#include <errno.h>
#include <fcntl.h>

enum { MAX_SESSIONS = 4 };

/* How the session knows the number of the frame that comes out next. */
enum numbering {
    BY_PTS,     /* each frame's time tells it */
    FROM_START, /* counted from the file's beginning, every frame seen */
    FROM_KEY,   /* after a seek: unknown until a keyframe of the index comes out, then counted */
};

struct dec_session {
    uint64_t id;
    uint64_t last_used;
    struct dec_source source; /* its descriptor is our own */
    struct dec_index index;
    struct dec_media *media;
    AVStream *stream;
    AVCodecContext *decoder;
    AVPacket *packet;
    AVFrame *frame;      /* the last one out */
    int64_t number;      /* its number; -1 = none yet, or not known */
    int64_t next_number; /* of the frame that comes out next; -1 = not known (BY_PTS: a lower bound) */
    enum numbering numbering;
    bool at_start;     /* this pass began at the file's beginning: nothing earlier can help */
    bool any_numbered; /* a frame of a known number came out in this pass, or can only be the next */
    bool seeks_lie;    /* for good: after a jump frames carried times that are not theirs in one pass */
    bool shows_damage; /* the decoder reported errors in this pass, of frames from its first keyframe on */
    bool may_skip;     /* frames that no other refers to, on the way to a later one */
    bool wants_key;    /* after a seek: drop packets up to a keyframe */
    bool draining;
    bool has_packet;   /* the next one is in `packet` */
    bool fed_last;     /* the decoder has got the last packet that matters */
    uint32_t expected; /* no frame before it is wanted after the present one; 0 = that is not known */
    bool left_out;     /* frames behind the last one out, up to this time: */
    int64_t left_out_pts;
    bool underway;      /* decoding went on, and next_number is right although no frame is out */
    uint32_t n_decoded; /* pictures that no reply has told of */
    atomic_uint errors; /* that the decoder complained of in this pass */
    struct dec_frame_map map;
    void *slot;
    void (*free_slot)(void *);
};

static struct dec_session *sessions[MAX_SESSIONS];
static struct dec_session *onward; /* that goes on between jobs; NULL = none does */
static uint64_t use_counter;

static void session_destroy(struct dec_session *s)
{
    if (!s)
        return;
    if (s == onward)
        onward = NULL;
    if (s->free_slot && s->slot)
        s->free_slot(s->slot);
    dec_frame_map_finish(&s->map);
    av_frame_free(&s->frame);
    av_packet_free(&s->packet);
    avcodec_free_context(&s->decoder);
    dec_media_close(s->media);
    dec_index_finish(&s->index);
    base_close_fd(&s->source.fd);
    free(s);
}

void dec_session_drop(struct dec_session *s)
{
    for (int i = 0; i < MAX_SESSIONS; i++)
        if (sessions[i] == s)
            sessions[i] = NULL;
    session_destroy(s);
}

static int copy_index(const struct dec_index *from, struct dec_index *to)
{
    struct base_bytes packed = {0};
    dec_index_pack(from, &packed);
    int err = packed.failed ? -ENOMEM : dec_index_unpack(packed.data, packed.len, to);
    base_bytes_finish(&packed);
    return err;
}

/* Where a decoder gives up in the middle of a picture, the rest is what was in its buffer before: chance,
 * unless that is nothing. */
static int get_clean_buffer(AVCodecContext *c, AVFrame *frame, int flags)
{
    int averror = avcodec_default_get_buffer2(c, frame, flags);
    for (size_t i = 0; averror >= 0 && i < BASE_ARRAY_LEN(frame->buf) && frame->buf[i]; i++)
        memset(frame->buf[i]->data, 0, frame->buf[i]->size);
    return averror;
}

/* Of going on and leaving out, which ends with a jump. */
static void forget_position(struct dec_session *s)
{
    av_packet_unref(s->packet);
    s->has_packet = s->underway = s->left_out = s->fed_last = false;
}

/* Opens the decoder for a demuxer that stands at the file's beginning. */
static int begin(struct dec_session *s, struct dec_work *work)
{
    if (s->index.video_stream < 0 || s->index.video_stream >= (int)s->media->format->nb_streams)
        return base_fail(&work->why, -EIO, "its streams changed");
    s->stream = s->media->format->streams[s->index.video_stream];
    for (unsigned i = 0; i < s->media->format->nb_streams; i++)
        if ((int)i != s->index.video_stream)
            s->media->format->streams[i]->discard = AVDISCARD_ALL;
    s->number = -1;
    s->next_number = 0;
    s->at_start = true;
    s->wants_key = s->draining = s->any_numbered = s->shows_damage = false;
    forget_position(s);
    atomic_store(&s->errors, 0);
    s->numbering = s->index.pts_unique ? BY_PTS : FROM_START;
    s->may_skip = !s->index.damaged && s->index.pts_unique && dec_nonref_can_be_skipped(s->stream);
    /* How a decoder covers up for damage depends on its threads. */
    unsigned threads = s->index.damaged ? 1 : work->job->threads;
    int err = dec_open_decoder(s->stream, threads, &s->errors, &s->decoder, &work->why);
    if (!err && s->index.damaged)
        s->decoder->get_buffer2 = get_clean_buffer;
    return err;
}

/* The same with a fresh demuxer. */
static int open_at_start(struct dec_session *s, struct dec_work *work)
{
    avcodec_free_context(&s->decoder);
    dec_media_close(base_steal_pointer(s->media));
    int err = dec_media_open(&s->source, &s->media, &work->why);
    return err ? err : begin(s, work);
}

static int session_open(struct dec_work *work, struct dec_session **ret)
{
    struct dec_session *s = calloc(1, sizeof *s);
    if (!s)
        return base_fail(&work->why, -ENOMEM, "out of memory");
    s->id = work->job->session;
    s->source = work->source;
    s->source.fd = fcntl(work->source.fd, F_DUPFD_CLOEXEC, 3);
    s->frame = av_frame_alloc();
    s->packet = av_packet_alloc();
    int err = s->source.fd >= 0 && s->frame && s->packet ? copy_index(work->index, &s->index) : -ENOMEM;
    if (err) {
        base_fail(&work->why, err, "out of memory");
    } else {
        s->media = dec_media_take(&s->source);
        err = s->media ? begin(s, work) : open_at_start(s, work);
    }
    if (err)
        session_destroy(s);
    else
        *ret = s;
    return err;
}

/* The session of an id, NULL = there is none. One that could not be opened anew is none. */
static struct dec_session *find_session(uint64_t id)
{
    for (int i = 0; i < MAX_SESSIONS; i++)
        if (sessions[i] && sessions[i]->id == id && sessions[i]->decoder)
            return sessions[i];
    return NULL;
}

bool dec_session_is_open(uint64_t id)
{
    return find_session(id) != NULL;
}

int dec_session_get(struct dec_work *work, struct dec_session **ret)
{
    struct dec_session *open = find_session(work->job->session);
    if (open) {
        open->last_used = ++use_counter;
        *ret = open;
        return 0;
    }
    int oldest = 0;
    for (int i = 0; i < MAX_SESSIONS; i++)
        if (!sessions[i] || (sessions[oldest] && sessions[i]->last_used < sessions[oldest]->last_used))
            oldest = i;
    session_destroy(base_steal_pointer(sessions[oldest]));
    int err = session_open(work, &sessions[oldest]);
    if (err)
        return err;
    sessions[oldest]->last_used = ++use_counter;
    *ret = sessions[oldest];
    return 0;
}

const struct dec_index *dec_session_index(const struct dec_session *s)
{
    return &s->index;
}

const AVStream *dec_session_stream(const struct dec_session *s)
{
    return s->stream;
}

void **dec_session_slot(struct dec_session *s, void (*free_slot)(void *))
{
    s->free_slot = free_slot;
    return &s->slot;
}

int dec_session_map(struct dec_session *s, struct dec_work *work, const struct dec_frame_map **ret)
{
    *ret = &s->map;
    return dec_frame_map_make(&s->map, &s->index, work);
}

/* ---- Finding frames ---- */

/* The last keyframe at or before a frame, or NULL. */
static const struct dec_key *key_before(const struct dec_index *index, uint32_t frame)
{
    uint32_t low = 0, high = index->n_keys;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (index->keys[middle].frame <= frame)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? &index->keys[low - 1] : NULL;
}

/* Where decoding has to start for a frame, NULL = at the file's beginning: frames with errors look as they do
 * because of all that was decoded before. */
static const struct dec_key *start_for(const struct dec_index *index, uint32_t frame)
{
    const struct dec_key *key = key_before(index, frame);
    return key && key->damaged ? NULL : key;
}

static int64_t frame_of_pts(const struct dec_index *index, int64_t pts)
{
    uint32_t low = 0, high = index->n_frames;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (index->frames[middle].pts < pts)
            low = middle + 1;
        else
            high = middle;
    }
    return low < index->n_frames && index->frames[low].pts == pts ? (int64_t)low : -1;
}

/* A keyframe of the index that this frame is, or NULL: same packet position. */
static const struct dec_key *key_at(const struct dec_index *index, const AVFrame *frame)
{
    if (!frame->key_frame || frame->pkt_pos < 0)
        return NULL;
    const struct dec_key *found = NULL;
    for (uint32_t i = 0; i < index->n_keys; i++) {
        if (index->keys[i].pos != frame->pkt_pos)
            continue;
        if (found)
            return NULL; /* several frames in one unit of the container */
        found = &index->keys[i];
    }
    return found;
}

/* Formats whose own index is searched by presentation time; the others' by decoding time. */
static bool seeks_by_pts(const struct dec_session *s)
{
    const char *name = s->media->format->iformat->name;
    return strstr(name, "mp4") || strstr(name, "matroska");
}

/* No frame refers to another, so that none is incomplete after a jump. */
static bool is_intra_only(const AVStream *stream)
{
    const AVCodecDescriptor *descriptor = avcodec_descriptor_get(stream->codecpar->codec_id);
    return descriptor && (descriptor->props & AV_CODEC_PROP_INTRA_ONLY);
}

/* Jumps to a keyframe. false: the container cannot. */
static bool seek_to(struct dec_session *s, const struct dec_key *key)
{
    int64_t time = seeks_by_pts(s) || key->dts == DEC_NO_PTS ? key->pts : key->dts;
    if (time == DEC_NO_PTS || s->seeks_lie)
        return false;
    if (av_seek_frame(s->media->format, s->stream->index, time, AVSEEK_FLAG_BACKWARD) < 0)
        return false;
    avcodec_flush_buffers(s->decoder);
    av_frame_unref(s->frame);
    forget_position(s);
    s->number = -1;
    s->next_number = s->index.pts_unique ? 0 : -1;
    s->numbering = s->index.pts_unique ? BY_PTS : FROM_KEY;
    s->at_start = s->draining = s->shows_damage = false;
    s->any_numbered = is_intra_only(s->stream);
    atomic_store(&s->errors, 0);
    s->wants_key = true;
    return true;
}

/* After a jump the frames before the keyframe may lack what they refer to: their errors mean nothing. */
static void note_error(struct dec_session *s, int averror)
{
    if (averror < 0 && averror != AVERROR(EAGAIN) && averror != AVERROR_EOF &&
        (s->at_start || s->any_numbered))
        s->shows_damage = true;
}

static int64_t pts_of(const struct dec_session *s, uint32_t frame)
{
    return frame < s->index.n_frames ? s->index.frames[frame].pts : INT64_MAX;
}

/* Whether a picture need not be decoded if no other refers to it: it stands before the wanted frame, or
 * between that and the one that is expected next. */
static bool can_be_left_out(struct dec_session *s, int64_t pts, uint32_t wanted)
{
    if (!s->may_skip || pts == AV_NOPTS_VALUE || pts == pts_of(s, wanted))
        return false;
    if (pts < pts_of(s, wanted))
        return true;
    if (s->expected == 0 || pts >= pts_of(s, s->expected))
        return false;
    s->left_out_pts = s->left_out ? BASE_MAX(s->left_out_pts, pts) : pts;
    s->left_out = true;
    return true;
}

static int read_packet(struct dec_session *s)
{
    if (!s->has_packet)
        return av_read_frame(s->media->format, s->packet);
    s->has_packet = false;
    return 0;
}

/* Feeds the next packet of the stream. 0, or AVERROR_EOF when the decoder has been told the end before. work:
 * NULL when nobody waits for `wanted`; then AVERROR(EAGAIN) where that may turn out not to be needed. */
static int feed(struct dec_session *s, struct dec_work *work, uint32_t wanted)
{
    while (!s->draining) {
        if (s->fed_last || read_packet(s) < 0) {
            s->draining = true;
            avcodec_send_packet(s->decoder, NULL);
            return 0;
        }
        if (work)
            work->progress(work, 0);
        bool key = s->packet->flags & AV_PKT_FLAG_KEY;
        bool ours = s->packet->stream_index == s->stream->index && s->packet->size > 0;
        if (ours && s->wants_key && !key)
            ours = false;
        if (!ours) {
            av_packet_unref(s->packet);
            continue;
        }
        s->wants_key = false;
        if (!work && s->packet->pts >= pts_of(s, wanted) && dec_packet_is_nonref(s->stream, s->packet)) {
            s->has_packet = true; /* whether it has to be decoded is known when a frame is asked for */
            return AVERROR(EAGAIN);
        }
        /* On the way to the wanted frame pictures that no other refers to need not be decoded. */
        bool skippable = can_be_left_out(s, s->packet->pts, wanted);
        if (skippable && dec_packet_is_nonref(s->stream, s->packet)) {
            av_packet_unref(s->packet);
            continue;
        }
        s->decoder->skip_frame = skippable ? AVDISCARD_NONREF : AVDISCARD_DEFAULT;
        /* Nothing behind it is wanted: it need not wait in the decoder for others. */
        s->fed_last = s->may_skip && !s->index.counted && dec_packets_are_frames(s->stream) &&
                      s->expected == UINT32_MAX && s->packet->pts == pts_of(s, wanted);
        note_error(s, avcodec_send_packet(s->decoder, s->packet));
        av_packet_unref(s->packet);
        return 0;
    }
    return AVERROR_EOF;
}

/* A keyframe has to stand where the index says: a container that counts its packets may count otherwise after
 * a jump over damage. */
static bool stands_elsewhere(const struct dec_session *s)
{
    const struct dec_key *key =
        s->frame->key_frame && s->number >= 0 ? key_before(&s->index, (uint32_t)s->number) : NULL;
    return key && key->frame == s->number && key->pos >= 0 && s->frame->pkt_pos >= 0 &&
           key->pos != s->frame->pkt_pos;
}

/* Numbers the frame that just came out. */
static void number_frame(struct dec_session *s)
{
    switch (s->numbering) {
    case BY_PTS:
        s->number = frame_of_pts(&s->index, s->frame->best_effort_timestamp);
        if (!s->at_start && stands_elsewhere(s))
            s->seeks_lie = true;
        if (s->number >= 0)
            s->next_number = s->number + 1;
        return;
    case FROM_KEY: {
        const struct dec_key *key = s->next_number < 0 ? key_at(&s->index, s->frame) : NULL;
        if (key)
            s->next_number = key->frame;
        break;
    }
    case FROM_START:
        break;
    }
    s->number = s->next_number;
    if (s->next_number >= 0)
        s->next_number++;
}

/* Looks at the frame that just came out and at what the decoder said until then. */
static bool shows_damage(struct dec_session *s)
{
    if (!s->at_start && !s->any_numbered)
        atomic_store(&s->errors, 0);
    s->any_numbered = s->any_numbered || s->number >= 0;
    bool shows = s->frame->decode_error_flags || atomic_load(&s->errors) > 0;
    s->shows_damage = s->shows_damage || (shows && (s->at_start || s->any_numbered));
    return s->shows_damage;
}

/* Takes the next frame out of the decoder: 0; -EAGAIN when it wants a packet; -EIO where an error stands for
 * a frame (at the stream's end others may follow; FFmpeg bounds their number); -ENOENT at the end; -EBADMSG
 * when damage shows that the index does not know of. */
static int take_frame(struct dec_session *s)
{
    av_frame_unref(s->frame);
    s->number = -1;
    int got = avcodec_receive_frame(s->decoder, s->frame);
    note_error(s, got);
    if (got < 0)
        return got == AVERROR(EAGAIN) ? -EAGAIN : got == AVERROR_EOF ? -ENOENT : -EIO;
    s->n_decoded++;
    number_frame(s);
    if (shows_damage(s) && !s->index.counted)
        return -EBADMSG;
    return s->seeks_lie && !s->at_start ? -ENOENT : 0;
}

/* Decodes on to frame `wanted`. 0, -ENOENT when it went by or the end came, or -EBADMSG. */
static int decode_to(struct dec_session *s, struct dec_work *work, uint32_t wanted)
{
    s->underway = false;
    for (;;) {
        int err = take_frame(s);
        if (err == -EAGAIN && feed(s, work, wanted) < 0)
            return -ENOENT;
        if (err == -EIO)
            (void)feed(s, work, wanted);
        if (err == -EAGAIN || err == -EIO)
            continue;
        if (!err && s->number < wanted)
            continue;
        /* A field may lack the other one, which was in another packet. */
        if (!err && (s->number > wanted || (s->fed_last && s->frame->interlaced_frame)))
            err = -ENOENT;
        if (err)
            s->expected = 0;
        return err;
    }
}

void dec_session_expect(struct dec_session *s, uint32_t next)
{
    s->expected = next;
    if (next > 0)
        onward = s;
    else if (onward == s)
        onward = NULL;
}

static bool step_onward(struct dec_session *s)
{
    if (s->expected >= s->index.n_frames || s->next_number < 0 || s->number >= (int64_t)s->expected)
        return false;
    const struct dec_key *key = key_before(&s->index, s->expected);
    if (key && key->frame > s->next_number)
        return false; /* there it will be found from that keyframe */
    int err = take_frame(s);
    s->underway = err == -EAGAIN;
    return err == -EAGAIN ? feed(s, NULL, s->expected) == 0 : err == 0;
}

bool dec_session_go_onward(void)
{
    if (onward && !step_onward(onward))
        onward = NULL;
    return onward != NULL;
}

/* Whether frames that come out after a jump may look different from those of one pass: then the jump is not
 * used. */
static bool looks_damaged(const struct dec_session *s)
{
    return !s->at_start && (s->frame->flags & AV_FRAME_FLAG_CORRUPT);
}

/* True when going on from here is at least as near as any keyframe. */
static bool can_go_on(const struct dec_session *s, const struct dec_key *key, uint32_t frame)
{
    if (s->draining && (s->next_number < 0 || s->fed_last))
        return false;
    if (s->left_out && s->index.frames[frame].pts <= s->left_out_pts)
        return false;
    if (s->next_number < 0 || s->next_number > frame || (s->number < 0 && !s->underway))
        return s->at_start && s->next_number == 0 && (!key || key->frame == 0);
    return !key || key->frame <= s->next_number;
}

int dec_session_frame(struct dec_session *s, struct dec_work *work, uint32_t frame, const AVFrame **ret)
{
    if (frame >= s->index.n_frames)
        return base_fail(&work->why, -EIO, "frame %u of %u", frame, s->index.n_frames);
    int err = -ENOENT;
    const struct dec_key *key = start_for(&s->index, frame);
    if (s->number == frame)
        err = 0;
    else if (can_go_on(s, key, frame))
        err = decode_to(s, work, frame);
    /* From the keyframe before it, then from earlier and earlier ones, at last from the file's beginning. */
    for (int step = 1; err == -ENOENT || (err == 0 && looks_damaged(s)); step *= 4) {
        if (!key || !seek_to(s, key)) {
            err = open_at_start(s, work);
            if (!err)
                err = decode_to(s, work, frame);
            break;
        }
        err = decode_to(s, work, frame);
        if (key == s->index.keys)
            key = NULL;
        else
            key = key - s->index.keys > step ? key - step : s->index.keys;
    }
    work->reply->n_decoded += s->n_decoded;
    s->n_decoded = 0;
    if (err == -EBADMSG)
        return base_fail(&work->why, -ENOENT, "errors in decoding up to frame %u", frame);
    if (err == -ENOENT)
        return base_fail(&work->why, err, "decoding does not find frame %u", frame);
    if (err)
        return err;
    *ret = s->frame;
    return 0;
}

int dec_session_keyframe(struct dec_session *s, struct dec_work *work, uint32_t key, const AVFrame **ret)
{
    const struct dec_key *k = &s->index.keys[key];
    bool at_start = s->at_start && s->next_number == 0 && s->number < 0 && k->frame == 0;
    if (at_start || seek_to(s, k)) {
        (void)feed(s, work, k->frame);
        /* Ask for what is held back for reordering; after that only a seek can go on. */
        s->draining = true;
        avcodec_send_packet(s->decoder, NULL);
        av_frame_unref(s->frame);
        int got = avcodec_receive_frame(s->decoder, s->frame);
        bool right = got >= 0 && (k->pos < 0 || s->frame->pkt_pos == k->pos) &&
                     !s->frame->decode_error_flags && !k->damaged;
        s->number = s->next_number = -1;
        s->at_start = false;
        if (right) {
            work->reply->n_decoded++;
            *ret = s->frame;
            return 0;
        }
    }
    return dec_session_frame(s, work, k->frame, ret);
}
