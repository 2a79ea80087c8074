/* SPDX-License-Identifier: Apache-2.0 */
#include "mountcfg/internal.h"

#include <ctype.h>
#include <errno.h>

/* Owns what the clips point into. */
struct owned_clips {
    struct cfg_clips clips; /* first: cfg_clips_destroy() casts back */
    struct cfg_arena arena;
};

struct scan {
    const struct cfg *c;
    struct cfg_log *log;
    struct owned_clips *out;
    struct cfg_list clips;    /* struct cfg_clip */
    struct cfg_list sidecars; /* const char *: every subtitle file that was seen */
    struct cfg_matcher matcher;
    char *unmatched;     /* the first file that no `match` took */
    const char **values; /* room for the next clip's; NULL = none yet */
};

/* ---- Fields ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Length of a name without its extension. */
static size_t stem_len(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && dot > name ? (size_t)(dot - name) : strlen(name);
}

static void note_first(char **first, const char *path)
{
    if (!*first)
        *first = strdup(path); /* only for a message: NULL does no harm */
}

/* Sets values[] from the path. 1 = it is the source's, 0 = not, or -ENOMEM. */
static int take_fields(struct scan *s, const struct cfg_source *source, const char *path, size_t len,
                       const char **values)
{
    if (source->match.utf) {
        int matched = cfg_match(&s->matcher, &source->match, path, len);
        int err = matched > 0 ? cfg_take_groups(&s->matcher, &source->match, false, values) : 0;
        return err < 0 ? err : matched;
    }
    const char *name = base_name(path);
    values[source->clip_field] = cfg_arena_text(&s->out->arena, name, stem_len(name));
    return values[source->clip_field] ? 1 : -ENOMEM;
}

static bool globs_take(const struct cfg_source *source, const char *path, size_t len)
{
    for (size_t i = 0; i < source->n_globs; i++) {
        if (cfg_glob_match(source->globs[i], path, len))
            return true;
    }
    return false;
}

/* ---- Subtitle files beside the videos ---- */

/* How well an extension suits, 0 best; -1 = none of subtitles. */
static int sidecar_rank(const char *extension)
{
    static const char *const extensions[] = {".srt", ".vtt", ".ass", ".ssa"};
    for (int i = 0; i < (int)BASE_ARRAY_LEN(extensions); i++) {
        if (strcasecmp(extension, extensions[i]) == 0)
            return i;
    }
    return -1;
}

/* A language as in clip.en.srt or clip.pt-BR.srt: two or three letters, then parts of up to eight characters.
 */
