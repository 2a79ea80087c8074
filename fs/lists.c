/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/lists.h"

#include "base/grow.h"
#include "base/hash.h"
#include "base/log.h"
#include "fs/private.h"
#include "fs/stack.h"

#include <errno.h>

enum {
    MAX_LISTS = 1 << 20,
    AHEAD = 64,      /* so many clips are looked into at once */
    MOST_STALE = 16, /* a clip that changes all the while is none */
    KEPT_BYTES = 64 << 20,
};
static const size_t max_list_bytes = (size_t)1 << 30;

/* What is known of a clip: how many frames, or one of these. */
static const uint32_t unknown = UINT32_MAX, unlisted = UINT32_MAX - 1;
struct entry {
    uint32_t clip, frames;
};

struct list {
    char *path;
    size_t view;
    struct entry *entries;
    uint32_t n;
    uint32_t version;
    uint32_t changes;     /* goes up when what is known of a clip is not so any more */
    uint32_t next, ahead; /* entries before are known; before are asked for */
    bool told;            /* somebody knows the size of this version */
    bool made;            /* its size is known */
    uint32_t n_unlisted;
    uint64_t bytes;
    struct timespec mtime;
    struct base_bytes text; /* empty: it is put together anew */
    uint64_t used;
};

struct fs_lists {
    struct fs *fs;
    struct base_grow memory;
    _Atomic uint32_t n;
    uint32_t *sorted; /* by view and path: of who updates */
    uint32_t n_sorted;
    /* Guards the lists and the fields below; held while a text is put together, never while anybody is asked
     * or told. */
    pthread_mutex_t lock;
    struct cfg_clips values; /* of fields alone */
    char *values_text;       /* owns them */
    struct base_hash values_hash;
    size_t kept_bytes;
    uint64_t n_uses, n_unlisted;
};

int fs_lists_create(struct fs *fs, struct fs_lists **ret)
{
    struct fs_lists *l = calloc(1, sizeof *l);
    if (!l || base_grow_init(&l->memory, MAX_LISTS * sizeof(struct list)) < 0) {
        free(l);
        return -ENOMEM;
    }
    l->fs = fs;
    pthread_mutex_init(&l->lock, NULL);
    *ret = l;
    return 0;
}

static struct list *list_of(const struct fs_lists *l, uint32_t number)
{
    return (struct list *)l->memory.data + number;
}

void fs_lists_destroy(struct fs_lists *l)
{
    if (!l)
        return;
    for (uint32_t i = 0; i < l->n; i++) {
        struct list *list = list_of(l, i);
        free(list->path);
        free(list->entries);
        base_bytes_finish(&list->text);
    }
    base_grow_finish(&l->memory);
    pthread_mutex_destroy(&l->lock);
    free((void *)(uintptr_t)l->values.values);
    free(l->values_text);
    free(l->sorted);
    free(l);
}

static const struct cfg_view *view_of(const struct fs_lists *l, const struct list *list)
{
    return cfg_view(l->fs->options->cfg, list->view);
}

/* ---- Changes ---- */

static void drop_text_locked(struct fs_lists *l, struct list *list)
{
    l->kept_bytes -= list->text.len;
    base_bytes_finish(&list->text);
    list->text = (struct base_bytes){0};
}

/* It is to be made anew. True: its version has ended. */
static bool unmake_locked(struct fs_lists *l, struct list *list)
{
    bool ended = list->told;
    list->changes++;
    if (list->made)
        l->n_unlisted -= list->n_unlisted;
    list->made = list->told = false;
    drop_text_locked(l, list);
    if (ended && list->version < CACHE_MAX_VERSION)
        list->version++;
    return ended;
}

static bool forget_clip_locked(struct fs_lists *l, struct list *list, size_t clip)
{
    bool found = false;
    if (view_of(l, list)->list.asked < 0 && !view_of(l, list)->list.is_stack)
        return false;
    for (uint32_t i = 0; i < list->n; i++) {
        if (list->entries[i].clip != clip)
            continue;
        list->entries[i].frames = unknown;
        list->next = BASE_MIN(list->next, i);
        list->ahead = BASE_MIN(list->ahead, i);
        found = true;
    }
    return found && unmake_locked(l, list);
}

void fs_lists_clip_changed(struct fs_lists *l, size_t clip)
{
    for (uint32_t i = 0; i < l->n; i++) {
        pthread_mutex_lock(&l->lock);
        bool ended = forget_clip_locked(l, list_of(l, i), clip);
        pthread_mutex_unlock(&l->lock);
        if (ended)
            fs_notify_list(l->fs->notifier, i);
    }
}

