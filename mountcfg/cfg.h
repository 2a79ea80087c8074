/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mountcfg: the configuration language, its presets, and the clips that it finds.
 *
 * This room knows YAML, globs, regular expressions and names. It looks at names of files, never
 * into them, and knows nothing of FUSE, caches or media. Start with cfg_load(), which reads a
 * configuration, then cfg_scan(), which lists the clips below its root. cfg_expand() turns a
 * path template and a clip into a path.
 *
 * Threads: a struct cfg or struct cfg_clips may be read by any number of threads once made.
 *
 * The language, as far as this version goes (YAML, one document, at most 1 MiB):
 *
 *   preset: NAME        a configuration that is built in; any key set beside it replaces the preset's
 *   options:            of the preset, which says what there are, as frames of another size
 *     NAME: VALUE       replaces ${NAME} in the preset
 *   corpus: NAME        for messages; default: the root's base name
 *   root: DIR           relative to the configuration; ~, $VAR and ${VAR} are expanded
 *   roots: { NAME: DIR }
 *                       further folders, as if they stood below the root under these names: paths of what is
 *                       in them begin with NAME/. Then there need not be a root
 *   sources:            which files; the first source that takes a file has it
 *     - videos: GLOB    or a list of them, on the path below the root: * ? [a-z] [!a] ** {a,b} {000..012};
 *                       case does not matter behind the last dot of the last name; a backslash takes away
 *                       a character's meaning
 *       match: REGEX    PCRE2, unanchored, on the same path; named groups are the clip's fields. In paths
 *                       and texts {path} is that whole path, unless a field has this name
 *     - archives: GLOB  tar, zip and HDF5 among them; videos, which there need not be, and match are then on
 *                       the path in the archive; {shard} is the archive's path without its extension
 *       nested: GLOB    members that are archives, too, and taken in the same way
 *       samples: webdataset   members next to each other with one key, the path up to the first dot of its
 *                       last name, are a sample; what is behind the dot is a field. Clips have {key}, and of
 *                       the other members of their sample what is used: {txt}, {cls}, what the .json holds
 *   tables:             files below the root, or in archives, whose rows belong to clips and give them fields
 *     - file: GLOB      csv, tsv, json, jsonl, h5; or lines: GLOB with match: REGEX, or labels: GLOB
 *     - member: FIELD   or of samples, the member that is this field: json and so on, or a text that becomes
 *                       the field of this name; it belongs to its sample's clips, and has no key
 *       key: FIELD      or a list of fields, or a template; to: the same of the clips
 *       join: inner|left
 *       optional: true  it need not be there
 *       cut: { start: FIELD, end: FIELD }      each row is a clip: a part of the video that it belongs to, in
 *                       seconds or [h:]m:s; or { first: FIELD, last: FIELD, base: 1 }, frames, inclusive
 *       path: REGEX     on the path of the table: fields of all its rows
 *       columns: { FIELD: NAME } or [FIELD, ...], header: true|false, quotes: true|false
 *       records: PATH, keys: FIELD             json: where records stand, and their keys as a field
 *       base: 1, none: [LABEL, ...]            labels
 *   fields:             made of those, from top to bottom: NAME: RULE, or a list of rules of which the first
 *                       that holds has its way
 *     NAME: { when: { FIELD: REGEX },        all must match; groups that they name are fields
 *             of: FIELD, set: "{a}_{b}",     the value: of a field (default: NAME itself), or a text
 *             match: REGEX,                  its first group, or the whole match
 *             case: keep|lower|upper|title,
 *             map: { from: to, other: ~ },   ~ leaves the clip out
 *             index: [a, b], base: 0,        the place in a list; index: sorted, among the values of all
 *                                            clips
 *             default: TEXT }                for a clip without a value, and those that map or index do not
 *                                            know
 *   views:              each has a path, may have where: { FIELD: REGEX } (then it is of clips that match all
 *                       of these; not with files and list), and one of:
 *     - path: "img/{clip}/{frame:06d}.jpg"     .jpg .jpeg .png .ppm; {frame} once, in the last name
 *       frames: { timing: cfr|passthrough, fps: N, size: W:H|short:N|none,
 *                 crop: left|right|W:H:X:Y|"{field}", quality: 1..100, subsampling: 420|422|444, base: N,
 *                 flow: x|y, method: tvl1|dis, bound: X, grey: rgb|luma }
 *                 crop: { frame: FIELD, x: FIELD, y: FIELD, w: FIELD, h: FIELD, base: 1 } (or x1, y1, x2,
 *                 y2): boxes of frames, a table's row each
 *     - path: "mp3/{clip}.mp3"                 .mp3 .wav
 *       audio: { rate: HZ, channels: 1|2, bitrate: 128k, silence: true|false }
 *     - path: "srt/{clip}.srt"
 *       subtitles: [sidecar, embedded, table]  or { from: [...], missing: empty|none,
 *                  text: FIELD, start: FIELD, end: FIELD }      table: each row that a clip has is a cue
 *     - path: "img/{clip}/count"
 *       text: "{nframes}"
 *     - path: "raw/{path}"                     the files of the corpus as they are
 *       files: "**"           GLOB or a list, on {path}: below the root or in an archive; nothing: all
 *     - path: "videos/{clip}.mp4"
 *       file: {}              the clip's video as it is; of a part of one, the whole
 *     - path: "rgb/{clip}.npy"
 *       npy: { kind: rgb, timing, fps, size, crop (as frames), stride: N, frames: N, sample: uniform|centre,
 *              layout: thwc|cthw, dtype: uint8|float32, top: 1|255, mean: X or [R, G, B], std: likewise }
 *       npy: { kind: flow, method, bound, grey, timing, fps, size, crop (as frames), stride, frames, sample,
 *              layout: cthw|tchw, dtype: int8|float32 }
 *       npy: { kind: wave, rate: HZ or FORMULA, channels: N, dtype: float32|int16, silence: true|false }
 *       npy: { kind: logmel|mfcc, rate, silence, n_fft: N, hop: N, window: hann|hamming|povey|rectangular,
 *              win_length: N, centre: true|false, pad: constant|reflect, bands: N, fmin: HZ, fmax: HZ,
 *              scale: slaney|htk, norm: slaney|none, power: X, ref: 1|max, top_db: X|none,
 *              coefficients: N (mfcc), transpose: true|false }
 *       npy: { kind: fbank, rate, silence, frame_length: MS, frame_shift: MS, window, preemphasis: X,
 *              gain: X, bands, fmin, fmax, transpose }
 *     - path: "annotation/{split}.txt"          a list for each path that the clips give
 *       list: "{clip} {nframes+1}\n"            what it has for each clip; or
 *       list: { begin: TEXT, each: TEXT, join: TEXT, end: TEXT, sort: FIELD or [FIELD, ...],
 *               where: { FIELD: REGEX }, distinct: FIELD or [FIELD, ...], base: 0,
 *               unique: FIELD or [FIELD, ...],
 *               group: { by: FIELD or [FIELD, ...], begin: TEXT, join: TEXT, end: TEXT },
 *               count: PATH of the frames view that {nframes} counts,
 *               broken: leave_out|keep }        also {index}; at the ends {nclips} and {values.FIELD}
 *       list: { pickle: [FIELD, FIELD:int, FIELD:float, ...], sort, where, distinct, broken }
 *       In texts and lists {FIELD:json} is a JSON string, or null; {values.FIELD:json} an array.
 *     - path: "{split}_joint.npy"              one array over the clips that a list would have, of .npy files
 *       stack: { shape: [ROWS, N, ...], axes: [0, 1, ...], dtype: float32|float64|int64|int16|int8|uint8,
 *                cut: start|centre, pad: zero|edge|loop, sort, where (as list) }
 *     - path: "features/{clip}.npy"            a program of the user's own makes the file
 *       command: [PROGRAM, ARGUMENT, ...]      or { run: [...], input: source|PATH, output: npy|any,
 *                timeout: 10m, at_once: 1, max_size: 64MiB }
 *                Arguments take {input}, {output}, {start} and {end}, the seconds of the video that the
 *                clip is, fields, {path}. PATH is an audio or npy view's, or the directory of a frames view
 *   n_frames: true      gives every frames view's directory a text view: the file n_frames, "{nframes}";
 *                       a number N instead of true: and 0 where there are fewer than N
 *   cache: { dir: DIR, size: 20GiB, min_free: 0 }
 *   workers: N
 *   refresh: 60s        how often changes are looked for, besides inotify; s, m or h
 *   immutable: true     the corpus does not change while it is mounted
 */
