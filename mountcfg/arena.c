/* SPDX-License-Identifier: Apache-2.0 */
#include "mountcfg/reading.h"

#include <stdalign.h>

#define CHUNK_BYTES ((size_t)64 * 1024)

struct cfg_chunk {
    struct cfg_chunk *next;
    size_t used, cap;
    alignas(max_align_t) char data[];
};

static void *take(struct cfg_arena *a, size_t size, size_t align)
{
    struct cfg_chunk *chunk = a->chunks;
    if (chunk) {
        size_t start = (chunk->used + align - 1) / align * align;
        if (start <= chunk->cap && size <= chunk->cap - start) {
            chunk->used = start + size;
            return chunk->data + start;
        }
    }
    if (size > SIZE_MAX / 2)
        return NULL;
    size_t cap = BASE_MAX(size, CHUNK_BYTES - sizeof *chunk);
    struct cfg_chunk *fresh = malloc(sizeof *fresh + cap);
    if (!fresh)
        return NULL;
    *fresh = (struct cfg_chunk){.next = chunk, .used = size, .cap = cap};
    a->chunks = fresh;
    return fresh->data;
}

void *cfg_arena_alloc(struct cfg_arena *a, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / 2 / size)
        return NULL;
    void *memory = take(a, count * size, alignof(uint64_t));
    if (memory)
        memset(memory, 0, count * size);
    return memory;
}

const char *cfg_arena_text(struct cfg_arena *a, const char *text, size_t len)
{
    char *copy = take(a, len + 1, 1);
    if (!copy)
        return NULL;
    if (len > 0) /* of nothing, text may be NULL */
        memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

void cfg_arena_finish(struct cfg_arena *a)
{
    while (a->chunks) {
        struct cfg_chunk *next = a->chunks->next;
        free(a->chunks);
        a->chunks = next;
    }
}

void *cfg_list_add(struct cfg_list *l, size_t size)
{
    if (l->n == l->cap) {
        size_t cap = BASE_MAX(l->cap * 2, (size_t)16);
        void *items = cap > SIZE_MAX / 2 / size ? NULL : realloc(l->items, cap * size);
        if (!items)
            return NULL;
        l->items = items;
        l->cap = cap;
    }
    return memset((char *)l->items + l->n++ * size, 0, size);
}

void cfg_list_finish(struct cfg_list *l)
{
    free(l->items);
    *l = (struct cfg_list){0};
}
