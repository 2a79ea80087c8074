/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

uint32_t base_utf8_next(const unsigned char **text)
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
