/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/hdf5_file.h"
#include "decoders/listing.h"

#include <errno.h>
#include <hdf5.h>

enum { MAX_FIRST_AT = 1 << 30 };
static const uint64_t max_chunk_bytes = 256 << 20;
static const size_t cache_bytes = 64 << 20, cache_slots = 521; /* of chunks that are wanted in pieces */

bool dec_hdf5_find(const struct dec_source *source, uint64_t *ret)
{
    uint8_t mark[8];
    for (uint64_t at = 0; at <= MAX_FIRST_AT; at = at ? at * 2 : 512) {
        if (dec_source_read_all(source, mark, sizeof mark, at) < 0)
            return false;
        if (memcmp(mark, "\x89HDF\r\n\x1a\n", sizeof mark) != 0)
            continue;
        if (ret)
            *ret = at;
        return true;
    }
    return false;
}

/* ---- The driver: reads the source ---- */

struct driver_file {
    H5FD_t head; /* the library's */
    struct dec_source source;
    haddr_t end_of_addresses, bytes;
};

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t access, haddr_t max)
{
    (void)name;
    (void)max;
    const struct dec_source *source = H5Pget_driver_info(access);
    uint64_t bytes;
    if (!source || (flags & (H5F_ACC_RDWR | H5F_ACC_CREAT | H5F_ACC_TRUNC)) ||
        dec_source_size(source, &bytes) < 0)
        return NULL;
    struct driver_file *file = calloc(1, sizeof *file);
    if (!file)
        return NULL;
    file->source = *source;
    file->bytes = bytes;
    return &file->head;
}

static herr_t driver_close(H5FD_t *file)
{
    free(file);
    return 0;
}

static herr_t driver_query(const H5FD_t *file, unsigned long *flags)
{
    (void)file;
    *flags = 0;
    return 0;
}

static haddr_t driver_get_eoa(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const struct driver_file *)file)->end_of_addresses;
}

static herr_t driver_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t address)
{
    (void)type;
    ((struct driver_file *)file)->end_of_addresses = address;
    return 0;
}

static haddr_t driver_get_eof(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const struct driver_file *)file)->bytes;
}

static herr_t driver_read(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t len, void *out)
{
    (void)type;
    (void)transfer;
    return dec_source_read_all(&((struct driver_file *)file)->source, out, len, at) < 0 ? -1 : 0;
}

static herr_t driver_write(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t len,
                           const void *data)
{
    (void)file;
    (void)type;
    (void)transfer;
    (void)at;
    (void)len;
    (void)data;
    return -1;
}

static const H5FD_class_t driver_class = {
    .name = "corpusfs",
    .maxaddr = INT64_MAX,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(struct dec_source),
    .open = driver_open,
    .close = driver_close,
    .query = driver_query,
    .get_eoa = driver_get_eoa,
    .set_eoa = driver_set_eoa,
    .get_eof = driver_get_eof,
    .read = driver_read,
    .write = driver_write,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

/* ---- Files ---- */

static herr_t take_innermost(unsigned n, const H5E_error2_t *error, void *context)
{
    char *text = context;
    if (n == 0 && error->desc)
        (void)snprintf(text, sizeof((struct base_reason *)0)->text, "%s", error->desc);
    return 0;
}

const char *dec_hdf5_error(void)
{
    static char text[sizeof((struct base_reason *)0)->text];
    (void)snprintf(text, sizeof text, "no reason is told");
    (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_innermost, text);
    return text;
}

static hid_t driver(void)
{
    static hid_t registered = H5I_INVALID_HID;
    if (registered >= 0)
        return registered;
    (void)H5dont_atexit();
    if (H5open() < 0 || H5Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0 || H5PLset_loading_state(0) < 0)
        return H5I_INVALID_HID;
    (void)H5set_free_list_limits(0, 0, 0, 0, 0, 0);
    registered = H5FDregister(&driver_class);
    return registered;
}

int dec_hdf5_open(const struct dec_source *source, struct dec_hdf5 *ret, struct base_reason *why)
{
    hid_t registered = driver(), access = H5Pcreate(H5P_FILE_ACCESS);
    *ret = (struct dec_hdf5){.file = H5I_INVALID_HID};
    if (registered < 0 || access < 0)
        return base_fail(why, -ENOMEM, "libhdf5 cannot be started");
    int err = dec_source_size(source, &ret->bytes);
    if (!err && (H5Pset_driver(access, registered, source) < 0 ||
                 H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) < 0 ||
                 H5Pset_cache(access, 0, cache_slots, cache_bytes, 1) < 0))
        err = -ENOMEM;
    /* An absolute name, which is only a name: of another the library would ask where it stands. */
    if (!err)
        ret->file = H5Fopen("/source", H5F_ACC_RDONLY, access);
    if (err)
        base_fail(why, err, "cannot be read: %s", strerror(-err));
    else if (ret->file < 0 || !dec_hdf5_find(source, &ret->base))
        err = base_fail(why, -EIO, "an HDF5 file that is damaged or cut off: %s", dec_hdf5_error());
    (void)H5Pclose(access);
    return err;
}

