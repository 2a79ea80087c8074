/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `pickle:` of a list: Python's pickle of protocol 2, a tuple of a list for each column. What its bytes mean
 * is documented by Python's own disassembler: https://docs.python.org/3/library/pickletools.html
 */
#include "mountcfg/language.h"

#include "base/utf8.h"

#include <math.h>

/* ---- Reading ---- */

/* FIELD or FIELD:TYPE. */
static bool load_column(struct cfg_loader *l, struct cfg_node node, struct cfg_column *ret)
{
    static const char *const types[] = {
        [CFG_COLUMN_TEXT] = "text", [CFG_COLUMN_INT] = "int", [CFG_COLUMN_FLOAT] = "float"};
    char name[64];
    const char *text = cfg_read_text(l, node, "pickle");
    if (!text)
        return false;
    const char *colon = strrchr(text, ':');
    size_t type = CFG_COLUMN_TEXT;
    if (colon)
        for (type = 0; type < BASE_ARRAY_LEN(types) && strcmp(colon + 1, types[type]) != 0;)
            type++;
    if (type == BASE_ARRAY_LEN(types)) {
        cfg_mistake(&l->log, cfg_node_place(node),
                    "pickle: behind the colon stands int, float or text, found %s", text);
        return false;
    }
    (void)snprintf(name, sizeof name, "%.*s", (int)(colon ? colon - text : (ptrdiff_t)strlen(text)), text);
    int field = cfg_field_read(l, cfg_node_place(node), "pickle", name);
    *ret = (struct cfg_column){field < 0 ? 0 : (size_t)field, (enum cfg_column_type)type};
    return field >= 0;
}

void cfg_load_pickle(struct cfg_loader *l, struct cfg_node node, struct cfg_listing *list)
{
    size_t n = 0;
    if (!cfg_read_list(l, node, "pickle", CFG_MAX_FIELDS, &n))
        return;
    struct cfg_column *columns = cfg_keep_alloc(l, n, sizeof *columns);
    for (size_t i = 0; columns && i < n; i++)
        list->n_columns += load_column(l, cfg_list_item(node, i), &columns[list->n_columns]);
    list->columns = columns;
}

/* ---- Values ---- */

static bool is_float(const char *value, double *ret)
{
    char *end;
    /* What strtod() takes beside decimal numbers is none. */
    if (!*value || value[strspn(value, "+-.0123456789eE")])
        return false;
    *ret = strtod(value, &end);
    return *end == 0 && isfinite(*ret);
}

const char *cfg_pickle_check(const struct cfg_listing *list, const char *const *values, size_t *ret_field)
{
    double ignored;
    for (size_t i = 0; i < list->n_columns; i++) {
        const struct cfg_column *column = &list->columns[i];
        const char *value = values[ *ret_field = column->field];
        if (value && column->type == CFG_COLUMN_INT && !cfg_is_whole_number(value))
            return "has a field {%s} that is no whole number";
        if (value && column->type == CFG_COLUMN_FLOAT && !is_float(value, &ignored))
            return "has a field {%s} that is no number";
    }
    return NULL;
}

/* ---- Writing ---- */

static void put_little(struct base_bytes *out, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = (uint8_t)(value >> 8 * i);
        base_bytes_append(out, &byte, 1);
    }
}

/* BINUNICODE: the length in bytes, and UTF-8, in which Python also takes lone surrogates. */
static void put_text(const char *value, struct base_bytes *out)
{
    base_bytes_append(out, "X\0\0\0\0", 5);
    const size_t begin = out->len;
    const unsigned char *at = (const unsigned char *)value;
    while (*at) {
        const unsigned char *from = at;
        uint32_t code = base_utf8_next(&at);
        const unsigned char escaped[] = {0xed, (uint8_t)(0x80 | (code >> 6 & 0x3f)),
                                         (uint8_t)(0x80 | (code & 0x3f))};
        if (code >= 0xdc80 && code <= 0xdcff)
            base_bytes_append(out, escaped, sizeof escaped);
        else
            base_bytes_append(out, from, (size_t)(at - from));
    }
    for (size_t i = 0; !out->failed && i < 4; i++)
        out->data[begin - 4 + i] = (uint8_t)((out->len - begin) >> 8 * i);
}

/* BININT, or LONG1 of eight bytes. */
static void put_int(const char *value, struct base_bytes *out)
{
    const long long n = strtoll(value, NULL, 10);
    const bool fits = n >= INT32_MIN && n <= INT32_MAX;
    base_bytes_append(out, fits ? "J" : "\x8a\x08", fits ? 1 : 2);
    put_little(out, (uint64_t)n, fits ? 4 : 8);
}

/* BINFLOAT. */
static void put_float(double value, struct base_bytes *out)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    base_bytes_append(out, "G", 1);
    put_little(out, __builtin_bswap64(bits), 8);
}

static void put_value(const struct cfg_column *column, const char *value, struct base_bytes *out)
{
    double number;
    if (value && column->type == CFG_COLUMN_TEXT)
        put_text(value, out);
    else if (value && column->type == CFG_COLUMN_INT && cfg_is_whole_number(value))
        put_int(value, out);
    else if (value && column->type == CFG_COLUMN_FLOAT && is_float(value, &number))
        put_float(number, out);
    else
        base_bytes_append(out, "N", 1);
}

void cfg_expand_pickle(const struct cfg_listing *list, const struct cfg_clip *const *clips, size_t n,
                       size_t most, struct base_bytes *out)
{
    base_bytes_append(out, "\x80\x02(", 3); /* protocol 2; of the tuple */
    for (size_t c = 0; c < list->n_columns; c++) {
        base_bytes_append(out, "](", 2);
        for (size_t i = 0; i < n && out->len <= most; i++)
            put_value(&list->columns[c], clips[i]->values[list->columns[c].field], out);
        base_bytes_append(out, "e", 1);
    }
    base_bytes_append(out, "t.", 2);
}
