/* SPDX-License-Identifier: Apache-2.0 */
/* One worker process, owned by one thread. */
#ifndef CACHE_WORKER_PROCESS_H
#define CACHE_WORKER_PROCESS_H

#include "base/base.h"
#include "decoders/protocol.h"

#include <stdatomic.h>

struct cache_worker {
    const char *program; /* borrowed */
    uint64_t memory_bytes;
    int socket; /* -1 = no process */
    /* Written by the owner, read by cache_worker_kill() of another thread: 0 = no process. */
    atomic_int pid;
};

void cache_worker_init(struct cache_worker *w, const char *program, uint64_t memory_bytes);
/* Starts the process if there is none. 0 or a negative errno. */
int cache_worker_start(struct cache_worker *w);
/* Ends it, and waits for it. Returns the signal that it had died of before, 0 = none. */
int cache_worker_stop(struct cache_worker *w);
/* The most that it may write into any file from now on: more ends it. Does nothing for a daemon of root,
 * whose workers are another user's. */
void cache_worker_limit(struct cache_worker *w, uint64_t bytes);
/* Any thread: makes a job in work fail at once. */
void cache_worker_kill(struct cache_worker *w);

/* Sends a job. 0, -EPIPE when the process is gone, or another negative errno. */
int cache_worker_send(struct cache_worker *w, const struct dec_job *job, const int *fds);
/* What follows a DEC_FIRST: the job goes on with this output, -1 = it has ended. As above. */
int cache_worker_verdict(struct cache_worker *w, const struct dec_job *job, int output);
/* Waits for the next reply. 0; -EPIPE: the process died; -ETIMEDOUT: nothing came in time; -EPROTO: nonsense
 * came. */
int cache_worker_reply(struct cache_worker *w, const struct dec_job *job, uint64_t max_bytes, int timeout_ms,
                       struct dec_reply *ret);

#endif
