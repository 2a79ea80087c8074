/* SPDX-License-Identifier: Apache-2.0 */
/* A segment's file: format, checks, reading. */
#include "cache/store_private.h"

#include "base/io.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

/* Larger than any file that is made; keeps all sums of sizes far from overflow. */
#define MAX_BYTES ((uint64_t)1 << 50)
static const char footer_magic[8] = "cfs-seg";

int64_t cache_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int cache_layout_check(const struct cache_layout *l)
{
    bool good = l->payload_bytes <= MAX_BYTES && l->file_bytes <= MAX_BYTES &&
                l->n_entries <= CACHE_MAX_ENTRIES && l->fill <= 255 && l->tail_bytes <= l->file_bytes &&
                (l->n_entries > 0 || l->file_bytes == l->payload_bytes);
    return good ? 0 : -EPROTO;
}

uint64_t cache_content_bytes(const struct cache_layout *layout)
{
    return layout->payload_bytes + (uint64_t)layout->n_entries * sizeof(struct dec_entry);
}

/* Whole blocks; 12 bytes for each block that could be an extent of its own, twice because trees are split in
 * the middle; a block for the root of such a tree and the directory's entry. */
uint64_t cache_charge(uint64_t bytes)
{
    uint64_t blocks = bytes / 4096 + 1;
    return (blocks + blocks / 170 + 1) * 4096;
}

uint64_t cache_charge_fd(int fd, uint64_t bytes)
{
    struct stat st;
    uint64_t on_disk = fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
    return BASE_MAX(cache_charge(bytes), on_disk);
}

static bool entry_good(const struct dec_entry *e, const struct cache_layout *l)
{
    return e->len == 0 || (e->len >= l->tail_bytes && e->len <= l->file_bytes &&
                           (uint64_t)e->offset + e->len <= l->payload_bytes);
}

static int read_entries(struct cache_segment *s)
{
    size_t n = s->layout.n_entries;
    if (n == 0)
        return 0;
    s->entries = calloc(n, sizeof *s->entries);
    if (!s->entries)
        return -ENOMEM;
    int err = base_pread_all(s->fd, s->entries, n * sizeof *s->entries, (off_t)s->layout.payload_bytes);
    for (size_t i = 0; !err && i < n; i++)
        err = entry_good(&s->entries[i], &s->layout) ? 0 : -EPROTO;
    return err;
}

int cache_segment_create(int fd, const struct cache_layout *layout, const struct base_hash *key,
                         struct cache_segment **ret)
{
    struct stat st;
    int err = cache_layout_check(layout);
    if (err)
        return err;
    if (fstat(fd, &st) < 0)
        return -errno;
    if ((uint64_t)st.st_size < cache_content_bytes(layout))
        return -EPROTO;
    struct cache_segment *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    atomic_init(&s->refs, 1);
    s->fd = fd;
    s->layout = *layout;
    s->key = *key;
    err = read_entries(s);
    if (err) {
        s->fd = -1;
        cache_segment_unref(s);
        return err;
    }
    *ret = s;
    return 0;
}

static struct base_hash footer_sum(const struct cache_footer *footer)
{
    return base_hash_of(footer, offsetof(struct cache_footer, footer_sum));
}

/*
 * Neither the file nor its directory is synced. After a crash of the machine a published name may so hold
 * anything - nothing, a part, zeros - but the sums below are checked before a fresh process serves a byte of
 * it, and a bad file is made again. Syncing each segment would cost more than remaking the few that a crash
 * can touch.
 */
int cache_footer_write(int fd, const struct cache_layout *layout, const struct base_hash *key,
                       uint64_t cost_us, const struct base_hash *sum)
{
    off_t end = (off_t)cache_content_bytes(layout);
    struct cache_footer footer = {
        .version = CACHE_FOOTER_VERSION,
        .n_entries = layout->n_entries,
        .payload_bytes = layout->payload_bytes,
        .file_bytes = layout->file_bytes,
        .fill = layout->fill,
        .tail_bytes = layout->tail_bytes,
        .cost_us = cost_us,
        .key = *key,
    };
    memcpy(footer.magic, footer_magic, sizeof footer.magic);
    int err = 0;
    if (sum)
        footer.content_sum = *sum;
    else
        err = base_hash_fd(fd, 0, (uint64_t)end, &footer.content_sum);
    if (err)
        return err;
    footer.footer_sum = footer_sum(&footer);
    err = base_pwrite_all(fd, &footer, sizeof footer, end);
    if (err)
        return err;
    /* One byte longer first: some filesystems keep blocks allocated behind the end unless the size shrinks.
     */
    off_t size = end + (off_t)sizeof footer;
    (void)!ftruncate(fd, size + 1);
    return ftruncate(fd, size) < 0 ? -errno : 0;
}

static void layout_of(const struct cache_footer *footer, struct cache_layout *ret)
{
    *ret = (struct cache_layout){
        .payload_bytes = footer->payload_bytes,
        .file_bytes = footer->file_bytes,
        .n_entries = footer->n_entries,
        .fill = footer->fill,
        .tail_bytes = footer->tail_bytes,
    };
}

