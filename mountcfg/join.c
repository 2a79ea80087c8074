/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in the tables, and which clips it belongs to. One table after the other is read whole: a row
 * has a key, the text of the table's `key` template; rows are sorted by it, and each clip looks its own up,
 * the text of `to`.
 */
#include "mountcfg/rows.h"

#include <errno.h>

static int compare_rows(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    if (order == 0 && x->file != y->file)
        order = x->file < y->file ? -1 : 1;
    return order ? order : x->line < y->line ? -1 : x->line > y->line;
}

/* What happened to the clips and rows of one table. */
struct outcome {
    size_t n_joined, n_without, n_ambiguous, n_unused, n_bad_cuts;
    const char *without; /* the first clip without a row, */
    const char *without_key;
    const struct row *unused; /* and the first row without a clip */
};

/* The first row of a key, and how many there are. */
static struct row *find_rows(const struct reading *r, const char *key, size_t *ret_n)
{
    struct row *rows = r->rows.items;
    size_t low = 0, high = r->rows.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(rows[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    size_t n = 0;
    while (low + n < r->rows.n && strcmp(rows[low + n].key, key) == 0)
        n++;
    *ret_n = n;
    return rows + low;
}

static bool same_values(const struct reading *r, const struct row *a, const struct row *b)
{
    const struct cfg_table *t = r->table;
    for (size_t i = 0; i < cfg_row_width(t); i++) {
        if (r->differ[cfg_row_field(t, i)])
            continue;
        if (!a->values[i] != !b->values[i] || (a->values[i] && strcmp(a->values[i], b->values[i]) != 0))
            return false;
    }
    return true;
}

static void report_ambiguous(const struct reading *r, const struct row *rows, size_t other,
                             const struct outcome *o)
{
    char first[CFG_MAX_PATH + 1], second[CFG_MAX_PATH + 1];
    if (o->n_ambiguous > CFG_MAX_TOLD_ROWS) {
        r->log->n++;
        return;
    }
    struct cfg_place at = cfg_row_place(r, &rows[other], second);
    (void)cfg_row_place(r, &rows[0], first);
    cfg_mistake(r->log, at,
                "a second row for \"%s\", which line %u of %s has otherwise: its clips are left out",
                rows[0].key, rows[0].line, rows[0].file == rows[other].file ? "it" : first);
}

/* Whether the rows of one key all say the same; if not, that is told when it is seen first. */
static bool agree(const struct reading *r, struct row *rows, size_t n, struct outcome *o)
{
    for (size_t i = 1; i < n; i++) {
        if (same_values(r, &rows[0], &rows[i]))
            continue;
        if (!rows[0].used && ++o->n_ambiguous > 0)
            report_ambiguous(r, rows, i, o);
        return false;
    }
    return true;
}

static bool read_frame(const char *text, int64_t base, int64_t *ret)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9 || text[digits] != 0)
        return false;
    *ret = strtoll(text, NULL, 10) - base;
    return *ret >= 0;
}

/* The part that a row cuts out; NULL, or what is wrong with it. */
static const char *read_cut(const struct cfg_table *t, const char *from, const char *to,
                            struct cfg_range *ret)
{
    struct cfg_range range = {.unit = t->cut.unit};
    bool frames = range.unit == CFG_RANGE_FRAMES;
    if (!from || !to)
        return "the row lacks where its clip begins or ends";
    if (frames ? !read_frame(from, t->cut.base, &range.from) : !cfg_time_read(from, &range.from))
        return frames ? "its first frame is no number of one" : "its start is no time in seconds";
    if (frames ? !read_frame(to, t->cut.base, &range.to) : !cfg_time_read(to, &range.to))
        return frames ? "its last frame is no number of one" : "its end is no time in seconds";
    range.to += frames; /* inclusive */
    if (range.to <= range.from)
        return "its end is before its start";
    *ret = range;
    return NULL;
}

static void put_values(const struct cfg_table *t, const struct row *row, const char **values)
{
    for (size_t i = 0; i < cfg_row_width(t); i++) {
        if (row->values[i])
            values[cfg_row_field(t, i)] = row->values[i];
    }
}

