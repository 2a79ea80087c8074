/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of a configuration: each is read into the struct here, and complete once the whole file is read.
 *
 *   sources.c   `sources:`
 *   tables.c    `tables:`
 *   fields.c    `fields:`
 *   views.c     `views:`
 *   lists.c     `list:` of a view
 *   npy.c       `npy:` of a view, and npy_sound.c its kinds of sound
 *   command.c   `command:` of a view
 *   load.c      the file as a whole, with its preset
 *   options.c   and that one's options
 *   init.c      a configuration for a folder
 */
#ifndef MOUNTCFG_LANGUAGE_H
#define MOUNTCFG_LANGUAGE_H

#include "mountcfg/clips.h"
#include "mountcfg/matching.h"

/* ---- sources.c ---- */

struct cfg_source {
    struct cfg_place place;
    size_t n_globs;
    struct cfg_glob **globs;
    size_t n_archives, n_nested; /* with archives, the globs above are for their members */
    struct cfg_glob **archives, **nested;
    struct cfg_regex match; /* none: the field `clip` is the base name */
    size_t clip_field;
    bool samples; /* members are grouped, and `key` is a field */
    size_t key_field;
};
void cfg_load_sources(struct cfg_loader *l, struct cfg_node node);
void cfg_source_finish(struct cfg_source *s);

/* ---- tables.c ---- */

struct cfg_table {
    struct cfg_place place;
    size_t n_globs;
    struct cfg_glob **globs;
    const char *member; /* of a sample, instead of the globs: the member with this field. It has no key */
    bool implied;       /* it stands in no configuration, and is there if it is used */
    struct cfg_table_spec spec; /* complete once the whole configuration is read */
    struct cfg_regex path;      /* on the path of the file; .utf NULL = none */
    bool open;                  /* its columns are what the configuration speaks of */
    size_t n_columns;
    const char **columns; /* as in spec; room for CFG_MAX_FIELDS */
    size_t *column_fields;
    struct cfg_template *key, *to; /* of a row, and of a clip: equal where they belong together */
    struct {
        enum cfg_range_unit unit; /* CFG_WHOLE = rows cut nothing */
        size_t from, to;          /* fields */
        int base;                 /* number of the first frame */
    } cut;
    bool left;       /* clips without a row stay */
    bool missing_ok; /* where no file is this table, all clips stay as they are */
};
void cfg_load_tables(struct cfg_loader *l, struct cfg_node node);
/* What samples hold needs no table that says so. */
void cfg_imply_tables(struct cfg_loader *l);
/* When all fields are known. */
void cfg_complete_tables(struct cfg_loader *l);
void cfg_table_finish(struct cfg_table *t);

/* ---- fields.c ---- */

struct cfg_condition {
    size_t field;
    struct cfg_regex regex;
};
struct cfg_mapping {
    const char *from, *to; /* to NULL = the clip is left out */
};
enum cfg_letters { CFG_AS_THEY_ARE, CFG_LOWER, CFG_UPPER, CFG_TITLE };
struct cfg_rule {
    struct cfg_place place;
    size_t n_conditions;
    struct cfg_condition *conditions;
    struct cfg_template *set; /* NULL: the field `of` */
    size_t of;
    struct cfg_regex match; /* .utf NULL = none */
    enum cfg_letters letters;
    size_t n_map;
    struct cfg_mapping *map; /* sorted */
    bool index_sorted;       /* the place among the values of all clips */
    size_t n_index;
    const char **index;
    int base;
    bool has_fallback;
    const char *fallback; /* NULL = the clip is left out */
};
/* A field and its rules: the first whose conditions hold has its way. */
struct cfg_derived {
    size_t field;
    size_t n_rules;
    struct cfg_rule *rules;
};
/* `when` of a rule, `where` of a list: fields and what they must match. ret_n counts also what was only
 * begun, for cfg_regex_finish(). */
void cfg_load_conditions(struct cfg_loader *l, struct cfg_node node, const char *what,
                         struct cfg_condition **ret, size_t *ret_n);
