/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Audio files: their size before they are made, and their sound against ffmpeg's command line.
 */
#include "base/io.h"
#include "decoders/audio_graph.h"
#include "decoders/audio_plan.h"
#include "decoders/media.h"
#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <libavutil/log.h>
#include <math.h>
#include <sys/syscall.h>
#include <unistd.h>

/* In the place of libc's: reads of a source from `fail_from` on fail, as those of a disk with a bad block. */
static off_t fail_from = -1;

ssize_t pread(int fd, void *out, size_t len, off_t at)
{
    if (fail_from < 0 || at + (off_t)len <= fail_from)
        return syscall(SYS_pread64, fd, out, len, at);
    if (at < fail_from)
        return syscall(SYS_pread64, fd, out, (size_t)(fail_from - at), at);
    errno = EIO;
    return -1;
}

static char folder[] = "/tmp/test_audio.XXXXXX";
static uint64_t last_progress;

static void note_progress(struct dec_work *work, uint64_t bytes)
{
    (void)work;
    CHECK(bytes >= last_progress);
    last_progress = bytes;
}

/* A command in the folder. */
BASE_PRINTF(1, 2) static int shell(const char *format, ...)
{
    char command[4096];
    int n = snprintf(command, sizeof command, "cd %s && ", folder);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(command + n, sizeof command - (size_t)n, format, args);
    va_end(args);
    return system(command);
}

static int open_file(const char *name, int flags)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    return fd;
}

static size_t read_file(const char *name, char **ret)
{
    char path[256];
    size_t len = 0;
    *ret = NULL;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK_INT(base_read_file(path, 1 << 28, ret, &len), 0);
    return len;
}

/* Demuxes a file of the folder as indexing does. */
static struct dec_index index_of(const char *name)
{
    struct dec_index index = {
        .audio_stream = -1, .video_stream = -1, .text_stream = -1, .duration_us = 1500000};
    struct dec_media *media = NULL;
    base_autoclose int fd = open_file(name, O_RDONLY);
    AVPacket *packet = av_packet_alloc();
    struct dec_audio_count *count = NULL;
    if (CHECK(packet && dec_media_open(&(struct dec_source){.fd = fd}, &media, NULL) == 0) &&
        media->audio >= 0)
        count = dec_audio_count_create(media->format->streams[media->audio]);
    while (count && av_read_frame(media->format, packet) >= 0) {
        if (packet->stream_index == media->audio)
            dec_audio_count_packet(count, packet);
        av_packet_unref(packet);
    }
    if (count)
        CHECK_INT(dec_audio_count_finish(count, &index), 0);
    av_packet_free(&packet);
    dec_media_close(media);
    return index;
}

/* Measures and makes one file, "ours". Returns its size, or a negative errno. */
static int64_t make(const char *source, const struct dec_index *index, const struct dec_audio_spec *spec)
{
    base_autoclose int in = source ? open_file(source, O_RDONLY) : -1;
    base_autoclose int out = open_file("ours", O_RDWR | O_CREAT | O_TRUNC);
    struct dec_job job = {.audio = *spec};
    struct dec_reply reply = {0};
    struct dec_work work = {
        .job = &job, .source = {.fd = in}, .output = out, .index = index, .reply = &reply};
    work.progress = note_progress;
    int err = dec_run_measure_audio(&work);
    if (err)
        return err;
    job.file_bytes = reply.file_bytes;
    last_progress = 0;
    err = job.file_bytes ? dec_run_audio(&work) : 0;
    CHECK((err != 0) == (work.why.text[0] != 0));
    if (err)
        return err;
    CHECK_INT(reply.bytes, job.file_bytes);
    CHECK_INT(last_progress, job.file_bytes);
    CHECK_INT(lseek(out, 0, SEEK_END), job.file_bytes);
    return (int64_t)job.file_bytes;
}

/* Samples a channel that ffmpeg decodes from a file, whose PCM is left in "pcm". */
static int64_t decoded_samples(const char *name, int channels)
{
    CHECK_INT(shell("ffmpeg -v quiet -y -i %s -vn -f s16le pcm; test -e pcm || : > pcm", name), 0);
    base_autofree char *data = NULL;
    return (int64_t)read_file("pcm", &data) / 2 / channels;
}

