/* SPDX-License-Identifier: Apache-2.0 */
/* Which archives there are, and opening them. */
#include "cache/archives.h"

#include "cache/private.h"

#include <errno.h>

/* ---- The table ---- */

int archives_init(struct cache *c)
{
    size_t most = (size_t)CACHE_MAX_ARCHIVES + 1;
    if (base_grow_init(&c->archives_memory, most * sizeof *c->archives) < 0 ||
        base_grow_init(&c->slots_memory, most * sizeof *c->slots) < 0)
        return -ENOMEM;
    c->archives = c->archives_memory.data;
    c->slots = c->slots_memory.data;
    return 0;
}

static void free_list(struct archive *a)
{
    free(a->packed);
    free(a->links);
    free(a->counts);
    a->packed = NULL;
    a->links = NULL;
    a->counts = NULL;
}

void archive_free(struct archive *a)
{
    if (!a)
        return;
    free_list(a);
    free(a);
}

bool archive_use(struct archive *a)
{
    unsigned users = atomic_load(&a->users);
    do
        if (users == ARCHIVE_RELEASED)
            return false;
    while (!atomic_compare_exchange_weak(&a->users, &users, users + 1));
    return true;
}

void archive_unuse(struct archive *a)
{
    atomic_fetch_sub(&a->users, 1);
}

static uint64_t list_bytes(const struct archive *a)
{
    return a->packed_bytes + a->n_links * sizeof *a->links + a->n_counts * sizeof *a->counts;
}

void cache_archives_trim(struct cache *c)
{
    uint64_t bytes = 0, n_refused = 0;
    for (uint32_t i = 1; i <= c->n_archives; i++) {
        struct archive *a = c->archives[i];
        unsigned unused = 0;
        if (!archive_is_current(c, a) && atomic_compare_exchange_strong(&a->users, &unused, ARCHIVE_RELEASED))
            free_list(a);
        if (atomic_load(&a->users) == ARCHIVE_RELEASED)
            continue;
        bytes += list_bytes(a);
        n_refused += a->list.n_refused;
    }
    pthread_mutex_lock(&c->lock);
    c->counters.list_bytes = bytes;
    c->counters.members_refused = n_refused;
    pthread_mutex_unlock(&c->lock);
}

void archives_finish(struct cache *c)
{
    for (uint32_t i = 1; i <= c->n_archives; i++)
        archive_free(c->archives[i]);
    for (uint32_t i = 0; i < c->n_slots; i++)
        free(c->slots[i].path);
    free(c->slot_table);
    base_grow_finish(&c->archives_memory);
    base_grow_finish(&c->slots_memory);
}

int archives_add(struct cache *c, struct archive *a, uint32_t slot)
{
    pthread_mutex_lock(&c->lock);
    uint32_t number = c->n_archives + 1;
    int err = number > CACHE_MAX_ARCHIVES
                  ? -E2BIG
                  : base_grow_to(&c->archives_memory, ((size_t)number + 1) * sizeof *c->archives);
    if (!err) {
        c->archives[number] = a;
        c->n_archives = number;
        c->slots[slot].current = number;
        c->counters.members_refused += a->list.n_refused;
        c->counters.list_bytes += list_bytes(a);
    }
    pthread_mutex_unlock(&c->lock);
    if (err)
        archive_free(a);
    return err;
}

struct archive *archive_of(struct cache *c, uint32_t number)
{
    return number > 0 && number <= c->n_archives ? c->archives[number] : NULL;
}

bool archive_is_current_locked(const struct cache *c, const struct archive *a)
{
    return c->clips[a->clip].version == a->version;
}

bool archive_is_current(struct cache *c, const struct archive *a)
{
    pthread_mutex_lock(&c->lock);
    bool current = archive_is_current_locked(c, a);
    pthread_mutex_unlock(&c->lock);
    return current;
}

bool cache_archive_is_current(struct cache *c, uint32_t archive)
{
    const struct archive *a = archive_of(c, archive);
    return a && archive_is_current(c, a);
}

