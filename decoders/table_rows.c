/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of rows and cells: RFC 4180 and what is written in its name. */
#include "decoders/table.h"

#include <errno.h>

/* One row; cells stand one behind the other in `text`. */
struct row {
    struct base_bytes text;
    uint32_t n;
    size_t starts[DEC_MAX_CELLS + 1];
    bool blank; /* a line without anything on it */
};

struct rows {
    struct dec_table *t;
    char separator;
    const char *p;
    uint64_t line;                    /* that p is on, from 1 */
    const char *problem;              /* of the row that was read last */
    uint32_t width;                   /* cells of a row; 0 = not known yet */
    int64_t columns[DEC_MAX_COLUMNS]; /* which cell each wanted one is; -1 = there is none */
    struct row row;
};

static bool at_line_end(const struct rows *r)
{
    return r->p >= r->t->end || *r->p == '\n' || *r->p == '\r';
}

static void skip_line_end(struct rows *r)
{
    if (r->p >= r->t->end)
        return;
    bool both = r->p[0] == '\r' && r->p + 1 < r->t->end && r->p[1] == '\n';
    r->p += both ? 2 : 1;
    r->line++;
}

static void skip_line(struct rows *r)
{
    while (!at_line_end(r))
        r->p++;
}

/* A cell in quotes, from its opening one on. Two quotes are one; line ends belong to it. */
static void read_quoted(struct rows *r)
{
    const char *end = r->t->end;
    for (r->p++; r->p < end; r->p++) {
        const char *stop = r->p;
        while (stop < end && *stop != '"') {
            r->line += *stop == '\n' || (*stop == '\r' && stop + 1 < end && stop[1] != '\n');
            stop++;
        }
        base_bytes_append(&r->row.text, r->p, (size_t)(stop - r->p));
        r->p = stop;
        if (r->p >= end)
            break;
        if (r->p + 1 >= end || r->p[1] != '"') {
            r->p++;
            return;
        }
        base_bytes_append(&r->row.text, "\"", 1);
        r->p++;
    }
    r->problem = "a quote is not closed: what follows is not read";
}

/* A bare cell, without the spaces around it. */
static void read_bare(struct rows *r)
{
    const char *start = r->p;
    while (!at_line_end(r) && *r->p != r->separator)
        r->p++;
    const char *stop = r->p;
    while (stop > start && stop[-1] == ' ')
        stop--;
    base_bytes_append(&r->row.text, start, (size_t)(stop - start));
}

static void read_cell(struct rows *r)
{
    while (!at_line_end(r) && *r->p == ' ')
        r->p++;
    if (at_line_end(r) || *r->p != '"' || !r->t->spec->quotes) {
        read_bare(r);
        return;
    }
    read_quoted(r);
    while (!r->problem && !at_line_end(r) && *r->p == ' ')
        r->p++;
    if (!r->problem && !at_line_end(r) && *r->p != r->separator)
        r->problem = "there is text behind a closing quote: left out";
}

/* False at the end of the table. */
static bool read_row(struct rows *r)
{
    struct row *row = &r->row;
    row->text.len = 0;
    row->n = 0;
    r->problem = NULL;
    if (r->p >= r->t->end)
        return false;
    row->blank = at_line_end(r);
    for (;;) {
        row->starts[row->n] = row->text.len;
        read_cell(r);
        row->n++;
        if (r->problem || at_line_end(r))
            break;
        if (row->n == DEC_MAX_CELLS) {
            r->problem = "the row has too many cells: left out";
            break;
        }
        r->p++; /* the separator */
    }
    row->starts[row->n] = row->text.len;
    skip_line(r);
    skip_line_end(r);
    return true;
}

static struct dec_cell cell_of(const struct rows *r, int64_t i)
{
    if (i < 0 || i >= r->row.n)
        return (struct dec_cell){0};
    size_t start = r->row.starts[i], len = r->row.starts[i + 1] - start;
    return (struct dec_cell){len > 0 ? (const char *)r->row.text.data + start : "", len};
}