/* dB of the sound in b over its difference from a; both PCM of 16 bits. */
static double snr(const char *a, const char *b, size_t bytes)
{
    double signal = 0, noise = 0;
    for (size_t i = 0; i + 2 <= bytes; i += 2) {
        int16_t x, y;
        memcpy(&x, a + i, 2);
        memcpy(&y, b + i, 2);
        signal += (double)y * y;
        noise += (double)(x - y) * (x - y);
    }
    return noise > 0 ? 10 * log10(signal / noise + 1e-9) : 200;
}

/* Both files decode to the same number of samples and, but for rounding, to the same samples. */
static void compare_sound(const char *ours, const char *theirs)
{
    base_autofree char *a = NULL, *b = NULL;
    CHECK_INT(shell("ffmpeg -v error -y -i %s -i %s -map 0:a -f s16le a -map 1:a -f s16le b", ours, theirs),
              0);
    size_t len_a = read_file("a", &a), len_b = read_file("b", &b);
    CHECK(len_a > 0);
    CHECK_INT(len_a, len_b);
    double db = snr(a, b, BASE_MIN(len_a, len_b));
    if (!CHECK(db >= 90))
        (void)fprintf(stderr, "SNR %.1f dB\n", db);
}

/* ---- Sizes ---- */

/* dec_run_audio() fails when the encoder gives another number of bytes than planned, so making files is the
 * test. */
static void check_mp3_length(int64_t samples, uint32_t rate, uint16_t channels, uint32_t bitrate)
{
    struct dec_index index = {.audio_stream = -1, .video_stream = -1, .text_stream = -1};
    struct dec_audio_spec spec = {DEC_MP3, 1, channels, rate, bitrate};
    struct dec_audio_plan plan;
    index.duration_us = (samples * 1000000 + rate / 2) / rate;
    CHECK_INT(dec_audio_plan(&index, &spec, &plan, NULL), 0);
    CHECK_INT(plan.samples, samples);
    if (!CHECK(make(NULL, &index, &spec) > 0))
        (void)fprintf(stderr, "%lld samples, %u Hz, %u channels, %u bit/s\n", (long long)samples, rate,
                      channels, bitrate);
}

static void test_mp3_lengths(void)
{
    static const uint32_t rates[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000};
    static const int64_t lengths[] = {0,    1,    2,    47,   48,   526,   527,   528,   574,   575,  576,
                                      577,  578,  1103, 1104, 1105, 1151,  1152,  1153,  1727,  1728, 1729,
                                      2303, 2304, 2305, 5000, 9999, 12345, 23456, 34567, 45678, 56789};
    static const uint32_t bitrates[] = {0, 32000, 48000, 100000, 320000};
    for (size_t r = 0; r < BASE_ARRAY_LEN(rates); r++)
        for (size_t l = 0; l < BASE_ARRAY_LEN(lengths); l++)
            check_mp3_length(lengths[l], rates[r], (uint16_t)(1 + (l + r) % 2),
                             bitrates[l % 2 ? 0 : (l + r) % 5]);
}

/* A player that honours delay and padding gets back exactly the samples. Below 47 they end in the packet in
 * which they begin, which ffmpeg cannot trim on both sides: it gives more for its own files, too. */
static void test_mp3_gapless(void)
{
    static const int64_t lengths[] = {47, 48, 575, 576, 577, 1152, 5000};
    for (size_t i = 0; i < BASE_ARRAY_LEN(lengths); i++) {
        uint32_t rate = i % 2 ? 16000 : 44100;
        uint16_t channels = (uint16_t)(1 + i % 2);
        check_mp3_length(lengths[i], rate, channels, 0);
        CHECK_INT(shell("mv ours ours.mp3"), 0);
        CHECK_INT(decoded_samples("ours.mp3", channels), lengths[i]);
    }
    check_mp3_length(0, 44100, 2, 0);
    CHECK_INT(shell("mv ours ours.mp3 && ffprobe -v error ours.mp3"), 0);
    CHECK_INT(decoded_samples("ours.mp3", 2), 0);
}

