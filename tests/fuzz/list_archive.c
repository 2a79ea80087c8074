/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists an archive, and reads its members, with the worker's jobs, in this process and its sandbox:
 *
 *     list_archive [-r OFFSET,BYTES] [-k OLD_LIST,OLD_BYTES] [-o LIST] [-x CONTENT] [-s SEED] [-m MIB] [-b]
 * [-q] ARCHIVE
 *
 * Prints a line for the archive, and one for each member: kind, storage, offset, size, packed bytes, time,
 * refusal, and name and target in hexadecimal digits. -r: the archive is a range of the file. -k: a tar that
 * grew since that list was made. -o keeps the list. -x writes what the files hold, one behind the other, read
 * in an order and in pieces that follow from the seed. Exit code 1: a job failed, with its reason on standard
 * error. -b: the last member first. -q: no lines for members. -m MIB: how much memory there is.
 */
#include "base/io.h"
#include "decoders/media.h"
#include "decoders/members.h"
#include "decoders/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

struct subject {
    int fd;
    uint64_t range_offset, range_bytes;
    uint64_t old_bytes;
    uint64_t memory_mib;
    bool backwards, quiet;
    int old_fd, list_fd, content_fd, piece_fd;
};

static uint64_t random_state = 1;

static uint64_t random_below(uint64_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return n > 0 ? (random_state >> 33) % n : 0;
}

static void on_progress(struct dec_work *work, uint64_t bytes)
{
    (void)work;
    (void)bytes;
}

static uint64_t run_job(const struct subject *s, struct dec_job *job, dec_run *run, int output, int list_fd)
{
    job->magic = DEC_MAGIC;
    job->version = DEC_VERSION;
    job->session = job->threads = 1;
    job->range_offset = s->range_offset;
    job->range_bytes = s->range_bytes;
    struct dec_reply reply = {.magic = DEC_MAGIC, .version = DEC_VERSION, .kind = DEC_DONE};
    struct dec_work work = {.job = job,
                            .source = {s->fd, s->range_offset, s->range_bytes},
                            .output = output,
                            .list_fd = list_fd,
                            .reply = &reply,
                            .progress = on_progress,
                            .socket = -1};
    if (!dec_job_check(job) || output < 0)
        abort();
    int err = run(&work);
    if (err) {
        (void)fprintf(stderr, "%s: %s\n", strerror(-err), work.why.text);
        exit(1);
    }
    if (!dec_reply_check(&reply, job, INT64_MAX))
        abort();
    return reply.bytes;
}

static void print_hex(const char *data, size_t len)
{
    (void)putchar(' ');
    for (size_t i = 0; i < len; i++)
        (void)printf("%02x", (unsigned char)data[i]);
    if (len == 0)
        (void)putchar('-');
}

static void print_member(const struct dec_member *m)
{
    (void)printf("%u %u %llu %llu %llu %lld %u", m->kind, m->storage, (unsigned long long)m->offset,
                 (unsigned long long)m->size, (unsigned long long)m->packed_bytes, (long long)m->mtime_s,
                 m->why);
    print_hex(m->name, m->name_len);
    print_hex(m->target, m->target_len);
    (void)putchar('\n');
}

/* ---- What members hold ---- */

static void copy(int from_fd, uint64_t from, int to_fd, uint64_t to, uint64_t bytes)
{
    uint8_t block[4096];
    while (bytes > 0) {
        size_t n = BASE_MIN(bytes, sizeof block);
        if (base_pread_all(from_fd, block, n, (off_t)from) < 0 ||
            base_pwrite_all(to_fd, block, n, (off_t)to) < 0)
            abort();
        from += n;
        to += n;
        bytes -= n;
    }
}

static void unpack(const struct subject *s, const struct dec_member *m, uint64_t from, uint64_t to,
                   uint64_t bytes)
{
    struct dec_job job = {.kind = DEC_UNPACK,
                          .unpack = {.from = from, .bytes = bytes, .storage = m->storage, .size = m->size}};
    if (m->storage == DEC_PACKED) {
        job.unpack.header = m->offset;
        job.unpack.packed_bytes = m->packed_bytes;
    }
    (void)run_job(s, &job, dec_run_unpack, s->piece_fd, random_below(4) ? s->list_fd : -1);
    copy(s->piece_fd, 0, s->content_fd, to, bytes);
}

/* Bytes of the member as it stands in the archive: `from` is counted from its beginning there. */
static void read_run(const struct subject *s, const struct dec_member *m, uint64_t from, uint64_t to,
                     uint64_t bytes)
{
    if (bytes == 0)
        return;
    if (m->storage == DEC_STREAM)
        unpack(s, m, m->offset + from, to, bytes);
    else if (m->storage == DEC_PACKED)
        unpack(s, m, from, to, bytes);
    else
        copy(s->fd, s->range_offset + m->offset + from, s->content_fd, to, bytes);
}

