/* SPDX-License-Identifier: Apache-2.0 */
/* The table job: each format, what it forgives, what it does not, and the packed forms it comes and goes in.
 */
#include "decoders/table.h"

#include "base/io.h"
#include "check.h"
#include <errno.h>
#include <sys/mman.h>

static char said[1 << 18];

static uint64_t n_progress;

static void count_progress(struct dec_work *work, uint64_t bytes)
{
    (void)work;
    (void)bytes;
    n_progress++;
}

/* A clock that goes on by so much at each look. */
static int64_t clock_ns, step_ns;
int64_t __wrap_base_now_ns(void);

int64_t __wrap_base_now_ns(void)
{
    return clock_ns += step_ns;
}

static int memory_file(const void *data, size_t len)
{
    int fd = memfd_create("table", MFD_CLOEXEC);
    CHECK_INT(base_pwrite_all(fd, data, len, 0), 0);
    return fd;
}

/* Appends to `said` what a cursor gives, as far as there is room: mistakes as "line! text", records as
 * "line|cell|cell", missing cells as
 * "-". */
static void tell(const uint8_t *data, size_t len)
{
    struct dec_records records;
    struct dec_records_cursor cursor;
    struct dec_cell cells[DEC_MAX_COLUMNS], text;
    uint64_t line;
    size_t n = 0;
    int got;
    said[0] = 0;
    if (!CHECK_INT(dec_records_open(data, len, &records), 0))
        return;
    dec_records_begin(&records, &cursor);
    while ((got = dec_records_mistake(&cursor, &line, &text)) > 0)
        n += (size_t)snprintf(said + n, sizeof said - n, "%d! %.*s\n", (int)line, (int)text.len, text.text);
    CHECK_INT(got, 0);
    while ((got = dec_records_next(&cursor, &line, cells)) > 0) {
        if (n > sizeof said / 4)
            continue;
        n += (size_t)snprintf(said + n, sizeof said - n, "%d", (int)line);
        for (uint32_t i = 0; i < records.n_columns; i++)
            n += (size_t)snprintf(said + n, sizeof said - n, "|%.*s", cells[i].text ? (int)cells[i].len : 1,
                                  cells[i].text ? cells[i].text : "-");
        n += (size_t)snprintf(said + n, sizeof said - n, "\n");
    }
    CHECK_INT(got, 0);
}

/* Runs the job as a worker does; what came is in `said`. Returns the job's code. */
static int read_bytes(struct dec_table_spec spec, const char *text, size_t len)
{
    struct base_bytes packed = {0};
    struct dec_job job = {.kind = DEC_TABLE};
    struct dec_reply reply = {0};
    dec_table_spec_pack(&spec, &packed);
    struct dec_work work = {.job = &job,
                            .source = {.fd = memory_file(text, len)},
                            .output = memory_file("", 0),
                            .list_fd = memory_file(packed.data, packed.len),
                            .reply = &reply,
                            .progress = count_progress};
    int err = dec_run_table(&work);
    said[0] = 0;
    if (!err) {
        base_autofree uint8_t *out = malloc(reply.bytes + 1);
        CHECK_INT(base_pread_all(work.output, out, reply.bytes, 0), 0);
        tell(out, reply.bytes);
        /* Cut anywhere, it is noticed. */
        for (size_t cut = 0; cut < reply.bytes && reply.bytes < 2000; cut++) {
            struct dec_records r;
            struct dec_records_cursor cursor;
            struct dec_cell cells[DEC_MAX_COLUMNS];
            uint64_t line;
            base_autofree uint8_t *part = malloc(cut + 1);
            memcpy(part, out, cut);
            int got = dec_records_open(part, cut, &r);
            if (got == 0) {
                dec_records_begin(&r, &cursor);
                while ((got = dec_records_mistake(&cursor, &line, &cells[0])) > 0)
                    ;
                while (got == 0 && (got = dec_records_next(&cursor, &line, cells)) > 0)
                    got = 0;
            }
            CHECK_INT(got == 0 ? -EPROTO : got, -EPROTO);
        }
    }
    close(work.source.fd);
    close(work.output);
    close(work.list_fd);
    base_bytes_finish(&packed);
    return err;
}

