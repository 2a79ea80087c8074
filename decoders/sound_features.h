/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Features of sound: mel spectrograms in dB and MFCCs as librosa 0.10 defines them (melspectrogram,
 * power_to_db, mfcc), filter banks as Kaldi's compute-fbank-feats without dither.
 */
#ifndef DECODERS_SOUND_FEATURES_H
#define DECODERS_SOUND_FEATURES_H

#include "decoders/protocol.h"

/* The shape of what a number of samples at a rate gives: rows in time, columns. 0, or -EINVAL with why for a
 * spec that makes no sense at this rate. */
int dec_features_shape(const struct dec_sound_spec *spec, int rate, int64_t samples, int64_t *ret_rows,
                       uint32_t *ret_columns, struct base_reason *why);
/* Computes them from one channel of samples: out has rows times columns, one row after the other. tick is
 * called now and then; may be NULL. 0 or a negative errno with why. */
int dec_features_make(const struct dec_sound_spec *spec, int rate, const float *samples, int64_t n,
                      float *out, void (*tick)(void *context), void *context, struct base_reason *why);

#endif
