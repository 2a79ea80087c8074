/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of names: every name leads to its node or frame, and nothing else does. */
#include "fs/places.h"
#include "fs/tree.h"

#include "check.h"
#include "corpus.h"

static struct cfg *config;
static struct cfg_clips *clips;
static struct fs_tree tree;
static size_t problems; /* that the tree reported */

/* 0 or what went wrong. */
static int update(const struct cfg_clips *found, const struct fs_tree_listener *listener)
{
    const struct fs_found all = {.clips = found, .report = corpus_report, .n_problems = &problems};
    return fs_tree_update(&tree, &all, listener);
}

static void make_tree(const char *views)
{
    char text[8192];
    size_t n;
    (void)snprintf(text, sizeof text,
                   "root: root\nsources:\n  - videos: '**/*.mp4'\n    match: "
                   "'(?<class>[^/]+)/(?<clip>[^/]+)\\.mp4$'\nviews:\n%s",
                   views);
    CHECK_INT(corpus_load(text, &config), 0);
    CHECK_STR(corpus_said, "");
    if (config && CHECK_INT(cfg_scan(config, NULL, NULL, corpus_report, NULL, &clips, &n), 0)) {
        CHECK_INT(fs_tree_init(&tree, config), 0);
        CHECK_INT(update(clips, NULL), 0);
    }
}

