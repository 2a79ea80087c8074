/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/watch.h"

#include "base/io.h"
#include "base/log.h"
#include "cache/private.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

/* A video or subtitle file of a clip. */
struct watched {
    const char *path;
    uint32_t dir_len; /* of its directory in path, without the slash; 0 = the root */
    uint32_t clip;
};

/* A directory: the files from `first` on. */
struct dir {
    uint32_t first, n;
    int wd;        /* -1 = not watched */
    uint32_t next; /* another one with this wd: two names of one directory; UINT32_MAX = none */
};

/* Clips that were added together have directories of their own. */
struct batch {
    size_t first_clip;
    uint32_t first_dir, n_dirs;
};
enum { MAX_BATCHES = 1024 };

struct cache_watch {
    struct cache *c;
    pthread_t thread;
    bool started;
    int inotify; /* -1 = none */
    int stop;    /* eventfd */
    uint32_t refresh_seconds;
    struct base_grow files_memory, dirs_memory;
    struct watched *files; /* grows in place; of each batch sorted by directory, then name; immutable */
    size_t n_files;
    struct batch batches[MAX_BATCHES];
    atomic_uint n_batches;
    /* Guards the fields below; held for moments, alone. The dirs' files are immutable. */
    pthread_mutex_t lock;
    struct dir *dirs; /* grows in place */
    size_t n_dirs;
    uint32_t *dir_of_wd; /* UINT32_MAX = none */
    size_t n_wds;
    bool told; /* that inotify does not see everything */
};

static const char *name_of(const struct watched *f)
{
    return f->path + f->dir_len + (f->path[f->dir_len] == '/');
}

static int compare_dirs(const struct watched *a, const struct watched *b)
{
    int order = memcmp(a->path, b->path, BASE_MIN(a->dir_len, b->dir_len));
    return order ? order : (a->dir_len > b->dir_len) - (a->dir_len < b->dir_len);
}

static int compare_files(const void *one, const void *other)
{
    const struct watched *a = one, *b = other;
    int order = compare_dirs(a, b);
    return order ? order : strcmp(name_of(a), name_of(b));
}

static struct watched watched_of(const char *path, size_t clip)
{
    const char *slash = strrchr(path, '/');
    return (struct watched){path, slash ? (uint32_t)(slash - path) : 0, (uint32_t)clip};
}

/* What more than MAX_BATCHES times was added to is left to the sweep. */
int watch_add(struct cache_watch *w, size_t first, size_t n)
{
    if (!w || n == 0 || w->n_batches == MAX_BATCHES)
        return 0;
    const struct cache_source *sources = w->c->sources;
    size_t from = w->n_files, end = from;
    if (base_grow_to(&w->files_memory, (from + 2 * n) * sizeof *w->files) < 0 ||
        base_grow_to(&w->dirs_memory, (w->n_dirs + 2 * n) * sizeof *w->dirs) < 0)
        return -ENOMEM;
    for (size_t i = first; i < first + n; i++) {
        if (sources[i].archive)
            continue; /* the archive's file is */
        w->files[end++] = watched_of(sources[i].path, i);
        if (sources[i].sidecar)
            w->files[end++] = watched_of(sources[i].sidecar, i);
    }
    qsort(w->files + from, end - from, sizeof *w->files, compare_files);
    struct batch *batch = &w->batches[w->n_batches];
    *batch = (struct batch){.first_clip = first, .first_dir = (uint32_t)w->n_dirs};
    for (size_t i = from; i < end; i++) {
        if (i == from || compare_dirs(&w->files[i - 1], &w->files[i]) != 0)
            w->dirs[batch->first_dir + batch->n_dirs++] =
                (struct dir){.first = (uint32_t)i, .wd = -1, .next = UINT32_MAX};
        w->dirs[batch->first_dir + batch->n_dirs - 1].n++;
    }
    w->n_files = end;
    w->n_dirs += batch->n_dirs;
    w->n_batches++;
    return 0;
}

/* ---- inotify ---- */

enum {
    EVENTS = IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE |
             IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
};

/* Once: the sweep does it alone from then on, where inotify does not. */
static void tell_once(struct cache_watch *w, const char *why)
{
    pthread_mutex_lock(&w->lock);
    bool told = w->told;
    w->told = true;
    pthread_mutex_unlock(&w->lock);
    if (!told)
        base_log(BASE_LOG_INFO, "%s: %s; some changes are noticed only by looking every %u s",
                 w->c->options.root, why, w->refresh_seconds);
}

