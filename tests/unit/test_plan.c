/* SPDX-License-Identifier: Apache-2.0 */
/* How frames are cut into segments, and what is made for a read. */
#include "cache/private.h"

#include "check.h"
#include <stdlib.h>

static uint64_t random_state = 7;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

/* Segments begin at 0, ascend, none is longer than max; one ends early only at a keyframe, and not before a
 * quarter. */
static void check_starts(const struct dec_index *index, const uint32_t *map, uint32_t n, uint32_t max_frames)
{
    uint32_t *starts = NULL, n_starts = 0;
    if (!CHECK_INT(plan_starts(index, map, n, max_frames, &starts, &n_starts), 0))
        return;
    CHECK(n_starts > 0 && starts[0] == 0);
    for (uint32_t i = 0; i < n_starts; i++) {
        uint32_t end = i + 1 < n_starts ? starts[i + 1] : n;
        CHECK(end > starts[i] && end - starts[i] <= max_frames);
        if (end == n || end - starts[i] == max_frames)
            continue;
        bool at_key = false;
        for (uint32_t k = 0; k < index->n_keys; k++)
            at_key = at_key || index->keys[k].frame == map[end];
        CHECK(at_key && map[end] != map[end - 1] && (end - starts[i]) * 4 >= max_frames);
    }
    struct clip_view v = {.n_frames = n, .starts = starts, .n_starts = n_starts};
    for (uint32_t frame = 0, segment = 0; frame < n; frame++) {
        uint32_t first, last;
        segment += segment + 1 < n_starts && starts[segment + 1] == frame;
        plan_segment(&v, frame, &first, &last);
        CHECK_INT(first, starts[segment]);
        CHECK_INT(last, (segment + 1 < n_starts ? starts[segment + 1] : n) - 1);
    }
    free(starts);
}

static void test_cover(void)
{
    struct dec_key keys[400];
    uint32_t map[1200];
    for (int round = 0; round < 300; round++) {
        struct dec_index index = {.n_frames = 1 + random_below(400), .keys = keys};
        uint32_t spacing = 1 + random_below(60), n = 0;
        for (uint32_t f = random_below(5); f < index.n_frames; f += 1 + random_below(spacing))
            keys[index.n_keys++] = (struct dec_key){.frame = f};
        for (uint32_t f = 0; f < index.n_frames; f++)
            for (uint32_t repeat = random_below(3); repeat > 0; repeat--)
                map[n++] = f;
        if (n > 0)
            check_starts(&index, map, n, 1 + random_below(40));
    }
}

static void test_no_frames(void)
{
    struct dec_index index = {0};
    uint32_t *starts = NULL, n_starts = 1;
    CHECK_INT(plan_starts(&index, NULL, 0, 32, &starts, &n_starts), 0);
    CHECK_INT(n_starts, 0);
    free(starts);
}

static void test_keyframe_rule(void)
{
    struct dec_key keys[] = {{.frame = 0}, {.frame = 5}, {.frame = 12}, {.frame = 24}, {.frame = 36}};
    struct dec_index index = {.n_frames = 60, .keys = keys, .n_keys = BASE_ARRAY_LEN(keys)};
    uint32_t map[60], *starts, n_starts;
    for (uint32_t i = 0; i < 60; i++)
        map[i] = i;
    CHECK_INT(plan_starts(&index, map, 60, 32, &starts, &n_starts), 0);
    /* 5 is less than a quarter of 32 in; 36..60 has no keyframe and fits. */
    const uint32_t want[] = {0, 12, 24, 36};
    if (CHECK_INT(n_starts, BASE_ARRAY_LEN(want)))
        CHECK(memcmp(starts, want, sizeof want) == 0);
    free(starts);
}

/* Reads a frame, one reader, each after the last: whether the segment is made for it, and whether the next
 * one is begun. */
static void check_read(struct clip_view *v, uint32_t frame, bool whole, bool ahead)
{
    bool begins = false;
    plan_asked_locked(v, frame, 0);
    CHECK_INT(plan_read_locked(v, frame, &begins), whole ? 0 : frame + 1);
    CHECK_INT(begins, ahead);
    (void)plan_answered_locked(v, frame);
}

