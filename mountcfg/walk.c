/* SPDX-License-Identifier: Apache-2.0 */
#include "mountcfg/scanning.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct level {
    dev_t device;
    ino_t inode;
};

struct walk {
    const struct cfg *c;
    struct cfg_log *log;
    cfg_walk_file *visit;
    void *context;
    struct level levels[CFG_MAX_DEPTH + 1]; /* the directories that we are in, the root first */
    size_t depth;
    int links; /* how many of them were entered by a link */
    size_t len;
    char path[CFG_MAX_PATH + 1]; /* below the root, len bytes */
};

BASE_PRINTF(2, 3) static void trouble(struct walk *w, const char *format, ...);

/* Says what is wrong with the place where the walk is. */
static void trouble(struct walk *w, const char *format, ...)
{
    char what[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    char full[CFG_MAX_PATH + 1];
    cfg_mistake(w->log, w->c->root_place, "%s: %s", cfg_full_path(w->c, w->path, full, sizeof full), what);
}

static bool globs_may_enter(const struct walk *w, struct cfg_glob *const *globs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (cfg_glob_may_enter(globs[i], w->path, w->len))
            return true;
    }
    return false;
}

static bool may_enter(const struct walk *w)
{
    for (size_t i = 0; i < w->c->n_sources; i++) {
        const struct cfg_source *s = &w->c->sources[i];
        if (s->n_archives > 0 ? globs_may_enter(w, s->archives, s->n_archives)
                              : globs_may_enter(w, s->globs, s->n_globs))
            return true;
    }
    for (size_t i = 0; i < w->c->n_tables; i++) {
        if (globs_may_enter(w, w->c->tables[i].globs, w->c->tables[i].n_globs))
            return true;
    }
    for (size_t i = 0; i < w->c->n_views; i++) {
        const struct cfg_view *v = &w->c->views[i];
        if (v->kind == CFG_FILES &&
            (v->files.n_globs == 0 || globs_may_enter(w, v->files.globs, v->files.n_globs)))
            return true;
    }
    return false;
}

/* True when the directory is one that we are in: entering it would never end. */
static bool is_loop(const struct walk *w, const struct stat *st)
{
    for (size_t i = 0; i < w->depth; i++) {
        if (w->levels[i].device == st->st_dev && w->levels[i].inode == st->st_ino)
            return true;
    }
    return false;
}

static int walk_dir(struct walk *w, int fd);

/* The directory `name` of dir_fd, which w->path names. */
static int enter(struct walk *w, int dir_fd, const char *name, bool by_link)
{
    struct stat st;
    if (!may_enter(w))
        return 0;
    if (w->depth > CFG_MAX_DEPTH) {
        trouble(w, "more than %d directories deep: left out", CFG_MAX_DEPTH);
        return 0;
    }
    if (by_link && w->links == CFG_MAX_LINKS) {
        trouble(w, "reached through more than %d links: left out", CFG_MAX_LINKS);
        return 0;
    }
    base_autoclose int fd =
        openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (by_link ? 0 : O_NOFOLLOW));
    if (fd < 0 || fstat(fd, &st) < 0) {
        trouble(w, "cannot be read, left out: %s", strerror(errno));
        return 0;
    }
    if (by_link && is_loop(w, &st))
        return 0;
    w->levels[w->depth++] = (struct level){st.st_dev, st.st_ino};
    w->links += by_link;
    int err = walk_dir(w, base_steal_fd(&fd));
    w->links -= by_link;
    w->depth--;
    return err;
}

/* One entry of a directory; w->path names it. */
static int visit_entry(struct walk *w, int dir_fd, const struct dirent *entry)
{
    unsigned char type = entry->d_type;
    bool link = type == DT_LNK;
    struct stat st;
    if (type == DT_UNKNOWN) {
        if (fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return 0; /* gone since the directory was read */
        type = (unsigned char)IFTODT(st.st_mode);
        link = type == DT_LNK;
    }
    if (link) {
        if (fstatat(dir_fd, entry->d_name, &st, 0) < 0)
            return 0; /* leads nowhere: as in a half-fetched annex */
        type = (unsigned char)IFTODT(st.st_mode);
    }
    if (type == DT_REG)
        return w->visit(w->context, w->path, w->len);
    return type == DT_DIR ? enter(w, dir_fd, entry->d_name, link) : 0;
}

/* Walks a directory, whose descriptor it closes. */
static int walk_dir(struct walk *w, int fd)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int err = -errno;
        close(fd);
        return err;
    }
    size_t dir_len = w->len;
    int err = 0;
    while (err == 0) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            if (errno != 0)
                trouble(w, "cannot be read to its end: %s", strerror(errno));
            break;
        }
        if (entry->d_name[0] == '.')
            continue;
        size_t name_len = strlen(entry->d_name), start = dir_len + (dir_len > 0);
        if (start + name_len > CFG_MAX_PATH) {
            trouble(w, "its names make a path longer than %d bytes: left out", CFG_MAX_PATH);
            continue;
        }
        if (dir_len > 0)
            w->path[dir_len] = '/';
        memcpy(w->path + start, entry->d_name, name_len + 1);
        w->len = start + name_len;
        err = visit_entry(w, dirfd(dir), entry);
        w->len = dir_len;
        w->path[dir_len] = 0;
    }
    closedir(dir);
    return err;
}

/* Walks the root, or a merged one, of which w->path is the name. */
static int walk_root(struct walk *w, const char *dir)
{
    struct stat st;
    base_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int err = -errno;
        cfg_mistake(w->log, w->c->root_place, "root: %s: %s", dir, strerror(-err));
        return err;
    }
    w->depth = 0;
    w->levels[w->depth++] = (struct level){st.st_dev, st.st_ino};
    return walk_dir(w, base_steal_fd(&fd));
}

int cfg_walk(const struct cfg *c, struct cfg_log *log, cfg_walk_file *visit, void *context)
{
    struct walk w = {.c = c, .log = log, .visit = visit, .context = context};
    int err = c->has_root ? walk_root(&w, c->root) : 0;
    for (size_t i = 0; !err && i < c->n_merged; i++) {
        w.len = (size_t)snprintf(w.path, sizeof w.path, "%s", c->merged[i].name);
        if (may_enter(&w))
            err = walk_root(&w, c->merged[i].dir);
    }
    return err;
}
