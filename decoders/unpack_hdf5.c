/* SPDX-License-Identifier: Apache-2.0 */
/* A dataset of an HDF5 file as the stream of a .npy file: the header, then its values in C's order. */
#include "decoders/hdf5_file.h"
#include "decoders/unpack.h"

#include <errno.h>
#include <hdf5.h>

enum { BLOCK = 1 << 20 };

struct state {
    struct dec_hdf5 file;
    struct dec_hdf5_array array;
    hid_t space;
    uint64_t next;  /* value */
    size_t len, at; /* of block */
    uint8_t *block;
};

static void end(struct dec_unpacker *u)
{
    struct state *s = u->state;
    if (!s)
        return;
    if (s->space >= 0)
        (void)H5Sclose(s->space);
    dec_hdf5_array_close(&s->array);
    dec_hdf5_close(&s->file);
    free(s->block);
    free(s);
}

static int open_array(struct dec_unpacker *u, struct state *s, struct base_reason *why)
{
    int err = dec_hdf5_open(&u->source, &s->file, why);
    if (err)
        return err;
    hid_t dataset =
        u->begin < s->file.base ? H5I_INVALID_HID : H5Oopen_by_addr(s->file.file, u->begin - s->file.base);
    if (dataset < 0 || H5Iget_type(dataset) != H5I_DATASET) {
        if (dataset >= 0)
            (void)H5Oclose(dataset);
        return base_fail(why, -EIO, "no dataset stands where one was listed");
    }
    uint8_t refusal = dec_hdf5_array_open(&s->file, dataset, &s->array);
    if (refusal)
        return base_fail(why, -EIO, "the dataset %s", dec_refusal_text(refusal));
    s->space = H5Dget_space(s->array.dataset);
    return s->space < 0 ? base_fail(why, -EIO, "the dataset is damaged: %s", dec_hdf5_error()) : 0;
}

/* There are no seek points in what is not packed as one stream. */
static int begin(struct dec_unpacker *u, const struct dec_point *point, struct base_reason *why)
{
    struct state *s = calloc(1, sizeof *s);
    uint8_t *block = malloc(BLOCK);
    if (!s || !block || point) {
        free(s);
        free(block);
        return base_fail(why, -ENOMEM, "out of memory");
    }
    u->state = s;
    s->block = block;
    s->file.file = s->array.dataset = s->array.type = s->space = H5I_INVALID_HID;
    int err = open_array(u, s, why);
    if (err)
        return err;
    s->len = dec_npy_header_bytes(s->array.n_dims);
    dec_npy_header_of(s->array.descr, s->array.n_dims, s->array.shape, s->block, s->len);
    return 0;
}

/* Selects the largest box from the next value on that is one run of values and fits the block. */
static uint64_t select_box(struct state *s)
{
    const struct dec_hdf5_array *a = &s->array;
    hsize_t start[DEC_NPY_MAX_RANK], count[DEC_NPY_MAX_RANK];
    const uint64_t room = BLOCK / a->value_bytes;
    uint64_t left = s->next, n = 1;
    bool is_whole = true; /* all further dimensions are taken as a whole */
    for (uint32_t i = a->n_dims; i-- > 0;) {
        start[i] = left % a->shape[i];
        left /= a->shape[i];
        count[i] = is_whole ? BASE_MIN(a->shape[i] - start[i], room / n) : 1;
        is_whole = is_whole && count[i] == a->shape[i];
        n *= count[i];
    }
    if (a->n_dims > 0 && H5Sselect_hyperslab(s->space, H5S_SELECT_SET, start, NULL, count, NULL) < 0)
        return 0;
    return n;
}

static int read_block(const struct dec_unpacker *u, struct state *s, struct base_reason *why)
{
    hsize_t n = select_box(s);
    hid_t memory = n > 0 ? H5Screate_simple(1, &n, NULL) : H5I_INVALID_HID;
    int err =
        memory < 0 || H5Dread(s->array.dataset, s->array.type, memory, s->space, H5P_DEFAULT, s->block) < 0
            ? base_fail(why, -EIO, "the dataset at byte %llu is damaged: %s", (unsigned long long)u->begin,
                        dec_hdf5_error())
            : 0;
    if (memory >= 0)
        (void)H5Sclose(memory);
    s->next += n;
    s->at = 0;
    s->len = err ? 0 : n * s->array.value_bytes;
    return err;
}

static ssize_t unpack(struct dec_unpacker *u, uint8_t *out, size_t len, struct base_reason *why)
{
    struct state *s = u->state;
    if (s->at == s->len) {
        int err = s->next < s->array.n_values ? read_block(u, s, why) : 0;
        if (err)
            return err;
    }
    size_t n = BASE_MIN(len, s->len - s->at);
    memcpy(out, s->block + s->at, n);
    s->at += n;
    return (ssize_t)n;
}

const struct dec_codec dec_codec_hdf5 = {begin, unpack, end};
