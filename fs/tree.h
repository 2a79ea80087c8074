/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree: directories and files by name, and the sets of frames that a directory holds, made from the
 * configuration's views and what the scan found. Names only: sizes and counts are the cache's to tell.
 *
 * Inode numbers are computed from places in the tree (files.c), so nothing is kept for a frame that was
 * listed, and a node's place never changes: what a later scan finds is added, and what it no longer finds is
 * left out of its directory.
 *
 *   tree.c         looking up
 *   tree_insert.c  paths become nodes
 *   tree_order.c   directories get their lists of children; which of two files of one name stays
 *
 * Threads: any may look up, also while one updates.
 */
#ifndef FS_TREE_H
#define FS_TREE_H

#include "base/grow.h"
#include "mountcfg/clips.h"

#include <limits.h>
#include <stdatomic.h>

/* FS_MEMBER, FS_LINK: a file or symbolic link in an archive. */
enum fs_node_kind { FS_DIR, FS_FILE, FS_MEMBER, FS_LINK };

/* There may be millions: 16 bytes. */
struct fs_node {
    uint32_t parent : 30, kind : 2;
    uint32_t name; /* offset into fs_tree.names */
    union {
        uint32_t dir;  /* FS_DIR: its number in fs_tree.dirs */
        uint32_t clip; /* FS_FILE; of a list view the number of the list */
        uint32_t archive;
    };
    uint32_t view : 7;    /* of all but directories */
    uint32_t member : 25; /* its content's number in the archive */
};
_Static_assert(sizeof(struct fs_node) == 16, "as it says");

/* A place in fs_tree.ids. */
struct fs_span {
    uint32_t first, n;
};
struct fs_dir {
    _Atomic(struct fs_span) children; /* nodes, sorted by name bytewise */
    _Atomic(struct fs_span) sets;     /* frame sets in it */
    atomic_uint n_subdirs;
    atomic_uint clip; /* of its first frame set; UINT32_MAX = none */
};

enum { FS_MAX_SETS = 1 << 23, FS_MAX_NODES = 1 << 28 };
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
    /* These grow in place. */
    struct fs_node *nodes;
    struct fs_dir *dirs;
    struct fs_frame_set *sets;
    uint32_t *ids;
    char *names;
    atomic_uint n_nodes, n_sets;
    uint32_t n_dirs, n_ids, names_bytes; /* of who updates */
    struct base_grow nodes_memory, dirs_memory, sets_memory, ids_memory, names_memory;
    struct cfg_frame_name **frame_names;
    uint32_t n_frame_names;
};

/* What a scan found, and how the tree is to call it. */
struct fs_found {
    const struct cfg_clips *clips;
    /* The number of each clip, and of each file that views show; NULL: clips, then files, in their order. */
    const uint32_t *clip_ids, *file_ids;
    const uint32_t *list_ids;        /* and of each list; NULL: in their order */
    const struct cfg_lister *lister; /* for what is in the archives; NULL when there are none */
    cfg_report *report;              /* names that are left out, one line a kind; may be NULL */
    void *context;
    size_t *n_problems; /* goes up with each of these; may be NULL */
};
/* Who wants to know what an update changes. A name is changed when it is gone, or means another file now; of
 * its directory, the listing is told to have changed as well. So are the names of a frame set that its
 * directory, which is still there, has no more. All is told once the tree is the new one. NULL is allowed. */
struct fs_tree_listener {
    void (*on_name)(void *context, uint32_t dir, const char *name);
    void (*on_frames)(void *context, uint32_t set);
    void (*on_listing)(void *context, uint32_t dir);
    void *context;
};

/* An empty tree; cfg is borrowed and must live as long. 0 or a negative errno; fs_tree_finish() is safe after
 * any outcome. */
int fs_tree_init(struct fs_tree *t, const struct cfg *cfg);
void fs_tree_finish(struct fs_tree *t);
/* Makes the tree that of what was found. What was there before and still is keeps its place. 0, -E2BIG for
 * more than FS_MAX_SETS frame sets, or a negative errno: then lookups find what they found before. */
int fs_tree_update(struct fs_tree *t, const struct fs_found *found, const struct fs_tree_listener *listener);

static inline const char *fs_node_name(const struct fs_tree *t, const struct fs_node *n)
{
    return t->names + n->name;
}
static inline struct fs_dir *fs_node_dir(const struct fs_tree *t, uint32_t node)
{
    return &t->dirs[t->nodes[node].dir];
}
static inline struct fs_span fs_children(const struct fs_tree *t, uint32_t node)
{
    return atomic_load_explicit(&fs_node_dir(t, node)->children, memory_order_acquire);
}
static inline struct fs_span fs_sets(const struct fs_tree *t, uint32_t node)
{
    return atomic_load_explicit(&fs_node_dir(t, node)->sets, memory_order_acquire);
}
/* The child of a directory with this name: its node, or -ENOENT. */
int64_t fs_tree_child(const struct fs_tree *t, uint32_t dir, const char *name);
/* The same for a name of len bytes. */
int64_t fs_tree_child_n(const struct fs_tree *t, uint32_t dir, const char *name, size_t len);
/* The frame (from 0) that a name means in a set, -1 = it is no such name. */
int64_t fs_frame_number(const struct fs_frame_set *set, const char *name);
/* Writes a frame's name, terminated. */
void fs_frame_name(const struct fs_frame_set *set, uint32_t frame, char out[NAME_MAX + 1]);
/* The frames view that a text file of a clip counts: of the same directory if there is one, else the first;
 * -1 = the configuration has none. */
int fs_counted_view(const struct fs_tree *t, const struct fs_node *text);

#endif
