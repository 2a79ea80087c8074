/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/jpeg_coding.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

/* A symbol is a code's number (of four tables, AC ones behind DC ones, with 256 numbers each), and above that
 * the bits that follow the code. Their number is the lower half of the code's. */
enum { TABLES = 4, TABLE_CODES = 256, ALL_CODES = TABLES * TABLE_CODES, CODE_BITS = 10 };
enum { END_OF_BLOCK = 0, SIXTEEN_ZEROS = 0xf0 };
enum { LONGEST = 16 }; /* bits of a code */

/* T.81, figure 5. */
const uint8_t dec_jpeg_zigzag[64] = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,
                                     12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,  7,  14, 21, 28,
                                     35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
                                     58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

/* ---- Blocks to symbols ---- */

static inline unsigned size_of(int value)
{
    return value ? 32 - (unsigned)__builtin_clz((unsigned)abs(value)) : 0;
}

/* Negative values are told one lower, without the bits above their size. */
static inline uint32_t symbol(unsigned table, unsigned zeros, int value, unsigned size)
{
    uint32_t low = ((uint32_t)value - (value < 0)) & ((1u << size) - 1);
    return low << CODE_BITS | table * TABLE_CODES | zeros << 4 | size;
}

uint32_t *dec_jpeg_block_symbols(const int16_t levels[64], uint64_t nonzero, int dc_before, unsigned kind,
                                 uint32_t *out)
{
    unsigned ac = 2 + kind, last = 0;
    int difference = levels[0] - dc_before;
    *out++ = symbol(kind, 0, difference, size_of(difference));
    for (uint64_t left = nonzero & ~UINT64_C(1); left; left &= left - 1) {
        unsigned at = (unsigned)__builtin_ctzll(left), zeros = at - last - 1;
        for (; zeros > 15; zeros -= 16)
            *out++ = ac * TABLE_CODES | SIXTEEN_ZEROS;
        int level = levels[dec_jpeg_zigzag[at]];
        *out++ = symbol(ac, zeros, level, size_of(level));
        last = at;
    }
    if (last < 63)
        *out++ = ac * TABLE_CODES | END_OF_BLOCK;
    return out;
}

/* ---- The codes ---- */

/* How many codes there are of 1 to 16 bits, and what they stand for. */
struct table {
    uint8_t counts[LONGEST + 1], values[TABLE_CODES];
    size_t n;
};

struct leaf {
    uint32_t weight;
    uint16_t value;
};

static int compare_leaves(const void *a, const void *b)
{
    const struct leaf *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight < y->weight ? -1 : 1;
    return (int)y->value - (int)x->value;
}

/* Huffman's: how many of n > 1 leaves, which ascend, are how deep. */
static void count_depths(const struct leaf *leaves, size_t n, unsigned counts[64])
{
    enum { MOST = 2 * (TABLE_CODES + 1) };
    uint32_t weights[MOST];
    uint16_t parents[MOST], depths[MOST];
    size_t leaf = 0, inner = n, end = n;
    for (size_t i = 0; i < n; i++)
        weights[i] = leaves[i].weight;
    for (; end < 2 * n - 1; end++) {
        weights[end] = 0;
        for (int i = 0; i < 2; i++) {
            bool is_leaf = leaf < n && (inner == end || weights[leaf] <= weights[inner]);
            size_t lightest = is_leaf ? leaf++ : inner++;
            parents[lightest] = (uint16_t)end;
            weights[end] += weights[lightest];
        }
    }
    depths[end - 1] = 0;
    for (size_t i = end - 1; i-- > 0;) {
        depths[i] = (uint16_t)(depths[parents[i]] + 1);
        counts[depths[i]] += i < n;
    }
}

/* T.81, K.2: pairs of codes that are too long hang elsewhere. */
static void limit_depths(unsigned counts[64])
{
    for (unsigned depth = 63; depth > LONGEST; depth--)
        while (counts[depth] > 0) {
            unsigned at = depth - 2;
            while (counts[at] == 0)
                at--;
            counts[depth] -= 2;
            counts[depth - 1]++;
            counts[at]--;
            counts[at + 1] += 2;
        }
}

static void make_table(const uint32_t *uses, struct table *ret)
{
    /* The first, and so deepest, leaf stands for the code of ones alone, which must not be. */
    struct leaf leaves[TABLE_CODES + 1] = {{0}};
    unsigned counts[64] = {0}, deepest = LONGEST;
    size_t n = 1;
    for (unsigned i = 0; i < TABLE_CODES; i++)
        if (uses[i])
            leaves[n++] = (struct leaf){uses[i], (uint16_t)i};
    *ret = (struct table){.n = n - 1};
    if (n == 1)
        return;
    qsort(leaves + 1, n - 1, sizeof *leaves, compare_leaves);
    count_depths(leaves, n, counts);
    limit_depths(counts);
    while (counts[deepest] == 0)
        deepest--;
    counts[deepest]--;
    for (unsigned i = 1; i <= LONGEST; i++)
        ret->counts[i] = (uint8_t)counts[i];
    for (size_t i = 0; i < ret->n; i++)
        ret->values[i] = (uint8_t)leaves[n - 1 - i].value;
}

