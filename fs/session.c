/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/private.h"

#include "base/io.h"
#include "base/log.h"
#include "fs/signals.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <sys/uio.h>
#include <time.h>

/* ---- Mounting ---- */

/* Read-only: then the kernel keeps attributes after reads, too. Its checks of permission need no call of
 * ours. */
static int parse_options(const struct fs_options *o, struct fuse_args *args)
{
    base_autofree char *name = NULL;
    if (asprintf(&name, "-oro,default_permissions,subtype=corpusfs,fsname=%s", cfg_root(o->cfg)) < 0)
        return -ENOMEM;
    /* A comma would end the option. */
    for (char *at = strstr(name, "fsname="); at && *at; at++)
        if (*at == ',' || *at == '\\')
            *at = '_';
    int err = fuse_opt_add_arg(args, "corpusfs");
    if (!err)
        err = fuse_opt_add_arg(args, name);
    if (!err && o->fuse_options) {
        base_autofree char *more = NULL;
        if (asprintf(&more, "-o%s", o->fuse_options) < 0)
            return -ENOMEM;
        err = fuse_opt_add_arg(args, more);
    }
    return err ? -ENOMEM : 0;
}

/*
 * Who looks up a name, and waits for decoding, must not keep all others from the names of that folder. The
 * kernel lets them if it is asked to, with FUSE_PARALLEL_DIROPS in the answer to its greeting, the first that
 * is written. libfuse 3.14.0 says that it asks (FUSE_CAP_PARALLEL_DIROPS), and leaves the flag out.
 */
static ssize_t write_answer(int fd, struct iovec *parts, int n, void *userdata)
{
    struct fs *fs = userdata;
    if (!atomic_load_explicit(&fs->greeted, memory_order_relaxed)) {
        atomic_store_explicit(&fs->greeted, true, memory_order_relaxed);
        struct fuse_init_out *greeting = n == 2 ? parts[1].iov_base : NULL;
        if (greeting && parts[1].iov_len >= sizeof *greeting)
            greeting->flags |= FUSE_PARALLEL_DIROPS;
    }
    return writev(fd, parts, n);
}

static ssize_t read_request(int fd, void *buffer, size_t len, void *userdata)
{
    (void)userdata;
    return read(fd, buffer, len);
}

static int set_answers(struct fs *fs)
{
    const struct fuse_custom_io io = {.writev = write_answer, .read = read_request};
    return fuse_session_custom_io(fs->session, &io, fuse_session_fd(fs->session));
}

static void drop_session(struct fs *fs)
{
    fs_signals_stop(fs->signals);
    fuse_session_destroy(base_steal_pointer(fs->session));
}

static int mount_session(struct fs *fs, struct base_reason *why)
{
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    int err = parse_options(fs->options, &args);
    if (!err) {
        fs->session = fuse_session_new(&args, &fs_ops, sizeof fs_ops, fs);
        if (!fs->session)
            err = base_fail(why, -EINVAL, "the FUSE options were not accepted");
    }
    fuse_opt_free_args(&args);
    if (err)
        return err;
    err = fs_signals_start(fs->session, &fs->signals);
    if (err)
        return base_fail(why, err, "cannot take signals: %s", strerror(-err));
    if (fuse_session_mount(fs->session, fs->options->mountpoint) < 0) {
        drop_session(fs);
        return base_fail(why, -EIO,
                         "%s: cannot mount there; is /dev/fuse there, and is the folder yours and free?",
                         fs->options->mountpoint);
    }
    err = set_answers(fs);
    if (!err)
        return 0;
    fuse_session_unmount(fs->session);
    drop_session(fs);
    return base_fail(why, err, "cannot talk to the kernel: %s", strerror(-err));
}

static const char *crop_of_clip(const void *context, size_t clip, size_t view)
{
    const struct fs *fs = context;
    const char *const *crops = fs->clips[clip].crops; /* NULL: a file of a files view */
    return crops ? crops[view] : "";
}

static const char *cues_of_clip(const void *context, size_t clip, size_t view)
{
    const struct fs *fs = context;
    const char *const *cues = fs->clips[clip].cues;
    return cues ? cues[view] : NULL;
}

