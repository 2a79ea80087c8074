/* SPDX-License-Identifier: Apache-2.0 */
#include "mountcfg/init.h"

#include "mountcfg/scanning.h"

#include <errno.h>

enum { MAX_RAW = 32, MAX_NAMED = 10 };

static const char *const archives[] = {"tar", "tgz", "zip", "gz", "bz2", "xz", "zst"};
static const char *const tables[] = {"csv", "tsv", "json", "jsonl"};

/* A preset, and which of its patterns have taken a file. */
struct raw {
    const char *preset;
    size_t n;
    struct cfg_glob *globs[MAX_RAW];
    bool taken[MAX_RAW];
    size_t n_videos; /* that they have taken */
};

struct found {
    struct cfg_arena arena;
    struct raw *raws;      /* of all presets */
    struct cfg_list clips; /* const char *: videos */
    size_t n_of[CFG_N_VIDEO_EXTENSIONS], n_archives_of[BASE_ARRAY_LEN(archives)];
    size_t n_archives, n_sidecars, n_tables;
    const char *archive, *tables[MAX_NAMED]; /* the first of them */
};

/* ---- Presets ---- */

static size_t n_items(const yaml_node_t *list)
{
    return (size_t)(list->data.sequence.items.top - list->data.sequence.items.start);
}

/* The node that `raw` is; .yaml NULL = the preset has none. */
static struct cfg_node find_raw(struct cfg_doc *doc)
{
    struct cfg_node root = cfg_doc_root(doc);
    size_t n = root.yaml && root.yaml->type == YAML_MAPPING_NODE
                   ? (size_t)(root.yaml->data.mapping.pairs.top - root.yaml->data.mapping.pairs.start)
                   : 0;
    for (size_t i = 0; i < n; i++) {
        struct cfg_entry pair = cfg_pair(root, i);
        if (strcmp(cfg_pair_name(pair), "raw") == 0 && pair.value.yaml->type == YAML_SEQUENCE_NODE)
            return pair.value;
    }
    return (struct cfg_node){0};
}

static int load_raw(const struct cfg_preset *preset, struct cfg_log *log, struct raw *ret)
{
    struct cfg_doc doc = {0};
    struct base_reason why;
    *ret = (struct raw){.preset = preset->name};
    int err = cfg_doc_load(&doc, preset->name, preset->text, preset->len, log);
    struct cfg_node list = err ? (struct cfg_node){0} : find_raw(&doc);
    for (size_t i = 0; !err && list.yaml && i < n_items(list.yaml) && i < MAX_RAW; i++) {
        const char *pattern = (const char *)cfg_list_item(list, i).yaml->data.scalar.value;
        err = cfg_glob_compile(pattern, &ret->globs[ret->n], &why);
        ret->n += !err;
    }
    cfg_doc_finish(&doc);
    return err;
}

/* A single pattern does not say much: then most videos have to be of it. */
static bool fits(const struct raw *r, size_t n_videos)
{
    if (r->n == 1 && r->n_videos < n_videos - n_videos / 2)
        return false;
    for (size_t i = 0; i < r->n; i++) {
        if (!r->taken[i])
            return false;
    }
    return r->n > 0;
}

static void try_presets(struct found *f, const char *path, size_t len, bool video)
{
    for (size_t p = 0; p < cfg_n_presets; p++) {
        struct raw *r = &f->raws[p];
        bool any = false;
        for (size_t i = 0; i < r->n; i++) {
            if ((r->n > 1 && r->taken[i]) || !cfg_glob_match(r->globs[i], path, len))
                continue;
            r->taken[i] = any = true;
        }
        r->n_videos += any && video;
    }
}

/* ---- The folder ---- */

/* Names that would break a line of the configuration. */
static bool is_plain(const char *path)
{
    for (; *path; path++) {
        if ((unsigned char)*path < ' ' || *path == 0x7f)
            return false;
    }
    return true;
}

static int visit(void *context, const char *path, size_t len)
{
    struct found *f = context;
    int video = cfg_extension_of(path, cfg_video_extensions, CFG_N_VIDEO_EXTENSIONS);
    int archive = cfg_extension_of(path, archives, BASE_ARRAY_LEN(archives));
    const char *own = cfg_arena_text(&f->arena, path, len);
    if (!own)
        return -ENOMEM;
    try_presets(f, path, len, video >= 0);
    if (video >= 0) {
        const char **clip = cfg_list_add(&f->clips, sizeof *clip);
        if (!clip)
            return -ENOMEM;
        *clip = own;
        f->n_of[video]++;
    } else if (archive >= 0) {
        f->archive = f->n_archives++ ? f->archive : own;
        f->n_archives_of[archive]++;
    } else if (cfg_is_sidecar(path)) {
        f->n_sidecars++;
    } else if (cfg_extension_of(path, tables, BASE_ARRAY_LEN(tables)) >= 0 && is_plain(path) &&
               f->n_tables++ < MAX_NAMED) {
        f->tables[f->n_tables - 1] = own;
    }
    return 0;
}

