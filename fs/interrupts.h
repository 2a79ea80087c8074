/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which readers are let go when a signal reaches them while they wait.
 *
 * The kernel tells of every signal, also of those that programs do not expect to notice: no file system on a
 * disk lets stat fail with EINTR because a child ended or somebody pressed Ctrl-Z. So a reader is let go only
 * if its thread wants out, by /proc/THREAD/status: a signal is pending, neither blocked nor ignored, that
 * ends the program; or that it catches and people send to end programs (SIGINT, SIGTERM, SIGQUIT, SIGHUP),
 * so that its handler runs at once. Of a thread that cannot be looked at, because it is in another pid
 * namespace, or /proc is closed or of another namespace, every interrupt counts.
 *
 * The kernel tells once only for each request. So a request that was interrupted is looked at again and again
 * while it waits, by one thread, which sleeps without a timer while there are none. Not seen is a signal that
 * another thread of the program took: its handler runs there, and what waits goes on waiting.
 *
 * Embed a struct fs_interruptible in a request; it belongs to the request, whose owner calls
 * fs_interrupts_forget() before the memory goes. Nothing is held while /proc is read or a function of the
 * request is called.
 */
#ifndef FS_INTERRUPTS_H
#define FS_INTERRUPTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct fs_interrupts;

/* Zero-initialised but for the first three. */
struct fs_interruptible {
    pid_t thread; /* that waits, in our pid namespace; 0 = of another */
    /* Both are called by the thread of this module. Takes the request from whoever would answer it; false:
     * too late, or it waits for nothing just now; then it is asked again later. */
    bool (*take)(struct fs_interruptible *w);
    /* After a `take` that was true: answers with EINTR. The memory may go. */
    void (*let_go)(struct fs_interruptible *w);
    /* private */
    struct fs_interruptible *prev, *next; /* NULL = in no list */
    int64_t due_ns;                       /* when it is looked at next */
    bool added;
};

/* Starts the thread. 0 or a negative errno. */
int fs_interrupts_create(struct fs_interrupts **ret);
/* Ends the thread: from then on nobody is let go. The others still may be called. NULL is allowed. */
void fs_interrupts_stop(struct fs_interrupts *i);
/* When no request is left; stops it. NULL is allowed. */
void fs_interrupts_destroy(struct fs_interrupts *i);

/* A request was interrupted; may repeat. Any thread, and the request's `take` and `let_go` may be called
 * before this returns. It must not run beside fs_interrupts_forget() of the same request. */
void fs_interrupts_add(struct fs_interrupts *i, struct fs_interruptible *w);
/* Waits while `take` runs, for which it therefore must not be called; after this none of the functions is
 * called. Costs nothing for a request that was not interrupted. Any thread. */
void fs_interrupts_forget(struct fs_interrupts *i, struct fs_interruptible *w);

/* Whether a thread of which /proc/THREAD/status has this text wants out; also if the text does not tell. */
bool fs_status_wants_out(const char *status);

#endif
