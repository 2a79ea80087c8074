/* SPDX-License-Identifier: Apache-2.0 */
/* The scan's way to the names in archives: the cache lists them. */
#include "fs/lister.h"

#include "cache/archives.h"

static int prepare(void *context, const char *const *paths, size_t n)
{
    return cache_archives_prepare(context, paths, n);
}

static int open_file(void *context, const char *path, uint32_t *ret)
{
    return cache_archive_open(context, path, ret);
}

static int open_member(void *context, uint32_t archive, uint32_t member, const char *label, uint32_t *ret)
{
    return cache_archive_open_member(context, archive, member, label, ret);
}

struct visit {
    cfg_visit_member *visit;
    void *context;
};

static int visit_one(void *context, const struct cache_member_name *m)
{
    static const enum cfg_member_kind kinds[] = {[CACHE_MEMBER_FILE] = CFG_MEMBER_FILE,
                                                 [CACHE_MEMBER_DIR] = CFG_MEMBER_DIR,
                                                 [CACHE_MEMBER_SYMLINK] = CFG_MEMBER_SYMLINK};
    const struct visit *v = context;
    const struct cfg_member member = {m->name, m->len, m->number, m->content, kinds[m->kind]};
    return v->visit(v->context, &member);
}

static int visit(void *context, uint32_t archive, cfg_visit_member *visitor, void *visit_context)
{
    struct visit v = {visitor, visit_context};
    return cache_archive_visit(context, archive, visit_one, &v);
}

struct cfg_lister fs_lister(struct cache *c)
{
    return (struct cfg_lister){prepare, open_file, open_member, visit, c};
}
