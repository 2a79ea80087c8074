/* SPDX-License-Identifier: Apache-2.0 */
/* Reads bits from the top of each byte down. Reading past the end gives zeros, and says so. */
#ifndef DECODERS_BITS_H
#define DECODERS_BITS_H

#include "base/base.h"

struct dec_bits {
    const uint8_t *data;
    size_t n_bits, at;
    bool over; /* more was asked for than there is */
};

/* The next n bits, at most 32. */
static inline unsigned dec_bits_get(struct dec_bits *b, unsigned n)
{
    unsigned value = 0;
    for (; n > 0; n--, b->at++) {
        bool there = b->at < b->n_bits;
        b->over = b->over || !there;
        value = value << 1 | (there ? b->data[b->at / 8] >> (7 - b->at % 8) & 1u : 0u);
    }
    return value;
}

static inline void dec_bits_skip(struct dec_bits *b, size_t n)
{
    b->at += n;
    b->over = b->over || b->at > b->n_bits;
}

#endif
