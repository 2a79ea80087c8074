/* SPDX-License-Identifier: Apache-2.0 */
#include "mountcfg/scanning.h"

#include <errno.h>

/* Owns what the clips point into. */
struct owned_clips {
    struct cfg_clips clips; /* first: cfg_clips_destroy() casts back */
    struct cfg_arena arena;
};

/* ---- Fields ---- */

/* Sets values[] from the path. 1 = it is the source's, 0 = not, or -ENOMEM. */
static int take_fields(struct cfg_scan *s, const struct cfg_source *source, const char *path, size_t len,
                       const char **values)
{
    if (source->match.utf) {
        int matched = cfg_match(&s->matcher, &source->match, path, len);
        int err = matched > 0 ? cfg_take_groups(&s->matcher, &source->match, false, values) : 0;
        return err < 0 ? err : matched;
    }
    const char *name = cfg_base_name(path);
    values[source->clip_field] = cfg_arena_text(s->arena, name, cfg_stem_len(name));
    return values[source->clip_field] ? 1 : -ENOMEM;
}

/* ---- The scan ---- */

struct cfg_clip *cfg_add_clip(struct cfg_scan *s, const char *path, size_t len)
{
    struct cfg_clip *clip = cfg_list_add(&s->clips, sizeof *clip);
    const char *own = clip ? cfg_arena_text(s->arena, path, len) : NULL;
    if (!own)
        return NULL;
    *clip = (struct cfg_clip){.path = own, .label = own, .values = base_steal_pointer(s->values)};
    return clip;
}

int cfg_take(struct cfg_scan *s, const struct cfg_source *source, const char *path, size_t len,
             bool *ret_wanted)
{
    if (!cfg_globs_match(source->globs, source->n_globs, path, len))
        return 0;
    *ret_wanted = true;
    if (!s->values)
        s->values = cfg_arena_alloc(s->arena, s->c->n_fields, sizeof *s->values);
    int taken = s->values ? take_fields(s, source, path, len, s->values) : -ENOMEM;
    s->n_taken[source - s->c->sources] += taken > 0;
    return taken;
}

void cfg_note_unmatched(struct cfg_scan *s, const char *path)
{
    if (s->n_unmatched < CFG_MAX_UNMATCHED) /* only for messages: NULL does no harm */
        s->unmatched[s->n_unmatched] = cfg_arena_text(s->arena, path, strlen(path));
    s->n_unmatched++;
}

static bool shows_file(const struct cfg *c, const char *path, size_t len)
{
    for (size_t i = 0; i < c->n_views; i++) {
        if (c->views[i].kind == CFG_FILES && cfg_files_show(&c->views[i].files, path, len))
            return true;
    }
    return false;
}

bool cfg_is_stray(const struct cfg *c, const char *path, size_t len)
{
    return cfg_extension_of(path, cfg_video_extensions, CFG_N_VIDEO_EXTENSIONS) >= 0 &&
           !shows_file(c, path, len);
}

static int add_sidecar(struct cfg_scan *s, const char *path, size_t len)
{
    struct cfg_sidecar *file = cfg_list_add(&s->sidecars, sizeof *file);
    if (!file)
        return -ENOMEM;
    file->path = cfg_arena_text(s->arena, path, len);
    return file->path ? 0 : -ENOMEM;
}

/* Keeps a path in a list of const char *. */
static int add_path(struct cfg_scan *s, struct cfg_list *list, const char *path, size_t len)
{
    const char **file = cfg_list_add(list, sizeof *file);
    if (!file)
        return -ENOMEM;
    *file = cfg_arena_text(s->arena, path, len);
    return *file ? 0 : -ENOMEM;
}

