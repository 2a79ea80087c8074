/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was seen of a clip's files, and what happens when they are others now.
 *
 * Each clip has a version, which goes up when its source or its subtitle file turns out to have changed. What
 * is known of a clip (struct media) belongs to one version, and questions name the version that they are
 * about: those about an earlier one get -ESTALE. So no answer about one version ever has a part of another.
 */
#include "base/log.h"
#include "cache/private.h"
#include "cache/watch.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>

/* The time of the last change of the inode is among it: rewriting a file and setting its old time back shows.
 */
bool stamp_equal(const struct cache_file_stamp *a, const struct cache_file_stamp *b)
{
    return a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns &&
           a->inode == b->inode && a->device == b->device;
}

struct cache_file_stamp stamp_of(const struct stat *st)
{
    return (struct cache_file_stamp){
        .size = (uint64_t)st->st_size,
        .inode = st->st_ino,
        .device = st->st_dev,
        .mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
        .ctime_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec,
    };
}

/* Filesystems tell times by a clock that ticks every few ms: a file that changed a moment ago can change
 * again without its time telling. So it is looked at only once its time lies back; one that is written to all
 * the while cannot be. */
enum { SETTLE_MS = 50, MOST_SETTLING = 20 };

int source_settle(int fd, struct cache_file_stamp *stamp)
{
    const struct timespec moment = {.tv_nsec = SETTLE_MS * 1000 * 1000};
    for (int i = 0; i < MOST_SETTLING; i++) {
        struct timespec now;
        struct stat st;
        clock_gettime(CLOCK_REALTIME, &now);
        int64_t age_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - stamp->ctime_ns;
        /* A time in the future is another machine's clock, which tells nothing. */
        if (age_ns >= (int64_t)SETTLE_MS * 1000000 || age_ns < -(int64_t)1000000000)
            return 0;
        nanosleep(&moment, NULL);
        if (fstat(fd, &st) < 0)
            return -errno;
        *stamp = stamp_of(&st);
    }
    return -EBUSY;
}

uint32_t cache_version(struct cache *c, size_t clip)
{
    pthread_mutex_lock(&c->lock);
    uint32_t version = c->clips[clip].version;
    pthread_mutex_unlock(&c->lock);
    return version;
}

uint32_t cache_files_told(struct cache *c, size_t clip)
{
    pthread_mutex_lock(&c->lock);
    uint32_t n = c->clips[clip].most_files;
    pthread_mutex_unlock(&c->lock);
    return n;
}

void clip_saw(struct cache *c, size_t clip, uint32_t version, const struct cache_file_stamp *stamp)
{
    pthread_mutex_lock(&c->lock);
    struct clip *k = &c->clips[clip];
    if (k->version == version) {
        k->looked = true;
        k->seen = *stamp;
    }
    pthread_mutex_unlock(&c->lock);
}

/* A file as it is now; all zero when it is not there. */
static int stat_file(struct cache *c, const char *path, struct cache_file_stamp *ret)
{
    struct stat st;
    *ret = (struct cache_file_stamp){0};
    const struct source_place place = source_place(c, path);
    if (fstatat(place.root, place.path, &st, 0) == 0)
        *ret = stamp_of(&st);
    else if (errno != ENOENT && errno != ENOTDIR)
        return -errno;
    return 0;
}

/* What stands for a stamp of a member of an archive: its list has its size and time. */
static int stat_member(struct cache *c, const struct cache_source *source, struct cache_file_stamp *ret)
{
    struct cache_member member;
    int err = cache_member_get(c, source->archive, source->member, &member);
    if (!err)
        *ret = (struct cache_file_stamp){
            .size = member.size, .inode = 1, .mtime_ns = member.mtime_s * INT64_C(1000000000)};
    return err;
}

int clip_glance(struct cache *c, size_t clip, uint32_t version, struct cache_file_stamp *ret)
{
    const struct cache_source *source = &c->sources[clip];
    watch_clip(c->watch, clip);
    int err = source->archive ? stat_member(c, source, ret) : stat_file(c, source->path, ret);
    pthread_mutex_lock(&c->lock);
    struct clip *k = &c->clips[clip];
    /* Who looked into it meanwhile knows more. */
    if (!err && k->version == version && !k->looked) {
        k->looked = true;
        k->seen = *ret;
    }
    pthread_mutex_unlock(&c->lock);
    return err;
}

bool clip_saw_sidecar(struct cache *c, size_t clip, uint32_t version, const struct cache_file_stamp *stamp,
                      const struct base_hash *identity)
{
    pthread_mutex_lock(&c->lock);
    struct clip_sidecar *sidecar = &c->sidecars[clip];
    bool same = c->clips[clip].version == version &&
                (!sidecar->looked || base_hash_equal(&sidecar->identity, identity));
    if (same)
        *sidecar = (struct clip_sidecar){true, *stamp, *identity};
    pthread_mutex_unlock(&c->lock);
    return same;
}

void clip_tell(struct cache *c, size_t clip, uint32_t version, uint32_t n_files)
{
    if (c->options.on_change)
        c->options.on_change(c->options.context, clip, version, n_files);
}

