/* SPDX-License-Identifier: Apache-2.0 */
/* What a scan found, in some lines for people who write a configuration. */
#include "mountcfg/scanning.h"

#include <errno.h>

enum { MAX_VALUES = 24 /* that are all told */, MAX_EXAMPLES = 3 };
enum { MAX_LOOKED = 1000000 }; /* files that are looked at only to tell of them */

/* Values of a field, in their order. */
struct count {
    const char *value;
    size_t n;
};

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* How many clips have each value of a field; counts has room for all clips, and so has texts, which is
 * scratch. */
static size_t count_values(const struct cfg_clips *clips, size_t field, const char **texts,
                           struct count *counts)
{
    size_t n = 0, n_counts = 0;
    for (size_t i = 0; i < clips->n; i++) {
        if (clips->clips[i].values[field])
            texts[n++] = clips->clips[i].values[field];
    }
    if (n > 1)
        qsort(texts, n, sizeof *texts, compare_texts);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(texts[i - 1], texts[i]) != 0)
            counts[n_counts++] = (struct count){texts[i], 0};
        counts[n_counts - 1].n++;
    }
    return n_counts;
}

static void put_counts(const struct count *counts, size_t n, struct base_bytes *out)
{
    for (size_t i = 0; i < n; i++)
        base_bytes_printf(out, "%s%s %zu", i > 0 ? ", " : "", counts[i].value, counts[i].n);
}

/* Of many values only how many there are, and some of them. */
static void put_summary(const struct count *counts, size_t n, struct base_bytes *out)
{
    size_t least = SIZE_MAX, most = 0;
    for (size_t i = 0; i < n; i++) {
        least = BASE_MIN(least, counts[i].n);
        most = BASE_MAX(most, counts[i].n);
    }
    base_bytes_printf(out, "%zu values, of %zu to %zu clips, such as ", n, least, most);
    put_counts(counts, MAX_EXAMPLES, out);
}

static void describe_field(struct cfg_log *log, struct cfg_place at, const struct cfg_clips *clips,
                           size_t field, const char **texts, struct count *counts)
{
    struct base_bytes text = {0};
    size_t n = count_values(clips, field, texts, counts);
    /* Where values are mostly one clip's, they are names. */
    if (n == 0 || (n <= MAX_VALUES ? n == clips->n : n > clips->n / 2))
        return;
    if (n <= MAX_VALUES)
        put_counts(counts, n, &text);
    else
        put_summary(counts, n, &text);
    base_bytes_append(&text, "", 1);
    if (!text.failed)
        cfg_note(log, at, "{%s}: %s", clips->fields[field], (const char *)text.data);
    base_bytes_finish(&text);
}

static void describe_fields(struct cfg_log *log, struct cfg_place at, const struct cfg_clips *clips)
{
    base_autofree const char **texts = calloc(clips->n + 1, sizeof *texts);
    base_autofree struct count *counts = calloc(clips->n + 1, sizeof *counts);
    for (size_t i = 0; texts && counts && i < clips->n_fields; i++)
        describe_field(log, at, clips, i, texts, counts);
}

/* ---- Videos that no source takes ---- */

struct strays {
    const struct cfg *c;
    size_t n, n_looked;
    char *first[CFG_MAX_UNMATCHED]; /* in the order of their bytes */
};

static int visit(void *context, const char *path, size_t len)
{
    struct strays *s = context;
    if (++s->n_looked > MAX_LOOKED)
        return -ECANCELED;
    if (!cfg_is_stray(s->c, path, len) || cfg_is_shard(s->c, path, len))
        return 0;
    for (size_t i = 0; i < s->c->n_sources; i++) {
        const struct cfg_source *source = &s->c->sources[i];
        if (source->n_archives == 0 && cfg_globs_match(source->globs, source->n_globs, path, len))
            return 0;
    }
    s->n++;
    char *own = strdup(path);
    for (size_t i = 0; own && i < CFG_MAX_UNMATCHED; i++) {
        if (s->first[i] && strcmp(s->first[i], own) < 0)
            continue;
        char *next = s->first[i];
        s->first[i] = own;
        own = next;
    }
    free(own);
    return 0;
}

