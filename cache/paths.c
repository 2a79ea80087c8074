/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/paths.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

static struct cache_path BASE_PRINTF(1, 2) format_path(const char *format, ...)
{
    struct cache_path path;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(path.text, sizeof path.text, format, args);
    va_end(args);
    /* cache_store_open() refused directories that leave no room, so this does not happen; a cut path must
     * still never name another file. */
    if (len < 0 || (size_t)len >= sizeof path.text)
        path.text[0] = 0;
    return path;
}

struct cache_path cache_path_segment(const char *dir, const struct base_hash *key)
{
    char hex[33];
    base_hash_hex(key, hex);
    return format_path("%s/segments/%.2s/%s", dir, hex, hex);
}

struct cache_path cache_path_fan(const char *dir, const struct base_hash *key)
{
    return format_path("%s/segments/%02x", dir, key->bytes[0]);
}

struct cache_path cache_path_work(const char *dir, int64_t owner, uint64_t seq)
{
    return format_path("%s/tmp/%016" PRIx64 "-%" PRIu64, dir, (uint64_t)owner, seq);
}

struct cache_path cache_path_owner(const char *dir, int64_t owner)
{
    return format_path("%s/tmp/%016" PRIx64 ".lock", dir, (uint64_t)owner);
}

struct cache_path cache_path_in(const char *dir, const char *name)
{
    return format_path("%s/%s", dir, name);
}

/* The value of `n` lower-case hexadecimal digits, or false. */
static bool parse_hex(const char *text, size_t n, uint64_t *ret)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned digit;
        if (text[i] >= '0' && text[i] <= '9')
            digit = (unsigned)(text[i] - '0');
        else if (text[i] >= 'a' && text[i] <= 'f')
            digit = (unsigned)(text[i] - 'a') + 10;
        else
            return false;
        value = value << 4 | digit;
    }
    *ret = value;
    return true;
}

bool cache_key_parse(const char *text, struct base_hash *ret)
{
    if (strlen(text) != 2 * sizeof ret->bytes)
        return false;
    for (size_t i = 0; i < sizeof ret->bytes; i++) {
        uint64_t value;
        if (!parse_hex(text + 2 * i, 2, &value))
            return false;
        ret->bytes[i] = (uint8_t)value;
    }
    return true;
}

bool cache_owner_parse(const char *text, int64_t *ret)
{
    uint64_t value;
    if (strnlen(text, 17) < 17 || !parse_hex(text, 16, &value))
        return false;
    *ret = (int64_t)value;
    return text[16] == '-' || strcmp(text + 16, ".lock") == 0;
}

static int make_parents(const char *dir)
{
    struct cache_path part = cache_path_in(dir, "");
    for (char *slash = strchr(part.text + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int err = mkdir(part.text, 0700) < 0 ? -errno : 0;
        *slash = '/';
        /* A parent that cannot be made (EROFS, EACCES) may exist all the same: the last one decides. */
        if (err == -ENOSPC || err == -ENAMETOOLONG)
            return err;
    }
    return 0;
}

int cache_make_dirs(const char *dir)
{
    static const char *const names[] = {"", "segments", "tmp"};
    int err = access(dir, F_OK) == 0 ? 0 : make_parents(dir);
    for (size_t i = 0; !err && i < BASE_ARRAY_LEN(names); i++) {
        struct cache_path path = cache_path_in(dir, names[i]);
        struct stat st;
        if (mkdir(path.text, 0700) < 0 && (errno != EEXIST || stat(path.text, &st) < 0))
            err = -errno;
        else if (stat(path.text, &st) == 0 && !S_ISDIR(st.st_mode))
            err = -ENOTDIR;
    }
    return err;
}
