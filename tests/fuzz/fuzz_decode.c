/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs all kinds of jobs over damaged copies of media files, in this process and without the sandbox:
 *
 *     fuzz_decode [-s SEED] [-f FIRST_ROUND] [-n ROUNDS] [-o COPY] [-i] [-a] [-v] FILE...
 *
 * Round 0 takes each file as it is, every other round damages it in its own way, which follows from the seed
 * alone. Made for a build with sanitizers, which find what is wrong inside; the driver itself finds results
 * that break the protocol, jobs that take too long, and frames whose bytes depend on what was read before.
 * Exit code 1: something was found; `-v` names each round before it runs, `-o` keeps the copy of the last,
 * `-i` only compares the frames that demuxing tells with those that decoding finds. `-a`: the files are
 * archives.
 */
#include "base/base.h"
#include "base/hash.h"
#include "base/io.h"
#include "decoders/media.h"

#include "damage.h"
#include "fuzz.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { MAX_OUTPUT_BYTES = 256 << 20, MAX_SECONDS = 60 };

static int64_t round_begin_ns;
static const char *current_file;
static unsigned long current_round;
static int n_findings;
static bool only_indexes, archives;
bool verbose;
static const char *save_path;

void finding(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    n_findings++;
    (void)fprintf(stderr, "%s: round %lu: ", current_file, current_round);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
}

/* ---- Jobs ---- */

static void on_progress(struct dec_work *work, uint64_t bytes)
{
    (void)work;
    (void)bytes;
    if (base_now_ns() - round_begin_ns < (int64_t)MAX_SECONDS * 1000000000)
        return;
    finding("takes more than %d s", MAX_SECONDS);
    exit(1);
}

void result_finish(struct result *r)
{
    if (r->data)
        munmap(r->data, r->len);
    base_close_fd(&r->fd);
}

static int check_result(const struct dec_job *job, struct result *r, int err)
{
    struct stat st;
    if (err > 0 || (err < 0 && !r->why.text[0]))
        finding("job %u: error %d without a reason", job->kind, err);
    if (!dec_reply_check(&r->reply, job, MAX_OUTPUT_BYTES))
        finding("job %u: a reply that breaks the protocol (%s)", job->kind, r->why.text);
    if (!err && (fstat(r->fd, &st) < 0 || (uint64_t)st.st_size < r->reply.bytes))
        finding("job %u: less was written than it says", job->kind);
    if (verbose && err)
        (void)fprintf(stderr, "  job %u: %s\n", job->kind, r->why.text);
    if (err || r->reply.bytes == 0)
        return err;
    r->len = r->reply.bytes;
    r->data = mmap(NULL, r->len, PROT_READ, MAP_SHARED, r->fd, 0);
    if (r->data == MAP_FAILED)
        abort();
    return 0;
}

int run_job(struct dec_job *job, int source, const struct dec_index *index, int list_fd, struct result *ret)
{
    static dec_run *const runs[] = {
        [DEC_INDEX] = dec_run_index,   [DEC_MEASURE_FRAMES] = dec_run_measure_frames,
        [DEC_FRAMES] = dec_run_frames, [DEC_MEASURE_AUDIO] = dec_run_measure_audio,
        [DEC_AUDIO] = dec_run_audio,   [DEC_SUBTITLES] = dec_run_subtitles,
        [DEC_LIST] = dec_run_list,     [DEC_UNPACK] = dec_run_unpack,
        [DEC_TABLE] = dec_run_table,   [DEC_SHARD_INDEX] = dec_run_shard_index,
    };
    static uint64_t next_id = 1;
    job->magic = DEC_MAGIC;
    job->version = DEC_VERSION;
    job->id = next_id++;
    *ret = (struct result){.fd = memfd_create("output", MFD_CLOEXEC)};
    ret->reply =
        (struct dec_reply){.magic = DEC_MAGIC, .version = DEC_VERSION, .kind = DEC_DONE, .id = job->id};
    struct dec_work work = {
        .job = job,
        .source = {.fd = source},
        .output = ret->fd,
        .index = index,
        .list_fd = list_fd,
        .reply = &ret->reply,
        .progress = on_progress,
        .socket = -1,
    };
    if (ret->fd < 0 || !dec_job_check(job))
        abort();
    int err = runs[job->kind](&work);
    ret->why = work.why;
    if (err) {
        ret->reply.kind = DEC_FAILED;
        ret->reply.error = -err;
    }
    return check_result(job, ret, err);
}

