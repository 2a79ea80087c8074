/* SPDX-License-Identifier: Apache-2.0 */
/* Which decoded frame each output frame shows: cases worked out by hand, and what must hold for any times.
 * Equality with ffmpeg's own command line is tested in tests/mount. */
#include "decoders/index.h"

#include "check.h"
#include <errno.h>
#include <stdlib.h>

static uint64_t random_state = 11;

static int64_t random_between(int64_t low, int64_t high)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return low + (int64_t)((random_state >> 11) % (uint64_t)(high - low + 1));
}

enum { MOST = 64 };

static struct dec_frame frames[MOST];

/* 25 frames/s in units of 1/1000 s; a frame that follows at its time lasts 40. */
static struct dec_index video(const int64_t *pts, uint32_t n)
{
    struct dec_index index = {
        .tb_num = 1,
        .tb_den = 1000,
        .rate_num = 25,
        .rate_den = 1,
        .width = 1,
        .height = 1,
        .n_frames = n,
        .frames = frames,
        .audio_stream = -1,
    };
    for (uint32_t i = 0; i < n; i++) {
        frames[i] = (struct dec_frame){pts[i], 40};
        if (pts[i] != DEC_NO_PTS && pts[i] < 1000000 && pts[i] > -1000000)
            index.end_us = (pts[i] + 40) * 1000;
    }
    return index;
}

static const struct dec_frames_spec cfr = {.timing = DEC_CFR}, passthrough = {.timing = DEC_PASSTHROUGH};

static void check_map(const struct dec_index *index, const struct dec_frames_spec *spec, const char *want,
                      int line)
{
    uint32_t *map = NULL, n = 0;
    char have[1024] = "";
    size_t len = 0;
    if (check_int(dec_timing_map(index, spec, &map, &n), 0, __FILE__, line))
        for (uint32_t i = 0; i < n && len < sizeof have - 12; i++)
            len += (size_t)snprintf(have + len, sizeof have - len, "%s%u", i ? " " : "", map[i]);
    check_str(have, want, __FILE__, line);
    free(map);
}

#define PTS(...) (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)
#define CHECK_MAP(index, spec, want) check_map(&(index), &(spec), want, __LINE__)

static void test_cfr(void)
{
    struct dec_index even = video(PTS(0, 40, 80, 120));
    CHECK_MAP(even, cfr, "0 1 2 3");
    /* Small jitter changes nothing. */
    struct dec_index jitter = video(PTS(0, 52, 71, 130));
    CHECK_MAP(jitter, cfr, "0 1 2 3");
    /* Two ticks are missing: ffmpeg repeats the frame before the gap for all but 0.6 of a tick, rounded, and
     * the one behind it for the rest. */
    struct dec_index gap = video(PTS(0, 40, 160, 200));
    CHECK_MAP(gap, cfr, "0 1 1 2 2 3");
    struct dec_index wide = video(PTS(0, 40, 240));
    CHECK_MAP(wide, cfr, "0 1 1 1 1 2 2");
    /* Twice the rate: every other one is dropped, once they lie 1.1 ticks behind. */
    struct dec_index fast = video(PTS(0, 20, 40, 60, 80, 100, 120, 140));
    uint32_t *map = NULL, n = 0;
    for (int i = 0; i < 8; i++)
        frames[i].duration = 20;
    CHECK_INT(dec_timing_map(&fast, &cfr, &map, &n), 0);
    CHECK(n >= 4 && n <= 6 && map[0] == 0);
    free(map);
}

static void test_start(void)
{
    /* Late: with other streams the gap is filled, alone it is not. */
    struct dec_index late = video(PTS(120, 160));
    CHECK_MAP(late, cfr, "0 0 0 0 1");
    late.only_stream = true;
    CHECK_MAP(late, cfr, "0 1");
    /* Times count from the file's start. */
    struct dec_index shifted = video(PTS(5000, 5040, 5080));
    shifted.start_pts = 5000;
    CHECK_MAP(shifted, cfr, "0 1 2");
    /* Before the start: what ends more than 1.1 ticks back is dropped. */
    struct dec_index early = video(PTS(-160, -120, -80, 0, 40));
    CHECK_MAP(early, cfr, "2 3 4");
}

