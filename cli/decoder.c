/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/decoder.h"

#include <errno.h>

int cli_find_decoder(bool flow, struct cli_decoder *ret)
{
    const char *name = flow ? "corpusfs-decoder-flow" : "corpusfs-decoder";
    struct cli_decoder found;
    char self[4000];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = 0;
        char *slash = strrchr(self, '/');
        *slash = 0;
        (void)snprintf(found.path, sizeof found.path, "%s/%s", self, name);
        if (access(found.path, X_OK) == 0) {
            *ret = found;
            return 0;
        }
    }
    (void)snprintf(found.path, sizeof found.path, "%s/%s", CORPUSFS_DECODER_DIR, name);
    *ret = found;
    return access(found.path, X_OK) == 0 ? 0 : -errno;
}
