/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a corpus has, as its configuration says.
 *
 *   walk.c      the directories below the root
 *   scan.c      clips and their fields
 *   sidecars.c  subtitle files beside them
 *   shards.c    clips in archives
 *   samples.c   which of their members are one sample
 *   join.c      what stands in the tables, whose rows rows.c reads, and which clips it belongs to
 *   cues.c      subtitles that stand in them
 *   boxes.c     boxes of frames that stand in them
 *   collide.c   clips that cannot stand in the tree
 *   gather_lists.c  which clips are in which list
 *   describe.c  what was found
 *   keep.c      some clips without the rest of their scan
 */
#ifndef MOUNTCFG_SCANNING_H
#define MOUNTCFG_SCANNING_H

#include "mountcfg/language.h"

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
/* The place of a name's extension among others, in any case; -1 = none of them. */
int cfg_extension_of(const char *path, const char *const *names, size_t n);
enum { CFG_N_VIDEO_EXTENSIONS = 15 };
extern const char *const cfg_video_extensions[CFG_N_VIDEO_EXTENSIONS];
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
    struct cfg_arena places;  /* of the clips' `rows` */
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
    size_t n_strays;                          /* members of archives, as in cfg_clips */
    const char *strays[CFG_MAX_UNMATCHED];
    const char **values; /* room for the next clip's; NULL = none yet */
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
/* Whether a path, below the root or in an archive, is that of a video by its name, and no files view shows
 * it. */
bool cfg_is_stray(const struct cfg *c, const char *path, size_t len);

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
 * one: reported. The clips' `rows` are in `places`. 0 or a negative errno. */
int cfg_join_tables(const struct cfg *c, const struct cfg_reader *reader, struct cfg_log *log,
                    struct cfg_matcher *matcher, struct cfg_table_file *files, size_t n_files,
                    struct cfg_arena *places, struct cfg_clips *clips);
/* What messages call a clip: its label, and behind it the row that gives it the field, or, with field < 0 or
 * where none does, the row that cut it out. */
void cfg_name_clip(const struct cfg_clip *clip, int field, struct base_bytes *out);

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

/* ---- gather_lists.c ---- */

/* Which clips are in which lists, and the values of fields. What cannot be listed is reported. 0 or -ENOMEM.
 */
int cfg_make_lists(const struct cfg *c, struct cfg_log *log, struct cfg_matcher *matcher,
                   struct cfg_clips *clips);
/* Order of values: runs of digits by the number that they are, other bytes as bytes. NULL is before all. */
int cfg_compare_values(const char *a, const char *b);

/* ---- collide.c ---- */

/* What is wrong with a path of the tree, a sentence's part that ends in %s; NULL = nothing. */
const char *cfg_check_names(const char *path, size_t len);

/* Takes out of clips those that cannot stand in the tree: names that are none, paths of two clips. Each
 * reason is reported. 0 or -ENOMEM. */
int cfg_drop_misfits(const struct cfg *c, struct cfg_log *log, struct cfg_clips *clips);

#endif
