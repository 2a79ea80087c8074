/* SPDX-License-Identifier: Apache-2.0 */
/* The worker program. */
#ifndef CLI_DECODER_H
#define CLI_DECODER_H

#include "base/base.h"

/* A worker's address space: enough for 4K video with frame threads. */
#define CLI_WORKER_MEMORY_BYTES (UINT64_C(4) << 30)

/* Where the worker is, or the one that finds optical flow: beside this program where both were built, else
 * where it was installed. 0 or a negative errno, with the path in any case. */
struct cli_decoder {
    char path[4096];
};
int cli_find_decoder(bool flow, struct cli_decoder *ret);

#endif
