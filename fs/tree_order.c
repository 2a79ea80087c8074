/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories get the lists of what is in them. All lists are made anew; those that differ from what a
 * directory has are put behind the old ones in fs_tree.ids, and then each directory is turned to its new one:
 * who looks up meanwhile finds the old or the new.
 */
#include "fs/tree_private.h"

#include <errno.h>

/* What a directory will be. */
struct order_dir {
    struct fs_span children, sets;
    uint32_t n_subdirs, node;
};

/* Names of a view that are left out: told once, with the first. */
struct left_out {
    uint32_t node, n;
    const char *why;
};

struct order {
    struct fs_update *u;
    struct fs_tree *t;
    struct order_dir *dirs;
    uint32_t *ids;             /* the lists; the spans of dirs are places in it until all are placed */
    uint32_t n_ids;            /* of the tree, then */
    struct left_out *left_out; /* one a view */
};

static const struct cfg_view *view_of(const struct order *o, const struct fs_node *n)
{
    return cfg_view(o->t->cfg, n->view);
}

/* Files of files views, and lists; those of clips were checked by the scan. */
static bool is_shown(const struct order *o, const struct fs_node *n)
{
    return n->kind != FS_DIR && (view_of(o, n)->kind == CFG_FILES || view_of(o, n)->kind == CFG_LIST);
}

/* Of two files of one name, the one of the higher rank stays. */
enum rank { SHOWN, LISTED, OF_A_CLIP, DIRECTORY };
static enum rank rank_of(const struct order *o, const struct fs_node *n)
{
    if (n->kind == FS_DIR)
        return DIRECTORY;
    return !is_shown(o, n) ? OF_A_CLIP : view_of(o, n)->kind == CFG_LIST ? LISTED : SHOWN;
}

/* ---- Sorting ---- */

struct keyed {
    uint64_t key; /* eight bytes of the name, behind what all names of the directory begin with */
    uint32_t node;
};

static uint64_t key_of(const char *name)
{
    uint64_t key = 0;
    for (int i = 0; i < 8; i++) {
        key = key << 8 | (unsigned char)*name;
        name += *name != 0;
    }
    return key;
}

static const char *name_of(struct fs_tree *t, uint32_t node)
{
    return fs_node_name(t, &t->nodes[node]);
}

/* One name twice: in the order in which they were found. */
static int compare_nodes(struct fs_tree *t, uint32_t a, uint32_t b)
{
    int order = strcmp(name_of(t, a), name_of(t, b));
    return order ? order : (a > b) - (a < b);
}

static int compare_keyed(const void *a, const void *b, void *tree)
{
    const struct keyed *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return compare_nodes(tree, x->node, y->node);
}

static size_t common_prefix(struct fs_tree *t, const uint32_t *ids, uint32_t n)
{
    const char *first = name_of(t, ids[0]);
    size_t len = strlen(first);
    for (uint32_t i = 1; i < n && len > 0; i++) {
        const char *name = name_of(t, ids[i]);
        size_t same = 0;
        while (same < len && name[same] == first[same])
            same++;
        len = same;
    }
    return len;
}

static int sort_children(struct fs_tree *t, uint32_t *ids, uint32_t n)
{
    uint32_t sorted = 1;
    while (sorted < n && compare_nodes(t, ids[sorted - 1], ids[sorted]) < 0)
        sorted++;
    if (sorted >= n)
        return 0;
    size_t prefix = common_prefix(t, ids, n);
    base_autofree struct keyed *keyed = malloc(n * sizeof *keyed);
    if (!keyed)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        keyed[i] = (struct keyed){key_of(name_of(t, ids[i]) + prefix), ids[i]};
    qsort_r(keyed, n, sizeof *keyed, compare_keyed, t);
    for (uint32_t i = 0; i < n; i++)
        ids[i] = keyed[i].node;
    return 0;
}

/* ---- Two of one name ---- */

