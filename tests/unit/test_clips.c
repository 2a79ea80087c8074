/* SPDX-License-Identifier: Apache-2.0 */
/* From files below a root to clips and paths: patterns, fields, sidecars, clips that cannot stand in the
 * tree. */
#include "mountcfg/matching.h"
#include "tests/unit/check.h"
#include "tests/unit/corpus.h"

#define CLASS_CLIP "    match: '^(?<class>[^/]+)/(?<clip>[^/]+)[.][^.]+$'\n"

/* ---- Patterns ---- */

static const struct {
    const char *pattern, *path;
    bool matches;
} globs[] = {
    {"a.mp4", "a.mp4", true},
    {"a.mp4", "b.mp4", false},
    {"*.mp4", "a.mp4", true},
    {"*.mp4", "d/a.mp4", false},
    {"*.mp4", "a.mp4x", false},
    {"*.mp4", ".mp4", true},
    {"*.mp4", "a.MP4", true},   /* case does not matter behind the last dot, */
    {"a*.mp4", "A.mp4", false}, /* but before it, */
    {"d.x/*", "d.X/a", false},  /* and in other names */
    {"*.m[p]4", "a.MP4", true},
    {"*.[!m]4", "a.M4", true}, /* as without regard to case: M is not m */
    {"a[.]mp4", "a.mp4", true},
    {"a[.]mp4", "a.MP4", false}, /* a dot in a class is not the last dot */
    {"?.mp4", "a.mp4", true},
    {"?.mp4", "\xc3\xa9.mp4", true},
    {"?.mp4", "\xff.mp4", true},
    {"??.mp4", "\xc3\xa9.mp4", false},
    {"*??.mp4", "\xe2\x82\xac.mp4", false},
    {"[\xc3\xa0-\xc3\xbf].mp4", "\xc3\xa9.mp4", true},
    {"[\xc3\xa0-\xc3\xbf].mp4", "e.mp4", false},
    {"[!a].mp4", "b.mp4", true},
    {"[!a].mp4", "a.mp4", false},
    {"[^a].mp4", "a.mp4", false},
    {"[]a].mp4", "].mp4", true},
    {"[a-]b", "-b", true},
    {"[a-c]", "b", true},
    {"[a-c]", "d", false},
    {"\\*.mp4", "*.mp4", true},
    {"\\*.mp4", "a.mp4", false},
    {"a\\{b\\}", "a{b}", true},
    {"*a*b*c", "xaxbxbxc", true},
    {"*a*b*c", "xaxbxbx", false},
    {"a*", "a", true},
    {"{a,b}.mp4", "b.mp4", true},
    {"{a,b}.mp4", "c.mp4", false},
    {"*.{mp4,avi}", "x.AVI", true},
    {"{a,b{c,d}}e", "bde", true},
    {"{a,b{c,d}}e", "be", false},
    {"{,x}y", "y", true},
    {"{,x}y", "xy", true},
    {"{[,],b}", ",", true},
    {"s{000..012}.mp4", "s007.mp4", true},
    {"s{000..012}.mp4", "s7.mp4", false},
    {"s{000..012}.mp4", "s013.mp4", false},
    {"s{8..11}", "s10", true},
    {"s{11..8}", "s9", true},
    {"s{08..11}", "s08", true},
    {"{a,b}/{1..3}", "b/2", true},
    {"**/*.mp4", "a.mp4", true},
    {"**/*.mp4", "d/e/f/a.mp4", true},
    {"d/**/a.mp4", "d/a.mp4", true},
    {"d/**/a.mp4", "d/e/f/a.mp4", true},
    {"d/**/a.mp4", "e/a.mp4", false},
    {"d/**", "d/a", true},
    {"d/**", "d/e/a", true},
    {"d/**", "d", false},
    {"**", "a", true},
    {"**/d/**/a", "x/d/d/y/a", true},
    {"**/d/**/a", "x/e/y/a", false},
    {"*/*.mp4", "d/e/a.mp4", false},
    {"a**b", "axxb", true},
    {"a**b", "ax/xb", false},
};

static void test_globs(void)
{
    for (size_t i = 0; i < BASE_ARRAY_LEN(globs); i++) {
        struct cfg_glob *g = NULL;
        struct base_reason why = {""};
        if (!CHECK_INT(cfg_glob_compile(globs[i].pattern, &g, &why), 0))
            continue;
        if (!CHECK_INT(cfg_glob_match(g, globs[i].path, strlen(globs[i].path)), globs[i].matches))
            (void)fprintf(stderr, "    %s on %s\n", globs[i].pattern, globs[i].path);
        cfg_glob_destroy(g);
    }
}

