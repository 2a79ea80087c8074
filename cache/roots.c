/* SPDX-License-Identifier: Apache-2.0 */
/* Folders of the corpus: the root, and those that are merged into it under a name of their own. */
#include "cache/private.h"

#include <errno.h>
#include <fcntl.h>

static int open_root(const char *dir, int *ret, struct base_reason *why)
{
    *ret = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret < 0 ? base_fail(why, -errno, "%s: cannot open the corpus folder: %s", dir, strerror(errno))
                    : 0;
}

int roots_open(struct cache *c, struct base_reason *why)
{
    size_t n = c->options.n_merged;
    int err = open_root(c->options.root, &c->root, why);
    if (err || n == 0)
        return err;
    c->merged_fds = calloc(n, sizeof *c->merged_fds);
    if (!c->merged_fds)
        return base_fail(why, -ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        c->merged_fds[i] = -1;
    for (size_t i = 0; !err && i < n; i++)
        err = open_root(c->options.merged[i].dir, &c->merged_fds[i], why);
    return err;
}

void roots_close(struct cache *c)
{
    base_close_fd(&c->root);
    for (size_t i = 0; c->merged_fds && i < c->options.n_merged; i++)
        base_close_fd(&c->merged_fds[i]);
    free(base_steal_pointer(c->merged_fds));
}

struct source_place source_place(const struct cache *c, const char *path)
{
    for (size_t i = 0; i < c->options.n_merged; i++) {
        const struct base_folder *m = &c->options.merged[i];
        size_t len = strlen(m->name);
        if (strncmp(path, m->name, len) == 0 && path[len] == '/')
            return (struct source_place){c->merged_fds[i], m->dir, path + len + 1};
    }
    return (struct source_place){c->root, c->options.root, path};
}
