/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

#include <errno.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char **environ;

static int usage(FILE *out)
{
    (void)fprintf(out,
                  "usage: corpusfs unmount MOUNTPOINT\n\n"
                  "Unmounts a corpus and waits until its daemon has ended. A mount in use is left alone.\n\n"
                  "example:\n"
                  "  corpusfs unmount mnt\n");
    return out == stdout ? 0 : 2;
}

/* For ordinary users fusermount3 has the right to unmount. */
static int run_fusermount(const char *path)
{
    char *arguments[] = {(char *)"fusermount3", (char *)"-u", (char *)path, NULL};
    pid_t pid;
    int status = 0;
    int err = posix_spawnp(&pid, arguments[0], NULL, NULL, arguments, environ);
    if (err)
        return -err;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EBUSY;
}

int cli_unmount(int argc, char **argv)
{
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return usage(stdout);
    if (argc != 2 || argv[1][0] == '-')
        return usage(stderr);
    base_autofree char *path = realpath(argv[1], NULL);
    if (!path) {
        (void)fprintf(stderr, "corpusfs: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    uid_t owner;
    if (!cli_find_mount(path, &owner)) {
        (void)fprintf(stderr, "corpusfs: %s: no corpus is mounted there\n", argv[1]);
        return 1;
    }
    base_autoclose int record = cli_open_record(path);
    int err = geteuid() == 0 ? (umount2(path, UMOUNT_NOFOLLOW) < 0 ? -errno : 0) : run_fusermount(path);
    if (err == -EBUSY) {
        (void)fprintf(
            stderr,
            "corpusfs: %s is busy: a program has a file or its working directory there; end it and try "
            "again (`fuser -vm %s` lists it)\n",
            argv[1], argv[1]);
        return 1;
    }
    if (err) {
        (void)fprintf(stderr, "corpusfs: %s: cannot unmount: %s\n", argv[1], strerror(-err));
        return 1;
    }
    if (!cli_wait_for_end(record, 30)) {
        (void)fprintf(stderr, "corpusfs: %s: unmounted, but its daemon is still at work\n", argv[1]);
        return 1;
    }
    return 0;
}