/* ---- Updating ---- */

struct finding {
    const struct fs_lists *l;
    size_t view;
    const char *path;
};

static int compare_to(const struct list *list, size_t view, const char *path)
{
    return list->view != view ? (list->view < view ? -1 : 1) : strcmp(list->path, path);
}

static int compare_finding(const void *finding, const void *number)
{
    const struct finding *f = finding;
    return -compare_to(list_of(f->l, *(const uint32_t *)number), f->view, f->path);
}

static int compare_numbers(const void *a, const void *b, void *lists)
{
    const struct list *y = list_of(lists, *(const uint32_t *)b);
    return compare_to(list_of(lists, *(const uint32_t *)a), y->view, y->path);
}

/* Finds the numbers of lists that there were, and gives new ones theirs. */
static int number_lists(struct fs_lists *l, const struct cfg_clips *clips, uint32_t *ids)
{
    uint32_t n = l->n;
    for (size_t i = 0; i < clips->n_lists; i++) {
        const struct finding f = {l, clips->lists[i].view, clips->lists[i].path};
        const uint32_t *old =
            l->n_sorted > 0 ? bsearch(&f, l->sorted, l->n_sorted, sizeof *l->sorted, compare_finding) : NULL;
        ids[i] = old ? *old : n++;
        if (old)
            continue;
        if (n > MAX_LISTS)
            return -E2BIG;
        if (base_grow_to(&l->memory, n * sizeof(struct list)) < 0)
            return -ENOMEM;
        struct list *list = list_of(l, ids[i]);
        free(list->path); /* of an update that failed */
        *list = (struct list){.path = strdup(f.path), .view = f.view};
        if (!list->path)
            return -ENOMEM;
    }
    uint32_t *sorted = realloc(l->sorted, (n + 1) * sizeof *sorted);
    if (!sorted)
        return -ENOMEM;
    l->sorted = sorted;
    for (uint32_t i = l->n_sorted; i < n; i++)
        sorted[i] = i;
    qsort_r(sorted, n, sizeof *sorted, compare_numbers, l);
    l->n_sorted = l->n = n;
    return 0;
}

static bool same_entries(const struct list *list, const struct entry *entries, uint32_t n)
{
    bool same = list->n == n;
    for (uint32_t i = 0; same && i < n; i++)
        same = list->entries[i].clip == entries[i].clip;
    return same;
}

/* The list has these entries from now on, which it takes over. True: its version has ended. */
static bool set_entries_locked(struct fs_lists *l, struct list *list, struct entry *entries, uint32_t n,
                               bool other_values)
{
    bool same = same_entries(list, entries, n);
    if (same) {
        free(entries);
    } else {
        free(list->entries);
        list->entries = entries;
        list->n = n;
        list->next = list->ahead = 0;
    }
    return (!same || other_values) && unmake_locked(l, list);
}

static int set_entries(struct fs_lists *l, uint32_t number, const struct cfg_list_file *file,
                       const uint32_t *clip_ids, bool other_values)
{
    size_t n = file ? file->n : 0;
    struct entry *entries = malloc((n + 1) * sizeof *entries);
    if (!entries)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        entries[i] = (struct entry){clip_ids ? clip_ids[file->clips[i]] : file->clips[i], unknown};
    pthread_mutex_lock(&l->lock);
    bool ended = set_entries_locked(l, list_of(l, number), entries, (uint32_t)n, other_values);
    pthread_mutex_unlock(&l->lock);
    if (ended)
        fs_notify_list(l->fs->notifier, number);
    return 0;
}

int fs_lists_update(struct fs_lists *l, const struct cfg_clips *clips, const uint32_t *clip_ids,
                    uint32_t *ret_ids)
{
    struct cfg_clips values;
    struct base_hash hash;
    char *text;
    int err = cfg_values_keep(clips, &values, &text, &hash);
    if (err)
        return err;
    err = number_lists(l, clips, ret_ids);
    base_autofree const struct cfg_list_file **files = calloc(l->n + 1, sizeof *files);
    pthread_mutex_lock(&l->lock);
    bool other_values = !base_hash_equal(&hash, &l->values_hash);
    if (!err && files) {
        struct cfg_clips old = l->values;
        char *old_text = l->values_text;
        l->values = values;
        l->values_text = text;
        l->values_hash = hash;
        values = old;
        text = old_text;
    }
    pthread_mutex_unlock(&l->lock);
    free((void *)(uintptr_t)values.values);
    free(text);
    if (err || !files)
        return err ? err : -ENOMEM;
    for (size_t i = 0; i < clips->n_lists; i++)
        files[ret_ids[i]] = &clips->lists[i];
    for (uint32_t i = 0; !err && i < l->n; i++)
        err = set_entries(l, i, files[i], clip_ids, other_values);
    return err;
}

