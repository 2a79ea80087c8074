/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of cache/ (but not the store's) share. */
#ifndef CACHE_PRIVATE_H
#define CACHE_PRIVATE_H

#include "base/grow.h"
#include "cache/archives.h"
#include "cache/worker_process.h"
#include "decoders/index.h"
#include "decoders/members.h"

#include <pthread.h>
#include <stdatomic.h>

enum { CACHE_MAX_VIEWS = 128, CACHE_MAX_ATTEMPTS = 16, CACHE_MAX_WAITS = 1 << 20 };

struct stat;

/* What is known of one view of one clip. Guarded by cache.lock; `starts` is immutable once set and freed with
 * the media. */
struct clip_view {
    bool counted;  /* n_files, n_frames and starts are known */
    bool measured; /* file_bytes is known */
    bool unmade;   /* a command's: it is known that nothing is known before it is made */
    uint32_t n_files;
    uint32_t n_frames;      /* frames: n_files; of an array its rows; of a wave its blocks */
    uint32_t width, height; /* frames; width: channels of a wave */
    uint64_t samples;       /* a channel of a wave */
    uint64_t file_bytes;
    uint64_t frame_bytes; /* frames: file_bytes; of an array those of a row */
    uint32_t n_starts;
    uint32_t *starts;          /* frames: first frame of each segment, ascending, from 0 */
    struct base_hash text_key; /* subtitles: name of their segment; it hangs on which text was found */
    /* The access pattern (plan.c): the frames that were asked for and answered last, how many reads in a row
     * went on where the last one was, and 1 + the frame that was last made alone. */
    uint32_t last_asked, last_answered, run, lone;
    uint32_t kept; /* 1 + the kept segment that was read last */
    uint64_t last_reader;
    bool strides;      /* the last read was one of those that take every so many frames */
    uint32_t step;     /* and so many; 0 = it was not */
    uint32_t onward;   /* that reader's next one is at least so many further; 0 = who knows */
    bool refused;      /* an array: read-ahead behind the header was */
    uint32_t beside;   /* an array: so many rows on either side a lone one is made with; 0 = its segment */
    uint32_t at_once;  /* an array: the kernel asks for rows of a run that are so far apart, in any order */
    uint32_t n_making; /* frames: tasks in flight */
};

/* What indexing a clip's source told; counted, immutable but for the views. */
struct media {
    atomic_uint refs;
    struct base_bytes packed;  /* the media index as workers get it */
    struct base_hash identity; /* of the source */
    struct base_hash hash;     /* of identity and packed: names of what is made from it */
    struct cache_file_stamp stamp;
    int32_t rate_num, rate_den; /* as in the index */
    int64_t from_us, to_us;     /* of the cut that the clip is; both 0 = the whole source */
    int64_t source_us;          /* length of the source: of the sound, else of the picture */
    int64_t clip_us;            /* and of the clip */
    bool has_audio, has_text, counted;
    uint32_t version; /* of the clip, that it belongs to */
    uint64_t session; /* of the workers' decoders for this index of this source; given when the clip gets the
                         media */
    /* Guarded by cache.lock, while the clip has it. */
    struct media *newer, *older; /* by their last use */
    size_t clip, bytes;
    uint32_t n_views;
    struct clip_view views[];
};

/* One clip. Guarded by cache.lock. */
struct clip {
    struct media *media; /* NULL = not asked yet, or not for long: then it is found again in the store */
    int16_t worker;      /* that has its session; -1 = none */
    bool logged;         /* a failure of this clip is in the log */
    bool recounted;
    bool read;     /* frames of it had to be made */
    bool begun;    /* its first frames were made before somebody read one */
    bool surveyed; /* looked into ahead of its readers, as far as that was possible */
    bool past_end; /* its cut goes past the source's end, which the log has */
    bool hidden;   /* it is not in the tree */
    /* Its files as they were when they were looked at, all zero = not there; they are watched from then on.
     */
    bool looked;
    uint32_t most_files; /* of a view, that were told in this version */
    uint32_t told;       /* the mark of the media that they were told by; 0 = none were */
    uint32_t version; /* goes up when one of them changed; CACHE_MAX_VERSION: no more, nothing of it is told
                         or read */
    struct cache_file_stamp seen;
};

/* The same of its subtitle file, once that was looked at. Most clips have none: then no memory is touched. */
struct clip_sidecar {
    bool looked;
    struct cache_file_stamp seen;
    struct base_hash identity;
};

enum task_kind {
    TASK_INDEX,
    TASK_MEASURE,
    TASK_FRAMES,
    TASK_AUDIO,
    TASK_SUBTITLES,
    TASK_LIST,
    TASK_UNPACK,
    TASK_SOUND,
    TASK_COMMAND
};

/* A place where an archive is: a file of the corpus, or a member of an archive. */
struct archive_slot {
    char *path;             /* for messages; of a file below the root. Owned */
    uint32_t outer, member; /* 0 = a file */
    size_t clip;            /* of the file */
    uint32_t current;       /* the archive that was found there; 0 = none yet. Guarded by cache.lock */
};

/* A hard link: its record, and the one with its bytes; UINT32_MAX = there is none. */
struct archive_link {
    uint32_t number, content;
};
/* How many names a content has. */
struct archive_names {
    uint32_t content, n;
};

/* Of an archive's users: its list is gone. */
#define ARCHIVE_RELEASED UINT32_MAX

/* An archive as it was listed; immutable, but for the links, which are found at the first visit, and for what
 * the list takes, which goes some time after its file has changed: see archive_use(). */
struct archive {
    uint32_t outer, member; /* as its slot; in_segment: the member whose segment it stands in */
    size_t clip;
    uint32_t version;               /* of the clip */
    struct cache_file_stamp stamp;  /* of the file */
    struct base_hash file_identity; /* of the file */
    struct base_hash identity;      /* of the archive */
    /* Where it stands: in the file, or in the segment that the outer's member is unpacked into. */
    bool in_segment;
    uint64_t offset, bytes;
    uint8_t *packed; /* the list's bytes */
    size_t packed_bytes;
    struct dec_members list;
    atomic_uint users; /* of what is owned here */
    bool linked;
    struct archive_link *links;   /* sorted by number */
    struct archive_names *counts; /* sorted by content: of those with hard links */
    size_t n_links, n_counts;
};

/* What an unpacking job makes: bytes of the unpacked stream of an archive, or a packed member of a zip. */
struct unpack {
    uint32_t archive;
    uint32_t member; /* UINT32_MAX: of the stream */
    uint64_t from, bytes;
};

/* Something to be made once, whoever asks. Fields below `guarded` are guarded by cache.lock. */
struct cache_task {
    enum task_kind kind;
    size_t clip, view;
    uint32_t first, last; /* TASK_FRAMES: a segment; TASK_SOUND: a block of a wave */
    uint32_t slot;        /* TASK_LIST */
    struct unpack unpack; /* TASK_UNPACK */
    uint32_t wanted;      /* 1 + its frame that may be all that is needed; 0 = the segment is */
    bool beyond;          /* TASK_FRAMES: of a clip that nobody reads yet */
    struct base_hash key;
    struct media *media; /* a reference; NULL for TASK_INDEX */
    /* guarded: */
    unsigned refs;
    unsigned passed_over; /* how often a later one was taken first */
    bool finished, ahead; /* ahead: nobody waits, it is made because a run of reads will want it */
    bool wants_all;       /* more than `wanted` is needed by now */
    bool strides;         /* whoever wants it will not want more of its segment */
    uint32_t onward;      /* but, likely, one of the clip that is at least so many further; 0 = who knows */
    bool served, leaves;  /* the wanted frame is made; and its job is not to wait for company */
    struct cache_waiter *waiters;
    struct cache_task *next_in_bucket, *next_in_queue, *previous_in_queue;
    uint64_t produced; /* bytes of the output that are final */
    int output; /* own descriptor of what is being written, where it is read meanwhile; -1 = none yet */
};

enum { TASK_BUCKETS = 1024, CACHE_MAX_CLIPS = 1 << 24 };

/* Descriptors of files that are read as they are stay open for the next read, so many of them. */
enum { OPEN_FILES = 64 };
struct open_file {
    uint64_t
        key; /* of clip and version; 0 = free, or, while there are refs, to be closed by the last of them */
    int fd;
    unsigned refs;
    uint64_t used; /* when, in uses */
};

/* What is to be looked into when there is nothing else to do. */
struct survey {
    bool began;
    size_t clip, view; /* that was read last */
    size_t step;       /* it stands so far behind the one before */
    size_t distance;   /* of the next that may be of use */
    unsigned left;     /* so many */
    bool again;        /* it had been read before */
    bool in_order;     /* it stands right behind the one before, or as far as that one behind another */
    bool one_each;     /* the last two were new: who reads so takes one frame of a clip */
};

struct cache {
    struct cache_options options;
    struct cache_view views[CACHE_MAX_VIEWS];
    struct base_hash view_hashes[CACHE_MAX_VIEWS];
    struct cache_store *store;
    int root;        /* descriptor of the root directory */
    int *merged_fds; /* parallel to options.merged */
    size_t n_workers;
    struct worker_thread *workers;
    struct cache_watch *watch; /* NULL: the corpus does not change */
    /* One thread at a time finds out whether a file with another stamp is another one: what is remembered of
     * a file's old stamp gives way to its new one. Alone; held while the file's ends are read. */
    pthread_mutex_t judging;
    /* Guards the open files; held for moments, alone. */
    pthread_mutex_t files_lock;
    struct open_file files[OPEN_FILES];
    uint64_t n_uses;
    /* The sources grow in place: each is immutable once it has a number. So do the clips. */
    const struct cache_source *sources;
    struct base_grow sources_memory, clips_memory, sidecars_memory;
    /* The same for archives: [0] is none. */
    struct archive **archives;
    struct archive_slot *slots;
    uint32_t *slot_table; /* slots by their places: each its number + 1, 0 = nothing; only the scan looks */
    uint32_t slot_table_len; /* a power of two */
    struct base_grow archives_memory, slots_memory;
    atomic_uint n_archives;
    uint32_t n_slots;

    /* Guards everything below, the clips and the tasks. Taken alone, held for moments: never over I/O, a
     * worker's answer, a wake() or a call into the store. */
    pthread_mutex_t lock;
    /* On the monotonic clock: */
    pthread_cond_t work;   /* something was queued, or stopping */
    pthread_cond_t linger; /* the same, or a task wants more */
    bool stopping, expects_readers;
    size_t n_clips;
    struct clip *clips;
    struct last_change {
        size_t clip;
        uint32_t version;
        bool is_one;
    } last_change;                 /* that was noticed */
    struct clip_sidecar *sidecars; /* of the same number */
    struct media *media_newest, *media_oldest;
    size_t media_bytes;
    struct cache_task *buckets[TASK_BUCKETS];
    struct cache_task *queue_head, *queue_tail;
    size_t n_queued;
    size_t n_idle, n_lingering; /* threads that wait for work, or for company of the frame they made */
    struct commands *commands;  /* NULL: no view has one */
    struct survey survey;
    const struct worker_thread *surveyor; /* that is at it; NULL = none is */
    uint64_t last_session;
    struct cache_counters counters;                /* but for what is below, and what is now */
    struct cache_failure failures[CACHE_FAILURES]; /* the newest first */
    size_t n_failures;
    _Atomic uint64_t hits, misses;
};

struct worker_thread {
    struct cache *cache;
    int16_t number;
    pthread_t thread;
    struct cache_task *current; /* guarded by cache.lock; NULL = it waits for work */
    struct cache_worker process;
    bool started_ahead; /* or that was tried */
    uint64_t next_job;
};

/* ---- media.c ---- */
struct media *media_ref(struct media *m);
void media_unref(struct media *m);
/* What is known of a view now. */
struct clip_view media_view(struct cache *c, const struct media *m, size_t view);
/* Checks a packed index (taking the bytes over, also on failure) and fills in what follows from it for every
 * view. 0 or a negative errno. */
int media_create(const struct cache *c, size_t clip, struct base_bytes *packed,
                 const struct base_hash *identity, const struct cache_file_stamp *stamp, struct media **ret);

/* Where a cut of its source is. */
void media_cut_times(const struct media *m, const struct cache_cut *cut, struct cache_cut_times *ret);

/* A time as seconds. Returns out. */
enum { CACHE_SECONDS_ROOM = 32 };
const char *media_seconds(int64_t us, char out[CACHE_SECONDS_ROOM]);
/* Tells media of different content apart; never 0. */
uint32_t media_mark(const struct media *m);
/* A clip that has none gets it, and the reference. */
void media_attach_locked(struct cache *c, size_t clip, struct media *m);
/* Takes a clip's media away from it: the reference is the caller's. NULL = it has none. */
struct media *media_detach_locked(struct cache *c, size_t clip);
/* It was used now, if it is a clip's. NULL is allowed. */
void media_used_locked(struct cache *c, struct media *m);
/* Detaches what was not used for long and takes too much memory together: a list, for media_unref_list()
 * without the lock. */
struct media *media_trim_locked(struct cache *c);
void media_unref_list(struct media *list);

/* ---- roots.c: the folders of the corpus ---- */
int roots_open(struct cache *c, struct base_reason *why);
void roots_close(struct cache *c); /* safe after a failed roots_open() */
/* Where a file of the corpus is: below which folder, and its path there; also of a label that begins with
 * one. */
struct source_place {
    int root; /* its descriptor */
    const char *dir, *path;
};
struct source_place source_place(const struct cache *c, const char *path);

/* ---- failures.c ---- */
/* Notes a source's failure, in place of its last. */
void failures_add_locked(struct cache *c, const struct source_place *place, const char *reason);

/* ---- sources.c: descriptors and identities; all of it does I/O, no lock held ---- */
int source_open(const struct cache *c, const char *path, int *ret_fd, struct cache_file_stamp *ret_stamp);
/* What the file is, whatever its path: hash of size, mtime, head and tail; remembered for path and stamp. */
int source_identity(struct cache *c, const char *path, int fd, const struct cache_file_stamp *stamp,
                    struct base_hash *ret);

/* The same for a file as it was, if that is remembered. */
int source_identity_then(struct cache *c, const char *path, const struct cache_file_stamp *stamp,
                         struct base_hash *ret);

/* Whether a file is the one of that stamp and identity: the same stamp, or only other permissions, links, or
 * numbers of the filesystem. Renews the stamp. */
bool source_is(struct cache *c, const char *path, int fd, struct cache_file_stamp *stamp,
               const struct cache_file_stamp *was, const struct base_hash *identity);
/* Whether what was read from it since is of one piece: strictly, without reading. */
bool source_unchanged(int fd, const struct cache_file_stamp *was);
/* Waits until a file that was changed a moment ago is at rest, and renews the stamp. 0, -EBUSY for a file
 * that is written to all the while, or a negative errno. */
int source_settle(int fd, struct cache_file_stamp *stamp);

/* ---- files.c: files that are read as they are ---- */
/* Size and times of a clip's file in a version of it. 0, -ENOENT, -ESTALE, or another negative errno. */
int file_stamp(struct cache *c, size_t clip, uint32_t version, struct cache_file_stamp *ret);
/* Reads of it. The number of bytes, or an error as above. */
ssize_t file_read(struct cache *c, size_t clip, uint32_t version, void *out, size_t len, uint64_t offset);
void files_finish(struct cache *c);

/* Descriptors of a version that has ended are closed, or will be when nobody uses them. */
void files_forget(struct cache *c, size_t clip, uint32_t version);

/* ---- archives.c: which archives there are ---- */
int archives_init(struct cache *c);
void archives_finish(struct cache *c);
/* Adds one and makes it its slot's; takes it over. 0 or -E2BIG. */
int archives_add(struct cache *c, struct archive *a, uint32_t slot);
void archive_free(struct archive *a); /* NULL is allowed */
/* NULL: there is none of this number. */
struct archive *archive_of(struct cache *c, uint32_t number);
bool archive_is_current(struct cache *c, const struct archive *a);
/* Until archive_unuse() its list stays. False: it is gone, since the archive is not what stands there any
 * more. */
bool archive_use(struct archive *a);
void archive_unuse(struct archive *a);
/* The same with cache.lock. */
bool archive_is_current_locked(const struct cache *c, const struct archive *a);
/* A record, and what it points into: end it with dec_members_end(). 0, -ENOENT, -ESTALE, -EIO. */
int archive_record(struct archive *a, uint32_t number, struct dec_members_cursor *cursor,
                   struct dec_member *ret);
/* What a member is, wherever its archive stands. */
struct base_hash archive_member_identity(const struct archive *a, const struct dec_member *member);

/* Who waits with a thread. */
struct blocking_waiter {
    struct cache_waiter waiter; /* first: a woken waiter is its blocking_waiter */
    pthread_mutex_t lock;       /* guards `woken` */
    pthread_cond_t changed;
    bool woken;
};
void blocking_init(struct blocking_waiter *b);
/* After an -EINPROGRESS: until it is woken. 0 or the error that it was woken with. */
int blocking_wait(struct blocking_waiter *b);
void blocking_finish(struct blocking_waiter *b);

/* ---- members.c ---- */
/* Copies a member to the beginning of a file; waits. 0 or a negative errno. */
int member_copy_to(struct cache *c, uint32_t archive, uint32_t content, int fd);
/* What holds the bytes of a packed member, whole. */
struct unpack unpack_of_member(uint32_t archive, uint32_t number, const struct dec_member *member);
/* a: the archive that it is of. */
struct base_hash key_of_unpacked(const struct archive *a, const struct unpack *u);

/* ---- cache.c ---- */
/* What the task that a waiter waited for ended with: told once, to the question about its clip. A listing
 * asks about others before. w may be NULL. */
int take_error(struct cache_waiter *w, size_t clip);
/* Counts a read that was answered; returns n. */
ssize_t count_read(struct cache *c, const struct cache_waiter *w, ssize_t n);
/* Reads of a file of `size` bytes that `task` makes, while it is made if it tells its progress. */
ssize_t read_made(struct cache *c, struct cache_waiter *w, const struct cache_task *task,
                  const struct base_hash *segment, uint64_t size, void *out, size_t len, uint64_t offset);

/* ---- changes.c: versions of clips ---- */
bool stamp_equal(const struct cache_file_stamp *a, const struct cache_file_stamp *b);
struct cache_file_stamp stamp_of(const struct stat *st);
/* What was found when a clip of this version was looked at; all zero = the file was not there. */
void clip_saw(struct cache *c, size_t clip, uint32_t version, const struct cache_file_stamp *stamp);
/* The same for its subtitle file. false: the clip has changed, or was seen with another one. */
bool clip_saw_sidecar(struct cache *c, size_t clip, uint32_t version, const struct cache_file_stamp *stamp,
                      const struct base_hash *identity);
/* Looks at a clip's source from outside, which is watched from then on. 0, also when it is not there, or a
 * negative errno. */
int clip_glance(struct cache *c, size_t clip, uint32_t version, struct cache_file_stamp *ret);
/* Ends a version: forgets what was known of the clip, and tells. The next question finds out anew. false: it
 * had ended before. */
bool clip_forget(struct cache *c, size_t clip, uint32_t version);
/* Looks whether a clip's files are still as they were seen, and forgets it if not; true then. Does I/O, no
 * lock held. */
bool clip_check(struct cache *c, size_t clip);
/* Calls on_change: what was known of a clip's version is no longer so. */
void clip_tell(struct cache *c, size_t clip, uint32_t version, uint32_t n_files);

/* ---- plan.c ---- */
/* Cuts n output frames into segments. map: decoded frame of each; max_frames: a segment's. 0 or -ENOMEM. */
int plan_starts(const struct dec_index *index, const uint32_t *map, uint32_t n, uint32_t max_frames,
                uint32_t **ret_starts, uint32_t *ret_n);
/* The segment that holds a frame. */
void plan_segment(const struct clip_view *v, uint32_t frame, uint32_t *ret_first, uint32_t *ret_last);
/* Notes that a read came, for the access pattern; once a read. */
void plan_asked_locked(struct clip_view *v, uint32_t frame, uint64_t reader);
/* Notes that it was answered. true: a run of reads has come so far that the next segment is to be begun. */
bool plan_answered_locked(struct clip_view *v, uint32_t frame);
/* Notes that it was answered from a segment that is kept. true: reads, of however many readers, have come to
 * this segment from the one before, or to the clip, so that the next one will be wanted, if it is kept, too.
 */
bool plan_kept_locked(struct clip_view *v, uint32_t frame);
/* What a read that found nothing needs: 1 + frame for that frame alone, 0 for its segment. *ret_ahead: the
 * segment behind it is wanted next. */
uint32_t plan_read_locked(struct clip_view *v, uint32_t frame, bool *ret_ahead);

/* The same for rows of an array, first..last of them at once (of planes, last may be in the next one). habit:
 * the array before was read through. */
void plan_rows_asked_locked(struct clip_view *v, uint32_t first, uint32_t last, uint64_t reader, bool habit);
/* Whether rows are read one after the other, so that the segments to come are wanted. */
bool plan_in_run(const struct clip_view *v);
/* What a read that did not find a row needs: true its segment, false plan_lone_row(). */
bool plan_rows_locked(struct clip_view *v, uint32_t row);
/* A row made alone is made with those beside it, as far as they are of its segment. */
void plan_lone_row(const struct clip_view *v, uint32_t row, uint32_t *ret_first, uint32_t *ret_last);

/* ---- survey.c: clips beside those that are read are indexed, and the size of their frames is measured, by
 * one worker at a time, and only by one that had nothing to do for a moment ---- */
/* Notes that a frame of a clip has to be made. */
void survey_note_locked(struct cache *c, size_t clip, size_t view);
/* The same of a frame that is read, if it had been made before anybody read one of its clip. */
void survey_note_reader_locked(struct cache *c, size_t clip, size_t view);
/* Whether who reads this clip through reads another one next, that *ret, and no worker is needed for anything
 * else. */
bool survey_goes_on_locked(const struct cache *c, size_t clip, size_t view, size_t *ret);
/* Whether the clip that was noted last is another one, and was read through in this view. */
bool survey_is_habit_locked(const struct cache *c, size_t clip, size_t view);
bool survey_is_due_locked(const struct cache *c);
/* What is to be done next. false: nothing. The media in *ret is borrowed. */
bool survey_choose_locked(struct cache *c, struct cache_task *ret);
/* Whether a clip's file is short enough to be read for nobody. Does I/O, no lock held. */
bool survey_is_short(struct cache *c, size_t clip);

/* ---- keys.c: names of what is made ---- */
/* Indexing a clip: what its file is, is found out by the task. */
struct base_hash key_of_indexing(size_t clip);
struct base_hash key_of_view(const struct cache_view *v);
/* What a view is for one clip. */
struct cache_view view_of_clip(const struct cache *c, const struct media *m, size_t view);
/* What a view that is boxed has boxes of. */
const struct base_boxes *boxes_of_clip(const struct cache *c, size_t clip, size_t view);
/* The same as what measuring it hangs on: frames of a cut have the size of those of the whole. */
struct cache_view view_to_measure(const struct cache *c, const struct media *m, size_t view);
struct base_hash key_of_index(const struct base_hash *identity);
struct base_hash key_of_table(const struct base_hash *identity, const struct base_hash *spec);
struct base_hash key_of_list(const struct base_hash *identity);
struct base_hash key_of_size(const struct cache *c, const struct media *m, size_t view);
struct base_hash key_of_segment(const struct cache *c, const struct media *m, size_t view, uint32_t first,
                                uint32_t last);
struct base_hash key_of_failure(const struct base_hash *key);
/* What a command's failure hangs on besides `key`: more time, or room, may help. */
struct base_hash key_of_attempt(const struct base_hash *key, const struct cache_command *command);
struct base_hash key_of_subtitles(const struct cache *c, const struct media *m, size_t view,
                                  const struct base_hash *text_identity);

/* ---- jobs.c: the queue ---- */
int jobs_start(struct cache *c);
void jobs_refuse(struct cache *c); /* as cache_refuse() */
void jobs_stop(struct cache *c);
/* The task for a key, new or in flight, with the waiter on it (NULL: made ahead). Takes lock itself. Returns
 * -EINPROGRESS or a negative errno. */
int jobs_wait_for(struct cache *c, const struct cache_task *wanted, struct cache_waiter *w);
/* A task in flight, with a reference, or NULL. */
struct cache_task *jobs_find(struct cache *c, const struct base_hash *key);
void jobs_release(struct cache *c, struct cache_task *t);
/* Puts a waiter onto a task in flight, unless more than `produced` bytes are final by now or it ended:
 * -EINPROGRESS or -EAGAIN. */
int jobs_wait_more(struct cache *c, struct cache_task *t, struct cache_waiter *w, uint64_t produced);
/* Whether so many bytes of its output are final. t is referenced. */
bool jobs_has_produced(struct cache *c, const struct cache_task *t, uint64_t bytes);
/* Reads of them: the number of bytes, -ENODATA when they are not final, or another negative errno. */
ssize_t jobs_read(struct cache *c, const struct cache_task *t, void *out, size_t len, uint64_t offset);
/* Called by the running thread: more bytes are final; wakes all waiters. */
void jobs_produced(struct cache *c, struct cache_task *t, int output, uint64_t bytes);
/* Called by the running thread of TASK_FRAMES: the frame that is to be made first; 0 = all alike. */
uint32_t jobs_wanted(struct cache *c, struct cache_task *t);
/* Called likewise: that frame is made, in a segment of its own. Wakes who waits for it, and waits a moment
 * for others. true: the whole segment is wanted; false: the task has ended. */
bool jobs_made_first(struct cache *c, struct cache_task *t, struct cache_segment *segment);

/* The task has ended, with an error or a segment: tells all who wait. w: the worker that did it, NULL = none.
 */
void jobs_finish(struct cache *c, struct worker_thread *w, struct cache_task *t, int error,
                 struct cache_segment *segment);

/* ---- commands.c: programs of the user. Each view with one has threads of its own: what such a program reads
 * of the mount is made by workers, so none of these may wait for it ---- */
int commands_start(struct cache *c);
void commands_enqueue_locked(struct cache *c, struct cache_task *t);
/* From now on none begins, and those that run are ended. */
void commands_stop_locked(struct cache *c);
/* Waits for that, and tells who waits for others. */
void commands_finish(struct cache *c);
/* Readable from commands_stop_locked() on. */
int commands_stop_fd(const struct cache *c);

/* ---- read_array.c ---- */
/* What follows of an array's file, or a wave's, from what was measured. */
void array_measured(const struct cache_view *view, struct clip_view *v);
/* The bytes of a wave's block, all channels. */
uint64_t wave_block_bytes(const struct dec_sound_spec *spec, const struct clip_view *v, uint32_t block);

/* ---- make.c: what a worker thread does with a task. Fills *ret_segment where the task makes one. ---- */
int make_task(struct worker_thread *w, struct cache_task *t, struct cache_segment **ret_segment);

/* ---- run_job.c: one job on the thread's process, with a retry on a fresh one if it dies ---- */
struct job_result {
    struct dec_reply reply;
    struct base_reason why;
};
/* What is told while a job runs; each may be NULL where its kind of job has no such thing. */
struct job_listener {
    void (*on_progress)(void *context, uint64_t bytes);
    /* The wanted frame stands in the output. Returns another output if the rest is wanted, too, else -1: then
     * the job ends, and reply is its result. */
    int (*on_first)(void *context, const struct dec_reply *reply);
    void *context;
};
/* fds: source, output, index (-1 = none); the output is replaced as the listener says. listener: NULL = none.
 * 0; the worker's error as negative errno; -EIO or -ETIMEDOUT for a source that killed the worker or let it
 * hang; -EAGAIN for a worker that could not run or was killed from outside. */
int run_job(struct worker_thread *w, struct dec_job *job, int fds[DEC_N_FDS], uint64_t max_bytes,
            const struct job_listener *listener, struct job_result *ret);

#endif
