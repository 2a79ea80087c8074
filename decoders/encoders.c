/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/encoders.h"

#include <errno.h>
#include <pthread.h>

enum { MAX_SLOTS = 2 * DEC_MAX_ENCODERS + 1 };

struct slot {
    AVFrame *frames[2]; /* the second is blank but for flow */
    struct dec_picture_input inputs[2];
    struct base_box box;       /* w 0: none */
    struct dec_encoded result; /* whose bytes stand in one of these: */
    struct base_bytes file;
    AVFrame *pixels;
    bool done; /* guarded by dec_encoders.lock */
};

struct encoder {
    struct dec_encoders *all;
    struct dec_picture *picture;
    pthread_t thread;
};

/* Slots are used in turn: taken <= begun <= put, counted from the start. */
struct dec_encoders {
    struct dec_work *teller; /* the caller's */
    const struct dec_job *job;
    struct dec_picture *pictures;
    unsigned n;
    struct encoder encoders[DEC_MAX_ENCODERS];
    unsigned n_slots;
    struct slot slots[MAX_SLOTS];
    uint64_t taken; /* the caller's */
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    uint64_t put, begun; /* guarded by lock */
    bool stopping;
};

static int encode_frame(const struct dec_job *job, struct dec_picture *picture, struct slot *slot)
{
    struct dec_frames_spec spec = job->frames;
    struct dec_encoded *r = &slot->result;
    AVFrame *rendered;
    bool lowered = false;
    int err =
        slot->box.w ? dec_picture_take_box(&slot->inputs[0], slot->frames[0], &slot->box, &spec, &r->why) : 0;
    if (!err)
        err = dec_picture_render(picture, &slot->inputs[0], slot->frames[0], &spec, (int)job->width,
                                 (int)job->height, &rendered, &r->why);
    if (!err && dec_rgb_is_encoded(&spec, rendered)) {
        av_frame_move_ref(slot->pixels, rendered);
        return 0;
    }
    if (!err)
        err = dec_picture_encode(&spec, rendered, job->file_bytes, &slot->file, &lowered, &r->why);
    r->lowered = lowered;
    return err;
}

static int encode_flow(const struct dec_job *job, struct dec_picture *picture, struct slot *slot)
{
    struct dec_encoded *r = &slot->result;
    const struct dec_flow_frames pair = {{slot->frames[0], slot->frames[1]},
                                         {slot->inputs[0], slot->inputs[1]}};
    return dec_flow_make(job, picture, &pair, &slot->file, &r->split, &r->lowered, &r->why);
}

static void encode(const struct dec_encoders *e, struct dec_picture *picture, struct slot *slot)
{
    const struct dec_job *job = e->job;
    struct dec_encoded *r = &slot->result;
    slot->file.len = r->split = 0;
    av_frame_unref(slot->pixels);
    r->lowered = 0;
    r->err = job->frames.flow ? encode_flow(job, picture, slot) : encode_frame(job, picture, slot);
    const bool plain = slot->pixels->data[0];
    r->data = plain ? slot->pixels->data[0] : slot->file.data;
    r->len = plain ? (size_t)dec_rgb_bytes(&job->frames, slot->pixels) : slot->file.len;
    if (!r->err && (r->split > job->file_bytes || r->len - r->split > job->file_bytes))
        r->err = base_fail(&r->why, -EFBIG, "it does not fit the size that the clip's files have");
    av_frame_unref(slot->frames[0]);
    av_frame_unref(slot->frames[1]);
}

