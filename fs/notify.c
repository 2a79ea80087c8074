/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread of its own, because the kernel takes a directory's lock to forget a name in it, and a parked
 * request on that directory may hold the lock until the very job that noticed the change has ended.
 *
 * Another one answers those who read what has ended, once the kernel has forgotten the name: who opens it
 * again gets what is there now. They are not made to wait for long, since what holds the lock may wait for
 * them: a program of a command view may be one.
 */
#include "fs/places.h"
#include "fs/private.h"

#include "base/io.h"

#include <errno.h>
#include <pthread.h>

struct change {
    struct change *next;
    size_t clip; /* or the number of a list */
    uint32_t version;
    bool list;
    bool same_version; /* the files stay, with other sizes and bytes */
    uint32_t n_files;  /* at most, in each view */
};

enum { PATIENCE_NS = 1000000000 };

struct fs_notifier {
    struct fs *fs;
    pthread_t thread, answerer;
    struct fs_places places; /* of the thread */
    /* Guards the fields below; held for moments, alone. */
    pthread_mutex_t lock;
    pthread_cond_t more;          /* changes, or stopping */
    pthread_cond_t done;          /* a change was told, somebody waits, or stopping */
    struct change *first, **last; /* the oldest is told first */
    uint64_t n_added, n_told;
    struct fs_told_waiter *waiters, **last_waiter; /* who came first is at the front */
    bool stopping;
};

static void forget_name(struct fs *fs, uint32_t dir, const char *name)
{
    (void)fuse_lowlevel_notify_inval_entry(fs->session, fs_ino_of_node(dir, 0), name, strlen(name));
}

static void forget_inode(struct fs *fs, fuse_ino_t ino)
{
    (void)fuse_lowlevel_notify_inval_inode(fs->session, ino, 0, 0);
}

static void forget_frames(struct fs *fs, const struct change *change, uint32_t set)
{
    const struct fs_frame_set *s = &fs->tree.sets[set];
    /* At least one: a name is taken out under the directory's lock, that is, after all listings under way. */
    for (uint32_t frame = 0; frame < BASE_MAX(change->n_files, 1u) && !fs->ended; frame++) {
        char name[NAME_MAX + 1];
        fs_frame_name(s, frame, name);
        if (change->same_version)
            forget_inode(fs, fs_ino_of_frame(set, frame, change->version));
        forget_name(fs, s->node, name);
    }
    forget_inode(fs, fs_ino_of_node(s->node, 0)); /* its listing and its time */
}

/* The inodes of an earlier version are left alone: they get no more bytes, and what the kernel has of them
 * may serve who reads them yet. */
static void forget_file(struct fs *fs, const struct change *change, uint32_t node)
{
    const struct fs_node *n = &fs->tree.nodes[node];
    if (change->same_version)
        forget_inode(fs, fs_ino_of_node(node, change->version));
    forget_name(fs, n->parent, fs_node_name(&fs->tree, n));
    forget_inode(fs, fs_ino_of_node(n->parent, 0));
}

static void forget_clip(struct fs_notifier *n, const struct change *change)
{
    const struct fs_chains *sets = &n->places.sets;
    const struct fs_chains *files = change->list ? &n->places.lists : &n->places.files;
    uint32_t clip = (uint32_t)change->clip;
    /* Without memory the kernel keeps what it has of the rest; reads of it fail rather than mix. */
    (void)fs_places_update(&n->places, &n->fs->tree);
    for (uint32_t i = change->list ? 0 : fs_places_first(sets, clip); i; i = fs_places_next(sets, i))
        forget_frames(n->fs, change, fs_places_of(sets, i));
    for (uint32_t i = fs_places_first(files, clip); i; i = fs_places_next(files, i))
        forget_file(n->fs, change, fs_places_of(files, i));
}

void fs_forget_frames(struct fs *fs, uint32_t set)
{
    const struct fs_frame_set *s = &fs->tree.sets[set];
    char name[NAME_MAX + 1];
    /* With the first name, lookups under way are over: then it is known how many were told. */
    for (uint32_t frame = 0, n = 1; frame < n && !fs->ended; frame++) {
        fs_frame_name(s, frame, name);
        forget_name(fs, s->node, name);
        if (frame == 0)
            n = BASE_MAX(cache_files_told(fs->cache, s->clip), 1u);
    }
}

static void *notifier_main(void *argument)
{
    struct fs_notifier *n = argument;
    pthread_mutex_lock(&n->lock);
    while (!n->stopping) {
        struct change *change = n->first;
        if (!change) {
            pthread_cond_wait(&n->more, &n->lock);
            continue;
        }
        n->first = change->next;
        if (!n->first)
            n->last = &n->first;
        pthread_mutex_unlock(&n->lock);
        forget_clip(n, change);
        free(change);
        pthread_mutex_lock(&n->lock);
        n->n_told++;
        pthread_cond_signal(&n->done);
    }
    pthread_mutex_unlock(&n->lock);
    return NULL;
}

