/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/records.h"

#include <errno.h>

static const char spec_magic[8] = "cfstabs1", records_magic[8] = "cfsrecs1";

/* ---- The spec ---- */

static void put_text(struct base_bytes *out, const char *text, size_t len)
{
    base_bytes_put_u64(out, len);
    base_bytes_append(out, text, len);
}

void dec_table_spec_pack(const struct dec_table_spec *spec, struct base_bytes *out)
{
    base_bytes_append(out, spec_magic, sizeof spec_magic);
    base_bytes_put_u64(out, spec->format);
    base_bytes_put_u64(out, (spec->header ? 1u : 0u) | (spec->quotes ? 2u : 0u) | (spec->keyed ? 4u : 0u));
    base_bytes_put_u64(out, spec->base);
    base_bytes_put_u64(out, spec->optional);
    put_text(out, spec->text, spec->text_len);
    base_bytes_put_u64(out, spec->n_columns);
    for (uint32_t i = 0; i < spec->n_columns; i++)
        put_text(out, spec->columns[i], strlen(spec->columns[i]));
}

/* Copies a text to *text, terminated, and moves that on. */
static const char *get_text(struct base_reader *in, size_t max, char **text, size_t *ret_len)
{
    uint64_t len = base_reader_u64(in);
    char *copy = *text;
    if (in->failed || len > max || len > (size_t)(in->end - in->next)) {
        in->failed = true;
        return NULL;
    }
    base_reader_copy(in, copy, len);
    copy[len] = 0;
    *text += len + 1;
    *ret_len = len;
    return copy;
}

int dec_table_spec_unpack(const uint8_t *data, size_t len, char *text, struct dec_table_spec *ret)
{
    struct base_reader in = {.next = data, .end = data + len};
    struct dec_table_spec spec = {0};
    char found[sizeof spec_magic];
    base_reader_copy(&in, found, sizeof found);
    uint64_t format = base_reader_u64(&in), flags = base_reader_u64(&in), base = base_reader_u64(&in);
    spec.optional = base_reader_u64(&in);
    spec.text = get_text(&in, DEC_MAX_EXPRESSION, &text, &spec.text_len);
    uint64_t n_columns = base_reader_u64(&in);
    if (in.failed || memcmp(found, spec_magic, sizeof found) != 0 || format < DEC_CSV ||
        format > DEC_ONE_TEXT || flags > 7 || base > INT32_MAX || n_columns < 1 ||
        n_columns > DEC_MAX_COLUMNS)
        return -EPROTO;
    spec.format = (uint8_t)format;
    spec.header = flags & 1;
    spec.quotes = flags & 2;
    spec.keyed = flags & 4;
    spec.base = (uint32_t)base;
    spec.n_columns = (uint32_t)n_columns;
    for (uint32_t i = 0; !in.failed && i < spec.n_columns; i++) {
        size_t name_len = 0;
        spec.columns[i] = get_text(&in, DEC_MAX_COLUMN_NAME, &text, &name_len);
        if (spec.columns[i] && strlen(spec.columns[i]) != name_len)
            return -EPROTO;
    }
    if (in.failed || in.next != in.end)
        return -EPROTO;
    *ret = spec;
    return 0;
}

/* ---- Reading ---- */

int dec_records_open(const uint8_t *data, size_t len, struct dec_records *ret)
{
    struct base_reader in = {.next = data, .end = data + len};
    char found[sizeof records_magic];
    base_reader_copy(&in, found, sizeof found);
    uint64_t n_columns = base_reader_u64(&in), n_told = base_reader_u64(&in);
    struct dec_records r = {.n_columns = (uint32_t)n_columns, .n_told = (uint32_t)n_told};
    r.n_mistakes = base_reader_u64(&in);
    r.n_records = base_reader_u64(&in);
    r.n_passed_over = base_reader_u64(&in);
    if (in.failed || memcmp(found, records_magic, sizeof found) != 0 || n_columns < 1 ||
        n_columns > DEC_MAX_COLUMNS || n_told > DEC_MAX_MISTAKES_TOLD || n_told > r.n_mistakes ||
        r.n_records > DEC_MAX_RECORDS)
        return -EPROTO;
    r.data = in.next;
    r.end = in.end;
    *ret = r;
    return 0;
}

void dec_records_begin(const struct dec_records *records, struct dec_records_cursor *ret)
{
    *ret = (struct dec_records_cursor){.in = {.next = records->data, .end = records->end},
                                       .told_left = records->n_told,
                                       .n_columns = records->n_columns,
                                       .left = records->n_records};
}