static void *encoder_main(void *argument)
{
    struct encoder *self = argument;
    struct dec_encoders *e = self->all;
    pthread_mutex_lock(&e->lock);
    while (!e->stopping) {
        if (e->begun == e->put) {
            pthread_cond_wait(&e->work, &e->lock);
            continue;
        }
        struct slot *slot = &e->slots[e->begun++ % e->n_slots];
        pthread_mutex_unlock(&e->lock);
        encode(e, self->picture, slot);
        pthread_mutex_lock(&e->lock);
        slot->done = true;
        pthread_cond_signal(&e->done);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

static bool start(struct dec_encoders *e, unsigned n)
{
    for (unsigned i = 0; i < 2 * e->n_slots; i++)
        if (!(e->slots[i / 2].frames[i % 2] = av_frame_alloc()))
            return false;
    for (unsigned i = 0; i < e->n_slots; i++)
        if (!(e->slots[i].pixels = av_frame_alloc()))
            return false;
    for (; e->n < n; e->n++) {
        struct encoder *encoder = &e->encoders[e->n];
        *encoder = (struct encoder){.all = e, .picture = &e->pictures[e->n]};
        if (pthread_create(&encoder->thread, NULL, encoder_main, encoder))
            return false;
    }
    return true;
}

struct dec_encoders *dec_encoders_create(struct dec_work *work, struct dec_picture *pictures, unsigned n)
{
    struct dec_encoders *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->teller = work;
    e->job = work->job;
    e->pictures = pictures;
    e->n_slots = 2 * n + 1;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->work, NULL);
    pthread_cond_init(&e->done, NULL);
    if (start(e, n))
        return e;
    dec_encoders_destroy(e);
    return NULL;
}

void dec_encoders_destroy(struct dec_encoders *e)
{
    if (!e)
        return;
    pthread_mutex_lock(&e->lock);
    e->stopping = true;
    pthread_cond_broadcast(&e->work);
    pthread_mutex_unlock(&e->lock);
    for (unsigned i = 0; i < e->n; i++)
        pthread_join(e->encoders[i].thread, NULL);
    for (unsigned i = 0; i < e->n_slots; i++) {
        av_frame_free(&e->slots[i].frames[0]);
        av_frame_free(&e->slots[i].frames[1]);
        av_frame_free(&e->slots[i].pixels);
        base_bytes_finish(&e->slots[i].file);
    }
    pthread_cond_destroy(&e->done);
    pthread_cond_destroy(&e->work);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

bool dec_encoders_are_full(const struct dec_encoders *e)
{
    return e->put - e->taken == e->n_slots;
}

bool dec_encoders_are_empty(const struct dec_encoders *e)
{
    return e->put == e->taken;
}

int dec_encoders_put(struct dec_encoders *e, const AVStream *stream, const AVFrame *frame,
                     const AVFrame *second, const struct base_box *box, uint32_t tag)
{
    struct slot *slot = &e->slots[e->put % e->n_slots];
    if (av_frame_ref(slot->frames[0], frame) < 0)
        return -ENOMEM;
    if (second && av_frame_ref(slot->frames[1], second) < 0) {
        av_frame_unref(slot->frames[0]);
        return -ENOMEM;
    }
    slot->inputs[0] = dec_picture_input_of(stream, frame);
    if (second)
        slot->inputs[1] = dec_picture_input_of(stream, second);
    slot->box = box ? *box : (struct base_box){0};
    slot->result.tag = tag;
    if (e->n == 0)
        encode(e, &e->pictures[0], slot);
    pthread_mutex_lock(&e->lock);
    slot->done = e->n == 0;
    e->put++;
    pthread_cond_signal(&e->work);
    pthread_mutex_unlock(&e->lock);
    return 0;
}

/* Flow of a large picture may take longer than a worker may be silent. */
static void wait_locked(struct dec_encoders *e)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    if (pthread_cond_timedwait(&e->done, &e->lock, &until) != ETIMEDOUT)
        return;
    pthread_mutex_unlock(&e->lock);
    e->teller->progress(e->teller, 0);
    pthread_mutex_lock(&e->lock);
}

const struct dec_encoded *dec_encoders_take(struct dec_encoders *e)
{
    struct slot *slot = &e->slots[e->taken++ % e->n_slots];
    pthread_mutex_lock(&e->lock);
    while (!slot->done)
        wait_locked(e);
    pthread_mutex_unlock(&e->lock);
    return &slot->result;
}
