/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line per event. Goes to stderr until base_log_to_file() is called. Any thread; a line is
 * written with one write(2), so that lines of several threads and processes never mix.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/base.h"

enum base_log_level { BASE_LOG_ERROR, BASE_LOG_WARNING, BASE_LOG_INFO, BASE_LOG_DEBUG };

/* Lines less severe than `level` are dropped. The default is BASE_LOG_INFO. */
void base_log_set_level(enum base_log_level level);
/* A log file that has grown past this becomes FILE.1, in the place of an older one, and a new one is begun.
 */
#define BASE_LOG_MAX_BYTES (UINT64_C(4) << 20)
/* Appends to a file, with a time before each line; processes may share one. 0 or a negative errno. Call once,
 * before threads start. */
int base_log_to_file(const char *path);
/* False until then: lines go to stderr. */
bool base_log_is_file(void);
/* Formats a line (no newline at its end). Control characters, which a file name of a corpus could carry, are
 * printed as \xNN. */
BASE_PRINTF(2, 3) void base_log(enum base_log_level level, const char *format, ...);

#endif
