/* SPDX-License-Identifier: Apache-2.0 */
/* From two decoded frames to the bytes of the flow between them, as dec_frames_spec.flow says. */
#ifndef DECODERS_FLOW_H
#define DECODERS_FLOW_H

#include "decoders/picture.h"

/* The bytes that a picture of flow has, filled up: so many that flow of real video fits. */
uint64_t dec_flow_file_bytes(const struct dec_frames_spec *spec, uint64_t pixels);

struct dec_flow_frames {
    const AVFrame *frames[2];
    struct dec_picture_input inputs[2];
};

/* Appends to out what becomes of two frames of a job: the row of an array, or two files, of which the first
 * ends at *ret_split. *ret_lowered: how many of these were encoded at a lower quality to fit. 0, or a
 * negative errno with why. */
int dec_flow_make(const struct dec_job *job, struct dec_picture *p, const struct dec_flow_frames *pair,
                  struct base_bytes *out, size_t *ret_split, unsigned *ret_lowered, struct base_reason *why);

#endif
