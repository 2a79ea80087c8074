/* SPDX-License-Identifier: Apache-2.0 */
/* DEC_MEASURE_SOUND and DEC_SOUND: sound as arrays, of samples or of features. */
#include "base/formula.h"
#include "decoders/audio_plan.h"
#include "decoders/npy.h"
#include "decoders/sound_features.h"
#include "decoders/sound_reader.h"

#include <errno.h>
#include <math.h>

enum { LEAST_RATE = 100, MOST_RATE = 768000, READ_SAMPLES = 1 << 16 };
/* What features are computed of stands in memory. */
static const int64_t most_samples = 1 << 28;

/* Hz; 0 = the stream's. */
static int find_rate(const struct dec_work *work, uint32_t *ret, struct base_reason *why)
{
    const struct dec_sound_spec *spec = &work->job->sound;
    const struct dec_index *index = work->index;
    double rate = spec->rate;
    if (spec->rate_formula[0]) {
        if (index->rate_num <= 0 || index->rate_den <= 0)
            return base_fail(why, -EIO, "its rate of samples follows from its frame rate, and it has none");
        double fps = (double)index->rate_num / (double)index->rate_den;
        if (base_formula(spec->rate_formula, "fps", fps, &rate, NULL))
            return base_fail(why, -EPROTO, "a formula that makes no sense");
        if (!(rate >= LEAST_RATE && rate <= MOST_RATE))
            return base_fail(why, -EIO, "at %g frames/s its rate would be %g Hz", fps, rate);
    }
    *ret = (uint32_t)rate;
    return 0;
}

/* What the samples are: rate, channels, number. 0 or a negative errno with work->why. plan->bytes == 0: there
 * is no sound. */
static int plan_samples(struct dec_work *work, struct dec_audio_plan *ret)
{
    const struct dec_sound_spec *spec = &work->job->sound;
    struct dec_audio_spec audio = {.format = DEC_WAV,
                                   .silence = spec->silence,
                                   .channels = spec->channels,
                                   .from_us = spec->from_us,
                                   .to_us = spec->to_us};
    int err = find_rate(work, &audio.rate, &work->why);
    return err ? err : dec_audio_plan(work->index, &audio, ret, &work->why);
}

static uint64_t value_bytes(const struct dec_sound_spec *spec)
{
    return dec_npy_type_bytes(spec->kind == DEC_WAVE && spec->int16 ? DEC_NPY_I16 : DEC_NPY_F32);
}

int dec_run_measure_sound(struct dec_work *work)
{
    const struct dec_sound_spec *spec = &work->job->sound;
    struct dec_reply *reply = work->reply;
    struct dec_audio_plan plan;
    int64_t rows;
    int err = plan_samples(work, &plan);
    if (err || plan.bytes == 0)
        return err;
    if (spec->kind == DEC_WAVE) {
        reply->width = (uint32_t)plan.channels;
        reply->file_bytes = (uint64_t)plan.samples;
        return 0;
    }
    if (plan.samples > most_samples)
        return base_fail(&work->why, -EFBIG, "%lld samples; corpusfs computes features of %lld at most",
                         (long long)plan.samples, (long long)most_samples);
    err = dec_features_shape(spec, plan.rate, plan.samples, &rows, &reply->width, &work->why);
    reply->file_bytes = DEC_NPY_HEADER + (uint64_t)(err ? 0 : rows) * reply->width * sizeof(float);
    return err == -EINVAL ? -EIO : err;
}

/* Samples from..from + n of all channels, one channel after the other. */
static int read_samples(struct dec_work *work, const struct dec_audio_plan *plan, enum AVSampleFormat format,
                        int64_t from, int64_t n, uint8_t *out)
{
    struct dec_sound_reader *reader = NULL;
    const size_t bytes = (size_t)av_get_bytes_per_sample(format);
    if (!plan->from_stream || n == 0)
        return 0; /* out is zeroed */
    from += plan->skip;
    int err = dec_sound_reader_get(work, format, plan->rate, plan->channels, from, &reader);
    for (int64_t done = 0; !err && done < n; done += READ_SAMPLES) {
        uint8_t *planes[DEC_MAX_CHANNELS];
        for (int c = 0; c < plan->channels; c++)
            planes[c] = out + (size_t)((c * n + done)) * bytes;
        err = dec_sound_reader_read(reader, work, from + done, (int)BASE_MIN(n - done, (int64_t)READ_SAMPLES),
                                    planes);
        work->progress(work, 0);
    }
    if (err)
        dec_sound_reader_drop();
    return err;
}