#ifndef MOUNTCFG_CFG_H
#define MOUNTCFG_CFG_H

#include "base/base.h"
#include "base/boxes.h"
#include "base/bytes.h"
#include "base/hash.h"

enum cfg_view_kind {
    CFG_FRAMES,
    CFG_AUDIO,
    CFG_SUBTITLES,
    CFG_TEXT,
    CFG_FILES,
    CFG_FILE,
    CFG_NPY,
    CFG_LIST,
    CFG_COMMAND
};
enum cfg_timing { CFG_TIMING_CFR, CFG_TIMING_PASSTHROUGH, CFG_TIMING_FPS };
enum cfg_frame_format { CFG_JPG, CFG_PNG, CFG_PPM };
enum cfg_audio_format { CFG_MP3, CFG_WAV };
enum cfg_flow_method { CFG_TVL1, CFG_DIS };
enum cfg_subtitle_source { CFG_SIDECAR, CFG_EMBEDDED, CFG_TABLE };

/* A path or text with {field}, {field:05d}, {frame:06d} and literal parts; {{ and }} are braces. */
struct cfg_template;

/* How the picture moves from each frame to the next. */
struct cfg_flow {
    enum cfg_flow_method method; /* `method:`, default tvl1 */
    double bound;                /* pixels; more is clipped; `bound:`, default 20 */
    bool luma;                   /* of the luma, rather than of grey made of RGB; `grey:` */
};

