/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that a program of the user makes. They are copied out of where it wrote them, so that nothing that it
 * leaves behind can change what was kept. Their size and hash are kept for good: readers may have been told
 * both, so a program that gives something else the next time gives nothing.
 */
#include "cache/making.h"
#include "cache/run_command.h"
#include "decoders/npy.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* As kept in the index. */
struct kept_output {
    uint64_t bytes;
    struct base_hash content;
};

static const struct cache_command *command_of(const struct making *m)
{
    return &m->c->views[m->t->view].command;
}

static bool find_output(struct making *m, struct kept_output *ret)
{
    struct base_bytes kept = {0};
    struct base_hash key = key_of_size(m->c, m->t->media, m->t->view);
    bool found = cache_fact_get(m->c->store, &key, &kept) == 0 && kept.len == sizeof *ret;
    if (found)
        memcpy(ret, kept.data, sizeof *ret);
    base_bytes_finish(&kept);
    return found;
}

static void set_known(struct making *m, bool measured, uint64_t bytes)
{
    struct clip_view *v = &m->t->media->views[m->t->view];
    pthread_mutex_lock(&m->c->lock);
    if (measured) {
        v->file_bytes = bytes;
        v->measured = true;
    } else {
        v->unmade = true;
    }
    pthread_mutex_unlock(&m->c->lock);
}

/* After a failure: the next to ask is told by make_command_size(), and need not wait for others' commands. */
static void forget_unmade(struct making *m)
{
    pthread_mutex_lock(&m->c->lock);
    m->t->media->views[m->t->view].unmade = false;
    pthread_mutex_unlock(&m->c->lock);
}

static bool has_failed(struct making *m)
{
    struct base_hash key = key_of_segment(m->c, m->t->media, m->t->view, 0, 0);
    struct base_hash attempt = key_of_attempt(&key, command_of(m));
    return making_failed_before(m, &attempt);
}

int make_command_size(struct making *m)
{
    struct kept_output kept = {0};
    bool found = find_output(m, &kept);
    if (!found && has_failed(m))
        return making_fail(m, -EIO);
    set_known(m, found, kept.bytes);
    return 0;
}

/* ---- One run ---- */

struct run {
    char *scratch;            /* its folder */
    char *source, *output;    /* paths */
    struct base_bytes memory; /* of the arguments */
    char **arguments;
    int opened; /* the source, to see whether it changes; -1 for a member of an archive */
    struct command_end end;
};

static void finish_run(struct run *r)
{
    if (r->scratch)
        cache_scratch_remove(r->scratch);
    free(r->source);
    free(r->output);
    free(r->arguments);
    base_bytes_finish(&r->memory);
    base_close_fd(&r->opened);
}

/* A member of an archive, in a file of its own name. */
static int copy_member(struct making *m, struct run *r)
{
    const struct cache_source *source = &m->c->sources[m->t->clip];
    const char *slash = strrchr(source->path, '/');
    if (asprintf(&r->source, "%s/%s", r->scratch, slash ? slash + 1 : source->path) < 0) {
        r->source = NULL;
        return making_fail(m, -ENOMEM);
    }
    base_autoclose int fd = open(r->source, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int err = fd < 0 ? -errno : member_copy_to(m->c, source->archive, source->member, fd);
    if (err == -ESTALE)
        return making_forget(m);
    return err ? making_fail(m,
                             base_fail(&m->why, err, "cannot copy it out of its archive: %s", strerror(-err)))
               : 0;
}

static int prepare_source(struct making *m, struct run *r)
{
    const struct cache_source *source = &m->c->sources[m->t->clip];
    m->archive = source->archive;
    if (m->archive)
        return command_of(m)->input_view < 0 ? copy_member(m, r) : 0;
    int err = making_open_unchanged(m, &r->opened);
    const struct source_place place = source_place(m->c, source->path);
    if (!err && asprintf(&r->source, "%s/%s", place.dir, place.path) < 0) {
        r->source = NULL;
        err = making_fail(m, -ENOMEM);
    }
    return err;
}

static int split_arguments(struct run *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->memory.len; i++)
        n += r->memory.data[i] == 0;
    r->arguments = calloc(n + 1, sizeof *r->arguments);
    char *at = (char *)r->memory.data;
    for (size_t i = 0; r->arguments && i < n; i++, at += strlen(at) + 1)
        r->arguments[i] = at;
    return r->arguments ? 0 : -ENOMEM;
}