void dec_hdf5_close(struct dec_hdf5 *file)
{
    if (file->file >= 0)
        (void)H5Fclose(file->file);
    file->file = H5I_INVALID_HID;
}

/* ---- Datasets ---- */

/* h5py's booleans: an enumeration of FALSE and TRUE. */
static bool is_boolean(hid_t type)
{
    int8_t no = -1, yes = -1;
    return H5Tget_class(type) == H5T_ENUM && H5Tget_size(type) == 1 && H5Tget_nmembers(type) == 2 &&
           H5Tenum_valueof(type, "FALSE", &no) >= 0 && H5Tenum_valueof(type, "TRUE", &yes) >= 0 && no == 0 &&
           yes == 1;
}

/* IEEE 754's of 16 bits. */
static hid_t new_half(H5T_order_t order)
{
    hid_t half = H5Tcopy(H5T_IEEE_F32LE);
    if (half >= 0 && H5Tset_fields(half, 15, 10, 5, 0, 10) >= 0 && H5Tset_size(half, 2) >= 0 &&
        H5Tset_ebias(half, 15) >= 0 && H5Tset_order(half, order) >= 0)
        return half;
    if (half >= 0)
        (void)H5Tclose(half);
    return H5I_INVALID_HID;
}

static bool is_half(hid_t type, hid_t *ret)
{
    hid_t little = new_half(H5T_ORDER_LE), big = new_half(H5T_ORDER_BE);
    bool is = little >= 0 && big >= 0 && (H5Tequal(type, little) > 0 || H5Tequal(type, big) > 0);
    if (big >= 0)
        (void)H5Tclose(big);
    if (is)
        *ret = little;
    else if (little >= 0)
        (void)H5Tclose(little);
    return is;
}

/* Values are always given with the low byte first. */
static bool find_type(hid_t type, struct dec_hdf5_array *ret)
{
    const struct {
        const char *descr;
        hid_t little, big;
    } types[] = {
        {"|i1", H5T_STD_I8LE, H5T_STD_I8BE},     {"|u1", H5T_STD_U8LE, H5T_STD_U8BE},
        {"<i2", H5T_STD_I16LE, H5T_STD_I16BE},   {"<u2", H5T_STD_U16LE, H5T_STD_U16BE},
        {"<i4", H5T_STD_I32LE, H5T_STD_I32BE},   {"<u4", H5T_STD_U32LE, H5T_STD_U32BE},
        {"<i8", H5T_STD_I64LE, H5T_STD_I64BE},   {"<u8", H5T_STD_U64LE, H5T_STD_U64BE},
        {"<f4", H5T_IEEE_F32LE, H5T_IEEE_F32BE}, {"<f8", H5T_IEEE_F64LE, H5T_IEEE_F64BE},
    };
    for (size_t i = 0; i < BASE_ARRAY_LEN(types) && !ret->descr; i++)
        if (H5Tequal(type, types[i].little) > 0 || H5Tequal(type, types[i].big) > 0) {
            ret->descr = types[i].descr;
            ret->type = H5Tcopy(types[i].little);
        }
    if (!ret->descr && is_boolean(type)) {
        ret->descr = "|b1";
        ret->type = H5Tcopy(type);
    }
    if (!ret->descr && H5Tget_class(type) == H5T_FLOAT && is_half(type, &ret->type))
        ret->descr = "<f2";
    if (!ret->descr || ret->type < 0)
        return false;
    ret->value_bytes = H5Tget_size(ret->type);
    return true;
}

static uint8_t take_shape(hid_t space, struct dec_hdf5_array *ret)
{
    hsize_t shape[H5S_MAX_RANK];
    H5S_class_t kind = H5Sget_simple_extent_type(space);
    int n_dims = H5Sget_simple_extent_ndims(space);
    if ((kind != H5S_SCALAR && kind != H5S_SIMPLE) || n_dims < 0 || n_dims > DEC_NPY_MAX_RANK)
        return DEC_REFUSED_TYPE;
    if (n_dims > 0 && H5Sget_simple_extent_dims(space, shape, NULL) != n_dims)
        return DEC_REFUSED_HEADER;
    ret->n_dims = (uint32_t)n_dims;
    ret->n_values = 1;
    for (int i = 0; i < n_dims; i++) {
        ret->shape[i] = shape[i];
        if (shape[i] > 0 && __builtin_mul_overflow(ret->n_values, shape[i], &ret->n_values))
            return DEC_REFUSED_BOMB;
    }
    if (ret->n_values > DEC_MAX_MEMBER_BYTES / 8)
        return DEC_REFUSED_BOMB;
    for (int i = 0; i < n_dims; i++)
        ret->n_values = shape[i] == 0 ? 0 : ret->n_values;
    return 0;
}