/* ---- Which rows told of a clip, for messages ---- */

static int note_row(const struct reading *r, const struct row *row, struct cfg_clip *clip)
{
    const size_t n = r->c->n_fields;
    struct cfg_row_at *rows = cfg_arena_alloc(r->places, n, sizeof *rows);
    if (!rows)
        return -ENOMEM;
    if (clip->rows)
        memcpy(rows, clip->rows, n * sizeof *rows);
    for (size_t i = 0; i < cfg_row_width(r->table); i++) {
        if (row->values[i])
            rows[cfg_row_field(r->table, i)] = (struct cfg_row_at){r->files[row->file].label, row->line};
    }
    clip->rows = rows;
    return 0;
}

void cfg_name_clip(const struct cfg_clip *clip, int field, struct base_bytes *out)
{
    struct cfg_row_at row = {clip->table, clip->line};
    if (field >= 0 && clip->rows && clip->rows[field].table)
        row = clip->rows[field];
    base_bytes_printf(out, "%s", clip->label);
    if (row.table)
        base_bytes_printf(out, " (%s:%u)", row.table, row.line);
}

/* ---- What several rows of a clip tell: texts and boxes ---- */

/* What a row gives; NULL also for an empty text. */
static const char *value_of_row(const struct cfg_table *t, const struct row *row, int field)
{
    for (size_t i = 0; i < cfg_row_width(t); i++) {
        if ((int)cfg_row_field(t, i) == field)
            return row->values[i] && *row->values[i] ? row->values[i] : NULL;
    }
    return NULL;
}

static const char *value_of_clip(const struct cfg_clip *clip, int field)
{
    return field >= 0 ? clip->values[field] : NULL;
}

/* The cue that a row is in a view, with what it lacks from the clip. Rows that cut say where a clip is, and
 * not, by that alone, where its text is said. False: it says nothing about it. */
static bool cue_of_row(const struct reading *r, const struct cfg_subtitles *s, const struct row *row,
                       const struct cfg_clip *clip, struct cfg_cue *ret)
{
    const struct cfg_table *t = r->table;
    const char *text = value_of_row(t, row, s->text);
    const char *start = value_of_row(t, row, s->start), *end = value_of_row(t, row, s->end);
    if (!text && (t->cut.unit || (!start && !end)))
        return false;
    *ret = (struct cfg_cue){.text = text ? text : value_of_clip(clip, s->text),
                            .start = start ? start : value_of_clip(clip, s->start),
                            .end = end ? end : value_of_clip(clip, s->end),
                            .at = {r->files[row->file].label, (int)row->line, 0}};
    return true;
}

/* Cues of the clip, of which rows of the table at hand tell. 0 or -ENOMEM. */
static int take_cues(struct reading *r, const struct row *rows, size_t n, struct cfg_clip *clip)
{
    for (size_t v = 0; v < r->c->n_views; v++) {
        const struct cfg_view *view = &r->c->views[v];
        struct cfg_cue cue;
        if (view->kind != CFG_SUBTITLES || view->subtitles.text < 0)
            continue;
        r->cues.n = 0;
        for (size_t i = 0; i < n; i++) {
            if (!cue_of_row(r, &view->subtitles, &rows[i], clip, &cue))
                continue;
            struct cfg_cue *added = cfg_list_add(&r->cues, sizeof cue);
            if (!added)
                return -ENOMEM;
            *added = cue;
        }
        int err =
            cfg_put_cues(r->c, r->log, r->matcher->arena, v, r->cues.items, r->cues.n, clip, &r->n_bad_cues);
        if (err)
            return err;
    }
    return 0;
}