/* ---- Making ---- */

/* Notes what was told of a clip, unless something has changed since it was asked for. */
static void note_locked(struct list *list, uint32_t at, uint32_t changes, uint32_t frames)
{
    if (list->changes == changes && at < list->n)
        list->entries[at].frames = frames;
}

/* The view that a clip is asked for: where `where:` keeps it out of the one that the list names, the first of
 * that kind that shows it; -1 = none does. */
static int view_to_ask(const struct fs_lists *l, const struct cfg_listing *spec, const struct cfg_clip *clip)
{
    const struct cfg *cfg = l->fs->options->cfg;
    const struct cfg_view *asked = cfg_view(cfg, (size_t)spec->asked);
    if (cfg_is_shown(asked, clip))
        return spec->asked;
    for (size_t i = 0; !spec->count && i < cfg_n_views(cfg); i++)
        if (cfg_view(cfg, i)->kind == asked->kind && cfg_is_shown(cfg_view(cfg, i), clip))
            return (int)i;
    return -1;
}

/* Asks how many frames a clip has; one that cannot be read is `unlisted`. */
static int ask(struct fs_lists *l, const struct cfg_listing *spec, uint32_t clip, struct cache_waiter *w,
               uint32_t *ret)
{
    uint32_t n = 0;
    int view = view_to_ask(l, spec, &l->fs->clips[clip]);
    int err = view < 0 ? 0 : -ESTALE;
    for (int i = 0; err == -ESTALE && i < MOST_STALE; i++)
        err = cache_count(l->fs->cache, clip, cache_version(l->fs->cache, clip), (size_t)view, w, &n);
    if (err == -EINPROGRESS || err == -ENOMEM || err == -ENFILE || err == -EMFILE)
        return err;
    if (err && l->fs->ended)
        return -EIO;
    *ret = err || (spec->uses_nframes && n == 0) ? unlisted : BASE_MIN(n, (uint32_t)CACHE_MAX_FILES);
    return 0;
}

/* Sees to it that what stands behind entry `at` is found out, too. */
static void ask_ahead(struct fs_lists *l, struct list *list, const struct cfg_listing *spec, uint32_t at)
{
    for (;;) {
        pthread_mutex_lock(&l->lock);
        uint32_t i = BASE_MAX(list->ahead, at + 1), changes = list->changes, frames;
        bool more = i < list->n && i <= at + AHEAD;
        uint32_t clip = more ? list->entries[i].clip : 0;
        if (more)
            list->ahead = i + 1;
        pthread_mutex_unlock(&l->lock);
        if (!more)
            return;
        if (ask(l, spec, clip, NULL, &frames) == 0) {
            pthread_mutex_lock(&l->lock);
            note_locked(list, i, changes, frames);
            pthread_mutex_unlock(&l->lock);
        }
    }
}

static void put(const struct fs_lists *l, const struct cfg_template *t, const struct cfg_clip *clip,
                const struct cfg_numbers *numbers, struct base_bytes *out)
{
    if (t)
        cfg_expand_numbers(t, &l->values, clip, numbers, out);
}

static int put_pickle(const struct fs_lists *l, const struct list *list, struct base_bytes *out)
{
    base_autofree const struct cfg_clip **clips = malloc((list->n + 1) * sizeof *clips);
    size_t n = 0;
    if (!clips)
        return -ENOMEM;
    for (uint32_t i = 0; i < list->n; i++)
        if (list->entries[i].frames != unlisted)
            clips[n++] = &l->fs->clips[list->entries[i].clip];
    cfg_expand_pickle(&view_of(l, list)->list, clips, n, max_list_bytes, out);
    return out->failed ? -ENOMEM : out->len > max_list_bytes ? -EFBIG : 0;
}

/* What stands between two entries, or before the first (last: NULL). */
static void put_between(const struct fs_lists *l, const struct cfg_listing *spec, const struct cfg_clip *last,
                        const struct cfg_clip *next, const struct cfg_numbers *numbers,
                        struct base_bytes *out)
{
    if (last && cfg_same_group(spec, last, next)) {
        put(l, spec->join, next, numbers, out);
        return;
    }
    if (last) {
        put(l, spec->group_end, last, numbers, out);
        put(l, spec->group_join, last, numbers, out);
    }
    put(l, spec->group_begin, next, numbers, out);
}