struct cfg_frames {
    enum cfg_timing timing;       /* `timing: cfr|passthrough`, or fps: N (then CFG_TIMING_FPS) */
    int32_t fps_num, fps_den;     /* `fps:` as 5, 12.5 or 30000/1001; 0/1 unless CFG_TIMING_FPS */
    enum cfg_frame_format format; /* from the extension of the path */
    int quality;                  /* JPEG, 1..100; `quality:`, default 95 */
    int subsampling; /* JPEG, 420, 422 or 444; `subsampling:`, default 0 = the video's, as ffmpeg does */
    char size[64];   /* `size:` W:H in ffmpeg's scale syntax, or short:N; "" = as it is (`none`) */
    char crop[64];   /* `crop:` left, right or W:H:X:Y; "" = none */
    struct cfg_template *crop_of_clip; /* `crop:` with a field in it: see cfg_clip.crops; NULL = as above */
    bool boxed;                        /* `crop:` by boxes of frames: see cfg_clip.boxes */
    bool corners;                      /* their fields are two corners rather than one and a size */
    int box_fields[5];                 /* frame, x, y, w, h; or frame, x1, y1, x2, y2 */
    int box_base;                      /* number of the first frame in the table; default 1 */
    int base;                          /* number of the first frame; `base:`, default 1 */
    bool is_flow, flow_y;              /* `flow: x|y`: pictures of that, in grey */
    struct cfg_flow flow;
};

struct cfg_audio {
    enum cfg_audio_format format; /* from the extension of the path: .mp3 or .wav */
    int rate;                     /* Hz; 0 = the stream's */
    int channels;                 /* 1 or 2; 0 = the stream's */
    int bitrate;                  /* mp3, bit/s (`bitrate: 128k`); 0 = the encoder's default, as ffmpeg's */
    bool silence; /* a clip without an audio stream: true = silence of its length, false = no file */
};

struct cfg_subtitles {
    enum cfg_subtitle_source sources[3]; /* tried in this order */
    int n_sources;
    int text, start, end; /* CFG_TABLE: fields, -1 = none; `text:`, `start:`, `end:` */
    bool empty; /* a clip without text: true (default) = an empty file, false = none; `missing: empty|none` */
};

/* Which files a view shows as they are; empty: all. */
struct cfg_glob;
struct cfg_files {
    size_t n_globs;
    struct cfg_glob **globs;
};

enum cfg_npy_kind { CFG_NPY_RGB, CFG_NPY_FLOW, CFG_NPY_WAVE, CFG_NPY_LOGMEL, CFG_NPY_MFCC, CFG_NPY_FBANK };
enum cfg_window { CFG_HANN, CFG_HAMMING, CFG_POVEY, CFG_RECTANGULAR };

/* Features as librosa has them, and Kaldi's filter banks. */
struct cfg_features {
    int n_fft, hop, win_length; /* samples; win_length 0 = n_fft */
    enum cfg_window window;
    bool centre, reflect; /* `centre:`, `pad:` */
    int bands, coefficients;
    double fmin, fmax;    /* Hz; fmax 0 = half the rate */
    bool htk, area;       /* `scale: htk`, `norm: slaney` */
    double power, top_db; /* top_db < 0 = none */
    bool ref_max;
    double frame_ms, shift_ms, preemphasis, gain; /* fbank */
    bool transpose;
};

