/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where in the tree the files of each clip and of each list stand, so that a change of one of them costs as
 * much as it has files, however large the tree is.
 *
 * The tree only grows, and so does this: each node and set is looked at once, by the first question after it
 * was added. Threads: one at a time; the tree may be updated meanwhile.
 */
#ifndef FS_PLACES_H
#define FS_PLACES_H

#include "fs/tree.h"

/* Places in the tree by a number. */
struct fs_chains {
    struct base_grow heads; /* by number, its last link; 0 = none */
    struct base_grow links; /* [0] is none */
    uint32_t n_links;
};

struct fs_places {
    struct fs_chains sets, files, lists; /* frame sets and nodes of clips, nodes of lists */
    uint32_t n_sets, n_nodes;            /* of the tree, that are in it */
};

/* An empty one. 0 or -ENOMEM; fs_places_finish() is safe after any outcome, and on zeroes. */
int fs_places_init(struct fs_places *p);
void fs_places_finish(struct fs_places *p);
/* Takes in what is new in the tree. 0 or -ENOMEM: then it has a part of it. */
int fs_places_update(struct fs_places *p, const struct fs_tree *t);

/* The first link of a number, and the one after a link; 0 = there is none. The last that was added comes
 * first. */
uint32_t fs_places_first(const struct fs_chains *c, uint32_t number);
uint32_t fs_places_next(const struct fs_chains *c, uint32_t link);
/* The set or node. */
uint32_t fs_places_of(const struct fs_chains *c, uint32_t link);

#endif
