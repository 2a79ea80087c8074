/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of tables, as joining needs them. Only rows.c, which reads them, and join.c include this. */
#ifndef MOUNTCFG_ROWS_H
#define MOUNTCFG_ROWS_H

#include "mountcfg/scanning.h"

/* Lines about rows that one table gives, at most; the rest is a number. */
enum { CFG_MAX_TOLD_ROWS = 20 };

struct row {
    const char *key;
    const char **values; /* parallel to the columns, then the groups of the path */
    uint32_t file, line;
    bool used;
};

struct reading {
    const struct cfg *c;
    struct cfg_log *log;
    struct cfg_matcher *matcher;
    struct cfg_arena *places; /* what clips' `rows` are in */
    struct cfg_clips *clips;
    const char **values; /* scratch: of all fields */
    /* The table at hand: */
    const struct cfg_table *table;
    const struct cfg_table_file *files;
    uint32_t file;            /* of the file at hand */
    const char **file_fields; /* what its path gave, of all fields */
    const char *file_path;    /* as messages have it */
    struct cfg_list rows;
    struct cfg_list cuts;        /* struct cfg_clip: what a table that cuts makes of the clips */
    struct cfg_list cues, boxes; /* struct cfg_cue and cfg_box_row: scratch */
    struct cfg_box_counts box_counts;
    size_t n_keyless, n_bad_cues;
    bool sound;                  /* there are files, and they were read without a mistake */
    bool differ[CFG_MAX_FIELDS]; /* fields of which rows of one key may have different values */
    bool seen[CFG_MAX_FIELDS];   /* some row of some table had it */
    bool lacks_tables;           /* some optional table is not there */
};

/* How many values a row has, and which fields they are. */
static inline size_t cfg_row_width(const struct cfg_table *t)
{
    return t->n_columns + t->path.n_groups;
}

static inline size_t cfg_row_field(const struct cfg_table *t, size_t i)
{
    return i < t->n_columns ? t->column_fields[i] : t->path.groups[i - t->n_columns].field;
}

/* Of a row, for messages; text keeps its file's path. */
struct cfg_place cfg_row_place(const struct reading *r, const struct row *row, char text[CFG_MAX_PATH + 1]);
/* The text of a template over values, as the arena's; NULL with *ret_err 0 when a field is missing. */
const char *cfg_row_key(struct reading *r, const struct cfg_template *t, const char *const *values,
                        int *ret_err);
/* What a member of a sample and its clips have in common; NULL with *ret_err 0: it is of none. */
const char *cfg_sample_key(const struct reading *r, const char *path, uint32_t archive, uint32_t sample,
                           int *ret_err);
/* Adds the rows of the file at hand to r->rows. A file that cannot be read is reported. 0 or a negative
 * errno. */
int cfg_read_rows(struct reading *r, const struct cfg_reader *reader);

#endif
