/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/lists_private.h"

#include "base/log.h"
#include "fs/stack.h"

#include <errno.h>

enum {
    AHEAD = 64,      /* so many clips are looked into at once */
    MOST_STALE = 16, /* a clip that changes all the while is none */
    KEPT_BYTES = 64 << 20,
};
static const size_t max_list_bytes = (size_t)1 << 30;
int fs_lists_create(struct fs *fs, struct fs_lists **ret)
{
    struct fs_lists *l = calloc(1, sizeof *l);
    if (!l || base_grow_init(&l->memory, FS_MAX_LISTS * sizeof(struct list)) < 0) {
        free(l);
        return -ENOMEM;
    }
    l->fs = fs;
    pthread_mutex_init(&l->lock, NULL);
    *ret = l;
    return 0;
}
void fs_lists_destroy(struct fs_lists *l)
{
    if (!l)
        return;
    for (uint32_t i = 0; i < l->n; i++) {
        struct list *list = fs_list_of(l, i);
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
    *ret = err || (spec->uses_nframes && n == 0) ? FS_UNLISTED : BASE_MIN(n, (uint32_t)CACHE_MAX_FILES);
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
        if (list->entries[i].frames != FS_UNLISTED)
            clips[n++] = &l->fs->clips[list->entries[i].clip];
    cfg_expand_pickle(&fs_list_view(l, list)->list, clips, n, max_list_bytes, out);
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
    const struct cfg_listing *spec = &fs_list_view(l, list)->list;
    const struct cfg_clip *clips = l->fs->clips, *first = list->n > 0 ? &clips[list->entries[0].clip] : NULL;
    struct cfg_numbers numbers = {.index = (uint64_t)spec->base};
    for (uint32_t i = 0; i < list->n; i++)
        numbers.nclips += list->entries[i].frames != FS_UNLISTED;
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
        if (list->entries[i].frames == FS_UNLISTED)
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
            struct list *list = fs_list_of(l, i);
            if (list != used && list->text.len > 0 && (!oldest || list->used < oldest->used))
                oldest = list;
        }
        if (!oldest)
            return;
        fs_list_drop_text_locked(l, oldest);
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
        if (list->entries[i].frames == FS_UNLISTED)
            first = &l->fs->clips[list->entries[i].clip];
    base_log(BASE_LOG_WARNING,
             "%s: %u of %u clips are not listed, since they cannot be read%s; the first is %s", list->path,
             list->n_unlisted, list->n, fs_list_view(l, list)->list.uses_nframes ? ", or have no frames" : "",
             first ? first->label : "");
}

static struct timespec newest(struct fs_lists *l, const struct list *list)
{
    const int64_t second = 1000000000;
    int64_t most = INT64_MIN, ns;
    bool asked = fs_list_view(l, list)->list.asked >= 0 || fs_list_view(l, list)->list.is_stack;
    for (uint32_t i = 0; asked && i < list->n; i++)
        if (list->entries[i].frames != FS_UNLISTED &&
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
        list->n_unlisted += list->entries[i].frames == FS_UNLISTED;
    list->made = true;
    list->bytes = list->text.len + list->n * fs_stack_part_bytes(&fs_list_view(l, list)->list);
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
    struct list *list = fs_list_of(l, number);
    const struct cfg_listing *spec = &fs_list_view(l, list)->list;
    for (;;) {
        pthread_mutex_lock(&l->lock);
        int err = check_version_locked(list, version);
        while (spec->asked >= 0 && list->next < list->n && list->entries[list->next].frames != FS_UNKNOWN)
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
    uint32_t version = fs_list_of(l, list)->version;
    pthread_mutex_unlock(&l->lock);
    return version;
}

bool fs_list_is_made(struct fs_lists *l, uint32_t list)
{
    pthread_mutex_lock(&l->lock);
    bool made = fs_list_of(l, list)->made;
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
    const struct list *list = fs_list_of(l, number);
    struct cache *cache = l->fs->cache;
    const uint64_t bytes = fs_stack_part_bytes(&fs_list_view(l, list)->list);
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
    if (n < 0 || !fs_list_view(l, list)->list.is_stack)
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
