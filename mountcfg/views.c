/* SPDX-License-Identifier: Apache-2.0 */
#include "mountcfg/scanning.h"

#include <errno.h>

enum {
    VIEW_PATH,
    VIEW_FRAMES,
    VIEW_AUDIO,
    VIEW_SUBTITLES,
    VIEW_TEXT,
    VIEW_FILES,
    VIEW_FILE,
    VIEW_NPY,
    VIEW_LIST,
    VIEW_COMMAND,
    VIEW_STACK,
    VIEW_WHERE,
    VIEW_N
};
static const struct cfg_key view_keys[VIEW_N] = {
    [VIEW_PATH] = {"path", false},   [VIEW_FRAMES] = {"frames", false},
    [VIEW_AUDIO] = {"audio", false}, [VIEW_SUBTITLES] = {"subtitles", false},
    [VIEW_TEXT] = {"text", false},   [VIEW_FILES] = {"files", false},
    [VIEW_NPY] = {"npy", false},     [VIEW_LIST] = {"list", false},
    [VIEW_FILE] = {"file", false},   [VIEW_COMMAND] = {"command", false},
    [VIEW_STACK] = {"stack", false}, [VIEW_WHERE] = {"where", false},
};

int cfg_read_extension(struct cfg_loader *l, struct cfg_place at, const struct cfg_template *path,
                       const char *what, const char *const *names, size_t n)
{
    const char *have = cfg_template_extension(path);
    char list[80] = "";
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(have, names[i]) == 0)
            return (int)i;
        int added = snprintf(list + len, sizeof list - len, "%s.%s",
                             i == 0      ? ""
                             : i + 1 < n ? ", "
                                         : " or ",
                             names[i]);
        len = BASE_MIN(len + (size_t)BASE_MAX(added, 0), sizeof list - 1);
    }
    cfg_mistake(&l->log, at, "the path of %s ends in %s, found %s%s", what, list,
                *have ? "." : "no extension at its end", have);
    return -1;
}

/* ---- frames ---- */

enum {
    F_TIMING,
    F_FPS,
    F_SIZE,
    F_CROP,
    F_QUALITY,
    F_SUBSAMPLING,
    F_BASE,
    F_FLOW,
    F_METHOD,
    F_BOUND,
    F_GREY,
    F_N
};
static const struct cfg_key frames_keys[F_N] = {
    [F_TIMING] = {"timing", false},   [F_FPS] = {"fps", false},
    [F_SIZE] = {"size", false},       [F_CROP] = {"crop", false},
    [F_QUALITY] = {"quality", false}, [F_SUBSAMPLING] = {"subsampling", false},
    [F_BASE] = {"base", false},       [F_FLOW] = {"flow", false},
    [F_METHOD] = {"method", false},   [F_BOUND] = {"bound", false},
    [F_GREY] = {"grey", false},
};

void cfg_read_timing(struct cfg_loader *l, const struct cfg_entry *timing, const struct cfg_entry *fps,
                     struct cfg_frames *f)
{
    static const char *const names[] = {[CFG_TIMING_CFR] = "cfr", [CFG_TIMING_PASSTHROUGH] = "passthrough"};
    int chosen = CFG_TIMING_CFR;
    if (timing->value.yaml &&
        cfg_read_choice(l, timing->value, "timing", names, BASE_ARRAY_LEN(names), &chosen))
        f->timing = (enum cfg_timing)chosen;
    if (!fps->value.yaml)
        return;
    if (timing->value.yaml)
        cfg_mistake(&l->log, cfg_node_place(fps->key),
                    "\"fps\" and \"timing\" exclude each other: fps is a timing of its own");
    if (cfg_read_fps(l, fps->value, "fps", &f->fps_num, &f->fps_den))
        f->timing = CFG_TIMING_FPS;
}

