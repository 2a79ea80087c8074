/* SPDX-License-Identifier: Apache-2.0 */
/* Which decoded frame, and which part of it, each output frame of a view shows: kept for the last view. */
#ifndef DECODERS_FRAME_MAP_H
#define DECODERS_FRAME_MAP_H

#include "decoders/media.h"

/* Zero-initialise; release with dec_frame_map_finish(). */
struct dec_frame_map {
    struct dec_frames_spec spec; /* that it is of */
    uint32_t n;
    uint32_t *sources;      /* decoded frames, ascending; NULL = nothing is known */
    struct base_box *boxes; /* parallel to them; NULL = the spec has none */
};

/* Makes it that of the job's spec, if it is not. 0 or a negative errno with work->why. */
int dec_frame_map_make(struct dec_frame_map *m, const struct dec_index *index, struct dec_work *work);
void dec_frame_map_finish(struct dec_frame_map *m);

/* Whether two output frames are equal. */
bool dec_frame_map_equal(const struct dec_frame_map *m, uint32_t a, uint32_t b);
/* NULL = the spec has none. */
const struct base_box *dec_frame_map_box(const struct dec_frame_map *m, uint32_t frame);

#endif
