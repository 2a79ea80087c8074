/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache: knows what every file of every view is, and makes it when it is asked for.
 *
 * The room's two halves: store.h keeps what was made on disk; this one knows the clips, runs jobs on the
 * workers, and lets each missing thing be made once, however many readers wait. It knows nothing of FUSE,
 * paths of the tree or the configuration's language, and parses no byte of the corpus: workers do. Start with
 * cache_read() in cache.c; jobs.c has the queue and the threads, make*.c what they do with a task, media.c
 * what is known of a source, plan.c how frames are cut into segments, worker_process.c the processes;
 * commands.c and run_command.c the programs of the user.
 *
 * Questions never block for decoding. When the answer has to be made first, they return -EINPROGRESS and
 * remember the waiter; its wake() is called once, and then the same question is asked again. (Without a
 * waiter, where a function allows that, they only see to it that the answer is being made.)
 *
 * Threads: all functions, any thread.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "base/base.h"
#include "base/boxes.h"
#include "cache/store.h"
#include "decoders/protocol.h"

/* CACHE_FILE: the file itself. CACHE_ARRAY: the frames as one .npy file; `frames` has the format DEC_RGB.
 * CACHE_WAVE, CACHE_FEATURES: sound as one .npy file. CACHE_COMMAND: what a program of the user makes. */
enum cache_view_kind {
    CACHE_FRAMES,
    CACHE_AUDIO,
    CACHE_SUBTITLES,
    CACHE_FILE,
    CACHE_ARRAY,
    CACHE_WAVE,
    CACHE_FEATURES,
    CACHE_PART, /* what a stack has of a clip; not a file */
    CACHE_COMMAND,
};

/* A program of the user, which gets the source, or a path of the tree, and writes one file. */
struct cache_command {
    struct base_hash what; /* of all that its bytes hang on, but for the source and the arguments */
    int input_view;        /* that makes its input: frames or an array or sound; -1 = the source is */
    bool npy;              /* its file must be a .npy */
    uint32_t timeout_s, at_once;
    uint64_t max_bytes; /* of its file */
    char suffix[16];    /* of its file's name, as ".npy" */
};
/* What its arguments hang on besides the clip. */
struct cache_command_values {
    const char *source, *output; /* paths; NULL: these are left open, and the arguments only looked at */
    const char *start, *end;     /* of the clip in the source, in seconds */
};

struct cache_view {
    enum cache_view_kind kind;
    uint8_t entry;      /* pictures of flow: 0 = x, 1 = y; both are made at once, for both views */
    bool crops_by_clip; /* frames: cache_options.crop tells each clip's */
    bool boxed;         /* frames: cache_options.boxes tells each clip's */
    union {
        struct dec_frames_spec frames;
        struct dec_audio_spec audio;
        struct dec_sound_spec sound;
        struct dec_array_spec array;
        struct {
            uint8_t sources[3]; /* enum cache_subtitle_source, tried in order */
            uint8_t n_sources;
            bool empty;             /* no text: an empty file (true) or none */
            int64_t from_us, to_us; /* the cache's own: of a cut */
        } subtitles;
        struct cache_command command;
    };
};
enum cache_subtitle_source { CACHE_SIDECAR, CACHE_EMBEDDED, CACHE_TABLE /* cache_options.cues tells it */ };

/* A part of a source that is a clip of its own: from the one to the other, which is not in it. Times count
 * from the beginning, frames are those of the stream's rate, from 0. */
enum cache_cut_unit { CACHE_WHOLE, CACHE_CUT_US, CACHE_CUT_FRAMES };
struct cache_cut {
    enum cache_cut_unit unit;
    int64_t from, to; /* 0 <= from < to */
};

/* Where that is, and whether it goes past the end of the source. */
struct cache_cut_times {
    int64_t from_us, to_us, source_us;
    bool past_end; /* by more than sound and picture differ */
};

/* Where a clip's bytes are; strings are borrowed and must outlive the cache. */
struct cache_source {
    const char *path;    /* of the video, or of a file that is shown as it is, relative to the root */
    const char *sidecar; /* of its subtitle file, or NULL */
    /* Of a member of an archive (archives.h); 0 = of none. Then the two above are for messages alone. */
    uint32_t archive, member, sidecar_member;
    struct cache_cut cut;
};

