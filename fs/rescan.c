/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scans the corpus again while it is mounted: when an archive has changed, or `corpusfs index` says that
 * there is something new, which it does by the time of a file in the cache folder. A thread of its own: a
 * scan waits for workers, and telling the kernel for whoever holds a directory's lock.
 */
#include "fs/private.h"

#include "base/log.h"
#include <errno.h>
#include <time.h>

struct fs_rescanner {
    struct fs *fs;
    pthread_t thread;
    char *stamp_file;
    int64_t stamp_ns; /* its time, as it was at the last look */
    /* Guards the fields below; held for moments, alone. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool wanted, stopping;
};

static int64_t stamp_of(const struct fs_rescanner *r)
{
    struct stat st;
    return stat(r->stamp_file, &st) == 0 ? (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec : 0;
}

static void report(void *context, const char *line)
{
    (void)context;
    base_log(BASE_LOG_WARNING, "%s", line);
}

static void on_name(void *context, uint32_t dir, const char *name)
{
    const struct fs *fs = context;
    (void)fuse_lowlevel_notify_inval_entry(fs->session, fs_ino_of_node(dir, 0), name, strlen(name));
}

static void on_frames(void *context, uint32_t set)
{
    fs_forget_frames(context, set);
}

static void on_listing(void *context, uint32_t dir)
{
    const struct fs *fs = context;
    (void)fuse_lowlevel_notify_inval_inode(fs->session, fs_ino_of_node(dir, 0), 0, 0);
}

static void scan(struct fs_rescanner *r)
{
    const struct fs_tree_listener listener = {on_name, on_frames, on_listing, r->fs};
    int err = fs_world_scan(r->fs, report, NULL, &listener);
    if (err)
        base_log(BASE_LOG_ERROR, "%s: cannot be scanned again: %s", cfg_root(r->fs->options->cfg),
                 strerror(-err));
    else
        base_log(BASE_LOG_INFO, "%s: scanned again", cfg_root(r->fs->options->cfg));
}

/* Waits until a scan is wanted, looking at the file every second. False: time to end. */
static bool wait_until_wanted(struct fs_rescanner *r)
{
    struct timespec until;
    pthread_mutex_lock(&r->lock);
    while (!r->wanted && !r->stopping) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec++;
        if (pthread_cond_timedwait(&r->changed, &r->lock, &until) != ETIMEDOUT)
            continue;
        int64_t now = stamp_of(r);
        r->wanted = now != r->stamp_ns;
        r->stamp_ns = now;
    }
    bool go_on = !r->stopping;
    r->wanted = false;
    pthread_mutex_unlock(&r->lock);
    return go_on;
}

static void *rescan_main(void *argument)
{
    struct fs_rescanner *r = argument;
    while (wait_until_wanted(r))
        scan(r);
    return NULL;
}

int fs_rescanner_create(struct fs *fs, struct fs_rescanner **ret)
{
    struct fs_rescanner *r = calloc(1, sizeof *r);
    if (!r || asprintf(&r->stamp_file, "%s/" FS_STAMP_NAME, cfg_cache_dir(fs->options->cfg)) < 0) {
        free(r);
        return -ENOMEM;
    }
    r->fs = fs;
    r->stamp_ns = stamp_of(r);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *ret = r;
    return 0;
}

int fs_rescanner_start(struct fs_rescanner *r)
{
    int err = pthread_create(&r->thread, NULL, rescan_main, r);
    if (err)
        r->thread = 0;
    return -err;
}

void fs_rescan(struct fs_rescanner *r)
{
    pthread_mutex_lock(&r->lock);
    r->wanted = true;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

void fs_rescanner_stop(struct fs_rescanner *r)
{
    if (!r || !r->thread)
        return;
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    r->thread = 0;
}

void fs_rescanner_destroy(struct fs_rescanner *r)
{
    if (!r)
        return;
    fs_rescanner_stop(r);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r->stamp_file);
    free(r);
}
