/* SPDX-License-Identifier: Apache-2.0 */
/* Sources: RFC 3629 (UTF-8), RFC 2781 (UTF-16), the WHATWG encoding standard's index for windows-1252. */
#include "decoders/subtitle_text.h"

enum {
    REPLACEMENT = 0xfffd,
    SNIFFED_BYTES = 8192, /* enough of a file to tell its encoding */
};

size_t dec_utf8_read(const uint8_t *data, size_t len, uint32_t *ret)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (len == 0)
        return 0;
    uint8_t lead = data[0];
    size_t need = lead < 0x80 ? 1 : lead < 0xc0 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf8 ? 4 : 0;
    if (need == 0 || need > len)
        return 0;
    uint32_t code = need == 1 ? lead : lead & (0xffu >> (need + 1));
    for (size_t i = 1; i < need; i++) {
        if ((data[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (data[i] & 0x3f);
    }
    if (code < least[need] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret = code;
    return need;
}

size_t dec_utf8_write(uint32_t code, uint8_t out[4])
{
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        out[i] = (uint8_t)(0x80 | (code & 0x3f));
    out[0] = (uint8_t)(n == 1 ? code : (0xf00u >> n & 0xff) | code);
    return n;
}

/* One character of the file. Line ends of other kinds become LF: readers of SRT split at them, too. */
static void put(struct base_bytes *out, uint32_t code)
{
    if (code == 0x85 || code == 0x2028 || code == 0x2029 || code == 0x0b || code == 0x0c)
        code = '\n';
    if (code == '\t')
        code = ' ';
    bool control = (code < 0x20 && code != '\n') || (code >= 0x7f && code < 0xa0);
    uint8_t bytes[4];
    if (!control && code != 0xfeff)
        base_bytes_append(out, bytes, dec_utf8_write(code, bytes));
}

/* Characters with their line ends made LF: CR LF and a lone CR both are one. */
struct writer {
    struct base_bytes *out;
    bool after_cr;
};

static void write_code(struct writer *w, uint32_t code)
{
    if (code == '\r')
        put(w->out, '\n');
    else if (code != '\n' || !w->after_cr)
        put(w->out, code);
    w->after_cr = code == '\r';
}

static void from_utf8(const uint8_t *data, size_t len, struct writer *w)
{
    for (size_t at = 0; at < len;) {
        uint32_t code = REPLACEMENT;
        size_t n = dec_utf8_read(data + at, len - at, &code);
        write_code(w, code);
        at += n ? n : 1;
    }
}

static uint32_t unit16(const uint8_t *data, bool big)
{
    return big ? (uint32_t)(data[0] << 8 | data[1]) : (uint32_t)(data[1] << 8 | data[0]);
}

static void from_utf16(const uint8_t *data, size_t len, bool big, struct writer *w)
{
    for (size_t at = 0; at + 2 <= len; at += 2) {
        uint32_t code = unit16(data + at, big);
        uint32_t low = at + 4 <= len ? unit16(data + at + 2, big) : 0;
        if (code >= 0xd800 && code <= 0xdbff && low >= 0xdc00 && low <= 0xdfff) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            at += 2;
        }
        write_code(w, code >= 0xd800 && code <= 0xdfff ? REPLACEMENT : code);
    }
}

static void from_windows_1252(const uint8_t *data, size_t len, struct writer *w)
{
    static const uint16_t high[32] = {0x20ac, REPLACEMENT, 0x201a,      0x0192, 0x201e, 0x2026, 0x2020,
                                      0x2021, 0x02c6,      0x2030,      0x0160, 0x2039, 0x0152, REPLACEMENT,
                                      0x017d, REPLACEMENT, REPLACEMENT, 0x2018, 0x2019, 0x201c, 0x201d,
                                      0x2022, 0x2013,      0x2014,      0x02dc, 0x2122, 0x0161, 0x203a,
                                      0x0153, REPLACEMENT, 0x017e,      0x0178};
    for (size_t i = 0; i < len; i++)
        write_code(w, data[i] >= 0x80 && data[i] < 0xa0 ? high[data[i] - 0x80] : data[i]);
}

/* Times, arrows and line ends are ASCII in every language: a quarter of the units have a zero byte on one
 * side, hardly any on the other. */
static bool looks_utf16(const uint8_t *data, size_t len, bool big)
{
    size_t zeros[2] = {0, 0}, n = BASE_MIN(len, (size_t)SNIFFED_BYTES) & ~(size_t)1;
    for (size_t i = 0; i < n; i++)
        zeros[i & 1] += data[i] == 0;
    size_t high = zeros[big ? 0 : 1], low = zeros[big ? 1 : 0];
    return n >= 8 && high * 8 >= n && low * 16 <= n && high > low;
}

/* A few broken bytes in a text whose other sequences are good do not make it another encoding. */
static bool looks_utf8(const uint8_t *data, size_t len)
{
    size_t good = 0, bad = 0;
    for (size_t at = 0; at < len;) {
        uint32_t code;
        size_t n = dec_utf8_read(data + at, len - at, &code);
        good += n > 1;
        bad += n == 0;
        at += n ? n : 1;
    }
    return bad == 0 || good > bad;
}

void dec_text_to_utf8(const uint8_t *data, size_t len, struct base_bytes *out)
{
    struct writer w = {.out = out};
    if (len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)
        from_utf8(data + 3, len - 3, &w);
    else if (len >= 2 && memcmp(data, "\xff\xfe", 2) == 0)
        from_utf16(data + 2, len - 2, false, &w);
    else if (len >= 2 && memcmp(data, "\xfe\xff", 2) == 0)
        from_utf16(data + 2, len - 2, true, &w);
    else if (looks_utf16(data, len, false))
        from_utf16(data, len, false, &w);
    else if (looks_utf16(data, len, true))
        from_utf16(data, len, true, &w);
    else if (looks_utf8(data, len))
        from_utf8(data, len, &w);
    else
        from_windows_1252(data, len, &w);
}
