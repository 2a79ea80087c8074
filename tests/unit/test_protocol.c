/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between daemon and worker: descriptors, sizes, and every field that is checked. */
#include "decoders/members.h"

#include "check.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

static int pair[2];

static void open_pair(void)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
}

static void close_pair(void)
{
    close(pair[0]);
    close(pair[1]);
}

static int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;
    while (dir && readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void test_messages(void)
{
    struct dec_job job = {.magic = DEC_MAGIC, .id = 7}, got = {0};
    int fds[DEC_N_FDS];
    open_pair();
    CHECK_INT(dec_send(pair[0], &job, sizeof job, NULL), 0);
    CHECK_INT(dec_receive(pair[1], &got, sizeof got, fds), 0);
    CHECK_INT(got.id, 7);
    for (int i = 0; i < DEC_N_FDS; i++)
        CHECK_INT(fds[i], -1);
    /* Of another size: refused, and the next one is read whole again. */
    CHECK_INT(dec_send(pair[0], &job, sizeof job - 1, NULL), 0);
    CHECK_INT(dec_receive(pair[1], &got, sizeof got, fds), -EPROTO);
    uint8_t longer[sizeof job + 1] = {0};
    CHECK_INT(dec_send(pair[0], longer, sizeof longer, NULL), 0);
    CHECK_INT(dec_receive(pair[1], &got, sizeof got, fds), -EPROTO);
    CHECK_INT(dec_send(pair[0], &job, sizeof job, NULL), 0);
    CHECK_INT(dec_receive(pair[1], &got, sizeof got, fds), 0);
    close(pair[0]);
    CHECK_INT(dec_receive(pair[1], &got, sizeof got, fds), -EPIPE);
    CHECK_INT(dec_send(pair[1], &job, sizeof job, NULL), -EPIPE);
    close(pair[1]);
}

static void test_descriptors(void)
{
    open_pair();
    int memory = memfd_create("test", MFD_CLOEXEC), before = count_fds();
    struct dec_reply message = {0};
    for (int n = 1; n <= DEC_N_FDS; n++) {
        int sent[DEC_N_FDS] = {memory, memory, memory}, got[DEC_N_FDS];
        if (n < DEC_N_FDS)
            sent[n] = -1;
        CHECK_INT(dec_send(pair[0], &message, sizeof message, sent), 0);
        CHECK_INT(dec_receive(pair[1], &message, sizeof message, got), 0);
        for (int i = 0; i < DEC_N_FDS; i++) {
            CHECK((got[i] >= 0) == (i < n));
            CHECK(i >= n || fcntl(got[i], F_GETFD) == FD_CLOEXEC);
            base_close_fd(&got[i]);
        }
    }
    /* With a message of the wrong size none stays open. */
    int sent[DEC_N_FDS] = {memory, memory, memory}, got[DEC_N_FDS];
    CHECK_INT(dec_send(pair[0], &message, sizeof message - 1, sent), 0);
    CHECK_INT(dec_receive(pair[1], &message, sizeof message, got), -EPROTO);
    CHECK_INT(got[0], -1);
    CHECK_INT(count_fds(), before);
    close(memory);
    close_pair();
}

/* A worker that was taken over may send as many descriptors as it likes: none may stay in the daemon. */
static void test_too_many_descriptors(void)
{
    open_pair();
    struct dec_reply message = {0};
    int memory = memfd_create("test", MFD_CLOEXEC), before = count_fds();
    for (int n = DEC_N_FDS + 1; n <= 16; n++) {
        union {
            struct cmsghdr header;
            char bytes[CMSG_SPACE(sizeof(int) * 16)];
        } control = {0};
        struct iovec data = {&message, sizeof message};
        struct msghdr msg = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes};
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n);
        for (int i = 0; i < n; i++)
            memcpy(CMSG_DATA(&control.header) + sizeof(int) * (size_t)i, &memory, sizeof memory);
        CHECK_INT(sendmsg(pair[0], &msg, 0), sizeof message);
        int got[DEC_N_FDS];
        CHECK_INT(dec_receive(pair[1], &message, sizeof message, got), -EPROTO);
        for (int i = 0; i < DEC_N_FDS; i++)
            CHECK_INT(got[i], -1);
        CHECK_INT(count_fds(), before);
    }
    close(memory);
    close_pair();
}

static const struct dec_job good_job = {
    .magic = DEC_MAGIC,
    .version = DEC_VERSION,
    .kind = DEC_FRAMES,
    .threads = 1,
    .id = 5,
    .session = 1,
    .first = 10,
    .last = 12,
    .width = 320,
    .height = 240,
    .file_bytes = 5000,
    .frames = {.timing = DEC_CFR, .format = DEC_JPG, .quality = 95},
};

