/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/picture.h"

/* ITU-R BT.601/709 quantise 8-bit luma to 16..235 and chroma to 16..240; JFIF wants 0..255. Fixed point with
 * 14 bits: 255/219 and 255/224. Plain loops that the compiler vectorises. */
__attribute__((optimize("O3"))) void dec_pixels_expand_luma(uint8_t *restrict samples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int32_t v = ((int32_t)samples[i] - 16) * 19077 + (1 << 13);
        v >>= 14;
        v = v < 0 ? 0 : v;
        samples[i] = (uint8_t)(v > 255 ? 255 : v);
    }
}

__attribute__((optimize("O3"))) void dec_pixels_expand_chroma(uint8_t *restrict samples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int32_t v = ((int32_t)samples[i] - 128) * 18651 + (1 << 13) + (128 << 14);
        v >>= 14;
        v = v < 0 ? 0 : v;
        samples[i] = (uint8_t)(v > 255 ? 255 : v);
    }
}
