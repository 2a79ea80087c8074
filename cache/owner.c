/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is alive. The kernel drops a lock when its holder dies, however it dies, so a lock that can be had
 * means a dead owner; process numbers would be used again. Who reaps holds the dead one's lock meanwhile: one
 * reaper at a time.
 */
#include "cache/store_private.h"

#include "base/log.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#define WORKS_AT_ONCE 64u
#define OWNERS_AT_ONCE 64u

/* Opens and locks an owner's file, which is made when it is not there. -EBUSY: somebody has it. */
static int lock_owner(const char *dir, int64_t id, int flags, int *ret_fd)
{
    struct cache_path path = cache_path_owner(dir, id);
    base_autoclose int fd = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    /* Between open and flock another reaper may have finished and removed the file. */
    struct stat held, there;
    if (fstat(fd, &held) < 0 || stat(path.text, &there) < 0 || held.st_ino != there.st_ino)
        return -EBUSY;
    *ret_fd = base_steal_fd(&fd);
    return 0;
}

int cache_owner_create(const char *dir, struct cache_owner *ret, int *ret_fd)
{
    int err = -EBUSY;
    for (int i = 0; i < 8 && (err == -EBUSY || err == -EEXIST); i++) {
        int64_t id;
        if (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id)
            return -EIO;
        id &= INT64_MAX;
        err = lock_owner(dir, id, O_EXCL, ret_fd);
        struct stat st;
        if (!err && fstat(*ret_fd, &st) == 0)
            *ret = (struct cache_owner){.id = id, .device = st.st_dev, .inode = st.st_ino};
    }
    return err;
}

bool cache_owner_intact(const char *dir, const struct cache_owner *owner)
{
    struct stat st;
    struct cache_path path = cache_path_owner(dir, owner->id);
    return stat(path.text, &st) == 0 && st.st_ino == owner->inode && st.st_dev == owner->device;
}

static int unlink_gone(const char *path)
{
    return unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR ? -errno : 0;
}

/* A work row's files. A key in a work row means that the file under it has no row: it goes, too. */
static int remove_files(const char *dir, const struct cache_db_work *work)
{
    struct cache_path path = cache_path_work(dir, work->id.owner, work->id.seq);
    int err = unlink_gone(path.text);
    if (!err && work->has_key) {
        path = cache_path_segment(dir, &work->key);
        err = unlink_gone(path.text);
    }
    return err;
}

static int reap_rows(const char *dir, struct cache_db *db, int64_t id)
{
    struct cache_db_work works[WORKS_AT_ONCE];
    for (;;) {
        size_t n;
        int err = cache_db_works(db, id, works, WORKS_AT_ONCE, &n);
        if (err || n == 0)
            return err;
        for (size_t i = 0; !err && i < n; i++)
            err = remove_files(dir, &works[i]);
        if (!err)
            err = cache_db_release(db, works, n);
        if (err)
            return err;
    }
}

int cache_owner_reap(const char *dir, struct cache_db *db, int64_t id)
{
    base_autoclose int fd = -1;
    int err = lock_owner(dir, id, 0, &fd);
    if (!err)
        err = reap_rows(dir, db, id);
    if (!err) {
        struct cache_path path = cache_path_owner(dir, id);
        (void)unlink(path.text);
    }
    return err;
}

/* A file in tmp/ whose owner is dead. It had a row, unless the database was lost. */
static int reap_file(const char *dir, struct cache_db *db, int64_t id, const char *name)
{
    int err = cache_owner_reap(dir, db, id);
    struct cache_path tmp = cache_path_in(dir, "tmp");
    struct cache_path path = cache_path_in(tmp.text, name);
    if (!err && unlink(path.text) < 0 && errno == EISDIR)
        cache_remove_tree(path.text);
    return err;
}

static bool reap_files(const char *dir, struct cache_db *db, int64_t self)
{
    bool alive = false;
    struct cache_path path = cache_path_in(dir, "tmp");
    DIR *tmp = opendir(path.text);
    for (struct dirent *e; tmp && (e = readdir(tmp));) {
        int64_t id;
        if (cache_owner_parse(e->d_name, &id) && id != self && reap_file(dir, db, id, e->d_name) == -EBUSY)
            alive = true;
    }
    if (tmp)
        closedir(tmp);
    return alive;
}

bool cache_owners_reap(const char *dir, struct cache_db *db, int64_t self)
{
    int64_t owners[OWNERS_AT_ONCE];
    size_t n = 0;
    bool alive = false;
    (void)cache_db_owners(db, owners, OWNERS_AT_ONCE, &n);
    for (size_t i = 0; i < n; i++) {
        if (owners[i] != self && cache_owner_reap(dir, db, owners[i]) == -EBUSY)
            alive = true;
    }
    if (reap_files(dir, db, self))
        alive = true;
    return alive;
}
