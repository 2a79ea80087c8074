/* SPDX-License-Identifier: Apache-2.0 */
/* Paths become nodes: what stands in the tree already is marked as live, what does not is added. */
#include "fs/tree_private.h"

#include <errno.h>

static int set_live(struct base_bytes *bits, uint32_t i)
{
    size_t need = (size_t)i / 8 + 1;
    if (need > bits->len) {
        size_t more = BASE_MAX(need - bits->len, bits->len / 2 + 4096);
        if (base_bytes_reserve(bits, more) < 0)
            return -ENOMEM;
        memset(bits->data + bits->len, 0, more);
        bits->len += more;
    }
    bits->data[i / 8] |= (uint8_t)(1u << (i % 8));
    return 0;
}

/* ---- Nodes ---- */

/* A node whose name is in the tree already. */
static int add_named(struct fs_update *u, struct fs_node node)
{
    struct fs_tree *t = u->tree;
    if (u->n_nodes >= FS_MAX_NODES)
        return -EFBIG;
    if (base_grow_to(&t->nodes_memory, ((size_t)u->n_nodes + 1) * sizeof *t->nodes) < 0)
        return -ENOMEM;
    t->nodes[u->n_nodes] = node;
    return set_live(&u->live_nodes, u->n_nodes++);
}

static int add_node(struct fs_update *u, struct fs_node node, const char *name, size_t len)
{
    struct fs_tree *t = u->tree;
    if (t->names_bytes > UINT32_MAX - 4096)
        return -EFBIG;
    if (base_grow_to(&t->names_memory, (size_t)t->names_bytes + len + 1) < 0)
        return -ENOMEM;
    node.name = t->names_bytes;
    memcpy(t->names + node.name, name, len);
    t->names[node.name + len] = 0;
    t->names_bytes += (uint32_t)len + 1;
    return add_named(u, node);
}

/* A shown file is the same node when it has the same content. */
static bool is_same(const struct fs_update *u, const struct fs_node *a, const struct fs_node *b)
{
    if (a->kind == FS_MEMBER && b->kind == FS_MEMBER && cfg_view(u->tree->cfg, a->view)->kind == CFG_FILE)
        return a->archive == b->archive && a->view == b->view && a->member == b->member;
    if (a->kind == FS_MEMBER || a->kind == FS_LINK) /* which of several of a name is meant was found before */
        return (b->kind == FS_MEMBER || b->kind == FS_LINK) && a->archive == b->archive && a->view == b->view;
    return a->kind == b->kind && a->clip == b->clip && a->view == b->view;
}

static int insert_leaf(struct fs_update *u, struct fs_node node, const char *name, size_t len)
{
    int64_t old = node.parent < u->tree->n_nodes ? fs_tree_child_n(u->tree, node.parent, name, len) : -ENOENT;
    if (old < 0)
        return add_node(u, node, name, len);
    if (is_same(u, &u->tree->nodes[old], &node))
        return set_live(&u->live_nodes, (uint32_t)old);
    node.name = u->tree->nodes[old].name; /* another file of that name, as in an archive that was replaced */
    return add_named(u, node);
}

/* ---- Directories ---- */

static uint32_t hash_name(uint32_t parent, const char *name, size_t len)
{
    uint32_t hash = parent * 2654435761u + 0x9e3779b9u; /* FNV-1a from there on */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    return hash ^ hash >> 15;
}

static uint32_t *find_slot(const struct fs_update *u, uint32_t parent, const char *name, size_t len)
{
    for (uint32_t at = hash_name(parent, name, len) & u->table_mask;; at = (at + 1) & u->table_mask) {
        if (u->table[at] == 0)
            return &u->table[at];
        const struct fs_node *n = &u->tree->nodes[u->table[at]];
        const char *there = fs_node_name(u->tree, n);
        if (n->parent == parent && strncmp(there, name, len) == 0 && there[len] == 0)
            return &u->table[at];
    }
}

