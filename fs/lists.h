/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists: the files of list views, which are about all clips of the mount.
 *
 * A list has a number for as long as the mount lives, and versions as a clip has (cache_version()): the inode
 * numbers of two versions differ. Its bytes are made when its size is first asked for, since its clips must
 * be looked into for that; all workers do so, and no thread waits. How many frames each clip has is kept, in
 * eight bytes a clip, and the text itself as long as the texts of all lists take less than 64 MiB.
 *
 * When a clip of a list changes, what is known of that clip alone is asked anew; if anybody was told the
 * list's size, its version ends, and the kernel is told.
 *
 * Threads: any; fs_lists_update() one at a time.
 */
#ifndef FS_LISTS_H
#define FS_LISTS_H

#include "cache/cache.h"
#include "mountcfg/clips.h"

#include <time.h>

struct fs;
struct fs_lists;

int fs_lists_create(struct fs *fs, struct fs_lists **ret);
/* NULL is allowed. */
void fs_lists_destroy(struct fs_lists *lists);
/* The lists are these from now on. clip_ids: the number of each clip; ret_ids: room for the number of each
 * list of clips->lists. 0 or a negative errno: then they are as they were. */
int fs_lists_update(struct fs_lists *lists, const struct cfg_clips *clips, const uint32_t *clip_ids,
                    uint32_t *ret_ids);
/* What is known of a clip is no longer so. Before anybody else is told. */
void fs_lists_clip_changed(struct fs_lists *lists, size_t clip);

uint32_t fs_list_version(struct fs_lists *lists, uint32_t list);
/* Whether its size is known, so that asking for it takes no time. */
bool fs_list_is_made(struct fs_lists *lists, uint32_t list);
/* Its size, and the time of the last change of what is in it; `without`, unless it is known, is what there is
 * to tell. 0, -EINPROGRESS, -ESTALE for another version, -EIO for one that changed too often, -EFBIG, ... */
int fs_list_size(struct fs_lists *lists, uint32_t list, uint32_t version, struct cache_waiter *w,
                 uint64_t *ret, struct timespec *ret_mtime);
/* The number of bytes, or an error as above. */
ssize_t fs_list_read(struct fs_lists *lists, uint32_t list, uint32_t version, struct cache_waiter *w,
                     void *out, size_t len, uint64_t offset);
/* Clips that the lists which were made do not list, since they cannot be read. */
uint64_t fs_lists_n_unlisted(struct fs_lists *lists);

#endif