/* Whether the last change that was noticed is the same one of another part of the same video, of which there
 * may be very many. */
static bool was_said_locked(struct cache *c, size_t clip, uint32_t version)
{
    const struct last_change last = c->last_change;
    c->last_change = (struct last_change){clip, version, true};
    return last.is_one && last.clip != clip && last.version == version &&
           strcmp(c->sources[last.clip].path, c->sources[clip].path) == 0;
}

bool clip_forget(struct cache *c, size_t clip, uint32_t version)
{
    pthread_mutex_lock(&c->lock);
    struct clip *k = &c->clips[clip];
    bool current = k->version == version && version < CACHE_MAX_VERSION, said = false;
    struct media *old = NULL;
    uint32_t n_files = k->most_files;
    if (current) {
        old = media_detach_locked(c, clip);
        k->version++;
        k->logged = k->looked = false;
        k->most_files = k->told = 0;
        said = was_said_locked(c, clip, version);
        if (c->sources[clip].sidecar)
            c->sidecars[clip].looked = false;
    }
    pthread_mutex_unlock(&c->lock);
    if (!current)
        return false;
    clip_tell(c, clip, version, n_files);
    files_forget(c, clip, version);
    const struct source_place place = source_place(c, c->sources[clip].path);
    if (version + 1 == CACHE_MAX_VERSION)
        base_log(BASE_LOG_ERROR, "%s/%s: changed %d times while mounted; mount again to read it", place.dir,
                 place.path, CACHE_MAX_VERSION);
    else if (!said)
        base_log(BASE_LOG_INFO, "%s/%s: changed while mounted; what was known of it is forgotten", place.dir,
                 place.path);
    media_unref(old);
    return true;
}

enum look { SAME, RENEWED, CHANGED };

/* Compares a file with what it was; no file had a stamp of zeros. identity: NULL when it is not at hand.
 * RENEWED: the same with another stamp, as after chmod or a new hard link. What cannot be told is taken for
 * the same. */
static enum look look(struct cache *c, const char *path, const struct cache_file_stamp *was,
                      const struct base_hash *identity, struct cache_file_stamp *ret)
{
    if (stat_file(c, path, ret) < 0 || stamp_equal(ret, was))
        return SAME;
    if (ret->size != was->size || ret->mtime_ns != was->mtime_ns)
        return CHANGED;
    struct base_hash then;
    if (!identity && source_identity_then(c, path, was, &then) == 0)
        identity = &then;
    base_autoclose int fd = -1;
    bool same = identity && source_open(c, path, &fd, ret) == 0 && source_is(c, path, fd, ret, was, identity);
    return same ? RENEWED : CHANGED;
}

/* What is known of a clip's files. */
struct was {
    struct clip clip;
    bool has_identity;
    struct base_hash identity;
    struct clip_sidecar sidecar;
};

static struct was what_was(struct cache *c, size_t clip)
{
    struct was was;
    pthread_mutex_lock(&c->lock);
    was.clip = c->clips[clip];
    was.has_identity = was.clip.media;
    was.identity = was.clip.media ? was.clip.media->identity : (struct base_hash){0};
    was.sidecar = c->sources[clip].sidecar ? c->sidecars[clip] : (struct clip_sidecar){0};
    pthread_mutex_unlock(&c->lock);
    return was;
}

static bool seems_same(struct cache *c, const char *path, bool looked, const struct cache_file_stamp *seen)
{
    struct cache_file_stamp now;
    return !looked || stat_file(c, path, &now) < 0 || stamp_equal(&now, seen);
}

/* Whether a clip has changed; what is the same with another stamp is seen with that from now on. */
static bool is_changed(struct cache *c, size_t clip, const struct was *was)
{
    const struct cache_source *source = &c->sources[clip];
    const uint32_t version = was->clip.version;
    struct cache_file_stamp now;
    enum look found = SAME;
    if (was->clip.looked)
        found = look(c, source->path, &was->clip.seen, was->has_identity ? &was->identity : NULL, &now);
    if (found == RENEWED)
        clip_saw(c, clip, version, &now);
    if (found != CHANGED && was->sidecar.looked) {
        found = look(c, source->sidecar, &was->sidecar.seen, &was->sidecar.identity, &now);
        if (found == RENEWED && !clip_saw_sidecar(c, clip, version, &now, &was->sidecar.identity))
            found = CHANGED;
    }
    return found == CHANGED;
}

bool clip_check(struct cache *c, size_t clip)
{
    const struct cache_source *source = &c->sources[clip];
    if (source->archive) {
        const struct archive *a = archive_of(c, source->archive);
        return clip_check(c, a->clip) || !archive_is_current(c, a);
    }
    struct was was = what_was(c, clip);
    if (seems_same(c, source->path, was.clip.looked, &was.clip.seen) &&
        seems_same(c, source->sidecar, was.sidecar.looked, &was.sidecar.seen))
        return false;
    pthread_mutex_lock(&c->judging);
    was = what_was(c, clip);
    bool changed = is_changed(c, clip, &was);
    pthread_mutex_unlock(&c->judging);
    return changed && clip_forget(c, clip, was.clip.version);
}
