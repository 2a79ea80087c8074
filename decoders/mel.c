/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/mel.h"

#include <errno.h>
#include <math.h>

/* Slaney: 200/3 Hz a mel up to 1000 Hz, which are 15 mel; then 27 mel for a factor of 6.4. */
static const double linear_hz = 200.0 / 3, knee_hz = 1000, knee_mel = 15;

static double log_step(void)
{
    return log(6.4) / 27;
}

static double mel_of(enum dec_mel_scale scale, double hz)
{
    switch (scale) {
    case DEC_MEL_SLANEY:
        return hz < knee_hz ? hz / linear_hz : knee_mel + log(hz / knee_hz) / log_step();
    case DEC_MEL_HTK:
        return 2595 * log10(1 + hz / 700);
    case DEC_MEL_KALDI:
        break;
    }
    return 1127 * log(1 + hz / 700);
}

static double hz_of(enum dec_mel_scale scale, double mel)
{
    switch (scale) {
    case DEC_MEL_SLANEY:
        return mel < knee_mel ? mel * linear_hz : knee_hz * exp(log_step() * (mel - knee_mel));
    case DEC_MEL_HTK:
        return 700 * (pow(10, mel / 2595) - 1);
    case DEC_MEL_KALDI:
        break;
    }
    return 700 * (exp(mel / 1127) - 1);
}

/* One triangle, its corners and the bins on the same axis. */
static void fill_band(struct dec_mel *m, uint32_t band, const double corners[3], const double *bins,
                      double height)
{
    double *weights = m->weights + (size_t)band * m->n_bins;
    uint32_t last = 0;
    m->first[band] = m->n_bins;
    for (uint32_t i = 0; i < m->n_bins; i++) {
        double rising = (bins[i] - corners[0]) / (corners[1] - corners[0]);
        double falling = (corners[2] - bins[i]) / (corners[2] - corners[1]);
        weights[i] = fmax(0, fmin(rising, falling)) * height;
        if (weights[i] > 0) {
            m->first[band] = BASE_MIN(m->first[band], i);
            last = i + 1;
        }
    }
    m->count[band] = last > m->first[band] ? last - m->first[band] : 0;
}

int dec_mel_init(struct dec_mel *m, enum dec_mel_scale scale, bool area, uint32_t n_bands, uint32_t n_fft,
                 double rate, double fmin, double fmax)
{
    *m = (struct dec_mel){.n_bands = n_bands, .n_bins = n_fft / 2 + (scale != DEC_MEL_KALDI)};
    m->first = calloc(n_bands, sizeof *m->first);
    m->count = calloc(n_bands, sizeof *m->count);
    m->weights = calloc((size_t)n_bands * m->n_bins + 1, sizeof *m->weights);
    base_autofree double *bins = calloc((size_t)m->n_bins + 1, sizeof *bins);
    if (!m->first || !m->count || !m->weights || !bins)
        return -ENOMEM;
    const bool over_mel = scale == DEC_MEL_KALDI;
    for (uint32_t i = 0; i < m->n_bins; i++)
        bins[i] = over_mel ? mel_of(scale, i * rate / n_fft) : i * rate / n_fft;
    const double low = mel_of(scale, fmin), step = (mel_of(scale, fmax) - low) / (n_bands + 1);
    for (uint32_t band = 0; band < n_bands; band++) {
        double corners[3];
        for (uint32_t i = 0; i < 3; i++) {
            double mel = low + (band + i) * step;
            corners[i] = over_mel ? mel : hz_of(scale, mel);
        }
        fill_band(m, band, corners, bins, area ? 2 / (corners[2] - corners[0]) : 1);
    }
    return 0;
}

void dec_mel_finish(struct dec_mel *m)
{
    free(m->first);
    free(m->count);
    free(m->weights);
    *m = (struct dec_mel){0};
}

void dec_mel_apply(const struct dec_mel *m, const double *spectrum, double *bands)
{
    for (uint32_t band = 0; band < m->n_bands; band++) {
        const double *weights = m->weights + (size_t)band * m->n_bins;
        double sum = 0;
        for (uint32_t i = m->first[band]; i < m->first[band] + m->count[band]; i++)
            sum += weights[i] * spectrum[i];
        bands[band] = sum;
    }
}
