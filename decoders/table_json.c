/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables in JSON (RFC 8259): read as they stand, without a tree, so that a large one takes no memory but its
 * records', and each record knows its line. Forgives what Python's json module writes: NaN and Infinity.
 */
#include "decoders/subtitle_text.h"
#include "decoders/table.h"

#include <errno.h>

struct json {
    struct dec_table *t;
    const char *p, *end;
    uint64_t line;
    unsigned depth;
    const char *problem;    /* NULL = all is well */
    struct base_bytes text; /* of the string that was read last */
    struct base_bytes key;  /* under which the record stands */
    bool has_key, found;    /* found: something stood where records are looked for */
    struct base_bytes path; /* in the record, of the value at hand */
    struct base_bytes values[DEC_MAX_COLUMNS];
    bool has[DEC_MAX_COLUMNS];
};

static bool fail(struct json *j, const char *problem)
{
    if (!j->problem)
        j->problem = problem;
    return false;
}

static void skip_space(struct json *j)
{
    for (; j->p < j->end && (*j->p == ' ' || *j->p == '\t' || *j->p == '\n' || *j->p == '\r'); j->p++)
        j->line += *j->p == '\n';
}

/* The next character that is no space, 0 at the end. */
static char peek(struct json *j)
{
    skip_space(j);
    return j->p < j->end ? *j->p : 0;
}

static bool expect(struct json *j, char c, const char *problem)
{
    if (peek(j) != c)
        return fail(j, problem);
    j->p++;
    return true;
}

/* ---- Strings and words ---- */

static bool read_hex(struct json *j, uint32_t *ret)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, j->p++) {
        char c = j->p < j->end ? *j->p : 0;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return fail(j, "a \\u without four hexadecimal digits");
        value = value * 16 + (uint32_t)digit;
    }
    *ret = value;
    return true;
}

/* Behind the \u. Two halves of a pair are one character; half of one becomes U+FFFD. */
static bool read_unicode(struct json *j)
{
    uint32_t code, low;
    uint8_t bytes[4];
    if (!read_hex(j, &code))
        return false;
    if (code >= 0xd800 && code < 0xdc00 && j->end - j->p >= 6 && j->p[0] == '\\' && j->p[1] == 'u') {
        const char *back = j->p;
        j->p += 2;
        if (!read_hex(j, &low))
            return false;
        if (low >= 0xdc00 && low < 0xe000)
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        else
            j->p = back;
    }
    if (code >= 0xd800 && code < 0xe000)
        code = 0xfffd;
    base_bytes_append(&j->text, bytes, dec_utf8_write(code, bytes));
    return true;
}

static bool read_escape(struct json *j)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = ++j->p < j->end ? *j->p : 0;
    const char *found = c ? strchr(from, c) : NULL;
    j->p++;
    if (c == 'u')
        return read_unicode(j);
    if (!found)
        return fail(j, "a backslash before something that it does not go with");
    base_bytes_append(&j->text, &to[found - from], 1);
    return true;
}

/* A string into j->text. */
static bool read_string(struct json *j)
{
    j->text.len = 0;
    if (!expect(j, '"', "expected a text in double quotes"))
        return false;
    while (j->p < j->end && *j->p != '"') {
        const char *start = j->p;
        while (j->p < j->end && *j->p != '"' && *j->p != '\\' && (unsigned char)*j->p >= 0x20)
            j->p++;
        base_bytes_append(&j->text, start, (size_t)(j->p - start));
        if (j->p < j->end && *j->p == '\\' && !read_escape(j))
            return false;
        if (j->p < j->end && (unsigned char)*j->p < 0x20)
            return fail(j, "a text goes over the end of its line, or has a control character in it");
    }
    if (j->p >= j->end)
        return fail(j, "a text is not closed");
    j->p++;
    return true;
}

/* A number, true, false, null: what stands up to the next character that cannot be of one. */
static bool read_word(struct json *j, struct dec_cell *ret)
{
    static const char *const words[] = {"true", "false", "null", "NaN", "Infinity", "-Infinity"};
    const char *start = j->p;
    while (j->p < j->end && *j->p && strchr("+-.0123456789", *j->p))
        j->p++;
    bool number = j->p > start && (start[0] != '-' || j->p - start > 1);
    while (j->p < j->end && ((*j->p >= 'a' && *j->p <= 'z') || (*j->p >= 'A' && *j->p <= 'Z') ||
                             (number && *j->p && strchr("+-0123456789", *j->p))))
        j->p++;
    *ret = (struct dec_cell){start, (size_t)(j->p - start)};
    if (number && strspn(start, "+-.0123456789eE") >= ret->len && ret->len < 400)
        return true;
    for (size_t i = 0; i < BASE_ARRAY_LEN(words); i++) {
        if (ret->len == strlen(words[i]) && memcmp(start, words[i], ret->len) == 0)
            return true;
    }
    return fail(j, "expected a value");
}