int cache_footer_read(int fd, const struct base_hash *key, struct cache_footer *ret)
{
    struct stat st;
    struct cache_layout layout;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof *ret)
        return -EBADMSG;
    int err = base_pread_all(fd, ret, sizeof *ret, st.st_size - (off_t)sizeof *ret);
    if (err)
        return err == -EIO ? -EBADMSG : err;
    struct base_hash sum = footer_sum(ret);
    layout_of(ret, &layout);
    bool good = memcmp(ret->magic, footer_magic, sizeof ret->magic) == 0 &&
                base_hash_equal(&sum, &ret->footer_sum) && ret->version == CACHE_FOOTER_VERSION &&
                base_hash_equal(key, &ret->key) && cache_layout_check(&layout) == 0 &&
                cache_content_bytes(&layout) + sizeof *ret == (uint64_t)st.st_size;
    return good ? 0 : -EBADMSG;
}

/* All of a file will be read: the disk may begin with all at once. In steps, since a kernel may give nobody
 * else the processor during such a call. */
static void ask_disk(int fd)
{
    enum { STEP = 128 << 10 };
    struct stat st;
    if (fstat(fd, &st) < 0)
        return;
    for (off_t at = 0; at < st.st_size; at += STEP)
        (void)posix_fadvise(fd, at, STEP, POSIX_FADV_WILLNEED);
}

int cache_segment_load(const char *dir, const struct base_hash *key, struct cache_segment **ret)
{
    struct cache_path path = cache_path_segment(dir, key);
    base_autoclose int fd = open(path.text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOTDIR ? -ENOENT : errno == ELOOP ? -EBADMSG : -errno;
    ask_disk(fd);
    struct cache_footer footer;
    struct cache_layout layout;
    struct base_hash sum;
    int err = cache_footer_read(fd, key, &footer);
    if (err)
        return err;
    layout_of(&footer, &layout);
    err = base_hash_fd(fd, 0, cache_content_bytes(&layout), &sum);
    if (!err && !base_hash_equal(&sum, &footer.content_sum))
        err = -EBADMSG;
    if (!err)
        err = cache_segment_create(fd, &layout, key, ret);
    if (!err)
        (void)base_steal_fd(&fd);
    return err == -EPROTO || err == -EIO ? -EBADMSG : err;
}

struct cache_segment *cache_segment_ref(struct cache_segment *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void cache_segment_unref(struct cache_segment *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1)
        return;
    if (s->fd >= 0)
        close(s->fd);
    free(s->entries);
    free(s);
}

const struct base_hash *cache_segment_key(const struct cache_segment *s)
{
    return &s->key;
}

const struct cache_layout *cache_segment_layout(const struct cache_segment *s)
{
    return &s->layout;
}

/* A run of the file that readers see: `len` bytes from `start`, which stand at `source` in the segment, or
 * are filling. */
struct run {
    uint64_t start, len, source;
    bool filling;
};

static int copy_run(const struct cache_segment *s, const struct run *run, uint8_t *out, uint64_t offset,
                    uint64_t end)
{
    uint64_t from = BASE_MAX(offset, run->start), to = BASE_MIN(end, run->start + run->len);
    if (from >= to)
        return 0;
    if (run->filling) {
        memset(out + (from - offset), (int)s->layout.fill, (size_t)(to - from));
        return 0;
    }
    return base_pread_all(s->fd, out + (from - offset), (size_t)(to - from),
                          (off_t)(run->source + (from - run->start)));
}

int cache_segment_open_again(const struct cache_segment *s)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", s->fd);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

ssize_t cache_segment_read(const struct cache_segment *s, uint32_t entry, void *out, size_t len,
                           uint64_t offset)
{
    const struct cache_layout *l = &s->layout;
    struct dec_entry whole = {0};
    if (entry >= BASE_MAX(l->n_entries, 1))
        return -ERANGE;
    const struct dec_entry *e = l->n_entries > 0 ? &s->entries[entry] : &whole;
    uint64_t stored = l->n_entries > 0 ? e->len : l->file_bytes;
    if (l->n_entries > 0 && stored == 0)
        return -EIO;
    if (offset >= l->file_bytes)
        return 0;
    uint64_t end = offset + BASE_MIN(BASE_MIN((uint64_t)len, (uint64_t)SSIZE_MAX), l->file_bytes - offset);
    uint64_t head = stored - l->tail_bytes, tail_start = l->file_bytes - l->tail_bytes;
    const struct run runs[] = {
        {.start = 0, .len = head, .source = e->offset},
        {.start = head, .len = tail_start - head, .filling = true},
        {.start = tail_start, .len = l->tail_bytes, .source = e->offset + head},
    };
    for (size_t i = 0; i < BASE_ARRAY_LEN(runs); i++) {
        if (copy_run(s, &runs[i], out, offset, end) < 0)
            return -EIO;
    }
    return (ssize_t)(end - offset);
}
