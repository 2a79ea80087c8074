/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include "base/io.h"
#include <errno.h>
#include <xxhash.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h> /* the same functions, with the vectors that the processor has */
#endif

struct base_hasher {
    XXH3_state_t *state;
};

/* The library finds out what the processor has when it first hashes much, which two threads must not do at
 * the same time. */
__attribute__((constructor)) static void find_out(void)
{
    static const uint8_t much[1024];
    (void)XXH3_128bits(much, sizeof much);
}

static struct base_hash from_xxh(XXH128_hash_t value)
{
    struct base_hash hash;
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, value);
    memcpy(hash.bytes, canonical.digest, sizeof hash.bytes);
    return hash;
}

struct base_hasher *base_hasher_create(void)
{
    struct base_hasher *h = malloc(sizeof *h);
    if (!h)
        return NULL;
    h->state = XXH3_createState();
    if (!h->state) {
        free(h);
        return NULL;
    }
    XXH3_128bits_reset(h->state);
    return h;
}

void base_hasher_add(struct base_hasher *h, const void *data, size_t len)
{
    uint64_t prefix = len;
    XXH3_128bits_update(h->state, &prefix, sizeof prefix);
    XXH3_128bits_update(h->state, data, len);
}

void base_hasher_continue(struct base_hasher *h, const void *data, size_t len)
{
    XXH3_128bits_update(h->state, data, len);
}

struct base_hash base_hasher_finish(struct base_hasher *h)
{
    struct base_hash hash = from_xxh(XXH3_128bits_digest(h->state));
    XXH3_freeState(h->state);
    free(h);
    return hash;
}

struct base_hash base_hash_of(const void *data, size_t len)
{
    return from_xxh(XXH3_128bits(data, len));
}

int base_hash_fd(int fd, off_t offset, uint64_t len, struct base_hash *ret)
{
    enum { BLOCK = 256 * 1024 };
    base_autofree uint8_t *block = malloc(BLOCK);
    XXH3_state_t *state = XXH3_createState();
    int err = block && state ? 0 : -ENOMEM;
    if (state)
        XXH3_128bits_reset(state);
    while (!err && len > 0) {
        size_t part = (size_t)BASE_MIN(len, (uint64_t)BLOCK);
        err = base_pread_all(fd, block, part, offset);
        if (!err)
            XXH3_128bits_update(state, block, part);
        offset += (off_t)part;
        len -= part;
    }
    if (!err)
        *ret = from_xxh(XXH3_128bits_digest(state));
    XXH3_freeState(state);
    return err;
}

bool base_hash_equal(const struct base_hash *a, const struct base_hash *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

void base_hash_hex(const struct base_hash *h, char out[33])
{
    for (size_t i = 0; i < sizeof h->bytes; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", h->bytes[i]);
}