/* What ffprobe tells of both files is the same. */
static void test_mp3_facts(void)
{
    static const char *const inputs[] = {"r=44100:cl=stereo", "r=48000:cl=mono", "r=8000:cl=stereo",
                                         "r=22050:cl=mono"};
    for (size_t i = 0; i < BASE_ARRAY_LEN(inputs); i++) {
        CHECK_INT(shell("ffmpeg -v error -y -f lavfi -i anullsrc=%s -t 1.7 in.wav && "
                        "ffmpeg -v error -y -i in.wav theirs.mp3",
                        inputs[i]),
                  0);
        struct dec_index index = index_of("in.wav");
        CHECK(make("in.wav", &index, &(struct dec_audio_spec){.format = DEC_MP3}) > 0);
        CHECK_INT(shell("mv ours ours.mp3; for f in ours theirs; do ffprobe -v error -show_entries "
                        "format=start_time,duration:stream=codec_name,sample_rate,channels,bit_rate,start_"
                        "time,duration "
                        "$f.mp3 > $f.txt; done; cmp ours.txt theirs.txt && test -s ours.txt"),
                  0);
    }
}

static void test_mp3_header_refused(void)
{
    struct dec_mp3 mp3 = {.bytes = 7};
    CHECK_INT(dec_mp3_plan(0, 0, &mp3), -EPROTO);
    CHECK_INT(dec_mp3_plan(0xffffffff, 0, &mp3), -EPROTO);
    CHECK_INT(dec_mp3_plan(0xfffb9064, -1, &mp3), -EPROTO);
    CHECK_INT(mp3.bytes, 7);
    CHECK_INT(dec_mp3_plan(0xfffb9064, INT64_C(1) << 50, &mp3), -EFBIG);
    CHECK_INT(dec_mp3_plan(0xfffb9064, 44100, &mp3), 0);
    CHECK_INT(mp3.bitrate, 128000);
    CHECK_INT(mp3.frames, 40);
}

static void test_wav_header(void)
{
    uint8_t h[DEC_WAV_MAX_HEADER];
    struct dec_audio_plan plan = {.rate = 48000, .channels = 2, .bytes = 44 + 400};
    CHECK_INT(dec_wav_header(&plan, 3, h), 44);
    CHECK(memcmp(h + 4, "\xb4\x01\0\0", 4) == 0 && memcmp(h + 40, "\x90\x01\0\0", 4) == 0);
    plan = (struct dec_audio_plan){.rate = 48000, .channels = 6, .bytes = UINT64_C(5) << 30};
    CHECK_INT(dec_wav_header(&plan, 0x3f, h), 68);
    CHECK(memcmp(h + 4, "\xff\xff\xff\xff", 4) == 0 && memcmp(h + 64, "\xff\xff\xff\xff", 4) == 0);
    CHECK_INT(h[40], 0x3f);
}

/* Whole periods that are computed give the same as running all of it through the resampler. */
static void test_resampled(void)
{
    static const int rates[] = {8000, 11025, 16000, 22050, 32000, 44100, 48000, 37123, 96000};
    for (size_t i = 0; i < BASE_ARRAY_LEN(rates); i++) {
        for (size_t o = 0; o < BASE_ARRAY_LEN(rates); o++) {
            int64_t n = 30000 + (int64_t)(i * 7919 + o * 104729) % 300000, have = 0, want = 0;
            CHECK_INT(dec_audio_resampled(rates[i], rates[o], n, &have), 0);
            if (i == o)
                CHECK_INT(have, n);
            else if ((i + o) % 4 == 0) {
                CHECK_INT(shell("ffmpeg -v error -y -f lavfi -i anullsrc=r=%d:cl=mono:n=1024 -af "
                                "atrim=end_sample=%lld "
                                "-ar %d -f s16le pcm",
                                rates[i], (long long)n, rates[o]),
                          0);
                base_autofree char *data = NULL;
                want = (int64_t)read_file("pcm", &data) / 2;
                CHECK_INT(have, want);
            }
        }
    }
    int64_t none = 1;
    CHECK_INT(dec_audio_resampled(44100, 16000, 0, &none), 0);
    CHECK_INT(none, 0);
}

