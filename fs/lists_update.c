/* SPDX-License-Identifier: Apache-2.0 */
/* Lists that change: clips of which something else is known, and clips that come and go. */
#include "fs/lists_private.h"

#include <errno.h>

/* ---- Changes ---- */

void fs_list_drop_text_locked(struct fs_lists *l, struct list *list)
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
    fs_list_drop_text_locked(l, list);
    if (ended && list->version < CACHE_MAX_VERSION)
        list->version++;
    return ended;
}

static bool forget_clip_locked(struct fs_lists *l, struct list *list, size_t clip)
{
    bool found = false;
    if (fs_list_view(l, list)->list.asked < 0 && !fs_list_view(l, list)->list.is_stack)
        return false;
    for (uint32_t i = 0; i < list->n; i++) {
        if (list->entries[i].clip != clip)
            continue;
        list->entries[i].frames = FS_UNKNOWN;
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
        bool ended = forget_clip_locked(l, fs_list_of(l, i), clip);
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
    return -compare_to(fs_list_of(f->l, *(const uint32_t *)number), f->view, f->path);
}

static int compare_numbers(const void *a, const void *b, void *lists)
{
    const struct list *y = fs_list_of(lists, *(const uint32_t *)b);
    return compare_to(fs_list_of(lists, *(const uint32_t *)a), y->view, y->path);
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
        if (n > FS_MAX_LISTS)
            return -E2BIG;
        if (base_grow_to(&l->memory, n * sizeof(struct list)) < 0)
            return -ENOMEM;
        struct list *list = fs_list_of(l, ids[i]);
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
        entries[i] = (struct entry){clip_ids ? clip_ids[file->clips[i]] : file->clips[i], FS_UNKNOWN};
    pthread_mutex_lock(&l->lock);
    bool ended = set_entries_locked(l, fs_list_of(l, number), entries, (uint32_t)n, other_values);
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
