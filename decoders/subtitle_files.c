/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading SRT, WebVTT and ASS files, forgiving: what stands in real corpora was written by hand and by many
 * programs. Points and commas in times, missing numbers, missing or doubled blank lines are all read as they
 * were meant.
 *
 * Sources: SubRip's format as Matroska's specification describes it; W3C WebVTT 4 (file structure); the
 * SSA/ASS scripts' [Events] section.
 */
#include "decoders/cues.h"

#include <errno.h>
#include <strings.h>

struct line {
    const char *text;
    size_t len;
};

struct lines {
    const char *next, *end;
};

static bool next_line(struct lines *l, struct line *ret)
{
    if (l->next >= l->end)
        return false;
    const char *stop = memchr(l->next, '\n', (size_t)(l->end - l->next));
    if (!stop)
        stop = l->end;
    *ret = (struct line){l->next, (size_t)(stop - l->next)};
    l->next = stop + 1;
    return true;
}

static void skip_spaces(struct line *l)
{
    while (l->len && (*l->text == ' ' || *l->text == '\t')) {
        l->text++;
        l->len--;
    }
}

static bool is_blank(struct line l)
{
    skip_spaces(&l);
    return l.len == 0;
}

static bool begins(struct line l, const char *with)
{
    return l.len >= strlen(with) && strncasecmp(l.text, with, strlen(with)) == 0;
}

static bool eat(struct line *l, char what)
{
    if (!l->len || *l->text != what)
        return false;
    l->text++;
    l->len--;
    return true;
}

/* Up to 7 digits. Returns how many there were. */
static int eat_number(struct line *l, int64_t *ret)
{
    int digits = 0;
    for (*ret = 0; l->len && *l->text >= '0' && *l->text <= '9' && digits < 7; digits++) {
        *ret = *ret * 10 + (*l->text - '0');
        (void)eat(l, *l->text);
    }
    return digits;
}

static void eat_fraction(struct line *l, int64_t *ms)
{
    skip_spaces(l);
    if (!eat(l, ',') && !eat(l, '.') && !eat(l, ':'))
        return;
    skip_spaces(l);
    for (int unit = 100; l->len && *l->text >= '0' && *l->text <= '9'; unit /= 10) {
        *ms += unit * (*l->text - '0');
        (void)eat(l, *l->text);
    }
}

/* [[hours:]minutes:]seconds with a fraction; hours or minutes are needed. */
static bool eat_time(struct line *l, int64_t *ret_ms)
{
    int64_t seconds = 0, part = 0;
    int parts = 0;
    skip_spaces(l);
    bool negative = eat(l, '-');
    do {
        if (parts == 3 || eat_number(l, &part) == 0)
            return false;
        seconds = seconds * 60 + part;
        parts++;
    } while (parts < 3 && eat(l, ':'));
    if (parts < 2)
        return false;
    int64_t ms = seconds * 1000;
    eat_fraction(l, &ms);
    *ret_ms = negative ? -ms : ms;
    return true;
}

static bool eat_arrow(struct line *l)
{
    int dashes = 0;
    for (skip_spaces(l); eat(l, '-'); skip_spaces(l))
        dashes++;
    return dashes >= 1 && dashes <= 3 && eat(l, '>');
}

/* "start --> end", and anything behind it. */
static bool read_timing(struct line l, int64_t *ret_start, int64_t *ret_end)
{
    if (!memchr(l.text, '>', l.len))
        return false;
    struct line from_number = l;
    int64_t number;
    skip_spaces(&from_number);
    /* a cue's number that lost its line end */
    if (eat_number(&from_number, &number) > 0 && from_number.len && *from_number.text == ' ')
        l = from_number;
    return eat_time(&l, ret_start) && eat_arrow(&l) && eat_time(&l, ret_end);
}

static bool read_number(struct line l, int64_t *ret)
{
    skip_spaces(&l);
    return eat_number(&l, ret) > 0 && is_blank(l);
}

/* ---- SRT and WebVTT ---- */

/* The text of one cue: from behind its times to its end, with where its last line stands, which may turn out
 * to be the number of the next cue. */
struct body {
    const char *start, *end; /* end of the last line that is not blank */
    struct line last;
    const char *before_last; /* end of the text without that line */
    int lines;
    bool blank_after; /* a blank line stands behind the last line */
};

static void body_add(struct body *b, struct line l)
{
    b->blank_after = is_blank(l);
    if (b->blank_after)
        return;
    b->before_last = b->end;
    b->end = l.text + l.len;
    b->last = l;
    b->lines++;
}

