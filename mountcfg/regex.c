/* SPDX-License-Identifier: Apache-2.0 */
#include "mountcfg/language.h"

#include <errno.h>

/* What one expression may cost on one text: far above any sensible one, below a second. */
#define MATCH_LIMIT 200000
#define MATCH_HEAP_KIB 20000

/* ---- Reading ---- */

/* Fills in r->groups from the expression's table of names. */
static bool load_groups(struct cfg_loader *l, struct cfg_place at, const char *what, struct cfg_regex *r)
{
    uint32_t n = 0, n_captures = 0, entry_bytes = 0;
    PCRE2_SPTR table = NULL;
    (void)pcre2_pattern_info(r->utf, PCRE2_INFO_CAPTURECOUNT, &n_captures);
    (void)pcre2_pattern_info(r->utf, PCRE2_INFO_NAMECOUNT, &n);
    (void)pcre2_pattern_info(r->utf, PCRE2_INFO_NAMEENTRYSIZE, &entry_bytes);
    (void)pcre2_pattern_info(r->utf, PCRE2_INFO_NAMETABLE, &table);
    l->c->most_captures = BASE_MAX(l->c->most_captures, n_captures);
    r->n_captures = n_captures;
    if (n == 0)
        return true;
    r->groups = cfg_keep_alloc(l, n, sizeof *r->groups);
    for (uint32_t i = 0; r->groups && i < n; i++) {
        PCRE2_SPTR entry = table + (size_t)i * entry_bytes; /* two bytes of number, then the name */
        int field = cfg_field_add(l, at, what, (const char *)entry + 2);
        if (field < 0)
            return false;
        r->groups[r->n_groups++] = (struct cfg_group){(uint32_t)entry[0] << 8 | entry[1], (size_t)field};
    }
    return r->groups != NULL;
}

bool cfg_regex_load(struct cfg_loader *l, struct cfg_node node, const char *what, struct cfg_regex *r)
{
    /* \C could split a character, and $ would match before a newline that ends a name. */
    const uint32_t options = PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY;
    const char *text = cfg_read_text(l, node, what);
    int code = 0;
    PCRE2_SIZE offset = 0;
    if (!text)
        return false;
    r->place = cfg_node_place(node);
    r->what = what;
    r->utf =
        pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, options | PCRE2_UTF, &code, &offset, NULL);
    if (!r->utf) {
        PCRE2_UCHAR message[256] = "";
        (void)pcre2_get_error_message(code, message, sizeof message);
        cfg_mistake(&l->log, r->place, "%s: bad regular expression: %s, at its byte %zu", what,
                    (const char *)message, offset + 1);
        return false;
    }
    r->bytes = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, options | PCRE2_NEVER_UTF, &code,
                             &offset, NULL);
    return load_groups(l, r->place, what, r);
}

void cfg_regex_finish(struct cfg_regex *r)
{
    pcre2_code_free(r->utf);
    pcre2_code_free(r->bytes);
}

/* ---- Matching ---- */

static bool is_utf8(const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text, *end = s + len;
    while (s < end) {
        size_t n = *s < 0x80 ? 1 : *s < 0xc2 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : *s < 0xf5 ? 4 : 0;
        if (n == 0 || n > (size_t)(end - s))
            return false;
        for (size_t i = 1; i < n; i++) {
            if ((s[i] & 0xc0) != 0x80)
                return false;
        }
        /* too long forms, surrogates, above U+10FFFF: PCRE2 counts on their absence */
        if ((*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) || (*s == 0xf0 && s[1] < 0x90) ||
            (*s == 0xf4 && s[1] > 0x8f))
            return false;
        s += n;
    }
    return true;
}

int cfg_matcher_init(struct cfg_matcher *m, const struct cfg *c, struct cfg_arena *arena)
{
    *m = (struct cfg_matcher){.arena = arena,
                              .data = pcre2_match_data_create(c->most_captures + 1, NULL),
                              .limits = pcre2_match_context_create(NULL)};
    if (!m->data || !m->limits)
        return -ENOMEM;
    (void)pcre2_set_match_limit(m->limits, MATCH_LIMIT);
    (void)pcre2_set_heap_limit(m->limits, MATCH_HEAP_KIB);
    return 0;
}

void cfg_matcher_report(struct cfg_matcher *m, struct cfg_log *log)
{
    if (m->n_gave_up > 0)
        cfg_mistake(log, m->gave_up_at->place,
                    "%s: the expression takes too long on %s (and %zu more): make it simpler",
                    m->gave_up_at->what, m->gave_up ? m->gave_up : "a text", m->n_gave_up - 1);
}

void cfg_matcher_finish(struct cfg_matcher *m)
{
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->limits);
    free(m->gave_up);
}

int cfg_match(struct cfg_matcher *m, const struct cfg_regex *r, const char *text, size_t len)
{
    const pcre2_code *code = is_utf8(text, len) ? r->utf : r->bytes;
    m->n_set = 0;
    m->text = text;
    m->len = len;
    if (!code)
        return 0;
    int n = pcre2_match(code, (PCRE2_SPTR)text, len, 0, 0, m->data, m->limits);
    if (n == PCRE2_ERROR_NOMEMORY)
        return -ENOMEM;
    if (n < 0 && n != PCRE2_ERROR_NOMATCH && m->n_gave_up++ == 0) {
        m->gave_up = strndup(text, len); /* only for a message: NULL does no harm */
        m->gave_up_at = r;
    }
    m->n_set = n > 0 ? (uint32_t)n : 0;
    return n > 0;
}

int cfg_matched(const struct cfg_matcher *m, uint32_t group, const char **ret)
{
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(m->data);
    if (group >= m->n_set)
        return 0;
    PCRE2_SIZE start = bounds[2 * group], end = bounds[2 * group + 1];
    if (start == PCRE2_UNSET || start > end || end > m->len)
        return 0;
    *ret = cfg_arena_text(m->arena, m->text + start, end - start);
    return *ret ? 1 : -ENOMEM;
}

int cfg_take_groups(const struct cfg_matcher *m, const struct cfg_regex *r, bool replace, const char **values)
{
    for (size_t i = 0; i < r->n_groups; i++) {
        const char *text;
        /* Two groups may have one name: the first that took part. */
        int taken = cfg_matched(m, r->groups[i].number, &text);
        if (taken < 0)
            return taken;
        if (taken > 0 && (replace || !values[r->groups[i].field]))
            values[r->groups[i].field] = text;
    }
    return 0;
}
