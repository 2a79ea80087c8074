/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources: the tags that SubRip's players know (b, i, u, font); W3C WebVTT 3.5 (cue text) and its character
 * references; ASS override tags as libass documents them.
 */
#include "decoders/subtitle_text.h"

#include <strings.h>

enum { MAX_MARKUP = 1024 }; /* bytes of one tag or override block */

/* Bit i of a set of styles is for letter i. */
static const char style_letters[3] = {'b', 'i', 'u'};

struct cleaner {
    const char *next, *end;
    enum dec_markup markup;
    struct base_bytes *out;
    size_t start;          /* of this text in out */
    unsigned wanted, open; /* styles: asked for, and written */
    int opened[3], n_open; /* the open ones, innermost last */
    bool drawing;          /* ASS: shapes instead of text */
    bool any;              /* something visible stands in the output */
    int newlines, spaces;  /* before the next visible character */
};

static void close_last(struct cleaner *c)
{
    int style = c->opened[--c->n_open];
    c->open &= ~(1u << style);
    base_bytes_printf(c->out, "</%c>", style_letters[style]);
}

static void open_style(struct cleaner *c, int style)
{
    c->opened[c->n_open++] = style;
    c->open |= 1u << style;
    base_bytes_printf(c->out, "<%c>", style_letters[style]);
}

/* Tags are written just before what they change. What has to close takes down what was opened inside it,
 * which is opened anew: so they always nest. */
static void sync_styles(struct cleaner *c, unsigned wanted)
{
    while (c->open & ~wanted)
        close_last(c);
    for (int i = 0; i < 3; i++)
        if (wanted & ~c->open & 1u << i)
            open_style(c, i);
}

static void emit(struct cleaner *c, const void *bytes, size_t len)
{
    if (c->open & ~c->wanted)
        sync_styles(c, c->open & c->wanted); /* closes before the white space */
    if (c->any && c->newlines)
        base_bytes_append(c->out, "\n", 1);
    for (; c->any && !c->newlines && c->spaces; c->spaces--)
        base_bytes_append(c->out, " ", 1);
    c->newlines = c->spaces = 0;
    sync_styles(c, c->wanted);
    c->any = true;
    base_bytes_append(c->out, bytes, len);
}

/* "-->" inside a text would look like a cue's times to a reader: it becomes "->". */
static void shorten_dashes(struct cleaner *c)
{
    struct base_bytes *out = c->out;
    if (c->newlines || c->spaces)
        return;
    while (out->len >= c->start + 2 && memcmp(out->data + out->len - 2, "--", 2) == 0)
        out->len--;
}

/* One character of the text. White space waits, so that none stands at the end of a line and no line is
 * blank. */
static void emit_code(struct cleaner *c, uint32_t code)
{
    uint8_t utf8[4];
    if (c->drawing)
        return;
    if (code == '\n' || code == 0x85 || code == 0x2028 || code == 0x2029) {
        c->newlines++;
    } else if (code == ' ' || code == '\t' || code == 0xa0) {
        c->spaces++;
    } else if (code >= 0x20 && !(code >= 0x7f && code < 0xa0) && code != 0xfeff) {
        if (code == '>')
            shorten_dashes(c);
        emit(c, utf8, dec_utf8_write(code, utf8));
    }
}

/* Where a block or tag that begins here ends; NULL = it does not. The limit keeps hostile texts from taking
 * quadratic time. */
static const char *closing(const struct cleaner *c, char what)
{
    return memchr(c->next, what, BASE_MIN((size_t)(c->end - c->next), (size_t)MAX_MARKUP));
}

static bool starts(const struct cleaner *c, const char *with)
{
    size_t len = strlen(with);
    return (size_t)(c->end - c->next) >= len && memcmp(c->next, with, len) == 0;
}

/* ---- ASS ---- */

/* One override, from behind its backslash to the next one or the end of the block. */
static void ass_override(struct cleaner *c, const char *tag, const char *end)
{
    size_t len = (size_t)(end - tag);
    bool number = len > 1 && tag[1] >= '0' && tag[1] <= '9';
    bool on = number && tag[1] != '0';
    if (len == 0)
        return;
    if (tag[0] == 'r')
        c->wanted = 0;
    if (tag[0] == 'p' && number)
        c->drawing = on;
    for (int i = 0; i < 3; i++)
        if (tag[0] == style_letters[i] && (number || len == 1))
            c->wanted = on ? c->wanted | 1u << i : c->wanted & ~(1u << i);
}

/* A block { ... }. An opening brace that is never closed is text. */
static bool ass_block(struct cleaner *c)
{
    const char *end = closing(c, '}');
    if (!end)
        return false;
    const char *at = memchr(c->next, '\\', (size_t)(end - c->next));
    if (!at && c->markup != DEC_MARKUP_ASS)
        return false;
    while (at) {
        const char *tag = at + 1;
        at = memchr(tag, '\\', (size_t)(end - tag));
        ass_override(c, tag, at ? at : end);
    }
    c->next = end + 1;
    return true;
}

