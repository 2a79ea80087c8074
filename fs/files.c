/* SPDX-License-Identifier: Apache-2.0 */
/* What an inode number means, its attributes and its bytes. */
#include "fs/private.h"

#include "cache/archives.h"

#include <errno.h>
#include <fcntl.h>

/*
 * An inode number is, from its low end: of a directory or single file its place in the tree plus one (32
 * bits); of a frame its number plus one (24 bits) and its set (23 bits, then bit 47 is 1). The 15 bits above
 * are the clip's version. Of a member of an archive the archive's number (21 bits) and its own in it (25
 * bits), and bit 46: hard links have one number, and an archive that changes gets another.
 *
 * So the number of a file is that of one version of its clip: what the kernel keeps under a number, and what
 * it asks for under it, is of one version, and a source that changes gives its files new numbers. Who reads
 * on under an old one gets what the kernel still has of the old bytes, or EIO, and never a mixture.
 */
enum { VERSION_SHIFT = 48, SET_SHIFT = 24 };
enum { MEMBER_BITS = 25 };
static const uint64_t frame_flag = UINT64_C(1) << 47, member_flag = UINT64_C(1) << 46;
_Static_assert(CACHE_MAX_MEMBERS <= 1 << MEMBER_BITS && CACHE_MAX_ARCHIVES < 1 << (46 - MEMBER_BITS),
               "a member's number fits");
_Static_assert(CACHE_MAX_FILES < 1 << SET_SHIFT, "a frame's number fits");
_Static_assert(CACHE_MAX_VERSION <= 0x7fff, "a version fits, and the number is not negative");
_Static_assert(FS_MAX_SETS <= 1 << (47 - SET_SHIFT), "a set's number fits");

fuse_ino_t fs_ino_of_node(uint32_t node, uint32_t version)
{
    return (fuse_ino_t)version << VERSION_SHIFT | ((fuse_ino_t)node + 1);
}

fuse_ino_t fs_ino_of_frame(uint32_t set, uint32_t frame, uint32_t version)
{
    return (fuse_ino_t)version << VERSION_SHIFT | frame_flag | (fuse_ino_t)set << SET_SHIFT |
           ((fuse_ino_t)frame + 1);
}

fuse_ino_t fs_ino_of_member(uint32_t archive, uint32_t member)
{
    return member_flag | (fuse_ino_t)archive << MEMBER_BITS | member;
}

static struct fs_inode inode_of_member(uint32_t archive, uint32_t member)
{
    return (struct fs_inode){.what = FS_IS_MEMBER, .clip = UINT32_MAX, .archive = archive, .member = member};
}

static struct fs_inode inode_of_node(const struct fs *fs, uint32_t node, uint32_t version)
{
    const struct fs_node *n = &fs->tree.nodes[node];
    if (n->kind == FS_DIR)
        return (struct fs_inode){.what = FS_IS_DIR, .node = node, .clip = fs_node_dir(&fs->tree, node)->clip};
    if (n->kind != FS_FILE)
        return inode_of_member(n->archive, n->member);
    return (struct fs_inode){
        .what = FS_IS_FILE, .node = node, .clip = n->clip, .view = (uint16_t)n->view, .version = version};
}

static struct fs_inode inode_of_frame(const struct fs *fs, uint32_t set, uint32_t frame, uint32_t version)
{
    const struct fs_frame_set *s = &fs->tree.sets[set];
    return (struct fs_inode){FS_IS_FRAME, s->node, s->clip, s->view, set, frame, version};
}

struct fs_inode fs_inode_of(const struct fs *fs, fuse_ino_t ino)
{
    const struct fs_inode nothing = {.what = FS_IS_NOTHING, .clip = UINT32_MAX};
    uint64_t low = (uint64_t)ino & (frame_flag - 1);
    uint32_t version = (uint32_t)((uint64_t)ino >> VERSION_SHIFT);
    if ((uint64_t)ino & frame_flag) {
        uint64_t set = low >> SET_SHIFT, frame = low & ((UINT64_C(1) << SET_SHIFT) - 1);
        if (set >= fs->tree.n_sets || frame == 0)
            return nothing;
        return inode_of_frame(fs, (uint32_t)set, (uint32_t)(frame - 1), version);
    }
    if (low & member_flag)
        return inode_of_member((uint32_t)((low & (member_flag - 1)) >> MEMBER_BITS),
                               (uint32_t)(low & ((1u << MEMBER_BITS) - 1)));
    if (low == 0 || low > fs->tree.n_nodes)
        return nothing;
    return inode_of_node(fs, (uint32_t)(low - 1), version);
}

