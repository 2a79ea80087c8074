/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 128-bit hashes (XXH3-128 of xxHash): names of cached things, checksums. Not for security.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/base.h"

struct base_hash {
    uint8_t bytes[16];
};

/* One hash over several pieces; each piece's length goes in as well, so that ("ab","c") differs from
 * ("a","bc"). Zero-initialise nothing: start with base_hasher_create(), NULL when out of memory. */
struct base_hasher;
struct base_hasher *base_hasher_create(void);
void base_hasher_add(struct base_hasher *h, const void *data, size_t len);
/* Without the length: several pieces added so alone give base_hash_of() of them all in one. */
void base_hasher_continue(struct base_hasher *h, const void *data, size_t len);
/* Ends and frees h. */
struct base_hash base_hasher_finish(struct base_hasher *h);

/* Hash of one run of bytes. */
struct base_hash base_hash_of(const void *data, size_t len);
/* Hash of exactly `len` bytes of fd from `offset`. 0, or a negative errno (-EIO when the file is shorter). */
int base_hash_fd(int fd, off_t offset, uint64_t len, struct base_hash *ret);

bool base_hash_equal(const struct base_hash *a, const struct base_hash *b);
/* 32 hexadecimal digits and a terminator. */
void base_hash_hex(const struct base_hash *h, char out[33]);

#endif