/* One damaged file in work. */
struct subject {
    int fd;
    struct dec_index index;
    uint64_t session;
};

static int make_index(struct subject *s, bool recount)
{
    struct dec_job job = {.kind = DEC_INDEX, .threads = 1, .session = 1, .recount = recount};
    struct result r;
    int err = run_job(&job, s->fd, NULL, -1, &r);
    if (!err) {
        dec_index_finish(&s->index);
        err = dec_index_unpack(r.data, r.reply.bytes, &s->index);
        if (err)
            finding("its own index cannot be read: %d", err);
        else if (verbose)
            (void)fprintf(stderr, "  %u frames, %u keyframes%s%s%s\n", s->index.n_frames, s->index.n_keys,
                          s->index.counted ? ", counted" : "", s->index.damaged ? ", damaged" : "",
                          s->index.pts_unique ? ", found by time" : "");
    }
    result_finish(&r);
    return err;
}

static bool same_frames(const struct dec_index *a, const struct dec_index *b)
{
    for (uint32_t i = 0; i < a->n_frames && i < b->n_frames; i++)
        if (a->frames[i].pts != b->frames[i].pts || a->frames[i].duration != b->frames[i].duration)
            return false;
    return a->n_frames == b->n_frames && a->pts_unique == b->pts_unique;
}

/* What demuxing tells of a file is what decoding it finds, unless there is damage, which only decoding sees.
 */
static void compare_indexes(struct subject *s)
{
    struct subject counted = {.fd = s->fd};
    if (s->index.counted || s->index.n_frames == 0 || make_index(&counted, true) < 0)
        return;
    if (!counted.index.damaged && !same_frames(&s->index, &counted.index))
        finding("demuxing finds %u frames, decoding %u, or others", s->index.n_frames,
                counted.index.n_frames);
    dec_index_finish(&counted.index);
}

/* The hash of each frame that a job gave; of an empty one where it could not be made. */
static void hash_frames(const struct dec_job *job, const struct result *r, struct base_hash *ret)
{
    size_t n = job->last - job->first + 1, table = n * sizeof(struct dec_entry);
    if (r->reply.bytes < table) {
        finding("no room for the entries");
        return;
    }
    const uint8_t *entries = r->data + (r->reply.bytes - table);
    for (size_t i = 0; i < n; i++) {
        struct dec_entry e;
        memcpy(&e, entries + i * sizeof e, sizeof e);
        if ((uint64_t)e.offset + e.len > r->reply.bytes - table || e.len > job->file_bytes)
            finding("frame %zu stands outside", job->first + i);
        else
            ret[i] = base_hash_of(r->data + e.offset, e.len);
    }
}

static int read_frames(struct subject *s, struct dec_job *job, struct base_hash *ret)
{
    struct result r;
    job->session = s->session;
    int err = run_job(job, s->fd, &s->index, -1, &r);
    if (!err)
        hash_frames(job, &r, ret);
    bool stale = r.reply.stale;
    result_finish(&r);
    return stale ? -ESTALE : err;
}

static bool is_empty(const struct base_hash *hash)
{
    struct base_hash empty = base_hash_of("", 0);
    return base_hash_equal(hash, &empty);
}

enum { MAX_FRAMES = 400, READS = 8 };

