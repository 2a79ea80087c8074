/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

/* In mountinfo spaces and the like are written as \ooo. */
static void unescape(const char *text, char *out)
{
    for (const char *c = text; *c; c++) {
        unsigned value;
        if (*c == '\\' && sscanf(c + 1, "%3o", &value) == 1) {
            *out++ = (char)value;
            c += 3;
        } else {
            *out++ = *c;
        }
    }
    *out = 0;
}

bool cli_find_mount(const char *path, uid_t *ret_owner)
{
    bool found = false;
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    char line[8192];
    while (mounts && fgets(line, sizeof line, mounts)) {
        char at[4096], plain[4096], type[64];
        const char *rest = strstr(line, " - ");
        if (!rest || sscanf(line, "%*s %*s %*s %*s %4095s", at) != 1 || sscanf(rest, " - %63s", type) != 1)
            continue;
        unescape(at, plain);
        if (strcmp(plain, path) != 0)
            continue;
        /* The last one is on top. */
        const char *owner = strstr(rest, "user_id=");
        unsigned uid = 0;
        found = strcmp(type, "fuse.corpusfs") == 0;
        if (found && owner && sscanf(owner, "user_id=%u", &uid) == 1)
            *ret_owner = uid;
    }
    if (mounts)
        (void)fclose(mounts);
    return found;
}