static bool ass_escape(struct cleaner *c)
{
    char what = c->end - c->next >= 2 ? c->next[1] : 0;
    if (what != 'N' && what != 'n' && what != 'h' && what != '{' && what != '}')
        return false;
    emit_code(c, what == 'h' ? ' ' : what == '{' || what == '}' ? (uint32_t)what : '\n');
    c->next += 2;
    return true;
}

/* ---- HTML and WebVTT ---- */

static bool is_name(const char *tag, size_t len, const char *name)
{
    return strlen(name) == len && strncasecmp(tag, name, len) == 0;
}

/* Tags that are dropped from SRT, where other text in angle brackets stays. */
static bool is_known_tag(const char *tag, size_t len)
{
    static const char *const names[] = {"font", "s",    "strike", "span", "p",  "c",
                                        "v",    "ruby", "rt",     "lang", "div"};
    for (size_t i = 0; i < BASE_ARRAY_LEN(names); i++)
        if (is_name(tag, len, names[i]))
            return true;
    return false;
}

static bool html_name(struct cleaner *c, const char *tag, size_t len, bool close)
{
    for (int i = 0; i < 3; i++) {
        if (is_name(tag, len, (const char[2]){style_letters[i], 0})) {
            c->wanted = close ? c->wanted & ~(1u << i) : c->wanted | 1u << i;
            return true;
        }
    }
    if (is_name(tag, len, "br")) {
        emit_code(c, '\n');
        return true;
    }
    return c->markup == DEC_MARKUP_VTT || is_known_tag(tag, len);
}

static bool html_tag(struct cleaner *c)
{
    const char *end = closing(c, '>');
    if (!end)
        return false;
    const char *tag = c->next + 1;
    bool close = tag < end && *tag == '/';
    tag += close;
    size_t len = 0;
    while (tag + len < end && ((tag[len] >= 'a' && tag[len] <= 'z') || (tag[len] >= 'A' && tag[len] <= 'Z')))
        len++;
    if (!html_name(c, tag, len, close))
        return false;
    c->next = end + 1;
    return true;
}

/* WebVTT's character references, and the numeric ones. */
static bool vtt_reference(struct cleaner *c)
{
    static const struct {
        const char *name;
        uint32_t code;
    } known[] = {{"&amp;", '&'},  {"&lt;", '<'},    {"&gt;", '>'},     {"&nbsp;", ' '},
                 {"&quot;", '"'}, {"&apos;", '\''}, {"&lrm;", 0x200e}, {"&rlm;", 0x200f}};
    for (size_t i = 0; i < BASE_ARRAY_LEN(known); i++) {
        if (starts(c, known[i].name)) {
            c->next += strlen(known[i].name);
            emit_code(c, known[i].code);
            return true;
        }
    }
    uint32_t code = 0;
    const char *at = c->next + 2;
    for (; starts(c, "&#") && at < c->end && at < c->next + 9 && *at >= '0' && *at <= '9'; at++)
        code = code * 10 + (uint32_t)(*at - '0');
    if (at == c->next + 2 || at >= c->end || *at != ';' || code > 0x10ffff ||
        (code >= 0xd800 && code <= 0xdfff))
        return false;
    c->next = at + 1;
    emit_code(c, code);
    return true;
}

/* ---- All ---- */

/* True when markup stood here and was eaten. */
static bool eat_markup(struct cleaner *c)
{
    switch (*c->next) {
    case '{':
        return c->markup != DEC_MARKUP_VTT && ass_block(c);
    case '\\':
        return c->markup == DEC_MARKUP_ASS && ass_escape(c);
    case '<':
        return c->markup != DEC_MARKUP_ASS && html_tag(c);
    case '&':
        return c->markup == DEC_MARKUP_VTT && vtt_reference(c);
    default:
        return false;
    }
}

static void eat_text(struct cleaner *c)
{
    uint32_t code = 0xfffd;
    size_t n = dec_utf8_read((const uint8_t *)c->next, (size_t)(c->end - c->next), &code);
    c->next += n ? n : 1;
    /* FFmpeg puts a word joiner behind a backslash that ASS would take for its own */
    if (code != 0x2060)
        emit_code(c, code);
}

void dec_text_clean(const char *text, size_t len, enum dec_markup markup, struct base_bytes *out)
{
    struct cleaner c = {.next = text, .end = text + len, .markup = markup, .out = out, .start = out->len};
    while (c.next < c.end)
        if (!eat_markup(&c))
            eat_text(&c);
    sync_styles(&c, 0);
}