static const struct base_boxes *boxes_of_clip(const void *context, size_t clip, size_t view)
{
    const struct fs *fs = context;
    const struct base_boxes *const *boxes = fs->clips[clip].boxes;
    return boxes ? boxes[view] : NULL;
}

static int create_cache(struct fs *fs, struct base_reason *why)
{
    const struct fs_options *o = fs->options;
    size_t n_views = cfg_n_views(o->cfg);
    base_autofree struct cache_view *views = calloc(n_views + 1, sizeof *views);
    if (!views)
        return base_fail(why, -ENOMEM, "out of memory");
    for (size_t i = 0; i < n_views; i++)
        (void)fs_cache_view(o->cfg, cfg_view(o->cfg, i), &views[i]);
    struct cache_options options = {
        .root = cfg_root(o->cfg),
        .merged = cfg_merged(o->cfg),
        .n_merged = cfg_n_merged(o->cfg),
        .views = views,
        .n_views = n_views,
        .dir = cfg_cache_dir(o->cfg),
        .size_bytes = cfg_cache_size(o->cfg),
        .min_free_bytes = cfg_cache_min_free(o->cfg),
        .workers = cfg_workers(o->cfg),
        .worker_memory_bytes = o->worker_memory_bytes,
        .decoder = o->decoder,
        .refresh_seconds = cfg_refresh_seconds(o->cfg),
        .on_change = fs_notify_clip,
        .context = fs->notifier,
        .crop = crop_of_clip,
        .cues = cues_of_clip,
        .command = fs_command_arguments,
        .boxes = boxes_of_clip,
        .clip_context = fs,
        .command_dir = cfg_dir(o->cfg),
    };
    return cache_create(&options, &fs->cache, why);
}

static int loop(struct fs *fs, struct base_reason *why)
{
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    if (!config)
        return base_fail(why, -ENOMEM, "out of memory");
    fuse_loop_cfg_set_clone_fd(config, 0);
    fuse_loop_cfg_set_max_threads(config, 8);
    fuse_loop_cfg_set_idle_threads(config, 8);
    int result = fuse_session_loop_mt(fs->session, config);
    fuse_loop_cfg_destroy(config);
    return result < 0 ? base_fail(why, result, "reading from /dev/fuse failed: %s", strerror(-result)) : 0;
}

/* SIGUSR1 is blocked in all threads but taken here. */
static void *stats_main(void *argument)
{
    struct fs *fs = argument;
    const struct timespec moment = {.tv_nsec = 50 * 1000 * 1000};
    sigset_t usr1;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    while (!fs->ended)
        if (sigtimedwait(&usr1, NULL, &moment) == SIGUSR1)
            fs_stats_write(fs, fs->options->stats_file);
    return NULL;
}

static int serve(struct fs *fs, struct base_reason *why)
{
    pthread_t stats_thread;
    const char *stats_file = fs->options->stats_file, *socket = fs->options->status_socket;
    struct fs_control *control = NULL;
    int control_err = socket ? fs_control_create(fs, socket, &control) : 0;
    if (control_err)
        base_log(BASE_LOG_WARNING, "%s: no status can be asked for there: %s", socket,
                 strerror(-control_err));
    bool with_stats = stats_file && pthread_create(&stats_thread, NULL, stats_main, fs) == 0;
    if (fs->options->on_ready)
        fs->options->on_ready(fs->options->context);
    cache_expect_readers(fs->cache);
    int err = loop(fs, why);
    fs->ended = true;
    fs_signals_stop(fs->signals);
    if (with_stats)
        pthread_join(stats_thread, NULL);
    fs_control_destroy(control);
    if (stats_file)
        fs_stats_write(fs, stats_file);
    return err;
}

/* ---- The end ---- */

/*
 * Threads of ours that have to end may be telling the kernel that a name is no more, for which it waits until
 * the lookups in that directory are answered. So requests are still taken, and all refused (fs->ended), when
 * the loop has ended and the mount has not.
 */
