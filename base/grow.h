/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An array that grows where it is: address space is reserved at once, memory is taken as it fills. So who
 * reads what is there needs no lock against who appends.
 *
 * Threads: one grows at a time; any may read up to a length that they were told.
 */
#ifndef BASE_GROW_H
#define BASE_GROW_H

#include "base/base.h"

struct base_grow {
    void *data;              /* NULL = nothing is reserved */
    size_t bytes, max_bytes; /* usable, and zero when first used; reserved */
};

/* Reserves up to max_bytes, less where the process may not have as many. 0 or -ENOMEM. */
int base_grow_init(struct base_grow *g, size_t max_bytes);
/* Makes at least `bytes` usable. 0 or -ENOMEM. */
int base_grow_to(struct base_grow *g, size_t bytes);
/* Safe after any outcome, and on zeroes. */
void base_grow_finish(struct base_grow *g);

#endif
