/* SPDX-License-Identifier: Apache-2.0 */
/*
 * corpusfs-decoder: the worker. Started by the daemon with its socket as descriptor 3 and a memory limit as
 * argument; locks itself in, then does one job after the other until the socket closes.
 *
 * decoders: everything that parses untrusted bytes. Knows nothing of FUSE, the cache or the configuration.
 * Start with protocol.h (the messages) and index.h (what is known of a video), then index_job.c, frames.c,
 * audio.c, subtitles.c, listing.c: one kind of job each.
 */
#include "base/io.h"
#include "decoders/flow_engine.h"
#include "decoders/media.h"
#include "decoders/sandbox.h"
#include "decoders/session.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <sys/stat.h>

enum { SOCKET = 3 };

static const struct {
    enum dec_kind kind;
    dec_run *run;
} kinds[] = {
    {DEC_INDEX, dec_run_index},   {DEC_MEASURE_FRAMES, dec_run_measure_frames},
    {DEC_FRAMES, dec_run_frames}, {DEC_MEASURE_AUDIO, dec_run_measure_audio},
    {DEC_AUDIO, dec_run_audio},   {DEC_MEASURE_SOUND, dec_run_measure_sound},
    {DEC_SOUND, dec_run_sound},   {DEC_SUBTITLES, dec_run_subtitles},
    {DEC_LIST, dec_run_list},     {DEC_UNPACK, dec_run_unpack},
    {DEC_TABLE, dec_run_table},   {DEC_SHARD_INDEX, dec_run_shard_index},
    {DEC_ARRAY, dec_run_array},
};

static struct dec_reply reply_to(const struct dec_job *job, enum dec_reply_kind kind)
{
    return (struct dec_reply){.magic = DEC_MAGIC, .version = DEC_VERSION, .kind = kind, .id = job->id};
}

static void send_progress(struct dec_work *work, uint64_t bytes)
{
    const int64_t alive_ns = 20 * 1000000, more_ns = 5 * 1000000;
    int64_t now = base_now_ns();
    work->final_bytes = BASE_MAX(work->final_bytes, bytes);
    if (now - work->last_progress_ns < (work->final_bytes > work->told_bytes ? more_ns : alive_ns))
        return;
    work->last_progress_ns = now;
    work->told_bytes = work->final_bytes;
    struct dec_reply reply = reply_to(work->job, DEC_PROGRESS);
    reply.bytes = work->final_bytes;
    if (dec_send(work->socket, &reply, sizeof reply, NULL) == -EPIPE)
        exit(0); /* the daemon is gone */
}

/* Decodes on until something comes. A decoder that hangs then is no job's fault: it ends the worker. */
static void await(void)
{
    const unsigned patience_s = 30;
    struct pollfd something = {.fd = SOCKET, .events = POLLIN};
    (void)alarm(patience_s);
    while (poll(&something, 1, 0) == 0 && dec_session_go_onward())
        ;
    (void)alarm(0);
}

static int tell_first(struct dec_work *work)
{
    struct dec_reply reply = *work->reply;
    struct dec_verdict verdict;
    int fds[DEC_N_FDS];
    reply.kind = DEC_FIRST;
    dec_output_sum(work, &reply);
    int err = dec_send(work->socket, &reply, sizeof reply, NULL);
    if (!err) {
        await();
        err = dec_receive(work->socket, &verdict, sizeof verdict, fds);
    }
    if (err == -EPIPE)
        exit(0); /* the daemon is gone */
    if (err)
        return base_fail(&work->why, err, "no verdict came");
    if (verdict.magic != DEC_MAGIC || verdict.version != DEC_VERSION || verdict.id != work->job->id ||
        (verdict.goes_on != 0) != (fds[0] >= 0))
        return base_fail(&work->why, -EPROTO, "a verdict that makes no sense");
    work->ended = !verdict.goes_on;
    if (verdict.goes_on) {
        close(work->output);
        work->output = fds[0];
        work->final_bytes = work->told_bytes = 0;
        work->sum = base_hasher_create();
    }
    return 0;
}

