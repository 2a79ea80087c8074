/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fails the first, second, third ... allocation of loading and scanning a corpus: each time -ENOMEM comes
 * out, and nothing is lost or freed twice (which the sanitizers see). The linker puts the wrappers in
 * (--wrap).
 */
#include "tests/unit/check.h"
#include "tests/unit/corpus.h"

static int64_t left = INT64_MAX; /* allocations until the one that fails */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size)
{
    return --left == 0 ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return --left == 0 ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return --left == 0 ? NULL : __real_realloc(p, size);
}

/* A reader of tables: two rows, and a mistake. */
static int read_table(void *context, const struct cfg_table_place *place, const struct cfg_table_spec *spec,
                      const struct cfg_table_sink *sink, struct base_reason *why)
{
    static const char *const rows[2][3] = {{"x", "left", NULL}, {"y", "left", "1"}};
    (void)context;
    (void)place;
    (void)why;
    CHECK_INT(spec->n_columns, 3);
    sink->mistake(sink->context, 1, "nothing much");
    sink->more_mistakes(sink->context, 2);
    int err = sink->row(sink->context, 2, rows[0]);
    return err ? err : sink->row(sink->context, 3, rows[1]);
}

static int load_and_scan(void)
{
    static const struct cfg_reader reader = {.read_table = read_table};
    struct cfg *c = NULL;
    struct cfg_clips *clips = NULL;
    size_t problems = 0;
    corpus_said[0] = 0;
    int err = cfg_load("c.yaml", corpus_report, NULL, &c);
    if (err == 0)
        err = cfg_scan(c, &reader, NULL, corpus_report, NULL, &clips, &problems);
    CHECK((err == 0) == (clips != NULL));
    cfg_clips_destroy(clips);
    cfg_destroy(c);
    return err;
}

static void fail_each(const char *text, int want)
{
    corpus_write("c.yaml", text, strlen(text));
    for (int64_t n = 1; n < 100000; n++) {
        left = n;
        int err = load_and_scan();
        bool failed = left <= 0;
        left = INT64_MAX;
        /* A message may be lost for lack of memory, its mistake may not. */
        if (!CHECK(err == want || (failed && err == -ENOMEM)))
            (void)fprintf(stderr, "    allocation %" PRId64 ": %d\n", n, err);
        if (!failed)
            return;
    }
    CHECK(!"it never ends");
}

static void test_preset(void)
{
    corpus_touch("root/a/x.mp4");
    corpus_touch("root/a/x.avi");
    corpus_touch("root/a/y.mp4");
    corpus_touch("root/a/y.srt");
    corpus_touch("root/a/y.en.srt");
    fail_each(
        "preset: class-folders\nroot: root\noptions: {size: short:64}\nn_frames: 16\ncache: {dir: ~/x}\n", 0);
}

static void test_misfits(void)
{
    fail_each("root: root\nsources: [{videos: ['{a,b}/*', 'c']}]\nviews:\n"
              "  - {path: 'a/{clip}/{frame:06d}.jpg', frames: {}}\n  - {path: 'a', text: '{nframes}'}\n",
              0);
}

static void test_fields(void)
{
    fail_each("root: root\nsources: [{videos: '**', match: '(?<class>[a-z])/(?<clip>[x-z])'}]\nfields:\n"
              "  side: [{when: {clip: '(?<g>x)'}, set: 'left'}, {set: '{class}', map: {a: right}}]\n"
              "  n: {of: clip, match: '.', case: upper, index: [X, Y]}\nviews:\n"
              "  - {path: 'f/{clip}/{n:03d}/{frame:06d}.jpg', frames: {crop: '{side}'}}\n",
              0);
}

static void test_tables(void)
{
    corpus_touch("root/t1.csv");
    corpus_touch("root/t2.csv");
    fail_each(
        "root: root\nsources: [{videos: '*/*', match: '(?<class>[a-z])/(?<clip>[x-z])'}]\n"
        "tables: [{file: 't*.csv', key: clip, columns: {clip: c, side: s, n: m}, path: 't(?<split>.)'}]\n"
        "views: [{path: '{split}/{class}/{side}/{clip}', text: x}]\n",
        0);
}

static void test_cuts(void)
{
    corpus_touch("root/t1.csv");
    fail_each("root: root\nsources: [{videos: '*/*', match: '(?<class>[a-z])/(?<clip>[x-z])'}]\n"
              "tables: [{file: 't*.csv', key: clip, join: left, columns: {clip: c, from: s, to: m}, "
              "cut: {start: from, end: to}}]\nviews: [{path: '{class}/{clip}', text: x}]\n",
              0);
}

static void test_mistakes(void)
{
    fail_each("korpus: x\nroot: $NO_SUCH\nsources: [{videos: '{a', match: '('}]\nviews: [{path: '{x}'}]\n",
              -EINVAL);
}

int main(void)
{
    corpus_make();
    CHECK_RUN(test_preset);
    CHECK_RUN(test_misfits);
    CHECK_RUN(test_fields);
    CHECK_RUN(test_tables);
    CHECK_RUN(test_cuts);
    CHECK_RUN(test_mistakes);
    corpus_remove();
    return check_result();
}
