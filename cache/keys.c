/* SPDX-License-Identifier: Apache-2.0 */
/* Names of cached things: hashes of everything that their bytes depend on, and nothing else. */
#include "cache/private.h"

/* Bytes follow from the build of the worker as well: its protocol's version goes into every name. */
static struct base_hash key_of(const char *what, const struct base_hash *a, const struct base_hash *b,
                               uint32_t first, uint32_t last)
{
    struct {
        char what[16];
        struct base_hash a, b;
        uint32_t version, first, last;
    } key = {.version = DEC_VERSION, .first = first, .last = last};
    (void)snprintf(key.what, sizeof key.what, "%s", what);
    if (a)
        key.a = *a;
    if (b)
        key.b = *b;
    return base_hash_of(&key, sizeof key);
}

struct base_hash key_of_indexing(size_t clip)
{
    const uint64_t number[2] = {UINT64_C(0x696e646578), clip};
    return base_hash_of(number, sizeof number);
}

struct base_hash key_of_view(const struct cache_view *v)
{
    switch (v->kind) {
    case CACHE_FRAMES:
    case CACHE_ARRAY:
        return base_hash_of(&v->frames, sizeof v->frames);
    case CACHE_WAVE:
    case CACHE_FEATURES:
        return base_hash_of(&v->sound, sizeof v->sound);
    case CACHE_PART:
        return base_hash_of(&v->array, sizeof v->array);
    case CACHE_AUDIO:
        return base_hash_of(&v->audio, sizeof v->audio);
    case CACHE_SUBTITLES:
        break;
    case CACHE_FILE:    /* nothing is made of it */
    case CACHE_COMMAND: /* key_of_command() */
        return (struct base_hash){0};
    }
    struct {
        char kind[16];
        uint8_t sources[3], n_sources, empty, reserved[3];
        int64_t from_us, to_us;
    } key = {.kind = "subtitles",
             .n_sources = v->subtitles.n_sources,
             .empty = v->subtitles.empty,
             .from_us = v->subtitles.from_us,
             .to_us = v->subtitles.to_us};
    memcpy(key.sources, v->subtitles.sources, sizeof key.sources);
    return base_hash_of(&key, sizeof key);
}

struct cache_view view_of_clip(const struct cache *c, const struct media *m, size_t view)
{
    struct cache_view v = c->views[view];
    if (v.kind == CACHE_PART)
        return v;
    const bool sound = v.kind == CACHE_WAVE || v.kind == CACHE_FEATURES;
    int64_t *from_us = v.kind == CACHE_AUDIO       ? &v.audio.from_us
                       : v.kind == CACHE_SUBTITLES ? &v.subtitles.from_us
                       : sound                     ? &v.sound.from_us
                                                   : &v.frames.from_us;
    int64_t *to_us = v.kind == CACHE_AUDIO       ? &v.audio.to_us
                     : v.kind == CACHE_SUBTITLES ? &v.subtitles.to_us
                     : sound                     ? &v.sound.to_us
                                                 : &v.frames.to_us;
    *from_us = m->from_us;
    *to_us = m->to_us;
    if (v.crops_by_clip)
        (void)snprintf(v.frames.crop, sizeof v.frames.crop, "%s",
                       c->options.crop(c->options.clip_context, m->clip, view));
    if (v.boxed) {
        const struct base_boxes *boxes = boxes_of_clip(c, m->clip, view);
        v.frames.boxed = boxes->of_whole ? DEC_BOXED_WHOLE : DEC_BOXED;
        v.frames.boxes = boxes->hash;
    }
    return v;
}

const struct base_boxes *boxes_of_clip(const struct cache *c, size_t clip, size_t view)
{
    static const struct base_boxes none;
    const struct base_boxes *boxes = c->options.boxes(c->options.clip_context, clip, view);
    return boxes ? boxes : &none;
}

struct cache_view view_to_measure(const struct cache *c, const struct media *m, size_t view)
{
    struct cache_view v = view_of_clip(c, m, view);
    /* With boxes it hangs on which frames are there. */
    if ((v.kind == CACHE_FRAMES || v.kind == CACHE_ARRAY) && !v.boxed)
        v.frames.from_us = v.frames.to_us = 0;
    return v;
}

static struct base_hash hash_of_view(const struct cache *c, const struct media *m, size_t view)
{
    if (!c->views[view].crops_by_clip && !c->views[view].boxed && m->to_us == 0)
        return c->view_hashes[view];
    struct cache_view v = view_of_clip(c, m, view);
    return key_of_view(&v);
}

/* Of what a command makes of the source nothing hangs on how this version decodes: making it again is dear.
 */
static struct base_hash key_of_command(const struct cache *c, const struct media *m, size_t view)
{
    const struct cache_command *command = &c->views[view].command;
    struct {
        char kind[16];
        struct base_hash identity, what, arguments, input;
    } key = {.kind = "command", .identity = m->identity, .what = command->what};
    char start[CACHE_SECONDS_ROOM], end[CACHE_SECONDS_ROOM];
    const struct cache_command_values values = {.start = media_seconds(m->from_us, start),
                                                .end = media_seconds(m->from_us + m->clip_us, end)};
    struct base_bytes arguments = {0};
    if (c->options.command(c->options.clip_context, m->clip, view, &values, &arguments) == 0)
        key.arguments = base_hash_of(arguments.data, arguments.len);
    base_bytes_finish(&arguments);
    if (command->input_view >= 0)
        key.input = key_of_segment(c, m, (size_t)command->input_view, 0, UINT32_MAX);
    return base_hash_of(&key, sizeof key);
}

struct base_hash key_of_attempt(const struct base_hash *key, const struct cache_command *command)
{
    struct {
        struct base_hash key;
        uint64_t max_bytes;
        uint32_t timeout_s, npy;
    } attempt = {*key, command->max_bytes, command->timeout_s, command->npy};
    return base_hash_of(&attempt, sizeof attempt);
}

struct base_hash key_of_index(const struct base_hash *identity)
{
    return key_of("index", identity, NULL, 0, 0);
}

struct base_hash key_of_table(const struct base_hash *identity, const struct base_hash *spec)
{
    return key_of("table", identity, spec, 0, 0);
}

struct base_hash key_of_list(const struct base_hash *identity)
{
    return key_of("list", identity, NULL, 0, 0);
}

struct base_hash key_of_size(const struct cache *c, const struct media *m, size_t view)
{
    if (c->views[view].kind == CACHE_COMMAND) {
        struct base_hash command = key_of_command(c, m, view);
        return base_hash_of(&command, sizeof command);
    }
    struct cache_view v = view_to_measure(c, m, view);
    struct base_hash hash = key_of_view(&v);
    return key_of("size", &m->hash, &hash, 0, 0);
}

struct base_hash key_of_segment(const struct cache *c, const struct media *m, size_t view, uint32_t first,
                                uint32_t last)
{
    if (c->views[view].kind == CACHE_COMMAND)
        return key_of_command(c, m, view);
    struct base_hash hash = hash_of_view(c, m, view);
    return key_of("segment", &m->hash, &hash, first, last);
}

struct base_hash key_of_failure(const struct base_hash *key)
{
    return key_of("failure", key, NULL, 0, 0);
}

struct base_hash key_of_subtitles(const struct cache *c, const struct media *m, size_t view,
                                  const struct base_hash *text_identity)
{
    struct base_hash both = key_of_segment(c, m, view, 0, 0);
    return key_of("subtitles", &both, text_identity, 0, 0);
}
