/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes of frames: `crop` of a view as a mapping, and what rows of tables say of a clip's frames. */
#include "mountcfg/scanning.h"

#include <errno.h>
#include <math.h>

/* ---- The configuration ---- */

enum { BOX_FRAME, BOX_X, BOX_Y, BOX_W, BOX_H, BOX_X1, BOX_Y1, BOX_X2, BOX_Y2, BOX_BASE, BOX_N };
static const struct cfg_key box_keys[BOX_N] = {
    [BOX_FRAME] = {"frame", false}, [BOX_X] = {"x", false},   [BOX_Y] = {"y", false},
    [BOX_W] = {"w", false},         [BOX_H] = {"h", false},   [BOX_X1] = {"x1", false},
    [BOX_Y1] = {"y1", false},       [BOX_X2] = {"x2", false}, [BOX_Y2] = {"y2", false},
    [BOX_BASE] = {"base", false},
};

void cfg_load_boxes(struct cfg_loader *l, struct cfg_node node, struct cfg_frames *f)
{
    struct cfg_entry e[BOX_N];
    size_t n = 0, before = l->log.n;
    f->boxed = true;
    f->box_base = 1;
    if (!cfg_read_map(l, node, "crop", false, box_keys, BOX_N, e) || l->log.n != before)
        return;
    f->corners = e[BOX_X1].key.yaml != NULL;
    for (int i = BOX_FRAME; i < BOX_BASE; i++)
        n += e[i].key.yaml != NULL;
    for (int i = 0; i < 5; i++) {
        const struct cfg_entry *entry = &e[i > 0 && f->corners ? i + BOX_X1 - BOX_X : i];
        if (!entry->value.yaml || n != 5) {
            cfg_mistake(
                &l->log, cfg_node_place(node),
                "crop: expected the fields of boxes, { frame: FIELD, x: FIELD, y: FIELD, w: FIELD, h: "
                "FIELD }, or x1, y1, x2 and y2");
            return;
        }
        const char *name = cfg_read_text(l, entry->value, "crop");
        int field = name ? cfg_field_read(l, cfg_node_place(entry->value), "crop", name) : -1;
        f->box_fields[i] = BASE_MAX(field, 0);
    }
    if (e[BOX_BASE].value.yaml)
        (void)cfg_read_int(l, e[BOX_BASE].value, "base", 0, 1000000000, &f->box_base);
}

void cfg_check_boxes(struct cfg_loader *l, struct cfg_node crop, const struct cfg_frames *f, bool flow)
{
    size_t digits = strspn(f->size, "0123456789");
    const char *height = f->size[digits] == ':' ? f->size + digits + 1 : "";
    bool fixed = digits > 0 && *height && height[strspn(height, "0123456789")] == 0;
    if (f->boxed && flow)
        cfg_mistake(&l->log, cfg_node_place(crop), "crop: flow from one box to another is not to be had");
    else if (f->boxed && !fixed)
        cfg_mistake(
            &l->log, cfg_node_place(crop),
            "crop: boxes have many sizes and the view's files one: set \"size\" to it, such as 224:224");
}

bool cfg_is_box_field(const struct cfg *c, size_t field)
{
    for (size_t i = 0; i < c->n_views; i++) {
        const struct cfg_frames *f = cfg_frames_of(&c->views[i]);
        for (size_t k = 0; f && f->boxed && k < BASE_ARRAY_LEN(f->box_fields); k++) {
            if (f->box_fields[k] == (int)field)
                return true;
        }
    }
    return false;
}

/* ---- What stands in tables ---- */

#define LEFT_OUT ": the frame is left out"
enum { MAX_FRAMES = 10000000 }; /* that a clip can have */

/* Decimal numbers, which programs that find faces write, are rounded. */
static bool read_pixels(const char *text, int32_t *ret)
{
    char *end = NULL;
    bool decimal = strspn(text, "0123456789+-.eE") == strlen(text);
    double value = decimal ? strtod(text, &end) : 0;
    if (!decimal || end == text || *end || !(fabs(value) <= BASE_MAX_BOX))
        return false;
    *ret = (int32_t)lround(value);
    return true;
}

