/* SPDX-License-Identifier: Apache-2.0 */
/* corpusfs cache clear CONFIG: begins anew. */
#include "cli/commands.h"
#include "cli/open_cache.h"
#include "cli/progress.h"

#include <errno.h>

static int usage(FILE *out)
{
    (void)fprintf(out, "usage: corpusfs cache clear CONFIG\n\n"
                       "Removes all that the cache folder of CONFIG keeps: what was made, what is known of "
                       "the sources, and\n"
                       "which of them failed. A mount that uses it goes on and makes files again.\n\n"
                       "example:\n"
                       "  corpusfs cache clear corpus.yaml\n");
    return out == stdout ? 0 : 2;
}

static int clear(const char *dir, struct cache_store *store)
{
    char size[32];
    uint64_t n = 0, bytes = 0;
    int err = store ? cache_store_clear(store, &n, &bytes) : 0;
    if (err)
        (void)fprintf(stderr, "corpusfs: %s: cannot be cleared: %s\n", dir, strerror(-err));
    else
        (void)printf("%s: %llu segments removed, %s freed\n", dir, (unsigned long long)n,
                     cli_size(bytes, size));
    return err ? 1 : 0;
}

int cli_cache(int argc, char **argv)
{
    struct cache_store *store = NULL;
    if (argc >= 2 && (strcmp(argv[argc - 1], "--help") == 0 || strcmp(argv[argc - 1], "-h") == 0))
        return usage(stdout);
    if (argc != 3 || strcmp(argv[1], "clear") != 0 || argv[2][0] == '-')
        return usage(stderr);
    struct cfg *cfg = cli_load_config(argv[2]);
    if (!cfg)
        return 1;
    int err = cli_open_cache(cfg, &store);
    int code = err && err != -ENOENT ? 1 : clear(cfg_cache_dir(cfg), store);
    cache_store_close(store);
    cfg_destroy(cfg);
    return code;
}