static struct clip_view new_view(uint32_t *starts, uint32_t n_starts, uint32_t n)
{
    return (struct clip_view){.n_frames = n,
                              .starts = starts,
                              .n_starts = n_starts,
                              .last_asked = UINT32_MAX - 1,
                              .last_answered = UINT32_MAX - 1};
}

static void test_access_pattern(void)
{
    uint32_t starts[] = {0, 10, 20};
    struct clip_view v = new_view(starts, 3, 30);
    check_read(&v, 15, false, false); /* a lone read pays for its own frame */
    check_read(&v, 15, false, false); /* also when it comes again */
    check_read(&v, 3, false, false);
    check_read(&v, 25, false, false);
    check_read(&v, 22, true, false); /* again in one segment: all of it */
    check_read(&v, 4, false, false);
    check_read(&v, 5, true, false); /* goes on where the last one was */
    check_read(&v, 6, true, true);  /* and on: the next as well */
    check_read(&v, 20, false, false);
    check_read(&v, 0, false, false); /* a run from the beginning is believed earlier */
    check_read(&v, 1, true, true);
}

/* A run that finds all kept begins the next segment once, and then each time that it enters one. */
static void test_kept_run(void)
{
    uint32_t starts[] = {0, 10, 20};
    struct clip_view v = new_view(starts, 3, 30);
    for (uint32_t frame = 3; frame < 30; frame++) {
        plan_asked_locked(&v, frame, 1);
        CHECK_INT(plan_answered_locked(&v, frame), frame == 5 || frame == 10 || frame == 20);
        CHECK(!plan_answered_locked(&v, frame)); /* another part of the same file */
    }
}

/* Reads of kept segments, whoever's, want the segments behind; those that come from elsewhere do not. */
static void test_kept_segments(void)
{
    uint32_t starts[] = {0, 10, 20};
    struct clip_view v = new_view(starts, 3, 30);
    const struct {
        uint32_t frame;
        bool goes_on;
    } reads[] = {{1, true},  {0, false},  {9, false},  {11, true},  {8, false},
                 {10, true}, {13, false}, {20, true},  {5, false},  {22, false},
                 {3, true},  {19, false}, {25, false}, {29, false}, {2, true}};
    for (size_t i = 0; i < BASE_ARRAY_LEN(reads); i++)
        if (!CHECK(plan_kept_locked(&v, reads[i].frame) == reads[i].goes_on))
            (void)fprintf(stderr, "read %zu\n", i);
}

/* Steps forward are a reader's own matter: each read pays for its own frame; steps of several, or back, are
 * not. */
static void test_strides(void)
{
    uint32_t starts[] = {0, 20};
    struct clip_view v = new_view(starts, 2, 40);
    const struct {
        uint32_t frame;
        uint64_t reader;
        bool whole;
    } reads[] = {{2, 7, false}, {6, 7, false},  {17, 7, false}, {23, 7, false}, {26, 7, true}, /* too short */
                 {30, 8, true},                                                                /* another */
                 {3, 8, false}, {12, 8, false}, {5, 8, true}};                                 /* back */
    for (size_t i = 0; i < BASE_ARRAY_LEN(reads); i++) {
        bool ahead;
        plan_asked_locked(&v, reads[i].frame, reads[i].reader);
        CHECK_INT(plan_read_locked(&v, reads[i].frame, &ahead), reads[i].whole ? 0 : reads[i].frame + 1);
        (void)plan_answered_locked(&v, reads[i].frame);
    }
}

