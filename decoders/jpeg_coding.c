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
        *out++ = symbol(ac, zeros, levels[at], size_of(levels[at]));
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

struct bits {
    uint8_t *at;
    uint64_t held;
    unsigned n; /* bits of held that are not written yet, less than 32 */
};

/* Behind a byte of ones a zero is stuffed, so that it begins no marker. */
static uint8_t *write_byte(uint8_t *at, uint8_t byte)
{
    *at++ = byte;
    if (byte == 0xff)
        *at++ = 0;
    return at;
}

static inline uint8_t *write_word(uint8_t *at, uint32_t word)
{
    /* Whether a byte of ~word may be zero. */
    if ((~word - 0x01010101u) & word & 0x80808080u) {
        for (int shift = 24; shift >= 0; shift -= 8)
            at = write_byte(at, (uint8_t)(word >> shift));
        return at;
    }
    word = htobe32(word);
    memcpy(at, &word, sizeof word);
    return at + sizeof word;
}

static inline void put(struct bits *b, uint32_t value, unsigned len)
{
    b->held = b->held << len | value;
    b->n += len;
    if (b->n >= 32) {
        b->n -= 32;
        b->at = write_word(b->at, (uint32_t)(b->held >> b->n));
    }
}

/* Room for what n symbols become at most is there. */
static uint8_t *write_bits(uint8_t *at, const uint32_t codes[ALL_CODES], const uint32_t *symbols, size_t n)
{
    struct bits b = {.at = at};
    for (size_t i = 0; i < n; i++) {
        uint32_t code = codes[symbols[i] % ALL_CODES];
        put(&b, code >> 5 | symbols[i] >> CODE_BITS, code & 31);
    }
    put(&b, 0x7f, 7); /* ones up to the end of a byte */
    for (; b.n >= 8; b.n -= 8)
        b.at = write_byte(b.at, (uint8_t)(b.held >> (b.n - 8)));
    return b.at;
}

int dec_jpeg_put_scan(struct base_bytes *out, const uint8_t *head, size_t head_len, const uint32_t *symbols,
                      size_t n)
{
    uint32_t uses[ALL_CODES] = {0}, codes[ALL_CODES] = {0};
    uint64_t bits = 0;
    for (size_t i = 0; i < n; i++)
        uses[symbols[i] % ALL_CODES]++;
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
    if (base_bytes_reserve(out, bits / 8 * 2 + 16) < 0)
        return -ENOMEM;
    out->len = (size_t)(write_bits(out->data + out->len, codes, symbols, n) - out->data);
    return 0;
}