bool fs_is_list(const struct fs *fs, uint32_t node)
{
    const struct fs_node *n = &fs->tree.nodes[node];
    return n->kind == FS_FILE && cfg_view(fs->options->cfg, n->view)->kind == CFG_LIST;
}

struct fs_inode fs_node_now(const struct fs *fs, uint32_t node)
{
    const struct fs_node *n = &fs->tree.nodes[node];
    uint32_t version = n->kind != FS_FILE     ? 0
                       : fs_is_list(fs, node) ? fs_list_version(fs->lists, n->clip)
                                              : cache_version(fs->cache, n->clip);
    return inode_of_node(fs, node, version);
}

struct fs_inode fs_frame_now(const struct fs *fs, uint32_t set, uint32_t frame)
{
    return inode_of_frame(fs, set, frame, cache_version(fs->cache, fs->tree.sets[set].clip));
}

/* The modification time of a clip's source. */
static struct timespec clip_mtime(struct fs *fs, uint32_t clip)
{
    const int64_t second = 1000000000;
    int64_t ns;
    if (cache_mtime_ns(fs->cache, clip, &ns) < 0)
        return fs->mounted;
    int64_t rest = (ns % second + second) % second;
    return (struct timespec){(ns - rest) / second, rest};
}

static bool is_text(const struct fs *fs, const struct fs_inode *inode)
{
    return cfg_view(fs->options->cfg, inode->view)->kind == CFG_TEXT;
}

static bool is_list(const struct fs *fs, const struct fs_inode *inode)
{
    return inode->what == FS_IS_FILE && fs_is_list(fs, inode->node);
}

/* The bytes of a text view's file. Appends to out. */
static int make_text(struct fs *fs, const struct fs_inode *inode, struct cache_waiter *w,
                     struct base_bytes *out)
{
    const struct cfg_view *view = cfg_view(fs->options->cfg, inode->view);
    uint32_t n_frames = 0;
    int counted =
        cfg_template_uses_nframes(view->text) ? fs_counted_view(&fs->tree, &fs->tree.nodes[inode->node]) : -1;
    if (counted >= 0) {
        int err = cache_count(fs->cache, inode->clip, inode->version, (size_t)counted, w, &n_frames);
        if (err)
            return err;
    }
    cfg_expand(view->text, NULL, &fs->clips[inode->clip], 0, n_frames, out);
    return out->failed ? -ENOMEM : 0;
}

static int text_size(struct fs *fs, const struct fs_inode *inode, struct cache_waiter *w, uint64_t *ret)
{
    struct base_bytes text = {0};
    int err = make_text(fs, inode, w, &text);
    if (!err)
        *ret = text.len;
    base_bytes_finish(&text);
    return err;
}

int fs_exists(struct fs *fs, const struct fs_inode *inode, struct cache_waiter *w)
{
    uint32_t n;
    if (inode->what == FS_IS_MEMBER)
        return cache_archive_is_current(fs->cache, inode->archive) ? 0 : -ESTALE;
    if (inode->what == FS_IS_DIR || is_text(fs, inode) || is_list(fs, inode))
        return 0;
    int err = cache_count(fs->cache, inode->clip, inode->version, inode->view, w, &n);
    if (err)
        return err;
    return inode->frame < n ? 0 : -ENOENT;
}

static void fill_common(const struct fs *fs, struct stat *st)
{
    st->st_uid = fs->uid;
    st->st_gid = fs->gid;
    st->st_blksize = 4096;
    st->st_atim = st->st_ctim = st->st_mtim;
}

