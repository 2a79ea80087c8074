/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of mountcfg share. Only mountcfg/ and its unit test include this.
 *
 *   arena.c     memory that is freed as a whole
 *   report.c    one line a mistake, names that were probably meant
 *   yaml.c      a YAML text as a tree with positions, mappings with a fixed set of keys
 *   values.c    numbers, sizes, rates, paths with ~ and $VAR
 *   template.c  path and text templates
 *   glob.c      patterns of paths, and braces.c what {} in them stands for
 *   files.c     lists of patterns, files views
 *   regex.c     regular expressions
 *   sources.c   `sources:`
 *   tables.c    `tables:`
 *   fields.c    `fields:`
 *   views.c     `views:`
 *   lists.c     `list:` of a view, and which clips are in which list
 *   npy.c       `npy:` of a view, and npy_sound.c its kinds of sound
 *   command.c   `command:` of a view
 *   load.c      the file as a whole, with its preset
 *   options.c   and that one's options
 *   walk.c      the directories below the root
 *   scan.c      clips and their fields
 *   sidecars.c  subtitle files beside them
 *   shards.c    clips in archives
 *   samples.c   which of their members are one sample
 *   join.c      what stands in the tables, and which clips it belongs to
 *   init.c      a configuration for a folder
 *   cues.c      subtitles that stand in them
 *   boxes.c     boxes of frames that stand in them
 *   collide.c   clips that cannot stand in the tree
 *   describe.c  what was found
 *   keep.c      some clips without the rest of their scan
 */
#ifndef MOUNTCFG_INTERNAL_H
#define MOUNTCFG_INTERNAL_H

#include "mountcfg/cfg.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <yaml.h>

/* Caps. Each is far above what a corpus needs, and low enough that a hostile file costs little. */
#define CFG_MAX_FILE_BYTES (1u << 20)
#define CFG_MAX_YAML_DEPTH 32
#define CFG_MAX_YAML_NODES 100000
#define CFG_MAX_YAML_ANCHORS 1000
#define CFG_MAX_MERGES 256
#define CFG_MAX_MISTAKES 200
#define CFG_MAX_FIELDS 64
#define CFG_MAX_SOURCES 256
#define CFG_MAX_MERGED 64
#define CFG_MAX_TABLES 64
#define CFG_MAX_RULES 256 /* of one field */
#define CFG_MAX_MAP 4096  /* values in one map or index */
#define CFG_MAX_VIEWS 64
#define CFG_MAX_OPTIONS 32    /* of a preset */
#define CFG_MAX_PATTERNS 4096 /* of one glob, after brace expansion */
#define CFG_MAX_PATTERN_BYTES 4095
#define CFG_MAX_PATH 4095 /* PATH_MAX without its terminator */
#define CFG_MAX_NAME 255  /* NAME_MAX */
#define CFG_MAX_DEPTH 64  /* directories below the root; each costs a descriptor while walking */
#define CFG_MAX_NESTED 4  /* archives in archives */
#define CFG_MAX_LINKS 4   /* links to directories along one path */

/* ---- arena.c: memory that is freed as a whole. Zero-initialise. ---- */

struct cfg_chunk;
struct cfg_arena {
    struct cfg_chunk *chunks;
};
/* Zeroed and aligned for any pointer or 64-bit integer; NULL when out of memory. */
void *cfg_arena_alloc(struct cfg_arena *a, size_t count, size_t size);
/* A terminated copy of len bytes; NULL when out of memory. */
const char *cfg_arena_text(struct cfg_arena *a, const char *text, size_t len);
void cfg_arena_finish(struct cfg_arena *a);

/* A growing array of `size`-byte items for the cases where the number is not known before. Zero-initialise.
 */
struct cfg_list {
    void *items;
    size_t n, cap;
};
/* Returns a new zeroed item at the end; NULL when out of memory. */
void *cfg_list_add(struct cfg_list *l, size_t size);
void cfg_list_finish(struct cfg_list *l);

/* ---- report.c ---- */

