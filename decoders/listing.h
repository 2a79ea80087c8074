/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DEC_LIST inside: an archive that is listed, and one lister a format. listing.c finds out what the source is
 * and calls one of them; each gives its members to dec_listing_add().
 */
#ifndef DECODERS_LISTING_H
#define DECODERS_LISTING_H

#include "decoders/media.h"
#include "decoders/members.h"
#include "decoders/stream.h"

/* A file unpacks to far more than a real one would when it is larger than this, and more than so many times
 * what it is packed in: real data of that size that packs better is rare, and what makes nothing but zeros
 * takes the disk of who reads it. */
#define DEC_BOMB_BYTES (UINT64_C(1) << 30)
#define DEC_BOMB_RATIO 200u

static inline bool dec_is_bomb(uint64_t unpacked_bytes, uint64_t packed_bytes)
{
    return unpacked_bytes > DEC_BOMB_BYTES && unpacked_bytes / DEC_BOMB_RATIO > packed_bytes;
}

struct dec_hdf5_array;

struct dec_listing {
    struct dec_work *work;
    struct dec_members_writer writer;
    struct dec_members facts;
    char name[DEC_MAX_NAME + 1], target[DEC_MAX_NAME + 1];
    /* dec_list_tar(): if set, it gets each file, and no list is written. `name` as it stands in the archive,
     * header where its header begins. As dec_listing_add(). */
    int (*on_file)(struct dec_listing *l, uint64_t header, const struct dec_member *m, const char *name);
    /* dec_list_hdf5(): if set, it gets each dataset that is an array, and no list is written. `name` without
     * .npy. */
    int (*on_array)(struct dec_listing *l, const char *name, const struct dec_hdf5_array *array);
};

/* Makes the member's names plain, or refuses it, and appends it. `name` and `target` are as in the archive,
 * and terminated; target NULL = none. The archive's root is left out. 0; 1: the list is full, which its facts
 * say now; or a negative errno with why. */
int dec_listing_add(struct dec_listing *l, struct dec_member *m, const char *name, const char *target);
/* Appends a refused member. */
int dec_listing_refuse(struct dec_listing *l, const char *name, enum dec_refusal why);
/* These are the members before damage, or before the end of what is there. Only the first reason counts. */
BASE_PRINTF(2, 3) void dec_listing_truncate(struct dec_listing *l, const char *format, ...);

/* Lists the tar that a stream gives, from where it stands: a header. Fills end_offset, and the members.
 * Storage: DEC_STREAM or DEC_STORED. */
int dec_list_tar(struct dec_listing *l, struct dec_stream *stream, enum dec_member_storage storage);
/* True when 512 bytes are a tar's first header, or its end. */
bool dec_is_tar(const uint8_t *block);
/* Puts the members of an older list first, and begins the stream at its end, if that still is one. */
int dec_resume_tar(struct dec_listing *l, int list_fd, struct dec_stream *stream);
/* True when a source ends as a zip does. */
bool dec_is_zip(const struct dec_source *source, uint64_t bytes);
/* Lists the zip that the work's source is. */
int dec_list_zip(struct dec_listing *l);
/* Lists the HDF5 file that the work's source is. */
int dec_list_hdf5(struct dec_listing *l);
/* The hash that tells whether an end still is one: of the last header and the bytes before the end. */
int dec_hash_end(const struct dec_source *source, const struct dec_members *list, uint8_t ret[16]);

#endif