static const char *read_text(struct dec_table_spec spec, const char *text)
{
    CHECK_INT(read_bytes(spec, text, strlen(text)), 0);
    return said;
}

static const struct dec_table_spec csv = {.format = DEC_CSV,
                                          .header = true,
                                          .quotes = true,
                                          .text = "",
                                          .n_columns = 2,
                                          .columns = {"clip", "label"}};

static void test_csv(void)
{
    CHECK_STR(read_text(csv, "\xef\xbb\xbf"
                             "clip,x,label\r\na,1,joy\r\n\r\n\"b, \"\"c\"\"\",2,\"two\nlines\"\nd,3, fear \n"
                             "e,4,"),
              "2|a|joy\n4|b, \"c\"|two\nlines\n6|d|fear\n7|e|\n");
    CHECK_STR(read_text(csv, "label,clip\rjoy,a\rfear,b"), "2|a|joy\n3|b|fear\n");
    CHECK_STR(read_text(csv, "clip,label\na\nb,c,d\ne,f\n\"g\"h,i\n"),
              "2! the row has 1 cells, expected 2: left out\n3! the row has 3 cells, expected 2: left out\n"
              "5! there is text behind a closing quote: left out\n4|e|f\n");
    CHECK_STR(read_text(csv, "clip,lable\na,b\n"),
              "1! there is no column \"label\" (the header has: clip, lable)\n2|a|-\n");
    CHECK_STR(read_text(csv, "clip,label,clip\na,b,c\n"),
              "1! two columns are named \"clip\": the first is taken\n2|a|b\n");
    CHECK_STR(read_text(csv, "clip,label\na,b\n\"c,d\ne,f\n"),
              "3! a quote is not closed: what follows is not read\n2|a|b\n");
    CHECK_STR(read_text(csv, ""), "0! the table is empty\n");
    CHECK_STR(read_text(csv, "\xff\xfe"
                             "c"),
              "1! it is UTF-16, which is not read: convert it to UTF-8\n");
    struct dec_table_spec spec = csv;
    spec.optional = 2;
    CHECK_STR(read_text(spec, "clip,x\na,b\n"), "2|a|-\n");
    spec = csv;
    spec.header = false;
    spec.columns[0] = "#3";
    spec.columns[1] = "#1";
    CHECK_STR(read_text(spec, "a,b,c\nd,e\nf,g,h\n"),
              "2! the row has 2 cells, expected 3: left out\n1|c|a\n3|h|f\n");
    CHECK_STR(read_text(spec, "\na,b\nc,d\n"),
              "2! there is no column 3 (the first row has 2)\n2|-|a\n3|-|c\n");
    spec.optional = 1;
    CHECK_STR(read_text(spec, "a,b\n"), "1|-|a\n");
    spec = csv;
    spec.format = DEC_TSV;
    spec.quotes = false;
    CHECK_STR(read_text(spec, "clip\tlabel\n\"a\tb, c\n"), "2|\"a|b, c\n");
    CHECK_INT(read_bytes(csv, "clip,label\na,b\0c\nd,e\n", 21), 0);
    CHECK_STR(said, "2! a value has a NUL character in it\n3|d|e\n");
}

static void test_long(void)
{
    struct base_bytes text = {0};
    base_bytes_printf(&text, "clip,label\n");
    for (int i = 0; i < 70000; i++)
        base_bytes_append(&text, "x", 1);
    base_bytes_printf(&text, ",a\nb,c\n");
    for (int i = 0; i < 5000; i++)
        base_bytes_append(&text, ",", 1);
    base_bytes_printf(&text, "\nd,e\n");
    CHECK_INT(read_bytes(csv, (const char *)text.data, text.len), 0);
    CHECK_STR(
        said,
        "2! a value is longer than 65535 bytes\n4! the row has too many cells: left out\n3|b|c\n5|d|e\n");
    base_bytes_finish(&text);
    /* Of many mistakes the first are told. */
    for (int i = 0; i < 1000; i++)
        base_bytes_printf(&text, i == 0 ? "clip,label\n" : "x\n");
    CHECK_INT(read_bytes(csv, (const char *)text.data, text.len), 0);
    CHECK(strstr(said, "101! the row has 1 cells, expected 2: left out\n") && !strstr(said, "102! "));
    base_bytes_finish(&text);
}

