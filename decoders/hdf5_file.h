/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HDF5 files: each dataset of integers, floats or booleans is a .npy file. libhdf5 reads through a driver of
 * our own, which sees the source and nothing else; it starts when the first such file comes.
 *
 * What leads out of the file is never followed: external links and files, virtual datasets, filters that are
 * plug-ins. One thread.
 */
#ifndef DECODERS_HDF5_FILE_H
#define DECODERS_HDF5_FILE_H

#include "decoders/members.h"
#include "decoders/npy.h"
#include "decoders/source.h"

struct dec_hdf5 {
    int64_t file;
    uint64_t base,
        bytes; /* where in the source it begins: its addresses count from there; the source's size */
};

/* A dataset as an array. */
struct dec_hdf5_array {
    int64_t dataset, type; /* as which values are read */
    const char *descr;     /* NumPy's name of it */
    size_t value_bytes;
    uint64_t stored_bytes; /* what it takes in the file */
    uint64_t n_values;
    uint32_t n_dims;
    uint64_t shape[DEC_NPY_MAX_RANK];
};

/* True when a source is an HDF5 file; *ret, which may be NULL: where its signature stands. */
bool dec_hdf5_find(const struct dec_source *source, uint64_t *ret);
/* The source's descriptor must stay open. 0 or a negative errno with why; then nothing is to be closed. */
int dec_hdf5_open(const struct dec_source *source, struct dec_hdf5 *ret, struct base_reason *why);
void dec_hdf5_close(struct dec_hdf5 *file);
/* Why the library's last call failed, in its words. */
const char *dec_hdf5_error(void);

/* Takes the dataset over. 0, or why it is refused (enum dec_refusal), and then it is closed. */
uint8_t dec_hdf5_array_open(const struct dec_hdf5 *file, int64_t dataset, struct dec_hdf5_array *ret);
void dec_hdf5_array_close(struct dec_hdf5_array *array);
/* Of the .npy file. */
uint64_t dec_hdf5_array_bytes(const struct dec_hdf5_array *array);

#endif
