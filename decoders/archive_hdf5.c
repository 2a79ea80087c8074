/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listing an HDF5 file: its groups are directories, its datasets .npy files. Each group is listed once, under
 * the name that comes first, so that groups which hold each other end. Soft links to datasets are other names
 * of theirs.
 */
#include "decoders/hdf5_file.h"
#include "decoders/listing.h"

#include <errno.h>
#include <hdf5.h>
#include <search.h>
#include <sys/stat.h>

enum { MAX_GROUPS = 1 << 20, PATH_BYTES = 64 * 1024 };

/* Of a group: address, and its own name. Of a soft link: its name, and what it leads to. */
struct todo {
    char *name, *target;
    haddr_t address;
};

struct todos {
    struct todo *all;
    size_t n, cap;
};

struct hdf5 {
    struct dec_listing *l;
    struct dec_hdf5 file;
    struct todos groups, links;
    void *seen; /* a tree (search.h) of the addresses of groups, which are its keys themselves */
    size_t n_seen;
    const char *group; /* that is being listed; "" = the root */
    int64_t mtime_s;   /* of the file, for what has none of its own */
    uint64_t unpacked_bytes;
    int err;
    char path[PATH_BYTES];
};

static void keep_nothing(void *key)
{
    (void)key;
}

static int by_address(const void *a, const void *b)
{
    uintptr_t left = (uintptr_t)a, right = (uintptr_t)b;
    return left < right ? -1 : left > right;
}

static int push(struct todos *todos, const char *name, const char *target, haddr_t address)
{
    if (todos->n == todos->cap) {
        size_t cap = todos->cap ? todos->cap * 2 : 64;
        struct todo *all = realloc(todos->all, cap * sizeof *all);
        if (!all)
            return -ENOMEM;
        todos->all = all;
        todos->cap = cap;
    }
    struct todo t = {.name = strdup(name), .target = target ? strdup(target) : NULL, .address = address};
    if (!t.name || (target && !t.target)) {
        free(t.name);
        free(t.target);
        return -ENOMEM;
    }
    todos->all[todos->n++] = t;
    return 0;
}

static void finish(struct todos *todos)
{
    for (size_t i = 0; i < todos->n; i++) {
        free(todos->all[i].name);
        free(todos->all[i].target);
    }
    free(todos->all);
}

static int64_t time_of(const struct hdf5 *h, hid_t object)
{
    H5O_info_t info;
    return H5Oget_info2(object, &info, H5O_INFO_TIME) >= 0 && info.mtime > 0 ? info.mtime : h->mtime_s;
}

static int list_group(struct hdf5 *h, hid_t group, haddr_t address)
{
    const void *key = (const void *)(uintptr_t)address;
    if (tfind(key, &h->seen, by_address))
        return dec_listing_refuse(h->l, h->path, DEC_REFUSED_AGAIN);
    if (h->n_seen == MAX_GROUPS) {
        dec_listing_truncate(h->l, "it has more than %d groups", MAX_GROUPS);
        return 0;
    }
    if (!tsearch(key, &h->seen, by_address) || push(&h->groups, h->path, NULL, address) < 0)
        return base_fail(&h->l->work->why, -ENOMEM, "out of memory");
    h->n_seen++;
    struct dec_member m = {.kind = DEC_MEMBER_DIR, .mtime_s = time_of(h, group)};
    return dec_listing_add(h->l, &m, h->path, NULL);
}

/* The dataset is closed. */
static int list_dataset(struct hdf5 *h, hid_t dataset, haddr_t address)
{
    struct dec_hdf5_array array;
    struct dec_member m = {.kind = DEC_MEMBER_FILE, .storage = DEC_PACKED, .mtime_s = time_of(h, dataset)};
    uint8_t why = dec_hdf5_array_open(&h->file, dataset, &array);
    if (h->l->on_array) {
        int err = why ? 0 : h->l->on_array(h->l, h->path, &array);
        if (!why)
            dec_hdf5_array_close(&array);
        return err;
    }
    strcat(h->path, ".npy");
    m.offset = h->file.base + address;
    if (!why && (address > h->file.bytes || m.offset > h->file.bytes))
        why = DEC_REFUSED_CUT;
    if (!why) {
        m.size = dec_hdf5_array_bytes(&array);
        m.packed_bytes = BASE_MIN(array.stored_bytes, h->file.bytes - m.offset);
        h->unpacked_bytes += m.size;
        dec_hdf5_array_close(&array);
        if (dec_is_bomb(h->unpacked_bytes, h->file.bytes))
            why = DEC_REFUSED_BOMB;
    }
    return why ? dec_listing_refuse(h->l, h->path, why) : dec_listing_add(h->l, &m, h->path, NULL);
}