/* A cell of a length that was read: borrowed from the packed bytes. */
static bool get_cell(struct base_reader *in, uint64_t len, struct dec_cell *ret)
{
    if (in->failed || len > DEC_MAX_CELL || len > (size_t)(in->end - in->next) ||
        memchr(in->next, 0, len) != NULL)
        return false;
    *ret = (struct dec_cell){(const char *)in->next, len};
    in->next += len;
    return true;
}

int dec_records_mistake(struct dec_records_cursor *c, uint64_t *ret_line, struct dec_cell *ret)
{
    if (c->told_left == 0)
        return 0;
    c->told_left--;
    *ret_line = base_reader_u64(&c->in);
    return get_cell(&c->in, base_reader_u64(&c->in), ret) ? 1 : -EPROTO;
}

int dec_records_next(struct dec_records_cursor *c, uint64_t *ret_line, struct dec_cell *cells)
{
    if (c->left == 0)
        return c->in.next == c->in.end ? 0 : -EPROTO;
    c->left--;
    uint64_t step = base_reader_u64(&c->in);
    if (c->told_left > 0 || step > DEC_MAX_TABLE_BYTES || c->line + step > DEC_MAX_TABLE_BYTES + 1)
        return -EPROTO;
    c->line += step;
    for (uint32_t i = 0; i < c->n_columns; i++) {
        uint64_t len = base_reader_u64(&c->in); /* plus one; 0 = there is none */
        cells[i] = (struct dec_cell){0};
        if (c->in.failed || (len > 0 && !get_cell(&c->in, len - 1, &cells[i])))
            return -EPROTO;
    }
    *ret_line = c->line;
    return c->line > 0 ? 1 : -EPROTO;
}

/* ---- Writing ---- */

void dec_records_add_mistake(struct dec_records_writer *w, uint64_t line, const char *format, ...)
{
    struct base_reason text = {""};
    va_list args;
    if (w->n_mistakes++ >= DEC_MAX_MISTAKES_TOLD)
        return;
    w->n_told++;
    va_start(args, format);
    (void)vsnprintf(text.text, sizeof text.text, format, args);
    va_end(args);
    base_bytes_put_u64(&w->mistakes, line);
    put_text(&w->mistakes, text.text, strlen(text.text));
}

static bool cells_are_good(struct dec_records_writer *w, uint64_t line, const struct dec_cell *cells)
{
    for (uint32_t i = 0; i < w->n_columns; i++) {
        if (!cells[i].text)
            continue;
        if (cells[i].len > DEC_MAX_CELL) {
            dec_records_add_mistake(w, line, "a value is longer than %u bytes", DEC_MAX_CELL);
            return false;
        }
        if (memchr(cells[i].text, 0, cells[i].len)) {
            dec_records_add_mistake(w, line, "a value has a NUL character in it");
            return false;
        }
    }
    return true;
}

void dec_records_add(struct dec_records_writer *w, uint64_t line, const struct dec_cell *cells)
{
    if (w->full || !cells_are_good(w, line, cells))
        return;
    if (w->n_records >= DEC_MAX_RECORDS || w->records.len >= DEC_MAX_RECORDS_BYTES) {
        w->full = true;
        dec_records_add_mistake(w, line, "the table holds more than fits: what follows is not read");
        return;
    }
    base_bytes_put_u64(&w->records, line - w->last_line);
    w->last_line = line;
    for (uint32_t i = 0; i < w->n_columns; i++) {
        base_bytes_put_u64(&w->records, cells[i].text ? cells[i].len + 1 : 0);
        if (cells[i].text)
            base_bytes_append(&w->records, cells[i].text, cells[i].len);
    }
    w->n_records++;
}

void dec_records_pack(const struct dec_records_writer *w, struct base_bytes *out)
{
    base_bytes_append(out, records_magic, sizeof records_magic);
    base_bytes_put_u64(out, w->n_columns);
    base_bytes_put_u64(out, w->n_told);
    base_bytes_put_u64(out, w->n_mistakes);
    base_bytes_put_u64(out, w->n_records);
    base_bytes_put_u64(out, w->n_passed_over);
    base_bytes_append(out, w->mistakes.data, w->mistakes.len);
    base_bytes_append(out, w->records.data, w->records.len);
}

void dec_records_writer_finish(struct dec_records_writer *w)
{
    base_bytes_finish(&w->mistakes);
    base_bytes_finish(&w->records);
}
