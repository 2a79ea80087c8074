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

struct fs_options {
    const struct cfg *cfg;
    const char *mountpoint;       /* absolute */
    const char *fuse_options;     /* for -o, or NULL */
    const char *decoder;          /* path of the worker program */
    uint64_t worker_memory_bytes; /* 0 = no limit */
    const char *stats_file;       /* where the status is written as JSON at the end and on SIGUSR1, or NULL */
    const char
        *status_socket; /* path of the socket at which the status is told as JSON (corpusfs.1), or NULL */
    cfg_report *report; /* what is wrong with the corpus, found by the scan before the mount */
    /* Called when the tree can be used: a background daemon then lets its parent go. */
    void (*on_ready)(void *context);
    void *context;
};

/* Scans, mounts, serves until unmounted or a signal ends it, and cleans up. 0 or a negative errno with a
 * reason. */
int fs_serve(const struct fs_options *options, struct base_reason *why);

#endif
