/* SPDX-License-Identifier: Apache-2.0 */
/* A strict reading of the header: a dict of three keys, as numpy.save() writes it, in any order. */
#include "decoders/npy.h"

#include <ctype.h>

struct reader {
    const char *at, *end;
};

static void skip_spaces(struct reader *r)
{
    while (r->at < r->end && *r->at == ' ')
        r->at++;
}

/* Takes a character, with the spaces before it, if it is the next. */
static bool take(struct reader *r, char c)
{
    skip_spaces(r);
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool take_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);
    skip_spaces(r);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        return false;
    r->at += len;
    return true;
}

static bool take_number(struct reader *r, uint64_t *ret)
{
    uint64_t value = 0;
    const char *begin = r->at;
    for (; r->at < r->end && isdigit((unsigned char)*r->at); r->at++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*r->at - '0'), &value))
            return false;
    *ret = value;
    return r->at > begin;
}

/* A type such as '<f4': its bytes. */
static bool take_type(struct reader *r, uint64_t *ret)
{
    if (!take(r, '\'') || r->end - r->at < 3 || !strchr("<>|=", *r->at) || !strchr("biufcSU", r->at[1]))
        return false;
    bool wide = r->at[1] == 'U'; /* 4 bytes a character */
    r->at += 2;
    return take_number(r, ret) && take(r, '\'') && !__builtin_mul_overflow(*ret, wide ? 4 : 1, ret);
}

/* The product of the sizes, times what *values is already. */
static bool take_shape(struct reader *r, uint64_t *values)
{
    if (!take(r, '('))
        return false;
    while (!take(r, ')')) {
        uint64_t n;
        skip_spaces(r);
        if (!take_number(r, &n) || __builtin_mul_overflow(*values, n, values))
            return false;
        if (!take(r, ',') && (r->at == r->end || *r->at != ')'))
            return false;
    }
    return true;
}

/* Bytes of the values; false: it is no such dict. */
static bool read_dict(struct reader *r, uint64_t *ret)
{
    uint64_t value_bytes = 0, values = 1;
    bool type = false, order = false, shape = false;
    if (!take(r, '{'))
        return false;
    while (!take(r, '}')) {
        if (!type && take_word(r, "'descr'"))
            type = take(r, ':') && take_type(r, &value_bytes);
        else if (!order && take_word(r, "'fortran_order'"))
            order = take(r, ':') && (take_word(r, "False") || take_word(r, "True"));
        else if (!shape && take_word(r, "'shape'"))
            shape = take(r, ':') && take_shape(r, &values);
        else
            return false;
        if (!take(r, ',') && (r->at == r->end || *r->at != '}'))
            return false;
    }
    skip_spaces(r);
    return type && order && shape && r->end - r->at == 1 && *r->at == '\n' &&
           !__builtin_mul_overflow(values, value_bytes, ret);
}

const char *dec_npy_check(const uint8_t *head, size_t len, uint64_t file_bytes)
{
    if (len < 12 || memcmp(head, "\x93NUMPY", 6) != 0)
        return "does not begin as a .npy file does";
    const bool wide = head[6] > 1;
    if (head[6] < 1 || head[6] > 3 || head[7] != 0)
        return "has a version of the .npy format that is not known";
    const size_t begin = wide ? 12 : 10;
    const size_t dict = (size_t)head[8] | (size_t)head[9] << 8 | (wide ? (size_t)head[10] << 16 : 0) |
                        (wide ? (size_t)head[11] << 24 : 0);
    if (dict > len - begin)
        return "has a .npy header that is cut off, or too long";
    struct reader r = {(const char *)head + begin, (const char *)head + begin + dict};
    uint64_t bytes;
    if (!read_dict(&r, &bytes) || __builtin_add_overflow(bytes, begin + dict, &bytes))
        return "has a .npy header that is none of an array of numbers or texts";
    return bytes == file_bytes ? NULL : "does not have the size that its .npy header tells";
}
