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
    (void)fprintf(out, "usage: corpusfs unmount MOUNTPOINT\n\n"
                       "Unmounts a corpus and waits until its daemon has ended. A mount in use is left alone.\n\n"
                       "example:\n"
                       "  corpusfs unmount mnt\n");
    return out == stdout ? 0 : 2;
}

/* The type of what is mounted at a path, "" = nothing is. */
static void mount_type(const char *path, char out[64])
{
    out[0] = 0;
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    char line[8192];
    while (mounts && fgets(line, sizeof line, mounts)) {
        char at[4096], type[64];
        const char *rest = strstr(line, " - ");
        if (!rest || sscanf(line, "%*s %*s %*s %*s %4095s", at) != 1 || sscanf(rest, " - %63s", type) != 1)
            continue;
        /* Spaces and the like are written as \ooo. */
        char plain[4096];
        size_t n = 0;
        for (const char *c = at; *c; c++) {
            unsigned value;
            if (*c == '\\' && sscanf(c + 1, "%3o", &value) == 1) {
                plain[n++] = (char)value;
                c += 3;
            } else {
                plain[n++] = *c;
            }
        }
        plain[n] = 0;
        if (strcmp(plain, path) == 0)
            (void)snprintf(out, 64, "%s", type);
    }
    if (mounts)
        (void)fclose(mounts);
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
    char type[64];
    mount_type(path, type);
    if (strcmp(type, "fuse.corpusfs") != 0) {
        (void)fprintf(stderr, "corpusfs: %s: no corpus is mounted there\n", argv[1]);
        return 1;
    }
    int err = geteuid() == 0 ? (umount2(path, UMOUNT_NOFOLLOW) < 0 ? -errno : 0) : run_fusermount(path);
    if (err == -EBUSY) {
        (void)fprintf(stderr,
                      "corpusfs: %s is busy: a program has a file or its working directory there; end it and try "
                      "again (`fuser -vm %s` lists it)\n",
                      argv[1], argv[1]);
        return 1;
    }
    if (err) {
        (void)fprintf(stderr, "corpusfs: %s: cannot unmount: %s\n", argv[1], strerror(-err));
        return 1;
    }
    if (!cli_wait_for_end(path, 30)) {
        (void)fprintf(stderr, "corpusfs: %s: unmounted, but its daemon is still at work\n", argv[1]);
        return 1;
    }
    return 0;
}
