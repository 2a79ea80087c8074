/* SPDX-License-Identifier: Apache-2.0 */
/* Reads files whole, one after the other: open, read to the end, close. The same reader for every filesystem
 * that tests/bench/run compares, so that what it costs itself is small and equal.
 *
 *     read_files < LIST       paths, a line each
 *     read_files DIR...       all files of these folders, by name; listing them counts into the whole time
 *
 * Prints "START END BYTES", the clock (CLOCK_MONOTONIC, ns) before the first and after the last file and what
 * was read, and then a line for each file: how many ns it took. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct reader {
    int64_t *taken_ns; /* of each file so far */
    size_t files, room;
    uint64_t bytes;
};

static char buffer[1 << 20];

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "read_files: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Readers that are to begin together are told when (START_AT, ns of the same clock). */
static void await_start(void)
{
    const char *text = getenv("START_AT");
    int64_t at = text ? strtoll(text, NULL, 10) : 0;
    struct timespec when = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
}

static void note(struct reader *r, int64_t ns)
{
    if (r->files == r->room) {
        r->room = r->room ? 2 * r->room : 16384;
        r->taken_ns = realloc(r->taken_ns, r->room * sizeof *r->taken_ns);
        if (!r->taken_ns)
            fail("memory");
    }
    r->taken_ns[r->files++] = ns;
}

static void read_file(struct reader *r, int folder, const char *path)
{
    int64_t start = now_ns();
    int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail(path);
    ssize_t got;
    while ((got = read(fd, buffer, sizeof buffer)) > 0)
        r->bytes += (uint64_t)got;
    if (got < 0)
        fail(path);
    close(fd);
    note(r, now_ns() - start);
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void read_folder(struct reader *r, const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_shown, alphasort);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (count < 0 || folder < 0)
        fail(path);
    for (int i = 0; i < count; i++) {
        read_file(r, folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    close(folder);
}

/* All lines of standard input; the clock starts when they are here. */
static char **read_list(size_t *ret_count)
{
    char **lines = NULL, *line = NULL;
    size_t count = 0, size = 0;
    ssize_t length;
    while ((length = getline(&line, &size, stdin)) > 0) {
        line[strcspn(line, "\n")] = '\0';
        lines = realloc(lines, (count + 1) * sizeof *lines);
        if (!lines)
            fail("memory");
        lines[count++] = strdup(line);
    }
    free(line);
    *ret_count = count;
    return lines;
}

int main(int argc, char **argv)
{
    struct reader r = {0};
    size_t count = 0;
    char **list = argc > 1 ? NULL : read_list(&count);
    memset(buffer, 0, sizeof buffer); /* its pages are there before the clock starts */
    await_start();
    int64_t start = now_ns();
    for (int i = 1; i < argc; i++)
        read_folder(&r, argv[i]);
    for (size_t i = 0; i < count; i++)
        read_file(&r, AT_FDCWD, list[i]);
    int64_t end = now_ns();
    printf("%" PRId64 " %" PRId64 " %" PRIu64 "\n", start, end, r.bytes);
    for (size_t i = 0; i < r.files; i++)
        printf("%" PRId64 "\n", r.taken_ns[i]);
    for (size_t i = 0; i < count; i++)
        free(list[i]);
    free(list);
    free(r.taken_ns);
    return 0;
}
