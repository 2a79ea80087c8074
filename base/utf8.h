/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, and names of files, which need not be UTF-8. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/base.h"

/* The code point at *text, which is moved behind it; there must be one. A byte that is part of none
 * (surrogates and what is longer than it has to be are none either) becomes 0xdc80 to 0xdcff, as Python's
 * surrogateescape has it. */
uint32_t base_utf8_next(const unsigned char **text);

#endif