static void load_jpeg(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_frames *f)
{
    static const char *const samplings[] = {"420", "422", "444"};
    static const int values[] = {420, 422, 444};
    int sampling = 0;
    for (int i = F_QUALITY; i <= F_SUBSAMPLING; i++) {
        if (e[i].value.yaml && f->format != CFG_JPG)
            cfg_mistake(&l->log, cfg_node_place(e[i].key), "\"%s\" is for .jpg only", frames_keys[i].name);
    }
    if (e[F_QUALITY].value.yaml)
        (void)cfg_read_int(l, e[F_QUALITY].value, "quality", 1, 100, &f->quality);
    if (e[F_SUBSAMPLING].value.yaml && cfg_read_choice(l, e[F_SUBSAMPLING].value, "subsampling", samplings,
                                                       BASE_ARRAY_LEN(samplings), &sampling))
        f->subsampling = values[sampling];
}

void cfg_load_crop(struct cfg_loader *l, struct cfg_node node, struct cfg_frames *f)
{
    if (node.yaml->type == YAML_MAPPING_NODE) {
        cfg_load_boxes(l, node, f);
        return;
    }
    bool of_clip =
        node.yaml->type == YAML_SCALAR_NODE && strchr((const char *)node.yaml->data.scalar.value, '{');
    const char *text = of_clip ? cfg_read_text(l, node, "crop") : NULL;
    if (text)
        f->crop_of_clip = cfg_template_parse(l, cfg_node_place(node), text, CFG_USE_VALUE);
    else
        (void)cfg_read_crop(l, node, "crop", f->crop);
}

/* Keys that only make sense together with `flow:`. */
static void load_flow_pictures(struct cfg_loader *l, const struct cfg_entry e[F_N], struct cfg_frames *f)
{
    f->is_flow = e[F_FLOW].value.yaml != NULL;
    for (int i = F_METHOD; i <= F_GREY; i++)
        if (e[i].value.yaml && !f->is_flow)
            cfg_mistake(&l->log, cfg_node_place(e[i].key), "\"%s\" is for optical flow: say flow: x or y",
                        frames_keys[i].name);
    if (!f->is_flow)
        return;
    cfg_read_either(l, &e[F_FLOW], "x", "y", &f->flow_y);
    cfg_load_flow(l, e[F_FLOW].key, &e[F_METHOD], &e[F_BOUND], &e[F_GREY], 10000, &f->flow);
    if (f->format != CFG_JPG)
        cfg_mistake(&l->log, cfg_node_place(e[F_FLOW].key), "pictures of flow are .jpg");
    if (e[F_SUBSAMPLING].value.yaml)
        cfg_mistake(&l->log, cfg_node_place(e[F_SUBSAMPLING].key),
                    "pictures of flow are grey: they have no \"subsampling\"");
}

static void load_frames(struct cfg_loader *l, struct cfg_node node, struct cfg_place path_at,
                        struct cfg_view *v)
{
    static const char *const extensions[] = {"jpg", "jpeg", "png", "ppm"};
    static const enum cfg_frame_format formats[] = {CFG_JPG, CFG_JPG, CFG_PNG, CFG_PPM};
    struct cfg_frames *f = &v->frames;
    struct cfg_entry e[F_N];
    *f = (struct cfg_frames){.fps_den = 1, .quality = 95, .base = 1};
    int format = v->path ? cfg_read_extension(l, path_at, v->path, "a frames view", extensions,
                                              BASE_ARRAY_LEN(extensions))
                         : -1;
    f->format = format < 0 ? CFG_JPG : formats[format];
    if (!cfg_read_map(l, node, "frames", true, frames_keys, F_N, e))
        return;
    cfg_read_timing(l, &e[F_TIMING], &e[F_FPS], f);
    load_jpeg(l, e, f);
    if (e[F_SIZE].value.yaml)
        (void)cfg_read_scale(l, e[F_SIZE].value, "size", f->size);
    if (e[F_CROP].value.yaml)
        cfg_load_crop(l, e[F_CROP].value, f);
    if (e[F_BASE].value.yaml)
        (void)cfg_read_int(l, e[F_BASE].value, "base", 0, 1000000000, &f->base);
    load_flow_pictures(l, e, f);
    cfg_check_boxes(l, e[F_CROP].value, f, f->is_flow);
}