struct cfg_log {
    cfg_report *report; /* may be NULL */
    void *context;
    size_t n;     /* mistakes so far */
    size_t limit; /* mistakes after this many are counted but not written; 0 = none */
};
/* line 0: the file as a whole; column 0: the line as a whole */
struct cfg_place {
    const char *file;
    int line, column;
};
/* Reports one line; control characters, which a file name could carry, become \xNN. */
BASE_PRINTF(3, 4) void cfg_mistake(struct cfg_log *log, struct cfg_place at, const char *format, ...);
/* The same, but it does not count as a mistake. */
BASE_PRINTF(3, 4) void cfg_note(struct cfg_log *log, struct cfg_place at, const char *format, ...);
/* The one of `names` that is nearest to text, or NULL when none is near. */
const char *cfg_closest(const char *text, const char *const *names, size_t n);

/* ---- State of cfg_load() ---- */

struct cfg_loader {
    struct cfg_log log;
    struct cfg *c;
    const char *dir; /* of the configuration, absolute */
    bool no_memory;  /* sticky; becomes -ENOMEM at the end */
    int merges;
    bool tables_open;   /* some table does not say what its columns are: any field may be one */
    bool fields_broken; /* not all are known: a template's unknown field is no mistake of its own then */
};
/* Copies into the configuration's arena, noting no_memory. */
const char *cfg_keep(struct cfg_loader *l, const char *text, size_t len);
void *cfg_keep_alloc(struct cfg_loader *l, size_t count, size_t size);

/* ---- yaml.c ---- */

struct cfg_doc {
    const char *name; /* of the file, for messages; must outlive everything that keeps a place */
    yaml_document_t yaml;
    bool loaded;
};
/* A value, or .yaml == NULL for none. */
struct cfg_node {
    struct cfg_doc *doc;
    yaml_node_t *yaml;
};
/* Parses text. 0, -EINVAL with the mistake reported, or -ENOMEM. cfg_doc_finish() is safe after any outcome.
 */
int cfg_doc_load(struct cfg_doc *d, const char *name, const char *text, size_t len, struct cfg_log *log);
void cfg_doc_finish(struct cfg_doc *d);
struct cfg_node cfg_doc_root(struct cfg_doc *d);
struct cfg_place cfg_node_place(struct cfg_node node);
/* "a list", "nothing", "\"the text\"": what was found, for a message. `out` keeps the text. */
struct cfg_found {
    char text[96];
};
const char *cfg_node_found(struct cfg_node node, struct cfg_found *out);
bool cfg_node_is_null(struct cfg_node node);

struct cfg_key {
    const char *name;
    bool later; /* part of the language, but not of this version */
};
struct cfg_entry {
    struct cfg_node key, value; /* .yaml == NULL: not given */
};
/* Reads a mapping with known keys; entries[] is parallel to keys[]. Reports a wrong type, unknown, repeated
 * and later keys, and puts merge keys (<<) in. `what` names the mapping for messages ("a view"). An empty
 * value counts as an empty mapping when may_be_empty. False when the node is no mapping at all. */
bool cfg_read_map(struct cfg_loader *l, struct cfg_node node, const char *what, bool may_be_empty,
                  const struct cfg_key *keys, size_t n_keys, struct cfg_entry *entries);
/* The items of a list; `what` for messages. False, reported, when the node is no list or an empty one. */
bool cfg_read_list(struct cfg_loader *l, struct cfg_node node, const char *what, size_t max, size_t *ret_n);
struct cfg_node cfg_list_item(struct cfg_node list, size_t i);
/* A mapping of at most `max` keys of any name, each given once; cfg_pair() gives them. False when reported.
 */
bool cfg_read_pairs(struct cfg_loader *l, struct cfg_node node, const char *what, size_t max, size_t *ret_n);
struct cfg_entry cfg_pair(struct cfg_node map, size_t i);
/* Its key; lives as long as the document. */
const char *cfg_pair_name(struct cfg_entry pair);
/* A text of at least one byte, without NUL; it lives as long as the document. NULL when reported. */
const char *cfg_read_text(struct cfg_loader *l, struct cfg_node node, const char *what);

/* ---- values.c: each reports what was expected and found, and leaves *ret alone then ---- */

bool cfg_read_int(struct cfg_loader *l, struct cfg_node node, const char *what, int min, int max, int *ret);
/* A decimal number such as 0.485, -3 or 1e-10, between min and max. */
bool cfg_read_number(struct cfg_loader *l, struct cfg_node node, const char *what, double min, double max,
                     double *ret);