/* 1 = all of them hold, 0 = not, or -ENOMEM. A field that is not there matches nothing. */
int cfg_conditions_hold(struct cfg_matcher *m, const struct cfg_condition *conditions, size_t n,
                        const char *const *values);
void cfg_load_fields(struct cfg_loader *l, struct cfg_node node);
void cfg_derived_finish(struct cfg_derived *d);
/* The index of a field, made when it is new; -1 when reported. `what` names the key for messages. */
int cfg_field_add(struct cfg_loader *l, struct cfg_place at, const char *what, const char *name);
/* A field that nothing gives so far, as one of tables that do not say what they have: its index, or -1. */
int cfg_field_open(struct cfg_loader *l, struct cfg_place at, const char *name, size_t len);
/* The index of a field that there must be; -1 when reported. */
int cfg_field_read(struct cfg_loader *l, struct cfg_place at, const char *what, const char *name);
/* Fills in the clips' derived fields, and takes out the clips that a rule does: reported. 0 or -ENOMEM. */
int cfg_derive_fields(const struct cfg *c, struct cfg_log *log, struct cfg_matcher *matcher,
                      struct cfg_clips *clips);

/* ---- views.c ---- */

void cfg_load_views(struct cfg_loader *l, struct cfg_node node);
/* `crop` of a view of pictures. */
void cfg_load_crop(struct cfg_loader *l, struct cfg_node node, struct cfg_frames *f);
/* What a view that crops by clip crops of one. 0, -EINVAL when it is no crop, or -ENOMEM. */
int cfg_expand_crop(const struct cfg_view *v, const struct cfg_clips *clips, const struct cfg_clip *clip,
                    char out[64]);
/* Fills in the clips' crops. 0 or -ENOMEM. */
int cfg_hide_clips(const struct cfg *c, struct cfg_matcher *matcher, struct cfg_clips *clips);
int cfg_take_crops(const struct cfg *c, struct cfg_arena *arena, struct cfg_clips *clips);
/* The index of the path's extension in names[], or -1 when reported. `what` for messages ("a frames view").
 */
int cfg_read_extension(struct cfg_loader *l, struct cfg_place at, const struct cfg_template *path,
                       const char *what, const char *const *names, size_t n);
/* `timing` and `fps`, which exclude each other. */
void cfg_read_timing(struct cfg_loader *l, const struct cfg_entry *timing, const struct cfg_entry *fps,
                     struct cfg_frames *f);
/* For `n_frames:` adds the text view to each frames view; it tells fewer frames than these as 0. */
void cfg_add_n_frames(struct cfg_loader *l, struct cfg_place at, int fewest);

/* ---- lists.c ---- */

/* A field, or a list of them. */
void cfg_load_names(struct cfg_loader *l, const struct cfg_entry *e, const char *what, const size_t **ret,
                    size_t *ret_n);
/* `pickle:` (pickle.c); and what is wrong with the values of such a list, as cfg_template_check() tells it.
 */
void cfg_load_pickle(struct cfg_loader *l, struct cfg_node node, struct cfg_listing *list);
const char *cfg_pickle_check(const struct cfg_listing *list, const char *const *values, size_t *ret_field);
/* `stack:` (stack.c). */
void cfg_load_stack(struct cfg_loader *l, struct cfg_node node, struct cfg_place path_at, struct cfg_view *v);
void cfg_load_list(struct cfg_loader *l, struct cfg_node node, struct cfg_view *v);
/* When all views are known. */
void cfg_complete_lists(struct cfg_loader *l);
void cfg_listing_finish(struct cfg_listing *list);

/* ---- npy.c ---- */

/* The settings of optical flow; at: the key that asks for it; most: the largest bound. */
void cfg_load_flow(struct cfg_loader *l, struct cfg_node at, const struct cfg_entry *method,
                   const struct cfg_entry *bound, const struct cfg_entry *grey, double most,
                   struct cfg_flow *ret);
