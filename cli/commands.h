/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli: the corpusfs command, one file a subcommand. It reads arguments, prints messages, and leaves the work
 * to the rooms. Start with main.c.
 *
 * Every subcommand gets its own name as argv[0] and returns the exit code: 0 done, 1 found problems, 2 wrong
 * usage.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "base/base.h"

int cli_cache(int argc, char **argv);
int cli_index(int argc, char **argv);
int cli_init(int argc, char **argv);
int cli_mount(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_unmount(int argc, char **argv);
int cli_verify(int argc, char **argv);

/* ---- record.c: which daemon serves a mount point ---- */

/* Notes for the life of this process that it serves `mountpoint` (absolute): a locked file in the user's
 * runtime folder. Errors are not fatal: without it `unmount` cannot wait for the daemon's end. */
void cli_record_mount(const char *mountpoint);
/* Removes the note. */
void cli_forget_mount(const char *mountpoint);
/* The note on a mount point, to be opened before it is unmounted: a descriptor for the caller to close, -1 =
 * there is none. */
int cli_open_record(const char *mountpoint);
/* Waits up to `seconds` until the daemon that wrote a note has ended. false: it has not. Without a note (-1)
 * true at once. */
bool cli_wait_for_end(int record, int seconds);

/* The path of the status socket of a mount point's daemon, which runs as `owner`; beside the note. false:
 * there is no place for one. */
bool cli_status_socket(const char *mountpoint, uid_t owner, char out[512]);

/* ---- mounts.c ---- */

/* Whether a corpus is mounted at this very path (absolute, without links), and whose it is. */
bool cli_find_mount(const char *path, uid_t *ret_owner);

#endif
