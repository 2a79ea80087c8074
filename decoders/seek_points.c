/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/seek_points.h"

enum {
    /* Windows take up to 32 KiB each, other points a few bytes. */
    MAX_POINTS = 8192,
    MAX_WINDOWS = 512,
    SPACING = 1 << 20,
    WINDOW_SPACING = 4 << 20,
    MAX_WINDOW_BYTES = 40 << 10,
};

void dec_points_finish(struct dec_points *p)
{
    for (size_t i = 0; i < p->n; i++)
        free((void *)p->points[i].window);
    free(p->points);
    *p = (struct dec_points){0};
}

bool dec_points_wants(const struct dec_points *p, uint64_t unpacked, bool has_window)
{
    uint64_t spacing = BASE_MAX(p->spacing, (uint64_t)(has_window ? WINDOW_SPACING : SPACING));
    uint64_t last = p->n > 0 ? p->points[p->n - 1].unpacked : 0;
    return !p->failed && unpacked >= last + spacing;
}

static void drop_every_second(struct dec_points *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (i % 2)
            p->points[kept++] = p->points[i];
        else
            free((void *)p->points[i].window);
    }
    p->n = kept;
}

void dec_points_add(struct dec_points *p, const struct dec_point *point)
{
    size_t most = point->window ? MAX_WINDOWS : MAX_POINTS;
    if (p->n == 0)
        p->spacing = point->window ? WINDOW_SPACING : SPACING;
    if (p->n >= most) {
        drop_every_second(p);
        p->spacing *= 2;
    }
    if (p->n == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 16;
        struct dec_point *points = realloc(p->points, cap * sizeof *points);
        if (!points) {
            p->failed = true;
            return;
        }
        p->points = points;
        p->cap = cap;
    }
    struct dec_point copy = *point;
    if (point->window) {
        uint8_t *window = malloc(point->window_bytes);
        if (!window) {
            p->failed = true;
            return;
        }
        memcpy(window, point->window, point->window_bytes);
        copy.window = window;
    }
    p->points[p->n++] = copy;
}

void dec_points_pack(const struct dec_points *p, struct base_bytes *out)
{
    uint64_t packed = 0, unpacked = 0;
    for (size_t i = 0; i < p->n; i++) {
        const struct dec_point *point = &p->points[i];
        base_bytes_put_u64(out, point->packed - packed);
        base_bytes_put_u64(out, point->unpacked - unpacked);
        base_bytes_append(out, &point->detail, 1);
        base_bytes_put_u64(out, point->window ? point->window_bytes : 0);
        if (point->window)
            base_bytes_append(out, point->window, point->window_bytes);
        packed = point->packed;
        unpacked = point->unpacked;
    }
}

bool dec_points_find(const uint8_t *data, size_t len, uint64_t unpacked, struct dec_point *ret)
{
    struct base_reader in = {.next = data, .end = data + len};
    struct dec_point point = {0};
    bool found = false;
    while (in.next < in.end) {
        point.packed += base_reader_u64(&in);
        point.unpacked += base_reader_u64(&in);
        base_reader_copy(&in, &point.detail, 1);
        point.window_bytes = base_reader_u64(&in);
        if (in.failed || point.window_bytes > MAX_WINDOW_BYTES ||
            point.window_bytes > (size_t)(in.end - in.next) || point.packed > INT64_MAX)
            return false;
        point.window = point.window_bytes ? in.next : NULL;
        in.next += point.window_bytes;
        if (point.unpacked > unpacked)
            break;
        *ret = point;
        found = true;
    }
    return found;
}
