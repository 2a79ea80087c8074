/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of arrays: those that are written are good, and none that lies is taken. */
#include "decoders/npy.h"
#include "tests/unit/check.h"

/* A file's beginning from its dict: version 1, 2 or 3. */
static size_t make(uint8_t *out, int version, const char *dict)
{
    size_t len = strlen(dict), begin = version == 1 ? 10 : 12;
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (uint8_t)version;
    out[7] = 0;
    for (size_t i = 8; i < begin; i++)
        out[i] = (uint8_t)(len >> (i - 8) * 8);
    memcpy(out + begin, dict, len);
    return begin + len;
}

static void test_good(void)
{
    static const struct {
        const char *dict;
        uint64_t bytes;
    } good[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }\n", 48},
        {"{'shape': (), 'fortran_order': True, 'descr': '>i8'}   \n", 8},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (0, 7)}\n", 0},
        {"{'descr': '<U5', 'fortran_order': False, 'shape': (2,), }\n", 40},
        {"{ 'descr' : '|b1' , 'fortran_order' : False , 'shape' : ( 5 , ) }\n", 5},
        {"{\"descr\": \"<f8\", \"fortran_order\": False, \"shape\": (2,), }\n", 16},
        {"{'descr': '<c16', 'fortran_order': False, 'shape': (1,), }\n", 16},
    };
    uint8_t head[512];
    for (size_t i = 0; i < BASE_ARRAY_LEN(good); i++)
        for (int version = 1; version <= 3; version++) {
            size_t len = make(head, version, good[i].dict);
            CHECK(!dec_npy_check(head, len, len + good[i].bytes));
            CHECK(dec_npy_check(head, len, len + good[i].bytes + 1));
            CHECK(dec_npy_check(head, len - 1, len + good[i].bytes));
        }
    const struct dec_npy array = {DEC_NPY_F32, 3, {7, 5, 3}};
    uint8_t paged[DEC_NPY_PAGED_HEADER];
    dec_npy_header(&array, paged, sizeof paged);
    CHECK(!dec_npy_check(paged, sizeof paged, sizeof paged + 420));
}

static void test_bad(void)
{
    static const char *const bad[] = {
        "",
        "{}\n",
        "{'descr': '<f4\", 'fortran_order': False, 'shape': (2,), }\n",
        "{'descr\": '<f4', 'fortran_order': False, 'shape': (2,), }\n",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n",
        "{'descr': '|O8', 'fortran_order': False, 'shape': (1,), }\n",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'shape': (2,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2 2), }\n",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), }\n",
        "{'descr': '<f', 'fortran_order': False, 'shape': (2,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 2), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387906,), }\n",
        "{'descr': '<f4', 'fortran_order': False, }\n",
        "__import__('os').abort()\n",
    };
    uint8_t head[512];
    for (size_t i = 0; i < BASE_ARRAY_LEN(bad); i++) {
        size_t len = make(head, 1, bad[i]);
        if (!CHECK(dec_npy_check(head, len, len + 8)))
            (void)fprintf(stderr, "    %s", bad[i]);
    }
    size_t len = make(head, 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (8,), }\n");
    CHECK(!dec_npy_check(head, len, len + 8));
    for (size_t n = 0; n < len; n++) /* cut anywhere */
        CHECK(dec_npy_check(head, n, len + 8));
    head[6] = 4;
    CHECK(dec_npy_check(head, len, len + 8));
    head[6] = 1;
    head[9] = 0xff;
    CHECK(dec_npy_check(head, len, len + 8));
}

/* Nothing is read behind the end, whatever stands there. */
static void test_damaged(void)
{
    char dict[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }\n";
    uint32_t state = 1;
    for (int i = 0; i < 200000; i++) {
        uint8_t whole[128];
        size_t len = make(whole, 1 + i % 3, dict);
        for (int k = 0; k < 1 + i % 4; k++) {
            state = state * 1664525 + 1013904223;
            whole[state % len] = (uint8_t)(state >> 24);
        }
        state = state * 1664525 + 1013904223;
        size_t n = (state >> 8) % (len + 1);
        uint8_t *exact = malloc(n + 1);
        memcpy(exact + 1, whole, n);
        (void)dec_npy_check(exact + 1, n, len + 48);
        free(exact);
    }
}

int main(void)
{
    CHECK_RUN(test_good);
    CHECK_RUN(test_bad);
    CHECK_RUN(test_damaged);
    return check_result();
}
