/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache: keeps what was made. store.h is its disk half: segments under a SQLite index, within a budget.
 * (cache.h is the other half: jobs, workers, who waits for what.)
 *
 * On disk, below the cache directory:
 *   index.sqlite           WAL mode, schema version in user_version
 *   segments/ab/abcd...    one file a segment, named by its key in hexadecimal
 *   tmp/                   files being written, and a locked file for each living store; what a dead one left
 *                          is removed by the next that opens the directory or evicts
 *   lock                   held while a store sets the directory up
 *
 * A segment file is: payload, entries (struct dec_entry), footer (fixed size: magic, format version, counts,
 * fill, tail_bytes, file_bytes, checksum of all before). The footer is checked, and the checksum, whenever a
 * segment is opened anew, so that neither a crash nor a bad disk can give a wrong byte: a bad one is removed
 * and counts as missing.
 *
 * The budget covers everything in the directory - segments, files being written, the index with its log,
 * directories - at every moment, summed over all stores and processes that share it. A directory that is
 * removed, a full disk or a broken index cost no read: segments are served from memory until things can be
 * kept again.
 *
 * Threads: all functions, any thread. No lock is held while a segment's bytes are read or written.
 */
#ifndef CACHE_STORE_H
#define CACHE_STORE_H

#include "base/bytes.h"
#include "base/hash.h"
#include "decoders/protocol.h"

struct cache_store;

/* Opens or makes the cache directory (mode 0700). size_bytes is the budget of all that is in it. 0, or a
 * negative errno with a reason that names the directory: -ENOTSUP when a newer corpusfs wrote it. A full disk
 * is not an error. Starts a thread: after fork(), not before. Several stores and processes may open one
 * directory. */
int cache_store_open(const char *dir, uint64_t size_bytes, struct cache_store **ret, struct base_reason *why);
/* NULL is allowed. All segments and writers must have been released. */
void cache_store_close(struct cache_store *store);
/* Also leave so much of the disk free (0 at first): nothing is written that would take of it, and segments
 * are evicted when others do. */
void cache_store_set_min_free(struct cache_store *store, uint64_t bytes);

/* ---- Small facts: identities of sources, media indexes, sizes of views. Kept for good. ---- */

/* What says that a file is the one that was seen before. Zero the padding. */
struct cache_file_stamp {
    uint64_t size, inode, device;
    int64_t mtime_ns, ctime_ns;
};
/* The identity kept for a path and stamp: 0, -ENOENT, or a negative errno. */
int cache_identity_get(struct cache_store *store, const char *path, const struct cache_file_stamp *stamp,
                       struct base_hash *ret);
void cache_identity_put(struct cache_store *store, const char *path, const struct cache_file_stamp *stamp,
                        const struct base_hash *identity);

/* Bytes under a key (media index, measured sizes, remembered failure). get: 0 and appended to out, -ENOENT,
 * -EIO for a bad checksum. A put that fails, or is of more than 64 MiB, is logged (debug) and forgotten:
 * facts can be found again. put replaces. */
int cache_fact_get(struct cache_store *store, const struct base_hash *key, struct base_bytes *out);
void cache_fact_put(struct cache_store *store, const struct base_hash *key, const void *data, size_t len);
void cache_fact_remove(struct cache_store *store, const struct base_hash *key);

/* ---- Segments ---- */

/* What stands in a segment; fixed once made. */
struct cache_layout {
    uint64_t payload_bytes;
    uint64_t file_bytes; /* size of each file that readers see; for n_entries == 0 equal to payload_bytes */
    uint32_t n_entries;  /* 0: the payload is one whole file */
    uint32_t fill, tail_bytes; /* see struct dec_entry */
};

/* An open segment: immutable, counted. Bytes stay readable until the last reference is gone, also when
 * evicted meanwhile. */
struct cache_segment;
struct cache_segment *cache_segment_ref(struct cache_segment *s);
void cache_segment_unref(struct cache_segment *s); /* NULL is allowed */
const struct cache_layout *cache_segment_layout(const struct cache_segment *s);
const struct base_hash *cache_segment_key(const struct cache_segment *s);
/* A descriptor of its file, which can only be read; its payload stands at the beginning. The caller's; or a
 * negative errno. */
int cache_segment_open_again(const struct cache_segment *s);
/* Copies up to `len` bytes at `offset` of entry `entry` (0 for a whole file) as readers see it, filling
 * included. Returns the number of bytes (short only at the end), -EIO for an entry that could not be made or
 * a failed read, -ERANGE for no such entry. */
