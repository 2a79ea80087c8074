/* SPDX-License-Identifier: Apache-2.0 */
/* Which names and links of an archive may become files of a tree. */
#include "decoders/members.h"

/* The next part of a name between slashes: its length, and *next behind the slash, or at the end. */
static size_t part_of(const char *name, const char *end, const char **next)
{
    const char *slash = memchr(name, '/', (size_t)(end - name));
    *next = slash ? slash + 1 : end;
    return (size_t)((slash ? slash : end) - name);
}

static bool is_parent(const char *part, size_t len)
{
    return len == 2 && part[0] == '.' && part[1] == '.';
}

static bool is_nothing(const char *part, size_t len)
{
    return len == 0 || (len == 1 && part[0] == '.');
}

bool dec_name_is_plain(const char *name, size_t len)
{
    if (len == 0 || len > DEC_MAX_NAME || memchr(name, 0, len) || name[len - 1] == '/')
        return false;
    size_t depth = 0;
    for (const char *part = name, *next; part < name + len; part = next) {
        size_t part_len = part_of(part, name + len, &next);
        if (is_nothing(part, part_len) || is_parent(part, part_len) || ++depth > DEC_MAX_DEPTH)
            return false;
    }
    return true;
}

uint8_t dec_name_make_plain(const char *name, size_t len, char *out, size_t *ret_len)
{
    size_t depth = 0, out_len = 0;
    if (len == 0 || memchr(name, 0, len))
        return DEC_REFUSED_NAME;
    if (name[0] == '/')
        return DEC_REFUSED_ABSOLUTE;
    for (const char *part = name, *next; part < name + len; part = next) {
        size_t part_len = part_of(part, name + len, &next);
        if (is_nothing(part, part_len))
            continue;
        if (is_parent(part, part_len))
            return DEC_REFUSED_PARENT;
        if (++depth > DEC_MAX_DEPTH)
            return DEC_REFUSED_DEEP;
        if (out_len + (depth > 1) + part_len > DEC_MAX_NAME)
            return DEC_REFUSED_LONG;
        if (depth > 1)
            out[out_len++] = '/';
        memcpy(out + out_len, part, part_len);
        out_len += part_len;
    }
    out[out_len] = 0;
    *ret_len = out_len;
    return 0;
}

bool dec_symlink_is_safe(const char *name, size_t name_len, const char *target, size_t target_len)
{
    if (target_len == 0 || target_len > DEC_MAX_NAME || memchr(target, 0, target_len) || target[0] == '/')
        return false;
    size_t directories = 0;
    for (size_t i = 0; i < name_len; i++)
        directories += name[i] == '/';
    bool below = false; /* some directory was entered: it may be a link itself, so no way back is known */
    for (const char *part = target, *next; part < target + target_len; part = next) {
        size_t len = part_of(part, target + target_len, &next);
        if (is_nothing(part, len))
            continue;
        if (!is_parent(part, len))
            below = true;
        else if (below || directories-- == 0)
            return false;
    }
    return true;
}