static const struct dec_job unpack_job = {
    .magic = DEC_MAGIC,
    .version = DEC_VERSION,
    .kind = DEC_UNPACK,
    .threads = 1,
    .session = 1,
    .unpack = {.from = 7, .bytes = 3, .header = 99, .packed_bytes = 5, .size = 10, .storage = DEC_PACKED},
};

static const struct dec_job sound_job = {
    .magic = DEC_MAGIC,
    .version = DEC_VERSION,
    .kind = DEC_SOUND,
    .threads = 1,
    .session = 1,
    .sound = {.kind = DEC_MFCC,
              .channels = 1,
              .n_fft = 400,
              .hop = 160,
              .bands = 40,
              .n_coefficients = 13,
              .power = 2},
};

#define CHECK_JOB(want, change)                                                                              \
    {                                                                                                        \
        struct dec_job job = good_job;                                                                       \
        change;                                                                                              \
        CHECK_INT(dec_job_check(&job), want);                                                                \
    }

#define CHECK_SOUND(want, change)                                                                            \
    {                                                                                                        \
        struct dec_job job = sound_job;                                                                      \
        change;                                                                                              \
        CHECK_INT(dec_job_check(&job), want);                                                                \
    }

static void test_sound_fields(void)
{
    CHECK_SOUND(true, job.kind = DEC_MEASURE_SOUND)
    CHECK_SOUND(false, job.sound.kind = DEC_FBANK + 1)
    CHECK_SOUND(false, job.sound.kind = DEC_FBANK) /* without frames */
    CHECK_SOUND(true, job.sound.kind = DEC_FBANK; job.sound.frame_ms = 25; job.sound.shift_ms = 10)
    CHECK_SOUND(false, job.sound.channels = 2)
    CHECK_SOUND(true, job.sound.kind = DEC_WAVE; job.sound.channels = 2)
    CHECK_SOUND(false, job.sound.window = DEC_RECTANGULAR + 1)
    CHECK_SOUND(false, job.sound.n_fft = 1)
    CHECK_SOUND(false, job.sound.n_fft = 1 << 21)
    CHECK_SOUND(false, job.sound.hop = 0)
    CHECK_SOUND(false, job.sound.window_samples = 401)
    CHECK_SOUND(false, job.sound.bands = 0)
    CHECK_SOUND(false, job.sound.bands = DEC_MAX_BANDS + 1)
    CHECK_SOUND(false, job.sound.n_coefficients = 41)
    CHECK_SOUND(false, job.sound.power = 0)
    CHECK_SOUND(false, job.sound.fmin = 0.0 / 0.0)
    CHECK_SOUND(false, memset(job.sound.rate_formula, 'x', sizeof job.sound.rate_formula))
}

