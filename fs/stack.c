/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/stack.h"

#include "decoders/npy.h"

struct dec_array_spec fs_stack_part(const struct cfg_stack *s)
{
    static const enum dec_npy_type types[] = {
        [CFG_STACK_F32] = DEC_NPY_F32, [CFG_STACK_F64] = DEC_NPY_F64, [CFG_STACK_I64] = DEC_NPY_I64,
        [CFG_STACK_I16] = DEC_NPY_I16, [CFG_STACK_I8] = DEC_NPY_I8,   [CFG_STACK_U8] = DEC_NPY_U8};
    static const enum dec_pad pads[] = {
        [CFG_PAD_ZERO] = DEC_PAD_ZERO, [CFG_PAD_EDGE] = DEC_PAD_EDGE, [CFG_PAD_LOOP] = DEC_PAD_LOOP};
    struct dec_array_spec spec = {.type = (uint8_t)types[s->type],
                                  .n_dims = (uint8_t)s->n_dims,
                                  .centre = s->centre,
                                  .pad = (uint8_t)pads[s->pad]};
    for (size_t i = 0; i < s->n_dims; i++) {
        spec.shape[i] = (uint32_t)s->shape[i];
        spec.axes[i] = (uint8_t)s->axes[i];
    }
    return spec;
}

uint64_t fs_stack_part_bytes(const struct cfg_listing *list)
{
    const struct dec_array_spec part = fs_stack_part(&list->stack);
    return list->is_stack ? dec_array_bytes(&part) : 0;
}

void fs_stack_header(const struct cfg_stack *s, uint64_t n, struct base_bytes *out)
{
    const struct dec_array_spec spec = fs_stack_part(s);
    struct dec_npy array = {.type = (enum dec_npy_type)spec.type, .n_dims = 1 + spec.n_dims, .shape = {n}};
    for (uint32_t i = 0; i < spec.n_dims; i++)
        array.shape[1 + i] = spec.shape[spec.axes[i]];
    if (base_bytes_reserve(out, DEC_NPY_PAGED_HEADER))
        return;
    dec_npy_header(&array, out->data + out->len, DEC_NPY_PAGED_HEADER);
    out->len += DEC_NPY_PAGED_HEADER;
}

_Static_assert((int)CFG_STACK_DIMS <= (int)DEC_MAX_DIMS && DEC_MAX_DIMS < (int)DEC_NPY_MAX_DIMS,
               "one more, the clips");
