/* SPDX-License-Identifier: Apache-2.0 */
/* Names of files in samples, by WebDataset's rule. */
#ifndef BASE_SAMPLE_H
#define BASE_SAMPLE_H

#include "base/base.h"

/* The key of a file, the first bytes of its path: up to the first dot of its last name; its field stands
 * behind that dot, whatever its case. False: it belongs to no sample. That is what lies in a folder __x__, or
 * is called so, what begins with a dot, and what has no dot, or nothing behind it. `path` is terminated. */
bool base_sample_split(const char *path, size_t *ret_key_len);

#endif
