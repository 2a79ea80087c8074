/* SPDX-License-Identifier: Apache-2.0 */
/* What a mount would find, without a mount. */
#include "fs/private.h"

#include "fs/lister.h"
#include "fs/reader.h"

#include <errno.h>

static int create_cache(const struct fs_options *o, struct cache **ret, struct base_reason *why)
{
    /* Frames as they are: to count them is to index a clip. */
    const struct cache_view frames = {
        .kind = CACHE_FRAMES,
        .frames = {.timing = DEC_PASSTHROUGH, .format = DEC_PPM, .quality = 95, .top = 1, .std = {1, 1, 1}}};
    const struct cache_options options = {
        .views = &frames,
        .n_views = 1,
        .root = cfg_root(o->cfg),
        .merged = cfg_merged(o->cfg),
        .n_merged = cfg_n_merged(o->cfg),
        .dir = cfg_cache_dir(o->cfg),
        .size_bytes = cfg_cache_size(o->cfg),
        .min_free_bytes = cfg_cache_min_free(o->cfg),
        .workers = cfg_workers(o->cfg),
        .worker_memory_bytes = o->worker_memory_bytes,
        .decoder = o->decoder,
    };
    return cache_create(&options, ret, why);
}

/* Tables are kept in the cache if there is one; a survey makes none for them. */
static int scan(const struct fs_options *o, struct cache *cache, const struct cfg_lister *lister,
                struct cfg_clips **ret, size_t *ret_problems)
{
    bool kept = access(cfg_cache_dir(o->cfg), F_OK) == 0;
    const struct cache_reader_options options = {.root = cfg_root(o->cfg),
                                                 .merged = cfg_merged(o->cfg),
                                                 .n_merged = cfg_n_merged(o->cfg),
                                                 .dir = kept ? cfg_cache_dir(o->cfg) : NULL,
                                                 .size_bytes = cfg_cache_size(o->cfg),
                                                 .decoder = o->decoder,
                                                 .worker_memory_bytes = o->worker_memory_bytes};
    struct fs_reader reader;
    fs_reader_init(&reader, &options, cache, NULL);
    int err = cfg_scan(o->cfg, &reader.ops, lister, o->report, NULL, ret, ret_problems);
    fs_reader_finish(&reader);
    return err;
}

/* Names that the tree cannot have are found by making it. */
static int make_tree(const struct fs_options *o, const struct cfg_lister *lister,
                     const struct cfg_clips *clips, struct fs_survey *s)
{
    struct fs_tree tree;
    const struct fs_found found = {
        .clips = clips, .lister = lister, .report = o->report, .n_problems = &s->n_problems};
    int err = fs_tree_init(&tree, o->cfg);
    if (!err)
        err = fs_tree_update(&tree, &found, NULL);
    fs_tree_finish(&tree);
    return err;
}

/* The lister, and how far it is. */
struct counted_lister {
    struct cfg_lister lister;
    fs_progress *on_progress;
    void *context;
    uint64_t done, total;
};

static int prepare(void *context, const char *const *paths, size_t n)
{
    struct counted_lister *l = context;
    l->total += n;
    return l->lister.prepare(l->lister.context, paths, n);
}

static int open_file(void *context, const char *path, uint32_t *ret)
{
    struct counted_lister *l = context;
    int err = l->lister.open(l->lister.context, path, ret);
    l->done++;
    if (l->on_progress)
        l->on_progress(l->context, l->done, l->total);
    return err;
}

static int open_member(void *context, uint32_t archive, uint32_t member, const char *label, uint32_t *ret)
{
    const struct counted_lister *l = context;
    return l->lister.open_member(l->lister.context, archive, member, label, ret);
}

static int visit(void *context, uint32_t archive, cfg_visit_member *visitor, void *visit_context)
{
    const struct counted_lister *l = context;
    return l->lister.visit(l->lister.context, archive, visitor, visit_context);
}

/* Of the shards a.x.tar and a.y.tar DALI would look for one index, a.idx. */
static bool shares_index(const struct cfg_clips *clips, size_t i, enum cache_shard_index kind,
                         const char *path, struct base_bytes *other)
{
    const struct cfg_archive *a = clips->archives;
    for (size_t k = i > 0 ? i - 1 : 1; k < clips->n_archives && k <= i + 1; k += 2) {
        other->len = 0;
        if (!a[k].nested)
            cache_shard_index_path(kind, a[k].path, other);
        if (other->len > 0 && strcmp((const char *)other->data, path) == 0)
            return true;
    }
    return false;
}

