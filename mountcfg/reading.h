/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of mountcfg share: the lowest of their four headers. matching.h stands on it, language.h on
 * that, and scanning.h on that. Only mountcfg/ and its unit tests include them.
 *
 *   arena.c     memory that is freed as a whole
 *   report.c    one line a mistake, names that were probably meant
 *   yaml.c      a YAML text as a tree with positions, mappings with a fixed set of keys
 *   values.c    numbers, sizes, rates, paths with ~ and $VAR
 */
#ifndef MOUNTCFG_READING_H
#define MOUNTCFG_READING_H

#include "mountcfg/cfg.h"

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

#endif
