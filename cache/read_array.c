/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays: a header that is computed, then rows, each a frame as the workers make it. In the file a row stands
 * in one piece, or, where it is planar, in three, one in each plane.
 */
#include "cache/reading.h"
#include "decoders/npy.h"

#include <errno.h>

static uint32_t planes_of(const struct dec_frames_spec *spec)
{
    return spec->planar ? 3 : 1;
}

/* So far the kernel reads around a page that a mapped array's reader wants, on either side of it. */
enum { AROUND_BYTES = 64 << 10, MOST_BESIDE = 2 };

void array_measured(const struct cache_view *view, struct clip_view *v)
{
    uint64_t piece = v->frame_bytes / planes_of(&view->frames);
    uint64_t beside = (AROUND_BYTES - 1) / piece + 1;
    v->beside = beside <= MOST_BESIDE ? (uint32_t)beside : 0;
    v->file_bytes = DEC_NPY_PAGED_HEADER + (uint64_t)v->n_frames * v->frame_bytes;
}

static void fill_header(const struct reading *r, uint8_t out[DEC_NPY_PAGED_HEADER])
{
    const struct dec_frames_spec *spec = &r->c->views[r->view].frames;
    const uint64_t t = r->v.n_frames, h = r->v.height, w = r->v.width;
    const struct dec_npy rows = {spec->floats ? DEC_NPY_F32 : DEC_NPY_U8, 4, {t, h, w, 3}};
    const struct dec_npy planes = {rows.type, 4, {3, t, h, w}};
    dec_npy_header(spec->planar ? &planes : &rows, out, DEC_NPY_PAGED_HEADER);
}

/* Where a byte behind the header stands. */
struct place {
    uint32_t row;
    uint64_t in_row; /* offset in what is made of the row */
    uint64_t left;   /* so many bytes, from there, stand together in the file */
};

static struct place place_of(const struct reading *r, uint64_t offset)
{
    const uint64_t piece = r->v.frame_bytes / planes_of(&r->c->views[r->view].frames);
    const uint64_t plane_bytes = piece * r->v.n_frames, in_plane = offset % plane_bytes;
    return (struct place){
        .row = (uint32_t)(in_plane / piece),
        .in_row = offset / plane_bytes * piece + in_plane % piece,
        .left = piece - in_plane % piece,
    };
}

/* The segment that holds a row: the large one, or one that was made for it or for a row beside it. */
static struct cache_segment *find_row(struct reading *r, uint32_t row, uint32_t *ret_entry)
{
    uint32_t begin, end;
    plan_segment(&r->v, row, &begin, &end);
    struct base_hash key = key_of_segment(r->c, r->media, r->view, begin, end);
    struct cache_segment *s = reading_find(r, &key);
    *ret_entry = row - begin;
    const uint32_t from = row - BASE_MIN(row - begin, r->v.beside),
                   to = row + BASE_MIN(end - row, r->v.beside);
    for (uint32_t lone = from; !s && r->v.beside > 0 && lone <= to; lone++) {
        uint32_t first, last;
        plan_lone_row(&r->v, lone, &first, &last);
        key = key_of_segment(r->c, r->media, r->view, first, last);
        s = reading_find(r, &key);
        *ret_entry = row - first;
    }
    return s;
}

static bool has_row(struct reading *r, uint32_t row)
{
    uint32_t entry;
    struct cache_segment *s = find_row(r, row, &entry);
    if (!s)
        return false;
    /* It may be the one that the waiter was woken with, and there may be no other. */
    cache_segment_unref(r->w->segment);
    r->w->segment = s;
    return true;
}

static int make_row(struct reading *r, uint32_t row)
{
    uint32_t first, last, end;
    plan_segment(&r->v, row, &first, &last);
    end = last;
    pthread_mutex_lock(&r->c->lock);
    struct clip_view *v = &r->media->views[r->view];
    bool ahead = plan_in_run(v);
    if (!plan_rows_locked(v, row))
        plan_lone_row(&r->v, row, &first, &last);
    pthread_mutex_unlock(&r->c->lock);
    const struct cache_task task = reading_task(r, TASK_FRAMES, first, last);
    int err = jobs_wait_for(r->c, &task, r->w);
    if (ahead)
        reading_ahead(r, end);
    return err;
}

