/* SPDX-License-Identifier: Apache-2.0 */
/* What fuzzers share: numbers that follow from a seed, and damage that follows from them. One thread. */
#ifndef TESTS_FUZZ_DAMAGE_H
#define TESTS_FUZZ_DAMAGE_H

#include "base/base.h"

static uint64_t random_state;

/* splitmix64 */
static uint64_t random_u64(void)
{
    uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static size_t random_below(size_t n)
{
    return n > 0 ? (size_t)(random_u64() % n) : 0;
}

static void flip_bits(uint8_t *data, size_t len)
{
    for (size_t n = 1 + random_below(20); n > 0; n--)
        data[random_below(len)] ^= (uint8_t)(1 << random_below(8));
}

/* Headers are a small part of a file and hold most of what can go wrong. */
static void set_bytes_of_head(uint8_t *data, size_t len)
{
    static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
    size_t head = (size_t)32 << random_below(8);
    head = BASE_MIN(len, head);
    for (size_t n = 1 + random_below(4); n > 0; n--)
        data[random_below(head)] = values[random_below(sizeof values)];
}

static void set_word(uint8_t *data, size_t len)
{
    static const uint32_t values[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x00ffffff, 0xffffff7f};
    size_t near_end =
        random_below(2) ? random_below(len) : len - 1 - random_below(BASE_MIN(len, (size_t)4096));
    uint32_t value = values[random_below(BASE_ARRAY_LEN(values))];
    for (size_t i = 0; i < 4 && near_end + i < len; i++)
        data[near_end + i] = (uint8_t)(value >> (24 - 8 * i));
}

static void wipe(uint8_t *data, size_t len)
{
    size_t at = random_below(len), n = 1 + random_below(4000);
    memset(data + at, random_below(2) ? 0 : 0xff, BASE_MIN(len - at, n));
}

static void move_chunk(uint8_t *data, size_t len)
{
    size_t n = 1 + random_below(BASE_MIN(len, (size_t)3000));
    memmove(data + random_below(len - n + 1), data + random_below(len - n + 1), n);
}

static size_t damage(uint8_t *data, size_t len)
{
    for (size_t n = 1 + random_below(3); n > 0; n--) {
        switch (random_below(6)) {
        case 0:
            flip_bits(data, len);
            break;
        case 1:
            set_bytes_of_head(data, len);
            break;
        case 2:
            set_word(data, len);
            break;
        case 3:
            wipe(data, len);
            break;
        case 4:
            move_chunk(data, len);
            break;
        default:
            len = 1 + random_below(len);
            break;
        }
    }
    return len;
}

#endif
