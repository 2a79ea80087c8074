/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mountcfg: the configuration language, its presets, and the clips that it finds.
 *
 * This room knows YAML, globs, regular expressions and names. It looks at names of files, never
 * into them, and knows nothing of FUSE, caches or media. Start with cfg_load(), which reads a
 * configuration, then cfg_scan() in clips.h, which lists the clips below its root. cfg_expand() turns a
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

/* A text about all clips: `begin`, then for each clip `each`, with `join` between them, then `end`; NULL:
 * nothing. They are expanded by cfg_expand_numbers(): `each` and `join` with the clip of the entry (that
 * behind it), `begin` and `end` with the first clip of the list, of which they take what all clips of the
 * list share. A stack has only sort, where and stack. */
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
/* Reports a line about a view, at its place, as cfg_scan() does. */
BASE_PRINTF(4, 5)
void cfg_report_view(cfg_report *report, void *context, const struct cfg_view *v, const char *format, ...);
/* Whether a files view also shows directories that hold nothing: it shows all, under their own names. */
bool cfg_shows_dirs(const struct cfg_view *v);
/* The text of a template without fields, else NULL. */
const char *cfg_template_literal(const struct cfg_template *t);
/* The text behind the last '.' of a path's last name, "" when there is none or a field follows. */
const char *cfg_template_extension(const struct cfg_template *t);
/* True when a template uses {nframes}. */
bool cfg_template_uses_nframes(const struct cfg_template *t);

#endif
