/* SPDX-License-Identifier: Apache-2.0 */
/* `tables:`, as the configuration has them. What stands in them comes with the scan (join.c). */
#include "mountcfg/language.h"

enum {
    TABLE_FILE,
    TABLE_LINES,
    TABLE_LABELS,
    TABLE_MEMBER,
    TABLE_FORMAT,
    TABLE_HEADER,
    TABLE_QUOTES,
    TABLE_COLUMNS,
    TABLE_RECORDS,
    TABLE_KEYS,
    TABLE_MATCH,
    TABLE_BASE,
    TABLE_NONE,
    TABLE_PATH,
    TABLE_KEY,
    TABLE_TO,
    TABLE_JOIN,
    TABLE_CUT,
    TABLE_OPTIONAL,
    TABLE_N
};
static const struct cfg_key table_keys[TABLE_N] = {
    [TABLE_FILE] = {"file", false},         [TABLE_LINES] = {"lines", false},
    [TABLE_LABELS] = {"labels", false},     [TABLE_MEMBER] = {"member", false},
    [TABLE_FORMAT] = {"format", false},     [TABLE_HEADER] = {"header", false},
    [TABLE_QUOTES] = {"quotes", false},     [TABLE_COLUMNS] = {"columns", false},
    [TABLE_RECORDS] = {"records", false},   [TABLE_KEYS] = {"keys", false},
    [TABLE_MATCH] = {"match", false},       [TABLE_BASE] = {"base", false},
    [TABLE_NONE] = {"none", false},         [TABLE_PATH] = {"path", false},
    [TABLE_KEY] = {"key", false},           [TABLE_TO] = {"to", false},
    [TABLE_JOIN] = {"join", false},         [TABLE_CUT] = {"cut", false},
    [TABLE_OPTIONAL] = {"optional", false},
};
enum { CUT_START, CUT_END, CUT_FIRST, CUT_LAST, CUT_BASE, CUT_N };
static const struct cfg_key cut_keys[CUT_N] = {
    [CUT_START] = {"start", false}, [CUT_END] = {"end", false},   [CUT_FIRST] = {"first", false},
    [CUT_LAST] = {"last", false},   [CUT_BASE] = {"base", false},
};
/* Which formats a key is for: bits of 1 << enum cfg_table_format; 0 = all. */
enum {
    ROWS = 1 << CFG_CSV | 1 << CFG_TSV,
    OBJECTS = 1 << CFG_JSON | 1 << CFG_JSONL,
    LINES = 1 << CFG_LINES,
    LABELS = 1 << CFG_LABELS,
};
static const unsigned formats_of[TABLE_N] = {
    [TABLE_FORMAT] = ROWS | OBJECTS, [TABLE_HEADER] = ROWS | LABELS,
    [TABLE_QUOTES] = ROWS,           [TABLE_COLUMNS] = ROWS | OBJECTS,
    [TABLE_RECORDS] = OBJECTS,       [TABLE_KEYS] = OBJECTS,
    [TABLE_MATCH] = LINES,           [TABLE_BASE] = LABELS,
    [TABLE_NONE] = LABELS,
};
static const char *const formats[] = {
    [CFG_CSV] = "csv", [CFG_TSV] = "tsv", [CFG_JSON] = "json", [CFG_JSONL] = "jsonl"};

/* ---- Columns ---- */

/* Adds a column of that name in the file, whose values become a field's. */
static void add_column(struct cfg_loader *l, struct cfg_table *t, int field, const char *name)
{
    if (field < 0)
        return;
    for (size_t i = 0; i < t->n_columns; i++) {
        if (t->column_fields[i] == (size_t)field)
            return;
    }
    const char *kept = cfg_keep(l, name, strlen(name));
    if (!kept || t->n_columns == CFG_MAX_FIELDS)
        return;
    t->column_fields[t->n_columns] = (size_t)field;
    t->columns[t->n_columns++] = kept;
}