static void test_no_times(void)
{
    struct dec_index index = video(PTS(0, DEC_NO_PTS, 80, 120));
    uint32_t *map = NULL, n = 0;
    /* It is not shown at its turn, but it may fill the gap that it leaves. */
    CHECK_INT(dec_timing_map(&index, &cfr, &map, &n), 0);
    CHECK_INT(n, 4);
    free(map);
    CHECK_MAP(index, passthrough, "0 1 2 3");
    struct dec_index none = video(PTS(DEC_NO_PTS, DEC_NO_PTS));
    CHECK_MAP(none, cfr, "");
}

static void test_fps(void)
{
    const struct dec_frames_spec ten = {.timing = DEC_FPS, .fps_num = 10, .fps_den = 1};
    const struct dec_frames_spec fifty = {.timing = DEC_FPS, .fps_num = 50, .fps_den = 1};
    /* Ticks 0, 1, 2 stand at 0, 100, 200 ms, frames go to the nearest: 0 40 | 80 120 | 160 200. The last of a
     * tick is shown. */
    struct dec_index even = video(PTS(0, 40, 80, 120, 160, 200));
    CHECK_MAP(even, ten, "1 3");
    struct dec_index two = video(PTS(0, 40));
    CHECK_MAP(two, fifty, "0 0 1 1");
    struct dec_index hole = video(PTS(0, DEC_NO_PTS, 200));
    CHECK_MAP(hole, ten, "0 0");
}

static void test_passthrough(void)
{
    struct dec_index odd = video(PTS(500, 40, 40, -1000));
    CHECK_MAP(odd, passthrough, "0 1 2 3");
    struct dec_index empty = video(NULL, 0);
    CHECK_MAP(empty, passthrough, "");
    CHECK_MAP(empty, cfr, "");
}

static void check_any(const struct dec_index *index, const struct dec_frames_spec *spec)
{
    uint32_t *map = NULL, n = 0;
    int err = dec_timing_map(index, spec, &map, &n);
    CHECK(err == 0 || err == -EFBIG);
    CHECK(n <= DEC_MAX_FRAMES);
    for (uint32_t i = 0; !err && i < n; i++)
        if (!CHECK(map[i] < index->n_frames && (i == 0 || map[i] >= map[i - 1])))
            break;
    free(map);
}

/* Whatever the times: an ascending map within the limits. */
static void test_any(void)
{
    for (int round = 0; round < 1000; round++) {
        int64_t pts[MOST];
        int64_t range = INT64_C(1) << random_between(1, round % 100 ? 18 : 60);
        uint32_t n = (uint32_t)random_between(1, 20);
        for (uint32_t i = 0; i < n; i++)
            pts[i] = random_between(0, 9) ? random_between(-range, range) : DEC_NO_PTS;
        struct dec_index index = video(pts, n);
        index.end_us = random_between(-range, range);
        index.start_pts = random_between(-range, range);
        index.only_stream = random_between(0, 1);
        index.rate_num = (int32_t)random_between(0, 2) * 30000;
        index.rate_den = index.rate_num ? 1001 : 0;
        if (random_between(0, 9) == 0)
            index.tb_den = (int32_t)random_between(1, INT32_MAX);
        if (random_between(0, 9) == 0)
            index.tb_num = (int32_t)random_between(1, INT32_MAX);
        for (uint32_t i = 0; i < n; i++)
            frames[i].duration = random_between(0, 3) ? 40 : random_between(0, range);
        const struct dec_frames_spec fps = {.timing = DEC_FPS,
                                            .fps_num = (int32_t)random_between(1, 60),
                                            .fps_den = (int32_t)random_between(1, 60)};
        check_any(&index, &cfr);
        check_any(&index, &passthrough);
        check_any(&index, &fps);
    }
}