struct cache_options {
    const char *root;                 /* absolute */
    const struct base_folder *merged; /* n_merged of them; borrowed */
    size_t n_merged;
    const struct cache_source *sources; /* n_clips of them, as cache_add_sources() takes them */
    size_t n_clips;
    const struct cache_view *views; /* n_views, at most 128; copied */
    size_t n_views;
    const char *dir;              /* of the disk cache */
    uint64_t size_bytes;          /* its budget */
    uint64_t min_free_bytes;      /* of the disk, to be left free */
    int workers;                  /* processes; 0 = as many as CPUs */
    uint64_t worker_memory_bytes; /* address space of one; 0 = no limit */
    const char *decoder;          /* path of the worker program */
    /* Seconds between looks at the files of clips that were looked into, besides inotify; 0 = the corpus does
     * not change. */
    uint32_t refresh_seconds;
    /* What was told of this version of a clip is no longer so, and no view of it had more than n_files files.
     * When the version is still the clip's, its files stay but are others than was told. Any thread; may be
     * NULL. */
    void (*on_change)(void *context, size_t clip, uint32_t version, uint32_t n_files);
    void *context;
    /* What is cropped of a clip in a view that crops by clip, as in dec_frames_spec.crop. The same each time.
     * Any thread; NULL when no view does. */
    const char *(*crop)(const void *clip_context, size_t clip, size_t view);
    /* What tables say of a clip for a subtitles view: an SRT file with times of its source; NULL or empty =
     * nothing. The same each time. Any thread; NULL when no view has it from tables. */
    const char *(*cues)(const void *clip_context, size_t clip, size_t view);
    /* Appends the arguments of a command view's program for a clip, each with its terminator. 0 or -ENOMEM.
     * Any thread; NULL when there is no such view. */
    int (*command)(const void *clip_context, size_t clip, size_t view,
                   const struct cache_command_values *values, struct base_bytes *out);
    /* The boxes of a clip's frames in a view that is boxed; NULL = it has none. The same each time. Any
     * thread; NULL when no view is. */
    const struct base_boxes *(*boxes)(const void *clip_context, size_t clip, size_t view);
    const void *clip_context;
    const char *command_dir; /* where they run */
};

struct cache;

/* 0, or a negative errno with a reason. Starts threads; worker processes start later. */
int cache_create(const struct cache_options *options, struct cache **ret, struct base_reason *why);
/* Somebody may ask from now on: the first worker processes start. */
void cache_expect_readers(struct cache *c);
/* From now on nothing is begun, and what a program of the user does is taken for its end with the mount;
 * waits for nothing. To be called before anybody is refused for the mount's end. NULL is allowed. */
void cache_refuse(struct cache *c);
/* Ends the workers: all who wait are woken with an error, and nothing is made any more. NULL is allowed. */
void cache_stop(struct cache *c);
/* The same, and the end of all else. NULL is allowed. */
void cache_destroy(struct cache *c);

/* Adds clips behind those that are there; the array is copied. *ret_first: the number of the first. 0, or a
 * negative errno when nothing was added. One thread at a time. */
int cache_add_sources(struct cache *c, const struct cache_source *sources, size_t n, size_t *ret_first);

/* How many clips there are; archives (archives.h) are clips of their own. */
size_t cache_n_clips(struct cache *c);
/* Of all clips that there are, these n are in the tree now: the counters are about them. */
void cache_show_clips(struct cache *c, const uint32_t *clips, size_t n);

/* Somebody who waits: embedded in the caller's request, zero-initialised but for wake. */
struct cache_waiter {
    void (*wake)(
        struct cache_waiter *w); /* called once for each -EINPROGRESS, from another thread, no locks held */
    uint64_t reader;             /* the thread that asks, for the access pattern; 0 = not known */
    bool insists;                /* on all that is asked for: cache_read() */
    bool glances;                /* and wants no size that is known only when the file is made */
    /* private to the cache */
    struct cache_waiter *next;
    struct cache_task *task;
    struct cache_segment *segment; /* what it was woken with, */
    struct media *media;           /* and what that is about */
    uint32_t frame;                /* 1 + the one that it waits for, if its task makes several */
    bool asked;                    /* for the access pattern */
    int error;
    size_t clip;                 /* of the task that it waited for last: whose error it is */
    struct base_hash waited_for; /* key of the task that it waited for last, */
    uint32_t attempts;           /* how often in a row, */
    uint32_t waits;              /* and how often it waited at all */
};
/* Takes back a question that returned -EINPROGRESS. true: the waiter is forgotten, wake() will not be called.
 * false: too late. */
