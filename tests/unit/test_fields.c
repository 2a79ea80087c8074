/* SPDX-License-Identifier: Apache-2.0 */
/* Fields that are made of others: each kind of rule, in turn and together, and what it leaves out. */
#include "tests/unit/check.h"
#include "tests/unit/corpus.h"

static struct cfg *config;
static struct cfg_clips *clips;
static size_t problems;

/* Scans root/ with a source and these fields, and views named `x/...` of that template; the lines are in
 * corpus_said. */
static void scan(const char *match, const char *fields, const char *path)
{
    char text[8192];
    (void)snprintf(text, sizeof text,
                   "root: root\nsources:\n  - videos: '**'\n    match: '%s'\nfields:\n%sviews:\n"
                   "  - path: '%s'\n    text: x\n",
                   match, fields, path);
    CHECK_INT(corpus_load(text, &config), 0);
    CHECK_STR(corpus_said, "");
    if (config)
        CHECK_INT(cfg_scan(config, NULL, NULL, corpus_report, NULL, &clips, &problems), 0);
}

static void scan_end(void)
{
    cfg_clips_destroy(clips);
    cfg_destroy(config);
    clips = NULL;
    config = NULL;
    corpus_empty();
}

/* The view's paths, each with a newline, in the order of the clips. */
static const char *paths(void)
{
    static char text[4096];
    struct base_bytes out = {0};
    for (size_t i = 0; clips && i < clips->n; i++) {
        cfg_expand(cfg_view(config, 0)->path, clips, &clips->clips[i], 0, 0, &out);
        base_bytes_append(&out, "\n", 1);
    }
    (void)snprintf(text, sizeof text, "%.*s", (int)out.len, out.data ? (const char *)out.data : "");
    base_bytes_finish(&out);
    return text;
}

#define NAME "(?<name>[^/]+)[.]mp4"

static void test_values(void)
{
    corpus_touch("root/Ab_7.mp4");
    corpus_touch("root/cd_012.mp4");
    scan(NAME,
         "  none: { of: name, match: 'none', default: '' }\n"
         "  both: { when: { none: '^$' }, set: '<{name}>{none}' }\n  part: { of: name, match: '^[a-z]+' }\n"
         "  n: { of: name, match: '_(?:0|([1-9]))' , default: 5}\n"
         "  digits: { of: name, match: '_([0-9]+)' }\n",
         "x/{both}_{n}_{digits:05d}_{digits:d}");
    CHECK_STR(paths(), "x/<Ab_7>_7_00007_7\nx/<cd_012>_5_00012_12\n");
    CHECK_STR(corpus_said, "");
    CHECK_INT(problems, 0);
    scan_end();
}

static void test_case(void)
{
    corpus_touch("root/o'NEIL aNGER-\xc3\x89t\xc3\xa9 x2y.mp4");
    scan(NAME,
         "  low: { of: name, case: lower }\n  up: { of: name, case: upper }\n  title: { of: name, case: "
         "title }\n"
         "  name: { case: lower, match: '(\\S+)$' }\n",
         "{low}|{up}|{title}|{name}");
    CHECK_STR(paths(), "o'neil anger-\xc3\x89t\xc3\xa9 x2y|O'NEIL ANGER-\xc3\x89T\xc3\xa9 X2Y|"
                       "O'neil Anger-\xc3\x89t\xc3\xa9 X2y|x2y\n");
    scan_end();
}

static void test_map(void)
{
    const char *const names[] = {"ang_1", "ang_2", "hap_1", "xxx_1", "xxx_2", "fru_1", "odd_1", "odd_2"};
    char path[64];
    for (size_t i = 0; i < BASE_ARRAY_LEN(names); i++) {
        (void)snprintf(path, sizeof path, "root/%s.mp4", names[i]);
        corpus_touch(path);
    }
    scan(NAME,
         "  label: { of: name, match: '^[a-z]+', map: { hap: Happy, ang: Anger, xxx: ~, fru: Other } }\n"
         "  number: { of: label, index: [Happy, Anger], base: 1 }\n",
         "{label}/{name}_{number:02d}");
    CHECK_STR(paths(), "Anger/ang_1_02\nAnger/ang_2_02\nHappy/hap_1_01\n");
    CHECK_STR(
        corpus_said,
        "c.yaml:6:10: the clip odd_1.mp4 gives {label} \"odd\", which its \"map\" does not know: left out "
        "(and 1 more)\n"
        "c.yaml:6:10: note: {label} leaves out 2 clips, as was wished; the first is xxx_1.mp4\n"
        "c.yaml:7:11: the clip fru_1.mp4 gives {number} \"Other\", which its \"index\" does not know: left "
        "out\n");
    CHECK_INT(problems, 2);
    scan_end();

    corpus_touch("root/ang_1.mp4");
    corpus_touch("root/odd_1.mp4");
    scan(NAME, "  label: { of: name, match: '^[a-z]+', map: { ang: Anger }, default: Other }\n", "{label}");
    CHECK_STR(paths(), "Anger\nOther\n");
    CHECK_INT(problems, 0);
    scan_end();

    corpus_touch("root/ang_1.mp4");
    corpus_touch("root/1.mp4");
    scan(NAME, "  label: { of: name, match: '^[a-z]+', default: ~ }\n", "{label}");
    CHECK_STR(paths(), "ang\n");
    CHECK_INT(problems, 0);
    scan_end();
}