/* Two frames so far apart that filling the time between them would never end. */
static void test_caps(void)
{
    const int64_t far = INT64_C(1) << 59;
    struct dec_index index = video(PTS(0, far, 2 * far));
    const struct dec_frames_spec fps = {.timing = DEC_FPS, .fps_num = 1000, .fps_den = 1};
    uint32_t *map = NULL, n = 0;
    CHECK_INT(dec_timing_map(&index, &fps, &map, &n), -EFBIG);
    struct dec_index late = video(PTS(far, 2 * far));
    CHECK_INT(dec_timing_map(&late, &fps, &map, &n), -EFBIG);
    /* A broken time, to ffmpeg: left out. */
    struct dec_index broken = video(PTS(0, far, 2 * far));
    CHECK_MAP(broken, cfr, "0");
}

/* What a spec samples of frames 0..n-1. */
static void check_sample(uint32_t n, uint32_t stride, uint32_t wanted, enum dec_sampling sampling,
                         const char *expected)
{
    struct dec_frames_spec spec = {.sampling = (uint8_t)sampling, .stride = stride, .n_sampled = wanted};
    uint32_t *map = calloc(n + 1, sizeof *map);
    char found[256] = "";
    for (uint32_t i = 0; i < n; i++)
        map[i] = i;
    CHECK_INT(dec_sample(&spec, &map, &n), 0);
    for (uint32_t i = 0; i < n; i++)
        (void)snprintf(found + strlen(found), sizeof found - strlen(found), "%s%u", i > 0 ? " " : "", map[i]);
    CHECK_STR(found, expected);
    free(map);
}

static void test_sample(void)
{
    check_sample(0, 3, 5, DEC_SPREAD, "");
    check_sample(5, 0, 0, DEC_SPREAD, "0 1 2 3 4");
    check_sample(5, 2, 0, DEC_CENTRE, "0 2 4");
    check_sample(5, 9, 0, DEC_SPREAD, "0");
    check_sample(10, 1, 4, DEC_SPREAD, "0 3 6 9");
    check_sample(10, 1, 1, DEC_SPREAD, "0");
    check_sample(3, 1, 5, DEC_SPREAD, "0 0 1 1 2");
    check_sample(10, 1, 4, DEC_CENTRE, "3 4 5 6");
    check_sample(3, 1, 5, DEC_CENTRE, "0 1 2 2 2");
    check_sample(20, 3, 3, DEC_CENTRE, "6 9 12");
    check_sample(20, 3, 3, DEC_SPREAD, "0 9 18");
}

/* Boxes of these frames, in a map of a spec. */
static void check_boxed(const struct dec_index *index, const struct dec_frames_spec *spec, const char *want)
{
    const struct base_box boxes[] = {{1, 0, 0, 1, 1}, {2, 0, 0, 1, 1}, {4, 0, 0, 1, 1}, {9, 0, 0, 1, 1}};
    uint32_t *map = NULL, *numbers = NULL, n = 0;
    char have[256] = "";
    CHECK_INT(dec_boxed_map(index, spec, boxes, BASE_ARRAY_LEN(boxes), &map, &numbers, &n), 0);
    for (uint32_t i = 0; numbers && i < n; i++)
        (void)snprintf(have + strlen(have), sizeof have - strlen(have), "%s%u:%u", i > 0 ? " " : "", map[i],
                       numbers[i]);
    CHECK_STR(have, want);
    free(map);
    free(numbers);
}

static void test_boxed(void)
{
    struct dec_index even = video(PTS(0, 40, 80, 120, 160, 200));
    struct dec_frames_spec spec = cfr;
    spec.boxed = DEC_BOXED;
    check_boxed(&even, &spec, "1:0 2:1 4:2");
    spec.from_us = 40000;
    spec.to_us = 240000;
    check_boxed(&even, &spec, "2:0 3:1 5:2"); /* counted from the cut on */
    spec.boxed = DEC_BOXED_WHOLE;
    check_boxed(&even, &spec, "1:0 2:1 4:2");
    spec.stride = 2;
    check_boxed(&even, &spec, "1:0 4:2");
    spec.from_us = 200000;
    check_boxed(&even, &spec, "");
    /* A frame that is shown several times has a box each time. */
    struct dec_index gap = video(PTS(0, 40, 240));
    spec = cfr;
    spec.boxed = DEC_BOXED;
    check_boxed(&gap, &spec, "1:0 1:1 1:2");
}