static bool is_language(const char *p, size_t len)
{
    size_t letters = 0;
    while (letters < len && isalpha((unsigned char)p[letters]))
        letters++;
    if (letters < 2 || letters > 3)
        return false;
    for (size_t i = letters; i < len;) {
        size_t part = 1;
        while (i + part < len && isalnum((unsigned char)p[i + part]))
            part++;
        if ((p[i] != '-' && p[i] != '_') || part < 2 || part > 9)
            return false;
        i += part;
    }
    return true;
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The first of the sorted texts that is not below `prefix`. */
static size_t lower_bound(const char *const *texts, size_t n, const char *prefix, size_t len)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strncmp(texts[middle], prefix, len) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const char *find_sidecar(const struct scan *s, const char *path)
{
    const char *const *files = s->sidecars.items;
    size_t len = (size_t)(base_name(path) - path) + stem_len(base_name(path));
    const char *best = NULL;
    int best_rank = 100;
    size_t common = len + (path[len] == '.');
    for (size_t i = lower_bound(files, s->sidecars.n, path, common); i < s->sidecars.n; i++) {
        if (strncmp(files[i], path, common) != 0)
            break;
        const char *rest = files[i] + len;
        const char *dot = strrchr(rest, '.');
        if (*rest != '.' || !dot || strchr(rest, '/'))
            continue;
        if (dot != rest && !is_language(rest + 1, (size_t)(dot - rest) - 1))
            continue;
        int rank = sidecar_rank(dot) + (dot == rest ? 0 : 10);
        if (rank < best_rank) {
            best_rank = rank;
            best = files[i];
        }
    }
    return best;
}

/* ---- The scan ---- */

static int add_clip(struct scan *s, const char *path, size_t len, const char *const *values)
{
    struct cfg_clip *clip = cfg_list_add(&s->clips, sizeof *clip);
    if (!clip)
        return -ENOMEM;
    *clip = (struct cfg_clip){.path = cfg_arena_text(&s->out->arena, path, len), .values = values};
    return clip->path ? 0 : -ENOMEM;
}

static int add_sidecar(struct scan *s, const char *path, size_t len)
{
    const char **file = cfg_list_add(&s->sidecars, sizeof *file);
    if (!file)
        return -ENOMEM;
    *file = cfg_arena_text(&s->out->arena, path, len);
    return *file ? 0 : -ENOMEM;
}

/* The first source that takes a file by pattern and expression has it. */
static int visit_file(void *context, const char *path, size_t len)
{
    struct scan *s = context;
    const char *extension = strrchr(base_name(path), '.');
    bool wanted = false;
    if (extension && sidecar_rank(extension) >= 0)
        return add_sidecar(s, path, len);
    for (size_t i = 0; i < s->c->n_sources; i++) {
        if (!globs_take(&s->c->sources[i], path, len))
            continue;
        wanted = true;
        if (!s->values)
            s->values = cfg_arena_alloc(&s->out->arena, s->c->n_fields, sizeof *s->values);
        int taken = s->values ? take_fields(s, &s->c->sources[i], path, len, s->values) : -ENOMEM;
        if (taken < 0)
            return taken;
        if (taken > 0)
            return add_clip(s, path, len, base_steal_pointer(s->values));
    }
    if (wanted) {
        s->out->clips.n_unmatched++;
        note_first(&s->unmatched, path);
    }
    return 0;
}

static int compare_clips(const void *a, const void *b)
{
    return strcmp(((const struct cfg_clip *)a)->path, ((const struct cfg_clip *)b)->path);
}

static int copy_fields(struct scan *s)
{
    const char **fields = cfg_arena_alloc(&s->out->arena, s->c->n_fields, sizeof *fields);
    if (!fields)
        return -ENOMEM;
    for (size_t i = 0; i < s->c->n_fields; i++) {
        fields[i] = cfg_arena_text(&s->out->arena, s->c->fields[i], strlen(s->c->fields[i]));
        if (!fields[i])
            return -ENOMEM;
    }
    s->out->clips.fields = fields;
    s->out->clips.n_fields = s->c->n_fields;
    return 0;
}

static void report_findings(struct scan *s)
{
    const struct cfg *c = s->c;
    size_t n_unmatched = s->out->clips.n_unmatched;
    if (s->clips.n > 0)
        return;
    if (n_unmatched == 0)
        cfg_note(s->log, c->sources_place,
                 "warning: no clip was found: no file below %s suits a \"videos\" pattern", c->root);
    else
        cfg_note(s->log, c->sources_place,
                 "warning: no clip was found: %zu files suit a \"videos\" pattern, but no \"match\"; the "
                 "first is %s",
                 n_unmatched, s->unmatched ? s->unmatched : "unknown");
}

static int scan_all(struct scan *s)
{
    int err = copy_fields(s);
    if (err == 0)
        err = cfg_walk(s->c, s->log, visit_file, s);
    if (err < 0)
        return err;
    if (s->clips.n > UINT32_MAX / 2)
        return -EFBIG;
    report_findings(s);
    struct cfg_clip *clips = base_steal_pointer(s->clips.items);
    s->out->clips.clips = clips;
    s->out->clips.n = s->clips.n;
    if (s->sidecars.n > 1)
        qsort(s->sidecars.items, s->sidecars.n, sizeof(char *), compare_text);
    if (s->clips.n > 1)
        qsort(clips, s->clips.n, sizeof *clips, compare_clips);
    for (size_t i = 0; i < s->clips.n; i++)
        clips[i].sidecar = find_sidecar(s, clips[i].path);
    err = cfg_derive_fields(s->c, s->log, &s->matcher, &s->out->clips);
    if (!err)
        err = cfg_drop_misfits(s->c, s->log, &s->out->clips);
    return err ? err : cfg_take_crops(s->c, &s->out->arena, &s->out->clips);
}

int cfg_scan(const struct cfg *c, cfg_report *report, void *context, struct cfg_clips **ret,
             size_t *ret_problems)
{
    struct cfg_log log = {report, context, 0, 0};
    struct scan s = {.c = c, .log = &log, .out = calloc(1, sizeof *s.out)};
    int err = s.out ? cfg_matcher_init(&s.matcher, c, &s.out->arena) : -ENOMEM;
    if (!err)
        err = scan_all(&s);
    if (!err)
        cfg_matcher_report(&s.matcher, &log);
    cfg_matcher_finish(&s.matcher);
    cfg_list_finish(&s.clips);
    cfg_list_finish(&s.sidecars);
    free(s.unmatched);
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
    cfg_arena_finish(&owned->arena);
    free(owned);
}
