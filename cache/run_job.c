/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "cache/private.h"

#include <errno.h>
#include <signal.h>

/* A worker says at least that it is alive every now and then; one that is silent for so long hangs. */
enum { DEADLINE_MS = 60 * 1000 };

static int converse(struct worker_thread *w, const struct dec_job *job, const int *fds, uint64_t max_bytes,
                    void (*on_progress)(void *, uint64_t), void *context, struct dec_reply *reply)
{
    int err = cache_worker_start(&w->process);
    if (err) {
        base_log(BASE_LOG_ERROR, "cannot start %s: %s", w->process.program, strerror(-err));
        return err;
    }
    cache_worker_limit(&w->process, max_bytes);
    err = cache_worker_send(&w->process, job, fds);
    while (!err) {
        err = cache_worker_reply(&w->process, job, max_bytes, DEADLINE_MS, reply);
        if (err || reply->kind != DEC_PROGRESS)
            break;
        if (on_progress && reply->bytes > 0)
            on_progress(context, reply->bytes);
    }
    return err;
}

static void count_job(struct cache *c, uint32_t kind)
{
    pthread_mutex_lock(&c->lock);
    switch ((enum dec_kind)kind) {
    case DEC_INDEX:
        c->counters.jobs_index++;
        break;
    case DEC_MEASURE_FRAMES:
    case DEC_MEASURE_AUDIO:
        c->counters.jobs_measure++;
        break;
    case DEC_FRAMES:
        c->counters.jobs_frames++;
        break;
    case DEC_AUDIO:
        c->counters.jobs_audio++;
        break;
    case DEC_SUBTITLES:
        c->counters.jobs_subtitles++;
        break;
    }
    pthread_mutex_unlock(&c->lock);
}

static void count_reply(struct cache *c, const struct dec_reply *reply)
{
    pthread_mutex_lock(&c->lock);
    c->counters.pictures_decoded += reply->n_decoded;
    c->counters.frames_lowered += reply->n_lowered;
    pthread_mutex_unlock(&c->lock);
}

static bool is_stopping(struct cache *c)
{
    pthread_mutex_lock(&c->lock);
    bool stopping = c->stopping;
    pthread_mutex_unlock(&c->lock);
    return stopping;
}

/* Signals by which a program ends itself, or the sandbox ends it: then what it was decoding is to blame. */
static bool is_crash(int signal)
{
    return signal == SIGSEGV || signal == SIGBUS || signal == SIGABRT || signal == SIGFPE ||
           signal == SIGILL || signal == SIGTRAP || signal == SIGSYS || signal == SIGXFSZ;
}

/* What the end of the conversation means: -ETIMEDOUT and -EIO are the source's fault, -EAGAIN is not. */
static int after_death(struct worker_thread *w, int err, struct base_reason *why)
{
    int signal = cache_worker_stop(&w->process);
    pthread_mutex_lock(&w->cache->lock);
    w->cache->counters.worker_restarts++;
    pthread_mutex_unlock(&w->cache->lock);
    if (err == -ETIMEDOUT)
        return base_fail(why, -ETIMEDOUT, "decoding hung for %d s", DEADLINE_MS / 1000);
    if (err == -EPROTO)
        return base_fail(why, -EIO, "the worker gave a senseless answer");
    if (is_crash(signal))
        return base_fail(why, -EIO, "the worker crashed on it (signal %d)", signal);
    if (signal)
        return base_fail(why, -EAGAIN, "the worker was ended by signal %d", signal);
    return base_fail(why, -EAGAIN, "the worker program %s cannot run", w->process.program);
}

int run_job(struct worker_thread *w, struct dec_job *job, const int fds[DEC_N_FDS], uint64_t max_bytes,
            void (*on_progress)(void *context, uint64_t bytes), void *context, struct job_result *ret)
{
    int err = -EIO;
    count_job(w->cache, job->kind);
    for (int attempt = 0; attempt < 2; attempt++) {
        job->magic = DEC_MAGIC;
        job->version = DEC_VERSION;
        job->id = ++w->next_job;
        err = converse(w, job, fds, max_bytes, on_progress, context, &ret->reply);
        if (!err) {
            count_reply(w->cache, &ret->reply);
            if (ret->reply.kind == DEC_DONE)
                return 0;
            err = base_fail(&ret->why, -ret->reply.error, "%s", ret->reply.reason);
            if (err != -ENOMEM || w->process.memory_bytes == 0)
                return err;
            /* Of its memory, which a fresh one has whole: a source that outgrows it then is to blame. */
            cache_worker_stop(&w->process);
            err = -EIO;
        } else {
            err = after_death(w, err, &ret->why);
        }
        if (err == -ETIMEDOUT || is_stopping(w->cache))
            break;
    }
    memset(&ret->reply, 0, sizeof ret->reply);
    return err;
}
