/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of lines: those that an expression matches, those with one label a frame, and texts as a whole. */
#include "decoders/table.h"

#include <errno.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* What the expression may cost from one place of a line on, and the length from which a line may cost so much
 * in all that the clock is looked at before. */
enum { MATCH_LIMIT = 200000, MATCH_HEAP_KIB = 20000, MAX_GROUPS = 256, LONG_LINE = 1024 };

/* ---- Lines that match ---- */

struct matching {
    struct dec_table *t;
    pcre2_code *utf;   /* for lines that are valid UTF-8 */
    pcre2_code *bytes; /* for others; NULL when the expression needs UTF-8 */
    pcre2_match_data *data;
    pcre2_match_context *limits;
    uint32_t n_groups;
    struct {
        uint32_t number, column;
    } groups[MAX_GROUPS];
};

/* Which captures are wanted columns: several, where groups share a name. */
static void find_groups(struct matching *m)
{
    uint32_t n = 0, entry_bytes = 0;
    PCRE2_SPTR table = NULL;
    (void)pcre2_pattern_info(m->utf, PCRE2_INFO_NAMECOUNT, &n);
    (void)pcre2_pattern_info(m->utf, PCRE2_INFO_NAMEENTRYSIZE, &entry_bytes);
    (void)pcre2_pattern_info(m->utf, PCRE2_INFO_NAMETABLE, &table);
    for (uint32_t i = 0; i < n; i++) {
        PCRE2_SPTR entry = table + (size_t)i * entry_bytes; /* two bytes of number, then the name */
        for (uint32_t k = 0; k < m->t->spec->n_columns && m->n_groups < MAX_GROUPS; k++) {
            if (strcmp((const char *)entry + 2, m->t->spec->columns[k]) != 0)
                continue;
            m->groups[m->n_groups].number = (uint32_t)entry[0] << 8 | entry[1];
            m->groups[m->n_groups++].column = k;
        }
    }
}

static int prepare(struct matching *m)
{
    const uint32_t options = PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY;
    const struct dec_table_spec *spec = m->t->spec;
    int code = 0;
    PCRE2_SIZE offset = 0;
    PCRE2_SPTR text = (PCRE2_SPTR)spec->text;
    m->utf = pcre2_compile(text, spec->text_len, options | PCRE2_UTF, &code, &offset, NULL);
    m->bytes = pcre2_compile(text, spec->text_len, options | PCRE2_NEVER_UTF, &code, &offset, NULL);
    if (!m->utf)
        return base_fail(&m->t->work->why, -EINVAL, "the expression cannot be used");
    m->data = pcre2_match_data_create_from_pattern(m->utf, NULL);
    m->limits = pcre2_match_context_create(NULL);
    if (!m->data || !m->limits)
        return base_fail(&m->t->work->why, -ENOMEM, "out of memory");
    (void)pcre2_set_match_limit(m->limits, MATCH_LIMIT);
    (void)pcre2_set_heap_limit(m->limits, MATCH_HEAP_KIB);
    find_groups(m);
    return 0;
}

static void take_match(struct matching *m, const char *line, size_t len, int n, uint64_t number)
{
    struct dec_cell cells[DEC_MAX_COLUMNS] = {0};
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(m->data);
    for (uint32_t i = 0; i < m->n_groups; i++) {
        uint32_t group = m->groups[i].number;
        if (group >= (uint32_t)n || bounds[2 * group] == PCRE2_UNSET)
            continue;
        PCRE2_SIZE start = bounds[2 * group], end = bounds[2 * group + 1];
        if (start <= end && end <= len && !cells[m->groups[i].column].text)
            cells[m->groups[i].column] = (struct dec_cell){line + start, end - start};
    }
    dec_records_add(&m->t->out, number, cells);
}

static int match_line(const struct matching *m, struct dec_cell line)
{
    PCRE2_SPTR text = (PCRE2_SPTR)line.text;
    int n = pcre2_match(m->utf, text, line.len, 0, 0, m->data, m->limits);
    if (n > PCRE2_ERROR_UTF8_ERR1 || n < PCRE2_ERROR_UTF8_ERR21)
        return n;
    return m->bytes ? pcre2_match(m->bytes, text, line.len, 0, 0, m->data, m->limits) : PCRE2_ERROR_NOMATCH;
}

/* Many expressions look from each place of a line to its end. */
static bool is_too_long(struct dec_table *t, struct dec_cell line, uint64_t number)
{
    if (line.len <= DEC_MAX_LINE)
        return false;
    dec_records_add_mistake(&t->out, number, "the line is longer than %u bytes: left out", DEC_MAX_LINE);
    return true;
}