static bool may_enter(const char *pattern, const char *dir)
{
    struct cfg_glob *g = NULL;
    CHECK_INT(cfg_glob_compile(pattern, &g, NULL), 0);
    bool may = cfg_glob_may_enter(g, dir, strlen(dir));
    cfg_glob_destroy(g);
    return may;
}

static void test_pruning(void)
{
    CHECK(may_enter("*/*.mp4", "d"));
    CHECK(!may_enter("*/*.mp4", "d/e"));
    CHECK(!may_enter("*.mp4", "d"));
    CHECK(may_enter("**/*.mp4", "d/e/f"));
    CHECK(may_enter("a/**/b.mp4", "a"));
    CHECK(!may_enter("a/**/b.mp4", "b"));
    CHECK(may_enter("{a,b}/c/d", "b/c"));
    CHECK(!may_enter("{a,b}/c/d", "b/d"));
    /* Many stars and many names take no longer than they must. */
    char path[600], pattern[200] = "";
    memset(path, 'a', sizeof path);
    path[sizeof path - 1] = 0;
    for (int i = 0; i < 60; i++)
        (void)strcat(pattern, "*a");
    (void)strcat(pattern, "b");
    struct cfg_glob *g = NULL;
    CHECK_INT(cfg_glob_compile(pattern, &g, NULL), 0);
    CHECK(!cfg_glob_match(g, path, strlen(path)));
    cfg_glob_destroy(g);
}

/* ---- Scans ---- */

static struct cfg *config;
static struct cfg_clips *clips;
static size_t problems;

