/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the corpus that are read as they are, in place. */
#include "cache/private.h"

#include <errno.h>

int file_stamp(struct cache *c, size_t clip, uint32_t version, struct cache_file_stamp *ret)
{
    pthread_mutex_lock(&c->lock);
    const struct clip *k = &c->clips[clip];
    int err = k->version != version ? -ESTALE : version == CACHE_MAX_VERSION ? -EIO : 0;
    bool known = k->looked;
    *ret = k->seen;
    pthread_mutex_unlock(&c->lock);
    if (!err && !known)
        err = clip_glance(c, clip, version, ret);
    return !err && ret->inode == 0 ? -ENOENT : err;
}

/* ---- Descriptors that stay open ---- */

static uint64_t key_of(size_t clip, uint32_t version)
{
    return ((uint64_t)clip + 1) << 16 | version;
}

static struct open_file *find_locked(struct cache *c, uint64_t key)
{
    for (size_t i = 0; i < OPEN_FILES; i++) {
        if (c->files[i].key == key)
            return &c->files[i];
    }
    return NULL;
}

/* The one that was not used for longest, and by nobody now; NULL = none is. */
static struct open_file *oldest_locked(struct cache *c)
{
    struct open_file *oldest = NULL;
    for (size_t i = 0; i < OPEN_FILES; i++) {
        struct open_file *f = &c->files[i];
        if (f->refs == 0 && (!oldest || f->used < oldest->used))
            oldest = f;
    }
    return oldest;
}

static struct open_file *use_locked(struct cache *c, struct open_file *f)
{
    f->refs++;
    f->used = ++c->n_uses;
    return f;
}

/* Opens a file at rest. */
static int open_file(struct cache *c, size_t clip, int *ret_fd)
{
    struct cache_file_stamp stamp;
    int err = source_open(c, c->sources[clip].path, ret_fd, &stamp);
    return err ? err : source_settle(*ret_fd, &stamp);
}

/* A descriptor of a clip's file, which stays open; to be given back. */
struct file_in_use {
    struct open_file *place; /* NULL: it is not kept, and closed when given back */
    int fd;
};

/* Nobody finds it from then on. Returns the descriptor if it is to be closed now, else -1. */
static int drop_locked(struct open_file *f)
{
    f->key = 0;
    return f->refs == 0 ? f->fd : -1;
}

static int take(struct cache *c, size_t clip, uint32_t version, struct file_in_use *ret)
{
    uint64_t key = key_of(clip, version);
    base_autoclose int fd = -1, old = -1;
    pthread_mutex_lock(&c->files_lock);
    struct open_file *f = find_locked(c, key);
    if (f)
        *ret = (struct file_in_use){use_locked(c, f), f->fd};
    pthread_mutex_unlock(&c->files_lock);
    if (f)
        return 0;
    int err = open_file(c, clip, &fd);
    if (err)
        return err;
    pthread_mutex_lock(&c->files_lock);
    f = find_locked(c, key);
    if (!f && (f = oldest_locked(c))) {
        old = f->key ? f->fd : -1;
        *f = (struct open_file){.key = key, .fd = base_steal_fd(&fd)};
    }
    if (f)
        *ret = (struct file_in_use){use_locked(c, f), f->fd};
    else
        *ret = (struct file_in_use){NULL, base_steal_fd(&fd)};
    pthread_mutex_unlock(&c->files_lock);
    return 0;
}

/* keep: it is the file that was wanted, and may serve the next read, too. */
static void give(struct cache *c, const struct file_in_use *f, bool keep)
{
    base_autoclose int old = f->place ? -1 : f->fd;
    if (!f->place)
        return;
    pthread_mutex_lock(&c->files_lock);
    f->place->refs--;
    if (!keep || !f->place->key)
        old = drop_locked(f->place);
    pthread_mutex_unlock(&c->files_lock);
}

void files_forget(struct cache *c, size_t clip, uint32_t version)
{
    base_autoclose int old = -1;
    pthread_mutex_lock(&c->files_lock);
    struct open_file *f = find_locked(c, key_of(clip, version));
    if (f)
        old = drop_locked(f);
    pthread_mutex_unlock(&c->files_lock);
}

void files_finish(struct cache *c)
{
    for (size_t i = 0; i < OPEN_FILES; i++) {
        if (c->files[i].key)
            close(c->files[i].fd);
    }
}

/* ---- Reading ---- */

/* -EAGAIN: it is not the file that was seen. */
static ssize_t read_once(struct cache *c, size_t clip, uint32_t version, void *out, size_t len,
                         uint64_t offset)
{
    struct cache_file_stamp stamp;
    struct file_in_use f;
    int err = file_stamp(c, clip, version, &stamp);
    if (err || offset >= stamp.size)
        return err;
    err = take(c, clip, version, &f);
    if (err)
        return err;
    ssize_t n = pread(f.fd, out, BASE_MIN(len, stamp.size - offset), (off_t)offset);
    if (n < 0)
        n = -errno;
    else if (!source_unchanged(f.fd, &stamp))
        n = -EAGAIN;
    /* The version may have ended meanwhile, or the file have been replaced by the same one. */
    give(c, &f, n != -EAGAIN && cache_version(c, clip) == version);
    return n;
}

ssize_t file_read(struct cache *c, size_t clip, uint32_t version, void *out, size_t len, uint64_t offset)
{
    /* Twice: its stamp may be another for new permissions, or a new hard link, alone. */
    for (int i = 0; i < 2; i++) {
        ssize_t n = read_once(c, clip, version, out, len, offset);
        if (n != -EAGAIN)
            return n;
        if (clip_check(c, clip))
            return -ESTALE;
    }
    return -EIO;
}
