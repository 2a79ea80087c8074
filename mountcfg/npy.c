/* SPDX-License-Identifier: Apache-2.0 */
/* `npy:` of a view. */
#include "mountcfg/scanning.h"

enum {
    RGB = 1 << CFG_NPY_RGB,
    FLOW = 1 << CFG_NPY_FLOW,
    PICTURES = RGB | FLOW,
    WAVE = 1 << CFG_NPY_WAVE,
    LIBROSA = 1 << CFG_NPY_LOGMEL | 1 << CFG_NPY_MFCC,
    MFCC = 1 << CFG_NPY_MFCC,
    FBANK = 1 << CFG_NPY_FBANK,
    FEATURES = LIBROSA | FBANK,
    SOUND = WAVE | FEATURES,
    ALL = PICTURES | SOUND,
};
/* The keys, and the kinds that have them. */
static const struct {
    const char *name;
    int kinds;
} keys[NPY_N] = {
    [NPY_KIND] = {"kind", ALL},
    [NPY_TIMING] = {"timing", PICTURES},
    [NPY_FPS] = {"fps", PICTURES},
    [NPY_SIZE] = {"size", PICTURES},
    [NPY_CROP] = {"crop", PICTURES},
    [NPY_STRIDE] = {"stride", PICTURES},
    [NPY_FRAMES] = {"frames", PICTURES},
    [NPY_SAMPLE] = {"sample", PICTURES},
    [NPY_LAYOUT] = {"layout", PICTURES},
    [NPY_DTYPE] = {"dtype", PICTURES | WAVE},
    [NPY_TOP] = {"top", RGB},
    [NPY_MEAN] = {"mean", RGB},
    [NPY_STD] = {"std", RGB},
    [NPY_RATE] = {"rate", SOUND},
    [NPY_CHANNELS] = {"channels", WAVE},
    [NPY_SILENCE] = {"silence", SOUND},
    [NPY_METHOD] = {"method", FLOW},
    [NPY_BOUND] = {"bound", FLOW},
    [NPY_GREY] = {"grey", FLOW},
    [NPY_N_FFT] = {"n_fft", LIBROSA},
    [NPY_HOP] = {"hop", LIBROSA},
    [NPY_WINDOW] = {"window", FEATURES},
    [NPY_WIN_LENGTH] = {"win_length", LIBROSA},
    [NPY_CENTRE] = {"centre", LIBROSA},
    [NPY_PAD] = {"pad", LIBROSA},
    [NPY_BANDS] = {"bands", FEATURES},
    [NPY_FMIN] = {"fmin", FEATURES},
    [NPY_FMAX] = {"fmax", FEATURES},
    [NPY_SCALE] = {"scale", LIBROSA},
    [NPY_NORM] = {"norm", LIBROSA},
    [NPY_POWER] = {"power", LIBROSA},
    [NPY_REF] = {"ref", LIBROSA},
    [NPY_TOP_DB] = {"top_db", LIBROSA},
    [NPY_COEFFICIENTS] = {"coefficients", MFCC},
    [NPY_FRAME_LENGTH] = {"frame_length", FBANK},
    [NPY_FRAME_SHIFT] = {"frame_shift", FBANK},
    [NPY_PREEMPHASIS] = {"preemphasis", FBANK},
    [NPY_GAIN] = {"gain", FBANK},
    [NPY_TRANSPOSE] = {"transpose", FEATURES},
};
static const char *const kinds[] = {
    [CFG_NPY_RGB] = "rgb",       [CFG_NPY_FLOW] = "flow", [CFG_NPY_WAVE] = "wave",
    [CFG_NPY_LOGMEL] = "logmel", [CFG_NPY_MFCC] = "mfcc", [CFG_NPY_FBANK] = "fbank",
};

enum { MAX_SAMPLED = 1000000 };

void cfg_read_either(struct cfg_loader *l, const struct cfg_entry *e, const char *first, const char *second,
                     bool *ret)
{
    const char *const names[] = {first, second};
    int chosen = 0;
    if (e->value.yaml &&
        cfg_read_choice(l, e->value, (const char *)e->key.yaml->data.scalar.value, names, 2, &chosen))
        *ret = chosen == 1;
}

static void load_sampling(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_npy *npy)
{
    if (e[NPY_STRIDE].value.yaml)
        (void)cfg_read_int(l, e[NPY_STRIDE].value, "stride", 1, MAX_SAMPLED, &npy->stride);
    if (e[NPY_FRAMES].value.yaml)
        (void)cfg_read_int(l, e[NPY_FRAMES].value, "frames", 1, MAX_SAMPLED, &npy->n_frames);
    if (e[NPY_SAMPLE].value.yaml && !e[NPY_FRAMES].value.yaml)
        cfg_mistake(&l->log, cfg_node_place(e[NPY_SAMPLE].key),
                    "\"sample\" says which \"frames\": give their number");
    cfg_read_either(l, &e[NPY_SAMPLE], "uniform", "centre", &npy->centre);
}

