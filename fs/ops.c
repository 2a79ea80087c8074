/* SPDX-License-Identifier: Apache-2.0 */
/* The operations: each is a function that either answers or says -EINPROGRESS and is run again later. */
#include "fs/private.h"

#include "base/io.h"
#include "cache/archives.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/statvfs.h>

struct request;
/* 0: answered. A negative errno: the caller answers with it. -EINPROGRESS: parked; *r may be gone already. */
typedef int operation(struct request *r);

struct request {
    struct cache_waiter waiter; /* first: a woken waiter is its request */
    struct fs_interruptible interruptible;
    struct fs_told_waiter told;
    bool was_told;
    fuse_req_t req;
    struct fs *fs;
    operation *run;
    fuse_ino_t ino;
    off_t offset;
    size_t size;
    bool plus;
    enum fs_op op; /* as what its time counts */
    int64_t begin_ns;
    char name[NAME_MAX + 1];
};

static void run(struct request *r)
{
    int err = r->run(r);
    if (err == -EINPROGRESS)
        return;
    cache_waiter_finish(&r->waiter);
    free(r);
}

static void on_wake(struct cache_waiter *w)
{
    struct request *r = (struct request *)w;
    if (r->op == FS_READ_WARM)
        r->op = FS_READ_COLD;
    run(r);
}

/* A signal reached the reader. Whether it is one to let the reader go for is found out elsewhere. */
static void on_interrupt(fuse_req_t req, void *data)
{
    struct request *r = data;
    (void)req;
    fs_interrupts_add(r->fs->interrupts, &r->interruptible);
}

/* To be called before every answer: from then on no interrupt can come. */
static void end_interrupts(struct request *r)
{
    fuse_req_interrupt_func(r->req, NULL, NULL); /* waits for one that is being told */
    fs_interrupts_forget(r->fs->interrupts, &r->interruptible);
}

static void on_told(struct fs_told_waiter *w)
{
    run((struct request *)((char *)w - offsetof(struct request, told)));
}

/* Whether the answer about what has ended comes later: who opens it again then is to get what is there now.
 */
static bool waits_for_news(struct request *r)
{
    bool first = !r->was_told;
    r->was_told = true;
    r->told.wake = on_told;
    return first && fs_notifier_wait(r->fs->notifier, &r->told);
}

static struct request *of_interruptible(struct fs_interruptible *w)
{
    return (struct request *)((char *)w - offsetof(struct request, interruptible));
}

static bool take(struct fs_interruptible *w)
{
    struct request *r = of_interruptible(w);
    return cache_cancel(r->fs->cache, &r->waiter);
}

/* What it waited for is made all the same. */
static void let_go(struct fs_interruptible *w)
{
    struct request *r = of_interruptible(w);
    end_interrupts(r);
    fuse_reply_err(r->req, EINTR);
    cache_waiter_finish(&r->waiter);
    free(r);
}

static fuse_req_t answering(struct request *r)
{
    base_histogram_add(&r->fs->latency_ns[r->op], (uint64_t)(base_now_ns() - r->begin_ns));
    end_interrupts(r);
    return r->req;
}

/* Of an earlier version nothing can be told truthfully. Who asks for attributes by a name gets the version of
 * now, since the kernel takes ESTALE for a reason to look the name up again. */
static int reply_error(struct request *r, int err)
{
    if (err == -ESTALE && r->op != FS_GETATTR)
        err = -EIO;
    fuse_reply_err(answering(r), -err);
    return 0;
}

static void start(fuse_req_t req, struct request request)
{
    struct fs *fs = fuse_req_userdata(req);
    struct request *r = fs->ended ? NULL : malloc(sizeof *r);
    if (!r) {
        fuse_reply_err(req, fs->ended ? EIO : ENOMEM);
        return;
    }
    *r = request;
    r->waiter.wake = on_wake;
    r->waiter.reader = (uint64_t)fuse_req_ctx(req)->pid;
    r->interruptible =
        (struct fs_interruptible){.thread = fuse_req_ctx(req)->pid, .take = take, .let_go = let_go};
    r->req = req;
    r->fs = fs;
    r->begin_ns = base_now_ns();
    fuse_req_interrupt_func(req, on_interrupt, r);
    run(r);
}

/* ---- lookup, getattr ---- */

