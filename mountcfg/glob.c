/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns of paths: * ? [a-z] [!a] within a name, ** for any number of directories, {a,b} and {000..012}
 * anywhere, a backslash before a character that is meant as itself. The characters behind the last dot of the
 * last name match without regard to (ASCII) case: *.mp4 takes CLIP.MP4.
 *
 * Braces are expanded (braces.c), each result is split at its slashes, and matched name by name.
 */
#include "mountcfg/braces.h"
#include "mountcfg/matching.h"

#include <ctype.h>
#include <errno.h>

struct name_pattern {
    const char *text;
    size_t len;
    size_t fold; /* from this byte on case does not matter */
    bool any_dirs;
};

struct flat {
    char *text; /* owns what the names point into */
    size_t n;
    struct name_pattern *names;
    const char *tail;           /* every path that matches ends with these bytes, */
    size_t tail_len, tail_fold; /* of which those from tail_fold on match without regard to case */
};

struct cfg_glob {
    size_t n;
    struct flat *flats;
};

/* ---- Characters: a UTF-8 sequence is one, and so is a byte that is in none. ---- */

static size_t char_len(const char *p, size_t len)
{
    const unsigned char *s = (const unsigned char *)p;
    size_t want = s[0] < 0xc2 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 1;
    for (size_t i = 1; i < want; i++) {
        if (i >= len || (s[i] & 0xc0) != 0x80)
            return 1;
    }
    return want;
}

/* A number that orders characters as code points do; a lone byte stands above all of them. */
static uint32_t char_code(const char *p, size_t len)
{
    const unsigned char *s = (const unsigned char *)p;
    if (len == 1)
        return s[0] < 0x80 ? s[0] : 0x110000u + s[0];
    uint32_t code = s[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++)
        code = code << 6 | (s[i] & 0x3f);
    return code;
}

static uint32_t other_case(uint32_t code)
{
    if (code < 0x80 && isalpha((int)code))
        return code ^ 0x20;
    return code;
}

/* ---- One name ---- */

size_t cfg_glob_class_len(const char *p, size_t len)
{
    size_t i = 1;
    if (i < len && (p[i] == '!' || p[i] == '^'))
        i++;
    if (i < len && p[i] == ']')
        i++;
    while (i < len && p[i] != ']')
        i++;
    return i < len ? i + 1 : 0;
}

/* p[0..len) is a whole class, brackets included. */
static bool class_has(const char *p, size_t len, uint32_t code)
{
    size_t i = 1, end = len - 1;
    bool inverse = p[i] == '!' || p[i] == '^', has = false;
    i += inverse;
    while (i < end) {
        size_t n = char_len(p + i, end - i);
        uint32_t low = char_code(p + i, n), high = low;
        i += n;
        if (i + 1 < end && p[i] == '-') {
            n = char_len(p + i + 1, end - i - 1);
            high = char_code(p + i + 1, n);
            i += 1 + n;
        }
        has = has || (code >= low && code <= high);
    }
    return has != inverse;
}

/* Matches one character of text against the pattern at `at`, which is no star. Returns the pattern's bytes
 * and sets *ret_used to the text's, or 0. */
static size_t match_char(const struct name_pattern *p, size_t at, const char *text, size_t len,
                         size_t *ret_used)
{
    const char *s = p->text + at;
    size_t used = char_len(text, len);
    uint32_t code = char_code(text, used);
    bool fold = at >= p->fold;
    *ret_used = used;
    if (*s == '?')
        return 1;
    if (*s == '[') {
        size_t n = cfg_glob_class_len(s, p->len - at);
        return class_has(s, n, code) || (fold && class_has(s, n, other_case(code))) ? n : 0;
    }
    size_t escaped = *s == '\\';
    size_t n = char_len(s + escaped, p->len - at - escaped);
    uint32_t want = char_code(s + escaped, n);
    return want == code || (fold && want == other_case(code)) ? escaped + n : 0;
}

/* After a failure only the last star needs another try: what an earlier one takes more, the last can take. */
static bool match_name(const struct name_pattern *p, const char *text, size_t len)
{
    size_t at = 0, i = 0, star = SIZE_MAX, mark = 0;
    while (i < len) {
        size_t used = 0;
        size_t step = at < p->len && p->text[at] != '*' ? match_char(p, at, text + i, len - i, &used) : 0;
        if (step > 0) {
            at += step;
            i += used;
        } else if (at < p->len && p->text[at] == '*') {
            star = at++;
            mark = i;
        } else if (star != SIZE_MAX) {
            mark += char_len(text + mark, len - mark);
            at = star + 1;
            i = mark;
        } else {
            return false;
        }
    }
    while (at < p->len && p->text[at] == '*')
        at++;
    return at == p->len;
}

/* ---- Paths ---- */

struct name {
    const char *text;
    size_t len;
};

/* Splits at slashes; returns the number of names, 0 when there are more than max. */
static size_t split(const char *path, size_t len, struct name *names, size_t max)
{
    size_t n = 0;
    for (size_t start = 0; start <= len;) {
        const char *slash = memchr(path + start, '/', len - start);
        size_t end = slash ? (size_t)(slash - path) : len;
        if (n == max)
            return 0;
        names[n++] = (struct name){path + start, end - start};
        start = end + 1;
    }
    return n;
}

static bool tail_fits(const struct flat *f, const char *path, size_t len)
{
    if (f->tail_len > len)
        return false;
    const char *end = path + len - f->tail_len;
    for (size_t i = 0; i < f->tail_len; i++) {
        if (end[i] != f->tail[i] &&
            (i < f->tail_fold || tolower((unsigned char)end[i]) != tolower((unsigned char)f->tail[i])))
            return false;
    }
    return true;
}