/* ---- audio ---- */

enum { A_RATE, A_CHANNELS, A_BITRATE, A_SILENCE, A_N };
static const struct cfg_key audio_keys[A_N] = {
    [A_RATE] = {"rate", false},
    [A_CHANNELS] = {"channels", false},
    [A_BITRATE] = {"bitrate", false},
    [A_SILENCE] = {"silence", false},
};

static void load_audio(struct cfg_loader *l, struct cfg_node node, struct cfg_place path_at,
                       struct cfg_view *v)
{
    static const char *const extensions[] = {[CFG_MP3] = "mp3", [CFG_WAV] = "wav"};
    /* ISO/IEC 11172-3 and 13818-3, and 2.5: the rates of layer III */
    static const char *const rates[] = {"8000",  "11025", "12000", "16000", "22050",
                                        "24000", "32000", "44100", "48000"};
    struct cfg_audio *a = &v->audio;
    struct cfg_entry e[A_N];
    int chosen = 0;
    *a = (struct cfg_audio){0};
    int format = v->path ? cfg_read_extension(l, path_at, v->path, "an audio view", extensions, 2) : -1;
    a->format = format < 0 ? CFG_MP3 : (enum cfg_audio_format)format;
    if (!cfg_read_map(l, node, "audio", true, audio_keys, A_N, e))
        return;
    if (e[A_RATE].value.yaml && a->format == CFG_WAV)
        (void)cfg_read_int(l, e[A_RATE].value, "rate", 1000, 384000, &a->rate);
    else if (e[A_RATE].value.yaml &&
             cfg_read_choice(l, e[A_RATE].value, "rate", rates, BASE_ARRAY_LEN(rates), &chosen))
        a->rate = atoi(rates[chosen]);
    if (e[A_CHANNELS].value.yaml)
        (void)cfg_read_int(l, e[A_CHANNELS].value, "channels", 1, 2, &a->channels);
    if (e[A_BITRATE].value.yaml && format == CFG_WAV)
        cfg_mistake(&l->log, cfg_node_place(e[A_BITRATE].key), "\"bitrate\" is for .mp3 only");
    else if (e[A_BITRATE].value.yaml)
        (void)cfg_read_bitrate(l, e[A_BITRATE].value, "bitrate", &a->bitrate);
    if (e[A_SILENCE].value.yaml)
        (void)cfg_read_bool(l, e[A_SILENCE].value, "silence", &a->silence);
}

/* ---- subtitles: a list of where to look, or { from: that list, missing: empty|none, ... } ---- */

enum { S_FROM, S_MISSING, S_TEXT, S_START, S_END, S_N };
static const struct cfg_key subtitles_keys[S_N] = {
    [S_FROM] = {"from", false},   [S_MISSING] = {"missing", false}, [S_TEXT] = {"text", false},
    [S_START] = {"start", false}, [S_END] = {"end", false},
};

static void load_from(struct cfg_loader *l, struct cfg_node node, struct cfg_subtitles *s)
{
    static const char *const names[] = {
        [CFG_SIDECAR] = "sidecar", [CFG_EMBEDDED] = "embedded", [CFG_TABLE] = "table"};
    size_t n = 0;
    if (!cfg_read_list(l, node, "subtitles", BASE_ARRAY_LEN(s->sources), &n))
        return;
    s->n_sources = 0;
    for (size_t i = 0; i < n; i++) {
        struct cfg_node item = cfg_list_item(node, i);
        int source = 0, have = 0;
        if (!cfg_read_choice(l, item, "subtitles", names, BASE_ARRAY_LEN(names), &source))
            continue;
        while (have < s->n_sources && s->sources[have] != (enum cfg_subtitle_source)source)
            have++;
        if (have < s->n_sources)
            cfg_mistake(&l->log, cfg_node_place(item), "subtitles: \"%s\" stands twice", names[source]);
        else
            s->sources[s->n_sources++] = (enum cfg_subtitle_source)source;
    }
}

