/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of empty files, the lines that a configuration's functions report, for the tests of mountcfg.
 */
#ifndef TESTS_UNIT_CORPUS_H
#define TESTS_UNIT_CORPUS_H

#include "mountcfg/clips.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

static char corpus_dir[64];     /* made by corpus_make() */
static char corpus_said[65536]; /* the reported lines, each with a newline */

static inline void corpus_report(void *context, const char *line)
{
    size_t len = strlen(corpus_said);
    (void)context;
    (void)snprintf(corpus_said + len, sizeof corpus_said - len, "%s\n", line);
}

/* Makes an empty directory and goes there, so that lines name files without it. */
static inline void corpus_make(void)
{
    (void)snprintf(corpus_dir, sizeof corpus_dir, "/tmp/corpusfs-unit-XXXXXX");
    if (!mkdtemp(corpus_dir) || chdir(corpus_dir) < 0 || mkdir("root", 0700) < 0) {
        perror(corpus_dir);
        exit(2);
    }
}

static inline int corpus_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void corpus_remove(void)
{
    if (chdir("/") == 0)
        (void)nftw(corpus_dir, corpus_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Empties root/. */
static inline void corpus_empty(void)
{
    (void)nftw("root", corpus_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (mkdir("root", 0700) < 0)
        perror("root");
}

/* Writes a file, and the directories above it. */
static inline void corpus_write(const char *path, const char *text, size_t len)
{
    char dir[4096];
    (void)snprintf(dir, sizeof dir, "%s", path);
    for (char *p = dir; (p = strchr(p, '/')); *p++ = '/') {
        *p = 0;
        (void)mkdir(dir, 0700);
    }
    FILE *f = fopen(path, "w");
    if (!f || fwrite(text, 1, len, f) != len || fclose(f) != 0) {
        perror(path);
        exit(2);
    }
}

static inline void corpus_touch(const char *path)
{
    corpus_write(path, "", 0);
}

/* Loads a configuration; the lines are in corpus_said. Returns cfg_load()'s code. */
static inline int corpus_load(const char *text, struct cfg **ret)
{
    corpus_write("c.yaml", text, strlen(text));
    corpus_said[0] = 0;
    return cfg_load("c.yaml", corpus_report, NULL, ret);
}

#endif
