/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program of the user: outside of the sandbox, as the daemon's user, with its environment; in a
 * process group of its own, which is ended as a whole. It reads nothing (/dev/null), writes its output and
 * errors into a pipe, of which the end is kept, and has no other descriptor. It does not outlive the daemon.
 */
#ifndef CACHE_RUN_COMMAND_H
#define CACHE_RUN_COMMAND_H

#include "base/base.h"

enum { COMMAND_SAID_BYTES = 4096 };

struct command {
    char *const *arguments; /* up to NULL; the program, which PATH is searched for, is the first */
    const char *dir;        /* where it runs */
    const char *output;     /* the file that it is to write, and */
    uint64_t max_bytes;     /* how large that may get */
    uint32_t timeout_s;
    int stop_fd; /* readable = it is to end */
};

enum command_fate {
    COMMAND_EXITED,  /* with `code` */
    COMMAND_KILLED,  /* by the signal `code`, from outside or its own */
    COMMAND_TIMEOUT, /* the rest were ended from here */
    COMMAND_TOO_LARGE,
    COMMAND_STOPPED,
    COMMAND_NOT_RUN, /* errno is `code` */
};

struct command_end {
    enum command_fate fate;
    int code;
    char said[COMMAND_SAID_BYTES + 1]; /* the end of what it wrote to stdout and stderr, terminated */
    size_t n_said;
    uint64_t said_bytes; /* of all that */
};

/* Waits until the program has ended, and all of its group with it; of one that is stopped, 2 s at most. */
void command_run(const struct command *command, struct command_end *ret);

#endif
