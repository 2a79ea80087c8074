/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which clips are in which list, and in what order: known from their fields alone, once a scan; whether each
 * of them can be read, and how many frames it has, is asked when a list is made (fs/lists.c).
 */
#include "mountcfg/scanning.h"

#include "base/hash.h"

#include <ctype.h>
#include <errno.h>

/* ---- Order ---- */

int cfg_compare_values(const char *a, const char *b)
{
    if (!a || !b)
        return (a != NULL) - (b != NULL);
    const char *x = a, *y = b;
    while (*x && *y) {
        if (!isdigit((unsigned char)*x) || !isdigit((unsigned char)*y)) {
            if (*x != *y)
                return (unsigned char)*x < (unsigned char)*y ? -1 : 1;
            x++;
            y++;
            continue;
        }
        x += strspn(x, "0");
        y += strspn(y, "0");
        size_t n = strspn(x, "0123456789"), m = strspn(y, "0123456789");
        int order = n != m ? (n < m ? -1 : 1) : strncmp(x, y, n);
        if (order)
            return order;
        x += n;
        y += m;
    }
    return *x || *y ? (*x != 0) - (*y != 0) : strcmp(a, b);
}

bool cfg_same_group(const struct cfg_listing *list, const struct cfg_clip *a, const struct cfg_clip *b)
{
    for (size_t i = 0; i < list->n_by; i++)
        if (cfg_compare_values(a->values[list->by[i]], b->values[list->by[i]]) != 0)
            return false;
    return true;
}

struct order {
    const struct cfg_clips *clips;
    const struct cfg_listing *list;
};

static int compare_by(const struct order *o, const size_t *fields, size_t n, uint32_t x, uint32_t y)
{
    int order = 0;
    for (size_t i = 0; !order && i < n; i++)
        order =
            cfg_compare_values(o->clips->clips[x].values[fields[i]], o->clips->clips[y].values[fields[i]]);
    return order;
}

/* Groups stand together; clips that are equal stay in the order that they have. */
static int compare_entries(const void *a, const void *b, void *context)
{
    const struct order *o = context;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int order = compare_by(o, o->list->by, o->list->n_by, x, y);
    if (!order)
        order = compare_by(o, o->list->sort, o->list->n_sort, x, y);
    return order ? order : x < y ? -1 : x > y;
}

/* ---- Which clips ---- */

/* A clip that is in a list. */
struct listed {
    uint32_t clip, file; /* file: its place in gathering.files */
};

struct gathering {
    const struct cfg *c;
    struct cfg_log *log;
    struct cfg_matcher *matcher;
    struct cfg_clips *clips;
    struct cfg_list files; /* struct cfg_list_file, of all views */
    /* The view at hand: */
    const struct cfg_view *v;
    size_t first_file;
    struct cfg_list listed; /* struct listed */
    uint32_t *slots;        /* its files by path: place + 1; 0 = free */
    size_t mask;
    const char *what; /* the first clip that cannot be listed, and why, and what becomes of it */
    int field;        /* -1 = none */
    const char *outcome;
    uint32_t misfit;
    size_t n_misfits;
    uint32_t repeated, repeats; /* the first clip that is like one listed before it, and that one */
    size_t n_repeats;
};

/* What keeps a clip out of the list; NULL = nothing. */
static const char *check(const struct gathering *g, const struct cfg_clip *clip, size_t *ret_field)
{
    const struct cfg_listing *list = &g->v->list;
    const struct cfg_template *all[] = {g->v->path, list->each,        list->begin,      list->join,
                                        list->end,  list->group_begin, list->group_join, list->group_end};
    const char *what = NULL;
    for (size_t i = 0; !what && i < BASE_ARRAY_LEN(all); i++) {
        what = all[i] ? cfg_template_check(all[i], clip->values, ret_field) : NULL;
        if (!what && all[i] && !clip->shard && cfg_template_uses(all[i], CFG_PART_SHARD))
            what = "is in no archive, and has no {shard}%s";
    }
    return what;
}

static void note_misfit(struct gathering *g, uint32_t clip, const char *what, int field, const char *outcome)
{
    if (g->n_misfits++ > 0)
        return;
    g->misfit = clip;
    g->what = what;
    g->field = field;
    g->outcome = outcome;
}

