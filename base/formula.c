/* SPDX-License-Identifier: Apache-2.0 */
#include "base/formula.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>

enum { MOST_NESTED = 32 };

struct parser {
    const char *at, *variable;
    double value;
    int depth;
    bool wrong;
};

static double sum(struct parser *p);

static bool take(struct parser *p, char c)
{
    while (isspace((unsigned char)*p->at))
        p->at++;
    if (*p->at != c)
        return false;
    p->at++;
    return true;
}

static double fail(struct parser *p)
{
    p->wrong = true;
    return 0;
}

static double in_parentheses(struct parser *p)
{
    if (p->depth == MOST_NESTED)
        return fail(p);
    p->depth++;
    double result = sum(p);
    p->depth--;
    return p->wrong || !take(p, ')') ? fail(p) : result;
}

static double named(struct parser *p)
{
    size_t len = 0;
    while (isalnum((unsigned char)p->at[len]) || p->at[len] == '_')
        len++;
    const char *name = p->at;
    if (len == strlen(p->variable) && memcmp(name, p->variable, len) == 0) {
        p->at += len;
        return p->value;
    }
    if (len != 3 || memcmp(name, "int", 3) != 0)
        return fail(p);
    p->at += len;
    return take(p, '(') ? trunc(in_parentheses(p)) : fail(p);
}

static double factor(struct parser *p)
{
    bool negative = false;
    for (;;) {
        if (take(p, '-'))
            negative = !negative;
        else if (!take(p, '+'))
            break;
    }
    double result = 0;
    if (take(p, '(')) {
        result = in_parentheses(p);
    } else if (isdigit((unsigned char)*p->at) || *p->at == '.') {
        char *end;
        /* Not what strtod() takes beside decimal numbers. */
        bool hexadecimal = p->at[0] == '0' && (p->at[1] == 'x' || p->at[1] == 'X');
        result = strtod(p->at, &end);
        if (hexadecimal || end == p->at)
            return fail(p);
        p->at = end;
    } else {
        result = named(p);
    }
    return negative ? -result : result;
}

static double product(struct parser *p)
{
    double result = factor(p);
    while (!p->wrong) {
        if (take(p, '*'))
            result *= factor(p);
        else if (take(p, '/'))
            result /= factor(p);
        else
            break;
    }
    return result;
}

static double sum(struct parser *p)
{
    double result = product(p);
    while (!p->wrong) {
        if (take(p, '+'))
            result += product(p);
        else if (take(p, '-'))
            result -= product(p);
        else
            break;
    }
    return result;
}

int base_formula(const char *text, const char *variable, double value, double *ret, size_t *ret_at)
{
    struct parser p = {.at = text, .variable = variable, .value = value};
    double result = sum(&p);
    (void)take(&p, ' ');
    if (!p.wrong && !*p.at) {
        *ret = result;
        return 0;
    }
    if (ret_at)
        *ret_at = (size_t)(p.at - text);
    return -EINVAL;
}
