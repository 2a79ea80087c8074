/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sample.h"

/* Whether the path begins with a name such as __meta__. */
static bool is_metadata(const char *path)
{
    size_t first = strcspn(path, "/");
    return first >= 4 && memcmp(path, "__", 2) == 0 && memcmp(path + first - 2, "__", 2) == 0;
}

bool base_sample_split(const char *path, size_t *ret_key_len)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strchr(name, '.');
    if (!dot || dot == name || dot[1] == 0 || is_metadata(path))
        return false;
    *ret_key_len = (size_t)(dot - path);
    return true;
}
