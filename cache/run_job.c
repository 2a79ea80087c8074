/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"
#include "base/log.h"
#include "cache/private.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

/* A worker says at least that it is alive every now and then; one that is silent for so long hangs. */
enum { DEADLINE_MS = 60 * 1000 };
/* What a job may take altogether, however alive: far more than any real source needs, so that one that never
 * ends has the worker for a while only. It may read a long source at MIN_BYTES_A_S, from a slow disk. */
enum { JOB_S = 60 * 60, MAX_JOB_S = 24 * 60 * 60, MIN_BYTES_A_S = 1 << 20 };

static int64_t job_seconds(int source)
{
    struct stat st;
    int64_t to_read = fstat(source, &st) == 0 ? st.st_size / MIN_BYTES_A_S : 0;
    return BASE_MIN(JOB_S + to_read, (int64_t)MAX_JOB_S);
}

/* The wanted frame is made. 1: the job goes on, and if it is tried again, without a wanted frame; 0: it has
 * ended; or a negative errno of the socket. */
static int after_first(struct worker_thread *w, struct dec_job *job, int *fds,
                       const struct job_listener *listener, const struct dec_reply *reply)
{
    int output = listener->on_first(listener->context, reply);
    int err = cache_worker_verdict(&w->process, job, output);
    job->wanted = 0;
    if (output < 0)
        return 0; /* a worker that died since is the next job's trouble */
    fds[DEC_FD_OUTPUT] = output;
    return err ? err : 1;
}

static int converse(struct worker_thread *w, struct dec_job *job, int *fds, uint64_t max_bytes,
                    const struct job_listener *listener, struct dec_reply *reply)
{
    int err = cache_worker_start(&w->process);
    if (err) {
        base_log(BASE_LOG_ERROR, "cannot start %s: %s", w->process.program, strerror(-err));
        return err;
    }
    cache_worker_limit(&w->process, max_bytes);
    const int64_t end_ns = base_now_ns() + job_seconds(fds[DEC_FD_SOURCE]) * 1000000000;
    err = cache_worker_send(&w->process, job, fds);
    while (!err) {
        if (base_now_ns() > end_ns)
            return -ETIME;
        err = cache_worker_reply(&w->process, job, max_bytes, DEADLINE_MS, reply);
        if (err || (reply->kind != DEC_PROGRESS && reply->kind != DEC_FIRST))
            break;
        if (reply->kind == DEC_FIRST) {
            int goes_on = after_first(w, job, fds, listener, reply);
            if (goes_on <= 0)
                return goes_on;
        } else if (listener && listener->on_progress && reply->bytes > 0) {
            listener->on_progress(listener->context, reply->bytes);
        }
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
    case DEC_MEASURE_SOUND:
        c->counters.jobs_measure++;
        break;
    case DEC_FRAMES:
        c->counters.jobs_frames++;
        break;
    case DEC_AUDIO:
    case DEC_SOUND:
    case DEC_ARRAY:
        c->counters.jobs_audio++;
        break;
    case DEC_SUBTITLES:
        c->counters.jobs_subtitles++;
        break;
    case DEC_LIST:
        c->counters.jobs_list++;
        break;
    case DEC_TABLE:
    case DEC_SHARD_INDEX:
        break;
    case DEC_UNPACK:
        c->counters.jobs_unpack++;
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
static int after_death(struct worker_thread *w, int err, int source, struct base_reason *why)
{
    int signal = cache_worker_stop(&w->process);
    pthread_mutex_lock(&w->cache->lock);
    w->cache->counters.worker_restarts++;
    pthread_mutex_unlock(&w->cache->lock);
    if (err == -ETIMEDOUT)
        return base_fail(why, -ETIMEDOUT, "decoding hung for %d s", DEADLINE_MS / 1000);
    if (err == -ETIME)
        return base_fail(why, -ETIMEDOUT, "decoding did not end within %lld minutes",
                         (long long)job_seconds(source) / 60);
    if (err == -EPROTO)
        return base_fail(why, -EIO, "the worker gave a senseless answer");
    if (is_crash(signal))
        return base_fail(why, -EIO, "the worker crashed on it (signal %d)", signal);
    if (signal)
        return base_fail(why, -EAGAIN, "the worker was ended by signal %d", signal);
    return base_fail(why, -EAGAIN, "the worker program %s cannot run", w->process.program);
}

int run_job(struct worker_thread *w, struct dec_job *job, int fds[DEC_N_FDS], uint64_t max_bytes,
            const struct job_listener *listener, struct job_result *ret)
{
    int err = -EIO;
    count_job(w->cache, job->kind);
    for (int attempt = 0; attempt < 2; attempt++) {
        job->magic = DEC_MAGIC;
        job->version = DEC_VERSION;
        job->id = ++w->next_job;
        err = converse(w, job, fds, max_bytes, listener, &ret->reply);
        if (!err) {
            count_reply(w->cache, &ret->reply);
            if (ret->reply.kind != DEC_FAILED)
                return 0;
            err = base_fail(&ret->why, -ret->reply.error, "%s", ret->reply.reason);
            if (err != -ENOMEM || w->process.memory_bytes == 0)
                return err;
            /* Of its memory, which a fresh one has whole: a source that outgrows it then is to blame. */
            cache_worker_stop(&w->process);
            err = -EIO;
        } else {
            err = after_death(w, err, fds[DEC_FD_SOURCE], &ret->why);
        }
        if (err == -ETIMEDOUT || is_stopping(w->cache))
            break;
    }
    memset(&ret->reply, 0, sizeof ret->reply);
    return err;
}