/* FIELD: NAME, where NAME is that of a column, its number, or a path in a record. */
static void load_column_names(struct cfg_loader *l, struct cfg_node node, struct cfg_table *t)
{
    size_t n = 0;
    if (!cfg_read_pairs(l, node, "columns", CFG_MAX_FIELDS, &n))
        return;
    for (size_t i = 0; i < n; i++) {
        struct cfg_entry pair = cfg_pair(node, i);
        const char *name = cfg_read_text(l, pair.value, "columns");
        char number[24];
        int place = 0;
        if (!name)
            continue;
        if (1 << t->spec.format & ROWS && !t->spec.header) {
            if (!cfg_read_int(l, pair.value, "columns", 1, 4096, &place))
                continue;
            (void)snprintf(number, sizeof number, "#%d", place);
            name = number;
        }
        add_column(l, t, cfg_field_add(l, cfg_node_place(pair.key), "columns", cfg_pair_name(pair)), name);
    }
}

/* Names for the columns, from the first on; ~ for one that is not wanted. */
static void load_column_list(struct cfg_loader *l, struct cfg_node node, struct cfg_table *t)
{
    size_t n = 0;
    if (!(1 << t->spec.format & ROWS)) {
        cfg_mistake(&l->log, cfg_node_place(node),
                    "columns: expected a mapping such as { label: annotations.label }");
        return;
    }
    if (!cfg_read_list(l, node, "columns", 4096, &n))
        return;
    for (size_t i = 0; i < n; i++) {
        struct cfg_node item = cfg_list_item(node, i);
        char number[24];
        if (cfg_node_is_null(item))
            continue;
        const char *name = cfg_read_text(l, item, "columns");
        (void)snprintf(number, sizeof number, "#%zu", i + 1);
        if (name)
            add_column(l, t, cfg_field_add(l, cfg_node_place(item), "columns", name), number);
    }
}

static void load_columns(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_table *t)
{
    struct cfg_node node = e[TABLE_COLUMNS].value;
    bool list = node.yaml && node.yaml->type == YAML_SEQUENCE_NODE;
    /* Who names columns by their place mostly has no header. */
    t->spec.header = !list;
    if (e[TABLE_HEADER].value.yaml)
        (void)cfg_read_bool(l, e[TABLE_HEADER].value, "header", &t->spec.header);
    t->spec.quotes = true;
    if (e[TABLE_QUOTES].value.yaml)
        (void)cfg_read_bool(l, e[TABLE_QUOTES].value, "quotes", &t->spec.quotes);
    if (list)
        load_column_list(l, node, t);
    else if (node.yaml)
        load_column_names(l, node, t);
    else if (1 << t->spec.format & ROWS && !t->spec.header)
        cfg_mistake(&l->log, t->place, "a table without a header needs \"columns\", such as [clip, label]");
    else
        t->open = l->tables_open = true;
}

/* ---- What each format has ---- */

static void load_objects(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_table *t)
{
    if (e[TABLE_RECORDS].value.yaml) {
        const char *text = cfg_read_text(l, e[TABLE_RECORDS].value, "records");
        t->spec.text = text ? cfg_keep(l, text, strlen(text)) : t->spec.text;
    }
    const char *field = e[TABLE_KEYS].value.yaml ? cfg_read_text(l, e[TABLE_KEYS].value, "keys") : NULL;
    t->spec.keyed = field != NULL;
    if (field)
        add_column(l, t, cfg_field_add(l, cfg_node_place(e[TABLE_KEYS].value), "keys", field), "#key");
    load_columns(l, e, t);
}

static void load_lines(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_table *t)
{
    struct cfg_regex r = {0};
    if (!e[TABLE_MATCH].value.yaml) {
        cfg_mistake(&l->log, t->place, "a table of lines needs a \"match\": an expression with named groups");
        return;
    }
    if (cfg_regex_load(l, e[TABLE_MATCH].value, "match", &r)) {
        const char *text = cfg_read_text(l, e[TABLE_MATCH].value, "match");
        t->spec.text = cfg_keep(l, text, strlen(text));
        for (size_t i = 0; i < r.n_groups; i++)
            add_column(l, t, (int)r.groups[i].field, l->c->fields[r.groups[i].field]);
        if (r.n_groups == 0)
            cfg_mistake(&l->log, r.place,
                        "match: it names no field: write a named group such as (?<clip>\\S+)");
    }
    cfg_regex_finish(&r);
}

