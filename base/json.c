/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

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

/* The character at *text, which is moved behind it. */
static uint32_t next_code(const unsigned char **text)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *at = *text;
    unsigned len = *at < 0x80             ? 1
                   : (*at & 0xe0) == 0xc0 ? 2
                   : (*at & 0xf0) == 0xe0 ? 3
                   : (*at & 0xf8) == 0xf0 ? 4
                                          : 0;
    uint32_t code = len < 2 ? *at : *at & (0x7fu >> len);
    unsigned i = 1;
    for (; i < len && (at[i] & 0xc0) == 0x80; i++)
        code = code << 6 | (at[i] & 0x3fu);
    bool good =
        len > 0 && i == len && code >= smallest[len] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    *text += good ? len : 1;
    return good ? code : 0xdc00u + *at;
}

void base_json_text(struct base_bytes *out, const char *text)
{
    base_bytes_printf(out, "\"");
    for (const unsigned char *at = (const unsigned char *)text; *at;)
        put_code(out, next_code(&at));
    base_bytes_printf(out, "\"");
}