ssize_t cache_segment_read(const struct cache_segment *s, uint32_t entry, void *out, size_t len,
                           uint64_t offset);

/* A kept segment: 0, -ENOENT when it is not there (or was bad). Recently used ones stay open, so this is
 * cheap: no SQLite query and no system call when it was used lately. The use is noted for eviction, and
 * written to the index now and then, in batches. */
int cache_segment_get(struct cache_store *store, const struct base_hash *key, struct cache_segment **ret);
/* The same of the first that is found of n keys, at least one, each of which would do; *ret_number: which. No
 * query and no system call, however many are not kept, when one of them was used lately. */
int cache_segment_get_any(struct cache_store *store, const struct base_hash keys[], size_t n,
                          size_t *ret_number, struct cache_segment **ret);
/* Whether that would be answered without looking at the disk. Notes no use. */
bool cache_segment_at_hand(struct cache_store *store, const struct base_hash *key);
/* A segment that will be wanted soon, if it is kept: then it is read from the disk in the background, so that
 * cache_segment_get() need not. Returns at once, and looks at the disk at the most. */
void cache_segment_expect(struct cache_store *store, const struct base_hash *key);

/* Where a new segment is written. Reserves `max_bytes` (payload and entries) of the budget, evicting older
 * segments as needed. When the disk is full or the budget is too small the writer is in memory (memfd), and
 * its segment is served but not kept: not an error. -ENOSPC: that would take more than 1 GiB of memory. */
struct cache_writer;
int cache_writer_begin(struct cache_store *store, uint64_t max_bytes, struct cache_writer **ret);
/* The descriptor to write payload and entries into, from offset 0. Belongs to the writer. */
int cache_writer_fd(const struct cache_writer *w);
/* The checksum of the content, base_hash_of(), for who knows it. Else commit reads all of it again. */
void cache_writer_sum(struct cache_writer *w, const struct base_hash *sum);
/* Checks the entries (they come from a worker), adds the footer, publishes under `key` by rename, then adds
 * the row. `cost_us`: what making it took. Frees w in every case. -EPROTO: entries or layout make no sense,
 * or are more than max_bytes. Nobody may write to the descriptor any more. */
int cache_writer_commit(struct cache_writer *w, const struct base_hash *key,
                        const struct cache_layout *layout, uint64_t cost_us, struct cache_segment **ret);
void cache_writer_abort(struct cache_writer *w); /* NULL is allowed */
/* Into a writer's descriptor could not be written: for a second, writers are in memory. `why` goes to the
 * log.
 */
void cache_store_pause(struct cache_store *store, const char *why);

/* ---- Folders for programs that write files of their own; not counted ---- */

/* An empty folder below the directory, which goes, with what is in it, when the store ends or its process
 * dies. 0 and its path, to be freed, or a negative errno. */
int cache_scratch_create(struct cache_store *store, char **ret_path);
/* Removes it, with all that is in it; frees the path. */
void cache_scratch_remove(char *path);

/* ---- Looking after a directory; also while other processes use it ---- */

struct cache_verified {
    uint64_t n_segments; /* expected; the directory may change meanwhile */
    uint64_t n_checked, bytes_checked;
    uint64_t n_bad;     /* damaged, and removed */
    uint64_t n_orphans; /* files without a row: removed, or given a row if they were whole */
    uint64_t n_missing; /* rows without a file: removed */
};
/* Reads every segment against its checksum, and compares files and rows. on_progress may be NULL; it is
 * called after each segment. 0 or a negative errno; *ret is filled in either case. */
int cache_store_verify(struct cache_store *store,
                       void (*on_progress)(void *context, const struct cache_verified *so_far), void *context,
                       struct cache_verified *ret);
/* Removes every segment that is there at the start, and all facts. What others are writing just now is left
 * to them. *ret_bytes: what was freed. 0 or a negative errno. */
int cache_store_clear(struct cache_store *store, uint64_t *ret_n_segments, uint64_t *ret_bytes);
/* What a directory holds, from its index alone, without becoming one of its users. -ENOENT: it holds nothing.
 */
int cache_store_look(const char *dir, uint64_t size_bytes, uint64_t *ret_bytes, uint64_t *ret_n_segments);

/* Numbers since start, and what is held. */
struct cache_usage {
    uint64_t bytes, budget_bytes; /* on disk, reservations included */
    uint64_t n_segments;
    uint64_t hits, misses, made, evicted, bad, unkept;
};
void cache_store_usage(struct cache_store *store, struct cache_usage *ret);

#endif
