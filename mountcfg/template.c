/* SPDX-License-Identifier: Apache-2.0 */
#include "mountcfg/language.h"

#include "base/json.h"

#include <ctype.h>

struct parser {
    struct cfg_loader *l;
    struct cfg_place at;
    const char *text;
    enum cfg_template_use use;
    struct cfg_template *t;
    char *literal; /* the literal part being read */
    size_t literal_len;
};

static void end_literal(struct parser *p)
{
    if (p->literal_len == 0)
        return;
    const char *text = cfg_keep(p->l, p->literal, p->literal_len);
    p->t->parts[p->t->n++] =
        (struct cfg_part){.kind = CFG_PART_TEXT, .text = text, .len = text ? p->literal_len : 0};
    p->literal_len = 0;
}

void cfg_field_unknown(struct cfg_loader *l, struct cfg_place at, const char *what, const char *name,
                       size_t len)
{
    struct cfg *c = l->c;
    char field[64];
    if (l->fields_broken)
        return;
    (void)snprintf(field, sizeof field, "%.*s", (int)BASE_MIN(len, sizeof field - 1), name);
    const char *meant = cfg_closest(field, c->fields, c->n_fields);
    struct base_bytes known = {0};
    for (size_t i = 0; i < c->n_fields; i++)
        base_bytes_printf(&known, "%s%s", i > 0 ? ", " : "", c->fields[i]);
    base_bytes_append(&known, "", 1);
    if (known.failed)
        l->no_memory = true;
    else
        cfg_mistake(&l->log, at, "%s%snothing gives the field {%s}%s%s%s (known: %s)", what,
                    *what ? ": " : "", field, meant ? "; did you mean {" : "", meant ? meant : "",
                    meant ? "}?" : "", (char *)known.data);
    base_bytes_finish(&known);
}

/* The width in 0Nd, or 0 for a plain d; -1 = it is no such format. */
static int number_width(const char *format, size_t len)
{
    int width = 0;
    if (len == 1 && format[0] == 'd')
        return 0;
    if (len < 3 || len > 4 || format[0] != '0' || format[len - 1] != 'd')
        return -1;
    for (size_t i = 1; i + 1 < len; i++) {
        if (!isdigit((unsigned char)format[i]))
            return -1;
        width = width * 10 + (format[i] - '0');
    }
    return width < 1 || width > 18 ? -1 : width;
}

/* {frame} or {frame:0Nd}; `format` is what stands behind the colon, NULL = nothing. */
static bool add_frame(struct parser *p, const char *format, size_t len)
{
    if (p->use != CFG_USE_FRAMES_PATH) {
        cfg_mistake(&p->l->log, p->at, "{frame} belongs into the path of a frames view");
        return false;
    }
    if (p->t->has_frame) {
        cfg_mistake(&p->l->log, p->at, "{frame} stands twice in the path");
        return false;
    }
    int width = format ? number_width(format, len) : 0;
    if (width < 0 || (format && width == 0)) {
        cfg_mistake(&p->l->log, p->at,
                    "expected {frame} or {frame:0Nd} such as {frame:06d}, found {frame:%.*s}",
                    (int)BASE_MIN(len, (size_t)40), format);
        return false;
    }
    p->t->has_frame = true;
    p->t->frame = p->t->n;
    p->t->parts[p->t->n++] = (struct cfg_part){.kind = CFG_PART_FRAME, .width = width};
    return true;
}

/* One that only a command has. */
static bool add_command_part(struct parser *p, const char *name, size_t len)
{
    static const char *const names[] = {"input", "output", "start", "end"};
    for (size_t i = 0; p->use == CFG_USE_COMMAND && i < BASE_ARRAY_LEN(names); i++) {
        if (len != strlen(names[i]) || memcmp(name, names[i], len) != 0)
            continue;
        p->t->parts[p->t->n++] = (struct cfg_part){.kind = (enum cfg_part_kind)(CFG_PART_INPUT + i)};
        return true;
    }
    return false;
}

