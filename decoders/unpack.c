/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/unpack.h"
#include "decoders/hdf5_file.h"
#include "decoders/zip.h"

#include <errno.h>

static const struct dec_codec *const codecs[] = {
    [DEC_PACKING_GZ] = &dec_codec_gz,           [DEC_PACKING_BZ2] = &dec_codec_bz2,
    [DEC_PACKING_XZ] = &dec_codec_xz,           [DEC_PACKING_ZST] = &dec_codec_zst,
    [DEC_PACKING_DEFLATE] = &dec_codec_deflate, [DEC_PACKING_HDF5] = &dec_codec_hdf5,
};

bool dec_is_packed(const uint8_t *head, size_t len, enum dec_packing *ret)
{
    static const struct {
        enum dec_packing packing;
        uint8_t len;
        uint8_t bytes[6];
    } marks[] = {
        {DEC_PACKING_GZ, 3, {0x1f, 0x8b, 8}},
        {DEC_PACKING_BZ2, 3, {'B', 'Z', 'h'}},
        {DEC_PACKING_XZ, 6, {0xfd, '7', 'z', 'X', 'Z', 0}},
        {DEC_PACKING_ZST, 4, {0x28, 0xb5, 0x2f, 0xfd}},
    };
    for (size_t i = 0; i < BASE_ARRAY_LEN(marks); i++) {
        if (len < marks[i].len || memcmp(head, marks[i].bytes, marks[i].len) != 0)
            continue;
        *ret = marks[i].packing;
        return true;
    }
    return false;
}

int dec_unpacker_create(const struct dec_source *source, uint64_t begin, uint64_t end,
                        enum dec_packing packing, struct dec_points *points, struct dec_unpacker **ret,
                        struct base_reason *why)
{
    struct dec_unpacker *u = calloc(1, sizeof *u);
    if (!u)
        return base_fail(why, -ENOMEM, "out of memory");
    u->codec = codecs[packing];
    u->source = *source;
    u->begin = begin;
    u->end = end;
    u->points = points;
    int err = dec_unpacker_restart(u, NULL, why);
    if (err) {
        dec_unpacker_destroy(u);
        return err;
    }
    *ret = u;
    return 0;
}

int dec_unpacker_of_archive(const struct dec_source *source, struct dec_points *points,
                            struct dec_unpacker **ret, struct base_reason *why)
{
    uint8_t head[8];
    uint64_t bytes;
    enum dec_packing packing;
    int err = dec_source_size(source, &bytes);
    if (err)
        return base_fail(why, err, "cannot be read: %s", strerror(-err));
    ssize_t n = dec_source_read(source, head, sizeof head, 0);
    if (n < 0 || !dec_is_packed(head, (size_t)n, &packing))
        return base_fail(why, -EIO, "not packed as it was when it was listed");
    return dec_unpacker_create(source, 0, bytes, packing, points, ret, why);
}

int dec_unpacker_of_member(const struct dec_source *source, uint64_t header, uint64_t packed_bytes,
                           struct dec_unpacker **ret, struct base_reason *why)
{
    struct dec_zip_local local;
    int err = dec_zip_local_read(source, header, &local);
    if (err && dec_hdf5_find(source, NULL))
        return dec_unpacker_create(source, header, header, DEC_PACKING_HDF5, NULL, ret, why);
    if (err || local.method != DEC_ZIP_DEFLATED)
        return base_fail(why, -EIO, "no packed member stands where one was listed");
    return dec_unpacker_create(source, local.data, local.data + packed_bytes, DEC_PACKING_DEFLATE, NULL, ret,
                               why);
}

void dec_unpacker_destroy(struct dec_unpacker *u)
{
    if (!u)
        return;
    u->codec->end(u);
    free(u);
}

int dec_unpacker_restart(struct dec_unpacker *u, const struct dec_point *point, struct base_reason *why)
{
    u->codec->end(u);
    u->state = NULL;
    u->ended = false;
    u->position = point ? point->unpacked : 0;
    dec_unpacker_jump(u, u->begin);
    return u->codec->begin(u, point, why);
}

ssize_t dec_unpacker_read(struct dec_unpacker *u, uint8_t *out, size_t len, struct base_reason *why)
{
    if (u->ended)
        return 0;
    ssize_t n = u->codec->unpack(u, out, len, why);
    if (n > 0)
        u->position += (uint64_t)n;
    u->ended = n <= 0;
    return n;
}

uint64_t dec_unpacker_at(const struct dec_unpacker *u)
{
    return u->read_to - (u->in_len - u->in_at);
}

uint64_t dec_unpacker_used(const struct dec_unpacker *u)
{
    return dec_unpacker_at(u) - u->begin;
}

void dec_unpacker_jump(struct dec_unpacker *u, uint64_t at)
{
    u->read_to = at;
    u->in_at = u->in_len = 0;
}

int dec_unpacker_fill(struct dec_unpacker *u, struct base_reason *why)
{
    if (u->in_at < u->in_len)
        return 1;
    uint64_t left = u->read_to < u->end ? u->end - u->read_to : 0;
    ssize_t n = dec_source_read(&u->source, u->in, BASE_MIN(left, sizeof u->in), u->read_to);
    if (n < 0)
        return base_fail(why, (int)n, "cannot be read: %s", strerror((int)-n));
    u->in_at = 0;
    u->in_len = (size_t)n;
    u->read_to += (uint64_t)n;
    return n > 0;
}
