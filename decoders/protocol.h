/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conversation between the daemon and a worker, over one SOCK_SEQPACKET socket.
 *
 * The daemon sends a struct dec_job with descriptors (SCM_RIGHTS): the source, the output, and for some
 * kinds the media index. The worker writes the result into the output, sends any number of
 * DEC_PROGRESS replies while at it, and ends the job with one DEC_DONE or DEC_FAILED. One job at a time.
 * A job of frames that has a `wanted` one makes that first and says DEC_FIRST; then the worker waits for a
 * struct dec_verdict: whether the job goes on, with another output, or has ended.
 * All fields are fixed-size, in the machine's byte order (both ends are one build: `version` says so).
 * The daemon checks every field of a reply: dec_reply_check().
 *
 * The source is the whole of the file that is sent, or the range of it that the job names: a member of an
 * archive that stands there as it is. Workers look at nothing outside.
 *
 * This header, index.h, members.h and records.h are all that cache/ may see of decoders/; they need no media
 * library.
 */
#ifndef DECODERS_PROTOCOL_H
#define DECODERS_PROTOCOL_H

#include "base/base.h"
#include "base/hash.h"

/* Goes up whenever a message, a result's format or the bytes of any made file change: it is part of the
 * names of cached things. */
#define DEC_VERSION 18u
#define DEC_MAGIC 0x63667364u /* "dsfc" */

#define DEC_MAX_BOUND 10000.0f /* of flow */

#define DEC_MAX_US (INT64_C(1) << 50) /* times of cuts: 35 years */

enum dec_kind {
    DEC_INDEX = 1,      /* output: a media index (index.h) */
    DEC_MEASURE_FRAMES, /* reply: width, height, file_bytes of a view's frames; nothing in the output */
    DEC_FRAMES,         /* output: frames first..last, see dec_entry; progress says how much is final of an
                           array's rows, as long as row i stands at i * file_bytes */
    DEC_MEASURE_AUDIO,  /* reply: file_bytes */
    DEC_AUDIO,          /* output: the whole file, from its start on; progress says how much is final */
    DEC_SUBTITLES, /* output: the whole SRT file; the source is the video or, with `sidecar`, the text file */
    DEC_LIST,      /* output: a member list (members.h); the source is an archive */
    DEC_TABLE,     /* output: records (records.h); the source is a table */
    DEC_UNPACK,    /* output: bytes of what is packed in an archive; progress says how many are final */
    DEC_MEASURE_SOUND, /* reply, of a wave: width = channels, file_bytes = samples a channel; of features:
                          file_bytes. file_bytes 0: no sound */
    DEC_SOUND, /* output, of a wave: DEC_WAVE_BLOCK samples of each channel, or what is left, from block
                  `first`; of features: the whole .npy file */
    /* output: the index that another program keeps beside the tar that the source is; nothing where there is
     * none, since it is no plain tar, or holds no sample, a sparse file, or for DALI names with white space.
     * With DEC_FD_INDEX, one that is there: reply: file_bytes 1 = it is right, 0 = not, with the reason. */
    DEC_SHARD_INDEX,
    DEC_ARRAY, /* output: the values that a stack has for this clip; the source is a .npy file */
};

enum dec_shard_index { DEC_DALI, DEC_ENERGON };

enum dec_timing { DEC_CFR, DEC_PASSTHROUGH, DEC_FPS };
enum dec_frame_format { DEC_JPG, DEC_PNG, DEC_PPM, DEC_RGB /* a row of an array: its samples */ };
enum dec_sampling { DEC_SPREAD, DEC_CENTRE };
/* Instead of frames, how the picture moves from each to the next, as OpenCV finds it: by its DualTVL1 and
 * DISOpticalFlow (medium preset) with their defaults. Of n frames there are n - 1. */
enum dec_flow { DEC_NO_FLOW, DEC_TVL1, DEC_DIS };
/* Whose frames a box's number counts: those of the cut, or of all. */
enum dec_boxed { DEC_UNBOXED, DEC_BOXED, DEC_BOXED_WHOLE };
enum dec_audio_format { DEC_MP3, DEC_WAV };

