/* SPDX-License-Identifier: Apache-2.0 */
#include "mountcfg/language.h"

#include <ctype.h>

struct options {
    struct cfg_loader *l;
    const char *preset; /* as messages call it */
    struct cfg_node of_preset, given;
    size_t n_of_preset, n_given;
};

static struct cfg_node find(struct cfg_node map, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(cfg_pair_name(cfg_pair(map, i)), name) == 0)
            return cfg_pair(map, i).value;
    }
    return (struct cfg_node){0};
}

static void report_unknown(struct options *o, struct cfg_entry pair)
{
    const char *known[CFG_MAX_OPTIONS], *name = cfg_pair_name(pair);
    char list[512] = "";
    size_t len = 0;
    for (size_t i = 0; i < o->n_of_preset; i++) {
        known[i] = cfg_pair_name(cfg_pair(o->of_preset, i));
        int added = snprintf(list + len, sizeof list - len, "%s%s", i > 0 ? ", " : "", known[i]);
        len = BASE_MIN(len + (size_t)BASE_MAX(added, 0), sizeof list - 1);
    }
    const char *meant = cfg_closest(name, known, o->n_of_preset);
    cfg_mistake(&o->l->log, cfg_node_place(pair.key), "%s has no option \"%s\"%s%s%s (known: %s)", o->preset,
                name, meant ? "; did you mean \"" : "", meant ? meant : "", meant ? "\"?" : "",
                o->n_of_preset > 0 ? list : "none");
}

/* Within a double-quoted YAML text. */
static void put_quoted(const char *value, struct base_bytes *out)
{
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            base_bytes_append(out, "\\", 1);
        base_bytes_append(out, value, 1);
    }
}

static bool has_control(const char *text)
{
    for (; *text; text++) {
        if (iscntrl((unsigned char)*text))
            return true;
    }
    return false;
}

/* Puts the option at `text`, which points behind "${", into out, and returns what follows its brace; NULL
 * when reported. */
static const char *put_option(struct options *o, const char *text, const char *end, struct base_bytes *out)
{
    char name[64];
    const char *close = memchr(text, '}', (size_t)(end - text));
    size_t len = close ? (size_t)(close - text) : 0;
    (void)snprintf(name, sizeof name, "%.*s", (int)BASE_MIN(len, sizeof name - 1), text);
    struct cfg_node value = find(o->given, o->n_given, name);
    if (!value.yaml)
        value = find(o->of_preset, o->n_of_preset, name);
    if (!value.yaml) {
        cfg_mistake(&o->l->log, cfg_node_place(o->of_preset), "there is no option ${%s}", name);
        return NULL;
    }
    const char *chosen = cfg_read_text(o->l, value, name);
    if (!chosen)
        return NULL;
    if (has_control(chosen)) {
        cfg_mistake(&o->l->log, cfg_node_place(value), "%s: an option is one line of text", name);
        return NULL;
    }
    put_quoted(chosen, out);
    return close + 1;
}

static bool put_all(struct options *o, const char *text, size_t len, struct base_bytes *out)
{
    const char *end = text + len;
    while (text < end) {
        const char *at = memmem(text, (size_t)(end - text), "${", 2);
        base_bytes_append(out, text, (size_t)((at ? at : end) - text));
        if (!at)
            break;
        text = put_option(o, at + 2, end, out);
        if (!text)
            return false;
    }
    if (out->failed)
        o->l->no_memory = true;
    return !out->failed;
}

bool cfg_put_options(struct cfg_loader *l, const char *preset, struct cfg_node of_preset,
                     struct cfg_node given, const char *text, size_t len, struct base_bytes *out)
{
    struct options o = {.l = l, .preset = preset, .of_preset = of_preset, .given = given};
    size_t before = l->log.n;
    if (of_preset.yaml && !cfg_read_pairs(l, of_preset, "options", CFG_MAX_OPTIONS, &o.n_of_preset))
        return false;
    if (given.yaml && !cfg_read_pairs(l, given, "options", CFG_MAX_OPTIONS, &o.n_given))
        return false;
    for (size_t i = 0; i < o.n_given; i++) {
        struct cfg_entry pair = cfg_pair(given, i);
        if (!find(of_preset, o.n_of_preset, cfg_pair_name(pair)).yaml)
            report_unknown(&o, pair);
    }
    return l->log.n == before && put_all(&o, text, len, out);
}
