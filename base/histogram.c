/* SPDX-License-Identifier: Apache-2.0 */
#include "base/histogram.h"

#define SUB_BITS 3u
#define SUB (1u << SUB_BITS)
_Static_assert(BASE_HISTOGRAM_BUCKETS == (64 - SUB_BITS + 1) * SUB, "one bucket for every 64-bit value");

static unsigned bucket_of(uint64_t value)
{
    if (value < SUB)
        return (unsigned)value;
    unsigned exponent = 63u - (unsigned)__builtin_clzll(value), shift = exponent - SUB_BITS;
    return (shift + 1) * SUB + (unsigned)((value >> shift) & (SUB - 1));
}

static uint64_t middle_of(unsigned bucket)
{
    if (bucket < 2 * SUB)
        return bucket; /* buckets of one value */
    unsigned shift = bucket / SUB - 1;
    uint64_t first = (uint64_t)(SUB + bucket % SUB) << shift;
    return first + (((uint64_t)1 << shift) - 1) / 2;
}

void base_histogram_add(struct base_histogram *h, uint64_t value)
{
    uint64_t max = atomic_load_explicit(&h->max, memory_order_relaxed);
    while (value > max && !atomic_compare_exchange_weak_explicit(&h->max, &max, value, memory_order_relaxed,
                                                                 memory_order_relaxed))
        ;
    atomic_fetch_add_explicit(&h->counts[bucket_of(value)], 1, memory_order_relaxed);
}

/* The value that `percent` of `total` values do not exceed. */
static uint64_t percentile(const uint64_t *counts, uint64_t total, unsigned percent, uint64_t max)
{
    uint64_t rank = total / 100 * percent + (total % 100 * percent + 99) / 100, seen = 0;
    for (unsigned i = 0; i < BASE_HISTOGRAM_BUCKETS; i++) {
        seen += counts[i];
        if (seen >= rank && counts[i] > 0)
            return BASE_MIN(middle_of(i), max);
    }
    return 0;
}

struct base_percentiles base_histogram_read(const struct base_histogram *h)
{
    uint64_t counts[BASE_HISTOGRAM_BUCKETS], total = 0;
    for (unsigned i = 0; i < BASE_HISTOGRAM_BUCKETS; i++) {
        counts[i] = atomic_load_explicit(&h->counts[i], memory_order_relaxed);
        total += counts[i];
    }
    uint64_t max = atomic_load_explicit(&h->max, memory_order_relaxed);
    return (struct base_percentiles){
        .count = total,
        .p50 = percentile(counts, total, 50, max),
        .p90 = percentile(counts, total, 90, max),
        .p99 = percentile(counts, total, 99, max),
        .max = max,
    };
}