int cfg_add_tables(struct cfg_scan *s, const char *path, size_t len, const char *label, uint32_t archive,
                   uint32_t member)
{
    for (size_t i = 0; i < s->c->n_tables; i++) {
        if (!cfg_globs_match(s->c->tables[i].globs, s->c->tables[i].n_globs, path, len))
            continue;
        struct cfg_table_file *file = cfg_list_add(&s->tables, sizeof *file);
        const char *own = file ? cfg_arena_text(s->arena, path, len) : NULL;
        if (!own)
            return -ENOMEM;
        *file = (struct cfg_table_file){i, own, label ? label : own, archive, member};
    }
    return 0;
}

/* The first source that takes a file by pattern and expression has it. */
static int visit_file(void *context, const char *path, size_t len)
{
    struct cfg_scan *s = context;
    bool wanted = false;
    int err = cfg_add_tables(s, path, len, NULL, 0, 0);
    if (err < 0)
        return err;
    if (cfg_is_shard(s->c, path, len))
        return add_path(s, &s->shards, path, len);
    err = shows_file(s->c, path, len) ? add_path(s, &s->files, path, len) : 0;
    if (err < 0)
        return err;
    if (cfg_is_sidecar(path))
        return add_sidecar(s, path, len);
    for (size_t i = 0; i < s->c->n_sources; i++) {
        if (s->c->sources[i].n_archives > 0)
            continue;
        int taken = cfg_take(s, &s->c->sources[i], path, len, &wanted);
        if (taken < 0)
            return taken;
        if (taken > 0)
            return cfg_add_clip(s, path, len) ? 0 : -ENOMEM;
    }
    if (wanted)
        cfg_note_unmatched(s, path);
    return 0;
}

