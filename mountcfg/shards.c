/* SPDX-License-Identifier: Apache-2.0 */
/* Clips in archives. */
#include "mountcfg/scanning.h"

#include "base/sample.h"

#include <errno.h>

/* A member that is an archive itself. */
struct inner {
    const char *label, *shard;
    uint32_t archive, member;
};

/* One archive being looked through. */
struct shard {
    struct cfg_scan *s;
    const struct cfg_archive *archive;
    const char *file; /* the outermost one's path */
    uint32_t number;
    size_t first_clip, first_table; /* of those that were found in it */
    struct cfg_list sidecars;       /* struct cfg_sidecar */
    struct cfg_list inner;          /* struct inner */
    bool grouped;                   /* to samples */
    struct cfg_samples samples;
};

bool cfg_has_archives(const struct cfg *c)
{
    for (size_t i = 0; i < c->n_sources; i++) {
        if (c->sources[i].n_archives > 0)
            return true;
    }
    return false;
}

static bool takes_shard(const struct cfg_source *source, const char *path, size_t len)
{
    return cfg_globs_match(source->archives, source->n_archives, path, len);
}

bool cfg_is_shard(const struct cfg *c, const char *path, size_t len)
{
    for (size_t i = 0; i < c->n_sources; i++) {
        if (takes_shard(&c->sources[i], path, len))
            return true;
    }
    return false;
}

/* "outer: inner", or with a slash. */
static const char *join(struct cfg_scan *s, const char *outer, const char *between, const char *inner)
{
    base_autofree char *text = NULL;
    int len = asprintf(&text, "%s%s%s", outer, between, inner);
    if (len < 0)
        text = NULL;
    return len < 0 ? NULL : cfg_arena_text(s->arena, text, (size_t)len);
}

/* The path without its last extension, and without .tar before that. */
static const char *shard_name(struct cfg_scan *s, const char *path)
{
    size_t dir = (size_t)(cfg_base_name(path) - path), len = dir + cfg_stem_len(path + dir);
    if (len > dir + 4 && strncasecmp(path + len - 4, ".tar", 4) == 0)
        len -= 4;
    return cfg_arena_text(s->arena, path, len);
}

static bool is_hidden(const char *path)
{
    return *path == '.' || strstr(path, "/.");
}

/* ---- Members ---- */

static int add_video(struct shard *h, const struct cfg_source *source, const struct cfg_member *m,
                     uint32_t sample)
{
    size_t key_len;
    if (source->samples && base_sample_split(m->path, &key_len)) {
        h->s->values[source->key_field] = cfg_arena_text(h->s->arena, m->path, key_len);
        if (!h->s->values[source->key_field])
            return -ENOMEM;
    }
    struct cfg_clip *clip = cfg_add_clip(h->s, m->path, m->len);
    if (!clip)
        return -ENOMEM;
    clip->label = join(h->s, h->archive->path, ": ", clip->path);
    clip->shard = h->archive->shard;
    clip->archive = h->number;
    clip->member = m->content;
    clip->sample = sample;
    return clip->label ? 0 : -ENOMEM;
}

static int add_sidecar(struct shard *h, const struct cfg_member *m)
{
    struct cfg_sidecar *file = cfg_list_add(&h->sidecars, sizeof *file);
    if (!file)
        return -ENOMEM;
    *file = (struct cfg_sidecar){cfg_arena_text(h->s->arena, m->path, m->len), m->content};
    return file->path ? 0 : -ENOMEM;
}

static int add_inner(struct shard *h, const struct cfg_member *m)
{
    struct inner *inner = cfg_list_add(&h->inner, sizeof *inner);
    if (!inner)
        return -ENOMEM;
    const char *shard = shard_name(h->s, m->path);
    *inner = (struct inner){
        .label = join(h->s, h->archive->path, ": ", m->path),
        .shard = shard ? join(h->s, h->archive->shard, "/", shard) : NULL,
        .archive = h->number,
        .member = m->content,
    };
    return inner->label && inner->shard ? 0 : -ENOMEM;
}

static bool is_inner(const struct shard *h, const struct cfg_member *m)
{
    for (size_t i = 0; i < h->s->c->n_sources; i++) {
        const struct cfg_source *source = &h->s->c->sources[i];
        if (takes_shard(source, h->file, strlen(h->file)) &&
            cfg_globs_match(source->nested, source->n_nested, m->path, m->len))
            return true;
    }
    return false;
}

static bool is_table(const struct cfg *c, const struct cfg_member *m)
{
    for (size_t i = 0; i < c->n_tables; i++) {
        if (cfg_globs_match(c->tables[i].globs, c->tables[i].n_globs, m->path, m->len))
            return true;
    }
    return false;
}