static void put_table(struct base_bytes *out, unsigned number, const struct table *t)
{
    size_t bytes = 2 + 1 + LONGEST + t->n;
    const uint8_t head[] = {0xff, 0xc4, (uint8_t)(bytes >> 8), (uint8_t)bytes,
                            (uint8_t)((number & 2) << 3 | (number & 1))};
    base_bytes_append(out, head, sizeof head);
    base_bytes_append(out, t->counts + 1, LONGEST);
    base_bytes_append(out, t->values, t->n);
}

/* A code, with zeros for the bits that follow it, shifted up by 5; and how many bits that is together. */
static void make_codes(const struct table *t, uint32_t *ret)
{
    const uint8_t *value = t->values;
    uint32_t code = 0;
    for (uint32_t len = 1; len <= LONGEST; len++, code <<= 1)
        for (unsigned i = 0; i < t->counts[len]; i++, value++) {
            uint32_t follow = *value & 15u;
            ret[*value] = code++ << follow << 5 | (len + follow);
        }
}

/* ---- Symbols to bits ---- */

/* In several counters, since counting what was counted just before waits for that. */
static void count_uses(const uint32_t *symbols, size_t n, uint32_t uses[ALL_CODES])
{
    uint32_t counters[4][ALL_CODES] = {{0}};
    for (size_t i = 0; i < n; i++)
        counters[i % 4][symbols[i] % ALL_CODES]++;
    for (unsigned i = 0; i < ALL_CODES; i++)
        uses[i] = counters[0][i] + counters[1][i] + counters[2][i] + counters[3][i];
}

struct bits {
    uint8_t *at;   /* here go the next eight bytes */
    uint64_t held; /* from its top on */
    unsigned n;    /* bits of held, less than 8 */
};

/* len: 1 to 56. */
static inline void put(struct bits *b, uint64_t value, unsigned len)
{
    b->n += len;
    b->held |= value << (64 - b->n);
    uint64_t word = htobe64(b->held);
    memcpy(b->at, &word, sizeof word);
    b->at += b->n / 8;
    b->held <<= b->n / 8 * 8;
    b->n %= 8;
}

static inline uint64_t value_of(uint32_t code, uint32_t symbol)
{
    return code >> 5 | symbol >> CODE_BITS;
}

/* Two symbols at once, since each put() waits for the one before. Seven bytes behind may be written to. */
static void write_bits(uint8_t *at, const uint32_t codes[ALL_CODES], const uint32_t *symbols, size_t n)
{
    struct bits b = {.at = at};
    size_t i = 0;
    for (; i + 1 < n; i += 2) {
        const uint32_t code = codes[symbols[i] % ALL_CODES], next = codes[symbols[i + 1] % ALL_CODES];
        const uint64_t both = value_of(code, symbols[i]) << (next & 31) | value_of(next, symbols[i + 1]);
        put(&b, both, (code & 31) + (next & 31));
    }
    if (i < n)
        put(&b, value_of(codes[symbols[i] % ALL_CODES], symbols[i]), codes[symbols[i] % ALL_CODES] & 31);
    if (b.n > 0)
        put(&b, 0xff >> b.n, 8 - b.n); /* ones up to the end of a byte */
}

/* Behind a byte of ones a zero is stuffed, so that it begins no marker. bytes: n of them, at least n behind
 * `to`. Returns the end. */
static uint8_t *stuff(uint8_t *to, const uint8_t *bytes, size_t n)
{
    for (const uint8_t *end = bytes + n; bytes < end;) {
        const uint8_t *ones = memchr(bytes, 0xff, (size_t)(end - bytes)), *next = ones ? ones + 1 : end;
        memmove(to, bytes, (size_t)(next - bytes));
        to += next - bytes;
        bytes = next;
        if (ones)
            *to++ = 0;
    }
    return to;
}

int dec_jpeg_put_scan(struct base_bytes *out, const uint8_t *head, size_t head_len, const uint32_t *symbols,
                      size_t n)
{
    uint32_t uses[ALL_CODES], codes[ALL_CODES] = {0};
    uint64_t bits = 0;
    count_uses(symbols, n, uses);
    for (unsigned i = 0; i < TABLES; i++) {
        struct table table;
        make_table(uses + (size_t)i * TABLE_CODES, &table);
        make_codes(&table, codes + (size_t)i * TABLE_CODES);
        if (table.n > 0) /* a grey picture has no chroma */
            put_table(out, i, &table);
    }
    base_bytes_append(out, head, head_len);
    for (unsigned i = 0; i < ALL_CODES; i++)
        bits += (uint64_t)uses[i] * (codes[i] & 31);
    const size_t bytes = (size_t)(bits + 7) / 8;
    if (base_bytes_reserve(out, 2 * bytes + sizeof(uint64_t)) < 0)
        return -ENOMEM;
    uint8_t *end = out->data + out->len, *unstuffed = end + bytes;
    write_bits(unstuffed, codes, symbols, n);
    out->len = (size_t)(stuff(end, unstuffed, bytes) - out->data);
    return 0;
}