static int find_child(struct request *r, struct fs_inode *ret)
{
    struct fs *fs = r->fs;
    struct fs_inode dir = fs_inode_of(fs, r->ino);
    if (dir.what != FS_IS_DIR)
        return dir.what == FS_IS_NOTHING ? -ENOENT : -ENOTDIR;
    int64_t child = fs_tree_child(&fs->tree, dir.node, r->name);
    if (child >= 0) {
        *ret = fs_node_now(fs, (uint32_t)child);
        return 0;
    }
    struct fs_span sets = fs_sets(&fs->tree, dir.node);
    for (uint32_t i = sets.first; i < sets.first + sets.n; i++) {
        int64_t frame = fs_frame_number(&fs->tree.sets[fs->tree.ids[i]], r->name);
        if (frame >= 0) {
            *ret = fs_frame_now(fs, fs->tree.ids[i], (uint32_t)frame);
            return 0;
        }
    }
    return -ENOENT;
}

enum { MOST_TRIES = 16 };

static int run_lookup(struct request *r)
{
    struct fs_inode inode;
    struct fuse_entry_param entry = {.attr_timeout = FS_FOREVER, .entry_timeout = FS_FOREVER};
    int err, tries = 0;
    do {
        err = find_child(r, &inode);
        if (!err)
            err = fs_attributes(r->fs, &inode, &r->waiter, &entry.attr);
    } while (err == -ESTALE && ++tries < MOST_TRIES); /* it changed in between */
    if (err == -EINPROGRESS)
        return err;
    if (err)
        return reply_error(r, err);
    entry.ino = entry.attr.st_ino;
    fuse_reply_entry(answering(r), &entry);
    return 0;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct request r = {.run = run_lookup, .op = FS_LOOKUP, .ino = parent};
    if (strlen(name) > NAME_MAX) {
        fuse_reply_err(req, ENAMETOOLONG);
        return;
    }
    memcpy(r.name, name, strlen(name) + 1);
    start(req, r);
}

static int run_getattr(struct request *r)
{
    struct fs_inode inode = fs_inode_of(r->fs, r->ino);
    struct stat st;
    int err = fs_attributes(r->fs, &inode, &r->waiter, &st);
    if (err == -EINPROGRESS)
        return err;
    if (err)
        return reply_error(r, err);
    fuse_reply_attr(answering(r), &st, FS_FOREVER);
    return 0;
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    (void)file;
    start(req, (struct request){.run = run_getattr, .op = FS_GETATTR, .ino = ino});
}

/* ---- readdir ---- */

/* A listing being filled. Positions: 0 ".", 1 "..", then the children, then the frames of each set. */
struct listing {
    struct request *r;
    char *buffer;
    size_t used;
    uint32_t dir;
    struct fs_span children, sets;
    struct cache_waiter *waiter; /* NULL once there is something to return: then nothing is waited for */
};

enum { NO_ROOM = 1, SKIP = 2 };

/* Adds one entry; stat's st_ino and st_mode are enough, `known`: all of it is right. 0 or NO_ROOM. */
static int put(struct listing *l, const char *name, const struct stat *st, bool known, off_t next)
{
    struct request *r = l->r;
    size_t room = r->size - l->used, need;
    if (r->plus) {
        struct fuse_entry_param entry = {
            .attr = *st, .attr_timeout = FS_FOREVER, .entry_timeout = FS_FOREVER};
        /* Without an inode number the kernel takes the name only, and asks for the rest when somebody wants
         * it. */
        entry.ino = known ? st->st_ino : 0;
        need = fuse_add_direntry_plus(r->req, l->buffer + l->used, room, name, &entry, next);
    } else {
        need = fuse_add_direntry(r->req, l->buffer + l->used, room, name, st, next);
    }
    if (need > room)
        return NO_ROOM;
    l->used += need;
    l->waiter = NULL;
    return 0;
}

static int put_dots(struct listing *l, off_t at)
{
    const struct fs *fs = l->r->fs;
    struct stat st = {.st_mode = S_IFDIR | 0555};
    st.st_ino = fs_ino_of_node(at == 0 ? l->dir : fs->tree.nodes[l->dir].parent, 0);
    return put(l, at == 0 ? "." : "..", &st, false, at + 1);
}

/* How many clips of a directory are looked into at once while it is listed. */
enum { AHEAD = 16 };

static void look_ahead(struct listing *l, uint32_t child)
{
    struct fs *fs = l->r->fs;
    for (uint32_t i = child + 1; i < l->children.n && i <= child + AHEAD; i++) {
        struct fs_inode inode = fs_node_now(fs, fs->tree.ids[l->children.first + i]);
        struct stat st;
        if (inode.what == FS_IS_FILE && fs_is_list(fs, inode.node))
            continue;
        if (l->r->plus)
            (void)fs_attributes(fs, &inode, NULL, &st);
        else
            (void)fs_exists(fs, &inode, NULL);
    }
}

