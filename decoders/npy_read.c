/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/npy_read.h"

#include <errno.h>

enum { MAGIC = 8, MAX_DICT = 65535, MAX_BYTES = 1 << 30 };

bool dec_is_npy(const struct dec_source *source)
{
    char magic[6];
    return dec_source_read_all(source, magic, sizeof magic, 0) == 0 && memcmp(magic, "\x93NUMPY", 6) == 0;
}

struct cursor {
    const char *at, *end;
};

static void skip_spaces(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static bool take(struct cursor *c, const char *word)
{
    size_t len = strlen(word);
    skip_spaces(c);
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len) != 0)
        return false;
    c->at += len;
    return true;
}

/* A text in quotes, without escapes. */
static bool take_text(struct cursor *c, char *out, size_t room)
{
    char quote = '\'';
    if (!take(c, "'")) {
        if (!take(c, "\""))
            return false;
        quote = '"';
    }
    const char *end = memchr(c->at, quote, (size_t)(c->end - c->at));
    if (!end || (size_t)(end - c->at) >= room)
        return false;
    memcpy(out, c->at, (size_t)(end - c->at));
    out[end - c->at] = 0;
    c->at = end + 1;
    return true;
}

static bool take_number(struct cursor *c, uint64_t *ret)
{
    uint64_t n = 0;
    skip_spaces(c);
    const char *begin = c->at;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9' && n <= MAX_BYTES; c->at++)
        n = n * 10 + (uint64_t)(*c->at - '0');
    *ret = n;
    return c->at > begin && n <= MAX_BYTES;
}

static bool take_type(struct cursor *c, struct dec_npy_source *ret)
{
    char text[8];
    const char native = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '<' : '>';
    if (!take_text(c, text, sizeof text) || strlen(text) != 3 || !strchr("<>|=", text[0]) ||
        !strchr("biuf", text[1]) || !strchr("1248", text[2]))
        return false;
    ret->kind = text[1];
    ret->bytes = (uint32_t)(text[2] - '0');
    ret->swapped = ret->bytes > 1 && text[0] != native && text[0] != '=';
    return ret->kind == 'b' ? ret->bytes == 1 : ret->kind == 'f' ? ret->bytes >= 4 : true;
}

static bool take_shape(struct cursor *c, struct dec_npy_source *ret)
{
    if (!take(c, "("))
        return false;
    for (ret->n_dims = 0; !take(c, ")"); ret->n_dims++) {
        if (ret->n_dims == DEC_NPY_SOURCE_DIMS || !take_number(c, &ret->shape[ret->n_dims]))
            return false;
        if (!take(c, ",") && c->at < c->end && *c->at != ')')
            return false;
    }
    return true;
}

static bool take_order(struct cursor *c, struct dec_npy_source *ret)
{
    ret->fortran = take(c, "True");
    return ret->fortran || take(c, "False");
}

uint64_t dec_npy_values(const struct dec_npy_source *npy)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < npy->n_dims; i++)
        n *= npy->shape[i];
    return n;
}

/* So that products of them do not overflow. */
static int check_size(const struct dec_npy_source *npy, struct base_reason *why)
{
    uint64_t bytes = npy->bytes;
    for (uint32_t i = 0; i < npy->n_dims; i++) {
        bytes *= BASE_MAX(npy->shape[i], UINT64_C(1));
        if (bytes > MAX_BYTES)
            return base_fail(why, -EINVAL, "an array of more than 1 GiB");
    }
    return 0;
}

int dec_npy_parse_dict(const char *text, size_t len, struct dec_npy_source *ret, struct base_reason *why)
{
    struct cursor c = {text, text + len};
    struct dec_npy_source found = {0};
    char key[16];
    unsigned seen = 0;
    bool good = take(&c, "{");
    while (good && !take(&c, "}")) {
        bool named = take_text(&c, key, sizeof key) && take(&c, ":");
        unsigned bit = !named                              ? 0
                       : strcmp(key, "descr") == 0         ? 1
                       : strcmp(key, "fortran_order") == 0 ? 2
                       : strcmp(key, "shape") == 0         ? 4
                                                           : 0;
        if (bit == 1 && !take_type(&c, &found))
            return base_fail(why, -EINVAL,
                             "values that are no booleans, integers, or floats of 4 or 8 bytes");
        good = bit != 0 && !(seen & bit) && (bit != 2 || take_order(&c, &found)) &&
               (bit != 4 || take_shape(&c, &found));
        seen |= bit;
        if (good && !take(&c, ",")) {
            good = take(&c, "}");
            break;
        }
    }
    if (!good || seen != 7)
        return base_fail(why, -EINVAL, "its .npy header makes no sense");
    int err = check_size(&found, why);
    if (!err)
        *ret = found;
    return err;
}

int dec_npy_open(const struct dec_source *source, struct dec_npy_source *ret, struct base_reason *why)
{
    uint8_t head[12];
    uint64_t size = 0;
    if (dec_source_read_all(source, head, sizeof head, 0) || memcmp(head, "\x93NUMPY", 6) != 0 ||
        head[6] < 1 || head[6] > 3)
        return base_fail(why, -EIO, "it is no .npy file");
    const uint64_t at = head[6] == 1 ? 10 : 12;
    uint64_t len = head[8] | (uint64_t)head[9] << 8;
    if (head[6] > 1)
        len |= (uint64_t)head[10] << 16 | (uint64_t)head[11] << 24;
    base_autofree char *text = len <= MAX_DICT ? malloc(len + 1) : NULL;
    if (!text || dec_source_read_all(source, text, len, at))
        return base_fail(why, -EIO, "its .npy header is cut off");
    if (dec_npy_parse_dict(text, len, ret, why))
        return -EIO;
    ret->data = at + len;
    int err = dec_source_size(source, &size);
    if (!err && size < ret->data + dec_npy_values(ret) * ret->bytes)
        err = base_fail(why, -EIO, "an array whose end is missing");
    return err;
}
