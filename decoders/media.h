/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An opened media file in the worker, and what a job's code gets and gives. Only decoders/ includes this.
 */
#ifndef DECODERS_MEDIA_H
#define DECODERS_MEDIA_H

#include "decoders/index.h"
#include "decoders/protocol.h"
#include "decoders/source.h"

#include <libavformat/avformat.h>

/* A demuxer over a source, with its streams probed and chosen as ffmpeg chooses them: -1 = there is none. */
struct dec_media {
    AVFormatContext *format;
    int video, audio, text;
};

/* 0, or a negative errno with a reason (-EIO: not media, or damaged). The descriptor must stay open.
 * dec_media_close() takes NULL. */
int dec_media_open(const struct dec_source *source, struct dec_media **ret, struct base_reason *why);
void dec_media_close(struct dec_media *m);

/* For the session that mostly follows the indexing of a file, probing once is enough. Takes over a demuxer
 * all of whose packets were read, or NULL, and keeps it, rewound, in place of the one kept before; closes it
 * where the format's demuxer is not the same after that as a fresh one (all but mp4's). The descriptor may be
 * closed then. */
void dec_media_keep(struct dec_media *m);
/* The kept one, if it is of this unchanged source: reads from its descriptor now, and belongs to the caller.
 * Else NULL. */
struct dec_media *dec_media_take(const struct dec_source *source);

/* At the end of the packets: whether that is the end of the file, or reading it failed. 0, or a negative
 * errno with a reason. */
int dec_media_check_read(const struct dec_media *m, struct base_reason *why);
/* A negative errno for one of FFmpeg's error codes; the reason gets `what` and FFmpeg's own words. */
int dec_media_fail(struct base_reason *why, int averror, const char *what);

/* One job in work: what it may read and what it fills in. */
struct dec_work {
    const struct dec_job *job;
    struct dec_source source;
    int output;
    const struct dec_index *index; /* NULL where the job has none */
    int list_fd;  /* DEC_LIST, DEC_UNPACK: the member list that was sent; DEC_TABLE: the spec; -1 = none */
    int boxes_fd; /* of frames with boxes; -1 = none */
    struct dec_reply *reply; /* bytes, file_bytes, ...: zeroed before */
    struct base_reason why;  /* filled on failure */
    /* Tells the daemon that the first `bytes` bytes of the output are final (0 = just "alive"). Call as often
     * as you like: sends at most every 20 ms, or 5 ms when there are more than were told of. */
    void (*progress)(struct dec_work *work, uint64_t bytes);
    /* Tells the daemon that the wanted frame is made, as `reply` says, and waits for the verdict: `output` is
     * a fresh one, or the job has ended. 0 or a negative errno. */
    int (*first)(struct dec_work *work);
    /* Of what was written, from the start and without a gap, up to `summed`. NULL = it was written otherwise,
     * or nobody wants to know. */
    struct base_hasher *sum;
    uint64_t summed;
    bool ended; /* no reply is due any more */
    int64_t last_progress_ns;
    uint64_t final_bytes, told_bytes; /* of the output, by progress() */
    int socket;
};

/* Writes into the output. 0 or -ENOSPC with work->why, whatever the reason: it is not the source's fault. */
int dec_output_write(struct dec_work *work, const void *data, size_t len, uint64_t offset);

/* Puts the output's checksum into the reply, if it is known, and ends it. */
void dec_output_sum(struct dec_work *work, struct dec_reply *reply);

/* What does one kind of job. 0 or a negative errno with work->why. */
typedef int dec_run(struct dec_work *work);
dec_run dec_run_index, dec_run_measure_frames, dec_run_frames; /* index.c, frames.c */
dec_run dec_run_measure_audio, dec_run_audio;                  /* audio.c */
dec_run dec_run_measure_sound, dec_run_sound;                  /* sound.c */
dec_run dec_run_subtitles;                                     /* subtitles.c */
dec_run dec_run_list, dec_run_unpack;                          /* listing.c, unpack_job.c */
dec_run dec_run_table, dec_run_shard_index, dec_run_array;     /* table_job.c, shard_index.c, array.c */

/* Counts the samples that decoding an audio stream will give, from its packets: by their durations where the
 * codec makes that exact, else by decoding. Used while indexing. */
struct dec_audio_count;
/* NULL when out of memory. Keeps a pointer to the stream. */
struct dec_audio_count *dec_audio_count_create(const AVStream *stream);
void dec_audio_count_packet(struct dec_audio_count *c, const AVPacket *packet);
/* Fills audio_rate, audio_channels, audio_samples of *index, and frees c. 0 or a negative errno (then the
 * clip counts as having no audio stream: index->audio_stream = -1). */
int dec_audio_count_finish(struct dec_audio_count *c, struct dec_index *index);

#endif
