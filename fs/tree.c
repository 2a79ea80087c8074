/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/tree.h"

#include <errno.h>

/* One path of one view and clip, before the tree is built. A frame set's path is its directory. */
struct entry {
    char *path;
    uint32_t clip;
    uint16_t view;
    bool is_set;
    const struct cfg_frame_name *name;
};

struct builder {
    struct fs_tree *tree;
    struct entry *entries;
    size_t n, cap;
    struct base_bytes names;
    uint32_t nodes_cap, sets_cap;
};

/* Bytewise, but '/' before all else: then a directory's entries stand together. */
static int compare_paths(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    int x = *a == '/' ? 1 : *a ? (unsigned char)*a + 1 : 0;
    int y = *b == '/' ? 1 : *b ? (unsigned char)*b + 1 : 0;
    return x - y;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = compare_paths(x->path, y->path);
    return order ? order : (int)x->view - (int)y->view;
}

static int add_entry(struct builder *b, struct base_bytes *path, struct entry entry)
{
    base_bytes_append(path, "", 1);
    if (path->failed)
        return -ENOMEM;
    if (b->n == b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 1024;
        struct entry *larger = realloc(b->entries, cap * sizeof *larger);
        if (!larger)
            return -ENOMEM;
        b->entries = larger;
        b->cap = cap;
    }
    entry.path = (char *)path->data;
    *path = (struct base_bytes){0};
    b->entries[b->n++] = entry;
    return 0;
}

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

static int add_view(struct builder *b, uint16_t view)
{
    struct fs_tree *t = b->tree;
    const struct cfg_view *v = cfg_view(t->cfg, view);
    const struct cfg_frame_name *last = NULL;
    for (uint32_t i = 0; i < t->clips->n; i++) {
        struct base_bytes path = {0};
        struct entry entry = {.clip = i, .view = view, .is_set = v->kind == CFG_FRAMES};
        if (entry.is_set) {
            struct cfg_frame_name name = {0};
            cfg_expand_frame_dir(v->path, t->clips, &t->clips->clips[i], &path, &name);
            last = entry.name = keep_frame_name(t, &name, last);
        } else {
            cfg_expand(v->path, t->clips, &t->clips->clips[i], 0, 0, &path);
        }
        int err = entry.is_set && !entry.name ? -ENOMEM : add_entry(b, &path, entry);
        base_bytes_finish(&path);
        if (err)
            return err;
    }
    return 0;
}

static int add_node(struct builder *b, struct fs_node node, const char *name, size_t len)
{
    struct fs_tree *t = b->tree;
    if (t->n_nodes == b->nodes_cap) {
        if (t->n_nodes >= UINT32_MAX / 2)
            return -EFBIG;
        uint32_t cap = b->nodes_cap ? b->nodes_cap * 2 : 1024;
        struct fs_node *larger = realloc(t->nodes, cap * sizeof *larger);
        if (!larger)
            return -ENOMEM;
        t->nodes = larger;
        b->nodes_cap = cap;
    }
    if (b->names.len > UINT32_MAX - 4096)
        return -EFBIG;
    node.name = (uint32_t)b->names.len;
    base_bytes_append(&b->names, name, len);
    base_bytes_append(&b->names, "", 1);
    t->nodes[t->n_nodes++] = node;
    return b->names.failed ? -ENOMEM : 0;
}

static int add_set(struct builder *b, uint32_t node, const struct entry *entry)
{
    struct fs_tree *t = b->tree;
    if (t->n_sets == b->sets_cap) {
        uint32_t cap = b->sets_cap ? b->sets_cap * 2 : 1024;
        struct fs_frame_set *larger = realloc(t->sets, cap * sizeof *larger);
        if (!larger)
            return -ENOMEM;
        t->sets = larger;
        b->sets_cap = cap;
    }
    struct fs_node *n = &t->nodes[node];
    if (n->n_sets == 0) {
        n->first_set = t->n_sets;
        n->clip = entry->clip;
    }
    n->n_sets++;
    t->sets[t->n_sets++] = (struct fs_frame_set){
        .node = node,
        .clip = entry->clip,
        .view = entry->view,
        .name = entry->name,
        .base = (uint32_t)cfg_view(t->cfg, entry->view)->frames.base,
    };
    return 0;
}

/* A directory that is still to be filled: its entries and where their names in it begin. */
struct pending {
    uint32_t node;
    size_t from, to, depth;
};

static int add_child(struct builder *b, uint32_t dir, const struct entry *entry, const char *name, size_t len,
                     bool is_dir)
{
    struct fs_node child = {.parent = dir, .kind = is_dir ? FS_DIR : FS_FILE, .clip = UINT32_MAX};
    if (!is_dir) {
        child.clip = entry->clip;
        child.view = entry->view;
    }
    int err = add_node(b, child, name, len);
    struct fs_node *d = &b->tree->nodes[dir];
    if (!err) {
        d->n_children++;
        d->n_subdirs += is_dir;
    }
    return err;
}

