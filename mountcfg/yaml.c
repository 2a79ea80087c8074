/* SPDX-License-Identifier: Apache-2.0 */
#include "mountcfg/reading.h"

#include <errno.h>

/* libyaml counts lines and characters from 0. */
static struct cfg_place place_of(const char *file, yaml_mark_t mark)
{
    return (struct cfg_place){file, (int)mark.line + 1, (int)mark.column + 1};
}

struct cfg_place cfg_node_place(struct cfg_node node)
{
    return place_of(node.doc->name, node.yaml->start_mark);
}

/* A reader error (bytes that are no UTF-8) comes with an offset only. */
static struct cfg_place place_of_offset(const char *file, const char *text, size_t len, size_t offset)
{
    struct cfg_place at = {file, 1, 1};
    for (size_t i = 0; i < offset && i < len; i++) {
        at.column++;
        if (text[i] == '\n')
            at = (struct cfg_place){file, at.line + 1, 1};
    }
    return at;
}

static int parser_failed(const yaml_parser_t *p, const char *name, const char *text, size_t len,
                         struct cfg_log *log)
{
    const char *problem = p->problem ? p->problem : "malformed";
    if (p->error == YAML_MEMORY_ERROR)
        return -ENOMEM;
    if (p->error == YAML_READER_ERROR)
        cfg_mistake(log, place_of_offset(name, text, len, p->problem_offset), "not a YAML text in UTF-8: %s",
                    problem);
    else
        cfg_mistake(log, place_of(name, p->problem_mark), "not YAML: %s%s%s", problem, p->context ? ", " : "",
                    p->context ? p->context : "");
    return -EINVAL;
}

struct counts {
    int depth, nodes, anchors, documents;
};

/* What is wrong with the size of the document at this event, or NULL. */
static const char *count_event(struct counts *n, const yaml_event_t *e)
{
    const yaml_char_t *anchor = NULL;
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return ++n->documents > 1 ? "a second document: a configuration is one document" : NULL;
    case YAML_ALIAS_EVENT:
        anchor = e->data.alias.anchor;
        break;
    case YAML_SCALAR_EVENT:
        anchor = e->data.scalar.anchor;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = e->data.sequence_start.anchor;
        n->depth++;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = e->data.mapping_start.anchor;
        n->depth++;
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        n->depth--;
        return NULL;
    default:
        return NULL;
    }
    n->nodes++;
    n->anchors += anchor != NULL;
    if (n->depth > CFG_MAX_YAML_DEPTH)
        return "nested too deeply";
    if (n->nodes > CFG_MAX_YAML_NODES)
        return "too many values";
    return n->anchors > CFG_MAX_YAML_ANCHORS ? "too many anchors and aliases" : NULL;
}

/* A pass over the events before the tree is made: libyaml's composer takes time quadratic in the number of
 * anchors, and has no limits of its own. */
static int check_bounds(const char *name, const char *text, size_t len, struct cfg_log *log)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    struct counts counts = {0};
    int err = 0;
    bool done = false;
    while (err == 0 && !done) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            err = parser_failed(&parser, name, text, len, log);
            break;
        }
        const char *wrong = count_event(&counts, &event);
        if (wrong) {
            cfg_mistake(log, place_of(name, event.start_mark), "%s", wrong);
            err = -EINVAL;
        }
        done = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return err;
}

int cfg_doc_load(struct cfg_doc *d, const char *name, const char *text, size_t len, struct cfg_log *log)
{
    *d = (struct cfg_doc){.name = name};
    int err = check_bounds(name, text, len, log);
    if (err < 0)
        return err;
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    if (!yaml_parser_load(&parser, &d->yaml))
        err = parser_failed(&parser, name, text, len, log);
    else
        d->loaded = true;
    yaml_parser_delete(&parser);
    if (d->loaded && !yaml_document_get_root_node(&d->yaml)) {
        cfg_mistake(log, (struct cfg_place){name, 1, 1}, "the configuration is empty");
        err = -EINVAL;
    }
    return err;
}

void cfg_doc_finish(struct cfg_doc *d)
{
    if (d->loaded)
        yaml_document_delete(&d->yaml);
    d->loaded = false;
}

struct cfg_node cfg_doc_root(struct cfg_doc *d)
{
    return (struct cfg_node){d, yaml_document_get_root_node(&d->yaml)};
}

static struct cfg_node node_at(struct cfg_doc *d, int index)
{
    return (struct cfg_node){d, yaml_document_get_node(&d->yaml, index)};
}

static const char *scalar(struct cfg_node node)
{
    return (const char *)node.yaml->data.scalar.value;
}