static int grow_slots(struct gathering *g)
{
    size_t n = g->files.n - g->first_file;
    if (g->slots && n < g->mask / 2)
        return 0;
    size_t mask = g->slots ? g->mask * 2 + 1 : 63;
    uint32_t *larger = calloc(mask + 1, sizeof *larger);
    if (!larger)
        return -ENOMEM;
    const struct cfg_list_file *files = g->files.items;
    for (size_t i = g->first_file; i < g->files.n; i++) {
        struct base_hash hash = base_hash_of(files[i].path, strlen(files[i].path));
        size_t at;
        memcpy(&at, hash.bytes, sizeof at);
        for (at &= mask; larger[at]; at = (at + 1) & mask)
            ;
        larger[at] = (uint32_t)i + 1;
    }
    free(g->slots);
    g->slots = larger;
    g->mask = mask;
    return 0;
}

/* The file of this path, which is made if there is none. */
static int find_file(struct gathering *g, const char *path, size_t len, uint32_t *ret)
{
    int err = grow_slots(g);
    if (err)
        return err;
    struct base_hash hash = base_hash_of(path, len);
    size_t at;
    memcpy(&at, hash.bytes, sizeof at);
    for (at &= g->mask; g->slots[at]; at = (at + 1) & g->mask) {
        const char *there = ((struct cfg_list_file *)g->files.items)[g->slots[at] - 1].path;
        if (strncmp(there, path, len) == 0 && there[len] == 0)
            break;
    }
    if (!g->slots[at]) {
        struct cfg_list_file *file = cfg_list_add(&g->files, sizeof *file);
        const char *own = file ? cfg_arena_text(g->matcher->arena, path, len) : NULL;
        if (!own)
            return -ENOMEM;
        *file = (struct cfg_list_file){.view = (size_t)(g->v - g->c->views), .path = own};
        g->slots[at] = (uint32_t)g->files.n;
    }
    *ret = g->slots[at] - 1;
    return 0;
}

static int take_clip(struct gathering *g, uint32_t i, struct base_bytes *path)
{
    const struct cfg_clip *clip = &g->clips->clips[i];
    size_t field = 0;
    int held = cfg_conditions_hold(g->matcher, g->v->list.where, g->v->list.n_where, clip->values);
    if (held <= 0)
        return held;
    const char *what = check(g, clip, &field);
    if (!what) {
        path->len = 0;
        cfg_expand(g->v->path, g->clips, clip, 0, 0, path);
        if (path->failed)
            return -ENOMEM;
        what = cfg_check_names((const char *)path->data, path->len);
    }
    if (what) {
        note_misfit(g, i, what, strstr(what, "{%s}") ? (int)field : -1, "not in the list");
        return 0;
    }
    /* It keeps its place, which other files count on. */
    what = cfg_pickle_check(&g->v->list, clip->values, &field);
    if (what)
        note_misfit(g, i, what, (int)field, "None in the list");
    uint32_t file;
    int err = find_file(g, (const char *)path->data, path->len, &file);
    struct listed *listed = err ? NULL : cfg_list_add(&g->listed, sizeof *listed);
    if (!listed)
        return -ENOMEM;
    *listed = (struct listed){i, file};
    ((struct cfg_list_file *)g->files.items)[file].n++;
    return 0;
}

static struct cfg_place view_place(const struct cfg_view *v)
{
    return (struct cfg_place){v->file, v->line, v->column};
}

/* What messages call a clip, as cfg_name_clip() has it, in *scratch. */
static const char *clip_name(const struct gathering *g, uint32_t clip, int field, struct base_bytes *scratch)
{
    cfg_name_clip(&g->clips->clips[clip], field, scratch);
    base_bytes_append(scratch, "", 1);
    return scratch->failed ? g->clips->clips[clip].label : (const char *)scratch->data;
}

