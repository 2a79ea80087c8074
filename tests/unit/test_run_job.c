/* SPDX-License-Identifier: Apache-2.0 */
/* How long a job may take: this program is also the worker, and the clock goes a minute at each look. */
#include "cache/private.h"
#include "check.h"

#include <errno.h>
#include <sys/mman.h>

int64_t __wrap_base_now_ns(void);

static const int64_t minute_ns = INT64_C(60) * 1000000000;
static int64_t minutes;

int64_t __wrap_base_now_ns(void)
{
    return ++minutes * minute_ns;
}

/* Says job.range_offset times that it is alive, and then that it is done. */
static int be_worker(void)
{
    struct dec_job job;
    int fds[DEC_N_FDS];
    while (dec_receive(3, &job, sizeof job, fds) == 0) {
        struct dec_reply reply = {
            .magic = DEC_MAGIC, .version = DEC_VERSION, .kind = DEC_PROGRESS, .id = job.id};
        for (uint64_t i = 0; i < job.range_offset; i++)
            if (dec_send(3, &reply, sizeof reply, NULL) < 0)
                return 1;
        reply.kind = DEC_DONE;
        (void)dec_send(3, &reply, sizeof reply, NULL);
    }
    return 0;
}

/* Runs a job on a source of so many bytes. How many minutes it took is left in `minutes`. */
static int run(uint64_t source_bytes, uint64_t replies, struct job_result *ret, uint64_t *ret_restarts)
{
    struct cache c = {.n_clips = 0};
    struct worker_thread w = {.cache = &c};
    struct dec_job job = {.kind = DEC_LIST, .range_offset = replies};
    int source = memfd_create("source", MFD_CLOEXEC), output = memfd_create("output", MFD_CLOEXEC);
    int fds[DEC_N_FDS] = {source, output, -1, -1};
    CHECK(source >= 0 && output >= 0 && ftruncate(source, (off_t)source_bytes) == 0);
    pthread_mutex_init(&c.lock, NULL);
    cache_worker_init(&w.process, "/proc/self/exe", 0);
    minutes = 0;
    int err = run_job(&w, &job, fds, 1000, NULL, ret);
    *ret_restarts = c.counters.worker_restarts;
    (void)cache_worker_stop(&w.process);
    pthread_mutex_destroy(&c.lock);
    close(source);
    close(output);
    return err;
}

static void test_in_time(void)
{
    struct job_result result;
    uint64_t restarts;
    CHECK_INT(run(0, 55, &result, &restarts), 0);
    CHECK_INT(restarts, 0);
    CHECK_INT(run(UINT64_C(10) << 30, 200, &result, &restarts), 0);
}

/* However alive it is; and it is not tried again. */
static void check_crawls(uint64_t source_bytes, int64_t want_minutes, const char *reason)
{
    struct job_result result;
    uint64_t restarts;
    CHECK_INT(run(source_bytes, UINT64_MAX, &result, &restarts), -ETIMEDOUT);
    CHECK_STR(result.why.text, reason);
    CHECK_INT(restarts, 1);
    CHECK(minutes >= want_minutes && minutes <= want_minutes + 3);
}

static void test_crawls(void)
{
    check_crawls(1, 60, "decoding did not end within 60 minutes");
    /* Reading it may take 10240 s. */
    check_crawls(UINT64_C(10) << 30, 230, "decoding did not end within 230 minutes");
    check_crawls(INT64_MAX, 24 * 60, "decoding did not end within 1440 minutes");
}

int main(int argc, char **argv)
{
    if (argc > 0 && strcmp(argv[0], "corpusfs-decoder") == 0)
        return be_worker();
    CHECK_RUN(test_in_time);
    CHECK_RUN(test_crawls);
    return check_result();
}
