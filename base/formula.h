/* SPDX-License-Identifier: Apache-2.0 */
/* Small formulas over one variable, as Python computes them in floats: numbers, the variable, + - * /, signs,
 * parentheses, and int(). Threads: any. */
#ifndef BASE_FORMULA_H
#define BASE_FORMULA_H

#include "base/base.h"

/* 0; -EINVAL when the text is no such formula (then *ret_at is the offset of what is wrong; may be NULL). The
 * result may be infinite or no number. */
int base_formula(const char *text, const char *variable, double value, double *ret, size_t *ret_at);

#endif