/* Adds the member to the tables that take the field of the sample that it is. */
static int add_fields(struct shard *h, const struct cfg_member *m, uint32_t sample)
{
    struct cfg_scan *s = h->s;
    size_t key_len;
    if (!base_sample_split(m->path, &key_len))
        return 0;
    for (size_t i = 0; i < s->c->n_tables; i++) {
        const char *field = s->c->tables[i].member;
        if (!field || strcasecmp(field, m->path + key_len + 1) != 0)
            continue;
        struct cfg_table_file *file = cfg_list_add(&s->tables, sizeof *file);
        if (!file)
            return -ENOMEM;
        *file = (struct cfg_table_file){.table = i,
                                        .path = cfg_arena_text(s->arena, m->path, m->len),
                                        .label = join(s, h->archive->path, ": ", m->path),
                                        .archive = h->number,
                                        .member = m->content,
                                        .sample = sample};
        if (!file->path || !file->label)
            return -ENOMEM;
    }
    return 0;
}

static int add_tables(struct shard *h, const struct cfg_member *m)
{
    const char *label = join(h->s, h->archive->path, ": ", m->path);
    return label ? cfg_add_tables(h->s, m->path, m->len, label, h->number, m->content) : -ENOMEM;
}

/* What the member is besides a video. *ret_sample: its sample; a second name for a file has none. */
static int note_member(struct shard *h, const struct cfg_member *m, uint32_t *ret_sample)
{
    int err = is_table(h->s->c, m) ? add_tables(h, m) : 0;
    if (err || !h->grouped || m->content != m->number)
        return err;
    err = cfg_samples_add(&h->samples, h->s, h->archive->path, m->path, ret_sample);
    return err || *ret_sample == 0 ? err : add_fields(h, m, *ret_sample);
}

/* As visit_file() of scan.c. */
static int visit_member(void *context, const struct cfg_member *m)
{
    struct shard *h = context;
    struct cfg_scan *s = h->s;
    bool wanted = false, sought = false;
    uint32_t sample = 0;
    if (m->kind != CFG_MEMBER_FILE || is_hidden(m->path))
        return 0;
    int err = note_member(h, m, &sample);
    if (err < 0)
        return err;
    if (cfg_is_sidecar(m->path))
        return add_sidecar(h, m);
    if (is_inner(h, m))
        return add_inner(h, m);
    for (size_t i = 0; i < s->c->n_sources; i++) {
        if (s->c->sources[i].n_globs == 0 || !takes_shard(&s->c->sources[i], h->file, strlen(h->file)) ||
            (s->c->sources[i].samples && sample == 0))
            continue;
        sought = true;
        int taken = cfg_take(s, &s->c->sources[i], m->path, m->len, &wanted);
        if (taken < 0)
            return taken;
        if (taken > 0)
            return add_video(h, &s->c->sources[i], m, sample);
    }
    if (wanted)
        cfg_note_unmatched(s, m->path);
    else if (sought && cfg_is_stray(s->c, m->path, m->len) && s->n_strays++ < CFG_MAX_UNMATCHED)
        s->strays[s->n_strays - 1] = join(s, h->archive->path, ": ", m->path); /* NULL does no harm */
    return 0;
}

/* ---- Archives ---- */

static int compare_clips(const void *a, const void *b)
{
    const struct cfg_clip *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order ? order : (x->member > y->member) - (x->member < y->member);
}

static int compare_tables(const void *a, const void *b)
{
    const struct cfg_table_file *x = a, *y = b;
    if (x->table != y->table)
        return x->table < y->table ? -1 : 1;
    int order = strcmp(x->path, y->path);
    return order ? order : (x->member > y->member) - (x->member < y->member);
}

/* Of members of one name, the last is meant. */
static void drop_earlier(struct shard *h)
{
    struct cfg_clip *clips = (struct cfg_clip *)h->s->clips.items + h->first_clip;
    size_t n = h->s->clips.n - h->first_clip, kept = 0;
    if (n > 1)
        qsort(clips, n, sizeof *clips, compare_clips);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 == n || strcmp(clips[i].path, clips[i + 1].path) != 0)
            clips[kept++] = clips[i];
    }
    h->s->clips.n = h->first_clip + kept;
    struct cfg_table_file *tables = (struct cfg_table_file *)h->s->tables.items + h->first_table;
    n = h->s->tables.n - h->first_table;
    kept = 0;
    if (n > 1)
        qsort(tables, n, sizeof *tables, compare_tables);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 == n || tables[i].table != tables[i + 1].table || tables[i].sample ||
            strcmp(tables[i].path, tables[i + 1].path) != 0)
            tables[kept++] = tables[i];
    }
    h->s->tables.n = h->first_table + kept;
}

/* Samples with a field twice are reported, and none. */
static void drop_bad_samples(struct shard *h)
{
    struct cfg_clip *clips = h->s->clips.items;
    struct cfg_table_file *tables = h->s->tables.items;
    size_t n_clips = h->first_clip, n_tables = h->first_table;
    for (size_t i = n_clips; i < h->s->clips.n; i++) {
        if (cfg_sample_is_good(&h->samples, clips[i].sample))
            clips[n_clips++] = clips[i];
    }
    for (size_t i = n_tables; i < h->s->tables.n; i++) {
        if (cfg_sample_is_good(&h->samples, tables[i].sample))
            tables[n_tables++] = tables[i];
    }
    h->s->n_left_out += h->s->clips.n - n_clips;
    h->s->clips.n = n_clips;
    h->s->tables.n = n_tables;
}

