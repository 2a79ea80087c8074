/* SPDX-License-Identifier: Apache-2.0 */
/* The last failures, for those who ask what is wrong without the log. */
#include "cache/private.h"

void failures_add_locked(struct cache *c, const struct source_place *place, const char *reason)
{
    struct cache_failure f;
    size_t i = 0;
    if (snprintf(f.source, sizeof f.source, "%s/%s", place->dir, place->path) < 0 ||
        snprintf(f.reason, sizeof f.reason, "%s", reason) < 0)
        return;
    while (i < c->n_failures && strcmp(c->failures[i].source, f.source) != 0)
        i++;
    if (i == c->n_failures && i < CACHE_FAILURES)
        c->n_failures++;
    i = BASE_MIN(i, (size_t)CACHE_FAILURES - 1);
    memmove(&c->failures[1], &c->failures[0], i * sizeof c->failures[0]);
    c->failures[0] = f;
}

size_t cache_failures(struct cache *c, struct cache_failure ret[CACHE_FAILURES])
{
    pthread_mutex_lock(&c->lock);
    size_t n = c->n_failures;
    memcpy(ret, c->failures, n * sizeof *ret);
    pthread_mutex_unlock(&c->lock);
    return n;
}
