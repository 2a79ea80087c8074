/* SPDX-License-Identifier: Apache-2.0 */
/* DEC_MEASURE_FRAMES and DEC_FRAMES: the size of a view's frames, and runs of them. */
#include "decoders/encoders.h"
#include "decoders/session.h"

#include <errno.h>

static void free_pictures(void *slot)
{
    struct dec_picture *pictures = slot;
    for (int i = 0; i < DEC_MAX_ENCODERS; i++)
        dec_picture_finish(&pictures[i]);
    free(slot);
}

/* A session's, DEC_MAX_ENCODERS of them. */
static int get_pictures(struct dec_session *s, struct dec_picture **ret, struct base_reason *why)
{
    void **slot = dec_session_slot(s, free_pictures);
    if (!*slot)
        *slot = calloc(DEC_MAX_ENCODERS, sizeof(struct dec_picture));
    *ret = *slot;
    return *slot ? 0 : base_fail(why, -ENOMEM, "out of memory");
}

/* Bytes of a JPEG at a quality, in percent of those at 95: libjpeg's quantisers shrink in these steps. */
static uint64_t quality_percent(int quality)
{
    static const struct {
        int from;
        uint64_t percent;
    } steps[] = {{98, 200}, {96, 120}, {92, 100}, {85, 66}, {75, 44}, {60, 34}, {0, 25}};
    size_t i = 0;
    while (quality < steps[i].from)
        i++;
    return steps[i].percent;
}

/*
 * The size that a clip's JPEG files have. It follows from one or two keyframes, encoded at the wanted
 * quality: a frame of real video rarely grows by more than 23 % over the largest keyframe of its clip.
 * Where the keyframes tell too little, the size is at least what frames of real video take:
 * - a long clip with a single keyframe, in which anything may come after it: 0.34 byte a pixel (at quality
 * 95);
 * - a keyframe that is next to empty, or whose packet is smaller than a later one, as in clips that begin
 * black: 0.47. Calibrated on real clips; docs/design.md, "The size rule", has the shares of frames that do
 * not fit and of bytes that are filling.
 */
static uint64_t jpeg_file_bytes(const struct dec_index *index, uint32_t second_key, uint64_t largest_sample,
                                uint64_t pixels, int quality)
{
    uint64_t bytes = largest_sample * 123 / 100 + 512;
    uint64_t key_packet = index->n_keys > 0 ? index->keys[0].bytes : 0;
    key_packet = BASE_MAX(key_packet, index->n_keys > 0 ? (uint64_t)index->keys[second_key].bytes : 0);
    uint64_t percent = quality_percent(quality), least = 0;
    if (index->n_keys <= 1 && index->n_frames > 60)
        least = pixels * 34 / 100 * percent / 100;
    if ((uint64_t)index->largest_packet * 2 > key_packet * 3 ||
        largest_sample < pixels * 6 / 100 * percent / 100)
        least = pixels * 47 / 100 * percent / 100;
    /* At quality 1 every picture fits this. */
    least = BASE_MAX(least, 2048 + pixels / 16);
    return BASE_MAX(bytes, least);
}

/* box: what is wanted of the frame; NULL = what the job says. */
static int measure_sample(struct dec_work *work, struct dec_picture *pictures, const AVStream *stream,
                          const AVFrame *frame, const struct base_box *box, uint64_t *largest)
{
    struct dec_reply *reply = work->reply;
    struct dec_frames_spec spec = work->job->frames;
    AVFrame *rendered;
    const struct dec_picture_input input = dec_picture_input_of(stream, frame);
    if (box) /* one that lies outside tells nothing: then it is the whole picture */
        (void)dec_picture_take_box(&input, frame, box, &spec, &work->why);
    int err = dec_picture_render(pictures, &input, frame, &spec, (int)reply->width, (int)reply->height,
                                 &rendered, &work->why);
    if (err)
        return err;
    reply->width = (uint32_t)rendered->width;
    reply->height = (uint32_t)rendered->height;
    if (spec.format != DEC_JPG) {
        *largest = dec_picture_worst_bytes(&spec, rendered);
        return 0;
    }
    struct base_bytes encoded = {0};
    bool lowered;
    err = dec_picture_encode(&spec, rendered, 0, &encoded, &lowered, &work->why);
    *largest = BASE_MAX(*largest, (uint64_t)encoded.len);
    base_bytes_finish(&encoded);
    return err;
}

