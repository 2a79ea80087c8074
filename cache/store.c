/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing, starting over when the ground is gone, housekeeping, and the public functions that are
 * short. */
#include "cache/store_private.h"

#include "base/io.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define FLUSH_SECONDS 3
/* Every how many flushes dead processes are looked for. */
#define REAP_EVERY 10u
#define RETRY_NS ((int64_t)1000000000)
#define FACT_MAX_BYTES ((size_t)64 << 20)
#define EVICT_ROUNDS 64

struct cache_owner cache_store_owner(struct cache_store *store)
{
    pthread_mutex_lock(&store->identity_lock);
    struct cache_owner owner = store->owner;
    pthread_mutex_unlock(&store->identity_lock);
    return owner;
}

/* ---- Setting up ---- */

/* Processes set the directory up one after the other. The lock's file may be removed together with the
 * directory while we wait for it; then it is locked anew. */
static int lock_dir(const char *dir, int *ret_fd)
{
    struct cache_path path = cache_path_in(dir, "lock");
    for (int i = 0; i < 100; i++) {
        struct stat held, there;
        base_autoclose int fd = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            return -errno;
        while (flock(fd, LOCK_EX) < 0) {
            if (errno != EINTR)
                return -errno;
        }
        if (fstat(fd, &held) == 0 && stat(path.text, &there) == 0 && held.st_ino == there.st_ino) {
            *ret_fd = base_steal_fd(&fd);
            return 0;
        }
    }
    return -EBUSY;
}

/* The boot we live in; equal after a crash of processes, another one after a loss of power. */
static struct base_hash this_boot(void)
{
    base_autofree char *text = NULL;
    size_t len = 0;
    if (base_read_file("/proc/sys/kernel/random/boot_id", 4096, &text, &len) < 0)
        return base_hash_of("", 0);
    return base_hash_of(text, len);
}

/* Rows and files can differ only after a loss of power, or when the index is new. */
static int sweep_if_needed(struct cache_store *store, bool replaced)
{
    static const struct base_hash clean;
    struct base_hash boot = this_boot(), last;
    int err = cache_db_boot_get(store->db, &last);
    if (err && err != -ENOENT)
        return err;
    bool ended_well = !err && (base_hash_equal(&last, &boot) || base_hash_equal(&last, &clean));
    if (!ended_well || replaced) {
        err = cache_sweep(store);
        if (err)
            return err;
    }
    return ended_well && base_hash_equal(&last, &boot) ? 0 : cache_db_boot_put(store->db, &boot);
}

static void become(struct cache_store *store, const struct cache_owner *owner, int fd)
{
    if (store->owner_fd >= 0)
        close(store->owner_fd);
    store->owner_fd = fd;
    pthread_mutex_lock(&store->identity_lock);
    store->owner = *owner;
    pthread_mutex_unlock(&store->identity_lock);
}

/* Connects and compares. -EBADMSG: the index turned out to be damaged inside; the next call makes it anew. */
static int set_up_index(struct cache_store *store, bool replaced, struct base_reason *why)
{
    struct cache_owner owner;
    int fd = -1;
    int err = cache_db_connect(store->db, why);
    if (err)
        return err;
    err = cache_owner_create(store->dir, &owner, &fd);
    if (err)
        return base_fail(why, err, "cannot write in %s/tmp: %s", store->dir, strerror(-err));
    become(store, &owner, fd);
    (void)cache_owners_reap(store->dir, store->db, owner.id);
    err = sweep_if_needed(store, replaced);
    return err ? base_fail(why, err, "cannot read the cache in %s: %s", store->dir, strerror(-err)) : 0;
}

/* Makes what is missing of directory, database and owner. Under reset_lock, or before there are threads. */
static int set_up(struct cache_store *store, bool replaced, struct base_reason *why)
{
    base_autoclose int lock = -1;
    int err = cache_make_dirs(store->dir);
    if (!err)
        err = lock_dir(store->dir, &lock);
    if (err)
        return base_fail(why, err, "the cache directory %s cannot be used: %s", store->dir, strerror(-err));
    err = set_up_index(store, replaced, why);
    return err == -EBADMSG ? set_up_index(store, true, why) : err;
}

