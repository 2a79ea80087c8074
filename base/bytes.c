/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <errno.h>

void base_bytes_finish(struct base_bytes *b)
{
    free(b->data);
    *b = (struct base_bytes){0};
}

int base_bytes_reserve(struct base_bytes *b, size_t more)
{
    if (b->failed || more > SIZE_MAX / 2 - b->len) {
        b->failed = true;
        return -ENOMEM;
    }
    if (b->len + more <= b->cap)
        return 0;
    size_t cap = BASE_MAX(b->cap * 2, b->len + more);
    uint8_t *data = realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return -ENOMEM;
    }
    b->data = data;
    b->cap = cap;
    return 0;
}

void base_bytes_append(struct base_bytes *b, const void *data, size_t len)
{
    if (len == 0 || base_bytes_reserve(b, len) < 0)
        return;
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

void base_bytes_printf(struct base_bytes *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    if (len < 0 || base_bytes_reserve(b, (size_t)len + 1) < 0)
        b->failed = true;
    else
        b->len += (size_t)vsnprintf((char *)b->data + b->len, (size_t)len + 1, format, again);
    va_end(again);
    va_end(args);
}

void base_bytes_put_u64(struct base_bytes *b, uint64_t value)
{
    uint8_t coded[10];
    size_t len = 0;
    while (value >= 0x80) {
        coded[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    coded[len++] = (uint8_t)value;
    base_bytes_append(b, coded, len);
}

void base_bytes_put_i64(struct base_bytes *b, int64_t value)
{
    base_bytes_put_u64(b, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

uint64_t base_reader_u64(struct base_reader *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && r->next < r->end; shift += 7) {
        uint8_t byte = *r->next++;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    r->failed = true;
    r->next = r->end;
    return 0;
}

int64_t base_reader_i64(struct base_reader *r)
{
    uint64_t coded = base_reader_u64(r);
    return (int64_t)(coded >> 1) ^ -(int64_t)(coded & 1);
}

void base_reader_copy(struct base_reader *r, void *out, size_t len)
{
    if ((size_t)(r->end - r->next) < len) {
        r->failed = true;
        r->next = r->end;
        memset(out, 0, len);
        return;
    }
    memcpy(out, r->next, len);
    r->next += len;
}