/* child: its place among the directory's. */
static int put_child(struct listing *l, uint32_t child, off_t next)
{
    struct fs *fs = l->r->fs;
    uint32_t node = fs->tree.ids[l->children.first + child];
    struct fs_inode inode = fs_node_now(fs, node);
    const struct fs_node *n = &fs->tree.nodes[node];
    const uint64_t ino = inode.what == FS_IS_MEMBER ? fs_ino_of_member(inode.archive, inode.member)
                                                    : fs_ino_of_node(node, inode.version);
    const mode_t type = n->kind == FS_DIR ? S_IFDIR : n->kind == FS_LINK ? S_IFLNK : S_IFREG;
    struct stat st = {.st_ino = ino, .st_mode = type};
    /* A list's size may take long, and who looks at names alone is not to wait for it. */
    bool plus = l->r->plus && !(fs_is_list(fs, node) && !fs_list_is_made(fs->lists, n->clip));
    if (l->waiter && inode.what == FS_IS_FILE)
        look_ahead(l, child);
    int err = plus ? fs_attributes(fs, &inode, l->waiter, &st) : fs_exists(fs, &inode, l->waiter);
    if (err == -EINPROGRESS)
        return err;
    if (err == -ENOENT)
        return SKIP;
    if (err) {
        /* The name is there; what is wrong with the file is told to who looks at it. */
        st = (struct stat){.st_ino = ino, .st_mode = type};
        plus = false;
    }
    return put(l, fs_node_name(&fs->tree, n), &st, plus && !err, next);
}

static int put_frames(struct listing *l, uint32_t set_number, uint32_t from, off_t position)
{
    struct fs *fs = l->r->fs;
    const struct fs_frame_set *set = &fs->tree.sets[set_number];
    uint32_t n;
    struct fs_inode first = fs_frame_now(fs, set_number, from);
    int err = cache_count(fs->cache, set->clip, first.version, set->view, l->waiter, &n);
    if (err)
        return err;
    if (from >= n)
        return 0;
    struct stat st = {.st_mode = S_IFREG | 0444};
    bool known = l->r->plus;
    if (known) {
        err = fs_attributes(fs, &first, l->waiter, &st);
        if (err == -EINPROGRESS || err == -ESTALE)
            return err;
        known = !err;
        if (err) /* their names are known; what is wrong with them is told to who looks at one */
            st = (struct stat){.st_mode = S_IFREG | 0444};
        err = 0;
    }
    for (uint32_t i = from; !err && i < n; i++) {
        char name[NAME_MAX + 1];
        fs_frame_name(set, i, name);
        st.st_ino = fs_ino_of_frame(set_number, i, first.version);
        err = put(l, name, &st, known, position + (off_t)(i - from) + 1);
    }
    return err;
}

/* Whether a directory holds frames of one clip only. Then what is wrong with the clip is told by its listing;
 * else one bad clip would hide the others. */
static bool is_of_one_clip(const struct fs_tree *t, struct fs_span sets)
{
    for (uint32_t i = 1; i < sets.n; i++)
        if (t->sets[t->ids[sets.first + i]].clip != t->sets[t->ids[sets.first]].clip)
            return false;
    return true;
}

static int fill_frames(struct listing *l, off_t at)
{
    struct fs *fs = l->r->fs;
    off_t first = 2 + (off_t)l->children.n;
    bool one_clip = is_of_one_clip(&fs->tree, l->sets);
    for (uint32_t i = 0; i < l->sets.n; i++) {
        uint32_t set = fs->tree.ids[l->sets.first + i], n;
        struct fs_inode inode = fs_frame_now(fs, set, 0);
        int err = cache_count(fs->cache, inode.clip, inode.version, inode.view, l->waiter, &n);
        /* Frames of a source that vanished are none. */
        if (err == -EINPROGRESS || err == -ESTALE || (err && err != -ENOENT && one_clip))
            return err;
        if (err)
            n = 0;
        if (at < first + (off_t)n) {
            err = put_frames(l, set, (uint32_t)(at - first), at);
            if (err)
                return err;
            at = first + (off_t)n;
        }
        first += n;
    }
    return 0;
}

static int fill_listing(struct listing *l)
{
    off_t at = l->r->offset;
    int err = 0;
    for (; !err && at < 2; at++)
        err = put_dots(l, at);
    for (; !err && at < 2 + (off_t)l->children.n; at++) {
        err = put_child(l, (uint32_t)(at - 2), at + 1);
        if (err == SKIP)
            err = 0;
    }
    return err ? err : fill_frames(l, at);
}