static bool note_wd_locked(struct cache_watch *w, uint32_t dir, int wd)
{
    if ((size_t)wd >= w->n_wds) {
        size_t n = BASE_MAX((size_t)wd + 1, w->n_wds * 2);
        uint32_t *larger = realloc(w->dir_of_wd, n * sizeof *larger);
        if (!larger)
            return false;
        memset(larger + w->n_wds, 0xff, (n - w->n_wds) * sizeof *larger);
        w->dir_of_wd = larger;
        w->n_wds = n;
    }
    if (w->dirs[dir].wd == wd)
        return true;
    w->dirs[dir].wd = wd;
    w->dirs[dir].next = w->dir_of_wd[wd];
    w->dir_of_wd[wd] = dir;
    return true;
}

static void watch_dir(struct cache_watch *w, uint32_t dir)
{
    pthread_mutex_lock(&w->lock);
    bool watched = w->dirs[dir].wd >= 0;
    pthread_mutex_unlock(&w->lock);
    if (watched || w->inotify < 0)
        return;
    /* By the root's descriptor: the corpus may have been renamed since. */
    const struct watched *f = &w->files[w->dirs[dir].first];
    base_autofree char *path = NULL;
    const struct source_place place = source_place(w->c, f->path);
    const size_t skipped = BASE_MIN((size_t)(place.path - f->path), (size_t)f->dir_len);
    if (asprintf(&path, "/proc/self/fd/%d/%.*s", place.root, (int)(f->dir_len - skipped), place.path) < 0)
        return;
    int wd = inotify_add_watch(w->inotify, path, EVENTS);
    if (wd < 0) {
        if (errno == ENOSPC)
            tell_once(w, "no more inotify watches (see fs.inotify.max_user_watches)");
        else if (errno != ENOENT && errno != ENOTDIR)
            tell_once(w, "a folder cannot be watched");
        return;
    }
    pthread_mutex_lock(&w->lock);
    bool noted = w->dirs[dir].wd >= 0 || note_wd_locked(w, dir, wd);
    pthread_mutex_unlock(&w->lock);
    if (!noted)
        tell_once(w, "no memory for a watch");
}

/* The directory of a clip's file; UINT32_MAX = it is not watched. */
static uint32_t dir_of(const struct cache_watch *w, size_t clip, const char *path)
{
    struct watched wanted = watched_of(path, 0);
    uint32_t n = w->n_batches;
    while (n > 1 && w->batches[n - 1].first_clip > clip)
        n--;
    if (n == 0 || w->batches[n - 1].n_dirs == 0)
        return UINT32_MAX;
    size_t low = w->batches[n - 1].first_dir, high = low + w->batches[n - 1].n_dirs;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (compare_dirs(&w->files[w->dirs[middle].first], &wanted) <= 0)
            low = middle;
        else
            high = middle;
    }
    return compare_dirs(&w->files[w->dirs[low].first], &wanted) == 0 ? (uint32_t)low : UINT32_MAX;
}

static void watch_file(struct cache_watch *w, size_t clip, const char *path)
{
    uint32_t dir = path ? dir_of(w, clip, path) : UINT32_MAX;
    if (dir != UINT32_MAX)
        watch_dir(w, dir);
}

void watch_clip(struct cache_watch *w, size_t clip)
{
    if (!w || w->inotify < 0)
        return;
    const struct cache_source *source = &w->c->sources[clip];
    if (source->archive) {
        watch_clip(w, archive_of(w->c, source->archive)->clip);
        return;
    }
    watch_file(w, clip, source->path);
    watch_file(w, clip, source->sidecar);
}

static void check_dir(struct cache_watch *w, uint32_t dir)
{
    const struct dir *d = &w->dirs[dir];
    for (uint32_t i = d->first; i < d->first + d->n; i++)
        (void)clip_check(w->c, w->files[i].clip);
}