bool cfg_read_bool(struct cfg_loader *l, struct cfg_node node, const char *what, bool *ret);
/* 0 for false, 1 for true, or a number. */
bool cfg_read_fewest(struct cfg_loader *l, struct cfg_node node, const char *what, int *ret);
bool cfg_read_choice(struct cfg_loader *l, struct cfg_node node, const char *what, const char *const *names,
                     size_t n, int *ret);
bool cfg_read_bytes(struct cfg_loader *l, struct cfg_node node, const char *what, uint64_t *ret);
/* N, Ns, Nm or Nh: at least a second, at most a day. */
bool cfg_read_seconds(struct cfg_loader *l, struct cfg_node node, const char *what, int *ret);
bool cfg_read_bitrate(struct cfg_loader *l, struct cfg_node node, const char *what, int *ret);
bool cfg_read_fps(struct cfg_loader *l, struct cfg_node node, const char *what, int32_t *ret_num,
                  int32_t *ret_den);
bool cfg_read_scale(struct cfg_loader *l, struct cfg_node node, const char *what, char ret[64]);
bool cfg_read_crop(struct cfg_loader *l, struct cfg_node node, const char *what, char ret[64]);
bool cfg_crop_is_good(const char *text);
/* A path with ~ and $VAR expanded, made absolute from the configuration's directory; kept. NULL when
 * reported. */
const char *cfg_read_path(struct cfg_loader *l, struct cfg_node node, const char *what);
/* The user's home directory, or NULL. */
const char *cfg_home(struct cfg_loader *l);

/* ---- template.c ---- */

enum cfg_part_kind {
    CFG_PART_TEXT,
    CFG_PART_FIELD,
    CFG_PART_FRAME,
    CFG_PART_NFRAMES,
    CFG_PART_PATH,
    CFG_PART_SHARD,
    CFG_PART_INDEX,
    CFG_PART_NCLIPS,
    CFG_PART_VALUES,
    CFG_PART_INPUT, /* of a command: */
    CFG_PART_OUTPUT,
    CFG_PART_START,
    CFG_PART_END
};
struct cfg_part {
    enum cfg_part_kind kind;
    int width;        /* of a number: zero-padded to this, 0 = not padded */
    int fewest;       /* CFG_PART_NFRAMES: fewer than these are told as 0 */
    bool number;      /* CFG_PART_FIELD: the value is a whole number, written with that width */
    bool json;        /* written as JSON */
    int64_t more;     /* CFG_PART_NFRAMES: what is added */
    size_t field;     /* CFG_PART_FIELD, CFG_PART_VALUES: index into struct cfg.fields */
    const char *text; /* CFG_PART_TEXT: len bytes */
    size_t len;
};
/* A position in a template: before byte `offset` of part `part` (0 in a part that is no text). */
struct cfg_cut {
    size_t part, offset;
};
struct cfg_template {
    bool is_path;
    bool has_frame, uses_nframes;
    size_t n;
    struct cfg_part *parts;
    struct cfg_cut dir_end,
        name;     /* of a path: where its last '/' stands, and the byte behind it; both 0 without '/' */
    size_t frame; /* index of the {frame} part */
};
/* CFG_USE_LIST: what a list has for each clip; CFG_USE_LIST_END: what it begins and ends with. */
enum cfg_template_use {
    CFG_USE_FRAMES_PATH,
    CFG_USE_PATH,
    CFG_USE_FILES_PATH,
    CFG_USE_TEXT,
    CFG_USE_VALUE,
    CFG_USE_LIST,
    CFG_USE_LIST_END,
    CFG_USE_COMMAND
};
/* NULL when reported (or out of memory). Fields are looked up in l->c. */
struct cfg_template *cfg_template_parse(struct cfg_loader *l, struct cfg_place at, const char *text,
                                        enum cfg_template_use use);
/* What is wrong with the values that a template takes: a sentence's part with one %s for the field's name,
 * and the field; NULL = nothing. */