static uint8_t check_filters(hid_t properties)
{
    int n = H5Pget_nfilters(properties);
    for (int i = 0; i < n; i++) {
        unsigned flags, config;
        size_t n_values = 0;
        H5Z_filter_t filter =
            H5Pget_filter2(properties, (unsigned)i, &flags, &n_values, NULL, 0, NULL, &config);
        if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32 &&
            filter != H5Z_FILTER_SZIP)
            return DEC_REFUSED_METHOD;
    }
    return n < 0 ? DEC_REFUSED_HEADER : 0;
}

static uint8_t check_chunk(hid_t properties, const struct dec_hdf5_array *array)
{
    hsize_t chunk[H5S_MAX_RANK];
    int n_dims = H5Pget_chunk(properties, H5S_MAX_RANK, chunk);
    uint64_t bytes = array->value_bytes;
    for (int i = 0; i < n_dims; i++)
        if (__builtin_mul_overflow(bytes, chunk[i], &bytes) || bytes > max_chunk_bytes)
            return DEC_REFUSED_BOMB;
    return n_dims < 0 || (uint32_t)n_dims != array->n_dims ? DEC_REFUSED_HEADER : 0;
}

/* Where the values are, and how they are packed. */
static uint8_t check_layout(hid_t properties, const struct dec_hdf5_array *array)
{
    H5D_layout_t layout = H5Pget_layout(properties);
    if (layout == H5D_VIRTUAL || H5Pget_external_count(properties) != 0)
        return DEC_REFUSED_ELSEWHERE;
    if (layout == H5D_CHUNKED) {
        uint8_t why = check_filters(properties);
        return why ? why : check_chunk(properties, array);
    }
    return layout == H5D_CONTIGUOUS || layout == H5D_COMPACT ? 0 : DEC_REFUSED_HEADER;
}

/* Whether values in one piece are all there: of one that is too short the library gives what stands behind
 * it, or what was in memory. Those that were never written have no place; libhdf5 1.10 adds the base to that,
 * too. */
static uint8_t check_piece(const struct dec_hdf5 *file, hid_t properties, const struct dec_hdf5_array *array)
{
    uint64_t wanted = array->n_values * array->value_bytes;
    H5D_layout_t layout = H5Pget_layout(properties);
    if (layout == H5D_CHUNKED)
        return 0;
    haddr_t begin = H5Dget_offset(array->dataset); /* in the source */
    bool placed = begin != HADDR_UNDEF && begin - file->base != HADDR_UNDEF;
    if (array->stored_bytes > file->bytes ||
        (placed && (begin > file->bytes || wanted > file->bytes - begin)))
        return DEC_REFUSED_CUT;
    return array->stored_bytes < wanted && (placed || layout == H5D_COMPACT) ? DEC_REFUSED_HEADER : 0;
}

static uint8_t describe(const struct dec_hdf5 *file, struct dec_hdf5_array *ret)
{
    hid_t type = H5Dget_type(ret->dataset), space = H5Dget_space(ret->dataset),
          properties = H5Dget_create_plist(ret->dataset);
    uint8_t why = type < 0 || space < 0 || properties < 0 ? DEC_REFUSED_HEADER : 0;
    if (!why)
        why = find_type(type, ret) ? take_shape(space, ret) : DEC_REFUSED_TYPE;
    /* First without its size: to know that, the library would ask for the parts of virtual ones. */
    if (!why)
        why = check_layout(properties, ret);
    if (!why) {
        ret->stored_bytes = H5Dget_storage_size(ret->dataset);
        why = check_piece(file, properties, ret);
    }
    if (!why && dec_is_bomb(dec_hdf5_array_bytes(ret), ret->stored_bytes))
        why = DEC_REFUSED_BOMB;
    if (properties >= 0)
        (void)H5Pclose(properties);
    if (space >= 0)
        (void)H5Sclose(space);
    if (type >= 0)
        (void)H5Tclose(type);
    return why;
}

uint8_t dec_hdf5_array_open(const struct dec_hdf5 *file, hid_t dataset, struct dec_hdf5_array *ret)
{
    *ret = (struct dec_hdf5_array){.dataset = dataset, .type = H5I_INVALID_HID};
    uint8_t why = describe(file, ret);
    if (why)
        dec_hdf5_array_close(ret);
    return why;
}

void dec_hdf5_array_close(struct dec_hdf5_array *array)
{
    if (array->type >= 0)
        (void)H5Tclose(array->type);
    if (array->dataset >= 0)
        (void)H5Dclose(array->dataset);
    array->type = array->dataset = H5I_INVALID_HID;
}

uint64_t dec_hdf5_array_bytes(const struct dec_hdf5_array *array)
{
    return dec_npy_header_bytes(array->n_dims) + array->n_values * array->value_bytes;
}