/* Whoever is not to wait any longer, or NULL. Who came later waits for more and longer. */
static struct fs_told_waiter *take_waiter_locked(struct fs_notifier *n)
{
    struct fs_told_waiter *w = n->waiters;
    if (!w || (!n->stopping && w->change > n->n_told && base_now_ns() < w->until_ns))
        return NULL;
    n->waiters = w->next;
    if (!n->waiters)
        n->last_waiter = &n->waiters;
    return w;
}

static void *answerer_main(void *argument)
{
    struct fs_notifier *n = argument;
    pthread_mutex_lock(&n->lock);
    while (!n->stopping || n->waiters) {
        struct fs_told_waiter *w = take_waiter_locked(n);
        if (!w) {
            base_cond_wait_until(&n->done, &n->lock, n->waiters ? n->waiters->until_ns : INT64_MAX);
            continue;
        }
        pthread_mutex_unlock(&n->lock);
        w->wake(w);
        pthread_mutex_lock(&n->lock);
    }
    pthread_mutex_unlock(&n->lock);
    return NULL;
}

bool fs_notifier_wait(struct fs_notifier *n, struct fs_told_waiter *w)
{
    pthread_mutex_lock(&n->lock);
    bool waits = !n->stopping && n->n_told < n->n_added;
    if (waits) {
        w->next = NULL;
        w->change = n->n_added;
        w->until_ns = base_now_ns() + PATIENCE_NS;
        *n->last_waiter = w;
        n->last_waiter = &w->next;
        pthread_cond_signal(&n->done);
    }
    pthread_mutex_unlock(&n->lock);
    return waits;
}

static int start(pthread_t *thread, void *(*main)(void *), struct fs_notifier *n)
{
    int err = pthread_create(thread, NULL, main, n);
    if (err)
        *thread = 0;
    return -err;
}

int fs_notifier_create(struct fs *fs, struct fs_notifier **ret)
{
    struct fs_notifier *n = calloc(1, sizeof *n);
    if (!n)
        return -ENOMEM;
    n->fs = fs;
    n->last = &n->first;
    n->last_waiter = &n->waiters;
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->more, NULL);
    base_cond_init(&n->done);
    int err = fs_places_init(&n->places);
    if (!err)
        err = start(&n->thread, notifier_main, n);
    if (!err)
        err = start(&n->answerer, answerer_main, n);
    if (err) {
        fs_notifier_destroy(n);
        return err;
    }
    *ret = n;
    return 0;
}

void fs_notifier_stop(struct fs_notifier *n)
{
    if (!n)
        return;
    pthread_mutex_lock(&n->lock);
    n->stopping = true;
    pthread_cond_signal(&n->more);
    pthread_cond_signal(&n->done);
    pthread_mutex_unlock(&n->lock);
    /* Those who wait are answered first: the other may wait for what they hold. */
    if (n->answerer)
        pthread_join(n->answerer, NULL);
    if (n->thread)
        pthread_join(n->thread, NULL);
    n->answerer = n->thread = 0;
}

void fs_notifier_destroy(struct fs_notifier *n)
{
    if (!n)
        return;
    fs_notifier_stop(n);
    while (n->first) {
        struct change *change = n->first;
        n->first = change->next;
        free(change);
    }
    fs_places_finish(&n->places);
    pthread_cond_destroy(&n->more);
    pthread_cond_destroy(&n->done);
    pthread_mutex_destroy(&n->lock);
    free(n);
}

static void add_change(struct fs_notifier *n, struct change added)
{
    struct change *change = malloc(sizeof *change);
    if (!change)
        return; /* the kernel keeps what it has; reads of it fail rather than mix */
    *change = added;
    pthread_mutex_lock(&n->lock);
    *n->last = change;
    n->last = &change->next;
    n->n_added++;
    pthread_cond_signal(&n->more);
    pthread_mutex_unlock(&n->lock);
}

void fs_notify_clip(void *notifier, size_t clip, uint32_t version, uint32_t n_files)
{
    struct fs_notifier *n = notifier;
    if (clip >= n->fs->n_clips ||
        !n->fs->clips[clip].path) { /* an archive: what is in it has new numbers after a scan */
        if (n->fs->rescanner)
            fs_rescan(n->fs->rescanner);
        return;
    }
    fs_lists_clip_changed(n->fs->lists, clip);
    bool same_version = cache_version(n->fs->cache, clip) == version;
    add_change(n, (struct change){
                      .clip = clip, .version = version, .same_version = same_version, .n_files = n_files});
}

void fs_notify_list(struct fs_notifier *n, uint32_t list)
{
    add_change(n, (struct change){.clip = list, .list = true});
}