static int compare_clips(const void *a, const void *b)
{
    const struct cfg_clip *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order ? order : strcmp(x->label, y->label);
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_paths(struct cfg_list *paths)
{
    if (paths->n > 1)
        qsort(paths->items, paths->n, sizeof(char *), compare_paths);
}

static void find_sidecars(struct cfg_scan *s)
{
    struct cfg_clip *clips = s->clips.items;
    cfg_sort_sidecars(s->sidecars.items, s->sidecars.n);
    for (size_t i = 0; i < s->clips.n; i++) {
        const struct cfg_sidecar *found = cfg_sidecar_of(s->sidecars.items, s->sidecars.n, clips[i].path);
        clips[i].sidecar = found ? found->path : NULL;
    }
}

static int copy_fields(struct cfg_scan *s)
{
    const char **fields = cfg_arena_alloc(s->arena, s->c->n_fields, sizeof *fields);
    if (!fields)
        return -ENOMEM;
    for (size_t i = 0; i < s->c->n_fields; i++) {
        fields[i] = cfg_arena_text(s->arena, s->c->fields[i], strlen(s->c->fields[i]));
        if (!fields[i])
            return -ENOMEM;
    }
    s->out->clips.fields = fields;
    s->out->clips.n_fields = s->c->n_fields;
    return 0;
}

static void report_findings(struct cfg_scan *s)
{
    const struct cfg *c = s->c;
    size_t n_unmatched = s->n_unmatched;
    if (s->clips.n > 0 || s->files.n > 0 || s->archives.n > 0)
        return;
    if (n_unmatched == 0)
        cfg_note(s->log, c->sources_place,
                 "warning: no clip was found: no file below %s suits a \"videos\" pattern",
                 c->n_merged > 0 ? "the roots" : c->root);
    else
        cfg_note(s->log, c->sources_place,
                 "warning: no clip was found: %zu files suit a \"videos\" pattern, but no \"match\"; the "
                 "first is %s",
                 n_unmatched, s->unmatched[0] ? s->unmatched[0] : "unknown");
}

/* From what the names gave to the clips of the tree. */
static int finish_clips(struct cfg_scan *s, const struct cfg_reader *reader)
{
    struct cfg_clips *clips = &s->out->clips;
    int err =
        cfg_join_tables(s->c, reader, s->log, &s->matcher, s->tables.items, s->tables.n, &s->places, clips);
    size_t n = clips->n;
    if (!err)
        err = cfg_derive_fields(s->c, s->log, &s->matcher, clips);
    if (!err)
        err = cfg_hide_clips(s->c, &s->matcher, clips);
    if (!err)
        err = cfg_drop_misfits(s->c, s->log, clips);
    clips->n_left_out += n - clips->n;
    if (!err)
        err = cfg_take_cues(s->c, s->log, s->arena, clips);
    if (!err)
        err = cfg_take_crops(s->c, s->arena, clips);
    if (!err)
        err = cfg_make_lists(s->c, s->log, &s->matcher, clips);
    for (size_t i = 0; i < clips->n; i++)
        clips->clips[i].rows = NULL; /* they go with s->places */
    return err;
}

static int scan_all(struct cfg_scan *s, const struct cfg_reader *reader)
{
    int err = copy_fields(s);
    s->n_taken = cfg_arena_alloc(s->arena, s->c->n_sources, sizeof *s->n_taken);
    if (!s->n_taken)
        return -ENOMEM;
    if (err == 0)
        err = cfg_walk(s->c, s->log, visit_file, s);
    sort_paths(&s->shards);
    if (err < 0)
        return err;
    find_sidecars(s);
    err = cfg_scan_shards(s);
    if (err < 0)
        return err;
    if (s->clips.n > UINT32_MAX / 2)
        return -EFBIG;
    report_findings(s);
    sort_paths(&s->files);
    struct cfg_clip *clips = base_steal_pointer(s->clips.items);
    if (s->clips.n > 1)
        qsort(clips, s->clips.n, sizeof *clips, compare_clips);
    s->out->clips.clips = clips;
    s->out->clips.n = s->clips.n;
    s->out->clips.n_taken = s->n_taken;
    s->out->clips.n_left_out = s->n_left_out;
    s->out->clips.n_unmatched = s->n_unmatched;
    memcpy(s->out->clips.unmatched, s->unmatched, sizeof s->unmatched);
    s->out->clips.n_strays = s->n_strays;
    memcpy(s->out->clips.strays, s->strays, sizeof s->strays);
    s->out->clips.n_files = s->files.n;
    s->out->clips.files = base_steal_pointer(s->files.items);
    s->out->clips.n_archives = s->archives.n;
    s->out->clips.archives = base_steal_pointer(s->archives.items);
    return finish_clips(s, reader);
}

int cfg_scan(const struct cfg *c, const struct cfg_reader *reader, const struct cfg_lister *lister,
             cfg_report *report, void *context, struct cfg_clips **ret, size_t *ret_problems)
{
    struct cfg_log log = {report, context, 0, 0};
    struct cfg_scan s = {.c = c, .lister = lister, .log = &log, .out = calloc(1, sizeof *s.out)};
    s.arena = s.out ? &s.out->arena : NULL;
    int err = s.out ? cfg_matcher_init(&s.matcher, c, &s.out->arena) : -ENOMEM;
    if (!err)
        err = scan_all(&s, reader);
    if (!err)
        cfg_matcher_report(&s.matcher, &log);
    cfg_matcher_finish(&s.matcher);
    cfg_arena_finish(&s.places);
    cfg_list_finish(&s.clips);
    cfg_list_finish(&s.sidecars);
    cfg_list_finish(&s.files);
    cfg_list_finish(&s.tables);
    cfg_list_finish(&s.shards);
    cfg_list_finish(&s.archives);
    if (err < 0) {
        cfg_clips_destroy(s.out ? &s.out->clips : NULL);
        return err;
    }
    *ret = &s.out->clips;
    *ret_problems = log.n;
    return 0;
}

void cfg_clips_destroy(struct cfg_clips *clips)
{
    if (!clips)
        return;
    struct owned_clips *owned = (struct owned_clips *)(void *)clips;
    free(clips->clips);
    free((void *)clips->files);
    free((void *)clips->archives);
    cfg_arena_finish(&owned->arena);
    free(owned);
}
