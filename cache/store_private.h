/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a store, shared by store.c (opening, starting over, housekeeping), space.c (making room),
 * owner.c (who is alive), sweep.c (comparing rows and files), segment.c (files), open_list.c (files kept
 * open), loader.c (opening them), writer.c.
 *
 * Locks: reset_lock > house_lock; those of the open list and the loader, identity_lock and the database's
 * lock are innermost, each held alone. None is held while a segment's bytes are read or written.
 */
#ifndef CACHE_STORE_PRIVATE_H
#define CACHE_STORE_PRIVATE_H

#include "cache/db.h"
#include "cache/paths.h"
#include "cache/store.h"
#include <pthread.h>
#include <stdatomic.h>

/* ---- owner.c: each store is an owner of work, alive as long as it holds a lock on tmp/<id>.lock ---- */

struct cache_owner {
    int64_t id;
    dev_t device;
    ino_t inode;
};

/* Makes and locks an owner's file. Keep *ret_fd open for life. */
int cache_owner_create(const char *dir, struct cache_owner *ret, int *ret_fd);
/* True while the lock's file is where it belongs, so that others see the owner alive. */
bool cache_owner_intact(const char *dir, const struct cache_owner *owner);
/* Removes what a dead owner left: files of its work, then its rows, then its lock. -EBUSY: it lives. */
int cache_owner_reap(const char *dir, struct cache_db *db, int64_t id);
/* Reaps all dead owners, those that have work rows and those that left only files in tmp/. Returns whether
 * other owners live (as far as was looked). */
bool cache_owners_reap(const char *dir, struct cache_db *db, int64_t self);

/* ---- scratch.c ---- */

/* Removes a folder with all that is in it. */
void cache_remove_tree(const char *path);

/* ---- sweep.c ---- */

struct cache_swept {
    uint64_t n_adopted, n_removed; /* files without a row */
    uint64_t n_missing;            /* rows without a file */
};

/* Looks at all rows and files, and counts in store->swept: files without a row get one if their footer is
 * good, or are removed; rows without a file are removed. Takes the time of a directory scan; not on the way
 * of any read. */
int cache_sweep(struct cache_store *store);
/* Calls `with` for every segment that has a row, in the order of keys, until it returns an error: that one.
 */
int cache_each_segment(struct cache_store *store, int (*with)(void *context, const struct base_hash *key),
                       void *context);

/* ---- open_list.c: the segments used last, kept open ---- */

struct cache_open_list;
int cache_open_list_create(struct cache_open_list **ret);
void cache_open_list_destroy(struct cache_open_list *list);
/* A new reference, or NULL. Notes the use. */
struct cache_segment *cache_open_list_find(struct cache_open_list *list, const struct base_hash *key);
bool cache_open_list_has(struct cache_open_list *list, const struct base_hash *key);
/* Keeps segment open, unless one with its key is open already; takes no reference from the caller. `dirty`:
 * its use is to be written to the index. */
void cache_open_list_add(struct cache_open_list *list, struct cache_segment *segment, bool dirty);
/* The key was evicted: its descriptor, which holds its room on disk, goes as soon as no reader has it. */
void cache_open_list_drop(struct cache_open_list *list, const struct base_hash *key);
/* The same for this very segment only. */
void cache_open_list_drop_segment(struct cache_open_list *list, const struct cache_segment *segment);
/* Drops all whose file was removed, by another process or by hand. */
void cache_open_list_drop_unlinked(struct cache_open_list *list);
/* Moves noted uses to out; returns how many. */
size_t cache_open_list_take_uses(struct cache_open_list *list, struct cache_db_use *out, size_t max);
#define CACHE_USES_MAX 512u
/* True when many uses wait to be written. */
bool cache_open_list_crowded(struct cache_open_list *list);

/* ---- loader.c: opening kept segments, each once at a time, and ahead of who will want them ---- */

struct cache_loader;
/* Starts its thread. 0 or a negative errno. */
int cache_loader_create(struct cache_store *store, struct cache_loader **ret);
/* Before the open list's end. NULL is allowed. */
void cache_loader_destroy(struct cache_loader *loader);

/* ---- segment.c ---- */

struct cache_segment {
    atomic_uint refs;
    int fd;
    bool in_memory; /* memfd: takes memory, not disk */
    struct cache_layout layout;
    struct base_hash key;
    struct dec_entry *entries; /* layout.n_entries of them */
    /* The rest belongs to the open list, under its lock. */
    struct cache_segment *newer, *older, *chain;
    int64_t used_ms;
    bool dirty;
};

#define CACHE_MAX_ENTRIES 65536u

/* The end of a segment's file; its format. In the machine's byte order: the magic of another machine does not
 * match. */