/* ---- Sound ---- */

/* codec and its options; container; rate; channels */
struct made {
    const char *codec, *ext;
    int rate, channels;
};
static const struct made streams[] = {
    {"aac", "mp4", 44100, 2},
    {"aac", "mkv", 22050, 1},
    {"aac", "ts", 48000, 6},
    {"aac", "flv", 44100, 1},
    {"aac", "mov", 8000, 1},
    {"libmp3lame", "avi", 44100, 2},
    {"libmp3lame", "mkv", 16000, 1},
    {"libmp3lame", "mp4", 48000, 2},
    {"mp2", "mpg", 48000, 2},
    {"mp2", "ts", 44100, 1},
    {"libvorbis", "webm", 44100, 2},
    {"libvorbis", "mkv", 8000, 1},
    {"libopus", "webm", 48000, 2},
    {"libopus -b:a 12k -application voip", "mkv", 16000, 1},
    {"ac3", "mkv", 48000, 6},
    {"ac3", "avi", 44100, 2},
    {"eac3", "ts", 48000, 2},
    {"flac", "mkv", 32000, 2},
    {"pcm_s16le", "avi", 44100, 2},
    {"pcm_s24le", "mov", 48000, 1},
    {"adpcm_ima_wav", "avi", 22050, 2},
    {"wmav2", "asf", 44100, 2},
    {"pcm_s16le", "mkv", 96000, 2},
};

static void make_stream(const struct made *s, const char *to)
{
    bool webm = strcmp(s->ext, "webm") == 0, mpeg = strcmp(s->ext, "mpg") == 0 || strcmp(s->ext, "ts") == 0;
    CHECK_INT(shell("ffmpeg -v error -y -f lavfi -i testsrc=s=64x64:r=25:d=2.3 -f lavfi "
                    "-i \"aevalsrc='0.4*sin(1400*t*t)|0.3*sin(2000*t+sin(9*t))':s=%d:d=2.3\" -ac %d -c:v %s "
                    "-c:a %s %s",
                    s->rate, s->channels,
                    webm                         ? "libvpx -b:v 50k"
                    : mpeg                       ? "mpeg2video"
                    : strcmp(s->ext, "flv") == 0 ? "flv"
                    : strcmp(s->ext, "asf") == 0 ? "wmv2"
                                                 : "mpeg4",
                    s->codec, to),
              0);
}

static void check_count(const char *name, const struct made *s)
{
    struct dec_index index = index_of(name);
    if (CHECK(index.audio_stream >= 0) &&
        !CHECK_INT(index.audio_samples, decoded_samples(name, index.audio_channels)))
        (void)fprintf(stderr, "%s: %s in %s, %d Hz, %d channels\n", name, s->codec, s->ext, s->rate,
                      s->channels);
}

static void check_format(const char *name, enum dec_audio_format format)
{
    struct dec_index index = index_of(name);
    const char *ext = format == DEC_MP3 ? "mp3" : "wav";
    char ours[16], theirs[16];
    (void)snprintf(ours, sizeof ours, "ours.%s", ext);
    (void)snprintf(theirs, sizeof theirs, "theirs.%s", ext);
    CHECK(make(name, &index, &(struct dec_audio_spec){.format = (uint8_t)format}) > 0);
    CHECK_INT(shell("mv ours %s && ffmpeg -v error -y -i %s %s", ours, name, theirs), 0);
    compare_sound(ours, theirs);
}

