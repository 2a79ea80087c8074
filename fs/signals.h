/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signals that end a mount: SIGTERM, SIGINT, SIGHUP; unless whoever started the daemon ignores them.
 * SIGPIPE is ignored.
 *
 * libfuse's loop waits in sem_wait(), which only a signal that reaches its own thread, and not before it
 * waits, interrupts. So a thread of this module sees to it: it ends the session, and sends signals to that
 * thread until fs_signals_stop() says that the loop has ended.
 */
#ifndef FS_SIGNALS_H
#define FS_SIGNALS_H

struct fuse_session;
struct fs_signals;

/* To be called by the thread that will run the loop; one at a time in a process. 0 or a negative errno; *ret
 * is untouched on failure. */
int fs_signals_start(struct fuse_session *session, struct fs_signals **ret);
/* The loop has ended; from here on these signals do nothing. NULL is allowed. */
void fs_signals_stop(struct fs_signals *signals);
/* After this they do what they did before. Takes NULL; stops first. */
void fs_signals_destroy(struct fs_signals *signals);

#endif
