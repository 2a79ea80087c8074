/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notices that a source changed, so that the kernel may keep what it was told for as long as nothing did. Two
 * ways, one thread: inotify on the directories of clips that were looked into, and a sweep over the sizes and
 * times of these clips' files, for what inotify does not see: other machines' writes to a network filesystem,
 * files behind symbolic links, directories further up that were renamed, and all that its limits left out.
 * Clips that nobody looked into cost nothing.
 *
 * Threads: watch_clip(), any thread.
 */
#ifndef CACHE_WATCH_H
#define CACHE_WATCH_H

#include <stddef.h>
#include <stdint.h>

struct cache;
struct cache_watch;

/* Starts the thread. 0 or a negative errno. The cache's clips outlive it; those that it has are added. */
int watch_start(struct cache *c, uint32_t refresh_seconds, struct cache_watch **ret);
/* Clips with these numbers are there now: the first n of them from `first`. One thread at a time. NULL is
 * allowed. 0 or a negative errno. */
int watch_add(struct cache_watch *w, size_t first, size_t n);
/* NULL is allowed. */
void watch_stop(struct cache_watch *w);
/* From now on changes of the clip's files are noticed: to be called before they are looked at. NULL is
 * allowed. */
void watch_clip(struct cache_watch *w, size_t clip);

#endif
