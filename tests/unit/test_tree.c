/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of names: every name leads to its node or frame, and nothing else does. */
#include "fs/tree.h"

#include "check.h"
#include "corpus.h"

static struct cfg *config;
static struct cfg_clips *clips;
static struct fs_tree tree;

static void make_tree(const char *views)
{
    char text[8192];
    size_t problems;
    (void)snprintf(text, sizeof text,
                   "root: root\nsources:\n  - videos: '**/*.mp4'\n    match: "
                   "'(?<class>[^/]+)/(?<clip>[^/]+)\\.mp4$'\nviews:\n%s",
                   views);
    CHECK_INT(corpus_load(text, &config), 0);
    CHECK_STR(corpus_said, "");
    if (config && CHECK_INT(cfg_scan(config, corpus_report, NULL, &clips, &problems), 0))
        CHECK_INT(fs_tree_create(config, clips, &tree), 0);
    CHECK_STR(corpus_said, "");
}

static void end_tree(void)
{
    fs_tree_finish(&tree);
    cfg_clips_destroy(clips);
    cfg_destroy(config);
    clips = NULL;
    config = NULL;
    corpus_empty();
}

/* The node of a path, or -ENOENT. */
static int64_t find(const char *path)
{
    char text[4096], *save = NULL;
    int64_t node = 0;
    (void)snprintf(text, sizeof text, "%s", path);
    for (char *name = strtok_r(text, "/", &save); name && node >= 0; name = strtok_r(NULL, "/", &save))
        node = fs_tree_child(&tree, (uint32_t)node, name);
    return node;
}

/* Every node is found by its name in its parent, children are sorted, and directories know their children. */
static void check_whole(void)
{
    for (uint32_t i = 0; i < tree.n_nodes; i++) {
        const struct fs_node *n = &tree.nodes[i];
        const char *name = fs_node_name(&tree, n);
        if (i > 0)
            CHECK_INT(fs_tree_child(&tree, n->parent, name), i);
        uint32_t n_subdirs = 0;
        for (uint32_t c = n->first_child; n->kind == FS_DIR && c < n->first_child + n->n_children; c++) {
            const struct fs_node *child = &tree.nodes[c];
            CHECK_INT(child->parent, i);
            n_subdirs += child->kind == FS_DIR;
            CHECK(c == n->first_child ||
                  strcmp(fs_node_name(&tree, child - 1), fs_node_name(&tree, child)) < 0);
        }
        CHECK_INT(n->n_subdirs, n_subdirs);
        for (uint32_t s = n->first_set; s < n->first_set + n->n_sets; s++)
            CHECK_INT(tree.sets[s].node, i);
    }
    for (uint32_t s = 0; s < tree.n_sets; s++) {
        char name[NAME_MAX + 1];
        for (uint32_t frame = 0; frame < 2000000; frame = frame * 3 + 1) {
            fs_frame_name(&tree.sets[s], frame, name);
            CHECK_INT(fs_frame_number(&tree.sets[s], name), frame);
        }
    }
}

static void test_lookup(void)
{
    const char *const names[] = {"Joy/a.mp4",  "Joy/b.mp4", "Joy/a b.mp4",      "Joy/a-b.mp4",
                                 "Joy!/a.mp4", "J/a.mp4",   "Joy/\xc3\xa9.mp4", "Joy/\xff.mp4"};
    char path[256];
    for (size_t i = 0; i < BASE_ARRAY_LEN(names); i++) {
        (void)snprintf(path, sizeof path, "root/%s", names[i]);
        corpus_touch(path);
    }
    make_tree("  - path: 'img/{class}/{clip}/{frame:06d}.jpg'\n    frames: {}\n"
              "  - path: 'img/{class}/{clip}/n_frames'\n    text: '{nframes}'\n"
              "  - path: 'mp3/{class}/{clip}.mp3'\n    audio: {}\n");
    check_whole();
    CHECK_INT(tree.n_sets, BASE_ARRAY_LEN(names));
    for (size_t i = 0; i < BASE_ARRAY_LEN(names); i++) {
        (void)snprintf(path, sizeof path, "img/%.*s", (int)(strlen(names[i]) - 4), names[i]);
        int64_t dir = find(path);
        if (!CHECK(dir > 0))
            continue;
        CHECK_INT(tree.nodes[dir].kind, FS_DIR);
        CHECK_INT(tree.nodes[dir].n_sets, 1);
        CHECK_INT(tree.nodes[dir].n_children, 1);
        int64_t text = fs_tree_child(&tree, (uint32_t)dir, "n_frames");
        CHECK(text > 0 && tree.nodes[text].clip == tree.nodes[dir].clip &&
              fs_counted_view(&tree, &tree.nodes[text]) == 0);
        (void)snprintf(path, sizeof path, "mp3/%.*s.mp3", (int)(strlen(names[i]) - 4), names[i]);
        int64_t sound = find(path);
        CHECK(sound > 0 && tree.nodes[sound].kind == FS_FILE &&
              tree.nodes[sound].clip == tree.nodes[dir].clip);
    }
    const char *const absent[] = {"img/Jo",    "img/Joyy",   "mp3/Joy/a", "mp3/Joy/a.mp3x",
                                  "mp3/Joy/.", "mp3/Joy/..", "x",         "img/Joy/a/N_frames"};
    for (size_t i = 0; i < BASE_ARRAY_LEN(absent); i++)
        CHECK_INT(find(absent[i]), -ENOENT);
    CHECK_INT(fs_tree_child(&tree, 0, ""), -ENOENT);
    end_tree();
}