static void test_json(void)
{
    struct dec_table_spec spec = {.format = DEC_JSON,
                                  .keyed = true,
                                  .text = "database",
                                  .text_len = 8,
                                  .n_columns = 3,
                                  .columns = {"#key", "annotations.label", "subset"}};
    CHECK_STR(read_text(spec, "{\"labels\": [\"a\", {\"x\": []}],\n \"database\": {\n  "
                              "\"c\\u00e9\\ud83d\\ude00\": {\"annotations\": "
                              "{\"label\": \"joy\", \"more\": [1, 2]}, \"subset\": null},\n  \"d\": "
                              "{\"subset\": \"t\\n\"}\n}}"),
              "3|c\xc3\xa9\xf0\x9f\x98\x80|joy|-\n4|d|-|t\n\n");
    CHECK_STR(
        read_text((struct dec_table_spec){.format = DEC_JSONL, .text = "", .n_columns = 1, .columns = {"a"}},
                  "\n"),
        "0! the table is empty\n");
    CHECK_STR(read_text(spec, "{\"data\": 1}"), "0! nothing stands at \"database\" in it\n");
    CHECK_STR(
        read_text(spec, "{\"database\": {\"a\": {\"subset\": 1}, \"b\": {\"subset\": \"x}\n"),
        "1! not JSON: a text goes over the end of its line, or has a control character in it\n1|a|-|1\n");
    CHECK_STR(read_text(spec, "{\"database\": {\"a\": {\"subset\": 1}} x"),
              "1! not JSON: expected a comma or a closing bracket\n1|a|-|1\n");
    spec = (struct dec_table_spec){
        .format = DEC_JSON, .text = "", .n_columns = 3, .columns = {"id", "t.0.start", "ok"}};
    CHECK_STR(read_text(spec, "[{\"id\": 1, \"t\": [{\"start\": 0.5e-1}, {\"start\": 7}], \"ok\": true},\n"
                              "{\"id\": -2.50, \"ok\": NaN, \"id2\": {}}, {}]"),
              "1|1|0.5e-1|true\n2|-2.50|-|NaN\n2|-|-|-\n");
    CHECK_STR(read_text(spec, "{\"id\": \"one\"}"), "1|one|-|-\n");
    CHECK_STR(read_text(spec, "{\"id\": \"one\"}]"),
              "1! not JSON: there is text behind the end of the document\n1|one|-|-\n");
    CHECK_STR(read_text(spec, "{\"id\": one}"), "1! not JSON: expected a value\n");
    CHECK_STR(read_text(spec, "{\"id\": \"\\u12G4\"}"),
              "1! not JSON: a \\u without four hexadecimal digits\n");
    CHECK_STR(read_text(spec, ""), "1! not JSON: expected a value\n");
    spec.text = "*.items";
    spec.text_len = 7;
    CHECK_STR(
        read_text(spec, "{\"x\": {\"items\": [{\"id\": 1}, {\"id\": 2}]}, \"y\": {\"items\": {\"id\": 3}}}"),
        "1|1|-|-\n1|2|-|-\n1|3|-|-\n");
    spec = (struct dec_table_spec){
        .format = DEC_JSON, .keyed = true, .text = "", .n_columns = 2, .columns = {"#key", ""}};
    CHECK_STR(read_text(spec, "{\"a\": \"joy\", \"b\": 2}"), "1|a|joy\n1|b|2\n");
    spec = (struct dec_table_spec){.format = DEC_JSONL, .text = "", .n_columns = 1, .columns = {"id"}};
    CHECK_STR(read_text(spec, "{\"id\": 1}\n\n{\"id\": }\r\n{\"id\": 3}"),
              "3! not JSON: expected a value\n1|1\n4|3\n");
    char deep[300];
    memset(deep, '[', sizeof deep);
    deep[sizeof deep - 1] = 0;
    CHECK_STR(read_text(spec, deep), "1! not JSON: lists and objects stand too deep in each other\n");
}

