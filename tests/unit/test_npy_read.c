/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of .npy files: what is read of them, and that damage is refused without harm. */
#include "decoders/npy_read.h"

#include "check.h"

#include <stdlib.h>

static const char good[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (12, 48), }      \n";

static void test_good(void)
{
    struct dec_npy_source npy;
    struct base_reason why;
    CHECK_INT(dec_npy_parse_dict(good, sizeof good - 1, &npy, &why), 0);
    CHECK(npy.kind == 'f' && npy.bytes == 4 && !npy.fortran && npy.n_dims == 2 && npy.shape[0] == 12);
    CHECK_INT(dec_npy_values(&npy), 12 * 48);
    const char other[] = "{\"shape\": (), \"fortran_order\":True,\"descr\":\">i8\"}";
    CHECK_INT(dec_npy_parse_dict(other, sizeof other - 1, &npy, &why), 0);
    CHECK(npy.kind == 'i' && npy.bytes == 8 && npy.fortran && npy.n_dims == 0 && npy.swapped);
}

static void test_bad(void)
{
    static const char *const bad[] = {
        "",
        "{",
        "{}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f2', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': maybe, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 1000000, 1000000)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1)}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1",
    };
    for (size_t i = 0; i < BASE_ARRAY_LEN(bad); i++) {
        struct dec_npy_source npy;
        struct base_reason why;
        if (!CHECK(dec_npy_parse_dict(bad[i], strlen(bad[i]), &npy, &why) < 0))
            (void)fprintf(stderr, "%s\n", bad[i]);
    }
}

/* Bytes of a good one changed, cut off and repeated: nothing outside is read, and what is taken keeps to the
 * bounds. */
static void test_damaged(void)
{
    srand(7);
    for (int round = 0; round < 200000; round++) {
        size_t len = (size_t)rand() % sizeof good;
        char *text = malloc(len + 1);
        memcpy(text, good, len);
        for (int i = rand() % 4; len > 0 && i > 0; i--)
            text[(size_t)rand() % len] = rand() % 3 ? good[(size_t)rand() % (sizeof good - 1)] : (char)rand();
        char *exact = malloc(len > 0 ? len : 1); /* so that a sanitizer sees who goes beyond */
        memcpy(exact, text, len);
        struct dec_npy_source npy;
        struct base_reason why;
        if (dec_npy_parse_dict(exact, len, &npy, &why) == 0)
            CHECK(npy.n_dims <= DEC_NPY_SOURCE_DIMS && dec_npy_values(&npy) * npy.bytes <= UINT64_C(1) << 30);
        free(exact);
        free(text);
    }
}

int main(void)
{
    CHECK_RUN(test_good);
    CHECK_RUN(test_bad);
    CHECK_RUN(test_damaged);
    return check_result();
}
