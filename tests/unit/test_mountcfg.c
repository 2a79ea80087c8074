/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration language: its bounds, and every value as it was meant. Its mistakes: test_mistakes.c. */
#include "tests/unit/check.h"
#include "tests/unit/configs.h"

static void test_bounds(void)
{
    struct cfg *c = NULL;
    static char text[(1 << 20) + 100];
    memset(text, '#', sizeof text - 1);
    CHECK_INT(corpus_load(text, &c), -EFBIG);
    CHECK_STR(corpus_said, "c.yaml: larger than 1048576 bytes: no configuration\n");
    memset(text, '[', 5000);
    text[5000] = 0;
    CHECK_INT(corpus_load(text, &c), -EINVAL);
    CHECK_STR(corpus_said, "c.yaml:1:33: nested too deeply\n");
    size_t len = 0;
    for (int i = 0; i < 1100; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "k%d: &a%d x\n", i, i);
    CHECK_INT(corpus_load(text, &c), -EINVAL);
    CHECK_STR(corpus_said, "c.yaml:1001:8: too many anchors and aliases\n");
    len = (size_t)snprintf(text, sizeof text, "a: [");
    for (int i = 0; i < 100001; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "x,\n");
    CHECK_INT(corpus_load(text, &c), -EINVAL);
    CHECK(strstr(corpus_said, ": too many values\n") != NULL);
    len = (size_t)snprintf(text, sizeof text, "m0: &m0 {}\n");
    for (int i = 1; i < 30; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "m%d: &m%d {<<: [*m%d, *m%d, *m%d]}\n", i, i,
                                i - 1, i - 1, i - 1);
    (void)snprintf(text + len, sizeof text - len, "cache: *m29\n%s", SOURCE VIEWS);
    CHECK_INT(corpus_load(text, &c), -EINVAL);
    len = 0;
    for (int i = 0; i < 1000; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "key%d: x\n", i);
    CHECK_INT(corpus_load(text, &c), -EINVAL);
    CHECK(strstr(corpus_said, "c.yaml: 800 more mistakes\n") != NULL);
    CHECK_INT(cfg_load("none.yaml", corpus_report, NULL, &c), -ENOENT);
    CHECK(strstr(corpus_said, "none.yaml: cannot be read: No such file or directory\n") != NULL);
    CHECK_INT(cfg_load("root", NULL, NULL, &c), -EISDIR);
    CHECK(c == NULL);
}

static struct cfg *load(const char *text)
{
    struct cfg *c = NULL;
    CHECK_INT(corpus_load(text, &c), 0);
    CHECK_STR(corpus_said, "");
    return c;
}

static void test_frames(void)
{
    struct cfg *c = load(FRAMES "\n");
    const struct cfg_frames *f = c ? &cfg_view(c, 0)->frames : NULL;
    if (!CHECK(f != NULL))
        return;
    CHECK(cfg_view(c, 0)->kind == CFG_FRAMES && cfg_view(c, 0)->line == 5 && cfg_view(c, 0)->column == 5);
    CHECK_STR(cfg_view(c, 0)->file, "c.yaml");
    CHECK(f->timing == CFG_TIMING_CFR && f->fps_num == 0 && f->fps_den == 1 && f->format == CFG_JPG);
    CHECK(f->quality == 95 && f->subsampling == 0 && f->base == 1 && !*f->size && !*f->crop);
    cfg_destroy(c);
    c = load(FRAMES "{ fps: 12.5, size: -1:240, crop: 10:20:0:5, quality: 80, subsampling: 444, base: 0 }\n");
    f = c ? &cfg_view(c, 0)->frames : NULL;
    if (!CHECK(f != NULL))
        return;
    CHECK(f->timing == CFG_TIMING_FPS && f->fps_num == 25 && f->fps_den == 2);
    CHECK(f->quality == 80 && f->subsampling == 444 && f->base == 0);
    CHECK_STR(f->size, "-1:240");
    CHECK_STR(f->crop, "10:20:0:5");
    cfg_destroy(c);
    c = load(PNG "{ fps: 30000/1001, size: 'short:256', crop: left }\n");
    f = c ? &cfg_view(c, 0)->frames : NULL;
    if (!CHECK(f != NULL))
        return;
    CHECK(f->fps_num == 30000 && f->fps_den == 1001 && f->format == CFG_PNG);
    CHECK_STR(f->size, "short:256");
    cfg_destroy(c);
    c = load(VIEW("{clip}/{frame}.PPM", "frames: { timing: passthrough, size: '224:-16' }"));
    CHECK(c && cfg_view(c, 0)->frames.timing == CFG_TIMING_PASSTHROUGH &&
          cfg_view(c, 0)->frames.format == CFG_PPM);
    cfg_destroy(c);
}

