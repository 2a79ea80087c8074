/* SPDX-License-Identifier: Apache-2.0 */
/* Which of a view's frames it samples. */
#include "decoders/index.h"

#include <errno.h>

static uint32_t spread(uint32_t i, uint32_t n, uint32_t wanted)
{
    return wanted > 1 ? (uint32_t)((uint64_t)i * (n - 1) / (wanted - 1)) : 0;
}

static uint32_t centre(uint32_t i, uint32_t n, uint32_t wanted)
{
    return n > wanted ? (n - wanted) / 2 + i : BASE_MIN(i, n - 1);
}

int dec_sample(const struct dec_frames_spec *spec, uint32_t **map, uint32_t *n)
{
    uint32_t stride = BASE_MAX(spec->stride, 1u);
    uint32_t strided = (uint32_t)(((uint64_t)*n + stride - 1) / stride);
    uint32_t wanted = spec->n_sampled ? spec->n_sampled : strided;
    if (strided == 0 || (stride == 1 && wanted == strided))
        return 0;
    uint32_t *sampled = malloc(wanted * sizeof *sampled);
    if (!sampled)
        return -ENOMEM;
    for (uint32_t i = 0; i < wanted; i++) {
        uint32_t of_strided =
            spec->sampling == DEC_CENTRE ? centre(i, strided, wanted) : spread(i, strided, wanted);
        sampled[i] = (*map)[(uint64_t)of_strided * stride];
    }
    free(*map);
    *map = sampled;
    *n = wanted;
    return 0;
}
