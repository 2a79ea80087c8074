/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which decoded frame each output frame shows.
 *
 * What has to be matched is ffmpeg 5.1's command line, which is documented for its users (-fps_mode, the fps
 * filter) and whose exact decisions these functions restate: a frame lands at the nearest tick of the output
 * rate, is shown again for as long as more than 1.1 ticks are missing, and dropped when it lies more than 1.1
 * ticks behind. The tests compare with the program itself over many files.
 */
#include "decoders/index.h"

#include <errno.h>
#include <math.h>

/* Products of times do not fit 64 bits. */
__extension__ typedef __int128 wide;

struct rational {
    int64_t num, den;
};

/* a units of `from` in units of `to`, rounded to nearest, halves away from zero; within +-2^62. */
static int64_t rescale(int64_t a, struct rational from, struct rational to)
{
    wide num = (wide)a * from.num * to.den;
    wide den = (wide)from.den * to.num;
    wide half = den / 2;
    wide result = num >= 0 ? (num + half) / den : -((-num + half) / den);
    const wide limit = (wide)1 << 62;
    return (int64_t)(result > limit ? limit : result < -limit ? -limit : result);
}

static int log2_floor(int64_t value)
{
    return value > 0 ? 63 - __builtin_clzll((unsigned long long)value) : 0;
}

struct map {
    uint32_t *frames;
    size_t n, cap;
};

static int map_add(struct map *map, uint32_t frame, int64_t times)
{
    if (times <= 0)
        return 0;
    if (times > (int64_t)DEC_MAX_FRAMES - (int64_t)map->n)
        return -EFBIG;
    if (map->n + (size_t)times > map->cap) {
        size_t cap = BASE_MAX(BASE_MAX(map->cap * 2, map->n + (size_t)times), (size_t)256);
        uint32_t *frames = realloc(map->frames, cap * sizeof *frames);
        if (!frames)
            return -ENOMEM;
        map->frames = frames;
        map->cap = cap;
    }
    for (int64_t i = 0; i < times; i++)
        map->frames[map->n++] = frame;
    return 0;
}

/* The state of constant-rate output. Times are in ticks: one output frame is one tick. */
struct constant_rate {
    struct rational tick;  /* seconds a tick */
    bool keeps_gap_out;    /* no repeated frames for a late start */
    int64_t next_tick;     /* where the next output frame goes */
    int64_t repeats[3];    /* how often the previous frame was repeated, for the last three frames */
    int64_t last;          /* frame shown last, -1 = none yet */
    bool any;              /* something was written */
    bool last_was_dropped; /* the last frame has not been shown itself */
    struct map map;
};

/* pts in ticks with 1/65536 of resolution, as far as that fits; moved off exact halves. */
static double to_ticks(int64_t pts, struct rational unit, struct rational tick)
{
    int bits = 29 - log2_floor(tick.den);
    bits = bits < 0 ? 0 : bits > 16 ? 16 : bits;
    struct rational fine = {tick.num, tick.den << bits};
    double ticks = (double)rescale(pts, unit, fine) / (double)(1 << bits);
    if (ticks > 0)
        ticks += 1.0 / (1 << 17);
    else if (ticks < 0)
        ticks -= 1.0 / (1 << 17);
    return ticks;
}

static int emit(struct constant_rate *c, uint32_t frame, int64_t n, int64_t n_previous)
{
    int64_t before = c->last >= 0 ? BASE_MIN(n_previous, n) : 0;
    int err = 0;
    if (before > 0)
        err = map_add(&c->map, (uint32_t)c->last, before);
    if (!err)
        err = map_add(&c->map, frame, n - before);
    c->next_tick += BASE_MAX(n, 0);
    c->any = c->any || n > 0;
    c->last = frame;
    return err;
}

/* More repetitions than this of one frame are taken for a broken time, and the frame is left out. */
static const int64_t max_repeats = INT64_C(3600) * 30 * 30;

static int constant_rate_frame(struct constant_rate *c, uint32_t frame, double ticks, double duration)
{
    double late = ticks - (double)c->next_tick; /* how far behind the writing position the frame starts */
    double end = late + duration;
    if (late < 0 && end > 0) {
        ticks = (double)c->next_tick;
        duration += late;
        late = 0;
    }
    if (c->keeps_gap_out && !c->any && late >= 0.5) {
        end = duration;
        late = 0;
        c->next_tick = llrint(ticks);
    }
    int64_t n = 1, n_previous = 0;
    if (end < -1.1) {
        n = 0;
    } else if (end > 1.1) {
        n = lrintf((float)end);
        if (late > 1.1)
            n_previous = llrintf((float)(late - 0.6));
    }
    n_previous = BASE_MIN(n_previous, n);
    c->repeats[2] = c->repeats[1];
    c->repeats[1] = c->repeats[0];
    c->repeats[0] = n_previous;
    if (n > (int64_t)(n_previous && c->last_was_dropped) + (n > n_previous) && n > max_repeats)
        return 0;
    c->last_was_dropped = n == n_previous;
    return emit(c, frame, n, n_previous);
}