struct refuser {
    struct fuse_session *session;
    pthread_t thread;
    bool started;
    atomic_bool stopping;
};
enum { REFUSER_POLL_MS = 10 };

static void *refuse_main(void *argument)
{
    struct refuser *r = argument;
    struct fuse_buf buffer = {0};
    struct pollfd fd = {.fd = fuse_session_fd(r->session), .events = POLLIN};
    /* What was there to be read may be taken back. */
    (void)fcntl(fd.fd, F_SETFL, fcntl(fd.fd, F_GETFL) | O_NONBLOCK);
    while (!r->stopping) {
        if (poll(&fd, 1, REFUSER_POLL_MS) <= 0)
            continue;
        int n = fuse_session_receive_buf(r->session, &buffer);
        if (n > 0)
            fuse_session_process_buf(r->session, &buffer);
        else if (n != -EAGAIN && n != -EINTR)
            break; /* it is unmounted */
    }
    free(buffer.mem);
    return NULL;
}

static void refuser_start(struct refuser *r, struct fuse_session *session)
{
    r->session = session;
    r->started = session && pthread_create(&r->thread, NULL, refuse_main, r) == 0;
}

static void refuser_stop(struct refuser *r)
{
    r->stopping = true;
    if (r->started)
        pthread_join(r->thread, NULL);
}

static void block_usr1(void)
{
    sigset_t usr1;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    (void)pthread_sigmask(SIG_BLOCK, &usr1, NULL);
}

int fs_serve(const struct fs_options *options, struct base_reason *why)
{
    struct fs fs = {.options = options, .uid = getuid(), .gid = getgid(), .begin_ns = base_now_ns()};
    clock_gettime(CLOCK_REALTIME, &fs.mounted);
    block_usr1(); /* before the first thread */
    int err = fs_world_init(&fs);
    if (err)
        base_fail(why, err, "out of memory");
    if (!err) {
        err = fs_notifier_create(&fs, &fs.notifier);
        if (err)
            base_fail(why, err, "cannot start a thread: %s", strerror(-err));
    }
    if (!err) {
        err = fs_interrupts_create(&fs.interrupts);
        if (err)
            base_fail(why, err, "cannot start a thread: %s", strerror(-err));
    }
    if (!err) {
        err = fs_rescanner_create(&fs, &fs.rescanner);
        if (err)
            base_fail(why, err, "out of memory");
    }
    if (!err) {
        err = fs_lists_create(&fs, &fs.lists);
        if (err)
            base_fail(why, err, "out of memory");
    }
    if (!err)
        err = create_cache(&fs, why);
    if (!err) {
        err = fs_world_scan(&fs, options->report, NULL, NULL);
        if (err)
            base_fail(why, err, "%s: cannot list the corpus: %s", cfg_root(options->cfg), strerror(-err));
    }
    if (!err)
        err = mount_session(&fs, why);
    if (!err && cfg_refresh_seconds(options->cfg) > 0) {
        err = fs_rescanner_start(fs.rescanner);
        if (err)
            base_fail(why, err, "cannot start a thread: %s", strerror(-err));
    }
    if (!err)
        err = serve(&fs, why);
    fs.ended = true;
    struct refuser refuser = {0};
    cache_refuse(fs.cache);
    refuser_start(&refuser, fs.session);
    /* Waiting requests are answered by the cache's end, on its threads: until then the session's descriptor
     * must stay open. */
    cache_stop(fs.cache);
    fs_rescanner_stop(fs.rescanner);
    fs_notifier_stop(fs.notifier);
    fs_interrupts_stop(fs.interrupts);
    refuser_stop(&refuser);
    cache_destroy(fs.cache);
    fs_notifier_destroy(fs.notifier);
    fs_rescanner_destroy(fs.rescanner);
    fs_lists_destroy(fs.lists);
    if (fs.session) {
        fs_signals_stop(fs.signals);
        fuse_session_unmount(fs.session);
        fuse_session_destroy(fs.session);
    }
    fs_interrupts_destroy(fs.interrupts);
    fs_signals_destroy(fs.signals);
    fs_world_finish(&fs);
    return err;
}
