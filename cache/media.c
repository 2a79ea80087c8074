/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/private.h"

#include <errno.h>

struct media *media_ref(struct media *m)
{
    atomic_fetch_add(&m->refs, 1);
    return m;
}

void media_unref(struct media *m, size_t n_views)
{
    if (!m || atomic_fetch_sub(&m->refs, 1) != 1)
        return;
    for (size_t i = 0; i < n_views; i++)
        free(m->views[i].starts);
    base_bytes_finish(&m->packed);
    free(m);
}

struct clip_view media_view(struct cache *c, const struct media *m, size_t view)
{
    pthread_mutex_lock(&c->lock);
    struct clip_view v = m->views[view];
    pthread_mutex_unlock(&c->lock);
    return v;
}

/* A segment holds at most this many frames; the number falls where frames are large. Made by one job, it is
 * also the longest that a reader in the middle of a run waits. */
enum { SEGMENT_FRAMES = 32 };

_Static_assert(DEC_MAX_FRAMES <= CACHE_MAX_FILES, "as cache.h says");

static int count_frames(const struct dec_index *index, const struct dec_frames_spec *spec,
                        struct clip_view *v)
{
    if (index->n_frames == 0)
        return 0;
    uint32_t *map = NULL;
    int err = dec_timing_map(index, spec, &map, &v->n_files);
    if (err)
        return err;
    uint64_t pixels = (uint64_t)index->width * (uint64_t)index->height;
    /* About 3 bytes a pixel where nothing is compressed: keep a segment below 64 MiB, uncompressed. */
    uint64_t fits = (UINT64_C(64) << 20) / (pixels * 3 + 1);
    uint32_t max_frames = (uint32_t)BASE_MAX((uint64_t)1, BASE_MIN(fits, (uint64_t)SEGMENT_FRAMES));
    err = plan_starts(index, map, v->n_files, max_frames, &v->starts, &v->n_starts);
    free(map);
    return err;
}

static int count_views(const struct cache *c, const struct dec_index *index, struct media *m)
{
    int err = 0;
    for (size_t i = 0; !err && i < c->options.n_views; i++) {
        struct clip_view *v = &m->views[i];
        v->last_asked = v->last_answered = UINT32_MAX - 1;
        if (c->views[i].kind == CACHE_FRAMES)
            err = count_frames(index, &c->views[i].frames, v);
        else if (c->views[i].kind == CACHE_AUDIO)
            v->n_files = m->has_audio || c->views[i].audio.silence;
        v->counted = c->views[i].kind != CACHE_SUBTITLES;
    }
    return err;
}

int media_create(const struct cache *c, struct base_bytes *packed, const struct base_hash *identity,
                 const struct cache_file_stamp *stamp, struct media **ret)
{
    struct dec_index index;
    int err = dec_index_unpack(packed->data, packed->len, &index);
    if (err) {
        base_bytes_finish(packed);
        return err;
    }
    struct media *m = calloc(1, sizeof *m + c->options.n_views * sizeof m->views[0]);
    if (m) {
        struct base_hash content = base_hash_of(packed->data, packed->len);
        struct base_hash both[2] = {*identity, content};
        atomic_init(&m->refs, 1);
        m->packed = *packed;
        *packed = (struct base_bytes){0};
        m->identity = *identity;
        m->hash = base_hash_of(both, sizeof both);
        m->stamp = *stamp;
        m->has_audio = index.audio_stream >= 0;
        m->has_text = index.text_stream >= 0;
        m->counted = index.counted;
        m->clip_us = m->has_audio ? (index.audio_samples / index.audio_rate) * 1000000 +
                                        (index.audio_samples % index.audio_rate) * 1000000 / index.audio_rate
                                  : index.duration_us;
        err = count_views(c, &index, m);
    } else {
        err = -ENOMEM;
        base_bytes_finish(packed);
    }
    dec_index_finish(&index);
    if (err)
        media_unref(m, c->options.n_views);
    else
        *ret = m;
    return err;
}
