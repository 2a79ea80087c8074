/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacking: a forward stream of bytes out of packed ones, one codec a file (unpack_*.c). A pass begins at
 * the beginning, or at a seek point that an earlier pass noted.
 *
 * One thread an unpacker.
 */
#ifndef DECODERS_UNPACK_H
#define DECODERS_UNPACK_H

#include "decoders/members.h"
#include "decoders/seek_points.h"
#include "decoders/source.h"

enum dec_packing {
    DEC_PACKING_GZ,
    DEC_PACKING_BZ2,
    DEC_PACKING_XZ,
    DEC_PACKING_ZST,
    DEC_PACKING_DEFLATE,
    DEC_PACKING_HDF5
};

struct dec_unpacker;

/* What codecs need of it. */
struct dec_codec {
    /* Takes the state that belongs to a pass from `point`, NULL = from the beginning; the input stands there.
     * An earlier state was freed before. 0 or a negative errno with why. */
    int (*begin)(struct dec_unpacker *u, const struct dec_point *point, struct base_reason *why);
    /* Up to len > 0 bytes: how many, 0 at the end, or a negative errno with why. */
    ssize_t (*unpack)(struct dec_unpacker *u, uint8_t *out, size_t len, struct base_reason *why);
    void (*end)(struct dec_unpacker *u);
};
extern const struct dec_codec dec_codec_gz, dec_codec_deflate, dec_codec_bz2, dec_codec_xz, dec_codec_zst,
    dec_codec_hdf5;

struct dec_unpacker {
    const struct dec_codec *codec;
    void *state; /* the codec's */
    struct dec_source source;
    uint64_t begin, end; /* where in the source the packed bytes stand */
    uint64_t position;   /* of the unpacked byte that comes next */
    bool ended;
    struct dec_points
        *points; /* borrowed; what a pass from the beginning notes its seek points in, or NULL */
    /* Input that was read and not used: in[in_at..in_len); read_to is where in the source the next comes
     * from. */
    uint64_t read_to;
    size_t in_at, in_len;
    uint8_t in[64 * 1024];
};

/* Over the packed bytes begin..end of a source, whose descriptor must stay open. At the beginning. 0 or a
 * negative errno with why. dec_unpacker_destroy() takes NULL. */
int dec_unpacker_create(const struct dec_source *source, uint64_t begin, uint64_t end,
                        enum dec_packing packing, struct dec_points *points, struct dec_unpacker **ret,
                        struct base_reason *why);
void dec_unpacker_destroy(struct dec_unpacker *u);
/* Over a whole archive of the kind that its first bytes tell. -EIO where that is none. */
int dec_unpacker_of_archive(const struct dec_source *source, struct dec_points *points,
                            struct dec_unpacker **ret, struct base_reason *why);
/* Over a member by itself: what follows the local header at `header` in a zip, or the .npy file of the
 * dataset in an HDF5 file. */
int dec_unpacker_of_member(const struct dec_source *source, uint64_t header, uint64_t packed_bytes,
                           struct dec_unpacker **ret, struct base_reason *why);
/* Begins a pass anew, from a seek point, or NULL. */
int dec_unpacker_restart(struct dec_unpacker *u, const struct dec_point *point, struct base_reason *why);
/* As dec_codec.unpack. */
ssize_t dec_unpacker_read(struct dec_unpacker *u, uint8_t *out, size_t len, struct base_reason *why);
/* How many packed bytes were used in this pass, from the beginning on. */
uint64_t dec_unpacker_used(const struct dec_unpacker *u);

/* True when bytes begin as those of a packed stream do (never DEFLATE, which has no mark). */
bool dec_is_packed(const uint8_t *head, size_t len, enum dec_packing *ret);

/* For codecs: at least one byte of input. 1, 0 at the end of what is packed, or a negative errno with why. */
int dec_unpacker_fill(struct dec_unpacker *u, struct base_reason *why);
/* Where in the source the next byte of input stands. */
uint64_t dec_unpacker_at(const struct dec_unpacker *u);
/* Goes on elsewhere, counted in the source. */
void dec_unpacker_jump(struct dec_unpacker *u, uint64_t at);

#endif