static int grow_table(struct fs_update *u)
{
    if (u->table && u->n_table < u->table_mask / 2)
        return 0;
    uint32_t mask = u->table ? u->table_mask * 2 + 1 : 1023;
    uint32_t *old = u->table, n_old = u->table ? u->table_mask + 1 : 0;
    uint32_t *larger = calloc((size_t)mask + 1, sizeof *larger);
    if (!larger)
        return -ENOMEM;
    u->table = larger;
    u->table_mask = mask;
    for (uint32_t i = 0; i < n_old; i++) {
        if (old[i] == 0)
            continue;
        const struct fs_node *n = &u->tree->nodes[old[i]];
        const char *name = fs_node_name(u->tree, n);
        *find_slot(u, n->parent, name, strlen(name)) = old[i];
    }
    free(old);
    return 0;
}

static int add_dir(struct fs_update *u, uint32_t parent, const char *name, size_t len)
{
    struct fs_tree *t = u->tree;
    if (base_grow_to(&t->dirs_memory, ((size_t)t->n_dirs + 1) * sizeof *t->dirs) < 0)
        return -ENOMEM;
    struct fs_dir *d = &t->dirs[t->n_dirs];
    d->children = d->sets = (struct fs_span){0, 0};
    d->n_subdirs = 0;
    d->clip = UINT32_MAX;
    return add_node(u, (struct fs_node){.parent = parent, .kind = FS_DIR, .dir = t->n_dirs++}, name, len);
}

/* The directory `name` of a directory, which is made if there is none. */
static int enter_dir(struct fs_update *u, uint32_t parent, const char *name, size_t len, uint32_t *ret)
{
    int64_t old = parent < u->tree->n_nodes ? fs_tree_child_n(u->tree, parent, name, len) : -ENOENT;
    if (old >= 0 && u->tree->nodes[old].kind == FS_DIR) {
        *ret = (uint32_t)old;
        return set_live(&u->live_nodes, *ret);
    }
    int err = grow_table(u);
    if (err)
        return err;
    uint32_t *slot = find_slot(u, parent, name, len);
    if (*slot == 0) {
        uint32_t node = u->n_nodes;
        err = add_dir(u, parent, name, len);
        if (err)
            return err;
        *slot = node;
        u->n_table++;
    }
    *ret = *slot;
    return 0;
}

/* How many directories a path has in common with the one before. */
static uint32_t common_depth(const struct fs_update *u, const char *path, size_t len)
{
    size_t same = 0, most = BASE_MIN(len, u->last.len);
    while (same < most && path[same] == (char)u->last.data[same])
        same++;
    uint32_t depth = 0;
    while (depth < u->depth && u->ends[depth] <= same &&
           (u->ends[depth] == len || path[u->ends[depth]] == '/'))
        depth++;
    return depth;
}

/* The directory of a path of directories; len 0: the root. */
static int enter_path(struct fs_update *u, const char *path, size_t len, uint32_t *ret)
{
    uint32_t depth = common_depth(u, path, len);
    uint32_t node = depth > 0 ? u->path_nodes[depth - 1] : 0;
    size_t at = depth > 0 ? u->ends[depth - 1] + 1 : 0;
    u->last.len = BASE_MIN(u->last.len, BASE_MIN(at, len));
    if (u->last.len < len)
        base_bytes_append(&u->last, path + u->last.len, len - u->last.len);
    for (u->depth = depth; at < len; u->depth++) {
        const char *slash = memchr(path + at, '/', len - at);
        size_t end = slash ? (size_t)(slash - path) : len;
        if (u->depth == FS_MAX_DEPTH)
            return -ENAMETOOLONG;
        int err = enter_dir(u, node, path + at, end - at, &node);
        if (err)
            return err;
        u->ends[u->depth] = (uint32_t)end;
        u->path_nodes[u->depth] = node;
        at = end + 1;
    }
    *ret = node;
    return u->last.failed ? -ENOMEM : 0;
}

static int insert_file(struct fs_update *u, const char *path, size_t len, struct fs_node node)
{
    const char *slash = memrchr(path, '/', len);
    size_t dir_len = slash ? (size_t)(slash - path) : 0, start = slash ? dir_len + 1 : 0;
    uint32_t parent = 0;
    int err = enter_path(u, path, dir_len, &parent);
    if (err)
        return err;
    node.parent = parent;
    return insert_leaf(u, node, path + start, len - start);
}

