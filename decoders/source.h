/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes that a job is about: a file, or a range of it where the source is a member of an archive. All
 * reading of a source goes through here, so that nothing outside the range is ever seen.
 *
 * Positions are absolute (pread): descriptors may be shared. Any thread.
 */
#ifndef DECODERS_SOURCE_H
#define DECODERS_SOURCE_H

#include "base/base.h"

struct dec_source {
    int fd;
    uint64_t offset, bytes; /* both 0 = the whole file */
};

/* How many bytes there are: a range ends where its file ends. 0 or a negative errno. */
int dec_source_size(const struct dec_source *source, uint64_t *ret);
/* Reads up to len bytes at `at`, counted from the range's beginning. The number of bytes, 0 at the end, or a
 * negative errno. */
ssize_t dec_source_read(const struct dec_source *source, void *out, size_t len, uint64_t at);
/* Reads exactly len bytes. 0, -EIO when the source ends before, or another negative errno. */
int dec_source_read_all(const struct dec_source *source, void *out, size_t len, uint64_t at);

#endif