static void test_job_fields(void)
{
    CHECK_JOB(true, job.id = 9)
    CHECK_JOB(false, job.magic++)
    CHECK_JOB(false, job.version++)
    CHECK_JOB(false, job.session = 0)
    CHECK_JOB(false, job.kind = 0)
    CHECK_JOB(false, job.kind = DEC_ARRAY + 1)
    CHECK_JOB(false, job.threads = 0)
    CHECK_JOB(false, job.threads = 65)
    CHECK_JOB(false, job.frames.timing = DEC_FPS + 1)
    CHECK_JOB(true, job.frames.format = DEC_RGB)
    CHECK_JOB(false, job.frames.format = DEC_RGB + 1)
    CHECK_JOB(false, job.frames.sampling = DEC_CENTRE + 1)
    CHECK_JOB(false, job.frames.n_sampled = UINT32_MAX)
    const float one[3] = {1, 1, 1};
    CHECK_JOB(false, job.frames.floats = 1; job.frames.top = 1) /* a std of 0 */
    CHECK_JOB(true, job.frames.floats = 1; job.frames.top = 1; memcpy(job.frames.std, one, sizeof one))
    CHECK_JOB(false, job.frames.floats = 1; job.frames.top = 2; memcpy(job.frames.std, one, sizeof one))
    CHECK_JOB(false, job.frames.timing = DEC_FPS) /* without a rate */
    CHECK_JOB(true, job.frames.timing = DEC_FPS; job.frames.fps_num = 30; job.frames.fps_den = 1)
    CHECK_JOB(false, job.frames.timing = DEC_FPS; job.frames.fps_num = 30; job.frames.fps_den = -1)
    CHECK_JOB(false, job.frames.quality = 0)
    CHECK_JOB(false, job.frames.quality = 101)
    CHECK_JOB(false, job.frames.subsampling = 421)
    CHECK_JOB(true, job.frames.subsampling = 444)
    CHECK_JOB(true, job.frames.flow = DEC_TVL1; job.frames.bound = 20)
    CHECK_JOB(false, job.frames.flow = DEC_TVL1) /* without a bound */
    CHECK_JOB(false, job.frames.flow = DEC_DIS + 1; job.frames.bound = 20)
    CHECK_JOB(false, job.frames.flow = DEC_DIS; job.frames.bound = 2 * DEC_MAX_BOUND)
    CHECK_JOB(false, job.frames.flow = DEC_DIS; job.frames.bound = 20; job.frames.format = DEC_PNG)
    CHECK_JOB(true, job.frames.flow = DEC_DIS; job.frames.bound = 127; job.frames.format = DEC_RGB)
    CHECK_JOB(false, job.frames.flow = DEC_DIS; job.frames.bound = 128; job.frames.format = DEC_RGB)
    CHECK_JOB(true, job.frames.flow = DEC_DIS; job.frames.bound = 128; job.frames.format = DEC_RGB;
              job.frames.floats = 1)
    CHECK_JOB(false, memset(job.frames.size, 'x', sizeof job.frames.size))
    CHECK_JOB(false, memset(job.frames.crop, 'x', sizeof job.frames.crop))
    CHECK_JOB(false, job.first = 13)
    CHECK_JOB(false, job.last = 10 + 65536)
    CHECK_JOB(true, job.last = 10 + 65535)
    CHECK_JOB(true, job.wanted = 11)
    CHECK_JOB(true, job.wanted = 13)
    CHECK_JOB(false, job.wanted = 10) /* 1 + a frame before the first */
    CHECK_JOB(false, job.wanted = 14)
    CHECK_JOB(false, job.kind = DEC_AUDIO; job.audio = (struct dec_audio_spec){.format = DEC_WAV + 1})
    CHECK_JOB(false, job.kind = DEC_AUDIO; job.audio = (struct dec_audio_spec){.channels = 3})
    CHECK_JOB(false, job.kind = DEC_AUDIO; job.audio = (struct dec_audio_spec){.rate = 768001})
    CHECK_JOB(true, job.kind = DEC_AUDIO; job.audio = (struct dec_audio_spec){.rate = 48000})
    CHECK_JOB(true, job.range_offset = 1; job.range_bytes = INT64_MAX - 1)
    CHECK_JOB(false, job.range_offset = 2; job.range_bytes = INT64_MAX - 1)
    CHECK_JOB(false, job.range_offset = (uint64_t)INT64_MAX + 1)
    CHECK_JOB(true, job.kind = DEC_LIST)
    const struct dec_array_spec part = {.n_dims = 2, .shape = {48, 3}, .axes = {1, 0}};
    CHECK_JOB(true, job.kind = DEC_ARRAY; job.array = part)
    CHECK_JOB(false, job.kind = DEC_ARRAY; job.array = part; job.array.axes[0] = 0)
    CHECK_JOB(false, job.kind = DEC_ARRAY; job.array = part; job.array.n_dims = DEC_MAX_DIMS + 1)
    CHECK_JOB(false, job.kind = DEC_ARRAY; job.array = part; job.array.shape[0] = 0)
    CHECK_JOB(false, job.kind = DEC_ARRAY; job.array = part; job.array.shape[0] = UINT32_MAX)
    CHECK_JOB(false, job.kind = DEC_ARRAY; job.array = part; job.array.type = 99)
    CHECK_JOB(true, job = unpack_job)
    CHECK_JOB(false, job = unpack_job; job.unpack.bytes = 0)
    CHECK_JOB(false, job = unpack_job; job.unpack.bytes = 4) /* behind its end */
    CHECK_JOB(false, job = unpack_job; job.unpack.from = UINT64_MAX)
    CHECK_JOB(false, job = unpack_job; job.unpack.header = INT64_MAX)
    CHECK_JOB(false, job = unpack_job; job.unpack.storage = DEC_STORED)
    CHECK_JOB(true, job = unpack_job; job.unpack.storage = DEC_STREAM; job.unpack.size = 0)
}

static const struct dec_reply good_reply = {.magic = DEC_MAGIC,
                                            .version = DEC_VERSION,
                                            .kind = DEC_DONE,
                                            .id = 5,
                                            .bytes = 1000,
                                            .n_frames = 3,
                                            .fill = 255};

#define CHECK_REPLY(want, change)                                                                            \
    {                                                                                                        \
        struct dec_reply reply = good_reply;                                                                 \
        struct dec_job job = good_job;                                                                       \
        change;                                                                                              \
        CHECK_INT(dec_reply_check(&reply, &job, 1000), want);                                                \
    }

