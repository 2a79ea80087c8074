/* SPDX-License-Identifier: Apache-2.0 */
/* corpusfs check [--media] CONFIG: finds the mistakes before a mount does. */
#include "cli/check.h"

#include "base/log.h"
#include "cli/decoder.h"
#include "cli/progress.h"
#include "fs/fs.h"

#include <errno.h>

static const char help[] =
    "usage: corpusfs check [--media] CONFIG\n"
    "\n"
    "Reads a configuration and looks for the clips that it describes. Each mistake is a line\n"
    "FILE:LINE:COLUMN: WHAT on standard error. Nothing is decoded or mounted; archives are\n"
    "listed, and videos that tables cut are demuxed, for rows that go past the end of their\n"
    "video. What that tells is kept in the cache.\n"
    "\n"
    "--media demuxes all videos, as \"corpusfs index\" does: those that cannot be read are mistakes,\n"
    "too.\n"
    "\n"
    "Exit code: 0 no mistakes, 1 mistakes, 2 wrong usage.\n"
    "\n"
    "example:\n"
    "  printf 'preset: class-folders\\nroot: /data/videos\\n' > videos.yaml\n"
    "  corpusfs check videos.yaml\n";

static void print_line(void *context, const char *line)
{
    (void)context;
    cli_progress_say(line);
}

static void print_found(void *progress, const char *line)
{
    cli_progress_end(progress); /* it is done */
    (void)printf("%s\n", line);
}

static int wrong_usage(const char *what, const char *argument)
{
    (void)fprintf(
        stderr, "corpusfs check: %s%s\nusage: corpusfs check [--media] CONFIG (see corpusfs check --help)\n",
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

static void on_progress(void *context, uint64_t done, uint64_t total)
{
    cli_progress_show(context, done, total, 0);
}

static int check_file(const char *file, bool media)
{
    struct cli_progress progress;
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
                                       .index_media = media,
                                       .describe = print_found};
    base_log_set_level(BASE_LOG_WARNING);
    cli_progress_begin(&progress, "check");
    err = fs_survey(&options, on_progress, &progress, &found, &why);
    cli_progress_end(&progress);
    if (found.n_past_end > 0)
        (void)printf("%s: %zu clips go past the end of their video\n", file, found.n_past_end);
    size_t n_problems = found.n_problems + found.n_bad_media + found.n_past_end;
    if (err < 0)
        (void)fprintf(stderr, "%s: %s\n", file, why.text);
    else if (n_problems == 0)
        print_counts(file, c, &found);
    else
        (void)fprintf(stderr, "%s: %zu problems\n", file, n_problems);
    cfg_destroy(c);
    return err < 0 || n_problems > 0 ? 1 : 0;
}

int cli_check(int argc, char **argv)
{
    const char *file = NULL;
    bool options = true, media = false;
    for (int i = 1; i < argc; i++) {
        if (options && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            (void)fputs(help, stdout);
            return 0;
        }
        if (options && strcmp(argv[i], "--") == 0)
            options = false;
        else if (options && strcmp(argv[i], "--media") == 0)
            media = true;
        else if (options && argv[i][0] == '-' && argv[i][1] != 0)
            return wrong_usage("unknown option ", argv[i]);
        else if (file)
            return wrong_usage("one configuration at a time, but also given ", argv[i]);
        else
            file = argv[i];
    }
    return file ? check_file(file, media) : wrong_usage("no configuration is given", "");
}
