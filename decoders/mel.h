/* SPDX-License-Identifier: Apache-2.0 */
/* Mel filter banks: triangles over the bins of a spectrum. Any thread. */
#ifndef DECODERS_MEL_H
#define DECODERS_MEL_H

#include "base/base.h"

/* How the triangles stand. */
enum dec_mel_scale {
    DEC_MEL_SLANEY, /* librosa's default, of M. Slaney's Auditory Toolbox: linear below 1 kHz, then
                       logarithmic */
    DEC_MEL_HTK,    /* 2595 log10(1 + f / 700), of the HTK book */
    DEC_MEL_KALDI,  /* the same scale, but the sides are straight over mel rather than over Hz, and the last
                       bin  counts for nothing */
};

struct dec_mel {
    uint32_t n_bands, n_bins;
    uint32_t *first, *count; /* of each band: the bins it takes */
    double *weights;         /* n_bins a band */
};

/* For the bins 0..n_fft/2 of a transform at `rate` Hz. area: each triangle has the area of librosa's
 * norm='slaney', rather than the height 1. 0 or -ENOMEM; dec_mel_finish() is safe after either. */
int dec_mel_init(struct dec_mel *m, enum dec_mel_scale scale, bool area, uint32_t n_bands, uint32_t n_fft,
                 double rate, double fmin, double fmax);
void dec_mel_finish(struct dec_mel *m);
void dec_mel_apply(const struct dec_mel *m, const double *spectrum, double *bands);

#endif