/* {nframes}, {nframes+N} or {nframes-N}; `more` is what stands behind the name. */
static bool add_nframes(struct parser *p, const char *more, size_t len)
{
    size_t digits = len > 0 && (*more == '+' || *more == '-') ? strspn(more + 1, "0123456789") : 0;
    if (p->use != CFG_USE_TEXT && p->use != CFG_USE_LIST) {
        cfg_mistake(&p->l->log, p->at, "{nframes} belongs into a text, not into a path");
        return false;
    }
    if (len > 0 && (digits == 0 || digits > 9 || digits + 1 != len)) {
        cfg_mistake(&p->l->log, p->at, "expected {nframes}, {nframes+N} or {nframes-N}, found {nframes%.*s}",
                    (int)BASE_MIN(len, (size_t)40), more);
        return false;
    }
    p->t->uses_nframes = true;
    p->t->parts[p->t->n++] =
        (struct cfg_part){.kind = CFG_PART_NFRAMES, .more = len > 0 ? strtoll(more, NULL, 10) : 0};
    return true;
}

/* {index}, {index:0Nd}, {nclips}, {values.FIELD} and {values.FIELD:json}, which only lists have. */
static bool is_of_lists(const struct parser *p, const char *name, size_t len, struct cfg_part *part)
{
    if (p->use == CFG_USE_LIST && len == 5 && memcmp(name, "index", 5) == 0)
        part->kind = CFG_PART_INDEX;
    else if (p->use == CFG_USE_LIST_END && len == 6 && memcmp(name, "nclips", 6) == 0)
        part->kind = CFG_PART_NCLIPS;
    else if ((p->use == CFG_USE_LIST_END || p->use == CFG_USE_LIST) && len > 7 &&
             memcmp(name, "values.", 7) == 0)
        part->kind = CFG_PART_VALUES;
    return part->kind != CFG_PART_FIELD;
}

/* What stands behind the colon of a value: json, d or 0Nd. */
static bool read_format(struct parser *p, const char *name, size_t name_len, size_t len,
                        struct cfg_part *part)
{
    const char *format = name + name_len + 1;
    size_t format_len = len - name_len - 1;
    bool text = p->use == CFG_USE_TEXT || p->use == CFG_USE_LIST || p->use == CFG_USE_LIST_END;
    part->json = text && format_len == 4 && memcmp(format, "json", 4) == 0;
    part->number = !part->json;
    part->width = part->json ? 0 : number_width(format, format_len);
    if (part->width < 0)
        cfg_mistake(&p->l->log, p->at, "{%.*s}: behind the colon stands d or 0Nd, such as {%.*s:05d}%s",
                    (int)BASE_MIN(len, (size_t)60), name, (int)BASE_MIN(name_len, (size_t)60), name,
                    text ? ", or json" : "");
    return part->width >= 0;
}

static bool add_field(struct parser *p, const char *name, size_t len)
{
    const char *colon = memchr(name, ':', len);
    size_t name_len = colon ? (size_t)(colon - name) : len;
    end_literal(p);
    if (name_len == 5 && memcmp(name, "frame", 5) == 0)
        return add_frame(p, colon ? colon + 1 : NULL, colon ? len - name_len - 1 : 0);
    if (len >= 7 && memcmp(name, "nframes", 7) == 0 && (len == 7 || strchr("+-:", name[7])))
        return add_nframes(p, name + 7, len - 7);
    if (add_command_part(p, name, len))
        return true;
    struct cfg_part part = {.kind = CFG_PART_FIELD};
    if (colon && !read_format(p, name, name_len, len, &part))
        return false;
    int field = p->use == CFG_USE_FILES_PATH ? -1 : cfg_field_find(p->l->c, name, name_len);
    if (field < 0 && is_of_lists(p, name, name_len, &part) && part.kind != CFG_PART_VALUES) {
        p->t->parts[p->t->n++] = part;
        return true;
    }
    if (part.kind == CFG_PART_VALUES) {
        name += 7;
        name_len -= 7;
        field = cfg_field_find(p->l->c, name, name_len);
    }
    bool plain = part.kind == CFG_PART_FIELD && !part.number && p->use != CFG_USE_VALUE;
    if (field < 0 && plain && name_len == 4 && memcmp(name, "path", 4) == 0)
        part.kind = CFG_PART_PATH;
    if (field < 0 && plain && name_len == 5 && memcmp(name, "shard", 5) == 0)
        part.kind = CFG_PART_SHARD;
    if (part.kind == CFG_PART_PATH || part.kind == CFG_PART_SHARD) {
        p->t->parts[p->t->n++] = part;
        return true;
    }
    if (field < 0 && p->use == CFG_USE_FILES_PATH) {
        cfg_mistake(&p->l->log, p->at, "the path of a files view takes {path} and {shard}, found {%.*s}",
                    (int)BASE_MIN(len, (size_t)60), name);
        return false;
    }
    if (field < 0)
        field = cfg_field_open(p->l, p->at, name, name_len);
    if (field < 0) {
        cfg_field_unknown(p->l, p->at, "", name, name_len);
        return false;
    }
    part.field = (size_t)field;
    p->t->parts[p->t->n++] = part;
    return true;
}