bool cache_cancel(struct cache *c, struct cache_waiter *w);
/* Releases what a waiter may hold; call when its request is answered. */
void cache_waiter_finish(struct cache_waiter *w);

/* The version of a clip, from 0: goes up each time that its files were found changed. The questions below are
 * about one version, and all answers about it fit together; of an earlier one nothing is told any more. After
 * CACHE_MAX_VERSION changes the clip cannot be read. */
enum { CACHE_MAX_VERSION = 0x7fff, CACHE_MAX_FILES = 10000000 };
uint32_t cache_version(struct cache *c, size_t clip);
/* How many files of a view were told of in this version, at most. */
uint32_t cache_files_told(struct cache *c, size_t clip);
/* How many files a view gives for a clip: frames, at most CACHE_MAX_FILES, or 1, or 0 when there is none.
 * Needs demuxing at most. w may be NULL. 0, -EINPROGRESS, -EIO (bad source), -ENOENT (source gone), -ESTALE
 * (not its version now), or another negative errno. */
int cache_count(struct cache *c, size_t clip, uint32_t version, size_t view, struct cache_waiter *w,
                uint32_t *ret);
/* Where a part of the clip's source is that need not be a clip. Errors as above. */
int cache_cut_times(struct cache *c, size_t clip, uint32_t version, const struct cache_cut *cut,
                    struct cache_waiter *w, struct cache_cut_times *ret);
/* The size in bytes of each of these files. Errors as above; -ENODATA: the file would have to be made, which
 * the waiter does not want, and nobody who does not wait. w may be NULL. */
int cache_size(struct cache *c, size_t clip, uint32_t version, size_t view, struct cache_waiter *w,
               uint64_t *ret_bytes);
/* Modification time of a clip's source, in ns. One stat at most; on_change tells when it is no longer so. 0,
 * -ENOENT (source gone), or another negative errno. */
int cache_mtime_ns(struct cache *c, size_t clip, int64_t *ret);
/* Reads up to len bytes at offset of file number `file` (from 0). The number of bytes, or an error as above;
 * -ENOENT: no such file; -EAGAIN: whoever wants the header of an array alone is to ask for less, and the
 * kernel, of which this was read-ahead, does; not for a waiter that insists. */
ssize_t cache_read(struct cache *c, size_t clip, uint32_t version, size_t view, uint32_t file,
                   struct cache_waiter *w, void *out, size_t len, uint64_t offset);

/* What was done since start, and what is being done. */
struct cache_counters {
    uint64_t jobs_index, jobs_measure, jobs_frames, jobs_audio, jobs_subtitles, jobs_list, jobs_unpack,
        jobs_command;
    uint64_t members_refused; /* of archives that are open */
    uint64_t list_bytes;      /* of their lists, in memory */
    uint64_t
        past_end; /* clips in the tree that go past the end of their source, of those that were indexed */
    uint64_t pictures_decoded, frames_lowered, worker_restarts, failed;
    /* Reads that found everything kept, and reads that had to wait (store.h counts its own lookups, of which
     * a read may need several). Reads that failed are neither. */
    uint64_t hits, misses;
    uint64_t workers, workers_busy, queued; /* now */
};
void cache_counters(struct cache *c, struct cache_counters *ret);

/* Why a source could not be read, as its line in the log has it; longer texts are cut off. */
struct cache_failure {
    char source[512], reason[512];
};
enum { CACHE_FAILURES = 20 };
/* The last failure of each of the sources that failed last, the newest first. Returns how many. */
size_t cache_failures(struct cache *c, struct cache_failure ret[CACHE_FAILURES]);
void cache_usage(struct cache *c, struct cache_usage *ret);

#endif
