/* SPDX-License-Identifier: Apache-2.0 */
/* From the configuration's words to the cache's. */
#include "fs/private.h"
#include "fs/stack.h"

static struct dec_frames_spec frames_spec(const struct cfg_frames *f)
{
    struct dec_frames_spec spec = {
        .timing = f->timing == CFG_TIMING_CFR           ? DEC_CFR
                  : f->timing == CFG_TIMING_PASSTHROUGH ? DEC_PASSTHROUGH
                                                        : DEC_FPS,
        .format = f->format == CFG_JPG   ? DEC_JPG
                  : f->format == CFG_PNG ? DEC_PNG
                                         : DEC_PPM,
        .quality = (uint8_t)f->quality,
        .subsampling = (uint16_t)f->subsampling,
        .fps_num = f->fps_num,
        .fps_den = f->fps_den,
    };
    (void)snprintf(spec.size, sizeof spec.size, "%s", f->size);
    (void)snprintf(spec.crop, sizeof spec.crop, "%s", f->crop);
    return spec;
}

static void set_flow(const struct cfg_flow *flow, struct dec_frames_spec *spec)
{
    spec->flow = flow->method == CFG_DIS ? DEC_DIS : DEC_TVL1;
    spec->bound = (float)flow->bound;
    spec->luma = flow->luma;
}

/* Of pictures, or of flow. */
static struct dec_frames_spec array_spec(const struct cfg_npy *npy)
{
    struct dec_frames_spec spec = frames_spec(&npy->frames);
    spec.format = DEC_RGB;
    spec.sampling = npy->centre ? DEC_CENTRE : DEC_SPREAD;
    spec.stride = (uint32_t)npy->stride;
    spec.n_sampled = (uint32_t)npy->n_frames;
    spec.planar = npy->planar;
    spec.floats = npy->floats;
    if (npy->kind == CFG_NPY_FLOW) {
        set_flow(&npy->frames.flow, &spec);
    } else if (npy->floats) {
        spec.top = (float)npy->top;
        memcpy(spec.mean, npy->mean, sizeof spec.mean);
        memcpy(spec.std, npy->std, sizeof spec.std);
    }
    return spec;
}

static struct dec_sound_spec sound_spec(const struct cfg_npy *npy)
{
    static const enum dec_sound_kind kinds[] = {[CFG_NPY_WAVE] = DEC_WAVE,
                                                [CFG_NPY_LOGMEL] = DEC_LOGMEL,
                                                [CFG_NPY_MFCC] = DEC_MFCC,
                                                [CFG_NPY_FBANK] = DEC_FBANK};
    static const enum dec_window windows[] = {[CFG_HANN] = DEC_HANN,
                                              [CFG_HAMMING] = DEC_HAMMING,
                                              [CFG_POVEY] = DEC_POVEY,
                                              [CFG_RECTANGULAR] = DEC_RECTANGULAR};
    const struct cfg_features *f = &npy->features;
    const bool wave = npy->kind == CFG_NPY_WAVE, fbank = npy->kind == CFG_NPY_FBANK;
    return (struct dec_sound_spec){
        .kind = (uint8_t)kinds[npy->kind],
        .int16 = npy->int16,
        .silence = npy->silence,
        .window = (uint8_t)windows[f->window],
        .channels = wave ? (uint16_t)npy->channels : 1,
        .columns_first = !wave && f->transpose == fbank,
        .centred = f->centre,
        .reflect = f->reflect,
        .htk = f->htk,
        .area = f->area,
        .ref_max = f->ref_max,
        .rate = (uint32_t)npy->rate,
        .n_fft = (uint32_t)f->n_fft,
        .hop = (uint32_t)f->hop,
        .window_samples = (uint32_t)f->win_length,
        .bands = (uint32_t)f->bands,
        .n_coefficients = (uint32_t)f->coefficients,
        .top_db = (float)f->top_db,
        .fmin = f->fmin,
        .fmax = f->fmax,
        .power = f->power,
        .frame_ms = f->frame_ms,
        .shift_ms = f->shift_ms,
        .preemphasis = f->preemphasis,
        .gain = f->gain,
    };
}

static void npy_view(const struct cfg_npy *npy, struct cache_view *ret)
{
    if (npy->kind == CFG_NPY_RGB || npy->kind == CFG_NPY_FLOW) {
        ret->kind = CACHE_ARRAY;
        ret->frames = array_spec(npy);
    } else {
        ret->kind = npy->kind == CFG_NPY_WAVE ? CACHE_WAVE : CACHE_FEATURES;
        ret->sound = sound_spec(npy);
        (void)snprintf(ret->sound.rate_formula, sizeof ret->sound.rate_formula, "%s", npy->formula);
    }
}

bool fs_cache_view(const struct cfg *cfg, const struct cfg_view *v, struct cache_view *ret)
{
    static const enum cache_subtitle_source sources[] = {
        [CFG_SIDECAR] = CACHE_SIDECAR, [CFG_EMBEDDED] = CACHE_EMBEDDED, [CFG_TABLE] = CACHE_TABLE};
    const struct cfg_frames *frames = cfg_frames_of(v);
    *ret =
        (struct cache_view){.crops_by_clip = cfg_crop_of_clip(v) != NULL, .boxed = frames && frames->boxed};
    switch (v->kind) {
    case CFG_FRAMES:
        ret->kind = CACHE_FRAMES;
        ret->frames = frames_spec(&v->frames);
        ret->entry = v->frames.flow_y;
        if (v->frames.is_flow)
            set_flow(&v->frames.flow, &ret->frames);
        return true;
    case CFG_AUDIO:
        ret->kind = CACHE_AUDIO;
        ret->audio = (struct dec_audio_spec){
            .format = v->audio.format == CFG_MP3 ? DEC_MP3 : DEC_WAV,
            .silence = v->audio.silence,
            .channels = (uint16_t)v->audio.channels,
            .rate = (uint32_t)v->audio.rate,
            .bitrate = (uint32_t)v->audio.bitrate,
        };
        return true;
    case CFG_SUBTITLES:
        ret->kind = CACHE_SUBTITLES;
        ret->subtitles.empty = v->subtitles.empty;
        ret->subtitles.n_sources = (uint8_t)v->subtitles.n_sources;
        for (int i = 0; i < v->subtitles.n_sources; i++)
            ret->subtitles.sources[i] = (uint8_t)sources[v->subtitles.sources[i]];
        return true;
    case CFG_FILES:
    case CFG_FILE:
        ret->kind = CACHE_FILE;
        return true;
    case CFG_NPY:
        npy_view(&v->npy, ret);
        return true;
    case CFG_COMMAND:
        fs_command_view(cfg, v, &ret->command);
        ret->kind = CACHE_COMMAND;
        return true;
    case CFG_LIST:
        if (!v->list.is_stack)
            break;
        ret->kind = CACHE_PART;
        ret->array = fs_stack_part(&v->list.stack);
        return true;
    case CFG_TEXT:
        break;
    }
    return false;
}
