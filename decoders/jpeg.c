/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/picture.h"

#include <errno.h>
#include <libavutil/pixdesc.h>
#include <turbojpeg.h>

static int subsampling_of(const AVFrame *yuv)
{
    switch (yuv->format) {
    case AV_PIX_FMT_YUV420P:
    case AV_PIX_FMT_YUVJ420P:
        return TJSAMP_420;
    case AV_PIX_FMT_YUV422P:
    case AV_PIX_FMT_YUVJ422P:
        return TJSAMP_422;
    case AV_PIX_FMT_YUV444P:
    case AV_PIX_FMT_YUVJ444P:
        return TJSAMP_444;
    default:
        return -1;
    }
}

int dec_jpeg_encode(AVFrame *yuv, int quality, struct base_bytes *out, struct base_reason *why)
{
    int subsampling = subsampling_of(yuv);
    if (subsampling < 0)
        return base_fail(why, -EINVAL, "no JPEG of pixel format %s", av_get_pix_fmt_name(yuv->format));
    tjhandle jpeg = tjInitCompress();
    unsigned long room = tjBufSize(yuv->width, yuv->height, subsampling);
    if (!jpeg || room == (unsigned long)-1 || base_bytes_reserve(out, room) < 0) {
        if (jpeg)
            tjDestroy(jpeg);
        return base_fail(why, -ENOMEM, "out of memory");
    }
    unsigned char *to = out->data + out->len;
    int strides[3] = {yuv->linesize[0], yuv->linesize[1], yuv->linesize[2]};
    int failed =
        tjCompressFromYUVPlanes(jpeg, (const unsigned char **)yuv->data, yuv->width, strides, yuv->height,
                                subsampling, &to, &room, quality, TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT);
    if (!failed)
        out->len += room;
    else
        base_fail(why, -EIO, "JPEG: %s", tjGetErrorStr2(jpeg));
    tjDestroy(jpeg);
    return failed ? -EIO : 0;
}
