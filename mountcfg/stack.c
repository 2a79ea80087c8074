/* SPDX-License-Identifier: Apache-2.0 */
/* `stack:` of a view: one array over the clips that a list view of the same path would list. */
#include "mountcfg/language.h"

enum { SHAPE, AXES, DTYPE, CUT, PAD, SORT, WHERE, N_KEYS };
static const struct cfg_key keys[N_KEYS] = {
    [SHAPE] = {"shape", false}, [AXES] = {"axes", false}, [DTYPE] = {"dtype", false}, [CUT] = {"cut", false},
    [PAD] = {"pad", false},     [SORT] = {"sort", false}, [WHERE] = {"where", false},
};
static const uint64_t most_bytes = 1 << 30;

static void load_shape(struct cfg_loader *l, struct cfg_node node, struct cfg_stack *s)
{
    size_t n = 0;
    uint64_t values = 1;
    if (!cfg_read_list(l, node, "shape", CFG_STACK_DIMS, &n))
        return;
    for (size_t i = 0; i < n; i++) {
        s->shape[i] = 1;
        (void)cfg_read_int(l, cfg_list_item(node, i), "shape", 1, 1 << 27, &s->shape[i]);
        values *= (uint64_t)s->shape[i];
        if (values * sizeof(double) > most_bytes) {
            cfg_mistake(&l->log, cfg_node_place(node), "shape: more than 1 GiB for each clip");
            return;
        }
        s->axes[i] = (int)i;
    }
    s->n_dims = n;
}

static void load_axes(struct cfg_loader *l, struct cfg_node node, struct cfg_stack *s)
{
    size_t n = 0;
    unsigned seen = 0;
    int axes[CFG_STACK_DIMS] = {0};
    if (!cfg_read_list(l, node, "axes", CFG_STACK_DIMS, &n))
        return;
    for (size_t i = 0; i < n; i++) {
        if (!cfg_read_int(l, cfg_list_item(node, i), "axes", 0, CFG_STACK_DIMS - 1, &axes[i]))
            return;
        seen |= 1u << axes[i];
    }
    if (n != s->n_dims || seen != (1u << n) - 1)
        cfg_mistake(&l->log, cfg_node_place(node),
                    "axes: expected each of the %zu axes of the shape once, from 0, in their new order",
                    s->n_dims);
    else
        memcpy(s->axes, axes, sizeof axes);
}

void cfg_load_stack(struct cfg_loader *l, struct cfg_node node, struct cfg_place path_at, struct cfg_view *v)
{
    static const char *const extensions[] = {"npy"};
    static const char *const types[] = {
        [CFG_STACK_F32] = "float32", [CFG_STACK_F64] = "float64", [CFG_STACK_I64] = "int64",
        [CFG_STACK_I16] = "int16",   [CFG_STACK_I8] = "int8",     [CFG_STACK_U8] = "uint8"};
    static const char *const pads[] = {
        [CFG_PAD_ZERO] = "zero", [CFG_PAD_EDGE] = "edge", [CFG_PAD_LOOP] = "loop"};
    struct cfg_listing *list = &v->list;
    struct cfg_stack *s = &list->stack;
    struct cfg_entry e[N_KEYS];
    int type = CFG_STACK_F32, pad = CFG_PAD_ZERO;
    *list = (struct cfg_listing){.asked = -1, .keep = true, .is_stack = true};
    if (v->path)
        (void)cfg_read_extension(l, path_at, v->path, "a stack", extensions, 1);
    if (!cfg_read_map(l, node, "stack", false, keys, N_KEYS, e))
        return;
    if (!e[SHAPE].value.yaml) {
        cfg_mistake(&l->log, cfg_node_place(node),
                    "a stack needs the \"shape\" that it has of each clip, rows first, such as [48, 16, 3]");
        return;
    }
    load_shape(l, e[SHAPE].value, s);
    if (e[AXES].value.yaml && s->n_dims > 0)
        load_axes(l, e[AXES].value, s);
    if (e[DTYPE].value.yaml)
        (void)cfg_read_choice(l, e[DTYPE].value, "dtype", types, BASE_ARRAY_LEN(types), &type);
    if (e[PAD].value.yaml)
        (void)cfg_read_choice(l, e[PAD].value, "pad", pads, BASE_ARRAY_LEN(pads), &pad);
    cfg_read_either(l, &e[CUT], "start", "centre", &s->centre);
    s->type = (enum cfg_stack_type)type;
    s->pad = (enum cfg_pad)pad;
    cfg_load_names(l, &e[SORT], "sort", &list->sort, &list->n_sort);
    if (e[WHERE].value.yaml)
        cfg_load_conditions(l, e[WHERE].value, "where", &list->where, &list->n_where);
}
