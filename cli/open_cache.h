/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands that look after a configuration's cache share. */
#ifndef CLI_OPEN_CACHE_H
#define CLI_OPEN_CACHE_H

#include "cache/store.h"
#include "mountcfg/cfg.h"

/* Reads a configuration; mistakes go to standard error. NULL when there are any. */
struct cfg *cli_load_config(const char *file);
/* Opens the cache folder of a configuration without bound, so that nothing is evicted. -ENOENT: there is
 * none, and none is made; or another negative errno, said on standard error. */
int cli_open_cache(const struct cfg *cfg, struct cache_store **ret);

#endif
