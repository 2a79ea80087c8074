/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays: a header that is computed, then rows, each a frame as the workers make it, or a block of samples.
 * In the file a row stands in one piece, or in several, one in each plane: of a colour, or of a channel.
 */
#include "cache/reading.h"
#include "decoders/npy.h"

#include <errno.h>

static enum dec_npy_type type_of(const struct cache_view *view)
{
    if (view->kind == CACHE_WAVE)
        return view->sound.int16 ? DEC_NPY_I16 : DEC_NPY_F32;
    if (view->frames.floats)
        return DEC_NPY_F32;
    return view->frames.flow ? DEC_NPY_I8 : DEC_NPY_U8;
}

/* Bytes. */
struct shape {
    uint64_t planes, plane, piece; /* of a row in a plane; the last row may have less */
};

static struct shape shape_of(const struct cache_view *view, const struct clip_view *v)
{
    if (view->kind == CACHE_WAVE) {
        uint64_t value = dec_npy_type_bytes(type_of(view));
        return (struct shape){v->width, v->samples * value, DEC_WAVE_BLOCK * value};
    }
    uint64_t planes = !view->frames.planar ? 1 : view->frames.flow ? 2 : 3, piece = v->frame_bytes / planes;
    return (struct shape){planes, piece * v->n_frames, piece};
}

/* So far the kernel reads around a page that a mapped array's reader wants, on either side of it. */
enum { AROUND_BYTES = 64 << 10, MOST_BESIDE = 2 };

/* And so far it reads ahead of who reads on, in several pieces. */
enum { AT_ONCE_BYTES = 256 << 10 };

void array_measured(const struct cache_view *view, struct clip_view *v)
{
    if (view->kind == CACHE_WAVE) {
        v->samples = v->file_bytes; /* as DEC_MEASURE_SOUND tells it */
        v->n_frames = (uint32_t)((v->samples + DEC_WAVE_BLOCK - 1) / DEC_WAVE_BLOCK);
    }
    const struct shape shape = shape_of(view, v);
    uint64_t beside = (AROUND_BYTES - 1) / shape.piece + 1;
    v->beside = beside <= MOST_BESIDE && v->n_starts > 0 ? (uint32_t)beside : 0;
    v->at_once = (uint32_t)(AT_ONCE_BYTES / shape.piece + 1);
    v->file_bytes = DEC_NPY_PAGED_HEADER + shape.planes * shape.plane;
}

uint64_t wave_block_bytes(const struct dec_sound_spec *spec, const struct clip_view *v, uint32_t block)
{
    uint64_t begin = (uint64_t)block * DEC_WAVE_BLOCK;
    uint64_t samples = begin < v->samples ? BASE_MIN(v->samples - begin, (uint64_t)DEC_WAVE_BLOCK) : 0;
    return samples * v->width * dec_npy_type_bytes(spec->int16 ? DEC_NPY_I16 : DEC_NPY_F32);
}

/* Of an array of frames or flow. */
static struct dec_npy frames_header(const struct cache_view *view, const struct clip_view *v)
{
    const uint64_t t = v->n_frames, h = v->height, w = v->width, flow = view->frames.flow;
    const enum dec_npy_type type = type_of(view);
    if (view->frames.planar)
        return (struct dec_npy){type, 4, {flow ? 2 : 3, t, h, w}};
    return flow ? (struct dec_npy){type, 4, {t, 2, h, w}} : (struct dec_npy){type, 4, {t, h, w, 3}};
}

static void fill_header(const struct reading *r, uint8_t out[DEC_NPY_PAGED_HEADER])
{
    const struct cache_view *view = &r->c->views[r->view];
    const struct dec_npy array = view->kind == CACHE_WAVE
                                     ? (struct dec_npy){type_of(view), 2, {r->v.width, r->v.samples}}
                                     : frames_header(view, &r->v);
    dec_npy_header(&array, out, DEC_NPY_PAGED_HEADER);
}

/* Where a byte behind the header stands. */
struct place {
    uint32_t row;
    uint64_t in_row; /* offset in what is made of the row */
    uint64_t left;   /* so many bytes, from there, stand together in the file */
};

static struct place place_of(const struct reading *r, uint64_t offset)
{
    const struct shape shape = shape_of(&r->c->views[r->view], &r->v);
    const uint64_t in_plane = offset % shape.plane, in_piece = in_plane % shape.piece;
    const uint64_t piece = BASE_MIN(shape.piece, shape.plane - (in_plane - in_piece));
    return (struct place){
        .row = (uint32_t)(in_plane / shape.piece),
        .in_row = offset / shape.plane * piece + in_piece,
        .left = piece - in_piece,
    };
}

