/* SPDX-License-Identifier: Apache-2.0 */
/* corpusfs status MOUNTPOINT|CONFIG: asks the daemon, or looks at the cache folder. */
#include "cli/status.h"
#include "base/json.h"
#include "base/local.h"
#include "cli/commands.h"
#include "cli/open_cache.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

enum { ANSWER_MAX = 1 << 20, PATIENCE_SECONDS = 10 };

static int usage(FILE *out)
{
    (void)fprintf(
        out,
        "usage: corpusfs status [--json] MOUNTPOINT|CONFIG\n\n"
        "Of a mount point: what its daemon has done since it started, what it is doing, and what failed\n"
        "last and why. Of a configuration: what its cache folder holds.\n\n"
        "  --json  one JSON object, for programs; `man corpusfs` lists its keys\n\n"
        "example:\n"
        "  corpusfs status mnt\n");
    return out == stdout ? 0 : 2;
}

/* ---- A mount ---- */

/* All that the daemon says, terminated. */
static int read_answer(int fd, struct base_bytes *out)
{
    const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    for (;;) {
        if (out->len > ANSWER_MAX || base_bytes_reserve(out, 4096) < 0)
            return out->failed ? -ENOMEM : -EFBIG;
        ssize_t n = recv(fd, out->data + out->len, 4095, 0);
        if (n < 0 && errno != EINTR)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        if (n == 0)
            break;
        out->len += n > 0 ? (size_t)n : 0;
    }
    if (out->len == 0)
        return -EACCES; /* closed without a word: we are not its user */
    out->data[out->len] = 0;
    return 0;
}

static int ask(const char *mountpoint, uid_t owner, struct base_bytes *out)
{
    char socket[512];
    if (!cli_status_socket(mountpoint, owner, socket))
        return -ENOENT;
    base_autoclose int fd = base_local_connect(socket);
    return fd < 0 ? fd : read_answer(fd, out);
}

static int status_of_mount(const char *path, bool json)
{
    uid_t owner = geteuid();
    base_autofree char *mountpoint = realpath(path, NULL);
    if (!mountpoint || !cli_find_mount(mountpoint, &owner)) {
        (void)fprintf(stderr, "corpusfs: %s: no corpus is mounted there\n", path);
        return 1;
    }
    struct base_bytes answer = {0};
    int err = ask(mountpoint, owner, &answer);
    if (err == -EACCES)
        (void)fprintf(stderr, "corpusfs: %s: another user's mount\n", path);
    else if (err == -ECONNREFUSED)
        (void)fprintf(stderr, "corpusfs: %s: its daemon has died; unmount it (`fusermount3 -u`)\n", path);
    else if (err == -ENOENT)
        (void)fprintf(stderr,
                      "corpusfs: %s: its daemon cannot be asked (it runs with another runtime folder, or as "
                      "another user)\n",
                      path);
    else if (err)
        (void)fprintf(stderr, "corpusfs: %s: its daemon gives no answer: %s\n", path, strerror(-err));
    else if (json)
        (void)fputs((const char *)answer.data, stdout);
    else
        cli_print_status((const char *)answer.data, stdout);
    base_bytes_finish(&answer);
    return err ? 1 : 0;
}

/* ---- A configuration ---- */

static int status_of_config(const char *file, bool json)
{
    struct cfg *cfg = cli_load_config(file);
    if (!cfg)
        return 1;
    uint64_t bytes = 0, n = 0;
    int err = cache_store_look(cfg_cache_dir(cfg), cfg_cache_size(cfg), &bytes, &n);
    struct base_bytes text = {0};
    base_bytes_printf(&text, "{\"mounted\": false, \"cache_dir\": ");
    base_json_text(&text, cfg_cache_dir(cfg));
    base_bytes_printf(
        &text,
        ", \"size_bytes\": %llu, \"budget_bytes\": %llu, \"min_free_bytes\": %llu, \"segments\": %llu}\n",
        (unsigned long long)bytes, (unsigned long long)cfg_cache_size(cfg),
        (unsigned long long)cfg_cache_min_free(cfg), (unsigned long long)n);
    base_bytes_append(&text, "", 1);
    if (err == -ENOENT) /* nothing was kept yet */
        err = 0;
    else if (err)
        (void)fprintf(stderr, "corpusfs: %s: the cache index cannot be read: %s\n", cfg_cache_dir(cfg),
                      err == -ENOTSUP ? "written by another version" : strerror(-err));
    if (!err && text.failed)
        err = -ENOMEM;
    if (!err && json)
        (void)fputs((const char *)text.data, stdout);
    else if (!err)
        cli_print_status((const char *)text.data, stdout);
    base_bytes_finish(&text);
    cfg_destroy(cfg);
    return err ? 1 : 0;
}

int cli_status(int argc, char **argv)
{
    bool json = false;
    const char *path = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return usage(stdout);
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (path || argv[i][0] == '-')
            return usage(stderr);
        else
            path = argv[i];
    }
    struct stat st;
    if (!path)
        return usage(stderr);
    if (stat(path, &st) < 0) {
        (void)fprintf(stderr, "corpusfs: %s: %s%s\n", path, strerror(errno),
                      errno == ENOTCONN ? "; the mount there has died: unmount it (`fusermount3 -u`)" : "");
        return 1;
    }
    return S_ISDIR(st.st_mode) ? status_of_mount(path, json) : status_of_config(path, json);
}