static int match_lines(struct matching *m)
{
    struct dec_table *t = m->t;
    struct dec_cell line;
    const char *p = t->data;
    for (uint64_t number = 1; dec_table_goes_on(t, number) && dec_table_line(t, &p, &line); number++) {
        if (is_too_long(t, line, number))
            continue;
        if (line.len >= LONG_LINE && !dec_table_has_time(t, number))
            break;
        int n = match_line(m, line);
        if (n == PCRE2_ERROR_NOMEMORY)
            return base_fail(&t->work->why, -ENOMEM, "out of memory");
        if (n > 0)
            take_match(m, line.text, line.len, n, number);
        else if (n == PCRE2_ERROR_NOMATCH)
            t->out.n_passed_over++;
        else
            dec_records_add_mistake(&t->out, number, "the expression takes too long on this line: left out");
    }
    if (t->out.n_records == 0 && t->out.n_mistakes == 0)
        dec_records_add_mistake(&t->out, 0, "no line of it matches the expression");
    return 0;
}

int dec_table_lines(struct dec_table *t)
{
    struct matching m = {.t = t};
    int err = prepare(&m);
    if (!err)
        err = match_lines(&m);
    pcre2_match_data_free(m.data);
    pcre2_match_context_free(m.limits);
    pcre2_code_free(m.utf);
    pcre2_code_free(m.bytes);
    return err;
}

/* ---- A label a frame ---- */

struct run {
    struct dec_cell label; /* .len 0: of frames without one */
    uint64_t first, n, line;
};

static void end_run(struct dec_table *t, const struct run *run)
{
    char first[24], last[24];
    struct dec_cell cells[DEC_MAX_COLUMNS] = {0};
    if (run->n == 0 || run->label.len == 0)
        return;
    int first_len = snprintf(first, sizeof first, "%llu", (unsigned long long)(t->spec->base + run->first));
    int last_len =
        snprintf(last, sizeof last, "%llu", (unsigned long long)(t->spec->base + run->first + run->n - 1));
    for (uint32_t i = 0; i < t->spec->n_columns; i++) {
        if (strcmp(t->spec->columns[i], "#label") == 0)
            cells[i] = run->label;
        else if (strcmp(t->spec->columns[i], "#first") == 0)
            cells[i] = (struct dec_cell){first, (size_t)first_len};
        else if (strcmp(t->spec->columns[i], "#last") == 0)
            cells[i] = (struct dec_cell){last, (size_t)last_len};
    }
    dec_records_add(&t->out, run->line, cells);
}

static bool same_text(struct dec_cell a, struct dec_cell b)
{
    return a.len == b.len && memcmp(a.text, b.text, a.len) == 0;
}

/* Whether a label stands in the spec's list of those that are none. */
static bool is_none(const struct dec_table_spec *spec, struct dec_cell label)
{
    const char *p = spec->text, *end = p + spec->text_len;
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *stop = newline ? newline : end;
        if (same_text(label, (struct dec_cell){p, (size_t)(stop - p)}))
            return true;
        p = stop + 1;
    }
    return false;
}

static struct dec_cell label_of(const struct dec_table_spec *spec, struct dec_cell line)
{
    while (line.len > 0 && (line.text[0] == ' ' || line.text[0] == '\t')) {
        line.text++;
        line.len--;
    }
    while (line.len > 0 && (line.text[line.len - 1] == ' ' || line.text[line.len - 1] == '\t'))
        line.len--;
    if (is_none(spec, line))
        line.len = 0;
    return line;
}

int dec_table_labels(struct dec_table *t)
{
    struct run run = {.label = {"", 0}};
    struct dec_cell line;
    const char *p = t->data;
    uint64_t number = 1, frame = 0;
    if (t->spec->header && dec_table_line(t, &p, &line))
        number++;
    for (; dec_table_goes_on(t, number) && dec_table_line(t, &p, &line); number++, frame++) {
        struct dec_cell label = label_of(t->spec, line);
        if (run.n == 0 || !same_text(label, run.label)) {
            end_run(t, &run);
            run = (struct run){label, frame, 0, number};
        }
        run.n++;
    }
    end_run(t, &run);
    if (frame == 0)
        dec_records_add_mistake(&t->out, 0, "it holds no label");
    return 0;
}

/* ---- A text as a whole ---- */

int dec_table_text(struct dec_table *t)
{
    struct dec_cell cells[DEC_MAX_COLUMNS] = {0};
    size_t len = (size_t)(t->end - t->data);
    while (len > 0 && memchr(" \t\r\n", t->data[len - 1], 4))
        len--;
    for (uint32_t i = 0; i < t->spec->n_columns; i++)
        cells[i] = (struct dec_cell){t->data, len};
    dec_records_add(&t->out, 1, cells);
    return 0;
}
