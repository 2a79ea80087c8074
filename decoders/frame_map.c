/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/frame_map.h"

#include "base/io.h"

#include <errno.h>
#include <sys/stat.h>

static bool is_box(const struct base_box *b)
{
    const int32_t most = BASE_MAX_BOX;
    return b->w > 0 && b->h > 0 && b->w <= most && b->h <= most && b->x >= -most && b->x <= most &&
           b->y >= -most && b->y <= most;
}

/* The boxes that were sent. 0, -EPROTO or -ENOMEM. */
static int read_boxes(int fd, struct base_box **ret, uint32_t *ret_n)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size % (off_t)sizeof **ret != 0 ||
        st.st_size > (off_t)(DEC_MAX_FRAMES * sizeof **ret))
        return -EPROTO;
    uint32_t n = (uint32_t)((size_t)st.st_size / sizeof **ret);
    base_autofree struct base_box *boxes = malloc((size_t)st.st_size + 1);
    if (!boxes)
        return -ENOMEM;
    int err = base_pread_all(fd, boxes, (size_t)st.st_size, 0);
    for (uint32_t i = 0; !err && i < n; i++)
        if (!is_box(&boxes[i]) || (i > 0 && boxes[i].frame <= boxes[i - 1].frame))
            err = -EPROTO;
    if (err)
        return err;
    *ret = base_steal_pointer(boxes);
    *ret_n = n;
    return 0;
}

void dec_frame_map_finish(struct dec_frame_map *m)
{
    free(m->sources);
    free(m->boxes);
    *m = (struct dec_frame_map){0};
}

/* numbers: of the box of each output frame. */
static int keep_boxes(struct dec_frame_map *m, const struct base_box *boxes, const uint32_t *numbers)
{
    m->boxes = malloc((m->n + 1) * sizeof *m->boxes);
    for (uint32_t i = 0; m->boxes && i < m->n; i++)
        m->boxes[i] = boxes[numbers[i]];
    return m->boxes ? 0 : -ENOMEM;
}

int dec_frame_map_make(struct dec_frame_map *m, const struct dec_index *index, struct dec_work *work)
{
    const struct dec_frames_spec *spec = &work->job->frames;
    base_autofree struct base_box *boxes = NULL;
    base_autofree uint32_t *numbers = NULL;
    uint32_t n_boxes = 0;
    if (m->sources && memcmp(&m->spec, spec, sizeof *spec) == 0)
        return 0;
    dec_frame_map_finish(m);
    int err = spec->boxed ? read_boxes(work->boxes_fd, &boxes, &n_boxes) : 0;
    if (!err)
        err = dec_boxed_map(index, spec, boxes, n_boxes, &m->sources, &numbers, &m->n);
    if (!err && numbers)
        err = keep_boxes(m, boxes, numbers);
    if (err) {
        dec_frame_map_finish(m);
        return base_fail(&work->why, err, "%s",
                         err == -EFBIG    ? "more frames than corpusfs allows"
                         : err == -EPROTO ? "boxes that make no sense"
                                          : "out of memory");
    }
    m->spec = *spec;
    return 0;
}

bool dec_frame_map_equal(const struct dec_frame_map *m, uint32_t a, uint32_t b)
{
    if (m->sources[a] != m->sources[b])
        return false;
    const struct base_box *x = dec_frame_map_box(m, a), *y = dec_frame_map_box(m, b);
    return !x || (x->x == y->x && x->y == y->y && x->w == y->w && x->h == y->h);
}

const struct base_box *dec_frame_map_box(const struct dec_frame_map *m, uint32_t frame)
{
    return m->boxes ? &m->boxes[frame] : NULL;
}
