/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/private.h"

#include <errno.h>

struct media *media_ref(struct media *m)
{
    atomic_fetch_add(&m->refs, 1);
    return m;
}

void media_unref(struct media *m)
{
    if (!m || atomic_fetch_sub(&m->refs, 1) != 1)
        return;
    for (uint32_t i = 0; i < m->n_views; i++)
        free(m->views[i].starts);
    base_bytes_finish(&m->packed);
    free(m);
}

const char *media_seconds(int64_t us, char out[CACHE_SECONDS_ROOM])
{
    (void)snprintf(out, CACHE_SECONDS_ROOM, "%lld.%06lld", (long long)(us / 1000000),
                   (long long)(us % 1000000));
    return out;
}

uint32_t media_mark(const struct media *m)
{
    uint32_t mark;
    memcpy(&mark, m->hash.bytes, sizeof mark);
    return mark | 1;
}

/* What is known of clips takes so much memory, together; beyond that, of those that were used lately. The
 * store has all of it, too. */
enum { MEDIA_BYTES = 24 << 20, MOST_PASSED_OVER = 16 };

static void unlink_locked(struct cache *c, struct media *m)
{
    *(m->newer ? &m->newer->older : &c->media_newest) = m->older;
    *(m->older ? &m->older->newer : &c->media_oldest) = m->newer;
    m->newer = m->older = NULL;
}

static void link_newest_locked(struct cache *c, struct media *m)
{
    m->older = c->media_newest;
    *(m->older ? &m->older->newer : &c->media_oldest) = m;
    c->media_newest = m;
}

void media_attach_locked(struct cache *c, size_t clip, struct media *m)
{
    c->clips[clip].media = m;
    c->media_bytes += m->bytes;
    link_newest_locked(c, m);
}

struct media *media_detach_locked(struct cache *c, size_t clip)
{
    struct media *m = base_steal_pointer(c->clips[clip].media);
    if (m) {
        unlink_locked(c, m);
        c->media_bytes -= m->bytes;
    }
    return m;
}

void media_used_locked(struct cache *c, struct media *m)
{
    if (!m || m == c->media_newest || c->clips[m->clip].media != m)
        return;
    unlink_locked(c, m);
    link_newest_locked(c, m);
}

struct media *media_trim_locked(struct cache *c)
{
    struct media *list = NULL;
    for (int passed_over = 0; c->media_bytes > MEDIA_BYTES && c->media_oldest != c->media_newest;) {
        struct media *m = c->media_oldest;
        if (atomic_load(&m->refs) > 1) {
            /* Somebody works with it, and would only ask for it again. */
            media_used_locked(c, m);
            if (++passed_over > MOST_PASSED_OVER)
                break;
            continue;
        }
        (void)media_detach_locked(c, m->clip);
        m->older = list;
        list = m;
    }
    return list;
}

void media_unref_list(struct media *list)
{
    while (list) {
        struct media *m = list;
        list = m->older;
        media_unref(m);
    }
}

struct clip_view media_view(struct cache *c, const struct media *m, size_t view)
{
    pthread_mutex_lock(&c->lock);
    struct clip_view v = m->views[view];
    pthread_mutex_unlock(&c->lock);
    return v;
}

/* A segment holds at most this many frames; the number falls where frames are large. Made by one job, it is
 * also the longest that a reader in the middle of a run waits; finding one flow takes as long as decoding a
 * hundred frames. */
enum { SEGMENT_FRAMES = 32, SEGMENT_FLOWS = 8 };

_Static_assert(DEC_MAX_FRAMES <= CACHE_MAX_FILES, "as cache.h says");

/* boxes: NULL = the spec has none. */
static int count_frames(const struct dec_index *index, const struct dec_frames_spec *spec,
                        const struct base_boxes *boxes, struct clip_view *v)
{
    if (index->n_frames == 0)
        return 0;
    uint32_t *map = NULL, *numbers = NULL;
    int err = dec_boxed_map(index, spec, boxes ? boxes->list : NULL, boxes ? boxes->n : 0, &map, &numbers,
                            &v->n_frames);
    if (err)
        return err;
    free(numbers);
    uint64_t pixels = (uint64_t)index->width * (uint64_t)index->height * (spec->floats ? sizeof(float) : 1);
    const uint64_t most = spec->flow ? SEGMENT_FLOWS : SEGMENT_FRAMES;
    /* About 3 bytes a pixel where nothing is compressed: keep a segment below 64 MiB, uncompressed. */
    uint64_t fits = (UINT64_C(64) << 20) / (pixels * 3 + 1);
    uint32_t max_frames = (uint32_t)BASE_MAX((uint64_t)1, BASE_MIN(fits, most));
    err = plan_starts(index, map, v->n_frames, max_frames, &v->starts, &v->n_starts);
    free(map);
    return err;
}