static int run_readdir(struct request *r)
{
    struct fs_inode inode = fs_inode_of(r->fs, r->ino);
    if (inode.what != FS_IS_DIR)
        return reply_error(r, inode.what == FS_IS_NOTHING ? -ENOENT : -ENOTDIR);
    struct listing l = {.r = r,
                        .dir = inode.node,
                        .children = fs_children(&r->fs->tree, inode.node),
                        .sets = fs_sets(&r->fs->tree, inode.node),
                        .waiter = &r->waiter};
    base_autofree char *buffer = malloc(r->size);
    if (!buffer)
        return reply_error(r, -ENOMEM);
    l.buffer = buffer;
    int err, tries = 0;
    do
        err = fill_listing(&l);
    while (err == -ESTALE && l.used == 0 && ++tries < MOST_TRIES);
    if (l.used > 0 || err == NO_ROOM)
        err = 0; /* what there is; the rest, or the error, at the next call */
    if (err == -EINPROGRESS)
        return err;
    if (err)
        return reply_error(r, err);
    fuse_reply_buf(answering(r), l.buffer, l.used);
    return 0;
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *file)
{
    (void)file;
    start(req, (struct request){.run = run_readdir,
                                .waiter = {.glances = true},
                                .op = FS_READDIR,
                                .ino = ino,
                                .size = size,
                                .offset = offset});
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                           struct fuse_file_info *file)
{
    (void)file;
    start(req, (struct request){.run = run_readdir,
                                .waiter = {.glances = true},
                                .op = FS_READDIR,
                                .ino = ino,
                                .size = size,
                                .offset = offset,
                                .plus = true});
}

/* ---- read and the rest ---- */

static int run_read(struct request *r)
{
    struct fs_inode inode = fs_inode_of(r->fs, r->ino);
    base_autofree char *buffer = malloc(r->size);
    if (!buffer)
        return reply_error(r, -ENOMEM);
    ssize_t n = fs_read(r->fs, &inode, &r->waiter, buffer, r->size, (uint64_t)r->offset);
    if (n == -EINPROGRESS)
        return -EINPROGRESS;
    if (n == -ESTALE && waits_for_news(r))
        return -EINPROGRESS;
    /* A file that was there and is not any more is an error to who reads it. */
    if (n < 0)
        return reply_error(r, n == -ENOENT ? -EIO : (int)n);
    atomic_fetch_add_explicit(&r->fs->bytes_read, (uint64_t)n, memory_order_relaxed);
    fuse_reply_buf(answering(r), buffer, (size_t)n);
    return 0;
}

static int run_readlink(struct request *r)
{
    struct fs_inode inode = fs_inode_of(r->fs, r->ino);
    struct base_bytes target = {0};
    int err = inode.what == FS_IS_MEMBER
                  ? cache_member_link(r->fs->cache, inode.archive, inode.member, &target)
                  : -EINVAL;
    if (err)
        reply_error(r, err);
    else
        fuse_reply_readlink(answering(r), (const char *)target.data);
    base_bytes_finish(&target);
    return 0;
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
    start(req, (struct request){.run = run_readlink, .op = FS_GETATTR, .ino = ino});
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *file)
{
    /* Else it may be the kernel's read-ahead. */
    const struct cache_waiter waiter = {.insists = file->flags & O_DIRECT};
    start(req, (struct request){.run = run_read,
                                .waiter = waiter,
                                .op = FS_READ_WARM,
                                .ino = ino,
                                .size = size,
                                .offset = offset});
}

/* Nothing about a file depends on its being open: "not implemented" once, and the kernel never asks again. */
static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    (void)ino;
    (void)file;
    fuse_reply_err(req, ENOSYS);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    const struct fs *fs = fuse_req_userdata(req);
    struct statvfs st;
    (void)ino;
    if (statvfs(fs->options->cfg ? cfg_root(fs->options->cfg) : "/", &st) < 0)
        st = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096};
    st.f_bfree = st.f_bavail = st.f_ffree = st.f_favail = 0;
    st.f_namemax = NAME_MAX;
    fuse_reply_statfs(req, &st);
}

static void op_init(void *userdata, struct fuse_conn_info *connection)
{
    (void)userdata;
    /* Reads that wait for decoding must not keep others from being sent. */
    connection->max_background = 1024;
    connection->congestion_threshold = 768;
}

const struct fuse_lowlevel_ops fs_ops = {
    .init = op_init,
    .lookup = op_lookup,
    .getattr = op_getattr,
    .readdir = op_readdir,
    .readdirplus = op_readdirplus,
    .open = op_open,
    .opendir = op_open,
    .readlink = op_readlink,
    .read = op_read,
    .statfs = op_statfs,
};
