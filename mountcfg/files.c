/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of patterns, and the files views, which are made of one. */
#include "mountcfg/scanning.h"

#include <errno.h>

static void read_glob(struct cfg_loader *l, struct cfg_node node, const char *what, struct cfg_glob **globs,
                      size_t *n)
{
    struct base_reason why = {""};
    const char *text = cfg_read_text(l, node, what);
    if (!text)
        return;
    int err = cfg_glob_compile(text, &globs[*n], &why);
    if (err == -ENOMEM)
        l->no_memory = true;
    else if (err < 0)
        cfg_mistake(&l->log, cfg_node_place(node), "%s: %s", what, why.text);
    else
        ++*n;
}

void cfg_read_globs(struct cfg_loader *l, struct cfg_node node, const char *what, struct cfg_glob ***ret,
                    size_t *ret_n)
{
    bool list = node.yaml->type == YAML_SEQUENCE_NODE;
    size_t n = 1;
    if (list && !cfg_read_list(l, node, what, 1000, &n))
        return;
    *ret = cfg_keep_alloc(l, n, sizeof **ret);
    for (size_t i = 0; *ret && i < n; i++)
        read_glob(l, list ? cfg_list_item(node, i) : node, what, *ret, ret_n);
}

bool cfg_globs_match(struct cfg_glob *const *globs, size_t n, const char *path, size_t len)
{
    for (size_t i = 0; i < n; i++) {
        if (cfg_glob_match(globs[i], path, len))
            return true;
    }
    return false;
}

bool cfg_files_show(const struct cfg_files *f, const char *path, size_t len)
{
    return f->n_globs == 0 || cfg_globs_match(f->globs, f->n_globs, path, len);
}

bool cfg_expand_file(const struct cfg_view *v, const char *path, size_t len, const char *shard,
                     struct base_bytes *out)
{
    const struct cfg_clip file = {.path = path, .shard = shard};
    size_t start = out->len;
    if (!cfg_files_show(&v->files, path, len) || (!shard && cfg_template_uses(v->path, CFG_PART_SHARD)))
        return false;
    cfg_expand(v->path, NULL, &file, 0, 0, out);
    return !out->failed && !cfg_check_names((const char *)out->data + start, out->len - start);
}

bool cfg_shows_dirs(const struct cfg_view *v)
{
    return v->files.n_globs == 0 && v->path->parts[v->path->n - 1].kind == CFG_PART_PATH;
}
