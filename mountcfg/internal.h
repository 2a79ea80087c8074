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
 *   sources.c   `sources:`
 *   views.c     `views:`
 *   load.c      the file as a whole, with its preset
 *   walk.c      the directories below the root
 *   scan.c      clips, their fields and sidecars
 *   collide.c   clips that cannot stand in the tree
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
#define CFG_MAX_VIEWS 64
#define CFG_MAX_PATTERNS 4096 /* of one glob, after brace expansion */
#define CFG_MAX_PATTERN_BYTES 4095
#define CFG_MAX_PATH 4095 /* PATH_MAX without its terminator */
#define CFG_MAX_NAME 255  /* NAME_MAX */
#define CFG_MAX_DEPTH 64  /* directories below the root; each costs a descriptor while walking */
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
/* line 0: the file as a whole */
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
    bool sources_broken; /* fields are not all known: a template's unknown field is no mistake of its own then
                          */
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
/* A text of at least one byte, without NUL; it lives as long as the document. NULL when reported. */
const char *cfg_read_text(struct cfg_loader *l, struct cfg_node node, const char *what);

/* ---- values.c: each reports what was expected and found, and leaves *ret alone then ---- */

bool cfg_read_int(struct cfg_loader *l, struct cfg_node node, const char *what, int min, int max, int *ret);
bool cfg_read_bool(struct cfg_loader *l, struct cfg_node node, const char *what, bool *ret);
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
/* A path with ~ and $VAR expanded, made absolute from the configuration's directory; kept. NULL when
 * reported. */
const char *cfg_read_path(struct cfg_loader *l, struct cfg_node node, const char *what);
/* The user's home directory, or NULL. */
const char *cfg_home(struct cfg_loader *l);

/* ---- template.c ---- */

enum cfg_part_kind { CFG_PART_TEXT, CFG_PART_FIELD, CFG_PART_FRAME, CFG_PART_NFRAMES };
struct cfg_part {
    enum cfg_part_kind kind;
    int width;        /* CFG_PART_FRAME: zero-padded to this, 0 = not padded */
    size_t field;     /* CFG_PART_FIELD: index into struct cfg.fields */
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
enum cfg_template_use { CFG_USE_FRAMES_PATH, CFG_USE_PATH, CFG_USE_TEXT };
/* NULL when reported (or out of memory). Fields are looked up in l->c. */
struct cfg_template *cfg_template_parse(struct cfg_loader *l, struct cfg_place at, const char *text,
                                        enum cfg_template_use use);
/* A path beside that of a frame: its directory, then `name`. */
struct cfg_template *cfg_template_beside(struct cfg_loader *l, const struct cfg_template *t,
                                         const char *name);
bool cfg_template_equal(const struct cfg_template *a, const struct cfg_template *b);
/* The text behind the last '.' of the last component, "" when there is none or a field follows. */
const char *cfg_template_extension(const struct cfg_template *t);

/* ---- glob.c ---- */

struct cfg_glob;
/* Compiles a pattern; *ret is freed with cfg_glob_destroy(). 0, -EINVAL with the reason, or -ENOMEM. */
int cfg_glob_compile(const char *pattern, struct cfg_glob **ret, struct base_reason *why);
void cfg_glob_destroy(struct cfg_glob *g);
bool cfg_glob_match(const struct cfg_glob *g, const char *path, size_t len);
/* True when some path below the directory could match: what the walk need not enter, it does not. */
bool cfg_glob_may_enter(const struct cfg_glob *g, const char *dir, size_t len);

/* ---- sources.c ---- */

struct cfg_group {
    uint32_t number; /* of the capture */
    size_t field;
};
struct cfg_source {
    struct cfg_place place;
    size_t n_globs;
    struct cfg_glob **globs;
    pcre2_code
        *utf; /* for paths that are valid UTF-8; NULL = no `match`, the field `clip` is the base name */
    pcre2_code *bytes; /* for other paths; NULL when the expression needs UTF-8 */
    size_t n_groups;
    struct cfg_group *groups;
    size_t clip_field;
};
void cfg_load_sources(struct cfg_loader *l, struct cfg_node node);
void cfg_source_finish(struct cfg_source *s);

/* ---- views.c ---- */

void cfg_load_views(struct cfg_loader *l, struct cfg_node node);
/* For `n_frames: true`: adds the text view to each frames view. */
void cfg_add_n_frames(struct cfg_loader *l, struct cfg_place at);

/* ---- presets: made from mountcfg/presets/ by tools/embed-presets.py ---- */

struct cfg_preset {
    const char *name, *text;
    size_t len;
};
extern const struct cfg_preset cfg_presets[];
extern const size_t cfg_n_presets;

/* ---- load.c ---- */

struct cfg {
    struct cfg_arena arena;
    const char *file, *name, *root, *cache_dir;
    struct cfg_place root_place, sources_place;
    uint64_t cache_size, cache_min_free;
    int workers;
    int refresh_seconds; /* 0 = immutable */
    size_t n_sources, n_views, n_fields;
    struct cfg_source *sources; /* room for CFG_MAX_SOURCES */
    struct cfg_view *views;     /* room for 2 * CFG_MAX_VIEWS: each may bring an n_frames */
    const char *fields[CFG_MAX_FIELDS];
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

/* ---- collide.c ---- */

/* Takes out of clips those that cannot stand in the tree: names that are none, paths of two clips. Each
 * reason is reported. 0 or -ENOMEM. */
int cfg_drop_misfits(const struct cfg *c, struct cfg_log *log, struct cfg_clips *clips);

#endif
