/* SPDX-License-Identifier: Apache-2.0 */
/* corpusfs check CONFIG: finds the mistakes before a mount does. */
#include "cli/check.h"

#include "cli/decoder.h"
#include "fs/reader.h"
#include "fs/tree.h"
#include "mountcfg/cfg.h"

#include <errno.h>

static const char help[] =
    "usage: corpusfs check CONFIG\n"
    "\n"
    "Reads a configuration and looks for the clips that it describes. Each mistake is a line\n"
    "FILE:LINE:COLUMN: WHAT on standard error. Nothing is decoded or mounted.\n"
    "\n"
    "Exit code: 0 no mistakes, 1 mistakes, 2 wrong usage.\n"
    "\n"
    "example:\n"
    "  printf 'preset: class-folders\\nroot: /data/videos\\n' > videos.yaml\n"
    "  corpusfs check videos.yaml\n";

static void print_line(void *context, const char *line)
{
    (void)context;
    (void)fprintf(stderr, "%s\n", line);
}

static int wrong_usage(const char *what, const char *argument)
{
    (void)fprintf(stderr, "corpusfs check: %s%s\nusage: corpusfs check CONFIG (see corpusfs check --help)\n",
                  what, argument);
    return 2;
}

/* Names that the tree cannot have are found by making it. */
static int check_tree(const struct cfg *c, const struct cfg_clips *clips, size_t *problems)
{
    struct fs_tree tree;
    const struct fs_found found = {.clips = clips, .report = print_line, .n_problems = problems};
    int err = fs_tree_init(&tree, c);
    if (!err)
        err = fs_tree_update(&tree, &found, NULL);
    fs_tree_finish(&tree);
    return err;
}

static void print_counts(const char *file, const struct cfg *c, const struct cfg_clips *clips)
{
    (void)printf("%s: %zu clips, ", file, clips->n);
    if (clips->n_files > 0)
        (void)printf("%zu files, ", clips->n_files);
    (void)printf("%zu views\n", cfg_n_views(c));
}

/* Tables are kept in the cache if there is one; a check makes none. */
static int scan(const struct cfg *c, struct cfg_clips **ret, size_t *ret_problems)
{
    struct cli_decoder decoder;
    bool kept = access(cfg_cache_dir(c), F_OK) == 0;
    const struct cache_reader_options options = {.root = cfg_root(c),
                                                 .dir = kept ? cfg_cache_dir(c) : NULL,
                                                 .size_bytes = cfg_cache_size(c),
                                                 .decoder = decoder.path,
                                                 .worker_memory_bytes = CLI_WORKER_MEMORY_BYTES};
    struct fs_reader reader;
    (void)cli_find_decoder(&decoder); /* where there is none, reading a table tells so */
    fs_reader_init(&reader, &options);
    int err = cfg_scan(c, &reader.ops, print_line, NULL, ret, ret_problems);
    fs_reader_finish(&reader);
    return err;
}

static int check_file(const char *file)
{
    struct cfg *c = NULL;
    struct cfg_clips *clips = NULL;
    size_t problems = 0;
    int err = cfg_load(file, print_line, NULL, &c);
    if (err == -ENOMEM)
        (void)fprintf(stderr, "%s: out of memory\n", file);
    if (err < 0)
        return 1;
    err = scan(c, &clips, &problems);
    if (err == 0)
        err = check_tree(c, clips, &problems);
    if (err < 0)
        (void)fprintf(stderr, "%s: the clips below %s cannot be listed: %s\n", file, cfg_root(c),
                      strerror(-err));
    else if (problems == 0)
        print_counts(file, c, clips);
    if (clips && err == 0 && clips->n_unmatched > 0 && clips->n > 0)
        (void)fprintf(stderr, "%s: note: %zu files suit a \"videos\" pattern, but no \"match\"\n", file,
                      clips->n_unmatched);
    cfg_clips_destroy(clips);
    cfg_destroy(c);
    return err < 0 || problems > 0 ? 1 : 0;
}

int cli_check(int argc, char **argv)
{
    const char *file = NULL;
    bool options = true;
    for (int i = 1; i < argc; i++) {
        if (options && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            (void)fputs(help, stdout);
            return 0;
        }
        if (options && strcmp(argv[i], "--") == 0)
            options = false;
        else if (options && argv[i][0] == '-' && argv[i][1] != 0)
            return wrong_usage("unknown option ", argv[i]);
        else if (file)
            return wrong_usage("one configuration at a time, but also given ", argv[i]);
        else
            file = argv[i];
    }
    return file ? check_file(file) : wrong_usage("no configuration is given", "");
}