static int expand(struct making *m, struct run *r)
{
    const struct media *media = m->t->media;
    const struct cache_options *o = &m->c->options;
    char start[CACHE_SECONDS_ROOM], end[CACHE_SECONDS_ROOM];
    const struct cache_command_values values = {
        .source = r->source ? r->source : "",
        .output = r->output,
        .start = media_seconds(media->from_us, start),
        .end = media_seconds(media->from_us + media->clip_us, end),
    };
    int err = o->command(o->clip_context, m->t->clip, m->t->view, &values, &r->memory);
    return err ? err : split_arguments(r);
}

static int prepare(struct making *m, struct run *r)
{
    int err = cache_scratch_create(m->c->store, &r->scratch);
    if (err)
        return making_fail(
            m, base_fail(&m->why, err, "no folder for what its command makes: %s", strerror(-err)));
    err = prepare_source(m, r);
    if (err)
        return err;
    if (asprintf(&r->output, "%s/output%s", r->scratch, command_of(m)->suffix) < 0) {
        r->output = NULL;
        return making_fail(m, -ENOMEM);
    }
    err = expand(m, r);
    return err ? making_fail(m, base_fail(&m->why, err, "out of memory")) : 0;
}

/* What it said, line by line; of much of it the end. */
static void log_said(struct making *m, const struct run *r)
{
    enum { MOST_LINES = 40 };
    const struct source_place place = source_place(m->c, m->path);
    int n = 0;
    if (r->end.said_bytes > r->end.n_said)
        base_log(BASE_LOG_INFO, "%s/%s: %s wrote %llu bytes, of which these are the last:", place.dir,
                 place.path, r->arguments[0], (unsigned long long)r->end.said_bytes);
    const char *at = r->end.said;
    for (const char *s = at; *s; s++) /* in the end the last lines */
        n += *s == '\n';
    for (; n > MOST_LINES; n--)
        at = strchr(at, '\n') + 1;
    while (*at) {
        size_t len = strcspn(at, "\n");
        if (len > 0)
            base_log(BASE_LOG_INFO, "%s/%s: %s: %.*s", place.dir, place.path, r->arguments[0], (int)len, at);
        at += len + (at[len] == '\n');
    }
}

/* Its last line, which often says why. */
static const char *last_line(const struct command_end *end, int *ret_len)
{
    const int most = 200;
    const char *stop = end->said + end->n_said;
    while (stop > end->said && (stop[-1] == '\n' || stop[-1] == ' '))
        stop--;
    const char *begin = stop;
    while (begin > end->said && begin[-1] != '\n' && stop - begin < most)
        begin--;
    *ret_len = (int)(stop - begin);
    return begin;
}

/* Ends a run that came to nothing. What is the program's own doing is remembered. */
static int fail_run(struct making *m, const struct run *r)
{
    const struct cache_command *command = command_of(m);
    const char *program = r->arguments[0];
    int len, err = -EIO;
    const char *line = last_line(&r->end, &len);
    switch (r->end.fate) {
    case COMMAND_EXITED:
        base_fail(&m->why, 0, "%s ended with status %d%s%.*s", program, r->end.code, len > 0 ? ": " : "", len,
                  line);
        break;
    case COMMAND_KILLED:
        err = base_fail(&m->why, -EAGAIN, "%s was ended by signal %d", program, r->end.code);
        break;
    case COMMAND_TIMEOUT:
        base_fail(&m->why, 0, "%s did not end within its timeout of %u s", program, command->timeout_s);
        break;
    case COMMAND_TOO_LARGE:
        base_fail(&m->why, 0, "%s writes a file of more than max_size, %llu bytes", program,
                  (unsigned long long)command->max_bytes);
        break;
    case COMMAND_STOPPED:
        err = base_fail(&m->why, -EINTR, "%s was ended with the mount", program);
        break;
    case COMMAND_NOT_RUN:
        err = base_fail(&m->why, -ENOEXEC, "cannot run %s in %s: %s", program, m->c->options.command_dir,
                        strerror(r->end.code));
        break;
    }
    struct base_hash attempt = key_of_attempt(&m->t->key, command);
    return err == -EIO ? making_fail_job(m, err, &attempt) : making_fail(m, err);
}

/* The same for what it wrote. */
static int fail_output(struct making *m, const struct run *r, const char *what)
{
    struct base_hash attempt = key_of_attempt(&m->t->key, command_of(m));
    base_fail(&m->why, 0, "what %s wrote %s", r->arguments[0], what);
    return making_fail_job(m, -EIO, &attempt);
}

/* ---- What it made ---- */

