/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check.h"
#include "cli/commands.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *arguments, *help;
} commands[] = {
    {"init", cli_init, "[-o FILE] DIR", "write a configuration for what is in a folder"},
    {"check", cli_check, "CONFIG", "find the mistakes in a configuration"},
    {"index", cli_index, "CONFIG", "scan every source now; mounts of it notice"},
    {"mount", cli_mount, "CONFIG MOUNTPOINT", "mount a corpus"},
    {"unmount", cli_unmount, "MOUNTPOINT", "unmount it"},
    {"status", cli_status, "MOUNTPOINT|CONFIG", "what was read, made and kept, and how long it took"},
    {"verify", cli_verify, "CONFIG", "check all that the cache keeps"},
    {"cache", cli_cache, "clear CONFIG", "remove all that the cache keeps"},
};

static void print_help(FILE *out)
{
    (void)fprintf(out,
                  "usage: corpusfs COMMAND ...\n\n"
                  "Mounts raw videos as the tree of frames, sound and subtitles that training code expects;\n"
                  "each file is made when it is first read.\n\n");
    for (size_t i = 0; i < BASE_ARRAY_LEN(commands); i++)
        (void)fprintf(out, "  %-8s %-20s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
    (void)fprintf(out, "\n`corpusfs COMMAND --help` tells more.\n\n"
                       "example:\n"
                       "  printf 'preset: class-folders\\nroot: ~/videos\\n' > corpus.yaml\n"
                       "  mkdir -p mnt && corpusfs mount corpus.yaml mnt\n"
                       "  ls mnt/img\n"
                       "  corpusfs unmount mnt\n");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("corpusfs %s\n", CORPUSFS_VERSION);
        return 0;
    }
    for (size_t i = 0; i < BASE_ARRAY_LEN(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    (void)fprintf(stderr, "corpusfs: no command '%s'; `corpusfs --help` lists them\n", argv[1]);
    return 2;
}
