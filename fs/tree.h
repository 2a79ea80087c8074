/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree: directories and files by name, and the sets of frames that a directory holds. Built once from the
 * configuration's views and clips, immutable after that. Names only: sizes and counts are the cache's to
 * tell.
 *
 * Inode numbers are computed from places in the tree (files.c), so nothing is kept for a frame that was
 * listed.
 *
 * Threads: any, after tree_create().
 */
#ifndef FS_TREE_H
#define FS_TREE_H

#include "mountcfg/cfg.h"

#include <limits.h>

enum fs_node_kind { FS_DIR, FS_FILE };

struct fs_node {
    uint32_t parent;
    uint32_t name;                    /* offset into fs_tree.names */
    uint32_t first_child, n_children; /* FS_DIR: consecutive nodes, sorted by name bytewise */
    uint32_t first_set, n_sets;       /* FS_DIR: frame sets in it */
    uint32_t n_subdirs;
    uint32_t clip; /* FS_FILE, or the clip of a directory's first frame set; UINT32_MAX = none */
    uint16_t view; /* FS_FILE */
    uint8_t kind;
};

enum { FS_MAX_SETS = 1 << 23 };
/* Frames of one clip and view: names prefix + number + suffix. */
struct fs_frame_set {
    uint32_t node; /* the directory */
    uint32_t clip;
    uint16_t view;
    const struct cfg_frame_name *name;
    uint32_t base; /* number in the name of the first frame */
};

struct fs_tree {
    const struct cfg *cfg;
    const struct cfg_clips *clips;
    struct fs_node *nodes;
    uint32_t n_nodes;
    struct fs_frame_set *sets;
    uint32_t n_sets;
    char *names;
    struct cfg_frame_name **frame_names;
    uint32_t n_frame_names;
};

/* cfg and clips are borrowed and must live as long. 0, -E2BIG for more than FS_MAX_SETS frame sets, or a
 * negative errno. */
int fs_tree_create(const struct cfg *cfg, const struct cfg_clips *clips, struct fs_tree *ret);
void fs_tree_finish(struct fs_tree *t);

static inline const char *fs_node_name(const struct fs_tree *t, const struct fs_node *n)
{
    return t->names + n->name;
}
/* The child of a directory with this name: its index, or -ENOENT. */
int64_t fs_tree_child(const struct fs_tree *t, uint32_t dir, const char *name);
/* The frame (from 0) that a name means in a set, -1 = it is no such name. */
int64_t fs_frame_number(const struct fs_frame_set *set, const char *name);
/* Writes a frame's name, terminated. */
void fs_frame_name(const struct fs_frame_set *set, uint32_t frame, char out[NAME_MAX + 1]);
/* The frames view that a text file of a clip counts: of the same directory if there is one, else the first;
 * -1 = the configuration has none. */
int fs_counted_view(const struct fs_tree *t, const struct fs_node *text);

#endif
