/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clips that a configuration finds: cfg_scan() and what it asks of others, who read tables and list
 * archives; then what templates, lists and commands make of clips.
 *
 * Threads: as cfg.h says.
 */
#ifndef MOUNTCFG_CLIPS_H
#define MOUNTCFG_CLIPS_H

#include "mountcfg/cfg.h"

/* ---- Tables: files of the corpus, which this room does not look into ---- */

enum cfg_table_format { CFG_CSV = 1, CFG_TSV, CFG_JSON, CFG_JSONL, CFG_LINES, CFG_LABELS, CFG_ONE_TEXT };

/* What is wanted of a table. */
struct cfg_table_spec {
    enum cfg_table_format format;
    bool header;      /* CSV, TSV: the first row names the columns. LABELS: the first line is none */
    bool quotes;      /* CSV, TSV: a cell may stand in double quotes */
    bool keyed;       /* JSON: an object where records are looked for holds one in each of its members */
    uint32_t base;    /* LABELS: the number of the first frame */
    const char *text; /* JSON: where the records are; LINES: the expression; LABELS: those that are none, a
                         line each */
    size_t n_columns; /* at most 64 */
    /* CSV, TSV: the name in the header, or #N, the Nth cell, from 1. JSON: a path in the record, as "a.0.b";
     * "" is the record itself, #key the key under which it stands. LINES: a group. LABELS: #label, #first,
     * #last. TEXT: #text. */
    const char *const *columns;
    uint64_t optional; /* a bit a column: it may be missing */
};

/* Where a table's rows go. */
struct cfg_table_sink {
    int (*row)(void *context, uint64_t line, const char *const *values);
    void (*mistake)(void *context, uint64_t line, const char *what);
    void (*more_mistakes)(void *context, uint64_t n); /* that were only counted */
    void *context;
};

/* Where a table is: a file below the root, or a member of an archive, by the lister's numbers (archive 0:
 * none). */
struct cfg_table_place {
    const char *path;
    uint32_t archive, member;
};

/* Who looks into files for cfg_scan(). */
struct cfg_reader {
    /* The files below the root that are going to be read, by their paths: called once, before the first of
     * them. 0 or a negative errno. May be NULL. */
    int (*prepare)(void *context, const char *const *paths, size_t n);
    /* Reads a table: first calls mistake() for what is wrong in it (line 0:
     * with the whole of it), then row() for each row with n_columns values, NULL for one that it lacks, all
     * terminated and gone after the call. What row() returns, if it is not 0, ends the reading and is
     * returned. 0, -EIO with a reason when the table cannot be read, or another negative errno. */
    int (*read_table)(void *context, const struct cfg_table_place *place, const struct cfg_table_spec *spec,
                      const struct cfg_table_sink *sink, struct base_reason *why);
    void *context;
};
/* Whether cfg_scan() needs one. */
bool cfg_has_tables(const struct cfg *c);

enum cfg_range_unit { CFG_WHOLE, CFG_RANGE_US, CFG_RANGE_FRAMES };
/* A part of a video: times in microseconds from its beginning, or frames of its own rate, from 0; `to` is not
 * in it any more. */
struct cfg_range {
    enum cfg_range_unit unit;
    int64_t from, to; /* 0 <= from < to */
};

/* A row of a table, for messages. */
struct cfg_row_at {
    const char *table; /* label of its file; NULL = none */
    uint32_t line;
};
/* One clip: a video below the root or in an archive, or a part of it, and the fields its path carried. */
struct cfg_clip {
    struct cfg_range range;    /* of the video, that the clip is */
    const char *path;          /* of the video, relative to the root, or in its archive */
    const char *label;         /* what messages call it: the path, with its archive's before it */
    const char *sidecar;       /* label of the subtitle file beside it; NULL = none */
    const char *const *values; /* parallel to cfg_clips.fields; NULL = the clip lacks that field */
    /* Parallel to the views: what one crops of this clip, as in cfg_frames.crop, where that hangs on the
     * clip; NULL = in no view it does. */
    const char *const *crops;
    /* Parallel to the views: what tables say of this clip, as an SRT file with times of the video; NULL or
     * empty = nothing; NULL = in no view they do. */
    const char *const *cues;
    /* Parallel to the views: the boxes of its frames, NULL where there are none; NULL = in no view there are.
     */
    const struct base_boxes *const *boxes;
    const char *shard; /* NULL = it is in no archive */
    /* Label of the table whose row cut the clip out, and its line; NULL = none did, or it was kept since. */
    const char *table;
    uint32_t line;
    /* Parallel to cfg_clips.fields: the row that gave each. While it is scanned; NULL = none did. */
    const struct cfg_row_at *rows;
    /* The archive's number, and in it those of the video and the subtitle file, as the lister gave them; 0 =
     * none */
    uint32_t archive, member, sidecar_member;
    uint64_t hidden; /* for cfg_is_shown() */
    uint32_t sample; /* its number in the archive, from 1 on; 0 = it is of none */
};

