/* SPDX-License-Identifier: Apache-2.0 */
/* Reads tables: each row with its key, the text of the table's `key` template. */
#include "mountcfg/rows.h"

#include "base/sample.h"

#include <errno.h>

struct cfg_place cfg_row_place(const struct reading *r, const struct row *row, char text[CFG_MAX_PATH + 1])
{
    (void)cfg_full_path(r->c, r->files[row->file].label, text, CFG_MAX_PATH + 1);
    return (struct cfg_place){text, (int)row->line, 0};
}

const char *cfg_row_key(struct reading *r, const struct cfg_template *t, const char *const *values,
                        int *ret_err)
{
    const struct cfg_clip fake = {.path = "", .values = values};
    struct base_bytes text = {0};
    size_t field;
    *ret_err = 0;
    if (cfg_template_check(t, values, &field))
        return NULL;
    cfg_expand(t, r->clips, &fake, 0, 0, &text);
    const char *key =
        text.failed ? NULL : cfg_arena_text(r->matcher->arena, (const char *)text.data, text.len);
    base_bytes_finish(&text);
    *ret_err = key ? 0 : -ENOMEM;
    return key;
}

const char *cfg_sample_key(const struct reading *r, const char *path, uint32_t archive, uint32_t sample,
                           int *ret_err)
{
    char text[CFG_MAX_PATH + 64];
    size_t key_len;
    *ret_err = 0;
    if (sample == 0 || !base_sample_split(path, &key_len))
        return NULL;
    int len =
        snprintf(text, sizeof text, "%.*s (sample %u of archive %u)", (int)key_len, path, sample, archive);
    const char *key = cfg_arena_text(r->matcher->arena, text, BASE_MIN((size_t)len, sizeof text - 1));
    *ret_err = key ? 0 : -ENOMEM;
    return key;
}

static int take_row(void *context, uint64_t line, const char *const *values)
{
    struct reading *r = context;
    const struct cfg_table *t = r->table;
    struct row *row = cfg_list_add(&r->rows, sizeof *row);
    size_t n = cfg_row_width(t);
    if (!row)
        return -ENOMEM;
    *row = (struct row){.file = r->file, .line = (uint32_t)line};
    row->values = cfg_arena_alloc(r->matcher->arena, n, sizeof *row->values);
    if (!row->values)
        return -ENOMEM;
    memset(r->values, 0, r->c->n_fields * sizeof *r->values);
    for (size_t i = 0; i < n; i++) {
        const char *value = i < t->n_columns ? values[i] : r->file_fields[cfg_row_field(t, i)];
        if (value && i < t->n_columns && !(value = cfg_arena_text(r->matcher->arena, value, strlen(value))))
            return -ENOMEM;
        row->values[i] = value;
        r->seen[cfg_row_field(t, i)] = r->seen[cfg_row_field(t, i)] || value;
        if (value)
            r->values[cfg_row_field(t, i)] = value;
    }
    int err;
    const struct cfg_table_file *file = &r->files[r->file];
    row->key = t->member ? cfg_sample_key(r, file->path, file->archive, file->sample, &err)
                         : cfg_row_key(r, t->key, r->values, &err);
    if (err)
        return err;
    if (!row->key || !*row->key) {
        char text[CFG_MAX_PATH + 1];
        if (r->n_keyless++ < CFG_MAX_TOLD_ROWS)
            cfg_mistake(r->log, cfg_row_place(r, row, text), "the row has no key: left out");
        else
            r->log->n++;
        r->rows.n--;
    }
    return 0;
}

static void take_mistake(void *context, uint64_t line, const char *what)
{
    const struct reading *r = context;
    cfg_mistake(r->log, (struct cfg_place){r->file_path, (int)line, 0}, "%s", what);
}

static void count_mistakes(void *context, uint64_t n)
{
    const struct reading *r = context;
    r->log->n += n;
    cfg_note(r->log, (struct cfg_place){r->file_path, 0, 0}, "%llu more mistakes", (unsigned long long)n);
}

int cfg_read_rows(struct reading *r, const struct cfg_reader *reader)
{
    const struct cfg_table *t = r->table;
    const char *path = r->files[r->file].path;
    const struct cfg_table_sink sink = {take_row, take_mistake, count_mistakes, r};
    char full[CFG_MAX_PATH + 1];
    struct base_reason why = {""};
    memset(r->file_fields, 0, r->c->n_fields * sizeof *r->file_fields);
    r->file_path = cfg_full_path(r->c, r->files[r->file].label, full, sizeof full);
    if (t->path.utf) {
        int matched = cfg_match(r->matcher, &t->path, path, strlen(path));
        int err = matched > 0 ? cfg_take_groups(r->matcher, &t->path, false, r->file_fields) : matched;
        if (err < 0)
            return err;
        if (matched == 0) {
            cfg_note(r->log, t->place, "note: %s does not match \"path\": not read", path);
            return 0;
        }
    }
    const struct cfg_table_place place = {path, r->files[r->file].archive, r->files[r->file].member};
    int err = reader->read_table(reader->context, &place, &t->spec, &sink, &why);
    if (err == -EIO)
        cfg_mistake(r->log, (struct cfg_place){full, 0, 0}, "%s", why.text);
    return err == -EIO ? 0 : err;
}
