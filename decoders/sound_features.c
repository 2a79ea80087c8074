/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/sound_features.h"

#include "decoders/mel.h"
#include <errno.h>
#include <fftw3.h>
#include <math.h>

/* In samples; all follows from spec and rate. */
struct frame {
    uint32_t n_fft;
    uint32_t window; /* samples that the window covers, and where in the transform's input it begins */
    uint32_t begin;
    uint32_t hop;
    uint32_t before; /* how far before its hop a row begins */
    double fmax;
};

enum { MOST_FFT = 1 << 20, TICK_ROWS = 256 };

static uint32_t power_of_two(uint32_t least)
{
    uint32_t n = 1;
    while (n < least && n < MOST_FFT)
        n *= 2;
    return n;
}

static struct frame frame_of(const struct dec_sound_spec *spec, int rate)
{
    struct frame f = {.fmax = spec->fmax > 0 ? spec->fmax : rate / 2.0};
    if (spec->kind == DEC_FBANK) {
        f.window = (uint32_t)(rate * spec->frame_ms * 0.001);
        f.hop = (uint32_t)(rate * spec->shift_ms * 0.001);
        f.n_fft = power_of_two(f.window);
        return f;
    }
    f.n_fft = spec->n_fft;
    f.hop = spec->hop;
    f.window = spec->window_samples ? spec->window_samples : spec->n_fft;
    f.begin = (f.n_fft - f.window) / 2;
    f.before = spec->centred ? f.n_fft / 2 : 0;
    return f;
}

int dec_features_shape(const struct dec_sound_spec *spec, int rate, int64_t samples, int64_t *ret_rows,
                       uint32_t *ret_columns, struct base_reason *why)
{
    const struct frame f = frame_of(spec, rate);
    if (f.window < 2 || f.hop < 1 || f.n_fft < f.window || f.n_fft > MOST_FFT)
        return base_fail(why, -EINVAL, "frames of %u samples, %u apart, at %d Hz", f.window, f.hop, rate);
    if (!(spec->fmin >= 0 && spec->fmin < f.fmax && f.fmax <= rate / 2.0 + 1))
        return base_fail(why, -EINVAL, "no bands from %g to %g Hz at a rate of %d Hz", spec->fmin, f.fmax,
                         rate);
    /* Kaldi snips at the edges by the window; librosa pads to, or takes, whole transforms. */
    int64_t length = samples + 2 * (int64_t)f.before;
    int64_t whole = spec->kind == DEC_FBANK ? f.window : f.n_fft;
    *ret_rows = samples > 0 && length >= whole ? 1 + (length - whole) / f.hop : 0;
    *ret_columns = spec->kind == DEC_MFCC ? spec->n_coefficients : spec->bands;
    return 0;
}

/* ---- One row ---- */

struct maker {
    const struct dec_sound_spec *spec;
    struct frame f;
    const float *samples;
    int64_t n;
    struct dec_mel mel;
    double *window, *in, *spectrum, *bands;
    fftw_complex *out;
    fftw_plan plan;
};

/* librosa takes periodic windows, Kaldi symmetric ones. */
static double window_at(const struct maker *m, uint32_t i)
{
    const double pi2 = 6.283185307179586;
    double length = m->f.window - (m->spec->kind == DEC_FBANK ? 1.0 : 0.0);
    double hann = 0.5 - 0.5 * cos(pi2 * i / length);
    switch ((enum dec_window)m->spec->window) {
    case DEC_HANN:
        return hann;
    case DEC_HAMMING:
        return 0.54 - 0.46 * cos(pi2 * i / length);
    case DEC_POVEY:
        return pow(hann, 0.85);
    case DEC_RECTANGULAR:
        break;
    }
    return 1;
}

/* The sample at a position that may lie outside: nothing, or the sound mirrored at its first and last sample.
 */
static double sample_at(const struct maker *m, int64_t at)
{
    if (m->spec->reflect && m->n > 1) {
        int64_t period = 2 * (m->n - 1);
        at = ((at % period) + period) % period;
        at = at < m->n ? at : period - at;
    }
    return at >= 0 && at < m->n ? (double)m->samples[at] : 0;
}

/* Kaldi: the mean taken away, then preemphasis, from the end on; the sample before the first counts as it. */
static void prepare(const struct maker *m, double *x)
{
    double mean = 0;
    uint32_t n = m->f.window;
    for (uint32_t i = 0; i < n; i++)
        mean += x[i] / n;
    for (uint32_t i = 0; i < n; i++)
        x[i] -= mean;
    for (uint32_t i = n - 1; i > 0; i--)
        x[i] -= m->spec->preemphasis * x[i - 1];
    x[0] -= m->spec->preemphasis * x[0];
}

static void fill_input(const struct maker *m, int64_t row)
{
    const struct frame *f = &m->f;
    int64_t at = row * f->hop - f->before + f->begin;
    double *x = m->in + f->begin;
    if (at >= 0 && at + f->window <= m->n)
        for (uint32_t i = 0; i < f->window; i++)
            x[i] = (double)m->samples[at + i];
    else
        for (uint32_t i = 0; i < f->window; i++)
            x[i] = sample_at(m, at + i);
    if (m->spec->kind == DEC_FBANK) {
        for (uint32_t i = 0; i < f->window; i++)
            x[i] *= m->spec->gain;
        prepare(m, x);
    }
    for (uint32_t i = 0; i < f->window; i++)
        x[i] *= m->window[i];
}