static void read_member(const struct subject *s, const struct dec_member *m, uint64_t to)
{
    uint64_t from = 0;
    if (m->storage != DEC_PACKED && m->packed_bytes < m->size) {
        for (uint32_t i = 0; i < m->n_extents; i++) {
            read_run(s, m, from, to + m->extents[i].at, m->extents[i].bytes);
            from += m->extents[i].bytes;
        }
        return;
    }
    uint64_t middle = random_below(3) ? m->size : random_below(m->size);
    read_run(s, m, middle, to + middle, m->size - middle);
    read_run(s, m, 0, to, middle);
}

/* Every member once, beginning somewhere. */
static void write_members(const struct subject *s, const struct dec_members *list)
{
    static struct dec_members_cursor c;
    struct dec_member m;
    uint64_t begin = random_below(list->n_members), end = 0;
    uint64_t *places = calloc(list->n_members + 1, sizeof *places);
    dec_members_begin(list, &c);
    for (uint64_t i = 0; i < list->n_members; i++) {
        if (!places || dec_members_next(&c, &m) != 1)
            abort();
        places[i] = end;
        end += m.size;
    }
    if (ftruncate(s->content_fd, (off_t)end) < 0)
        abort();
    for (uint64_t i = 0; i < list->n_members; i++) {
        uint64_t number = s->backwards ? list->n_members - 1 - i : (begin + i) % list->n_members;
        if (dec_members_seek(&c, number) < 0 || dec_members_next(&c, &m) != 1)
            abort();
        if (m.kind == DEC_MEMBER_FILE && m.size > 0)
            read_member(s, &m, places[number]);
    }
    free(places);
    dec_members_end(&c);
}

/* ---- The list ---- */

static uint64_t make_list(const struct subject *s)
{
    struct dec_job job = {.kind = DEC_LIST, .list.known_bytes = s->old_bytes};
    return run_job(s, &job, dec_run_list, s->list_fd, s->old_fd);
}

static void print_list(const struct dec_members *list, bool quiet)
{
    static struct dec_members_cursor c;
    struct dec_member m;
    int got;
    (void)printf("format %u filter %u truncated %d members %llu refused %llu end %llu stream %llu points %zu "
                 "reason %s\n",
                 list->format, list->filter, list->truncated, (unsigned long long)list->n_members,
                 (unsigned long long)list->n_refused, (unsigned long long)list->end_offset,
                 (unsigned long long)list->stream_bytes, list->points_bytes, list->reason);
    dec_members_begin(list, &c);
    while ((got = dec_members_next(&c, &m)) > 0)
        if (!quiet)
            print_member(&m);
    dec_members_end(&c);
    if (got < 0)
        abort();
}

static int open_output(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        abort();
    return fd;
}

static bool parse_option(struct subject *s, int option, char *value)
{
    char *after;
    switch (option) {
    case 'r':
        s->range_offset = strtoull(value, &after, 10);
        s->range_bytes = *after ? strtoull(after + 1, NULL, 10) : 0;
        return true;
    case 'k':
        s->old_fd = open(strtok(value, ","), O_RDONLY | O_CLOEXEC);
        after = strtok(NULL, ",");
        s->old_bytes = after ? strtoull(after, NULL, 10) : 0;
        return s->old_fd >= 0;
    case 'o':
        s->list_fd = open_output(value);
        return true;
    case 'x':
        s->content_fd = open_output(value);
        return true;
    case 's':
        random_state = strtoull(value, NULL, 10);
        return true;
    case 'm':
        s->memory_mib = strtoull(value, NULL, 10);
        return true;
    case 'b':
        s->backwards = true;
        return true;
    case 'q':
        s->quiet = true;
        return true;
    default:
        return false;
    }
}

#ifdef __SANITIZE_ADDRESS__
/* Looking for leaks at exit needs ptrace, which the sandbox refuses. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

int main(int argc, char **argv)
{
    struct subject s = {.memory_mib = 4096, .old_fd = -1, .list_fd = -1, .content_fd = -1};
    struct dec_members list;
    struct base_reason why;
    int option;
    bool good = true;
    while (good && (option = getopt(argc, argv, "r:k:o:x:s:m:bq")) != -1)
        good = parse_option(&s, option, optarg);
    s.fd = good && optind == argc - 1 ? open(argv[optind], O_RDONLY | O_CLOEXEC) : -1;
    if (s.fd < 0) {
        (void)fprintf(stderr, "see the head of list_archive.c\n");
        return 2;
    }
    if (s.list_fd < 0)
        s.list_fd = memfd_create("list", MFD_CLOEXEC);
    s.piece_fd = memfd_create("piece", MFD_CLOEXEC);
    if (dec_sandbox_enter(s.memory_mib << 20, &why) < 0)
        abort();
    uint64_t bytes = make_list(&s);
    uint8_t *data = mmap(NULL, bytes, PROT_READ, MAP_SHARED, s.list_fd, 0);
    if (data == MAP_FAILED || dec_members_open(data, bytes, &list) < 0)
        abort();
    print_list(&list, s.quiet);
    if (s.content_fd >= 0)
        write_members(&s, &list);
    munmap(data, bytes);
    return 0;
}