/* A database or directory that cannot be written now may be written later; reads can be served from memory
 * until then. */
static bool passes(int err)
{
    return err == -ENOSPC || err == -EDQUOT || err == -EBUSY;
}

static bool ground_good(struct cache_store *store)
{
    struct cache_owner owner = cache_store_owner(store);
    return !atomic_load(&store->lost) && cache_db_usable(store->db) && cache_owner_intact(store->dir, &owner);
}

static int start_over_locked(struct cache_store *store)
{
    struct base_reason why = {{0}};
    if (ground_good(store))
        return 0;
    if (base_now_ns() < store->retry_ns)
        return -EAGAIN;
    bool replaced = !cache_db_usable(store->db);
    atomic_store(&store->lost, false);
    base_log(BASE_LOG_WARNING, "%s: %s; starting over with what is there", store->dir,
             replaced ? "the index is gone, replaced or cannot be used"
                      : "the index could not be written, or tmp/ was removed");
    int err = set_up(store, replaced, &why);
    if (err) {
        base_log(BASE_LOG_WARNING, "%s; nothing is kept until then", why.text);
        store->retry_ns = base_now_ns() + RETRY_NS;
        atomic_store(&store->lost, true);
    }
    cache_open_list_drop_unlinked(store->open);
    return err;
}

int cache_store_ground(struct cache_store *store)
{
    if (ground_good(store))
        return 0;
    if (pthread_mutex_trylock(&store->reset_lock) != 0)
        return -EBUSY;
    int err = start_over_locked(store);
    pthread_mutex_unlock(&store->reset_lock);
    return err;
}

void cache_store_pause(struct cache_store *store, const char *why)
{
    int64_t now = base_now_ns();
    if (atomic_exchange(&store->paused_until_ns, now + RETRY_NS) < now)
        base_log(BASE_LOG_WARNING, "%s: %s; nothing is kept for a second", store->dir, why);
}

/* ---- Housekeeping ---- */

void cache_store_flush_uses(struct cache_store *store)
{
    struct cache_db_use uses[CACHE_USES_MAX];
    size_t n = cache_open_list_take_uses(store->open, uses, CACHE_USES_MAX);
    if (n > 0)
        (void)cache_db_put_uses(store->db, uses, n);
}

void cache_store_kick(struct cache_store *store)
{
    pthread_mutex_lock(&store->house_lock);
    store->house_kicked = true;
    pthread_cond_signal(&store->house_wake);
    pthread_mutex_unlock(&store->house_lock);
}

/* False: time to end. */
static bool wait_for_work(struct cache_store *store)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += FLUSH_SECONDS;
    pthread_mutex_lock(&store->house_lock);
    int err = 0;
    while (!store->house_stop && !store->house_kicked && err != ETIMEDOUT)
        err = pthread_cond_timedwait(&store->house_wake, &store->house_lock, &until);
    store->house_kicked = false;
    bool go_on = !store->house_stop;
    pthread_mutex_unlock(&store->house_lock);
    return go_on;
}

static void *keep_house(void *data)
{
    struct cache_store *store = data;
    for (unsigned i = 1; wait_for_work(store); i++) {
        cache_store_flush_uses(store);
        cache_open_list_drop_unlinked(store->open);
        if (i % REAP_EVERY == 0) {
            (void)cache_owners_reap(store->dir, store->db, cache_store_owner(store).id);
            cache_space_trim(store);
        }
    }
    return NULL;
}

static int start_house(struct cache_store *store)
{
    base_cond_init(&store->house_wake);
    return -pthread_create(&store->house, NULL, keep_house, store);
}

/* ---- Opening and closing ---- */