static int put_together_locked(const struct fs_lists *l, const struct list *list, struct base_bytes *out)
{
    const struct cfg_listing *spec = &view_of(l, list)->list;
    const struct cfg_clip *clips = l->fs->clips, *first = list->n > 0 ? &clips[list->entries[0].clip] : NULL;
    struct cfg_numbers numbers = {.index = (uint64_t)spec->base};
    for (uint32_t i = 0; i < list->n; i++)
        numbers.nclips += list->entries[i].frames != unlisted;
    if (spec->is_stack) {
        fs_stack_header(&spec->stack, list->n, out);
        return out->failed ? -ENOMEM : 0;
    }
    if (spec->n_columns > 0)
        return put_pickle(l, list, out);
    put(l, spec->begin, first, &numbers, out);
    const struct cfg_clip *last = NULL;
    for (uint32_t i = 0; i < list->n && out->len <= max_list_bytes; i++) {
        const struct cfg_clip *clip = &clips[list->entries[i].clip];
        if (list->entries[i].frames == unlisted)
            continue;
        put_between(l, spec, last, clip, &numbers, out);
        numbers.nframes = list->entries[i].frames;
        put(l, spec->each, clip, &numbers, out);
        numbers.index++;
        last = clip;
    }
    if (last)
        put(l, spec->group_end, last, &numbers, out);
    put(l, spec->end, first, &numbers, out);
    return out->failed ? -ENOMEM : out->len > max_list_bytes ? -EFBIG : 0;
}

/* Of the texts, those that were not used for longest go. */
static void trim_locked(struct fs_lists *l, const struct list *used)
{
    while (l->kept_bytes > KEPT_BYTES) {
        struct list *oldest = NULL;
        for (uint32_t i = 0; i < l->n; i++) {
            struct list *list = list_of(l, i);
            if (list != used && list->text.len > 0 && (!oldest || list->used < oldest->used))
                oldest = list;
        }
        if (!oldest)
            return;
        drop_text_locked(l, oldest);
    }
}

static int need_text_locked(struct fs_lists *l, struct list *list)
{
    list->used = ++l->n_uses;
    if (list->text.len > 0 || (list->made && list->bytes == 0))
        return 0;
    struct base_bytes text = {0};
    int err = put_together_locked(l, list, &text);
    if (err) {
        base_bytes_finish(&text);
        return err;
    }
    list->text = text;
    l->kept_bytes += text.len;
    trim_locked(l, list);
    return 0;
}

/* What the list leaves out is told in the log. */
static void report_unlisted(const struct fs_lists *l, const struct list *list)
{
    const struct cfg_clip *first = NULL;
    for (uint32_t i = 0; !first && i < list->n; i++)
        if (list->entries[i].frames == unlisted)
            first = &l->fs->clips[list->entries[i].clip];
    base_log(BASE_LOG_WARNING,
             "%s: %u of %u clips are not listed, since they cannot be read%s; the first is %s", list->path,
             list->n_unlisted, list->n, view_of(l, list)->list.uses_nframes ? ", or have no frames" : "",
             first ? first->label : "");
}

static struct timespec newest(struct fs_lists *l, const struct list *list)
{
    const int64_t second = 1000000000;
    int64_t most = INT64_MIN, ns;
    bool asked = view_of(l, list)->list.asked >= 0 || view_of(l, list)->list.is_stack;
    for (uint32_t i = 0; asked && i < list->n; i++)
        if (list->entries[i].frames != unlisted &&
            cache_mtime_ns(l->fs->cache, list->entries[i].clip, &ns) == 0)
            most = BASE_MAX(most, ns);
    if (most == INT64_MIN)
        return l->fs->mounted;
    int64_t rest = (most % second + second) % second;
    return (struct timespec){(most - rest) / second, rest};
}

/* All is known. */
static int finish_locked(struct fs_lists *l, struct list *list)
{
    int err = need_text_locked(l, list);
    if (err)
        return err;
    list->n_unlisted = 0;
    for (uint32_t i = 0; i < list->n; i++)
        list->n_unlisted += list->entries[i].frames == unlisted;
    list->made = true;
    list->bytes = list->text.len + list->n * fs_stack_part_bytes(&view_of(l, list)->list);
    list->mtime = newest(l, list);
    l->n_unlisted += list->n_unlisted;
    if (list->n_unlisted > 0)
        report_unlisted(l, list);
    return 0;
}

static int check_version_locked(const struct list *list, uint32_t version)
{
    return list->version != version ? -ESTALE : version == CACHE_MAX_VERSION ? -EIO : 0;
}

/* Finds out what the list needs. 0 with the lock taken and the list made, or an error without the lock. After
 * -EINPROGRESS nothing of the waiter may be touched. */
