/* SPDX-License-Identifier: Apache-2.0 */
#include "mountcfg/internal.h"

#include <errno.h>

enum { SOURCE_VIDEOS, SOURCE_MATCH, SOURCE_ARCHIVES, SOURCE_N };
static const struct cfg_key source_keys[SOURCE_N] = {
    [SOURCE_VIDEOS] = {"videos", false},
    [SOURCE_MATCH] = {"match", false},
    [SOURCE_ARCHIVES] = {"archives", true},
};

/* The index of a field, made when it is new; -1 when reported. */
static int add_field(struct cfg_loader *l, struct cfg_place at, const char *name)
{
    struct cfg *c = l->c;
    int found = cfg_field_find(c, name, strlen(name));
    if (found >= 0)
        return found;
    if (strcmp(name, "frame") == 0 || strcmp(name, "nframes") == 0) {
        cfg_mistake(&l->log, at, "match: a group cannot be named \"%s\": {%s} has a meaning of its own", name,
                    name);
        return -1;
    }
    if (c->n_fields == CFG_MAX_FIELDS) {
        cfg_mistake(&l->log, at, "match: more than %d fields", CFG_MAX_FIELDS);
        return -1;
    }
    const char *kept = cfg_keep(l, name, strlen(name));
    if (!kept)
        return -1;
    c->fields[c->n_fields] = kept;
    return (int)c->n_fields++;
}

static void load_glob(struct cfg_loader *l, struct cfg_node node, struct cfg_source *s)
{
    struct base_reason why = {""};
    const char *text = cfg_read_text(l, node, "videos");
    if (!text)
        return;
    int err = cfg_glob_compile(text, &s->globs[s->n_globs], &why);
    if (err == -ENOMEM)
        l->no_memory = true;
    else if (err < 0)
        cfg_mistake(&l->log, cfg_node_place(node), "videos: %s", why.text);
    else
        s->n_globs++;
}

static void load_globs(struct cfg_loader *l, struct cfg_node node, struct cfg_source *s)
{
    bool list = node.yaml->type == YAML_SEQUENCE_NODE;
    size_t n = 1;
    if (list && !cfg_read_list(l, node, "videos", 1000, &n))
        return;
    s->globs = cfg_keep_alloc(l, n, sizeof *s->globs);
    for (size_t i = 0; s->globs && i < n; i++)
        load_glob(l, list ? cfg_list_item(node, i) : node, s);
}

/* Fills in s->groups from the expression's table of names. */
static void load_groups(struct cfg_loader *l, struct cfg_place at, struct cfg_source *s)
{
    uint32_t n = 0, entry_bytes = 0;
    PCRE2_SPTR table = NULL;
    (void)pcre2_pattern_info(s->utf, PCRE2_INFO_NAMECOUNT, &n);
    (void)pcre2_pattern_info(s->utf, PCRE2_INFO_NAMEENTRYSIZE, &entry_bytes);
    (void)pcre2_pattern_info(s->utf, PCRE2_INFO_NAMETABLE, &table);
    if (n == 0) {
        cfg_mistake(&l->log, at, "match: it names no field: write a named group such as (?<clip>[^/]+)");
        return;
    }
    s->groups = cfg_keep_alloc(l, n, sizeof *s->groups);
    for (uint32_t i = 0; s->groups && i < n; i++) {
        PCRE2_SPTR entry = table + (size_t)i * entry_bytes; /* two bytes of number, then the name */
        int field = add_field(l, at, (const char *)entry + 2);
        if (field < 0)
            return;
        s->groups[s->n_groups++] = (struct cfg_group){(uint32_t)entry[0] << 8 | entry[1], (size_t)field};
    }
}

static void load_match(struct cfg_loader *l, struct cfg_node node, struct cfg_source *s)
{
    /* \C could split a character, and $ would match before a newline that ends a name. */
    const uint32_t options = PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY;
    const char *text = cfg_read_text(l, node, "match");
    int code = 0;
    PCRE2_SIZE offset = 0;
    if (!text)
        return;
    s->utf =
        pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, options | PCRE2_UTF, &code, &offset, NULL);
    if (!s->utf) {
        PCRE2_UCHAR message[256] = "";
        (void)pcre2_get_error_message(code, message, sizeof message);
        cfg_mistake(&l->log, cfg_node_place(node), "match: bad regular expression: %s, at its byte %zu",
                    (const char *)message, offset + 1);
        return;
    }
    s->bytes = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, options | PCRE2_NEVER_UTF, &code,
                             &offset, NULL);
    load_groups(l, cfg_node_place(node), s);
}

static void load_source(struct cfg_loader *l, struct cfg_node node)
{
    struct cfg_entry e[SOURCE_N];
    size_t before = l->log.n;
    if (!cfg_read_map(l, node, "a source", false, source_keys, SOURCE_N, e))
        return;
    struct cfg_source *s = &l->c->sources[l->c->n_sources++];
    s->place = cfg_node_place(node);
    if (e[SOURCE_VIDEOS].value.yaml)
        load_globs(l, e[SOURCE_VIDEOS].value, s);
    else if (l->log.n == before)
        cfg_mistake(&l->log, s->place, "a source needs \"videos\": a pattern such as \"*/*.mp4\"");
    if (e[SOURCE_MATCH].value.yaml) {
        load_match(l, e[SOURCE_MATCH].value, s);
    } else {
        int field = add_field(l, s->place, "clip");
        s->clip_field = field < 0 ? 0 : (size_t)field;
    }
}

void cfg_load_sources(struct cfg_loader *l, struct cfg_node node)
{
    size_t n = 0;
    l->c->sources_place = cfg_node_place(node);
    if (!cfg_read_list(l, node, "sources", CFG_MAX_SOURCES, &n))
        return;
    l->c->sources = cfg_keep_alloc(l, n, sizeof *l->c->sources);
    for (size_t i = 0; l->c->sources && i < n; i++)
        load_source(l, cfg_list_item(node, i));
}

void cfg_source_finish(struct cfg_source *s)
{
    for (size_t i = 0; i < s->n_globs; i++)
        cfg_glob_destroy(s->globs[i]);
    pcre2_code_free(s->utf);
    pcre2_code_free(s->bytes);
}
