/* SPDX-License-Identifier: Apache-2.0 */
/* Folders in tmp/, named as the files of this store's work are: what a dead store leaves is removed with
 * those. */
#include "cache/store_private.h"

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>

int cache_scratch_create(struct cache_store *store, char **ret_path)
{
    int err = cache_store_ground(store);
    if (err)
        return err;
    uint64_t seq = atomic_fetch_add(&store->next_seq, 1);
    struct cache_path path = cache_path_work(store->dir, cache_store_owner(store).id, seq);
    char *kept = strdup(path.text);
    if (!kept)
        return -ENOMEM;
    if (mkdir(kept, 0700) < 0) {
        err = -errno;
        free(kept);
        return err;
    }
    *ret_path = kept;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)where;
    if (kind == FTW_DP || kind == FTW_DNR)
        (void)rmdir(path);
    else
        (void)unlink(path);
    return 0;
}

/* Programs may have left folders that nobody may write to: then these stay. */
void cache_remove_tree(const char *path)
{
    enum { OPEN_DIRECTORIES = 16 };
    (void)nftw(path, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS);
}

void cache_scratch_remove(char *path)
{
    cache_remove_tree(path);
    free(path);
}