static void load_labels(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_table *t)
{
    static const char *const names[] = {"label", "first", "last"};
    int base = 1;
    size_t n = 0;
    struct base_bytes none = {0};
    for (size_t i = 0; i < BASE_ARRAY_LEN(names); i++) {
        char column[16];
        (void)snprintf(column, sizeof column, "#%s", names[i]);
        add_column(l, t, cfg_field_add(l, t->place, "labels", names[i]), column);
    }
    if (e[TABLE_HEADER].value.yaml)
        (void)cfg_read_bool(l, e[TABLE_HEADER].value, "header", &t->spec.header);
    if (e[TABLE_BASE].value.yaml)
        (void)cfg_read_int(l, e[TABLE_BASE].value, "base", 0, 1000000000, &base);
    t->spec.base = (uint32_t)base;
    if (!e[TABLE_NONE].value.yaml || !cfg_read_list(l, e[TABLE_NONE].value, "none", CFG_MAX_MAP, &n))
        return;
    for (size_t i = 0; i < n; i++) {
        const char *text = cfg_read_text(l, cfg_list_item(e[TABLE_NONE].value, i), "none");
        base_bytes_printf(&none, "%s%s", i > 0 ? "\n" : "", text ? text : "");
    }
    base_bytes_append(&none, "", 1);
    if (none.failed)
        l->no_memory = true;
    else
        t->spec.text = cfg_keep(l, (const char *)none.data, none.len - 1);
    base_bytes_finish(&none);
}

/* ---- Joining ---- */

/* A field, a list of fields, or a template. *ret_text is what it is as a template. */
static struct cfg_template *load_key(struct cfg_loader *l, struct cfg_node node, const char *what,
                                     struct base_bytes *ret_text)
{
    bool list = node.yaml->type == YAML_SEQUENCE_NODE;
    size_t n = 1;
    if (list && !cfg_read_list(l, node, what, CFG_MAX_FIELDS, &n))
        return NULL;
    ret_text->len = 0;
    for (size_t i = 0; i < n; i++) {
        const char *text = cfg_read_text(l, list ? cfg_list_item(node, i) : node, what);
        if (!text)
            return NULL;
        /* No value has a newline in it that could be taken for this one, but in texts of people. */
        base_bytes_printf(ret_text, strchr(text, '{') ? "%s%s" : "%s{%s}", i > 0 ? "\n" : "", text);
    }
    base_bytes_append(ret_text, "", 1);
    if (ret_text->failed) {
        l->no_memory = true;
        return NULL;
    }
    return cfg_template_parse(l, cfg_node_place(node), (const char *)ret_text->data, CFG_USE_VALUE);
}

static void load_join(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_table *t)
{
    static const char *const joins[] = {"inner", "left"};
    struct base_bytes text = {0};
    int chosen = 0;
    if (!e[TABLE_KEY].value.yaml && !e[TABLE_MEMBER].key.yaml)
        cfg_mistake(&l->log, t->place,
                    "a table needs a \"key\": the field by which its rows belong to clips");
    else if (e[TABLE_KEY].value.yaml)
        t->key = load_key(l, e[TABLE_KEY].value, "key", &text);
    t->to = e[TABLE_TO].value.yaml ? load_key(l, e[TABLE_TO].value, "to", &text) : t->key;
    base_bytes_finish(&text);
    if (e[TABLE_JOIN].value.yaml && cfg_read_choice(l, e[TABLE_JOIN].value, "join", joins, 2, &chosen))
        t->left = chosen == 1;
}

static size_t load_cut_field(struct cfg_loader *l, struct cfg_node node)
{
    const char *name = cfg_read_text(l, node, "cut");
    int field = name ? cfg_field_read(l, cfg_node_place(node), "cut", name) : -1;
    return field < 0 ? 0 : (size_t)field;
}