static bool is_from_table(const struct cfg_subtitles *s)
{
    for (int i = 0; i < s->n_sources; i++) {
        if (s->sources[i] == CFG_TABLE)
            return true;
    }
    return false;
}

/* The field that a key names, else the one of the key's own name: that there must be one of the text, and may
 * be for the times. -1 = none. */
static int cue_field(struct cfg_loader *l, struct cfg_node value, struct cfg_place at, int key)
{
    const char *name = subtitles_keys[key].name;
    if (value.yaml) {
        const char *given = cfg_read_text(l, value, name);
        return given ? cfg_field_read(l, cfg_node_place(value), name, given) : -1;
    }
    if (key == S_TEXT)
        return cfg_field_read(l, at, "subtitles from a table", name);
    int field = cfg_field_find(l->c, name, strlen(name));
    if (field < 0 && (field = cfg_field_open(l, at, name, strlen(name))) >= 0)
        l->c->may_lack[field] = true;
    return field;
}

static void load_cue_fields(struct cfg_loader *l, struct cfg_place at, const struct cfg_entry *e,
                            struct cfg_subtitles *s)
{
    if (is_from_table(s)) {
        s->text = cue_field(l, e[S_TEXT].value, at, S_TEXT);
        s->start = cue_field(l, e[S_START].value, at, S_START);
        s->end = cue_field(l, e[S_END].value, at, S_END);
        return;
    }
    for (int i = S_TEXT; i <= S_END; i++) {
        if (e[i].key.yaml)
            cfg_mistake(&l->log, cfg_node_place(e[i].key), "\"%s\" is for subtitles from a table only",
                        subtitles_keys[i].name);
    }
}

static void load_subtitles(struct cfg_loader *l, struct cfg_node node, struct cfg_place path_at,
                           struct cfg_view *v)
{
    static const char *const extensions[] = {"srt"};
    static const char *const missing[] = {"empty", "none"};
    struct cfg_subtitles *s = &v->subtitles;
    struct cfg_entry e[S_N] = {0};
    int chosen = 0;
    *s = (struct cfg_subtitles){.sources = {CFG_SIDECAR, CFG_EMBEDDED},
                                .n_sources = 2,
                                .text = -1,
                                .start = -1,
                                .end = -1,
                                .empty = true};
    if (v->path)
        (void)cfg_read_extension(l, path_at, v->path, "a subtitles view", extensions, 1);
    if (node.yaml->type == YAML_SEQUENCE_NODE)
        load_from(l, node, s);
    else if (!cfg_read_map(l, node, "subtitles", true, subtitles_keys, S_N, e))
        return;
    if (e[S_FROM].value.yaml)
        load_from(l, e[S_FROM].value, s);
    if (e[S_MISSING].value.yaml && cfg_read_choice(l, e[S_MISSING].value, "missing", missing, 2, &chosen))
        s->empty = chosen == 0;
    load_cue_fields(l, cfg_node_place(node), e, s);
}

/* ---- One view ---- */

/* There is nothing to set. */
static void load_file(struct cfg_loader *l, struct cfg_node node)
{
    bool map = node.yaml->type == YAML_MAPPING_NODE;
    if (!cfg_node_is_null(node) &&
        !(map && node.yaml->data.mapping.pairs.start == node.yaml->data.mapping.pairs.top))
        cfg_mistake(&l->log, cfg_node_place(node), "file: expected {}");
}

static void load_text(struct cfg_loader *l, struct cfg_node node, struct cfg_view *v)
{
    const char *text = cfg_read_text(l, node, "text");
    v->text = text ? cfg_template_parse(l, cfg_node_place(node), text, CFG_USE_TEXT) : NULL;
}

/* Which of the kinds' keys the view has; 0 when reported. */
static int view_kind(struct cfg_loader *l, struct cfg_place at, const struct cfg_entry *e)
{
    int kind = 0;
    for (int i = VIEW_FRAMES; i <= VIEW_STACK; i++) {
        if (!e[i].key.yaml)
            continue;
        if (kind) {
            cfg_mistake(&l->log, cfg_node_place(e[i].key),
                        "a view is one of frames, audio, subtitles, text, files, file, npy, list, command or "
                        "stack; this one has \"%s\" and \"%s\"",
                        view_keys[kind].name, view_keys[i].name);
            return 0;
        }
        kind = i;
    }
    if (!kind)
        cfg_mistake(
            &l->log, at,
            "a view needs one of frames, audio, subtitles, text, files, file, npy, list, command or stack");
    return kind;
}

