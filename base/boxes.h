/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boxes of frames: what a view crops of each frame of a clip, when tables tell that frame by frame. Data that
 * the configuration's room makes, the cache's hands on, and workers use.
 */
#ifndef BASE_BOXES_H
#define BASE_BOXES_H

#include "base/hash.h"

/* In pixels of the frame as it is shown, after rotation; what lies outside does not count. */
struct base_box {
    uint32_t frame; /* counted from 0 */
    int32_t x, y;   /* may be negative */
    int32_t w, h;   /* > 0 */
};

enum { BASE_MAX_BOX = 1 << 20 }; /* pixels that any of these has at most */

/* Those of one clip and view, immutable. */
struct base_boxes {
    struct base_hash hash; /* of all that is below */
    bool of_whole;         /* frames count in the video, of which the clip is a part; else in the clip */
    uint32_t n;
    const struct base_box *list; /* ascending by frame, each at most once */
};

#endif
