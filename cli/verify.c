/* SPDX-License-Identifier: Apache-2.0 */
/* corpusfs verify CONFIG: reads all that is kept. */
#include "cli/commands.h"
#include "cli/open_cache.h"
#include "cli/progress.h"

#include <errno.h>

static int usage(FILE *out)
{
    (void)fprintf(
        out,
        "usage: corpusfs verify CONFIG\n\n"
        "Reads every segment in the cache folder of CONFIG against its checksum and removes the damaged\n"
        "ones; they are made again when they are needed. Works while the corpus is mounted.\n\n"
        "Exit code: 0 all good, 1 something was not, or it could not be read, 2 wrong usage.\n\n"
        "example:\n"
        "  corpusfs verify corpus.yaml\n");
    return out == stdout ? 0 : 2;
}

static void on_progress(void *context, const struct cache_verified *so_far)
{
    cli_progress_show(context, so_far->n_checked, so_far->n_segments, so_far->bytes_checked);
}

static void print_found(uint64_t n, const char *one, const char *many)
{
    if (n > 0)
        (void)printf(", %llu %s", (unsigned long long)n, n == 1 ? one : many);
}

/* The one line of summary. True: all is good. */
static bool print_summary(const char *dir, const struct cache_verified *v)
{
    char size[32];
    bool good = v->n_bad + v->n_orphans + v->n_missing == 0;
    (void)printf("%s: %llu segments, %s", dir, (unsigned long long)v->n_checked,
                 cli_size(v->bytes_checked, size));
    print_found(v->n_bad, "damaged and removed", "damaged and removed");
    print_found(v->n_orphans, "file that the index did not know", "files that the index did not know");
    print_found(v->n_missing, "lost its file", "lost their files");
    (void)printf("%s\n", good ? ", all good" : "");
    return good;
}

static int verify(const char *dir, struct cache_store *store)
{
    struct cache_verified found;
    struct cli_progress progress;
    cli_progress_begin(&progress, "verify");
    int err = cache_store_verify(store, on_progress, &progress, &found);
    cli_progress_end(&progress);
    if (err)
        (void)fprintf(stderr, "corpusfs: %s: cannot be read to the end: %s\n", dir, strerror(-err));
    return print_summary(dir, &found) && !err ? 0 : 1;
}

int cli_verify(int argc, char **argv)
{
    struct cache_store *store = NULL;
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return usage(stdout);
    if (argc != 2 || argv[1][0] == '-')
        return usage(stderr);
    struct cfg *cfg = cli_load_config(argv[1]);
    if (!cfg)
        return 1;
    int code = 1, err = cli_open_cache(cfg, &store);
    if (!err)
        code = verify(cfg_cache_dir(cfg), store);
    else if (err == -ENOENT)
        code = print_summary(cfg_cache_dir(cfg), &(struct cache_verified){0}) ? 0 : 1;
    cache_store_close(store);
    cfg_destroy(cfg);
    return code;
}
