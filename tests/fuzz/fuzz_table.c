/* SPDX-License-Identifier: Apache-2.0 */
/* Any file as a table of each kind. */
#include "base/io.h"
#include "decoders/records.h"
#include "tests/fuzz/fuzz.h"

#include <sys/mman.h>

/* The daemon can read whatever records a worker gives. */
static void read_records(const struct result *r)
{
    struct dec_records records;
    struct dec_records_cursor cursor;
    struct dec_cell cells[DEC_MAX_COLUMNS];
    uint64_t line;
    int got = dec_records_open(r->data, r->reply.bytes, &records);
    if (got == 0) {
        dec_records_begin(&records, &cursor);
        while ((got = dec_records_mistake(&cursor, &line, &cells[0])) > 0)
            ;
        while (got == 0 && dec_records_next(&cursor, &line, cells) > 0)
            ;
        if (got == 0)
            got = dec_records_next(&cursor, &line, cells);
    }
    if (got != 0)
        finding("its own records cannot be read: %d", got);
    if (verbose)
        (void)fprintf(stderr, "  table: %llu records, %llu mistakes\n", (unsigned long long)records.n_records,
                      (unsigned long long)records.n_mistakes);
}

static void try_table(int fd, struct dec_table_spec spec)
{
    struct dec_job job = {.kind = DEC_TABLE, .threads = 1, .session = 1};
    struct base_bytes packed = {0};
    struct result r;
    spec.text = spec.text ? spec.text : "";
    spec.text_len = strlen(spec.text);
    dec_table_spec_pack(&spec, &packed);
    base_autoclose int wanted = memfd_create("spec", MFD_CLOEXEC);
    if (packed.failed || base_pwrite_all(wanted, packed.data, packed.len, 0) < 0)
        abort();
    if (run_job(&job, fd, NULL, wanted, &r) == 0)
        read_records(&r);
    result_finish(&r);
    base_bytes_finish(&packed);
}

void try_tables(int fd)
{
    try_table(fd, (struct dec_table_spec){.format = DEC_CSV,
                                          .header = true,
                                          .quotes = true,
                                          .n_columns = 2,
                                          .columns = {"clip", "label"},
                                          .optional = 2});
    try_table(fd, (struct dec_table_spec){.format = DEC_TSV, .n_columns = 2, .columns = {"#2", "#1"}});
    try_table(fd, (struct dec_table_spec){.format = DEC_JSON,
                                          .keyed = true,
                                          .text = "database",
                                          .n_columns = 3,
                                          .columns = {"#key", "annotations.label", "t.0.start"}});
    try_table(fd, (struct dec_table_spec){.format = DEC_JSONL, .n_columns = 2, .columns = {"", "id"}});
    try_table(fd, (struct dec_table_spec){.format = DEC_LINES,
                                          .n_columns = 2,
                                          .columns = {"clip", "label"},
                                          .text = "^(?<clip>[^,\\s]+)[,\\s]+(?<label>.*)$"});
    try_table(fd, (struct dec_table_spec){.format = DEC_ONE_TEXT, .n_columns = 1, .columns = {"#text"}});
    try_table(fd, (struct dec_table_spec){.format = DEC_LABELS,
                                          .header = true,
                                          .text = "-1",
                                          .n_columns = 3,
                                          .columns = {"#label", "#first", "#last"}});
}
