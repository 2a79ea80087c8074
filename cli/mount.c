/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "cli/commands.h"
#include "cli/decoder.h"
#include "fs/fs.h"
#include "mountcfg/cfg.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int usage(FILE *out)
{
    (void)fprintf(out,
                  "usage: corpusfs mount [-f] [-o OPTIONS] [--log FILE] CONFIG MOUNTPOINT\n\n"
                  "Mounts the corpus that CONFIG describes, read-only, and returns when it can be used.\n\n"
                  "  -f          stay in front, and log to stderr\n"
                  "  -o OPTIONS  FUSE mount options, such as allow_other\n"
                  "  --log FILE  where the daemon logs (default: corpusfs.log in the cache folder)\n\n"
                  "example:\n"
                  "  printf 'preset: class-folders\\nroot: ~/videos\\n' > corpus.yaml\n"
                  "  mkdir -p mnt && corpusfs mount corpus.yaml mnt\n"
                  "  corpusfs unmount mnt\n");
    return out == stdout ? 0 : 2;
}

struct arguments {
    const char *config, *log_file, *fuse_options;
    char *mountpoint; /* absolute; owned */
    char *stats_file; /* absolute; owned; NULL = none */
    bool foreground;
};

static void print_mistake(void *context, const char *line)
{
    (void)context;
    (void)fprintf(stderr, "%s\n", line);
}

/* ---- The background ---- */

/* Between the command, which waits, and the daemon that it forked. */
struct readiness {
    int pipe; /* -1: in front */
    const char *mountpoint;
};

static void on_ready(void *context)
{
    struct readiness *r = context;
    cli_record_mount(r->mountpoint);
    if (r->pipe < 0)
        return;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd < 3; fd++)
        (void)dup2(null, fd);
    base_close_fd(&null);
    ssize_t ignored = write(r->pipe, "ready", 5);
    (void)ignored;
    base_close_fd(&r->pipe);
    r->pipe = -1;
}

static int serve(const struct arguments *a, const struct cfg *cfg, int pipe_fd)
{
    char socket[512];
    struct cli_decoder decoder;
    bool with_socket = cli_status_socket(a->mountpoint, geteuid(), socket);
    struct base_reason why = {""};
    struct readiness ready = {.pipe = pipe_fd, .mountpoint = a->mountpoint};
    struct fs_options options = {
        .cfg = cfg,
        .mountpoint = a->mountpoint,
        .fuse_options = a->fuse_options,
        .decoder = decoder.path,
        .worker_memory_bytes = CLI_WORKER_MEMORY_BYTES,
        .stats_file = a->stats_file,
        .status_socket = with_socket ? socket : NULL,
        .report = print_mistake,
        .on_ready = on_ready,
        .context = &ready,
    };
    int err = cli_find_decoder(cfg_has_flow(cfg), &decoder);
    if (err)
        base_fail(&why, err, "%s: cannot run the decoder: %s", decoder.path, strerror(-err));
    else
        err = fs_serve(&options, &why);
    if (err && ready.pipe < 0)
        base_log(BASE_LOG_ERROR, "%s", why.text);
    else if (err)
        (void)fprintf(stderr, "corpusfs: %s\n", why.text);
    cli_forget_mount(a->mountpoint);
    return err ? 1 : 0;
}

/* Makes the cache folder, where the log goes by default. */
static int open_log(const struct arguments *a, const struct cfg *cfg)
{
    char path[4096];
    const char *dir = cfg_cache_dir(cfg);
    if (a->log_file) {
        (void)snprintf(path, sizeof path, "%s", a->log_file);
    } else {
        for (const char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
            (void)snprintf(path, sizeof path, "%.*s", (int)(slash - dir), dir);
            (void)mkdir(path, 0755);
        }
        (void)mkdir(dir, 0700);
        (void)snprintf(path, sizeof path, "%s/corpusfs.log", dir);
    }
    int err = base_log_to_file(path);
    if (err)
        (void)fprintf(stderr, "corpusfs: %s: cannot write the log: %s\n", path, strerror(-err));
    return err;
}