static void report_misfits(const struct gathering *g)
{
    struct base_reason what;
    char more[64] = "";
    if (g->n_misfits == 0)
        return;
    if (g->n_misfits > 1)
        (void)snprintf(more, sizeof more, " (and %zu more)", g->n_misfits - 1);
        /* The formats are literals. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(what.text, sizeof what.text, g->what, g->field < 0 ? "" : g->clips->fields[g->field]);
#pragma GCC diagnostic pop
    struct base_bytes name = {0};
    cfg_mistake(g->log, view_place(g->v), "the clip %s %s: %s%s", clip_name(g, g->misfit, g->field, &name),
                what.text, g->outcome, more);
    base_bytes_finish(&name);
}

/* Of clips that have the same where a list has each once. */
static void report_repeats(const struct gathering *g)
{
    const struct cfg_listing *list = &g->v->list;
    struct base_bytes fields = {0}, repeated = {0}, repeats = {0};
    char more[64] = "";
    if (g->n_repeats == 0)
        return;
    if (g->n_repeats > 1)
        (void)snprintf(more, sizeof more, " (and %zu more)", g->n_repeats - 1);
    for (size_t i = 0; i < list->n_unique; i++)
        base_bytes_printf(&fields, "%s{%s}", i > 0 ? ", " : "", g->clips->fields[list->unique[i]]);
    base_bytes_append(&fields, "", 1);
    cfg_mistake(g->log, view_place(g->v), "the clip %s has the %s of %s, which is listed: not in the list%s",
                clip_name(g, g->repeated, -1, &repeated),
                fields.failed ? "values" : (const char *)fields.data, clip_name(g, g->repeats, -1, &repeats),
                more);
    base_bytes_finish(&fields);
    base_bytes_finish(&repeated);
    base_bytes_finish(&repeats);
}

/* ---- One entry for each value ---- */

static struct base_hash hash_of_values(const struct cfg_clip *clip, const size_t *fields, size_t n,
                                       struct base_bytes *scratch)
{
    scratch->len = 0;
    for (size_t i = 0; i < n; i++) {
        const char *value = clip->values[fields[i]];
        base_bytes_append(scratch, value ? "+" : "-", 1);
        base_bytes_append(scratch, value ? value : "", value ? strlen(value) + 1 : 1);
    }
    return base_hash_of(scratch->data, scratch->len);
}

/* Leaves the first entry of each value; others are noted where values were to be unique. */
static int keep_first(struct gathering *g, uint32_t *entries, size_t *n)
{
    const struct cfg_listing *list = &g->v->list;
    const bool unique = list->n_unique > 0;
    size_t mask = 63, kept = 0;
    struct base_bytes scratch = {0};
    while (mask / 2 < *n)
        mask = mask * 2 + 1;
    base_autofree struct base_hash *hashes = calloc(mask + 1, sizeof *hashes);
    base_autofree uint32_t *first = calloc(mask + 1, sizeof *first); /* + 1; 0 = free */
    if (!hashes || !first)
        return -ENOMEM;
    for (size_t i = 0; i < *n; i++) {
        struct base_hash hash =
            hash_of_values(&g->clips->clips[entries[i]], unique ? list->unique : list->distinct,
                           unique ? list->n_unique : list->n_distinct, &scratch);
        size_t at;
        memcpy(&at, hash.bytes, sizeof at);
        for (at &= mask; first[at] && !base_hash_equal(&hashes[at], &hash); at = (at + 1) & mask)
            ;
        if (first[at] && unique && g->n_repeats++ == 0) {
            g->repeated = entries[i];
            g->repeats = first[at] - 1;
        }
        if (first[at])
            continue;
        first[at] = entries[i] + 1;
        hashes[at] = hash;
        entries[kept++] = entries[i];
    }
    *n = kept;
    int err = scratch.failed ? -ENOMEM : 0;
    base_bytes_finish(&scratch);
    return err;
}

/* ---- Files ---- */

/* Gives the view's files their entries. */
static int place_entries(struct gathering *g)
{
    struct cfg_list_file *files = g->files.items;
    const struct listed *listed = g->listed.items;
    struct order order = {g->clips, &g->v->list};
    uint32_t *entries = cfg_arena_alloc(g->matcher->arena, g->listed.n + 1, sizeof *entries);
    if (!entries)
        return -ENOMEM;
    for (size_t i = g->first_file; i < g->files.n; i++) {
        files[i].clips = entries;
        entries += files[i].n;
        files[i].n = 0;
    }
    for (size_t i = 0; i < g->listed.n; i++) {
        struct cfg_list_file *file = &files[listed[i].file];
        ((uint32_t *)(uintptr_t)file->clips)[file->n++] = listed[i].clip;
    }
    int err = 0;
    for (size_t i = g->first_file; !err && i < g->files.n; i++) {
        uint32_t *own = (uint32_t *)(uintptr_t)files[i].clips;
        if (g->v->list.n_sort > 0 || g->v->list.n_by > 0)
            qsort_r(own, files[i].n, sizeof *own, compare_entries, &order);
        if (g->v->list.n_distinct > 0 || g->v->list.n_unique > 0)
            err = keep_first(g, own, &files[i].n);
    }
    return err;
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct cfg_list_file *)a)->path, ((const struct cfg_list_file *)b)->path);
}