static void test_cuts(void)
{
    struct dec_index even = video(PTS(0, 40, 80, 120, 160, 200, 240, 280));
    struct dec_frames_spec spec = cfr;
    spec.from_us = 40000;
    spec.to_us = 160000;
    CHECK_MAP(even, spec, "1 2 3");
    spec.timing = DEC_PASSTHROUGH;
    CHECK_MAP(even, spec, "1 2 3");
    /* To the nearest frame, so that parts that touch share none and leave none out. */
    spec.from_us = 59999;
    spec.to_us = 100001;
    CHECK_MAP(even, spec, "1 2");
    spec.from_us = 100001;
    spec.to_us = 10000000;
    CHECK_MAP(even, spec, "3 4 5 6 7");
    spec.from_us = 400000;
    CHECK_MAP(even, spec, "");
    /* What is cut is sampled, then. */
    spec = (struct dec_frames_spec){.timing = DEC_CFR, .from_us = 80000, .to_us = 280000, .n_sampled = 3};
    CHECK_MAP(even, spec, "2 4 6");
    /* A repeated frame counts as often as it is shown. */
    struct dec_index gap = video(PTS(0, 40, 160, 200));
    spec = (struct dec_frames_spec){.timing = DEC_CFR, .from_us = 80000, .to_us = 200000};
    CHECK_MAP(gap, spec, "1 2 2");
    spec.timing = DEC_PASSTHROUGH;
    CHECK_MAP(gap, spec, "2");
    /* One without a time goes with that before it. */
    struct dec_index holes =
        video(PTS(DEC_NO_PTS, 0, DEC_NO_PTS, 80, DEC_NO_PTS, DEC_NO_PTS, 200, DEC_NO_PTS));
    CHECK_MAP(holes, spec, "3 4 5");
    spec.to_us = 80000;
    spec.from_us = 0;
    CHECK_MAP(holes, spec, "0 1 2");
    spec.to_us = 300000;
    CHECK_MAP(holes, spec, "0 1 2 3 4 5 6 7");
}

static void check_count(const struct dec_index *index, const struct dec_frames_spec *spec, uint32_t want)
{
    uint32_t *map = NULL, n = want + 1;
    CHECK_INT(dec_timing_map(index, spec, &map, &n), 0);
    CHECK_INT(n, want);
    free(map);
}

/* Each frame is looked at a few times: were it once for each other one, this would not end. */
static void test_many_without_times(void)
{
    enum { N = 3000000 };
    struct dec_frame *many = calloc(N, sizeof *many);
    for (uint32_t i = 0; many && i < N; i++)
        many[i].pts = DEC_NO_PTS;
    struct dec_index index = video(NULL, 0);
    struct dec_frames_spec spec = {.timing = DEC_PASSTHROUGH, .from_us = 1000000, .to_us = 2000000};
    index.frames = many;
    index.n_frames = many ? N : 0;
    if (!CHECK(many))
        return;
    check_count(&index, &spec, 0);
    spec.from_us = 0;
    check_count(&index, &spec, N);
    many[0].pts = 5000;
    check_count(&index, &spec, 0);
    free(many);
}

int main(void)
{
    CHECK_RUN(test_cfr);
    CHECK_RUN(test_start);
    CHECK_RUN(test_no_times);
    CHECK_RUN(test_fps);
    CHECK_RUN(test_passthrough);
    CHECK_RUN(test_any);
    CHECK_RUN(test_caps);
    CHECK_RUN(test_sample);
    CHECK_RUN(test_cuts);
    CHECK_RUN(test_many_without_times);
    CHECK_RUN(test_boxed);
    return check_result();
}