static void leave_out(struct order *o, uint32_t node, const char *why)
{
    struct left_out *l = &o->left_out[o->t->nodes[node].view];
    if (l->n++ == 0) {
        l->node = node;
        l->why = why;
    }
}

static bool are_of_one_archive(const struct order *o, const uint32_t *ids, uint32_t n)
{
    const struct fs_node *first = &o->t->nodes[ids[0]];
    for (uint32_t i = 0; i < n; i++) {
        const struct fs_node *node = &o->t->nodes[ids[i]];
        if ((node->kind != FS_MEMBER && node->kind != FS_LINK) || node->archive != first->archive)
            return false;
    }
    return true;
}

/* Which of the nodes ids[0..n), all of one name, stays: a directory, else a file of a clip, else the first
 * list, else none of several files. UINT32_MAX = none. */
static uint32_t choose(struct order *o, const uint32_t *ids, uint32_t n)
{
    const struct fs_node *nodes = o->t->nodes;
    uint32_t chosen = UINT32_MAX;
    if (are_of_one_archive(o, ids, n))
        return ids[n - 1]; /* as unpacking would have it */
    static const char *const whys[] = {[SHOWN] = "is given by two files of the corpus",
                                       [LISTED] = "is a file that another view makes",
                                       [OF_A_CLIP] = "is a file that another view makes",
                                       [DIRECTORY] = "is a directory, too"};
    enum rank highest = SHOWN;
    for (uint32_t i = 0; i < n; i++) {
        enum rank rank = rank_of(o, &nodes[ids[i]]);
        if (rank > highest) {
            chosen = ids[i];
            highest = rank;
        }
    }
    for (uint32_t i = 0; i < n; i++)
        if (ids[i] != chosen)
            leave_out(o, ids[i], whys[highest]);
    return chosen;
}

static bool is_frame(const struct order *o, const struct order_dir *d, const char *name)
{
    for (uint32_t i = d->sets.first; i < d->sets.first + d->sets.n; i++)
        if (fs_frame_number(&o->t->sets[o->ids[i]], name) >= 0)
            return true;
    return false;
}

/* Takes out of a directory's sorted list what cannot stand in it. */
static void drop_clashes(struct order *o, struct order_dir *d)
{
    struct fs_tree *t = o->t;
    uint32_t *ids = o->ids + d->children.first, kept = 0;
    for (uint32_t i = 0, end; i < d->children.n; i = end) {
        const char *name = name_of(t, ids[i]);
        for (end = i + 1; end < d->children.n && strcmp(name_of(t, ids[end]), name) == 0;)
            end++;
        uint32_t chosen = end == i + 1 ? ids[i] : choose(o, ids + i, end - i);
        if (chosen == UINT32_MAX)
            continue;
        if (d->sets.n > 0 && is_shown(o, &t->nodes[chosen]) && is_frame(o, d, name)) {
            leave_out(o, chosen, "is the name of a frame");
            continue;
        }
        ids[kept++] = chosen;
        d->n_subdirs += t->nodes[chosen].kind == FS_DIR;
    }
    d->children.n = kept;
}

static void append_path(const struct fs_tree *t, uint32_t node, struct base_bytes *out)
{
    if (t->nodes[node].parent != 0) {
        append_path(t, t->nodes[node].parent, out);
        base_bytes_append(out, "/", 1);
    }
    const char *name = fs_node_name(t, &t->nodes[node]);
    base_bytes_append(out, name, strlen(name));
}

