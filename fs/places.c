/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/places.h"

#include <errno.h>

struct link {
    uint32_t place, next;
};

/* Numbers of clips and lists are smaller. */
enum { MAX_NUMBERS = 1 << 24 };

static int init(struct fs_chains *c, size_t max_links)
{
    if (base_grow_init(&c->heads, MAX_NUMBERS * sizeof(uint32_t)) < 0 ||
        base_grow_init(&c->links, (max_links + 1) * sizeof(struct link)) < 0)
        return -ENOMEM;
    return 0;
}

static void finish(struct fs_chains *c)
{
    base_grow_finish(&c->heads);
    base_grow_finish(&c->links);
}

int fs_places_init(struct fs_places *p)
{
    *p = (struct fs_places){.n_sets = 0};
    int err = init(&p->sets, FS_MAX_SETS);
    if (!err)
        err = init(&p->files, FS_MAX_NODES);
    return err ? err : init(&p->lists, FS_MAX_NODES);
}

void fs_places_finish(struct fs_places *p)
{
    finish(&p->sets);
    finish(&p->files);
    finish(&p->lists);
}

static int add(struct fs_chains *c, uint32_t number, uint32_t place)
{
    uint32_t link = c->n_links + 1;
    if (base_grow_to(&c->heads, ((size_t)number + 1) * sizeof(uint32_t)) < 0 ||
        base_grow_to(&c->links, ((size_t)link + 1) * sizeof(struct link)) < 0)
        return -ENOMEM;
    uint32_t *head = (uint32_t *)c->heads.data + number;
    ((struct link *)c->links.data)[link] = (struct link){place, *head};
    *head = c->n_links = link;
    return 0;
}

int fs_places_update(struct fs_places *p, const struct fs_tree *t)
{
    const uint32_t n_sets = t->n_sets, n_nodes = t->n_nodes;
    int err = 0;
    while (!err && p->n_sets < n_sets) {
        err = add(&p->sets, t->sets[p->n_sets].clip, p->n_sets);
        p->n_sets += !err;
    }
    while (!err && p->n_nodes < n_nodes) {
        const struct fs_node *n = &t->nodes[p->n_nodes];
        if (n->kind == FS_FILE)
            err =
                add(cfg_view(t->cfg, n->view)->kind == CFG_LIST ? &p->lists : &p->files, n->clip, p->n_nodes);
        p->n_nodes += !err;
    }
    return err;
}

uint32_t fs_places_first(const struct fs_chains *c, uint32_t number)
{
    return number < c->heads.bytes / sizeof(uint32_t) ? ((const uint32_t *)c->heads.data)[number] : 0;
}

uint32_t fs_places_next(const struct fs_chains *c, uint32_t link)
{
    return ((const struct link *)c->links.data)[link].next;
}

uint32_t fs_places_of(const struct fs_chains *c, uint32_t link)
{
    return ((const struct link *)c->links.data)[link].place;
}
