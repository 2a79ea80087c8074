/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/tables.h"

#include <errno.h>

struct table {
    char *path;
    size_t clip;             /* its number in the cache */
    bool broken, was_broken; /* in this scan, and in the last one that was taken in */
};

struct fs_tables {
    struct table *tables; /* sorted by path */
    size_t n;
};

static int compare_tables(const void *a, const void *b)
{
    return strcmp(((const struct table *)a)->path, ((const struct table *)b)->path);
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct table *find(const struct fs_tables *t, const char *path)
{
    const struct table wanted = {.path = (char *)path};
    return t->n > 0 ? bsearch(&wanted, t->tables, t->n, sizeof *t->tables, compare_tables) : NULL;
}

struct fs_tables *fs_tables_create(void)
{
    return calloc(1, sizeof(struct fs_tables));
}

void fs_tables_destroy(struct fs_tables *t)
{
    for (size_t i = 0; t && i < t->n; i++)
        free(t->tables[i].path);
    if (t)
        free(t->tables);
    free(t);
}

/* Appends those that are new; room is there. Returns how many, or -ENOMEM. */
static ssize_t append_new(struct fs_tables *t, const char **sorted, size_t n)
{
    size_t n_new = 0;
    for (size_t i = 0; i < n; i++) {
        if ((i > 0 && strcmp(sorted[i - 1], sorted[i]) == 0) || find(t, sorted[i]))
            continue;
        char *path = strdup(sorted[i]);
        if (!path) {
            while (n_new > 0)
                free(t->tables[t->n + --n_new].path);
            return -ENOMEM;
        }
        t->tables[t->n + n_new++] = (struct table){.path = path};
    }
    return (ssize_t)n_new;
}

/* Tells the cache of all at once: each telling takes up some of what it can watch. */
static int add_sources(struct fs_tables *t, struct cache *c, size_t n_new)
{
    size_t first = 0;
    base_autofree struct cache_source *sources = calloc(n_new + 1, sizeof *sources);
    for (size_t i = 0; sources && i < n_new; i++)
        sources[i].path = t->tables[t->n + i].path;
    int err = !sources ? -ENOMEM : n_new > 0 ? cache_add_sources(c, sources, n_new, &first) : 0;
    for (size_t i = 0; i < n_new; i++) {
        t->tables[t->n + i].clip = first + i;
        if (err)
            free(t->tables[t->n + i].path);
    }
    return err;
}

static int add(struct fs_tables *t, struct cache *c, const char *const *paths, size_t n)
{
    base_autofree const char **sorted = calloc(n + 1, sizeof *sorted);
    struct table *larger = sorted ? realloc(t->tables, (t->n + n + 1) * sizeof *larger) : NULL;
    if (!larger)
        return -ENOMEM;
    t->tables = larger;
    if (n > 0)
        memcpy(sorted, paths, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_paths);
    ssize_t n_new = append_new(t, sorted, n);
    int err = n_new < 0 ? (int)n_new : add_sources(t, c, (size_t)n_new);
    if (err)
        return err;
    t->n += (size_t)n_new;
    qsort(t->tables, t->n, sizeof *t->tables, compare_tables);
    return 0;
}

int fs_tables_watch(struct fs_tables *t, struct cache *c, const char *const *paths, size_t n)
{
    int err = add(t, c, paths, n);
    for (size_t i = 0; !err && i < t->n; i++) {
        int64_t mtime_ns;
        t->tables[i].broken = false;
        /* To look at it is to have it watched; that it is not there is for who reads it. */
        (void)cache_mtime_ns(c, t->tables[i].clip, &mtime_ns);
    }
    return err;
}

void fs_tables_set_broken(struct fs_tables *t, const char *path)
{
    struct table *table = find(t, path);
    if (table)
        table->broken = true;
}

const char *fs_tables_find_broken(const struct fs_tables *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->tables[i].broken && !t->tables[i].was_broken)
            return t->tables[i].path;
    return NULL;
}

void fs_tables_take_in(struct fs_tables *t)
{
    for (size_t i = 0; i < t->n; i++)
        t->tables[i].was_broken = t->tables[i].broken;
}
