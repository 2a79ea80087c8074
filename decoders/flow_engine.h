/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What finds optical flow: OpenCV, in C++. It is linked into a worker program of its own,
 * corpusfs-decoder-flow, because the libraries that it brings take time and memory at the start of each
 * worker, and few mounts need them.
 */
#ifndef DECODERS_FLOW_ENGINE_H
#define DECODERS_FLOW_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dec_flow_picture {
    const uint8_t *data;
    ptrdiff_t stride; /* bytes */
};

/* By DISOpticalFlow, or DualTVL1. rgb: the pictures are RGB, 3 bytes a pixel, else grey. Writes width *
 * height values of x, then as many of y: how far, in pixels, what stands at a pixel of the first is moved in
 * the second. The same bytes every time. 0, -ENOMEM, or -EINVAL: it finds none in pictures like these. Any
 * thread. */
typedef int dec_flow_find(int dis, int rgb, int width, int height, const struct dec_flow_picture pictures[2],
                          float *out);

/* NULL in workers without one. Set before the first job. */
extern dec_flow_find *dec_flow_engine;

/* OpenCV's (flow_opencv.cpp), for programs that are linked with it. dec_flow_opencv_start() does once what
 * needs files, so that it has to come before the sandbox. */
dec_flow_find dec_flow_opencv;
void dec_flow_opencv_start(void);

#ifdef __cplusplus
}
#endif

#endif
