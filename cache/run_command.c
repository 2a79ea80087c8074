/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/run_command.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- The child, up to exec: only what may be called after fork() in a process with threads ---- */

static void reset_signals(void)
{
    sigset_t none;
    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The daemon has more descriptors than programs expect. */
static void lower_descriptor_limit(void)
{
    struct rlimit limit;
    const rlim_t usual = 1024;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > usual) {
        limit.rlim_cur = usual;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* error_fd: where errno goes when it cannot be run; closed by exec. */
static _Noreturn void become(const struct command *command, pid_t daemon, int output_fd, int error_fd)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != daemon)
        _exit(127);
    reset_signals();
    lower_descriptor_limit();
    if (null >= 0 && dup2(null, 0) >= 0 && dup2(output_fd, 1) >= 0 && dup2(output_fd, 2) >= 0 &&
        chdir(command->dir) == 0) {
        (void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
        execvp(command->arguments[0], command->arguments);
    }
    int error = errno;
    ssize_t ignored = write(error_fd, &error, sizeof error);
    (void)ignored;
    _exit(127);
}

/* ---- The daemon ---- */

/* 0 and the process, which leads its group, or a negative errno. */
static int start(const struct command *command, int output_fd, pid_t *ret)
{
    int errors[2], error = 0;
    if (pipe2(errors, O_CLOEXEC) < 0)
        return -errno;
    pid_t daemon = getpid(), pid = fork();
    if (pid == 0)
        become(command, daemon, output_fd, errors[1]);
    if (pid < 0)
        error = errno;
    close(errors[1]);
    ssize_t n = 0;
    while (pid > 0 && (n = read(errors[0], &error, sizeof error)) < 0 && errno == EINTR)
        ;
    close(errors[0]);
    if (pid > 0 && n > 0)
        (void)waitpid(pid, NULL, 0);
    else if (pid > 0)
        *ret = pid;
    return -error;
}

/* Keeps the end of what was said. */
static void keep(struct command_end *end, const char *data, size_t n)
{
    end->said_bytes += n;
    if (n > COMMAND_SAID_BYTES) {
        data += n - COMMAND_SAID_BYTES;
        n = COMMAND_SAID_BYTES;
    }
    size_t room = COMMAND_SAID_BYTES - end->n_said, drop = n > room ? n - room : 0;
    memmove(end->said, end->said + drop, end->n_said - drop);
    memcpy(end->said + end->n_said - drop, data, n);
    end->n_said += n - drop;
    end->said[end->n_said] = 0;
}

/* What is in the pipe now. */
static void listen_to(int fd, struct command_end *end)
{
    char data[16 * 1024];
    for (ssize_t n; (n = read(fd, data, sizeof data)) > 0;)
        keep(end, data, (size_t)n);
}

static bool is_too_large(const struct command *command)
{
    struct stat st;
    return lstat(command->output, &st) == 0 && (uint64_t)st.st_size > command->max_bytes;
}

/* So often its file is looked at; and so long it has between SIGTERM and SIGKILL. */
enum { LOOK_MS = 100, GRACE_MS = 1000 };

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

/* Why it is to end; COMMAND_EXITED: it is not. */
static enum command_fate verdict(const struct command *command, int64_t end_ns)
{
    if (is_readable(command->stop_fd))
        return COMMAND_STOPPED;
    if (base_now_ns() >= end_ns)
        return COMMAND_TIMEOUT;
    return is_too_large(command) ? COMMAND_TOO_LARGE : COMMAND_EXITED;
}

/* Until the process has ended, which is not waited for: so its number, and its group's, are still its own.
 * When the mount goes down nobody may answer what it asks of it at its end (a flush of each open file, which
 * no signal interrupts): then it is left to die with the mount. */
static enum command_fate watch(const struct command *command, pid_t pid, int pidfd, int pipe_fd,
                               struct command_end *end)
{
    const int64_t ms = 1000000, end_ns = base_now_ns() + (int64_t)command->timeout_s * 1000 * ms;
    enum command_fate fate = COMMAND_EXITED;
    int64_t asked_ns = 0;
    struct pollfd fds[] = {{.fd = pidfd, .events = POLLIN},
                           {.fd = pipe_fd, .events = POLLIN},
                           {.fd = command->stop_fd, .events = POLLIN}};
    while (!(fds[0].revents & POLLIN)) {
        if (fate == COMMAND_EXITED && (fate = verdict(command, end_ns)) != COMMAND_EXITED) {
            asked_ns = base_now_ns();
            kill(-pid, SIGTERM);
            fds[2].fd = -1;
        }
        if (fate != COMMAND_EXITED && base_now_ns() - asked_ns > GRACE_MS * ms)
            kill(-pid, SIGKILL);
        if (fate == COMMAND_STOPPED && base_now_ns() - asked_ns > 2 * GRACE_MS * ms)
            break;
        (void)poll(fds, BASE_ARRAY_LEN(fds), LOOK_MS);
        listen_to(pipe_fd, end);
    }
    return fate;
}

static void run_with_pipe(const struct command *command, const int pair[2], struct command_end *end)
{
    pid_t pid = 0;
    int err = start(command, pair[1], &pid);
    base_autoclose int pidfd = err ? -1 : pidfd_open(pid, 0);
    if (!err && pidfd < 0)
        err = -errno;
    if (!err)
        end->fate = watch(command, pid, pidfd, pair[0], end);
    else
        end->code = -err;
    if (pid <= 0)
        return;
    /* What it has started ends with it. */
    kill(-pid, SIGKILL);
    int status = 0;
    if (end->fate == COMMAND_STOPPED && !is_readable(pidfd))
        return;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    listen_to(pair[0], end);
    /* What it did may be what it does about a mount that goes down. */
    if (end->fate == COMMAND_EXITED && is_readable(command->stop_fd))
        end->fate = COMMAND_STOPPED;
    if (end->fate == COMMAND_EXITED && is_too_large(command))
        end->fate = COMMAND_TOO_LARGE;
    if (end->fate != COMMAND_EXITED)
        return;
    end->fate = WIFEXITED(status) ? COMMAND_EXITED : COMMAND_KILLED;
    end->code = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
}

void command_run(const struct command *command, struct command_end *ret)
{
    int pair[2];
    ret->fate = COMMAND_NOT_RUN;
    ret->said[0] = 0;
    ret->n_said = 0;
    ret->said_bytes = 0;
    ret->code = 0;
    if (pipe2(pair, O_CLOEXEC) < 0) {
        ret->code = errno;
        return;
    }
    /* Whoever it has started may hold the pipe after its end. */
    (void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
    run_with_pipe(command, pair, ret);
    close(pair[0]);
    close(pair[1]);
}