static int in_background(const struct arguments *a, const struct cfg *cfg)
{
    int pair[2];
    if (open_log(a, cfg) < 0)
        return 1;
    if (pipe2(pair, O_CLOEXEC) < 0) {
        (void)fprintf(stderr, "corpusfs: %s\n", strerror(errno));
        return 1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        (void)setsid();
        (void)chdir("/");
        return serve(a, cfg, pair[1]);
    }
    close(pair[1]);
    char word[8];
    ssize_t n = pid > 0 ? read(pair[0], word, sizeof word) : 0;
    close(pair[0]);
    if (pid < 0)
        (void)fprintf(stderr, "corpusfs: cannot start a daemon: %s\n", strerror(errno));
    if (n > 0)
        return 0;
    if (pid > 0)
        (void)waitpid(pid, NULL, 0);
    return 1;
}

/* ---- Arguments ---- */

static int parse(int argc, char **argv, struct arguments *ret)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'}, {"log", required_argument, NULL, 'l'}, {NULL, 0, NULL, 0}};
    int c;
    optind = 1;
    while ((c = getopt_long(argc, argv, "fho:", options, NULL)) != -1) {
        switch (c) {
        case 'f':
            ret->foreground = true;
            break;
        case 'o':
            ret->fuse_options = optarg;
            break;
        case 'l':
            ret->log_file = optarg;
            break;
        case 'h':
            return usage(stdout);
        default:
            return usage(stderr);
        }
    }
    if (argc - optind != 2)
        return usage(stderr);
    ret->config = argv[optind];
    ret->mountpoint = realpath(argv[optind + 1], NULL);
    struct stat st;
    if (!ret->mountpoint || stat(ret->mountpoint, &st) < 0) {
        (void)fprintf(stderr, "corpusfs: %s: %s%s\n", argv[optind + 1], strerror(errno),
                      errno == ENOTCONN ? "; a mount there has died: unmount it first (`fusermount3 -u`)"
                      : errno == ENOENT ? "; make the folder first"
                                        : "");
        return 1;
    }
    if (!S_ISDIR(st.st_mode)) {
        (void)fprintf(stderr, "corpusfs: %s: not a folder\n", argv[optind + 1]);
        return 1;
    }
    return -1;
}

/* The daemon works in /, so paths must not hang on the working directory. */
static char *absolute_path(const char *path)
{
    char *absolute = NULL;
    base_autofree char *cwd = path && path[0] && path[0] != '/' ? getcwd(NULL, 0) : NULL;
    if (!path || !path[0] || asprintf(&absolute, "%s%s%s", cwd ? cwd : "", cwd ? "/" : "", path) < 0)
        return NULL;
    return absolute;
}

/* Open segments, sources and sockets: take what the system allows. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = BASE_MIN(limit.rlim_max, (rlim_t)65536);
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int cli_mount(int argc, char **argv)
{
    struct arguments a = {0};
    int code = parse(argc, argv, &a);
    struct cfg *cfg = NULL;
    if (code < 0 && access("/dev/fuse", F_OK) < 0) {
        (void)fprintf(stderr, "corpusfs: there is no /dev/fuse on this machine; mounting needs FUSE "
                              "(in a container: --device /dev/fuse --cap-add SYS_ADMIN)\n");
        code = 1;
    }
    if (code < 0 && cfg_load(a.config, print_mistake, NULL, &cfg) < 0)
        code = 1;
    if (code < 0) {
        raise_descriptor_limit();
        a.stats_file = absolute_path(getenv("CORPUSFS_STATS"));
        if (a.foreground && a.log_file && open_log(&a, cfg) < 0)
            code = 1;
        else
            code = a.foreground ? serve(&a, cfg, -1) : in_background(&a, cfg);
    }
    cfg_destroy(cfg);
    free(a.mountpoint);
    free(a.stats_file);
    return code;
}
