/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decode session: demuxer, decoder and position of one source, kept between jobs, so that a run of
 * ascending reads is one pass over the video. Gives decoded frames by their number in the media index.
 *
 * One thread. The worker keeps a few sessions (dec_session_get) and drops the one used longest ago.
 */
#ifndef DECODERS_SESSION_H
#define DECODERS_SESSION_H

#include "decoders/frame_map.h"

#include <libavcodec/avcodec.h>

struct dec_session;

/* The session of work->job->session, opened if needed; it keeps its own copy of the descriptor and index.
 * Belongs to the worker: do not free. 0 or a negative errno with work->why. */
int dec_session_get(struct dec_work *work, struct dec_session **ret);
/* Forgets a session after a failure, so that the next job starts from a clean state. */
void dec_session_drop(struct dec_session *s);

const struct dec_index *dec_session_index(const struct dec_session *s);
const AVStream *dec_session_stream(const struct dec_session *s);
/* The map from output to decoded frames of the job's spec; borrowed. 0 or a negative errno with work->why. */
int dec_session_map(struct dec_session *s, struct dec_work *work, const struct dec_frame_map **ret);
/* A slot for what the picture code keeps with a session; freed with free_slot when the session ends. */
void **dec_session_slot(struct dec_session *s, void (*free_slot)(void *));

/* Where to find decoded frame number `frame`: *ret is borrowed until the next call. Seeks to the keyframe
 * before it, or goes on from where the session stands, whichever is less work. 0; -ENOENT: decoding does not
 * find it, although started from the file's beginning; or another negative errno with work->why. */
int dec_session_frame(struct dec_session *s, struct dec_work *work, uint32_t frame, const AVFrame **ret);
/* Whoever is given a frame will not ask for others before frame `next` (UINT32_MAX = for any): from the next
 * dec_session_frame() on those may be left out, and dec_session_go_onward() decodes towards it. 0 = that is
 * not known. */
void dec_session_expect(struct dec_session *s, uint32_t next);
/* Uses the time until the next job for what that one is likely to need: a packet's worth. false: nothing is
 * to be done. */
bool dec_session_go_onward(void);
/* The picture of keyframe number `key` of the index, decoding nothing else; where that does not work as
 * dec_session_frame(). Borrowed likewise. */
int dec_session_keyframe(struct dec_session *s, struct dec_work *work, uint32_t key, const AVFrame **ret);
/* True when the worker has this session: then its jobs need no index. */
bool dec_session_is_open(uint64_t id);

#endif
