/* SPDX-License-Identifier: Apache-2.0 */
/* Formulas, against values worked out by Python. */
#include "base/formula.h"

#include "check.h"
#include <errno.h>
#include <math.h>

static double value(const char *text, double x)
{
    double result = NAN;
    return base_formula(text, "fps", x, &result, NULL) ? NAN : result;
}

static void test_values(void)
{
    CHECK(value("1 + 2 * 3 - 4 / 8", 0) == 6.5);
    CHECK(value("(1 + 2) * 3", 0) == 9);
    CHECK(value("8 / 4 / 2 - 1 - 1", 0) == -1);
    CHECK(value("--fps*-+2", 3) == -6);
    CHECK(value("int(-2.7) + int(2.7)", 0) == 0);
    CHECK(value(" 1e3 * .5 ", 0) == 500);
    CHECK(value("fps", 29.97) == 29.97);
    CHECK(isinf(value("1/0", 0)));
    /* TSL-300's rate of samples */
    const char *rate = "int(fps/19.9167*44100/4.323882352941176*4/1.9992360580595874*2)";
    CHECK(value(rate, 25) == 51228);
    CHECK(value(rate, 30000.0 / 1001) == 61413);
}

static void test_mistakes(void)
{
    static const struct {
        const char *text;
        size_t at;
    } cases[] = {{"", 0},    {"1 +", 3},   {"(1", 2},    {"1)", 1},       {"fp", 0},   {"fpss", 0},
                 {"2 3", 2}, {"int 3", 4}, {"int()", 4}, {"float(1)", 0}, {"0x10", 0}, {"1 ** 2", 3}};
    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
        double result = 7;
        size_t at = 999;
        CHECK_INT(base_formula(cases[i].text, "fps", 1, &result, &at), -EINVAL);
        CHECK(result == 7);
        if (!CHECK_INT(at, cases[i].at))
            (void)printf("%s\n", cases[i].text);
    }
    char deep[4096];
    memset(deep, '(', sizeof deep);
    deep[sizeof deep - 1] = 0;
    double result;
    CHECK_INT(base_formula(deep, "fps", 1, &result, NULL), -EINVAL);
}

int main(void)
{
    CHECK_RUN(test_values);
    CHECK_RUN(test_mistakes);
    return check_result();
}
