/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scans the corpus again while it is mounted: when an archive has changed, or `corpusfs index` says that
 * there is something new, which it does by the time of a file in the cache folder. A thread of its own: a
 * scan waits for workers, and telling the kernel for whoever holds a directory's lock.
 */
#include "fs/private.h"

#include "base/io.h"
#include "base/log.h"
#include <errno.h>
#include <time.h>

struct fs_rescanner {
    struct fs *fs;
    pthread_t thread;
    char *stamp_file;
    int64_t stamp_ns; /* its time, as it was at the last look */
    /* When the last scan ended, on the clock of base_now_ns(), and how long the next one is to wait then. */
    int64_t ended_ns, pause_ns;
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

/* A corpus that changes all the while, as one that is being copied in does, is not scanned all the while: if
 * a scan is wanted soon after the last one, it waits, each time twice as long. */
enum { MIN_PAUSE_MS = 100, MAX_PAUSE_MS = 60 * 1000, QUIET_MS = 2000 };

static int64_t ms(int64_t n)
{
    return n * 1000000;
}

static void lengthen_pause(struct fs_rescanner *r, int64_t scan_ns)
{
    bool quiet = r->ended_ns == 0 || base_now_ns() - r->ended_ns > r->pause_ns + ms(QUIET_MS);
    int64_t least = BASE_MAX(ms(MIN_PAUSE_MS), scan_ns);
    r->pause_ns = quiet ? 0 : BASE_MIN(BASE_MAX(2 * r->pause_ns, least), ms(MAX_PAUSE_MS));
}

static void pause_locked(struct fs_rescanner *r)
{
    int64_t until_ns = r->ended_ns + r->pause_ns;
    const struct timespec until = {until_ns / ms(1000), until_ns % ms(1000)};
    while (!r->stopping && base_now_ns() < until_ns)
        (void)pthread_cond_timedwait(&r->changed, &r->lock, &until);
}

/* Waits until a scan is wanted, looking at the file every second, and due. scan_ns: how long the last one
 * took. False: time to end. */
static bool wait_until_wanted(struct fs_rescanner *r, int64_t scan_ns)
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
    lengthen_pause(r, scan_ns);
    pause_locked(r);
    bool go_on = !r->stopping;
    r->wanted = false;
    pthread_mutex_unlock(&r->lock);
    return go_on;
}

static void *rescan_main(void *argument)
{
    struct fs_rescanner *r = argument;
    int64_t scan_ns = 0;
    while (wait_until_wanted(r, scan_ns)) {
        int64_t begin_ns = base_now_ns();
        scan(r);
        r->ended_ns = base_now_ns();
        scan_ns = r->ended_ns - begin_ns;
    }
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
    pthread_mutex_init(&r->lock, NULL);
    base_cond_init(&r->changed);
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