/* Where the text ends when another cue's times follow. In front of them the next number is not text, unless a
 * blank line between and another value say that it is. */
static const char *body_end(const struct body *b, bool cue_follows, int64_t *cue_number)
{
    int64_t number;
    if (!cue_follows || b->lines == 0 || !read_number(b->last, &number))
        return b->end;
    bool is_next = number == *cue_number + 1;
    if (b->blank_after && !is_next)
        return b->end;
    *cue_number = number;
    return b->before_last;
}

static size_t parse_cues(struct dec_cues *cues, struct lines lines, enum dec_markup markup)
{
    size_t found = 0;
    int64_t start = 0, end = 0, next_start, next_end, cue_number = 0;
    struct body body = {0};
    struct line line;
    bool in_text = false;
    while (next_line(&lines, &line)) {
        if (read_timing(line, &next_start, &next_end)) {
            const char *stop = body_end(&body, true, &cue_number);
            if (found > 0)
                dec_cues_add(cues, start, end, body.start, (size_t)(stop - body.start), markup);
            found++;
            start = next_start;
            end = next_end;
            const char *behind = line.text + line.len;
            body = (struct body){.start = behind, .end = behind, .before_last = behind};
            in_text = true;
        } else if (markup == DEC_MARKUP_VTT && is_blank(line)) {
            in_text = false; /* notes, styles and the next cue's name may follow */
        } else if (in_text || found == 0) {
            body_add(&body, line);
        }
    }
    if (found > 0)
        dec_cues_add(cues, start, end, body.start, (size_t)(body.end - body.start), markup);
    return found;
}

/* ---- ASS ---- */

/* Which fields of a Dialogue line hold what, counted from 0. */
struct ass_fields {
    int start, end, text;
};

static struct line field(struct line l, int n, bool rest)
{
    for (; n > 0; n--) {
        const char *comma = memchr(l.text, ',', l.len);
        if (!comma)
            return (struct line){l.text + l.len, 0};
        l.len -= (size_t)(comma + 1 - l.text);
        l.text = comma + 1;
    }
    const char *comma = rest ? NULL : memchr(l.text, ',', l.len);
    if (comma)
        l.len = (size_t)(comma - l.text);
    skip_spaces(&l);
    return l;
}

static struct line behind_colon(struct line l)
{
    const char *colon = memchr(l.text, ':', l.len);
    size_t skipped = colon ? (size_t)(colon + 1 - l.text) : l.len;
    return (struct line){l.text + skipped, l.len - skipped};
}

static void read_format(struct line l, struct ass_fields *fields)
{
    struct ass_fields f = {-1, -1, -1};
    l = behind_colon(l);
    for (int i = 0; i < 32; i++) {
        struct line name = field(l, i, false);
        if (begins(name, "Start"))
            f.start = i;
        else if (begins(name, "End"))
            f.end = i;
        else if (begins(name, "Text"))
            f.text = i;
    }
    if (f.start >= 0 && f.end >= 0 && f.text > f.start && f.text > f.end)
        *fields = f;
}

static size_t parse_ass(struct dec_cues *cues, struct lines lines)
{
    struct ass_fields f = {1, 2, 9}; /* of the formats' own default */
    struct line line;
    size_t found = 0;
    bool events = false;
    while (next_line(&lines, &line)) {
        skip_spaces(&line);
        if (begins(line, "["))
            events = begins(line, "[Events]");
        if (events && begins(line, "Format:"))
            read_format(line, &f);
        if (!begins(line, "Dialogue:"))
            continue;
        struct line all = behind_colon(line), from = field(all, f.start, false),
                    to = field(all, f.end, false);
        struct line text = field(all, f.text, true);
        int64_t start, end;
        found++;
        if (eat_time(&from, &start) && eat_time(&to, &end))
            dec_cues_add(cues, start, end, text.text, text.len, DEC_MARKUP_ASS);
    }
    return found;
}

int dec_cues_parse(struct dec_cues *cues, const char *text, size_t len)
{
    struct lines lines = {text, text + len};
    struct line first = {0};
    bool any = false;
    while (!any && next_line(&lines, &first))
        any = !is_blank(first);
    if (!any)
        return 0;
    lines = (struct lines){text, text + len};
    skip_spaces(&first);
    if (begins(first, "WEBVTT")) {
        parse_cues(cues, lines, DEC_MARKUP_VTT);
        return 0;
    }
    if (begins(first, "[Script Info]")) {
        parse_ass(cues, lines);
        return 0;
    }
    if (parse_cues(cues, lines, DEC_MARKUP_SRT) > 0 || parse_ass(cues, lines) > 0)
        return 0;
    return -EINVAL;
}
