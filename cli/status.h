/* SPDX-License-Identifier: Apache-2.0 */
/* The status for people. */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include "base/base.h"

/* Prints what a status document (corpusfs.1, status --json) says, aligned. The document is one of our own, as
 * written by fs/stats.c: numbers are found by their keys' names, and a key that is not there counts as 0. */
void cli_print_status(const char *json, FILE *out);

#endif
