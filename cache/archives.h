/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives of the corpus: which there are, what is in them, and reading it in place.
 *
 * An archive has a number from 1 on, and stands for a file as it was when it was listed: when the file
 * changes, it gets a new number at the next opening, and questions about the old one are answered with
 * -ESTALE. What is in an archive has the number of its record in the list (decoders/members.h).
 *
 * The list is kept in the store, and in memory until the file has changed.
 */
#ifndef CACHE_ARCHIVES_H
#define CACHE_ARCHIVES_H

#include "base/hash.h"
#include "cache/cache.h"

enum { CACHE_MAX_ARCHIVES = (1 << 21) - 1, CACHE_MAX_MEMBERS = 1 << 25 };

/* Files of the corpus, by their paths below the root, that will be opened as archives: they are listed by all
 * workers from now on. Those that are known already and unchanged cost nothing. 0 or a negative errno. One
 * thread at a time. */
int cache_archives_prepare(struct cache *c, const char *const *paths, size_t n);
/* Opens such a file; waits until it is listed. Not for a thread that others wait for. 0, or a negative errno
 * when it is no archive that can be read; the log says why. */
int cache_archive_open(struct cache *c, const char *path, uint32_t *ret_archive);
/* The same for a member that is an archive. `path` is what messages call it. */
int cache_archive_open_member(struct cache *c, uint32_t archive, uint32_t member, const char *path,
                              uint32_t *ret_archive);
/* False when the file has changed since. */
bool cache_archive_is_current(struct cache *c, uint32_t archive);
/* The clip that stands for the file: what on_change tells when it changes. */
size_t cache_archive_clip(struct cache *c, uint32_t archive);
/* Lets go of the lists of archives that have changed, unless somebody reads them just now. The thread that
 * opens archives, when it has opened all that it wants. */
void cache_archives_trim(struct cache *c);

enum cache_member_kind { CACHE_MEMBER_FILE, CACHE_MEMBER_DIR, CACHE_MEMBER_SYMLINK };

/* A name in an archive. Names are plain: parts between single slashes, none empty, "." or "..". */
struct cache_member_name {
    const char *name; /* terminated; lives for the call */
    size_t len;
    uint32_t number, content; /* of its record; of the one with its bytes, another one if it is a hard link */
    enum cache_member_kind kind;
};
/* Visits all names, in the archive's order: of several of one name, the last is meant. visit() returns 0 or a
 * negative errno that ends it. */
int cache_archive_visit(struct cache *c, uint32_t archive,
                        int (*visit)(void *context, const struct cache_member_name *member), void *context);

struct cache_member {
    enum cache_member_kind kind;
    uint64_t size; /* of a symbolic link its length */
    int64_t mtime_s;
    uint32_t n_links;
};
/* What is known of a content. 0, -ESTALE, -ENOENT, -EIO. */
int cache_member_get(struct cache *c, uint32_t archive, uint32_t content, struct cache_member *ret);
/* Where a symbolic link points, terminated. 0, -EINVAL for what is none, or as above. */
int cache_member_link(struct cache *c, uint32_t archive, uint32_t content, struct base_bytes *out);
/* Reads; as cache_read(). */
ssize_t cache_member_read(struct cache *c, uint32_t archive, uint32_t content, struct cache_waiter *w,
                          void *out, size_t len, uint64_t offset);

/* What a file in an archive is, wherever that stands. Errors as above. */
int cache_member_identity(struct cache *c, uint32_t archive, uint32_t content, struct base_hash *ret);
/* Its bytes, at most CACHE_MAX_COPY, in a file in memory; waits. 0 and a descriptor for the caller, or a
 * negative errno. */
#define CACHE_MAX_COPY (UINT64_C(64) << 20)
int cache_member_copy(struct cache *c, uint32_t archive, uint32_t content, int *ret_fd);

#endif
