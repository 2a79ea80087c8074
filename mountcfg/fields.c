/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fields:`, what is derived from what names and tables give.
 *
 * Each entry is a field and its rule, or several, of which the first has its way whose `when` holds. A rule
 * takes a value (`set`, `of`, or what the field was), and passes it on from step to step: `match`, `case`,
 * `map`, `index`. What a step has no answer for gets the `default`; a value that `map` or `index` does not
 * know takes the clip out of the tree, which is reported, and one that is mapped to nothing (~) takes it out
 * as was wished.
 */
#include "mountcfg/scanning.h"

#include <ctype.h>
#include <errno.h>

enum {
    RULE_WHEN,
    RULE_OF,
    RULE_SET,
    RULE_MATCH,
    RULE_CASE,
    RULE_MAP,
    RULE_INDEX,
    RULE_BASE,
    RULE_DEFAULT,
    RULE_N
};
static const struct cfg_key rule_keys[RULE_N] = {
    [RULE_WHEN] = {"when", false},   [RULE_OF] = {"of", false},     [RULE_SET] = {"set", false},
    [RULE_MATCH] = {"match", false}, [RULE_CASE] = {"case", false}, [RULE_MAP] = {"map", false},
    [RULE_INDEX] = {"index", false}, [RULE_BASE] = {"base", false}, [RULE_DEFAULT] = {"default", false},
};

/* ---- Reading ---- */

int cfg_field_add(struct cfg_loader *l, struct cfg_place at, const char *what, const char *name)
{
    struct cfg *c = l->c;
    int found = cfg_field_find(c, name, strlen(name));
    if (found >= 0)
        return found;
    if (strcmp(name, "frame") == 0 || strcmp(name, "nframes") == 0) {
        cfg_mistake(&l->log, at, "%s: a field cannot be named \"%s\": {%s} has a meaning of its own", what,
                    name, name);
        return -1;
    }
    if (strpbrk(name, "{}:")) {
        cfg_mistake(&l->log, at, "%s: a field cannot be named \"%s\": no {, } or : in it", what, name);
        return -1;
    }
    if (c->n_fields == CFG_MAX_FIELDS) {
        cfg_mistake(&l->log, at, "%s: more than %d fields", what, CFG_MAX_FIELDS);
        return -1;
    }
    const char *kept = cfg_keep(l, name, strlen(name));
    if (!kept)
        return -1;
    c->fields[c->n_fields] = kept;
    return (int)c->n_fields++;
}

int cfg_field_open(struct cfg_loader *l, struct cfg_place at, const char *name, size_t len)
{
    char text[256];
    if (!l->tables_open || len == 0 || len >= sizeof text)
        return -1;
    (void)snprintf(text, sizeof text, "%.*s", (int)len, name);
    int field = cfg_field_add(l, at, "a field", text);
    if (field >= 0)
        l->c->from_tables[field] = true;
    return field;
}

int cfg_field_read(struct cfg_loader *l, struct cfg_place at, const char *what, const char *name)
{
    int field = cfg_field_find(l->c, name, strlen(name));
    if (field < 0)
        field = cfg_field_open(l, at, name, strlen(name));
    if (field < 0)
        cfg_field_unknown(l, at, what, name, strlen(name));
    return field;
}

void cfg_load_conditions(struct cfg_loader *l, struct cfg_node node, const char *what,
                         struct cfg_condition **ret, size_t *ret_n)
{
    size_t n = 0;
    if (!cfg_read_pairs(l, node, what, CFG_MAX_FIELDS, &n))
        return;
    *ret = cfg_keep_alloc(l, n, sizeof **ret);
    for (size_t i = 0; *ret && i < n; i++) {
        struct cfg_entry pair = cfg_pair(node, i);
        struct cfg_condition *condition = &(*ret)[*ret_n];
        int field = cfg_field_read(l, cfg_node_place(pair.key), what, cfg_pair_name(pair));
        /* Counted first: what was compiled is freed also after a mistake. */
        ++*ret_n;
        condition->field = field < 0 ? 0 : (size_t)field;
        (void)cfg_regex_load(l, pair.value, what, &condition->regex);
    }
}

static int compare_mappings(const void *a, const void *b)
{
    return strcmp(((const struct cfg_mapping *)a)->from, ((const struct cfg_mapping *)b)->from);
}

static void load_map(struct cfg_loader *l, struct cfg_node node, struct cfg_rule *r)
{
    size_t n = 0;
    if (!cfg_read_pairs(l, node, "map", CFG_MAX_MAP, &n))
        return;
    r->map = cfg_keep_alloc(l, n, sizeof *r->map);
    for (size_t i = 0; r->map && i < n; i++) {
        struct cfg_entry pair = cfg_pair(node, i);
        const char *name = cfg_pair_name(pair), *to = NULL;
        if (!cfg_node_is_null(pair.value)) {
            to = cfg_read_text(l, pair.value, "map");
            to = to ? cfg_keep(l, to, strlen(to)) : NULL;
        }
        r->map[r->n_map++] = (struct cfg_mapping){cfg_keep(l, name, strlen(name)), to};
    }
    if (r->map && !l->no_memory)
        qsort(r->map, r->n_map, sizeof *r->map, compare_mappings);
}

static void load_index(struct cfg_loader *l, struct cfg_node node, struct cfg_rule *r)
{
    size_t n = 0;
    if (node.yaml->type == YAML_SCALAR_NODE &&
        strcmp((const char *)node.yaml->data.scalar.value, "sorted") == 0) {
        r->index_sorted = true;
        return;
    }
    if (!cfg_read_list(l, node, "index", CFG_MAX_MAP, &n))
        return;
    r->index = cfg_keep_alloc(l, n, sizeof *r->index);
    for (size_t i = 0; r->index && i < n; i++) {
        struct cfg_node item = cfg_list_item(node, i);
        const char *text = cfg_read_text(l, item, "index");
        for (size_t k = 0; text && k < r->n_index; k++) {
            if (strcmp(r->index[k], text) == 0)
                cfg_mistake(&l->log, cfg_node_place(item), "index: \"%s\" stands twice", text);
        }
        text = text ? cfg_keep(l, text, strlen(text)) : NULL;
        if (!text)
            return;
        r->index[r->n_index++] = text;
    }
}

/* Where the value comes from. */
static void load_value(struct cfg_loader *l, const struct cfg_entry *e, const char *name, struct cfg_rule *r)
{
    const struct cfg_entry *set = &e[RULE_SET], *of = &e[RULE_OF];
    if (set->value.yaml && of->value.yaml)
        cfg_mistake(&l->log, cfg_node_place(of->key), "\"of\" and \"set\" exclude each other");
    if (set->value.yaml) {
        const char *text = cfg_read_text(l, set->value, "set");
        r->set = text ? cfg_template_parse(l, cfg_node_place(set->value), text, CFG_USE_VALUE) : NULL;
        return;
    }
    const char *text = of->value.yaml ? cfg_read_text(l, of->value, "of") : name;
    struct cfg_place at = of->value.yaml ? cfg_node_place(of->value) : r->place;
    int field =
        text ? cfg_field_read(l, at, of->value.yaml ? "of" : "a field without \"of\" or \"set\"", text) : -1;
    r->of = field < 0 ? 0 : (size_t)field;
}

static void load_rule(struct cfg_loader *l, struct cfg_node node, const char *name, struct cfg_rule *r)
{
    static const char *const cases[] = {
        [CFG_AS_THEY_ARE] = "keep", [CFG_LOWER] = "lower", [CFG_UPPER] = "upper", [CFG_TITLE] = "title"};
    struct cfg_entry e[RULE_N];
    int chosen = 0;
    r->place = cfg_node_place(node);
    if (!cfg_read_map(l, node, "a field", false, rule_keys, RULE_N, e))
        return;
    /* Groups that `when` and `match` name may stand in `set`. */
    if (e[RULE_WHEN].value.yaml)
        cfg_load_conditions(l, e[RULE_WHEN].value, "when", &r->conditions, &r->n_conditions);
    if (e[RULE_MATCH].value.yaml)
        (void)cfg_regex_load(l, e[RULE_MATCH].value, "match", &r->match);
    load_value(l, e, name, r);
    if (e[RULE_CASE].value.yaml &&
        cfg_read_choice(l, e[RULE_CASE].value, "case", cases, BASE_ARRAY_LEN(cases), &chosen))
        r->letters = (enum cfg_letters)chosen;
    if (e[RULE_MAP].value.yaml)
        load_map(l, e[RULE_MAP].value, r);
    if (e[RULE_INDEX].value.yaml)
        load_index(l, e[RULE_INDEX].value, r);
    if (e[RULE_BASE].value.yaml && !e[RULE_INDEX].value.yaml)
        cfg_mistake(&l->log, cfg_node_place(e[RULE_BASE].key), "\"base\" belongs to \"index\"");
    else if (e[RULE_BASE].value.yaml)
        (void)cfg_read_int(l, e[RULE_BASE].value, "base", 0, 1000000000, &r->base);
    if (!e[RULE_DEFAULT].value.yaml)
        return;
    r->has_fallback = true;
    if (cfg_node_is_null(e[RULE_DEFAULT].value))
        return;
    const yaml_node_t *fallback = e[RULE_DEFAULT].value.yaml; /* it may be an empty text */
    bool empty = fallback->type == YAML_SCALAR_NODE && fallback->data.scalar.length == 0;
    const char *text = empty ? "" : cfg_read_text(l, e[RULE_DEFAULT].value, "default");
    r->fallback = text ? cfg_keep(l, text, strlen(text)) : NULL;
}

static void load_field(struct cfg_loader *l, struct cfg_entry pair)
{
    const char *name = cfg_pair_name(pair);
    bool list = pair.value.yaml->type == YAML_SEQUENCE_NODE;
    size_t n = 1;
    if (list && !cfg_read_list(l, pair.value, "a field", CFG_MAX_RULES, &n))
        return;
    struct cfg_derived *d = &l->c->derived[l->c->n_derived];
    d->rules = cfg_keep_alloc(l, n, sizeof *d->rules);
    if (!d->rules)
        return;
    l->c->n_derived++;
    for (size_t i = 0; i < n; i++) {
        d->n_rules++;
        load_rule(l, list ? cfg_list_item(pair.value, i) : pair.value, name, &d->rules[i]);
    }
    /* Last, so that a rule about a field that nothing else gives is told. */
    int field = cfg_field_add(l, cfg_node_place(pair.key), "fields", name);
    d->field = field < 0 ? 0 : (size_t)field;
}

void cfg_load_fields(struct cfg_loader *l, struct cfg_node node)
{
    size_t n = 0;
    if (!cfg_read_pairs(l, node, "fields", CFG_MAX_FIELDS, &n))
        return;
    l->c->derived = cfg_keep_alloc(l, n, sizeof *l->c->derived);
    for (size_t i = 0; l->c->derived && i < n; i++)
        load_field(l, cfg_pair(node, i));
}

void cfg_derived_finish(struct cfg_derived *d)
{
    for (size_t i = 0; i < d->n_rules; i++) {
        for (size_t k = 0; k < d->rules[i].n_conditions; k++)
            cfg_regex_finish(&d->rules[i].conditions[k].regex);
        cfg_regex_finish(&d->rules[i].match);
    }
}

/* ---- Deriving ---- */

/* Clips that a rule takes out: by value that it does not know, or together, by those mapped to nothing. */
struct loss {
    const struct cfg_rule *rule;
    const struct cfg_derived *field;
    const char *value; /* NULL = as was wished; "" after MAX_LOSSES others: any */
    const char *clip;  /* the first, as messages have it */
    size_t n;
};
enum { MAX_LOSSES = 100 };

struct derivation {
    const struct cfg *c;
    struct cfg_log *log;
    struct cfg_matcher *matcher;
    struct cfg_clips *clips;
    const struct cfg_clip *clip; /* at hand, */
    const struct cfg_derived *field;
    const char **values; /* its values, */
    bool lost;           /* and whether it is to go */
    struct cfg_list losses;
    struct cfg_list unplaced; /* struct unplaced: of the field at hand, in the order of the clips */
};

/* A clip whose value becomes its place among those of all clips, once all are known. */
struct unplaced {
    const char **value; /* in the clip's values */
    const struct cfg_rule *rule;
};

static int lose(struct derivation *d, const struct cfg_rule *rule, const char *value)
{
    struct loss *losses = d->losses.items;
    d->lost = true;
    if (value && d->losses.n >= MAX_LOSSES)
        value = "";
    for (size_t i = 0; i < d->losses.n; i++) {
        bool same =
            !value || !losses[i].value ? value == losses[i].value : strcmp(value, losses[i].value) == 0;
        if (losses[i].rule == rule && same) {
            losses[i].n++;
            return 0;
        }
    }
    struct base_bytes name = {0};
    cfg_name_clip(d->clip, rule->set ? -1 : (int)rule->of, &name);
    const char *own =
        name.failed ? NULL : cfg_arena_text(d->matcher->arena, (const char *)name.data, name.len);
    base_bytes_finish(&name);
    struct loss *added = own ? cfg_list_add(&d->losses, sizeof *added) : NULL;
    if (!added)
        return -ENOMEM;
    *added = (struct loss){rule, d->field, value, own, 1};
    return 0;
}

static const char *change_case(struct cfg_arena *arena, const char *value, enum cfg_letters letters)
{
    size_t len = strlen(value);
    char *text = cfg_arena_alloc(arena, len + 1, 1);
    bool in_word = false;
    for (size_t i = 0; text && i < len; i++) {
        unsigned char b = (unsigned char)value[i];
        bool upper = letters == CFG_UPPER || (letters == CFG_TITLE && !in_word);
        text[i] = (char)(b >= 0x80 ? b : upper ? toupper(b) : tolower(b));
        in_word = b >= 0x80 || isalnum(b) || b == '\'';
    }
    return text;
}

int cfg_conditions_hold(struct cfg_matcher *m, const struct cfg_condition *conditions, size_t n,
                        const char *const *values)
{
    int held = 1;
    for (size_t i = 0; held > 0 && i < n; i++) {
        const char *value = values[conditions[i].field];
        held = value ? cfg_match(m, &conditions[i].regex, value, strlen(value)) : 0;
    }
    return held;
}

/* 1 = all conditions hold, 0 = not, or -ENOMEM. */
static int holds(struct derivation *d, const struct cfg_rule *r)
{
    int held = cfg_conditions_hold(d->matcher, r->conditions, r->n_conditions, d->values);
    /* Only a rule that has its way leaves its groups. */
    for (size_t i = 0; held > 0 && i < r->n_conditions; i++) {
        const char *value = d->values[r->conditions[i].field];
        if (r->conditions[i].regex.n_groups == 0)
            continue;
        held = cfg_match(d->matcher, &r->conditions[i].regex, value, strlen(value));
        int err = held > 0 ? cfg_take_groups(d->matcher, &r->conditions[i].regex, true, d->values) : 0;
        held = err < 0 ? err : held;
    }
    return held;
}

/* The value that a rule starts from; *ret NULL = the clip has none. */
static int first_value(struct derivation *d, const struct cfg_rule *r, const char **ret)
{
    size_t field;
    if (!r->set) {
        *ret = d->values[r->of];
        return 0;
    }
    *ret = NULL;
    if (cfg_template_check(r->set, d->values, &field))
        return 0;
    struct base_bytes text = {0};
    cfg_expand(r->set, d->clips, d->clip, 0, 0, &text);
    if (!text.failed)
        *ret = cfg_arena_text(d->matcher->arena, (const char *)text.data, text.len);
    base_bytes_finish(&text);
    return *ret ? 0 : -ENOMEM;
}

/* What the expression takes from the value: its first group, or the whole match where it has none. */
static int extract(struct derivation *d, const struct cfg_rule *r, const char **value)
{
    int matched = cfg_match(d->matcher, &r->match, *value, strlen(*value));
    *value = NULL;
    if (matched <= 0)
        return matched;
    int err = cfg_take_groups(d->matcher, &r->match, true, d->values);
    if (!err)
        err = cfg_matched(d->matcher, r->match.n_captures > 0 ? 1 : 0, value);
    return err < 0 ? err : 0;
}

static int look_up(struct derivation *d, const struct cfg_rule *r, const char **value)
{
    const struct cfg_mapping wanted = {*value, NULL};
    const struct cfg_mapping *found = bsearch(&wanted, r->map, r->n_map, sizeof *r->map, compare_mappings);
    if (!found)
        *value = NULL;
    else if (!found->to)
        return lose(d, r, NULL);
    else
        *value = cfg_arena_text(d->matcher->arena, found->to, strlen(found->to));
    return found && !*value ? -ENOMEM : 0;
}

static int write_number(struct derivation *d, size_t value, const char **ret)
{
    char number[24];
    int len = snprintf(number, sizeof number, "%zu", value);
    *ret = cfg_arena_text(d->matcher->arena, number, (size_t)len);
    return *ret ? 0 : -ENOMEM;
}

static int find_index(struct derivation *d, const struct cfg_rule *r, const char **value)
{
    size_t i = 0;
    while (i < r->n_index && strcmp(r->index[i], *value) != 0)
        i++;
    if (i == r->n_index) {
        *value = NULL;
        return 0;
    }
    return write_number(d, (size_t)r->base + i, value);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Gives the field's values that are to be sorted their places among each other. */
static int place_values(struct derivation *d)
{
    struct unplaced *u = d->unplaced.items;
    size_t n = 0, n_all = d->unplaced.n;
    base_autofree const char **texts = calloc(n_all + 1, sizeof *texts);
    int err = texts ? 0 : -ENOMEM;
    for (size_t i = 0; !err && i < n_all; i++)
        texts[i] = *u[i].value;
    if (!err && n_all > 1)
        qsort(texts, n_all, sizeof *texts, compare_texts);
    for (size_t i = 0; !err && i < n_all; i++) {
        if (n == 0 || strcmp(texts[n - 1], texts[i]) != 0)
            texts[n++] = texts[i];
    }
    for (size_t i = 0; !err && i < n_all; i++) {
        const char *const *found = bsearch(u[i].value, texts, n, sizeof *texts, compare_texts);
        err = write_number(d, (size_t)u[i].rule->base + (size_t)(found - texts), u[i].value);
    }
    d->unplaced.n = 0;
    return err;
}

/* The field's value by a rule that holds. */
static int apply_rule(struct derivation *d, const struct cfg_rule *r)
{
    const char *value, *unknown = NULL;
    int err = first_value(d, r, &value);
    if (!err && value && r->match.utf)
        err = extract(d, r, &value);
    if (!err && value && r->letters) {
        value = change_case(d->matcher->arena, value, r->letters);
        err = value ? 0 : -ENOMEM;
    }
    if (!err && value && r->n_map > 0) {
        unknown = value;
        err = look_up(d, r, &value);
    }
    if (!err && value && !d->lost && r->n_index > 0) {
        unknown = value;
        err = find_index(d, r, &value);
    }
    if (err || d->lost)
        return err;
    bool sorted = value && r->index_sorted;
    if (!value && !r->has_fallback && unknown)
        return lose(d, r, unknown);
    if (!value && r->has_fallback && !r->fallback)
        return lose(d, r, NULL);
    if (!value && r->fallback) {
        value = cfg_arena_text(d->matcher->arena, r->fallback, strlen(r->fallback));
        err = value ? 0 : -ENOMEM;
    }
    d->values[d->field->field] = value;
    if (!err && sorted) {
        struct unplaced *u = cfg_list_add(&d->unplaced, sizeof *u);
        if (!u)
            return -ENOMEM;
        *u = (struct unplaced){&d->values[d->field->field], r};
    }
    return err;
}

static int derive_field(struct derivation *d)
{
    for (size_t i = 0; i < d->field->n_rules; i++) {
        int held = holds(d, &d->field->rules[i]);
        if (held != 0)
            return held < 0 ? held : apply_rule(d, &d->field->rules[i]);
    }
    return 0;
}

static void report_losses(const struct derivation *d)
{
    const struct loss *loss = d->losses.items;
    for (size_t i = 0; i < d->losses.n; i++, loss++) {
        const char *field = d->c->fields[loss->field->field];
        char more[64] = "";
        if (loss->n > 1)
            (void)snprintf(more, sizeof more, " (and %zu more)", loss->n - 1);
        if (!loss->value)
            cfg_note(d->log, loss->rule->place,
                     "note: {%s} leaves out %zu clips, as was wished; the first is %s", field, loss->n,
                     loss->clip);
        else
            cfg_mistake(d->log, loss->rule->place,
                        "the clip %s gives {%s} %s%s%s, which its \"%s\" does not know: left out%s",
                        loss->clip, field, *loss->value ? "\"" : "yet another value", loss->value,
                        *loss->value ? "\"" : "",
                        loss->rule->n_index > 0 && loss->rule->n_map == 0 ? "index" : "map", more);
    }
}

int cfg_derive_fields(const struct cfg *c, struct cfg_log *log, struct cfg_matcher *matcher,
                      struct cfg_clips *clips)
{
    struct derivation d = {.c = c, .log = log, .matcher = matcher, .clips = clips};
    int err = 0;
    for (size_t k = 0; !err && k < c->n_derived; k++) {
        size_t n = 0;
        d.field = &c->derived[k];
        for (size_t i = 0; !err && i < clips->n; i++) {
            d.clip = &clips->clips[i];
            d.values = (const char **)(uintptr_t)d.clip->values;
            d.lost = false;
            err = derive_field(&d);
            if (!d.lost)
                clips->clips[n++] = clips->clips[i];
        }
        if (!err) {
            clips->n = n;
            err = place_values(&d);
        }
    }
    if (!err)
        report_losses(&d);
    cfg_list_finish(&d.losses);
    cfg_list_finish(&d.unplaced);
    return err;
}