/* How a view's frames are chosen and made. All of it goes into the name of a segment. Zero the padding. */
struct dec_frames_spec {
    uint8_t timing;       /* enum dec_timing */
    uint8_t format;       /* enum dec_frame_format */
    uint8_t quality;      /* JPEG 1..100 */
    uint8_t sampling;     /* enum dec_sampling */
    uint16_t subsampling; /* JPEG 420, 422, 444; 0 = as the video has it */
    uint8_t planar;       /* DEC_RGB: all red samples, then green, then blue; else pixel by pixel */
    uint8_t floats;       /* DEC_RGB: float32, (value - mean) / std; else uint8 */
    /* enum dec_flow. DEC_JPG: two grey pictures, of x and of y. DEC_RGB: x, then y, of each pixel, in pixels:
     * float32, or int8, rounded. */
    uint8_t flow;
    uint8_t luma; /* flow: of the luma, in full range; else of what OpenCV makes of RGB */
    /* enum dec_boxed: only frames with a box, and of those the box: they are sent, as DEC_FD_BOXES. Not of
     * flow. */
    uint8_t boxed;
    uint8_t unused[5];
    int32_t fps_num, fps_den; /* DEC_FPS */
    uint32_t stride;          /* of the frames that the timing gives every so manieth; 0 = each */
    uint32_t n_sampled;       /* of those so many (dec_sample()); 0 = all */
    /* Only what is between these times, counted from the beginning; both 0 = all. A frame belongs to it whose
     * own time is at most half a frame's length before from_us, and more than that before to_us. */
    int64_t from_us, to_us;
    float top;              /* floats: what 255 becomes before mean and std: 1 or 255 */
    float mean[3], std[3];  /* floats: red, green, blue */
    float bound;            /* flow: is clipped to -bound..bound; in pictures these are black and white */
    struct base_hash boxes; /* which; all zero without */
    char size[64];          /* ffmpeg's scale syntax or short:N, terminated; "" = as it is */
    char crop[64];          /* left, right, W:H:X:Y, terminated; "" = none */
};

struct dec_audio_spec {
    uint8_t format;    /* enum dec_audio_format */
    uint8_t silence;   /* make silence where there is no stream */
    uint16_t channels; /* 0 = the stream's */
    uint32_t rate;     /* Hz, 0 = the stream's */
    uint32_t bitrate;  /* bit/s, 0 = the encoder's default */
    uint32_t reserved;
    /* Only the samples between these times, counted in the whole file's; both 0 = all. */
    int64_t from_us, to_us;
};

enum dec_sound_kind { DEC_WAVE, DEC_LOGMEL, DEC_MFCC, DEC_FBANK };
enum dec_window { DEC_HANN, DEC_HAMMING, DEC_POVEY, DEC_RECTANGULAR };
enum { DEC_WAVE_BLOCK = 1 << 17, DEC_MAX_CHANNELS = 64, DEC_MAX_BANDS = 4096 };

/* Sound as an array. Zero what a kind does not use; there is no padding. */
struct dec_sound_spec {
    uint8_t kind;            /* enum dec_sound_kind */
    uint8_t int16;           /* DEC_WAVE: int16 rather than float32 */
    uint8_t silence;         /* as in dec_audio_spec */
    uint8_t window;          /* enum dec_window */
    uint16_t channels;       /* 0 = the stream's; features: 1 */
    uint8_t columns_first;   /* features: (columns, rows) rather than (rows, columns) */
    uint8_t centred;         /* logmel, mfcc: row t is about sample t * hop; what lies outside is silence, */
    uint8_t reflect;         /* or mirrored */
    uint8_t htk, area;       /* the mel scale, and norm='slaney' */
    uint8_t ref_max;         /* dB relative to the loudest value */
    uint32_t rate;           /* Hz, 0 = the stream's */
    uint32_t n_fft, hop;     /* logmel, mfcc: samples */
    uint32_t window_samples; /* 0 = n_fft */
    uint32_t bands, n_coefficients;
    float top_db;      /* < 0 = none */
    double fmin, fmax; /* Hz; fmax 0 = half the rate */
    double power;
    double frame_ms, shift_ms, preemphasis, gain; /* fbank */
    int64_t from_us, to_us;                       /* as in dec_audio_spec */
    char rate_formula[128];                       /* the rate from `fps`, see base/formula.h; "" = `rate` */
};

