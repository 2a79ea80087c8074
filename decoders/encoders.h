/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second half of making frames, picture.h, beside the first: threads that render and encode what is
 * decoded while their caller decodes on. What they make does not depend on their number, and comes out in the
 * order in which it went in.
 *
 * All functions are for one thread, the caller's.
 */
#ifndef DECODERS_ENCODERS_H
#define DECODERS_ENCODERS_H

#include "decoders/flow.h"

enum { DEC_MAX_ENCODERS = 8 };

struct dec_encoded {
    uint32_t tag; /* as given with the frame */
    int err;      /* of rendering or encoding, with why */
    struct base_reason why;
    const uint8_t *data;
    size_t len;
    size_t split;     /* pictures of flow: where the second file begins */
    unsigned lowered; /* so many files, to fit job->file_bytes */
};

struct dec_encoders;

/* n threads, at most DEC_MAX_ENCODERS; 0 = frames are encoded by the caller's thread as they are put.
 * pictures: of n elements, at least one; they and work are borrowed. NULL when out of memory or threads. */
struct dec_encoders *dec_encoders_create(struct dec_work *work, struct dec_picture *pictures, unsigned n);
/* Waits for what is in work, and throws it away. Takes NULL. */
void dec_encoders_destroy(struct dec_encoders *e);

/* True when a result has to be taken before another frame can be put. */
bool dec_encoders_are_full(const struct dec_encoders *e);
bool dec_encoders_are_empty(const struct dec_encoders *e);
/* Keeps a reference to the frame, and nothing of its stream. second: where flow is wanted, the frame that it
 * goes to, else NULL. box: what is wanted of it; NULL = what the job says. 0 or -ENOMEM. */
int dec_encoders_put(struct dec_encoders *e, const AVStream *stream, const AVFrame *frame,
                     const AVFrame *second, const struct base_box *box, uint32_t tag);
/* The oldest result, waited for, telling the daemon so; there must be one. Borrowed until the next frame is
 * put.
 */
const struct dec_encoded *dec_encoders_take(struct dec_encoders *e);

#endif
