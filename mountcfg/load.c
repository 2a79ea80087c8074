/* SPDX-License-Identifier: Apache-2.0 */
#include "mountcfg/language.h"

#include "base/io.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

enum {
    TOP_PRESET,
    TOP_CORPUS,
    TOP_ROOT,
    TOP_SOURCES,
    TOP_VIEWS,
    TOP_N_FRAMES,
    TOP_CACHE,
    TOP_WORKERS,
    TOP_TABLES,
    TOP_FIELDS,
    TOP_SIZES,
    TOP_REFRESH,
    TOP_IMMUTABLE,
    TOP_OPTIONS,
    TOP_ROOTS,
    TOP_RAW,
    TOP_N
};
static const struct cfg_key top_keys[TOP_N] = {
    [TOP_PRESET] = {"preset", false},       [TOP_CORPUS] = {"corpus", false},
    [TOP_ROOT] = {"root", false},           [TOP_SOURCES] = {"sources", false},
    [TOP_VIEWS] = {"views", false},         [TOP_N_FRAMES] = {"n_frames", false},
    [TOP_CACHE] = {"cache", false},         [TOP_WORKERS] = {"workers", false},
    [TOP_TABLES] = {"tables", false},       [TOP_FIELDS] = {"fields", false},
    [TOP_SIZES] = {"sizes", true},          [TOP_REFRESH] = {"refresh", false},
    [TOP_IMMUTABLE] = {"immutable", false}, [TOP_OPTIONS] = {"options", false},
    [TOP_ROOTS] = {"roots", false},         [TOP_RAW] = {"raw", false},
};
enum { CACHE_DIR, CACHE_SIZE, CACHE_MIN_FREE, CACHE_N };
static const struct cfg_key cache_keys[CACHE_N] = {
    [CACHE_DIR] = {"dir", false},
    [CACHE_SIZE] = {"size", false},
    [CACHE_MIN_FREE] = {"min_free", false},
};

const char *cfg_keep(struct cfg_loader *l, const char *text, size_t len)
{
    const char *kept = cfg_arena_text(&l->c->arena, text, len);
    if (!kept)
        l->no_memory = true;
    return kept;
}

void *cfg_keep_alloc(struct cfg_loader *l, size_t count, size_t size)
{
    void *memory = cfg_arena_alloc(&l->c->arena, count, size);
    if (!memory)
        l->no_memory = true;
    return memory;
}

int cfg_field_find(const struct cfg *c, const char *name, size_t len)
{
    for (size_t i = 0; i < c->n_fields; i++) {
        if (strlen(c->fields[i]) == len && memcmp(c->fields[i], name, len) == 0)
            return (int)i;
    }
    return -1;
}

/* ---- Single keys ---- */

/* An existing folder; NULL when none is named. */
static const char *read_dir(struct cfg_loader *l, struct cfg_node node, const char *what)
{
    struct cfg_place at = cfg_node_place(node);
    struct stat st;
    const char *dir = cfg_read_path(l, node, what);
    if (dir && stat(dir, &st) < 0)
        cfg_mistake(&l->log, at, "%s: %s: %s", what, dir, strerror(errno));
    else if (dir && !S_ISDIR(st.st_mode))
        cfg_mistake(&l->log, at, "%s: %s is not a directory", what, dir);
    return dir;
}

static void load_root(struct cfg_loader *l, struct cfg_node node)
{
    l->c->root_place = cfg_node_place(node);
    l->c->root = read_dir(l, node, "root");
    l->c->has_root = true;
}

static void load_merged(struct cfg_loader *l, struct cfg_entry pair)
{
    const char *name = cfg_pair_name(pair), *dir = read_dir(l, pair.value, "roots");
    char taken[PATH_MAX];
    struct stat st;
    if (strchr(name, '/') || name[0] == '.' || !*name || strlen(name) > CFG_MAX_NAME) {
        cfg_mistake(&l->log, cfg_node_place(pair.key),
                    "roots: \"%s\" cannot be the name of a folder: no slash in it, no dot before it", name);
        return;
    }
    if (l->c->has_root && l->c->root &&
        snprintf(taken, sizeof taken, "%s/%s", l->c->root, name) < (int)sizeof taken &&
        lstat(taken, &st) == 0)
        cfg_mistake(&l->log, cfg_node_place(pair.key), "roots: the root has \"%s\" itself", name);
    l->c->merged[l->c->n_merged++] = (struct base_folder){cfg_keep(l, name, strlen(name)), dir};
}

