/* SPDX-License-Identifier: Apache-2.0 */
/* New segments: from a reservation to a published file. */
#include "cache/store_private.h"

#include "base/io.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct cache_writer {
    struct cache_store *store;
    int fd;
    bool in_memory;
    uint64_t max_bytes;
    bool has_sum;
    struct base_hash sum;   /* of the content */
    struct cache_work work; /* not for in_memory: the row that allows the file tmp/<owner>-<seq> */
};

/* A directory below segments/ that may have to be made. */
#define FAN_BYTES 4096u

static void give_up_work(struct cache_writer *w)
{
    struct cache_path path = cache_path_work(w->store->dir, w->work.owner, w->work.seq);
    (void)unlink(path.text);
    struct cache_db_work row = {.id = w->work};
    cache_space_release(w->store, &row, 1);
}

/* Blocks for the whole reservation, so that the disk cannot be full in the middle of a worker's writing. */
static int allocate(int fd, uint64_t bytes)
{
    if (bytes == 0 || fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes) == 0)
        return 0;
    return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? -errno : 0;
}

static int open_file(struct cache_writer *w)
{
    struct cache_path path = cache_path_work(w->store->dir, w->work.owner, w->work.seq);
    base_autoclose int fd = open(path.text, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int err = fd < 0 ? -errno : allocate(fd, w->max_bytes + sizeof(struct cache_footer));
    if (err)
        return err;
    w->fd = base_steal_fd(&fd);
    return 0;
}

static int begin_on_disk(struct cache_writer *w)
{
    if (base_now_ns() < atomic_load(&w->store->paused_until_ns))
        return -EAGAIN;
    int err = cache_store_ground(w->store);
    if (err)
        return err;
    uint64_t bytes = cache_charge(w->max_bytes + sizeof(struct cache_footer)) + FAN_BYTES;
    err = cache_space_reserve(w->store, bytes, &w->work);
    if (err)
        return err;
    err = open_file(w);
    cache_space_allocated(w->store, bytes);
    if (err)
        give_up_work(w);
    return err;
}

/* What is not kept is held in memory, but not without end. */
#define MOST_IN_MEMORY_BYTES (UINT64_C(1) << 30)

static int begin_in_memory(struct cache_writer *w)
{
    if (w->max_bytes > MOST_IN_MEMORY_BYTES)
        return -ENOSPC;
    w->in_memory = true;
    w->fd = memfd_create("corpusfs-segment", MFD_CLOEXEC);
    return w->fd < 0 ? -errno : 0;
}

int cache_writer_begin(struct cache_store *store, uint64_t max_bytes, struct cache_writer **ret)
{
    if (max_bytes > (uint64_t)1 << 50)
        return -EFBIG;
    struct cache_writer *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->store = store;
    w->fd = -1;
    w->max_bytes = max_bytes;
    int err = begin_on_disk(w);
    if (err)
        err = begin_in_memory(w);
    if (err) {
        free(w);
        return err;
    }
    *ret = w;
    return 0;
}

int cache_writer_fd(const struct cache_writer *w)
{
    return w->fd;
}

void cache_writer_sum(struct cache_writer *w, const struct base_hash *sum)
{
    w->sum = *sum;
    w->has_sum = true;
}

static int move_in_place(const struct cache_writer *w, const struct base_hash *key)
{
    struct cache_path from = cache_path_work(w->store->dir, w->work.owner, w->work.seq);
    struct cache_path fan = cache_path_fan(w->store->dir, key);
    struct cache_path to = cache_path_segment(w->store->dir, key);
    if (rename(from.text, to.text) == 0)
        return 0;
    if (errno != ENOENT)
        return -errno;
    int err = cache_make_dirs(w->store->dir);
    if (err)
        return err;
    if (mkdir(fan.text, 0700) < 0 && errno != EEXIST)
        return -errno;
    return rename(from.text, to.text) < 0 ? -errno : 0;
}

/* Rename, between the two transactions that allow it and record it. On failure the work row, if it stands,
 * and the temporary file, are still to be given up. */
static int publish(struct cache_writer *w, const struct base_hash *key, const struct cache_layout *layout,
                   uint64_t cost_us)
{
    int err = cache_footer_write(w->fd, layout, key, cost_us, w->has_sum ? &w->sum : NULL);
    if (err)
        return err;
    uint64_t bytes = cache_charge_fd(w->fd, cache_content_bytes(layout) + sizeof(struct cache_footer));
    err = cache_db_publish_begin(w->store->db, w->work, key, bytes + FAN_BYTES);
    if (err)
        return err;
    struct cache_db_segment row = {
        .key = *key,
        .bytes = bytes,
        .cost_class = cache_cost_class(cost_us, bytes),
        .used_ms = cache_now_ms(),
    };
    err = move_in_place(w, key);
    if (!err)
        err = cache_db_publish_end(w->store->db, w->work, &row);
    /* The work row still has the key, and so the right to remove its file; or it is gone (-ESTALE), because
     * others took this process for dead and have removed the file themselves. */
    if (err && err != -ESTALE) {
        struct cache_path path = cache_path_segment(w->store->dir, key);
        (void)unlink(path.text);
    }
    return err;
}

/* Tries to keep a complete segment. It is served in either case. */
static void keep(struct cache_writer *w, struct cache_segment *s, uint64_t cost_us)
{
    struct cache_store *store = w->store;
    int err = w->in_memory ? -ENOSPC : publish(w, &s->key, &s->layout, cost_us);
    if (err && !w->in_memory)
        give_up_work(w);
    s->in_memory = w->in_memory;
    /* Not a file without a name: it would hold disk that nobody counts. */
    if (!err || w->in_memory)
        cache_open_list_add(store->open, s, false);
    /* -EEXIST: another process has just published the same segment. */
    if (err && err != -EEXIST)
        atomic_fetch_add(&store->unkept, 1);
    if (err && err != -EEXIST && !w->in_memory)
        base_log(BASE_LOG_WARNING, "%s: a segment could not be kept: %s", store->dir, strerror(-err));
}

int cache_writer_commit(struct cache_writer *w, const struct base_hash *key,
                        const struct cache_layout *layout, uint64_t cost_us, struct cache_segment **ret)
{
    struct cache_segment *s;
    int err = cache_layout_check(layout);
    if (!err && cache_content_bytes(layout) > w->max_bytes)
        err = -EPROTO;
    if (!err)
        err = cache_segment_create(w->fd, layout, key, &s);
    if (err) {
        cache_writer_abort(w);
        return err;
    }
    keep(w, s, cost_us);
    atomic_fetch_add(&w->store->made, 1);
    free(w);
    *ret = s;
    return 0;
}

void cache_writer_abort(struct cache_writer *w)
{
    if (!w)
        return;
    close(w->fd);
    if (!w->in_memory)
        give_up_work(w);
    free(w);
}
