/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/signals.h"

#include "fs/private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>

static const int ending[] = {SIGTERM, SIGINT, SIGHUP};
enum { N_ENDING = BASE_ARRAY_LEN(ending) };

struct fs_signals {
    struct fuse_session *session;
    pthread_t looping, thread;
    int pipe[2]; /* a byte for each signal; nothing more comes when the loop has ended */
    struct sigaction before[N_ENDING], before_pipe;
    atomic_bool stopped;
    bool started;
};

static int signal_fd = -1; /* the pipe's end that the handler writes to */

static void on_signal(int number)
{
    int error = errno;
    char byte = (char)number;
    ssize_t ignored = write(signal_fd, &byte, 1);
    (void)ignored; /* full: then others were told already */
    errno = error;
}

static void *wait_main(void *argument)
{
    struct fs_signals *s = argument;
    const struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};
    char byte;
    ssize_t n;
    while ((n = read(s->pipe[0], &byte, 1)) < 0 && errno == EINTR)
        ;
    while (n == 1 && !s->stopped) {
        fuse_session_exit(s->session);
        (void)pthread_kill(s->looping, byte);
        (void)nanosleep(&moment, NULL);
    }
    return NULL;
}

static void take_signals(struct fs_signals *s)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART */
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < N_ENDING; i++) {
        (void)sigaction(ending[i], NULL, &s->before[i]);
        if (s->before[i].sa_handler == SIG_DFL)
            (void)sigaction(ending[i], &action, NULL);
    }
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, &s->before_pipe);
}

static int start_thread(struct fs_signals *s)
{
    if (pipe2(s->pipe, O_CLOEXEC) < 0)
        return -errno;
    int flags = fcntl(s->pipe[1], F_GETFL), err = 0;
    if (flags < 0 || fcntl(s->pipe[1], F_SETFL, flags | O_NONBLOCK) < 0)
        err = -errno;
    if (!err)
        err = -pthread_create(&s->thread, NULL, wait_main, s);
    if (err) {
        close(s->pipe[0]);
        close(s->pipe[1]);
    }
    return err;
}

int fs_signals_start(struct fuse_session *session, struct fs_signals **ret)
{
    struct fs_signals *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->session = session;
    s->looping = pthread_self();
    int err = start_thread(s);
    if (err) {
        free(s);
        return err;
    }
    s->started = true;
    signal_fd = s->pipe[1];
    take_signals(s);
    *ret = s;
    return 0;
}

void fs_signals_stop(struct fs_signals *s)
{
    if (!s || !s->started)
        return;
    s->stopped = true;
    on_signal(0); /* in case none came */
    pthread_join(s->thread, NULL);
    s->started = false;
}

void fs_signals_destroy(struct fs_signals *s)
{
    if (!s)
        return;
    fs_signals_stop(s);
    for (int i = 0; i < N_ENDING; i++)
        (void)sigaction(ending[i], &s->before[i], NULL);
    (void)sigaction(SIGPIPE, &s->before_pipe, NULL);
    signal_fd = -1;
    close(s->pipe[0]);
    close(s->pipe[1]);
    free(s);
}