static int64_t number(const char *prefix, const char *suffix, int width, uint32_t base, const char *name)
{
    struct cfg_frame_name parts = {.width = width};
    struct fs_frame_set set = {.name = &parts, .base = base};
    (void)snprintf(parts.prefix, sizeof parts.prefix, "%s", prefix);
    (void)snprintf(parts.suffix, sizeof parts.suffix, "%s", suffix);
    return fs_frame_number(&set, name);
}

/* One spelling is the file's name; all others are no names. */
static void test_frame_numbers(void)
{
    CHECK_INT(number("", ".jpg", 6, 1, "000001.jpg"), 0);
    CHECK_INT(number("", ".jpg", 6, 1, "123456.jpg"), 123455);
    CHECK_INT(number("", ".jpg", 6, 1, "1234567.jpg"), 1234566);
    CHECK_INT(number("", ".jpg", 0, 0, "0.jpg"), 0);
    CHECK_INT(number("f_", "x.png", 4, 10, "f_0010x.png"), 0);
    CHECK_INT(number("img1", ".png", 3, 0, "img1007.png"), 7);
    CHECK_INT(number("", "7.png", 3, 0, "0127.png"), 12);
    CHECK_INT(number("", "7.png", 0, 0, "77.png"), 7);
    const char *const bad[] = {"000000.jpg",
                               "1.jpg",
                               "0000001.jpg",
                               "+00001.jpg",
                               "-00001.jpg",
                               " 00001.jpg",
                               "000001.JPG",
                               "000001jpg",
                               ".jpg",
                               "000001.jpg ",
                               "00000a.jpg",
                               "000001",
                               "",
                               "0x0001.jpg",
                               "000001.jp",
                               "00001\xff.jpg",
                               "99999999999.jpg",
                               "18446744073709551617.jpg",
                               "4294967297.jpg",
                               "4294967296.jpg"};
    for (size_t i = 0; i < BASE_ARRAY_LEN(bad); i++)
        if (!CHECK_INT(number("", ".jpg", 6, 1, bad[i]), -1))
            (void)fprintf(stderr, "  %s\n", bad[i]);
    CHECK_INT(number("", ".jpg", 6, 5, "000004.jpg"), -1);
    CHECK_INT(number("aaa", "aaa", 0, 0, "aaaa"), -1);
}

static void test_shared_directories(void)
{
    corpus_touch("root/Joy/a.mp4");
    corpus_touch("root/Joy/b.mp4");
    /* Two views in one directory, and frames of all clips in the tree's root. */
    make_tree("  - path: '{clip}_{frame:04d}.png'\n    frames: {}\n"
              "  - path: 'all/{clip}/{frame:06d}.jpg'\n    frames: {}\n"
              "  - path: 'all/{clip}/small_{frame:06d}.jpg'\n    frames: { size: '64:-1' }\n"
              "  - path: 'all/{clip}.mp3'\n    audio: {}\n");
    check_whole();
    CHECK_INT(tree.nodes[0].n_sets, 2);
    CHECK_INT(tree.nodes[0].n_children, 1);
    int n = 0;
    for (uint32_t s = tree.nodes[0].first_set; s < tree.nodes[0].first_set + tree.nodes[0].n_sets; s++)
        n += fs_frame_number(&tree.sets[s], "a_0003.png") == 2;
    CHECK_INT(n, 1);
    int64_t dir = find("all/b");
    if (CHECK(dir > 0)) {
        const struct fs_node *d = &tree.nodes[dir];
        CHECK_INT(d->n_sets, 2);
        CHECK_INT(tree.sets[d->first_set].view, 1);
        CHECK_INT(tree.sets[d->first_set + 1].view, 2);
        CHECK_INT(fs_frame_number(&tree.sets[d->first_set], "small_000001.jpg"), -1);
        CHECK_INT(fs_frame_number(&tree.sets[d->first_set + 1], "small_000001.jpg"), 0);
    }
    CHECK(find("all/b.mp3") > 0);
    end_tree();
}

static void test_empty(void)
{
    struct cfg_clips none = {0};
    CHECK_INT(
        corpus_load(
            "root: root\nsources:\n  - videos: '*.mp4'\nviews:\n  - path: 'mp3/{clip}.mp3'\n    audio: {}\n",
            &config),
        0);
    if (config && CHECK_INT(fs_tree_create(config, &none, &tree), 0)) {
        CHECK_INT(tree.n_nodes, 1);
        CHECK_INT(fs_tree_child(&tree, 0, "x"), -ENOENT);
        fs_tree_finish(&tree);
    }
    cfg_destroy(config);
}

int main(void)
{
    corpus_make();
    CHECK_RUN(test_lookup);
    CHECK_RUN(test_frame_numbers);
    CHECK_RUN(test_shared_directories);
    CHECK_RUN(test_empty);
    corpus_remove();
    return check_result();
}