static bool match_flat(const struct flat *f, const struct name *names, size_t n)
{
    size_t at = 0, i = 0, star = SIZE_MAX, mark = 0;
    while (i < n) {
        if (at < f->n && f->names[at].any_dirs) {
            star = at++;
            mark = i;
        } else if (at < f->n && match_name(&f->names[at], names[i].text, names[i].len)) {
            at++;
            i++;
        } else if (star != SIZE_MAX) {
            at = star + 1;
            i = ++mark;
        } else {
            return false;
        }
    }
    return at == f->n;
}

bool cfg_glob_match(const struct cfg_glob *g, const char *path, size_t len)
{
    struct name names[CFG_MAX_DEPTH + 1];
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++) {
        if (!tail_fits(&g->flats[i], path, len))
            continue;
        if (n == 0)
            n = split(path, len, names, BASE_ARRAY_LEN(names));
        if (n > 0 && match_flat(&g->flats[i], names, n))
            return true;
    }
    return false;
}

bool cfg_glob_may_enter(const struct cfg_glob *g, const char *dir, size_t len)
{
    struct name names[CFG_MAX_DEPTH + 1];
    size_t n = split(dir, len, names, BASE_ARRAY_LEN(names));
    for (size_t i = 0; i < g->n; i++) {
        const struct flat *f = &g->flats[i];
        size_t k = 0;
        while (k < n && k < f->n && !f->names[k].any_dirs &&
               match_name(&f->names[k], names[k].text, names[k].len))
            k++;
        if (n > 0 && k < f->n && (k == n || f->names[k].any_dirs))
            return true;
    }
    return false;
}

/* ---- Compiling ---- */

static int check_name(const char *pattern, const struct name_pattern *p, struct base_reason *why)
{
    if (p->len == 0)
        return base_fail(why, -EINVAL,
                         "pattern \"%s\": it has an empty name: patterns are relative to the root, "
                         "without \"//\" or a \"/\" at an end",
                         pattern);
    if ((p->len == 1 && p->text[0] == '.') || (p->len == 2 && memcmp(p->text, "..", 2) == 0))
        return base_fail(why, -EINVAL, "pattern \"%s\": \".\" and \"..\" match nothing", pattern);
    for (size_t i = 0; i < p->len;) {
        size_t step = p->text[i] == '[' ? cfg_glob_class_len(p->text + i, p->len - i) : 1;
        if (step == 0)
            return base_fail(why, -EINVAL, "pattern \"%s\": \"[\" without \"]\"", pattern);
        if (p->text[i] == '\\' && i + 1 == p->len)
            return base_fail(why, -EINVAL, "pattern \"%s\": nothing follows the backslash", pattern);
        i += p->text[i] == '\\' ? 2 : step;
    }
    return 0;
}

/* Where the extension starts: behind the last dot that is in no class. */
static void find_fold(struct name_pattern *p)
{
    p->fold = SIZE_MAX;
    for (size_t i = 0; i < p->len;) {
        size_t step = p->text[i] == '[' ? cfg_glob_class_len(p->text + i, p->len - i) : 1;
        if (p->text[i] == '\\')
            i++;
        if (i < p->len && p->text[i] == '.' && step == 1)
            p->fold = i + 1;
        i += step;
    }
}

static void find_tail(struct flat *f)
{
    const struct name_pattern *last = &f->names[f->n - 1];
    size_t start = last->len;
    while (start > 0 && !strchr("*?[]\\", last->text[start - 1]))
        start--;
    f->tail = last->text + start;
    f->tail_len = last->len - start;
    f->tail_fold = last->fold > start ? last->fold - start : 0;
}

static int compile_flat(const char *pattern, struct flat *f, struct base_reason *why)
{
    struct name names[CFG_MAX_DEPTH];
    size_t n = split(f->text, strlen(f->text), names, BASE_ARRAY_LEN(names));
    if (n == 0)
        return base_fail(why, -EINVAL, "pattern \"%s\": more than %d directories", pattern, CFG_MAX_DEPTH);
    f->names = calloc(n + 1, sizeof *f->names);
    if (!f->names)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct name_pattern *p = &f->names[f->n++];
        *p = (struct name_pattern){names[i].text, names[i].len, SIZE_MAX, false};
        p->any_dirs = p->len == 2 && memcmp(p->text, "**", 2) == 0;
        int err = check_name(pattern, p, why);
        if (err < 0)
            return err;
    }
    if (f->names[n - 1].any_dirs) /* a closing ** stands for files at any depth, so it needs a name */
        f->names[f->n++] = (struct name_pattern){"*", 1, SIZE_MAX, false};
    find_fold(&f->names[f->n - 1]);
    find_tail(f);
    return 0;
}

int cfg_glob_compile(const char *pattern, struct cfg_glob **ret, struct base_reason *why)
{
    struct cfg_list texts = {0};
    struct cfg_glob *g = calloc(1, sizeof *g);
    int err = g ? cfg_braces_expand(pattern, &texts, why) : -ENOMEM;
    if (err == 0) {
        g->flats = calloc(texts.n, sizeof *g->flats);
        err = g->flats ? 0 : -ENOMEM;
    }
    for (size_t i = 0; err == 0 && i < texts.n; i++) {
        char **text = (char **)texts.items + i;
        g->flats[g->n].text = base_steal_pointer(*text);
        err = compile_flat(pattern, &g->flats[g->n++], why);
    }
    cfg_braces_finish(&texts);
    if (err < 0) {
        cfg_glob_destroy(g);
        return err;
    }
    *ret = g;
    return 0;
}

void cfg_glob_destroy(struct cfg_glob *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->n; i++) {
        free(g->flats[i].names);
        free(g->flats[i].text);
    }
    free(g->flats);
    free(g);
}