static void load_cut(struct cfg_loader *l, struct cfg_node node, struct cfg_table *t)
{
    struct cfg_entry e[CUT_N];
    if (!cfg_read_map(l, node, "cut", false, cut_keys, CUT_N, e))
        return;
    bool times = e[CUT_START].key.yaml && e[CUT_END].key.yaml;
    bool frames = e[CUT_FIRST].key.yaml && e[CUT_LAST].key.yaml;
    if (times == frames ||
        (times && (e[CUT_FIRST].key.yaml || e[CUT_LAST].key.yaml || e[CUT_BASE].key.yaml)) ||
        (frames && (e[CUT_START].key.yaml || e[CUT_END].key.yaml))) {
        cfg_mistake(&l->log, cfg_node_place(node),
                    "cut: expected { start: FIELD, end: FIELD }, or { first: FIELD, last: FIELD }");
        return;
    }
    for (size_t i = 0; i < l->c->n_tables; i++) {
        if (l->c->tables[i].cut.unit)
            cfg_mistake(&l->log, cfg_node_place(node), "cut: another table cuts the videos already");
    }
    t->cut.base = 1;
    if (e[CUT_BASE].value.yaml)
        (void)cfg_read_int(l, e[CUT_BASE].value, "base", 0, 1000000000, &t->cut.base);
    t->cut.from = load_cut_field(l, e[times ? CUT_START : CUT_FIRST].value);
    t->cut.to = load_cut_field(l, e[times ? CUT_END : CUT_LAST].value);
    t->cut.unit = times ? CFG_RANGE_US : CFG_RANGE_FRAMES;
}

/* Which of `file`, `lines`, `labels` and `member` the table has; -1 = reported. */
static int table_kind(struct cfg_loader *l, struct cfg_place at, const struct cfg_entry *e)
{
    int kind = -1;
    for (int i = TABLE_FILE; i <= TABLE_MEMBER; i++) {
        if (!e[i].key.yaml)
            continue;
        if (kind >= 0) {
            cfg_mistake(&l->log, cfg_node_place(e[i].key),
                        "a table has one of \"file\", \"lines\", \"labels\" and \"member\"");
            return -1;
        }
        kind = i;
    }
    if (kind < 0)
        cfg_mistake(&l->log, at,
                    "a table needs \"file\": a pattern such as \"labels/*.csv\" (or \"lines\", \"labels\" "
                    "or \"member\")");
    return kind;
}

/* By the extension of the pattern, which may be that of a list of patterns. */
static enum cfg_table_format format_of(struct cfg_loader *l, struct cfg_node node)
{
    struct cfg_node first = node;
    size_t n = 0;
    if (node.yaml->type == YAML_SEQUENCE_NODE && cfg_read_list(l, node, "file", 1000, &n))
        first = cfg_list_item(node, 0);
    const char *text =
        first.yaml->type == YAML_SCALAR_NODE ? (const char *)first.yaml->data.scalar.value : "";
    const char *dot = strrchr(text, '.');
    for (size_t i = CFG_CSV; dot && i < BASE_ARRAY_LEN(formats); i++) {
        if (strcasecmp(dot + 1, formats[i]) == 0)
            return (enum cfg_table_format)i;
    }
    /* The worker makes rows of it. */
    if (dot && (strcasecmp(dot, ".h5") == 0 || strcasecmp(dot, ".hdf5") == 0))
        return CFG_CSV;
    cfg_mistake(&l->log, cfg_node_place(node),
                "file: its extension is none of csv, tsv, json, jsonl, h5 and hdf5: set \"format\"");
    return CFG_CSV;
}

/* By what stands behind the last dot of a sample's field, or the whole of it. */
static enum cfg_table_format format_of_member(const char *field)
{
    const char *dot = strrchr(field, '.');
    for (size_t i = CFG_CSV; i < BASE_ARRAY_LEN(formats); i++) {
        if (strcasecmp(dot ? dot + 1 : field, formats[i]) == 0)
            return (enum cfg_table_format)i;
    }
    return CFG_ONE_TEXT;
}