static void report_index(const struct fs_options *o, struct fs_survey *s, const char *path, const char *what,
                         const char *advice)
{
    base_autofree char *line = NULL;
    s->n_problems++;
    if (o->report && asprintf(&line, "%s/%s: %s%s", cfg_root(o->cfg), path, what, advice) >= 0)
        o->report(NULL, line);
}

static void look_at_index(const struct fs_options *o, struct cache_reader *reader,
                          enum cache_shard_index kind, const struct cfg_clips *clips, size_t i,
                          struct fs_survey *s)
{
    struct base_bytes path = {0}, other = {0};
    struct base_reason why;
    cache_shard_index_path(kind, clips->archives[i].path, &path);
    if (!path.failed && !shares_index(clips, i, kind, (const char *)path.data, &other)) {
        const char *index = (const char *)path.data;
        int found = cache_shard_index(reader, kind, clips->archives[i].path, index, o->write_indexes, &why);
        s->n_indexes_written += found == CACHE_INDEX_WRITTEN;
        if (found < 0)
            report_index(o, s, index, why.text,
                         found == -EINVAL ? "; \"corpusfs index --write-idx\" writes it anew" : "");
    } else if (o->write_indexes && !path.failed) {
        report_index(o, s, (const char *)path.data, "not written: two shards would have this index", "");
    }
    base_bytes_finish(&path);
    base_bytes_finish(&other);
}

static int look_at_indexes(const struct fs_options *o, const struct cfg_clips *clips, struct fs_survey *s,
                           struct base_reason *why)
{
    const struct cache_reader_options options = {
        .root = cfg_root(o->cfg), .decoder = o->decoder, .worker_memory_bytes = o->worker_memory_bytes};
    struct cache_reader *reader = NULL;
    int err = cache_reader_create(&options, &reader, why);
    for (size_t i = 0; !err && i < clips->n_archives; i++) {
        if (clips->archives[i].nested)
            continue;
        look_at_index(o, reader, CACHE_DALI, clips, i, s);
        look_at_index(o, reader, CACHE_ENERGON, clips, i, s);
    }
    cache_reader_destroy(reader);
    return err;
}

/* *cache: NULL = it is made if it is needed. */
static int look_into_media(const struct fs_options *o, struct cache **cache, const struct cfg_clips *clips,
                           fs_progress *on_progress, void *context, struct fs_survey *s,
                           struct base_reason *why)
{
    if (!fs_survey_needs_media(o, clips))
        return 0;
    int err = *cache ? 0 : create_cache(o, cache, why);
    if (err)
        return err;
    err = fs_survey_media(o, *cache, clips, on_progress, context, s);
    return err ? base_fail(why, err, "the clips cannot be indexed: %s", strerror(-err)) : 0;
}

int fs_survey(const struct fs_options *options, fs_progress *on_progress, void *context,
              struct fs_survey *ret, struct base_reason *why)
{
    struct cache *cache = NULL;
    struct cfg_clips *clips = NULL;
    struct fs_survey s = {0};
    int err = cfg_has_archives(options->cfg) || options->index_media ? create_cache(options, &cache, why) : 0;
    if (err)
        return err;
    struct counted_lister counted = {
        .lister = fs_lister(cache), .on_progress = on_progress, .context = context};
    const struct cfg_lister lister = {prepare, open_file, open_member, visit, &counted};
    err = scan(options, cache, cache ? &lister : NULL, &clips, &s.n_problems);
    if (!err)
        err = make_tree(options, cache ? &lister : NULL, clips, &s);
    if (err) {
        base_fail(why, err, "the clips below %s cannot be listed: %s", cfg_root(options->cfg),
                  strerror(-err));
    } else {
        s.n_clips = clips->n;
        s.n_files = clips->n_files;
        s.n_archives = clips->n_archives;
        *ret = s;
        err = look_into_media(options, &cache, clips, on_progress, context, ret, why);
        if (!err && options->check_indexes)
            err = look_at_indexes(options, clips, ret, why);
        if (options->describe)
            cfg_describe(options->cfg, clips, options->describe, context);
    }
    cache_destroy(cache); /* which has the clips' strings */
    cfg_clips_destroy(clips);
    return err;
}
