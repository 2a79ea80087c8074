/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration for what is found below a folder: the preset whose raw form it is, or one made from the
 * names.
 *
 * A preset says what its raw form is by the key `raw`: a list of patterns as in `videos`, of which each takes
 * some file there; a single one has to take most of the videos. Of several presets the one with the most
 * patterns is the most particular, and is taken; the others are named in a comment.
 */
#ifndef MOUNTCFG_INIT_H
#define MOUNTCFG_INIT_H

#include "mountcfg/cfg.h"

/* Appends the configuration's text. dir: absolute. 0; -ENOENT, reported, when nothing is there to be shown;
 * or another negative errno. Directories that cannot be read are reported and left out. */
int cfg_init(const char *dir, cfg_report *report, void *context, struct base_bytes *out);

#endif