/* ---- Lists and objects ---- */

/* What is done with each item of a list or an object; the key is the text of a place in a list, too. False
 * ends it. */
typedef bool visit_item(struct json *j, const char *key, size_t len, const void *context);

static bool visit_one(struct json *j, bool object, uint64_t place, visit_item *visit, const void *context)
{
    char number[24];
    if (!object) {
        int len = snprintf(number, sizeof number, "%llu", (unsigned long long)place);
        return visit(j, number, (size_t)len, context);
    }
    if (!read_string(j))
        return false;
    /* Reading the value would overwrite it. */
    struct base_bytes key = j->text;
    j->text = (struct base_bytes){0};
    bool good = expect(j, ':', "expected a colon behind a key") &&
                visit(j, key.len > 0 ? (const char *)key.data : "", key.len, context);
    j->text.failed = j->text.failed || key.failed;
    base_bytes_finish(&key);
    return good;
}

/* A list or an object, from its bracket on. */
static bool for_each(struct json *j, visit_item *visit, const void *context)
{
    bool object = peek(j) == '{', good = true;
    char close = object ? '}' : ']';
    if (++j->depth > DEC_MAX_JSON_DEPTH)
        return fail(j, "lists and objects stand too deep in each other");
    j->p++;
    if (peek(j) == close) {
        j->p++;
        j->depth--;
        return true;
    }
    for (uint64_t place = 0; good; place++) {
        if (!dec_table_goes_on(j->t, j->line))
            return fail(j, "");
        good = visit_one(j, object, place, visit, context);
        if (good && peek(j) == close)
            break;
        good = good && expect(j, ',', "expected a comma or a closing bracket");
    }
    if (good)
        j->p++;
    j->depth--;
    return good;
}

static bool skip_item(struct json *j, const char *key, size_t len, const void *context);

static bool skip_value(struct json *j)
{
    struct dec_cell word;
    char c = peek(j);
    if (c == '{' || c == '[')
        return for_each(j, skip_item, NULL);
    return c == '"' ? read_string(j) : read_word(j, &word);
}

static bool skip_item(struct json *j, const char *key, size_t len, const void *context)
{
    (void)key;
    (void)len;
    (void)context;
    return skip_value(j);
}

/* ---- A record ---- */

/* The column whose path is the one at hand, or (below) one that begins with it; -1 = there is none. */
static int find_column(const struct json *j, uint32_t from, bool below)
{
    for (uint32_t i = from; i < j->t->spec->n_columns; i++) {
        const char *name = j->t->spec->columns[i];
        if (strlen(name) < j->path.len ||
            memcmp(name, j->path.len > 0 ? (const char *)j->path.data : "", j->path.len) != 0)
            continue;
        char next = name[j->path.len];
        if (below ? (next == '.' || (j->path.len == 0 && next && next != '#')) : next == 0)
            return (int)i;
    }
    return -1;
}

static void take_value(struct json *j, const char *text, size_t len)
{
    for (int i = find_column(j, 0, false); i >= 0; i = find_column(j, (uint32_t)i + 1, false)) {
        j->values[i].len = 0;
        base_bytes_append(&j->values[i], text, len);
        j->has[i] = true;
    }
}

static bool read_value(struct json *j);

static bool read_item(struct json *j, const char *key, size_t len, const void *context)
{
    size_t before = j->path.len;
    (void)context;
    if (before > 0)
        base_bytes_append(&j->path, ".", 1);
    base_bytes_append(&j->path, key, len);
    bool good = read_value(j);
    j->path.len = before;
    return good;
}

static bool read_value(struct json *j)
{
    struct dec_cell word;
    char c = peek(j);
    if (c == '{' || c == '[')
        return find_column(j, 0, true) >= 0 ? for_each(j, read_item, NULL) : skip_value(j);
    if (c == '"') {
        if (!read_string(j))
            return false;
        take_value(j, j->text.len > 0 ? (const char *)j->text.data : "", j->text.len);
        return true;
    }
    if (!read_word(j, &word))
        return false;
    if (word.len != 4 || memcmp(word.text, "null", 4) != 0)
        take_value(j, word.text, word.len);
    return true;
}

