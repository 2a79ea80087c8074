/* SPDX-License-Identifier: Apache-2.0 */
/* A table being read: what the files table_*.c share. */
#ifndef DECODERS_TABLE_H
#define DECODERS_TABLE_H

#include "decoders/media.h"
#include "decoders/records.h"

struct dec_table {
    struct dec_work *work;
    const struct dec_table_spec *spec;
    const char *data, *end; /* behind a byte order mark; there is a NUL at the end */
    struct dec_records_writer out;
    unsigned steps;
    int64_t begin_ns;
    bool late;
};

/* To be asked once a row or so: false when it took too long, which is a mistake by then, or no more fits. */
bool dec_table_goes_on(struct dec_table *t, uint64_t line);
/* The same, looked at now and not only now and then: before what may take long by itself. */
bool dec_table_has_time(struct dec_table *t, uint64_t line);

/* The next line from *p on, without its end (LF, CR LF or CR), and *p behind that. False at the end. */
bool dec_table_line(const struct dec_table *t, const char **p, struct dec_cell *ret);

/* What reads one kind of table into t->out. 0 or a negative errno with t->work->why. Mistakes of the table
 * are no failure. */
int dec_table_rows(struct dec_table *t);
int dec_table_lines(struct dec_table *t);
int dec_table_labels(struct dec_table *t);
int dec_table_json(struct dec_table *t);
int dec_table_text(struct dec_table *t);

/* An HDF5 file as a table with commas: for each of its datasets that is one value a row of path, name (the
 * path's first part) and value. 0 or a negative errno with why. *ret is to be freed; there is a NUL behind
 * it. */
int dec_table_of_hdf5(struct dec_work *work, char **ret, size_t *ret_len);

#endif
