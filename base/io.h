/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes: they go on after short counts and EINTR. Any thread. */
#ifndef BASE_IO_H
#define BASE_IO_H

#include "base/base.h"

#include <pthread.h>

/* Reads exactly len bytes at offset. 0, -EIO when the file ends before, or another negative errno. */
int base_pread_all(int fd, void *out, size_t len, off_t offset);
/* Writes exactly len bytes at offset. 0 or a negative errno. */
int base_pwrite_all(int fd, const void *data, size_t len, off_t offset);
/* Reads a whole file of at most `cap` bytes into a new buffer, one byte longer than *ret_len and
 * terminated with 0; the caller frees it. 0, -EFBIG, or another negative errno. */
int base_read_file(const char *path, size_t cap, char **ret, size_t *ret_len);
/* Nanoseconds of CLOCK_MONOTONIC. */
int64_t base_now_ns(void);
/* A condition whose timed waits are by that clock, which nobody sets. */
void base_cond_init(pthread_cond_t *cond);
/* Waits for such a condition until that time at most. */
void base_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ns);

#endif
