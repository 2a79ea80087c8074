/* SPDX-License-Identifier: Apache-2.0 */
/* DEC_ARRAY: an array of a .npy file in the shape that a stack has for each of its clips. */
#include "decoders/media.h"
#include "decoders/npy.h"
#include "decoders/npy_read.h"

#include <errno.h>
#include <math.h>

struct array {
    struct dec_npy_source npy;
    uint8_t *values;
    uint64_t n_rows, row; /* rows of so many values */
};

static int read_values(const struct dec_source *source, struct array *a, struct base_reason *why)
{
    uint64_t n = dec_npy_values(&a->npy);
    a->n_rows = a->npy.n_dims > 0 ? a->npy.shape[0] : 1;
    if (n == 0)
        return base_fail(why, -EIO, "an array without values");
    a->row = n / a->n_rows;
    a->values = malloc((size_t)n * a->npy.bytes);
    if (!a->values)
        return base_fail(why, -ENOMEM, "out of memory");
    int err = dec_source_read_all(source, a->values, (size_t)n * a->npy.bytes, a->npy.data);
    return err ? base_fail(why, -EIO, "it cannot be read: %s", strerror(-err)) : 0;
}

/* Where value `at` of a row stands in the file. */
static uint64_t place_of(const struct dec_npy_source *npy, uint64_t row, uint64_t at)
{
    uint64_t place = row, before = npy->shape[0], places[DEC_NPY_SOURCE_DIMS] = {0};
    if (!npy->fortran)
        return row * (dec_npy_values(npy) / npy->shape[0]) + at;
    for (uint32_t i = npy->n_dims; i-- > 1; at /= npy->shape[i])
        places[i] = at % npy->shape[i];
    for (uint32_t i = 1; i < npy->n_dims; before *= npy->shape[i++])
        place += places[i] * before;
    return place;
}

/* A long double holds all integers of 64 bits. */
static long double value_of(const struct array *a, uint64_t place)
{
    const uint32_t bytes = a->npy.bytes;
    const uint8_t *from = a->values + place * bytes;
    uint64_t bits = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        bool low_first = (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) != a->npy.swapped;
        bits |= (uint64_t)from[i] << 8 * (low_first ? i : bytes - 1 - i);
    }
    if (a->npy.kind == 'f' && bytes == 4) {
        const uint32_t word = (uint32_t)bits;
        float value;
        memcpy(&value, &word, sizeof value);
        return value;
    }
    if (a->npy.kind == 'f') {
        double value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    const unsigned unused = 64 - 8 * bytes;
    return a->npy.kind == 'i' ? (long double)((int64_t)(bits << unused) >> unused) : (long double)bits;
}

/* False: it does not fit the type. Fractions are cut off, as NumPy does. */
static bool put_value(uint8_t *to, enum dec_npy_type type, long double value)
{
    static const long double least[] = {[DEC_NPY_U8] = 0,
                                        [DEC_NPY_I8] = INT8_MIN,
                                        [DEC_NPY_I16] = INT16_MIN,
                                        [DEC_NPY_I64] = (long double)INT64_MIN};
    static const long double most[] = {[DEC_NPY_U8] = UINT8_MAX,
                                       [DEC_NPY_I8] = INT8_MAX,
                                       [DEC_NPY_I16] = INT16_MAX,
                                       [DEC_NPY_I64] = (long double)INT64_MAX};
    if (type == DEC_NPY_F32) {
        const float narrow = (float)value;
        memcpy(to, &narrow, sizeof narrow);
        return true;
    }
    if (type == DEC_NPY_F64) {
        const double narrow = (double)value;
        memcpy(to, &narrow, sizeof narrow);
        return true;
    }
    if (!isfinite(value) || truncl(value) < least[type] || truncl(value) > most[type])
        return false;
    const int64_t whole = (int64_t)value;
    const int16_t half = (int16_t)whole;
    const uint8_t byte = (uint8_t)whole;
    memcpy(to,
           type == DEC_NPY_I64   ? (const void *)&whole
           : type == DEC_NPY_I16 ? (const void *)&half
                                 : (const void *)&byte,
           dec_npy_type_bytes(type));
    return true;
}

/* Which of the array's rows is row `row` of the result; -1 = none: it is filling. */
static int64_t source_row(const struct dec_array_spec *spec, uint64_t n_rows, uint64_t row)
{
    const uint64_t wanted = spec->shape[0];
    if (n_rows >= wanted)
        return (int64_t)(row + (spec->centre ? (n_rows - wanted) / 2 : 0));
    if (row < n_rows)
        return (int64_t)row;
    return spec->pad == DEC_PAD_EDGE   ? (int64_t)n_rows - 1
           : spec->pad == DEC_PAD_LOOP ? (int64_t)(row % n_rows)
                                       : -1;
}

/* Where a value of the shape stands once its axes are moved. */
static uint64_t moved(const struct dec_array_spec *spec, uint64_t at)
{
    uint64_t places[DEC_MAX_DIMS] = {0}, to = 0;
    for (uint32_t i = spec->n_dims; i-- > 0; at /= spec->shape[i])
        places[i] = at % spec->shape[i];
    for (uint32_t i = 0; i < spec->n_dims; i++)
        to = to * spec->shape[spec->axes[i]] + places[spec->axes[i]];
    return to;
}

static int fill(const struct dec_array_spec *spec, const struct array *a, uint8_t *out,
                struct base_reason *why)
{
    const enum dec_npy_type type = (enum dec_npy_type)spec->type;
    const size_t bytes = dec_npy_type_bytes(type);
    const uint64_t n = dec_array_bytes(spec) / bytes;
    for (uint64_t i = 0; i < n; i++) {
        int64_t row = source_row(spec, a->n_rows, i / a->row);
        long double value = row < 0 ? 0 : value_of(a, place_of(&a->npy, (uint64_t)row, i % a->row));
        if (!put_value(out + moved(spec, i) * bytes, type, value))
            return base_fail(why, -EIO, "a value, %Lg, does not fit the type of the stack", value);
    }
    return 0;
}

static int make(struct dec_work *work, struct array *a)
{
    const struct dec_array_spec *spec = &work->job->array;
    const uint64_t bytes = dec_array_bytes(spec),
                   n = bytes / dec_npy_type_bytes((enum dec_npy_type)spec->type);
    int err = dec_npy_open(&work->source, &a->npy, &work->why);
    if (!err && a->npy.n_dims == 0)
        err = base_fail(&work->why, -EIO, "a single value, and no array");
    if (!err)
        err = read_values(&work->source, a, &work->why);
    if (!err && a->row != n / spec->shape[0])
        err = base_fail(&work->why, -EIO, "rows of %llu values, and the stack wants %llu",
                        (unsigned long long)a->row, (unsigned long long)(n / spec->shape[0]));
    base_autofree uint8_t *out = err ? NULL : malloc((size_t)bytes);
    if (err)
        return err;
    if (!out)
        return base_fail(&work->why, -ENOMEM, "out of memory");
    err = fill(spec, a, out, &work->why);
    if (!err)
        err = dec_output_write(work, out, (size_t)bytes, 0);
    work->reply->bytes = bytes;
    return err;
}

int dec_run_array(struct dec_work *work)
{
    struct array a = {0};
    int err = make(work, &a);
    free(a.values);
    return err;
}
