/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables: what is wanted of one (the spec), and what was found in it (the records), both packed for the way
 * between daemon and worker. Needs no library; records are kept, and read with a cursor that checks each,
 * because workers that parsed hostile tables write them.
 */
#ifndef DECODERS_RECORDS_H
#define DECODERS_RECORDS_H

#include "base/bytes.h"

#define DEC_MAX_TABLE_BYTES (UINT64_C(256) << 20)   /* a file */
#define DEC_MAX_RECORDS_BYTES (UINT64_C(256) << 20) /* packed; a table with more is read up to there */
#define DEC_MAX_RECORDS (UINT64_C(16) << 20)        /* likewise */
#define DEC_MAX_CELL 65535u                         /* bytes */
#define DEC_MAX_LINE 65535u                         /* bytes; LINES */
#define DEC_MAX_CELLS 4096u                         /* of a row */
#define DEC_MAX_COLUMNS 64u                         /* that are wanted */
#define DEC_MAX_COLUMN_NAME 1024u                   /* bytes */
#define DEC_MAX_MISTAKES_TOLD 100u                  /* a table; the others are only counted */
#define DEC_MAX_EXPRESSION 65535u                   /* bytes */
#define DEC_MAX_JSON_DEPTH 64u

enum dec_table_format {
    DEC_CSV = 1,  /* RFC 4180, also with LF, and a byte order mark; blank lines do not count */
    DEC_TSV,      /* the same with tabs */
    DEC_JSON,     /* one document */
    DEC_JSONL,    /* one document a line */
    DEC_LINES,    /* lines that an expression matches */
    DEC_LABELS,   /* one label a line, which is a frame's: a record is a run of one label */
    DEC_ONE_TEXT, /* the whole of it is one record, without white space at its end */
};

/* How a column is named, by format:
 *   CSV, TSV   the name in the header, or #N, the Nth cell, from 1
 *   JSON       a path of keys and places in a list, divided by dots, from the record on; "" = the record
 * itself; #key = the key under which the record stands LINES      the name of a group LABELS     #label,
 * #first and #last: numbers of frames, inclusive, counted from `base` ONE_TEXT   #text */
struct dec_table_spec {
    uint8_t format; /* enum dec_table_format */
    bool header;    /* CSV, TSV: the first row names the columns. LABELS: the first line is none */
    bool quotes;    /* CSV, TSV: a cell may stand in double quotes */
    bool keyed;     /* JSON: an object where records are looked for holds one in each of its members */
    uint32_t base;  /* LABELS */
    /* JSON: path to the records, "*" standing for every key; what stands there is a record, or a list of
     * them. LINES: the expression, PCRE2. LABELS: labels that are none, divided by newlines. */
    const char *text;
    size_t text_len;
    uint32_t n_columns;
    const char *columns[DEC_MAX_COLUMNS];
    uint64_t optional; /* a bit a column: a CSV or TSV without it is no mistake */
};

void dec_table_spec_pack(const struct dec_table_spec *spec, struct base_bytes *out);
/* *ret points into `text`, which has room for len + DEC_MAX_COLUMNS + 1 bytes. 0 or -EPROTO. */
int dec_table_spec_unpack(const uint8_t *data, size_t len, char *text, struct dec_table_spec *ret);

/* ---- Records ---- */

struct dec_cell {
    const char *text; /* NULL = the record has none; not terminated, no NUL in it */
    size_t len;
};

struct dec_records {
    uint32_t n_columns;
    uint64_t n_records, n_mistakes; /* mistakes: all of them; those told come first under the cursor */
    uint64_t n_passed_over;         /* LINES: lines that do not match */
    uint32_t n_told;
    const uint8_t *data, *end; /* borrowed */
};

/* Checks the frame. *ret borrows data. 0 or -EPROTO. */
int dec_records_open(const uint8_t *data, size_t len, struct dec_records *ret);

struct dec_records_cursor {
    struct base_reader in;
    uint32_t told_left, n_columns;
    uint64_t left, line;
};
void dec_records_begin(const struct dec_records *records, struct dec_records_cursor *ret);
/* The next mistake that was told: its line (0 = the whole table) and what it is. 1, 0 after the last,
 * -EPROTO. Mistakes are read before records. */
int dec_records_mistake(struct dec_records_cursor *c, uint64_t *ret_line, struct dec_cell *ret);
/* The next record: its line, from 1, and n_columns cells. 1, 0 at the end, -EPROTO. */
int dec_records_next(struct dec_records_cursor *c, uint64_t *ret_line, struct dec_cell *cells);

/* ---- Writing ---- */

/* Zero-initialise but for n_columns; dec_records_writer_finish() frees. */
struct dec_records_writer {
    uint32_t n_columns;
    uint64_t n_records, n_mistakes, n_passed_over, last_line;
    uint32_t n_told;
    struct base_bytes mistakes, records;
    bool full; /* the table holds more than may be kept: no more records are taken */
};
/* A cell that is too long or holds a NUL makes a mistake of the record. */
void dec_records_add(struct dec_records_writer *w, uint64_t line, const struct dec_cell *cells);
BASE_PRINTF(3, 4)
void dec_records_add_mistake(struct dec_records_writer *w, uint64_t line, const char *format, ...);
/* Appends all of it. Failures of memory are sticky in out and in the writer's bytes: ask both. */
void dec_records_pack(const struct dec_records_writer *w, struct base_bytes *out);
void dec_records_writer_finish(struct dec_records_writer *w);

#endif
