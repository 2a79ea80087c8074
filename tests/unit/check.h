/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the unit tests share: checks that print one line when they fail, and a list of tests to run.
 *
 *     static void test_sum(void) { CHECK(1 + 1 == 2); }
 *     int main(void)
 *     {
 *         CHECK_RUN(test_sum);
 *         return check_result();
 *     }
 *
 * A failed check does not end its test. Threads: the checks are for one thread.
 */
#ifndef TESTS_UNIT_CHECK_H
#define TESTS_UNIT_CHECK_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int check_failures;
static const char *check_test = "main";

/* True when cond holds. */
#define CHECK(cond) check_that((cond) ? 1 : 0, __FILE__, __LINE__, #cond)
/* Both may be NULL; NULL equals only NULL. */
#define CHECK_STR(have, want) check_str((have), (want), __FILE__, __LINE__)
#define CHECK_INT(have, want) check_int((int64_t)(have), (int64_t)(want), __FILE__, __LINE__)
#define CHECK_RUN(test) (check_test = #test, (test)(), check_test = "main")

static inline int check_that(int good, const char *file, int line, const char *what)
{
    if (!good) {
        check_failures++;
        (void)fprintf(stderr, "%s:%d: %s: failed: %s\n", file, line, check_test, what);
    }
    return good;
}

static inline int check_str(const char *have, const char *want, const char *file, int line)
{
    int good = have && want ? strcmp(have, want) == 0 : have == want;
    if (!good) {
        check_failures++;
        (void)fprintf(stderr, "%s:%d: %s: have \"%s\", want \"%s\"\n", file, line, check_test,
                      have ? have : "(null)", want ? want : "(null)");
    }
    return good;
}

static inline int check_int(int64_t have, int64_t want, const char *file, int line)
{
    if (have != want) {
        check_failures++;
        (void)fprintf(stderr, "%s:%d: %s: have %" PRId64 ", want %" PRId64 "\n", file, line, check_test, have,
                      want);
    }
    return have == want;
}

/* For main(): 0 when every check held, else 1 and a last line that says how many did not. */
static inline int check_result(void)
{
    if (check_failures)
        (void)fprintf(stderr, "%d checks failed\n", check_failures);
    return check_failures ? 1 : 0;
}

#endif
