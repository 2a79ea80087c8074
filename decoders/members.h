/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The member list: what is in an archive, in a compact form that is kept, and a cursor over it. Needs no
 * archive library; daemon and worker both use it.
 *
 * Serialised: a header of fixed size, the records in the archive's order, a table with the position of every
 * 64th record, and the seek points of what is packed (seek_points.h), which only workers read. A record is
 * coded by its difference from the one before (some 15 bytes for the names that corpora have), except at
 * positions of the table, where reading can begin.
 *
 * Workers that parsed hostile archives write lists, so whoever reads one checks each record: what the cursor
 * gives keeps all that is said here.
 */
#ifndef DECODERS_MEMBERS_H
#define DECODERS_MEMBERS_H

#include "base/bytes.h"
#include "decoders/protocol.h"

#ifndef DEC_MAX_MEMBERS /* a test has fewer */
/* of an archive; the rest is cut off, and the list says so */
#define DEC_MAX_MEMBERS ((UINT64_C(1) << 25) - 1)
#endif
#define DEC_MAX_LIST_BYTES (UINT64_C(2) << 30) /* likewise */
#define DEC_MAX_NAME 4096u                     /* bytes of a name or of a link's target */
#define DEC_MAX_DEPTH 1024u                    /* parts of a name */
#define DEC_MAX_EXTENTS 65536u                 /* a member */
#define DEC_MAX_REFUSED_TOLD 100u /* records of refused members a list; the others are only counted */
#define DEC_MAX_MEMBER_BYTES (UINT64_C(1) << 46) /* 64 TiB */

enum dec_archive_format { DEC_TAR = 1, DEC_ZIP, DEC_HDF5 };
enum dec_archive_filter { DEC_UNFILTERED, DEC_GZ, DEC_BZ2, DEC_XZ, DEC_ZST };

enum dec_member_kind {
    DEC_MEMBER_FILE,
    DEC_MEMBER_DIR,
    DEC_MEMBER_HARDLINK,
    DEC_MEMBER_SYMLINK,
    DEC_MEMBER_REFUSED, /* not for the tree: only for a line in the log */
};

enum dec_member_storage {
    DEC_STORED, /* its bytes stand at offset in the archive */
    DEC_SPARSE, /* the same, packed: `extents` say which of its bytes they are, the rest is zero */
    DEC_STREAM, /* offset counts in the unpacked stream of the whole archive; sparse if packed_bytes < size */
    DEC_PACKED, /* to be unpacked by itself: offset is that of its local header in a zip; in an HDF5 file that
                   of the dataset's object header, and what comes out is a .npy file */
};

enum dec_refusal {
    DEC_REFUSED_ABSOLUTE = 1,
    DEC_REFUSED_PARENT,
    DEC_REFUSED_NAME,
    DEC_REFUSED_LONG,
    DEC_REFUSED_DEEP,
    DEC_REFUSED_SPECIAL,
    DEC_REFUSED_LINK,
    DEC_REFUSED_CUT,
    DEC_REFUSED_EXTENTS,
    DEC_REFUSED_ENCRYPTED,
    DEC_REFUSED_METHOD,
    DEC_REFUSED_OVERLAP,
    DEC_REFUSED_BOMB,
    DEC_REFUSED_HEADER,
    DEC_REFUSED_TYPE,
    DEC_REFUSED_ELSEWHERE,
    DEC_REFUSED_AGAIN,
    DEC_N_REFUSALS
};

/* "has an absolute name", ...: completes a sentence about the member. */
const char *dec_refusal_text(uint8_t why);

/* Bytes of a member that are not a hole. */
struct dec_extent {
    uint64_t at, bytes;
};

struct dec_member {
    /* Bytes as in the archive, made plain: parts between single slashes, none of them empty, "." or "..". Of
     * a refused one as it stands, but no NUL, and cut. Terminated; name_len does not count that. */
    const char *name;
    size_t name_len;
    uint8_t kind, storage; /* enum dec_member_kind, enum dec_member_storage */
    uint8_t why;           /* REFUSED: enum dec_refusal */
    /* FILE: size as readers see it. packed_bytes: what it takes at offset, which is `size` unless it is
     * sparse or packed; inside the archive (STREAM: inside the stream). */
    uint64_t offset, size, packed_bytes;
    int64_t mtime_s;
    /* HARDLINK: the name of another member, plain; the last one of that name before it is meant, if there is
     * one. SYMLINK: as it stands, relative, and parts of ".." only at its beginning, no more than there are
     * directories above it: so no chain of links leaves the archive. Terminated. */
    const char *target;
    size_t target_len;
    /* Sparse: ascending, apart from each other, none empty; packed_bytes in all. */
    const struct dec_extent *extents;
    uint32_t n_extents;
};