static int read_index(int fd, struct dec_index *ret)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size > (off_t)1 << 30)
        return -EPROTO;
    base_autofree uint8_t *data = malloc((size_t)st.st_size + 1);
    if (!data)
        return -ENOMEM;
    int err = base_pread_all(fd, data, (size_t)st.st_size, 0);
    return err ? err : dec_index_unpack(data, (size_t)st.st_size, ret);
}

static bool needs_index(const struct dec_job *job)
{
    switch (job->kind) {
    case DEC_INDEX:
    case DEC_SUBTITLES:
    case DEC_LIST:
    case DEC_UNPACK:
    case DEC_TABLE:
    case DEC_SHARD_INDEX:
    case DEC_ARRAY:
        return false;
    case DEC_FRAMES:
    case DEC_MEASURE_FRAMES:
        return !dec_session_is_open(job->session);
    default:
        return true;
    }
}

static int run(struct dec_work *work, int index_fd)
{
    struct dec_index index = {.video_stream = -1, .audio_stream = -1, .text_stream = -1};
    if (!dec_job_check(work->job) || work->source.fd < 0 || work->output < 0)
        return base_fail(&work->why, -EPROTO, "a job that makes no sense");
    if (needs_index(work->job)) {
        int err = read_index(index_fd, &index);
        if (err)
            return base_fail(&work->why, err, "its media index cannot be read: %s", strerror(-err));
    }
    work->index = &index;
    work->list_fd = index_fd;
    int err = base_fail(&work->why, -EPROTO, "an unknown kind of job");
    for (size_t i = 0; i < BASE_ARRAY_LEN(kinds); i++)
        if ((uint32_t)kinds[i].kind == work->job->kind)
            err = kinds[i].run(work);
    dec_index_finish(&index);
    return err;
}

static int serve(struct dec_job *job, int fds[DEC_N_FDS])
{
    struct dec_reply reply = reply_to(job, DEC_DONE);
    struct dec_work work = {
        .job = job,
        .source = {fds[DEC_FD_SOURCE], job->range_offset, job->range_bytes},
        .output = fds[DEC_FD_OUTPUT],
        .boxes_fd = fds[DEC_FD_BOXES],
        .reply = &reply,
        .progress = send_progress,
        .first = tell_first,
        .sum = base_hasher_create(),
        .socket = SOCKET,
    };
    int err = run(&work, fds[DEC_FD_INDEX]);
    fds[DEC_FD_OUTPUT] = work.output;
    dec_output_sum(&work, &reply);
    if (err) {
        reply.kind = DEC_FAILED;
        reply.error = -err;
        (void)snprintf(reply.reason, sizeof reply.reason, "%.*s", (int)sizeof reply.reason - 1,
                       work.why.text);
    }
    for (int i = 0; i < DEC_N_FDS; i++)
        base_close_fd(&fds[i]);
    return work.ended ? 0 : dec_send(SOCKET, &reply, sizeof reply, NULL);
}

#ifdef __SANITIZE_ADDRESS__
/* Looking for leaks at exit needs ptrace, which the sandbox refuses. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0:handle_segv=1";
}
#endif

/* Pictures come and go by the hundred: what one job frees, the next one takes without the kernel's help. */
static void keep_freed_memory(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

int main(int argc, char **argv)
{
    struct base_reason why;
    struct stat st;
    if (argc != 2 || fstat(SOCKET, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        (void)fprintf(stderr, "corpusfs-decoder: this program is started by corpusfs\n");
        return 2;
    }
    av_log_set_level(AV_LOG_QUIET);
    keep_freed_memory();
#ifdef CORPUSFS_FLOW_WORKER
    dec_flow_opencv_start();
    dec_flow_engine = dec_flow_opencv;
#endif
    int err = dec_sandbox_enter(strtoull(argv[1], NULL, 10), &why);
    if (err) {
        (void)fprintf(stderr, "corpusfs-decoder: %s\n", why.text);
        return 1;
    }
    for (;;) {
        struct dec_job job;
        int fds[DEC_N_FDS];
        await();
        err = dec_receive(SOCKET, &job, sizeof job, fds);
        if (!err)
            err = serve(&job, fds);
        if (err)
            return err == -EPIPE ? 0 : 1;
    }
}
