/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The media index: what demuxing a video once taught, in a compact form that is kept for good, and the pure
 * functions over it that give frame numbers. Needs no media library; daemon and worker both use it.
 *
 * Serialised: a magic and version, the fields of struct dec_index as variable-length integers, then per frame
 * the differences of pts and duration (2 bytes a frame for constant rates, see dec_index_pack()).
 */
#ifndef DECODERS_INDEX_H
#define DECODERS_INDEX_H

#include "base/boxes.h"
#include "base/bytes.h"
#include "decoders/protocol.h"

#define DEC_NO_PTS INT64_MIN
#define DEC_MAX_FRAMES                                                                                       \
    10000000u /* 92 hours at 30 frames/s; what a lying index can cost the daemon follows from it */

/* One decoded frame of the best video stream, in output order. */
struct dec_frame {
    int64_t pts;      /* in time_base units, as in the file; DEC_NO_PTS = none */
    int64_t duration; /* in time_base units; 0 = unknown */
};

/* A frame at which decoding can start. */
struct dec_key {
    uint32_t frame;   /* its number in output order */
    int64_t pts, dts; /* of its packet; DEC_NO_PTS = none */
    int64_t pos;      /* byte position of its packet; -1 = unknown */
    uint32_t bytes;   /* of its packet: much detail makes large packets */
    bool damaged;     /* decoding showed errors between here and the next: how they look depends on what came
                         before */
};

struct dec_index {
    /* The file. Times in microseconds. */
    int64_t duration_us; /* of the clip as its streams tell; 0 = unknown */
    /* The best video stream, as ffmpeg chooses it; video_stream < 0: none, and no frames. */
    int32_t video_stream;
    int32_t width, height;      /* coded pixels of the first frame, before rotation */
    int32_t tb_num, tb_den;     /* time base: one unit is tb_num/tb_den seconds */
    int32_t rate_num, rate_den; /* frame rate that ffmpeg would guess; 0/0 = none */
    int64_t start_pts; /* what ffmpeg subtracts from every pts: the start of the file, in time_base units */
    int64_t end_us;    /* where ffmpeg sees the end of the video, after subtracting the start, in us */
    bool only_stream;  /* the file has one stream (then cfr does not fill an initial gap) */
    bool counted;      /* frames come from a counting decode, not from packets alone */
    bool damaged;      /* counting showed errors somewhere */
    bool pts_unique;   /* every frame has a pts of its own, ascending: frames are found by it */
    int32_t largest_packet; /* bytes of the video's largest packet */
    uint32_t n_frames;
    struct dec_frame *frames;
    uint32_t n_keys; /* ascending by frame */
    struct dec_key *keys;
    /* The best audio stream; audio_stream < 0: none. */
    int32_t audio_stream;
    int32_t audio_rate, audio_channels; /* Hz; as decoded */
    int64_t audio_samples; /* a channel, after trimming what the codec and container ask to trim */
    int64_t audio_start_us;
    /* The first text subtitle stream; < 0: none. */
    int32_t text_stream;
};

void dec_index_finish(struct dec_index *index);

/* Serialises; appends to out (check out->failed). */
void dec_index_pack(const struct dec_index *index, struct base_bytes *out);
/* Parses and checks what a worker or a disk gave: 0, -EPROTO when it is not a media index or breaks one of
 * the rules above, -ENOMEM. *ret belongs to the caller (dec_index_finish); untouched on failure. */
int dec_index_unpack(const uint8_t *data, size_t len, struct dec_index *ret);

/* Which decoded frame each output frame shows: *ret_map[i] is an index into frames, ascending. What
 * ffmpeg 5.1 writes to
 * `%06d.png`: cfr its default -fps_mode for images, passthrough `-fps_mode passthrough`, fps `-vf fps=N`.
 * Sources: ffmpeg's documentation of -fps_mode and of the fps filter; equality is tested against its command
 * line. has_filters: the view scales or crops, as `-vf scale=...` does; ffmpeg then takes durations from the
 * frame rate instead of the packets. Then what the spec cuts out of it, then what it samples. Of flow, number
 * i is between ret_map[i] and ret_map[i + 1]: the map has one entry more. 0, -EFBIG for more than
 * DEC_MAX_FRAMES, -ENOMEM. The caller frees *ret_map. */
int dec_timing_map(const struct dec_index *index, const struct dec_frames_spec *spec, uint32_t **ret_map,
                   uint32_t *ret_n);
/* The same of a spec with boxes, of which n are given: only frames that have one are there, behind the cut
 * and before the sampling. (*ret_box)[i]: the number of output frame i's box; NULL without boxes. The caller
 * frees both. */
int dec_boxed_map(const struct dec_index *index, const struct dec_frames_spec *spec,
                  const struct base_box *boxes, uint32_t n_boxes, uint32_t **ret_map, uint32_t **ret_box,
                  uint32_t *ret_n);

/* The last step of dec_timing_map(): leaves in a map what a spec samples of it. With a stride s, frames 0, s,
 * 2s and so on; of what is then there, with n_sampled N: DEC_SPREAD N from the first to the last, number
 * floor(i * (n - 1) / (N - 1)) for i = 0..N-1, as numpy.linspace(0, n - 1, N).astype(int) has it; DEC_CENTRE
 * the N in the middle. Where fewer are there, frames repeat: evenly, or the last one. The map may move. 0 or
 * -ENOMEM, then the map is as it was. */
int dec_sample(const struct dec_frames_spec *spec, uint32_t **map, uint32_t *n);

#endif
