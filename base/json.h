/* SPDX-License-Identifier: Apache-2.0 */
/* Writing JSON. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/bytes.h"

/* Appends text as a JSON string with its quotes, in ASCII. Bytes that are not UTF-8 - names of files may have
 * them - become \udc80 to \udcff, as Python's surrogateescape has it. */
void base_json_text(struct base_bytes *out, const char *text);

#endif