/* ---- The text ---- */

static void put_quoted(struct base_bytes *out, const char *text)
{
    base_bytes_append(out, "\"", 1);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            base_bytes_append(out, "\\", 1);
        base_bytes_append(out, text, 1);
    }
    base_bytes_append(out, "\"", 1);
}

/* Those of which there are some: mp4, or {avi,mp4}. */
static void put_extensions(struct base_bytes *out, const char *const *names, const size_t *counts, size_t n)
{
    size_t n_some = 0, put = 0;
    for (size_t i = 0; i < n; i++)
        n_some += counts[i] > 0;
    for (size_t i = 0; i < n; i++) {
        if (counts[i] > 0)
            base_bytes_printf(out, "%s%s", put++ == 0 ? n_some > 1 ? "{" : "" : ",", names[i]);
    }
    base_bytes_printf(out, "%s", n_some > 1 ? "}" : "");
}

static void put_root(struct base_bytes *out, const char *dir)
{
    base_bytes_printf(out, "root: ");
    put_quoted(out, dir);
    base_bytes_printf(out, "\n");
}

static void put_cache(struct base_bytes *out)
{
    base_bytes_printf(out, "# What was made is kept in a folder of bounded size; these are the defaults:\n"
                           "# cache: { dir: ~/.cache/corpusfs, size: 20GiB }\n");
}