static void load_roots(struct cfg_loader *l, struct cfg_node node)
{
    size_t n = 0;
    if (!cfg_read_pairs(l, node, "roots", CFG_MAX_MERGED, &n))
        return;
    l->c->merged = cfg_keep_alloc(l, n, sizeof *l->c->merged);
    for (size_t i = 0; l->c->merged && i < n; i++)
        load_merged(l, cfg_pair(node, i));
    if (l->c->has_root || l->c->n_merged == 0)
        return;
    l->c->root_place = cfg_node_place(node);
    l->c->root = l->c->merged[0].dir;
}

static void load_name(struct cfg_loader *l, struct cfg_node node)
{
    const char *text = NULL;
    if (node.yaml)
        text = cfg_read_text(l, node, "corpus");
    else if (l->c->root)
        text = strcmp(l->c->root, "/") == 0 ? "corpus" : strrchr(l->c->root, '/') + 1;
    if (text)
        l->c->name = cfg_keep(l, text, strlen(text));
}

static void default_cache_dir(struct cfg_loader *l, struct cfg_place at)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = cache && *cache == '/' ? NULL : cfg_home(l);
    struct base_bytes dir = {0};
    if (cache && *cache == '/') {
        base_bytes_printf(&dir, "%s/corpusfs", cache);
    } else if (home) {
        base_bytes_printf(&dir, "%s/.cache/corpusfs", home);
    } else {
        cfg_mistake(&l->log, at, "no home directory is known to keep the cache in: set cache: { dir: ... }");
        return;
    }
    if (dir.failed)
        l->no_memory = true;
    else
        l->c->cache_dir = cfg_keep(l, (const char *)dir.data, dir.len);
    base_bytes_finish(&dir);
}

static void load_cache(struct cfg_loader *l, struct cfg_node node, struct cfg_place file_at)
{
    struct cfg_entry e[CACHE_N] = {0};
    if (node.yaml && !cfg_read_map(l, node, "cache", true, cache_keys, CACHE_N, e))
        return;
    l->c->cache_size = (uint64_t)20 << 30;
    if (e[CACHE_SIZE].value.yaml)
        (void)cfg_read_bytes(l, e[CACHE_SIZE].value, "size", &l->c->cache_size);
    if (e[CACHE_MIN_FREE].value.yaml)
        (void)cfg_read_bytes(l, e[CACHE_MIN_FREE].value, "min_free", &l->c->cache_min_free);
    if (e[CACHE_DIR].value.yaml)
        l->c->cache_dir = cfg_read_path(l, e[CACHE_DIR].value, "dir");
    else
        default_cache_dir(l, node.yaml ? cfg_node_place(node) : file_at);
}

static void load_refresh(struct cfg_loader *l, const struct cfg_entry *e)
{
    bool immutable = false;
    l->c->refresh_seconds = 60;
    if (e[TOP_REFRESH].value.yaml)
        (void)cfg_read_seconds(l, e[TOP_REFRESH].value, "refresh", &l->c->refresh_seconds);
    if (e[TOP_IMMUTABLE].value.yaml && cfg_read_bool(l, e[TOP_IMMUTABLE].value, "immutable", &immutable) &&
        immutable)
        l->c->refresh_seconds = 0;
}

/* ---- The file with its preset ---- */

static void load_keys(struct cfg_loader *l, const struct cfg_entry *e, struct cfg_place at)
{
    /* Sources come first, then tables and fields: they make what the views' templates name. */
    static const char *const examples[TOP_N] = {
        [TOP_ROOT] = "root: /data/corpus",
        [TOP_SOURCES] = "a list of what to read, or preset: class-folders",
        [TOP_VIEWS] = "a list of what to show, or preset: class-folders",
    };
    bool all_known = l->log.n == 0; /* else a misspelt key is one mistake, not two */
    for (int i = 0; all_known && i < TOP_N; i++) {
        if (examples[i] && !e[i].key.yaml && !(i == TOP_ROOT && e[TOP_ROOTS].key.yaml))
            cfg_mistake(&l->log, at, "the configuration needs \"%s\" (%s)", top_keys[i].name, examples[i]);
    }
    if (e[TOP_ROOT].value.yaml)
        load_root(l, e[TOP_ROOT].value);
    if (e[TOP_ROOTS].value.yaml)
        load_roots(l, e[TOP_ROOTS].value);
    load_name(l, e[TOP_CORPUS].value);
    load_cache(l, e[TOP_CACHE].value, at);
    if (e[TOP_WORKERS].value.yaml)
        (void)cfg_read_int(l, e[TOP_WORKERS].value, "workers", 0, 1024, &l->c->workers);
    load_refresh(l, e);
    size_t before = l->log.n;
    if (e[TOP_SOURCES].value.yaml)
        cfg_load_sources(l, e[TOP_SOURCES].value);
    l->fields_broken = !e[TOP_SOURCES].value.yaml || l->log.n != before;
    if (e[TOP_TABLES].value.yaml)
        cfg_load_tables(l, e[TOP_TABLES].value);
    cfg_imply_tables(l);
    l->fields_broken = l->fields_broken || l->log.n != before;
    if (e[TOP_FIELDS].value.yaml)
        cfg_load_fields(l, e[TOP_FIELDS].value);
    l->fields_broken = l->fields_broken || l->log.n != before;
    if (e[TOP_VIEWS].value.yaml)
        cfg_load_views(l, e[TOP_VIEWS].value);
    cfg_complete_tables(l);
    cfg_complete_lists(l);
    cfg_check_commands(l);
    int fewest = 0;
    if (e[TOP_N_FRAMES].value.yaml && cfg_read_fewest(l, e[TOP_N_FRAMES].value, "n_frames", &fewest) &&
        fewest > 0)
        cfg_add_n_frames(l, cfg_node_place(e[TOP_N_FRAMES].key), fewest);
}

