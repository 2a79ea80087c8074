/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's status socket. One thread, one client at a time: whoever connects, and may, is sent one JSON
 * document and the connection is closed. Nothing is read from a client, so there is nothing to parse.
 */
#include "fs/private.h"

#include "base/io.h"
#include "base/local.h"
#include "base/log.h"
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/* A client that does not take its document within this time goes without. */
enum { CLIENT_MS = 2000 };

struct fs_control {
    struct fs *fs;
    int listener, stop;
    pthread_t thread;
    struct stat made; /* the socket as it was made: another daemon's may stand there later */
};

/* False: time to end. */
static bool wait_for(const struct fs_control *c, int fd, short events, int timeout_ms, bool *ret_ready)
{
    struct pollfd wait[] = {{.fd = fd, .events = events}, {.fd = c->stop, .events = POLLIN}};
    int n = poll(wait, BASE_ARRAY_LEN(wait), timeout_ms);
    *ret_ready = n > 0 && wait[0].revents != 0;
    return n <= 0 || wait[1].revents == 0;
}

static void send_all(const struct fs_control *c, int client, const struct base_bytes *text)
{
    int64_t end_ns = base_now_ns() + (int64_t)CLIENT_MS * 1000000;
    for (size_t at = 0; at < text->len;) {
        ssize_t n = send(client, text->data + at, text->len - at, MSG_NOSIGNAL);
        int64_t left_ns = end_ns - base_now_ns();
        bool ready;
        if (n > 0)
            at += (size_t)n;
        else if (n == 0 || (errno != EAGAIN && errno != EINTR) || left_ns <= 0 ||
                 !wait_for(c, client, POLLOUT, (int)(left_ns / 1000000) + 1, &ready))
            return;
    }
}

static void answer(const struct fs_control *c, int client)
{
    struct base_bytes text = {0};
    if (!base_local_peer_trusted(client))
        return;
    fs_stats_json(c->fs, &text);
    if (!text.failed)
        send_all(c, client, &text);
    base_bytes_finish(&text);
}

static void *control_main(void *argument)
{
    const struct fs_control *c = argument;
    const struct timespec moment = {.tv_nsec = 100 * 1000 * 1000};
    bool ready;
    while (wait_for(c, c->listener, POLLIN, -1, &ready)) {
        base_autoclose int client =
            ready ? accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;
        if (client >= 0)
            answer(c, client);
        else if (ready)
            nanosleep(&moment, NULL); /* out of descriptors: not in a busy loop */
    }
    return NULL;
}

int fs_control_create(struct fs *fs, const char *path, struct fs_control **ret)
{
    struct fs_control *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->fs = fs;
    c->listener = base_local_listen(path);
    c->stop = eventfd(0, EFD_CLOEXEC);
    int err = c->listener < 0 ? c->listener : c->stop < 0 || lstat(path, &c->made) < 0 ? -errno : 0;
    if (!err)
        err = -pthread_create(&c->thread, NULL, control_main, c);
    if (err) {
        base_close_fd(&c->listener);
        base_close_fd(&c->stop);
        free(c);
        return err;
    }
    *ret = c;
    return 0;
}

void fs_control_destroy(struct fs_control *c)
{
    struct stat there;
    const char *path = c ? c->fs->options->status_socket : NULL;
    if (!c)
        return;
    (void)eventfd_write(c->stop, 1);
    pthread_join(c->thread, NULL);
    if (lstat(path, &there) == 0 && there.st_ino == c->made.st_ino && there.st_dev == c->made.st_dev)
        (void)unlink(path);
    close(c->listener);
    close(c->stop);
    free(c);
}
