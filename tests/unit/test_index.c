/* SPDX-License-Identifier: Apache-2.0 */
/* The media index as bytes: what goes in comes out, in little room, and nothing that a worker or a disk gives
 * can do harm. */
#include "decoders/index.h"

#include "check.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

static uint64_t random_state = 20240229;

/* splitmix64 */
static uint64_t random_u64(void)
{
    uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int64_t random_between(int64_t low, int64_t high)
{
    return low + (int64_t)(random_u64() % (uint64_t)(high - low + 1));
}

static struct dec_index video(uint32_t n_frames)
{
    struct dec_index index = {
        .video_stream = 0,
        .width = 320,
        .height = 240,
        .tb_num = 1,
        .tb_den = 90000,
        .rate_num = 25,
        .rate_den = 1,
        .audio_stream = -1,
        .text_stream = -1,
        .n_frames = n_frames,
        .frames = calloc(n_frames + 1, sizeof(struct dec_frame)),
        .keys = calloc(n_frames + 1, sizeof(struct dec_key)),
    };
    return index;
}

static struct dec_index random_index(void)
{
    struct dec_index index = video((uint32_t)random_between(0, 300));
    bool holes = random_between(0, 1);
    int64_t pts = random_between(-1000, 100000);
    index.duration_us = random_between(0, 1000000000);
    index.start_pts = random_between(-100000, 100000);
    index.end_us = random_between(-1000, 1000000000);
    index.only_stream = random_between(0, 1);
    index.counted = random_between(0, 1);
    index.damaged = random_between(0, 1);
    index.pts_unique = !holes && index.n_frames > 0;
    index.audio_stream = 1;
    index.audio_rate = 44100;
    index.audio_channels = 2;
    index.audio_samples = random_between(0, 1000000);
    index.audio_start_us = random_between(-1000000, 1000000);
    for (uint32_t i = 0; i < index.n_frames; i++) {
        bool missing = holes && random_between(0, 3) == 0;
        pts += random_between(0, 3) ? 3600 : random_between(1, INT64_C(1) << random_between(1, 40));
        index.frames[i] = (struct dec_frame){missing ? DEC_NO_PTS : pts,
                                             random_between(0, 4) ? 3600 : random_between(0, 9000)};
        if (i % 12 != 0 && random_between(0, 20) != 0)
            continue;
        index.keys[index.n_keys++] = (struct dec_key){
            .frame = i,
            .pts = random_between(0, 5) ? pts : DEC_NO_PTS,
            .dts = random_between(0, 5) ? pts - 7200 : DEC_NO_PTS,
            .pos = random_between(0, 5) ? random_between(0, INT64_C(1) << 40) : -1,
            .bytes = (uint32_t)random_u64(),
            .damaged = random_between(0, 1),
        };
    }
    return index;
}

static bool equal(const struct dec_index *a, const struct dec_index *b)
{
    bool same = a->duration_us == b->duration_us && a->video_stream == b->video_stream &&
                a->width == b->width && a->height == b->height && a->tb_num == b->tb_num &&
                a->tb_den == b->tb_den && a->rate_num == b->rate_num && a->rate_den == b->rate_den &&
                a->start_pts == b->start_pts && a->end_us == b->end_us && a->only_stream == b->only_stream &&
                a->counted == b->counted && a->damaged == b->damaged && a->pts_unique == b->pts_unique &&
                a->n_frames == b->n_frames && a->n_keys == b->n_keys && a->audio_stream == b->audio_stream &&
                a->audio_rate == b->audio_rate && a->audio_channels == b->audio_channels &&
                a->audio_samples == b->audio_samples && a->audio_start_us == b->audio_start_us &&
                a->text_stream == b->text_stream;
    for (uint32_t i = 0; same && i < a->n_frames; i++)
        same = a->frames[i].pts == b->frames[i].pts && a->frames[i].duration == b->frames[i].duration;
    for (uint32_t i = 0; same && i < a->n_keys; i++) {
        const struct dec_key *x = &a->keys[i], *y = &b->keys[i];
        same = x->frame == y->frame && x->pts == y->pts && x->dts == y->dts && x->pos == y->pos &&
               x->bytes == y->bytes && x->damaged == y->damaged;
    }
    return same;
}

static void test_round_trip(void)
{
    for (int i = 0; i < 500; i++) {
        struct dec_index index = random_index(), found;
        struct base_bytes packed = {0};
        dec_index_pack(&index, &packed);
        int err = dec_index_unpack(packed.data, packed.len, &found);
        if (CHECK_INT(err, 0)) {
            CHECK(equal(&index, &found));
            dec_index_finish(&found);
        }
        base_bytes_finish(&packed);
        dec_index_finish(&index);
    }
}

static size_t packed_bytes(const struct dec_index *index)
{
    struct base_bytes packed = {0};
    dec_index_pack(index, &packed);
    size_t len = packed.len;
    base_bytes_finish(&packed);
    return len;
}

static void test_compact(void)
{
    const uint32_t n = 100000;
    struct dec_index index = video(n);
    for (uint32_t i = 0; i < n; i++)
        index.frames[i] = (struct dec_frame){(int64_t)i * 3600, 3600};
    CHECK(packed_bytes(&index) < 100);
    /* Milliseconds of 30 frames/s, as Matroska has them: 33, 33, 34. */
    for (uint32_t i = 0; i < n; i++)
        index.frames[i] = (struct dec_frame){((int64_t)i * 1000 + 15) / 30, 33};
    CHECK(packed_bytes(&index) < (size_t)n * 5 / 2);
    /* A phone's jitter. */
    int64_t pts = 0;
    for (uint32_t i = 0; i < n; i++) {
        int64_t step = 3000 + random_between(-15, 15);
        index.frames[i] = (struct dec_frame){pts, 3000};
        pts += step;
    }
    CHECK(packed_bytes(&index) <= (size_t)n * 3 + 100);
    dec_index_finish(&index);
}

/* What is parsed of bytes that may be anything: an error, or an index that keeps the rules. */
static void try_bytes(const uint8_t *data, size_t len)
{
    struct dec_index index;
    uint8_t *copy = malloc(len + 1); /* exactly as long for the address sanitizer as it says */
    uint8_t *exact = realloc(copy, len ? len : 1);
    memcpy(exact, data, len);
    int err = dec_index_unpack(exact, len, &index);
    free(exact);
    if (err) {
        CHECK_INT(err, -EPROTO);
        return;
    }
    CHECK(index.n_frames <= DEC_MAX_FRAMES && index.n_keys <= index.n_frames);
    for (uint32_t i = 0; i < index.n_keys; i++)
        CHECK(index.keys[i].frame < index.n_frames &&
              (i == 0 || index.keys[i].frame > index.keys[i - 1].frame));
    const struct dec_frames_spec specs[] = {
        {.timing = DEC_CFR}, {.timing = DEC_PASSTHROUGH}, {.timing = DEC_FPS, .fps_num = 10, .fps_den = 1}};
    /* A time that is far off gives millions of frames, which takes its time here. */
    static int n_tried;
    for (size_t i = 0; n_tried++ % 16 == 0 && i < BASE_ARRAY_LEN(specs); i++) {
        uint32_t *map = NULL, n = 0;
        err = dec_timing_map(&index, &specs[i], &map, &n);
        CHECK(err == 0 || err == -EFBIG);
        for (uint32_t f = 0; !err && f < n; f++)
            if (!CHECK(map[f] < index.n_frames && (f == 0 || map[f] >= map[f - 1])))
                break;
        free(map);
    }
    dec_index_finish(&index);
}

static void test_truncated(void)
{
    struct dec_index index = random_index();
    struct base_bytes packed = {0};
    dec_index_pack(&index, &packed);
    for (size_t len = 0; len < packed.len; len++) {
        struct dec_index found;
        if (!CHECK_INT(dec_index_unpack(packed.data, len, &found), -EPROTO))
            dec_index_finish(&found);
    }
    base_bytes_append(&packed, "", 1);
    try_bytes(packed.data, packed.len);
    base_bytes_finish(&packed);
    dec_index_finish(&index);
}

static void test_mutated(void)
{
    for (int i = 0; i < 60; i++) {
        struct dec_index index = random_index();
        struct base_bytes packed = {0};
        dec_index_pack(&index, &packed);
        for (int j = 0; j < 100 && packed.len > 8; j++) {
            uint8_t *at = packed.data + random_between(8, (int64_t)packed.len - 1);
            uint8_t was = *at;
            *at =
                random_between(0, 1) ? (uint8_t)random_u64() : (uint8_t)(was ^ (1u << random_between(0, 7)));
            try_bytes(packed.data, packed.len);
            if (random_between(0, 2))
                *at = was;
        }
        base_bytes_finish(&packed);
        dec_index_finish(&index);
    }
}

static long most_memory_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* A few bytes that claim a lot. */
static void test_claims(void)
{
    long before = most_memory_kib();
    struct dec_index index = video(0), found;
    const uint32_t claims[] = {DEC_MAX_FRAMES, 50000000, UINT32_MAX};
    for (size_t i = 0; i < BASE_ARRAY_LEN(claims); i++) {
        struct base_bytes packed = {0};
        index.n_frames = 0;
        dec_index_pack(&index, &packed);
        /* The same scalars with another n_frames and n_keys: everything behind end_us is written anew. */
        struct dec_index liar = index;
        packed.len = 0;
        liar.n_frames = 0;
        dec_index_pack(&liar, &packed);
        struct base_reader in = {.next = packed.data + 8, .end = packed.data + packed.len};
        for (int field = 0; field < 10; field++)
            (void)base_reader_u64(&in);
        size_t scalars = (size_t)(in.next - packed.data);
        uint8_t rest[64];
        size_t n_rest = packed.len - scalars - 2;
        memcpy(rest, in.next + 2, n_rest);
        for (int with_keys = 0; with_keys < 2; with_keys++) {
            packed.len = scalars;
            base_bytes_put_i64(&packed, claims[i]);
            base_bytes_put_i64(&packed, with_keys ? claims[i] : 0);
            base_bytes_append(&packed, rest, n_rest - 1);
            /* No run covers them. */
            base_bytes_put_u64(&packed, 5);
            CHECK_INT(dec_index_unpack(packed.data, packed.len, &found), -EPROTO);
            /* One run covers them, but there are no keys. */
            packed.len--;
            base_bytes_put_u64(&packed, claims[i]);
            if (with_keys || claims[i] > DEC_MAX_FRAMES)
                CHECK_INT(dec_index_unpack(packed.data, packed.len, &found), -EPROTO);
        }
        base_bytes_finish(&packed);
    }
    dec_index_finish(&index);
    CHECK(most_memory_kib() - before < 64 * 1024);
}

int main(void)
{
    CHECK_RUN(test_claims);
    CHECK_RUN(test_round_trip);
    CHECK_RUN(test_compact);
    CHECK_RUN(test_truncated);
    CHECK_RUN(test_mutated);
    return check_result();
}