static bool read_record(struct json *j)
{
    struct dec_cell cells[DEC_MAX_COLUMNS];
    const struct dec_table_spec *spec = j->t->spec;
    memset(j->has, 0, sizeof j->has);
    j->path.len = 0;
    (void)peek(j);
    uint64_t line = j->line;
    if (!read_value(j))
        return false;
    for (uint32_t i = 0; i < spec->n_columns; i++) {
        bool is_key = j->has_key && strcmp(spec->columns[i], "#key") == 0;
        const struct base_bytes *from = is_key ? &j->key : &j->values[i];
        cells[i] = (struct dec_cell){0};
        if (is_key || j->has[i])
            cells[i] = (struct dec_cell){from->len > 0 ? (const char *)from->data : "", from->len};
    }
    dec_records_add(&j->t->out, line, cells);
    return true;
}

/* ---- Where records stand ---- */

static void keep_key(struct json *j, const char *key, size_t len)
{
    j->key.len = 0;
    base_bytes_append(&j->key, key, len);
    j->has_key = true;
}

static bool record_item(struct json *j, const char *key, size_t len, const void *context)
{
    bool object = *(const bool *)context;
    if (object)
        keep_key(j, key, len);
    return read_record(j);
}

static bool read_records(struct json *j)
{
    char c = peek(j);
    bool object = c == '{';
    j->found = true;
    if (c == '[' || (object && j->t->spec->keyed))
        return for_each(j, record_item, &object);
    return read_record(j);
}

static bool follow(struct json *j, const char *path);

static bool follow_item(struct json *j, const char *key, size_t len, const void *context)
{
    const char *path = context;
    size_t part = strcspn(path, ".");
    bool any = part == 1 && *path == '*';
    if (!any && (part != len || memcmp(path, key, len) != 0))
        return skip_value(j);
    if (any)
        keep_key(j, key, len);
    return follow(j, path[part] ? path + part + 1 : path + part);
}

/* Goes where the rest of the path leads to, and reads the records there. */
static bool follow(struct json *j, const char *path)
{
    char c = peek(j);
    if (*path == 0)
        return read_records(j);
    return c == '{' || c == '[' ? for_each(j, follow_item, path) : skip_value(j);
}

/* One document, from j->p to j->end. */
static void read_document(struct json *j)
{
    j->depth = 0;
    j->problem = NULL;
    j->has_key = false;
    if (follow(j, j->t->spec->text) && peek(j) != 0)
        (void)fail(j, "there is text behind the end of the document");
    if (!j->problem && j->p < j->end)
        (void)fail(j, "there is a NUL character in it");
    if (j->problem && *j->problem)
        dec_records_add_mistake(&j->t->out, j->line, "not JSON: %s", j->problem);
}

static void read_lines(struct json *j)
{
    struct dec_table *t = j->t;
    struct dec_cell line;
    const char *p = t->data;
    for (uint64_t number = 1; dec_table_goes_on(t, number) && dec_table_line(t, &p, &line); number++) {
        j->p = line.text;
        j->end = line.text + line.len;
        j->line = number;
        if (peek(j) != 0)
            read_document(j);
    }
}

int dec_table_json(struct dec_table *t)
{
    struct json *j = calloc(1, sizeof *j);
    if (!j)
        return base_fail(&t->work->why, -ENOMEM, "out of memory");
    j->t = t;
    j->p = t->data;
    j->end = t->end;
    j->line = 1;
    if (t->spec->format == DEC_JSONL)
        read_lines(j);
    else
        read_document(j);
    if (!j->found && t->out.n_mistakes == 0 && !t->spec->text[0])
        dec_records_add_mistake(&t->out, 0, "the table is empty");
    else if (!j->found && t->out.n_mistakes == 0)
        dec_records_add_mistake(&t->out, 0, "nothing stands at \"%s\" in it", t->spec->text);
    bool failed = j->text.failed || j->key.failed || j->path.failed;
    for (uint32_t i = 0; i < DEC_MAX_COLUMNS; i++) {
        failed = failed || j->values[i].failed;
        base_bytes_finish(&j->values[i]);
    }
    base_bytes_finish(&j->text);
    base_bytes_finish(&j->key);
    base_bytes_finish(&j->path);
    free(j);
    return failed ? base_fail(&t->work->why, -ENOMEM, "out of memory") : 0;
}