bool cfg_node_is_null(struct cfg_node node)
{
    if (node.yaml->type != YAML_SCALAR_NODE || node.yaml->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    const char *text = scalar(node);
    return *text == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

const char *cfg_node_found(struct cfg_node node, struct cfg_found *out)
{
    if (node.yaml->type == YAML_SEQUENCE_NODE)
        return "a list";
    if (node.yaml->type == YAML_MAPPING_NODE)
        return "a mapping";
    if (cfg_node_is_null(node))
        return "nothing";
    size_t len = node.yaml->data.scalar.length;
    (void)snprintf(out->text, sizeof out->text, "\"%.60s%s\"", scalar(node), len > 60 ? "..." : "");
    return out->text;
}

/* ---- Mappings ---- */

struct map {
    const char *what;
    const struct cfg_key *keys;
    size_t n_keys;
    struct cfg_entry *entries;
};

static void unknown_key(struct cfg_loader *l, const struct map *m, struct cfg_node key)
{
    const char *names[64];
    size_t n = 0;
    struct base_bytes known = {0};
    for (size_t i = 0; i < m->n_keys && n < BASE_ARRAY_LEN(names); i++) {
        if (m->keys[i].later)
            continue;
        base_bytes_printf(&known, "%s%s", n > 0 ? ", " : "", m->keys[i].name);
        names[n++] = m->keys[i].name;
    }
    base_bytes_append(&known, "", 1);
    const char *meant = cfg_closest(scalar(key), names, n);
    if (known.failed)
        l->no_memory = true;
    else
        cfg_mistake(&l->log, cfg_node_place(key), "unknown key \"%s\" in %s%s%s%s (known: %s)", scalar(key),
                    m->what, meant ? "; did you mean \"" : "", meant ? meant : "", meant ? "\"?" : "",
                    (const char *)known.data);
    base_bytes_finish(&known);
}

static void put_pair(struct cfg_loader *l, struct map *m, struct cfg_node key, struct cfg_node value,
                     bool merged)
{
    for (size_t i = 0; i < m->n_keys; i++) {
        struct cfg_entry *e = &m->entries[i];
        if (strcmp(scalar(key), m->keys[i].name) != 0)
            continue;
        if (m->keys[i].later)
            cfg_mistake(&l->log, cfg_node_place(key), "\"%s\" in %s is not supported by this version",
                        m->keys[i].name, m->what);
        else if (e->key.yaml && !merged)
            cfg_mistake(&l->log, cfg_node_place(key), "key \"%s\" was already given at line %d",
                        m->keys[i].name, cfg_node_place(e->key).line);
        else if (!e->key.yaml)
            *e = (struct cfg_entry){key, value};
        return;
    }
    unknown_key(l, m, key);
}

static bool is_merge(struct cfg_node key)
{
    return key.yaml->type == YAML_SCALAR_NODE && key.yaml->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           strcmp(scalar(key), "<<") == 0;
}

static bool good_key(struct cfg_loader *l, const struct map *m, struct cfg_node key)
{
    struct cfg_found found;
    if (key.yaml->type == YAML_SCALAR_NODE && strlen(scalar(key)) == key.yaml->data.scalar.length)
        return true;
    cfg_mistake(&l->log, cfg_node_place(key), "%s: expected a key, found %s", m->what,
                cfg_node_found(key, &found));
    return false;
}

static void put_pairs(struct cfg_loader *l, struct map *m, struct cfg_node node, bool merged);

/* Merged pairs never replace a mapping's own ones, so they are put in after those. */
static void put_merged(struct cfg_loader *l, struct map *m, struct cfg_node value)
{
    struct cfg_found found;
    if (++l->merges > CFG_MAX_MERGES) {
        if (l->merges == CFG_MAX_MERGES + 1)
            cfg_mistake(&l->log, cfg_node_place(value), "too many merges (<<)");
        return;
    }
    if (value.yaml->type == YAML_MAPPING_NODE) {
        put_pairs(l, m, value, true);
    } else if (value.yaml->type == YAML_SEQUENCE_NODE) {
        const yaml_node_item_t *item = value.yaml->data.sequence.items.start;
        for (; item < value.yaml->data.sequence.items.top; item++)
            put_merged(l, m, node_at(value.doc, *item));
    } else {
        cfg_mistake(&l->log, cfg_node_place(value), "<<: expected a mapping, found %s",
                    cfg_node_found(value, &found));
    }
}

static void put_pairs(struct cfg_loader *l, struct map *m, struct cfg_node node, bool merged)
{
    const yaml_node_pair_t *start = node.yaml->data.mapping.pairs.start;
    const yaml_node_pair_t *end = node.yaml->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = start; pair < end; pair++) {
        struct cfg_node key = node_at(node.doc, pair->key);
        if (!is_merge(key) && good_key(l, m, key))
            put_pair(l, m, key, node_at(node.doc, pair->value), merged);
    }
    for (const yaml_node_pair_t *pair = start; pair < end; pair++) {
        if (is_merge(node_at(node.doc, pair->key)))
            put_merged(l, m, node_at(node.doc, pair->value));
    }
}

bool cfg_read_map(struct cfg_loader *l, struct cfg_node node, const char *what, bool may_be_empty,
                  const struct cfg_key *keys, size_t n_keys, struct cfg_entry *entries)
{
    struct map m = {what, keys, n_keys, entries};
    struct cfg_found found;
    memset(entries, 0, n_keys * sizeof *entries);
    if (may_be_empty && cfg_node_is_null(node))
        return true;
    if (node.yaml->type != YAML_MAPPING_NODE) {
        cfg_mistake(&l->log, cfg_node_place(node), "%s: expected a mapping (key: value), found %s", what,
                    cfg_node_found(node, &found));
        return false;
    }
    put_pairs(l, &m, node, false);
    return true;
}

/* ---- Mappings with keys of any name ---- */

struct cfg_entry cfg_pair(struct cfg_node map, size_t i)
{
    const yaml_node_pair_t *pair = &map.yaml->data.mapping.pairs.start[i];
    return (struct cfg_entry){node_at(map.doc, pair->key), node_at(map.doc, pair->value)};
}

const char *cfg_pair_name(struct cfg_entry pair)
{
    return scalar(pair.key);
}

bool cfg_read_pairs(struct cfg_loader *l, struct cfg_node node, const char *what, size_t max, size_t *ret_n)
{
    struct map m = {.what = what};
    struct cfg_found found;
    if (node.yaml->type != YAML_MAPPING_NODE) {
        cfg_mistake(&l->log, cfg_node_place(node), "%s: expected a mapping (key: value), found %s", what,
                    cfg_node_found(node, &found));
        return false;
    }
    size_t n = (size_t)(node.yaml->data.mapping.pairs.top - node.yaml->data.mapping.pairs.start);
    if (n == 0 || n > max) {
        cfg_mistake(&l->log, cfg_node_place(node), "%s: expected a mapping of 1 to %zu keys, found %zu", what,
                    max, n);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        struct cfg_entry pair = cfg_pair(node, i);
        if (!good_key(l, &m, pair.key))
            return false;
        if (is_merge(pair.key)) {
            cfg_mistake(&l->log, cfg_node_place(pair.key), "%s: merge keys (<<) do not work here", what);
            return false;
        }
        for (size_t k = 0; k < i; k++) {
            struct cfg_entry other = cfg_pair(node, k);
            if (strcmp(scalar(pair.key), scalar(other.key)) != 0)
                continue;
            cfg_mistake(&l->log, cfg_node_place(pair.key), "key \"%s\" was already given at line %d",
                        scalar(pair.key), cfg_node_place(other.key).line);
            return false;
        }
    }
    *ret_n = n;
    return true;
}

/* ---- Lists and texts ---- */

bool cfg_read_list(struct cfg_loader *l, struct cfg_node node, const char *what, size_t max, size_t *ret_n)
{
    struct cfg_found found;
    if (node.yaml->type != YAML_SEQUENCE_NODE) {
        cfg_mistake(&l->log, cfg_node_place(node), "%s: expected a list, found %s", what,
                    cfg_node_found(node, &found));
        return false;
    }
    size_t n = (size_t)(node.yaml->data.sequence.items.top - node.yaml->data.sequence.items.start);
    if (n == 0 || n > max) {
        cfg_mistake(&l->log, cfg_node_place(node), "%s: expected a list of 1 to %zu items, found %zu", what,
                    max, n);
        return false;
    }
    *ret_n = n;
    return true;
}

struct cfg_node cfg_list_item(struct cfg_node list, size_t i)
{
    return node_at(list.doc, list.yaml->data.sequence.items.start[i]);
}

const char *cfg_read_text(struct cfg_loader *l, struct cfg_node node, const char *what)
{
    struct cfg_found found;
    struct cfg_place at = cfg_node_place(node);
    if (node.yaml->type != YAML_SCALAR_NODE || cfg_node_is_null(node)) {
        cfg_mistake(&l->log, at, "%s: expected a text, found %s%s", what, cfg_node_found(node, &found),
                    node.yaml->type == YAML_MAPPING_NODE ? " (a text that starts with a brace needs quotes)"
                                                         : "");
        return NULL;
    }
    size_t len = node.yaml->data.scalar.length;
    if (len == 0 || strlen(scalar(node)) != len) {
        cfg_mistake(&l->log, at, "%s: expected a text, found %s", what,
                    len == 0 ? "an empty one" : "one with a NUL character in it");
        return NULL;
    }
    return scalar(node);
}