/* The segment that holds a row: the large one, or one that was made for it or for a row beside it. */
static struct cache_segment *find_row(struct reading *r, uint32_t row, uint32_t *ret_entry)
{
    struct base_hash keys[2 + 2 * MOST_BESIDE];
    uint32_t firsts[BASE_ARRAY_LEN(keys)], end, last;
    size_t n = 1, number;
    plan_segment(&r->v, row, &firsts[0], &end);
    keys[0] = key_of_segment(r->c, r->media, r->view, firsts[0], end);
    const uint32_t from = row - BASE_MIN(row - firsts[0], r->v.beside),
                   to = row + BASE_MIN(end - row, r->v.beside);
    for (uint32_t lone = from; r->v.beside > 0 && lone <= to; lone++, n++) {
        plan_lone_row(&r->v, lone, &firsts[n], &last);
        keys[n] = key_of_segment(r->c, r->media, r->view, firsts[n], last);
    }
    struct cache_segment *s = reading_find(r, keys, n, &number);
    if (s)
        *ret_entry = row - firsts[number];
    return s;
}

/* What makes the row's segment now, with a reference, or NULL; and where the row stands in its output. */
static struct cache_task *find_maker(struct reading *r, uint32_t row, uint64_t *ret_offset)
{
    uint32_t begin, end;
    plan_segment(&r->v, row, &begin, &end);
    const struct base_hash key = key_of_segment(r->c, r->media, r->view, begin, end);
    *ret_offset = (row - begin) * r->v.frame_bytes;
    return jobs_find(r->c, &key);
}

/* It may be the one that the waiter was woken with, and there may be no other; another plane may want it. */
static void hold_on(struct reading *r, struct cache_segment *s)
{
    cache_segment_unref(r->w->segment);
    r->w->segment = s;
}

static bool has_row(struct reading *r, uint32_t row)
{
    uint64_t offset;
    struct cache_task *t = find_maker(r, row, &offset);
    bool final = t && jobs_has_produced(r->c, t, offset + r->v.frame_bytes);
    if (t)
        jobs_release(r->c, t);
    if (final)
        return true;
    uint32_t entry;
    struct cache_segment *s = find_row(r, row, &entry);
    if (s)
        hold_on(r, s);
    return s != NULL;
}

static enum task_kind task_of(const struct reading *r)
{
    return r->c->views[r->view].kind == CACHE_WAVE ? TASK_SOUND : TASK_FRAMES;
}

/* Waits for a row of a segment that is being made. -ENODATA: it is not. */
static int wait_for_maker(struct reading *r, uint32_t row)
{
    uint64_t offset;
    struct cache_task *t = find_maker(r, row, &offset);
    if (!t)
        return -ENODATA;
    int err = jobs_wait_more(r->c, t, r->w, offset + r->v.frame_bytes - 1);
    jobs_release(r->c, t);
    return err;
}

static int make_row(struct reading *r, uint32_t row)
{
    uint32_t first, last, end;
    plan_segment(&r->v, row, &first, &last);
    end = last;
    pthread_mutex_lock(&r->c->lock);
    struct clip_view *v = &r->media->views[r->view];
    bool ahead = plan_in_run(v);
    const bool whole = plan_rows_locked(v, row);
    if (!whole)
        plan_lone_row(&r->v, row, &first, &last);
    pthread_mutex_unlock(&r->c->lock);
    const struct cache_task task = reading_task(r, task_of(r), first, last);
    int err = whole && task.kind == TASK_FRAMES ? wait_for_maker(r, row) : -ENODATA;
    if (err == -ENODATA)
        err = jobs_wait_for(r->c, &task, r->w);
    if (ahead)
        reading_ahead(r, task_of(r), end);
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

/* A part of a row that is being made. -ENODATA: it is not, or not yet. */
static ssize_t copy_final(struct reading *r, const struct place *p, uint8_t *out, size_t len)
{
    uint64_t offset;
    struct cache_task *t = find_maker(r, p->row, &offset);
    if (!t)
        return -ENODATA;
    ssize_t n = jobs_read(r->c, t, out, len, offset + p->in_row);
    jobs_release(r->c, t);
    return n;
}

/* A row may be there lone while its segment is made; but looking for what is kept costs more. */
static ssize_t copy_part(struct reading *r, const struct place *p, uint8_t *out, size_t len)
{
    uint32_t entry;
    ssize_t n = copy_final(r, p, out, len);
    if (n != -ENODATA)
        return n;
    struct cache_segment *s = find_row(r, p->row, &entry);
    if (!s)
        return -ENODATA;
    n = cache_segment_read(s, entry, out, len, p->in_row);
    hold_on(r, s);
    return n;
}

static ssize_t copy_rows(struct reading *r, uint8_t *out, uint64_t from, size_t len)
{
    for (size_t done = 0; done < len;) {
        const struct place p = place_of(r, from + done);
        size_t wanted = (size_t)BASE_MIN((uint64_t)(len - done), p.left);
        ssize_t n = copy_part(r, &p, out + done, wanted);
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
    if (!r->w->asked) {
        plan_rows_asked_locked(v, first, last, r->w->reader, survey_is_habit_locked(r->c, r->clip, r->view));
        survey_note_reader_locked(r->c, r->clip, r->view);
    }
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
        reading_ahead(r, task_of(r), end);
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