/* Boxes of the clip's frames, likewise: a row that numbers a frame tells of it. */
static int take_boxes(struct reading *r, const struct row *rows, size_t n, struct cfg_clip *clip)
{
    for (size_t v = 0; v < r->c->n_views; v++) {
        const struct cfg_frames *f = cfg_frames_of(&r->c->views[v]);
        if (!f || !f->boxed)
            continue;
        r->boxes.n = 0;
        for (size_t i = 0; i < n; i++) {
            if (!value_of_row(r->table, &rows[i], f->box_fields[0]))
                continue;
            struct cfg_box_row *box = cfg_list_add(&r->boxes, sizeof *box);
            if (!box)
                return -ENOMEM;
            box->at = (struct cfg_place){r->files[rows[i].file].label, (int)rows[i].line, 0};
            for (size_t k = 0; k < BASE_ARRAY_LEN(box->values); k++)
                box->values[k] = value_of_row(r->table, &rows[i], f->box_fields[k]);
        }
        int err = cfg_put_boxes(r->c, r->log, r->matcher->arena, v, r->boxes.items, r->boxes.n, clip,
                                &r->box_counts);
        if (err)
            return err;
    }
    return 0;
}

static int take_rows(struct reading *r, const struct row *rows, size_t n, struct cfg_clip *clip)
{
    int err = take_cues(r, rows, n, clip);
    return err ? err : take_boxes(r, rows, n, clip);
}

/* ---- Cutting ---- */

/* Makes a clip of a part of another, with the row's values. */
static int cut_clip(struct reading *r, const struct cfg_clip *clip, const struct row *row, struct outcome *o)
{
    const char **values = cfg_arena_alloc(r->matcher->arena, r->c->n_fields, sizeof *values);
    struct cfg_range range;
    if (!values)
        return -ENOMEM;
    memcpy(values, clip->values, r->c->n_fields * sizeof *values);
    put_values(r->table, row, values);
    const char *wrong = read_cut(r->table, values[r->table->cut.from], values[r->table->cut.to], &range);
    if (wrong) {
        char file[CFG_MAX_PATH + 1];
        if (++o->n_bad_cuts <= CFG_MAX_TOLD_ROWS)
            cfg_mistake(r->log, cfg_row_place(r, row, file), "%s: left out", wrong);
        else
            r->log->n++;
        return 0;
    }
    struct cfg_clip *cut = cfg_list_add(&r->cuts, sizeof *cut);
    if (!cut)
        return -ENOMEM;
    *cut = *clip;
    cut->values = values;
    cut->range = range;
    cut->table = r->files[row->file].label;
    cut->line = row->line;
    int err = note_row(r, row, cut);
    return err ? err : take_rows(r, row, 1, cut);
}

/* Each row of its key makes a clip of its own. */
static int cut_by_rows(struct reading *r, const struct cfg_clip *clip, struct row *rows, size_t n,
                       struct outcome *o)
{
    int err = 0;
    for (size_t i = 0; !err && i < n; i++) {
        rows[i].used = true;
        err = cut_clip(r, clip, &rows[i], o);
    }
    o->n_joined++;
    return err;
}

static int keep_whole(struct reading *r, const struct cfg_clip *clip)
{
    struct cfg_clip *kept = cfg_list_add(&r->cuts, sizeof *kept);
    if (!kept)
        return -ENOMEM;
    *kept = *clip;
    return 0;
}

/* Whether the clip stays: 1, 0 = not, or -ENOMEM. */
static int join_clip(struct reading *r, struct cfg_clip *clip, struct outcome *o)
{
    const char **values = (const char **)(uintptr_t)clip->values;
    int err;
    const char *key = r->table->member ? cfg_sample_key(r, clip->path, clip->archive, clip->sample, &err)
                                       : cfg_row_key(r, r->table->to, values, &err);
    if (err)
        return err;
    size_t n = 0;
    struct row *rows = key ? find_rows(r, key, &n) : NULL;
    if (n == 0) {
        if (o->n_without++ == 0) {
            o->without = clip->label;
            o->without_key = key;
        }
        return r->table->left && r->table->cut.unit ? keep_whole(r, clip) : r->table->left;
    }
    if (r->table->cut.unit)
        return cut_by_rows(r, clip, rows, n, o);
    bool good = agree(r, rows, n, o);
    for (size_t i = 0; i < n; i++)
        rows[i].used = true;
    o->n_joined++;
    err = good ? note_row(r, &rows[0], clip) : 0;
    if (good && !err)
        err = take_rows(r, rows, n, clip);
    if (good)
        put_values(r->table, &rows[0], values);
    return err ? err : good;
}