static void dir_attributes(struct fs *fs, const struct fs_inode *inode, struct stat *st)
{
    st->st_ino = fs_ino_of_node(inode->node, 0);
    st->st_mode = S_IFDIR | 0555;
    st->st_nlink = 2 + fs_node_dir(&fs->tree, inode->node)->n_subdirs;
    /* Some programs take a directory of less than 1024 bytes for an empty one. */
    st->st_size = 4096;
    st->st_blocks = 8;
    st->st_mtim = inode->clip == UINT32_MAX ? fs->mounted : clip_mtime(fs, inode->clip);
    fill_common(fs, st);
}

static int member_attributes(struct fs *fs, const struct fs_inode *inode, struct stat *st)
{
    struct cache_member m;
    int err = cache_member_get(fs->cache, inode->archive, inode->member, &m);
    if (err)
        return err;
    st->st_ino = fs_ino_of_member(inode->archive, inode->member);
    st->st_mode = m.kind == CACHE_MEMBER_SYMLINK ? S_IFLNK | 0777 : S_IFREG | 0444;
    st->st_nlink = m.n_links;
    st->st_size = (off_t)m.size;
    st->st_blocks = (blkcnt_t)((m.size + 511) / 512);
    st->st_mtim.tv_sec = m.mtime_s;
    fill_common(fs, st);
    return 0;
}

int fs_attributes(struct fs *fs, const struct fs_inode *inode, struct cache_waiter *w, struct stat *ret)
{
    *ret = (struct stat){0};
    if (inode->what == FS_IS_NOTHING)
        return -ENOENT;
    if (inode->what == FS_IS_DIR) {
        dir_attributes(fs, inode, ret);
        return 0;
    }
    if (inode->what == FS_IS_MEMBER)
        return member_attributes(fs, inode, ret);
    uint64_t bytes = 0;
    bool list = is_list(fs, inode);
    int err = fs_exists(fs, inode, w);
    if (!err && list)
        err = fs_list_size(fs->lists, inode->clip, inode->version, w, &bytes, &ret->st_mtim);
    else if (!err)
        err = is_text(fs, inode) ? text_size(fs, inode, w, &bytes)
                                 : cache_size(fs->cache, inode->clip, inode->version, inode->view, w, &bytes);
    if (err)
        return err;
    ret->st_ino = inode->what == FS_IS_FRAME ? fs_ino_of_frame(inode->set, inode->frame, inode->version)
                                             : fs_ino_of_node(inode->node, inode->version);
    ret->st_mode = S_IFREG | 0444;
    ret->st_nlink = 1;
    ret->st_size = (off_t)bytes;
    ret->st_blocks = (blkcnt_t)((bytes + 511) / 512);
    if (!list)
        ret->st_mtim = clip_mtime(fs, inode->clip);
    fill_common(fs, ret);
    return 0;
}

static ssize_t read_text(struct fs *fs, const struct fs_inode *inode, struct cache_waiter *w, void *out,
                         size_t len, uint64_t offset)
{
    struct base_bytes text = {0};
    ssize_t n = make_text(fs, inode, w, &text);
    if (n == 0 && offset < text.len) {
        n = (ssize_t)BASE_MIN(len, text.len - (size_t)offset);
        memcpy(out, text.data + offset, (size_t)n);
    }
    base_bytes_finish(&text);
    return n;
}

ssize_t fs_read(struct fs *fs, const struct fs_inode *inode, struct cache_waiter *w, void *out, size_t len,
                uint64_t offset)
{
    if (inode->what == FS_IS_DIR)
        return -EISDIR;
    if (inode->what == FS_IS_NOTHING)
        return -ENOENT;
    if (inode->what == FS_IS_MEMBER)
        return cache_member_read(fs->cache, inode->archive, inode->member, w, out, len, offset);
    if (is_list(fs, inode))
        return fs_list_read(fs->lists, inode->clip, inode->version, w, out, len, offset);
    if (inode->what == FS_IS_FILE && is_text(fs, inode))
        return read_text(fs, inode, w, out, len, offset);
    return cache_read(fs->cache, inode->clip, inode->version, inode->view, inode->frame, w, out, len, offset);
}