/* The keyframe, beside the first, with the largest packet; 0 = there is no other. */
static uint32_t largest_key(const struct dec_index *index)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < index->n_keys; i++)
        if (best == 0 || index->keys[i].bytes > index->keys[best].bytes)
            best = i;
    return best;
}

/* An array's size, or that of pictures of flow, follows from the stream's parameters; nothing is decoded. */
static int measure_array(struct dec_work *work, struct dec_session *s, struct dec_picture *picture)
{
    const struct dec_index *index = dec_session_index(s);
    const AVStream *stream = dec_session_stream(s);
    AVFrame *like = av_frame_alloc();
    if (!like)
        return base_fail(&work->why, -ENOMEM, "out of memory");
    like->width = index->width;
    like->height = index->height;
    like->format = stream->codecpar->format >= 0 ? stream->codecpar->format : AV_PIX_FMT_YUV420P;
    const struct dec_picture_input input = dec_picture_input_of(stream, like);
    int err = dec_picture_measure(picture, &input, like, &work->job->frames, &like->width, &like->height,
                                  &work->why);
    work->reply->width = (uint32_t)like->width;
    work->reply->height = (uint32_t)like->height;
    const struct dec_frames_spec *spec = &work->job->frames;
    work->reply->file_bytes = spec->format == DEC_RGB
                                  ? dec_rgb_bytes(spec, like)
                                  : dec_flow_file_bytes(spec, (uint64_t)like->width * (uint64_t)like->height);
    av_frame_free(&like);
    return err;
}

/* The box that stands for a keyframe's: that of the first frame with one that shows it or a later picture,
 * else the last. NULL = there is none, or the view has none (map NULL). */
static const struct base_box *box_of_sample(const struct dec_frame_map *map, uint32_t source)
{
    uint32_t low = 0, high = map ? map->n : 0;
    if (!map || map->n == 0)
        return NULL;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (map->sources[middle] < source)
            low = middle + 1;
        else
            high = middle;
    }
    return &map->boxes[BASE_MIN(low, map->n - 1)];
}

int dec_run_measure_frames(struct dec_work *work)
{
    struct dec_session *s;
    const struct dec_frame_map *map = NULL;
    struct dec_picture *pictures = NULL;
    const struct dec_frames_spec *spec = &work->job->frames;
    int err = dec_session_get(work, &s);
    if (!err)
        err = get_pictures(s, &pictures, &work->why);
    if (err)
        return err;
    const struct dec_index *index = dec_session_index(s);
    const AVFrame *frame;
    uint64_t largest = 0;
    if (index->n_frames == 0)
        return base_fail(&work->why, -EIO, "it has no video");
    if (spec->format == DEC_RGB || spec->flow)
        return measure_array(work, s, pictures);
    err = spec->boxed ? dec_session_map(s, work, &map) : 0;
    if (err)
        return err;
    if (index->n_keys > 0 && index->keys[0].frame == 0)
        err = dec_session_keyframe(s, work, 0, &frame);
    else
        err = dec_session_frame(s, work, 0, &frame);
    if (!err)
        err = measure_sample(work, pictures, dec_session_stream(s), frame, box_of_sample(map, 0), &largest);
    uint32_t second = largest_key(index);
    if (!err && second > 0 && spec->format == DEC_JPG) {
        err = dec_session_keyframe(s, work, second, &frame);
        if (!err)
            err = measure_sample(work, pictures, dec_session_stream(s), frame,
                                 box_of_sample(map, index->keys[second].frame), &largest);
    }
    if (err == -ENOENT)
        work->reply->stale = 1;
    if (err)
        return err;
    uint64_t pixels = (uint64_t)work->reply->width * work->reply->height;
    work->reply->file_bytes =
        spec->format == DEC_JPG ? jpeg_file_bytes(index, second, largest, pixels, spec->quality) : largest;
    return 0;
}

