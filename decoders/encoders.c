/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/encoders.h"

#include <errno.h>
#include <pthread.h>

enum { MAX_SLOTS = 2 * DEC_MAX_ENCODERS + 1 };

struct slot {
    AVFrame *frame;
    struct dec_picture_input input;
    struct dec_encoded result;
    bool done; /* guarded by dec_encoders.lock */
};

struct encoder {
    struct dec_encoders *all;
    struct dec_picture *picture;
    pthread_t thread;
};

/* Slots are used in turn: taken <= begun <= put, counted from the start. */
struct dec_encoders {
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

static void encode(const struct dec_encoders *e, struct dec_picture *picture, struct slot *slot)
{
    const struct dec_job *job = e->job;
    struct dec_encoded *r = &slot->result;
    AVFrame *rendered;
    r->file.len = 0;
    r->lowered = false;
    r->err = dec_picture_render(picture, &slot->input, slot->frame, &job->frames, (int)job->width,
                                (int)job->height, &rendered, &r->why);
    if (!r->err)
        r->err = dec_picture_encode(&job->frames, rendered, job->file_bytes, &r->file, &r->lowered, &r->why);
    if (!r->err && r->file.len > job->file_bytes)
        r->err = base_fail(&r->why, -EFBIG, "it does not fit the size that the clip's files have");
    av_frame_unref(slot->frame);
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
    for (unsigned i = 0; i < e->n_slots; i++)
        if (!(e->slots[i].frame = av_frame_alloc()))
            return false;
    for (; e->n < n; e->n++) {
        struct encoder *encoder = &e->encoders[e->n];
        *encoder = (struct encoder){.all = e, .picture = &e->pictures[e->n]};
        if (pthread_create(&encoder->thread, NULL, encoder_main, encoder))
            return false;
    }
    return true;
}

struct dec_encoders *dec_encoders_create(const struct dec_job *job, struct dec_picture *pictures, unsigned n)
{
    struct dec_encoders *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->job = job;
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
        av_frame_free(&e->slots[i].frame);
        base_bytes_finish(&e->slots[i].result.file);
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

int dec_encoders_put(struct dec_encoders *e, const AVStream *stream, const AVFrame *frame, uint32_t tag)
{
    struct slot *slot = &e->slots[e->put % e->n_slots];
    if (av_frame_ref(slot->frame, frame) < 0)
        return -ENOMEM;
    slot->input = dec_picture_input_of(stream, frame);
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

const struct dec_encoded *dec_encoders_take(struct dec_encoders *e)
{
    struct slot *slot = &e->slots[e->taken++ % e->n_slots];
    pthread_mutex_lock(&e->lock);
    while (!slot->done)
        pthread_cond_wait(&e->done, &e->lock);
    pthread_mutex_unlock(&e->lock);
    return &slot->result;
}
