/* SPDX-License-Identifier: Apache-2.0 */
/* HDF5 files as tables: what is written here is read as any table with commas. */
#include "decoders/hdf5_file.h"
#include "decoders/listing.h"
#include "decoders/table.h"

#include <errno.h>
#include <hdf5.h>
#include <inttypes.h>

struct values {
    struct dec_listing listing;
    struct base_bytes text;
};

static void append_quoted(struct base_bytes *out, const char *text, size_t len)
{
    base_bytes_append(out, "\"", 1);
    for (size_t i = 0; i < len; i++)
        base_bytes_append(out, text[i] == '"' ? "\"\"" : text + i, text[i] == '"' ? 2 : 1);
    base_bytes_append(out, "\",", 2);
}

/* The array's only value in digits. */
static bool print_value(const struct dec_hdf5_array *array, char *out, size_t room)
{
    const char kind = array->descr[1];
    const hid_t type = kind == 'f'   ? H5T_NATIVE_DOUBLE
                       : kind == 'i' ? H5T_NATIVE_INT64
                       : kind == 'u' ? H5T_NATIVE_UINT64
                                     : array->type;
    union {
        double f;
        int64_t i;
        uint64_t u;
        uint8_t b;
    } value = {0};
    if (H5Dread(array->dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value) < 0)
        return false;
    if (kind == 'f')
        (void)snprintf(out, room, "%.17g", value.f);
    else if (kind == 'i')
        (void)snprintf(out, room, "%" PRIi64, value.i);
    else
        (void)snprintf(out, room, "%" PRIu64, kind == 'u' ? value.u : value.b);
    return true;
}

static int on_array(struct dec_listing *l, const char *name, const struct dec_hdf5_array *array)
{
    struct values *v = (struct values *)l;
    char value[32];
    if (array->n_values != 1)
        return 0;
    if (!print_value(array, value, sizeof value))
        return base_fail(&l->work->why, -EIO, "the dataset '/%.100s' is damaged: %.80s", name,
                         dec_hdf5_error());
    append_quoted(&v->text, name, strlen(name));
    append_quoted(&v->text, name, strcspn(name, "/"));
    base_bytes_append(&v->text, value, strlen(value));
    base_bytes_append(&v->text, "\n", 1);
    if (v->text.len > DEC_MAX_TABLE_BYTES)
        return base_fail(&l->work->why, -EFBIG, "larger than any table");
    return v->text.failed ? base_fail(&l->work->why, -ENOMEM, "out of memory") : 0;
}

int dec_table_of_hdf5(struct dec_work *work, char **ret, size_t *ret_len)
{
    static struct values v;
    v = (struct values){.listing = {.work = work, .on_array = on_array}};
    base_bytes_append(&v.text, "path,name,value\n", 16);
    int err = dec_source_size(&work->source, &v.listing.facts.archive_bytes);
    if (err)
        base_fail(&work->why, err, "cannot be read: %s", strerror(-err));
    else
        err = dec_list_hdf5(&v.listing);
    if (!err && v.listing.facts.truncated)
        err = base_fail(&work->why, -EIO, "%s", v.listing.facts.reason);
    base_bytes_append(&v.text, "", 1);
    if (!err && v.text.failed)
        err = base_fail(&work->why, -ENOMEM, "out of memory");
    if (err) {
        base_bytes_finish(&v.text);
        return err;
    }
    *ret_len = v.text.len - 1;
    *ret = (char *)base_steal_pointer(v.text.data);
    return 0;
}
