/* SPDX-License-Identifier: Apache-2.0 */
/* A strict reading of the header: a dict of three keys, as numpy.save() writes it, in any order. */
#include "decoders/npy.h"

#include <ctype.h>
#include <errno.h>

struct cursor {
    const char *at, *end;
};

static void skip_spaces(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

/* Takes a word, with the spaces before it, if it is the next. */
static bool take(struct cursor *c, const char *word)
{
    size_t len = strlen(word);
    skip_spaces(c);
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len) != 0)
        return false;
    c->at += len;
    return true;
}

/* The quote that begins a text; NULL = none does. */
static const char *take_quote(struct cursor *c)
{
    return take(c, "'") ? "'" : take(c, "\"") ? "\"" : NULL;
}

static bool take_number(struct cursor *c, uint64_t *ret)
{
    uint64_t value = 0;
    const char *begin = c->at;
    for (; c->at < c->end && isdigit((unsigned char)*c->at); c->at++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*c->at - '0'), &value))
            return false;
    *ret = value;
    return c->at > begin;
}

/* A type such as '<f4'. */
static bool take_type(struct cursor *c, struct dec_npy_dict *ret)
{
    const char *quote = take_quote(c);
    if (!quote || c->end - c->at < 3 || !strchr("<>|=", *c->at) || !isalpha((unsigned char)c->at[1]))
        return false;
    ret->order = c->at[0];
    ret->kind = c->at[1];
    c->at += 2;
    /* A character of a text is four bytes. */
    return take_number(c, &ret->bytes) && c->at < c->end && *c->at == *quote && c->at++ &&
           !__builtin_mul_overflow(ret->bytes, ret->kind == 'U' ? 4 : 1, &ret->bytes);
}

static bool take_shape(struct cursor *c, struct dec_npy_dict *ret)
{
    if (!take(c, "("))
        return false;
    for (ret->n_dims = 0; !take(c, ")"); ret->n_dims++) {
        if (ret->n_dims == DEC_NPY_MAX_RANK || !take_number(c, &ret->shape[ret->n_dims]))
            return false;
        if (!take(c, ",") && (c->at == c->end || *c->at != ')'))
            return false;
    }
    return true;
}

static bool take_order(struct cursor *c, struct dec_npy_dict *ret)
{
    ret->fortran = take(c, "True");
    return ret->fortran || take(c, "False");
}

/* The place of a key in the list of them, with its colon; -1 = it is none. */
static int take_key(struct cursor *c)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    const char *quote = take_quote(c);
    for (int i = 0; quote && i < (int)BASE_ARRAY_LEN(keys); i++) {
        size_t len = strlen(keys[i]);
        if ((size_t)(c->end - c->at) <= len || memcmp(c->at, keys[i], len) != 0 || c->at[len] != *quote)
            continue;
        c->at += len + 1;
        return take(c, ":") ? i : -1;
    }
    return -1;
}

int dec_npy_parse(const char *text, size_t len, struct dec_npy_dict *ret)
{
    struct cursor c = {text, text + len};
    struct dec_npy_dict found = {0};
    unsigned seen = 0;
    if (!take(&c, "{"))
        return -EINVAL;
    while (!take(&c, "}")) {
        int key = take_key(&c);
        if (key < 0 || (seen & 1u << key))
            return -EINVAL;
        seen |= 1u << key;
        if (key == 0 && !take_type(&c, &found))
            return -ENOTSUP;
        if ((key == 1 && !take_order(&c, &found)) || (key == 2 && !take_shape(&c, &found)))
            return -EINVAL;
        if (!take(&c, ",") && (c.at == c.end || *c.at != '}'))
            return -EINVAL;
    }
    if (seen != 7)
        return -EINVAL;
    found.len = (size_t)(c.at - text);
    *ret = found;
    return 0;
}

bool dec_npy_find_dict(const uint8_t head[DEC_NPY_BEGIN], size_t *ret_at, size_t *ret_len)
{
    const bool wide = head[6] > 1;
    if (memcmp(head, "\x93NUMPY", 6) != 0 || head[6] < 1 || head[6] > 3 || head[7] != 0)
        return false;
    *ret_at = wide ? 12 : 10;
    *ret_len = (size_t)head[8] | (size_t)head[9] << 8 | (wide ? (size_t)head[10] << 16 : 0) |
               (wide ? (size_t)head[11] << 24 : 0);
    return true;
}

/* Whether all is there that numpy.load() maps; their bytes. */
static bool is_mapped(const char *text, size_t len, uint64_t *ret)
{
    struct dec_npy_dict dict;
    if (dec_npy_parse(text, len, &dict) || !strchr("biufcSU", dict.kind))
        return false;
    while (dict.len < len && text[dict.len] == ' ')
        dict.len++;
    *ret = dict.bytes;
    for (uint32_t i = 0; i < dict.n_dims; i++)
        if (__builtin_mul_overflow(*ret, dict.shape[i], ret))
            return false;
    return dict.len + 1 == len && text[dict.len] == '\n';
}

const char *dec_npy_check(const uint8_t *head, size_t len, uint64_t file_bytes)
{
    size_t at, dict;
    uint64_t bytes;
    if (len < DEC_NPY_BEGIN || memcmp(head, "\x93NUMPY", 6) != 0)
        return "does not begin as a .npy file does";
    if (!dec_npy_find_dict(head, &at, &dict))
        return "has a version of the .npy format that is not known";
    if (dict > len - at)
        return "has a .npy header that is cut off, or too long";
    if (!is_mapped((const char *)head + at, dict, &bytes) || __builtin_add_overflow(bytes, at + dict, &bytes))
        return "has a .npy header that is none of an array of numbers or texts";
    return bytes == file_bytes ? NULL : "does not have the size that its .npy header tells";
}
