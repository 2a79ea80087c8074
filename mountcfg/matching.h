/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a configuration says of texts and paths.
 *
 *   template.c  path and text templates
 *   glob.c      patterns of paths, and braces.c what {} in them stands for
 *   files.c     lists of patterns, files views
 *   regex.c     regular expressions
 */
#ifndef MOUNTCFG_MATCHING_H
#define MOUNTCFG_MATCHING_H

#include "mountcfg/reading.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

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

#endif