static void check_path_is_new(struct cfg_loader *l, struct cfg_place at, const struct cfg_template *path)
{
    for (size_t i = 0; i < l->c->n_views; i++) {
        const struct cfg_view *other = &l->c->views[i];
        if (other->path && cfg_template_equal(other->path, path)) {
            cfg_mistake(&l->log, at, "the view at line %d has the same path", other->line);
            return;
        }
    }
}

static void load_where(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_view *v)
{
    v->shown_by = (int)l->c->n_views;
    if (e->value.yaml && (v->kind == CFG_FILES || v->kind == CFG_LIST))
        cfg_mistake(&l->log, cfg_node_place(e->key),
                    v->kind == CFG_LIST ? "\"where\" of a list stands in the list"
                                        : "\"where\" is about clips, and these files are of none");
    else if (e->value.yaml)
        cfg_load_conditions(l, e->value, "where", &v->where, &v->n_where);
}

bool cfg_is_shown(const struct cfg_view *v, const struct cfg_clip *clip)
{
    return !(clip->hidden >> v->shown_by & 1);
}

int cfg_hide_clips(const struct cfg *c, struct cfg_matcher *matcher, struct cfg_clips *clips)
{
    for (size_t v = 0; v < c->n_views; v++) {
        const struct cfg_view *view = &c->views[v];
        for (size_t i = 0; view->n_where > 0 && i < clips->n; i++) {
            struct cfg_clip *clip = &clips->clips[i];
            int held = cfg_conditions_hold(matcher, view->where, view->n_where, clip->values);
            if (held < 0)
                return held;
            if (!held)
                clip->hidden |= UINT64_C(1) << v;
        }
    }
    return 0;
}

static void load_view(struct cfg_loader *l, struct cfg_node node)
{
    struct cfg_entry e[VIEW_N];
    struct cfg_place at = cfg_node_place(node), path_at = at;
    size_t before = l->log.n;
    if (!cfg_read_map(l, node, "a view", false, view_keys, VIEW_N, e) || l->log.n != before)
        return; /* a misspelt or later kind must not give a second line about its absence */
    int kind = view_kind(l, at, e);
    if (!e[VIEW_PATH].value.yaml)
        cfg_mistake(&l->log, at, "a view needs a \"path\", such as \"img/{clip}/{frame:06d}.jpg\"");
    if (!kind)
        return;
    struct cfg_view v = {.kind = kind == VIEW_STACK ? CFG_LIST
                                                    : (enum cfg_view_kind)(kind - VIEW_FRAMES + CFG_FRAMES),
                         .file = at.file,
                         .line = at.line,
                         .column = at.column};
    const char *path = e[VIEW_PATH].value.yaml ? cfg_read_text(l, e[VIEW_PATH].value, "path") : NULL;
    if (path) {
        path_at = cfg_node_place(e[VIEW_PATH].value);
        v.path = cfg_template_parse(l, path_at, path,
                                    v.kind == CFG_FRAMES  ? CFG_USE_FRAMES_PATH
                                    : v.kind == CFG_FILES ? CFG_USE_FILES_PATH
                                                          : CFG_USE_PATH);
    }
    if (v.path)
        check_path_is_new(l, path_at, v.path);
    load_where(l, &e[VIEW_WHERE], &v);
    struct cfg_node value = e[kind].value;
    if (v.kind == CFG_FRAMES)
        load_frames(l, value, path_at, &v);
    else if (v.kind == CFG_AUDIO)
        load_audio(l, value, path_at, &v);
    else if (v.kind == CFG_SUBTITLES)
        load_subtitles(l, value, path_at, &v);
    else if (v.kind == CFG_FILES && !cfg_node_is_null(value)) /* nothing: all */
        cfg_read_globs(l, value, "files", &v.files.globs, &v.files.n_globs);
    else if (v.kind == CFG_FILE)
        load_file(l, value);
    else if (v.kind == CFG_NPY)
        cfg_load_npy(l, value, path_at, &v);
    else if (v.kind == CFG_COMMAND)
        cfg_load_command(l, value, &v);
    else if (v.kind == CFG_TEXT)
        load_text(l, value, &v);
    else if (kind == VIEW_STACK)
        cfg_load_stack(l, value, path_at, &v);
    else if (v.kind == CFG_LIST)
        cfg_load_list(l, value, &v);
    l->c->views[l->c->n_views++] = v;
}

