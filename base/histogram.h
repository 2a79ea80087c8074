/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts of how long things took, in a fixed 4 KiB, for percentiles.
 *
 * Buckets grow with their values: each power of two is cut into eight of equal width, and values below eight
 * have one each (the layout of HdrHistogram with three bits). A percentile is the middle of its bucket, so it
 * is wrong by at most 1/16 (6.3 %) of itself; the largest value is exact.
 *
 * Threads: any number may add while others read; no locks. A reading may miss what is added meanwhile.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include "base/base.h"
#include <stdatomic.h>

#define BASE_HISTOGRAM_BUCKETS 496u

/* Zero-initialise. */
struct base_histogram {
    _Atomic uint64_t counts[BASE_HISTOGRAM_BUCKETS];
    _Atomic uint64_t max;
};

void base_histogram_add(struct base_histogram *h, uint64_t value);

/* What a histogram says; in the unit of its values, all 0 when it is empty. */
struct base_percentiles {
    uint64_t count, p50, p90, p99, max;
};
/* p50 is the smallest value that at least half of all do not exceed, and so on. */
struct base_percentiles base_histogram_read(const struct base_histogram *h);

#endif
