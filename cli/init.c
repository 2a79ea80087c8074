/* SPDX-License-Identifier: Apache-2.0 */
/* corpusfs init DIR: writes a configuration for what is found in a folder. */
#include "mountcfg/init.h"
#include "base/bytes.h"
#include "base/io.h"
#include "cli/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

static int usage(FILE *out)
{
    (void)fprintf(
        out, "usage: corpusfs init [-o FILE] DIR\n\n"
             "Looks at the names below DIR and writes a configuration for them: that of the preset whose\n"
             "raw form they are, or one with comments, made from what is there. It goes to standard\n"
             "output, or into FILE, which must be new.\n\n"
             "Exit code: 0 done, 1 nothing was found or FILE is there, 2 wrong usage.\n\n"
             "example:\n"
             "  corpusfs init ~/videos                       # what would it be?\n"
             "  corpusfs init -o corpus.yaml ~/videos\n"
             "  corpusfs check corpus.yaml\n");
    return out == stdout ? 0 : 2;
}

static void print_line(void *context, const char *line)
{
    (void)context;
    (void)fprintf(stderr, "%s\n", line);
}

/* A new file. 0 or a failure that is told. */
static int write_file(const char *path, const struct base_bytes *text)
{
    base_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int err = fd < 0 ? -errno : base_pwrite_all(fd, text->data, text->len, 0);
    if (err == -EEXIST)
        (void)fprintf(
            stderr,
            "corpusfs: %s: it is there already, and nothing is overwritten: remove it, or name another\n",
            path);
    else if (err)
        (void)fprintf(stderr, "corpusfs: %s: cannot be written: %s\n", path, strerror(-err));
    else
        (void)printf("%s: written; look at it, then: corpusfs check %s\n", path, path);
    return err;
}

static int run(const char *dir, const char *file)
{
    char full[PATH_MAX];
    struct base_bytes text = {0};
    if (!realpath(dir, full)) {
        (void)fprintf(stderr, "corpusfs: %s: %s\n", dir, strerror(errno));
        return 1;
    }
    int err = cfg_init(full, print_line, NULL, &text);
    if (err == -ENOMEM)
        (void)fprintf(stderr, "corpusfs: out of memory\n");
    if (!err && file)
        err = write_file(file, &text);
    else if (!err && fwrite(text.data, 1, text.len, stdout) != text.len)
        err = -EIO;
    base_bytes_finish(&text);
    return err ? 1 : 0;
}

int cli_init(int argc, char **argv)
{
    const char *file = NULL;
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return usage(stdout);
    if (argc == 4 && strcmp(argv[1], "-o") == 0) {
        file = argv[2];
        argc -= 2;
        argv += 2;
    }
    if (argc != 2 || argv[1][0] == '-')
        return usage(stderr);
    return run(argv[1], file);
}
