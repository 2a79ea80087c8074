/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue of things to be made, one thread a worker process, and the waiters. A task is found by its key
 * while it is queued or runs: that is what makes it single.
 */
#include "base/log.h"
#include "cache/private.h"

#include <errno.h>
#include <time.h>

static struct cache_task **bucket_of(struct cache *c, const struct base_hash *key)
{
    uint32_t number;
    memcpy(&number, key->bytes, sizeof number);
    return &c->buckets[number % TASK_BUCKETS];
}

static struct cache_task *find_locked(struct cache *c, const struct base_hash *key)
{
    struct cache_task *t = *bucket_of(c, key);
    while (t && !base_hash_equal(&t->key, key))
        t = t->next_in_bucket;
    return t;
}

static void free_task(struct cache_task *t)
{
    base_close_fd(&t->output);
    media_unref(t->media);
    free(t);
}

static void leave_bucket_locked(struct cache *c, struct cache_task *t)
{
    struct cache_task **at = bucket_of(c, &t->key);
    while (*at != t)
        at = &(*at)->next_in_bucket;
    *at = t->next_in_bucket;
}

static void enqueue_locked(struct cache *c, struct cache_task *t)
{
    t->previous_in_queue = c->queue_tail;
    if (c->queue_tail)
        c->queue_tail->next_in_queue = t;
    else
        c->queue_head = t;
    c->queue_tail = t;
    c->n_queued++;
    /* Not each of them may take it. */
    pthread_cond_broadcast(&c->work);
    pthread_cond_broadcast(&c->linger);
}

static void dequeue_locked(struct cache *c, struct cache_task *t)
{
    *(t->previous_in_queue ? &t->previous_in_queue->next_in_queue : &c->queue_head) = t->next_in_queue;
    *(t->next_in_queue ? &t->next_in_queue->previous_in_queue : &c->queue_tail) = t->previous_in_queue;
    t->next_in_queue = t->previous_in_queue = NULL;
    c->n_queued--;
}

static uint32_t *making_of_view_locked(struct cache_task *t)
{
    return &t->media->views[t->view].n_making;
}

/* A worker that keeps a clip's session, waiting for company of a frame it made, has better to do now. */
static void end_lingering_locked(struct cache *c, const struct cache_task *t)
{
    int owner = c->clips[t->clip].worker;
    struct cache_task *current = owner < 0 ? NULL : c->workers[owner].current;
    if (current && current->served && current->clip == t->clip)
        current->leaves = true;
}

static void enter_bucket_locked(struct cache *c, struct cache_task *t)
{
    struct cache_task **bucket = bucket_of(c, &t->key);
    t->next_in_bucket = *bucket;
    *bucket = t;
}

static void begin_locked(struct cache *c, struct cache_task *t)
{
    enter_bucket_locked(c, t);
    if (t->kind == TASK_COMMAND) {
        commands_enqueue_locked(c, t);
        return;
    }
    if (t->kind == TASK_FRAMES) {
        ++*making_of_view_locked(t);
        c->clips[t->clip].begun = t->beyond;
        if (!t->beyond)
            survey_note_locked(c, t->clip, t->view);
        if (c->survey.one_each && t->wanted)
            t->onward = UINT32_MAX;
    }
    end_lingering_locked(c, t);
    enqueue_locked(c, t);
}

/* From then on nobody finds it. */
static void end_locked(struct cache *c, struct cache_task *t)
{
    leave_bucket_locked(c, t);
    t->finished = true;
    if (t->kind == TASK_FRAMES)
        --*making_of_view_locked(t);
}

static void add_waiter_locked(struct cache_task *t, struct cache_waiter *w)
{
    w->task = t;
    w->clip = t->clip;
    w->next = t->waiters;
    t->waiters = w;
    t->ahead = false;
}

/* Whatever the reason, nobody asks for the same thing over and over without getting it. */
static bool asks_too_often(struct cache_waiter *w, const struct base_hash *key)
{
    if (!base_hash_equal(&w->waited_for, key))
        w->attempts = 0;
    w->waited_for = *key;
    return ++w->attempts > CACHE_MAX_ATTEMPTS || ++w->waits > CACHE_MAX_WAITS;
}

static struct cache_task *new_task(const struct cache_task *wanted)
{
    struct cache_task *t = malloc(sizeof *t);
    if (!t)
        return NULL;
    *t = *wanted;
    t->refs = 1;
    t->output = -1;
    t->ahead = true;
    if (t->media)
        media_ref(t->media);
    return t;
}