/* ---- Archives: this room knows names only, and gets those from who can list archives ---- */

enum cfg_member_kind { CFG_MEMBER_FILE, CFG_MEMBER_DIR, CFG_MEMBER_SYMLINK };
struct cfg_member {
    const char *path; /* plain: no "." or "..", no empty names; lives for the call */
    size_t len;
    uint32_t number, content; /* of the name; of what it means: another one's for a hard link */
    enum cfg_member_kind kind;
};
typedef int cfg_visit_member(void *context, const struct cfg_member *member);
/* Functions give 0 or a negative errno; what visit() gives ends a visit. */
struct cfg_lister {
    /* These will be opened. */
    int (*prepare)(void *context, const char *const *paths, size_t n);
    /* An archive's number, from 1 on: of a file below the root, or of a member that is one. label: for
     * messages. */
    int (*open)(void *context, const char *path, uint32_t *ret);
    int (*open_member)(void *context, uint32_t archive, uint32_t member, const char *label, uint32_t *ret);
    /* All names in the archive's order; of several members of one name, the last is meant. */
    int (*visit)(void *context, uint32_t archive, cfg_visit_member *visit, void *visit_context);
    void *context;
};
struct cfg_archive {
    const char *path; /* for messages */
    const char
        *shard; /* what {shard} is: the path without its extension; of a nested one behind the outer's */
    uint32_t number;
    bool nested; /* it is a member of another */
};

/* A file that a list view gives. */
struct cfg_list_file {
    size_t view;
    const char *path; /* in the tree */
    size_t n;
    const uint32_t *clips; /* the entries, in their order: places in cfg_clips.clips */
};
/* The values that a field has, each once, sorted bytewise as by `index: sorted`. */
struct cfg_values {
    size_t n;
    const char *const *values;
};

enum { CFG_MAX_UNMATCHED = 3 }; /* that are named */
struct cfg_clips {
    size_t n;
    struct cfg_clip *clips; /* sorted by path, bytewise */
    size_t n_fields;
    const char *const *fields; /* names */
    size_t n_left_out;         /* clips that are not in the tree: without a row, or reported */
    const size_t *n_taken;     /* parallel to `sources:`: how many videos each of them has */
    size_t n_unmatched;        /* files that a source's `videos` takes and no source's `match`: */
    const char *unmatched[CFG_MAX_UNMATCHED]; /* the first of them; NULL behind the last */
    /* Members of archives that are videos by their names, and that nothing takes or shows; likewise. */
    size_t n_strays;
    const char *strays[CFG_MAX_UNMATCHED];
    size_t n_files;
    const char *const *files; /* paths that some files view takes, sorted bytewise */
    size_t n_archives;
    const struct cfg_archive *archives; /* sorted by path; those in others behind them */
    size_t n_lists;
    size_t n_tables_missing;           /* tables that must be there, and no file is */
    const struct cfg_list_file *lists; /* by view, then by path, bytewise */
    /* Parallel to the fields; empty but for those that some template takes as {values.FIELD}. */
    const struct cfg_values *values;
};

/* Lists the clips: walks the root once, entering only directories below which a pattern could match, and
 * matches each path with each source's glob, then its expression. Links to files are followed, and links to
 * directories, up to four along one path, but not to a directory that the walk is in. Dotfiles (which covers
 * AppleDouble's ._x) are skipped. Fields are made of `match` groups; where a source has no `match`, the field
 * `clip` is the base name without extension.
 *
 * Then the tables are read by `reader`, which may be NULL where there are none, and joined: reported at their
 * file and line are mistakes in them, rows without a key, and keys with rows that differ, whose clips are
 * left out; at the place of the table that no row belongs to a clip. Clips without a row of an inner join are
 * left out, too, and counted in a line "note: ...", as are rows without a clip; notes do not count as
 * problems.
 *
 * Then the fields are derived; a clip with a value that a rule's map or index does not know is reported at
 * the place of the rule and left out.
 *
 * Reported at the place of the view, with the clips' names, and left out of the result: a template's field
 * that a clip lacks, or that is no number where it must be; a crop that is none; in a path an empty, "." or
 * ".." value, and a name above 255 bytes; two clips (or two views of one) that give one path, also frames of
 * one directory, prefix and suffix, and a file where another clip needs a directory: both are left out. Clips
 * of one kind of trouble share a line. Also reported: directories that cannot be read, expressions that take
 * too long. *ret_problems counts these. That no clip was found at all is a line too, "warning: ...", but does
 * not count.
 *
 * The sidecar is the file beside the video with its stem, or its stem and a language as in clip.en.srt, and
 * the extension srt, vtt, ass or ssa in any case: an exact stem first, then the extensions in this order.
 * lister: for archives; may be NULL when the configuration has none (cfg_has_archives()). An archive that
 * cannot be listed is reported and left out.
 *
 * Returns 0 or a negative errno; *ret is untouched on failure. The caller frees *ret with
 * cfg_clips_destroy(), which takes NULL; it does not need c any more, but cfg_expand() does. */
