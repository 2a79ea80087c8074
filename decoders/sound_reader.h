/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoded sound as samples, from the beginning of the stream on, in the order of time: what ffmpeg's command
 * line would give for a rate and a number of channels. Where the stream ends, or decodes to less than was
 * promised, silence follows.
 *
 * One thread. The worker keeps the reader used last, so that a run of ascending reads is one pass; what it
 * gives for a position does not depend on that.
 */
#ifndef DECODERS_SOUND_READER_H
#define DECODERS_SOUND_READER_H

#include "decoders/media.h"

#include <libavutil/samplefmt.h>

struct dec_sound_reader;

/* The reader of work->job->session for this format (planar), rate and channels, which stands at `position` or
 * before: the kept one, or a new one. Belongs to the worker: do not free. 0 or a negative errno with
 * work->why. */
int dec_sound_reader_get(struct dec_work *work, enum AVSampleFormat format, int rate, int channels,
                         int64_t position, struct dec_sound_reader **ret);
/* Forgets it after a failure. */
void dec_sound_reader_drop(void);
/* Fills the planes with the n samples from `position` on, which is not before where it stands. 0 or a
 * negative errno with work->why: -EIO, too, where damage has lost samples and that is behind the last one. */
int dec_sound_reader_read(struct dec_sound_reader *r, struct dec_work *work, int64_t position, int n,
                          uint8_t **planes);

#endif
