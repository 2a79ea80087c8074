/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of subtitles: from any encoding to clean UTF-8, and from ASS, HTML and WebVTT markup to what SRT may
 * carry. Pure functions over untrusted bytes; no library and no tables on disk (the sandbox could open none).
 */
#ifndef DECODERS_SUBTITLE_TEXT_H
#define DECODERS_SUBTITLE_TEXT_H

#include "base/bytes.h"

/* Appends the text as UTF-8 with LF line ends and without control characters: from UTF-8 (with or without
 * BOM, broken sequences become U+FFFD), UTF-16 (by its BOM, or where every other byte is 0), else
 * Windows-1252. Check out->failed. */
void dec_text_to_utf8(const uint8_t *data, size_t len, struct base_bytes *out);

enum dec_markup { DEC_MARKUP_SRT, DEC_MARKUP_VTT, DEC_MARKUP_ASS };

/* Appends one cue's text: UTF-8 lines as an SRT file may have them, without a last line end; nothing when
 * there is nothing to see. Bold, italic and underlined stay, as balanced <b>, <i>, <u>; every other markup
 * goes. No line is blank. */
void dec_text_clean(const char *text, size_t len, enum dec_markup markup, struct base_bytes *out);

/* Reads one code point of UTF-8 (RFC 3629: no overlong forms, no surrogates) and returns its length; 0 = not
 * valid. */
size_t dec_utf8_read(const uint8_t *data, size_t len, uint32_t *ret);
/* Writes one code point and returns its length. */
size_t dec_utf8_write(uint32_t code, uint8_t out[4]);

#endif