static int list_object(struct hdf5 *h, haddr_t address)
{
    hid_t object = H5Oopen_by_addr(h->file.file, address);
    if (object < 0)
        return dec_listing_refuse(h->l, h->path, DEC_REFUSED_HEADER);
    H5I_type_t type = H5Iget_type(object);
    if (type == H5I_DATASET)
        return list_dataset(h, object, address);
    int err = type == H5I_GROUP ? list_group(h, object, address) : 0;
    (void)H5Oclose(object);
    return err;
}

/* Its target counts from the group unless it begins with a slash. */
static int keep_soft_link(struct hdf5 *h, hid_t group, const char *name, size_t bytes)
{
    char target[DEC_MAX_NAME + 1] = {0}, whole[2 * PATH_BYTES];
    if (bytes == 0 || bytes > DEC_MAX_NAME || H5Lget_val(group, name, target, bytes, H5P_DEFAULT) < 0)
        return dec_listing_refuse(h->l, h->path, DEC_REFUSED_LINK);
    (void)snprintf(whole, sizeof whole, "%s/%s.npy", target[0] == '/' ? "" : h->group, target);
    strcat(h->path, ".npy");
    return push(&h->links, h->path, whole + strspn(whole, "/"), 0) < 0
               ? base_fail(&h->l->work->why, -ENOMEM, "out of memory")
               : 0;
}

static herr_t on_link(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    struct hdf5 *h = context;
    int len = snprintf(h->path, sizeof h->path, "%s%s%s", h->group, h->group[0] ? "/" : "", name);
    h->l->work->progress(h->l->work, 0);
    if (len < 0 || (size_t)len >= sizeof h->path - sizeof ".npy")
        h->err = dec_listing_refuse(h->l, h->path, DEC_REFUSED_LONG);
    else if (strchr(name, '/'))
        h->err = dec_listing_refuse(h->l, h->path, DEC_REFUSED_NAME);
    else if (info->type == H5L_TYPE_HARD)
        h->err = list_object(h, info->u.address);
    else if (info->type == H5L_TYPE_SOFT)
        h->err = keep_soft_link(h, group, name, info->u.val_size);
    else
        h->err = dec_listing_refuse(h->l, h->path, DEC_REFUSED_LINK);
    return h->err ? 1 : 0;
}

static int list_links_of(struct hdf5 *h, const struct todo *group)
{
    hid_t object = H5Oopen_by_addr(h->file.file, group->address);
    h->group = group->name;
    h->err = 0;
    if (object < 0 || H5Literate(object, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, on_link, h) < 0)
        dec_listing_truncate(h->l, "the group '/%.40s' is damaged: %.60s", group->name, dec_hdf5_error());
    if (object >= 0)
        (void)H5Oclose(object);
    return h->err;
}

static int list_groups(struct hdf5 *h)
{
    H5O_info_t root;
    if (H5Oget_info2(h->file.file, &root, H5O_INFO_BASIC) < 0)
        return base_fail(&h->l->work->why, -EIO, "an HDF5 file that is damaged: %s", dec_hdf5_error());
    if (!tsearch((const void *)(uintptr_t)root.addr, &h->seen, by_address) ||
        push(&h->groups, "", NULL, root.addr) < 0)
        return base_fail(&h->l->work->why, -ENOMEM, "out of memory");
    int err = 0;
    while (!err && h->groups.n > 0) {
        struct todo group = h->groups.all[--h->groups.n];
        err = list_links_of(h, &group);
        free(group.name);
    }
    return err;
}

/* Behind all that they may lead to. */
static int list_soft_links(struct hdf5 *h)
{
    int err = 0;
    for (size_t i = 0; !err && i < h->links.n; i++) {
        struct dec_member m = {.kind = DEC_MEMBER_HARDLINK, .mtime_s = h->mtime_s};
        err = dec_listing_add(h->l, &m, h->links.all[i].name, h->links.all[i].target);
    }
    return err;
}

int dec_list_hdf5(struct dec_listing *l)
{
    static struct hdf5 h;
    struct stat st;
    memset(&h, 0, offsetof(struct hdf5, path));
    h.l = l;
    h.mtime_s = fstat(l->work->source.fd, &st) == 0 ? st.st_mtime : 0;
    l->writer.format = l->facts.format = DEC_HDF5;
    l->facts.stream_bytes = l->facts.archive_bytes;
    int err = dec_hdf5_open(&l->work->source, &h.file, &l->work->why);
    if (err)
        return err;
    err = list_groups(&h);
    if (!err)
        err = list_soft_links(&h);
    tdestroy(h.seen, keep_nothing);
    finish(&h.groups);
    finish(&h.links);
    dec_hdf5_close(&h.file);
    return BASE_MIN(err, 0);
}