/* Of the rows that are not there that one comes first which the page in the middle reaches into: it is what
 * the kernel read around. -EAGAIN: all are there by now. */
static int make_missing(struct reading *r, uint64_t from, size_t len)
{
    const size_t page = 4096;
    const uint32_t middle = place_of(r, from + BASE_MIN(len / 2 + page, len) - 1).row;
    if (!has_row(r, middle))
        return make_row(r, middle);
    for (uint64_t at = from; at < from + len;) {
        const struct place p = place_of(r, at);
        if (!has_row(r, p.row))
            return make_row(r, p.row);
        at += p.left;
    }
    return -EAGAIN;
}

static ssize_t copy_rows(struct reading *r, uint8_t *out, uint64_t from, size_t len)
{
    for (size_t done = 0; done < len;) {
        const struct place p = place_of(r, from + done);
        uint32_t entry;
        struct cache_segment *s = find_row(r, p.row, &entry);
        if (!s)
            return -ENODATA;
        size_t wanted = (size_t)BASE_MIN((uint64_t)(len - done), p.left);
        ssize_t n = cache_segment_read(s, entry, out + done, wanted, p.in_row);
        cache_segment_unref(s);
        if (n != (ssize_t)wanted)
            return n < 0 ? n : -EIO;
        done += wanted;
    }
    return (ssize_t)len;
}

static ssize_t read_rows(struct reading *r, uint8_t *out, uint64_t from, size_t len)
{
    const uint32_t first = place_of(r, from).row, last = place_of(r, from + len - 1).row;
    pthread_mutex_lock(&r->c->lock);
    struct clip_view *v = &r->media->views[r->view];
    if (!r->w->asked)
        plan_rows_asked_locked(v, first, last, r->w->reader);
    bool ahead = plan_in_run(v);
    pthread_mutex_unlock(&r->c->lock);
    r->w->asked = true;
    ssize_t n;
    for (int tries = 0; (n = copy_rows(r, out, from, len)) == -ENODATA; tries++) {
        int err = tries < CACHE_MAX_ATTEMPTS ? make_missing(r, from, len) : -EIO;
        if (err != -EAGAIN)
            return err;
    }
    if (ahead) {
        uint32_t begin, end;
        plan_segment(&r->v, last, &begin, &end);
        reading_ahead(r, end);
    }
    return n;
}

/*
 * Who reads the header alone is not to pay for a row, but the kernel reads ahead. What it reads ahead may
 * fail: then it asks for the page that is wanted (Linux, Documentation/filesystems/vfs.rst, readahead). Once:
 * where that page is a large one, it is the whole that is asked for again.
 */
static bool refuses(struct reading *r)
{
    bool *refused = &r->media->views[r->view].refused;
    if (r->w->insists || r->w->asked || has_row(r, 0))
        return false;
    pthread_mutex_lock(&r->c->lock);
    bool refuse = !*refused;
    *refused = refuse;
    pthread_mutex_unlock(&r->c->lock);
    return refuse;
}

static void header_was_read(struct reading *r)
{
    pthread_mutex_lock(&r->c->lock);
    r->media->views[r->view].refused = false;
    pthread_mutex_unlock(&r->c->lock);
}

ssize_t read_array(struct reading *r)
{
    const uint64_t header_bytes = DEC_NPY_PAGED_HEADER;
    if (r->offset >= r->v.file_bytes)
        return 0;
    const size_t len = (size_t)BASE_MIN((uint64_t)r->len, r->v.file_bytes - r->offset);
    size_t of_header = 0;
    if (r->offset < header_bytes) {
        uint8_t header[DEC_NPY_PAGED_HEADER];
        of_header = (size_t)BASE_MIN((uint64_t)len, header_bytes - r->offset);
        fill_header(r, header);
        memcpy(r->out, header + r->offset, of_header);
        if (of_header < len && refuses(r))
            return -EAGAIN;
        if (of_header == len) {
            header_was_read(r);
            return (ssize_t)len;
        }
    }
    ssize_t n =
        read_rows(r, (uint8_t *)r->out + of_header, r->offset + of_header - header_bytes, len - of_header);
    return n < 0 ? n : (ssize_t)len;
}
