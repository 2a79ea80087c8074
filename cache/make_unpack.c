/* SPDX-License-Identifier: Apache-2.0 */
/* Sources that are members of archives: where their bytes are, and unpacking those that are packed. */
#include "cache/making.h"

#include <errno.h>

static int open_base(struct making *m, uint32_t number, int *ret_fd);

int making_copy_segment(const struct cache_segment *s)
{
    uint8_t block[64 * 1024];
    uint64_t len = cache_segment_layout(s)->payload_bytes;
    int fd = making_memory_file();
    for (uint64_t at = 0; fd >= 0 && at < len;) {
        ssize_t n = cache_segment_read(s, 0, block, sizeof block, at);
        int err = n > 0 ? base_pwrite_all(fd, block, (size_t)n, (off_t)at) : -EIO;
        if (err) {
            close(fd);
            return err;
        }
        at += (uint64_t)n;
    }
    return fd;
}

/* The list for a worker that unpacks, if it helps: a descriptor, or -1. */
static int list_file(struct archive *a)
{
    if (a->list.filter == DEC_UNFILTERED || a->list.points_bytes == 0 || !archive_use(a))
        return -1;
    int fd = making_memory_file();
    if (fd >= 0 && base_pwrite_all(fd, a->packed, a->packed_bytes, 0) < 0) {
        close(fd);
        fd = -1;
    }
    archive_unuse(a);
    return fd;
}

/* Fills in the job for what is to be unpacked. */
static int describe(struct archive *a, const struct unpack *u, struct dec_job *job)
{
    struct dec_members_cursor cursor;
    struct dec_member member;
    job->unpack = (struct dec_unpack_spec){.from = u->from, .bytes = u->bytes, .storage = DEC_STREAM};
    job->range_offset = a->offset;
    job->range_bytes = a->bytes;
    /* Its own kind of session: one an archive. */
    job->session = UINT64_C(1) << 63 | u->archive;
    if (u->member == UINT32_MAX)
        return 0;
    int err = archive_record(a, u->member, &cursor, &member);
    if (!err) {
        job->unpack.storage = DEC_PACKED;
        job->unpack.header = member.offset;
        job->unpack.packed_bytes = member.packed_bytes;
        job->unpack.size = member.size;
        job->session = UINT64_C(3) << 62 | (uint64_t)u->archive << 32 | u->member;
    }
    dec_members_end(&cursor);
    return err;
}

/* After archive_record(): who waits asks again, and is told that the archive has changed. */
static int not_in_list(struct making *m, int err, const char *reason)
{
    return err == -ESTALE ? -EAGAIN : making_fail(m, base_fail(&m->why, -EIO, "%s", reason));
}

static int unpack(struct making *m, const struct unpack *u, const struct base_hash *key,
                  struct cache_segment **ret)
{
    struct archive *a = archive_of(m->c, u->archive);
    struct dec_job job = making_new_job(m, DEC_UNPACK);
    base_autoclose int source = -1, list = -1;
    if (making_failed_before(m, key))
        return making_fail(m, -EIO);
    int err = open_base(m, u->archive, &source);
    if (err)
        return err;
    err = describe(a, u, &job);
    if (err)
        return not_in_list(m, err, "it is not in the archive's list");
    list = list_file(a);
    const struct ingredients in = {.source = source, .index = list, .stamp = m->opened};
    m->offset = job.range_offset;
    m->bytes = job.range_bytes;
    return making_run_file_job(m, &job, &in, key, u->bytes, ret);
}

/* The segment of what is to be unpacked, made here and now if need be. */
static int unpacked_segment(struct making *m, const struct unpack *u, struct cache_segment **ret)
{
    struct base_hash key = key_of_unpacked(archive_of(m->c, u->archive), u);
    return cache_segment_get(m->c->store, &key, ret) == 0 ? 0 : unpack(m, u, &key, ret);
}

static int open_segment(struct making *m, const struct unpack *u, int *ret_fd)
{
    struct cache_segment *s = NULL;
    int err = unpacked_segment(m, u, &s);
    if (err)
        return err;
    *ret_fd = cache_segment_open_again(s);
    m->bytes = cache_segment_layout(s)->payload_bytes;
    m->offset = 0;
    m->in_segment = true;
    cache_segment_unref(s);
    return *ret_fd < 0 ? making_fail(m, base_fail(&m->why, *ret_fd, "no descriptor for it")) : 0;
}

/* The file of an archive, as it was when it was listed. */
static int open_file(struct making *m, const struct archive *a, int *ret_fd)
{
    const char *path = m->c->sources[a->clip].path;
    m->in_segment = false;
    int err = source_open(m->c, path, ret_fd, &m->opened);
    if (err == -ENOENT)
        return making_forget(m);
    if (err)
        return making_fail(m, base_fail(&m->why, err, "cannot open it: %s", strerror(-err)));
    if (source_is(m->c, path, *ret_fd, &m->opened, &a->stamp, &a->file_identity))
        return 0;
    base_close_fd(ret_fd);
    *ret_fd = -1;
    return making_forget(m);
}

/* What an archive stands in: its file, or the segment of the outer one's member. */
static int open_base(struct making *m, uint32_t number, int *ret_fd)
{
    const struct archive *a = archive_of(m->c, number);
    m->archive = number;
    if (!archive_is_current(m->c, a))
        return -EAGAIN;
    if (!a->in_segment)
        return open_file(m, a, ret_fd);
    struct dec_members_cursor cursor;
    struct dec_member member;
    struct archive *outer = archive_of(m->c, a->outer);
    int err = archive_record(outer, a->member, &cursor, &member);
    if (err)
        return not_in_list(m, err, "it is not in the archive's list");
    const struct unpack u = unpack_of_member(a->outer, a->member, &member);
    dec_members_end(&cursor);
    return open_segment(m, &u, ret_fd);
}

int making_open_member(struct making *m, uint32_t number, uint32_t member, int *ret_fd)
{
    struct dec_members_cursor cursor;
    struct dec_member record;
    struct archive *a = archive_of(m->c, number);
    int err = a ? archive_record(a, member, &cursor, &record) : -ENOENT;
    if (err || record.kind != DEC_MEMBER_FILE)
        return not_in_list(m, err, "it is no file in the archive's list");
    const struct unpack u = unpack_of_member(number, member, &record);
    m->archive = number;
    m->member_identity = archive_member_identity(a, &record);
    uint64_t offset = record.offset, size = record.size;
    bool stored = record.storage == DEC_STORED, sparse = record.n_extents > 0;
    dec_members_end(&cursor);
    if (!archive_is_current(m->c, a))
        return -EAGAIN;
    if (sparse)
        return making_fail(m, base_fail(&m->why, -EIO, "it has holes in its archive"));
    err = stored ? open_base(m, number, ret_fd) : open_segment(m, &u, ret_fd);
    if (!err && stored) {
        m->offset = a->offset + offset;
        m->bytes = size;
    }
    m->archive = number;
    return err;
}

int making_check_origin(struct making *m, int fd)
{
    const struct archive *a = archive_of(m->c, m->archive);
    struct cache_file_stamp now;
    if (m->in_segment || source_unchanged(fd, &m->opened))
        return 0;
    if (a && source_is(m->c, m->c->sources[a->clip].path, fd, &now, &m->opened, &a->file_identity))
        return 0;
    return making_forget(m);
}

int make_unpack(struct making *m, struct cache_segment **ret)
{
    m->archive = m->t->unpack.archive;
    if (cache_segment_get(m->c->store, &m->t->key, ret) == 0)
        return 0;
    return unpack(m, &m->t->unpack, &m->t->key, ret);
}