const char *cfg_template_check(const struct cfg_template *t, const char *const *values, size_t *ret_field);
/* Of at most 18 digits. */
bool cfg_is_whole_number(const char *value);
/* Whether it takes a field. */
bool cfg_template_has(const struct cfg_template *t, size_t field);
/* Reports a field that nothing gives. */
void cfg_field_unknown(struct cfg_loader *l, struct cfg_place at, const char *what, const char *name,
                       size_t len);
/* A path beside that of a frame: its directory, then `name`. */
struct cfg_template *cfg_template_beside(struct cfg_loader *l, const struct cfg_template *t,
                                         const char *name);
/* Whether it has a part of this kind. */
bool cfg_template_uses(const struct cfg_template *t, enum cfg_part_kind kind);
bool cfg_template_equal(const struct cfg_template *a, const struct cfg_template *b);
bool cfg_part_equal(const struct cfg_part *p, const struct cfg_part *q);

/* ---- glob.c ---- */

struct cfg_glob;
/* Compiles a pattern; *ret is freed with cfg_glob_destroy(). 0, -EINVAL with the reason, or -ENOMEM. */
int cfg_glob_compile(const char *pattern, struct cfg_glob **ret, struct base_reason *why);
void cfg_glob_destroy(struct cfg_glob *g);
bool cfg_glob_match(const struct cfg_glob *g, const char *path, size_t len);
/* True when some path below the directory could match: what the walk need not enter, it does not. */
bool cfg_glob_may_enter(const struct cfg_glob *g, const char *dir, size_t len);

/* ---- files.c ---- */

/* Reads a pattern or a list of them; `what` for messages. The array is the configuration's. */
void cfg_read_globs(struct cfg_loader *l, struct cfg_node node, const char *what, struct cfg_glob ***ret,
                    size_t *ret_n);
bool cfg_globs_match(struct cfg_glob *const *globs, size_t n, const char *path, size_t len);
/* Whether a files view shows a file of the corpus. */
bool cfg_files_show(const struct cfg_files *f, const char *path, size_t len);

/* ---- regex.c: expressions, and what matches them ---- */

/* A named group, which is a field. */
struct cfg_group {
    uint32_t number; /* of the capture */
    size_t field;
};
struct cfg_regex {
    struct cfg_place place;
    const char *what;  /* the key that it is from */
    pcre2_code *utf;   /* for texts that are valid UTF-8; NULL = there is none */
    pcre2_code *bytes; /* for other texts; NULL when the expression needs UTF-8 */
    uint32_t n_captures;
    size_t n_groups;
    struct cfg_group *groups;
};
/* Reads an expression, whose named groups become fields. False when reported. */
bool cfg_regex_load(struct cfg_loader *l, struct cfg_node node, const char *what, struct cfg_regex *r);
void cfg_regex_finish(struct cfg_regex *r);

/* What matching needs; texts that it gives are the arena's. One thread. */
struct cfg_matcher {
    struct cfg_arena *arena;
    pcre2_match_data *data;
    pcre2_match_context *limits;
    const char *text; /* of the last match */
    size_t len;
    uint32_t n_set;   /* groups of it that may be set */
    size_t n_gave_up; /* how often an expression cost too much, */
    char *gave_up;    /* and the first text and expression with that */
    const struct cfg_regex *gave_up_at;
};
/* For all expressions of c. 0 or -ENOMEM; cfg_matcher_finish() is safe after that. */
int cfg_matcher_init(struct cfg_matcher *m, const struct cfg *c, struct cfg_arena *arena);
void cfg_matcher_finish(struct cfg_matcher *m);
/* Reports expressions that cost too much. */
void cfg_matcher_report(struct cfg_matcher *m, struct cfg_log *log);
/* 1 = it matches somewhere, 0 = not, or it cost too much, or -ENOMEM. */
int cfg_match(struct cfg_matcher *m, const struct cfg_regex *r, const char *text, size_t len);
/* What a group of the last match took, 0 being the whole match: 1, 0 when it took no part, or -ENOMEM. */
int cfg_matched(const struct cfg_matcher *m, uint32_t group, const char **ret);
/* Puts what the named groups took into values[], those that are there already only with `replace`. 0 or
 * -ENOMEM. */
int cfg_take_groups(const struct cfg_matcher *m, const struct cfg_regex *r, bool replace,
                    const char **values);

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
/* Which clips are in which lists, and the values of fields. What cannot be listed is reported. 0 or -ENOMEM.
 */