struct cache_footer {
    char magic[8];
    uint32_t version; /* CACHE_FOOTER_VERSION */
    uint32_t n_entries;
    uint64_t payload_bytes, file_bytes;
    uint32_t fill, tail_bytes;
    uint64_t cost_us;             /* so that the index can be made anew from the files */
    struct base_hash key;         /* a file under a wrong name is a bad file */
    struct base_hash content_sum; /* of payload and entries */
    struct base_hash footer_sum;  /* of the fields before */
};
#define CACHE_FOOTER_VERSION 1u
_Static_assert(sizeof(struct cache_footer) == 96, "no padding: the footer is a file format");

/* 0 when a layout can be, else -EPROTO. */
int cache_layout_check(const struct cache_layout *layout);
/* Bytes before the footer. Only for a checked layout. */
uint64_t cache_content_bytes(const struct cache_layout *layout);
/* What a file of `bytes` counts towards the budget. */
uint64_t cache_charge(uint64_t bytes);
/* The same for a file as it stands on disk. */
uint64_t cache_charge_fd(int fd, uint64_t bytes);
/* Makes a segment with one reference of fd, whose content is written. Checks the entries: -EPROTO. On success
 * the segment owns fd. */
int cache_segment_create(int fd, const struct cache_layout *layout, const struct base_hash *key,
                         struct cache_segment **ret);
/* Writes the footer behind the content and cuts the file there. sum: of the content; NULL = it is read for
 * it. */
int cache_footer_write(int fd, const struct cache_layout *layout, const struct base_hash *key,
                       uint64_t cost_us, const struct base_hash *sum);
/* Reads and checks a footer, not the content. -EBADMSG: bad. */
int cache_footer_read(int fd, const struct base_hash *key, struct cache_footer *ret);
/* Opens a kept segment and checks all of it. -ENOENT; -EBADMSG: bad; or another negative errno. */
int cache_segment_load(const char *dir, const struct base_hash *key, struct cache_segment **ret);
int64_t cache_now_ms(void);

/* ---- store.c, space.c ---- */

struct cache_store {
    char *dir; /* absolute */
    uint64_t budget_bytes;
    struct cache_db *db;
    struct cache_open_list *open;
    struct cache_loader *loader;
    _Atomic uint64_t next_seq, min_free_bytes;
    /* Reserved by writers whose files do not have their blocks yet: free on the disk, but not to have. */
    _Atomic uint64_t allocating_bytes;
    /* The database and the files may disagree about a piece of this owner's work, because the database failed
     * in the middle: start over as a new owner, who then reaps this one. */
    atomic_bool lost;
    _Atomic int64_t paused_until_ns; /* see cache_store_pause() */
    _Atomic uint64_t hits, misses, made, evicted, bad, unkept;

    struct cache_swept swept;      /* by the thread that sets up or verifies */
    pthread_mutex_t identity_lock; /* guards owner */
    struct cache_owner owner;

    /* One thread starts over at a time. Held across opening the database, on purpose; requests only try it.
     */
    pthread_mutex_t reset_lock;
    int owner_fd;     /* under reset_lock */
    int64_t retry_ns; /* under reset_lock: not again before this time */

    pthread_mutex_t house_lock; /* guards the two below */
    pthread_cond_t house_wake;
    bool house_stop, house_kicked;
    pthread_t house;
};

/* Removes a damaged segment, says so in the log, and counts it. */
void cache_store_remove_bad(struct cache_store *store, const struct base_hash *key);
struct cache_owner cache_store_owner(struct cache_store *store);
/* Makes sure that the directory, the database and this owner's lock are there, as a first step of all that
 * writes. 0 or a negative errno: then nothing can be kept now. */
int cache_store_ground(struct cache_store *store);
/* Wakes the housekeeping thread. */
void cache_store_kick(struct cache_store *store);
/* Writes the noted uses to the index. */
void cache_store_flush_uses(struct cache_store *store);

/* Adds a work row for `bytes`, evicting as needed. 0 and *ret_work, or -ENOSPC or another negative errno.
 * After success the caller makes the file, with all its blocks, and then calls cache_space_allocated(). */
int cache_space_reserve(struct cache_store *store, uint64_t bytes, struct cache_work *ret_work);
void cache_space_allocated(struct cache_store *store, uint64_t bytes);
/* Evicts segments that hold at least `bytes` (fewer when there are not so many). -ENOSPC: none was left. */
int cache_space_evict(struct cache_store *store, uint64_t bytes);
/* Evicts until the budget holds, which may be smaller than when the cache was filled, and min_free, which
 * others may have taken: reads alone never evict. */
void cache_space_trim(struct cache_store *store);
/* Ends work whose files are gone. */
void cache_space_release(struct cache_store *store, const struct cache_db_work *works, size_t n);
/* Removes a segment, with or without a row. false: somebody is at work on it. */
bool cache_space_remove(struct cache_store *store, const struct base_hash *key);

#endif
