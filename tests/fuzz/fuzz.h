/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of fuzz_decode share. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "decoders/media.h"

extern bool verbose;

/* Something is wrong: said, and counted. */
BASE_PRINTF(1, 2) void finding(const char *format, ...);

/* What a job gave. */
struct result {
    struct dec_reply reply;
    struct base_reason why;
    uint8_t *data; /* mapped; reply.bytes of it count */
    size_t len;
    int fd;
};

/* Runs a job of any kind and checks its answer. *ret is to be finished, also on failure: a negative errno. */
int run_job(struct dec_job *job, int source, const struct dec_index *index, int list_fd, struct result *ret);
void result_finish(struct result *r);

/* Damages an archive, and may put the checks of its headers right. The length that is left. */
size_t damage_archive(uint8_t *data, size_t len);
/* Lists and unpacks it, also as one that grew since the last that was not damaged. */
void try_archive(int fd, bool is_damaged);
/* Reads it as a table of each kind. */
void try_tables(int fd);

#endif
