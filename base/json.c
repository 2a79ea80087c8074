/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include "base/utf8.h"

/* Bytes of a string that are not UTF-8 become \udc80 to \udcff, as in Python's surrogateescape; the document
 * is ASCII. */
static void put_code(struct base_bytes *out, uint32_t code)
{
    if (code == '"' || code == '\\')
        base_bytes_printf(out, "\\%c", (char)code);
    else if (code >= 0x20 && code < 0x7f)
        base_bytes_printf(out, "%c", (char)code);
    else if (code < 0x10000)
        base_bytes_printf(out, "\\u%04x", (unsigned)code);
    else
        base_bytes_printf(out, "\\u%04x\\u%04x", 0xd800u + ((unsigned)(code - 0x10000) >> 10),
                          0xdc00u + ((unsigned)code & 0x3ff));
}

void base_json_text(struct base_bytes *out, const char *text)
{
    base_bytes_printf(out, "\"");
    for (const unsigned char *at = (const unsigned char *)text; *at;)
        put_code(out, base_utf8_next(&at));
    base_bytes_printf(out, "\"");
}
