/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli: the corpusfs command, one file a subcommand. It reads arguments, prints messages, and leaves the work to the rooms. Start with main.c.
 *
 * Every subcommand gets its own name as argv[0] and returns the exit code: 0 done, 1 found problems, 2 wrong usage.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "base/base.h"

int cli_mount(int argc, char **argv);
int cli_unmount(int argc, char **argv);

/* ---- record.c: which daemon serves a mount point ---- */

/* Notes for the life of this process that it serves `mountpoint` (absolute): a locked file in the user's runtime folder. Errors are not
 * fatal: without it `unmount` cannot wait for the daemon's end. */
void cli_record_mount(const char *mountpoint);
/* Removes the note. */
void cli_forget_mount(const char *mountpoint);
/* Waits up to `seconds` until no daemon serves the mount point any more. false: it still does. */
bool cli_wait_for_end(const char *mountpoint, int seconds);

#endif
