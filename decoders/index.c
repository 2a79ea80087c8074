/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/index.h"

#include <errno.h>

/* First bytes of every packed index; the digit is the format's version. */
static const char magic[8] = "cfsidx2";

void dec_index_finish(struct dec_index *index)
{
    free(index->frames);
    free(index->keys);
    *index = (struct dec_index){.video_stream = -1, .audio_stream = -1, .text_stream = -1};
}

/* Sums and differences of times that may be anything: they wrap. */
static int64_t plus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t minus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

/* A time that may be missing, as a difference: DEC_NO_PTS is 0, every difference d is d + 1 above 0 and d
 * below. */
static void put_time(struct base_bytes *out, int64_t value, int64_t reference)
{
    if (value == DEC_NO_PTS) {
        base_bytes_put_i64(out, 0);
        return;
    }
    int64_t difference = minus(value, reference);
    base_bytes_put_i64(out, difference >= 0 ? plus(difference, 1) : difference);
}

static int64_t get_time(struct base_reader *in, int64_t reference)
{
    int64_t coded = base_reader_i64(in);
    if (coded == 0)
        return DEC_NO_PTS;
    return plus(reference, coded > 0 ? coded - 1 : coded);
}

/* Frames: second differences of pts and differences of duration, with run lengths: a constant frame rate
 * takes a few bytes in all. */
static void pack_frames(const struct dec_index *index, struct base_bytes *out)
{
    int64_t last_pts = 0, last_step = 0, last_duration = 0;
    uint32_t run = 0;
    for (uint32_t i = 0; i < index->n_frames; i++) {
        const struct dec_frame *f = &index->frames[i];
        bool predicted =
            f->pts != DEC_NO_PTS && f->pts == plus(last_pts, last_step) && f->duration == last_duration;
        if (predicted) {
            run++;
        } else {
            base_bytes_put_u64(out, run);
            put_time(out, f->pts, plus(last_pts, last_step));
            base_bytes_put_i64(out, minus(f->duration, last_duration));
            run = 0;
        }
        if (f->pts != DEC_NO_PTS) {
            last_step = minus(f->pts, last_pts);
            last_pts = f->pts;
        }
        last_duration = f->duration;
    }
    base_bytes_put_u64(out, run);
}

/* frames == NULL: only checks that there are n. */
static bool unpack_frames(struct base_reader *in, struct dec_frame *frames, uint32_t n)
{
    int64_t last_pts = 0, last_step = 0, last_duration = 0;
    uint32_t i = 0;
    for (;;) {
        uint64_t run = base_reader_u64(in);
        if (in->failed || run > n - i)
            return false;
        for (uint64_t j = 0; frames && j < run; j++) {
            last_pts = plus(last_pts, last_step);
            frames[i + j] = (struct dec_frame){last_pts, last_duration};
        }
        i += (uint32_t)run;
        if (i == n)
            return true;
        int64_t pts = get_time(in, plus(last_pts, last_step));
        last_duration = plus(last_duration, base_reader_i64(in));
        if (frames)
            frames[i] = (struct dec_frame){pts, last_duration};
        i++;
        if (pts != DEC_NO_PTS) {
            last_step = minus(pts, last_pts);
            last_pts = pts;
        }
    }
}

static void pack_keys(const struct dec_index *index, struct base_bytes *out)
{
    struct dec_key last = {.pos = 0};
    for (uint32_t i = 0; i < index->n_keys; i++) {
        const struct dec_key *k = &index->keys[i];
        base_bytes_put_u64(out, k->frame - last.frame);
        put_time(out, k->pts, last.pts);
        put_time(out, k->dts, last.dts);
        put_time(out, k->pos < 0 ? DEC_NO_PTS : k->pos, last.pos);
        base_bytes_put_u64(out, (uint64_t)k->bytes << 1 | k->damaged);
        last.frame = k->frame;
        last.pts = k->pts == DEC_NO_PTS ? last.pts : k->pts;
        last.dts = k->dts == DEC_NO_PTS ? last.dts : k->dts;
        last.pos = k->pos < 0 ? last.pos : k->pos;
    }
}

static bool unpack_keys(struct base_reader *in, struct dec_index *index)
{
    struct dec_key last = {.pos = 0};
    for (uint32_t i = 0; i < index->n_keys; i++) {
        struct dec_key *k = &index->keys[i];
        uint64_t step = base_reader_u64(in);
        if (in->failed || (i > 0 && step == 0) || step >= index->n_frames - last.frame)
            return false;
        k->frame = last.frame + (uint32_t)step;
        k->pts = get_time(in, last.pts);
        k->dts = get_time(in, last.dts);
        k->pos = get_time(in, last.pos);
        uint64_t bytes = base_reader_u64(in);
        k->bytes = (uint32_t)(bytes >> 1);
        k->damaged = bytes & 1;
        if (bytes >> 33)
            return false;
        if (k->pos < 0)
            k->pos = -1;
        last.frame = k->frame;
        last.pts = k->pts == DEC_NO_PTS ? last.pts : k->pts;
        last.dts = k->dts == DEC_NO_PTS ? last.dts : k->dts;
        last.pos = k->pos < 0 ? last.pos : k->pos;
    }
    return !in->failed;
}

