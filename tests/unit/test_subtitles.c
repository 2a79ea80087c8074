/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subtitles: text files as people have them, and embedded streams against ffmpeg's command line.
 */
#include "base/io.h"
#include "decoders/cues.h"
#include "decoders/media.h"
#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <libavutil/log.h>

static char folder[] = "/tmp/test_subtitles.XXXXXX";

static void no_progress(struct dec_work *work, uint64_t bytes)
{
    (void)work;
    (void)bytes;
}

BASE_PRINTF(1, 2) static int shell(const char *format, ...)
{
    char command[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(command, sizeof command, format, args);
    va_end(args);
    return system(command);
}

/* The same numbers in every run. */
static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 16;
}

static const char *in_folder(const char *name, char out[256])
{
    (void)snprintf(out, 256, "%s/%s", folder, name);
    return out;
}

/* Runs one job on a file of the folder. Returns its SRT text (the caller frees it), NULL when it failed with
 * *ret_err. */
static char *run_job(const char *name, bool sidecar, int64_t clip_us, int *ret_err)
{
    char path[256], out_path[256], *text = NULL;
    size_t len = 0;
    base_autoclose int source = open(in_folder(name, path), O_RDONLY | O_CLOEXEC);
    base_autoclose int output =
        open(in_folder("out.srt", out_path), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct dec_job job = {.subtitles = {.sidecar = sidecar, .clip_us = clip_us}};
    struct dec_reply reply = {0};
    struct dec_work work = {
        .job = &job, .source = {.fd = source}, .output = output, .reply = &reply, .progress = no_progress};
    CHECK(source >= 0 && output >= 0);
    *ret_err = dec_run_subtitles(&work);
    CHECK((*ret_err != 0) == (work.why.text[0] != 0));
    if (*ret_err == 0 && CHECK(base_read_file(out_path, 1 << 26, &text, &len) == 0))
        CHECK_INT(len, reply.bytes);
    return text;
}

static void write_file(const char *name, const void *data, size_t len)
{
    char path[256];
    base_autoclose int fd = open(in_folder(name, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && base_pwrite_all(fd, data, len, 0) == 0);
}

static void expect_clip(const void *data, size_t len, int64_t clip_us, const char *want)
{
    int err;
    write_file("in.srt", data, len);
    base_autofree char *have = run_job("in.srt", true, clip_us, &err);
    CHECK_INT(err, 0);
    CHECK_STR(have, want);
}

static void expect(const char *file, const char *want)
{
    expect_clip(file, strlen(file), 0, want);
}

static void expect_error(const void *data, size_t len, int want)
{
    int err;
    write_file("in.srt", data, len);
    base_autofree char *have = run_job("in.srt", true, 0, &err);
    CHECK_INT(err, want);
}

#define ONE_CUE(text) "1\n00:00:01,000 --> 00:00:02,000\n" text "\n\n"

static void test_encodings(void)
{
    static const char utf16le[] = "1\0\n\0"
                                  "0\0:\0"
                                  "1\0.\0"
                                  "0\0-\0-\0>\0"
                                  "0\0:\0"
                                  "2\0\n\0\x60\x4f\x7d\x59\x3d\xd8\x00\xde\n\0";
    char swapped[sizeof utf16le + 1] = "\xfe\xff", marked[sizeof utf16le + 1] = "\xff\xfe";
    size_t len = sizeof utf16le - 1;
    for (size_t i = 0; i < len; i++) {
        swapped[2 + (i ^ 1)] = utf16le[i];
        marked[2 + i] = utf16le[i];
    }
    const char *want = ONE_CUE("\xe4\xbd\xa0\xe5\xa5\xbd\xf0\x9f\x98\x80");
    expect_clip(utf16le, len, 0, want);
    expect_clip(swapped, len + 2, 0, want);
    expect_clip(swapped + 2, len, 0, want);
    expect_clip(marked, len + 2, 0, want);
    expect("\xef\xbb\xbf" ONE_CUE("caf\xc3\xa9"), ONE_CUE("caf\xc3\xa9"));
    expect(ONE_CUE("caf\xe9 \x93q\x94 \x80 \x81"),
           ONE_CUE("caf\xc3\xa9 \xe2\x80\x9cq\xe2\x80\x9d \xe2\x82\xac \xef\xbf\xbd"));
    expect(ONE_CUE("\xc3\xa9\xc3\xa8 \xff"), ONE_CUE("\xc3\xa9\xc3\xa8 \xef\xbf\xbd"));
    expect(ONE_CUE("a\x01\x7f"
                   "b\tc\xe2\x80\xa8"
                   "d\xc2\x85"
                   "e\x0b"
                   "f"),
           ONE_CUE("ab c\nd\ne\nf"));
}

static void test_untidy_srt(void)
{
    expect("1\r\n0:0:1.0 -> 00:00:02\r\nx\r\n", ONE_CUE("x"));
    expect("1\r00:00:01,000 --> 00:00:02,000 X1:3 Y1:4\rx\ry\r", ONE_CUE("x\ny"));
    expect("00:01,0-->00:02\nx", ONE_CUE("x"));
    expect("1 00:00:01,000 --> 00:00:02,000\nx", ONE_CUE("x"));
    const char *two = "1\n00:00:01,000 --> 00:00:02,000\nx\n\n2\n00:00:03,000 --> 00:00:04,000\ny\n\n";
    expect("00:00:01,000 --> 00:00:02,000\nx\n\n00:00:03,000 --> 00:00:04,000\ny", two);
    expect("1\n00:00:01,000 --> 00:00:02,000\nx\n2\n00:00:03,000 --> 00:00:04,000\ny", two);
    expect("1\n\n00:00:01,000 --> 00:00:02,000\n\nx\n\n2\n\n00:00:03,000 --> 00:00:04,000\n\ny\n", two);
    expect("9\n00:00:03,000 --> 00:00:04,000\ny\n\n9\n00:00:01,000 --> 00:00:02,000\nx\n", two);
    expect(ONE_CUE("a\n \n\nb"), ONE_CUE("a\nb"));
    expect(ONE_CUE("1984") "00:00:03,000 --> 00:00:04,000\ny\n",
           ONE_CUE("1984") "2\n00:00:03,000 --> 00:00:04,000\ny\n\n");
}

static void test_markup(void)
{
    expect(ONE_CUE("<I>a\n<b>b</i></b> c<u> </u>"), ONE_CUE("<i>a\n<b>b</b></i> c"));
    expect(ONE_CUE("{\\an8}<font color=\"#fff\">a</font> <3 {b} x<y>z"), ONE_CUE("a <3 {b} x<y>z"));
    expect(ONE_CUE("a --> b ---> c"), ONE_CUE("a -> b -> c"));
    expect(ONE_CUE("<i></i>") "2\n00:00:03,000 --> 00:00:04,000\n{\\an8} \n", "");
    expect("WEBVTT\n\nNOTE\n a\n\nSTYLE\n::cue { x }\n\nREGION\nid:a\n\nname\n00:01.000 --> 00:02.000 "
           "align:start\n"
           "<v.loud Bob>a &amp; <c.x>b</c><00:01.500> &lt;i&gt;&#233;&nbsp;</v>\n\nNOTE end\n",
           ONE_CUE("a & b <i>\xc3\xa9"));
    expect("WEBVTT\r\n\r\n1\r\n00:01.000 --> 00:02.000\r\nx\r\n", ONE_CUE("x"));
    expect("[Script Info]\n[Events]\nFormat: Start, End, Style, Text\nComment: 0:00:00.00,0:00:01.00,D,no\n"
           "Dialogue: 0:00:01.00,0:00:02.00,D,{\\an8\\i1\\blur2}a{\\i0}\\Nb, \\{c\\h{\\p1}m 0 0{\\p0}\n",
           ONE_CUE("<i>a</i>\nb, {c"));
}

static void test_clamping(void)
{
    static const char file[] =
        "1\n-00:00:01,000 --> 00:00:00,500\na\n\n2\n00:00:01,000 --> 00:00:09,000\nb\n\n"
        "3\n00:00:05,000 --> 00:00:06,000\nc\n\n4\n00:00:02,000 --> 00:00:02,000\nd\n\n"
        "5\n-00:00:02,000 --> 00:00:00,000\ne\n";
    expect_clip(file, strlen(file), 5000999,
                "1\n00:00:00,000 --> 00:00:00,500\na\n\n2\n00:00:01,000 --> 00:00:05,000\nb\n\n");
    expect_clip(file, strlen(file), 500000, "1\n00:00:00,000 --> 00:00:00,500\na\n\n");
}

static void test_no_subtitles(void)
{
    uint8_t noise[5000];
    uint32_t state = 1;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)next_random(&state);
    expect_error(noise, sizeof noise, -EIO);
    expect_error("no times here\n", 14, -EIO);
    expect("", "");
    expect(" \r\n\n", "");
    expect("WEBVTT\n", "");
    expect("[Script Info]\n", "");
    char path[256];
    write_file("huge.srt", "1", 1);
    CHECK_INT(truncate(in_folder("huge.srt", path), (16 << 20) + 1), 0);
    int err;
    free(run_job("huge.srt", true, 0, &err));
    CHECK_INT(err, -EFBIG);
}

/* Hostile texts: nothing to compare, but sanitizers and the test's time limit look on. */
static void test_hostile(void)
{
    static const char *const seeds[] = {
        "1\n00:00:01,000 --> 00:00:02,000\n<i>{\\i1}a\\N&amp;</i>\xc3\xa9\n\n",
        "WEBVTT\n\n00:01.000 --> 00:02.000\n<v B>&#65;x</v>\n\n",
        "[Script Info]\n[Events]\nFormat: Start, End, Text\nDialogue: 0:00:01.00,0:00:02.00,{\\b1}x\\N\\{\n",
    };
    uint32_t state = 7;
    for (int round = 0; round < 600; round++) {
        char text[256];
        size_t len = strlen(seeds[round % 3]);
        memcpy(text, seeds[round % 3], len);
        for (int i = 0; i < 4; i++)
            text[next_random(&state) % len] = (char)next_random(&state);
        int err;
        write_file("in.srt", text, round % 5 ? len : next_random(&state) % len);
        base_autofree char *have = run_job("in.srt", true, 1500000, &err);
        CHECK(err == 0 || err == -EIO);
        uint32_t code;
        for (const char *at = have; at && *at;) {
            size_t n = dec_utf8_read((const uint8_t *)at, strlen(at), &code);
            if (!CHECK(n > 0))
                break;
            at += n;
        }
    }
    size_t large = 4 << 20;
    base_autofree char *braces = malloc(large);
    if (CHECK(braces)) {
        memset(braces, '{', large);
        memcpy(braces, "0:1-->0:2\n", 10);
        int err;
        write_file("in.srt", braces, large);
        free(run_job("in.srt", true, 0, &err));
        CHECK_INT(err, 0);
    }
}

/* Each container's own kind of text gives what `ffmpeg -i IN out.srt` writes. */
static void test_embedded(void)
{
    static const char *const made[] = {"mov_text mp4", "subrip mkv", "webvtt webm", "ass mkv", "text mkv"};
    write_file("t.srt",
               "1\n00:00:00,200 --> 00:00:00,900\nfirst, one\n\n2\n00:00:01,100 --> "
               "00:00:01,700\nna\xc3\xafve\ntwo\n",
               83);
    for (size_t i = 0; i < BASE_ARRAY_LEN(made); i++) {
        char codec[16], ext[8], name[32], path[256], truth[256];
        CHECK_INT(sscanf(made[i], "%15s %7s", codec, ext), 2);
        (void)snprintf(name, sizeof name, "%s.%s", codec, ext);
        bool webm = strcmp(ext, "webm") == 0;
        CHECK_INT(
            shell("cd %s && ffmpeg -v error -y -f lavfi -i testsrc=s=64x64:r=10:d=2 -itsoffset 0.3 -i t.srt "
                  "-c:v %s -c:s %s -output_ts_offset 4 %s && ffmpeg -v error -y -i %s truth.srt",
                  folder, webm ? "libvpx" : "mpeg4", codec, name, name),
            0);
        int err;
        size_t len;
        base_autofree char *have = run_job(name, false, 0, &err), *want = NULL;
        CHECK_INT(err, 0);
        CHECK_INT(base_read_file(in_folder("truth.srt", truth), 1 << 20, &want, &len), 0);
        CHECK_STR(have, want);
        CHECK(have && strlen(have) > 80);
        free(run_job(in_folder(name, path) + strlen(folder) + 1, false, 1000000, &err));
        CHECK_INT(err, 0);
    }
}

int main(void)
{
    av_log_set_level(AV_LOG_QUIET);
    if (!CHECK(mkdtemp(folder) != NULL))
        return check_result();
    CHECK_RUN(test_encodings);
    CHECK_RUN(test_untidy_srt);
    CHECK_RUN(test_markup);
    CHECK_RUN(test_clamping);
    CHECK_RUN(test_no_subtitles);
    CHECK_RUN(test_hostile);
    CHECK_RUN(test_embedded);
    (void)shell("rm -rf %s", folder);
    return check_result();
}