static void load_format(struct cfg_loader *l, const struct cfg_entry *e, int kind, struct cfg_table *t)
{
    int chosen = 0;
    if (kind == TABLE_LINES || kind == TABLE_LABELS)
        t->spec.format = kind == TABLE_LINES ? CFG_LINES : CFG_LABELS;
    else if (kind == TABLE_MEMBER && !e[TABLE_FORMAT].value.yaml)
        t->spec.format = t->member ? format_of_member(t->member) : CFG_ONE_TEXT;
    else if (!e[TABLE_FORMAT].value.yaml)
        t->spec.format = format_of(l, e[TABLE_FILE].value);
    else if (cfg_read_choice(l, e[TABLE_FORMAT].value, "format", formats + 1, BASE_ARRAY_LEN(formats) - 1,
                             &chosen))
        t->spec.format = (enum cfg_table_format)(chosen + 1);
    else
        t->spec.format = CFG_CSV;
    for (int i = 0; i < TABLE_N; i++) {
        bool joins = kind == TABLE_MEMBER && (i == TABLE_KEY || i == TABLE_TO);
        if (e[i].key.yaml && (joins || (formats_of[i] && !(formats_of[i] & 1u << t->spec.format))))
            cfg_mistake(&l->log, cfg_node_place(e[i].key), "\"%s\" does not go with a table of this kind",
                        table_keys[i].name);
    }
}

/* Room for a table of either kind. */
static struct cfg_table *new_table(struct cfg_loader *l, struct cfg_place at)
{
    struct cfg_table *t = &l->c->tables[l->c->n_tables++];
    t->place = at;
    t->spec.text = "";
    t->column_fields = cfg_keep_alloc(l, CFG_MAX_FIELDS, sizeof *t->column_fields);
    t->columns = cfg_keep_alloc(l, CFG_MAX_FIELDS, sizeof *t->columns);
    return t->column_fields && t->columns ? t : NULL;
}

static void load_member(struct cfg_loader *l, struct cfg_node node, struct cfg_table *t)
{
    const char *name = cfg_read_text(l, node, "member");
    bool grouped = false;
    for (size_t i = 0; i < l->c->n_sources; i++)
        grouped = grouped || l->c->sources[i].samples;
    if (!grouped && l->c->n_sources > 0)
        cfg_mistake(&l->log, cfg_node_place(node),
                    "member: no source has samples: set \"samples: webdataset\" beside its \"archives\"");
    t->member = name ? cfg_keep(l, name, strlen(name)) : NULL;
}

static void load_columns_of(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_table *t)
{
    switch (t->spec.format) {
    case CFG_CSV:
    case CFG_TSV:
        load_columns(l, e, t);
        break;
    case CFG_JSON:
    case CFG_JSONL:
        load_objects(l, e, t);
        break;
    case CFG_LINES:
        load_lines(l, e, t);
        break;
    case CFG_LABELS:
        load_labels(l, e, t);
        break;
    case CFG_ONE_TEXT:
        if (t->member)
            add_column(l, t, cfg_field_add(l, t->place, "member", t->member), "#text");
        break;
    }
}

static void load_table(struct cfg_loader *l, struct cfg_node node)
{
    struct cfg_entry e[TABLE_N];
    if (!cfg_read_map(l, node, "a table", false, table_keys, TABLE_N, e))
        return;
    int kind = table_kind(l, cfg_node_place(node), e);
    struct cfg_table *t = kind < 0 ? NULL : new_table(l, cfg_node_place(node));
    if (!t)
        return;
    if (kind == TABLE_MEMBER)
        load_member(l, e[kind].value, t);
    else
        cfg_read_globs(l, e[kind].value, table_keys[kind].name, &t->globs, &t->n_globs);
    load_format(l, e, kind, t);
    if (e[TABLE_PATH].value.yaml)
        (void)cfg_regex_load(l, e[TABLE_PATH].value, "path", &t->path);
    load_columns_of(l, e, t);
    load_join(l, e, t);
    if (e[TABLE_CUT].value.yaml)
        load_cut(l, e[TABLE_CUT].value, t);
    if (e[TABLE_OPTIONAL].value.yaml)
        (void)cfg_read_bool(l, e[TABLE_OPTIONAL].value, "optional", &t->missing_ok);
}

void cfg_load_tables(struct cfg_loader *l, struct cfg_node node)
{
    size_t n = 0;
    if (!cfg_read_list(l, node, "tables", CFG_MAX_TABLES, &n))
        return;
    l->c->tables = cfg_keep_alloc(l, n, sizeof *l->c->tables);
    for (size_t i = 0; l->c->tables && i < n; i++)
        load_table(l, cfg_list_item(node, i));
}

