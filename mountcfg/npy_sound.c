/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of sound of `npy:`. */
#include "mountcfg/language.h"

#include "base/formula.h"

enum { LEAST_RATE = 100, MOST_RATE = 768000, MOST_FFT = 1 << 20, MOST_BANDS = 4096 };

static void read_int(struct cfg_loader *l, const struct cfg_entry *e, const char *what, int min, int max,
                     int *ret)
{
    if (e->value.yaml)
        (void)cfg_read_int(l, e->value, what, min, max, ret);
}

static void read_number(struct cfg_loader *l, const struct cfg_entry *e, const char *what, double min,
                        double max, double *ret)
{
    if (e->value.yaml)
        (void)cfg_read_number(l, e->value, what, min, max, ret);
}

/* A number, or a formula of fps. */
static void load_rate(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_npy *npy)
{
    const char *text = e->value.yaml ? cfg_read_text(l, e->value, "rate") : NULL;
    double rate = 0;
    size_t at = 0;
    if (!text)
        return;
    if (strspn(text, "0123456789") == strlen(text))
        (void)cfg_read_int(l, e->value, "rate", LEAST_RATE, MOST_RATE, &npy->rate);
    else if (base_formula(text, "fps", 25, &rate, &at))
        cfg_mistake(&l->log, cfg_node_place(e->value),
                    "rate: expected a number, or a formula of fps with + - * / int(), found \"%s\" in it",
                    text + at);
    else if (strlen(text) >= sizeof npy->formula)
        cfg_mistake(&l->log, cfg_node_place(e->value), "rate: a formula of at most %zu bytes",
                    sizeof npy->formula - 1);
    else
        (void)snprintf(npy->formula, sizeof npy->formula, "%s", text);
}

static void load_window(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_features *f)
{
    static const char *const names[] = {"hann", "hanning", "hamming", "povey", "rectangular"};
    static const enum cfg_window windows[] = {CFG_HANN, CFG_HANN, CFG_HAMMING, CFG_POVEY, CFG_RECTANGULAR};
    int chosen = 0;
    if (e->value.yaml && cfg_read_choice(l, e->value, "window", names, BASE_ARRAY_LEN(names), &chosen))
        f->window = windows[chosen];
}

static void load_librosa(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_features *f)
{
    bool plain = false;
    *f = (struct cfg_features){
        .n_fft = 2048, .centre = true, .bands = 128, .coefficients = 20, .power = 2, .top_db = 80};
    read_int(l, &e[NPY_N_FFT], "n_fft", 2, MOST_FFT, &f->n_fft);
    f->hop = BASE_MAX(f->n_fft / 4, 1);
    read_int(l, &e[NPY_HOP], "hop", 1, MOST_FFT, &f->hop);
    read_int(l, &e[NPY_WIN_LENGTH], "win_length", 2, f->n_fft, &f->win_length);
    if (e[NPY_CENTRE].value.yaml)
        (void)cfg_read_bool(l, e[NPY_CENTRE].value, "centre", &f->centre);
    cfg_read_either(l, &e[NPY_PAD], "constant", "reflect", &f->reflect);
    cfg_read_either(l, &e[NPY_SCALE], "slaney", "htk", &f->htk);
    cfg_read_either(l, &e[NPY_NORM], "slaney", "none", &plain);
    f->area = !plain;
    read_number(l, &e[NPY_POWER], "power", 0.1, 16, &f->power);
    cfg_read_either(l, &e[NPY_REF], "1", "max", &f->ref_max);
    const struct cfg_node top_db = e[NPY_TOP_DB].value;
    if (top_db.yaml && top_db.yaml->type == YAML_SCALAR_NODE &&
        strcmp((const char *)top_db.yaml->data.scalar.value, "none") == 0)
        f->top_db = -1;
    else
        read_number(l, &e[NPY_TOP_DB], "top_db", 0, 1000, &f->top_db);
}

/* The defaults of compute-fbank-feats, but for dither. */
static void load_fbank(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_features *f)
{
    *f = (struct cfg_features){.window = CFG_POVEY,
                               .bands = 23,
                               .fmin = 20,
                               .power = 2,
                               .frame_ms = 25,
                               .shift_ms = 10,
                               .preemphasis = 0.97,
                               .gain = 1};
    read_number(l, &e[NPY_FRAME_LENGTH], "frame_length", 1, 1000, &f->frame_ms);
    read_number(l, &e[NPY_FRAME_SHIFT], "frame_shift", 1, 1000, &f->shift_ms);
    read_number(l, &e[NPY_PREEMPHASIS], "preemphasis", 0, 1, &f->preemphasis);
    read_number(l, &e[NPY_GAIN], "gain", 1e-9, 1e9, &f->gain);
}

static void load_features(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_npy *npy)
{
    struct cfg_features *f = &npy->features;
    if (npy->kind == CFG_NPY_FBANK)
        load_fbank(l, e, f);
    else
        load_librosa(l, e, f);
    load_window(l, &e[NPY_WINDOW], f);
    read_int(l, &e[NPY_BANDS], "bands", 1, MOST_BANDS, &f->bands);
    read_number(l, &e[NPY_FMIN], "fmin", 0, MOST_RATE, &f->fmin);
    read_number(l, &e[NPY_FMAX], "fmax", 0, MOST_RATE, &f->fmax);
    f->coefficients = BASE_MIN(f->coefficients, f->bands);
    read_int(l, &e[NPY_COEFFICIENTS], "coefficients", 1, f->bands, &f->coefficients);
    if (f->fmax > 0 && f->fmin >= f->fmax)
        cfg_mistake(&l->log, cfg_node_place(e[NPY_FMAX].value), "fmax: expected more than fmin, which is %g",
                    f->fmin);
    if (e[NPY_TRANSPOSE].value.yaml)
        (void)cfg_read_bool(l, e[NPY_TRANSPOSE].value, "transpose", &f->transpose);
}

void cfg_load_npy_sound(struct cfg_loader *l, const struct cfg_entry e[NPY_N], struct cfg_npy *npy)
{
    load_rate(l, &e[NPY_RATE], npy);
    read_int(l, &e[NPY_CHANNELS], "channels", 1, 2, &npy->channels);
    if (e[NPY_SILENCE].value.yaml)
        (void)cfg_read_bool(l, e[NPY_SILENCE].value, "silence", &npy->silence);
    if (npy->kind == CFG_NPY_WAVE)
        cfg_read_either(l, &e[NPY_DTYPE], "float32", "int16", &npy->int16);
    else
        load_features(l, e, npy);
}
