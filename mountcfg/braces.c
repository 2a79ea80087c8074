/* SPDX-License-Identifier: Apache-2.0 */
/* {a,b} and {000..012} in patterns. */
#include "mountcfg/braces.h"

#include <ctype.h>
#include <errno.h>

/* Bytes of the pattern's element at p that braces cannot be in: an escaped character, a class, or one byte.
 */
static size_t element_len(const char *p)
{
    size_t len = strlen(p);
    if (*p == '\\')
        return BASE_MIN(len, (size_t)2);
    if (*p == '[')
        return BASE_MAX(cfg_glob_class_len(p, len), (size_t)1);
    return 1;
}

static const char *find_open(const char *p)
{
    while (*p && *p != '{')
        p += element_len(p);
    return *p ? p : NULL;
}

/* The '}' that closes the brace at p, NULL when there is none. */
static const char *find_close(const char *p)
{
    int depth = 0;
    for (; *p; p += element_len(p)) {
        depth += *p == '{';
        depth -= *p == '}';
        if (depth == 0)
            return p;
    }
    return NULL;
}

static int add_text(struct cfg_list *texts, const char *head, size_t head_len, const char *middle,
                    size_t middle_len, const char *tail, struct base_reason *why)
{
    size_t len = head_len + middle_len + strlen(tail);
    if (len > CFG_MAX_PATTERN_BYTES || texts->n >= CFG_MAX_PATTERNS)
        return base_fail(why, -EINVAL,
                         "the braces of a pattern expand to more than %d patterns or %d bytes each",
                         CFG_MAX_PATTERNS, CFG_MAX_PATTERN_BYTES);
    char *text = malloc(len + 1);
    char **item = text ? cfg_list_add(texts, sizeof *item) : NULL;
    if (!item) {
        free(text);
        return -ENOMEM;
    }
    (void)snprintf(text, len + 1, "%.*s%.*s%s", (int)head_len, head, (int)middle_len, middle, tail);
    *item = text;
    return 0;
}

/* Reads the numbers of "000..012". False when it is none of this kind. */
static bool read_range(const char *p, const char *end, uint64_t bounds[2], int *ret_width)
{
    *ret_width = 0;
    for (int i = 0; i < 2; i++) {
        const char *start = p;
        bounds[i] = 0;
        for (; p < end && isdigit((unsigned char)*p) && p - start < 18; p++)
            bounds[i] = bounds[i] * 10 + (uint64_t)(*p - '0');
        if (p == start)
            return false;
        if (*start == '0' && p - start > 1)
            *ret_width = BASE_MAX(*ret_width, (int)(p - start));
        if (i == 0) {
            if (end - p < 2 || p[0] != '.' || p[1] != '.')
                return false;
            p += 2;
        }
    }
    return p == end;
}

/* Adds text with its first brace (from open to close) replaced by each of what it stands for. */
static int expand_one(struct cfg_list *texts, const char *text, const char *open, const char *close,
                      struct base_reason *why)
{
    size_t head = (size_t)(open - text);
    uint64_t bounds[2];
    int width = 0, err = 0, n = 0;
    if (read_range(open + 1, close, bounds, &width)) {
        uint64_t step = bounds[0] <= bounds[1] ? 1 : UINT64_MAX; /* UINT64_MAX counts down */
        for (uint64_t i = bounds[0]; err == 0; i += step) {
            char number[32];
            int len = snprintf(number, sizeof number, "%0*llu", width, (unsigned long long)i);
            err = add_text(texts, text, head, number, (size_t)len, close + 1, why);
            if (i == bounds[1])
                break;
        }
        return err;
    }
    const char *start = open + 1;
    for (const char *p = start; err == 0 && p <= close;) {
        if (*p == '{' && p < close) {
            p = find_close(p);
            if (!p) /* cannot be: the outer brace is closed */
                return -EINVAL;
        }
        if (*p == ',' || p == close) {
            err = add_text(texts, text, head, start, (size_t)(p - start), close + 1, why);
            start = p + 1;
            n++;
        }
        p += element_len(p);
    }
    if (err == 0 && n < 2)
        return base_fail(why, -EINVAL,
                         "pattern: expected {a,b} or {000..012}, found \"%.*s\" (a brace itself is "
                         "written \\{)",
                         (int)BASE_MIN(close - open + 1, 60), open);
    return err;
}

int cfg_braces_expand(const char *pattern, struct cfg_list *texts, struct base_reason *why)
{
    int err = add_text(texts, "", 0, "", 0, pattern, why);
    for (size_t i = 0; err == 0 && i < texts->n;) {
        char **items = texts->items;
        const char *open = find_open(items[i]);
        if (!open) {
            i++;
            continue;
        }
        const char *close = find_close(open);
        if (!close)
            return base_fail(why, -EINVAL, "pattern \"%s\": \"{\" without \"}\"", pattern);
        /* The text leaves the list, what it expands to goes to the list's end. */
        base_autofree char *text = items[i];
        items[i] = items[--texts->n];
        err = expand_one(texts, text, open, close, why);
    }
    return err;
}

void cfg_braces_finish(struct cfg_list *texts)
{
    for (size_t i = 0; i < texts->n; i++)
        free(((char **)texts->items)[i]);
    cfg_list_finish(texts);
}