/* One block of the samples. */
static int make_wave(struct dec_work *work, const struct dec_audio_plan *plan)
{
    const struct dec_sound_spec *spec = &work->job->sound;
    const int64_t from = (int64_t)work->job->first * DEC_WAVE_BLOCK;
    const int64_t n = BASE_MIN(plan->samples - from, (int64_t)DEC_WAVE_BLOCK);
    const uint64_t bytes = n > 0 ? (uint64_t)n * (uint64_t)plan->channels * value_bytes(spec) : 0;
    if (n <= 0 || bytes != work->job->file_bytes)
        return base_fail(&work->why, -EIO, "its audio has another size than when it was measured");
    base_autofree uint8_t *block = calloc(1, (size_t)bytes);
    if (!block)
        return base_fail(&work->why, -ENOMEM, "out of memory");
    int err = read_samples(work, plan, spec->int16 ? AV_SAMPLE_FMT_S16P : AV_SAMPLE_FMT_FLTP, from, n, block);
    work->reply->bytes = bytes;
    return err ? err : dec_output_write(work, block, (size_t)bytes, 0);
}

static void tick(void *context)
{
    struct dec_work *work = context;
    work->progress(work, 0);
}

/* (rows, columns) as (columns, rows). */
static int turn(float **values, int64_t rows, uint32_t columns)
{
    float *turned = malloc((size_t)rows * columns * sizeof *turned + 1);
    if (!turned)
        return -ENOMEM;
    for (int64_t row = 0; row < rows; row++)
        for (uint32_t i = 0; i < columns; i++)
            turned[i * rows + row] = (*values)[row * columns + i];
    free(*values);
    *values = turned;
    return 0;
}

static int write_features(struct dec_work *work, int64_t rows, uint32_t columns, const float *values)
{
    const bool turned = work->job->sound.columns_first;
    uint8_t header[DEC_NPY_HEADER];
    const struct dec_npy array = {
        DEC_NPY_F32, 2, {turned ? columns : (uint64_t)rows, turned ? (uint64_t)rows : columns}};
    const size_t bytes = (size_t)rows * columns * sizeof *values;
    dec_npy_header(&array, header, sizeof header);
    int err = dec_output_write(work, header, sizeof header, 0);
    if (!err && bytes > 0)
        err = dec_output_write(work, values, bytes, sizeof header);
    work->reply->bytes = sizeof header + bytes;
    return err;
}

static int make_features(struct dec_work *work, const struct dec_audio_plan *plan)
{
    const struct dec_sound_spec *spec = &work->job->sound;
    int64_t rows = 0;
    uint32_t columns = 0;
    int err = dec_features_shape(spec, plan->rate, plan->samples, &rows, &columns, &work->why);
    if (err)
        return err;
    base_autofree float *samples = calloc((size_t)plan->samples + 1, sizeof *samples);
    float *values = malloc((size_t)rows * columns * sizeof *values + 1);
    err = samples && values ? 0 : base_fail(&work->why, -ENOMEM, "out of memory");
    if (!err)
        err = read_samples(work, plan, AV_SAMPLE_FMT_FLTP, 0, plan->samples, (uint8_t *)samples);
    if (!err)
        err = dec_features_make(spec, plan->rate, samples, plan->samples, values, tick, work, &work->why);
    if (!err && spec->columns_first && turn(&values, rows, columns))
        err = base_fail(&work->why, -ENOMEM, "out of memory");
    if (!err)
        err = write_features(work, rows, columns, values);
    free(values);
    return err;
}

int dec_run_sound(struct dec_work *work)
{
    struct dec_audio_plan plan;
    int err = plan_samples(work, &plan);
    if (err)
        return err;
    if (plan.bytes == 0 || plan.channels > DEC_MAX_CHANNELS || plan.samples > INT64_MAX / 4096)
        return base_fail(&work->why, -EIO, "its audio has another size than when it was measured");
    return work->job->sound.kind == DEC_WAVE ? make_wave(work, &plan) : make_features(work, &plan);
}