static void report_outcome(const struct reading *r, const struct outcome *o)
{
    const struct cfg_table *t = r->table;
    char file[CFG_MAX_PATH + 1];
    const char *clip_key = o->without_key ? o->without_key : "";
    if (o->n_ambiguous > CFG_MAX_TOLD_ROWS)
        cfg_note(r->log, t->place, "%zu more keys have rows that differ", o->n_ambiguous - CFG_MAX_TOLD_ROWS);
    if (o->n_bad_cuts > CFG_MAX_TOLD_ROWS)
        cfg_note(r->log, t->place, "%zu more rows cut out nothing that can be",
                 o->n_bad_cuts - CFG_MAX_TOLD_ROWS);
    if (r->n_bad_cues > CFG_MAX_BAD_CUES)
        cfg_note(r->log, t->place, "%zu more rows have times that are none",
                 r->n_bad_cues - CFG_MAX_BAD_CUES);
    if (r->box_counts.n_bad > CFG_MAX_BAD_BOXES)
        cfg_note(r->log, t->place, "%zu more rows have boxes that are none",
                 r->box_counts.n_bad - CFG_MAX_BAD_BOXES);
    if (r->box_counts.n_empty > 0)
        cfg_note(r->log, t->place, "note: %zu rows have no box: their frames are left out",
                 r->box_counts.n_empty);
    if (r->n_keyless > CFG_MAX_TOLD_ROWS)
        cfg_note(r->log, t->place, "%zu more rows have no key", r->n_keyless - CFG_MAX_TOLD_ROWS);
    if (r->rows.n == 0 && r->sound && o->n_without > 0 && !t->left) {
        cfg_mistake(r->log, t->place, "no row stands in %s, so that all %zu clips are left out",
                    r->files[0].label, o->n_without);
        return;
    }
    if (r->rows.n > 0 && o->n_joined == 0 && o->n_without > 0) {
        const struct row *row = r->rows.items;
        cfg_mistake(
            r->log, t->place,
            "no row belongs to a clip: rows have keys such as \"%s\" (%s:%u), clips such as \"%s\" (%s)",
            row->key, r->files[row->file].label, row->line, clip_key, o->without);
        return;
    }
    if (o->n_without > 0)
        cfg_note(r->log, t->place, "note: %zu clips have no row%s; the first is %s, with the key \"%s\"",
                 o->n_without, t->left ? "" : ", and are left out", o->without, clip_key);
    if (o->n_unused > 0)
        cfg_note(r->log, cfg_row_place(r, o->unused, file),
                 "note: %zu rows belong to no clip; this is the first, with the key \"%s\"", o->n_unused,
                 o->unused->key);
}

static int join_clips(struct reading *r)
{
    struct outcome o = {0};
    size_t n = 0;
    for (size_t i = 0; i < r->clips->n; i++) {
        int stays = join_clip(r, &r->clips->clips[i], &o);
        if (stays < 0)
            return stays;
        if (stays)
            r->clips->clips[n++] = r->clips->clips[i];
    }
    r->clips->n_left_out +=
        r->table->cut.unit ? o.n_bad_cuts + (r->table->left ? 0 : o.n_without) : r->clips->n - n;
    r->clips->n = n;
    if (r->table->cut.unit) {
        free(r->clips->clips);
        r->clips->n = r->cuts.n;
        r->clips->clips = base_steal_pointer(r->cuts.items);
    }
    const struct row *rows = r->rows.items;
    for (size_t i = 0; i < r->rows.n; i++) {
        if (!rows[i].used && o.n_unused++ == 0)
            o.unused = &rows[i];
    }
    report_outcome(r, &o);
    return 0;
}

