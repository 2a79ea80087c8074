/* SPDX-License-Identifier: Apache-2.0 */
/* cache/run_command.h: how a program's end is judged. test_command.py has the rest, through a mount. */
#include "cache/run_command.h"

#include "check.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int stop[2];
static char output[] = "/tmp/corpusfs-run-command-XXXXXX";

/* $0 of the script is where the mount's end is told. */
static struct command_end run(const char *script)
{
    char set[64];
    (void)snprintf(set, sizeof set, "/proc/%d/fd/%d", getpid(), stop[1]);
    char *arguments[] = {(char *)"sh", (char *)"-c", (char *)script, set, NULL};
    const struct command command = {
        .arguments = arguments,
        .dir = "/",
        .output = output,
        .max_bytes = 1000,
        .timeout_s = 60,
        .stop_fd = stop[0],
    };
    static struct command_end end;
    command_run(&command, &end);
    return end;
}

static void test_exit(void)
{
    struct command_end end = run("echo good; exit 0");
    CHECK(end.fate == COMMAND_EXITED && end.code == 0);
    CHECK_STR(end.said, "good\n");
    end = run("echo bad >&2; exit 3");
    CHECK(end.fate == COMMAND_EXITED && end.code == 3);
    CHECK_STR(end.said, "bad\n");
}

static void test_killed(void)
{
    struct command_end end = run("kill -9 $$");
    CHECK(end.fate == COMMAND_KILLED && end.code == 9);
}

/* When the mount goes down a program may end before that is seen here, since this process stands still
 * meanwhile: whether it fails, dies, or takes an error for the end of a file, that says nothing of its
 * source. */
static void test_ends_with_the_mount(void)
{
    const char *const ends[] = {"exit 1", "exit 0", "kill -9 $$"};
    for (size_t i = 0; i < BASE_ARRAY_LEN(ends); i++) {
        char script[128], byte;
        (void)snprintf(script, sizeof script,
                       "(sleep 0.2; kill -CONT $PPID) & kill -STOP $PPID; echo >$0; %s", ends[i]);
        struct command_end end = run(script);
        CHECK_INT(end.fate, COMMAND_STOPPED);
        CHECK(read(stop[0], &byte, 1) == 1);
    }
}

int main(void)
{
    int fd = mkstemp(output);
    if (!CHECK(fd >= 0 && pipe2(stop, O_CLOEXEC | O_NONBLOCK) == 0))
        return check_result();
    CHECK_RUN(test_exit);
    CHECK_RUN(test_killed);
    CHECK_RUN(test_ends_with_the_mount);
    close(fd);
    (void)unlink(output);
    return check_result();
}