static void test_streams(void)
{
    for (size_t i = 0; i < BASE_ARRAY_LEN(streams); i++) {
        const struct made *s = &streams[i];
        char whole[32], cut[32];
        (void)snprintf(whole, sizeof whole, "whole.%s", s->ext);
        (void)snprintf(cut, sizeof cut, "cut.%s", s->ext);
        make_stream(s, whole);
        check_count(whole, s);
        check_format(whole, i % 2 ? DEC_WAV : DEC_MP3);
        CHECK_INT(shell("ffmpeg -v error -y -ss 0.7 -i %s -c copy %s", whole, cut), 0);
        check_count(cut, s);
        if (strcmp(s->ext, "mp4") != 0 && strcmp(s->ext, "mov") != 0) {
            CHECK_INT(shell("head -c $(($(stat -c %%s %s) * 4 / 5)) %s > cut.%s", whole, whole, s->ext), 0);
            check_count(cut, s);
        }
    }
}

/* A view's own rate, channels and bit rate, as -ar, -ac and -b:a. */
static void test_options(void)
{
    static const struct {
        struct dec_audio_spec spec;
        const char *arguments;
    } views[] = {
        {{DEC_WAV, 0, 1, 16000, 0}, "-ar 16000 -ac 1 t.wav"},
        {{DEC_MP3, 0, 1, 22050, 48000}, "-ar 22050 -ac 1 -b:a 48k t.mp3"},
        {{DEC_MP3, 0, 2, 48000, 0}, "-ar 48000 -ac 2 t.mp3"},
        {{DEC_WAV, 0, 0, 11025, 0}, "-ar 11025 t.wav"},
        {{DEC_MP3, 0, 0, 0, 192000}, "-b:a 192k t.mp3"},
        {{DEC_WAV, 0, 2, 96000, 0}, "-ar 96000 -ac 2 t.wav"},
    };
    static const struct made from[] = {{"aac", "mp4", 44100, 2}, {"ac3", "mkv", 48000, 6}};
    for (size_t f = 0; f < BASE_ARRAY_LEN(from); f++) {
        char name[32];
        (void)snprintf(name, sizeof name, "options.%s", from[f].ext);
        make_stream(&from[f], name);
        struct dec_index index = index_of(name);
        for (size_t v = 0; v < BASE_ARRAY_LEN(views); v++) {
            const struct dec_audio_spec *spec = &views[v].spec;
            const char *ext = spec->format == DEC_MP3 ? "mp3" : "wav";
            CHECK(make(name, &index, spec) > 0);
            CHECK_INT(shell("mv ours o.%s && ffmpeg -v error -y -i %s %s", ext, name, views[v].arguments), 0);
            compare_sound(spec->format == DEC_MP3 ? "o.mp3" : "o.wav",
                          spec->format == DEC_MP3 ? "t.mp3" : "t.wav");
        }
    }
    struct dec_index index = index_of("options.mp4");
    CHECK_INT(make("options.mp4", &index, &(struct dec_audio_spec){.format = DEC_MP3, .rate = 7000}),
              -EINVAL);
    CHECK_INT(make("options.mp4", &index, &(struct dec_audio_spec){.format = DEC_MP3, .channels = 6}),
              -EINVAL);
}

static void test_same_bytes(void)
{
    base_autofree char *first = NULL, *second = NULL;
    struct dec_index index = index_of("options.mp4");
    struct dec_audio_spec spec = {.format = DEC_MP3};
    CHECK(make("options.mp4", &index, &spec) > 0);
    size_t len = read_file("ours", &first);
    CHECK(make("options.mp4", &index, &spec) > 0);
    CHECK_INT(read_file("ours", &second), len);
    CHECK(first && second && memcmp(first, second, len) == 0);
}

/* An index that promises more or less than decoding gives: the size stands, silence fills it. */
static void test_broken_promise(void)
{
    struct dec_index index = index_of("options.mp4");
    int64_t good = index.audio_samples;
    for (int format = DEC_MP3; format <= DEC_WAV; format++) {
        struct dec_audio_spec spec = {.format = (uint8_t)format};
        index.audio_samples = good + 30000;
        CHECK(make("options.mp4", &index, &spec) > 0);
        index.audio_samples = good / 2;
        CHECK(make("options.mp4", &index, &spec) > 0);
        index.audio_samples = 0;
        CHECK(make("options.mp4", &index, &spec) > 0);
    }
}