static int count_views(const struct cache *c, const struct dec_index *index, struct media *m)
{
    int err = 0;
    for (size_t i = 0; !err && i < c->options.n_views; i++) {
        struct clip_view *v = &m->views[i];
        v->last_asked = v->last_answered = UINT32_MAX - 1;
        const bool array = c->views[i].kind == CACHE_ARRAY;
        if (c->views[i].kind == CACHE_FRAMES || array) {
            const struct cache_view of_clip = view_of_clip(c, m, i);
            err =
                count_frames(index, &of_clip.frames, of_clip.boxed ? boxes_of_clip(c, m->clip, i) : NULL, v);
            v->n_files = array ? v->n_frames > 0 : v->n_frames;
        }
        if (c->views[i].kind == CACHE_AUDIO)
            v->n_files = m->has_audio || c->views[i].audio.silence;
        if (c->views[i].kind == CACHE_WAVE || c->views[i].kind == CACHE_FEATURES)
            v->n_files = m->has_audio || c->views[i].sound.silence;
        if (c->views[i].kind == CACHE_COMMAND)
            v->n_files = 1;
        if (c->views[i].kind == CACHE_PART) {
            v->n_files = 1;
            v->file_bytes = dec_array_bytes(&c->views[i].array);
            v->measured = true;
        }
        v->counted = c->views[i].kind != CACHE_SUBTITLES;
    }
    return err;
}

/* As the allocator has it, nearly. */
static size_t bytes_of(const struct media *m)
{
    size_t bytes = sizeof *m + m->n_views * sizeof m->views[0] + m->packed.cap + 32;
    for (uint32_t i = 0; i < m->n_views; i++)
        bytes += m->views[i].starts ? m->views[i].n_starts * sizeof m->views[i].starts[0] + 16 : 0;
    return bytes;
}

/* When a frame of the stream's rate is shown. */
static int64_t frame_us(const struct media *m, int64_t frame)
{
    bool known = m->rate_num > 0 && m->rate_den > 0; /* else as dec_timing_map() has it */
    __extension__ const __int128 num = known ? m->rate_num : 25, den = known ? m->rate_den : 1;
    __extension__ const __int128 us = ((__int128)frame * den * 1000000 + num / 2) / num;
    return us > DEC_MAX_US ? DEC_MAX_US : (int64_t)us;
}

void media_cut_times(const struct media *m, const struct cache_cut *cut, struct cache_cut_times *ret)
{
    const int64_t tolerance_us = 100000; /* sound and picture seldom end together */
    struct cache_cut_times t = {.source_us = m->source_us};
    bool frames = cut->unit == CACHE_CUT_FRAMES;
    if (cut->unit != CACHE_WHOLE) {
        t.from_us = frames ? frame_us(m, cut->from) : BASE_MIN(cut->from, DEC_MAX_US - 1);
        t.to_us = frames ? frame_us(m, cut->to) : BASE_MIN(cut->to, DEC_MAX_US);
        t.to_us = BASE_MAX(t.to_us, t.from_us + 1);
    }
    t.past_end = t.to_us > m->source_us + tolerance_us;
    *ret = t;
}

/* Needs source_us and the rate. */
static void take_cut(const struct cache_cut *cut, struct media *m)
{
    struct cache_cut_times t;
    media_cut_times(m, cut, &t);
    m->from_us = t.from_us;
    m->to_us = t.to_us;
    m->clip_us = cut->unit == CACHE_WHOLE
                     ? m->source_us
                     : BASE_MAX(BASE_MIN(t.to_us, m->source_us) - t.from_us, 1); /* 0 would be no limit */
}

int media_create(const struct cache *c, size_t clip, struct base_bytes *packed,
                 const struct base_hash *identity, const struct cache_file_stamp *stamp, struct media **ret)
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
        m->clip = clip;
        m->n_views = (uint32_t)c->options.n_views;
        m->packed = *packed;
        *packed = (struct base_bytes){0};
        m->identity = *identity;
        m->hash = base_hash_of(both, sizeof both);
        m->stamp = *stamp;
        m->has_audio = index.audio_stream >= 0;
        m->has_text = index.text_stream >= 0;
        m->counted = index.counted;
        m->source_us = m->has_audio
                           ? (index.audio_samples / index.audio_rate) * 1000000 +
                                 (index.audio_samples % index.audio_rate) * 1000000 / index.audio_rate
                           : index.duration_us;
        m->rate_num = index.rate_num;
        m->rate_den = index.rate_den;
        take_cut(&c->sources[clip].cut, m);
        err = count_views(c, &index, m);
        m->bytes = bytes_of(m);
    } else {
        err = -ENOMEM;
        base_bytes_finish(packed);
    }
    dec_index_finish(&index);
    if (err)
        media_unref(m);
    else
        *ret = m;
    return err;
}
