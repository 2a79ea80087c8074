/* SPDX-License-Identifier: Apache-2.0 */
/* What names of files tell by their ends; subtitle files beside the videos. */
#include "mountcfg/scanning.h"

#include <ctype.h>

const char *cfg_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

size_t cfg_stem_len(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && dot > name ? (size_t)(dot - name) : strlen(name);
}

const char *const cfg_video_extensions[CFG_N_VIDEO_EXTENSIONS] = {"3gp", "avi", "flv", "m2ts", "m4v",
                                                                  "mkv", "mov", "mp4", "mpeg", "mpg",
                                                                  "mts", "ogv", "ts",  "webm", "wmv"};

int cfg_extension_of(const char *path, const char *const *names, size_t n)
{
    const char *dot = strrchr(cfg_base_name(path), '.');
    for (size_t i = 0; dot && i < n; i++) {
        if (strcasecmp(dot + 1, names[i]) == 0)
            return (int)i;
    }
    return -1;
}

/* How well an extension suits, 0 best; -1 = none of subtitles. */
static int sidecar_rank(const char *extension)
{
    static const char *const extensions[] = {".srt", ".vtt", ".ass", ".ssa"};
    for (int i = 0; i < (int)BASE_ARRAY_LEN(extensions); i++) {
        if (strcasecmp(extension, extensions[i]) == 0)
            return i;
    }
    return -1;
}

bool cfg_is_sidecar(const char *path)
{
    const char *extension = strrchr(cfg_base_name(path), '.');
    return extension && sidecar_rank(extension) >= 0;
}

/* A language as in clip.en.srt or clip.pt-BR.srt: two or three letters, then parts of up to eight characters.
 */
static bool is_language(const char *p, size_t len)
{
    size_t letters = 0;
    while (letters < len && isalpha((unsigned char)p[letters]))
        letters++;
    if (letters < 2 || letters > 3)
        return false;
    for (size_t i = letters; i < len;) {
        size_t part = 1;
        while (i + part < len && isalnum((unsigned char)p[i + part]))
            part++;
        if ((p[i] != '-' && p[i] != '_') || part < 2 || part > 9)
            return false;
        i += part;
    }
    return true;
}

static int compare_sidecars(const void *a, const void *b)
{
    return strcmp(((const struct cfg_sidecar *)a)->path, ((const struct cfg_sidecar *)b)->path);
}

void cfg_sort_sidecars(struct cfg_sidecar *files, size_t n)
{
    if (n > 1)
        qsort(files, n, sizeof *files, compare_sidecars);
}

/* The first of the sorted files that is not below `prefix`. */
static size_t lower_bound(const struct cfg_sidecar *files, size_t n, const char *prefix, size_t len)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strncmp(files[middle].path, prefix, len) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct cfg_sidecar *cfg_sidecar_of(const struct cfg_sidecar *files, size_t n, const char *path)
{
    size_t len = (size_t)(cfg_base_name(path) - path) + cfg_stem_len(cfg_base_name(path));
    const struct cfg_sidecar *best = NULL;
    int best_rank = 100;
    size_t common = len + (path[len] == '.');
    for (size_t i = lower_bound(files, n, path, common); i < n; i++) {
        if (strncmp(files[i].path, path, common) != 0)
            break;
        const char *rest = files[i].path + len;
        const char *dot = strrchr(rest, '.');
        if (*rest != '.' || !dot || strchr(rest, '/'))
            continue;
        if (dot != rest && !is_language(rest + 1, (size_t)(dot - rest) - 1))
            continue;
        int rank = sidecar_rank(dot) + (dot == rest ? 0 : 10);
        if (rank < best_rank) {
            best_rank = rank;
            best = &files[i];
        }
    }
    return best;
}
