/* SPDX-License-Identifier: Apache-2.0 */
/* What an inode number means, its attributes and its bytes. */
#include "fs/private.h"

#include <errno.h>
#include <fcntl.h>

fuse_ino_t fs_ino_of_node(uint32_t node)
{
    return (fuse_ino_t)node + 1;
}

fuse_ino_t fs_ino_of_frame(uint32_t set, uint32_t frame)
{
    return ((fuse_ino_t)set + 1) << 32 | ((fuse_ino_t)frame + 1);
}

struct fs_inode fs_inode_of(const struct fs *fs, fuse_ino_t ino)
{
    const struct fs_inode nothing = {.what = FS_IS_NOTHING, .clip = UINT32_MAX};
    uint64_t high = (uint64_t)ino >> 32, low = (uint64_t)ino & UINT32_MAX;
    if (low == 0)
        return nothing;
    if (high > 0) {
        if (high > fs->tree.n_sets)
            return nothing;
        const struct fs_frame_set *set = &fs->tree.sets[high - 1];
        return (struct fs_inode){FS_IS_FRAME, set->node, set->clip, set->view, (uint32_t)(high - 1), (uint32_t)(low - 1)};
    }
    if (low > fs->tree.n_nodes)
        return nothing;
    const struct fs_node *n = &fs->tree.nodes[low - 1];
    return (struct fs_inode){
        n->kind == FS_DIR ? FS_IS_DIR : FS_IS_FILE, (uint32_t)(low - 1), n->clip, n->view, 0, 0};
}

/* The modification time of a clip's source. */
static struct timespec clip_mtime(struct fs *fs, uint32_t clip)
{
    int64_t ns = cache_mtime_ns(fs->cache, clip);
    struct stat st;
    if (ns)
        return (struct timespec){ns / 1000000000, ns % 1000000000};
    if (fstatat(fs->root, fs->options->clips->clips[clip].path, &st, 0) == 0)
        return st.st_mtim;
    return fs->mounted;
}

static bool is_text(const struct fs *fs, const struct fs_inode *inode)
{
    return cfg_view(fs->options->cfg, inode->view)->kind == CFG_TEXT;
}

/* The bytes of a text view's file. Appends to out. */
static int make_text(struct fs *fs, const struct fs_inode *inode, struct cache_waiter *w, struct base_bytes *out)
{
    const struct cfg_view *view = cfg_view(fs->options->cfg, inode->view);
    uint32_t n_frames = 0;
    int counted = cfg_template_uses_nframes(view->text) ? fs_counted_view(&fs->tree, &fs->tree.nodes[inode->node]) : -1;
    if (counted >= 0) {
        int err = cache_count(fs->cache, inode->clip, (size_t)counted, w, &n_frames);
        if (err)
            return err;
    }
    cfg_expand(view->text, fs->options->clips, &fs->options->clips->clips[inode->clip], 0, n_frames, out);
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
    if (inode->what == FS_IS_DIR || is_text(fs, inode))
        return 0;
    int err = cache_count(fs->cache, inode->clip, inode->view, w, &n);
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
    const struct fs_node *n = &fs->tree.nodes[inode->node];
    st->st_ino = fs_ino_of_node(inode->node);
    st->st_mode = S_IFDIR | 0555;
    st->st_nlink = 2 + n->n_subdirs;
    /* Some programs take a directory of less than 1024 bytes for an empty one. */
    st->st_size = 4096;
    st->st_blocks = 8;
    st->st_mtim = n->clip == UINT32_MAX ? fs->mounted : clip_mtime(fs, n->clip);
    fill_common(fs, st);
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
    uint64_t bytes = 0;
    int err = fs_exists(fs, inode, w);
    if (!err)
        err = is_text(fs, inode) ? text_size(fs, inode, w, &bytes)
                                 : cache_size(fs->cache, inode->clip, inode->view, w, &bytes);
    if (err)
        return err;
    ret->st_ino = inode->what == FS_IS_FRAME ? fs_ino_of_frame(inode->set, inode->frame) : fs_ino_of_node(inode->node);
    ret->st_mode = S_IFREG | 0444;
    ret->st_nlink = 1;
    ret->st_size = (off_t)bytes;
    ret->st_blocks = (blkcnt_t)((bytes + 511) / 512);
    ret->st_mtim = clip_mtime(fs, inode->clip);
    fill_common(fs, ret);
    return 0;
}

static ssize_t read_text(struct fs *fs, const struct fs_inode *inode, struct cache_waiter *w, void *out, size_t len,
                         uint64_t offset)
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
    if (inode->what == FS_IS_FILE && is_text(fs, inode))
        return read_text(fs, inode, w, out, len, offset);
    return cache_read(fs->cache, inode->clip, inode->view, inode->frame, w, out, len, offset);
}
