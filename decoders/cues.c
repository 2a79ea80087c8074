/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/cues.h"

enum {
    MAX_CUES = 1000000,
    MAX_TEXT_BYTES = 64 << 20,
    GUESSED_MS = 5000, /* at most for a cue without an end */
};
#define MAX_MS (INT64_C(100) * 3600 * 1000 - 1) /* SRT has two digits for the hours */

void dec_cues_finish(struct dec_cues *cues)
{
    free(cues->list);
    base_bytes_finish(&cues->texts);
    *cues = (struct dec_cues){0};
}

static bool grow(struct dec_cues *cues)
{
    if (cues->n >= MAX_CUES || cues->texts.len > MAX_TEXT_BYTES)
        return false;
    if (cues->n < cues->cap)
        return true;
    size_t larger = cues->cap ? cues->cap * 2 : 64;
    struct dec_cue *moved = realloc(cues->list, larger * sizeof *moved);
    if (!moved)
        return false;
    cues->list = moved;
    cues->cap = larger;
    return true;
}

void dec_cues_add(struct dec_cues *cues, int64_t start_ms, int64_t end_ms, const char *text, size_t len,
                  enum dec_markup markup)
{
    if (cues->failed || !grow(cues)) {
        cues->failed = true;
        return;
    }
    size_t before = cues->texts.len;
    dec_text_clean(text, len, markup, &cues->texts);
    cues->failed = cues->texts.failed;
    if (!cues->failed && cues->texts.len > before) {
        cues->list[cues->n] = (struct dec_cue){start_ms, end_ms, before, cues->texts.len - before, cues->n};
        cues->n++;
    }
}

static int by_start(const void *a, const void *b)
{
    const struct dec_cue *x = a, *y = b;
    if (x->start_ms != y->start_ms)
        return x->start_ms < y->start_ms ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

/* *next runs along with i: the first cue that starts later. */
static int64_t cue_end(const struct dec_cues *cues, size_t i, size_t *next)
{
    const struct dec_cue *cue = &cues->list[i];
    if (cue->end_ms != DEC_CUE_NO_END)
        return cue->end_ms;
    while (*next < cues->n && cues->list[*next].start_ms <= cue->start_ms)
        ++*next;
    int64_t end = BASE_MIN(cue->start_ms, MAX_MS) + GUESSED_MS;
    return *next < cues->n ? BASE_MIN(end, cues->list[*next].start_ms) : end;
}

static void write_time(struct base_bytes *out, int64_t ms, const char *after)
{
    base_bytes_printf(out, "%02d:%02d:%02d,%03d%s", (int)(ms / 3600000), (int)(ms / 60000 % 60),
                      (int)(ms / 1000 % 60), (int)(ms % 1000), after);
}

void dec_cues_write(struct dec_cues *cues, int64_t from_ms, int64_t clip_ms, struct base_bytes *out)
{
    unsigned number = 0;
    size_t next = 0;
    int64_t limit = clip_ms > 0 && clip_ms < MAX_MS ? clip_ms : MAX_MS;
    if (cues->n > 0)
        qsort(cues->list, cues->n, sizeof *cues->list, by_start);
    for (size_t i = 0; i < cues->n; i++) {
        const struct dec_cue *cue = &cues->list[i];
        int64_t start = BASE_MAX(BASE_MAX(cue->start_ms, 0) - from_ms, 0);
        int64_t end = BASE_MIN(BASE_MAX(cue_end(cues, i, &next), 0) - from_ms, limit);
        if (end <= start)
            continue;
        base_bytes_printf(out, "%u\n", ++number);
        write_time(out, start, " --> ");
        write_time(out, end, "\n");
        base_bytes_append(out, cues->texts.data + cue->text, cue->len);
        base_bytes_append(out, "\n\n", 2);
    }
}
