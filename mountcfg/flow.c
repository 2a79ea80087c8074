/* SPDX-License-Identifier: Apache-2.0 */
/* Optical flow, of views of pictures and of arrays. */
#include "mountcfg/language.h"

void cfg_load_flow(struct cfg_loader *l, struct cfg_node at, const struct cfg_entry *method,
                   const struct cfg_entry *bound, const struct cfg_entry *grey, double most,
                   struct cfg_flow *ret)
{
    bool dis = false;
    *ret = (struct cfg_flow){.bound = 20};
    if (!CORPUSFS_HAVE_FLOW)
        cfg_mistake(&l->log, cfg_node_place(at),
                    "this corpusfs cannot find optical flow: it was built without OpenCV; install "
                    "libopencv-contrib-dev, liblapack-dev and libglx-dev, and build it anew");
    cfg_read_either(l, method, "tvl1", "dis", &dis);
    ret->method = dis ? CFG_DIS : CFG_TVL1;
    if (bound->value.yaml)
        (void)cfg_read_number(l, bound->value, "bound", 0.01, most, &ret->bound);
    cfg_read_either(l, grey, "rgb", "luma", &ret->luma);
}

bool cfg_has_flow(const struct cfg *c)
{
    for (size_t i = 0; i < c->n_views; i++) {
        const struct cfg_view *v = &c->views[i];
        if ((v->kind == CFG_FRAMES && v->frames.is_flow) ||
            (v->kind == CFG_NPY && v->npy.kind == CFG_NPY_FLOW))
            return true;
    }
    return false;
}