int cfg_scan(const struct cfg *c, const struct cfg_reader *reader, const struct cfg_lister *lister,
             cfg_report *report, void *context, struct cfg_clips **ret, size_t *ret_problems);
void cfg_clips_destroy(struct cfg_clips *clips);
/* Makes n clips independent of their scan, which had n_fields fields: what they point to becomes copies,
 * which *ret owns. 0, or -ENOMEM, after which the clips are of no use. cfg_kept_destroy() takes NULL. */
struct cfg_kept;
int cfg_clips_keep(const struct cfg *c, size_t n_fields, struct cfg_clip *clips, size_t n,
                   struct cfg_kept **ret);
void cfg_kept_destroy(struct cfg_kept *kept);
/* Copies the values of fields alone: *ret has them, with ret->values to be freed, then *ret_text, which has
 * all texts. *ret_hash is theirs. 0 or -ENOMEM. */
int cfg_values_keep(const struct cfg_clips *clips, struct cfg_clips *ret, char **ret_text,
                    struct base_hash *ret_hash);
/* Reports what was found, in lines "file: what": videos of each source, files that none takes, clips by the
 * values of fields that have few, the first path of each view. A line is lost when memory runs out. */
void cfg_describe(const struct cfg *c, const struct cfg_clips *clips, cfg_report *report, void *context);
bool cfg_has_archives(const struct cfg *c);

/* Appends the template with a clip's fields put in. {frame} takes `frame` with its width; {nframes}
 * takes `nframes`. In a path a '/' inside a value becomes '_'. Appends no terminator. `clips` is what
 * cfg_scan() made of the configuration that t is from. When memory runs out, out->failed (or dir->failed
 * below) is set. */
void cfg_expand(const struct cfg_template *t, const struct cfg_clips *clips, const struct cfg_clip *clip,
                uint64_t frame, uint64_t nframes, struct base_bytes *out);
/* The same with all that a template of a list view may take: {index} and {nclips}, too. clip may be NULL when
 * it takes nothing of one. */
struct cfg_numbers {
    uint64_t frame, nframes, index, nclips;
};
void cfg_expand_numbers(const struct cfg_template *t, const struct cfg_clips *clips,
                        const struct cfg_clip *clip, const struct cfg_numbers *numbers,
                        struct base_bytes *out);
/* Appends the pickle of n clips, of a list that is one: a tuple of a list for each column, with None for what
 * a clip lacks, or has otherwise than its column's type. Ends early above `most` bytes. */
void cfg_expand_pickle(const struct cfg_listing *list, const struct cfg_clip *const *clips, size_t n,
                       size_t most, struct base_bytes *out);
/* The parts of a path of a frames view: everything before the last '/', expanded as above, and the file
 * name's literal prefix, zero-padded width (0 = plain %d) and literal suffix around {frame}. A frame's name
 * has exactly one {frame}, in its last component. Prefix and suffix are expanded with the clip's fields too.
 */
struct cfg_frame_name {
    char prefix[256], suffix[256];
    int width;
};
void cfg_expand_frame_dir(const struct cfg_template *t, const struct cfg_clips *clips,
                          const struct cfg_clip *clip, struct base_bytes *dir,
                          struct cfg_frame_name *ret_name);
/* What {input}, {output}, {start} and {end} are. */
struct cfg_command_values {
    const char *input, *output, *start, *end;
};
/* Appends the arguments of a command view's program for a clip, each with its terminator. */
void cfg_expand_command(const struct cfg_view *v, const struct cfg_clip *clip,
                        const struct cfg_command_values *values, struct base_bytes *out);
/* The path that a files view gives a file of the corpus, or of an archive (shard: else NULL); appends as
 * cfg_expand() does. False: it does not show this one, or the path cannot be one. */
bool cfg_expand_file(const struct cfg_view *v, const char *path, size_t len, const char *shard,
                     struct base_bytes *out);

#endif
