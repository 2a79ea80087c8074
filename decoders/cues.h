/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of subtitle cues, and the SRT file made of it.
 */
#ifndef DECODERS_CUES_H
#define DECODERS_CUES_H

#include "decoders/subtitle_text.h"

#define DEC_CUE_NO_END INT64_MIN

struct dec_cue {
    int64_t start_ms, end_ms; /* DEC_CUE_NO_END: until the next one */
    size_t text, len;         /* in dec_cues.texts */
    size_t number;            /* in the order they were added */
};

/* Zero-initialise; release with dec_cues_finish(). `failed`: out of memory, or more than any subtitle file
 * has. */
struct dec_cues {
    struct dec_cue *list;
    size_t n, cap;
    struct base_bytes texts;
    bool failed;
};

void dec_cues_finish(struct dec_cues *cues);
/* Cleans the text; a cue without any is not added. */
void dec_cues_add(struct dec_cues *cues, int64_t start_ms, int64_t end_ms, const char *text, size_t len,
                  enum dec_markup markup);
/* Appends the SRT file: cues by start, told from from_ms on, cut to [0, clip_ms] (<= 0: no limit), numbered
 * from 1; those that do not last are left out. Sorts the list. Check out->failed. */
void dec_cues_write(struct dec_cues *cues, int64_t from_ms, int64_t clip_ms, struct base_bytes *out);

/* Reads a text file (UTF-8, LF) in SRT, WebVTT or ASS, told apart by its content. 0, or -EINVAL when it is
 * none of them. */
int dec_cues_parse(struct dec_cues *cues, const char *text, size_t len);

#endif
