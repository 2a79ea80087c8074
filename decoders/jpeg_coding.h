/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entropy coding of a baseline JPEG: blocks become symbols first, so that the codes can be the best ones
 * for this picture, and symbols then become bits.
 */
#ifndef DECODERS_JPEG_CODING_H
#define DECODERS_JPEG_CODING_H

#include "base/bytes.h"

/* There are codes for luma and for chroma, of DC and of AC coefficients. */
enum { DEC_JPEG_LUMA = 0, DEC_JPEG_CHROMA = 1 };

/* The most symbols of a block. */
enum { DEC_JPEG_BLOCK_SYMBOLS = 65 };

/* Where in a block, line by line, the coefficient at each place of the coded order stands. */
extern const uint8_t dec_jpeg_zigzag[64];

/* Writes the symbols of a block to `out`, and returns where they end. levels: line by line; nonzero: which
 * of them are not zero, in zigzag order; dc_before: the DC level of the component's block before; kind:
 * DEC_JPEG_LUMA or DEC_JPEG_CHROMA. */
uint32_t *dec_jpeg_block_symbols(const int16_t levels[64], uint64_t nonzero, int dc_before, unsigned kind,
                                 uint32_t *out);

/* Appends the marker segments of the codes (DHT), and of the scan (SOS) with what the caller has in `head`,
 * and the scan's data. 0 or -ENOMEM. */
int dec_jpeg_put_scan(struct base_bytes *out, const uint8_t *head, size_t head_len, const uint32_t *symbols,
                      size_t n);

#endif