static void make_row(const struct maker *m, int64_t row)
{
    fill_input(m, row);
    fftw_execute(m->plan);
    for (uint32_t i = 0; i < m->f.n_fft / 2 + 1; i++) {
        double power = m->out[i][0] * m->out[i][0] + m->out[i][1] * m->out[i][1];
        m->spectrum[i] = m->spec->power == 2 ? power : pow(power, m->spec->power / 2);
    }
    dec_mel_apply(&m->mel, m->spectrum, m->bands);
}

/* ---- All rows ---- */

static int start(struct maker *m, int rate, struct base_reason *why)
{
    const struct dec_sound_spec *spec = m->spec;
    const struct frame *f = &m->f;
    m->window = calloc(f->window, sizeof *m->window);
    m->in = fftw_alloc_real(f->n_fft);
    m->out = fftw_alloc_complex(f->n_fft / 2 + 1);
    m->spectrum = calloc(f->n_fft / 2 + 1, sizeof *m->spectrum);
    m->bands = calloc(spec->bands, sizeof *m->bands);
    const enum dec_mel_scale scale = spec->kind == DEC_FBANK ? DEC_MEL_KALDI
                                     : spec->htk             ? DEC_MEL_HTK
                                                             : DEC_MEL_SLANEY;
    if (!m->window || !m->in || !m->out || !m->spectrum || !m->bands ||
        dec_mel_init(&m->mel, scale, spec->area, spec->bands, f->n_fft, rate, spec->fmin, f->fmax))
        return base_fail(why, -ENOMEM, "out of memory");
    /* An estimate, not a measurement: the same plan each time. */
    m->plan = fftw_plan_dft_r2c_1d((int)f->n_fft, m->in, m->out, FFTW_ESTIMATE);
    if (!m->plan)
        return base_fail(why, -ENOMEM, "out of memory");
    for (uint32_t i = 0; i < f->window; i++)
        m->window[i] = window_at(m, i);
    memset(m->in, 0, f->n_fft * sizeof *m->in);
    return 0;
}

static void finish(struct maker *m)
{
    if (m->plan)
        fftw_destroy_plan(m->plan);
    fftw_free(m->in);
    fftw_free(m->out);
    free(m->window);
    free(m->spectrum);
    free(m->bands);
    dec_mel_finish(&m->mel);
}

/* librosa's power_to_db() with amin=1e-10; Kaldi's natural logarithm of at least FLT_EPSILON. */
static double logarithm(const struct dec_sound_spec *spec, double power)
{
    if (spec->kind == DEC_FBANK)
        return log(fmax(power, 1.1920928955078125e-07));
    return 10 * log10(fmax(power, 1e-10));
}

/* Relative to the loudest, and not below it by more than top_db. */
static void level(const struct dec_sound_spec *spec, float *values, size_t n)
{
    float loudest = -INFINITY;
    for (size_t i = 0; i < n; i++)
        loudest = fmaxf(loudest, values[i]);
    const float floor = spec->top_db >= 0 ? loudest - spec->top_db : -INFINITY;
    const float zero = spec->ref_max ? loudest : 0;
    for (size_t i = 0; i < n; i++)
        values[i] = fmaxf(values[i], floor) - zero;
}

/* DCT-II, ortho: the first n_coefficients of each row of bands, in place of it. */
static int transform_rows(const struct dec_sound_spec *spec, const float *bands, int64_t rows, float *out)
{
    const uint32_t n = spec->bands, k_end = spec->n_coefficients;
    const double pi = 3.141592653589793;
    base_autofree double *table = calloc((size_t)n * k_end, sizeof *table);
    if (!table)
        return -ENOMEM;
    for (uint32_t k = 0; k < k_end; k++)
        for (uint32_t i = 0; i < n; i++)
            table[(size_t)k * n + i] = cos(pi * k * (2 * i + 1) / (2 * n)) * sqrt((k > 0 ? 2.0 : 1.0) / n);
    for (int64_t row = 0; row < rows; row++)
        for (uint32_t k = 0; k < k_end; k++) {
            double sum = 0;
            for (uint32_t i = 0; i < n; i++)
                sum += table[(size_t)k * n + i] * (double)bands[row * n + i];
            out[row * k_end + k] = (float)sum;
        }
    return 0;
}

int dec_features_make(const struct dec_sound_spec *spec, int rate, const float *samples, int64_t n,
                      float *out, void (*tick)(void *context), void *context, struct base_reason *why)
{
    struct maker m = {.spec = spec, .f = frame_of(spec, rate), .samples = samples, .n = n};
    int64_t rows;
    uint32_t columns;
    int err = dec_features_shape(spec, rate, n, &rows, &columns, why);
    if (err || rows == 0)
        return err;
    base_autofree float *kept =
        spec->kind == DEC_MFCC ? malloc((size_t)rows * spec->bands * sizeof *kept) : NULL;
    float *bands = kept ? kept : out;
    err = spec->kind == DEC_MFCC && !kept ? base_fail(why, -ENOMEM, "out of memory") : start(&m, rate, why);
    for (int64_t row = 0; !err && row < rows; row++) {
        make_row(&m, row);
        for (uint32_t i = 0; i < spec->bands; i++)
            bands[row * spec->bands + i] = (float)logarithm(spec, m.bands[i]);
        if (tick && row % TICK_ROWS == 0)
            tick(context);
    }
    finish(&m);
    if (!err && spec->kind != DEC_FBANK)
        level(spec, bands, (size_t)rows * spec->bands);
    if (!err && kept && transform_rows(spec, kept, rows, out))
        err = base_fail(why, -ENOMEM, "out of memory");
    return err;
}