static int64_t median3(const int64_t v[3])
{
    int64_t low = BASE_MIN(v[0], v[1]), high = BASE_MAX(v[0], v[1]);
    return v[2] < low ? low : v[2] > high ? high : v[2];
}

/* At the end the last frame is repeated as often as is usual in this file. */
static int constant_rate_end(struct constant_rate *c)
{
    int64_t n = median3(c->repeats);
    if (c->last < 0 || n <= 0 || n > max_repeats)
        return 0;
    return map_add(&c->map, (uint32_t)c->last, n);
}

static struct rational output_tick(const struct dec_index *index)
{
    if (index->rate_num > 0 && index->rate_den > 0)
        return (struct rational){index->rate_den, index->rate_num};
    return (struct rational){1, 25}; /* ffmpeg's default where nothing tells a rate */
}

static int map_cfr(const struct dec_index *index, bool has_filters, struct constant_rate *c)
{
    struct rational unit = {index->tb_num, index->tb_den};
    c->tick = output_tick(index);
    double nominal = index->rate_num > 0 && index->rate_den > 0 ? 1.0 : 0.0;
    double unit_seconds = (double)unit.num / (double)unit.den;
    double tick_seconds = (double)c->tick.num / (double)c->tick.den;
    int err = 0;
    for (uint32_t i = 0; !err && i < index->n_frames; i++) {
        const struct dec_frame *f = &index->frames[i];
        if (f->pts == DEC_NO_PTS) {
            /* Its time counts as infinitely early: dropped, but it becomes the picture that is repeated. */
            err = constant_rate_frame(c, i, -9.2e18, nominal);
            continue;
        }
        double duration = nominal;
        long own = lrintf((float)((double)f->duration * unit_seconds / tick_seconds));
        if (!has_filters && own > 0)
            duration = (double)own;
        err = constant_rate_frame(c, i, to_ticks(f->pts - index->start_pts, unit, c->tick), duration);
    }
    return err ? err : constant_rate_end(c);
}

/* The fps filter: an output frame shows the last input frame that starts at or before it, times rounded to
 * nearest ticks; then constant-rate output at that rate. */
static int map_fps(const struct dec_index *index, struct rational fps, struct constant_rate *c)
{
    struct rational unit = {index->tb_num, index->tb_den}, microsecond = {1, 1000000};
    c->tick = (struct rational){fps.den, fps.num};
    int64_t end = rescale(rescale(index->end_us, microsecond, unit), unit, c->tick);
    int64_t next = DEC_NO_PTS;
    uint64_t steps = 0; /* of all frames */
    int err = 0;
    for (uint32_t i = 0; !err && i < index->n_frames; i++) {
        if (index->frames[i].pts == DEC_NO_PTS)
            continue;
        int64_t from = rescale(index->frames[i].pts - index->start_pts, unit, c->tick);
        uint32_t following = i + 1;
        while (following < index->n_frames && index->frames[following].pts == DEC_NO_PTS)
            following++;
        int64_t to = following < index->n_frames
                         ? rescale(index->frames[following].pts - index->start_pts, unit, c->tick)
                         : end;
        if (next == DEC_NO_PTS)
            next = from;
        /* The difference of two times need not fit a signed one. */
        uint64_t wanted = next < to ? (uint64_t)to - (uint64_t)next : 0;
        if (wanted > DEC_MAX_FRAMES - steps)
            return -EFBIG;
        for (steps += wanted; !err && next < to; next++)
            err = constant_rate_frame(c, i, to_ticks(next, c->tick, c->tick), 1.0);
    }
    return err ? err : constant_rate_end(c);
}

static int64_t to_us(int64_t time, struct rational unit)
{
    const struct rational microsecond = {1, 1000000};
    return rescale(time, unit, microsecond);
}

/* Of output frames: decoded ones have a time of their own, or none. */
static bool has_time(const struct dec_index *index, const struct dec_frames_spec *spec, size_t i)
{
    return spec->timing != DEC_PASSTHROUGH || index->frames[i].pts != DEC_NO_PTS;
}