void cfg_imply_tables(struct cfg_loader *l)
{
    static const char *const members[] = {"txt", "cls", "json"};
    const struct cfg_source *source = NULL;
    for (size_t i = 0; i < l->c->n_sources && !source; i++)
        source = l->c->sources[i].samples ? &l->c->sources[i] : NULL;
    for (size_t i = 0; i < l->c->n_tables; i++)
        source = l->c->tables[i].member ? NULL : source;
    struct cfg_table *all =
        source ? cfg_keep_alloc(l, l->c->n_tables + BASE_ARRAY_LEN(members), sizeof *all) : NULL;
    if (!all)
        return;
    if (l->c->n_tables > 0)
        memcpy(all, l->c->tables, l->c->n_tables * sizeof *all);
    l->c->tables = all;
    for (size_t i = 0; i < BASE_ARRAY_LEN(members); i++) {
        struct cfg_table *t = new_table(l, source->place);
        if (!t)
            return;
        t->member = members[i];
        t->spec.format = format_of_member(members[i]);
        t->left = t->implied = t->open = l->tables_open = true;
    }
}

/* Whether the path of the table's file gives a field. */
static bool path_gives(const struct cfg_table *t, size_t field)
{
    for (size_t i = 0; i < t->path.n_groups; i++) {
        if (t->path.groups[i].field == field)
            return true;
    }
    return false;
}

static bool gives(const struct cfg_table *t, size_t field)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        if (t->column_fields[i] == field)
            return true;
    }
    return path_gives(t, field);
}

/* Whether a text of samples is this field. */
static bool is_text(const struct cfg *c, size_t field)
{
    for (size_t i = 0; i < c->n_tables; i++) {
        const struct cfg_table *t = &c->tables[i];
        if (t->spec.format == CFG_ONE_TEXT && t->member && strcasecmp(t->member, c->fields[field]) == 0)
            return true;
    }
    return false;
}

/* A table that does not say what its columns are has its key, and all that the configuration speaks of and
 * nothing else gives. */
static void open_columns(struct cfg_loader *l, struct cfg_table *t)
{
    for (size_t i = 0; i < l->c->n_fields; i++) {
        bool key = t->key && cfg_template_has(t->key, i);
        size_t n = t->n_columns;
        bool text = t->spec.format == CFG_ONE_TEXT;
        if ((!key && !l->c->from_tables[i]) || path_gives(t, i) ||
            (text ? strcasecmp(t->member, l->c->fields[i]) != 0 : t->implied && is_text(l->c, i)))
            continue;
        add_column(l, t, (int)i, text ? "#text" : l->c->fields[i]);
        if (t->n_columns > n && !key) /* another table may have it */
            t->spec.optional |= UINT64_C(1) << n;
    }
}

void cfg_complete_tables(struct cfg_loader *l)
{
    for (size_t i = 0; i < l->c->n_tables; i++) {
        struct cfg_table *t = &l->c->tables[i];
        if (t->open && t->columns)
            open_columns(l, t);
        for (size_t k = 0; t->key && !l->fields_broken && k < l->c->n_fields; k++) {
            if (cfg_template_has(t->key, k) && !gives(t, k))
                cfg_mistake(&l->log, t->place, "key: this table does not give the field {%s}",
                            l->c->fields[k]);
        }
        if (!l->fields_broken && t->cut.unit && (!gives(t, t->cut.from) || !gives(t, t->cut.to)))
            cfg_mistake(&l->log, t->place, "cut: this table does not give the field {%s}",
                        l->c->fields[gives(t, t->cut.from) ? t->cut.to : t->cut.from]);
        t->spec.n_columns = t->n_columns;
        t->spec.columns = t->columns;
        if (!l->fields_broken && t->n_columns == 0 && !t->implied)
            cfg_mistake(&l->log, t->place, "nothing of this table is used");
    }
    /* Those that are implied stand last. */
    size_t n = 0;
    for (size_t i = 0; i < l->c->n_tables; i++) {
        if (!l->c->tables[i].implied || l->c->tables[i].n_columns > 0)
            l->c->tables[n++] = l->c->tables[i];
    }
    l->c->n_tables = n;
}

void cfg_table_finish(struct cfg_table *t)
{
    for (size_t i = 0; i < t->n_globs; i++)
        cfg_glob_destroy(t->globs[i]);
    cfg_regex_finish(&t->path);
}
