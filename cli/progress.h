/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Progress of a long command, on standard error: a bar with rate and time left on a terminal, otherwise a
 * line every ten seconds, so that what is quick leaves nothing in a log. One thread.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "base/base.h"

struct cli_progress {
    const char *what; /* begins each line */
    bool terminal, drawn;
    int64_t begin_ns, next_ns;
};

void cli_progress_begin(struct cli_progress *p, const char *what);
/* `done` of `total` things are done, in which there were `bytes`; 0: the rate is that of the things. May be
 * called as often as there is something to say. */
void cli_progress_show(struct cli_progress *p, uint64_t done, uint64_t total, uint64_t bytes);
/* A line on standard error, in the place of a bar that may stand there; any thread. */
void cli_progress_say(const char *line);
/* Takes the bar away. */
void cli_progress_end(struct cli_progress *p);

/* A size for people, such as "1.5 GiB"; up to 1023 bytes as "17 B". Returns out. */
const char *cli_size(uint64_t bytes, char out[32]);

#endif