/* One line for each view that has names left out. */
static void report(const struct order *o)
{
    const struct fs_found *found = o->u->found;
    for (size_t i = 0; i < cfg_n_views(o->t->cfg); i++) {
        const struct left_out *l = &o->left_out[i];
        const struct cfg_view *v = cfg_view(o->t->cfg, i);
        struct base_bytes path = {0};
        char more[64] = "";
        if (l->n == 0)
            continue;
        append_path(o->t, l->node, &path);
        base_bytes_append(&path, "", 1);
        if (l->n > 1)
            (void)snprintf(more, sizeof more, " (and %u more)", l->n - 1);
        if (!path.failed)
            cfg_report_view(found->report, found->context, v, "%s %s: left out%s", (const char *)path.data,
                            l->why, more);
        if (found->n_problems)
            *found->n_problems += 1;
        base_bytes_finish(&path);
    }
}

/* ---- Lists ---- */

static bool is_live_node(const struct order *o, uint32_t i)
{
    return i != 0 && fs_is_live(&o->u->live_nodes, i);
}

static int compare_sets(const void *a, const void *b, void *tree)
{
    const struct fs_tree *t = tree;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (t->sets[x].view != t->sets[y].view)
        return t->sets[x].view < t->sets[y].view ? -1 : 1;
    return (x > y) - (x < y);
}

/* Counts, then places: `first` is the end of what was placed until all is. */
static int list_all(struct order *o)
{
    struct fs_update *u = o->u;
    struct fs_tree *t = o->t;
    for (uint32_t i = 0; i < u->n_nodes; i++) {
        if (is_live_node(o, i))
            o->dirs[t->nodes[t->nodes[i].parent].dir].children.n++;
        if (t->nodes[i].kind == FS_DIR)
            o->dirs[t->nodes[i].dir].node = i;
    }
    for (uint32_t i = 0; i < u->n_sets; i++)
        if (fs_is_live(&u->live_sets, i))
            o->dirs[t->nodes[t->sets[i].node].dir].sets.n++;
    uint64_t end = 0;
    for (uint32_t i = 0; i < t->n_dirs; i++) {
        o->dirs[i].children.first = (uint32_t)end;
        o->dirs[i].sets.first = (uint32_t)(end += o->dirs[i].children.n);
        end += o->dirs[i].sets.n;
    }
    o->ids = end > UINT32_MAX ? NULL : malloc((end + 1) * sizeof *o->ids);
    if (!o->ids)
        return -ENOMEM;
    for (uint32_t i = 0; i < u->n_nodes; i++)
        if (is_live_node(o, i))
            o->ids[o->dirs[t->nodes[t->nodes[i].parent].dir].children.first++] = i;
    for (uint32_t i = 0; i < u->n_sets; i++)
        if (fs_is_live(&u->live_sets, i))
            o->ids[o->dirs[t->nodes[t->sets[i].node].dir].sets.first++] = i;
    for (uint32_t i = 0; i < t->n_dirs; i++) {
        o->dirs[i].children.first -= o->dirs[i].children.n;
        o->dirs[i].sets.first -= o->dirs[i].sets.n;
    }
    return 0;
}

/* Makes a new list a place in the tree, which is the old one's if they are the same. */
static int place(struct order *o, struct fs_span old, struct fs_span *list)
{
    struct fs_tree *t = o->t;
    const uint32_t *ids = o->ids + list->first;
    if (list->n == old.n && (old.n == 0 || memcmp(ids, t->ids + old.first, old.n * sizeof *ids) == 0)) {
        *list = old;
        return 0;
    }
    size_t end = (size_t)o->n_ids + list->n;
    if (end > UINT32_MAX || base_grow_to(&t->ids_memory, end * sizeof *ids) < 0)
        return -ENOMEM;
    if (list->n > 0)
        memcpy(t->ids + o->n_ids, ids, list->n * sizeof *ids);
    list->first = o->n_ids;
    o->n_ids = (uint32_t)end;
    return 0;
}

