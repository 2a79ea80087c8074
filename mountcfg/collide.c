/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which clips cannot stand in the tree. First each clip alone: does it have the fields, do they make names.
 * Then all together: every file and frame directory that a view gives is a key in one hash table of (hash,
 * clip, view), 16 bytes each; the paths themselves are made again when two hashes meet.
 */
#include "mountcfg/scanning.h"

#include "base/hash.h"

#include <errno.h>

struct slot {
    uint64_t hash;
    uint32_t clip; /* index + 1; 0 = free */
    uint32_t view;
};

/* Clips `first` and `other` cannot both be: `view` of `other` gives a path that view `first_view` of `first`
 * gives too, or (dir) that is a file there and a directory here. */
struct clash {
    uint32_t first, other, view, first_view;
    bool dir;
};

/* One kind of unfit clips: reported once, with the first of them. */
struct misfit {
    const struct cfg_view *view;
    const char *what; /* with one %s for the field */
    int field;        /* -1 = none */
    uint32_t clip;
    size_t n;
};

enum fate { KEEP, UNFIT /* alone */, CLASHED };

struct check {
    const struct cfg *c;
    struct cfg_log *log;
    struct cfg_clips *clips;
    uint8_t *drop; /* parallel to the clips: enum fate */
    struct cfg_list misfits, clashes;
    struct slot *slots;
    size_t mask;
    struct base_bytes a, b; /* scratch */
};

static struct cfg_place view_place(const struct cfg_view *v)
{
    return (struct cfg_place){v->file, v->line, v->column};
}

/* Whether a view gives a clip files of its own. Files views and lists have theirs checked by the tree. */
static bool gives_own(const struct check *k, uint32_t view, uint32_t clip)
{
    const struct cfg_view *v = &k->c->views[view];
    return v->kind != CFG_FILES && v->kind != CFG_LIST && cfg_is_shown(v, &k->clips->clips[clip]);
}

/* What messages call a clip, in *scratch; with a field's row, or without (-1). */
static const char *clip_name(const struct check *k, uint32_t clip, int field, struct base_bytes *scratch)
{
    scratch->len = 0;
    cfg_name_clip(&k->clips->clips[clip], field, scratch);
    base_bytes_append(scratch, "", 1);
    return scratch->failed ? k->clips->clips[clip].label : (const char *)scratch->data;
}

/* ---- Each clip alone ---- */

static int add_misfit(struct check *k, uint32_t clip, const struct cfg_view *view, const char *what,
                      int field)
{
    k->drop[clip] = UNFIT;
    struct misfit *m = k->misfits.items;
    for (size_t i = 0; i < k->misfits.n; i++) {
        if (m[i].view == view && m[i].what == what && m[i].field == field) {
            m[i].n++;
            return 0;
        }
    }
    m = cfg_list_add(&k->misfits, sizeof *m);
    if (!m)
        return -ENOMEM;
    *m = (struct misfit){view, what, field, clip, 1};
    return 0;
}

/* What is wrong with a path that a view gives; NULL = nothing. A frame's number is taken at its longest. */
const char *cfg_check_names(const char *path, size_t len)
{
    if (len > CFG_MAX_PATH)
        return "gives a path longer than 4095 bytes%s";
    for (size_t start = 0; start <= len;) {
        const char *slash = memchr(path + start, '/', len - start);
        size_t end = slash ? (size_t)(slash - path) : len;
        size_t n = end - start;
        if (n > CFG_MAX_NAME)
            return "gives a name longer than 255 bytes%s";
        if (n == 0 || (n == 1 && path[start] == '.') || (n == 2 && memcmp(path + start, "..", 2) == 0))
            return "gives an empty name, \".\" or \"..\"%s";
        start = end + 1;
    }
    return NULL;
}

static int check_clip(struct check *k, uint32_t index)
{
    const struct cfg_clip *clip = &k->clips->clips[index];
    for (size_t i = 0; i < k->c->n_views; i++) {
        const struct cfg_view *v = &k->c->views[i];
        size_t field;
        if (!gives_own(k, (uint32_t)i, index))
            continue;
        const char *what = cfg_template_check(v->path, clip->values, &field);
        if (!what && v->kind == CFG_TEXT)
            what = cfg_template_check(v->text, clip->values, &field);
        if (!what && cfg_crop_of_clip(v))
            what = cfg_template_check(cfg_crop_of_clip(v), clip->values, &field);
        if (!what && v->kind == CFG_COMMAND)
            what = cfg_command_check(v, clip->values, &field);
        const int named = what ? (int)field : -1;
        if (!what && !clip->shard && cfg_template_uses(v->path, CFG_PART_SHARD))
            what = "is in no archive, and has no {shard}%s";
        if (!what && cfg_crop_of_clip(v)) {
            char crop[64];
            int err = cfg_expand_crop(v, k->clips, clip, crop);
            if (err == -ENOMEM)
                return err;
            what = err ? "has a crop that is not left, right or W:H:X:Y%s" : NULL;
        }
        if (!what) {
            k->a.len = 0;
            cfg_expand(v->path, k->clips, clip, INT32_MAX, 0, &k->a);
            if (k->a.failed)
                return -ENOMEM;
            what = cfg_check_names((const char *)k->a.data, k->a.len);
        }
        if (what)
            return add_misfit(k, index, v, what, named);
    }
    return 0;
}

