/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subtitles that stand in tables. A clip's cues become the text of an SRT file with times of the video, which
 * a worker reads as it would read the file beside a video: it cleans the text, and cuts, shifts and numbers
 * the cues.
 */
#include "mountcfg/scanning.h"

#include <errno.h>

/* A cue over the whole clip: longer than any, and no more than SRT can say. */
#define WHOLE_US (INT64_C(99) * 3600 * 1000000)

bool cfg_time_read(const char *text, int64_t *ret)
{
    int64_t seconds = 0, unit = 100000;
    size_t n = 0, colons = 0;
    for (;;) {
        int64_t part = 0;
        size_t digits = strspn(text, "0123456789");
        if (digits == 0 || digits > 9)
            return false;
        for (n = 0; n < digits; n++)
            part = part * 10 + (text[n] - '0');
        seconds = seconds * 60 + part;
        text += digits;
        if (*text != ':' || ++colons > 2)
            break;
        text++;
    }
    *ret = seconds * 1000000;
    if (*text == '.' || *text == ',')
        for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10)
            *ret += (*text - '0') * unit;
    return *text == 0;
}

static bool is_from_table(const struct cfg_view *v)
{
    return v->kind == CFG_SUBTITLES && v->subtitles.text >= 0;
}

bool cfg_is_cue_field(const struct cfg *c, size_t field)
{
    for (size_t i = 0; i < c->n_views; i++) {
        const struct cfg_subtitles *s = &c->views[i].subtitles;
        if (is_from_table(&c->views[i]) &&
            (s->text == (int)field || s->start == (int)field || s->end == (int)field))
            return true;
    }
    return false;
}

/* What is wrong with a cue's times, which are filled in; NULL = nothing. */
static const char *read_times(struct cfg_cue *cue)
{
    bool start = cue->start && *cue->start, end = cue->end && *cue->end;
    cue->start_us = 0;
    cue->end_us = WHOLE_US;
    if (!start && !end)
        return NULL;
    if (!start || !end)
        return start ? "its text has a start and no end" : "its text has an end and no start";
    if (!cfg_time_read(cue->start, &cue->start_us))
        return "its start is no time in seconds";
    if (!cfg_time_read(cue->end, &cue->end_us))
        return "its end is no time in seconds";
    return cue->end_us < cue->start_us ? "its end is before its start" : NULL;
}

static int compare_cues(const void *a, const void *b)
{
    const struct cfg_cue *x = a, *y = b;
    if (x->start_us != y->start_us)
        return x->start_us < y->start_us ? -1 : 1;
    if (x->end_us != y->end_us)
        return x->end_us < y->end_us ? -1 : 1;
    return strcmp(x->text, y->text);
}

static void write_time(struct base_bytes *out, int64_t us, const char *after)
{
    int64_t ms = (BASE_MIN(us, WHOLE_US) + 500) / 1000;
    base_bytes_printf(out, "%02d:%02d:%02d,%03d%s", (int)(ms / 3600000), (int)(ms / 60000 % 60),
                      (int)(ms / 1000 % 60), (int)(ms % 1000), after);
}

/* Without its blank lines, of which one would end the cue. */
static void write_text(struct base_bytes *out, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\r\n"), spaces = strspn(text, " \t");
        if (spaces < len) {
            base_bytes_append(out, text, len);
            base_bytes_append(out, "\n", 1);
        }
        text += len + (text[len] != 0);
    }
    base_bytes_append(out, "\n", 1);
}

/* Several rows that say the same are one cue. */
static void write_cues(struct base_bytes *out, const struct cfg_cue *cues, size_t n)
{
    unsigned number = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && compare_cues(&cues[i - 1], &cues[i]) == 0)
            continue;
        base_bytes_printf(out, "%u\n", ++number);
        write_time(out, cues[i].start_us, " --> ");
        write_time(out, cues[i].end_us, "\n");
        write_text(out, cues[i].text);
    }
    base_bytes_append(out, "", 1);
}

static void report_times(const struct cfg *c, struct cfg_log *log, const struct cfg_cue *cue,
                         const char *wrong, size_t *n_bad)
{
    char file[CFG_MAX_PATH + 1];
    struct cfg_place at = cue->at;
    if (++*n_bad > CFG_MAX_BAD_CUES) {
        log->n++;
        return;
    }
    at.file = cfg_full_path(c, cue->at.file, file, sizeof file);
    cfg_mistake(log, at, "%s: not in the subtitles", wrong);
}

static bool is_blank(const char *text)
{
    return !text || text[strspn(text, " \t\r\n")] == 0;
}

/* Keeps those that are cues: how many. *ret_any: some had a text. */
static size_t read_cues(const struct cfg *c, struct cfg_log *log, struct cfg_cue *cues, size_t n,
                        size_t *n_bad, bool *ret_any)
{
    size_t good = 0;
    for (size_t i = 0; i < n; i++) {
        if (is_blank(cues[i].text))
            continue;
        *ret_any = true;
        const char *wrong = read_times(&cues[i]);
        if (wrong)
            report_times(c, log, &cues[i], wrong, n_bad);
        else
            cues[good++] = cues[i];
    }
    return good;
}

int cfg_put_cues(const struct cfg *c, struct cfg_log *log, struct cfg_arena *arena, size_t view,
                 struct cfg_cue *cues, size_t n, struct cfg_clip *clip, size_t *n_bad)
{
    struct base_bytes text = {0};
    bool any = false;
    n = read_cues(c, log, cues, n, n_bad, &any);
    if (!any)
        return 0;
    if (n > 1)
        qsort(cues, n, sizeof *cues, compare_cues);
    write_cues(&text, cues, n);
    /* Parts of one video may share the array of the whole. */
    const char **all = cfg_arena_alloc(arena, c->n_views, sizeof *all);
    const char *kept = text.failed ? NULL : cfg_arena_text(arena, (const char *)text.data, text.len - 1);
    base_bytes_finish(&text);
    if (!all || !kept)
        return -ENOMEM;
    if (clip->cues)
        memcpy(all, clip->cues, c->n_views * sizeof *all);
    all[view] = kept;
    clip->cues = all;
    return 0;
}

int cfg_take_cues(const struct cfg *c, struct cfg_log *log, struct cfg_arena *arena, struct cfg_clips *clips)
{
    size_t n_bad = 0;
    for (size_t v = 0; v < c->n_views; v++) {
        const struct cfg_subtitles *s = &c->views[v].subtitles;
        for (size_t i = 0; is_from_table(&c->views[v]) && i < clips->n; i++) {
            struct cfg_clip *clip = &clips->clips[i];
            struct cfg_cue cue = {.text = clip->values[s->text],
                                  .start = s->start >= 0 ? clip->values[s->start] : NULL,
                                  .end = s->end >= 0 ? clip->values[s->end] : NULL,
                                  .at = {clip->label, 0, 0}};
            int err = clip->cues && clip->cues[v] ? 0 : cfg_put_cues(c, log, arena, v, &cue, 1, clip, &n_bad);
            if (err)
                return err;
        }
    }
    return 0;
}