struct cfg_npy {
    enum cfg_npy_kind kind;   /* `kind:` */
    struct cfg_frames frames; /* timing, fps, size, crop; flow */
    int stride;               /* every so manieth of these; `stride:`, default 1 */
    int n_frames;             /* of those so many; `frames:`, 0 = all */
    bool centre;              /* the ones in the middle, rather than spread over all; `sample:` */
    bool planar;              /* rgb: (C,T,H,W) rather than (T,H,W,C); flow: than (T,2,H,W); `layout:` */
    bool floats;              /* float32 rather than uint8, or flow's int8; `dtype:` */
    int top;                  /* floats: what 255 becomes: 1 (default) or 255; `top:` */
    float mean[3], std[3];    /* floats: then (value - mean) / std; red, green, blue; default 0 and 1 */
    /* sound */
    int rate;          /* Hz; 0 = the stream's */
    char formula[128]; /* the rate as a formula of `fps` (base/formula.h); "" = `rate` */
    int channels;      /* wave; 0 = the stream's */
    bool silence;      /* as in cfg_audio */
    bool int16;        /* wave */
    struct cfg_features features;
};

/* A text about all clips: `begin`, then for each clip `each`, with `join` between them, then `end`; NULL:
 * nothing. They are expanded by cfg_expand_numbers(): `each` and `join` with the clip of the entry (that
 * behind it), `begin` and `end` with the first clip of the list, of which they take what all clips of the
 * list share. */
struct cfg_condition;
/* `stack:`, what it has of each clip. */
enum { CFG_STACK_DIMS = 5 };
enum cfg_stack_type {
    CFG_STACK_F32,
    CFG_STACK_F64,
    CFG_STACK_I64,
    CFG_STACK_I16,
    CFG_STACK_I8,
    CFG_STACK_U8
};
enum cfg_pad { CFG_PAD_ZERO, CFG_PAD_EDGE, CFG_PAD_LOOP };
struct cfg_stack {
    size_t n_dims;
    int shape[CFG_STACK_DIMS]; /* rows first; `shape:` */
    int axes[CFG_STACK_DIMS];  /* their new order; `axes:` */
    enum cfg_stack_type type;  /* `dtype:`, default float32 */
    bool centre;               /* of more rows those in the middle, rather than the first; `cut:` */
    enum cfg_pad pad;          /* where there are fewer; `pad:`, default zero */
};

/* `pickle:`, of a list that is one: what it has of each clip. */
enum cfg_column_type { CFG_COLUMN_TEXT, CFG_COLUMN_INT, CFG_COLUMN_FLOAT };
struct cfg_column {
    size_t field;
    enum cfg_column_type type;
};

/* A list, or a stack, which has only sort, where and stack. */
struct cfg_listing {
    struct cfg_template *begin, *each, *join, *end;
    struct cfg_template *count; /* `count:`, the path of a frames view; NULL = the first */
    /* The view that the clips are asked for, before they are listed: those that cannot be read are not. -1 =
     * they are not asked. With `uses_nframes`, it is the frames view whose files are counted. */
    int asked;
    bool uses_nframes;
    bool keep;                                    /* `broken: keep` */
    int base;                                     /* number of the first entry; `base:`, default 0 */
    size_t n_sort, n_distinct, n_unique, n_where; /* `sort:`, `distinct:`, `unique:`, `where:` */
    const size_t *sort, *distinct, *unique;       /* fields */
    struct cfg_condition *where;                  /* all of them must hold */
    int line_count, column_count;                 /* where `count` stands */
    /* `group:`: clips with the same values of `by` stand together, with `begin` and `end` around them and
     * `join` between two groups; n_by 0 = none */
    struct cfg_template *group_begin, *group_join, *group_end;
    size_t n_by;
    const size_t *by;
    size_t n_columns; /* `pickle:`; 0 = it is none */
    const struct cfg_column *columns;
    bool is_stack;
    struct cfg_stack stack;
};

/* A program that makes the file. */
struct cfg_command {
    size_t n_arguments;
    struct cfg_template **arguments; /* the program is the first */
    struct cfg_template *input;      /* a path of the tree; NULL = the source */
    size_t input_view;               /* that makes it */
    bool npy;                        /* what it makes must be a .npy file; `output:`, default by the path */
    int timeout_s, at_once;
    uint64_t max_bytes; /* of what it makes; `max_size:` */
};

