/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of lists (lists.h) share: lists.c makes their texts and answers for them, lists_update.c
 * keeps them to the clips that there are. Only these two include this. */
#ifndef FS_LISTS_PRIVATE_H
#define FS_LISTS_PRIVATE_H

#include "base/grow.h"
#include "base/hash.h"
#include "fs/lists.h"
#include "fs/private.h"

enum { FS_MAX_LISTS = 1 << 20 };

/* What is known of a clip: how many frames, or one of these. */
#define FS_UNKNOWN UINT32_MAX
#define FS_UNLISTED (UINT32_MAX - 1)
struct entry {
    uint32_t clip, frames;
};

struct list {
    char *path;
    size_t view;
    struct entry *entries;
    uint32_t n;
    uint32_t version;
    uint32_t changes;     /* goes up when what is known of a clip is not so any more */
    uint32_t next, ahead; /* entries before are known; before are asked for */
    bool told;            /* somebody knows the size of this version */
    bool made;            /* its size is known */
    uint32_t n_unlisted;
    uint64_t bytes;
    struct timespec mtime;
    struct base_bytes text; /* empty: it is put together anew */
    uint64_t used;
};

struct fs_lists {
    struct fs *fs;
    struct base_grow memory;
    _Atomic uint32_t n;
    uint32_t *sorted; /* by view and path: of who updates */
    uint32_t n_sorted;
    /* Guards the lists and the fields below; held while a text is put together, never while anybody is asked
     * or told. */
    pthread_mutex_t lock;
    struct cfg_clips values; /* of fields alone */
    char *values_text;       /* owns them */
    struct base_hash values_hash;
    size_t kept_bytes;
    uint64_t n_uses, n_unlisted;
};

static inline struct list *fs_list_of(const struct fs_lists *l, uint32_t number)
{
    return (struct list *)l->memory.data + number;
}

static inline const struct cfg_view *fs_list_view(const struct fs_lists *l, const struct list *list)
{
    return cfg_view(l->fs->options->cfg, list->view);
}

/* The text is put together anew when it is needed next. */
void fs_list_drop_text_locked(struct fs_lists *l, struct list *list);

#endif