size_t cache_archive_clip(struct cache *c, uint32_t archive)
{
    return archive_of(c, archive)->clip;
}

/* ---- Slots ---- */

static uint32_t hash_of_place(uint32_t outer, uint32_t member, const char *path)
{
    const uint32_t numbers[2] = {outer, member};
    struct base_hash hash = outer ? base_hash_of(numbers, sizeof numbers) : base_hash_of(path, strlen(path));
    uint32_t start;
    memcpy(&start, hash.bytes, sizeof start);
    return start;
}

/* Where a place's slot stands in the table, or would: a table that is never full. */
static uint32_t *find_entry(const struct cache *c, uint32_t outer, uint32_t member, const char *path)
{
    uint32_t mask = c->slot_table_len - 1, at = hash_of_place(outer, member, path) & mask;
    for (;; at = (at + 1) & mask) {
        const struct archive_slot *s = c->slot_table[at] ? &c->slots[c->slot_table[at] - 1] : NULL;
        if (!s || (s->outer == outer && s->member == member && (outer || strcmp(s->path, path) == 0)))
            return &c->slot_table[at];
    }
}

/* The slot of a place, or n_slots. */
static uint32_t find_slot(const struct cache *c, uint32_t outer, uint32_t member, const char *path)
{
    uint32_t entry = c->slot_table ? *find_entry(c, outer, member, path) : 0;
    return entry ? entry - 1 : c->n_slots;
}

/* Makes room in the table for one more. */
static int grow_table(struct cache *c)
{
    if (c->slot_table && c->n_slots < c->slot_table_len / 2)
        return 0;
    uint32_t len = c->slot_table ? c->slot_table_len * 2 : 64;
    uint32_t *table = calloc(len, sizeof *table);
    if (!table)
        return -ENOMEM;
    free(c->slot_table);
    c->slot_table = table;
    c->slot_table_len = len;
    for (uint32_t i = 0; i < c->n_slots; i++)
        *find_entry(c, c->slots[i].outer, c->slots[i].member, c->slots[i].path) = i + 1;
    return 0;
}

static int add_slot(struct cache *c, uint32_t outer, uint32_t member, size_t clip, const char *path)
{
    if (c->n_slots == CACHE_MAX_ARCHIVES)
        return -E2BIG;
    if (base_grow_to(&c->slots_memory, ((size_t)c->n_slots + 1) * sizeof *c->slots) < 0 || grow_table(c) < 0)
        return -ENOMEM;
    char *own = strdup(path);
    if (!own)
        return -ENOMEM;
    *find_entry(c, outer, member, path) = c->n_slots + 1;
    c->slots[c->n_slots++] =
        (struct archive_slot){.path = own, .outer = outer, .member = member, .clip = clip};
    return 0;
}

/* The archive of a slot, if it is still what stands there. */
static uint32_t current_of(struct cache *c, uint32_t slot)
{
    pthread_mutex_lock(&c->lock);
    uint32_t number = c->slots[slot].current;
    if (number && !archive_is_current_locked(c, c->archives[number]))
        number = 0;
    pthread_mutex_unlock(&c->lock);
    return number;
}

static struct cache_task list_task(const struct cache *c, uint32_t slot)
{
    struct cache_task task = {.kind = TASK_LIST, .clip = c->slots[slot].clip, .slot = slot};
    uint64_t number[2] = {UINT64_C(0x6c697374), slot};
    task.key = base_hash_of(number, sizeof number);
    return task;
}

/* Each file is a clip of its own, which has its versions and is watched. */
static int add_files(struct cache *c, const uint32_t *slots, size_t n)
{
    size_t first;
    base_autofree struct cache_source *sources = calloc(n + 1, sizeof *sources);
    if (!sources)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        sources[i].path = c->slots[slots[i]].path;
    int err = cache_add_sources(c, sources, n, &first);
    for (size_t i = 0; !err && i < n; i++)
        c->slots[slots[i]].clip = first + i;
    return err;
}

