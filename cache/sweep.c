/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing all rows with all files: after a loss of power, and when the index was lost. */
#include "cache/store_private.h"

#include "base/log.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define AT_ONCE 64u

struct sweep {
    struct cache_store *store;
    struct cache_db_segment found[AT_ONCE]; /* good files that wait for a row */
    size_t n_found;
    struct cache_swept n;
};

static int adopt(struct sweep *sweep)
{
    /* Some may have been evicted and made again since they were found: those have their row by now. */
    int n = cache_db_adopt(sweep->store->db, sweep->found, sweep->n_found);
    sweep->n_found = 0;
    sweep->n.n_adopted += (uint64_t)BASE_MAX(n, 0);
    return BASE_MIN(n, 0);
}

/* A file without a row. Its content is checked when it is opened for reading; the footer says enough for a
 * row. */
static int sweep_file(struct sweep *sweep, const struct base_hash *key)
{
    struct cache_path path = cache_path_segment(sweep->store->dir, key);
    base_autoclose int fd = open(path.text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return 0;
    struct cache_footer footer;
    struct stat st;
    if (fd < 0 || cache_footer_read(fd, key, &footer) < 0 || fstat(fd, &st) < 0) {
        sweep->n.n_removed += cache_space_remove(sweep->store, key);
        return 0;
    }
    uint64_t bytes = cache_charge_fd(fd, (uint64_t)st.st_size);
    sweep->found[sweep->n_found++] = (struct cache_db_segment){
        .key = *key,
        .bytes = bytes,
        .cost_class = cache_cost_class(footer.cost_us, bytes),
        .used_ms = (int64_t)st.st_mtim.tv_sec * 1000,
    };
    return sweep->n_found == AT_ONCE ? adopt(sweep) : 0;
}

static int sweep_dir(struct sweep *sweep, const char *path, unsigned first_byte)
{
    DIR *dir = opendir(path);
    if (!dir)
        return errno == ENOENT ? 0 : -errno;
    int err = 0;
    for (struct dirent *e; err >= 0 && (e = readdir(dir));) {
        struct base_hash key;
        if (!cache_key_parse(e->d_name, &key) || key.bytes[0] != first_byte)
            continue;
        err = cache_db_has(sweep->store->db, &key);
        if (err == 0)
            err = sweep_file(sweep, &key);
    }
    closedir(dir);
    return BASE_MIN(err, 0);
}

int cache_each_segment(struct cache_store *store, int (*with)(void *context, const struct base_hash *key),
                       void *context)
{
    struct base_hash keys[AT_ONCE], last;
    size_t n;
    int err = cache_db_keys(store->db, NULL, keys, AT_ONCE, &n);
    while (!err && n > 0) {
        for (size_t i = 0; !err && i < n; i++)
            err = with(context, &keys[i]);
        last = keys[n - 1];
        if (!err)
            err = cache_db_keys(store->db, &last, keys, AT_ONCE, &n);
    }
    return err;
}

static int sweep_row(void *context, const struct base_hash *key)
{
    struct sweep *sweep = context;
    struct cache_path path = cache_path_segment(sweep->store->dir, key);
    int gone = access(path.text, F_OK) < 0 ? cache_db_forget_missing(sweep->store->db, key) : 0;
    sweep->n.n_missing += gone > 0;
    return BASE_MIN(gone, 0);
}

int cache_sweep(struct cache_store *store)
{
    struct sweep *sweep = calloc(1, sizeof *sweep);
    if (!sweep)
        return -ENOMEM;
    sweep->store = store;
    int err = 0;
    for (unsigned i = 0; !err && i < 256; i++) {
        struct base_hash key = {.bytes = {(uint8_t)i}};
        struct cache_path path = cache_path_fan(store->dir, &key);
        err = sweep_dir(sweep, path.text, i);
    }
    if (!err)
        err = adopt(sweep);
    if (!err)
        err = cache_each_segment(store, sweep_row, sweep);
    store->swept.n_adopted += sweep->n.n_adopted;
    store->swept.n_removed += sweep->n.n_removed;
    store->swept.n_missing += sweep->n.n_missing;
    if (sweep->n.n_adopted + sweep->n.n_removed > 0)
        base_log(BASE_LOG_INFO, "%s: %llu segments found without a row and kept, %llu removed", store->dir,
                 (unsigned long long)sweep->n.n_adopted, (unsigned long long)sweep->n.n_removed);
    free(sweep);
    return err;
}
