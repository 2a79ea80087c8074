/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making one task: what the files make*.c share. They run on a worker's thread, and hold no lock while they
 * do I/O or wait for the worker.
 */
#ifndef CACHE_MAKING_H
#define CACHE_MAKING_H

#include "base/io.h"
#include "base/log.h"
#include "cache/private.h"

/* One task being made. */
struct making {
    struct worker_thread *worker;
    struct cache *c;
    struct cache_task *t;
    const char *path;               /* of the source, for messages */
    struct cache_file_stamp opened; /* of the source, by making_open_unchanged() */
    /* Of a member of an archive, by making_open_member(): */
    uint32_t archive;                 /* 0 = the source is a file of its own */
    bool in_segment;                  /* what was opened is a segment, which does not change */
    uint64_t offset, bytes;           /* where in what was opened the source stands; both 0 = all of it */
    struct base_hash member_identity; /* of the member */
    struct base_reason why;
};

/* What a file is made of. */
struct ingredients {
    int source, index;             /* descriptors; index may be -1 */
    struct cache_file_stamp stamp; /* of the source */
    struct base_hash identity;     /* of the source */
};

/* ---- making.c ---- */

/* Ends a failure whose reason stands in m->why: one line a clip in the log. Returns what its readers get: err
 * for lack of memory or descriptors, else -EIO. */
int making_fail(struct making *m, int err);
/* The same for a job that failed: what the source itself caused is remembered under `key` for this version of
 * the source, so that it does not run again on every read; what befell the worker is not. -EAGAIN when the
 * disk was at fault. */
int making_fail_job(struct making *m, int err, const struct base_hash *key);
/* Whether that was remembered; then m->why has the reason. */
bool making_failed_before(struct making *m, const struct base_hash *key);

/* Opens a file of the corpus. 0 or a failure that is told already. */
int making_open(struct making *m, const char *path, int *ret_fd, struct cache_file_stamp *ret_stamp);
/* The same at rest, and notes what was seen. */
int making_open_at_rest(struct making *m, uint32_t version, int *ret_fd, struct cache_file_stamp *ret_stamp);
/* The files are others than those that the task's media is about, or that were seen of an archive that is
 * being listed: -EAGAIN, after its version has ended. */
int making_forget(struct making *m);
/* Opens the source of a task whose media is known. A source that changed since is not read: a reader that has
 * the old size must not get new bytes. 0, -EAGAIN after making_forget(), or a failure that is told already.
 */
int making_open_unchanged(struct making *m, int *ret_fd);
/* That, and the media index for the worker: what most jobs need. */
int making_open_inputs(struct making *m, int *ret_source, int *ret_index);
/* After a job: a file that was written to meanwhile may have given a mixture. As above. */
int making_check_unchanged(struct making *m, int fd, const struct cache_file_stamp *was,
                           const struct base_hash *identity);

/* The same for what making_open_member() opened. */
int making_check_origin(struct making *m, int fd);

/* The boxes of the task's view in a descriptor of its own, for a worker; -1 = it has none. 0 or a failure
 * that is told already. */
int making_open_boxes(struct making *m, int *ret_fd);

struct dec_job making_new_job(struct making *m, enum dec_kind kind);
/* An empty file in memory. A descriptor or a negative errno. */
int making_memory_file(void);
/* Begins a segment. 0 or a failure that is told already. */
int making_begin_output(struct making *m, uint64_t max_bytes, struct cache_writer **ret);

/* What a job writes, read while it grows. */
struct making_stream {
    struct making *m;
    int source;                           /* of the job */
    const struct cache_file_stamp *stamp; /* of the source */
    int output;                           /* descriptor of its own; -1 = nobody reads it */
};
struct making_stream making_stream_begin(struct making *m, int source, const struct cache_file_stamp *stamp,
                                         const struct cache_writer *writer);
/* So many bytes are final. A job_listener's on_progress(), with the stream as context. Readers get no byte of
 * a source that was written to while it was read. */
void making_stream_grew(void *stream, uint64_t bytes);
/* After the job. */
void making_stream_end(struct making_stream *s);

/* A copy of a segment's payload in memory. A descriptor or a negative errno. */
int making_copy_segment(const struct cache_segment *s);
/* Runs a job that writes one whole file, and keeps it under `key`. Readers of the task's own file get its
 * beginning while it is made. 0 or a failure that is told already. */
int making_run_file_job(struct making *m, struct dec_job *job, const struct ingredients *in,
                        const struct base_hash *key, uint64_t max_bytes, struct cache_segment **ret);

/* ---- make_unpack.c ---- */
/* Opens what a member stands in, and fills in m; a packed one is unpacked here and now, unless that is kept.
 * 0, -EAGAIN when the archive has changed, or a failure that is told already. */
int making_open_member(struct making *m, uint32_t archive, uint32_t member, int *ret_fd);
int make_unpack(struct making *m, struct cache_segment **ret);

/* ---- make_list.c ---- */
int make_list(struct making *m);

/* ---- make_command.c ---- */
int make_command(struct making *m, struct cache_segment **ret);
/* Finds out whether one has run, and what size its file has. */
int make_command_size(struct making *m);

/* ---- make_index.c ---- */
int make_index(struct making *m);
/* Decoding did not find what packets had promised: counts the frames by decoding, once. -EAGAIN: the media is
 * new, ask again. failure: where it is remembered that this does not help either. */
int make_recount(struct making *m, int source, const struct base_hash *failure);

/* ---- make_size.c, make_frames.c, make_file.c ---- */
int make_size(struct making *m);
int make_frames(struct making *m, struct cache_segment **ret);
int make_audio(struct making *m, struct cache_segment **ret);
int make_sound(struct making *m, struct cache_segment **ret);
int make_subtitles(struct making *m, struct cache_segment **ret);

#endif
