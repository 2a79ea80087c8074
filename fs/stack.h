/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks: .npy files of a part for each clip of a list. The lists (lists.h) know the clips, the cache makes
 * the parts; here is what stands in the file. Any thread. */
#ifndef FS_STACK_H
#define FS_STACK_H

#include "base/bytes.h"
#include "decoders/protocol.h"
#include "mountcfg/cfg.h"

/* What the cache is to make of each clip. */
struct dec_array_spec fs_stack_part(const struct cfg_stack *s);
/* Its bytes; 0 for a list that is no stack. */
uint64_t fs_stack_part_bytes(const struct cfg_listing *list);
/* Appends the header of n parts. */
void fs_stack_header(const struct cfg_stack *s, uint64_t n, struct base_bytes *out);

#endif