static int absolute(const char *dir, char **ret)
{
    base_autofree char *cwd = dir[0] == '/' ? NULL : getcwd(NULL, 0);
    if (dir[0] != '/' && !cwd)
        return -errno;
    int len = asprintf(ret, "%s%s%s", cwd ? cwd : "", cwd ? "/" : "", dir);
    if (len < 0)
        return -ENOMEM;
    while (len > 1 && (*ret)[len - 1] == '/')
        (*ret)[--len] = 0;
    return (size_t)len + CACHE_PATH_ROOM < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static void destroy(struct cache_store *store)
{
    cache_loader_destroy(store->loader);
    cache_open_list_destroy(store->open);
    cache_db_destroy(store->db);
    if (store->owner_fd >= 0)
        close(store->owner_fd);
    pthread_mutex_destroy(&store->identity_lock);
    pthread_mutex_destroy(&store->reset_lock);
    pthread_mutex_destroy(&store->house_lock);
    free(store->dir);
    free(store);
}

static int create(const char *dir, uint64_t size_bytes, struct cache_store **ret)
{
    struct cache_store *store = calloc(1, sizeof *store);
    if (!store)
        return -ENOMEM;
    store->owner_fd = -1;
    store->budget_bytes = size_bytes;
    pthread_mutex_init(&store->identity_lock, NULL);
    pthread_mutex_init(&store->reset_lock, NULL);
    pthread_mutex_init(&store->house_lock, NULL);
    int err = absolute(dir, &store->dir);
    if (!err)
        err = cache_open_list_create(&store->open);
    if (!err)
        err = cache_loader_create(store, &store->loader);
    if (!err)
        err = cache_db_create(store->dir, size_bytes, &store->db);
    if (err)
        destroy(store);
    else
        *ret = store;
    return err;
}

int cache_store_open(const char *dir, uint64_t size_bytes, struct cache_store **ret, struct base_reason *why)
{
    struct cache_store *store = NULL;
    struct base_reason cause = {{0}};
    int err = create(dir, size_bytes, &store);
    if (err)
        return base_fail(why, err, "the cache directory %s cannot be used: %s", dir, strerror(-err));
    err = set_up(store, false, &cause);
    if (passes(err)) {
        base_log(BASE_LOG_WARNING, "%s; files are made without being kept until then", cause.text);
        atomic_store(&store->lost, true);
        err = 0;
    }
    if (err)
        base_fail(why, err, "%s", cause.text);
    else if (!atomic_load(&store->lost))
        cache_space_trim(store);
    if (!err && (err = start_house(store)) < 0)
        base_fail(why, err, "cannot start a thread for the cache %s: %s", dir, strerror(-err));
    if (err)
        destroy(store);
    else
        *ret = store;
    return err;
}

static void stop_house(struct cache_store *store)
{
    pthread_mutex_lock(&store->house_lock);
    store->house_stop = true;
    pthread_cond_signal(&store->house_wake);
    pthread_mutex_unlock(&store->house_lock);
    pthread_join(store->house, NULL);
    pthread_cond_destroy(&store->house_wake);
}

/* Says in the database that nothing is left to compare, if nobody else is at work; then makes it durable. */
static void end_well(struct cache_store *store)
{
    static const struct base_hash clean;
    if (!ground_good(store))
        return;
    int64_t self = store->owner.id;
    bool others = cache_owners_reap(store->dir, store->db, self);
    /* Without its lock this owner is a dead one like any other. */
    close(store->owner_fd);
    store->owner_fd = -1;
    int err = cache_owner_reap(store->dir, store->db, self);
    if (!err && !others)
        (void)cache_db_boot_put(store->db, &clean);
    cache_db_checkpoint(store->db);
}

void cache_store_close(struct cache_store *store)
{
    if (!store)
        return;
    stop_house(store);
    cache_store_flush_uses(store);
    end_well(store);
    destroy(store);
}

void cache_store_set_min_free(struct cache_store *store, uint64_t bytes)
{
    atomic_store(&store->min_free_bytes, bytes);
}

void cache_store_usage(struct cache_store *store, struct cache_usage *ret)
{
    *ret = (struct cache_usage){
        .budget_bytes = store->budget_bytes,
        .hits = atomic_load(&store->hits),
        .misses = atomic_load(&store->misses),
        .made = atomic_load(&store->made),
        .evicted = atomic_load(&store->evicted),
        .bad = atomic_load(&store->bad),
        .unkept = atomic_load(&store->unkept),
    };
    (void)cache_db_usage(store->db, &ret->bytes, &ret->n_segments);
}

/* ---- Segments ---- */

void cache_store_remove_bad(struct cache_store *store, const struct base_hash *key)
{
    char hex[33];
    base_hash_hex(key, hex);
    base_log(BASE_LOG_WARNING, "%s: segment %s is damaged: removed, it will be made again", store->dir, hex);
    atomic_fetch_add(&store->bad, 1);
    (void)cache_space_remove(store, key);
}

/* ---- Facts ---- */

/* Evicts for a put that said -ENOSPC. True: try again. */
static bool make_room(struct cache_store *store, int err, uint64_t *missing, int *rounds)
{
    uint64_t bytes = *missing;
    *missing = 0;
    return err == -ENOSPC && bytes > 0 && ++*rounds < EVICT_ROUNDS && cache_space_evict(store, bytes) == 0;
}

int cache_fact_get(struct cache_store *store, const struct base_hash *key, struct base_bytes *out)
{
    int err = cache_db_fact_get(store->db, key, out);
    if (err == -EIO)
        base_log(BASE_LOG_WARNING, "%s: a damaged row in the index; what it held is found again", store->dir);
    return err;
}

void cache_fact_put(struct cache_store *store, const struct base_hash *key, const void *data, size_t len)
{
    uint64_t missing = 0;
    int rounds = 0;
    int err = len > FACT_MAX_BYTES ? -EFBIG : cache_store_ground(store);
    if (!err) {
        do {
            err = cache_db_fact_put(store->db, key, data, len, &missing);
        } while (make_room(store, err, &missing, &rounds));
    }
    if (err)
        base_log(BASE_LOG_DEBUG, "%s: %zu bytes were not kept in the index: %s", store->dir, len,
                 strerror(-err));
}

void cache_fact_remove(struct cache_store *store, const struct base_hash *key)
{
    (void)cache_db_fact_remove(store->db, key);
}

static int identity_names(const char *path, const struct cache_file_stamp *stamp,
                          const struct base_hash *identity, struct base_hash *ret_name,
                          struct base_hash *ret_proof)
{
    struct base_hasher *h = base_hasher_create();
    if (!h)
        return -ENOMEM;
    base_hasher_add(h, path, strlen(path));
    base_hasher_add(h, stamp, sizeof *stamp);
    base_hasher_add(h, identity, sizeof *identity);
    *ret_proof = base_hasher_finish(h);
    *ret_name = base_hash_of(path, strlen(path));
    return 0;
}

int cache_identity_get(struct cache_store *store, const char *path, const struct cache_file_stamp *stamp,
                       struct base_hash *ret)
{
    struct base_hash name = base_hash_of(path, strlen(path)), identity, kept, now;
    int err = cache_db_identity_get(store->db, &name, &identity, &kept);
    if (!err)
        err = identity_names(path, stamp, &identity, &name, &now);
    if (err)
        return err;
    /* Differs for another stamp, and for a damaged row. */
    if (!base_hash_equal(&kept, &now))
        return -ENOENT;
    *ret = identity;
    return 0;
}

void cache_identity_put(struct cache_store *store, const char *path, const struct cache_file_stamp *stamp,
                        const struct base_hash *identity)
{
    struct base_hash name, proof;
    uint64_t missing = 0;
    int rounds = 0;
    int err = cache_store_ground(store);
    if (!err)
        err = identity_names(path, stamp, identity, &name, &proof);
    if (!err) {
        do {
            err = cache_db_identity_put(store->db, &name, identity, &proof, &missing);
        } while (make_room(store, err, &missing, &rounds));
    }
    if (err)
        base_log(BASE_LOG_DEBUG, "%s: an identity was not kept in the index: %s", store->dir, strerror(-err));
}