static const struct cfg_preset *find_preset(struct cfg_loader *l, struct cfg_node node)
{
    const char *names[64];
    size_t n = BASE_MIN(cfg_n_presets, BASE_ARRAY_LEN(names));
    int found = 0;
    for (size_t i = 0; i < n; i++)
        names[i] = cfg_presets[i].name;
    return cfg_read_choice(l, node, "preset", names, n, &found) ? &cfg_presets[found] : NULL;
}

static bool load_doc(struct cfg_loader *l, struct cfg_doc *doc, const char *name, const char *what,
                     const char *text, size_t len, struct cfg_entry *entries)
{
    int err = cfg_doc_load(doc, name, text, len, &l->log);
    if (err == -ENOMEM)
        l->no_memory = true;
    return err == 0 && cfg_read_map(l, cfg_doc_root(doc), what, false, top_keys, TOP_N, entries);
}

/* Reads the preset again, with its options put in. */
static bool load_options(struct cfg_loader *l, const struct cfg_preset *preset, struct cfg_node given,
                         struct cfg_doc *doc, struct cfg_entry *entries)
{
    const char *name = doc->name;
    struct base_bytes text = {0};
    bool good = cfg_put_options(l, name, entries[TOP_OPTIONS].value, given, preset->text, preset->len, &text);
    if (good) {
        cfg_doc_finish(doc);
        good = load_doc(l, doc, name, name, (const char *)text.data, text.len, entries);
    }
    base_bytes_finish(&text);
    return good;
}

/* Fills in the entries that the preset gives. False when there is no going on. */
static bool load_preset(struct cfg_loader *l, const struct cfg_entry *given, struct cfg_doc *doc,
                        struct cfg_entry *entries)
{
    char name[128];
    const struct cfg_preset *preset = find_preset(l, given[TOP_PRESET].value);
    if (!preset)
        return false;
    int len = snprintf(name, sizeof name, "preset %s", preset->name);
    const char *kept = cfg_keep(l, name, (size_t)len);
    if (!kept || !load_doc(l, doc, kept, kept, preset->text, preset->len, entries))
        return false;
    if ((entries[TOP_OPTIONS].value.yaml || given[TOP_OPTIONS].value.yaml) &&
        !load_options(l, preset, given[TOP_OPTIONS].value, doc, entries))
        return false;
    if (entries[TOP_PRESET].key.yaml)
        cfg_mistake(&l->log, cfg_node_place(entries[TOP_PRESET].key), "a preset cannot name another one");
    return true;
}

static void load_docs(struct cfg_loader *l, const char *text, size_t len, struct cfg_doc *user,
                      struct cfg_doc *preset)
{
    struct cfg_entry given[TOP_N], entries[TOP_N] = {0};
    if (!load_doc(l, user, l->c->file, "the configuration", text, len, given))
        return;
    if (given[TOP_OPTIONS].key.yaml && !given[TOP_PRESET].key.yaml)
        cfg_mistake(&l->log, cfg_node_place(given[TOP_OPTIONS].key), "\"options\" are those of a \"preset\"");
    if (given[TOP_RAW].key.yaml)
        cfg_mistake(&l->log, cfg_node_place(given[TOP_RAW].key),
                    "\"raw\" is for presets: it tells corpusfs init what they are for");
    if (given[TOP_PRESET].value.yaml && !load_preset(l, given, preset, entries))
        return;
    for (int i = 0; i < TOP_N; i++) {
        if (given[i].key.yaml)
            entries[i] = given[i];
    }
    load_keys(l, entries, cfg_node_place(cfg_doc_root(user)));
}

/* The directory of a file, absolute. Relative paths of the configuration start there. */
static int config_dir(const char *file, char out[PATH_MAX])
{
    char dir[PATH_MAX];
    const char *slash = strrchr(file, '/');
    int len = slash ? snprintf(dir, sizeof dir, "%.*s/", (int)(slash - file), file)
                    : snprintf(dir, sizeof dir, ".");
    if (len < 0 || (size_t)len >= sizeof dir)
        return -ENAMETOOLONG;
    return realpath(dir, out) ? 0 : -errno;
}

