/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of a .npy file, format version 1.0:
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html Needs no media library; daemon and
 * worker both use it.
 */
#ifndef DECODERS_NPY_H
#define DECODERS_NPY_H

#include "base/base.h"

enum dec_npy_type { DEC_NPY_U8, DEC_NPY_I8, DEC_NPY_I16, DEC_NPY_F32, DEC_NPY_I64, DEC_NPY_F64 };

enum {
    DEC_NPY_MAX_DIMS = 6,
    DEC_NPY_MAX_RANK = 32, /* of any array: NumPy's */
    /* As numpy.save() writes it; up to 3 dimensions always fit. */
    DEC_NPY_HEADER = 128,
    /* Of a file that is made in parts: a page, so that who reads the header reads no part; and each value of
     * the array lies on one page. The format allows any multiple of 64. */
    DEC_NPY_PAGED_HEADER = 4096,
};

struct dec_npy {
    enum dec_npy_type type; /* in the machine's byte order; rows first, as C has them */
    uint32_t n_dims;        /* 1..DEC_NPY_MAX_DIMS */
    uint64_t shape[DEC_NPY_MAX_DIMS];
};

/* Of one value. */
size_t dec_npy_type_bytes(enum dec_npy_type type);
/* Writes `bytes` bytes: magic, version, length, the dict, spaces up to a line feed. */
void dec_npy_header(const struct dec_npy *array, uint8_t *out, size_t bytes);
/* The same of any type, by NumPy's name of it, and of up to DEC_NPY_MAX_RANK dimensions, or none: one value.
 */
void dec_npy_header_of(const char *descr, uint32_t n_dims, const uint64_t *shape, uint8_t *out, size_t bytes);
/* So many bytes are enough for that, at least DEC_NPY_HEADER. */
size_t dec_npy_header_bytes(uint32_t n_dims);
/* What a header's dict says. */
struct dec_npy_dict {
    char order, kind; /* as NumPy has them: < > | or =, and a letter */
    uint64_t bytes;   /* of one value */
    bool fortran;     /* the first axis moves fastest */
    uint32_t n_dims;
    uint64_t shape[DEC_NPY_MAX_RANK]; /* any numbers */
    size_t len;                       /* of the text up to its brace */
};
/* Reads `len` bytes of text. 0, -ENOTSUP for values that are no plain type, or -EINVAL. */
int dec_npy_parse(const char *text, size_t len, struct dec_npy_dict *ret);
/* Where the dict stands in a file that begins like this, and its length. False: it is none of a known
 * version. */
enum { DEC_NPY_BEGIN = 12 };
bool dec_npy_find_dict(const uint8_t head[DEC_NPY_BEGIN], size_t *ret_at, size_t *ret_len);
/* What keeps a file of file_bytes from being a .npy whose values numpy.load() maps, a sentence's part, or
 * NULL. head: its first `len` bytes, DEC_NPY_HEAD or all. Objects and structures are none. */
enum { DEC_NPY_HEAD = 64 << 10 };
const char *dec_npy_check(const uint8_t *head, size_t len, uint64_t file_bytes);

#endif
