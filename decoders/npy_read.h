/* SPDX-License-Identifier: Apache-2.0 */
/* Reading .npy files, of versions 1 to 3, as numpy.save() writes them:
 * https://numpy.org/doc/stable/reference/ generated/numpy.lib.format.html Any thread. */
#ifndef DECODERS_NPY_READ_H
#define DECODERS_NPY_READ_H

#include "decoders/source.h"

enum { DEC_NPY_SOURCE_DIMS = 8 };

struct dec_npy_source {
    uint64_t data; /* where the values begin */
    char kind;     /* as NumPy has it: b, i, u or f */
    uint32_t bytes;
    bool swapped; /* not in the machine's byte order */
    bool fortran; /* the first axis moves fastest */
    uint32_t n_dims;
    uint64_t shape[DEC_NPY_SOURCE_DIMS]; /* their product, in bytes, is at most 1 GiB */
};

/* Whether a source begins as a .npy file does. */
bool dec_is_npy(const struct dec_source *source);
/* Of a header's dict, `len` bytes of text. 0, or -EINVAL with why. Sets all but data. */
int dec_npy_parse_dict(const char *text, size_t len, struct dec_npy_source *ret, struct base_reason *why);
/* 0, or a negative errno with why: also when values are missing at the end. */
int dec_npy_open(const struct dec_source *source, struct dec_npy_source *ret, struct base_reason *why);
uint64_t dec_npy_values(const struct dec_npy_source *npy);

#endif
