/* SPDX-License-Identifier: Apache-2.0 */
/* The log file: bounded, shared by processes and threads, no line lost or mixed while it is turned. */
#include "base/log.h"
#include "tests/unit/check.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { PROCESSES = 3, THREADS = 3, LINES = 500 };

static char dir[] = "/tmp/corpusfs-test-log-XXXXXX";
static char path[64], older[64];
static char padding[1500];

struct writer {
    int process, thread;
};

static void *write_lines(void *argument)
{
    const struct writer *w = argument;
    for (int i = 0; i < LINES; i++)
        base_log(BASE_LOG_INFO, "<%d %d %d> %s", w->process, w->thread, i, padding);
    return NULL;
}

static void write_as(int process)
{
    pthread_t threads[THREADS];
    struct writer writers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){process, i};
        if (pthread_create(&threads[i], NULL, write_lines, &writers[i]) != 0)
            exit(1);
    }
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
}

/* Counts whole lines into seen; each writer's are in order within a file. */
static void read_back(const char *name, bool seen[PROCESSES][THREADS][LINES])
{
    char line[4096], rest[4096];
    int last[PROCESSES][THREADS] = {{0}}, process, thread, i;
    FILE *f = fopen(name, "re");
    CHECK(f != NULL);
    while (f && fgets(line, sizeof line, f)) {
        if (!CHECK(sscanf(line, "%*s %*s corpusfs: <%d %d %d> %4095s", &process, &thread, &i, rest) == 4))
            break;
        CHECK_STR(rest, padding);
        CHECK(!seen[process][thread][i]);
        CHECK(i >= last[process][thread]);
        last[process][thread] = i;
        seen[process][thread][i] = true;
    }
    if (f)
        (void)fclose(f);
}

static uint64_t size_of(const char *name)
{
    struct stat st;
    return CHECK(stat(name, &st) == 0) ? (uint64_t)st.st_size : 0;
}

/* Under 8 MiB in all, so that the log is turned once, with all of them writing. */
static void test_turned_under_writers(void)
{
    static bool seen[PROCESSES][THREADS][LINES];
    memset(padding, 'x', sizeof padding - 1);
    CHECK_INT(base_log_to_file(path), 0);
    pid_t pids[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        if ((pids[i] = fork()) == 0) {
            write_as(i);
            _exit(0);
        }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        CHECK(pids[i] > 0 && waitpid(pids[i], &status, 0) == pids[i] && status == 0);
    }
    /* Each thread may add one line to a file that it saw a moment before it was full. */
    uint64_t slack = PROCESSES * THREADS * UINT64_C(1600);
    CHECK(size_of(older) >= BASE_LOG_MAX_BYTES && size_of(older) <= BASE_LOG_MAX_BYTES + slack);
    CHECK(size_of(path) <= BASE_LOG_MAX_BYTES + slack);
    read_back(older, seen);
    read_back(path, seen);
    int n = 0;
    for (int i = 0; i < PROCESSES * THREADS * LINES; i++)
        n += seen[i / (THREADS * LINES)][i / LINES % THREADS][i % LINES];
    CHECK_INT(n, PROCESSES * THREADS * LINES);
}

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    (void)snprintf(path, sizeof path, "%s/log", dir);
    (void)snprintf(older, sizeof older, "%s/log.1", dir);
    CHECK_RUN(test_turned_under_writers);
    (void)unlink(path);
    (void)unlink(older);
    (void)rmdir(dir);
    return check_result();
}