static int make_lists(struct order *o)
{
    struct fs_tree *t = o->t;
    int err = list_all(o);
    for (uint32_t i = 0; !err && i < t->n_dirs; i++) {
        struct order_dir *d = &o->dirs[i];
        if (d->sets.n > 1)
            qsort_r(o->ids + d->sets.first, d->sets.n, sizeof *o->ids, compare_sets, t);
        if (d->children.n > 0)
            err = sort_children(t, o->ids + d->children.first, d->children.n);
        if (!err)
            drop_clashes(o, d);
        if (!err)
            err = place(o, t->dirs[i].children, &d->children);
        if (!err)
            err = place(o, t->dirs[i].sets, &d->sets);
    }
    return err;
}

/* ---- Turning to the new lists ---- */

/* Both lists are sorted by name. */
static void tell_differences(const struct order *o, const struct order_dir *d, struct fs_span old)
{
    const struct fs_tree *t = o->t;
    const struct fs_tree_listener *l = o->u->listener;
    uint32_t a = old.first, b = d->children.first, a_end = a + old.n, b_end = b + d->children.n;
    bool differ = old.n != d->children.n;
    while (a < a_end) {
        const char *name = name_of(o->t, t->ids[a]);
        while (b < b_end && strcmp(name_of(o->t, t->ids[b]), name) < 0)
            b++;
        if (b == b_end || t->ids[a] != t->ids[b]) {
            differ = true;
            l->on_name(l->context, d->node, name);
        }
        a++;
    }
    if (differ)
        l->on_listing(l->context, d->node);
}

static bool same_sets(const struct fs_tree *t, struct fs_span a, struct fs_span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(t->ids + a.first, t->ids + b.first, a.n * sizeof *t->ids) == 0);
}

/* Of a directory that is gone, its own name was told. */
static void tell_frames(const struct order *o, const struct order_dir *d, struct fs_span old)
{
    const struct fs_tree *t = o->t;
    const struct fs_tree_listener *l = o->u->listener;
    for (uint32_t i = old.first; i < old.first + old.n; i++)
        if (!fs_is_live(&o->u->live_sets, t->ids[i]) && fs_is_live(&o->u->live_nodes, d->node))
            l->on_frames(l->context, t->ids[i]);
    if (!same_sets(t, old, d->sets))
        l->on_listing(l->context, d->node);
}

/* The lists of a directory. */
struct lists {
    struct fs_span children, sets;
};

/* old: the lists of all directories, as they were. */
static void turn(struct order *o, struct lists *old)
{
    struct fs_tree *t = o->t;
    t->n_nodes = o->u->n_nodes;
    t->n_sets = o->u->n_sets;
    t->n_ids = o->n_ids;
    for (uint32_t i = 0; i < t->n_dirs; i++) {
        struct fs_dir *d = &t->dirs[i];
        const struct order_dir *new = &o->dirs[i];
        old[i] = (struct lists){d->children, d->sets};
        d->clip = new->sets.n > 0 ? t->sets[t->ids[new->sets.first]].clip : UINT32_MAX;
        d->n_subdirs = new->n_subdirs;
        d->children = new->children;
        d->sets = new->sets;
    }
    /* When all is turned: who asks again then finds the new. */
    for (uint32_t i = 0; o->u->listener && i < t->n_dirs; i++) {
        tell_differences(o, &o->dirs[i], old[i].children);
        tell_frames(o, &o->dirs[i], old[i].sets);
    }
}

int fs_tree_order(struct fs_update *u)
{
    struct fs_tree *t = u->tree;
    size_t n_views = cfg_n_views(t->cfg);
    struct order o = {.u = u, .t = t, .n_ids = t->n_ids};
    base_autofree struct lists *old = calloc(t->n_dirs, sizeof *old);
    o.dirs = calloc(t->n_dirs, sizeof *o.dirs);
    o.left_out = calloc(n_views + 1, sizeof *o.left_out);
    int err = old && o.dirs && o.left_out ? make_lists(&o) : -ENOMEM;
    if (!err) {
        report(&o);
        turn(&o, old);
    }
    free(o.dirs);
    free(o.ids);
    free(o.left_out);
    return err;
}