static bool parse_parts(struct parser *p)
{
    for (const char *s = p->text; *s; s++) {
        if ((*s == '{' || *s == '}') && s[1] == *s) {
            p->literal[p->literal_len++] = *s++;
        } else if (*s == '{') {
            size_t len = strcspn(s + 1, "{}");
            if (s[1 + len] != '}') {
                cfg_mistake(&p->l->log, p->at, "\"{\" without \"}\" (a brace itself is written {{)");
                return false;
            }
            if (!add_field(p, s + 1, len))
                return false;
            s += 1 + len;
        } else if (*s == '}') {
            cfg_mistake(&p->l->log, p->at, "\"}\" without \"{\" (a brace itself is written }})");
            return false;
        } else {
            p->literal[p->literal_len++] = *s;
        }
    }
    end_literal(p);
    return true;
}

/* One component of a path as far as it is literal. */
static bool good_component(const struct parser *p, const char *literal, size_t len, bool has_field)
{
    const char *problem = NULL;
    if (len > CFG_MAX_NAME)
        problem = "a name in it is longer than 255 bytes";
    else if (!has_field && len == 0)
        problem = "it has an empty name: a path does not start or end with \"/\" and has no \"//\"";
    else if (!has_field && (strcmp(literal, ".") == 0 || strcmp(literal, "..") == 0))
        problem = "\".\" and \"..\" cannot be names in it";
    if (problem)
        cfg_mistake(&p->l->log, p->at, "path \"%s\": %s", p->text, problem);
    return !problem;
}

static bool good_path(struct parser *p)
{
    char name[CFG_MAX_NAME + 1] = "";
    size_t len = 0;
    bool has_field = false;
    for (size_t i = 0; i < p->t->n; i++) {
        const struct cfg_part *part = &p->t->parts[i];
        has_field = has_field || part->kind != CFG_PART_TEXT;
        for (size_t k = 0; k < part->len; k++) {
            if (part->text[k] == '/') {
                if (!good_component(p, name, len, has_field))
                    return false;
                len = 0;
                has_field = false;
                p->t->dir_end = (struct cfg_cut){i, k};
                p->t->name = (struct cfg_cut){i, k + 1};
            } else {
                if (len < CFG_MAX_NAME)
                    name[len] = part->text[k];
                len++;
            }
            name[BASE_MIN(len, sizeof name - 1)] = 0;
        }
    }
    return good_component(p, name, len, has_field);
}

static bool is_value(const struct cfg_part *part)
{
    return part->kind == CFG_PART_FIELD || part->kind == CFG_PART_PATH || part->kind == CFG_PART_SHARD;
}

/* Else all files would have one path. */
static bool has_path(struct parser *p)
{
    if (cfg_template_uses(p->t, CFG_PART_PATH))
        return true;
    cfg_mistake(&p->l->log, p->at, "path \"%s\": the path of a files view needs {path}", p->text);
    return false;
}