static int load_text(struct cfg_loader *l, const char *text, size_t len)
{
    struct cfg_doc user = {0}, preset = {0};
    load_docs(l, text, len, &user, &preset);
    cfg_doc_finish(&user);
    cfg_doc_finish(&preset);
    if (l->no_memory)
        return -ENOMEM;
    if (l->log.n > l->log.limit)
        cfg_note(&l->log, (struct cfg_place){l->c->file, 0, 0}, "%zu more mistakes", l->log.n - l->log.limit);
    return l->log.n > 0 ? -EINVAL : 0;
}

int cfg_load(const char *file, cfg_report *report, void *context, struct cfg **ret)
{
    char dir[PATH_MAX];
    base_autofree char *text = NULL;
    size_t len = 0;
    struct cfg_loader l = {.log = {report, context, 0, CFG_MAX_MISTAKES}, .dir = dir};
    l.c = calloc(1, sizeof *l.c);
    if (!l.c)
        return -ENOMEM;
    l.c->file = cfg_keep(&l, file, strlen(file));
    int err = l.c->file ? base_read_file(file, CFG_MAX_FILE_BYTES, &text, &len) : -ENOMEM;
    if (err == 0)
        err = config_dir(file, dir);
    if (err == 0 && !(l.c->dir = cfg_keep(&l, dir, strlen(dir))))
        err = -ENOMEM;
    if (err == -EFBIG)
        cfg_mistake(&l.log, (struct cfg_place){file, 0, 0}, "larger than %u bytes: no configuration",
                    CFG_MAX_FILE_BYTES);
    else if (err < 0)
        cfg_mistake(&l.log, (struct cfg_place){file, 0, 0}, "cannot be read: %s", strerror(-err));
    else
        err = load_text(&l, text, len);
    if (err < 0) {
        cfg_destroy(l.c);
        return err;
    }
    *ret = l.c;
    return 0;
}

void cfg_destroy(struct cfg *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_sources; i++)
        cfg_source_finish(&c->sources[i]);
    for (size_t i = 0; i < c->n_tables; i++)
        cfg_table_finish(&c->tables[i]);
    for (size_t i = 0; i < c->n_derived; i++)
        cfg_derived_finish(&c->derived[i]);
    for (size_t i = 0; i < c->n_views; i++) {
        const struct cfg_view *v = &c->views[i];
        for (size_t k = 0; v->kind == CFG_FILES && k < v->files.n_globs; k++)
            cfg_glob_destroy(v->files.globs[k]);
        for (size_t k = 0; k < v->n_where; k++)
            cfg_regex_finish(&v->where[k].regex);
        if (v->kind == CFG_LIST)
            cfg_listing_finish(&c->views[i].list);
    }
    cfg_arena_finish(&c->arena);
    free(c);
}

const char *cfg_name(const struct cfg *c)
{
    return c->name;
}

const char *cfg_dir(const struct cfg *c)
{
    return c->dir;
}

const char *cfg_root(const struct cfg *c)
{
    return c->root;
}

size_t cfg_n_merged(const struct cfg *c)
{
    return c->n_merged;
}

const struct base_folder *cfg_merged(const struct cfg *c)
{
    return c->merged;
}

const char *cfg_full_path(const struct cfg *c, const char *path, char *out, size_t size)
{
    const char *dir = c->root;
    for (size_t i = 0; i < c->n_merged; i++) {
        size_t len = strlen(c->merged[i].name);
        if (strncmp(path, c->merged[i].name, len) == 0 && (path[len] == '/' || path[len] == 0)) {
            dir = c->merged[i].dir;
            path += path[len] ? len + 1 : len;
            break;
        }
    }
    (void)snprintf(out, size, *path ? "%s/%s" : "%s%s", dir, path);
    return out;
}

const char *cfg_cache_dir(const struct cfg *c)
{
    return c->cache_dir;
}

uint64_t cfg_cache_size(const struct cfg *c)
{
    return c->cache_size;
}

uint64_t cfg_cache_min_free(const struct cfg *c)
{
    return c->cache_min_free;
}

int cfg_workers(const struct cfg *c)
{
    return c->workers;
}

uint32_t cfg_refresh_seconds(const struct cfg *c)
{
    return (uint32_t)c->refresh_seconds;
}

bool cfg_has_tables(const struct cfg *c)
{
    return c->n_tables > 0;
}

size_t cfg_n_views(const struct cfg *c)
{
    return c->n_views;
}

const struct cfg_view *cfg_view(const struct cfg *c, size_t i)
{
    return &c->views[i];
}