/* Also where the scan did not look, as no pattern leads there. */
static int find_strays(struct strays *s)
{
    struct base_reason why;
    struct cfg_glob *everything = NULL;
    struct cfg_log silent = {0};
    int err = cfg_glob_compile("**", &everything, &why);
    if (!err) {
        struct cfg_source source = {.n_globs = 1, .globs = &everything};
        struct cfg all = *s->c;
        all.n_sources = 1;
        all.sources = &source;
        err = cfg_walk(&all, &silent, visit, s);
    }
    cfg_glob_destroy(everything);
    return err;
}

static void describe_strays(struct cfg_log *log, struct cfg_place at, const struct cfg *c,
                            const struct cfg_clips *clips)
{
    struct strays s = {.c = c};
    struct base_bytes text = {0};
    size_t put = 0;
    int err = find_strays(&s);
    if (err == 0 || err == -ECANCELED) {
        for (size_t i = 0; i < CFG_MAX_UNMATCHED && s.first[i]; i++)
            base_bytes_printf(&text, "%s%s", put++ > 0 ? ", " : "", s.first[i]);
        for (size_t i = 0; put < CFG_MAX_UNMATCHED && i < CFG_MAX_UNMATCHED && clips->strays[i]; i++)
            base_bytes_printf(&text, "%s%s", put++ > 0 ? ", " : "", clips->strays[i]);
        base_bytes_append(&text, "", 1);
        if (!text.failed && put > 0)
            cfg_note(log, at, "note: %s%zu videos suit no \"videos\" pattern, such as %s",
                     err ? "at least " : "", s.n + clips->n_strays, (const char *)text.data);
    }
    for (size_t i = 0; i < CFG_MAX_UNMATCHED; i++)
        free(s.first[i]);
    base_bytes_finish(&text);
}

/* ---- Views, and all of it ---- */

static void describe_view(struct cfg_log *log, struct cfg_place at, const struct cfg *c,
                          const struct cfg_view *v, const struct cfg_clips *clips)
{
    struct base_bytes path = {0};
    if (v->kind == CFG_FILES) {
        for (size_t i = 0; path.len == 0 && i < clips->n_files; i++)
            (void)cfg_expand_file(v, clips->files[i], strlen(clips->files[i]), NULL, &path);
    } else if (v->kind == CFG_LIST) {
        for (size_t i = 0; path.len == 0 && i < clips->n_lists; i++)
            if (cfg_view(c, clips->lists[i].view) == v)
                base_bytes_printf(&path, "%s", clips->lists[i].path);
    } else {
        size_t i = 0;
        while (i < clips->n && !cfg_is_shown(v, &clips->clips[i]))
            i++;
        if (i < clips->n)
            cfg_expand(v->path, clips, &clips->clips[i], v->kind == CFG_FRAMES ? (uint64_t)v->frames.base : 0,
                       0, &path);
    }
    base_bytes_append(&path, "", 1);
    if (!path.failed && path.len > 1)
        cfg_note(log, at, "view at line %d: %s", v->line, (const char *)path.data);
    base_bytes_finish(&path);
}

static void describe_unmatched(struct cfg_log *log, struct cfg_place at, const struct cfg_clips *clips)
{
    struct base_bytes text = {0};
    for (size_t i = 0; i < CFG_MAX_UNMATCHED && clips->unmatched[i]; i++)
        base_bytes_printf(&text, "%s%s", i > 0 ? ", " : "", clips->unmatched[i]);
    base_bytes_append(&text, "", 1);
    if (!text.failed)
        cfg_note(log, at, "note: %zu files suit a \"videos\" pattern, but no \"match\", such as %s",
                 clips->n_unmatched, (const char *)text.data);
    base_bytes_finish(&text);
}

void cfg_describe(const struct cfg *c, const struct cfg_clips *clips, cfg_report *report, void *context)
{
    struct cfg_log log = {report, context, 0, 0};
    struct cfg_place at = {c->file, 0, 0};
    for (size_t i = 0; i < c->n_sources; i++)
        cfg_note(&log, at, "source at line %d: %zu videos", c->sources[i].place.line, clips->n_taken[i]);
    if (clips->n_unmatched > 0)
        describe_unmatched(&log, at, clips);
    describe_strays(&log, at, c, clips);
    if (clips->n_left_out > 0)
        cfg_note(&log, at, "%zu clips are left out", clips->n_left_out);
    describe_fields(&log, at, clips);
    for (size_t i = 0; i < c->n_views; i++)
        describe_view(&log, at, c, &c->views[i], clips);
}
