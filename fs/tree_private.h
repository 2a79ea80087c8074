/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the tree share while it is updated. */
#ifndef FS_TREE_PRIVATE_H
#define FS_TREE_PRIVATE_H

#include "base/bytes.h"
#include "fs/tree.h"

/* Deepest directory of a path: each name takes a byte and a slash. */
enum { FS_MAX_DEPTH = 2048 };

struct fs_update {
    struct fs_tree *tree;
    const struct fs_found *found;
    const struct fs_tree_listener *listener;
    uint32_t n_nodes, n_sets; /* those from before are below the tree's; new ones above */
    /* What is part of the tree from now on, a bit each. */
    struct base_bytes live_nodes, live_sets;
    /* New directories by parent and name: nodes, 0 = free. */
    uint32_t *table;
    uint32_t n_table, table_mask;
    /* The directories of the path that was inserted last: most paths share theirs with the one before. */
    struct base_bytes last;
    uint32_t depth, ends[FS_MAX_DEPTH], path_nodes[FS_MAX_DEPTH];
};

static inline bool fs_is_live(const struct base_bytes *bits, uint32_t i)
{
    return i / 8 < bits->len && (bits->data[i / 8] >> (i % 8) & 1);
}

/* Puts in all that was found. 0 or a negative errno. */
int fs_tree_insert(struct fs_update *u);
/* Gives the directories their new lists. After an error nothing has changed. */
int fs_tree_order(struct fs_update *u);

#endif
