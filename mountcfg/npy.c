/* SPDX-License-Identifier: Apache-2.0 */
/* `npy:` of a view. */
#include "mountcfg/internal.h"

enum {
    N_KIND,
    N_TIMING,
    N_FPS,
    N_SIZE,
    N_CROP,
    N_STRIDE,
    N_FRAMES,
    N_SAMPLE,
    N_LAYOUT,
    N_DTYPE,
    N_TOP,
    N_MEAN,
    N_STD,
    N_N
};
static const struct cfg_key npy_keys[N_N] = {
    [N_KIND] = {"kind", false},     [N_TIMING] = {"timing", false}, [N_FPS] = {"fps", false},
    [N_SIZE] = {"size", false},     [N_CROP] = {"crop", false},     [N_STRIDE] = {"stride", false},
    [N_FRAMES] = {"frames", false}, [N_SAMPLE] = {"sample", false}, [N_LAYOUT] = {"layout", false},
    [N_DTYPE] = {"dtype", false},   [N_TOP] = {"top", false},       [N_MEAN] = {"mean", false},
    [N_STD] = {"std", false},
};

enum { MAX_SAMPLED = 1000000 };

/* One of two words; true for the second. */
static void read_either(struct cfg_loader *l, const struct cfg_entry *e, const char *first,
                        const char *second, bool *ret)
{
    const char *const names[] = {first, second};
    int chosen = 0;
    if (e->value.yaml &&
        cfg_read_choice(l, e->value, (const char *)e->key.yaml->data.scalar.value, names, 2, &chosen))
        *ret = chosen == 1;
}

static void load_sampling(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_npy *npy)
{
    if (e[N_STRIDE].value.yaml)
        (void)cfg_read_int(l, e[N_STRIDE].value, "stride", 1, MAX_SAMPLED, &npy->stride);
    if (e[N_FRAMES].value.yaml)
        (void)cfg_read_int(l, e[N_FRAMES].value, "frames", 1, MAX_SAMPLED, &npy->n_frames);
    if (e[N_SAMPLE].value.yaml && !e[N_FRAMES].value.yaml)
        cfg_mistake(&l->log, cfg_node_place(e[N_SAMPLE].key),
                    "\"sample\" says which \"frames\": give their number");
    read_either(l, &e[N_SAMPLE], "uniform", "centre", &npy->centre);
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
    read_either(l, &e[N_LAYOUT], "thwc", "cthw", &npy->planar);
    read_either(l, &e[N_DTYPE], "uint8", "float32", &npy->floats);
    for (int i = N_TOP; i <= N_STD; i++)
        if (e[i].value.yaml && !npy->floats)
            cfg_mistake(&l->log, cfg_node_place(e[i].key), "\"%s\" is for dtype: float32 only",
                        npy_keys[i].name);
    read_either(l, &e[N_TOP], "1", "255", &full);
    npy->top = full ? 255 : 1;
    if (e[N_MEAN].value.yaml)
        load_channels(l, e[N_MEAN].value, "mean", -1e6, npy->mean);
    if (e[N_STD].value.yaml)
        load_channels(l, e[N_STD].value, "std", 1e-6, npy->std);
}

void cfg_load_npy(struct cfg_loader *l, struct cfg_node node, struct cfg_place path_at, struct cfg_view *v)
{
    static const char *const extensions[] = {"npy"};
    static const char *const kinds[] = {[CFG_NPY_RGB] = "rgb"};
    struct cfg_npy *npy = &v->npy;
    struct cfg_entry e[N_N];
    int kind = CFG_NPY_RGB;
    *npy = (struct cfg_npy){.frames = {.fps_den = 1, .quality = 95}, .stride = 1, .top = 1, .std = {1, 1, 1}};
    if (v->path)
        (void)cfg_read_extension(l, path_at, v->path, "an npy view", extensions, 1);
    if (!cfg_read_map(l, node, "npy", false, npy_keys, N_N, e))
        return;
    if (!e[N_KIND].value.yaml)
        cfg_mistake(&l->log, cfg_node_place(node), "npy needs a \"kind\", such as rgb");
    else if (cfg_read_choice(l, e[N_KIND].value, "kind", kinds, BASE_ARRAY_LEN(kinds), &kind))
        npy->kind = (enum cfg_npy_kind)kind;
    cfg_read_timing(l, &e[N_TIMING], &e[N_FPS], &npy->frames);
    if (e[N_SIZE].value.yaml)
        (void)cfg_read_scale(l, e[N_SIZE].value, "size", npy->frames.size);
    if (e[N_CROP].value.yaml)
        cfg_load_crop(l, e[N_CROP].value, &npy->frames);
    load_sampling(l, e, npy);
    load_values(l, e, npy);
}
