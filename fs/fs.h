/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs: the FUSE side. Thin: it knows names, inode numbers and replies; what files there are and what is in
 * them it asks the cache. It parses nothing of a corpus. Start with session.c (mounting, the loop), then
 * ops.c (one function an operation), tree.h (names).
 *
 * Requests that must wait are parked: the struct of a request is remembered by the cache as a waiter, and the
 * operation runs again, from its start, on the thread that made what it waited for. No thread waits.
 *
 * world.c runs the scan, and gives what it finds its numbers in the cache and its places in the tree.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include "cache/cache.h"
#include "mountcfg/cfg.h"

/* The file in the cache folder whose time says when `corpusfs index` was last run. */
#define FS_STAMP_NAME "scanned"

struct fs_options {
    const struct cfg *cfg;
    const char *mountpoint;       /* absolute */
    const char *fuse_options;     /* for -o, or NULL */
    const char *decoder;          /* path of the worker program */
    uint64_t worker_memory_bytes; /* 0 = no limit */
    const char *stats_file;       /* where the status is written as JSON at the end and on SIGUSR1, or NULL */
    const char
        *status_socket;   /* path of the socket at which the status is told as JSON (corpusfs.1), or NULL */
    cfg_report *describe; /* fs_survey(): what was found (cfg_describe()); may be NULL */
    /* fs_survey(): demuxes all clips, and not only those that tables cut out of videos. What that tells is
     * kept; after an interruption it goes on. */
    bool index_media;
    /* Holds DALI's and Energon's indexes against the archives beside them, */
    bool check_indexes;
    bool write_indexes; /* and writes those that lack or are wrong */
    cfg_report *report; /* what is wrong with the corpus, found by the scan before the mount */
    /* Called when the tree can be used: a background daemon then lets its parent go. */
    void (*on_ready)(void *context);
    void *context;
};

/* What the scan finds. Of the options, what is about mounting is not used. */
struct fs_survey {
    size_t n_clips, n_files, n_archives, n_problems;
    size_t n_indexes_written; /* beside archives */
    size_t n_bad_media;       /* clips that cannot be indexed; the log says why */
    size_t n_past_end;        /* clips that a table lets end after their source */
};
/* Scans without mounting; archives are listed, and the lists kept. on_progress: how many archives of how many
 * are done, then how many videos; may be NULL. 0 or a negative errno with a reason. */
typedef void fs_progress(void *context, uint64_t done, uint64_t total);
int fs_survey(const struct fs_options *options, fs_progress *on_progress, void *context,
              struct fs_survey *ret, struct base_reason *why);

/* Scans, mounts, serves until unmounted or a signal ends it, and cleans up. 0 or a negative errno with a
 * reason. */
int fs_serve(const struct fs_options *options, struct base_reason *why);

#endif
