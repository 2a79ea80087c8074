/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of clips stays in memory while it is used, and within bounds. */
#include "cache/private.h"

#include "check.h"
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>

enum { N_CLIPS = 400, N_FRAMES = 50000 };
static char home[] = "/tmp/corpusfs-test-XXXXXX";
static struct cache_source sources[N_CLIPS];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static struct cache *start(void)
{
    static char dir[PATH_MAX];
    (void)snprintf(dir, sizeof dir, "%s/cache", home);
    const struct cache_view view = {.kind = CACHE_FRAMES, .frames = {.quality = 95}};
    struct cache_options options = {.root = home,
                                    .sources = sources,
                                    .n_clips = N_CLIPS,
                                    .views = &view,
                                    .n_views = 1,
                                    .dir = dir,
                                    .size_bytes = 1 << 20,
                                    .workers = 1,
                                    .decoder = "/bin/true"};
    struct cache *c = NULL;
    struct base_reason why;
    for (size_t i = 0; i < N_CLIPS; i++)
        sources[i].path = "clip";
    if (!CHECK(cache_create(&options, &c, &why) == 0))
        (void)fprintf(stderr, "%s\n", why.text);
    return c;
}

/* The index of a long clip with a frame rate that varies. */
static struct media *new_media(const struct cache *c, size_t clip)
{
    static struct dec_frame frames[N_FRAMES];
    struct dec_key key = {.bytes = 1000};
    struct dec_index index = {.video_stream = 0,
                              .width = 320,
                              .height = 240,
                              .tb_num = 1,
                              .tb_den = 90000,
                              .rate_num = 25,
                              .rate_den = 1,
                              .pts_unique = true,
                              .n_frames = N_FRAMES,
                              .frames = frames,
                              .n_keys = 1,
                              .keys = &key,
                              .audio_stream = -1,
                              .text_stream = -1};
    for (uint32_t i = 0; i < N_FRAMES; i++)
        frames[i] = (struct dec_frame){.pts = (int64_t)i * 3600 + (i * 7919) % 1800, .duration = 3600};
    index.end_us = index.duration_us = (int64_t)N_FRAMES * 40000;
    struct base_bytes packed = {0};
    dec_index_pack(&index, &packed);
    struct base_hash identity = base_hash_of(&clip, sizeof clip);
    struct cache_file_stamp stamp = {.size = 1};
    struct media *m = NULL;
    CHECK_INT(media_create(c, clip, &packed, &identity, &stamp, &m), 0);
    return m;
}

static void add(struct cache *c, size_t clip)
{
    struct media *m = new_media(c, clip);
    pthread_mutex_lock(&c->lock);
    media_attach_locked(c, clip, m);
    struct media *list = media_trim_locked(c);
    pthread_mutex_unlock(&c->lock);
    media_unref_list(list);
}

static size_t count(const struct cache *c, size_t *ret_bytes)
{
    size_t n = 0;
    *ret_bytes = 0;
    for (const struct media *m = c->media_newest, *newer = NULL; m; newer = m, m = m->older) {
        CHECK(m->newer == newer && c->clips[m->clip].media == m);
        *ret_bytes += m->bytes;
        n++;
    }
    return n;
}

/* Clip 0 is used all the while, clip 1 by a task, clip 2 not at all. */
static void test_bounded(void)
{
    struct cache *c = start();
    for (size_t i = 0; i < 3; i++)
        add(c, i);
    struct media *used = media_ref(c->clips[1].media);
    for (size_t i = 3; i < N_CLIPS; i++) {
        pthread_mutex_lock(&c->lock);
        media_used_locked(c, c->clips[0].media);
        pthread_mutex_unlock(&c->lock);
        add(c, i);
        CHECK(c->clips[i].media != NULL);
    }
    size_t bytes, n = count(c, &bytes);
    CHECK_INT(bytes, c->media_bytes);
    CHECK(bytes <= 24 << 20);
    CHECK(bytes > 20 << 20);
    CHECK(n > 3 && n < N_CLIPS);
    CHECK(c->clips[0].media && c->clips[1].media == used && !c->clips[2].media);
    media_unref(used);
    pthread_mutex_lock(&c->lock);
    struct media *taken = media_detach_locked(c, 0);
    CHECK(taken && !media_detach_locked(c, 0));
    media_used_locked(c, taken); /* nobody's any more: that is no place in the list */
    CHECK_INT(count(c, &bytes), n - 1);
    CHECK_INT(bytes, c->media_bytes);
    pthread_mutex_unlock(&c->lock);
    media_unref(taken);
    cache_destroy(c);
}

int main(void)
{
    if (!mkdtemp(home))
        return 2;
    CHECK_RUN(test_bounded);
    (void)nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return check_result();
}