static int find_sidecars(struct shard *h)
{
    struct cfg_clip *clips = h->s->clips.items;
    cfg_sort_sidecars(h->sidecars.items, h->sidecars.n);
    for (size_t i = h->first_clip; i < h->s->clips.n; i++) {
        const struct cfg_sidecar *found = cfg_sidecar_of(h->sidecars.items, h->sidecars.n, clips[i].path);
        if (!found)
            continue;
        clips[i].sidecar = join(h->s, h->archive->path, ": ", found->path);
        clips[i].sidecar_member = found->member;
        if (!clips[i].sidecar)
            return -ENOMEM;
    }
    return 0;
}

/* Whether there is something to look for in an archive, beside what files views show. */
static bool is_wanted(const struct cfg_scan *s, const char *file)
{
    if (s->c->n_tables > 0)
        return true;
    for (size_t i = 0; i < s->c->n_sources; i++) {
        const struct cfg_source *source = &s->c->sources[i];
        if ((source->n_globs > 0 || source->n_nested > 0) && takes_shard(source, file, strlen(file)))
            return true;
    }
    return false;
}

static bool is_grouped(const struct cfg_scan *s, const char *file)
{
    for (size_t i = 0; i < s->c->n_sources; i++) {
        if (s->c->sources[i].samples && takes_shard(&s->c->sources[i], file, strlen(file)))
            return true;
    }
    return false;
}

static int scan_archive(struct cfg_scan *s, const char *file, struct cfg_archive archive, int depth);

static int scan_inner(struct shard *h, const struct inner *inner, int depth)
{
    uint32_t number = 0;
    if (depth == CFG_MAX_NESTED) {
        cfg_mistake(h->s->log, h->s->c->sources_place, "%s: more than %d archives in one another: left out",
                    inner->label, CFG_MAX_NESTED);
        return 0;
    }
    const struct cfg_lister *l = h->s->lister;
    int err = l->open_member(l->context, inner->archive, inner->member, inner->label, &number);
    if (err == -ENOMEM)
        return err;
    if (err < 0) {
        cfg_mistake(h->s->log, h->s->c->sources_place, "%s: it cannot be listed as an archive: left out",
                    inner->label);
        return 0;
    }
    return scan_archive(h->s, h->file, (struct cfg_archive){inner->label, inner->shard, number, true},
                        depth + 1);
}

static int scan_archive(struct cfg_scan *s, const char *file, struct cfg_archive archive, int depth)
{
    struct shard h = {.s = s,
                      .archive = &archive,
                      .file = file,
                      .number = archive.number,
                      .first_clip = s->clips.n,
                      .first_table = s->tables.n,
                      .grouped = is_grouped(s, file)};
    struct cfg_archive *kept = cfg_list_add(&s->archives, sizeof *kept);
    if (!kept)
        return -ENOMEM;
    *kept = archive;
    int err = is_wanted(s, file) ? s->lister->visit(s->lister->context, archive.number, visit_member, &h) : 0;
    if (!err)
        err = cfg_samples_end(&h.samples, s, archive.path);
    if (!err) {
        drop_earlier(&h);
        drop_bad_samples(&h);
        err = find_sidecars(&h);
    }
    for (size_t i = 0; !err && i < h.inner.n; i++)
        err = scan_inner(&h, (const struct inner *)h.inner.items + i, depth);
    cfg_list_finish(&h.sidecars);
    cfg_list_finish(&h.inner);
    cfg_samples_finish(&h.samples);
    return err;
}

static int scan_shard(struct cfg_scan *s, const char *path)
{
    uint32_t number = 0;
    int err = s->lister->open(s->lister->context, path, &number);
    if (err == -ENOMEM)
        return err;
    if (err < 0) {
        char full[CFG_MAX_PATH + 1];
        cfg_mistake(s->log, s->c->sources_place, "%s: it cannot be listed as an archive: left out",
                    cfg_full_path(s->c, path, full, sizeof full));
        return 0;
    }
    struct cfg_archive archive = {path, shard_name(s, path), number, false};
    return archive.shard ? scan_archive(s, path, archive, 0) : -ENOMEM;
}

int cfg_scan_shards(struct cfg_scan *s)
{
    const char *const *paths = s->shards.items;
    if (s->shards.n == 0)
        return 0;
    if (!s->lister)
        return -ENOTSUP;
    int err = s->lister->prepare(s->lister->context, paths, s->shards.n);
    for (size_t i = 0; !err && i < s->shards.n; i++)
        err = scan_shard(s, paths[i]);
    return err;
}
