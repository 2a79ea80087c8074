/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping a few clips of a scan without the rest of it. */
#include "mountcfg/language.h"

#include <errno.h>

struct cfg_kept {
    struct cfg_arena arena;
};

static bool keep_text(struct cfg_arena *arena, const char **text)
{
    if (*text)
        *text = cfg_arena_text(arena, *text, strlen(*text));
    return *text != NULL;
}

/* NULL stands for NULL. */
static bool keep_texts(struct cfg_arena *arena, const char *const **texts, size_t n)
{
    if (!*texts)
        return true;
    const char **copies = cfg_arena_alloc(arena, n + 1, sizeof *copies);
    if (!copies)
        return false;
    for (size_t i = 0; i < n; i++) {
        copies[i] = (*texts)[i];
        if (copies[i] && !keep_text(arena, &copies[i]))
            return false;
    }
    *texts = copies;
    return true;
}

static bool keep_clip(const struct cfg *c, size_t n_fields, struct cfg_arena *arena, struct cfg_clip *clip)
{
    bool same = clip->label == clip->path;
    clip->table = NULL; /* for who looks at a scan alone */
    if (!keep_text(arena, &clip->path))
        return false;
    if (same)
        clip->label = clip->path;
    else if (clip->label && !keep_text(arena, &clip->label))
        return false;
    if (clip->sidecar && !keep_text(arena, &clip->sidecar))
        return false;
    if (clip->shard && !keep_text(arena, &clip->shard))
        return false;
    return keep_texts(arena, &clip->values, n_fields) && keep_texts(arena, &clip->crops, c->n_views) &&
           keep_texts(arena, &clip->cues, c->n_views);
}

int cfg_clips_keep(const struct cfg *c, size_t n_fields, struct cfg_clip *clips, size_t n,
                   struct cfg_kept **ret)
{
    struct cfg_kept *kept = calloc(1, sizeof *kept);
    bool done = kept;
    for (size_t i = 0; done && i < n; i++)
        done = keep_clip(c, n_fields, &kept->arena, &clips[i]);
    if (done)
        *ret = kept;
    else
        cfg_kept_destroy(kept);
    return done ? 0 : -ENOMEM;
}

void cfg_kept_destroy(struct cfg_kept *kept)
{
    if (!kept)
        return;
    cfg_arena_finish(&kept->arena);
    free(kept);
}

int cfg_values_keep(const struct cfg_clips *clips, struct cfg_clips *ret, char **ret_text,
                    struct base_hash *ret_hash)
{
    size_t n = 0, bytes = 0;
    for (size_t i = 0; i < clips->n_fields; i++) {
        n += clips->values[i].n;
        for (size_t k = 0; k < clips->values[i].n; k++)
            bytes += strlen(clips->values[i].values[k]) + 1;
    }
    struct cfg_values *values = malloc((clips->n_fields + 1) * sizeof *values + n * sizeof(char *));
    char *text = malloc(bytes + 1), *at = text;
    if (!values || !text) {
        free(values);
        free(text);
        return -ENOMEM;
    }
    const char **pointers = (const char **)(void *)(values + clips->n_fields + 1);
    for (size_t i = 0; i < clips->n_fields; i++) {
        values[i] = (struct cfg_values){clips->values[i].n, pointers};
        for (size_t k = 0; k < clips->values[i].n; k++) {
            size_t len = strlen(clips->values[i].values[k]) + 1;
            *pointers++ = memcpy(at, clips->values[i].values[k], len);
            at += len;
        }
    }
    *ret = (struct cfg_clips){.n_fields = clips->n_fields, .values = values};
    *ret_text = text;
    *ret_hash = base_hash_of(text, bytes);
    return 0;
}