/* Frames in random order have the bytes that one pass gives. -ESTALE: the index has to be made again. */
static int compare_reads(struct subject *s, struct dec_job job, uint32_t n)
{
    static struct base_hash truth[MAX_FRAMES], found[MAX_FRAMES];
    job.first = 0;
    job.last = n - 1;
    job.threads = 1;
    s->session++;
    int err = read_frames(s, &job, truth);
    for (int i = 0; !err && i < READS; i++) {
        if (random_below(3) == 0)
            s->session++;
        job.first = (uint32_t)random_below(n);
        job.last = job.first + (uint32_t)random_below(6);
        job.last = BASE_MIN(job.last, n - 1);
        job.threads = 1 + (uint32_t)random_below(4);
        err = read_frames(s, &job, found);
        for (uint32_t f = job.first; !err && f <= job.last; f++)
            if (!base_hash_equal(&found[f - job.first], &truth[f]))
                finding("frame %u of %u, read %u..%u with %u threads, differs from that of one pass%s%s", f,
                        n, job.first, job.last, job.threads, is_empty(&truth[f]) ? ", which has none" : "",
                        is_empty(&found[f - job.first]) ? ", it could not be made" : "");
    }
    if (err && err != -ESTALE && verbose)
        (void)fprintf(stderr, "  frames: %s\n", strerror(-err));
    return err;
}

static struct dec_frames_spec random_spec(void)
{
    static const char *const sizes[] = {"", "", "64:-1", "short:48", "-2:90"};
    static const char *const crops[] = {"", "", "", "left", "50:40:3:5"};
    struct dec_frames_spec spec = {
        .timing = (uint8_t)random_below(3),
        .format = (uint8_t)random_below(3),
        .quality = 90,
        .fps_num = 10,
        .fps_den = 1,
    };
    (void)snprintf(spec.size, sizeof spec.size, "%s", sizes[random_below(BASE_ARRAY_LEN(sizes))]);
    (void)snprintf(spec.crop, sizeof spec.crop, "%s", crops[random_below(BASE_ARRAY_LEN(crops))]);
    return spec;
}

static int try_frames(struct subject *s, const struct dec_frames_spec *spec)
{
    struct dec_job job = {.kind = DEC_MEASURE_FRAMES, .threads = 1, .session = ++s->session, .frames = *spec};
    struct result r;
    int err = run_job(&job, s->fd, &s->index, -1, &r);
    bool stale = r.reply.stale;
    job.width = r.reply.width;
    job.height = r.reply.height;
    job.file_bytes = r.reply.file_bytes;
    result_finish(&r);
    uint32_t *map = NULL, n = 0;
    if (err)
        return stale ? -ESTALE : err;
    err = dec_timing_map(&s->index, spec, &map, &n);
    free(map);
    if (err || n == 0)
        return err;
    if (verbose)
        (void)fprintf(stderr, "  %u files of timing %d, format %d, size '%s', crop '%s': %ux%u, %llu bytes\n",
                      n, spec->timing, spec->format, spec->size, spec->crop, job.width, job.height,
                      (unsigned long long)job.file_bytes);
    job.kind = DEC_FRAMES;
    return compare_reads(s, job, BASE_MIN(n, (uint32_t)MAX_FRAMES));
}

static void try_audio(struct subject *s, uint8_t format)
{
    struct dec_job job = {.kind = DEC_MEASURE_AUDIO,
                          .threads = 1,
                          .session = s->session,
                          .audio = {.format = format, .silence = 1}};
    struct result r;
    int err = run_job(&job, s->fd, &s->index, -1, &r);
    job.file_bytes = r.reply.file_bytes;
    result_finish(&r);
    if (err || job.file_bytes == 0 || job.file_bytes > MAX_OUTPUT_BYTES)
        return;
    job.kind = DEC_AUDIO;
    (void)run_job(&job, s->fd, &s->index, -1, &r);
    result_finish(&r);
}

static void try_subtitles(struct subject *s, uint8_t sidecar)
{
    struct dec_job job = {.kind = DEC_SUBTITLES,
                          .threads = 1,
                          .session = s->session,
                          .subtitles = {.sidecar = sidecar, .clip_us = 1500000}};
    struct result r;
    (void)run_job(&job, s->fd, NULL, -1, &r);
    result_finish(&r);
}