static void check_file(struct cache_watch *w, uint32_t dir, const char *name)
{
    const struct dir *d = &w->dirs[dir];
    uint32_t low = d->first, end = d->first + d->n;
    for (uint32_t high = end; low < high;) {
        uint32_t middle = low + (high - low) / 2;
        if (strcmp(name_of(&w->files[middle]), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < end && strcmp(name_of(&w->files[low]), name) == 0; low++)
        (void)clip_check(w->c, w->files[low].clip);
}

/* What stands under the directory's name now is another directory, or none. */
static void renew_dir(struct cache_watch *w, uint32_t dir)
{
    pthread_mutex_lock(&w->lock);
    w->dirs[dir].wd = -1;
    w->dirs[dir].next = UINT32_MAX;
    pthread_mutex_unlock(&w->lock);
    watch_dir(w, dir);
    check_dir(w, dir);
}

static void handle_event(struct cache_watch *w, const struct inotify_event *e)
{
    bool lost = e->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT);
    pthread_mutex_lock(&w->lock);
    uint32_t dir = (size_t)e->wd < w->n_wds ? w->dir_of_wd[e->wd] : UINT32_MAX;
    if (lost && dir != UINT32_MAX)
        w->dir_of_wd[e->wd] = UINT32_MAX;
    pthread_mutex_unlock(&w->lock);
    if (lost && !(e->mask & IN_IGNORED))
        (void)inotify_rm_watch(w->inotify, e->wd);
    while (dir != UINT32_MAX) {
        pthread_mutex_lock(&w->lock);
        uint32_t next = w->dirs[dir].next;
        pthread_mutex_unlock(&w->lock);
        if (lost)
            renew_dir(w, dir);
        else if (e->len > 0)
            check_file(w, dir, e->name);
        dir = next;
    }
}

/* false: events were lost. */
static bool handle_events(struct cache_watch *w)
{
    union {
        struct inotify_event event;
        char bytes[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
    } buffer;
    bool complete = true;
    ssize_t n;
    while ((n = read(w->inotify, buffer.bytes, sizeof buffer.bytes)) > 0) {
        for (char *at = buffer.bytes; at < buffer.bytes + n;) {
            const struct inotify_event *e = (const struct inotify_event *)(void *)at;
            if (e->mask & IN_Q_OVERFLOW)
                complete = false;
            else
                handle_event(w, e);
            at += sizeof *e + e->len;
        }
    }
    if (!complete)
        base_log(BASE_LOG_DEBUG, "%s: inotify lost events; looking at everything", w->c->options.root);
    return complete;
}

/* ---- The sweep ---- */

/* A slice: so many clips are looked at, or passed over, before others get the processor. */
enum { SLICE = 128, PASSED_OVER = 8192, PAUSE_MS = 5 };
#define SWEPT SIZE_MAX

/* Looks at some clips from `from` on. Returns where to go on, or SWEPT at the end. */
static size_t sweep_slice(struct cache_watch *w, size_t from)
{
    struct cache *c = w->c;
    uint32_t looked[SLICE];
    size_t n = 0;
    pthread_mutex_lock(&c->lock);
    size_t end = BASE_MIN(from + PASSED_OVER, c->n_clips);
    for (; from < end && n < SLICE; from++)
        if (c->clips[from].looked && !c->sources[from].archive)
            looked[n++] = (uint32_t)from;
    bool at_end = from >= c->n_clips;
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < n; i++)
        (void)clip_check(c, looked[i]);
    return at_end ? SWEPT : from;
}

static void *watch_main(void *argument)
{
    struct cache_watch *w = argument;
    struct pollfd fds[2] = {{.fd = w->stop, .events = POLLIN}, {.fd = w->inotify, .events = POLLIN}};
    int64_t refresh_ns = (int64_t)w->refresh_seconds * 1000000000, next_ns = base_now_ns() + refresh_ns;
    size_t at = SWEPT; /* no sweep is under way */
    for (;;) {
        int64_t left_ms = BASE_MAX(next_ns - base_now_ns(), (int64_t)0) / 1000000 + 1;
        (void)poll(fds, 2, at != SWEPT ? PAUSE_MS : (int)BASE_MIN(left_ms, (int64_t)60000));
        if (fds[0].revents)
            return NULL;
        if (fds[1].revents && !handle_events(w))
            at = 0;
        if (at == SWEPT && base_now_ns() >= next_ns)
            at = 0;
        if (at != SWEPT) {
            at = sweep_slice(w, at);
            next_ns = base_now_ns() + refresh_ns;
        }
    }
}

static int reserve(struct cache_watch *w)
{
    int err = base_grow_init(&w->files_memory, 2 * CACHE_MAX_CLIPS * sizeof *w->files);
    if (!err)
        err = base_grow_init(&w->dirs_memory, 2 * CACHE_MAX_CLIPS * sizeof *w->dirs);
    w->files = w->files_memory.data;
    w->dirs = w->dirs_memory.data;
    return err;
}

int watch_start(struct cache *c, uint32_t refresh_seconds, struct cache_watch **ret)
{
    struct cache_watch *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->c = c;
    w->refresh_seconds = refresh_seconds;
    pthread_mutex_init(&w->lock, NULL);
    w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (w->inotify < 0)
        tell_once(w, "no inotify (see fs.inotify.max_user_instances)");
    w->stop = eventfd(0, EFD_CLOEXEC);
    int err = w->stop < 0 ? -errno : reserve(w);
    if (!err)
        err = watch_add(w, 0, c->n_clips);
    if (!err)
        err = -pthread_create(&w->thread, NULL, watch_main, w);
    w->started = !err;
    if (err)
        watch_stop(w);
    else
        *ret = w;
    return err;
}

void watch_stop(struct cache_watch *w)
{
    if (!w)
        return;
    if (w->started) {
        (void)eventfd_write(w->stop, 1);
        pthread_join(w->thread, NULL);
    }
    base_close_fd(&w->inotify);
    base_close_fd(&w->stop);
    base_grow_finish(&w->files_memory);
    base_grow_finish(&w->dirs_memory);
    free(w->dir_of_wd);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
