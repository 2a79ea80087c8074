/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of fs/ share. */
#ifndef FS_PRIVATE_H
#define FS_PRIVATE_H

#define FUSE_USE_VERSION 312
#include "fs/fs.h"
#include "fs/interrupts.h"
#include "fs/lists.h"
#include "fs/tables.h"
#include "fs/tree.h"

#include "base/histogram.h"

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

/* What is timed, from the daemon's taking of a request to its answer. A cold read is one that had to wait. */
enum fs_op { FS_LOOKUP, FS_GETATTR, FS_READDIR, FS_READ_WARM, FS_READ_COLD, FS_N_OPS };

struct fs {
    const struct fs_options *options;
    struct fs_tree tree;
    struct cache *cache;
    struct fuse_session *session;
    struct fs_signals *signals;
    struct fs_interrupts *interrupts;
    struct fs_notifier *notifier;
    struct fs_rescanner *rescanner;
    struct fs_lists *lists;
    struct fs_tables *tables;
    size_t n_tables_missing; /* in the last scan that was taken in */
    struct timespec mounted; /* mtime of directories that stand for no clip */
    uid_t uid;
    gid_t gid;
    /* By their number in the cache; grow in place. Files that views show as they are have a path only,
     * archives not even that. */
    struct cfg_clip *clips;
    _Atomic size_t n_clips;
    size_t n_fields;
    _Atomic size_t n_problems; /* that the last scan told */
    _Atomic size_t n_left_out; /* clips that the last one that was taken in kept out of the tree */
    struct base_grow clips_memory;
    struct fs_scan *scans; /* own what the clips point into */
    atomic_bool ended;
    atomic_bool greeted; /* the kernel has got its first answer */
    int64_t begin_ns;
    struct base_histogram latency_ns[FS_N_OPS];
    _Atomic uint64_t bytes_read; /* by readers, of files of all views */
};

/* Nothing changes without the kernel being told (notify.c), so it may keep what it knows. */
#define FS_FOREVER 1e9

/* ---- world.c: what there is ---- */
int fs_world_init(struct fs *fs);
/* Looks through the corpus, and makes the tree what is found; but while it is mounted, not if a table is
 * broken that was not: then the tree stays, and the log tells so. One thread at a time; fs->cache must be
 * there. 0 or a negative errno. listener: NULL before the mount. */
int fs_world_scan(struct fs *fs, cfg_report *report, void *context, const struct fs_tree_listener *listener);
/* After the cache's end. Safe on zeroes. */
void fs_world_finish(struct fs *fs);

/* ---- files.c: what an inode is ---- */
enum fs_what { FS_IS_DIR, FS_IS_FILE, FS_IS_FRAME, FS_IS_MEMBER, FS_IS_NOTHING };
struct fs_inode {
    enum fs_what what;
    uint32_t node; /* FS_IS_DIR, FS_IS_FILE; of a frame its directory */
    uint32_t clip; /* UINT32_MAX = none */
    uint16_t view;
    uint32_t set, frame;      /* FS_IS_FRAME */
    uint32_t version;         /* of the clip */
    uint32_t archive, member; /* FS_IS_MEMBER */
};
struct fs_inode fs_inode_of(const struct fs *fs, fuse_ino_t ino);
/* version: the clip's; of a directory 0. */
fuse_ino_t fs_ino_of_node(uint32_t node, uint32_t version);
fuse_ino_t fs_ino_of_frame(uint32_t set, uint32_t frame, uint32_t version);
fuse_ino_t fs_ino_of_member(uint32_t archive, uint32_t member);
/* With the version that the clip has now. */
struct fs_inode fs_node_now(const struct fs *fs, uint32_t node);
struct fs_inode fs_frame_now(const struct fs *fs, uint32_t set, uint32_t frame);
/* Whether a node is the file of a list view: then its clip is the number of a list (lists.h). */
bool fs_is_list(const struct fs *fs, uint32_t node);

/* Attributes. 0, -EINPROGRESS (w may be NULL), -ENOENT for a file that its clip does not give, -ESTALE for an
 * earlier version, -EIO, ... */
int fs_attributes(struct fs *fs, const struct fs_inode *inode, struct cache_waiter *w, struct stat *ret);
/* Reads; the number of bytes or an error as above. */
ssize_t fs_read(struct fs *fs, const struct fs_inode *inode, struct cache_waiter *w, void *out, size_t len,
                uint64_t offset);
