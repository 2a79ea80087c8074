/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growable bytes, and a reader over bytes that somebody else wrote.
 * Threads: an object belongs to one thread at a time.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/base.h"

/* Zero-initialise; release with base_bytes_finish(). `failed` is sticky: after a failed allocation
 * all appends do nothing, so that a writer checks once, at its end. */
struct base_bytes {
    uint8_t *data;
    size_t len, cap;
    bool failed;
};

void base_bytes_finish(struct base_bytes *b);

/* Makes room for `more` bytes behind len. Returns 0 or -ENOMEM. */
int base_bytes_reserve(struct base_bytes *b, size_t more);
void base_bytes_append(struct base_bytes *b, const void *data, size_t len);
BASE_PRINTF(2, 3) void base_bytes_printf(struct base_bytes *b, const char *format, ...);

/* LEB128 variable-length integers: 7 bits a byte, least significant first, top bit = more follows.
 * Signed ones are zigzag-coded first. */
void base_bytes_put_u64(struct base_bytes *b, uint64_t value);
void base_bytes_put_i64(struct base_bytes *b, int64_t value);

/* Reads from [next, end). `failed` is sticky: after running out or a malformed integer every read
 * gives 0, and the caller checks once. */
struct base_reader {
    const uint8_t *next, *end;
    bool failed;
};

uint64_t base_reader_u64(struct base_reader *r);
int64_t base_reader_i64(struct base_reader *r);
/* Copies len bytes to out, or zeroes out and fails. */
void base_reader_copy(struct base_reader *r, void *out, size_t len);

#endif