int jobs_wait_for(struct cache *c, const struct cache_task *wanted, struct cache_waiter *w)
{
    if (w && asks_too_often(w, &wanted->key))
        return -EIO;
    struct cache_task *fresh = new_task(wanted);
    if (!fresh)
        return -ENOMEM;
    int err = -EINPROGRESS;
    pthread_mutex_lock(&c->lock);
    struct cache_task *t = find_locked(c, &wanted->key);
    if (c->stopping) {
        err = -EIO;
    } else {
        if (!t) {
            t = base_steal_pointer(fresh);
            begin_locked(c, t);
        } else if (t->wanted != wanted->wanted) {
            if (t->served && wanted->strides)
                t->leaves = true;
            else
                t->wants_all = true;
            pthread_cond_broadcast(&c->linger);
        }
        if (w)
            add_waiter_locked(t, w);
    }
    pthread_mutex_unlock(&c->lock);
    if (fresh)
        free_task(fresh);
    return err;
}

struct cache_task *jobs_find(struct cache *c, const struct base_hash *key)
{
    pthread_mutex_lock(&c->lock);
    struct cache_task *t = find_locked(c, key);
    if (t)
        t->refs++;
    pthread_mutex_unlock(&c->lock);
    return t;
}

void jobs_release(struct cache *c, struct cache_task *t)
{
    pthread_mutex_lock(&c->lock);
    bool last = --t->refs == 0;
    pthread_mutex_unlock(&c->lock);
    if (last)
        free_task(t);
}

int jobs_wait_more(struct cache *c, struct cache_task *t, struct cache_waiter *w, uint64_t produced)
{
    int err = -EAGAIN;
    pthread_mutex_lock(&c->lock);
    if (!t->finished && t->produced <= produced) {
        add_waiter_locked(t, w);
        err = -EINPROGRESS;
    }
    pthread_mutex_unlock(&c->lock);
    return err;
}

bool jobs_has_produced(struct cache *c, const struct cache_task *t, uint64_t bytes)
{
    pthread_mutex_lock(&c->lock);
    bool produced = t->output >= 0 && t->produced >= bytes;
    pthread_mutex_unlock(&c->lock);
    return produced;
}

ssize_t jobs_read(struct cache *c, const struct cache_task *t, void *out, size_t len, uint64_t offset)
{
    if (!jobs_has_produced(c, t, offset + len))
        return -ENODATA;
    ssize_t n = pread(t->output, out, len, (off_t)offset); /* which stays, once it is there */
    return n < 0 ? -errno : n;
}