/* A DEC_FRAMES job in work. */
struct run {
    struct dec_work *work;
    struct dec_session *session;
    struct dec_picture *pictures;
    struct dec_encoders *encoders;
    const struct dec_encoded *collected; /* the last one, until another frame is begun */
    const struct dec_frame_map *map;
    struct dec_entry *entries; /* dec_entries_of_frame() for each frame */
    uint64_t offset;
    /* Flow: the frames that were decoded last, and the number of the first. */
    AVFrame *pair[2];
    bool has_first;
    uint32_t first_source;
    /* The wanted frame, when it was made before the others. */
    bool has_wanted;
    const uint32_t *wanted_source; /* in the map */
    struct base_bytes wanted;
    size_t wanted_split;
};

/* Only this frame fails: its entry stays empty, and the reply says why. */
static int leave_out(struct dec_work *work, uint32_t frame)
{
    (void)snprintf(work->reply->reason, sizeof work->reply->reason, "frame %u: %.200s", frame,
                   work->why.text);
    return 0;
}

static uint32_t entries_of_frame(const struct run *r)
{
    return dec_entries_of_frame(&r->work->job->frames);
}

/* Number i of the run, of one file, or of two, the second from `split` on. */
static int put_frame(struct run *r, const uint8_t *data, size_t len, size_t split, uint32_t i)
{
    struct dec_work *work = r->work;
    struct dec_entry *entry = &r->entries[(size_t)i * entries_of_frame(r)];
    const uint32_t first = (uint32_t)(split > 0 ? split : len);
    if (r->offset + len > UINT32_MAX)
        return base_fail(&work->why, -EFBIG, "a run of frames over 4 GiB");
    int err = dec_output_write(work, data, len, r->offset);
    if (err)
        return err;
    entry[0] = (struct dec_entry){(uint32_t)r->offset, first};
    if (split > 0)
        entry[1] = (struct dec_entry){(uint32_t)r->offset + first, (uint32_t)len - first};
    r->offset += len;
    return 0;
}

/* Rows of an array can be read while others are made, as long as each stands right behind the one before:
 * none is missing, or shared with another. */
static void tell_rows(struct run *r, uint32_t i)
{
    uint64_t rows = ((uint64_t)i + 1) * r->work->job->file_bytes;
    r->work->progress(r->work, r->offset == rows ? rows : 0);
}

/* Writes the oldest frame that is with the encoders. */
static int collect(struct run *r, const uint32_t *sources)
{
    struct dec_work *work = r->work;
    const struct dec_encoded *made = dec_encoders_take(r->encoders);
    if (made->err)
        work->why = made->why;
    if (made->err == -ENOMEM)
        return made->err;
    if (made->err)
        return leave_out(work, sources[made->tag]);
    work->reply->n_lowered += made->lowered;
    r->collected = made;
    int err = put_frame(r, made->data, made->len, made->split, made->tag);
    if (!err)
        tell_rows(r, made->tag);
    return err;
}

static int collect_all(struct run *r, const uint32_t *sources)
{
    int err = 0;
    while (!err && !dec_encoders_are_empty(r->encoders))
        err = collect(r, sources);
    return err;
}

/* A frame of flow's pair, kept. */
static int decode_kept(struct run *r, uint32_t source, AVFrame **ret)
{
    const AVFrame *decoded;
    int err = 0;
    if (!*ret && !(*ret = av_frame_alloc()))
        err = -ENOMEM;
    if (!err)
        av_frame_unref(*ret);
    if (!err)
        err = dec_session_frame(r->session, r->work, source, &decoded);
    return err || av_frame_ref(*ret, decoded) >= 0 ? err : base_fail(&r->work->why, -ENOMEM, "out of memory");
}