static int check_alone(struct check *k)
{
    for (uint32_t i = 0; i < k->clips->n; i++) {
        int err = check_clip(k, i);
        if (err < 0)
            return err;
    }
    const struct misfit *m = k->misfits.items;
    for (size_t i = 0; i < k->misfits.n; i++) {
        struct base_reason what;
        char more[64] = "";
        if (m[i].n > 1)
            (void)snprintf(more, sizeof more, " (and %zu more)", m[i].n - 1);
            /* The formats are the literals above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(what.text, sizeof what.text, m[i].what,
                       m[i].field < 0 ? "" : k->clips->fields[m[i].field]);
#pragma GCC diagnostic pop
        cfg_mistake(k->log, view_place(m[i].view), "the clip %s %s: left out%s",
                    clip_name(k, m[i].clip, m[i].field, &k->a), what.text, more);
    }
    return 0;
}

/* ---- All together ---- */

/* Appends what no two views of clips may share: a path, or a directory with the frames' prefix and suffix.
 * NULs keep the two kinds apart. */
static int make_key(const struct check *k, uint32_t clip, uint32_t view, struct base_bytes *out)
{
    const struct cfg_view *v = &k->c->views[view];
    out->len = 0;
    if (v->kind != CFG_FRAMES) {
        cfg_expand(v->path, k->clips, &k->clips->clips[clip], 0, 0, out);
    } else {
        struct cfg_frame_name name;
        cfg_expand_frame_dir(v->path, k->clips, &k->clips->clips[clip], out, &name);
        base_bytes_append(out, "", 1);
        base_bytes_append(out, name.prefix, strlen(name.prefix) + 1);
        base_bytes_append(out, name.suffix, strlen(name.suffix));
    }
    return out->failed ? -ENOMEM : 0;
}

static uint64_t hash_of(const void *data, size_t len)
{
    struct base_hash full = base_hash_of(data, len);
    uint64_t hash = 0;
    memcpy(&hash, full.bytes, sizeof hash);
    return hash;
}

/* The slot that has the key in k->a, or the free one where it belongs. *ret: NULL when memory ran out. */
static struct slot *find_slot(struct check *k, const struct base_bytes *key, uint64_t hash)
{
    for (size_t i = hash & k->mask;; i = (i + 1) & k->mask) {
        struct slot *s = &k->slots[i];
        if (s->clip == 0)
            return s;
        if (s->hash != hash)
            continue;
        if (make_key(k, s->clip - 1, s->view, &k->b) < 0)
            return NULL;
        if (k->b.len == key->len && memcmp(k->b.data, key->data, key->len) == 0)
            return s;
    }
}

static int add_clash(struct check *k, const struct slot *s, uint32_t clip, uint32_t view, bool dir)
{
    struct clash *clash = cfg_list_add(&k->clashes, sizeof *clash);
    if (!clash)
        return -ENOMEM;
    *clash = (struct clash){s->clip - 1, clip, view, s->view, dir};
    k->drop[clip] = CLASHED;
    k->drop[s->clip - 1] = CLASHED;
    return 0;
}

static int insert(struct check *k, uint32_t clip, uint32_t view)
{
    if (make_key(k, clip, view, &k->a) < 0)
        return -ENOMEM;
    uint64_t hash = hash_of(k->a.data, k->a.len);
    struct slot *s = find_slot(k, &k->a, hash);
    if (!s)
        return -ENOMEM;
    if (s->clip != 0)
        return add_clash(k, s, clip, view, false);
    *s = (struct slot){hash, clip + 1, view};
    return 0;
}

/* Looks for files that stand where this view needs a directory. */
static int check_dirs(struct check *k, uint32_t clip, uint32_t view, struct base_bytes *last)
{
    if (make_key(k, clip, view, &k->a) < 0)
        return -ENOMEM;
    bool frames = k->c->views[view].kind == CFG_FRAMES;
    const char *nul = frames ? memchr(k->a.data, 0, k->a.len) : NULL;
    size_t len = nul ? (size_t)(nul - (const char *)k->a.data) : k->a.len;
    if (!frames)
        while (len > 0 && k->a.data[--len] != '/')
            ;
    /* Neighbours share their directories: the same ones need not be looked up again. */
    if (last->len == len && (len == 0 || memcmp(last->data, k->a.data, len) == 0))
        return 0;
    last->len = 0;
    base_bytes_append(last, k->a.data, len);
    k->a.len = len;
    while (k->a.len > 0) {
        struct slot *s = find_slot(k, &k->a, hash_of(k->a.data, k->a.len));
        if (!s || last->failed)
            return -ENOMEM;
        if (s->clip != 0) {
            last->len = 0;
            return add_clash(k, s, clip, view, true);
        }
        while (k->a.len > 0 && k->a.data[--k->a.len] != '/')
            ;
    }
    return 0;
}

static int compare_clashes(const void *x, const void *y)
{
    const struct clash *a = x, *b = y;
    if (a->view != b->view)
        return a->view < b->view ? -1 : 1;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    return a->other < b->other ? -1 : a->other > b->other;
}

/* Puts the path that the clash is about into k->a, terminated. */
static int clash_path(struct check *k, const struct clash *c)
{
    const struct cfg_view *v = &k->c->views[c->first_view];
    k->a.len = 0;
    cfg_expand(v->path, k->clips, &k->clips->clips[c->first],
               v->kind == CFG_FRAMES ? (uint64_t)v->frames.base : 0, 0, &k->a);
    base_bytes_append(&k->a, "", 1);
    return k->a.failed ? -ENOMEM : 0;
}

static int report_clash(struct check *k, const struct clash *c, size_t more)
{
    char tail[64] = "";
    if (clash_path(k, c) < 0)
        return -ENOMEM;
    const char *path = (const char *)k->a.data;
    struct base_bytes a = {0}, b = {0};
    const char *first = clip_name(k, c->first, -1, &a), *other = clip_name(k, c->other, -1, &b);
    struct cfg_place at = view_place(&k->c->views[c->view]);
    if (more > 0)
        (void)snprintf(tail, sizeof tail, " (and %zu more)", more);
    if (c->dir)
        cfg_mistake(k->log, at, "%s is a file of %s and a directory of %s%s: left out", path, first, other,
                    tail);
    else if (c->first == c->other)
        cfg_mistake(k->log, at, "two views give %s for %s: left out", path, first);
    else
        cfg_mistake(k->log, at, "two clips give %s: %s and %s%s: left out", path, first, other, tail);
    base_bytes_finish(&a);
    base_bytes_finish(&b);
    return 0;
}

/* One line for all clips that clash with the same first one in a view, and none for a view in which only
 * clips clash that did so in an earlier view. */
static int report_clashes(struct check *k)
{
    struct clash *c = k->clashes.items;
    size_t n = k->clashes.n;
    int err = 0;
    base_autofree uint32_t *told =
        calloc(k->clips->n + 1, sizeof *told); /* first + 1 of the clip's last report */
    if (!told)
        return -ENOMEM;
    if (n > 1)
        qsort(c, n, sizeof *c, compare_clashes);
    for (size_t i = 0, end = 0; err == 0 && i < n; i = end) {
        bool news = false;
        for (end = i; end < n && c[end].view == c[i].view && c[end].first == c[i].first; end++) {
            news = news || told[c[end].other] != c[i].first + 1;
            told[c[end].other] = c[i].first + 1;
        }
        if (news)
            err = report_clash(k, &c[i], end - i - 1);
    }
    return err;
}

static int check_together(struct check *k)
{
    size_t n_slots = 16;
    while (n_slots < k->clips->n * k->c->n_views * 2)
        n_slots *= 2;
    k->slots = calloc(n_slots, sizeof *k->slots);
    struct base_bytes *last = calloc(k->c->n_views, sizeof *last);
    int err = k->slots && last ? 0 : -ENOMEM;
    k->mask = n_slots - 1;
    for (uint32_t i = 0; err == 0 && i < k->clips->n; i++) {
        for (uint32_t v = 0; err == 0 && k->drop[i] != UNFIT && v < k->c->n_views; v++)
            err = gives_own(k, v, i) ? insert(k, i, v) : 0;
    }
    for (uint32_t i = 0; err == 0 && i < k->clips->n; i++) {
        for (uint32_t v = 0; err == 0 && k->drop[i] != UNFIT && v < k->c->n_views; v++)
            err = gives_own(k, v, i) ? check_dirs(k, i, v, &last[v]) : 0;
    }
    if (err == 0)
        err = report_clashes(k);
    for (size_t v = 0; last && v < k->c->n_views; v++)
        base_bytes_finish(&last[v]);
    free(last);
    return err;
}

int cfg_drop_misfits(const struct cfg *c, struct cfg_log *log, struct cfg_clips *clips)
{
    struct check k = {.c = c, .log = log, .clips = clips, .drop = calloc(clips->n + 1, sizeof *k.drop)};
    int err = k.drop ? check_alone(&k) : -ENOMEM;
    if (err == 0)
        err = check_together(&k);
    size_t n = 0;
    for (size_t i = 0; err == 0 && i < clips->n; i++) {
        if (k.drop[i] == KEEP)
            clips->clips[n++] = clips->clips[i];
    }
    if (err == 0)
        clips->n = n;
    cfg_list_finish(&k.misfits);
    cfg_list_finish(&k.clashes);
    base_bytes_finish(&k.a);
    base_bytes_finish(&k.b);
    free(k.slots);
    free(k.drop);
    return err;
}
