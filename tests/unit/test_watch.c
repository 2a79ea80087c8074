/* SPDX-License-Identifier: Apache-2.0 */
/* Changes are noticed by inotify, and without it; the calls of inotify are the test's own where they are to
 * fail. */
#include "base/log.h"
#include "cache/private.h"
#include "cache/watch.h"
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

enum { MANY = 31761, PATIENCE_MS = 60000 };
static char home[] = "/tmp/corpusfs-test-XXXXXX";
static struct cache_source sources[MANY];
static char names[MANY][24];
static atomic_int changes[MANY]; /* that were told, for each clip */

/* ---- inotify as the tests want it ---- */

static atomic_bool no_instance, no_watch, lossy;
static atomic_int inotify_fd = -1;

int __real_inotify_init1(int flags);
int __wrap_inotify_init1(int flags);
int __real_inotify_add_watch(int fd, const char *path, uint32_t mask);
int __wrap_inotify_add_watch(int fd, const char *path, uint32_t mask);
ssize_t __real_read(int fd, void *out, size_t len);
ssize_t __wrap_read(int fd, void *out, size_t len);

int __wrap_inotify_init1(int flags)
{
    if (no_instance) {
        errno = EMFILE;
        return -1;
    }
    return inotify_fd = __real_inotify_init1(flags);
}

int __wrap_inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    if (no_watch) {
        errno = ENOSPC;
        return -1;
    }
    return __real_inotify_add_watch(fd, path, mask);
}

/* With `lossy`, whatever there is to read was lost. */
ssize_t __wrap_read(int fd, void *out, size_t len)
{
    ssize_t n = __real_read(fd, out, len);
    if (!lossy || fd != inotify_fd || n <= 0)
        return n;
    *(struct inotify_event *)out = (struct inotify_event){.wd = -1, .mask = IN_Q_OVERFLOW};
    return sizeof(struct inotify_event);
}

/* ---- A corpus of small files ---- */

static void on_change(void *context, size_t clip, uint32_t version, uint32_t n_files)
{
    (void)context;
    (void)version;
    (void)n_files;
    changes[clip]++;
}

static void put(size_t clip, const char *text)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/root/%s", home, names[clip]);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static struct cache *start(size_t n_clips, uint32_t refresh_seconds)
{
    static char root[PATH_MAX], dir[PATH_MAX]; /* the cache borrows the first */
    (void)snprintf(root, sizeof root, "%s/root", home);
    (void)snprintf(dir, sizeof dir, "%s/cache", home);
    struct cache_options options = {.root = root,
                                    .sources = sources,
                                    .n_clips = n_clips,
                                    .dir = dir,
                                    .size_bytes = 1 << 20,
                                    .workers = 1,
                                    .decoder = "/bin/true",
                                    .refresh_seconds = refresh_seconds,
                                    .on_change = on_change};
    struct cache *c = NULL;
    struct base_reason why;
    if (!CHECK(cache_create(&options, &c, &why) == 0))
        (void)fprintf(stderr, "%s\n", why.text);
    for (size_t i = 0; i < n_clips; i++)
        changes[i] = 0;
    return c;
}

/* As when a clip is indexed. */
static void see(struct cache *c, size_t clip)
{
    struct cache_file_stamp stamp;
    int fd = -1;
    watch_clip(c->watch, clip);
    CHECK_INT(source_open(c, sources[clip].path, &fd, &stamp), 0);
    clip_saw(c, clip, cache_version(c, clip), &stamp);
    base_close_fd(&fd);
}

static bool noticed(size_t clip)
{
    const struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};
    for (int ms = 0; ms < PATIENCE_MS && changes[clip] == 0; ms += 10)
        nanosleep(&moment, NULL);
    return changes[clip] > 0;
}

/* A change of clip 1 is noticed, and nothing else is. */
static void check_notices(uint32_t refresh_seconds)
{
    for (size_t i = 0; i < 3; i++)
        put(i, "old");
    struct cache *c = start(3, refresh_seconds);
    see(c, 0);
    see(c, 1);
    put(1, "newer");
    put(2, "newer"); /* nobody looked into it */
    CHECK(noticed(1));
    CHECK(changes[0] == 0 && changes[2] == 0);
    CHECK_INT(cache_version(c, 1), 1);
    cache_destroy(c);
}

static void test_inotify(void)
{
    check_notices(3600);
}

static void test_no_inotify(void)
{
    no_instance = true;
    check_notices(1);
    no_instance = false;
}

static void test_no_watches_left(void)
{
    no_watch = true;
    check_notices(1);
    no_watch = false;
}

static void test_overflow(void)
{
    lossy = true;
    check_notices(3600);
    lossy = false;
}

/* Two names of one directory have one watch. */
static void test_link_to_folder(void)
{
    char path[PATH_MAX];
    put(0, "old");
    (void)snprintf(path, sizeof path, "%s/root/link", home);
    CHECK(symlink("a", path) == 0);
    (void)snprintf(names[1], sizeof names[1], "link/%s", strchr(names[0], '/') + 1);
    struct cache *c = start(2, 3600);
    see(c, 0);
    see(c, 1);
    put(0, "newer");
    CHECK(noticed(0) && noticed(1));
    cache_destroy(c);
    (void)snprintf(names[1], sizeof names[1], "a/%05d", 1);
}

/* Versions do not wrap: after the last one the clip cannot be read. */
static void test_versions_end(void)
{
    put(0, "old");
    struct cache *c = start(1, 0);
    uint32_t version = 0, n;
    base_log_set_level(BASE_LOG_ERROR);
    while (clip_forget(c, 0, version))
        version++;
    base_log_set_level(BASE_LOG_INFO);
    CHECK_INT(version, CACHE_MAX_VERSION);
    CHECK_INT(cache_version(c, 0), CACHE_MAX_VERSION);
    CHECK_INT(cache_count(c, 0, version, 0, NULL, &n), -EIO);
    CHECK_INT(cache_count(c, 0, 7, 0, NULL, &n), -ESTALE);
    cache_destroy(c);
}

static double cpu_ms(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

/* A sweep over as many clips as a large corpus has. */
static void test_many(void)
{
    for (size_t i = 0; i < MANY; i++)
        put(i, "old");
    no_instance = true;
    struct cache *c = start(MANY, 1);
    for (size_t i = 0; i < MANY; i++)
        see(c, i);
    put(MANY - 1, "newer");
    double before = cpu_ms();
    CHECK(noticed(MANY - 1));
    (void)fprintf(stderr, "%d clips: noticed with %.0f ms of processor\n", MANY, cpu_ms() - before);
    cache_destroy(c);
    no_instance = false;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

int main(void)
{
    char path[PATH_MAX];
    if (!mkdtemp(home))
        return 1;
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof names[i], "a/%05d", i);
        sources[i].path = names[i];
    }
    (void)snprintf(path, sizeof path, "%s/root", home);
    CHECK(mkdir(path, 0700) == 0);
    (void)snprintf(path, sizeof path, "%s/root/a", home);
    CHECK(mkdir(path, 0700) == 0);
    CHECK_RUN(test_inotify);
    CHECK_RUN(test_no_inotify);
    CHECK_RUN(test_no_watches_left);
    CHECK_RUN(test_overflow);
    CHECK_RUN(test_link_to_folder);
    CHECK_RUN(test_versions_end);
    CHECK_RUN(test_many);
    (void)nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return check_result();
}
