/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of an archive as its format's reader sees them: as they stand in the source, or unpacked. Forward
 * only.
 */
#ifndef DECODERS_STREAM_H
#define DECODERS_STREAM_H

#include "decoders/source.h"

struct dec_stream {
    /* The next bytes: > 0, 0 at the end, or a negative errno. *ret is borrowed until the next call. */
    ssize_t (*read)(struct dec_stream *s, const uint8_t **ret);
    /* Goes on by up to n bytes, and says by how many: fewer only at the end, or before an error. */
    uint64_t (*skip)(struct dec_stream *s, uint64_t n);
    uint64_t position; /* behind the last block */
    /* The last block. */
    const uint8_t *block;
    size_t block_len;
};

/* As they stand: reads little after a jump, and more and more where one block follows the other, so that a
 * tar of large members costs one small read a member, and one of small members few large ones. */
struct dec_plain_stream {
    struct dec_stream stream;
    struct dec_source source;
    uint64_t size;
    size_t next_len;
    uint8_t buffer[64 * 1024];
};

/* 0 or a negative errno. Nothing is to be freed. */
int dec_plain_stream_begin(struct dec_plain_stream *s, const struct dec_source *source);

#endif
