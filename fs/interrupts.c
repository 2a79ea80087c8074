/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/interrupts.h"

#include "base/io.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What a person who presses Ctrl-C does not notice. */
enum { LOOK_EVERY_NS = 100 * 1000 * 1000 };

struct fs_interrupts {
    pthread_t thread;
    bool started;
    bool proc_is_ours; /* /proc is of our pid namespace */
    /* Guards all below and the private parts of requests; no other is taken while it is held. */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* the list or `stopping`; by CLOCK_MONOTONIC */
    pthread_cond_t took;    /* `taking` is NULL again */
    bool stopping;
    struct fs_interruptible list; /* its ends: in the order of due_ns */
    struct fs_interruptible
        *looked; /* whose thread is being looked at; NULL when it was forgotten meanwhile */
    struct fs_interruptible *taking; /* whose `take` is called */
};

/* ---- Who wants out ---- */

static uint64_t bit(int signal)
{
    return (uint64_t)1 << (signal - 1);
}

/* A mask by its name in the text. */
static bool find_mask(const char *status, const char *name, uint64_t *ret)
{
    const size_t len = strlen(name);
    for (const char *line = status; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) != 0 || line[len] != ':')
            continue;
        const char *digits = line + len + 1 + strspn(line + len + 1, "\t ");
        char *end;
        errno = 0;
        unsigned long long mask = strtoull(digits, &end, 16);
        if (end == digits || *end != '\n' || *digits == '-' || errno)
            return false;
        *ret = mask;
        return true;
    }
    return false;
}

bool fs_status_wants_out(const char *status)
{
    /* signal(7): without a handler, these are ignored or stop the program. All others end it. */
    const uint64_t harmless = bit(SIGCHLD) | bit(SIGCONT) | bit(SIGURG) | bit(SIGWINCH) | bit(SIGSTOP) |
                              bit(SIGTSTP) | bit(SIGTTIN) | bit(SIGTTOU);
    const uint64_t ending = bit(SIGINT) | bit(SIGTERM) | bit(SIGQUIT) | bit(SIGHUP);
    uint64_t own, shared, blocked, ignored, caught;
    if (!find_mask(status, "SigPnd", &own) || !find_mask(status, "ShdPnd", &shared) ||
        !find_mask(status, "SigBlk", &blocked) || !find_mask(status, "SigIgn", &ignored) ||
        !find_mask(status, "SigCgt", &caught))
        return true;
    const uint64_t pending = (own | shared) & ~blocked & ~ignored;
    return (pending & ~caught & ~harmless) || (pending & caught & ending);
}

static bool wants_out(const struct fs_interrupts *i, pid_t thread)
{
    enum { CAP = 1 << 20 }; /* it has all of a process's groups */
    char path[32];
    base_autofree char *status = NULL;
    size_t len;
    if (!i->proc_is_ours || thread <= 0)
        return true;
    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)thread);
    return base_read_file(path, CAP, &status, &len) < 0 || fs_status_wants_out(status);
}

static bool is_proc_ours(void)
{
    char target[16], own[16];
    ssize_t n = readlink("/proc/self", target, sizeof target);
    int len = snprintf(own, sizeof own, "%ld", (long)getpid());
    return n == len && memcmp(target, own, (size_t)n) == 0;
}

/* ---- The list ---- */

static void unlink_locked(struct fs_interruptible *w)
{
    if (!w->next)
        return;
    w->prev->next = w->next;
    w->next->prev = w->prev;
    w->prev = w->next = NULL;
}

static void link_after_locked(struct fs_interruptible *prev, struct fs_interruptible *w)
{
    w->prev = prev;
    w->next = prev->next;
    w->next->prev = w;
    prev->next = w;
}

void fs_interrupts_add(struct fs_interrupts *i, struct fs_interruptible *w)
{
    pthread_mutex_lock(&i->lock);
    w->added = true;
    w->due_ns = 0;
    unlink_locked(w);
    link_after_locked(&i->list, w);
    pthread_cond_signal(&i->changed);
    pthread_mutex_unlock(&i->lock);
}

void fs_interrupts_forget(struct fs_interrupts *i, struct fs_interruptible *w)
{
    if (!w->added)
        return;
    pthread_mutex_lock(&i->lock);
    while (i->taking == w)
        pthread_cond_wait(&i->took, &i->lock);
    if (i->looked == w)
        i->looked = NULL;
    unlink_locked(w);
    pthread_mutex_unlock(&i->lock);
}

/* ---- The thread ---- */

static void take_locked(struct fs_interrupts *i, struct fs_interruptible *w)
{
    i->taking = w;
    pthread_mutex_unlock(&i->lock);
    bool took = w->take(w);
    pthread_mutex_lock(&i->lock);
    i->taking = NULL;
    pthread_cond_broadcast(&i->took);
    if (!took)
        return; /* whoever answers it may have freed it from here on */
    unlink_locked(w);
    pthread_mutex_unlock(&i->lock);
    w->let_go(w);
    pthread_mutex_lock(&i->lock);
}

static void look_locked(struct fs_interrupts *i, struct fs_interruptible *w)
{
    const pid_t thread = w->thread;
    unlink_locked(w);
    w->due_ns = base_now_ns() + LOOK_EVERY_NS;
    link_after_locked(i->list.prev, w);
    i->looked = w;
    pthread_mutex_unlock(&i->lock);
    bool out = wants_out(i, thread);
    pthread_mutex_lock(&i->lock);
    w = i->looked;
    i->looked = NULL;
    if (w && out)
        take_locked(i, w);
}

static void *interrupts_main(void *argument)
{
    struct fs_interrupts *i = argument;
    pthread_mutex_lock(&i->lock);
    while (!i->stopping) {
        struct fs_interruptible *first = i->list.next;
        if (first == &i->list) {
            pthread_cond_wait(&i->changed, &i->lock);
        } else if (first->due_ns > base_now_ns()) {
            base_cond_wait_until(&i->changed, &i->lock, first->due_ns);
        } else {
            look_locked(i, first);
        }
    }
    pthread_mutex_unlock(&i->lock);
    return NULL;
}

int fs_interrupts_create(struct fs_interrupts **ret)
{
    struct fs_interrupts *i = calloc(1, sizeof *i);
    if (!i)
        return -ENOMEM;
    i->list.prev = i->list.next = &i->list;
    i->proc_is_ours = is_proc_ours();
    pthread_mutex_init(&i->lock, NULL);
    base_cond_init(&i->changed);
    pthread_cond_init(&i->took, NULL);
    int err = -pthread_create(&i->thread, NULL, interrupts_main, i);
    if (err) {
        fs_interrupts_destroy(i);
        return err;
    }
    i->started = true;
    *ret = i;
    return 0;
}

void fs_interrupts_stop(struct fs_interrupts *i)
{
    if (!i || !i->started)
        return;
    pthread_mutex_lock(&i->lock);
    i->stopping = true;
    pthread_cond_signal(&i->changed);
    pthread_mutex_unlock(&i->lock);
    pthread_join(i->thread, NULL);
    i->started = false;
}

void fs_interrupts_destroy(struct fs_interrupts *i)
{
    if (!i)
        return;
    fs_interrupts_stop(i);
    pthread_cond_destroy(&i->took);
    pthread_cond_destroy(&i->changed);
    pthread_mutex_destroy(&i->lock);
    free(i);
}
