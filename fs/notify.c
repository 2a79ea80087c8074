/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread of its own, because the kernel takes a directory's lock to forget a name in it, and a parked
 * request on that directory may hold the lock until the very job that noticed the change has ended.
 */
#include "fs/places.h"
#include "fs/private.h"

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

struct fs_notifier {
    struct fs *fs;
    pthread_t thread;
    struct fs_places places; /* of the thread */
    /* Guards the fields below; held for moments, alone. */
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct change *changes;
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
        struct change *change = n->changes;
        if (!change) {
            pthread_cond_wait(&n->more, &n->lock);
            continue;
        }
        n->changes = change->next;
        pthread_mutex_unlock(&n->lock);
        forget_clip(n, change);
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
    int err = fs_places_init(&n->places);
    if (!err)
        err = -pthread_create(&n->thread, NULL, notifier_main, n);
    if (err) {
        n->thread = 0;
        fs_notifier_destroy(n);
        return err;
    }
    *ret = n;
    return 0;
}

void fs_notifier_stop(struct fs_notifier *n)
{
    if (!n || !n->thread)
        return;
    pthread_mutex_lock(&n->lock);
    n->stopping = true;
    pthread_cond_signal(&n->more);
    pthread_mutex_unlock(&n->lock);
    pthread_join(n->thread, NULL);
    n->thread = 0;
}

void fs_notifier_destroy(struct fs_notifier *n)
{
    if (!n)
        return;
    fs_notifier_stop(n);
    while (n->changes) {
        struct change *change = n->changes;
        n->changes = change->next;
        free(change);
    }
    fs_places_finish(&n->places);
    pthread_cond_destroy(&n->more);
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
    change->next = n->changes;
    n->changes = change;
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