#if CORPUSFS_HAVE_FLOW
static void test_flow(void)
{
    struct cfg *c = load(FRAMES "{ flow: y, method: dis, bound: 7.5, grey: luma }\n");
    const struct cfg_frames *f = c ? &cfg_view(c, 0)->frames : NULL;
    CHECK(f && f->is_flow && f->flow_y && f->flow.method == CFG_DIS && f->flow.luma && cfg_has_flow(c));
    CHECK(f && f->flow.bound > 7.4 && f->flow.bound < 7.6);
    cfg_destroy(c);
    c = load(NPY "{ kind: flow, layout: tchw }\n");
    const struct cfg_npy *npy = c ? &cfg_view(c, 0)->npy : NULL;
    CHECK(npy && npy->kind == CFG_NPY_FLOW && npy->frames.flow.method == CFG_TVL1 && !npy->planar &&
          !npy->floats && npy->frames.flow.bound > 19.9 && cfg_has_flow(c));
    cfg_destroy(c);
    c = load(NPY "{ kind: rgb }\n");
    CHECK(c && !cfg_has_flow(c));
    cfg_destroy(c);
}
#endif

static void test_sound_and_text(void)
{
    struct cfg *c = load(AUDIO "{ rate: 44100, channels: 2, bitrate: 128k, silence: true }\n");
    const struct cfg_audio *a = c ? &cfg_view(c, 0)->audio : NULL;
    CHECK(a && a->format == CFG_MP3 && a->rate == 44100 && a->channels == 2 && a->bitrate == 128000 &&
          a->silence);
    cfg_destroy(c);
    c = load(WAV "\n");
    a = c ? &cfg_view(c, 0)->audio : NULL;
    CHECK(a && a->format == CFG_WAV && a->rate == 0 && a->channels == 0 && a->bitrate == 0 && !a->silence);
    cfg_destroy(c);
    c = load(SRT "[embedded]\n");
    const struct cfg_subtitles *s = c ? &cfg_view(c, 0)->subtitles : NULL;
    CHECK(s && s->n_sources == 1 && s->sources[0] == CFG_EMBEDDED && s->empty && s->text < 0);
    cfg_destroy(c);
    c = load(SRT "{ from: [sidecar, embedded, table], text: clip }\n");
    s = c ? &cfg_view(c, 0)->subtitles : NULL;
    CHECK(s && s->n_sources == 3 && s->sources[2] == CFG_TABLE && s->text == 0 && s->start < 0 && s->end < 0);
    cfg_destroy(c);
    c = load(SRT "{ missing: none }\n");
    s = c ? &cfg_view(c, 0)->subtitles : NULL;
    CHECK(s && s->n_sources == 2 && s->sources[0] == CFG_SIDECAR && s->sources[1] == CFG_EMBEDDED &&
          !s->empty);
    cfg_destroy(c);
    c = load(TEXT("'{nframes} {{{clip}}}'"));
    CHECK(c && cfg_template_uses_nframes(cfg_view(c, 0)->text) &&
          !cfg_template_uses_nframes(cfg_view(c, 0)->path));
    cfg_destroy(c);
}

static void test_top(void)
{
    char want[128];
    (void)setenv("CORPUSFS_TEST_DIR", corpus_dir, 1);
    (void)setenv("XDG_CACHE_HOME", "/xdg", 1);
    (void)setenv("HOME", "/nobody", 1);
    struct cfg *c = load("root: .//root/./\nsources: [{videos: x}]\n" VIEWS);
    (void)snprintf(want, sizeof want, "%s/root", corpus_dir);
    CHECK_STR(c ? cfg_root(c) : NULL, want);
    CHECK_STR(c ? cfg_name(c) : NULL, "root");
    CHECK_STR(c ? cfg_cache_dir(c) : NULL, "/xdg/corpusfs");
    CHECK(c && cfg_cache_size(c) == (uint64_t)20 << 30 && cfg_workers(c) == 0 && cfg_n_views(c) == 1);
    CHECK(c && cfg_refresh_seconds(c) == 60);
    cfg_destroy(c);
    c = load("root: ${CORPUSFS_TEST_DIR}/root\nworkers: 7\ncorpus: it's\ncache: {dir: ~/c, size: 500 MB}\n"
             "sources: [{videos: [x, y]}]\n" VIEWS);
    CHECK_STR(c ? cfg_root(c) : NULL, want);
    CHECK_STR(c ? cfg_name(c) : NULL, "it's");
    CHECK_STR(c ? cfg_cache_dir(c) : NULL, "/nobody/c");
    CHECK(c && cfg_cache_size(c) == 500000000 && cfg_workers(c) == 7);
    cfg_destroy(c);
    (void)unsetenv("XDG_CACHE_HOME");
    c = load("root: root\nrefresh: 5m\nsources: [{videos: x}]\n" VIEWS);
    CHECK(c && cfg_refresh_seconds(c) == 300);
    cfg_destroy(c);
    c = load("root: root\nimmutable: true\nrefresh: 7\nsources: [{videos: x}]\n" VIEWS);
    CHECK(c && cfg_refresh_seconds(c) == 0);
    cfg_destroy(c);
    c = load("root: $CORPUSFS_TEST_DIR/root\nsources: [{videos: x}]\n" VIEWS);
    CHECK_STR(c ? cfg_cache_dir(c) : NULL, "/nobody/.cache/corpusfs");
    cfg_destroy(c);
    c = load("root: /\ncache: {dir: a$/$$}\nsources: [{videos: x}]\n" VIEWS);
    cfg_destroy(c);
}

