/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/tree_private.h"

#include <errno.h>

int fs_tree_init(struct fs_tree *t, const struct cfg *cfg)
{
    *t = (struct fs_tree){.cfg = cfg};
    /* 4 bytes of ids a node, and as many again for the lists of every update. */
    if (base_grow_init(&t->nodes_memory, FS_MAX_NODES * sizeof *t->nodes) < 0 ||
        base_grow_init(&t->dirs_memory, FS_MAX_NODES / 2 * sizeof *t->dirs) < 0 ||
        base_grow_init(&t->sets_memory, FS_MAX_SETS * sizeof *t->sets) < 0 ||
        base_grow_init(&t->ids_memory, FS_MAX_NODES * 4 * sizeof *t->ids) < 0 ||
        base_grow_init(&t->names_memory, UINT32_MAX) < 0)
        return -ENOMEM;
    t->nodes = t->nodes_memory.data;
    t->dirs = t->dirs_memory.data;
    t->sets = t->sets_memory.data;
    t->ids = t->ids_memory.data;
    t->names = t->names_memory.data;
    if (base_grow_to(&t->nodes_memory, sizeof *t->nodes) < 0 ||
        base_grow_to(&t->dirs_memory, sizeof *t->dirs) < 0 || base_grow_to(&t->names_memory, 1) < 0)
        return -ENOMEM;
    /* The root: node 0, its name is the empty one at 0. */
    t->dirs[0].clip = UINT32_MAX;
    t->nodes[0] = (struct fs_node){.kind = FS_DIR};
    t->n_nodes = t->n_dirs = t->names_bytes = 1;
    return 0;
}

void fs_tree_finish(struct fs_tree *t)
{
    for (uint32_t i = 0; i < t->n_frame_names; i++)
        free(t->frame_names[i]);
    free(t->frame_names);
    base_grow_finish(&t->nodes_memory);
    base_grow_finish(&t->dirs_memory);
    base_grow_finish(&t->sets_memory);
    base_grow_finish(&t->ids_memory);
    base_grow_finish(&t->names_memory);
    *t = (struct fs_tree){0};
}

int fs_tree_update(struct fs_tree *t, const struct fs_found *found, const struct fs_tree_listener *listener)
{
    struct fs_update u = {
        .tree = t, .found = found, .listener = listener, .n_nodes = t->n_nodes, .n_sets = t->n_sets};
    uint32_t n_dirs = t->n_dirs, names_bytes = t->names_bytes;
    int err = fs_tree_insert(&u);
    if (!err)
        err = fs_tree_order(&u);
    if (err) { /* what was added is nobody's */
        t->n_dirs = n_dirs;
        t->names_bytes = names_bytes;
    }
    free(u.table);
    base_bytes_finish(&u.live_nodes);
    base_bytes_finish(&u.live_sets);
    base_bytes_finish(&u.last);
    return err;
}

int64_t fs_tree_child_n(const struct fs_tree *t, uint32_t dir, const char *name, size_t len)
{
    struct fs_span span = fs_children(t, dir);
    uint32_t low = span.first, high = low + span.n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const char *found = fs_node_name(t, &t->nodes[t->ids[middle]]);
        int order = strncmp(found, name, len);
        if (order == 0 && found[len] == 0)
            return t->ids[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -ENOENT;
}

int64_t fs_tree_child(const struct fs_tree *t, uint32_t dir, const char *name)
{
    return fs_tree_child_n(t, dir, name, strlen(name));
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
    struct fs_span sets = fs_sets(t, text->parent);
    int flow = -1; /* counts where there is nothing else */
    for (uint32_t i = sets.first; i < sets.first + sets.n; i++) {
        const struct fs_frame_set *set = &t->sets[t->ids[i]];
        if (set->clip == text->clip && !cfg_view(t->cfg, set->view)->frames.is_flow)
            return set->view;
        if (set->clip == text->clip)
            flow = set->view;
    }
    if (flow >= 0)
        return flow;
    for (size_t i = cfg_n_views(t->cfg); i-- > 0;)
        if (cfg_view(t->cfg, i)->kind == CFG_FRAMES && (flow < 0 || !cfg_view(t->cfg, i)->frames.is_flow))
            flow = (int)i;
    return flow;
}
