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

/* The longest dict: so much text, and a number of 20 digits, a comma and a space a dimension. */
enum { DICT_BYTES = 51, DIMENSION_BYTES = 22, BEFORE_DICT = 10 };

size_t dec_npy_header_bytes(uint32_t n_dims)
{
    size_t bytes = BEFORE_DICT + DICT_BYTES + DIMENSION_BYTES * n_dims + 1;
    return BASE_MAX((bytes + 63) / 64 * 64, (size_t)DEC_NPY_HEADER);
}

void dec_npy_header(const struct dec_npy *array, uint8_t *out, size_t bytes)
{
    dec_npy_header_of(name_of(array->type), array->n_dims, array->shape, out, bytes);
}

void dec_npy_header_of(const char *descr, uint32_t n_dims, const uint64_t *shape, uint8_t *out, size_t bytes)
{
    char dict[DICT_BYTES + DIMENSION_BYTES * DEC_NPY_MAX_RANK + 1];
    int len = snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (uint32_t i = 0; i < n_dims; i++)
        len += snprintf(dict + len, sizeof dict - (size_t)len, "%s%" PRIu64, i > 0 ? ", " : "", shape[i]);
    len += snprintf(dict + len, sizeof dict - (size_t)len, "%s), }", n_dims == 1 ? "," : "");
    memset(out, ' ', bytes);
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (uint8_t)((bytes - 10) & 0xff);
    out[9] = (uint8_t)((bytes - 10) >> 8);
    memcpy(out + 10, dict, (size_t)len);
    out[bytes - 1] = '\n';
}
