/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples as WebDataset groups them: files with one key (base/sample.h) that follow each other are a sample.
 * Files that have none are passed over as if they were not there.
 */
#include "mountcfg/scanning.h"

#include "base/sample.h"

#include <errno.h>

enum { MAX_TOLD = 20 }; /* samples of an archive that are named */

static int compare_fields(const void *a, const void *b, void *fields)
{
    return strcmp((const char *)fields + *(const size_t *)a, (const char *)fields + *(const size_t *)b);
}

/* The field that the sample at hand has twice, or NULL. */
static const char *find_repeated(const struct cfg_samples *s)
{
    const char *fields = (const char *)s->fields.data;
    size_t *starts = s->starts.items;
    if (s->starts.n > 1)
        qsort_r(starts, s->starts.n, sizeof *starts, compare_fields, s->fields.data);
    for (size_t i = 1; i < s->starts.n; i++) {
        if (strcmp(fields + starts[i - 1], fields + starts[i]) == 0)
            return fields + starts[i];
    }
    return NULL;
}

int cfg_samples_end(struct cfg_samples *s, struct cfg_scan *scan, const char *label)
{
    const char *field = find_repeated(s);
    if (field) {
        uint32_t *repeated = cfg_list_add(&s->repeated, sizeof *repeated);
        if (!repeated)
            return -ENOMEM;
        *repeated = s->n;
        if (s->repeated.n <= MAX_TOLD)
            cfg_mistake(scan->log, scan->c->sources_place,
                        "%s: the sample \"%.*s\" has two members for its field \"%s\": left out; pack the "
                        "archive anew with one of them, or each under a key of its own",
                        label, (int)s->key.len, (const char *)s->key.data, field);
        else
            scan->log->n++;
    }
    s->fields.len = s->starts.n = 0;
    return 0;
}

static int begin_sample(struct cfg_samples *s, const char *key, size_t len)
{
    s->key.len = 0;
    base_bytes_append(&s->key, key, len);
    s->n++;
    return s->key.failed ? -ENOMEM : 0;
}

static int add_field(struct cfg_samples *s, const char *field)
{
    size_t *start = cfg_list_add(&s->starts, sizeof *start), from = s->fields.len;
    if (!start)
        return -ENOMEM;
    *start = from;
    base_bytes_append(&s->fields, field, strlen(field) + 1);
    if (s->fields.failed)
        return -ENOMEM;
    for (uint8_t *c = s->fields.data + from; *c; c++)
        *c = (uint8_t)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
    return 0;
}

int cfg_samples_add(struct cfg_samples *s, struct cfg_scan *scan, const char *label, const char *path,
                    uint32_t *ret)
{
    size_t key_len;
    int err = 0;
    *ret = 0;
    if (!base_sample_split(path, &key_len))
        return 0;
    if (s->n == 0 || s->key.len != key_len || memcmp(s->key.data, path, key_len) != 0) {
        err = cfg_samples_end(s, scan, label);
        if (!err)
            err = begin_sample(s, path, key_len);
    }
    if (!err)
        err = add_field(s, path + key_len + 1);
    *ret = s->n;
    return err;
}

static int compare_numbers(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

bool cfg_sample_is_good(const struct cfg_samples *s, uint32_t sample)
{
    return s->repeated.n == 0 ||
           !bsearch(&sample, s->repeated.items, s->repeated.n, sizeof sample, compare_numbers);
}

void cfg_samples_finish(struct cfg_samples *s)
{
    base_bytes_finish(&s->key);
    base_bytes_finish(&s->fields);
    cfg_list_finish(&s->starts);
    cfg_list_finish(&s->repeated);
}