/* Whether a single file exists, without its size: 0, -ENOENT, -EINPROGRESS, ... */
int fs_exists(struct fs *fs, const struct fs_inode *inode, struct cache_waiter *w);

/* ---- ops.c ---- */
extern const struct fuse_lowlevel_ops fs_ops;

/* ---- stats.c ---- */
/* Appends the status: one JSON object and a newline, in ASCII; its keys stand in corpusfs.1. Any thread,
 * while there is a cache. */
void fs_stats_json(const struct fs *fs, struct base_bytes *out);
/* The same into a file, which is replaced. */
void fs_stats_write(const struct fs *fs, const char *path);

/* ---- control.c: the status socket ---- */
struct fs_control;
/* Starts its thread. 0 or a negative errno. */
int fs_control_create(struct fs *fs, const char *path, struct fs_control **ret);
/* Before the cache's end. NULL is allowed. */
void fs_control_destroy(struct fs_control *c);

/* ---- notify.c: telling the kernel that what it keeps is no longer so ---- */
struct fs_notifier;
/* Starts its thread. 0 or a negative errno. */
int fs_notifier_create(struct fs *fs, struct fs_notifier **ret);
/* Ends its thread; what is noticed from then on is not told. NULL is allowed. */
void fs_notifier_stop(struct fs_notifier *n);
void fs_notifier_destroy(struct fs_notifier *n);
/* The kernel is to forget what it was told of a version of a clip; the cache's on_change. Any thread; returns
 * at once. */
void fs_notify_clip(void *notifier, size_t clip, uint32_t version, uint32_t n_files);
/* The same for a list, whose version has ended. */
void fs_notify_list(struct fs_notifier *n, uint32_t list);
/* Who is to be woken when the kernel was told of all that changed by now, or after a second. */
struct fs_told_waiter {
    void (*wake)(struct fs_told_waiter *w); /* from another thread, no locks held */
    /* private to notify.c */
    struct fs_told_waiter *next;
    uint64_t change;
    int64_t until_ns;
};
/* false: it was told, or nothing will be any more, and w is not used. Any thread; returns at once. */
bool fs_notifier_wait(struct fs_notifier *n, struct fs_told_waiter *w);
/* The kernel is to forget the names of a frame set that the tree has no more. Waits for who holds the
 * directory's lock. */
void fs_forget_frames(struct fs *fs, uint32_t set);

/* ---- rescan.c: scanning again while mounted ---- */
struct fs_rescanner;
/* Does not start. 0 or -ENOMEM. */
int fs_rescanner_create(struct fs *fs, struct fs_rescanner **ret);
/* Once there is a session. 0 or a negative errno. */
int fs_rescanner_start(struct fs_rescanner *r);
/* Sees to it that a scan begins after this. Any thread; returns at once. */
void fs_rescan(struct fs_rescanner *r);
/* While there is a cache that it may wait for; NULL is allowed. */
void fs_rescanner_stop(struct fs_rescanner *r);
void fs_rescanner_destroy(struct fs_rescanner *r);

/* ---- command.c ---- */
void fs_command_view(const struct cfg *cfg, const struct cfg_view *v, struct cache_command *ret);
/* As in cache_options.command; the context is the struct fs. */
int fs_command_arguments(const void *context, size_t clip, size_t view,
                         const struct cache_command_values *values, struct base_bytes *out);

/* ---- survey_media.c ---- */
/* Whether there is anything to demux: with index_media all videos are, else those that tables cut. */
bool fs_survey_needs_media(const struct fs_options *o, const struct cfg_clips *clips);
/* Demuxes them into the cache, which must be of a survey, and reports parts of videos that go past their
 * ends. Sets s->n_bad_media and n_past_end. 0 or a negative errno. */
int fs_survey_media(const struct fs_options *o, struct cache *cache, const struct cfg_clips *clips,
                    fs_progress *on_progress, void *context, struct fs_survey *s);

/* ---- world.c ---- */
/* A clip as the cache knows it; its strings are the clip's. */
struct cache_source fs_source_of(const struct cfg_clip *clip);

/* ---- views.c ---- */
/* A view of the configuration as the cache knows it; false: a text or list view, which is no matter of the
 * cache. */
bool fs_cache_view(const struct cfg *cfg, const struct cfg_view *v, struct cache_view *ret);

#endif
