/* SPDX-License-Identifier: Apache-2.0 */
/* corpusfs index CONFIG: lists and demuxes what is not known yet, and tells mounts to look. */
#include "base/log.h"
#include "cli/commands.h"
#include "cli/decoder.h"
#include "cli/open_cache.h"
#include "cli/progress.h"
#include "fs/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static int usage(FILE *out)
{
    (void)fprintf(
        out,
        "usage: corpusfs index [--write-idx] CONFIG\n\n"
        "Scans the sources of CONFIG now: archives that are new or have changed are listed, videos are\n"
        "demuxed, and what that tells is kept in the cache folder, so that mounts need not. Where it was\n"
        "interrupted, it goes on. Mounts of the corpus show what is new a moment later.\n\n"
        "Indexes of samples that other programs keep beside plain tars, DALI's .idx and Energon's\n"
        ".tar.idx, are held against the tars. --write-idx writes those that lack or are wrong.\n\n"
        "Exit code: 0 done, 1 something was wrong, 2 wrong usage.\n\n"
        "example:\n"
        "  corpusfs index corpus.yaml\n");
    return out == stdout ? 0 : 2;
}

static void print_line(void *context, const char *line)
{
    (void)context;
    cli_progress_say(line);
}

static void on_progress(void *context, uint64_t done, uint64_t total)
{
    cli_progress_show(context, done, total, 0);
}

/* Mounts look at the file's time. */
static int tell_mounts(const struct cfg *cfg)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/" FS_STAMP_NAME, cfg_cache_dir(cfg));
    base_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int err = fd < 0 || futimens(fd, NULL) < 0 ? -errno : 0;
    if (err)
        (void)fprintf(stderr, "corpusfs: %s: cannot be written, so mounts do not notice: %s\n", path,
                      strerror(-err));
    return err;
}

static int run(const struct cfg *cfg, const char *decoder, bool write_indexes)
{
    struct fs_survey found = {0};
    struct base_reason why = {""};
    struct cli_progress progress;
    const struct fs_options options = {.cfg = cfg,
                                       .decoder = decoder,
                                       .worker_memory_bytes = CLI_WORKER_MEMORY_BYTES,
                                       .report = print_line,
                                       .index_media = true,
                                       .check_indexes = true,
                                       .write_indexes = write_indexes};
    base_log_set_level(BASE_LOG_WARNING);
    cli_progress_begin(&progress, "index");
    int err = fs_survey(&options, on_progress, &progress, &found, &why);
    cli_progress_end(&progress);
    if (err) {
        (void)fprintf(stderr, "corpusfs: %s\n", why.text);
        return 1;
    }
    (void)printf("%s: %zu clips, %zu files, %zu archives\n", cfg_name(cfg), found.n_clips, found.n_files,
                 found.n_archives);
    if (found.n_past_end > 0)
        (void)printf("%zu clips go past the end of their video\n", found.n_past_end);
    if (write_indexes)
        (void)printf("%zu indexes written beside shards\n", found.n_indexes_written);
    return tell_mounts(cfg) == 0 && found.n_problems == 0 && found.n_bad_media == 0 && found.n_past_end == 0
               ? 0
               : 1;
}

int cli_index(int argc, char **argv)
{
    struct cli_decoder decoder;
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return usage(stdout);
    bool write = argc == 3 && strcmp(argv[1], "--write-idx") == 0;
    if (argc != 2 + write || argv[argc - 1][0] == '-')
        return usage(stderr);
    struct cfg *cfg = cli_load_config(argv[argc - 1]);
    if (!cfg)
        return 1;
    (void)cli_find_decoder(cfg_has_flow(cfg), &decoder);
    int code = run(cfg, decoder.path, write);
    cfg_destroy(cfg);
    return code;
}
