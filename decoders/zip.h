/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What listing a zip and unpacking one of its members both need to know of the format: PKWARE's
 * "APPNOTE.TXT", 6.3.
 */
#ifndef DECODERS_ZIP_H
#define DECODERS_ZIP_H

#include "decoders/source.h"

enum { DEC_ZIP_STORED = 0, DEC_ZIP_DEFLATED = 8 };

/* Little-endian numbers. */
static inline uint16_t dec_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t dec_le32(const uint8_t *p)
{
    return dec_le16(p) | (uint32_t)dec_le16(p + 2) << 16;
}

static inline uint64_t dec_le64(const uint8_t *p)
{
    return dec_le32(p) | (uint64_t)dec_le32(p + 4) << 32;
}

/* The header in front of a member's bytes. */
struct dec_zip_local {
    uint16_t method, flags;
    uint32_t crc;  /* of the unpacked bytes; it may stand behind the packed ones instead (flags) */
    uint64_t data; /* where the bytes begin */
};

/* 0, or -EIO when there is none at `header`. */
int dec_zip_local_read(const struct dec_source *source, uint64_t header, struct dec_zip_local *ret);
/* True when a member whose packed bytes take so many has this CRC. */
bool dec_zip_has_crc(const struct dec_source *source, uint64_t header, uint64_t packed_bytes, uint32_t crc);

#endif
