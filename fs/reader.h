/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who looks into tables for cfg_scan(): asks a worker for their records, through the cache, and hands them
 * on. Threads: one at a time.
 */
#ifndef FS_READER_H
#define FS_READER_H

#include "cache/reader.h"
#include "fs/tables.h"
#include "mountcfg/clips.h"

struct fs_reader {
    struct cfg_reader ops; /* for cfg_scan() */
    struct cache_reader_options options;
    struct cache_reader *reader; /* NULL = no table was read so far */
    struct cache *cache;         /* that has the archives; borrowed, may be NULL */
    struct fs_tables *tables;    /* of a mount: which are read, and which are broken; borrowed, may be NULL */
};
/* options is copied; its strings are borrowed. With `tables` there must be a cache. Nothing happens before
 * the first table. */
void fs_reader_init(struct fs_reader *r, const struct cache_reader_options *options, struct cache *cache,
                    struct fs_tables *tables);
void fs_reader_finish(struct fs_reader *r);

#endif
