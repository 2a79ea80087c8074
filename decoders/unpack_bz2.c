/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzip2, in any number of streams, by libbz2.
 *
 * A seek point is the beginning of a block, which may stand at any bit. libbz2 knows bytes and whole streams
 * only, so from there on it is given a stream of our making: a header, and the rest of the file shifted. At
 * that stream's end its sum over all blocks cannot be right, since the first ones are missing; the sums of
 * the blocks themselves are checked all the same.
 *
 * Format: a stream is "BZh", a digit, blocks of 48 bits 0x314159265359, a CRC of 32 bits and so on, then 48
 * bits 0x177245385090 and the CRC over all, filled up to a byte. As libbz2's manual and Wikipedia's "bzip2"
 * describe it.
 */
#include "decoders/unpack.h"

#include <bzlib.h>
#include <errno.h>

static const uint64_t block_mark = UINT64_C(0x314159265359), end_mark = UINT64_C(0x177245385090);

enum {
    HEADER = 4,
    MARK_BITS = 48,
    END_BITS = MARK_BITS + 32,
    LOOK_AHEAD = 7, /* bytes over which a mark may stand */
    SHIFTED = 4096,
};

struct bunzipping {
    bz_stream z;
    bool open, finished;
    uint64_t scanned;       /* where in the source the search for marks goes on */
    uint64_t recent;        /* the last bytes that it saw */
    uint64_t mark;          /* the bit at which the next block begins; 0 = none in sight */
    uint64_t last_boundary; /* unpacked; behind it is no block that would begin at the same place */
    bool any_boundary;
    /* After a seek: the stream of our making. */
    bool shifted;
    uint64_t first_bit;
    uint8_t feed[SHIFTED];
};

static int open_stream(struct bunzipping *s, struct base_reason *why)
{
    if (s->open)
        BZ2_bzDecompressEnd(&s->z);
    memset(&s->z, 0, sizeof s->z);
    s->open = BZ2_bzDecompressInit(&s->z, 0, 0) == BZ_OK;
    return s->open ? 0 : base_fail(why, -ENOMEM, "out of memory");
}

static int begin(struct dec_unpacker *u, const struct dec_point *point, struct base_reason *why)
{
    struct bunzipping *s = u->state = calloc(1, sizeof *s);
    if (!s)
        return base_fail(why, -ENOMEM, "out of memory");
    s->scanned = u->begin;
    int err = open_stream(s, why);
    if (err || !point)
        return err;
    if (point->packed / 8 < u->begin || point->packed / 8 >= u->end)
        return base_fail(why, -EIO, "a seek point that makes no sense");
    s->shifted = true;
    s->first_bit = point->packed;
    s->z.next_in = memcpy(s->feed, "BZh9", HEADER);
    s->z.avail_in = HEADER;
    dec_unpacker_jump(u, point->packed / 8);
    return 0;
}

static void end(struct dec_unpacker *u)
{
    struct bunzipping *s = u->state;
    if (s && s->open)
        BZ2_bzDecompressEnd(&s->z);
    free(s);
    u->state = NULL;
}

/* ---- Where blocks begin ---- */

/* Looks on for a mark that begins before `end`, counted in bytes of the source; input is there up to `seen`.
 */
static void look_for_mark(struct dec_unpacker *u, uint64_t seen)
{
    struct bunzipping *s = u->state;
    const uint64_t mask = (UINT64_C(1) << MARK_BITS) - 1;
    while (s->mark == 0 && s->scanned < seen) {
        s->recent = s->recent << 8 | u->in[u->in_len - (u->read_to - s->scanned)];
        s->scanned++;
        for (unsigned spare = 0; spare < 8; spare++)
            if ((s->recent >> spare & mask) == block_mark)
                s->mark = s->scanned * 8 - spare - MARK_BITS;
    }
}

/* How many bytes of input may be given before a block begins, or before it is known whether one does. The
 * input has to hold more than LOOK_AHEAD bytes, or all that is left. */
static size_t up_to_mark(struct dec_unpacker *u, bool is_last)
{
    struct bunzipping *s = u->state;
    uint64_t at = dec_unpacker_at(u);
    look_for_mark(u, u->read_to);
    if (s->mark != 0)
        return (size_t)(s->mark / 8 + 1 - at);
    return u->in_len - u->in_at - (is_last ? 0 : LOOK_AHEAD);
}

/* All of the block before the mark has come out. */
static void pass_mark(struct dec_unpacker *u, uint64_t position)
{
    struct bunzipping *s = u->state;
    /* What looks like a mark inside of a block stands behind the block's own, before any of it came out. */
    bool is_block = !s->any_boundary || position > s->last_boundary;
    if (is_block && position > 0 && dec_points_wants(u->points, position, false))
        dec_points_add(u->points, &(struct dec_point){.packed = s->mark, .unpacked = position});
    s->any_boundary = true;
    s->last_boundary = position;
    s->mark = 0;
}

/* More input behind what is there, up to the buffer's end. 1, 0 = there is no more, or a negative errno. */
static int fill_more(struct dec_unpacker *u, struct base_reason *why)
{
    size_t left = u->in_len - u->in_at;
    memmove(u->in, u->in + u->in_at, left);
    u->in_at = 0;
    u->in_len = left;
    uint64_t there = u->read_to < u->end ? u->end - u->read_to : 0;
    ssize_t n = dec_source_read(&u->source, u->in + left, BASE_MIN(there, sizeof u->in - left), u->read_to);
    if (n < 0)
        return base_fail(why, (int)n, "cannot be read: %s", strerror((int)-n));
    u->in_len += (size_t)n;
    u->read_to += (uint64_t)n;
    return n > 0;
}