static void test_silence(void)
{
    CHECK_INT(shell("ffmpeg -v error -y -f lavfi -i testsrc=s=64x64:r=10:d=1.5 -c:v mpeg4 mute.mp4"), 0);
    struct dec_index index = index_of("mute.mp4");
    CHECK_INT(index.audio_stream, -1);
    CHECK_INT(make("mute.mp4", &index, &(struct dec_audio_spec){.format = DEC_MP3}), 0);
    CHECK_INT(make("mute.mp4", &index, &(struct dec_audio_spec){DEC_WAV, 1, 0, 0, 0}), 44 + 66150 * 4);
    CHECK_INT(make("mute.mp4", &index, &(struct dec_audio_spec){DEC_WAV, 1, 1, 16000, 0}), 44 + 24000 * 2);
}

/* Sound of which no packet is good gives an error, and damage in the middle does not. */
static void test_damage(void)
{
    base_autofree char *data = NULL;
    make_stream(&(struct made){"aac", "mkv", 44100, 2}, "damage.mkv");
    struct dec_index index = index_of("damage.mkv");
    size_t len = read_file("damage.mkv", &data);
    for (size_t i = len / 3; data && i < len / 2; i += 97)
        data[i] = (char)(data[i] ^ 0x55);
    base_autoclose int fd = open_file("damaged.mkv", O_WRONLY | O_CREAT | O_TRUNC);
    CHECK_INT(base_pwrite_all(fd, data, len, 0), 0);
    CHECK(make("damaged.mkv", &index, &(struct dec_audio_spec){.format = DEC_MP3}) > 0);
    CHECK_INT(shell("ffmpeg -v error -y -i damage.mkv -c copy -bsf:a noise=amount=1 bad.mkv"), 0);
    index = index_of("bad.mkv");
    int64_t made = make("bad.mkv", &index, &(struct dec_audio_spec){.format = DEC_MP3});
    CHECK(made > 0 || made == -EIO);
    /* an index of another file: no audio stream is there any more */
    index = index_of("damage.mkv");
    CHECK_INT(make("mute.mp4", &index, &(struct dec_audio_spec){.format = DEC_MP3}), -EIO);
}

/* Sound whose source cannot be read to its end is an error, and no silence; a file that ends early is. */
static void test_unreadable(void)
{
    base_autofree char *data = NULL;
    const struct dec_audio_spec mp3 = {.format = DEC_MP3};
    make_stream(&(struct made){"aac", "mkv", 44100, 2}, "whole.mkv");
    struct dec_index index = index_of("whole.mkv");
    size_t len = read_file("whole.mkv", &data);
    int64_t whole = make("whole.mkv", &index, &mp3);
    CHECK(whole > 0 && len > 8192);
    for (size_t part = 2; part <= 4; part++) {
        fail_from = (off_t)(len - len / part);
        CHECK_INT(make("whole.mkv", &index, &mp3), -EIO);
        fail_from = -1;
    }
    CHECK_INT(make("whole.mkv", &index, &mp3), whole);
    base_autoclose int fd = open_file("cut.mkv", O_WRONLY | O_CREAT | O_TRUNC);
    CHECK_INT(base_pwrite_all(fd, data, len / 2, 0), 0);
    CHECK_INT(make("cut.mkv", &index, &mp3), whole);
}

int main(void)
{
    av_log_set_level(AV_LOG_QUIET);
    if (!CHECK(mkdtemp(folder) != NULL))
        return check_result();
    CHECK_RUN(test_mp3_header_refused);
    CHECK_RUN(test_wav_header);
    CHECK_RUN(test_mp3_lengths);
    CHECK_RUN(test_mp3_gapless);
    CHECK_RUN(test_mp3_facts);
    CHECK_RUN(test_resampled);
    CHECK_RUN(test_streams);
    CHECK_RUN(test_options);
    CHECK_RUN(test_same_bytes);
    CHECK_RUN(test_silence);
    CHECK_RUN(test_broken_promise);
    CHECK_RUN(test_damage);
    CHECK_RUN(test_unreadable);
    (void)shell("rm -rf %s", folder);
    return check_result();
}
