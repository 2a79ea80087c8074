/* SPDX-License-Identifier: Apache-2.0 */
/* Where things stand below the cache directory. Internal to cache/. Any thread. */
#ifndef CACHE_PATHS_H
#define CACHE_PATHS_H

#include "base/hash.h"
#include <limits.h>

/* What has to fit behind the directory in a path. */
#define CACHE_PATH_ROOM 96u

struct cache_path {
    char text[PATH_MAX];
};

/* segments/ab/abcd... */
struct cache_path cache_path_segment(const char *dir, const struct base_hash *key);
/* segments/ab */
struct cache_path cache_path_fan(const char *dir, const struct base_hash *key);
/* tmp/<owner>-<seq>: the file of one piece of work. The owner's name has always 16 digits. */
struct cache_path cache_path_work(const char *dir, int64_t owner, uint64_t seq);
/* tmp/<owner>.lock: locked (flock) as long as the owner lives. */
struct cache_path cache_path_owner(const char *dir, int64_t owner);
/* dir/name */
struct cache_path cache_path_in(const char *dir, const char *name);

/* 32 hexadecimal digits to a key; false for anything else. */
bool cache_key_parse(const char *text, struct base_hash *ret);
/* The 16 digits at the start of a name in tmp/; false for anything else. */
bool cache_owner_parse(const char *text, int64_t *ret);

/* Makes the cache directory and the two below it, mode 0700, parents too. 0 or a negative errno. */
int cache_make_dirs(const char *dir);

#endif