/* ---- Input ---- */

/* Input as it stands, and no further than to a block's beginning if these are noted. */
static int give_plain(struct dec_unpacker *u, struct base_reason *why)
{
    struct bunzipping *s = u->state;
    int more = 1;
    while (more > 0 && u->in_len - u->in_at <= LOOK_AHEAD)
        more = fill_more(u, why);
    if (more < 0)
        return more;
    s->z.next_in = (char *)u->in + u->in_at;
    s->z.avail_in = (unsigned)(u->points ? up_to_mark(u, more == 0) : u->in_len - u->in_at);
    return 0;
}

static int give_shifted(struct dec_unpacker *u, struct base_reason *why)
{
    struct bunzipping *s = u->state;
    unsigned shift = s->first_bit % 8;
    size_t n = 0;
    while (n < SHIFTED) {
        int more = u->in_len - u->in_at >= 2 ? 1 : fill_more(u, why);
        if (more < 0)
            return more;
        if (u->in_at == u->in_len)
            break;
        uint8_t next = u->in_at + 1 < u->in_len ? u->in[u->in_at + 1] : 0;
        s->feed[n++] = (uint8_t)(u->in[u->in_at++] << shift | (shift ? next >> (8 - shift) : 0));
    }
    s->z.next_in = (char *)s->feed;
    s->z.avail_in = (unsigned)n;
    return 0;
}

/* ---- Streams ---- */

/* True when the stream of our making has come to its end mark; *ret is the byte behind it in the source. */
static bool at_end_mark(struct dec_unpacker *u, uint64_t *ret)
{
    struct bunzipping *s = u->state;
    uint64_t used = (uint64_t)s->z.total_in_hi32 << 32 | s->z.total_in_lo32;
    for (uint64_t spare = 0; used > HEADER && spare < 8; spare++) {
        uint64_t last = s->first_bit + (used - HEADER) * 8 - spare, first = last - END_BITS;
        uint8_t bytes[8];
        uint64_t value = 0;
        if (last < END_BITS || dec_source_read_all(&u->source, bytes, MARK_BITS / 8 + 1, first / 8) < 0)
            continue;
        for (unsigned i = 0; i < MARK_BITS / 8 + 1; i++)
            value = value << 8 | bytes[i];
        if ((value >> (8 - first % 8) & ((UINT64_C(1) << MARK_BITS) - 1)) != end_mark)
            continue;
        *ret = (last + 7) / 8;
        return true;
    }
    return false;
}

/* Behind a stream: another one, or the end; what else may follow is filling. */
static int next_stream(struct dec_unpacker *u, struct base_reason *why)
{
    struct bunzipping *s = u->state;
    int more = u->in_len - u->in_at >= HEADER ? 1 : fill_more(u, why);
    if (more < 0)
        return more;
    s->finished = u->in_len - u->in_at < HEADER || memcmp(u->in + u->in_at, "BZh", 3) != 0;
    return s->finished ? 0 : open_stream(s, why);
}

static int on_stream_end(struct dec_unpacker *u, int result, struct base_reason *why)
{
    struct bunzipping *s = u->state;
    uint64_t at;
    if (s->shifted) {
        if (!at_end_mark(u, &at))
            return base_fail(why, -EIO, "what is packed is damaged");
        s->shifted = false;
        dec_unpacker_jump(u, at);
    } else if (result != BZ_STREAM_END) {
        return base_fail(why, -EIO, "what is packed is damaged");
    }
    s->z.avail_in = 0;
    return next_stream(u, why);
}

/* What has been given may have come out only in part: without more input the rest does. */
static int give(struct dec_unpacker *u, struct base_reason *why)
{
    struct bunzipping *s = u->state;
    if (s->z.avail_in > 0)
        return 0;
    return s->shifted ? give_shifted(u, why) : give_plain(u, why);
}

/* Input was used up. */
static void note_use(struct dec_unpacker *u, unsigned used, size_t made)
{
    struct bunzipping *s = u->state;
    if (s->shifted)
        return;
    u->in_at += used;
    bool drained = s->z.avail_in == 0 && s->z.avail_out > 0;
    if (s->mark != 0 && drained && dec_unpacker_at(u) == s->mark / 8 + 1)
        pass_mark(u, u->position + made);
}

static ssize_t unpack(struct dec_unpacker *u, uint8_t *out, size_t len, struct base_reason *why)
{
    struct bunzipping *s = u->state;
    size_t made = 0;
    while (made == 0 && !s->finished) {
        int err = give(u, why);
        if (err)
            return err;
        unsigned given = s->z.avail_in, room = (unsigned)BASE_MIN(len, (size_t)1 << 30);
        bool waits = s->mark != 0;
        s->z.next_out = (char *)out;
        s->z.avail_out = room;
        int result = BZ2_bzDecompress(&s->z);
        made = room - s->z.avail_out;
        note_use(u, given - s->z.avail_in, made);
        if (result == BZ_MEM_ERROR)
            return base_fail(why, -ENOMEM, "out of memory");
        if (result != BZ_OK)
            err = on_stream_end(u, result, why);
        else if (given == 0 && made == 0 && !waits)
            err = base_fail(why, -EIO, "what is packed is cut off");
        if (err)
            return made > 0 ? (ssize_t)made : err;
    }
    return (ssize_t)made;
}

const struct dec_codec dec_codec_bz2 = {begin, unpack, end};