/* ---- One table after the other ---- */

static int compare_files(const void *a, const void *b)
{
    const struct cfg_table_file *x = a, *y = b;
    if (x->table != y->table)
        return x->table < y->table ? -1 : 1;
    return strcmp(x->label, y->label);
}

static int join_table(struct reading *r, const struct cfg_reader *reader, size_t n_files)
{
    int err = 0;
    const size_t told = r->log->n;
    r->rows.n = 0;
    r->n_keyless = r->n_bad_cues = 0;
    r->box_counts = (struct cfg_box_counts){0};
    for (r->file = 0; !err && r->file < n_files; r->file++)
        err = cfg_read_rows(r, reader);
    if (err)
        return err;
    if (n_files == 0 && r->table->missing_ok) {
        r->lacks_tables = true;
        return 0;
    }
    if (n_files == 0 && r->table->member && !r->table->implied)
        cfg_mistake(r->log, r->table->place, "no sample has a member \"%s\"", r->table->member);
    else if (n_files == 0 && !r->table->implied)
        cfg_mistake(r->log, r->table->place, "no file below %s is this table",
                    r->c->n_merged > 0 ? "the roots" : r->c->root);
    r->sound = n_files > 0 && r->log->n == told;
    r->clips->n_tables_missing += n_files == 0 && !r->table->implied;
    if (r->rows.n > 1)
        qsort(r->rows.items, r->rows.n, sizeof(struct row), compare_rows);
    return join_clips(r);
}

/* Tells the reader of all files that it will be asked for. */
static int prepare(const struct cfg_reader *reader, const struct cfg_table_file *files, size_t n_files)
{
    base_autofree const char **paths = calloc(n_files + 1, sizeof *paths);
    size_t n = 0;
    for (size_t i = 0; paths && i < n_files; i++)
        if (!files[i].archive)
            paths[n++] = files[i].path;
    return paths ? reader->prepare(reader->context, paths, n) : -ENOMEM;
}

/* What the configuration speaks of and neither names nor tables give. */
static void report_missing(const struct reading *r)
{
    for (size_t i = 0; i < r->c->n_fields; i++) {
        if (r->c->from_tables[i] && !r->c->may_lack[i] && !r->seen[i])
            cfg_mistake(r->log, r->c->tables[0].place,
                        "nothing gives the field {%s}: no table has such a column", r->c->fields[i]);
    }
}

int cfg_join_tables(const struct cfg *c, const struct cfg_reader *reader, struct cfg_log *log,
                    struct cfg_matcher *matcher, struct cfg_table_file *files, size_t n_files,
                    struct cfg_arena *places, struct cfg_clips *clips)
{
    int err = reader && reader->prepare ? prepare(reader, files, n_files) : 0;
    if (err || clips->n == 0)
        return err;
    struct reading *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    *r = (struct reading){.c = c, .log = log, .matcher = matcher, .places = places, .clips = clips};
    r->values = calloc(c->n_fields + 1, sizeof *r->values);
    r->file_fields = calloc(c->n_fields + 1, sizeof *r->file_fields);
    err = r->values && r->file_fields ? 0 : -ENOMEM;
    for (size_t i = 0; i < c->n_fields; i++)
        r->differ[i] = cfg_is_cue_field(c, i) || cfg_is_box_field(c, i);
    if (n_files > 1)
        qsort(files, n_files, sizeof *files, compare_files);
    size_t from = 0;
    for (size_t i = 0; !err && i < c->n_tables; i++) {
        size_t to = from;
        while (to < n_files && files[to].table == i)
            to++;
        r->table = &c->tables[i];
        r->files = files + from;
        err = join_table(r, reader, to - from);
        from = to;
    }
    if (!err && c->n_tables > 0 && !r->lacks_tables)
        report_missing(r);
    cfg_list_finish(&r->rows);
    cfg_list_finish(&r->cuts);
    cfg_list_finish(&r->cues);
    cfg_list_finish(&r->boxes);
    free(r->values);
    free(r->file_fields);
    free(r);
    return err;
}