/* What is wrong with a row; NULL = nothing. ret->w 0: it has no box. */
static const char *read_box(const struct cfg_frames *f, const struct cfg_box_row *row, struct base_box *ret)
{
    int32_t at[5] = {0};
    size_t digits = strspn(row->values[0], "0123456789");
    int64_t frame = digits > 0 && digits < 10 && !row->values[0][digits] ? atoll(row->values[0]) : -1;
    *ret = (struct base_box){0};
    if (frame < f->box_base || frame - f->box_base >= MAX_FRAMES)
        return "its frame is no number of one" LEFT_OUT;
    for (size_t i = 1; i < BASE_ARRAY_LEN(at); i++) {
        if (!row->values[i])
            return NULL;
        if (!read_pixels(row->values[i], &at[i]))
            return "its box has a side that is no number of pixels" LEFT_OUT;
    }
    int32_t w = at[3] - (f->corners ? at[1] : 0), h = at[4] - (f->corners ? at[2] : 0);
    if (w < 0 || h < 0)
        return f->corners ? "the corners of its box are the wrong way round" LEFT_OUT
                          : "its box has a negative size" LEFT_OUT;
    if (w == 0 || h == 0)
        return NULL;
    if (w > BASE_MAX_BOX || h > BASE_MAX_BOX || at[1] + w <= 0 || at[2] + h <= 0)
        return "its box lies outside of the picture" LEFT_OUT;
    *ret = (struct base_box){(uint32_t)(frame - f->box_base), at[1], at[2], w, h};
    return NULL;
}

static void report_row(const struct cfg *c, struct cfg_log *log, struct cfg_place at, const char *wrong,
                       struct cfg_box_counts *counts)
{
    char file[CFG_MAX_PATH + 1];
    if (++counts->n_bad > CFG_MAX_BAD_BOXES) {
        log->n++;
        return;
    }
    (void)snprintf(file, sizeof file, "%s/%s", c->root, at.file);
    at.file = file;
    cfg_mistake(log, at, "%s", wrong);
}

/* A box, and the place of its row among the others, so that the first of several for a frame stays. */
struct found {
    struct base_box box;
    size_t row;
};

static int compare_found(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->box.frame != y->box.frame)
        return x->box.frame < y->box.frame ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static bool same_box(const struct base_box *a, const struct base_box *b)
{
    return a->x == b->x && a->y == b->y && a->w == b->w && a->h == b->h;
}

/* Sorted, one a frame: how many. */
static size_t sort_boxes(const struct cfg *c, struct cfg_log *log, const struct cfg_box_row *rows,
                         struct found *found, size_t n, struct cfg_box_counts *counts)
{
    size_t kept = 0;
    if (n > 1)
        qsort(found, n, sizeof *found, compare_found);
    for (size_t i = 0; i < n; i++) {
        const struct found *last = kept > 0 ? &found[kept - 1] : NULL;
        if (!last || last->box.frame != found[i].box.frame)
            found[kept++] = found[i];
        else if (!same_box(&last->box, &found[i].box))
            report_row(c, log, rows[found[i].row].at, "a second box for its frame: the first one is used",
                       counts);
    }
    return kept;
}

static const struct base_boxes *keep_boxes(struct cfg_arena *arena, const struct found *found, size_t n,
                                           bool of_whole)
{
    struct base_boxes *boxes = cfg_arena_alloc(arena, 1, sizeof *boxes);
    struct base_box *list = cfg_arena_alloc(arena, n, sizeof *list);
    if (!boxes || !list)
        return NULL;
    for (size_t i = 0; i < n; i++)
        list[i] = found[i].box;
    const struct base_hash of_list = base_hash_of(list, n * sizeof *list);
    struct {
        struct base_hash list;
        uint64_t of_whole;
    } all = {of_list, of_whole};
    *boxes = (struct base_boxes){base_hash_of(&all, sizeof all), of_whole, (uint32_t)n, list};
    return boxes;
}

int cfg_put_boxes(const struct cfg *c, struct cfg_log *log, struct cfg_arena *arena, size_t view,
                  const struct cfg_box_row *rows, size_t n, struct cfg_clip *clip,
                  struct cfg_box_counts *counts)
{
    const struct cfg_frames *f = cfg_frames_of(&c->views[view]);
    struct found *found = n > 0 ? calloc(n, sizeof *found) : NULL;
    size_t n_found = 0;
    if (!found)
        return n > 0 ? -ENOMEM : 0;
    for (size_t i = 0; i < n; i++) {
        const char *wrong = read_box(f, &rows[i], &found[n_found].box);
        found[n_found].row = i;
        if (wrong)
            report_row(c, log, rows[i].at, wrong, counts);
        else if (found[n_found].box.w == 0)
            counts->n_empty++;
        else
            n_found++;
    }
    n_found = sort_boxes(c, log, rows, found, n_found, counts);
    const struct base_boxes *boxes = keep_boxes(arena, found, n_found, clip->range.unit == CFG_WHOLE);
    /* Parts of one video may share the array of the whole. */
    const struct base_boxes **all = cfg_arena_alloc(arena, c->n_views, sizeof *all);
    free(found);
    if (!boxes || !all)
        return -ENOMEM;
    if (clip->boxes)
        memcpy(all, clip->boxes, c->n_views * sizeof *all);
    all[view] = boxes;
    clip->boxes = all;
    return 0;
}