bool cache_cancel(struct cache *c, struct cache_waiter *w)
{
    bool found = false;
    pthread_mutex_lock(&c->lock);
    if (w->task) {
        struct cache_waiter **at = &w->task->waiters;
        while (*at != w)
            at = &(*at)->next;
        *at = w->next;
        w->task = NULL;
        found = true;
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}

/* Takes waiters off a task, all (0) or those for one frame; from then on cancelling them is too late. */
static struct cache_waiter *take_waiters_locked(struct cache_task *t, uint32_t frame)
{
    struct cache_waiter *taken = NULL, **at = &t->waiters;
    while (*at) {
        struct cache_waiter *w = *at;
        if (frame && w->frame != frame) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        w->task = NULL;
        w->next = taken;
        taken = w;
    }
    return taken;
}

static void wake_all(struct cache_waiter *list, int error, struct cache_segment *segment, struct media *media)
{
    while (list) {
        struct cache_waiter *w = list;
        list = w->next;
        w->error = error;
        cache_segment_unref(w->segment);
        w->segment = segment ? cache_segment_ref(segment) : NULL;
        media_unref(w->media);
        w->media = media ? media_ref(media) : NULL;
        w->wake(w);
    }
}

void jobs_produced(struct cache *c, struct cache_task *t, int output, uint64_t bytes)
{
    pthread_mutex_lock(&c->lock);
    if (t->output < 0)
        t->output = output;
    t->produced = bytes;
    struct cache_waiter *waiters = take_waiters_locked(t, 0);
    pthread_mutex_unlock(&c->lock);
    wake_all(waiters, 0, NULL, t->media);
}

/* More than the wanted frame is to be made: another of its segment is asked for, or there are tasks for other
 * frames of its clip. */
static bool wants_all_locked(struct cache_task *t)
{
    return t->wants_all || *making_of_view_locked(t) > 1;
}

uint32_t jobs_wanted(struct cache *c, struct cache_task *t)
{
    pthread_mutex_lock(&c->lock);
    if (wants_all_locked(t))
        t->wanted = 0;
    uint32_t wanted = t->wanted;
    pthread_mutex_unlock(&c->lock);
    return wanted;
}

/* For so long a job waits for company, as long as no other task needs its worker. */
enum { LINGER_MS = 100 };

static struct timespec after_ms(int ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += ms * 1000 * 1000;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

static void linger_locked(struct cache *c, struct cache_task *t)
{
    const struct timespec until = after_ms(LINGER_MS);
    c->n_lingering++;
    --*making_of_view_locked(t); /* who asks for a frame elsewhere now has got this one */
    while (!t->wants_all && !t->leaves && !c->stopping && c->n_queued <= c->n_idle)
        if (pthread_cond_timedwait(&c->linger, &c->lock, &until) == ETIMEDOUT)
            break;
    ++*making_of_view_locked(t);
    c->n_lingering--;
}

bool jobs_made_first(struct cache *c, struct cache_task *t, struct cache_segment *segment)
{
    pthread_mutex_lock(&c->lock);
    struct cache_waiter *waiters = take_waiters_locked(t, t->wanted);
    /* Before who waited can ask for the next one. */
    t->wants_all = wants_all_locked(t);
    t->served = true;
    t->leaves = t->strides;
    pthread_mutex_unlock(&c->lock);
    wake_all(waiters, 0, segment, t->media);
    pthread_mutex_lock(&c->lock);
    if (!t->wants_all)
        linger_locked(c, t);
    bool goes_on = t->wants_all && !c->stopping;
    if (goes_on) {
        t->served = false;
        t->wanted = 0;
        pthread_cond_broadcast(&c->work); /* what was left to this worker no longer is */
    } else {
        end_locked(c, t);
    }
    pthread_mutex_unlock(&c->lock);
    return goes_on;
}

void jobs_finish(struct cache *c, struct worker_thread *w, struct cache_task *t, int error,
                 struct cache_segment *segment)
{
    pthread_mutex_lock(&c->lock);
    if (w)
        w->current = NULL;
    if (!t->finished)
        end_locked(c, t);
    if (error && error != -EAGAIN)
        c->counters.failed++;
    /* A frame that cannot be made alone says nothing of the others. */
    struct cache_waiter *waiters = take_waiters_locked(t, error ? t->wanted : 0);
    struct cache_waiter *others = take_waiters_locked(t, 0);
    pthread_mutex_unlock(&c->lock);
    wake_all(waiters, error == -EAGAIN ? 0 : error, segment, t->media);
    wake_all(others, 0, NULL, t->media);
    jobs_release(c, t);
}

/* How many frames decoding may have to go on for, rather than being begun anew elsewhere. */
enum { FOLLOWS = 64 };

/* Whether frames are left to the worker that has their clip's session, since it is at once, or soon will be,
 * where they are; another one would have to decode its way there. So is the measuring to the worker that has
 * indexed the clip: it has its demuxer open. */
static bool is_left_to_owner_locked(const struct cache *c, const struct cache_task *t,
                                    const struct worker_thread *w)
{
    int owner = c->clips[t->clip].worker;
    if (owner < 0 || owner == w->number)
        return false;
    const struct cache_task *current = c->workers[owner].current;
    if (!current)
        return t->kind == TASK_FRAMES || t->kind == TASK_MEASURE;
    if (t->kind != TASK_FRAMES || current->clip != t->clip)
        return false;
    if (current->served)
        return current->leaves;
    return current->kind == TASK_FRAMES && t->first > current->first && t->first - current->first <= FOLLOWS;
}

/* How well a task suits a worker: lower is better. A clip's jobs go to the worker that has its session open.
 */
static int unsuitability(const struct cache *c, const struct cache_task *t, const struct worker_thread *w)
{
    int owner = c->clips[t->clip].worker;
    return (t->ahead ? 4 : 0) + (owner == w->number ? 0 : owner < 0 ? 1 : 2);
}

enum { LOOK_AHEAD = 256, MOST_PASSED_OVER = 32 };

/* So many worker processes start before there is work. */
enum { STARTED_AHEAD = 2 };

static struct cache_task *choose_locked(struct cache *c, const struct worker_thread *w)
{
    struct cache_task *best = NULL;
    int best_value = 0, looked = 0;
    /* However well the others suit, the oldest gets its turn. */
    if (c->queue_head && c->queue_head->passed_over >= MOST_PASSED_OVER)
        return c->queue_head;
    for (struct cache_task *t = c->queue_head; t && looked < LOOK_AHEAD; t = t->next_in_queue, looked++) {
        if (is_left_to_owner_locked(c, t, w))
            continue;
        int value = unsuitability(c, t, w);
        if (!best || value < best_value) {
            best = t;
            best_value = value;
        }
    }
    if (best && best != c->queue_head)
        c->queue_head->passed_over++;
    return best;
}

/* What has a clip looked into ahead of its readers, or NULL; not queued, but found by its key. */
static struct cache_task *begin_survey_locked(struct cache *c, struct worker_thread *w)
{
    struct cache_task wanted;
    if (!survey_is_due_locked(c) || !survey_choose_locked(c, &wanted))
        return NULL;
    c->surveyor = w;
    wanted.key = key_of_indexing(wanted.clip);
    struct cache_task *t = new_task(&wanted);
    pthread_mutex_unlock(&c->lock);
    if (t && t->media)
        t->key = key_of_size(c, t->media, t->view);
    bool useful = t && survey_is_short(c, t->clip);
    pthread_mutex_lock(&c->lock);
    if (useful && !c->stopping && !find_locked(c, &t->key)) {
        enter_bucket_locked(c, t);
        return t;
    }
    c->surveyor = NULL;
    if (t)
        free_task(t);
    return NULL;
}

/* For so long nobody wanted anything of a worker that is told to look around. */
enum { REST_MS = 10 };

/* Waits until something may be queued. A task if there is one that nobody waits for. */
static struct cache_task *rest_locked(struct cache *c, struct worker_thread *w)
{
    bool rested = c->surveyor == w; /* until the survey began */
    if (rested)
        c->surveyor = NULL;
    c->n_idle++;
    if (!rested && survey_is_due_locked(c)) {
        const struct timespec until = after_ms(REST_MS);
        rested = pthread_cond_timedwait(&c->work, &c->lock, &until) == ETIMEDOUT;
    } else if (!rested) {
        pthread_cond_wait(&c->work, &c->lock);
    }
    c->n_idle--;
    return rested && !c->stopping && !c->queue_head ? begin_survey_locked(c, w) : NULL;
}

static struct cache_task *next_task_locked(struct cache *c, struct worker_thread *w)
{
    struct cache_task *t = choose_locked(c, w);
    if (!t)
        return rest_locked(c, w);
    dequeue_locked(c, t);
    if (c->surveyor == w)
        c->surveyor = NULL;
    return t;
}

/* Loading its libraries takes a process longer than making a frame. If it cannot be started, its first job
 * says so. */
static void start_ahead_locked(struct cache *c, struct worker_thread *w)
{
    w->started_ahead = true;
    pthread_mutex_unlock(&c->lock);
    (void)cache_worker_start(&w->process);
    pthread_mutex_lock(&c->lock);
}

void cache_expect_readers(struct cache *c)
{
    pthread_mutex_lock(&c->lock);
    c->expects_readers = true;
    pthread_cond_broadcast(&c->work);
    pthread_mutex_unlock(&c->lock);
}

static void *worker_main(void *argument)
{
    struct worker_thread *w = argument;
    struct cache *c = w->cache;
    pthread_mutex_lock(&c->lock);
    while (!c->stopping) {
        if (c->expects_readers && !w->started_ahead && w->number < STARTED_AHEAD)
            start_ahead_locked(c, w);
        struct cache_task *t = next_task_locked(c, w);
        if (!t)
            continue;
        w->current = t;
        if (t->kind != TASK_SUBTITLES)
            c->clips[t->clip].worker = w->number;
        /* What was left to this worker no longer is. */
        if (c->queue_head && c->n_idle > 0)
            pthread_cond_broadcast(&c->work);
        pthread_mutex_unlock(&c->lock);
        struct cache_segment *segment = NULL;
        int err = make_task(w, t, &segment);
        jobs_finish(c, w, t, err, segment);
        cache_segment_unref(segment);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    cache_worker_stop(&w->process);
    return NULL;
}

int jobs_start(struct cache *c)
{
    c->workers = calloc(c->n_workers, sizeof *c->workers);
    if (!c->workers)
        return -ENOMEM;
    for (size_t i = 0; i < c->n_workers; i++) {
        struct worker_thread *w = &c->workers[i];
        w->cache = c;
        w->number = (int16_t)i;
        cache_worker_init(&w->process, c->options.decoder, c->options.worker_memory_bytes);
        int err = pthread_create(&w->thread, NULL, worker_main, w);
        if (err) {
            c->n_workers = i;
            return -err;
        }
    }
    return commands_start(c);
}

/* A thread may have been about to start a process when the first was killed: kill until it ends. */
static void end_thread(struct worker_thread *w)
{
    struct timespec until;
    do {
        cache_worker_kill(&w->process);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 50 * 1000 * 1000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
    } while (pthread_timedjoin_np(w->thread, NULL, &until) == ETIMEDOUT);
}

void jobs_refuse(struct cache *c)
{
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_broadcast(&c->work);
    pthread_cond_broadcast(&c->linger);
    commands_stop_locked(c);
    pthread_mutex_unlock(&c->lock);
}

void jobs_stop(struct cache *c)
{
    jobs_refuse(c);
    for (size_t i = 0; i < c->n_workers && c->workers; i++)
        end_thread(&c->workers[i]);
    while (c->queue_head) {
        struct cache_task *t = c->queue_head;
        pthread_mutex_lock(&c->lock);
        dequeue_locked(c, t);
        pthread_mutex_unlock(&c->lock);
        jobs_finish(c, NULL, t, -EIO, NULL);
    }
    /* After those that what a program reads may wait for. */
    commands_finish(c);
    free(base_steal_pointer(c->workers));
}