static bool good_frame(struct parser *p)
{
    const struct cfg_template *t = p->t;
    if (p->use == CFG_USE_FILES_PATH)
        return has_path(p);
    if (p->use != CFG_USE_FRAMES_PATH)
        return true;
    if (!t->has_frame || t->frame < t->name.part) {
        cfg_mistake(&p->l->log, p->at,
                    "path \"%s\": the last name of a frames view needs {frame} or {frame:0Nd}", p->text);
        return false;
    }
    bool field_before = t->frame > 0 && is_value(&t->parts[t->frame - 1]);
    bool field_behind = t->frame + 1 < t->n && is_value(&t->parts[t->frame + 1]);
    if (t->parts[t->frame].width == 0 && (field_before || field_behind)) {
        cfg_mistake(&p->l->log, p->at,
                    "path \"%s\": {frame} touches a field, so that \"v1\" + 11 and \"v11\" + 1 would be one "
                    "name: put "
                    "\"_\" between them, or write {frame:06d}",
                    p->text);
        return false;
    }
    return true;
}

struct cfg_template *cfg_template_parse(struct cfg_loader *l, struct cfg_place at, const char *text,
                                        enum cfg_template_use use)
{
    size_t len = strlen(text), max_parts = 1;
    for (const char *s = text; *s; s++)
        max_parts += *s == '{' ? 2 : 0;
    struct cfg_template *t = cfg_keep_alloc(l, 1, sizeof *t);
    struct cfg_part *parts = cfg_keep_alloc(l, max_parts, sizeof *parts);
    base_autofree char *literal = malloc(len + 1);
    if (!t || !parts || !literal) {
        l->no_memory = true;
        return NULL;
    }
    *t = (struct cfg_template){.is_path = use <= CFG_USE_FILES_PATH, .parts = parts};
    struct parser p = {.l = l, .at = at, .text = text, .use = use, .t = t, .literal = literal};
    if (t->is_path && len > CFG_MAX_PATH) {
        cfg_mistake(&l->log, at, "the path is longer than %d bytes", CFG_MAX_PATH);
        return NULL;
    }
    if (!parse_parts(&p) || (t->is_path && (!good_path(&p) || !good_frame(&p))))
        return NULL;
    return l->no_memory ? NULL : t;
}

struct cfg_template *cfg_template_beside(struct cfg_loader *l, const struct cfg_template *t, const char *name)
{
    /* The parts before the one with the last '/', then that one up to the '/' and the name as one text. */
    const char *head = t->name.offset > 0 ? t->parts[t->name.part].text : "";
    size_t n = t->name.part, len = t->name.offset + strlen(name);
    struct cfg_template *beside = cfg_keep_alloc(l, 1, sizeof *beside);
    struct cfg_part *parts = cfg_keep_alloc(l, n + 1, sizeof *parts);
    char *text = cfg_keep_alloc(l, len + 1, 1);
    if (!beside || !parts || !text)
        return NULL;
    memcpy(parts, t->parts, n * sizeof *parts);
    (void)snprintf(text, len + 1, "%.*s%s", (int)t->name.offset, head, name);
    parts[n] = (struct cfg_part){.kind = CFG_PART_TEXT, .text = text, .len = len};
    *beside = (struct cfg_template){
        .is_path = true, .n = n + 1, .parts = parts, .dir_end = t->dir_end, .name = t->name};
    return beside;
}

bool cfg_template_uses(const struct cfg_template *t, enum cfg_part_kind kind)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->parts[i].kind == kind)
            return true;
    }
    return false;
}

bool cfg_template_has(const struct cfg_template *t, size_t field)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->parts[i].kind == CFG_PART_FIELD && t->parts[i].field == field)
            return true;
    }
    return false;
}

bool cfg_part_equal(const struct cfg_part *p, const struct cfg_part *q)
{
    return p->kind == q->kind && p->field == q->field && p->number == q->number && p->len == q->len &&
           p->json == q->json && p->more == q->more && p->width == q->width &&
           (p->len == 0 || memcmp(p->text, q->text, p->len) == 0);
}

