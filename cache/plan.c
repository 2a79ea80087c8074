/* SPDX-License-Identifier: Apache-2.0 */
/* How frames are cut into segments, and how much is made for one read. */
#include "cache/private.h"

#include <errno.h>

static bool is_key(const struct dec_index *index, uint32_t *next_key, uint32_t frame)
{
    while (*next_key < index->n_keys && index->keys[*next_key].frame < frame)
        ++*next_key;
    return *next_key < index->n_keys && index->keys[*next_key].frame == frame;
}

/* A segment ends at a keyframe when it has at least a quarter of its full length by then (so that all-key
 * codecs do not give segments of one frame), or when it is full. */
int plan_starts(const struct dec_index *index, const uint32_t *map, uint32_t n, uint32_t max_frames,
                uint32_t **ret_starts, uint32_t *ret_n)
{
    uint32_t *starts = NULL, n_starts = 0, cap = 0, next_key = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t length = n_starts > 0 ? i - starts[n_starts - 1] : 0;
        bool repeats = i > 0 && map[i] == map[i - 1];
        bool key = !repeats && is_key(index, &next_key, map[i]);
        if (i > 0 && length < max_frames && !(key && length * 4 >= max_frames))
            continue;
        if (n_starts == cap) {
            cap = cap ? cap * 2 : 8;
            uint32_t *larger = realloc(starts, cap * sizeof *starts);
            if (!larger) {
                free(starts);
                return -ENOMEM;
            }
            starts = larger;
        }
        starts[n_starts++] = i;
    }
    *ret_starts = starts;
    *ret_n = n_starts;
    return 0;
}

