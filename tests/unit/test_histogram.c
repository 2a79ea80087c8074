/* SPDX-License-Identifier: Apache-2.0 */
/* base/histogram.h: against sorted values, at the edges, and from many threads. */
#include "base/histogram.h"

#include "check.h"
#include <pthread.h>

static struct base_histogram histogram;

static void clear(void)
{
    memset(&histogram, 0, sizeof histogram);
}

static void test_empty(void)
{
    clear();
    struct base_percentiles p = base_histogram_read(&histogram);
    CHECK(p.count == 0 && p.p50 == 0 && p.p90 == 0 && p.p99 == 0 && p.max == 0);
}

/* A single value comes back, wherever it lies. */
static void test_one(void)
{
    uint64_t values[] = {0, 1, 7, 8, 9, 15, 16, 17, 1000, 123456789, UINT64_MAX / 3, UINT64_MAX};
    for (size_t i = 0; i < BASE_ARRAY_LEN(values); i++) {
        clear();
        base_histogram_add(&histogram, values[i]);
        struct base_percentiles p = base_histogram_read(&histogram);
        uint64_t error = p.p50 > values[i] ? p.p50 - values[i] : values[i] - p.p50;
        CHECK(p.count == 1 && p.max == values[i] && p.p50 == p.p99 && error <= values[i] / 16);
        CHECK(values[i] >= 16 || error == 0);
    }
}

static bool near(uint64_t have, uint64_t want)
{
    uint64_t error = have > want ? have - want : want - have;
    return error * 16 <= want;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

/* Values over eight powers of ten, as latencies are. */
static void test_against_sorting(void)
{
    enum { N = 10007 };
    static uint64_t values[N];
    uint64_t state = 88172645463325252u;
    for (int round = 0; round < 20; round++) {
        clear();
        for (size_t i = 0; i < N; i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            uint64_t scale = (uint64_t)1 << (state >> 32) % 28;
            values[i] = state % (16 * scale);
            base_histogram_add(&histogram, values[i]);
        }
        qsort(values, N, sizeof *values, compare);
        struct base_percentiles p = base_histogram_read(&histogram);
        CHECK_INT(p.count, N);
        CHECK(near(p.p50, values[(N * 50 + 99) / 100 - 1]));
        CHECK(near(p.p90, values[(N * 90 + 99) / 100 - 1]));
        CHECK(near(p.p99, values[(N * 99 + 99) / 100 - 1]));
        CHECK(p.max == values[N - 1]);
    }
}

enum { THREADS = 8, ADDS = 20000 };

static void *add_many(void *data)
{
    const uint64_t *first = data;
    for (uint64_t i = 0; i < ADDS; i++)
        base_histogram_add(&histogram, *first + i);
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[THREADS];
    uint64_t first[THREADS];
    clear();
    for (uint64_t i = 0; i < THREADS; i++) {
        first[i] = i * ADDS;
        CHECK(pthread_create(&threads[i], NULL, add_many, &first[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    struct base_percentiles p = base_histogram_read(&histogram);
    CHECK_INT(p.count, THREADS * ADDS);
    CHECK_INT(p.max, THREADS * ADDS - 1);
    CHECK(near(p.p50, THREADS * ADDS / 2));
}

int main(void)
{
    CHECK_RUN(test_empty);
    CHECK_RUN(test_one);
    CHECK_RUN(test_against_sorting);
    CHECK_RUN(test_threads);
    return check_result();
}
