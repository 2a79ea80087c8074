/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the scans found, each thing under one number for as long as the mount lives: the cache's number of a
 * clip, or of a file that views show as it is. A scan that finds something again gives it its old number.
 */
#include "cache/archives.h"
#include "fs/private.h"
#include "fs/reader.h"

#include "fs/lister.h"

#include "base/log.h"
#include <errno.h>

/* What clips that a scan found point into: all of the scan, or copies of what they need. */
struct fs_scan {
    struct fs_scan *next;
    struct cfg_clips *clips;
    struct cfg_kept *kept;
};

enum { MAX_CLIPS = 1 << 24 };

/* Numbers by what they mean, for the time of a scan. */
struct known {
    uint32_t *slots; /* number + 1; 0 = free */
    uint32_t mask;
};

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_cues(const struct fs *fs, const struct cfg_clip *a, const struct cfg_clip *b)
{
    if (!a->cues != !b->cues)
        return false;
    for (size_t i = 0; a->cues && i < cfg_n_views(fs->options->cfg); i++)
        if (!same_text(a->cues[i], b->cues[i]))
            return false;
    return true;
}

static bool same_boxes(const struct fs *fs, const struct cfg_clip *a, const struct cfg_clip *b)
{
    if (!a->boxes != !b->boxes)
        return false;
    for (size_t i = 0; a->boxes && i < cfg_n_views(fs->options->cfg); i++)
        if (a->boxes[i] != b->boxes[i] &&
            (!a->boxes[i] || !b->boxes[i] || !base_hash_equal(&a->boxes[i]->hash, &b->boxes[i]->hash)))
            return false;
    return true;
}

static bool same_clip(const struct fs *fs, const struct cfg_clip *a, const struct cfg_clip *b)
{
    if (!same_text(a->path, b->path) || !same_text(a->sidecar, b->sidecar) || !a->values != !b->values ||
        a->archive != b->archive || a->member != b->member || a->sidecar_member != b->sidecar_member)
        return false;
    if (a->range.unit != b->range.unit || a->range.from != b->range.from || a->range.to != b->range.to)
        return false;
    for (size_t i = 0; a->values && i < fs->n_fields; i++)
        if (!same_text(a->values[i], b->values[i]))
            return false;
    return same_cues(fs, a, b) && same_boxes(fs, a, b);
}