struct cfg_view {
    enum cfg_view_kind kind;
    struct cfg_template *path;
    union {
        struct cfg_frames frames;
        struct cfg_audio audio;
        struct cfg_subtitles subtitles;
        struct cfg_template *text;
        struct cfg_files files;
        struct cfg_npy npy;
        struct cfg_listing list;
        struct cfg_command command;
    };
    /* `where:`, of the views that give clips their own files: only clips of which all these match are in it.
     */
    size_t n_where;
    struct cfg_condition *where;
    int shown_by; /* the place of the view whose `where` says which clips are in this one: mostly its own */
    const char *file; /* where the view stands, for messages: the configuration, or "preset NAME" */
    int line, column;
};

struct cfg_clip;
/* Whether a view that gives clips their own files gives this one any. */
bool cfg_is_shown(const struct cfg_view *v, const struct cfg_clip *clip);
/* Whether two clips of a list stand in one group. */
bool cfg_same_group(const struct cfg_listing *list, const struct cfg_clip *a, const struct cfg_clip *b);
/* What a view of pictures crops of each clip, NULL = of all the same, or nothing. */
const struct cfg_template *cfg_crop_of_clip(const struct cfg_view *v);

/* What a view of pictures does to them; NULL = it is none. */
const struct cfg_frames *cfg_frames_of(const struct cfg_view *v);

struct cfg; /* opaque: sources and where everything stood */

/* Reads FILE and the preset it names. Every mistake is reported, one "file:line:column: what" line each (in a
 * preset "preset NAME:line:column: what"; no newline), through report(), which may be NULL. Columns count
 * characters, the first is 1. A file that cannot be read is reported as "file: what". Control characters in a
 * line are written as \xNN.
 * Returns 0, -EINVAL when there was at least one mistake, or another negative errno (-ENOMEM without a line);
 * *ret is untouched on failure. The caller frees *ret with cfg_destroy(). */
typedef void cfg_report(void *context, const char *line);
int cfg_load(const char *file, cfg_report *report, void *context, struct cfg **ret);
void cfg_destroy(struct cfg *c);

const char *cfg_name(const struct cfg *c); /* `corpus:`, or the base name of the root */
/* Absolute, no trailing slash; without `root:` the first of `roots:`. */
const char *cfg_root(const struct cfg *c);
/* `roots:` */
size_t cfg_n_merged(const struct cfg *c);
const struct base_folder *cfg_merged(const struct cfg *c);
/* Where a path below the root, or a label that begins with one, really is; cut to what out holds. Returns
 * out. */
const char *cfg_full_path(const struct cfg *c, const char *path, char *out, size_t size);
const char *cfg_dir(const struct cfg *c); /* of the configuration's file, absolute: commands run there */
const char *cfg_cache_dir(const struct cfg *c); /* absolute; default $XDG_CACHE_HOME or ~/.cache, /corpusfs */
uint64_t cfg_cache_size(const struct cfg *c);   /* bytes; default 20 GiB */
uint64_t cfg_cache_min_free(const struct cfg *c); /* bytes of the disk to leave free; default 0 */
int cfg_workers(const struct cfg *c); /* decoder processes; `workers:`, 0 = as many as there are CPUs */
/* Seconds between looks for changes; `refresh:`, default 60; 0 with `immutable: true`. */
uint32_t cfg_refresh_seconds(const struct cfg *c);
size_t cfg_n_views(const struct cfg *c);
/* Whether any view is of optical flow: then workers have to be of the program that finds it. */
bool cfg_has_flow(const struct cfg *c);
const struct cfg_view *cfg_view(const struct cfg *c, size_t i);

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
/* Reports a line about a view, at its place, as cfg_scan() does. */
BASE_PRINTF(4, 5)
void cfg_report_view(cfg_report *report, void *context, const struct cfg_view *v, const char *format, ...);
/* The path that a files view gives a file of the corpus, or of an archive (shard: else NULL); appends as
 * cfg_expand() does. False: it does not show this one, or the path cannot be one. */
bool cfg_expand_file(const struct cfg_view *v, const char *path, size_t len, const char *shard,
                     struct base_bytes *out);
/* Whether a files view also shows directories that hold nothing: it shows all, under their own names. */
bool cfg_shows_dirs(const struct cfg_view *v);
/* The text of a template without fields, else NULL. */
const char *cfg_template_literal(const struct cfg_template *t);
/* The text behind the last '.' of a path's last name, "" when there is none or a field follows. */
const char *cfg_template_extension(const struct cfg_template *t);
/* True when a template uses {nframes}. */
bool cfg_template_uses_nframes(const struct cfg_template *t);

#endif