static void end_tree(void)
{
    fs_tree_finish(&tree);
    problems = 0;
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
        if (tree.nodes[i].kind != FS_DIR)
            continue;
        struct fs_span children = fs_children(&tree, i), sets = fs_sets(&tree, i);
        uint32_t n_subdirs = 0;
        const char *last = "";
        for (uint32_t c = children.first; c < children.first + children.n; c++) {
            const struct fs_node *child = &tree.nodes[tree.ids[c]];
            const char *name = fs_node_name(&tree, child);
            CHECK_INT(child->parent, i);
            CHECK_INT(fs_tree_child(&tree, i, name), tree.ids[c]);
            n_subdirs += child->kind == FS_DIR;
            CHECK(strcmp(last, name) < 0);
            last = name;
        }
        CHECK_INT(fs_node_dir(&tree, i)->n_subdirs, n_subdirs);
        for (uint32_t s = sets.first; s < sets.first + sets.n; s++)
            CHECK_INT(tree.sets[tree.ids[s]].node, i);
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
        CHECK_INT(fs_sets(&tree, (uint32_t)dir).n, 1);
        CHECK_INT(fs_children(&tree, (uint32_t)dir).n, 1);
        int64_t text = fs_tree_child(&tree, (uint32_t)dir, "n_frames");
        CHECK(text > 0 && tree.nodes[text].clip == fs_node_dir(&tree, (uint32_t)dir)->clip &&
              fs_counted_view(&tree, &tree.nodes[text]) == 0);
        (void)snprintf(path, sizeof path, "mp3/%.*s.mp3", (int)(strlen(names[i]) - 4), names[i]);
        int64_t sound = find(path);
        CHECK(sound > 0 && tree.nodes[sound].kind == FS_FILE &&
              tree.nodes[sound].clip == fs_node_dir(&tree, (uint32_t)dir)->clip);
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
    struct fs_span sets = fs_sets(&tree, 0);
    CHECK_INT(sets.n, 2);
    CHECK_INT(fs_children(&tree, 0).n, 1);
    int n = 0;
    for (uint32_t i = sets.first; i < sets.first + sets.n; i++)
        n += fs_frame_number(&tree.sets[tree.ids[i]], "a_0003.png") == 2;
    CHECK_INT(n, 1);
    int64_t dir = find("all/b");
    if (CHECK(dir > 0)) {
        sets = fs_sets(&tree, (uint32_t)dir);
        CHECK_INT(sets.n, 2);
        const struct fs_frame_set *first = &tree.sets[tree.ids[sets.first]],
                                  *second = &tree.sets[tree.ids[sets.first + 1]];
        CHECK_INT(first->view, 1);
        CHECK_INT(second->view, 2);
        CHECK_INT(fs_frame_number(first, "small_000001.jpg"), -1);
        CHECK_INT(fs_frame_number(second, "small_000001.jpg"), 0);
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
    if (config && CHECK_INT(fs_tree_init(&tree, config), 0)) {
        CHECK_INT(update(&none, NULL), 0);
        CHECK_INT(tree.n_nodes, 1);
        CHECK_INT(fs_tree_child(&tree, 0, "x"), -ENOENT);
        fs_tree_finish(&tree);
    }
    cfg_destroy(config);
}

/* ---- Files as they are ---- */

static void test_files(void)
{
    const char *const names[] = {"Joy/a.mp4", "Joy/a.txt", "Joy/b/c.txt", "x.bin", "Joy/000001.jpg"};
    char path[256];
    for (size_t i = 0; i < BASE_ARRAY_LEN(names); i++) {
        (void)snprintf(path, sizeof path, "root/%s", names[i]);
        corpus_touch(path);
    }
    make_tree("  - path: 'raw/{path}'\n    files: ['**/*.txt', '*.bin']\n"
              "  - path: 'all/{path}.orig'\n    files:\n");
    check_whole();
    CHECK_INT(problems, 0);
    CHECK(find("raw/Joy/a.txt") > 0 && find("raw/Joy/b/c.txt") > 0 && find("raw/x.bin") > 0);
    CHECK_INT(find("raw/Joy/a.mp4"), -ENOENT);
    CHECK(find("all/Joy/a.mp4.orig") > 0 && find("all/Joy/000001.jpg.orig") > 0);
    int64_t text = find("raw/Joy/a.txt"), again = find("all/Joy/a.txt.orig");
    if (CHECK(text > 0 && again > 0))
        CHECK_INT(tree.nodes[text].clip, tree.nodes[again].clip);
    end_tree();
}

/* What clips' views make stays; of two files of one name none does. */
static void test_clashes(void)
{
    const char *const names[] = {"Joy/a.mp4", "a/000001.jpg", "a/1.jpg", "a.mp3", "n.txt.d/x", "n.txt"};
    char path[256];
    for (size_t i = 0; i < BASE_ARRAY_LEN(names); i++) {
        (void)snprintf(path, sizeof path, "root/%s", names[i]);
        corpus_touch(path);
    }
    make_tree("  - path: '{clip}/{frame:06d}.jpg'\n    frames: {}\n"
              "  - path: '{clip}.mp3'\n    audio: {}\n"
              "  - path: '{path}'\n    files: ['*.mp3', '*/*.jpg', 'n*']\n"
              "  - path: '{path}.d'\n    files: 'n*'\n"
              "  - path: 'n.txt.d/{path}'\n    files: 'n*/x'\n");
    check_whole();
    int64_t sound = find("a.mp3"), frame = find("a/000001.jpg");
    if (CHECK(sound > 0))
        CHECK_INT(tree.nodes[sound].view, 1);
    CHECK_INT(frame, -ENOENT);
    CHECK(find("a/1.jpg") > 0);
    CHECK(find("n.txt.d/n.txt.d/x") > 0);
    CHECK_INT(problems, 2);
    CHECK(
        strstr(corpus_said, "c.yaml:10:5: a.mp3 is a file that another view makes: left out (and 1 more)\n"));
    CHECK(strstr(corpus_said, "c.yaml:12:5: n.txt.d is a directory, too: left out\n"));
    end_tree();
    make_tree("  - path: 'x/{path}'\n    files: 'a/1.jpg'\n  - path: 'x/a/1.jpg/{path}'\n    files: 'zz'\n");
    end_tree();
}

static char heard[4096];

static void on_name(void *context, uint32_t dir, const char *name)
{
    size_t len = strlen(heard);
    (void)context;
    (void)snprintf(heard + len, sizeof heard - len, "%s/%s\n", fs_node_name(&tree, &tree.nodes[dir]), name);
}

static void on_frames(void *context, uint32_t set)
{
    size_t len = strlen(heard);
    const struct fs_frame_set *s = &tree.sets[set];
    struct fs_span now = fs_sets(&tree, s->node);
    (void)context;
    (void)snprintf(heard + len, sizeof heard - len, "frames of %u in %s, now of %u\n", s->clip,
                   fs_node_name(&tree, &tree.nodes[s->node]),
                   now.n > 0 ? tree.sets[tree.ids[now.first]].clip : UINT32_MAX);
}

static void on_listing(void *context, uint32_t dir)
{
    size_t len = strlen(heard);
    (void)context;
    (void)snprintf(heard + len, sizeof heard - len, "%s/\n", fs_node_name(&tree, &tree.nodes[dir]));
}

/* A later scan: what is still there keeps its place, what is gone is told. */
static void test_update(void)
{
    const struct fs_tree_listener listener = {on_name, on_frames, on_listing, NULL};
    struct cfg_clips *later = NULL;
    size_t n;
    corpus_touch("root/Joy/a.mp4");
    corpus_touch("root/Joy/b.mp4");
    corpus_touch("root/Sad/c.mp4");
    make_tree("  - path: 'img/{class}/{clip}/{frame:06d}.jpg'\n    frames: {}\n"
              "  - path: 'mp3/{class}/{clip}.mp3'\n    audio: {}\n");
    int64_t b = find("mp3/Joy/b.mp3"), frames = find("img/Joy/b");
    CHECK_INT(remove("root/Joy/a.mp4"), 0);
    CHECK_INT(remove("root/Sad/c.mp4"), 0);
    corpus_touch("root/Joy/d.mp4");
    corpus_touch("root/New/e.mp4");
    if (!CHECK_INT(cfg_scan(config, NULL, NULL, corpus_report, NULL, &later, &n), 0))
        return;
    /* b has number 1 as before; d and e are new. */
    const uint32_t ids[] = {1, 3, 4};
    const struct fs_found found = {.clips = later, .clip_ids = ids};
    heard[0] = 0;
    CHECK_INT(fs_tree_update(&tree, &found, &listener), 0);
    check_whole();
    CHECK_INT(find("mp3/Joy/b.mp3"), b);
    CHECK_INT(find("img/Joy/b"), frames);
    CHECK_INT(fs_sets(&tree, (uint32_t)frames).n, 1);
    CHECK_INT(find("mp3/Joy/a.mp3"), -ENOENT);
    CHECK_INT(find("mp3/Sad"), -ENOENT);
    int64_t e = find("mp3/New/e.mp3");
    CHECK(e > 0 && tree.nodes[e].clip == 4);
    const char *const told[] = {"Joy/a\n",   "Joy/a.mp3\n", "Sad/c.mp3\n", "img/Sad\n",
                                "mp3/Sad\n", "Joy/\n",      "img/\n",      "mp3/\n"};
    for (size_t i = 0; i < BASE_ARRAY_LEN(told); i++)
        if (!CHECK(strstr(heard, told[i]) != NULL))
            (void)fprintf(stderr, "  %s", told[i]);
    CHECK(!strstr(heard, "b.mp3"));
    /* Another clip's frames in a directory that stays: the names of the old ones are told, after all that is
     * looked up is the new. */
    const uint32_t other_ids[] = {9, 3, 4};
    const struct fs_found other = {.clips = later, .clip_ids = other_ids};
    const uint32_t ids_before = tree.n_ids, names_before = tree.names_bytes;
    heard[0] = 0;
    CHECK_INT(fs_tree_update(&tree, &other, &listener), 0);
    CHECK_INT(find("img/Joy/b"), frames);
    CHECK(find("mp3/Joy/b.mp3") > b &&
          tree.names_bytes == names_before); /* its name is that of the old one */
    CHECK(tree.n_ids <= ids_before + 3);     /* one directory's frames, and a list with two files */
    CHECK(strstr(heard, "frames of 1 in b, now of 9\n") != NULL && !strstr(heard, "frames of 3"));
    CHECK_INT(fs_tree_update(&tree, &found, &listener), 0);
    /* Nothing is new: nothing is told, and nothing grows. */
    const struct fs_tree before = tree;
    heard[0] = 0;
    CHECK_INT(fs_tree_update(&tree, &found, &listener), 0);
    CHECK_STR(heard, "");
    CHECK(tree.n_nodes == before.n_nodes && tree.n_sets == before.n_sets && tree.n_ids == before.n_ids &&
          tree.n_dirs == before.n_dirs && tree.names_bytes == before.names_bytes);
    check_whole();
    cfg_clips_destroy(later);
    end_tree();
}

/* What is found by its clip is what a walk through all finds. */
static void check_chains(const struct fs_chains *chains, bool are_sets, uint32_t number, uint32_t want)
{
    uint32_t last = UINT32_MAX, n = 0;
    for (uint32_t i = fs_places_first(chains, number); i; i = fs_places_next(chains, i), n++) {
        uint32_t place = fs_places_of(chains, i);
        CHECK(place < last); /* none twice */
        last = place;
        CHECK(are_sets ? tree.sets[place].clip == number
                       : tree.nodes[place].kind == FS_FILE && tree.nodes[place].clip == number);
    }
    CHECK_INT(n, want);
}

static void check_places(const struct fs_places *p)
{
    for (uint32_t number = 0; number < 100; number++) {
        uint32_t n_sets = 0, n_files = 0, n_lists = 0;
        for (uint32_t i = 0; i < tree.n_sets; i++)
            n_sets += tree.sets[i].clip == number;
        for (uint32_t i = 0; i < tree.n_nodes; i++) {
            const struct fs_node *n = &tree.nodes[i];
            bool is_list = n->kind == FS_FILE && cfg_view(config, n->view)->kind == CFG_LIST;
            n_files += n->kind == FS_FILE && !is_list && n->clip == number;
            n_lists += is_list && n->clip == number;
        }
        check_chains(&p->sets, true, number, n_sets);
        check_chains(&p->files, false, number, n_files);
        check_chains(&p->lists, false, number, n_lists);
    }
}

static void test_places(void)
{
    char path[64];
    struct fs_places places;
    struct cfg_clips *found = NULL;
    size_t n;
    for (int i = 0; i < 40; i++) {
        (void)snprintf(path, sizeof path, "root/%c/%02d.mp4", 'a' + i % 3, i);
        corpus_touch(path);
    }
    make_tree("  - path: 'img/{class}/{clip}/{frame:06d}.jpg'\n    frames: {}\n"
              "  - path: 'img/{class}/{clip}/n_frames'\n    text: '{nframes}'\n"
              "  - path: 'mp3/{class}/{clip}.mp3'\n    audio: {}\n"
              "  - path: 'list/{class}.txt'\n    list: \"{clip}\\n\"\n"
              "  - path: 'raw/{class}/{clip}.mp4'\n    file:\n");
    CHECK_INT(fs_places_init(&places), 0);
    CHECK_INT(fs_places_first(&places.files, 3), 0);
    CHECK_INT(fs_places_update(&places, &tree), 0);
    check_places(&places);
    CHECK(places.files.n_links >= 80 && places.sets.n_links == 40 && places.lists.n_links == 3);
    /* Clips that come later have files of their own, and some of clips that were there come again elsewhere.
     */
    for (int i = 40; i < 60; i++) {
        (void)snprintf(path, sizeof path, "root/%c/%02d.mp4", 'b' + i % 3, i);
        corpus_touch(path);
    }
    if (CHECK_INT(cfg_scan(config, NULL, NULL, corpus_report, NULL, &found, &n), 0)) {
        CHECK_INT(update(found, NULL), 0);
        CHECK_INT(fs_places_update(&places, &tree), 0);
        check_places(&places);
        CHECK(places.sets.n_links > 40);
    }
    fs_places_finish(&places);
    cfg_clips_destroy(found);
    end_tree();
}

int main(void)
{
    corpus_make();
    CHECK_RUN(test_lookup);
    CHECK_RUN(test_frame_numbers);
    CHECK_RUN(test_shared_directories);
    CHECK_RUN(test_empty);
    CHECK_RUN(test_files);
    CHECK_RUN(test_clashes);
    CHECK_RUN(test_update);
    CHECK_RUN(test_places);
    corpus_remove();
    return check_result();
}
