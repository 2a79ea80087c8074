/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DEC_UNPACK: bytes of what is packed in an archive. The worker keeps its last few passes, each with the
 * place where it stands, so that members read in their order are one pass.
 */
#include "decoders/media.h"
#include "decoders/members_private.h"
#include "decoders/unpack.h"
#include "decoders/zip.h"

#include "base/io.h"
#include <errno.h>
#include <fcntl.h>
#include <zlib.h>

enum { MAX_PASSES = 4, BLOCK = 256 * 1024, MAX_POINTS_BYTES = 64 << 20 };

struct pass {
    uint64_t session;
    uint64_t range_offset, range_bytes;
    uint32_t storage;
    uint64_t header;
    uint64_t last_used;
    struct dec_source source; /* its descriptor is our own */
    struct dec_unpacker *unpacker;
    uint32_t crc; /* DEC_PACKED: of all that came out; such passes begin at the beginning */
    uint8_t *points;
    size_t points_bytes;
};

static struct pass *passes[MAX_PASSES];
static uint64_t use_counter;

static void pass_destroy(struct pass *p)
{
    if (!p)
        return;
    dec_unpacker_destroy(p->unpacker);
    base_close_fd(&p->source.fd);
    free(p->points);
    free(p);
}

static bool is_of(const struct pass *p, const struct dec_job *job)
{
    return p->session == job->session && p->range_offset == job->range_offset &&
           p->range_bytes == job->range_bytes && p->storage == job->unpack.storage &&
           (p->storage == DEC_STREAM || p->header == job->unpack.header);
}

/* The seek points of the list that was sent; without them, passes begin at the beginning. */
static int read_points(struct pass *p, int list_fd)
{
    struct dec_members_frame frame;
    if (list_fd < 0 || base_pread_all(list_fd, &frame, sizeof frame, 0) < 0 || frame.points_bytes == 0 ||
        frame.points_bytes > MAX_POINTS_BYTES || frame.records_bytes > DEC_MAX_LIST_BYTES * 2 ||
        frame.n_members > DEC_MAX_MEMBERS)
        return 0;
    uint64_t at = sizeof frame + frame.records_bytes + dec_table_entries(frame.n_members) * 8;
    p->points = malloc(frame.points_bytes);
    if (!p->points)
        return -ENOMEM;
    if (base_pread_all(list_fd, p->points, frame.points_bytes, (off_t)at) == 0)
        p->points_bytes = frame.points_bytes;
    return 0;
}

static int pass_open(struct dec_work *work, struct pass **ret)
{
    const struct dec_job *job = work->job;
    struct pass *p = calloc(1, sizeof *p);
    if (!p)
        return base_fail(&work->why, -ENOMEM, "out of memory");
    *p = (struct pass){.session = job->session,
                       .range_offset = job->range_offset,
                       .range_bytes = job->range_bytes,
                       .storage = job->unpack.storage,
                       .header = job->unpack.header,
                       .source = work->source};
    p->source.fd = fcntl(work->source.fd, F_DUPFD_CLOEXEC, 3);
    int err = p->source.fd < 0 || read_points(p, work->list_fd) < 0
                  ? base_fail(&work->why, -ENOMEM, "out of memory")
                  : 0;
    if (!err && p->storage == DEC_STREAM)
        err = dec_unpacker_of_archive(&p->source, NULL, &p->unpacker, &work->why);
    else if (!err)
        err =
            dec_unpacker_of_member(&p->source, p->header, job->unpack.packed_bytes, &p->unpacker, &work->why);
    if (err)
        pass_destroy(p);
    else
        *ret = p;
    return err;
}

/* The place of the job's pass, which is opened if needed. */
static int find_pass(struct dec_work *work, struct pass ***ret)
{
    int oldest = 0;
    for (int i = 0; i < MAX_PASSES; i++) {
        if (passes[i] && is_of(passes[i], work->job)) {
            *ret = &passes[i];
            return 0;
        }
        if (!passes[i] || (passes[oldest] && passes[i]->last_used < passes[oldest]->last_used))
            oldest = i;
    }
    pass_destroy(base_steal_pointer(passes[oldest]));
    *ret = &passes[oldest];
    return pass_open(work, &passes[oldest]);
}

/* Begins anew where that is nearer, or the only way. */
static int go_near(struct dec_work *work, struct pass *p)
{
    struct dec_point point;
    uint64_t from = work->job->unpack.from, position = p->unpacker->position;
    bool found = dec_points_find(p->points, p->points_bytes, from, &point);
    if (position <= from && !p->unpacker->ended && (!found || point.unpacked <= position))
        return 0;
    p->crc = 0;
    return dec_unpacker_restart(p->unpacker, found ? &point : NULL, &work->why);
}

static int read_some(struct dec_work *work, struct pass *p, uint8_t *block, uint64_t wanted, size_t *ret)
{
    ssize_t n = dec_unpacker_read(p->unpacker, block, BASE_MIN(wanted, (uint64_t)BLOCK), &work->why);
    if (n > 0 && p->storage == DEC_PACKED)
        p->crc = (uint32_t)crc32(p->crc, block, (uInt)n);
    if (n == 0)
        return base_fail(&work->why, -EIO, "what is packed ends before its member does");
    *ret = (size_t)BASE_MAX(n, 0);
    return (int)BASE_MIN(n, 0);
}

/* A member must be as long as it says, and in a zip have the CRC that it says. */
static int check_end(struct dec_work *work, struct pass *p)
{
    uint8_t more;
    const struct dec_unpack_spec *spec = &work->job->unpack;
    if (spec->storage != DEC_PACKED || spec->from + spec->bytes < spec->size)
        return 0;
    ssize_t n = dec_unpacker_read(p->unpacker, &more, 1, &work->why);
    if (n > 0)
        return base_fail(&work->why, -EIO, "it unpacks to more than it says");
    if (n == 0 && p->unpacker->codec != &dec_codec_hdf5 &&
        !dec_zip_has_crc(&p->source, spec->header, spec->packed_bytes, p->crc))
        return base_fail(&work->why, -EIO, "it is damaged: its CRC is another");
    return (int)n;
}

static int unpack(struct dec_work *work, struct pass *p)
{
    static uint8_t block[BLOCK];
    const struct dec_unpack_spec *spec = &work->job->unpack;
    uint64_t done = 0;
    size_t n = 0;
    int err = go_near(work, p);
    while (!err && p->unpacker->position < spec->from) {
        err = read_some(work, p, block, spec->from - p->unpacker->position, &n);
        work->progress(work, 0);
    }
    while (!err && done < spec->bytes) {
        err = read_some(work, p, block, spec->bytes - done, &n);
        if (!err)
            err = dec_output_write(work, block, n, done);
        done += err ? 0 : n;
        work->progress(work, done);
    }
    if (!err)
        err = check_end(work, p);
    work->reply->bytes = done;
    return err;
}

int dec_run_unpack(struct dec_work *work)
{
    struct pass **place = NULL;
    int err = find_pass(work, &place);
    if (err)
        return err;
    (*place)->last_used = ++use_counter;
    err = unpack(work, *place);
    if (err)
        pass_destroy(base_steal_pointer(*place));
    return err;
}