/* The slot of a clip's number, or the free one where it belongs. */
static uint32_t *find_slot(const struct fs *fs, const struct known *k, const struct cfg_clip *clip)
{
    struct base_hash hash = base_hash_of(clip->path, strlen(clip->path));
    uint32_t at;
    memcpy(&at, hash.bytes, sizeof at);
    /* Parts of one video, and members of one name, are not to crowd in one place. */
    at += (uint32_t)((uint64_t)clip->range.from * 2654435761);
    at += (uint32_t)(((uint64_t)clip->range.to * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
    at += (uint32_t)((((uint64_t)clip->archive << 32 | clip->member) * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
    for (at &= k->mask;; at = (at + 1) & k->mask)
        if (k->slots[at] == 0 || same_clip(fs, &fs->clips[k->slots[at] - 1], clip))
            return &k->slots[at];
}

/* All that is known, and room for `more`. */
static int list_known(struct fs *fs, size_t more, struct known *ret)
{
    uint32_t mask = 1023;
    while (mask / 2 < fs->n_clips + more)
        mask = mask * 2 + 1;
    ret->mask = mask;
    ret->slots = calloc((size_t)mask + 1, sizeof *ret->slots);
    if (!ret->slots)
        return -ENOMEM;
    for (uint32_t i = 0; i < fs->n_clips; i++)
        if (fs->clips[i].path)
            *find_slot(fs, ret, &fs->clips[i]) = i + 1;
    return 0;
}

/* Gives n clips their numbers; new ones become part of fs->clips. */
static int number(struct fs *fs, struct known *known, const struct cfg_clip *clips, size_t n, uint32_t *ret)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t *slot = find_slot(fs, known, &clips[i]);
        if (*slot == 0) {
            size_t at = fs->n_clips;
            if (at == MAX_CLIPS || base_grow_to(&fs->clips_memory, (at + 1) * sizeof *fs->clips) < 0)
                return -E2BIG;
            fs->clips[at] = clips[i];
            fs->n_clips++;
            *slot = (uint32_t)fs->n_clips;
        }
        ret[i] = *slot - 1;
    }
    return 0;
}

/* The same for files that are shown as they are. */
static int number_files(struct fs *fs, struct known *known, const struct cfg_clips *found, uint32_t *ret)
{
    int err = 0;
    for (size_t i = 0; !err && i < found->n_files; i++) {
        const struct cfg_clip file = {.path = found->files[i], .label = found->files[i]};
        err = number(fs, known, &file, 1, &ret[i]);
    }
    return err;
}

struct cache_source fs_source_of(const struct cfg_clip *clip)
{
    static const enum cache_cut_unit units[] = {
        [CFG_WHOLE] = CACHE_WHOLE, [CFG_RANGE_US] = CACHE_CUT_US, [CFG_RANGE_FRAMES] = CACHE_CUT_FRAMES};
    return (struct cache_source){.path = clip->label,
                                 .sidecar = clip->sidecar,
                                 .archive = clip->archive,
                                 .member = clip->member,
                                 .sidecar_member = clip->sidecar_member,
                                 .cut = {units[clip->range.unit], clip->range.from, clip->range.to}};
}

static int tell_cache(struct fs *fs, size_t from)
{
    size_t n = fs->n_clips - from, first;
    base_autofree struct cache_source *sources = calloc(n + 1, sizeof *sources);
    if (!sources)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        sources[i] = fs_source_of(&fs->clips[from + i]);
    return cache_add_sources(fs->cache, sources, n, &first);
}

/* Gives what was found its numbers, and tells the cache of what is new. */
static int number_all(struct fs *fs, struct fs_scan *scan, uint32_t *clip_ids, uint32_t *file_ids)
{
    const struct cfg_clips *clips = scan->clips;
    struct known known = {0};
    size_t before = fs->n_clips;
    int err = list_known(fs, clips->n + clips->n_files, &known);
    if (!err)
        err = number(fs, &known, clips->clips, clips->n, clip_ids);
    if (!err)
        err = number_files(fs, &known, clips, file_ids);
    size_t n_new = fs->n_clips - before;
    if (!err && n_new <= (clips->n + clips->n_files) / 2) /* else the scan is no larger than the copies */
        err = cfg_clips_keep(fs->options->cfg, clips->n_fields, fs->clips + before, n_new, &scan->kept);
    if (!err)
        err = tell_cache(fs, before);
    if (err)
        fs->n_clips = before;
    free(known.slots);
    return err;
}

static int take_in(struct fs *fs, struct fs_scan *scan, cfg_report *report, void *context,
                   const struct fs_tree_listener *listener)
{
    base_autofree uint32_t *clip_ids = calloc(scan->clips->n + 1, sizeof *clip_ids);
    base_autofree uint32_t *file_ids = calloc(scan->clips->n_files + 1, sizeof *file_ids);
    base_autofree uint32_t *list_ids = calloc(scan->clips->n_lists + 1, sizeof *list_ids);
    int err = clip_ids && file_ids && list_ids ? number_all(fs, scan, clip_ids, file_ids) : -ENOMEM;
    if (!err)
        err = fs_lists_update(fs->lists, scan->clips, clip_ids, list_ids);
    const struct cfg_lister lister = fs_lister(fs->cache);
    const struct fs_found found = {.clips = scan->clips,
                                   .clip_ids = clip_ids,
                                   .file_ids = file_ids,
                                   .list_ids = list_ids,
                                   .lister = &lister,
                                   .report = report,
                                   .context = context};
    if (err)
        return err;
    cache_show_clips(fs->cache, clip_ids, scan->clips->n);
    fs->n_left_out = scan->clips->n_left_out;
    /* Nothing was said of tables where no clip is. */
    fs->n_tables_missing = scan->clips->n > 0 ? scan->clips->n_tables_missing : SIZE_MAX;
    fs_tables_take_in(fs->tables);
    return fs_tree_update(&fs->tree, &found, listener);
}

static void free_scan(struct fs_scan *scan)
{
    cfg_clips_destroy(scan->clips);
    cfg_kept_destroy(scan->kept);
    free(scan);
}

static int scan_once(struct fs *fs, cfg_report *report, void *context, struct fs_scan *scan)
{
    size_t problems = 0;
    const struct cfg_lister lister = fs_lister(fs->cache);
    const struct fs_options *o = fs->options;
    const struct cache_reader_options options = {.root = cfg_root(o->cfg),
                                                 .merged = cfg_merged(o->cfg),
                                                 .n_merged = cfg_n_merged(o->cfg),
                                                 .dir = cfg_cache_dir(o->cfg),
                                                 .size_bytes = cfg_cache_size(o->cfg),
                                                 .decoder = o->decoder,
                                                 .worker_memory_bytes = o->worker_memory_bytes};
    struct fs_reader reader;
    /* Without a watch there are no scans after the first. */
    fs_reader_init(&reader, &options, fs->cache, cfg_refresh_seconds(o->cfg) > 0 ? fs->tables : NULL);
    int err = cfg_scan(o->cfg, &reader.ops, &lister, report, context, &scan->clips, &problems);
    fs_reader_finish(&reader);
    if (!err) {
        fs->n_problems = problems;
        fs->n_fields = scan->clips->n_fields;
    }
    return err;
}

/* Whether a scan's tables are as good as those of the one before. */
static bool has_its_tables(const struct fs *fs, const struct fs_scan *scan)
{
    const struct cfg *c = fs->options->cfg;
    char path[4096];
    const char *broken = fs_tables_find_broken(fs->tables);
    if (broken)
        base_log(
            BASE_LOG_WARNING,
            "%s: it was without mistakes when the tree was made, which stays as it is until they are mended",
            cfg_full_path(c, broken, path, sizeof path));
    else if (scan->clips->n_tables_missing > fs->n_tables_missing)
        base_log(BASE_LOG_WARNING,
                 "%s: a table is gone that was there when the tree was made, which stays as it is until it "
                 "is back",
                 cfg_root(c));
    return !broken && scan->clips->n_tables_missing <= fs->n_tables_missing;
}

int fs_world_scan(struct fs *fs, cfg_report *report, void *context, const struct fs_tree_listener *listener)
{
    struct fs_scan *scan = calloc(1, sizeof *scan);
    int err = scan ? scan_once(fs, report, context, scan) : -ENOMEM;
    /* Archives that were opened for the first time are clips of the cache without a name here. */
    size_t before = cache_n_clips(fs->cache);
    if (!err && base_grow_to(&fs->clips_memory, before * sizeof *fs->clips) < 0)
        err = -ENOMEM;
    bool kept = !err && listener && !has_its_tables(fs, scan);
    if (!err) {
        fs->n_clips = before;
        if (!kept)
            err = take_in(fs, scan, report, context, listener);
    }
    if (!kept) /* else the tree has the old ones */
        cache_archives_trim(fs->cache);
    if (scan && fs->n_clips == before) {
        free_scan(scan);
    } else if (scan) {
        if (scan->kept)
            cfg_clips_destroy(base_steal_pointer(scan->clips));
        scan->next = fs->scans;
        fs->scans = scan;
    }
    return err;
}

int fs_world_init(struct fs *fs)
{
    int err = base_grow_init(&fs->clips_memory, MAX_CLIPS * sizeof *fs->clips);
    fs->clips = fs->clips_memory.data;
    fs->tables = fs_tables_create();
    if (!fs->tables)
        return -ENOMEM;
    return err ? err : fs_tree_init(&fs->tree, fs->options->cfg);
}

void fs_world_finish(struct fs *fs)
{
    fs_tree_finish(&fs->tree);
    fs_tables_destroy(base_steal_pointer(fs->tables));
    base_grow_finish(&fs->clips_memory);
    while (fs->scans) {
        struct fs_scan *scan = fs->scans;
        fs->scans = scan->next;
        free_scan(scan);
    }
}
