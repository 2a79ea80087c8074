/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seek points: places at which the unpacking of a stream can begin. Noted in the pass that lists an archive,
 * and kept in its list.
 *
 * However long a stream is, there are at most some hundred of them: when there are too many, every second
 * goes.
 */
#ifndef DECODERS_SEEK_POINTS_H
#define DECODERS_SEEK_POINTS_H

#include "base/bytes.h"

struct dec_point {
    uint64_t packed;   /* where in the source; in bits for bzip2, whose blocks begin anywhere */
    uint64_t unpacked; /* the position of the byte that comes out next */
    uint8_t
        detail; /* gz: how many bits of the byte before `packed` come first; xz: which check blocks have */
    const uint8_t *window; /* gz: the last 32 KiB before, packed by zlib; else NULL */
    size_t window_bytes;
};

/* Zero-initialise; release with dec_points_finish(). `failed` is sticky (out of memory). */
struct dec_points {
    struct dec_point *points; /* with windows of their own */
    size_t n, cap;
    uint64_t spacing;
    bool failed;
};

void dec_points_finish(struct dec_points *p);
/* True when a point at this position would be kept: far enough from the last. */
bool dec_points_wants(const struct dec_points *p, uint64_t unpacked, bool has_window);
/* Adds a point; the window is copied. Ascending. */
void dec_points_add(struct dec_points *p, const struct dec_point *point);
/* Serialises; appends to out. */
void dec_points_pack(const struct dec_points *p, struct base_bytes *out);
/* The last point at or before an unpacked position, in packed points; what it refers to is borrowed. False:
 * there is none, or the bytes make no sense. */
bool dec_points_find(const uint8_t *data, size_t len, uint64_t unpacked, struct dec_point *ret);

#endif