int cfg_make_lists(const struct cfg *c, struct cfg_log *log, struct cfg_matcher *matcher,
                   struct cfg_clips *clips);
/* Order of values: runs of digits by the number that they are, other bytes as bytes. NULL is before all. */
int cfg_compare_values(const char *a, const char *b);

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

/* ---- walk.c ---- */

/* What the walk calls for each file (a regular one, or a link to one); path is relative to the root and lives
 * for the call. Returns 0 or a negative errno that ends the walk. */
typedef int cfg_walk_file(void *context, const char *path, size_t len);
/* Visits what lies below the root where some source's pattern could match. Trouble with single directories is
 * reported and passed over. 0 or a negative errno. */
int cfg_walk(const struct cfg *c, struct cfg_log *log, cfg_walk_file *visit, void *context);

/* ---- sidecars.c ---- */

/* Whether a path is that of a subtitle file. */
bool cfg_is_sidecar(const char *path);
/* Length of a name without its extension. */
size_t cfg_stem_len(const char *name);
const char *cfg_base_name(const char *path);
struct cfg_sidecar {
    const char *path;
    uint32_t member; /* in an archive */
};
void cfg_sort_sidecars(struct cfg_sidecar *files, size_t n);
/* The one of the sorted files that belongs to a video, or NULL. */
const struct cfg_sidecar *cfg_sidecar_of(const struct cfg_sidecar *files, size_t n, const char *video);

/* ---- scan.c ---- */

struct cfg_scan {
    const struct cfg *c;
    const struct cfg_lister *lister;
    struct cfg_log *log;
    struct owned_clips *out;
    struct cfg_arena *arena;  /* of out */
    struct cfg_list clips;    /* struct cfg_clip */
    struct cfg_list sidecars; /* struct cfg_sidecar: every subtitle file that was seen */
    struct cfg_list files;    /* const char *: what files views show */
    struct cfg_list shards;   /* const char *: files that are archives */
    struct cfg_list archives; /* struct cfg_archive */
    struct cfg_list tables;   /* struct cfg_table_file */
    struct cfg_matcher matcher;
    size_t *n_taken;   /* of each source */
    size_t n_left_out; /* clips of samples that are none */
    size_t n_unmatched;
    const char *unmatched[CFG_MAX_UNMATCHED]; /* the first files that no `match` took */
    const char **values;                      /* room for the next clip's; NULL = none yet */
};
/* Whether a source takes a video by pattern and expression; then its fields are in s->values. 1, 0 or
 * -ENOMEM. *ret_wanted: by the pattern alone. */
int cfg_take(struct cfg_scan *s, const struct cfg_source *source, const char *path, size_t len,
             bool *ret_wanted);
/* A new clip with these values, which has them then; NULL when out of memory. */
struct cfg_clip *cfg_add_clip(struct cfg_scan *s, const char *path, size_t len);
/* Notes a file that tables take; label NULL: it is the path. 0 or -ENOMEM. */
int cfg_add_tables(struct cfg_scan *s, const char *path, size_t len, const char *label, uint32_t archive,
                   uint32_t member);
/* A file of the corpus that some source takes, but no `match`. */
void cfg_note_unmatched(struct cfg_scan *s, const char *path);

/* ---- samples.c: the members of one archive, in its order, grouped to samples. Zero-initialise. ---- */

struct cfg_samples {
    uint32_t n;               /* the sample at hand, from 1 on */
    struct base_bytes key;    /* its key, */
    struct base_bytes fields; /* and fields, each terminated, */
    struct cfg_list starts;   /* size_t: which begin there */
    struct cfg_list repeated; /* uint32_t, ascending: samples with a field twice */
};
/* The next file. *ret: its sample, 0 = none. `label` is what messages call the archive. 0 or -ENOMEM. */
int cfg_samples_add(struct cfg_samples *s, struct cfg_scan *scan, const char *label, const char *path,
                    uint32_t *ret);
/* To be called behind the last file; then cfg_sample_is_good() knows them all. 0 or -ENOMEM. */
int cfg_samples_end(struct cfg_samples *s, struct cfg_scan *scan, const char *label);
bool cfg_sample_is_good(const struct cfg_samples *s, uint32_t sample);
void cfg_samples_finish(struct cfg_samples *s);

