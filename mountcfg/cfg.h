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
 */
#ifndef MOUNTCFG_CFG_H
#define MOUNTCFG_CFG_H

#include "base/base.h"
#include "base/bytes.h"

enum cfg_view_kind { CFG_FRAMES, CFG_AUDIO, CFG_SUBTITLES, CFG_TEXT };
enum cfg_timing { CFG_TIMING_CFR, CFG_TIMING_PASSTHROUGH, CFG_TIMING_FPS };
enum cfg_frame_format { CFG_JPG, CFG_PNG, CFG_PPM };
enum cfg_audio_format { CFG_MP3, CFG_WAV };
enum cfg_subtitle_source { CFG_SIDECAR, CFG_EMBEDDED };

struct cfg_frames {
    enum cfg_timing timing;       /* `timing: cfr|passthrough`, or fps: N (then CFG_TIMING_FPS) */
    int32_t fps_num, fps_den;     /* `fps:` as 5, 12.5 or 30000/1001; 0/1 unless CFG_TIMING_FPS */
    enum cfg_frame_format format; /* from the extension of the path */
    int quality;                  /* JPEG, 1..100; `quality:`, default 95 */
    int subsampling;              /* JPEG, 420, 422 or 444; `subsampling:`, default 420 */
    char size[64];                /* `size:` W:H in ffmpeg's scale syntax, or short:N; "" = as it is */
    char crop[64];                /* `crop:` left, right or W:H:X:Y; "" = none */
    int base;                     /* number of the first frame; `base:`, default 1 */
};

struct cfg_audio {
    enum cfg_audio_format format; /* from the extension of the path: .mp3 or .wav */
    int rate;                     /* Hz; 0 = the stream's */
    int channels;                 /* 1 or 2; 0 = the stream's */
    int bitrate;                  /* mp3, bit/s (`bitrate: 128k`); 0 = the encoder's default, as ffmpeg's */
    bool silence; /* a clip without an audio stream: true = silence of its length, false = no file */
};

struct cfg_subtitles {
    enum cfg_subtitle_source sources[2]; /* tried in this order */
    int n_sources;
    bool empty; /* a clip without text: true (default) = an empty file, false = none; `missing: empty|none` */
};

/* A path or text with {field}, {frame:06d} and literal parts; {{ and }} are braces. */
struct cfg_template;

struct cfg_view {
    enum cfg_view_kind kind;
    struct cfg_template *path;
    union {
        struct cfg_frames frames;
        struct cfg_audio audio;
        struct cfg_subtitles subtitles;
        struct cfg_template *text;
    };
    const char *file; /* where the view stands, for messages: the configuration, or "preset NAME" */
    int line, column;
};

struct cfg; /* opaque: sources and where everything stood */

/* Reads FILE (YAML; docs: section "configuration" of the manual) and the preset it names. Every mistake
 * is reported, one "file:line:column: what" line each, through report(). At most 1 MiB is read.
 * Returns 0, -EINVAL when there was at least one mistake, or another negative errno; *ret is
 * untouched on failure. The caller frees *ret with cfg_destroy(). */
typedef void cfg_report(void *context, const char *line);
int cfg_load(const char *file, cfg_report *report, void *context, struct cfg **ret);
void cfg_destroy(struct cfg *c);

const char *cfg_name(const struct cfg *c);      /* `corpus:`, or the base name of the root */
const char *cfg_root(const struct cfg *c);      /* absolute, no trailing slash */
const char *cfg_cache_dir(const struct cfg *c); /* absolute; default $XDG_CACHE_HOME or ~/.cache, /corpusfs */
uint64_t cfg_cache_size(const struct cfg *c);   /* bytes; default 20 GiB */
int cfg_workers(const struct cfg *c); /* decoder processes; `workers:`, 0 = as many as there are CPUs */
size_t cfg_n_views(const struct cfg *c);
const struct cfg_view *cfg_view(const struct cfg *c, size_t i);

/* One clip: a video below the root, and the fields its path carried. */
struct cfg_clip {
    const char *path;          /* of the video, relative to the root */
    const char *sidecar;       /* of the subtitle file beside it, relative to the root; NULL = none */
    const char *const *values; /* parallel to cfg_clips.fields; NULL = the clip lacks that field */
};

struct cfg_clips {
    size_t n;
    struct cfg_clip *clips; /* sorted by path, bytewise */
    size_t n_fields;
    const char *const *fields; /* names */
    size_t n_unmatched;        /* files that a source's `videos` takes and no source's `match` */
};

/* Lists the clips: walks the root once, following symbolic links to files but not to directories above or
 * beside it in a loop, matches each path with each source's glob, then its expression. Dotfiles (which covers
 * AppleDouble's ._x) are skipped. Fields made of `match` groups; where a source has no `match`, the field
 * `clip` is the base name without extension. Two clips that give one path in some view, a template's field
 * that a clip lacks, and an empty, "." or ".." value are reported with the clips' names, and those clips are
 * left out of the result. Reports directories that cannot be read. *ret_problems counts reports. 0 or a
 * negative errno. */
int cfg_scan(const struct cfg *c, cfg_report *report, void *context, struct cfg_clips **ret,
             size_t *ret_problems);
void cfg_clips_destroy(struct cfg_clips *clips);

/* Appends the template with a clip's fields put in. {frame} takes `frame` with its width; {nframes}
 * takes `nframes`. In a path a '/' inside a value becomes '_'. Appends no terminator. */
void cfg_expand(const struct cfg_template *t, const struct cfg_clips *clips, const struct cfg_clip *clip,
                uint64_t frame, uint64_t nframes, struct base_bytes *out);
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
/* True when a template uses {nframes}. */
bool cfg_template_uses_nframes(const struct cfg_template *t);

#endif