static int make_and_lock(struct fs_lists *l, uint32_t number, uint32_t version, struct cache_waiter *w,
                         struct list **ret)
{
    struct list *list = list_of(l, number);
    const struct cfg_listing *spec = &view_of(l, list)->list;
    for (;;) {
        pthread_mutex_lock(&l->lock);
        int err = check_version_locked(list, version);
        while (spec->asked >= 0 && list->next < list->n && list->entries[list->next].frames != unknown)
            list->next++;
        bool known = spec->asked < 0 || list->next == list->n;
        if (!err && known && !list->made)
            err = finish_locked(l, list);
        uint32_t at = list->next, changes = list->changes, frames = 0;
        uint32_t clip = known ? 0 : list->entries[at].clip;
        *ret = list;
        if (!err && known)
            return 0;
        pthread_mutex_unlock(&l->lock);
        if (err)
            return err;
        ask_ahead(l, list, spec, at);
        err = ask(l, spec, clip, w, &frames);
        if (err)
            return err;
        pthread_mutex_lock(&l->lock);
        note_locked(list, at, changes, frames);
        pthread_mutex_unlock(&l->lock);
    }
}

/* ---- Questions ---- */

uint32_t fs_list_version(struct fs_lists *l, uint32_t list)
{
    pthread_mutex_lock(&l->lock);
    uint32_t version = list_of(l, list)->version;
    pthread_mutex_unlock(&l->lock);
    return version;
}

bool fs_list_is_made(struct fs_lists *l, uint32_t list)
{
    pthread_mutex_lock(&l->lock);
    bool made = list_of(l, list)->made;
    pthread_mutex_unlock(&l->lock);
    return made;
}

int fs_list_size(struct fs_lists *l, uint32_t number, uint32_t version, struct cache_waiter *w, uint64_t *ret,
                 struct timespec *ret_mtime)
{
    struct list *list;
    int err = make_and_lock(l, number, version, w, &list);
    if (err)
        return err;
    list->told = true;
    *ret = list->bytes;
    *ret_mtime = list->mtime;
    pthread_mutex_unlock(&l->lock);
    return 0;
}

/* Up to len bytes of a part of a stack; offset: behind the header. 0 = it is the end. */
static ssize_t read_part(struct fs_lists *l, uint32_t number, uint32_t version, struct cache_waiter *w,
                         void *out, size_t len, uint64_t offset)
{
    const struct list *list = list_of(l, number);
    struct cache *cache = l->fs->cache;
    const uint64_t bytes = fs_stack_part_bytes(&view_of(l, list)->list);
    pthread_mutex_lock(&l->lock);
    ssize_t n = check_version_locked(list, version);
    bool there = n == 0 && bytes > 0 && offset / bytes < list->n;
    uint32_t clip = there ? list->entries[offset / bytes].clip : 0;
    pthread_mutex_unlock(&l->lock);
    if (!there)
        return n;
    n = cache_read(cache, clip, cache_version(cache, clip), list->view, 0, w, out, len, offset % bytes);
    if (n <= 0)
        return n < 0 ? n : -EIO;
    /* What was read may be of a clip that has changed since the list was looked at. */
    pthread_mutex_lock(&l->lock);
    int err = check_version_locked(list, version);
    pthread_mutex_unlock(&l->lock);
    return err ? err : n;
}

ssize_t fs_list_read(struct fs_lists *l, uint32_t number, uint32_t version, struct cache_waiter *w, void *out,
                     size_t len, uint64_t offset)
{
    struct list *list;
    size_t done = 0;
    ssize_t n = make_and_lock(l, number, version, w, &list);
    if (n < 0)
        return n;
    list->told = true;
    n = need_text_locked(l, list);
    const uint64_t text = list->text.len;
    if (n == 0 && offset < text) {
        done = BASE_MIN(len, (size_t)(text - offset));
        memcpy(out, list->text.data + offset, done);
    }
    pthread_mutex_unlock(&l->lock);
    if (n < 0 || !view_of(l, list)->list.is_stack)
        return n < 0 ? n : (ssize_t)done;
    while (done < len &&
           (n = read_part(l, number, version, w, (char *)out + done, len - done, offset + done - text)) > 0)
        done += (size_t)n;
    return n < 0 ? n : (ssize_t)done;
}

uint64_t fs_lists_n_unlisted(struct fs_lists *l)
{
    pthread_mutex_lock(&l->lock);
    uint64_t n = l->n_unlisted;
    pthread_mutex_unlock(&l->lock);
    return n;
}