static void test_merge(void)
{
    struct cfg *c =
        load(SOURCE "views:\n"
                    "  - path: a/{clip}/{frame}.jpg\n    frames: &f { quality: 70, size: '8:8' }\n"
                    "  - path: b/{clip}/{frame}.jpg\n    frames: { <<: *f, quality: 60 }\n"
                    "  - path: c/{clip}/{frame}.jpg\n    frames: *f\n");
    if (!CHECK(c && cfg_n_views(c) == 3))
        return;
    CHECK_INT(cfg_view(c, 0)->frames.quality, 70);
    CHECK_INT(cfg_view(c, 1)->frames.quality, 60);
    CHECK_STR(cfg_view(c, 1)->frames.size, "8:8");
    CHECK_INT(cfg_view(c, 2)->frames.quality, 70);
    cfg_destroy(c);
}

static void test_unknown_preset(void)
{
    struct cfg *c = NULL;
    CHECK_INT(corpus_load("root: root\npreset: class-folder\n", &c), -EINVAL);
    CHECK(strstr(corpus_said, "c.yaml:2:9: preset: expected ") == corpus_said);
    CHECK(strstr(corpus_said, "found \"class-folder\"; did you mean class-folders?\n"));
}

static void test_preset(void)
{
    struct cfg *c = load("preset: class-folders\nroot: root\n");
    CHECK(c && cfg_n_views(c) == 3 && cfg_view(c, 0)->kind == CFG_FRAMES &&
          cfg_view(c, 1)->kind == CFG_AUDIO && cfg_view(c, 2)->kind == CFG_SUBTITLES);
    CHECK_STR(c ? cfg_view(c, 0)->file : NULL, "preset class-folders");
    cfg_destroy(c);
    c = load("preset: class-folders\nroot: root\nn_frames: true\n");
    CHECK(c && cfg_n_views(c) == 4 && cfg_view(c, 3)->kind == CFG_TEXT && cfg_view(c, 3)->line == 3);
    cfg_destroy(c);
    c = load("preset: class-folders\nroot: root\noptions: { size: short:64 }\n");
    CHECK_STR(c ? cfg_view(c, 0)->frames.size : NULL, "short:64");
    cfg_destroy(c);
    c = load("root: root\npreset: class-folders\nviews: [{path: 'sound/{class}/{clip}.wav', audio: {}}]\n");
    CHECK(c && cfg_n_views(c) == 1 && cfg_view(c, 0)->kind == CFG_AUDIO);
    cfg_destroy(c);
    c = NULL;
    CHECK_INT(corpus_load("root: root\npreset: class-folders\nsources: [{videos: '*'}]\n", &c), -EINVAL);
    CHECK(strstr(corpus_said, "preset class-folders:12:11: nothing gives the field {class} "
                              "(known: clip)\n") == corpus_said);
    CHECK_INT(
        corpus_load("root: root\npreset: class-folders\nn_frames: true\nviews:\n"
                    "  - {path: '{clip}/{frame}.jpg', frames: {}}\n  - {path: '{clip}/n_frames', text: x}\n",
                    &c),
        -EINVAL);
    CHECK_STR(corpus_said, "c.yaml:3:1: the view at line 6 has the same path\n");
    cfg_destroy(c);
}

int main(void)
{
    corpus_make();
    CHECK_RUN(test_bounds);
    CHECK_RUN(test_frames);
#if CORPUSFS_HAVE_FLOW
    CHECK_RUN(test_flow);
#endif
    CHECK_RUN(test_sound_and_text);
    CHECK_RUN(test_top);
    CHECK_RUN(test_merge);
    CHECK_RUN(test_preset);
    CHECK_RUN(test_unknown_preset);
    corpus_remove();
    return check_result();
}
