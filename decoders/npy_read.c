/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/npy_read.h"

#include "decoders/npy.h"

#include <errno.h>

enum { MAX_DICT = 65535, MAX_BYTES = 1 << 30 };

bool dec_is_npy(const struct dec_source *source)
{
    char magic[6];
    return dec_source_read_all(source, magic, sizeof magic, 0) == 0 && memcmp(magic, "\x93NUMPY", 6) == 0;
}

uint64_t dec_npy_values(const struct dec_npy_source *npy)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < npy->n_dims; i++)
        n *= npy->shape[i];
    return n;
}

/* So that products of them do not overflow. */
static int check_size(const struct dec_npy_source *npy, struct base_reason *why)
{
    uint64_t bytes = npy->bytes;
    for (uint32_t i = 0; i < npy->n_dims; i++) {
        if (npy->shape[i] > MAX_BYTES / bytes)
            return base_fail(why, -EINVAL, "an array of more than 1 GiB");
        bytes *= BASE_MAX(npy->shape[i], UINT64_C(1));
    }
    return 0;
}

static bool is_number(const struct dec_npy_dict *dict)
{
    return dict->kind == 'b' ? dict->bytes == 1
           : dict->kind == 'f'
               ? dict->bytes == 4 || dict->bytes == 8
               : (dict->kind == 'i' || dict->kind == 'u') &&
                     (dict->bytes == 1 || dict->bytes == 2 || dict->bytes == 4 || dict->bytes == 8);
}

int dec_npy_parse_dict(const char *text, size_t len, struct dec_npy_source *ret, struct base_reason *why)
{
    const char native = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '<' : '>';
    struct dec_npy_dict dict = {0};
    int err = dec_npy_parse(text, len, &dict);
    if (err == -ENOTSUP || (!err && !is_number(&dict)))
        return base_fail(why, -EINVAL, "values that are no booleans, integers, or floats of 4 or 8 bytes");
    if (err || dict.n_dims > DEC_NPY_SOURCE_DIMS)
        return base_fail(why, -EINVAL, "its .npy header makes no sense");
    struct dec_npy_source found = {.kind = dict.kind,
                                   .bytes = (uint32_t)dict.bytes,
                                   .swapped = dict.bytes > 1 && dict.order != native && dict.order != '=',
                                   .fortran = dict.fortran,
                                   .n_dims = dict.n_dims};
    memcpy(found.shape, dict.shape, sizeof found.shape);
    err = check_size(&found, why);
    if (!err)
        *ret = found;
    return err;
}

int dec_npy_open(const struct dec_source *source, struct dec_npy_source *ret, struct base_reason *why)
{
    uint8_t head[DEC_NPY_BEGIN];
    uint64_t size = 0;
    size_t at, len;
    if (dec_source_read_all(source, head, sizeof head, 0) || !dec_npy_find_dict(head, &at, &len))
        return base_fail(why, -EIO, "it is no .npy file");
    base_autofree char *text = len <= MAX_DICT ? malloc(len + 1) : NULL;
    if (!text || dec_source_read_all(source, text, len, at))
        return base_fail(why, -EIO, "its .npy header is cut off");
    if (dec_npy_parse_dict(text, len, ret, why))
        return -EIO;
    ret->data = at + len;
    int err = dec_source_size(source, &size);
    if (!err && size < ret->data + dec_npy_values(ret) * ret->bytes)
        err = base_fail(why, -EIO, "an array whose end is missing");
    return err;
}