/* Decodes both frames, of which the first is often the second of the one before. */
static int decode_pair(struct run *r, const uint32_t sources[2])
{
    int err = r->has_first && r->first_source == sources[0] ? 0 : decode_kept(r, sources[0], &r->pair[0]);
    r->has_first = !err;
    r->first_source = sources[0];
    return err ? err : decode_kept(r, sources[1], &r->pair[1]);
}

static int begin_flow(struct run *r, const uint32_t sources[2], uint32_t i)
{
    int err = decode_pair(r, sources);
    if (err)
        return err;
    err = dec_encoders_put(r->encoders, dec_session_stream(r->session), r->pair[0], r->pair[1], NULL, i);
    AVFrame *second = r->pair[1];
    r->pair[1] = r->pair[0];
    r->pair[0] = second;
    r->first_source = sources[1];
    return err ? base_fail(&r->work->why, err, "out of memory") : 0;
}

/* Of the output frame that stands there in the map. */
static uint32_t number_of(const struct run *r, const uint32_t *source)
{
    return (uint32_t)(source - r->map->sources);
}

/* Decodes sources[i], and hands it over to become number i of the run. */
static int begin_frame(struct run *r, const uint32_t *sources, uint32_t i)
{
    struct dec_work *work = r->work;
    const AVFrame *decoded;
    int err = dec_encoders_are_full(r->encoders) ? collect(r, sources) : 0;
    if (err)
        return err;
    err = work->job->frames.flow ? begin_flow(r, sources + i, i)
                                 : dec_session_frame(r->session, work, sources[i], &decoded);
    if (err == -ENOENT && dec_session_index(r->session)->counted)
        return leave_out(work, sources[i]);
    if (err || work->job->frames.flow)
        return err;
    err = dec_encoders_put(r->encoders, dec_session_stream(r->session), decoded, NULL,
                           dec_frame_map_box(r->map, number_of(r, sources + i)), i);
    return err ? base_fail(&work->why, err, "out of memory") : 0;
}

static int put_table(struct run *r, uint32_t n)
{
    struct dec_work *work = r->work;
    const uint32_t entries = n * entries_of_frame(r);
    uint64_t bytes = entries * sizeof *r->entries;
    work->reply->bytes = r->offset + bytes;
    work->reply->n_frames = entries;
    return dec_output_write(work, r->entries, bytes, r->offset);
}

/* Flow takes one of its own at least, so that waiting for it can be told. */
static int start_encoders(struct run *r, unsigned threads)
{
    if (r->work->job->frames.flow)
        threads = BASE_MAX(2 * threads, 1u);
    dec_encoders_destroy(r->encoders);
    r->encoders = dec_encoders_create(r->work, r->pictures, BASE_MIN(threads, DEC_MAX_ENCODERS));
    return r->encoders ? 0 : base_fail(&r->work->why, -ENOMEM, "out of memory");
}

/* The frame that somebody waits for, before the others; they may turn out not to be wanted. */
static int make_wanted(struct run *r, const uint32_t *source)
{
    struct dec_work *work = r->work;
    int err = start_encoders(r, 0);
    if (!err)
        err = begin_frame(r, source, 0);
    if (!err)
        err = collect_all(r, source);
    r->has_wanted = !err && r->entries[0].len > 0;
    r->wanted_source = source;
    if (r->has_wanted) {
        base_bytes_append(&r->wanted, r->collected->data, r->collected->len);
        r->wanted_split = r->collected->split;
    }
    if (r->wanted.failed)
        err = base_fail(&work->why, -ENOMEM, "out of memory");
    if (!err)
        err = put_table(r, 1);
    if (!err)
        err = work->first(work);
    r->offset = 0;
    if (!err && !work->ended)
        work->reply->reason[0] = 0;
    return err;
}