/* ---- Frame sets ---- */

/* The names of a view's frames are mostly the same for all clips: keep each distinct one once. */
static const struct cfg_frame_name *keep_frame_name(struct fs_tree *t, const struct cfg_frame_name *name,
                                                    const struct cfg_frame_name *last)
{
    if (last && strcmp(last->prefix, name->prefix) == 0 && strcmp(last->suffix, name->suffix) == 0 &&
        last->width == name->width)
        return last;
    struct cfg_frame_name **larger =
        realloc(t->frame_names, ((size_t)t->n_frame_names + 1) * sizeof(struct cfg_frame_name *));
    if (!larger)
        return NULL;
    t->frame_names = larger;
    struct cfg_frame_name *kept = malloc(sizeof *kept);
    if (!kept)
        return NULL;
    *kept = *name;
    t->frame_names[t->n_frame_names++] = kept;
    return kept;
}

static int insert_set(struct fs_update *u, struct fs_frame_set set)
{
    struct fs_tree *t = u->tree;
    struct fs_span old = set.node < t->n_nodes ? fs_sets(t, set.node) : (struct fs_span){0, 0};
    for (uint32_t i = old.first; i < old.first + old.n; i++) {
        const struct fs_frame_set *there = &t->sets[t->ids[i]];
        if (there->clip == set.clip && there->view == set.view)
            return set_live(&u->live_sets, t->ids[i]);
    }
    if (u->n_sets == FS_MAX_SETS)
        return -E2BIG;
    if (base_grow_to(&t->sets_memory, ((size_t)u->n_sets + 1) * sizeof set) < 0)
        return -ENOMEM;
    t->sets[u->n_sets] = set;
    return set_live(&u->live_sets, u->n_sets++);
}

/* ---- Views ---- */

static uint32_t clip_id(const struct fs_update *u, size_t i)
{
    return u->found->clip_ids ? u->found->clip_ids[i] : (uint32_t)i;
}

static int insert_frames(struct fs_update *u, uint16_t view)
{
    const struct cfg_clips *clips = u->found->clips;
    const struct cfg_view *v = cfg_view(u->tree->cfg, view);
    const struct cfg_frame_name *last = NULL;
    struct base_bytes dir = {0};
    int err = 0;
    for (size_t i = 0; !err && i < clips->n; i++) {
        struct cfg_frame_name name = {0};
        struct fs_frame_set set = {.clip = clip_id(u, i), .view = view, .base = (uint32_t)v->frames.base};
        if (!cfg_is_shown(v, &clips->clips[i]))
            continue;
        dir.len = 0;
        cfg_expand_frame_dir(v->path, clips, &clips->clips[i], &dir, &name);
        set.name = last = dir.failed ? NULL : keep_frame_name(u->tree, &name, last);
        err = set.name ? enter_path(u, (const char *)dir.data, dir.len, &set.node) : -ENOMEM;
        if (!err)
            err = insert_set(u, set);
    }
    base_bytes_finish(&dir);
    return err;
}

/* The file that a view of one file a clip gives it. */
static struct fs_node node_of_clip(const struct fs_update *u, size_t i, uint16_t view)
{
    const struct cfg_clip *clip = &u->found->clips->clips[i];
    if (cfg_view(u->tree->cfg, view)->kind == CFG_FILE && clip->archive)
        return (struct fs_node){.kind = FS_MEMBER,
                                .archive = clip->archive,
                                .member = clip->member & 0x1ffffff,
                                .view = view & 127};
    return (struct fs_node){.kind = FS_FILE, .clip = clip_id(u, i), .view = view & 127};
}

static int insert_clips(struct fs_update *u, uint16_t view)
{
    const struct cfg_clips *clips = u->found->clips;
    const struct cfg_view *v = cfg_view(u->tree->cfg, view);
    struct base_bytes path = {0};
    int err = 0;
    for (size_t i = 0; !err && i < clips->n; i++) {
        if (!cfg_is_shown(v, &clips->clips[i]))
            continue;
        path.len = 0;
        cfg_expand(v->path, clips, &clips->clips[i], 0, 0, &path);
        err = path.failed ? -ENOMEM
                          : insert_file(u, (const char *)path.data, path.len, node_of_clip(u, i, view));
    }
    base_bytes_finish(&path);
    return err;
}