static uint32_t segment_number(const struct clip_view *v, uint32_t frame)
{
    uint32_t low = 0, high = v->n_starts;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (v->starts[middle] <= frame)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static uint32_t segment_end(const struct clip_view *v, uint32_t number)
{
    return (number + 1 < v->n_starts ? v->starts[number + 1] : v->n_frames) - 1;
}

void plan_segment(const struct clip_view *v, uint32_t frame, uint32_t *ret_first, uint32_t *ret_last)
{
    uint32_t number = segment_number(v, frame);
    if (v->n_starts == 0) { /* a wave: each block is one */
        *ret_first = *ret_last = frame;
        return;
    }
    *ret_first = v->starts[number];
    *ret_last = segment_end(v, number);
}

/*
 * A lone read pays for its own frame. A read that goes on where the last one was, or that comes back to a
 * segment of which a lone frame was asked for before, gets the whole segment; in an ascending run the next
 * one is begun as well.
 *
 * That many readers of one segment cause one job, whatever their order, is seen to in jobs.c: a segment has
 * one task, whose job makes the lone frame first. If by then another frame of the segment is wanted, or
 * frames of other segments of this clip are being made, the job goes on with the whole segment; it lingers
 * for those who are about to ask, unless its worker is needed. A read after that is a new job.
 *
 * A run is of reads that each came after the last was answered, one frame further. Readers at the same time
 * are none, even where one comes by chance right after another: a frame that nobody reads would be made for
 * them.
 *
 * A reader who goes forward in steps, to take 16 frames of a clip, say, pays for these alone, even where two
 * of them are of one segment: decoding goes on from one to the next.
 */
enum { LEAST_STRIDE = 4 };

/* Steps that are equal but for rounding go on: who takes 16 frames of 250 goes by 15 or 16. Half of such a
 * step is safe to be gone ahead. */
static void note_step(struct clip_view *v, uint32_t step)
{
    bool equal = step > 0 && v->step > 0 && step + 1 >= v->step && step <= v->step + 1;
    v->onward = equal ? BASE_MIN(step, v->step) / 2 : 0;
    v->step = step;
}

void plan_asked_locked(struct clip_view *v, uint32_t frame, uint64_t reader)
{
    if (frame == v->last_asked)
        return;
    v->strides = reader != 0 && reader == v->last_reader && v->last_answered == v->last_asked &&
                 frame > v->last_asked && frame - v->last_asked >= LEAST_STRIDE;
    note_step(v, v->strides ? frame - v->last_asked : 0);
    v->last_reader = reader;
    bool goes_on = frame == v->last_asked + 1 && v->last_answered == v->last_asked;
    /* Who begins with the first frame is believed earlier. */
    v->run = goes_on ? v->run + 1 : frame == 0;
    v->last_asked = frame;
}

bool plan_answered_locked(struct clip_view *v, uint32_t frame)
{
    bool news = v->last_answered != frame;
    v->last_answered = frame;
    bool begins = v->starts[segment_number(v, frame)] == frame;
    return news && (v->run == 2 || (v->run > 2 && begins));
}

/* Readers who share a clip come to a segment with one of its first frames. */
enum { FIRST_FRAMES = 4 };

bool plan_kept_locked(struct clip_view *v, uint32_t frame)
{
    uint32_t number = segment_number(v, frame), before = v->kept;
    v->kept = number + 1;
    bool goes_on = number == before || (number == 0 && before != 1);
    return goes_on && frame - v->starts[number] < FIRST_FRAMES;
}

uint32_t plan_read_locked(struct clip_view *v, uint32_t frame, bool *ret_ahead)
{
    uint32_t number = segment_number(v, frame);
    bool ascending = frame > 0 && v->run > 0;
    bool again =
        !v->strides && v->lone > 0 && v->lone != frame + 1 && segment_number(v, v->lone - 1) == number;
    *ret_ahead = v->run >= 2;
    if (ascending || again)
        return 0;
    v->lone = frame + 1;
    return v->lone;
}

/*
 * Rows of an array are not read one by one, but in pages, and a page, or what the kernel reads around it,
 * reaches into the rows beside the one that is wanted. So a lone row is made with its neighbours, in one job,
 * or, where rows are small, with its segment; and only more rows than that are a run.
 */
static uint32_t run_of_rows(const struct clip_view *v)
{
    return 2 * v->beside + 2;
}

bool plan_in_run(const struct clip_view *v)
{
    return v->run >= run_of_rows(v);
}

/* Of a run the kernel reads several pieces at once, and the threads that answer them overtake each other. */
static bool is_overtaken(const struct clip_view *v, uint32_t first)
{
    const uint32_t low = v->last_asked - BASE_MIN(v->last_asked, v->at_once),
                   high = v->last_asked + v->at_once;
    return plan_in_run(v) && first >= low && first <= high;
}

void plan_rows_asked_locked(struct clip_view *v, uint32_t first, uint32_t last, uint64_t reader, bool habit)
{
    uint32_t steps = last > first ? last - first : 0;
    if (is_overtaken(v, first)) {
        v->last_asked = BASE_MAX(v->last_asked, last);
        return;
    }
    if (first == v->last_asked || first == v->last_asked + 1) {
        v->run += steps + (first != v->last_asked);
    } else {
        v->strides = reader != 0 && reader == v->last_reader && first > v->last_asked &&
                     first - v->last_asked >= LEAST_STRIDE;
        /* Who begins with the first row is believed earlier. */
        v->run = steps + (first > 0 ? 0 : habit ? run_of_rows(v) : run_of_rows(v) / 2);
    }
    v->last_reader = reader;
    v->last_asked = last;
}

bool plan_rows_locked(struct clip_view *v, uint32_t row)
{
    uint32_t lone = v->lone - 1, distance = row > lone ? row - lone : lone - row;
    bool again = v->lone > 0 && !v->strides && distance > 2 * v->beside &&
                 segment_number(v, lone) == segment_number(v, row);
    if (plan_in_run(v) || again || v->beside == 0)
        return true;
    v->lone = row + 1;
    return false;
}

void plan_lone_row(const struct clip_view *v, uint32_t row, uint32_t *ret_first, uint32_t *ret_last)
{
    uint32_t begin, end;
    plan_segment(v, row, &begin, &end);
    *ret_first = row - BASE_MIN(row - begin, v->beside);
    *ret_last = row + BASE_MIN(end - row, v->beside);
}