/* Loads a configuration of these sources and views and scans; the lines are in corpus_said. */
static void scan(const char *sources, const char *views)
{
    char text[8192];
    (void)snprintf(text, sizeof text, "root: root\nsources:\n%sviews:\n%s", sources, views);
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

static const char *path_of(size_t clip, size_t view)
{
    static char text[4096];
    struct base_bytes out = {0};
    if (!clips || clip >= clips->n)
        return NULL;
    cfg_expand(cfg_view(config, view)->path, clips, &clips->clips[clip], 7, 0, &out);
    (void)snprintf(text, sizeof text, "%.*s", (int)out.len, (const char *)out.data);
    base_bytes_finish(&out);
    return text;
}

/* The clips' paths, each with a newline. */
static const char *clip_names(void)
{
    static char text[4096];
    size_t len = 0;
    text[0] = 0;
    for (size_t i = 0; clips && i < clips->n; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s\n", clips->clips[i].path);
    return text;
}

static void test_fields(void)
{
    corpus_touch("root/Joy/b.mp4");
    corpus_touch("root/Joy/a.MP4");
    corpus_touch("root/Anger/z.avi");
    corpus_touch("root/Anger/notes.txt");
    corpus_touch("root/Anger/._z.avi");
    corpus_touch("root/Anger/noext");
    corpus_touch("root/.hidden/z.avi");
    corpus_touch("root/deep/er/x.mp4");
    scan("  - videos: ['*/*.{mp4,avi}', '*/noext']\n" CLASS_CLIP,
         "  - path: '{clip}/{class}_{{x}}/{frame:06d}.jpg'\n    frames: {}\n");
    CHECK_STR(clip_names(), "Anger/z.avi\nJoy/a.MP4\nJoy/b.mp4\n");
    CHECK_STR(path_of(0, 0), "z/Anger_{x}/000007.jpg");
    CHECK_STR(corpus_said, "");
    CHECK(problems == 0 && clips && clips->n_fields == 2 && clips->n_unmatched == 1);
    if (clips)
        CHECK_STR(clips->fields[0], "class");
    scan_end();

    corpus_touch("root/a.b.mp4");
    corpus_touch("root/Joy/c.mp4");
    scan("  - videos: 'J*/*'\n" CLASS_CLIP "  - videos: '**'\n", "  - path: 'x/{clip}'\n    text: a\n");
    CHECK_STR(clip_names(), "Joy/c.mp4\na.b.mp4\n");
    CHECK_STR(path_of(0, 0), "x/c");
    CHECK_STR(path_of(1, 0), "x/a.b");
    scan_end();
}

static void test_frame_dir(void)
{
    struct cfg_frame_name name;
    struct base_bytes dir = {0};
    corpus_touch("root/J/c.mp4");
    scan("  - videos: '*/*'\n" CLASS_CLIP,
         "  - path: 'i/{class}/{clip}/a_{clip}_{frame:05d}_{class}.png'\n"
         "    frames: {}\n  - path: '{clip}_{frame}.jpg'\n    frames: {}\n");
    if (CHECK(clips && clips->n == 1)) {
        cfg_expand_frame_dir(cfg_view(config, 0)->path, clips, &clips->clips[0], &dir, &name);
        CHECK(dir.len == 5 && memcmp(dir.data, "i/J/c", 5) == 0);
        CHECK_STR(name.prefix, "a_c_");
        CHECK_STR(name.suffix, "_J.png");
        CHECK_INT(name.width, 5);
        dir.len = 0;
        cfg_expand_frame_dir(cfg_view(config, 1)->path, clips, &clips->clips[0], &dir, &name);
        CHECK_INT(dir.len, 0);
        CHECK_STR(name.prefix, "c_");
        CHECK_STR(name.suffix, ".jpg");
        CHECK_INT(name.width, 0);
        CHECK_STR(path_of(0, 1), "c_7.jpg");
    }
    base_bytes_finish(&dir);
    scan_end();
}

static void test_text(void)
{
    struct base_bytes out = {0};
    corpus_touch("root/d/e/c.mp4");
    scan("  - videos: '**'\n    match: '^(?<all>.*)[.]'\n",
         "  - path: '{all}'\n    text: '{all} {nframes}'\n");
    CHECK_STR(path_of(0, 0), "d_e_c");
    if (CHECK(clips && clips->n == 1))
        cfg_expand(cfg_view(config, 0)->text, clips, &clips->clips[0], 0, 12, &out);
    CHECK(out.len == 8 && memcmp(out.data, "d/e/c 12", 8) == 0); /* a text keeps its slashes */
    base_bytes_finish(&out);
    scan_end();
}

static void test_weird_names(void)
{
    corpus_touch("root/Joy & Co/a, (b)! [c] {d}.mp4");
    corpus_touch("root/Joy & Co/\xff\xfe.mp4");
    corpus_touch("root/Joy & Co/\xc3\xa9\xc3\xa9.mp4");
    corpus_touch("root/Joy & Co/new\nline.mp4");
    corpus_touch("root/Joy & Co/-x.mp4");
    scan("  - videos: '*/*.mp4'\n" CLASS_CLIP,
         "  - path: '{class}/{clip}/{frame:02d}.jpg'\n    frames: {}\n");
    CHECK_STR(clip_names(), "Joy & Co/-x.mp4\nJoy & Co/a, (b)! [c] {d}.mp4\nJoy & Co/new\nline.mp4\n"
                            "Joy & Co/\xc3\xa9\xc3\xa9.mp4\nJoy & Co/\xff\xfe.mp4\n");
    CHECK_STR(path_of(1, 0), "Joy & Co/a, (b)! [c] {d}/07.jpg");
    CHECK_STR(path_of(4, 0), "Joy & Co/\xff\xfe/07.jpg");
    CHECK_STR(corpus_said, "");
    scan_end();
    corpus_touch("root/\xc3\xa9.mp4");
    scan("  - videos: '*'\n    match: '^(?<clip>.)[.]'\n", "  - path: '{clip}'\n    text: x\n");
    CHECK_STR(path_of(0, 0), "\xc3\xa9"); /* a dot takes a character, not a byte */
    scan_end();
}

static void test_sidecars(void)
{
    static const char *const files[] = {"a.mp4",    "a.vtt",   "a.SRT",  "a.en.srt", "b.mp4",  "b.pt-BR.ass",
                                        "b.x1.srt", "c.mp4",   "c.ssa",  "c.ass",    "c2.srt", "d.mp4",
                                        "d/e.srt",  "e.mp4",   "e.srtx", "e.de.vtt", "f",      "f.srt",
                                        "g.h.mp4",  "g.h.srt", "g.mp4"};
    static const char *const want[] = {"a.SRT",    "b.pt-BR.ass", "c.ass",   NULL,
                                       "e.de.vtt", "f.srt",       "g.h.srt", NULL};
    for (size_t i = 0; i < BASE_ARRAY_LEN(files); i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "root/%s", files[i]);
        corpus_touch(path);
    }
    scan("  - videos: ['*.mp4', 'f']\n", "  - path: '{clip}.srt'\n    subtitles: [sidecar]\n");
    CHECK_INT(clips ? clips->n : 0, BASE_ARRAY_LEN(want));
    for (size_t i = 0; clips && i < BASE_ARRAY_LEN(want) && i < clips->n; i++) {
        if (!CHECK_STR(clips->clips[i].sidecar, want[i]))
            (void)fprintf(stderr, "    of %s\n", clips->clips[i].path);
    }
    scan_end();
}

static void test_collisions(void)
{
    static const char *const views = "  - path: 'i/{clip}/{frame:06d}.jpg'\n    frames: {}\n"
                                     "  - path: 'm/{clip}.mp3'\n    audio: {}\n";
    corpus_touch("root/a/x.mp4");
    corpus_touch("root/b/x.mp4");
    corpus_touch("root/c/x.avi");
    corpus_touch("root/c/y.mp4");
    scan("  - videos: '*/*'\n", views);
    CHECK_STR(corpus_said,
              "c.yaml:5:5: two clips give i/x/000001.jpg: a/x.mp4 and b/x.mp4 (and 1 more): left out\n");
    CHECK_STR(clip_names(), "c/y.mp4\n");
    CHECK_INT(problems, 1);
    scan_end();

    corpus_touch("root/a/x.mp4"); /* only the second view's paths meet */
    corpus_touch("root/b/x.mp4");
    scan("  - videos: '*/*'\n" CLASS_CLIP, "  - path: '{class}/{clip}/{frame:06d}.jpg'\n    frames: {}\n"
                                           "  - path: 'm/{clip}.mp3'\n    audio: {}\n");
    CHECK_STR(corpus_said, "c.yaml:8:5: two clips give m/x.mp3: a/x.mp4 and b/x.mp4: left out\n");
    CHECK_STR(clip_names(), "");
    scan_end();

    corpus_touch("root/a.mp3"); /* a field that only some sources give */
    corpus_touch("root/a.mp4");
    corpus_touch("root/b.mp4");
    scan("  - videos: '*.mp4'\n  - videos: 'a.mp3'\n    match: '(?<other>.*)'\n",
         "  - path: 'm/{clip}.mp3'\n    audio: {}\n");
    CHECK_STR(corpus_said, "c.yaml:7:5: the clip a.mp3 has no field {clip}: left out\n");
    CHECK_STR(clip_names(), "a.mp4\nb.mp4\n");
    scan_end();
}

static void test_file_and_directory(void)
{
    corpus_touch("root/x.mp4");
    corpus_touch("root/x.srt.mp4");
    corpus_touch("root/y.mp4");
    scan("  - videos: '*.mp4'\n", "  - path: '{clip}/a/{frame}.jpg'\n    frames: {}\n"
                                  "  - path: '{clip}.srt'\n    subtitles: [sidecar]\n");
    CHECK_STR(corpus_said, "c.yaml:5:5: x.srt is a file of x.mp4 and a directory of x.srt.mp4: left out\n");
    CHECK_STR(clip_names(), "y.mp4\n");
    scan_end();

    corpus_touch("root/x.mp4"); /* one clip, two views */
    scan("  - videos: '*.mp4'\n    match: '(?<a>.)(?<b>.*)'\n", "  - path: '{a}{b}'\n    text: x\n"
                                                                "  - path: '{a}.mp4'\n    text: x\n");
    CHECK_STR(corpus_said, "c.yaml:8:5: two views give x.mp4 for x.mp4: left out\n");
    CHECK_STR(clip_names(), "");
    scan_end();

    corpus_touch("root/x.mp4"); /* frames of two clips beside each other, told apart by their names */
    corpus_touch("root/y.mp4");
    scan("  - videos: '*.mp4'\n", "  - path: 'i/{clip}_{frame:06d}.jpg'\n    frames: {}\n");
    CHECK_STR(corpus_said, "");
    CHECK_STR(clip_names(), "x.mp4\ny.mp4\n");
    scan_end();

    corpus_touch("root/a/b.mp4"); /* names that making them safe makes equal */
    corpus_touch("root/a_b.mp4");
    scan("  - videos: '**'\n    match: '(?<clip>.*)'\n", "  - path: '{clip}'\n    text: x\n");
    CHECK_STR(corpus_said, "c.yaml:6:5: two clips give a_b.mp4: a/b.mp4 and a_b.mp4: left out\n");
    scan_end();
}

static void test_misfits(void)
{
    char name[300], line[1024];
    corpus_touch("root/Joy/x.mp4");
    corpus_touch("root/y.mp4");
    corpus_touch("root/z.mp4");
    scan("  - videos: '**'\n    match: '^(?:(?<class>[^/]+)/)?(?<clip>.*)[.]'\n",
         "  - path: '{class}/{clip}'\n    text: x\n");
    CHECK_STR(corpus_said, "c.yaml:6:5: the clip y.mp4 has no field {class}: left out (and 1 more)\n");
    CHECK_STR(clip_names(), "Joy/x.mp4\n");
    CHECK_INT(problems, 1);
    scan_end();

    corpus_touch("root/_.mp4");
    corpus_touch("root/b..mp4");
    corpus_touch("root/c...mp4");
    corpus_touch("root/d_x.mp4");
    scan("  - videos: '*'\n    match: '^(?<a>.)(?<b>[^m]*)[.]mp4'\n", "  - path: '{b}'\n    text: x\n");
    CHECK_STR(corpus_said,
              "c.yaml:6:5: the clip _.mp4 has an empty field {b}: left out\n"
              "c.yaml:6:5: the clip b..mp4 has a field {b} that is \".\" or \"..\": left out (and 1 more)\n");
    CHECK_STR(clip_names(), "d_x.mp4\n");
    scan_end();

    corpus_touch("root/x.mp4"); /* parts that are good alone and bad together */
    corpus_touch("root/..y");
    corpus_touch("root/ab");
    scan("  - videos: '*'\n    match: '^(?<a>.)'\n", "  - path: '{a}{a}/.{a}'\n    text: x\n");
    CHECK_STR(clip_names(), "ab\nx.mp4\n");
    scan_end();

    memset(name, 'n', sizeof name);
    (void)snprintf(name, sizeof name, "root/%0250d.mp4", 1);
    corpus_touch(name);
    scan("  - videos: '*'\n", "  - path: 'x/{clip}_{frame}.jpg'\n    frames: {}\n");
    (void)snprintf(line, sizeof line,
                   "c.yaml:5:5: the clip %s gives a name longer than 255 bytes: left out\n", name + 5);
    CHECK_STR(corpus_said, line);
    CHECK_INT(clips ? clips->n : 1, 0);
    scan_end();
}

static void test_nothing_found(void)
{
    char line[256];
    scan("  - videos: '*.mp4'\n", "  - path: '{clip}'\n    text: x\n");
    (void)snprintf(
        line, sizeof line,
        "c.yaml:3:3: warning: no clip was found: no file below %s/root suits a \"videos\" pattern\n",
        corpus_dir);
    CHECK_STR(corpus_said, line);
    CHECK_INT(problems, 0);
    scan_end();
    corpus_touch("root/x.mp4");
    scan("  - videos: '*.mp4'\n    match: '(?<clip>y)'\n", "  - path: '{clip}'\n    text: x\n");
    CHECK_STR(corpus_said,
              "c.yaml:3:3: warning: no clip was found: 1 files suit a \"videos\" pattern, but no "
              "\"match\"; the first is x.mp4\n");
    CHECK_INT(problems, 0);
    scan_end();
}

static void test_links(void)
{
    corpus_touch("root/real/x.mp4");
    corpus_touch("outside/y.mp4");
    CHECK(symlink("../outside", "root/out") == 0 && symlink("../real", "root/real/again") == 0 &&
          symlink("..", "root/real/up") == 0 && symlink("real/x.mp4", "root/x.mp4") == 0 &&
          symlink("nowhere", "root/gone.mp4") == 0 && mkfifo("root/fifo.mp4", 0600) == 0);
    scan("  - videos: '**/*.mp4'\n    match: '(?<clip>.*)'\n", "  - path: '{clip}'\n    text: x\n");
    CHECK_STR(clip_names(), "out/y.mp4\nreal/x.mp4\nx.mp4\n");
    CHECK_STR(corpus_said, "");
    scan_end();
}

static void test_trouble(void)
{
    char path[1024] = "root", line[512];
    for (int i = 0; i < 70; i++)
        (void)strcat(path, "/d");
    (void)strcat(path, "/x.mp4");
    corpus_touch(path);
    corpus_touch("root/locked/x.mp4");
    corpus_touch("root/y.mp4");
    CHECK(chmod("root/locked", 0) == 0);
    scan("  - videos: '**/*.mp4'\n", "  - path: '{clip}'\n    text: x\n");
    CHECK(strstr(corpus_said, "/d/d: more than 64 directories deep: left out\n") != NULL);
    if (getuid() != 0) { /* root may read it */
        (void)snprintf(line, sizeof line,
                       "c.yaml:1:7: %s/root/locked: cannot be read, left out: Permission denied\n",
                       corpus_dir);
        CHECK(strstr(corpus_said, line) != NULL);
        CHECK_STR(clip_names(), "y.mp4\n");
    }
    CHECK(chmod("root/locked", 0700) == 0);
    scan_end();
}

static void test_costly_match(void)
{
    corpus_touch("root/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.mp4");
    corpus_touch("root/b.mp4");
    scan("  - videos: '*.mp4'\n    match: '^(?<clip>(?:a|aa|a*)+[b]?)[.]avi|(?<clip2>b)'\n",
         "  - path: 'x/{clip2}'\n    text: x\n");
    CHECK(strstr(corpus_said, "c.yaml:4:12: match: the expression takes too long on aaa") == corpus_said);
    CHECK_STR(clip_names(), "b.mp4\n");
    scan_end();
}

static void test_root_gone(void)
{
    struct cfg_clips *none = NULL;
    CHECK_INT(corpus_load("root: root\nsources: [{videos: x}]\nviews: [{path: x, text: x}]\n", &config), 0);
    CHECK(rmdir("root") == 0);
    CHECK_INT(cfg_scan(config, NULL, NULL, corpus_report, NULL, &none, &problems), -ENOENT);
    CHECK(strncmp(corpus_said, "c.yaml:1:7: root: ", 18) == 0);
    scan_end();
}

/* Clips that are kept have all they had, and need their scan no more. */
static void test_keep(void)
{
    struct cfg_clip kept[2];
    struct cfg_kept *owner = NULL;
    char values[2][256];
    corpus_touch("root/left/a.mp4");
    corpus_touch("root/left/a.srt");
    corpus_touch("root/right/b.mp4");
    scan("  - videos: '*/*.mp4'\n" CLASS_CLIP, "  - path: 'x/{class}/{clip}/{frame}.jpg'\n"
                                               "    frames: { crop: '{class}' }\n");
    if (!CHECK(clips && clips->n == 2))
        return;
    for (size_t i = 0; i < 2; i++) {
        kept[i] = clips->clips[i];
        (void)snprintf(values[i], sizeof values[i], "%s %s", kept[i].values[0], kept[i].values[1]);
    }
    CHECK_INT(cfg_clips_keep(config, clips->n_fields, kept, 2, &owner), 0);
    CHECK(kept[0].path != clips->clips[0].path && kept[0].values[0] != clips->clips[0].values[0]);
    cfg_clips_destroy(clips);
    clips = NULL;
    CHECK_STR(kept[0].path, "left/a.mp4");
    CHECK_STR(kept[0].label, "left/a.mp4");
    CHECK_STR(kept[0].sidecar, "left/a.srt");
    CHECK_STR(kept[0].crops[0], "left");
    CHECK_STR(kept[1].crops[0], "right");
    CHECK(!kept[1].sidecar && !kept[1].shard && !kept[1].cues);
    for (size_t i = 0; i < 2; i++) {
        char now[256];
        (void)snprintf(now, sizeof now, "%s %s", kept[i].values[0], kept[i].values[1]);
        CHECK_STR(now, values[i]);
    }
    cfg_kept_destroy(owner);
    cfg_kept_destroy(NULL);
    scan_end();
}

int main(void)
{
    corpus_make();
    CHECK_RUN(test_globs);
    CHECK_RUN(test_pruning);
    CHECK_RUN(test_fields);
    CHECK_RUN(test_frame_dir);
    CHECK_RUN(test_text);
    CHECK_RUN(test_weird_names);
    CHECK_RUN(test_sidecars);
    CHECK_RUN(test_collisions);
    CHECK_RUN(test_file_and_directory);
    CHECK_RUN(test_misfits);
    CHECK_RUN(test_nothing_found);
    CHECK_RUN(test_links);
    CHECK_RUN(test_trouble);
    CHECK_RUN(test_costly_match);
    CHECK_RUN(test_root_gone);
    CHECK_RUN(test_keep);
    corpus_remove();
    return check_result();
}
