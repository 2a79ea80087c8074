/* SPDX-License-Identifier: Apache-2.0 */
/* How a member list is laid out: for members.c, which reads, and members_write.c, which writes. */
#ifndef DECODERS_MEMBERS_PRIVATE_H
#define DECODERS_MEMBERS_PRIVATE_H

#include "decoders/members.h"

#define DEC_MEMBERS_MAGIC "cfsmem2" /* with its terminator 8 bytes; the digit is the format's version */

enum {
    DEC_RESTART = 64, /* every how many records one is coded by itself */
    DEC_KIND_MASK = 7,
    DEC_STORAGE_SHIFT = 3, /* 2 bits */
    DEC_EXPECTED_PLACE = 1 << 5,
    DEC_SAME_MTIME = 1 << 6,
    DEC_HAS_EXTENTS = 1 << 7,
};

/* The first bytes, in the machine's byte order: a list is not carried elsewhere. The records, the table (8
 * bytes an entry, from the first record's beginning) and the points follow. */
struct dec_members_frame {
    char magic[8];
    uint8_t format, filter, truncated, reserved[5];
    uint64_t n_members, n_refused, n_hardlinks, archive_bytes, stream_bytes, end_offset, last_header;
    uint64_t end_members, end_refused;
    uint64_t records_bytes, points_bytes;
    uint8_t end_hash[16];
    char reason[128];
};

static inline uint64_t dec_table_entries(uint64_t n_members)
{
    return n_members / DEC_RESTART + (n_members % DEC_RESTART != 0);
}

/* Where the data of the next member are expected: as far behind the last one's as that one was behind the one
 * before. */
static inline uint64_t dec_expected_place(uint8_t format, uint64_t last_end, uint64_t last_gap)
{
    uint64_t unit = format == DEC_TAR ? 512 : 1;
    return (last_end + unit - 1) / unit * unit + last_gap;
}

static inline uint64_t dec_gap(uint8_t format, uint64_t last_end, uint64_t offset)
{
    return offset - dec_expected_place(format, last_end, 0);
}

/* Times that a file can have: some 34,000 years around 1970. */
static inline bool dec_is_mtime(int64_t mtime_s)
{
    const int64_t limit = INT64_C(1) << 40;
    return mtime_s >= -limit && mtime_s <= limit;
}

#endif
