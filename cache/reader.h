/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads tables of the corpus by a worker of its own, for the scan, which goes before all else; what was read
 * is kept in the store like a media index.
 *
 * Threads: one at a time.
 */
#ifndef CACHE_READER_H
#define CACHE_READER_H

#include "base/base.h"
#include "base/bytes.h"
#include "cache/archives.h"

struct cache_reader;
struct cache_reader_options {
    const char *root;                 /* absolute; strings are borrowed */
    const struct base_folder *merged; /* as in cache_options */
    size_t n_merged;
    const char *dir;              /* of the disk cache; NULL = nothing is kept */
    uint64_t size_bytes;          /* its budget */
    const char *decoder;          /* path of the worker program */
    uint64_t worker_memory_bytes; /* 0 = no limit */
};
/* 0, or a negative errno with a reason. The worker starts with the first table. */
int cache_reader_create(const struct cache_reader_options *options, struct cache_reader **ret,
                        struct base_reason *why);
void cache_reader_destroy(struct cache_reader *r); /* NULL is allowed */

/* Appends the packed records (decoders/records.h) of the table at `path`, relative to the root, of which a
 * packed dec_table_spec says what is wanted. 0; -EIO with a reason for a table that cannot be read; another
 * negative errno. */
int cache_read_table(struct cache_reader *r, const char *path, const struct base_bytes *spec,
                     struct base_bytes *ret, struct base_reason *why);
/* The same for a member of an archive that c has open. */
int cache_read_member_table(struct cache_reader *r, struct cache *c, uint32_t archive, uint32_t member,
                            const struct base_bytes *spec, struct base_bytes *ret, struct base_reason *why);

/* Indexes of a shard's samples that other programs keep beside it: DALI's .idx, and Energon's .tar.idx. They
 * are not read from: what a shard holds, its own headers tell. */
enum cache_shard_index { CACHE_DALI, CACHE_ENERGON };
enum { CACHE_INDEX_NONE, CACHE_INDEX_GOOD, CACHE_INDEX_WRITTEN };
/* Appends the path of the index of a shard, terminated. */
void cache_shard_index_path(enum cache_shard_index kind, const char *shard, struct base_bytes *out);
/* Holds the index at `path` against its shard, both relative to the root; with `write` a missing or wrong one
 * is written, if the shard can have one, and appears as a whole. CACHE_INDEX_*: NONE = there is none.
 * -EINVAL: it is wrong; or another negative errno; each with a reason. */
int cache_shard_index(struct cache_reader *r, enum cache_shard_index kind, const char *shard,
                      const char *path, bool write, struct base_reason *why);

#endif
