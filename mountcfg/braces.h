/* SPDX-License-Identifier: Apache-2.0 */
/* What glob.c and braces.c have in common. */
#ifndef MOUNTCFG_BRACES_H
#define MOUNTCFG_BRACES_H

#include "mountcfg/reading.h"

/* Appends to `texts` (items: char *) what the pattern's braces expand to. 0, -EINVAL with the reason, or
 * -ENOMEM; cfg_braces_finish() frees the texts after any outcome. */
int cfg_braces_expand(const char *pattern, struct cfg_list *texts, struct base_reason *why);
void cfg_braces_finish(struct cfg_list *texts);

/* Length of the class [...] at p, 0 when it does not end. */
size_t cfg_glob_class_len(const char *p, size_t len);

#endif
