/* SPDX-License-Identifier: Apache-2.0 */
/* What reader.c and shard_index.c share. */
#ifndef CACHE_READER_PRIVATE_H
#define CACHE_READER_PRIVATE_H

#include "cache/making.h"
#include "cache/reader.h"

/* As much of a cache as sources and jobs need: no clips, no queue, no threads. */
struct cache_reader {
    struct cache cache;
    struct worker_thread worker;
};

#endif