static int insert_files(struct fs_update *u, uint16_t view)
{
    const struct cfg_clips *clips = u->found->clips;
    const struct cfg_view *v = cfg_view(u->tree->cfg, view);
    struct base_bytes path = {0};
    int err = 0;
    for (size_t i = 0; !err && i < clips->n_files; i++) {
        uint32_t id = u->found->file_ids ? u->found->file_ids[i] : (uint32_t)(clips->n + i);
        struct fs_node node = {.kind = FS_FILE, .clip = id, .view = view & 127};
        path.len = 0;
        if (cfg_expand_file(v, clips->files[i], strlen(clips->files[i]), NULL, &path))
            err = insert_file(u, (const char *)path.data, path.len, node);
        if (path.failed)
            err = -ENOMEM;
    }
    base_bytes_finish(&path);
    return err;
}

static int insert_lists(struct fs_update *u, uint16_t view)
{
    const struct cfg_clips *clips = u->found->clips;
    int err = 0;
    for (size_t i = 0; !err && i < clips->n_lists; i++) {
        const struct cfg_list_file *list = &clips->lists[i];
        uint32_t id = u->found->list_ids ? u->found->list_ids[i] : (uint32_t)i;
        struct fs_node node = {.kind = FS_FILE, .clip = id, .view = view & 127};
        if (list->view == view)
            err = insert_file(u, list->path, strlen(list->path), node);
    }
    return err;
}

/* A files view of an archive. */
struct archive_view {
    struct fs_update *u;
    const struct cfg_view *v;
    const struct cfg_archive *archive;
    struct fs_node node; /* but for its number */
    struct base_bytes path;
    bool dirs;
};

static int insert_member(void *context, const struct cfg_member *m)
{
    struct archive_view *a = context;
    uint32_t ignored;
    if (m->kind == CFG_MEMBER_DIR && !a->dirs)
        return 0;
    a->path.len = 0;
    bool shown = cfg_expand_file(a->v, m->path, m->len, a->archive->shard, &a->path);
    if (!shown || a->path.failed)
        return a->path.failed ? -ENOMEM : 0;
    if (m->kind == CFG_MEMBER_DIR)
        return enter_path(a->u, (const char *)a->path.data, a->path.len, &ignored);
    struct fs_node node = a->node;
    node.kind = m->kind == CFG_MEMBER_SYMLINK ? FS_LINK : FS_MEMBER;
    node.member = m->content & 0x1ffffff;
    return insert_file(a->u, (const char *)a->path.data, a->path.len, node);
}

static int insert_archives(struct fs_update *u, uint16_t view)
{
    const struct cfg_clips *clips = u->found->clips;
    const struct cfg_lister *lister = u->found->lister;
    int err = 0;
    for (size_t i = 0; !err && lister && i < clips->n_archives; i++) {
        struct archive_view a = {.u = u,
                                 .v = cfg_view(u->tree->cfg, view),
                                 .archive = &clips->archives[i],
                                 .node = {.archive = clips->archives[i].number, .view = view & 127}};
        a.dirs = cfg_shows_dirs(a.v);
        err = lister->visit(lister->context, a.archive->number, insert_member, &a);
        base_bytes_finish(&a.path);
    }
    return err;
}

int fs_tree_insert(struct fs_update *u)
{
    int err = set_live(&u->live_nodes, 0);
    for (uint16_t i = 0; !err && i < cfg_n_views(u->tree->cfg); i++) {
        const struct cfg_view *v = cfg_view(u->tree->cfg, i);
        err = v->kind == CFG_FRAMES  ? insert_frames(u, i)
              : v->kind == CFG_FILES ? insert_files(u, i)
              : v->kind == CFG_LIST  ? insert_lists(u, i)
                                     : insert_clips(u, i);
        if (!err && v->kind == CFG_FILES)
            err = insert_archives(u, i);
    }
    return err;
}