/* What a stack has for each of its clips: of the array's rows, along its first axis, those from the first or
 * in the middle; where there are fewer, zeros, the last one, or all again. Together they have `shape`, rows
 * first, of which axes are then moved, as numpy.transpose() does. */
enum dec_pad { DEC_PAD_ZERO, DEC_PAD_EDGE, DEC_PAD_LOOP };
enum { DEC_MAX_DIMS = 5 };
struct dec_array_spec {
    uint8_t type; /* enum dec_npy_type (npy.h) */
    uint8_t n_dims;
    uint8_t centre;
    uint8_t pad; /* enum dec_pad */
    uint32_t shape[DEC_MAX_DIMS];
    uint8_t axes[DEC_MAX_DIMS];
    uint8_t unused[3];
};

struct dec_subtitles_spec {
    uint8_t sidecar; /* 1: the source is a .srt, .vtt or .ass file; 0: a video with an embedded text stream */
    uint8_t reserved[7];
    int64_t from_us; /* cues are told from here on, */
    int64_t clip_us; /* and clamped to this length; <= 0 = unknown */
};

/* A tar that only grew is listed from its old end: with DEC_FD_INDEX, the list as it was. The result is the
 * whole list; also where the old end is none any more, then all is read again. */
struct dec_list_spec {
    uint64_t known_bytes; /* how long the archive was then; 0 = nothing is known, and no list is sent */
};

/* Bytes from..from + bytes of an unpacked stream: that of a whole archive (DEC_STREAM), or of one member of a
 * zip or HDF5 file (DEC_PACKED: header, size and packed_bytes are those of its dec_member). Ascending jobs of
 * one session are one pass. With DEC_FD_INDEX, the archive's list, a pass may begin at a seek point. -EIO
 * when the stream ends before. */
struct dec_unpack_spec {
    uint64_t from, bytes;
    uint64_t header; /* DEC_PACKED: dec_member.offset */
    uint64_t packed_bytes, size;
    uint32_t storage; /* enum dec_member_storage */
    uint32_t reserved;
};

struct dec_job {
    uint32_t magic, version;
    uint32_t kind;    /* enum dec_kind */
    uint32_t threads; /* decoder threads that pay now: 1 when other workers are busy */
    uint64_t id;
    uint64_t session;       /* equal for jobs on one unchanged source: decoder state may be reused. never 0 */
    uint32_t first, last;   /* DEC_FRAMES: output frames, counted from 0, inclusive; DEC_SOUND: first */
    uint32_t width, height; /* DEC_FRAMES: what the MEASURE job found: all frames have this size */
    uint32_t recount;       /* DEC_INDEX: 1 = count the frames by decoding, whatever the packets say */
    uint32_t wanted;        /* DEC_FRAMES: 1 + the frame of first..last that is made first; 0 = none is */
    uint32_t onward;        /* DEC_FRAMES: the frame that is asked for after the wanted one is likely to be at
                               least so many further: decoding may go on so far at once; UINT32_MAX = none of
                               this source is; 0 = who knows */
    uint32_t reserved;
    uint64_t file_bytes; /* what the MEASURE job found; every frame, or the audio file, has this size */
    /* The source: these bytes of the file that is sent; both 0 = the whole file. Positions in jobs and
     * results count from range_offset. */
    uint64_t range_offset, range_bytes;
    union {
        struct dec_frames_spec frames;
        struct dec_audio_spec audio;
        struct dec_subtitles_spec subtitles;
        struct dec_list_spec list;
        struct dec_unpack_spec unpack;
        struct dec_sound_spec sound;
        struct {
            uint32_t format; /* enum dec_shard_index */
        } shard_index;
        struct dec_array_spec array;
    };
};

