/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/open_cache.h"

#include "base/log.h"
#include <errno.h>

/* More than any disk, and far from overflow. */
#define NO_BOUND ((uint64_t)1 << 60)

static void print_mistake(void *context, const char *line)
{
    (void)context;
    (void)fprintf(stderr, "%s\n", line);
}

struct cfg *cli_load_config(const char *file)
{
    struct cfg *cfg = NULL;
    int err = cfg_load(file, print_mistake, NULL, &cfg);
    if (err == -ENOMEM)
        (void)fprintf(stderr, "corpusfs: %s: out of memory\n", file);
    return err < 0 ? NULL : cfg;
}

int cli_open_cache(const struct cfg *cfg, struct cache_store **ret)
{
    struct base_reason why = {""};
    if (access(cfg_cache_dir(cfg), F_OK) < 0 && errno == ENOENT)
        return -ENOENT;
    base_log_set_level(BASE_LOG_WARNING);
    int err = cache_store_open(cfg_cache_dir(cfg), NO_BOUND, ret, &why);
    if (err)
        (void)fprintf(stderr, "corpusfs: %s\n", why.text);
    return err == -ENOENT ? -EIO : err;
}