/* Two steps that are equal but for rounding tell of a third. */
static void test_onward(void)
{
    uint32_t starts[] = {0};
    struct clip_view v = new_view(starts, 1, 250);
    const struct {
        uint32_t frame;
        uint64_t reader;
        uint32_t onward;
    } reads[] = {{7, 1, 0},    {23, 1, 0},  {39, 1, 8},  {54, 1, 7},   {70, 1, 7}, {90, 1, 0},
                 {110, 1, 10}, {130, 2, 0}, {150, 2, 0}, {170, 2, 10}, {60, 2, 0}};
    for (size_t i = 0; i < BASE_ARRAY_LEN(reads); i++) {
        plan_asked_locked(&v, reads[i].frame, reads[i].reader);
        CHECK_INT(v.onward, reads[i].onward);
        (void)plan_answered_locked(&v, reads[i].frame);
    }
}

/* Readers at the same time are no run, however their frames follow one another. */
static void test_crowd(void)
{
    uint32_t starts[] = {0, 10, 20};
    struct clip_view v = new_view(starts, 3, 30);
    for (uint32_t frame = 0; frame < 30; frame++)
        plan_asked_locked(&v, frame, 1);
    for (uint32_t frame = 0; frame < 30; frame++)
        CHECK(!plan_answered_locked(&v, frame));
}

/* One visit to a row of an array, and what is made if it is missing. */
static void check_rows(struct clip_view *v, uint32_t first, uint32_t last, uint32_t row, bool whole)
{
    plan_rows_asked_locked(v, first, last, 1, false);
    CHECK_INT(plan_rows_locked(v, row), whole);
}

static void test_rows(void)
{
    uint32_t starts[] = {0, 20}, first, last;
    struct clip_view v = new_view(starts, 2, 40);
    v.beside = 1;
    v.at_once = 3;
    plan_lone_row(&v, 20, &first, &last);
    CHECK(first == 20 && last == 21); /* within its segment */
    plan_lone_row(&v, 7, &first, &last);
    CHECK(first == 6 && last == 8);
    check_rows(&v, 6, 7, 7, false); /* its neighbours come with it: no run yet */
    check_rows(&v, 7, 8, 8, false);
    check_rows(&v, 31, 31, 31, false); /* elsewhere */
    check_rows(&v, 3, 3, 3, false);    /* and back in a segment whose lone row is forgotten */
    check_rows(&v, 12, 12, 12, false); /* a step forward */
    check_rows(&v, 5, 5, 5, true);     /* again in one segment */
    v = new_view(starts, 2, 40);
    v.beside = 1;
    v.at_once = 3;
    for (uint32_t row = 20; row < 26; row++)
        check_rows(&v, row, row, row, row >= 24); /* a run */
    check_rows(&v, 0, 0, 0, false);
    check_rows(&v, 0, 1, 1, false);
    check_rows(&v, 1, 2, 2, true); /* from the beginning it is believed earlier */
    v = new_view(starts, 2, 40);
    v.beside = 1;
    v.at_once = 3;
    for (uint32_t row = 0; row < 8; row++)
        check_rows(&v, row, row, row, row >= 2);
    check_rows(&v, 10, 10, 10, true); /* still the run, whose pieces come in any order */
    check_rows(&v, 8, 9, 8, true);
    check_rows(&v, 11, 12, 11, true);
    check_rows(&v, 36, 36, 36, false); /* too far off for that */
    v = new_view(starts, 2, 40);
    v.beside = 1;
    plan_rows_asked_locked(&v, 3, 3, 1, true);
    CHECK(!plan_rows_locked(&v, 3)); /* who reads arrays through, but not this one */
    plan_rows_asked_locked(&v, 0, 0, 1, true);
    CHECK(plan_rows_locked(&v, 0));
    v = new_view(starts, 2, 40);
    check_rows(&v, 30, 30, 30, true); /* rows that are small are not made alone */
}

int main(void)
{
    CHECK_RUN(test_cover);
    CHECK_RUN(test_no_frames);
    CHECK_RUN(test_keyframe_rule);
    CHECK_RUN(test_access_pattern);
    CHECK_RUN(test_kept_run);
    CHECK_RUN(test_kept_segments);
    CHECK_RUN(test_strides);
    CHECK_RUN(test_onward);
    CHECK_RUN(test_crowd);
    CHECK_RUN(test_rows);
    return check_result();
}
