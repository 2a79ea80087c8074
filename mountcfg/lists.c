/* SPDX-License-Identifier: Apache-2.0 */
/* `list:` of a view: a text about all clips. Which these are: gather_lists.c. */
#include "mountcfg/language.h"

enum {
    LIST_BEGIN,
    LIST_EACH,
    LIST_JOIN,
    LIST_END,
    LIST_SORT,
    LIST_WHERE,
    LIST_DISTINCT,
    LIST_UNIQUE,
    LIST_COUNT,
    LIST_BROKEN,
    LIST_BASE,
    LIST_PICKLE,
    LIST_GROUP,
    LIST_N
};
static const struct cfg_key list_keys[LIST_N] = {
    [LIST_BEGIN] = {"begin", false},       [LIST_EACH] = {"each", false},
    [LIST_JOIN] = {"join", false},         [LIST_END] = {"end", false},
    [LIST_SORT] = {"sort", false},         [LIST_WHERE] = {"where", false},
    [LIST_DISTINCT] = {"distinct", false}, [LIST_COUNT] = {"count", false},
    [LIST_BROKEN] = {"broken", false},     [LIST_BASE] = {"base", false},
    [LIST_PICKLE] = {"pickle", false},     [LIST_GROUP] = {"group", false},
    [LIST_UNIQUE] = {"unique", false},
};

enum { GROUP_BY, GROUP_BEGIN, GROUP_JOIN, GROUP_END, GROUP_N };
static const struct cfg_key group_keys[GROUP_N] = {
    [GROUP_BY] = {"by", false},
    [GROUP_BEGIN] = {"begin", false},
    [GROUP_JOIN] = {"join", false},
    [GROUP_END] = {"end", false},
};

static struct cfg_template *load_template(struct cfg_loader *l, const struct cfg_entry *e, const char *what,
                                          enum cfg_template_use use)
{
    const char *text = e->value.yaml ? cfg_read_text(l, e->value, what) : NULL;
    return text ? cfg_template_parse(l, cfg_node_place(e->value), text, use) : NULL;
}

static bool has_name(const size_t *fields, size_t n, size_t field)
{
    for (size_t i = 0; i < n; i++)
        if (fields[i] == field)
            return true;
    return false;
}

/* A text that stands once in a list, or in a group of it, takes what all its clips share: the fields of the
 * path, and those that the group is made by. */
static struct cfg_template *load_end(struct cfg_loader *l, const struct cfg_entry *e, const char *what,
                                     const struct cfg_template *path, const size_t *by, size_t n_by)
{
    struct cfg_template *t = load_template(l, e, what, CFG_USE_LIST_END);
    for (size_t i = 0; t && path && i < t->n; i++) {
        bool field = t->parts[i].kind == CFG_PART_FIELD;
        bool other = t->parts[i].kind == CFG_PART_PATH || t->parts[i].kind == CFG_PART_SHARD;
        if (other ||
            (field && !cfg_template_has(path, t->parts[i].field) && !has_name(by, n_by, t->parts[i].field)))
            cfg_mistake(&l->log, cfg_node_place(e->value),
                        "%s: {%s} is not the same for all clips of the %s: it is not in %s", what,
                        field                               ? l->c->fields[t->parts[i].field]
                        : t->parts[i].kind == CFG_PART_PATH ? "path"
                                                            : "shard",
                        n_by > 0 ? "group" : "list", n_by > 0 ? "\"by\" or the path" : "the path");
    }
    return t;
}

void cfg_load_names(struct cfg_loader *l, const struct cfg_entry *e, const char *what, const size_t **ret,
                    size_t *ret_n)
{
    size_t n = 1;
    if (!e->value.yaml)
        return;
    bool many = e->value.yaml->type == YAML_SEQUENCE_NODE;
    if (many && !cfg_read_list(l, e->value, what, CFG_MAX_FIELDS, &n))
        return;
    size_t *fields = cfg_keep_alloc(l, n, sizeof *fields);
    for (size_t i = 0; fields && i < n; i++) {
        struct cfg_node item = many ? cfg_list_item(e->value, i) : e->value;
        const char *name = cfg_read_text(l, item, what);
        int field = name ? cfg_field_read(l, cfg_node_place(item), what, name) : -1;
        if (field >= 0)
            fields[(*ret_n)++] = (size_t)field;
    }
    *ret = fields;
}

static void load_count(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_listing *list)
{
    if (!e->value.yaml)
        return;
    struct cfg_place at = cfg_node_place(e->value);
    list->count = load_template(l, e, "count", CFG_USE_FRAMES_PATH);
    list->line_count = at.line;
    list->column_count = at.column;
    if (list->each && !list->uses_nframes)
        cfg_mistake(&l->log, cfg_node_place(e->key), "\"count\" is for lists with {nframes} in \"each\"");
}

static void load_broken(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_listing *list)
{
    static const char *const names[] = {"leave_out", "keep"};
    int chosen = 0;
    /* What is told of a value once is no matter of single clips; a pickle has the clips of a stack. */
    list->keep = list->n_distinct > 0 || list->n_columns > 0;
    if (e->value.yaml && cfg_read_choice(l, e->value, "broken", names, BASE_ARRAY_LEN(names), &chosen))
        list->keep = list->n_distinct > 0 || chosen == 1;
    if (e->value.yaml && chosen == 1 && list->uses_nframes)
        cfg_mistake(&l->log, cfg_node_place(e->key),
                    "\"broken: keep\" excludes {nframes}, which a broken clip does not have");
}

