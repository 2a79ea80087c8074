/* SPDX-License-Identifier: Apache-2.0 */
#include "mountcfg/language.h"

enum { SOURCE_VIDEOS, SOURCE_MATCH, SOURCE_ARCHIVES, SOURCE_NESTED, SOURCE_SAMPLES, SOURCE_N };
static const struct cfg_key source_keys[SOURCE_N] = {
    [SOURCE_VIDEOS] = {"videos", false},     [SOURCE_MATCH] = {"match", false},
    [SOURCE_ARCHIVES] = {"archives", false}, [SOURCE_NESTED] = {"nested", false},
    [SOURCE_SAMPLES] = {"samples", false},
};

static void load_match(struct cfg_loader *l, struct cfg_node node, struct cfg_source *s)
{
    if (cfg_regex_load(l, node, "match", &s->match) && s->match.n_groups == 0)
        cfg_mistake(&l->log, s->match.place,
                    "match: it names no field: write a named group such as (?<clip>[^/]+)");
}

static void load_samples(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_source *s)
{
    static const char *const rules[] = {"webdataset"};
    int chosen = 0;
    if (!e[SOURCE_ARCHIVES].key.yaml)
        cfg_mistake(&l->log, cfg_node_place(e[SOURCE_SAMPLES].key),
                    "\"samples\" is for members of \"archives\"");
    if (!cfg_read_choice(l, e[SOURCE_SAMPLES].value, "samples", rules, BASE_ARRAY_LEN(rules), &chosen))
        return;
    int field = cfg_field_add(l, s->place, "samples", "key");
    s->samples = field >= 0;
    s->key_field = field < 0 ? 0 : (size_t)field;
}

/* all_known: else a misspelt key is one mistake, not two. */
static void load_patterns(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_source *s,
                          bool all_known)
{
    if (e[SOURCE_VIDEOS].value.yaml)
        cfg_read_globs(l, e[SOURCE_VIDEOS].value, "videos", &s->globs, &s->n_globs);
    if (e[SOURCE_ARCHIVES].value.yaml)
        cfg_read_globs(l, e[SOURCE_ARCHIVES].value, "archives", &s->archives, &s->n_archives);
    if (e[SOURCE_NESTED].value.yaml)
        cfg_read_globs(l, e[SOURCE_NESTED].value, "nested", &s->nested, &s->n_nested);
    if (e[SOURCE_NESTED].key.yaml && !e[SOURCE_ARCHIVES].key.yaml)
        cfg_mistake(&l->log, cfg_node_place(e[SOURCE_NESTED].key),
                    "\"nested\" is for members of \"archives\"");
    if (e[SOURCE_MATCH].key.yaml && !e[SOURCE_VIDEOS].key.yaml && e[SOURCE_ARCHIVES].key.yaml)
        cfg_mistake(&l->log, cfg_node_place(e[SOURCE_MATCH].key),
                    "\"match\" is for \"videos\" in the archives");
    if (!e[SOURCE_VIDEOS].key.yaml && !e[SOURCE_ARCHIVES].key.yaml && all_known)
        cfg_mistake(&l->log, s->place, "a source needs \"videos\": a pattern such as \"*/*.mp4\"");
}

static void load_source(struct cfg_loader *l, struct cfg_node node)
{
    struct cfg_entry e[SOURCE_N];
    size_t before = l->log.n;
    if (!cfg_read_map(l, node, "a source", false, source_keys, SOURCE_N, e))
        return;
    struct cfg_source *s = &l->c->sources[l->c->n_sources++];
    s->place = cfg_node_place(node);
    load_patterns(l, e, s, l->log.n == before);
    if (e[SOURCE_SAMPLES].value.yaml)
        load_samples(l, e, s);
    if (e[SOURCE_MATCH].value.yaml) {
        load_match(l, e[SOURCE_MATCH].value, s);
    } else {
        int field = cfg_field_add(l, s->place, "sources", "clip");
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
    for (size_t i = 0; i < s->n_archives; i++)
        cfg_glob_destroy(s->archives[i]);
    for (size_t i = 0; i < s->n_nested; i++)
        cfg_glob_destroy(s->nested[i]);
    cfg_regex_finish(&s->match);
}