static bool is_named(const struct rows *r, uint32_t cell, const char *name)
{
    struct dec_cell c = cell_of(r, cell);
    return c.len == strlen(name) && memcmp(c.text, name, c.len) == 0;
}

/* The names of the header, for a message. */
static void list_names(const struct rows *r, char *out, size_t room)
{
    size_t len = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < r->row.n && len + 1 < room; i++) {
        struct dec_cell c = cell_of(r, i);
        int added = snprintf(out + len, room - len, "%s%.*s", i > 0 ? ", " : "",
                             (int)BASE_MIN(c.len, (size_t)60), c.text);
        len += (size_t)BASE_MAX(added, 0);
    }
}

/* Finds a wanted column: by its number, or in the row at hand where that is the header. */
static void find_column(struct rows *r, uint32_t column, bool header, uint64_t line)
{
    const char *name = r->t->spec->columns[column];
    char known[300];
    r->columns[column] = -1;
    if (name[0] == '#') {
        r->columns[column] = (int64_t)strtoul(name + 1, NULL, 10) - 1;
        if (r->columns[column] >= (int64_t)r->row.n && !(r->t->spec->optional >> column & 1))
            dec_records_add_mistake(&r->t->out, line, "there is no column %s (the first row has %u)",
                                    name + 1, r->row.n);
        return;
    }
    for (uint32_t i = 0; header && i < r->row.n; i++) {
        if (!is_named(r, i, name))
            continue;
        if (r->columns[column] >= 0)
            dec_records_add_mistake(&r->t->out, line, "two columns are named \"%s\": the first is taken",
                                    name);
        else
            r->columns[column] = i;
    }
    if (r->columns[column] >= 0 || r->t->spec->optional >> column & 1)
        return;
    list_names(r, known, sizeof known);
    dec_records_add_mistake(&r->t->out, line, "there is no column \"%s\" (the header has: %s)", name, known);
}

/* Whether the row is one of the table's; else the mistake is noted. */
static bool is_good(struct rows *r, uint64_t line)
{
    if (r->problem) {
        dec_records_add_mistake(&r->t->out, line, "%s", r->problem);
        return false;
    }
    if (r->width == 0)
        r->width = r->row.n;
    if (r->row.n != r->width)
        dec_records_add_mistake(&r->t->out, line, "the row has %u cells, expected %u: left out", r->row.n,
                                r->width);
    return r->row.n == r->width;
}

static void take_row(struct rows *r, uint64_t line)
{
    struct dec_cell cells[DEC_MAX_COLUMNS];
    if (!is_good(r, line))
        return;
    for (uint32_t i = 0; i < r->t->spec->n_columns; i++)
        cells[i] = cell_of(r, r->columns[i]);
    dec_records_add(&r->t->out, line, cells);
}

static int read_rows(struct rows *r)
{
    bool begun = false;
    uint64_t line = 1;
    while (dec_table_goes_on(r->t, line)) {
        line = r->line;
        if (!read_row(r))
            break;
        if (r->row.blank)
            continue;
        if (r->row.text.failed)
            return base_fail(&r->t->work->why, -ENOMEM, "out of memory");
        bool is_header = !begun && r->t->spec->header;
        for (uint32_t i = 0; !begun && i < r->t->spec->n_columns; i++)
            find_column(r, i, is_header, line);
        begun = true;
        if (!is_header)
            take_row(r, line);
        else
            (void)is_good(r, line);
        if (r->problem && r->p >= r->t->end)
            break;
    }
    if (!begun)
        dec_records_add_mistake(&r->t->out, 0, "the table is empty");
    return 0;
}

int dec_table_rows(struct dec_table *t)
{
    struct rows *r = calloc(1, sizeof *r);
    if (!r)
        return base_fail(&t->work->why, -ENOMEM, "out of memory");
    r->t = t;
    r->separator = t->spec->format == DEC_TSV ? '\t' : ',';
    r->p = t->data;
    r->line = 1;
    int err = read_rows(r);
    base_bytes_finish(&r->row.text);
    free(r);
    return err;
}
