/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a mount's tables. Each is a source of the cache that no view shows, so that its changes are
 * noticed as those of videos are; the corpus is scanned again then (rescan.c). And each is whole or broken: a
 * scan that finds one broken that was not is not taken in, as a file that is being written looks like that.
 *
 * Threads: one at a time, the one that scans.
 */
#ifndef FS_TABLES_H
#define FS_TABLES_H

#include "cache/cache.h"

struct fs_tables;
/* NULL: out of memory. */
struct fs_tables *fs_tables_create(void);
/* After the cache's end, which has the paths. NULL is allowed. */
void fs_tables_destroy(struct fs_tables *t);

/* A scan is going to read the tables at these paths, relative to the root: from now on changes of them are
 * noticed, and of those that earlier scans read. 0 or a negative errno. */
int fs_tables_watch(struct fs_tables *t, struct cache *c, const char *const *paths, size_t n);
/* The scan found this one broken. Others are none of ours. */
void fs_tables_set_broken(struct fs_tables *t, const char *path);
/* At the scan's end: the first table that is broken and was not in the last scan that was taken in, or NULL.
 */
const char *fs_tables_find_broken(const struct fs_tables *t);
/* The scan is taken in. */
void fs_tables_take_in(struct fs_tables *t);

#endif
