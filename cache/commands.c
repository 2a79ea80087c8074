/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/making.h"

#include <errno.h>
#include <sys/eventfd.h>

struct command_thread {
    struct cache *c;
    size_t view;
    pthread_t thread;
};

struct queue {
    struct cache_task *head, *tail;
};

/* Guarded by cache.lock, but for what is fixed. */
struct commands {
    int stop_fd; /* fixed */
    size_t n_threads;
    struct command_thread *threads;
    pthread_cond_t work;
    struct queue queues[CACHE_MAX_VIEWS];
};

static struct cache_task *take_locked(struct cache *c, size_t view)
{
    struct queue *q = &c->commands->queues[view];
    struct cache_task *t = q->head;
    if (t) {
        q->head = t->next_in_queue;
        q->tail = q->head ? q->tail : NULL;
        t->next_in_queue = NULL;
    }
    return t;
}

void commands_enqueue_locked(struct cache *c, struct cache_task *t)
{
    struct queue *q = &c->commands->queues[t->view];
    *(q->tail ? &q->tail->next_in_queue : &q->head) = t;
    q->tail = t;
    pthread_cond_broadcast(&c->commands->work);
}

static void make(struct cache *c, struct cache_task *t)
{
    struct making m = {.c = c, .t = t, .path = c->sources[t->clip].path};
    struct cache_segment *segment = NULL;
    int err = make_command(&m, &segment);
    jobs_finish(c, NULL, t, err, segment);
    cache_segment_unref(segment);
}

static void *thread_main(void *argument)
{
    const struct command_thread *self = argument;
    struct cache *c = self->c;
    pthread_mutex_lock(&c->lock);
    while (!c->stopping) {
        struct cache_task *t = take_locked(c, self->view);
        if (!t) {
            pthread_cond_wait(&c->commands->work, &c->lock);
            continue;
        }
        pthread_mutex_unlock(&c->lock);
        make(c, t);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static int start_threads(struct cache *c, size_t view)
{
    struct commands *k = c->commands;
    for (uint32_t i = 0; i < c->views[view].command.at_once; i++) {
        struct command_thread *t = &k->threads[k->n_threads];
        *t = (struct command_thread){.c = c, .view = view};
        int err = pthread_create(&t->thread, NULL, thread_main, t);
        if (err)
            return -err;
        k->n_threads++;
    }
    return 0;
}

int commands_start(struct cache *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->options.n_views; i++)
        n += c->views[i].kind == CACHE_COMMAND ? c->views[i].command.at_once : 0;
    if (n == 0)
        return 0;
    struct commands *k = calloc(1, sizeof *k);
    struct command_thread *threads = calloc(n, sizeof *threads);
    int stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!k || !threads || stop_fd < 0) {
        free(k);
        free(threads);
        base_close_fd(&stop_fd);
        return -ENOMEM;
    }
    pthread_cond_init(&k->work, NULL);
    k->stop_fd = stop_fd;
    k->threads = threads;
    c->commands = k;
    int err = 0;
    for (size_t i = 0; !err && i < c->options.n_views; i++)
        if (c->views[i].kind == CACHE_COMMAND)
            err = start_threads(c, i);
    return err;
}

int commands_stop_fd(const struct cache *c)
{
    return c->commands->stop_fd;
}

void commands_stop_locked(struct cache *c)
{
    const uint64_t one = 1;
    if (!c->commands)
        return;
    pthread_cond_broadcast(&c->commands->work);
    ssize_t ignored = write(c->commands->stop_fd, &one, sizeof one);
    (void)ignored;
}

/* The next that nobody began, of any view. */
static struct cache_task *take_any(struct cache *c)
{
    struct cache_task *t = NULL;
    pthread_mutex_lock(&c->lock);
    for (size_t view = 0; !t && view < c->options.n_views; view++)
        t = take_locked(c, view);
    pthread_mutex_unlock(&c->lock);
    return t;
}

void commands_finish(struct cache *c)
{
    struct commands *k = c->commands;
    if (!k)
        return;
    for (size_t i = 0; i < k->n_threads; i++)
        (void)pthread_join(k->threads[i].thread, NULL);
    for (struct cache_task *t; (t = take_any(c));)
        jobs_finish(c, NULL, t, -EIO, NULL);
    c->commands = NULL;
    pthread_cond_destroy(&k->work);
    base_close_fd(&k->stop_fd);
    free(k->threads);
    free(k);
}
