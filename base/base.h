/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base: what every room needs, and nothing that knows of media, caches or FUSE.
 *
 *   base.h   this file: cleanup attributes, small macros, the reason of an error
 *   bytes.h  growable byte buffer, variable-length integers, bounds-checked reader
 *   grow.h   arrays that grow in place
 *   hash.h   128-bit content hashes (XXH3)
 *   histogram.h  how long things took, for percentiles
 *   io.h     whole reads and writes on descriptors
 *   json.h   strings for JSON documents
 *   local.h  stream sockets in the filesystem
 *   log.h    one line per event, to stderr or a file
 *
 * Errors inside corpusfs are negative errno values. Where a person has to act, a
 * function also fills a struct base_reason with a sentence that names the thing.
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define BASE_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define BASE_MIN(a, b) ((a) < (b) ? (a) : (b))
#define BASE_MAX(a, b) ((a) > (b) ? (a) : (b))
#define BASE_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Runs fn(&variable) when the variable goes out of scope. */
#define base_cleanup(fn) __attribute__((cleanup(fn)))

/* Why something failed, for a person: which thing, what is wrong, what to do. Always terminated. */
struct base_reason {
    char text[512];
};

/* Writes a formatted sentence into *why (which may be NULL) and returns err unchanged, so that
 * `return base_fail(why, -EINVAL, "...")` reads as one step. A too long sentence is cut. */
BASE_PRINTF(3, 4)
static inline int base_fail(struct base_reason *why, int err, const char *format, ...)
{
    if (why) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(why->text, sizeof why->text, format, args);
        va_end(args);
    }
    return err;
}

/* For base_cleanup(): free a malloc()ed pointer. */
static inline void base_free_pointer(void *pointer)
{
    free(*(void **)pointer);
}
#define base_autofree base_cleanup(base_free_pointer)

/* For base_cleanup(): close a descriptor if it is >= 0. */
static inline void base_close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define base_autoclose base_cleanup(base_close_fd)

/* Hands a pointer or descriptor to a new owner and clears the old variable. */
#define base_steal_pointer(p)                                                                                \
    __extension__({                                                                                          \
        __typeof__(p) stolen_ = (p);                                                                         \
        (p) = NULL;                                                                                          \
        stolen_;                                                                                             \
    })
static inline int base_steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

/* A folder of the corpus that is merged with others: paths of what is in it begin with the name and a slash.
 */
struct base_folder {
    const char *name, *dir; /* dir: absolute */
};

#endif