/* Too many values that a map does not know are told together. */
static void test_many_unknown(void)
{
    char path[64];
    for (int i = 0; i < 300; i++) {
        (void)snprintf(path, sizeof path, "root/%03d.mp4", i);
        corpus_touch(path);
    }
    scan(NAME, "  label: { of: name, map: { a: b } }\n", "{label}");
    CHECK_STR(paths(), "");
    CHECK_INT(problems, 101);
    CHECK(strstr(corpus_said,
                 "the clip 100.mp4 gives {label} yet another value, which its \"map\" does not know: "
                 "left out (and 199 more)\n") != NULL);
    scan_end();
}

/* Places among the values that the clips have, of those that are still there, from `base` on. */
static void test_sorted(void)
{
    corpus_touch("root/b_1.mp4");
    corpus_touch("root/a_1.mp4");
    corpus_touch("root/d_1.mp4");
    corpus_touch("root/c_1.mp4");
    corpus_touch("root/b_2.mp4");
    corpus_touch("root/1.mp4");
    scan(NAME,
         "  label: [{ when: { name: '^1' }, set: z }, { of: name, match: '^[a-z]', map: { a: x, b: b, c: ~, "
         "d: d "
         "} }]\n"
         "  place: { of: label, match: '[^z]', index: sorted, base: 1, default: 0 }\n"
         "  again: { of: place, map: { 0: zero, 1: one, 2: two, 3: three } }\n",
         "{label}/{name}_{place}_{again}");
    CHECK_STR(paths(), "z/1_0_zero\nx/a_1_3_three\nb/b_1_1_one\nb/b_2_1_one\nd/d_1_2_two\n");
    CHECK_INT(problems, 0);
    scan_end();
}

/* As in IEMOCAP: who speaks sits at the left if the dialogue's name says so. */
static void test_when(void)
{
    corpus_touch("root/Ses01F_impro01_F012.mp4");
    corpus_touch("root/Ses01F_impro01_M003.mp4");
    corpus_touch("root/Ses02M_script01_2_M001.mp4");
    corpus_touch("root/other.mp4");
    scan(NAME,
         "  side:\n    - { when: { name: '^Ses..(.).*_\\1\\d+$' }, set: left }\n"
         "    - { when: { name: '^Ses(?<session>\\d+)' }, set: right }\n"
         "  where: [ { when: { side: right, session: '^01$' }, set: '{side}{session}' }, { set: '-' } ]\n",
         "{name}/{side}/{where}");
    CHECK_STR(paths(), "Ses01F_impro01_F012/left/-\nSes01F_impro01_M003/right/right01\n"
                       "Ses02M_script01_2_M001/left/-\n");
    CHECK_STR(corpus_said, "c.yaml:11:5: the clip other.mp4 has no field {side}: left out\n");
    scan_end();
}

static void test_numbers(void)
{
    corpus_touch("root/12.mp4");
    corpus_touch("root/-3.mp4");
    corpus_touch("root/1.5.mp4");
    corpus_touch("root/9999999999999999999.mp4");
    scan("^(?<name>.*)[.]mp4", "  n: { set: '{name:03d}', default: none }\n", "{n}/{name:d}");
    CHECK_STR(paths(), "-03/-3\n012/12\n");
    CHECK_STR(
        corpus_said,
        "c.yaml:8:5: the clip 1.5.mp4 has a field {name} that is no whole number: left out (and 1 more)\n");
    scan_end();
}

static void test_crops(void)
{
    corpus_touch("root/left_.mp4");
    corpus_touch("root/20-20-1-2.mp4");
    corpus_touch("root/nonsense.mp4");
    CHECK_INT(corpus_load("root: root\nsources: [{videos: '*'}]\nfields:\n"
                          "  box: [{when: {clip: '^(?<w>\\d+)-(?<h>\\d+)-(?<x>\\d+)-(?<y>\\d+)$'}, set: "
                          "'{w}:{h}:{x}:{y}'},\n        {of: clip, match: '[a-z]+'}]\nviews:\n"
                          "  - {path: 'a/{clip}', text: x}\n"
                          "  - {path: 'f/{clip}/{frame:06d}.jpg', frames: {crop: '{box}'}}\n",
                          &config),
              0);
    CHECK_STR(corpus_said, "");
    if (CHECK(config != NULL))
        CHECK_INT(cfg_scan(config, NULL, NULL, corpus_report, NULL, &clips, &problems), 0);
    CHECK_STR(paths(), "a/20-20-1-2\na/left_\n");
    CHECK_STR(corpus_said,
              "c.yaml:8:5: the clip nonsense.mp4 has a crop that is not left, right or W:H:X:Y: left "
              "out\n");
    if (CHECK(clips && clips->n == 2)) {
        CHECK_STR(clips->clips[0].crops[1], "20:20:1:2");
        CHECK_STR(clips->clips[1].crops[1], "left");
    }
    scan_end();
}

int main(void)
{
    corpus_make();
    CHECK_RUN(test_values);
    CHECK_RUN(test_case);
    CHECK_RUN(test_map);
    CHECK_RUN(test_sorted);
    CHECK_RUN(test_many_unknown);
    CHECK_RUN(test_when);
    CHECK_RUN(test_numbers);
    CHECK_RUN(test_crops);
    corpus_remove();
    return check_result();
}