/* One number for all channels, or a list of three. */
static void load_channels(struct cfg_loader *l, struct cfg_node node, const char *what, double min,
                          float ret[3])
{
    const double max = 1e6;
    double value = 0;
    size_t n = 0;
    if (node.yaml->type != YAML_SEQUENCE_NODE) {
        if (cfg_read_number(l, node, what, min, max, &value))
            ret[0] = ret[1] = ret[2] = (float)value;
        return;
    }
    if (!cfg_read_list(l, node, what, 3, &n))
        return;
    if (n != 3)
        cfg_mistake(&l->log, cfg_node_place(node),
                    "%s: expected one number, or three for red, green and blue", what);
    for (size_t i = 0; n == 3 && i < n; i++)
        if (cfg_read_number(l, cfg_list_item(node, i), what, min, max, &value))
            ret[i] = (float)value;
}

static void load_values(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_npy *npy)
{
    bool full = false;
    cfg_read_either(l, &e[NPY_LAYOUT], "thwc", "cthw", &npy->planar);
    cfg_read_either(l, &e[NPY_DTYPE], "uint8", "float32", &npy->floats);
    for (int i = NPY_TOP; i <= NPY_STD; i++)
        if (e[i].value.yaml && !npy->floats)
            cfg_mistake(&l->log, cfg_node_place(e[i].key), "\"%s\" is for dtype: float32 only", keys[i].name);
    cfg_read_either(l, &e[NPY_TOP], "1", "255", &full);
    npy->top = full ? 255 : 1;
    if (e[NPY_MEAN].value.yaml)
        load_channels(l, e[NPY_MEAN].value, "mean", -1e6, npy->mean);
    if (e[NPY_STD].value.yaml)
        load_channels(l, e[NPY_STD].value, "std", 1e-6, npy->std);
}

static void load_flow(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_npy *npy)
{
    bool rows_first = false;
    cfg_read_either(l, &e[NPY_LAYOUT], "cthw", "tchw", &rows_first);
    npy->planar = !rows_first;
    cfg_read_either(l, &e[NPY_DTYPE], "int8", "float32", &npy->floats);
    cfg_load_flow(l, e[NPY_KIND].key, &e[NPY_METHOD], &e[NPY_BOUND], &e[NPY_GREY], npy->floats ? 10000 : 127,
                  &npy->frames.flow);
}

static void load_pictures(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_npy *npy)
{
    cfg_read_timing(l, &e[NPY_TIMING], &e[NPY_FPS], &npy->frames);
    if (e[NPY_SIZE].value.yaml)
        (void)cfg_read_scale(l, e[NPY_SIZE].value, "size", npy->frames.size);
    if (e[NPY_CROP].value.yaml)
        cfg_load_crop(l, e[NPY_CROP].value, &npy->frames);
    cfg_check_boxes(l, e[NPY_CROP].value, &npy->frames, npy->kind == CFG_NPY_FLOW);
    load_sampling(l, e, npy);
    if (npy->kind == CFG_NPY_FLOW)
        load_flow(l, e, npy);
    else
        load_values(l, e, npy);
}

/* The kind, and no keys that it does not have. False when there is no going on. */
static bool load_kind(struct cfg_loader *l, struct cfg_node node, const struct cfg_entry *e,
                      struct cfg_npy *npy)
{
    int kind = 0;
    if (!e[NPY_KIND].value.yaml)
        cfg_mistake(&l->log, cfg_node_place(node), "npy needs a \"kind\", such as rgb");
    if (!e[NPY_KIND].value.yaml ||
        !cfg_read_choice(l, e[NPY_KIND].value, "kind", kinds, BASE_ARRAY_LEN(kinds), &kind))
        return false;
    npy->kind = (enum cfg_npy_kind)kind;
    for (int i = 0; i < NPY_N; i++)
        if (e[i].key.yaml && !(keys[i].kinds & 1 << kind))
            cfg_mistake(&l->log, cfg_node_place(e[i].key), "kind: %s has no \"%s\"", kinds[kind],
                        keys[i].name);
    return true;
}

void cfg_load_npy(struct cfg_loader *l, struct cfg_node node, struct cfg_place path_at, struct cfg_view *v)
{
    static const char *const extensions[] = {"npy"};
    struct cfg_key names[NPY_N];
    struct cfg_entry e[NPY_N];
    for (int i = 0; i < NPY_N; i++)
        names[i] = (struct cfg_key){keys[i].name, false};
    v->npy =
        (struct cfg_npy){.frames = {.fps_den = 1, .quality = 95}, .stride = 1, .top = 1, .std = {1, 1, 1}};
    if (v->path)
        (void)cfg_read_extension(l, path_at, v->path, "an npy view", extensions, 1);
    if (!cfg_read_map(l, node, "npy", false, names, NPY_N, e) || !load_kind(l, node, e, &v->npy))
        return;
    if (v->npy.kind == CFG_NPY_RGB || v->npy.kind == CFG_NPY_FLOW)
        load_pictures(l, e, &v->npy);
    else
        cfg_load_npy_sound(l, e, &v->npy);
}
