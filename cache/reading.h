/* SPDX-License-Identifier: Apache-2.0 */
/* One cache_read() in work: what cache.c and read_array.c share. */
#ifndef CACHE_READING_H
#define CACHE_READING_H

#include "cache/private.h"

struct reading {
    struct cache *c;
    size_t clip, view;
    struct media *media;
    struct clip_view v;
    struct cache_waiter *w;
    void *out;
    size_t len;
    uint64_t offset;
};

/* ---- cache.c ---- */
/* The segment under one of n keys: the one that the waiter was woken with, or a kept one, and which; NULL =
 * none. */
struct cache_segment *reading_find(struct reading *r, const struct base_hash keys[], size_t n,
                                   size_t *ret_number);
/* A task for frames first..last (0, 0: for a whole file). */
struct cache_task reading_task(const struct reading *r, enum task_kind kind, uint32_t first, uint32_t last);
/* Gets the segment behind the one that ends with `last` at hand, unless it is: its task, of this kind, makes
 * it, or reads what is kept of it from the disk. Behind a clip's last one, that is the first of the clip that
 * is read next, if that is known. */
void reading_ahead(struct reading *r, enum task_kind kind, uint32_t last);

/* ---- read_array.c ---- */
/* As cache_read(), of an array's file, or a wave's. */
ssize_t read_array(struct reading *r);

#endif