/* A pickle has nothing of a text. */
static void load_pickle(struct cfg_loader *l, const struct cfg_entry e[LIST_N], struct cfg_listing *list)
{
    static const int others[] = {LIST_BEGIN, LIST_EACH, LIST_JOIN,  LIST_END,
                                 LIST_COUNT, LIST_BASE, LIST_GROUP, LIST_UNIQUE};
    for (size_t i = 0; i < BASE_ARRAY_LEN(others); i++)
        if (e[others[i]].key.yaml)
            cfg_mistake(&l->log, cfg_node_place(e[others[i]].key), "\"pickle\" excludes \"%s\"",
                        list_keys[others[i]].name);
    cfg_load_pickle(l, e[LIST_PICKLE].value, list);
}

static void load_group(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_view *v)
{
    struct cfg_listing *list = &v->list;
    struct cfg_entry g[GROUP_N] = {0};
    if (!e->value.yaml || !cfg_read_map(l, e->value, "group", false, group_keys, GROUP_N, g))
        return;
    if (!g[GROUP_BY].value.yaml)
        cfg_mistake(&l->log, cfg_node_place(e->value),
                    "a group needs \"by\", the field that its clips share");
    cfg_load_names(l, &g[GROUP_BY], "by", &list->by, &list->n_by);
    list->group_begin = load_end(l, &g[GROUP_BEGIN], "begin", v->path, list->by, list->n_by);
    list->group_join = load_end(l, &g[GROUP_JOIN], "join", v->path, NULL, 0);
    list->group_end = load_end(l, &g[GROUP_END], "end", v->path, list->by, list->n_by);
}

void cfg_load_list(struct cfg_loader *l, struct cfg_node node, struct cfg_view *v)
{
    struct cfg_listing *list = &v->list;
    struct cfg_entry e[LIST_N] = {0};
    *list = (struct cfg_listing){.asked = -1};
    if (node.yaml->type == YAML_SCALAR_NODE)
        e[LIST_EACH].key = e[LIST_EACH].value = node;
    else if (!cfg_read_map(l, node, "list", false, list_keys, LIST_N, e))
        return;
    if (e[LIST_PICKLE].value.yaml)
        load_pickle(l, e, list);
    else if (!e[LIST_EACH].value.yaml)
        cfg_mistake(&l->log, cfg_node_place(node),
                    "a list needs \"each\", what it has for each clip, such as \"{clip} {nframes}\\n\"");
    list->each = load_template(l, &e[LIST_EACH], "each", CFG_USE_LIST);
    list->join = load_end(l, &e[LIST_JOIN], "join", v->path, NULL, 0);
    list->begin = load_end(l, &e[LIST_BEGIN], "begin", v->path, NULL, 0);
    list->end = load_end(l, &e[LIST_END], "end", v->path, NULL, 0);
    load_group(l, &e[LIST_GROUP], v);
    list->uses_nframes = list->each && list->each->uses_nframes;
    cfg_load_names(l, &e[LIST_SORT], "sort", &list->sort, &list->n_sort);
    cfg_load_names(l, &e[LIST_DISTINCT], "distinct", &list->distinct, &list->n_distinct);
    cfg_load_names(l, &e[LIST_UNIQUE], "unique", &list->unique, &list->n_unique);
    if (list->n_unique > 0 && list->n_distinct > 0)
        cfg_mistake(&l->log, cfg_node_place(e[LIST_UNIQUE].key),
                    "\"unique\" excludes \"distinct\", which leaves out the same clips and reports none");
    if (e[LIST_WHERE].value.yaml)
        cfg_load_conditions(l, e[LIST_WHERE].value, "where", &list->where, &list->n_where);
    load_count(l, &e[LIST_COUNT], list);
    load_broken(l, &e[LIST_BROKEN], list);
    if (list->n_distinct > 0 && list->uses_nframes)
        cfg_mistake(&l->log, cfg_node_place(e[LIST_DISTINCT].key),
                    "\"distinct\" excludes {nframes}: an entry stands for several clips");
    if (e[LIST_BASE].value.yaml)
        (void)cfg_read_int(l, e[LIST_BASE].value, "base", 0, 1000000000, &list->base);
}

/* The first view of a kind, with this path unless that is NULL; -1 = there is none. */
static int find_view(const struct cfg *c, enum cfg_view_kind kind, const struct cfg_template *path)
{
    for (size_t i = 0; i < c->n_views; i++)
        if (c->views[i].kind == kind && c->views[i].path &&
            (!path || cfg_template_equal(c->views[i].path, path)))
            return (int)i;
    return -1;
}

static void complete_list(struct cfg_loader *l, struct cfg_view *v)
{
    static const enum cfg_view_kind kinds[] = {CFG_FRAMES, CFG_NPY, CFG_AUDIO};
    struct cfg_listing *list = &v->list;
    if (list->uses_nframes) {
        struct cfg_place at = {v->file, list->count ? list->line_count : v->line,
                               list->count ? list->column_count : v->column};
        list->asked = find_view(l->c, CFG_FRAMES, list->count);
        if (list->asked < 0 && list->count)
            cfg_mistake(&l->log, at, "count: no frames view has this path");
        else if (list->asked < 0)
            cfg_mistake(&l->log, at, "{nframes} counts the frames of a frames view, and there is none");
    }
    for (size_t i = 0; list->asked < 0 && !list->keep && i < BASE_ARRAY_LEN(kinds); i++)
        list->asked = find_view(l->c, kinds[i], NULL);
}

void cfg_complete_lists(struct cfg_loader *l)
{
    for (size_t i = 0; i < l->c->n_views; i++)
        if (l->c->views[i].kind == CFG_LIST)
            complete_list(l, &l->c->views[i]);
}

void cfg_listing_finish(struct cfg_listing *list)
{
    for (size_t i = 0; i < list->n_where; i++)
        cfg_regex_finish(&list->where[i].regex);
}
