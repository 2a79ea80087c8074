/* SPDX-License-Identifier: Apache-2.0 */
/* Who tells the scan what is in archives. */
#ifndef FS_LISTER_H
#define FS_LISTER_H

#include "cache/cache.h"
#include "mountcfg/clips.h"

/* c is borrowed. Its functions wait for workers; one thread at a time. */
struct cfg_lister fs_lister(struct cache *c);

#endif