/* It, from the beginning. */
static int64_t frame_us(const struct dec_index *index, const struct dec_frames_spec *spec,
                        const struct constant_rate *c, size_t i)
{
    const struct rational unit = {index->tb_num, index->tb_den};
    if (spec->timing != DEC_PASSTHROUGH)
        return to_us((int64_t)i, c->tick);
    return has_time(index, spec, i) ? to_us(index->frames[i].pts - index->start_pts, unit) : 0;
}

/* Leaves in the map what a spec cuts out, and returns how many frames were before that. Times ascend, so it
 * is one run of frames; one without a time has that of the frame before. */
static size_t cut(const struct dec_index *index, const struct dec_frames_spec *spec, struct constant_rate *c)
{
    if (spec->from_us == 0 && spec->to_us == 0)
        return 0;
    const struct rational tick = spec->timing == DEC_PASSTHROUGH ? output_tick(index) : c->tick;
    int64_t half = to_us(1, tick) / 2;
    size_t first = 0, end = c->map.n;
    for (int64_t us = 0; first < end; first++) {
        us = has_time(index, spec, first) ? frame_us(index, spec, c, first) : us;
        if (us + half >= spec->from_us)
            break;
    }
    while (end > first) {
        size_t timed = end - 1;
        while (timed > 0 && !has_time(index, spec, timed))
            timed--;
        if (frame_us(index, spec, c, timed) + half < spec->to_us)
            break;
        end = BASE_MAX(timed, first);
    }
    memmove(c->map.frames, c->map.frames + first, (end - first) * sizeof *c->map.frames);
    c->map.n = end - first;
    return first;
}

/* Leaves the frames that have a box, of which the first in the map has the number `first`. 0 or -ENOMEM. */
static int take_boxed(const struct base_box *boxes, uint32_t n_boxes, uint64_t first, struct map *map,
                      uint32_t **ret_box)
{
    size_t n = 0;
    uint32_t at = 0;
    *ret_box = malloc((map->n + 1) * sizeof **ret_box);
    if (!*ret_box)
        return -ENOMEM;
    for (size_t i = 0; i < map->n; i++) {
        while (at < n_boxes && boxes[at].frame < first + i)
            at++;
        if (at == n_boxes || boxes[at].frame > first + i)
            continue;
        map->frames[n] = map->frames[i];
        (*ret_box)[n++] = at;
    }
    map->n = n;
    return 0;
}

/* All frames that the timing gives. */
static int map_all(const struct dec_index *index, const struct dec_frames_spec *spec, struct constant_rate *c)
{
    bool has_filters = spec->size[0] || spec->crop[0] || spec->boxed;
    int err = 0;
    switch ((enum dec_timing)spec->timing) {
    case DEC_CFR:
        return map_cfr(index, has_filters, c);
    case DEC_FPS:
        return map_fps(index, (struct rational){spec->fps_num, spec->fps_den}, c);
    case DEC_PASSTHROUGH:
        for (uint32_t i = 0; !err && i < index->n_frames; i++)
            err = map_add(&c->map, i, 1);
        break;
    }
    return err;
}

int dec_boxed_map(const struct dec_index *index, const struct dec_frames_spec *spec,
                  const struct base_box *boxes, uint32_t n_boxes, uint32_t **ret_map, uint32_t **ret_box,
                  uint32_t *ret_n)
{
    struct constant_rate c = {.last = -1, .keeps_gap_out = index->only_stream};
    uint32_t *box = NULL;
    size_t first = 0;
    int err = map_all(index, spec, &c);
    if (!err && c.map.n > 0)
        first = cut(index, spec, &c);
    if (!err && spec->boxed)
        err = take_boxed(boxes, n_boxes, spec->boxed == DEC_BOXED_WHOLE ? first : 0, &c.map, &box);
    uint32_t n = (uint32_t)c.map.n, n_box = n;
    if (!err)
        err = dec_sample(spec, &c.map.frames, &n);
    if (!err && box)
        err = dec_sample(spec, &box, &n_box);
    if (err) {
        free(c.map.frames);
        free(box);
        return err;
    }
    *ret_map = c.map.frames;
    *ret_box = box;
    *ret_n = spec->flow && n > 0 ? n - 1 : n;
    return 0;
}

int dec_timing_map(const struct dec_index *index, const struct dec_frames_spec *spec, uint32_t **ret_map,
                   uint32_t *ret_n)
{
    uint32_t *none = NULL;
    int err = dec_boxed_map(index, spec, NULL, 0, ret_map, &none, ret_n);
    if (!err)
        free(none);
    return err;
}