static int open_output(struct making *m, const struct run *r, int *ret_fd, uint64_t *ret_bytes)
{
    struct stat st;
    uint8_t head[DEC_NPY_HEAD];
    *ret_fd = open(r->output, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (*ret_fd < 0 || fstat(*ret_fd, &st) < 0 || !S_ISREG(st.st_mode))
        return fail_output(m, r, "is not there: it is to write the file that {output} names");
    *ret_bytes = (uint64_t)st.st_size;
    ssize_t n = command_of(m)->npy ? pread(*ret_fd, head, sizeof head, 0) : 0;
    const char *wrong = n < 0                ? "cannot be read"
                        : command_of(m)->npy ? dec_npy_check(head, (size_t)n, *ret_bytes)
                                             : NULL;
    return wrong ? fail_output(m, r, wrong) : 0;
}

static int copy(int from, int to, uint64_t bytes, struct base_hash *ret_content)
{
    char block[64 * 1024];
    int err = 0;
    struct base_hasher *h = base_hasher_create();
    if (!h)
        return -ENOMEM;
    for (uint64_t at = 0; !err && at < bytes;) {
        size_t n = (size_t)BASE_MIN(bytes - at, (uint64_t)sizeof block);
        err = base_pread_all(from, block, n, (off_t)at);
        if (!err)
            err = base_pwrite_all(to, block, n, (off_t)at);
        base_hasher_add(h, block, n);
        at += n;
    }
    *ret_content = base_hasher_finish(h);
    return err;
}

/* Whether it is what readers may have been told; notes it if nothing was. */
static bool is_as_told(struct making *m, const struct kept_output *made)
{
    struct kept_output told;
    if (find_output(m, &told))
        return told.bytes == made->bytes && base_hash_equal(&told.content, &made->content);
    struct base_hash key = key_of_size(m->c, m->t->media, m->t->view);
    cache_fact_put(m->c->store, &key, made, sizeof *made);
    return true;
}

static int keep_output(struct making *m, const struct run *r, uint64_t cost_us, struct cache_segment **ret)
{
    struct cache_writer *writer;
    struct kept_output made = {0};
    base_autoclose int fd = -1;
    int err = open_output(m, r, &fd, &made.bytes);
    if (!err)
        err = making_begin_output(m, made.bytes, &writer);
    if (err)
        return err;
    err = copy(fd, cache_writer_fd(writer), made.bytes, &made.content);
    if (err)
        err =
            making_fail(m, base_fail(&m->why, err, "cannot copy what its command made: %s", strerror(-err)));
    else if (!is_as_told(m, &made))
        err =
            fail_output(m, r,
                        "is not what it wrote the first time, which readers have seen; it must give the same "
                        "bytes each time, or `corpusfs cache clear` lets it begin anew");
    if (err) {
        cache_writer_abort(writer);
        return err;
    }
    const struct cache_layout layout = {.payload_bytes = made.bytes, .file_bytes = made.bytes};
    err = cache_writer_commit(writer, &m->t->key, &layout, cost_us, ret);
    if (err)
        return making_fail(m, base_fail(&m->why, err, "what its command made cannot be kept"));
    set_known(m, true, made.bytes);
    return 0;
}

/* A file that changes while the program reads it may give a mixture. */
static int check_source(struct making *m, const struct run *r)
{
    if (!m->archive)
        return making_check_unchanged(m, r->opened, &m->opened, &m->t->media->identity);
    return archive_is_current(m->c, archive_of(m->c, m->archive)) ? 0 : making_forget(m);
}

static int run(struct making *m, struct run *r, struct cache_segment **ret)
{
    const struct cache_command *c = command_of(m);
    int err = prepare(m, r);
    if (err)
        return err;
    const struct command command = {
        .arguments = r->arguments,
        .dir = m->c->options.command_dir,
        .output = r->output,
        .max_bytes = c->max_bytes,
        .timeout_s = c->timeout_s,
        .stop_fd = commands_stop_fd(m->c),
    };
    int64_t begin_ns = base_now_ns();
    pthread_mutex_lock(&m->c->lock);
    m->c->counters.jobs_command++;
    pthread_mutex_unlock(&m->c->lock);
    command_run(&command, &r->end);
    log_said(m, r);
    if (r->end.fate != COMMAND_STOPPED)
        err = check_source(m, r);
    if (!err && (r->end.fate != COMMAND_EXITED || r->end.code != 0))
        err = fail_run(m, r);
    return err ? err : keep_output(m, r, (uint64_t)(base_now_ns() - begin_ns) / 1000, ret);
}

int make_command(struct making *m, struct cache_segment **ret)
{
    if (cache_segment_get(m->c->store, &m->t->key, ret) == 0) {
        set_known(m, true, cache_segment_layout(*ret)->file_bytes);
        return 0;
    }
    struct run *r = has_failed(m) ? NULL : calloc(1, sizeof *r);
    if (!r) {
        forget_unmade(m);
        return making_fail(m, -EIO);
    }
    r->opened = -1;
    int err = run(m, r, ret);
    finish_run(r);
    free(r);
    if (err)
        forget_unmade(m);
    return err;
}