const struct cfg_frames *cfg_frames_of(const struct cfg_view *v)
{
    if (v->kind == CFG_NPY)
        return &v->npy.frames;
    return v->kind == CFG_FRAMES ? &v->frames : NULL;
}

const struct cfg_template *cfg_crop_of_clip(const struct cfg_view *v)
{
    const struct cfg_frames *f = cfg_frames_of(v);
    return f ? f->crop_of_clip : NULL;
}

int cfg_expand_crop(const struct cfg_view *v, const struct cfg_clips *clips, const struct cfg_clip *clip,
                    char out[64])
{
    struct base_bytes text = {0};
    cfg_expand(cfg_crop_of_clip(v), clips, clip, 0, 0, &text);
    (void)snprintf(out, 64, "%.*s", (int)BASE_MIN(text.len, (size_t)64), (const char *)text.data);
    int err = text.failed ? -ENOMEM : text.len >= 64 || !cfg_crop_is_good(out) ? -EINVAL : 0;
    base_bytes_finish(&text);
    return err;
}

int cfg_take_crops(const struct cfg *c, struct cfg_arena *arena, struct cfg_clips *clips)
{
    for (size_t v = 0; v < c->n_views; v++) {
        if (!cfg_crop_of_clip(&c->views[v]))
            continue;
        for (size_t i = 0; i < clips->n; i++) {
            struct cfg_clip *clip = &clips->clips[i];
            char crop[64];
            if (!cfg_is_shown(&c->views[v], clip))
                continue;
            const char **crops = clip->crops ? (const char **)(uintptr_t)clip->crops
                                             : cfg_arena_alloc(arena, c->n_views, sizeof *crops);
            int err = crops ? cfg_expand_crop(&c->views[v], clips, clip, crop) : -ENOMEM;
            if (err)
                return err;
            crops[v] = cfg_arena_text(arena, crop, strlen(crop));
            clip->crops = crops;
            if (!crops[v])
                return -ENOMEM;
        }
    }
    return 0;
}

void cfg_load_views(struct cfg_loader *l, struct cfg_node node)
{
    size_t n = 0;
    if (!cfg_read_list(l, node, "views", CFG_MAX_VIEWS, &n))
        return;
    l->c->views = cfg_keep_alloc(l, 2 * n, sizeof *l->c->views);
    for (size_t i = 0; l->c->views && i < n; i++)
        load_view(l, cfg_list_item(node, i));
}

void cfg_add_n_frames(struct cfg_loader *l, struct cfg_place at, int fewest)
{
    size_t n = l->c->n_views;
    for (size_t i = 0; i < n; i++) {
        const struct cfg_view *frames = &l->c->views[i];
        if (frames->kind != CFG_FRAMES || !frames->path || frames->frames.is_flow)
            continue;
        struct cfg_view v = {.kind = CFG_TEXT,
                             .shown_by = frames->shown_by,
                             .file = at.file,
                             .line = at.line,
                             .column = at.column};
        v.path = cfg_template_beside(l, frames->path, "n_frames");
        v.text = cfg_template_parse(l, at, "{nframes}", CFG_USE_TEXT);
        if (!v.path || !v.text)
            return;
        v.text->parts[0].fewest = fewest;
        check_path_is_new(l, at, v.path);
        l->c->views[l->c->n_views++] = v;
    }
}