static void try_all(int fd)
{
    static uint64_t session;
    struct subject s = {.fd = fd, .session = ++session};
    if (only_indexes) {
        if (make_index(&s, false) == 0)
            compare_indexes(&s);
        dec_index_finish(&s.index);
        return;
    }
    try_tables(fd);
    try_subtitles(&s, 1);
    if (make_index(&s, false) == 0) {
        for (int i = 0; i < 2; i++) {
            struct dec_frames_spec spec = random_spec();
            if (s.index.n_frames == 0 || try_frames(&s, &spec) != -ESTALE)
                continue;
            if (s.index.counted)
                (void)(verbose && fprintf(stderr, "  stale, although counted\n"));
            else if (make_index(&s, true) == 0 && try_frames(&s, &spec) == -ESTALE && verbose)
                (void)fprintf(stderr, "  stale after counting\n");
        }
        try_audio(&s, (uint8_t)random_below(2));
        if (s.index.text_stream >= 0)
            try_subtitles(&s, 0);
    }
    session = s.session;
    dec_index_finish(&s.index);
}

/* ---- Files and rounds ---- */

static void save(const uint8_t *data, size_t len)
{
    FILE *out = fopen(save_path, "we");
    if (!out || fwrite(data, 1, len, out) != len || fclose(out) != 0)
        abort();
}

static void run_round(const uint8_t *whole, size_t len, uint64_t seed)
{
    uint8_t *data = malloc(len + 1);
    int fd = memfd_create("source", MFD_CLOEXEC);
    if (!data || fd < 0)
        abort();
    memcpy(data, whole, len);
    random_state = seed;
    if (current_round > 0 && len > 0)
        len = archives ? damage_archive(data, len) : damage(data, len);
    if (base_pwrite_all(fd, data, len, 0) < 0)
        abort();
    if (save_path)
        save(data, len);
    free(data);
    round_begin_ns = base_now_ns();
    if (archives)
        try_archive(fd, current_round > 0);
    else
        try_all(fd);
    close(fd);
}

static void run_file(const char *path, uint64_t seed, unsigned long first, unsigned long n_rounds)
{
    char *data = NULL;
    size_t len = 0;
    int err = base_read_file(path, 64 << 20, &data, &len);
    if (err) {
        (void)fprintf(stderr, "%s: %s\n", path, strerror(-err));
        exit(2);
    }
    current_file = path;
    for (current_round = first; current_round < first + n_rounds; current_round++) {
        if (verbose)
            (void)fprintf(stderr, "%s: round %lu\n", path, current_round);
        struct {
            uint64_t seed, round;
        } both = {seed, current_round};
        struct base_hash mixed = base_hash_of(&both, sizeof both);
        uint64_t round_seed;
        memcpy(&round_seed, mixed.bytes, sizeof round_seed);
        run_round((const uint8_t *)data, len, round_seed);
    }
    free(data);
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    unsigned long first = 0, n_rounds = 1;
    for (int option; (option = getopt(argc, argv, "s:f:n:o:iva")) != -1;) {
        if (option == 's')
            seed = strtoull(optarg, NULL, 10);
        else if (option == 'f')
            first = strtoul(optarg, NULL, 10);
        else if (option == 'n')
            n_rounds = strtoul(optarg, NULL, 10);
        else if (option == 'o')
            save_path = optarg;
        else if (option == 'i')
            only_indexes = true;
        else if (option == 'a')
            archives = true;
        else if (option == 'v')
            verbose = true;
        else
            return 2;
    }
    av_log_set_level(AV_LOG_QUIET);
    (void)printf("seed %llu\n", (unsigned long long)seed);
    (void)fflush(stdout);
    for (int i = optind; i < argc; i++)
        run_file(argv[i], seed, first, n_rounds);
    (void)printf("%d findings\n", n_findings);
    return n_findings > 0;
}