/* Descriptors travel in this order. DEC_FD_INDEX is the media index, for frames and sound; for DEC_LIST and
 * DEC_UNPACK it is the archive's list, and may be missing; for DEC_TABLE it is the packed dec_table_spec.
 * DEC_FD_BOXES: of frames with boxes, an array of struct base_box. */
enum { DEC_FD_SOURCE, DEC_FD_OUTPUT, DEC_FD_INDEX, DEC_FD_BOXES, DEC_N_FDS };

/* After DEC_FIRST. The output for the whole of the job travels with it if it goes on. */
struct dec_verdict {
    uint32_t magic, version;
    uint64_t id; /* of the job */
    uint32_t goes_on;
    uint32_t reserved;
};

enum dec_reply_kind { DEC_PROGRESS = 1, DEC_FIRST, DEC_DONE, DEC_FAILED };

struct dec_reply {
    uint32_t magic, version;
    uint32_t kind;  /* enum dec_reply_kind */
    int32_t error;  /* DEC_FAILED: a positive errno; EIO = the source is bad, ENOSPC = the output */
    uint64_t id;    /* of the job */
    uint64_t bytes; /* valid bytes in the output: final so far, or in all */
    uint64_t
        file_bytes; /* MEASURE: the size each file will have; 0 = there is no such file (no audio stream) */
    uint32_t width, height; /* MEASURE_FRAMES, pixels */
    uint32_t
        n_frames; /* DEC_FRAMES: entries; the table of dec_entry stands at the end of `bytes`. DEC_FIRST: 1 */
    uint32_t n_lowered;  /* DEC_FRAMES: distinct frames encoded below the wanted quality to fit */
    uint32_t n_decoded;  /* pictures decoded for this job */
    uint32_t fill;       /* DEC_FRAMES: the byte that fills the room between head and tail, 0..255 */
    uint32_t tail_bytes; /* DEC_FRAMES: how many of each entry's bytes stand after the filling */
    uint32_t stale;      /* DEC_FAILED: 1 = the media index promised what decoding did not find: index again,
                            counting */
    uint32_t has_sum;    /* DEC_FIRST, DEC_DONE: 1 = `sum` is base_hash_of() of the output's `bytes` bytes */
    struct base_hash sum;
    /* DEC_FAILED: a sentence without the source's name. DEC_FRAMES, done: why an entry is empty, "" = none
     * is. DEC_SHARD_INDEX: what is wrong. Terminated. */
    char reason[256];
};

/* One frame in the output of DEC_FRAMES: `len` bytes at `offset`. The file that readers see is the first
 * len - tail_bytes of them, then filling up to file_bytes - tail_bytes, then the rest. Entries may share
 * bytes (repeated frames). len == 0: this frame could not be made (EIO), the others could. */
struct dec_entry {
    uint32_t offset, len;
};

/* True when a reply is one that job may get: magic, version, id, kind, ranges, terminated text. Bytes are
 * checked against max_bytes. */
bool dec_reply_check(const struct dec_reply *reply, const struct dec_job *job, uint64_t max_bytes);
/* True when a job is well-formed (the worker's side). */
bool dec_job_check(const struct dec_job *job);

/* How many entries stand in the output of DEC_FRAMES for each frame: 2 for pictures of flow, x and y. */
uint32_t dec_entries_of_frame(const struct dec_frames_spec *spec);
/* Bytes of DEC_ARRAY's output; 0 = the spec makes no sense. At most 1 GiB. */
uint64_t dec_array_bytes(const struct dec_array_spec *spec);
/* Bytes of a row of an array, DEC_RGB. */
uint64_t dec_row_bytes(const struct dec_frames_spec *spec, uint32_t width, uint32_t height);

/* Send or receive one message with up to DEC_N_FDS descriptors (-1 = not sent; all after the first -1 are
 * ignored). Receiving returns 0, -EPIPE at the end of the conversation, -EPROTO for a message of another
 * size, or a negative errno; received descriptors are close-on-exec and belong to the caller, missing ones
 * are -1. */
int dec_send(int socket, const void *message, size_t len, const int *fds);
int dec_receive(int socket, void *message, size_t len, int fds[DEC_N_FDS]);

#endif