static void test_reply_fields(void)
{
    CHECK_REPLY(true, (void)job)
    CHECK_REPLY(false, reply.magic++)
    CHECK_REPLY(false, reply.version--)
    CHECK_REPLY(false, reply.id++)
    CHECK_REPLY(false, reply.bytes = 1001)
    CHECK_REPLY(false, reply.fill = 256)
    CHECK_REPLY(false, reply.stale = 2)
    CHECK_REPLY(false, reply.tail_bytes = 4097)
    CHECK_REPLY(false, memset(reply.reason, 'x', sizeof reply.reason))
    CHECK_REPLY(false, reply.kind = 0)
    CHECK_REPLY(false, reply.kind = DEC_FAILED + 1)
    CHECK_REPLY(false, reply.n_frames = 2)
    CHECK_REPLY(true, reply.kind = DEC_PROGRESS)
    CHECK_REPLY(false, reply.kind = DEC_FIRST; reply.n_frames = 1) /* of a job without a wanted frame */
    CHECK_REPLY(true, job.wanted = 11; reply.kind = DEC_FIRST; reply.n_frames = 1)
    CHECK_REPLY(false, job.wanted = 11; reply.kind = DEC_FIRST)
    CHECK_REPLY(false, job.wanted = 11; reply.n_frames = 1) /* done, but for one frame */
    CHECK_REPLY(false, reply.kind = DEC_FAILED)
    CHECK_REPLY(false, reply.kind = DEC_FAILED; reply.error = -EIO)
    CHECK_REPLY(false, reply.kind = DEC_FAILED; reply.error = 4096)
    CHECK_REPLY(true, reply.kind = DEC_FAILED; reply.error = EIO)
    CHECK_REPLY(false, job.kind = DEC_MEASURE_FRAMES)
    CHECK_REPLY(true, job.kind = DEC_MEASURE_FRAMES; reply.width = reply.height = 16384;
                reply.file_bytes = UINT32_MAX)
    CHECK_REPLY(false, job.kind = DEC_MEASURE_FRAMES; reply.width = 16385; reply.height = 1;
                reply.file_bytes = 1)
    CHECK_REPLY(false, job.kind = DEC_MEASURE_FRAMES; reply.width = 1; reply.height = 16385;
                reply.file_bytes = 1)
    CHECK_REPLY(false, job.kind = DEC_MEASURE_FRAMES; reply.width = 0; reply.height = 1; reply.file_bytes = 1)
    CHECK_REPLY(false, job.kind = DEC_MEASURE_FRAMES; reply.width = reply.height = 1; reply.file_bytes = 0)
    CHECK_REPLY(false, job.kind = DEC_MEASURE_FRAMES; reply.width = reply.height = 1;
                reply.file_bytes = (uint64_t)UINT32_MAX + 1)
    CHECK_REPLY(false, job.kind = DEC_AUDIO) /* not the promised size */
    CHECK_REPLY(true, job.kind = DEC_AUDIO; job.file_bytes = 1000)
    CHECK_REPLY(false, job.kind = DEC_UNPACK; job.unpack.bytes = 999)
    CHECK_REPLY(true, job.kind = DEC_UNPACK; job.unpack.bytes = 1000)
    CHECK_REPLY(false, job.kind = DEC_MEASURE_AUDIO; reply.file_bytes = (uint64_t)INT64_MAX + 1)
    CHECK_REPLY(true, job.kind = DEC_MEASURE_FRAMES; job.frames.format = DEC_RGB; job.frames.floats = 1;
                reply.width = 4; reply.height = 2; reply.file_bytes = 96)
    CHECK_REPLY(false, job.kind = DEC_MEASURE_FRAMES; job.frames.format = DEC_RGB; reply.width = 4;
                reply.height = 2; reply.file_bytes = 96)
    CHECK_REPLY(false, job.kind = DEC_MEASURE_FRAMES; job.frames.format = DEC_RGB; reply.width = 4;
                reply.height = 2; reply.file_bytes = 1)
    CHECK_REPLY(true, job.kind = DEC_MEASURE_SOUND; reply.width = 0; reply.file_bytes = 0)
    CHECK_REPLY(false, job.kind = DEC_MEASURE_SOUND; reply.width = 0; reply.file_bytes = 1)
    CHECK_REPLY(false, job.kind = DEC_MEASURE_SOUND; reply.width = 2;
                reply.file_bytes = INT64_MAX / 32768 + 1)
}

int main(void)
{
    CHECK_RUN(test_messages);
    CHECK_RUN(test_descriptors);
    CHECK_RUN(test_too_many_descriptors);
    CHECK_RUN(test_job_fields);
    CHECK_RUN(test_sound_fields);
    CHECK_RUN(test_reply_fields);
    return check_result();
}
