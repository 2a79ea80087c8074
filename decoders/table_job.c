/* SPDX-License-Identifier: Apache-2.0 */
/* DEC_TABLE: reads a table whole and writes the records of it that are wanted. */
#include "base/io.h"
#include "decoders/hdf5_file.h"
#include "decoders/table.h"

#include <errno.h>
#include <sys/stat.h>

enum { MAX_SECONDS = 50, STEPS_A_LOOK = 256 };
static const uint64_t max_spec_bytes = 1 << 20;

bool dec_table_goes_on(struct dec_table *t, uint64_t line)
{
    if (t->late || t->out.full)
        return false;
    return ++t->steps % STEPS_A_LOOK != 0 || dec_table_has_time(t, line);
}

bool dec_table_has_time(struct dec_table *t, uint64_t line)
{
    t->work->progress(t->work, 0);
    t->late = base_now_ns() - t->begin_ns > (int64_t)MAX_SECONDS * 1000000000;
    if (t->late)
        dec_records_add_mistake(&t->out, line, "reading takes longer than %d s: what follows is not read",
                                MAX_SECONDS);
    return !t->late;
}

bool dec_table_line(const struct dec_table *t, const char **p, struct dec_cell *ret)
{
    const char *start = *p, *at = start;
    if (start >= t->end)
        return false;
    while (at < t->end && *at != '\n' && *at != '\r')
        at++;
    *ret = (struct dec_cell){start, (size_t)(at - start)};
    *p = at + (at < t->end ? 1 : 0) + (at + 1 < t->end && at[0] == '\r' && at[1] == '\n' ? 1 : 0);
    return true;
}

static int read_source(struct dec_work *work, char **ret, size_t *ret_len)
{
    uint64_t len;
    if (dec_source_size(&work->source, &len) < 0)
        return base_fail(&work->why, -EIO, "cannot be read");
    if (len > DEC_MAX_TABLE_BYTES)
        return base_fail(&work->why, -EFBIG, "larger than any table (%d MiB)",
                         (int)(DEC_MAX_TABLE_BYTES >> 20));
    base_autofree char *data = malloc(len + 1);
    if (!data)
        return base_fail(&work->why, -ENOMEM, "out of memory");
    int err = dec_source_read_all(&work->source, data, len, 0);
    if (err)
        return base_fail(&work->why, err, "cannot be read: %s", strerror(-err));
    data[len] = 0;
    *ret = base_steal_pointer(data);
    *ret_len = len;
    return 0;
}

/* The spec stands where other jobs have the media index. */
static int read_spec(struct dec_work *work, char **ret_text, struct dec_table_spec *ret)
{
    struct stat st;
    if (work->list_fd < 0 || fstat(work->list_fd, &st) < 0 || st.st_size < 0 ||
        (uint64_t)st.st_size > max_spec_bytes)
        return base_fail(&work->why, -EPROTO, "a job without a table's spec");
    size_t len = (size_t)st.st_size;
    base_autofree uint8_t *packed = malloc(len + 1);
    base_autofree char *text = malloc(len + DEC_MAX_COLUMNS + 1);
    if (!packed || !text)
        return base_fail(&work->why, -ENOMEM, "out of memory");
    int err = base_pread_all(work->list_fd, packed, len, 0);
    if (!err)
        err = dec_table_spec_unpack(packed, len, text, ret);
    if (err)
        return base_fail(&work->why, err, "a table's spec that makes no sense");
    *ret_text = base_steal_pointer(text);
    return 0;
}

static int read_table(struct dec_table *t)
{
    switch ((enum dec_table_format)t->spec->format) {
    case DEC_CSV:
    case DEC_TSV:
        return dec_table_rows(t);
    case DEC_JSON:
    case DEC_JSONL:
        return dec_table_json(t);
    case DEC_LINES:
        return dec_table_lines(t);
    case DEC_LABELS:
        return dec_table_labels(t);
    case DEC_ONE_TEXT:
        return dec_table_text(t);
    }
    return -EPROTO;
}

/* Tables in other encodings than ASCII's relatives would only give rows of nonsense. */
static bool skip_mark(struct dec_table *t)
{
    size_t len = (size_t)(t->end - t->data);
    if (len >= 3 && memcmp(t->data, "\xef\xbb\xbf", 3) == 0)
        t->data += 3;
    bool wide = len >= 2 && (memcmp(t->data, "\xff\xfe", 2) == 0 || memcmp(t->data, "\xfe\xff", 2) == 0);
    if (wide)
        dec_records_add_mistake(&t->out, 1, "it is UTF-16, which is not read: convert it to UTF-8");
    return !wide;
}

static int write_records(struct dec_table *t)
{
    struct base_bytes packed = {0};
    dec_records_pack(&t->out, &packed);
    int err;
    if (packed.failed || t->out.records.failed || t->out.mistakes.failed)
        err = base_fail(&t->work->why, -ENOMEM, "out of memory for its records");
    else
        err = dec_output_write(t->work, packed.data, packed.len, 0);
    if (!err)
        t->work->reply->bytes = packed.len;
    base_bytes_finish(&packed);
    return err;
}

int dec_run_table(struct dec_work *work)
{
    struct dec_table_spec spec;
    base_autofree char *spec_text = NULL, *data = NULL;
    size_t len = 0;
    int err = read_spec(work, &spec_text, &spec);
    if (!err)
        err = spec.format == DEC_CSV && dec_hdf5_find(&work->source, NULL)
                  ? dec_table_of_hdf5(work, &data, &len)
                  : read_source(work, &data, &len);
    if (err)
        return err;
    struct dec_table t = {.work = work,
                          .spec = &spec,
                          .data = data,
                          .end = data + len,
                          .out = {.n_columns = spec.n_columns},
                          .begin_ns = base_now_ns()};
    if (skip_mark(&t))
        err = read_table(&t);
    if (!err)
        err = write_records(&t);
    dec_records_writer_finish(&t.out);
    return err;
}