static void test_lines(void)
{
    static const char expression[] =
        "^\\[(?<start>[\\d.]+) - (?<end>[\\d.]+)\\]\\t(?<clip>\\S+)\\t(?<label>\\w+)";
    struct dec_table_spec spec = {.format = DEC_LINES,
                                  .text = expression,
                                  .text_len = sizeof expression - 1,
                                  .n_columns = 3,
                                  .columns = {"clip", "end", "none"}};
    CHECK_STR(
        read_text(
            spec,
            "% header\r\n[1.0 - 2.5]\tSes01\tang\t[1]\r\n\n[3 - 4]\tSes02\t\xff\n[3 - 4]\tSes\xffx\thap"),
        "2|Ses01|2.5|-\n5|Ses\xffx|4|-\n");
    CHECK_STR(read_text(spec, "nothing\n"), "0! no line of it matches the expression\n");
    static const char costly[] = "^(?:a|aa|a*)+[bc](?<clip>)";
    spec.text = costly;
    spec.text_len = sizeof costly - 1;
    CHECK_STR(read_text(spec, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaad\nab\n"),
              "1! the expression takes too long on this line: left out\n2||-|-\n");
    spec.text = "(";
    spec.text_len = 1;
    CHECK_INT(read_bytes(spec, "a", 1), -EINVAL);
}

/* One of 64 MB: passed over for the expression that would look from each of its places to its end, and for
 * rows and JSON no trouble. */
static void test_long_line(void)
{
    enum { LONG = 64000000 };
    static const char expression[] = "(?<clip>\\w+)@";
    struct base_bytes text = {0};
    if (!CHECK_INT(base_bytes_reserve(&text, LONG + 20), 0))
        return;
    memset(text.data, 'x', LONG);
    memcpy(text.data + LONG, "@\na@\n,b\n", 9);
    struct dec_table_spec spec = {.format = DEC_LINES,
                                  .text = expression,
                                  .text_len = sizeof expression - 1,
                                  .n_columns = 1,
                                  .columns = {"clip"}};
    CHECK_INT(read_bytes(spec, (const char *)text.data, LONG + 5), 0);
    CHECK_STR(said, "1! the line is longer than 65535 bytes: left out\n2|a\n");
    CHECK_INT(read_bytes(spec, (const char *)text.data + LONG - 65534, 65535), 0);
    CHECK(strncmp(said, "1|xxx", 5) == 0 && strlen(said) == 2 + 65534 + 1);
    spec = (struct dec_table_spec){.format = DEC_CSV, .n_columns = 1, .columns = {"#1"}, .text = ""};
    CHECK_INT(read_bytes(spec, (const char *)text.data, LONG + 5), 0);
    CHECK_STR(said, "1! a value is longer than 65535 bytes\n2|a@\n");
    memset(text.data, ',', LONG);
    CHECK_INT(read_bytes(spec, (const char *)text.data, LONG + 2), 0);
    CHECK_STR(said, "1! the row has too many cells: left out\n");
    memset(text.data, 'x', LONG);
    memcpy(text.data, "[{\"a\": \"", 8);
    memcpy(text.data + LONG, "\"}, {\"a\": 1}]", 13);
    spec = (struct dec_table_spec){.format = DEC_JSON, .n_columns = 1, .columns = {"a"}, .text = ""};
    CHECK_INT(read_bytes(spec, (const char *)text.data, LONG + 13), 0);
    CHECK_STR(said, "1! a value is longer than 65535 bytes\n1|1\n");
    base_bytes_finish(&text);
}

/* A list of millions of entries, wanted or not, ends when there is no more time, and the worker is seen to be
 * alive all the while; so do lines on which the expression has much to do. */
static void test_late(void)
{
    enum { N = 3000000 };
    static const char expression[] = "(?<clip>\\w+)@";
    struct base_bytes text = {0};
    if (!CHECK_INT(base_bytes_reserve(&text, 2 * N + 20), 0))
        return;
    for (size_t i = 0; i < N; i++)
        memcpy(text.data + 2 * i, i == 0 ? "[[" : i == N - 1 ? "9]" : "1,", 2);
    memcpy(text.data + (size_t)2 * N, "]", 1);
    struct dec_table_spec spec = {.format = DEC_JSON, .text = "", .n_columns = 1, .columns = {"a"}};
    for (int flat = 0; flat < 2; flat++) {
        n_progress = 0;
        step_ns = 0;
        CHECK_INT(read_bytes(spec, (const char *)text.data, 2 * N + 1), 0);
        CHECK(n_progress >= N / 256);
        step_ns = 100000000; /* after 500 looks */
        CHECK_INT(read_bytes(spec, (const char *)text.data, 2 * N + 1), 0);
        CHECK(strncmp(said, "1! reading takes longer than 50 s: what follows is not read\n", 59) == 0);
        memcpy(text.data, " [", 2); /* then each is a record */
        text.data[2 * N] = ' ';
    }
    for (size_t i = 0; i < 100; i++)
        memcpy((char *)memset(text.data + 2000 * i, 'x', 2000) + 1998, "@\n", 2);
    spec = (struct dec_table_spec){.format = DEC_LINES,
                                   .text = expression,
                                   .text_len = sizeof expression - 1,
                                   .n_columns = 1,
                                   .columns = {"clip"}};
    step_ns = 1000000000; /* a second a line */
    CHECK_INT(read_bytes(spec, (const char *)text.data, 200000), 0);
    CHECK(strncmp(said, "51! reading takes longer than 50 s: what follows is not read\n", 60) == 0);
    step_ns = 0;
    base_bytes_finish(&text);
}

static void test_labels(void)
{
    struct dec_table_spec spec = {.format = DEC_LABELS,
                                  .header = true,
                                  .base = 1,
                                  .text = "-1\n-5",
                                  .text_len = 5,
                                  .n_columns = 3,
                                  .columns = {"#label", "#first", "#last"}};
    CHECK_STR(read_text(spec, "Neutral,Anger\n4\n4 \n-1\n-5\n4\n0\r\n0\r\n0\n"),
              "2|4|1|2\n6|4|5|5\n7|0|6|8\n");
    CHECK_STR(read_text(spec, "Neutral\n"), "0! it holds no label\n");
    spec.header = false;
    spec.base = 0;
    CHECK_STR(read_text(spec, "a\n\nb"), "1|a|0|0\n3|b|2|2\n");
}

/* A spec that is cut or of nonsense is refused, whatever it says. */
static void test_specs(void)
{
    struct base_bytes packed = {0};
    struct dec_table_spec got;
    char text[256];
    dec_table_spec_pack(&csv, &packed);
    CHECK_INT(dec_table_spec_unpack(packed.data, packed.len, text, &got), 0);
    CHECK(got.n_columns == 2 && got.header && got.quotes && !got.keyed);
    CHECK_STR(got.columns[1], "label");
    for (size_t cut = 0; cut < packed.len; cut++)
        CHECK_INT(dec_table_spec_unpack(packed.data, cut, text, &got), -EPROTO);
    base_bytes_append(&packed, "", 1);
    CHECK_INT(dec_table_spec_unpack(packed.data, packed.len, text, &got), -EPROTO);
    packed.data[8] = 99; /* the format */
    CHECK_INT(dec_table_spec_unpack(packed.data, packed.len - 1, text, &got), -EPROTO);
    base_bytes_finish(&packed);
}

int main(void)
{
    CHECK_RUN(test_csv);
    CHECK_RUN(test_long);
    CHECK_RUN(test_json);
    CHECK_RUN(test_lines);
    CHECK_RUN(test_long_line);
    CHECK_RUN(test_late);
    CHECK_RUN(test_labels);
    CHECK_RUN(test_specs);
    return check_result();
}