/* What a list says of its archive, and where its parts stand. */
struct dec_members {
    uint8_t format, filter; /* enum dec_archive_format, enum dec_archive_filter */
    bool truncated;         /* the archive is cut off or damaged: these are the members before that place */
    char reason[128];       /* of truncated, a sentence without the archive's name */
    uint64_t n_members;     /* records, those of refused members among them */
    uint64_t n_refused;     /* all of them */
    uint64_t n_hardlinks;   /* 0 = no name has to be looked up to know what its member holds */
    uint64_t archive_bytes; /* how long the archive was */
    uint64_t stream_bytes;  /* of the unpacked stream, as far as it was read; archive_bytes if not filtered */
    uint64_t end_offset;    /* plain tar: where the next member's header will stand when it grows; of one that
                               is cut, the header of the first member that is not whole */
    uint64_t end_members; /* records of members before end_offset; the others, one at most, are of a member */
    uint64_t end_refused; /* that is cut in its filling or before; and how many of those were refused */
    uint64_t last_header; /* plain tar: where the header of the last whole member stands */
    uint8_t end_hash[16]; /* of that header, and the bytes before end_offset (see archive_tar.c) */
    /* Borrowed. */
    const uint8_t *records, *table, *points;
    size_t records_bytes, points_bytes;
};

/* Checks the frame, which is cheap. *ret borrows data. 0, or -EPROTO when it is not a member list. */
int dec_members_open(const uint8_t *data, size_t len, struct dec_members *ret);

/* Threads: a list may have any number of cursors, each of which belongs to one thread at a time. */
struct dec_members_cursor {
    const struct dec_members *list; /* borrowed */
    uint64_t number;                /* of the record that comes next */
    struct base_reader in;
    struct dec_member last;
    uint64_t last_end, last_gap;
    struct dec_extent *extents;
    uint32_t extents_cap;
    char name[DEC_MAX_NAME + 1], target[DEC_MAX_NAME + 1];
};

/* At the first record; end it with dec_members_end(), which also takes a zeroed cursor. */
void dec_members_begin(const struct dec_members *list, struct dec_members_cursor *ret);
void dec_members_end(struct dec_members_cursor *cursor);
/* Makes record `number`, counted from 0, the next one; costs reading up to 63 others. 0, -ENOENT, or as
 * dec_members_next(). */
int dec_members_seek(struct dec_members_cursor *cursor, uint64_t number);
/* The next record; what it points to stays until the next call. 1, 0 at the end, -EPROTO for a record that
 * breaks a rule, -ENOMEM. */
int dec_members_next(struct dec_members_cursor *cursor, struct dec_member *ret);

/* ---- Names ---- */

/* True when a name is as dec_member.name is to be. */
bool dec_name_is_plain(const char *name, size_t len);
/* True when a symbolic link of this plain name may point there. */
bool dec_symlink_is_safe(const char *name, size_t name_len, const char *target, size_t target_len);
/* Makes an archive's name plain: `out` has room for DEC_MAX_NAME + 1. 0, or why it cannot be (enum
 * dec_refusal). The archive's root, "./" for one, gives *ret_len == 0. */
uint8_t dec_name_make_plain(const char *name, size_t len, char *out, size_t *ret_len);

/* ---- Writing ---- */

/* Zero-initialise but for `fd`; dec_members_writer_finish() frees. Records go to the file as they come. */
struct dec_members_writer {
    int fd; /* borrowed; written from its beginning on */
    uint64_t n_members, n_refused, n_hardlinks, records_bytes;
    struct base_bytes buffer, table;
    struct base_bytes last_name;
    uint64_t last_end, last_gap;
    int64_t last_mtime_s;
    uint8_t format; /* known before the first record */
};

/* Appends a record. A refused member beyond DEC_MAX_REFUSED_TOLD is only counted. 0, -EFBIG when the list is
 * as long as it may get, -ENOSPC when the file cannot be written, -ENOMEM. */
int dec_members_add(struct dec_members_writer *w, const struct dec_member *member);
/* Writes the rest: the scalars of *facts but for n_members, n_refused and n_hardlinks, and its points. 0 or
 * as above. */
int dec_members_close(struct dec_members_writer *w, const struct dec_members *facts, uint64_t *ret_bytes);
void dec_members_writer_finish(struct dec_members_writer *w);

#endif