bool cfg_template_equal(const struct cfg_template *a, const struct cfg_template *b)
{
    bool equal = a->n == b->n;
    for (size_t i = 0; equal && i < a->n; i++)
        equal = cfg_part_equal(&a->parts[i], &b->parts[i]);
    return equal;
}

const char *cfg_template_extension(const struct cfg_template *t)
{
    const struct cfg_part *last = t->n > 0 ? &t->parts[t->n - 1] : NULL;
    if (!last || last->kind != CFG_PART_TEXT)
        return "";
    const char *slash = strrchr(last->text, '/');
    const char *dot = strrchr(slash ? slash : last->text, '.');
    return dot ? dot + 1 : "";
}

const char *cfg_template_literal(const struct cfg_template *t)
{
    return t->n == 1 && t->parts[0].kind == CFG_PART_TEXT ? t->parts[0].text : NULL;
}

bool cfg_template_uses_nframes(const struct cfg_template *t)
{
    return t->uses_nframes;
}

/* ---- Expanding ---- */

bool cfg_is_whole_number(const char *value)
{
    size_t sign = *value == '-', n = strspn(value + sign, "0123456789");
    return n > 0 && n <= 18 && value[sign + n] == 0;
}

const char *cfg_template_check(const struct cfg_template *t, const char *const *values, size_t *ret_field)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->parts[i].kind != CFG_PART_FIELD)
            continue;
        const char *value = values[t->parts[i].field];
        *ret_field = t->parts[i].field;
        if (!value && t->parts[i].json) /* null */
            continue;
        if (!value)
            return "has no field {%s}";
        if (t->parts[i].number && !cfg_is_whole_number(value))
            return "has a field {%s} that is no whole number";
        if (t->is_path && *value == 0)
            return "has an empty field {%s}";
        if (t->is_path && (strcmp(value, ".") == 0 || strcmp(value, "..") == 0))
            return "has a field {%s} that is \".\" or \"..\"";
    }
    return NULL;
}

static void put_json(const char *value, struct base_bytes *out)
{
    if (value)
        base_json_text(out, value);
    else
        base_bytes_printf(out, "null");
}

/* All values of a field: in lines, or as a JSON array. */
static void put_values(const struct cfg_part *part, const struct cfg_clips *clips, struct base_bytes *out)
{
    const struct cfg_values *all = &clips->values[part->field];
    base_bytes_append(out, "[", part->json);
    for (size_t i = 0; i < all->n; i++) {
        const char *between = part->json ? ", " : "\n";
        base_bytes_append(out, between, i > 0 ? strlen(between) : 0);
        if (part->json)
            base_json_text(out, all->values[i]);
        else
            base_bytes_append(out, all->values[i], strlen(all->values[i]));
    }
    base_bytes_append(out, "]", part->json);
}

static void put_value(const struct cfg_template *t, const struct cfg_part *part, const char *value,
                      struct base_bytes *out)
{
    size_t start = out->len;
    if (part->json) {
        put_json(value, out);
        return;
    }
    if (!value) /* cfg_scan() gives no such clip */
        return;
    if (part->number) {
        base_bytes_printf(out, "%0*lld", part->width, strtoll(value, NULL, 10));
        return;
    }
    base_bytes_append(out, value, strlen(value));
    for (size_t i = start; t->is_path && i < out->len; i++) {
        if (out->data[i] == '/')
            out->data[i] = '_';
    }
}

/* What is put into a template. */
struct put {
    const struct cfg_clips *clips;
    const struct cfg_clip *clip;
    struct cfg_numbers n;
};