static bool has_fields(const struct cfg_template *path)
{
    for (size_t i = 0; i < path->n; i++)
        if (path->parts[i].kind != CFG_PART_TEXT)
            return true;
    return false;
}

static int make_view(struct gathering *g)
{
    struct base_bytes path = {0};
    uint32_t ignored;
    int err = 0;
    g->first_file = g->files.n;
    g->listed.n = 0;
    g->n_misfits = g->n_repeats = 0;
    free(base_steal_pointer(g->slots));
    /* A list of no clips is one, where its name is known. */
    if (!has_fields(g->v->path)) {
        cfg_expand(g->v->path, g->clips, NULL, 0, 0, &path);
        err = path.failed ? -ENOMEM : find_file(g, (const char *)path.data, path.len, &ignored);
    }
    for (uint32_t i = 0; !err && i < g->clips->n; i++)
        err = take_clip(g, i, &path);
    base_bytes_finish(&path);
    if (err)
        return err;
    report_misfits(g);
    err = place_entries(g);
    report_repeats(g);
    if (!err && g->files.n > g->first_file)
        qsort((struct cfg_list_file *)g->files.items + g->first_file, g->files.n - g->first_file,
              sizeof(struct cfg_list_file), compare_files);
    return err;
}

/* ---- Values of fields ---- */

static void note_values(const struct cfg_template *t, bool *wanted)
{
    for (size_t i = 0; t && i < t->n; i++)
        if (t->parts[i].kind == CFG_PART_VALUES)
            wanted[t->parts[i].field] = true;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int gather_values(struct gathering *g, size_t field, struct cfg_values *ret)
{
    const char **values = cfg_arena_alloc(g->matcher->arena, g->clips->n + 1, sizeof *values);
    size_t n = 0, kept = 0;
    if (!values)
        return -ENOMEM;
    for (size_t i = 0; i < g->clips->n; i++)
        if (g->clips->clips[i].values[field])
            values[n++] = g->clips->clips[i].values[field];
    if (n > 1)
        qsort(values, n, sizeof *values, compare_texts);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || strcmp(values[kept - 1], values[i]) != 0)
            values[kept++] = values[i];
    *ret = (struct cfg_values){kept, values};
    return 0;
}

static int gather_all_values(struct gathering *g)
{
    bool wanted[CFG_MAX_FIELDS] = {false};
    struct cfg_values *values = cfg_arena_alloc(g->matcher->arena, g->c->n_fields + 1, sizeof *values);
    int err = values ? 0 : -ENOMEM;
    for (size_t i = 0; i < g->c->n_views; i++) {
        const struct cfg_view *v = &g->c->views[i];
        if (v->kind != CFG_LIST)
            continue;
        note_values(v->list.begin, wanted);
        note_values(v->list.each, wanted);
        note_values(v->list.join, wanted);
        note_values(v->list.end, wanted);
        note_values(v->list.group_begin, wanted);
        note_values(v->list.group_join, wanted);
        note_values(v->list.group_end, wanted);
    }
    for (size_t i = 0; !err && i < g->c->n_fields; i++)
        if (wanted[i])
            err = gather_values(g, i, &values[i]);
    g->clips->values = values;
    return err;
}

int cfg_make_lists(const struct cfg *c, struct cfg_log *log, struct cfg_matcher *matcher,
                   struct cfg_clips *clips)
{
    struct gathering g = {.c = c, .log = log, .matcher = matcher, .clips = clips};
    int err = gather_all_values(&g);
    for (size_t i = 0; !err && i < c->n_views; i++) {
        g.v = &c->views[i];
        if (g.v->kind == CFG_LIST)
            err = make_view(&g);
    }
    if (!err) {
        struct cfg_list_file *files = cfg_arena_alloc(matcher->arena, g.files.n + 1, sizeof *files);
        err = files ? 0 : -ENOMEM;
        if (files && g.files.n > 0)
            memcpy(files, g.files.items, g.files.n * sizeof *files);
        clips->lists = files;
        clips->n_lists = files ? g.files.n : 0;
    }
    cfg_list_finish(&g.files);
    cfg_list_finish(&g.listed);
    free(g.slots);
    return err;
}
