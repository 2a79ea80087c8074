/* SPDX-License-Identifier: Apache-2.0 */
#include "base/grow.h"

#include <errno.h>
#include <sys/mman.h>

enum { STEP = 1 << 20 };

int base_grow_init(struct base_grow *g, size_t max_bytes)
{
    *g = (struct base_grow){0};
    for (size_t bytes = (max_bytes / STEP + 1) * STEP; bytes >= STEP; bytes = bytes / 2 / STEP * STEP) {
        /* Without access it counts neither as memory nor as promised. */
        void *data = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (data == MAP_FAILED)
            continue;
        g->data = data;
        g->max_bytes = bytes;
        return 0;
    }
    return -ENOMEM;
}

int base_grow_to(struct base_grow *g, size_t bytes)
{
    if (bytes <= g->bytes)
        return 0;
    if (bytes > g->max_bytes)
        return -ENOMEM;
    size_t end = BASE_MIN((bytes / STEP + 1) * STEP, g->max_bytes);
    if (mprotect((char *)g->data + g->bytes, end - g->bytes, PROT_READ | PROT_WRITE) < 0)
        return -ENOMEM;
    g->bytes = end;
    return 0;
}

void base_grow_finish(struct base_grow *g)
{
    if (g->data)
        (void)munmap(g->data, g->max_bytes);
    *g = (struct base_grow){0};
}
