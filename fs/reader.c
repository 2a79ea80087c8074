/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/reader.h"

#include "decoders/records.h"

#include <errno.h>

static const uint8_t formats[] = {
    [CFG_CSV] = DEC_CSV,           [CFG_TSV] = DEC_TSV,     [CFG_JSON] = DEC_JSON,
    [CFG_JSONL] = DEC_JSONL,       [CFG_LINES] = DEC_LINES, [CFG_LABELS] = DEC_LABELS,
    [CFG_ONE_TEXT] = DEC_ONE_TEXT,
};

/* The configuration's words as the worker's. */
static void pack_spec(const struct cfg_table_spec *from, struct base_bytes *out)
{
    struct dec_table_spec spec = {
        .format = formats[from->format],
        .header = from->header,
        .quotes = from->quotes,
        .keyed = from->keyed,
        .base = from->base,
        .text = from->text,
        .text_len = strlen(from->text),
        .n_columns = (uint32_t)from->n_columns,
        .optional = from->optional,
    };
    for (size_t i = 0; i < from->n_columns; i++)
        spec.columns[i] = from->columns[i];
    dec_table_spec_pack(&spec, out);
}

/* One record on its way: its cells get the terminators that they lack. */
struct row {
    struct base_bytes text;
    const char *values[DEC_MAX_COLUMNS];
};

static int hand_on_row(const struct cfg_table_sink *sink, struct row *row, uint64_t line,
                       const struct dec_cell *cells, uint32_t n)
{
    row->text.len = 0;
    for (uint32_t i = 0; i < n; i++) {
        base_bytes_append(&row->text, cells[i].text, cells[i].len);
        base_bytes_append(&row->text, "", 1);
    }
    if (row->text.failed)
        return -ENOMEM;
    const char *at = (const char *)row->text.data;
    for (uint32_t i = 0; i < n; i++) {
        row->values[i] = cells[i].text ? at : NULL;
        at += cells[i].len + 1;
    }
    return sink->row(sink->context, line, row->values);
}

static int hand_on_mistakes(const struct dec_records *records, struct dec_records_cursor *cursor,
                            const struct cfg_table_sink *sink)
{
    struct dec_cell text;
    uint64_t line;
    int got;
    while ((got = dec_records_mistake(cursor, &line, &text)) > 0) {
        struct base_reason what;
        base_fail(&what, 0, "%.*s", (int)text.len, text.text);
        sink->mistake(sink->context, line, what.text);
    }
    if (!got && records->n_mistakes > records->n_told)
        sink->more_mistakes(sink->context, records->n_mistakes - records->n_told);
    return got;
}

/* *ret_broken: it has mistakes. */
static int hand_on(const struct base_bytes *packed, size_t n_columns, const struct cfg_table_sink *sink,
                   bool *ret_broken)
{
    struct dec_records records;
    struct dec_records_cursor cursor;
    struct dec_cell cells[DEC_MAX_COLUMNS];
    struct row row = {0};
    uint64_t line;
    int err = dec_records_open(packed->data, packed->len, &records);
    if (err || records.n_columns != n_columns)
        return -EPROTO;
    *ret_broken = records.n_mistakes > 0;
    dec_records_begin(&records, &cursor);
    err = hand_on_mistakes(&records, &cursor, sink);
    while (!err && (err = dec_records_next(&cursor, &line, cells)) > 0)
        err = hand_on_row(sink, &row, line, cells, records.n_columns);
    base_bytes_finish(&row.text);
    return err;
}

static int read_packed(struct fs_reader *r, const struct cfg_table_place *place,
                       const struct base_bytes *spec, struct base_bytes *ret, struct base_reason *why)
{
    return place->archive
               ? cache_read_member_table(r->reader, r->cache, place->archive, place->member, spec, ret, why)
               : cache_read_table(r->reader, place->path, spec, ret, why);
}

static int prepare(void *context, const char *const *paths, size_t n)
{
    const struct fs_reader *r = context;
    return r->tables ? fs_tables_watch(r->tables, r->cache, paths, n) : 0;
}

static int read_table(void *context, const struct cfg_table_place *place, const struct cfg_table_spec *spec,
                      const struct cfg_table_sink *sink, struct base_reason *why)
{
    struct fs_reader *r = context;
    struct base_bytes wanted = {0}, packed = {0};
    bool broken = false;
    int err = r->reader ? 0 : cache_reader_create(&r->options, &r->reader, why);
    if (err)
        return err == -ENOMEM ? err : -EIO;
    pack_spec(spec, &wanted);
    err = wanted.failed ? -ENOMEM : read_packed(r, place, &wanted, &packed, why);
    if (!err)
        err = hand_on(&packed, spec->n_columns, sink, &broken);
    if (err == -EPROTO)
        err = base_fail(why, -EIO, "the worker gave records that make no sense");
    if (r->tables && !place->archive && (broken || err == -EIO))
        fs_tables_set_broken(r->tables, place->path);
    base_bytes_finish(&wanted);
    base_bytes_finish(&packed);
    return err;
}

void fs_reader_init(struct fs_reader *r, const struct cache_reader_options *options, struct cache *cache,
                    struct fs_tables *tables)
{
    *r = (struct fs_reader){.ops = {.prepare = prepare, .read_table = read_table, .context = r},
                            .options = *options,
                            .cache = cache,
                            .tables = tables};
}

void fs_reader_finish(struct fs_reader *r)
{
    cache_reader_destroy(r->reader);
    r->reader = NULL;
}
