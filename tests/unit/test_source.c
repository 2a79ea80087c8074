/* SPDX-License-Identifier: Apache-2.0 */
/* A source that is a range of a file: nothing outside is seen, and all that is made of it is as of the file
 * itself. */
#include "decoders/session.h"
#include "decoders/source.h"

#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

static char folder[] = "/tmp/corpusfs-test-XXXXXX";

static int memory_file(const void *data, size_t len)
{
    int fd = memfd_create("source", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    return fd;
}

static uint64_t size_of(const struct dec_source *source)
{
    uint64_t size = UINT64_MAX;
    CHECK_INT(dec_source_size(source, &size), 0);
    return size;
}

static void test_ranges(void)
{
    base_autoclose int fd = memory_file("0123456789", 10);
    const struct dec_source whole = {fd, 0, 0}, middle = {fd, 3, 4}, over = {fd, 8, 5}, behind = {fd, 20, 1},
                            empty = {fd, 4, 0};
    char out[16] = "";
    CHECK_INT(size_of(&whole), 10);
    CHECK_INT(size_of(&middle), 4);
    CHECK_INT(size_of(&over), 2);
    CHECK_INT(size_of(&behind), 0);
    CHECK_INT(size_of(&empty), 0);
    CHECK_INT(dec_source_read(&whole, out, sizeof out, 4), 6);
    CHECK_INT(dec_source_read(&middle, out, sizeof out, 0), 4);
    CHECK(memcmp(out, "3456", 4) == 0);
    CHECK_INT(dec_source_read(&middle, out, sizeof out, 3), 1);
    CHECK(out[0] == '6');
    CHECK_INT(dec_source_read(&middle, out, sizeof out, 4), 0);
    CHECK_INT(dec_source_read(&middle, out, sizeof out, UINT64_MAX), 0);
    CHECK_INT(dec_source_read(&over, out, sizeof out, 0), 2);
    CHECK_INT(dec_source_read(&behind, out, sizeof out, 0), 0);
    CHECK_INT(dec_source_read(&empty, out, sizeof out, 0), 0);
    CHECK_INT(dec_source_read_all(&middle, out, 4, 0), 0);
    CHECK_INT(dec_source_read_all(&middle, out, 5, 0), -EIO);
    CHECK_INT(dec_source_read_all(&middle, out, 0, 4), 0);
    const struct dec_source closed = {-1, 0, 0};
    CHECK_INT(dec_source_read(&closed, out, 1, 0), -EBADF);
}

/* ---- Media ---- */

BASE_PRINTF(1, 2) static int shell(const char *format, ...)
{
    char command[1024];
    int n = snprintf(command, sizeof command, "cd %s && ", folder);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(command + n, sizeof command - (size_t)n, format, args);
    va_end(args);
    return system(command);
}

static void no_progress(struct dec_work *work, uint64_t bytes)
{
    (void)work;
    (void)bytes;
}

struct made {
    struct dec_reply reply;
    uint8_t *data; /* mapped */
};

static struct made run(dec_run *job_run, struct dec_job *job, struct dec_source source,
                       const struct dec_index *index)
{
    static uint64_t session = 1;
    struct made made = {.data = NULL};
    base_autoclose int output = memfd_create("output", MFD_CLOEXEC);
    job->session = session++;
    job->threads = 1;
    struct dec_work work = {.job = job,
                            .source = source,
                            .output = output,
                            .index = index,
                            .reply = &made.reply,
                            .sum = base_hasher_create(),
                            .progress = no_progress};
    if (CHECK_INT(job_run(&work), 0) && made.reply.bytes > 0)
        made.data = mmap(NULL, made.reply.bytes, PROT_READ, MAP_SHARED, output, 0);
    CHECK(made.data != MAP_FAILED);
    dec_output_sum(&work, &made.reply);
    if (made.data && job->kind != DEC_INDEX && CHECK(made.reply.has_sum)) {
        const struct base_hash sum = base_hash_of(made.data, made.reply.bytes);
        CHECK(base_hash_equal(&sum, &made.reply.sum));
    }
    return made;
}

static void check_same(const struct made *a, const struct made *b)
{
    if (CHECK_INT(a->reply.bytes, b->reply.bytes) && CHECK(a->data && b->data))
        CHECK(memcmp(a->data, b->data, a->reply.bytes) == 0);
}

static struct made frames_of(struct dec_source source, const struct dec_index *index)
{
    struct dec_job job = {.kind = DEC_MEASURE_FRAMES, .frames = {.format = DEC_PPM, .quality = 95}};
    struct made measured = run(dec_run_measure_frames, &job, source, index);
    job.kind = DEC_FRAMES;
    job.width = measured.reply.width;
    job.height = measured.reply.height;
    job.file_bytes = measured.reply.file_bytes;
    job.last = 9;
    return run(dec_run_frames, &job, source, index);
}

static struct made sound_of(struct dec_source source, const struct dec_index *index)
{
    struct dec_job job = {.kind = DEC_AUDIO, .audio = {.format = DEC_WAV}};
    struct made measured = run(dec_run_measure_audio, &job, source, index);
    job.file_bytes = measured.reply.file_bytes;
    return run(dec_run_audio, &job, source, index);
}

static void compare(struct dec_source file, struct dec_source member)
{
    struct dec_job job = {.kind = DEC_INDEX};
    struct made of_file = run(dec_run_index, &job, file, NULL),
                of_member = run(dec_run_index, &job, member, NULL);
    struct dec_index index;
    check_same(&of_file, &of_member);
    if (!of_file.data || !CHECK_INT(dec_index_unpack(of_file.data, of_file.reply.bytes, &index), 0))
        return;
    /* What indexing has left is the member's: not to be taken for the file. */
    struct made file_frames = frames_of(file, &index), member_frames = frames_of(member, &index);
    check_same(&file_frames, &member_frames);
    struct made file_sound = sound_of(file, &index), member_sound = sound_of(member, &index);
    check_same(&file_sound, &member_sound);
    dec_index_finish(&index);
}

static void test_media(void)
{
    static const char *const formats[] = {"mp4", "mkv", "avi"}, *const codecs[] = {"aac", "flac",
                                                                                   "pcm_s16le"};
    for (size_t i = 0; i < BASE_ARRAY_LEN(formats); i++) {
        char path[64];
        CHECK_INT(shell("ffmpeg -v error -y -f lavfi -i testsrc=s=64x48:r=10:d=1.2 -f lavfi -i "
                        "sine=r=8000:d=1.2 -c:v mpeg4 -g 5 -c:a %s clip.%s",
                        codecs[i], formats[i]),
                  0);
        CHECK_INT(shell("head -c 1777 /dev/urandom > junk; cat junk clip.%s clip.%s > inside", formats[i],
                        formats[i]),
                  0);
        (void)snprintf(path, sizeof path, "%s/clip.%s", folder, formats[i]);
        base_autoclose int file = open(path, O_RDONLY | O_CLOEXEC);
        (void)snprintf(path, sizeof path, "%s/inside", folder);
        base_autoclose int inside = open(path, O_RDONLY | O_CLOEXEC);
        const struct dec_source whole = {file, 0, 0};
        CHECK(file >= 0 && inside >= 0);
        compare(whole, (struct dec_source){inside, 1777, size_of(&whole)});
    }
}

int main(void)
{
    av_log_set_level(AV_LOG_QUIET);
    if (!mkdtemp(folder))
        return 2;
    CHECK_RUN(test_ranges);
    CHECK_RUN(test_media);
    (void)shell("rm -rf %s", folder);
    return check_result();
}
