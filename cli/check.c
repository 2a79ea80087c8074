/* SPDX-License-Identifier: Apache-2.0 */
/* corpusfs check CONFIG: finds the mistakes before a mount does. */
#include "cli/check.h"

#include "base/log.h"
#include "cli/decoder.h"
#include "fs/fs.h"

#include <errno.h>

static const char help[] =
    "usage: corpusfs check CONFIG\n"
    "\n"
    "Reads a configuration and looks for the clips that it describes. Each mistake is a line\n"
    "FILE:LINE:COLUMN: WHAT on standard error. Nothing is decoded or mounted; archives are\n"
    "listed, and the lists kept in the cache.\n"
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

static void print_found(void *context, const char *line)
{
    (void)context;
    (void)printf("%s\n", line);
}

static int wrong_usage(const char *what, const char *argument)
{
    (void)fprintf(stderr, "corpusfs check: %s%s\nusage: corpusfs check CONFIG (see corpusfs check --help)\n",
                  what, argument);
    return 2;
}

static void print_counts(const char *file, const struct cfg *c, const struct fs_survey *found)
{
    (void)printf("%s: %zu clips, ", file, found->n_clips);
    if (found->n_files > 0)
        (void)printf("%zu files, ", found->n_files);
    if (found->n_archives > 0)
        (void)printf("%zu archives, ", found->n_archives);
    (void)printf("%zu views\n", cfg_n_views(c));
}

static int check_file(const char *file)
{
    struct cli_decoder decoder;
    struct cfg *c = NULL;
    struct fs_survey found = {0};
    struct base_reason why = {""};
    int err = cfg_load(file, print_line, NULL, &c);
    if (err == -ENOMEM)
        (void)fprintf(stderr, "%s: out of memory\n", file);
    if (err < 0)
        return 1;
    (void)cli_find_decoder(cfg_has_flow(c), &decoder); /* where there is none, what needs it tells so */
    const struct fs_options options = {.cfg = c,
                                       .decoder = decoder.path,
                                       .worker_memory_bytes = CLI_WORKER_MEMORY_BYTES,
                                       .report = print_line,
                                       .describe = print_found};
    base_log_set_level(BASE_LOG_WARNING);
    err = fs_survey(&options, NULL, NULL, &found, &why);
    if (err < 0)
        (void)fprintf(stderr, "%s: %s\n", file, why.text);
    else if (found.n_problems == 0)
        print_counts(file, c, &found);
    else
        (void)fprintf(stderr, "%s: %zu problems\n", file, found.n_problems);
    cfg_destroy(c);
    return err < 0 || found.n_problems > 0 ? 1 : 0;
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