int cache_archives_prepare(struct cache *c, const char *const *paths, size_t n)
{
    base_autofree uint32_t *slots = calloc(n + 1, sizeof *slots);
    uint32_t before = c->n_slots;
    int err = slots ? 0 : -ENOMEM;
    for (size_t i = 0; !err && i < n; i++) {
        slots[i] = find_slot(c, 0, 0, paths[i]);
        if (slots[i] == c->n_slots)
            err = add_slot(c, 0, 0, 0, paths[i]);
    }
    base_autofree uint32_t *new = calloc(c->n_slots - before + 1, sizeof *new);
    for (uint32_t i = before; new &&i < c->n_slots; i++)
        new[i - before] = i;
    if (!err)
        err = new ? add_files(c, new, c->n_slots - before) : -ENOMEM;
    for (size_t i = 0; !err && i < n; i++) {
        /* A change may not have been told yet. */
        if (slots[i] < before)
            (void)clip_check(c, c->slots[slots[i]].clip);
        struct cache_task task = list_task(c, slots[i]);
        if (!current_of(c, slots[i]))
            (void)jobs_wait_for(c, &task, NULL);
    }
    return err;
}

/* ---- Waiting ---- */

static void on_wake(struct cache_waiter *w)
{
    struct blocking_waiter *b = (struct blocking_waiter *)w;
    pthread_mutex_lock(&b->lock);
    b->woken = true;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

void blocking_init(struct blocking_waiter *b)
{
    *b = (struct blocking_waiter){.waiter.wake = on_wake};
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->changed, NULL);
}

int blocking_wait(struct blocking_waiter *b)
{
    pthread_mutex_lock(&b->lock);
    while (!b->woken)
        pthread_cond_wait(&b->changed, &b->lock);
    b->woken = false;
    pthread_mutex_unlock(&b->lock);
    return b->waiter.error;
}

void blocking_finish(struct blocking_waiter *b)
{
    cache_waiter_finish(&b->waiter);
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
}

static int wait_for_list(struct cache *c, uint32_t slot, uint32_t *ret)
{
    struct blocking_waiter b;
    const struct cache_task task = list_task(c, slot);
    int err = 0;
    blocking_init(&b);
    while (!err && !(*ret = current_of(c, slot))) {
        err = jobs_wait_for(c, &task, &b.waiter);
        if (err == -EINPROGRESS)
            err = blocking_wait(&b);
    }
    blocking_finish(&b);
    return err;
}

int cache_archive_open(struct cache *c, const char *path, uint32_t *ret_archive)
{
    uint32_t slot = find_slot(c, 0, 0, path);
    int err = slot == c->n_slots ? cache_archives_prepare(c, &path, 1) : 0;
    return err ? err : wait_for_list(c, slot, ret_archive);
}

int cache_archive_open_member(struct cache *c, uint32_t archive, uint32_t member, const char *path,
                              uint32_t *ret_archive)
{
    const struct archive *outer = archive_of(c, archive);
    if (!outer)
        return -ENOENT;
    uint32_t slot = find_slot(c, archive, member, path);
    int err = slot == c->n_slots ? add_slot(c, archive, member, outer->clip, path) : 0;
    return err ? err : wait_for_list(c, slot, ret_archive);
}

/* ---- Records ---- */

int archive_record(struct archive *a, uint32_t number, struct dec_members_cursor *cursor,
                   struct dec_member *ret)
{
    cursor->extents = NULL;
    if (!archive_use(a))
        return -ESTALE;
    dec_members_begin(&a->list, cursor);
    int err = dec_members_seek(cursor, number);
    if (!err)
        err = dec_members_next(cursor, ret);
    if (err <= 0)
        dec_members_end(cursor);
    archive_unuse(a); /* what the record points to is the cursor's */
    return err > 0 ? 0 : err == 0 || err == -ENOENT ? -ENOENT : err == -ENOMEM ? err : -EIO;
}

struct base_hash archive_member_identity(const struct archive *a, const struct dec_member *member)
{
    struct {
        struct base_hash archive, name;
        uint64_t offset, size;
    } parts = {a->identity, base_hash_of(member->name, member->name_len), member->offset, member->size};
    return base_hash_of(&parts, sizeof parts);
}
