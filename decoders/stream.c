/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/stream.h"

enum { LEAST_READ = 512 };

static ssize_t plain_read(struct dec_stream *stream, const uint8_t **ret)
{
    struct dec_plain_stream *s = (struct dec_plain_stream *)stream;
    ssize_t n = dec_source_read(&s->source, s->buffer, s->next_len, stream->position);
    if (n <= 0)
        return n;
    s->next_len = BASE_MIN(s->next_len * 2, sizeof s->buffer);
    stream->block = *ret = s->buffer;
    stream->block_len = (size_t)n;
    stream->position += (uint64_t)n;
    return n;
}

static uint64_t plain_skip(struct dec_stream *stream, uint64_t n)
{
    struct dec_plain_stream *s = (struct dec_plain_stream *)stream;
    uint64_t left = stream->position < s->size ? s->size - stream->position : 0;
    n = BASE_MIN(n, left);
    stream->position += n;
    stream->block_len = 0;
    s->next_len = LEAST_READ;
    return n;
}

int dec_plain_stream_begin(struct dec_plain_stream *s, const struct dec_source *source)
{
    s->stream = (struct dec_stream){.read = plain_read, .skip = plain_skip};
    s->source = *source;
    s->next_len = LEAST_READ;
    return dec_source_size(source, &s->size);
}
