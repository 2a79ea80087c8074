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
    return (number + 1 < v->n_starts ? v->starts[number + 1] : v->n_files) - 1;
}

void plan_segment(const struct clip_view *v, uint32_t frame, uint32_t *ret_first, uint32_t *ret_last)
{
    uint32_t number = segment_number(v, frame);
    *ret_first = v->starts[number];
    *ret_last = segment_end(v, number);
}

/* A lone read pays for its own frame. A read that goes on where the last one was, or that comes back to a
 * segment of which a lone frame was made before, gets the whole segment; in an ascending run the next one is
 * begun as well. */
void plan_read_locked(struct clip_view *v, uint32_t frame, uint32_t *ret_first, uint32_t *ret_last,
                      bool *ret_ahead)
{
    uint32_t number = segment_number(v, frame);
    bool ascending = frame == v->last_frame + 1;
    bool again = v->lone_segment == number + 1;
    v->last_frame = frame;
    *ret_ahead = ascending && number + 1 < v->n_starts;
    if (ascending || again) {
        *ret_first = v->starts[number];
        *ret_last = segment_end(v, number);
        return;
    }
    v->lone_segment = number + 1;
    *ret_first = *ret_last = frame;
}