static bool is_same(const struct run *r, const uint32_t *a, const uint32_t *b)
{
    return dec_frame_map_equal(r->map, number_of(r, a), number_of(r, b)) &&
           (!r->work->job->frames.flow || a[1] == b[1]);
}

/* A frame that is shown several times is made once. */
static bool is_repeat(const struct run *r, const uint32_t *sources, uint32_t i)
{
    return i > 0 && is_same(r, sources + i, sources + i - 1);
}

static void put_repeats(struct run *r, const uint32_t *sources, uint32_t n)
{
    const uint32_t of_frame = entries_of_frame(r);
    for (uint32_t i = 0; i < n; i++)
        if (is_repeat(r, sources, i))
            memcpy(&r->entries[(size_t)i * of_frame], &r->entries[(size_t)(i - 1) * of_frame],
                   of_frame * sizeof *r->entries);
}

/* Decoding and encoding take about the same time, but bytes of an array are only scaled: with few processors
 * a thread for that costs more than it gains. */
static unsigned encoder_threads(const struct dec_job *job)
{
    const bool scaled = job->frames.format == DEC_RGB && !job->frames.floats && !job->frames.flow;
    return job->threads / (scaled ? 4 : 2);
}

static int make_run(struct run *r, const uint32_t *sources, uint32_t n)
{
    struct dec_work *work = r->work;
    int err = start_encoders(r, n > 1 ? encoder_threads(work->job) : 0);
    for (uint32_t i = 0; !err && i < n; i++) {
        bool repeat = is_repeat(r, sources, i);
        if (!repeat && r->has_wanted && is_same(r, sources + i, r->wanted_source))
            err = put_frame(r, r->wanted.data, r->wanted.len, r->wanted_split, i);
        else if (!repeat)
            err = begin_frame(r, sources, i);
        work->progress(work, 0);
    }
    if (!err)
        err = collect_all(r, sources);
    put_repeats(r, sources, n);
    return err ? err : put_table(r, n);
}

static void expect_next(struct run *r)
{
    const struct dec_job *job = r->work->job;
    if (job->frames.flow) /* needs two frames, the second of which is not `next` */
        return;
    uint64_t next = (uint64_t)job->wanted - 1 + job->onward;
    dec_session_expect(r->session, job->onward == 0   ? 0
                                   : next < r->map->n ? r->map->sources[next]
                                                      : UINT32_MAX);
}

static int make_frames(struct run *r)
{
    struct dec_work *work = r->work;
    const struct dec_job *job = work->job;
    uint32_t n = job->last - job->first + 1;
    int err = dec_session_map(r->session, work, &r->map);
    if (err)
        return err;
    if (job->last >= r->map->n)
        return base_fail(&work->why, -EIO, "frames up to %u of %u", job->last, r->map->n);
    r->entries = calloc((size_t)n * entries_of_frame(r), sizeof *r->entries);
    if (!r->entries)
        return base_fail(&work->why, -ENOMEM, "out of memory");
    if (job->wanted) {
        expect_next(r);
        err = make_wanted(r, r->map->sources + job->wanted - 1);
    }
    if (err || work->ended)
        return err;
    dec_session_expect(r->session, 0);
    return make_run(r, r->map->sources + job->first, n);
}

int dec_run_frames(struct dec_work *work)
{
    struct run r = {.work = work};
    dec_picture_filling(&work->job->frames, &work->reply->fill, &work->reply->tail_bytes);
    int err = dec_session_get(work, &r.session);
    if (!err)
        err = get_pictures(r.session, &r.pictures, &work->why);
    if (!err)
        err = make_frames(&r);
    /* They use the session's pictures. */
    dec_encoders_destroy(r.encoders);
    if (err == -ENOENT) {
        work->reply->stale = 1;
        err = -EIO;
    }
    if (err && r.session)
        dec_session_drop(r.session);
    free(r.entries);
    av_frame_free(&r.pair[0]);
    av_frame_free(&r.pair[1]);
    base_bytes_finish(&r.wanted);
    return err;
}
