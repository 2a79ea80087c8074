/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/npy.h"

#include <inttypes.h>

size_t dec_npy_type_bytes(enum dec_npy_type type)
{
    static const size_t bytes[] = {[DEC_NPY_U8] = 1,  [DEC_NPY_I8] = 1,  [DEC_NPY_I16] = 2,
                                   [DEC_NPY_F32] = 4, [DEC_NPY_I64] = 8, [DEC_NPY_F64] = 8};
    return bytes[type];
}

/* NumPy's name of a type: byte order, kind, bytes. */
static const char *name_of(enum dec_npy_type type)
{
    static const char *const little[] = {[DEC_NPY_U8] = "|u1",  [DEC_NPY_I8] = "|i1",  [DEC_NPY_I16] = "<i2",
                                         [DEC_NPY_F32] = "<f4", [DEC_NPY_I64] = "<i8", [DEC_NPY_F64] = "<f8"};
    static const char *const big[] = {[DEC_NPY_U8] = "|u1",  [DEC_NPY_I8] = "|i1",  [DEC_NPY_I16] = ">i2",
                                      [DEC_NPY_F32] = ">f4", [DEC_NPY_I64] = ">i8", [DEC_NPY_F64] = ">f8"};
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? little[type] : big[type];
}

void dec_npy_header(const struct dec_npy *array, uint8_t *out, size_t bytes)
{
    /* The longest: 51 bytes of text, and 22 a dimension. */
    char dict[51 + 22 * DEC_NPY_MAX_DIMS + 1];
    int len = snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                       name_of(array->type));
    for (uint32_t i = 0; i < array->n_dims; i++)
        len +=
            snprintf(dict + len, sizeof dict - (size_t)len, "%s%" PRIu64, i > 0 ? ", " : "", array->shape[i]);
    len += snprintf(dict + len, sizeof dict - (size_t)len, "%s), }", array->n_dims == 1 ? "," : "");
    memset(out, ' ', bytes);
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (uint8_t)((bytes - 10) & 0xff);
    out[9] = (uint8_t)((bytes - 10) >> 8);
    memcpy(out + 10, dict, (size_t)len);
    out[bytes - 1] = '\n';
}