static void put_part(const struct cfg_template *t, const struct cfg_part *part, const struct put *put,
                     struct base_bytes *out)
{
    const struct cfg_clip *clip = put->clip;
    const char *text = part->kind == CFG_PART_PATH    ? clip->path
                       : part->kind == CFG_PART_SHARD ? clip->shard
                                                      : NULL;
    switch (part->kind) {
    case CFG_PART_TEXT:
        break;
    case CFG_PART_FIELD:
        put_value(t, part, clip->values[part->field], out);
        break;
    case CFG_PART_PATH:
    case CFG_PART_SHARD:
        if (part->json)
            put_json(text, out);
        else
            base_bytes_append(out, text ? text : "", text ? strlen(text) : 0);
        break;
    case CFG_PART_FRAME:
        base_bytes_printf(out, "%0*llu", part->width, (unsigned long long)put->n.frame);
        break;
    case CFG_PART_NFRAMES:
        base_bytes_printf(
            out, "%lld",
            put->n.nframes < (uint64_t)part->fewest ? 0 : (long long)put->n.nframes + (long long)part->more);
        break;
    case CFG_PART_INDEX:
        base_bytes_printf(out, "%0*llu", part->width, (unsigned long long)put->n.index);
        break;
    case CFG_PART_NCLIPS:
        base_bytes_printf(out, "%0*llu", part->width, (unsigned long long)put->n.nclips);
        break;
    case CFG_PART_VALUES:
        put_values(part, put->clips, out);
        break;
    case CFG_PART_INPUT:
    case CFG_PART_OUTPUT:
    case CFG_PART_START:
    case CFG_PART_END: /* cfg_expand_command() */
        break;
    }
}

/* Appends what stands from one cut up to another. */
static void put_range(const struct cfg_template *t, struct cfg_cut from, struct cfg_cut to,
                      const struct put *put, struct base_bytes *out)
{
    for (size_t i = from.part; i < t->n && (i < to.part || (i == to.part && to.offset > 0)); i++) {
        const struct cfg_part *part = &t->parts[i];
        size_t start = i == from.part ? from.offset : 0;
        size_t end = i == to.part ? to.offset : part->len;
        if (part->kind == CFG_PART_TEXT)
            base_bytes_append(out, part->text + start, end - start);
        else
            put_part(t, part, put, out);
    }
}

void cfg_expand_numbers(const struct cfg_template *t, const struct cfg_clips *clips,
                        const struct cfg_clip *clip, const struct cfg_numbers *numbers,
                        struct base_bytes *out)
{
    const struct put put = {clips, clip, *numbers};
    put_range(t, (struct cfg_cut){0, 0}, (struct cfg_cut){t->n, 0}, &put, out);
}

void cfg_expand(const struct cfg_template *t, const struct cfg_clips *clips, const struct cfg_clip *clip,
                uint64_t frame, uint64_t nframes, struct base_bytes *out)
{
    const struct cfg_numbers numbers = {.frame = frame, .nframes = nframes};
    cfg_expand_numbers(t, clips, clip, &numbers, out);
}

/* Copies what stands in a range into a terminated name. cfg_scan() has seen to it that it fits. False when
 * out of memory. */
static bool put_name(const struct cfg_template *t, struct cfg_cut from, struct cfg_cut to,
                     const struct cfg_clip *clip, char out[256])
{
    struct base_bytes bytes = {0};
    const struct put put = {.clip = clip};
    put_range(t, from, to, &put, &bytes);
    size_t len = BASE_MIN(bytes.len, (size_t)255);
    if (len > 0)
        memcpy(out, bytes.data, len);
    out[len] = 0;
    bool good = !bytes.failed;
    base_bytes_finish(&bytes);
    return good;
}

void cfg_expand_frame_dir(const struct cfg_template *t, const struct cfg_clips *clips,
                          const struct cfg_clip *clip, struct base_bytes *dir,
                          struct cfg_frame_name *ret_name)
{
    const struct put put = {.clips = clips, .clip = clip};
    put_range(t, (struct cfg_cut){0, 0}, t->dir_end, &put, dir);
    struct cfg_cut before = {t->frame, 0}, behind = {t->frame + 1, 0}, end = {t->n, 0};
    if (!put_name(t, t->name, before, clip, ret_name->prefix) ||
        !put_name(t, behind, end, clip, ret_name->suffix))
        dir->failed = true;
    ret_name->width = t->parts[t->frame].width;
}
