/* SPDX-License-Identifier: Apache-2.0 */
/* What a scan found, in some lines for people who write a configuration. */
#include "mountcfg/language.h"

#include <errno.h>

enum { MAX_VALUES = 24 }; /* of a field that is counted by value */

struct count {
    const char *value;
    size_t n;
};

static int compare_counts(const void *a, const void *b)
{
    return strcmp(((const struct count *)a)->value, ((const struct count *)b)->value);
}

/* How many clips have each value of a field; 0 when there are too many values for that to tell something. */
static size_t count_values(const struct cfg_clips *clips, size_t field, struct count counts[MAX_VALUES])
{
    size_t n = 0;
    for (size_t i = 0; i < clips->n; i++) {
        const char *value = clips->clips[i].values[field];
        size_t k = 0;
        while (value && k < n && strcmp(counts[k].value, value) != 0)
            k++;
        if (!value)
            continue;
        if (k == MAX_VALUES)
            return 0;
        if (k == n)
            counts[n++] = (struct count){value, 0};
        counts[k].n++;
    }
    /* Where each value is one clip's, they are names. */
    return n < clips->n ? n : 0;
}

static void describe_field(struct cfg_log *log, struct cfg_place at, const struct cfg_clips *clips,
                           size_t field)
{
    struct count counts[MAX_VALUES];
    struct base_bytes text = {0};
    size_t n = count_values(clips, field, counts);
    if (n == 0)
        return;
    qsort(counts, n, sizeof *counts, compare_counts);
    for (size_t i = 0; i < n; i++)
        base_bytes_printf(&text, "%s%s %zu", i > 0 ? ", " : "", counts[i].value, counts[i].n);
    base_bytes_append(&text, "", 1);
    if (!text.failed)
        cfg_note(log, at, "{%s}: %s", clips->fields[field], (const char *)text.data);
    base_bytes_finish(&text);
}

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
    if (clips->n_left_out > 0)
        cfg_note(&log, at, "%zu clips are left out", clips->n_left_out);
    for (size_t i = 0; i < clips->n_fields; i++)
        describe_field(&log, at, clips, i);
    for (size_t i = 0; i < c->n_views; i++)
        describe_view(&log, at, c, &c->views[i], clips);
}
