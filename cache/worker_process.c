/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/worker_process.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

extern char **environ;

void cache_worker_init(struct cache_worker *w, const char *program, uint64_t memory_bytes)
{
    *w = (struct cache_worker){.program = program, .memory_bytes = memory_bytes, .socket = -1};
    atomic_init(&w->pid, 0);
}

/* A worker sees nothing of the user's environment, which may hold secrets; only what steers the sanitizers.
 */
static void clean_environment(char *out[], size_t room)
{
    static const char *const kept[] = {"ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS=", "LSAN_OPTIONS="};
    size_t n = 0;
    out[n++] = (char *)"LC_ALL=C.UTF-8";
    for (char **e = environ; *e && n + 1 < room; e++)
        for (size_t i = 0; i < BASE_ARRAY_LEN(kept); i++)
            if (strncmp(*e, kept[i], strlen(kept[i])) == 0 && n + 1 < room)
                out[n++] = *e;
    out[n] = NULL;
}

static int spawn(struct cache_worker *w, int socket)
{
    char memory[32], *environment[16];
    (void)snprintf(memory, sizeof memory, "%llu", (unsigned long long)w->memory_bytes);
    char *arguments[] = {(char *)"corpusfs-decoder", memory, NULL};
    clean_environment(environment, BASE_ARRAY_LEN(environment));
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    /* A daemon in the background lets go of the command's stderr, which may be a pipe, once it is mounted;
     * the workers that it has by then would not. */
    if (base_log_is_file())
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, socket, 3);
    posix_spawn_file_actions_addclosefrom_np(&actions, 4);
    /* Its own process group: Ctrl-C in a terminal is for the daemon, which then ends its workers. */
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    pid_t pid = 0;
    int err = posix_spawn(&pid, w->program, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (err)
        return -err;
    atomic_store(&w->pid, pid);
    return 0;
}

int cache_worker_start(struct cache_worker *w)
{
    if (w->socket >= 0)
        return 0;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    int err = spawn(w, pair[1]);
    close(pair[1]);
    if (err)
        close(pair[0]);
    else
        w->socket = pair[0];
    return err;
}

void cache_worker_limit(struct cache_worker *w, uint64_t bytes)
{
    /* Room for what a dying worker has to say on stderr, which may be a file. The sandbox lets it not change
     * limits. */
    const uint64_t slack = 1 << 20;
    struct rlimit limit = {.rlim_cur = bytes + slack, .rlim_max = RLIM_INFINITY};
    int pid = atomic_load(&w->pid);
    /* Root without CAP_SYS_RESOURCE could set it while the worker starts, and never again. */
    if (pid > 0 && geteuid() != 0)
        (void)prlimit(pid, RLIMIT_FSIZE, &limit, NULL);
}

void cache_worker_kill(struct cache_worker *w)
{
    int pid = atomic_load(&w->pid);
    if (pid > 0)
        kill(pid, SIGKILL);
}

int cache_worker_stop(struct cache_worker *w)
{
    base_close_fd(&w->socket);
    w->socket = -1;
    /* Before it is waited for: then its number may belong to another. */
    int pid = atomic_exchange(&w->pid, 0);
    if (pid <= 0)
        return 0;
    kill(pid, SIGKILL);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

int cache_worker_send(struct cache_worker *w, const struct dec_job *job, const int *fds)
{
    return dec_send(w->socket, job, sizeof *job, fds);
}

int cache_worker_verdict(struct cache_worker *w, const struct dec_job *job, int output)
{
    const struct dec_verdict verdict = {
        .magic = DEC_MAGIC, .version = DEC_VERSION, .id = job->id, .goes_on = output >= 0};
    const int fds[DEC_N_FDS] = {output, -1, -1, -1};
    return dec_send(w->socket, &verdict, sizeof verdict, fds);
}

int cache_worker_reply(struct cache_worker *w, const struct dec_job *job, uint64_t max_bytes, int timeout_ms,
                       struct dec_reply *ret)
{
    struct pollfd wait = {.fd = w->socket, .events = POLLIN};
    int ready;
    do
        ready = poll(&wait, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        return -ETIMEDOUT;
    if (ready < 0)
        return -errno;
    int fds[DEC_N_FDS];
    int err = dec_receive(w->socket, ret, sizeof *ret, fds);
    for (int i = 0; i < DEC_N_FDS; i++)
        base_close_fd(&fds[i]); /* a worker has nothing to send */
    if (err)
        return err;
    return dec_reply_check(ret, job, max_bytes) ? 0 : -EPROTO;
}
