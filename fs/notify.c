/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread of its own, because the kernel takes a directory's lock to forget a name in it, and a parked request on that directory may hold
 * the lock until the very job that noticed the change has ended.
 */
#include "fs/private.h"

#include <errno.h>
#include <pthread.h>

struct change {
    struct change *next;
    size_t clip;
    uint32_t n_frames; /* the most that one of its views has now; 0 = not known */
};

struct fs_notifier {
    struct fs *fs;
    pthread_t thread;
    /* Guards the fields below; held for moments, alone. */
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct change *changes;
    bool stopping;
};

/* Forgetting a directory's name forgets all that the kernel knows below it; what is found again gets new sizes, and pages of a changed
 * file are dropped by its new time. */
static void forget_node(struct fs *fs, uint32_t node)
{
    const struct fs_node *n = &fs->tree.nodes[node];
    const char *name = fs_node_name(&fs->tree, n);
    (void)fuse_lowlevel_notify_inval_inode(fs->session, fs_ino_of_node(node), 0, 0);
    if (node > 0)
        (void)fuse_lowlevel_notify_inval_entry(fs->session, fs_ino_of_node(n->parent), name, strlen(name));
}

/* A source that was counted anew keeps its time, so that the kernel would keep the pages of its frames, whose numbers may have shifted. */
static void forget_frames(struct fs *fs, uint32_t set, uint32_t n)
{
    for (uint32_t frame = 0; frame < n && !fs->ended; frame++)
        (void)fuse_lowlevel_notify_inval_inode(fs->session, fs_ino_of_frame(set, frame), 0, 0);
}

static void forget_clip(struct fs *fs, size_t clip, uint32_t n_frames)
{
    for (uint32_t i = 0; i < fs->tree.n_sets; i++) {
        if (fs->tree.sets[i].clip != clip)
            continue;
        forget_node(fs, fs->tree.sets[i].node);
        forget_frames(fs, i, n_frames);
    }
    for (uint32_t i = 0; i < fs->tree.n_nodes; i++)
        if (fs->tree.nodes[i].kind == FS_FILE && fs->tree.nodes[i].clip == clip)
            forget_node(fs, i);
}

static void *notifier_main(void *argument)
{
    struct fs_notifier *n = argument;
    pthread_mutex_lock(&n->lock);
    while (!n->stopping) {
        struct change *change = n->changes;
        if (!change) {
            pthread_cond_wait(&n->more, &n->lock);
            continue;
        }
        n->changes = change->next;
        pthread_mutex_unlock(&n->lock);
        forget_clip(n->fs, change->clip, change->n_frames);
        free(change);
        pthread_mutex_lock(&n->lock);
    }
    pthread_mutex_unlock(&n->lock);
    return NULL;
}

int fs_notifier_create(struct fs *fs, struct fs_notifier **ret)
{
    struct fs_notifier *n = calloc(1, sizeof *n);
    if (!n)
        return -ENOMEM;
    n->fs = fs;
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->more, NULL);
    int err = pthread_create(&n->thread, NULL, notifier_main, n);
    if (err) {
        free(n);
        return -err;
    }
    *ret = n;
    return 0;
}

void fs_notifier_destroy(struct fs_notifier *n)
{
    if (!n)
        return;
    pthread_mutex_lock(&n->lock);
    n->stopping = true;
    pthread_cond_signal(&n->more);
    pthread_mutex_unlock(&n->lock);
    pthread_join(n->thread, NULL);
    while (n->changes) {
        struct change *change = n->changes;
        n->changes = change->next;
        free(change);
    }
    pthread_cond_destroy(&n->more);
    pthread_mutex_destroy(&n->lock);
    free(n);
}

/* None for a source that changed: its new time does it. */
static uint32_t count_frames(struct fs *fs, size_t clip)
{
    uint32_t most = 0, n;
    for (size_t i = 0; i < cfg_n_views(fs->options->cfg); i++)
        if (cfg_view(fs->options->cfg, i)->kind == CFG_FRAMES && cache_count(fs->cache, clip, i, NULL, &n) == 0)
            most = BASE_MAX(most, n);
    return most;
}

void fs_notify_clip(void *notifier, size_t clip)
{
    struct fs_notifier *n = notifier;
    struct change *change = malloc(sizeof *change);
    if (!change)
        return; /* the kernel keeps what it has; reads of it fail rather than mix */
    uint32_t n_frames = count_frames(n->fs, clip);
    pthread_mutex_lock(&n->lock);
    *change = (struct change){.next = n->changes, .clip = clip, .n_frames = n_frames};
    n->changes = change;
    pthread_cond_signal(&n->more);
    pthread_mutex_unlock(&n->lock);
}