/* The scalar fields in their order on disk; `flags` are the four bools. */
/* clang-format off */
#define FOR_EACH_FIELD(DO) \
    DO(duration_us) \
    DO(video_stream) \
    DO(width) \
    DO(height) \
    DO(tb_num) \
    DO(tb_den) \
    DO(rate_num) \
    DO(rate_den) \
    DO(start_pts) \
    DO(end_us) \
    DO(largest_packet) \
    DO(n_frames) \
    DO(n_keys) \
    DO(audio_stream) \
    DO(audio_rate) \
    DO(audio_channels) \
    DO(audio_samples) \
    DO(audio_start_us) \
    DO(text_stream)
/* clang-format on */

void dec_index_pack(const struct dec_index *index, struct base_bytes *out)
{
    base_bytes_append(out, magic, sizeof magic);
    base_bytes_put_u64(out, (index->only_stream ? 1u : 0u) | (index->counted ? 2u : 0u) |
                                (index->pts_unique ? 4u : 0u) | (index->damaged ? 8u : 0u));
#define PUT(field) base_bytes_put_i64(out, index->field);
    FOR_EACH_FIELD(PUT)
#undef PUT
    pack_frames(index, out);
    pack_keys(index, out);
}

/* Far more than any file means, and far enough from the ends of the type that differences fit it. */
static bool is_time(int64_t t)
{
    const int64_t limit = INT64_C(1) << 60;
    return t >= -limit && t <= limit;
}

static bool scalars_are_sane(const struct dec_index *index)
{
    const int64_t year_us = INT64_C(31556952000000);
    if (index->duration_us < 0 || index->duration_us > year_us || !is_time(index->start_pts) ||
        !is_time(index->end_us))
        return false;
    if (index->video_stream >= 0) {
        if (index->width < 1 || index->height < 1 || index->width > 32768 || index->height > 32768)
            return false;
        if (index->tb_num < 1 || index->tb_den < 1 || index->rate_num < 0 || index->rate_den < 0)
            return false;
    } else if (index->n_frames > 0) {
        return false;
    }
    if (index->n_frames > DEC_MAX_FRAMES || index->n_keys > index->n_frames)
        return false;
    if (index->audio_stream >= 0 &&
        (index->audio_rate < 1 || index->audio_rate > 768000 || index->audio_channels < 1 ||
         index->audio_channels > 64 || index->audio_samples < 0 ||
         index->audio_samples / index->audio_rate > year_us / 1000000))
        return false;
    return true;
}

static bool frames_are_sane(const struct dec_index *index)
{
    for (uint32_t i = 0; i < index->n_frames; i++) {
        const struct dec_frame *f = &index->frames[i];
        if (f->duration < 0 || !is_time(f->duration) || (f->pts != DEC_NO_PTS && !is_time(f->pts)))
            return false;
        if (index->pts_unique && (f->pts == DEC_NO_PTS || (i > 0 && f->pts <= f[-1].pts)))
            return false;
    }
    return true;
}

int dec_index_unpack(const uint8_t *data, size_t len, struct dec_index *ret)
{
    struct base_reader in = {.next = data, .end = data + len};
    char found[sizeof magic];
    base_reader_copy(&in, found, sizeof found);
    if (in.failed || memcmp(found, magic, sizeof magic) != 0)
        return -EPROTO;
    struct dec_index index = {0};
    uint64_t flags = base_reader_u64(&in);
    index.only_stream = flags & 1;
    index.counted = flags & 2;
    index.pts_unique = flags & 4;
    index.damaged = flags & 8;
#define GET(field)                                                                                           \
    {                                                                                                        \
        int64_t value = base_reader_i64(&in);                                                                \
        index.field = (__typeof__(index.field))value;                                                        \
        if ((int64_t)index.field != value)                                                                   \
            return -EPROTO;                                                                                  \
    }
    FOR_EACH_FIELD(GET)
#undef GET
    /* Nothing is allocated for frames and keys that are not there. */
    const size_t key_bytes = 5;
    struct base_reader ahead = in;
    if (in.failed || !scalars_are_sane(&index) || !unpack_frames(&ahead, NULL, index.n_frames) ||
        index.n_keys > (size_t)(ahead.end - ahead.next) / key_bytes)
        return -EPROTO;
    index.frames = calloc((size_t)index.n_frames + 1, sizeof *index.frames);
    index.keys = calloc((size_t)index.n_keys + 1, sizeof *index.keys);
    int err = index.frames && index.keys ? 0 : -ENOMEM;
    if (!err &&
        (!unpack_frames(&in, index.frames, index.n_frames) || !unpack_keys(&in, &index) || in.next != in.end))
        err = -EPROTO;
    if (!err && !frames_are_sane(&index))
        err = -EPROTO;
    if (err)
        dec_index_finish(&index);
    else
        *ret = index;
    return err;
}
