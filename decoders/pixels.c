/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/picture.h"

/* ITU-R BT.601/709 quantise 8-bit luma to 16..235 and chroma to 16..240; JFIF wants 0..255: (x - 16) * 255 /
 * 219 and (x - 128) * 255 / 224 + 128. Fixed point: the products' upper halves, in 32nds and in halves, with
 * factors that round all 256 values right (255 / 219 * 2^14, and 255 / 224 * 2^13). Plain loops over 16-bit
 * numbers, of which the compiler takes eight at a time. */

static inline uint8_t clamp(int16_t v)
{
    v = (int16_t)(v < 0 ? 0 : v);
    return (uint8_t)(v > 255 ? 255 : v);
}

__attribute__((optimize("O3"))) void dec_pixels_expand_luma(uint8_t *restrict samples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        /* Around the middle, whose value is 130 and 13/32, so that it fits 16 bits. */
        int16_t difference = (int16_t)((samples[i] - 128) * 128);
        int16_t upper = (int16_t)((int32_t)difference * 19077 >> 16);
        samples[i] = clamp((int16_t)(((upper + 13 + 16) >> 5) + 130));
    }
}

__attribute__((optimize("O3"))) void dec_pixels_expand_chroma(uint8_t *restrict samples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int16_t difference = (int16_t)((samples[i] - 128) * 16);
        int16_t upper = (int16_t)((int32_t)difference * 9325 >> 16);
        samples[i] = clamp((int16_t)(((upper + 1) >> 1) + 128));
    }
}