static void put_preset(const struct found *f, const char *dir, const struct raw *best, struct base_bytes *out)
{
    base_bytes_printf(
        out,
        "# The names are those of the raw form of this preset; its page is docs/presets/%s.md.\n"
        "preset: %s\n",
        best->preset, best->preset);
    put_root(out, dir);
    for (size_t i = 0; i < cfg_n_presets; i++) {
        if (&f->raws[i] != best && fits(&f->raws[i], f->clips.n))
            base_bytes_printf(out, "# They would also suit\n# preset: %s\n", f->raws[i].preset);
    }
    put_cache(out);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Whether all videos stand in so many folders below each other, and differ without their extensions. */
static bool are_unique(struct found *f, size_t depth)
{
    const char **stems = cfg_arena_alloc(&f->arena, f->clips.n, sizeof *stems);
    const char *const *clips = f->clips.items;
    bool unique = stems != NULL;
    for (size_t i = 0; unique && i < f->clips.n; i++) {
        size_t slashes = 0;
        for (const char *at = clips[i]; *at; at++)
            slashes += *at == '/';
        const char *name = cfg_base_name(clips[i]);
        stems[i] = cfg_arena_text(&f->arena, clips[i], (size_t)(name - clips[i]) + cfg_stem_len(name));
        unique = slashes == depth && stems[i];
    }
    if (unique)
        qsort(stems, f->clips.n, sizeof *stems, compare_texts);
    for (size_t i = 1; unique && i < f->clips.n; i++)
        unique = strcmp(stems[i - 1], stems[i]) != 0;
    return unique;
}

static void put_views(struct base_bytes *out, const char *clip)
{
    base_bytes_printf(
        out,
        "\nviews:                               # what the mount shows of each\n"
        "  - path: \"img/%s/{frame:06d}.jpg\"\n"
        "    frames: {}                       # such as { size: \"-1:240\", fps: 5 }\n"
        "  - path: \"mp3/%s.mp3\"\n"
        "    audio: {}\n"
        "  - path: \"srt/%s.srt\"\n"
        "    subtitles: [sidecar, embedded]\n"
        "# n_frames: true                     # also a file with the number of frames beside them\n",
        clip, clip, clip);
}

static void put_tables(const struct found *f, struct base_bytes *out)
{
    if (f->n_tables == 0)
        return;
    base_bytes_printf(
        out, "\n# Tables whose rows may tell more of the clips, by a key (see TABLES in man corpusfs.yaml);\n"
             "# then their columns are fields that a path may name:\n# tables:\n");
    for (size_t i = 0; i < BASE_MIN(f->n_tables, (size_t)MAX_NAMED); i++) {
        base_bytes_printf(out, "#   - { file: ");
        put_quoted(out, f->tables[i]);
        base_bytes_printf(out, ", key: clip, join: left }\n");
    }
    if (f->n_tables > MAX_NAMED)
        base_bytes_printf(out, "#   (and %zu more)\n", f->n_tables - MAX_NAMED);
}

static void put_videos(struct found *f, struct base_bytes *out)
{
    const bool classes = are_unique(f, 1), flat = !classes && are_unique(f, 0);
    base_bytes_printf(out,
                      "sources:                             # %zu videos, %zu subtitle files, %zu archives\n"
                      "  - videos: \"%s*.",
                      f->clips.n, f->n_sidecars, f->n_archives,
                      classes ? "*/"
                      : flat  ? ""
                              : "**/");
    put_extensions(out, cfg_video_extensions, f->n_of, CFG_N_VIDEO_EXTENSIONS);
    base_bytes_printf(out, "\"\n");
    if (classes)
        base_bytes_printf(
            out, "    match: '^(?<class>[^/]+)/(?<clip>[^/]+)\\.[^.]+$'   # what a name tells: fields\n");
    else if (!flat)
        base_bytes_printf(
            out,
            "    # match: '(?<clip>[^/]+)\\.[^.]+$'   # what a name tells: fields for the paths below\n");
    put_tables(f, out);
    put_views(out, classes ? "{class}/{clip}" : flat ? "{clip}" : "{path}");
}

static void put_archives(const struct found *f, struct base_bytes *out)
{
    base_bytes_printf(out, "sources:                             # %zu archives\n  - archives: \"**/*.",
                      f->n_archives);
    put_extensions(out, archives, f->n_archives_of, BASE_ARRAY_LEN(archives));
    base_bytes_printf(out, "\"\n    videos: \"**/*.");
    size_t all[CFG_N_VIDEO_EXTENSIONS];
    for (size_t i = 0; i < BASE_ARRAY_LEN(all); i++)
        all[i] = 1;
    put_extensions(out, cfg_video_extensions, all, BASE_ARRAY_LEN(all));
    base_bytes_printf(out, "\"\n");
    put_tables(f, out);
    put_views(out, "{shard}/{path}");
    base_bytes_printf(out, "  - path: \"{shard}/{path}\"            # the members themselves\n    files:\n");
}

static int put_all(struct found *f, const char *dir, struct cfg_log *log, struct base_bytes *out)
{
    const struct raw *best = NULL;
    for (size_t i = 0; i < cfg_n_presets; i++) {
        if (fits(&f->raws[i], f->clips.n) && (!best || f->raws[i].n > best->n))
            best = &f->raws[i];
    }
    if (best) {
        put_preset(f, dir, best, out);
    } else if (f->clips.n == 0 && f->n_archives == 0) {
        cfg_mistake(log, (struct cfg_place){dir, 0, 0}, "no video and no archive is below it");
        return -ENOENT;
    } else {
        base_bytes_printf(
            out,
            "# Made by corpusfs init from the names of files; man corpusfs.yaml describes the language.\n");
        put_root(out, dir);
        base_bytes_printf(out, "\n");
        if (f->clips.n > 0)
            put_videos(f, out);
        else
            put_archives(f, out);
        base_bytes_printf(out, "\n");
        put_cache(out);
    }
    return out->failed ? -ENOMEM : 0;
}

/* Every file that no dot hides. */
static int walk(struct found *f, const char *dir, struct cfg_log *log)
{
    struct base_reason why;
    struct cfg_glob *everything = NULL;
    struct cfg *c = calloc(1, sizeof *c);
    int err = c ? cfg_glob_compile("**", &everything, &why) : -ENOMEM;
    if (!err) {
        struct cfg_source source = {.n_globs = 1, .globs = &everything};
        c->root = dir;
        c->has_root = true;
        c->root_place = (struct cfg_place){dir, 0, 0};
        c->n_sources = 1;
        c->sources = &source;
        err = cfg_walk(c, log, visit, f);
    }
    cfg_glob_destroy(everything);
    free(c);
    return err;
}

int cfg_init(const char *dir, cfg_report *report, void *context, struct base_bytes *out)
{
    struct cfg_log log = {report, context, 0, 0};
    struct found f = {.raws = calloc(cfg_n_presets + 1, sizeof *f.raws)};
    int err = f.raws ? 0 : -ENOMEM;
    if (strchr(dir, '$')) {
        cfg_mistake(&log, (struct cfg_place){dir, 0, 0},
                    "a configuration takes what follows a $ for a variable: name the folder by another path");
        err = -EINVAL;
    }
    for (size_t i = 0; !err && i < cfg_n_presets; i++)
        err = load_raw(&cfg_presets[i], &log, &f.raws[i]);
    if (!err)
        err = walk(&f, dir, &log);
    if (!err)
        err = put_all(&f, dir, &log, out);
    for (size_t i = 0; f.raws && i < cfg_n_presets; i++) {
        for (size_t k = 0; k < f.raws[i].n; k++)
            cfg_glob_destroy(f.raws[i].globs[k]);
    }
    free(f.raws);
    cfg_list_finish(&f.clips);
    cfg_arena_finish(&f.arena);
    return err;
}