void cfg_load_npy(struct cfg_loader *l, struct cfg_node node, struct cfg_place path_at, struct cfg_view *v);
/* Its keys. */
enum {
    NPY_KIND,
    NPY_TIMING,
    NPY_FPS,
    NPY_SIZE,
    NPY_CROP,
    NPY_STRIDE,
    NPY_FRAMES,
    NPY_SAMPLE,
    NPY_LAYOUT,
    NPY_DTYPE,
    NPY_TOP,
    NPY_MEAN,
    NPY_STD,
    NPY_RATE,
    NPY_CHANNELS,
    NPY_SILENCE,
    NPY_METHOD,
    NPY_BOUND,
    NPY_GREY,
    NPY_N_FFT,
    NPY_HOP,
    NPY_WINDOW,
    NPY_WIN_LENGTH,
    NPY_CENTRE,
    NPY_PAD,
    NPY_BANDS,
    NPY_FMIN,
    NPY_FMAX,
    NPY_SCALE,
    NPY_NORM,
    NPY_POWER,
    NPY_REF,
    NPY_TOP_DB,
    NPY_COEFFICIENTS,
    NPY_FRAME_LENGTH,
    NPY_FRAME_SHIFT,
    NPY_PREEMPHASIS,
    NPY_GAIN,
    NPY_TRANSPOSE,
    NPY_N
};
/* One of two words; *ret true for the second, untouched where the key is not given. */
void cfg_read_either(struct cfg_loader *l, const struct cfg_entry *e, const char *first, const char *second,
                     bool *ret);

/* ---- npy_sound.c ---- */

/* The keys of a kind of sound, of those that are given. */
void cfg_load_npy_sound(struct cfg_loader *l, const struct cfg_entry e[NPY_N], struct cfg_npy *npy);

/* ---- command.c ---- */

void cfg_load_command(struct cfg_loader *l, struct cfg_node node, struct cfg_view *v);
/* Once all views and tables are known. */
void cfg_check_commands(struct cfg_loader *l);
/* As cfg_template_check(), of all that a command takes. */
const char *cfg_command_check(const struct cfg_view *v, const char *const *values, size_t *ret_field);

/* ---- presets: made from mountcfg/presets/ by tools/embed-presets.py ---- */

struct cfg_preset {
    const char *name, *text;
    size_t len;
};
extern const struct cfg_preset cfg_presets[];
extern const size_t cfg_n_presets;

/* ---- options.c ---- */

/* Appends the text of a preset, with each ${NAME} in it, which stands in double quotes, replaced by the
 * option of that name: the one of `given`, else the preset's own. Both are mappings, or none. False when
 * reported, or out of memory. `preset` is what messages call it. */
bool cfg_put_options(struct cfg_loader *l, const char *preset, struct cfg_node of_preset,
                     struct cfg_node given, const char *text, size_t len, struct base_bytes *out);

/* ---- load.c ---- */

struct cfg {
    struct cfg_arena arena;
    const char *file, *dir, *name, *root, *cache_dir;
    bool has_root; /* else the root is the first of the merged ones, under its name alone */
    size_t n_merged;
    struct base_folder *merged;
    struct cfg_place root_place, sources_place;
    uint64_t cache_size, cache_min_free;
    int workers;
    int refresh_seconds; /* 0 = immutable */
    size_t n_sources, n_tables, n_derived, n_views, n_fields;
    uint32_t most_captures;     /* of any expression */
    struct cfg_source *sources; /* room for CFG_MAX_SOURCES */
    struct cfg_table *tables;
    struct cfg_derived *derived; /* in the order of the file */
    struct cfg_view *views;      /* room for 2 * CFG_MAX_VIEWS: each may bring an n_frames */
    const char *fields[CFG_MAX_FIELDS];
    bool may_lack[CFG_MAX_FIELDS];    /* it is no mistake when no table has it */
    bool from_tables[CFG_MAX_FIELDS]; /* nothing gives it but, perhaps, a table that does not say what it has
                                       */
};
/* Index of a field, or -1. */
int cfg_field_find(const struct cfg *c, const char *name, size_t len);

#endif