/* ---- shards.c ---- */

/* Whether some source takes a file as an archive. */
bool cfg_is_shard(const struct cfg *c, const char *path, size_t len);
/* Lists the archives in s->shards, and adds what is in them. 0 or a negative errno. */
int cfg_scan_shards(struct cfg_scan *s);

/* ---- join.c ---- */

/* A file of the corpus that a table takes. */
struct cfg_table_file {
    size_t table;
    const char *path;  /* below the root, or in its archive */
    const char *label; /* for messages */
    uint32_t archive, member;
    uint32_t sample; /* of a table that is a member of samples; else 0 */
};
/* Reads the tables, puts what stands in them into the clips, and takes out those that have no row and need
 * one: reported. 0 or a negative errno. */
int cfg_join_tables(const struct cfg *c, const struct cfg_reader *reader, struct cfg_log *log,
                    struct cfg_matcher *matcher, struct cfg_table_file *files, size_t n_files,
                    struct cfg_clips *clips);

/* ---- cues.c: subtitles from tables ---- */

/* Seconds, as 12, 12.5, 1:02.5 or 1:02:03, in microseconds. False: it is no such time. */
bool cfg_time_read(const char *text, int64_t *ret_us);
/* Whether a subtitles view takes its texts or times from a field. */
bool cfg_is_cue_field(const struct cfg *c, size_t field);

/* One cue: what a row gives, or else the clip; NULL = neither does. */
enum { CFG_MAX_BAD_CUES = 20 }; /* that are told */
struct cfg_cue {
    const char *text, *start, *end;
    struct cfg_place at; /* of the row, for messages; its file below the root */
    int64_t start_us, end_us;
};
/* Makes what a clip's view says of n cues, which are sorted then: those that are none, but not for lack of a
 * text, are reported. Leaves things as they are when no cue has a text. *n_bad: how many were reported so
 * far. 0 or -ENOMEM. */
int cfg_put_cues(const struct cfg *c, struct cfg_log *log, struct cfg_arena *arena, size_t view,
                 struct cfg_cue *cues, size_t n, struct cfg_clip *clip, size_t *n_bad);
/* Clips whose text is a field of theirs, not one of a table's rows. 0 or -ENOMEM. */
int cfg_take_cues(const struct cfg *c, struct cfg_log *log, struct cfg_arena *arena, struct cfg_clips *clips);

/* ---- boxes.c: boxes of frames, from tables ---- */

/* `crop` of a view as boxes; the `size` is checked by cfg_check_boxes(). */
void cfg_load_boxes(struct cfg_loader *l, struct cfg_node node, struct cfg_frames *f);
/* When crop and size are known. */
void cfg_check_boxes(struct cfg_loader *l, struct cfg_node crop, const struct cfg_frames *f, bool flow);
/* Whether a view takes boxes from a field. */
bool cfg_is_box_field(const struct cfg *c, size_t field);

/* A row, with what it gives of box_fields; NULL where it lacks one. */
struct cfg_box_row {
    const char *values[5];
    struct cfg_place at; /* its file below the root */
};
enum { CFG_MAX_BAD_BOXES = 20 }; /* that are told */
struct cfg_box_counts {
    size_t n_bad;   /* reported */
    size_t n_empty; /* frames without one: nothing is there, or it has no size */
};
/* Makes a clip's view have the boxes of n rows. Rows with what is no box are reported. 0 or -ENOMEM. */
int cfg_put_boxes(const struct cfg *c, struct cfg_log *log, struct cfg_arena *arena, size_t view,
                  const struct cfg_box_row *rows, size_t n, struct cfg_clip *clip,
                  struct cfg_box_counts *counts);

/* ---- collide.c ---- */

/* What is wrong with a path of the tree, a sentence's part that ends in %s; NULL = nothing. */
const char *cfg_check_names(const char *path, size_t len);

/* Takes out of clips those that cannot stand in the tree: names that are none, paths of two clips. Each
 * reason is reported. 0 or -ENOMEM. */
int cfg_drop_misfits(const struct cfg *c, struct cfg_log *log, struct cfg_clips *clips);

#endif