/* Gives a directory its children; new directories go to the end of the queue. */
static int fill_dir(struct builder *b, struct pending p, struct pending *queue, size_t *n_queue)
{
    int err = 0;
    b->tree->nodes[p.node].first_child = b->tree->n_nodes;
    for (size_t i = p.from; !err && i < p.to;) {
        const struct entry *e = &b->entries[i];
        if (strlen(e->path) < p.depth || (e->is_set && !e->path[0])) {
            /* The set's directory is this one: its path ends here. */
            err = add_set(b, p.node, e);
            i++;
            continue;
        }
        const char *name = e->path + p.depth;
        size_t len = strcspn(name, "/");
        bool is_dir = name[len] == '/' || e->is_set;
        size_t next = i + 1;
        while (is_dir && next < p.to && strncmp(b->entries[next].path + p.depth, name, len) == 0 &&
               (b->entries[next].path[p.depth + len] == '/' || b->entries[next].path[p.depth + len] == 0))
            next++;
        uint32_t child = b->tree->n_nodes;
        err = add_child(b, p.node, e, name, len, is_dir);
        if (!err && is_dir)
            queue[(*n_queue)++] = (struct pending){child, i, next, p.depth + len + 1};
        i = next;
    }
    return err;
}

/* Breadth first, so that a directory's children are consecutive. */
static int build(struct builder *b)
{
    /* Every entry is the reason of at most one directory a component. */
    size_t room = 1;
    for (size_t i = 0; i < b->n; i++) {
        room++;
        for (const char *at = b->entries[i].path; (at = strchr(at, '/')); at++)
            room++;
    }
    base_autofree struct pending *queue = malloc(room * sizeof *queue);
    if (!queue)
        return -ENOMEM;
    struct fs_node root = {.kind = FS_DIR, .clip = UINT32_MAX};
    int err = add_node(b, root, "", 0);
    size_t n_queue = 0;
    queue[n_queue++] = (struct pending){0, 0, b->n, 0};
    for (size_t i = 0; !err && i < n_queue; i++)
        err = fill_dir(b, queue[i], queue, &n_queue);
    return err;
}

int fs_tree_create(const struct cfg *cfg, const struct cfg_clips *clips, struct fs_tree *ret)
{
    *ret = (struct fs_tree){.cfg = cfg, .clips = clips};
    struct builder b = {.tree = ret};
    int err = clips->n > UINT32_MAX / 2 ? -EFBIG : 0;
    for (size_t i = 0; !err && i < cfg_n_views(cfg); i++)
        err = add_view(&b, (uint16_t)i);
    if (!err) {
        if (b.n > 0)
            qsort(b.entries, b.n, sizeof *b.entries, compare_entries);
        err = build(&b);
    }
    if (!err && ret->n_sets > FS_MAX_SETS)
        err = -E2BIG;
    for (size_t i = 0; i < b.n; i++)
        free(b.entries[i].path);
    free(b.entries);
    ret->names = (char *)b.names.data;
    if (err)
        fs_tree_finish(ret);
    return err;
}

void fs_tree_finish(struct fs_tree *t)
{
    for (uint32_t i = 0; i < t->n_frame_names; i++)
        free(t->frame_names[i]);
    free(t->frame_names);
    free(t->nodes);
    free(t->sets);
    free(t->names);
    *t = (struct fs_tree){0};
}

int64_t fs_tree_child(const struct fs_tree *t, uint32_t dir, const char *name)
{
    uint32_t low = t->nodes[dir].first_child, high = low + t->nodes[dir].n_children;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(fs_node_name(t, &t->nodes[middle]), name);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -ENOENT;
}

void fs_frame_name(const struct fs_frame_set *set, uint32_t frame, char out[NAME_MAX + 1])
{
    int len = snprintf(out, NAME_MAX + 1, "%s%0*llu%s", set->name->prefix, set->name->width,
                       (unsigned long long)set->base + frame, set->name->suffix);
    if (len < 0 || len > NAME_MAX)
        out[0] = 0; /* the configuration lets no such name through */
}

int64_t fs_frame_number(const struct fs_frame_set *set, const char *name)
{
    size_t len = strlen(name), prefix = strlen(set->name->prefix), suffix = strlen(set->name->suffix);
    if (len <= prefix + suffix || strncmp(name, set->name->prefix, prefix) != 0)
        return -1;
    uint64_t number = 0;
    /* Up to the suffix, which may begin with a digit. */
    for (const char *at = name + prefix; at < name + len - suffix && number <= UINT32_MAX; at++) {
        if (*at < '0' || *at > '9')
            return -1;
        number = number * 10 + (uint64_t)(*at - '0');
    }
    if (number < set->base || number - set->base >= UINT32_MAX - 1)
        return -1;
    /* Only the one canonical spelling is the file's name. */
    char canonical[NAME_MAX + 1];
    fs_frame_name(set, (uint32_t)(number - set->base), canonical);
    return strcmp(canonical, name) == 0 ? (int64_t)(number - set->base) : -1;
}

int fs_counted_view(const struct fs_tree *t, const struct fs_node *text)
{
    const struct fs_node *dir = &t->nodes[text->parent];
    for (uint32_t i = 0; i < dir->n_sets; i++)
        if (t->sets[dir->first_set + i].clip == text->clip)
            return t->sets[dir->first_set + i].view;
    for (size_t i = 0; i < cfg_n_views(t->cfg); i++)
        if (cfg_view(t->cfg, i)->kind == CFG_FRAMES)
            return (int)i;
    return -1;
}
