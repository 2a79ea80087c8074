/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/decode.h"

#include <errno.h>

/* FFmpeg's messages, of any thread. Nothing is printed: what they say is of no use without the file's name.
 */
static void on_message(void *object, int level, const char *format, va_list args)
{
    (void)format;
    (void)args;
    if (!object || level > AV_LOG_ERROR || *(const AVClass **)object != avcodec_get_class())
        return;
    const AVCodecContext *c = object; /* a decoder's threads have copies of it */
    if (c->opaque)
        atomic_fetch_add((atomic_uint *)c->opaque, 1);
}

/* VP8's entropy coding shows no damage, and what its threads then make of it is a matter of chance. */
static int thread_count(const AVStream *stream, unsigned threads)
{
    bool alone =
        (stream->disposition & AV_DISPOSITION_ATTACHED_PIC) || stream->codecpar->codec_id == AV_CODEC_ID_VP8;
    /* Two more than there are processors: threads wait for each other's rows. */
    return alone || threads == 1 ? 1 : (int)threads + 2;
}

int dec_open_decoder(const AVStream *stream, unsigned threads, atomic_uint *errors, AVCodecContext **ret,
                     struct base_reason *why)
{
    const char *name = avcodec_get_name(stream->codecpar->codec_id);
    const AVCodec *codec = avcodec_find_decoder(stream->codecpar->codec_id);
    if (!codec)
        return base_fail(why, -EIO, "no decoder for codec %s", name);
    AVCodecContext *c = avcodec_alloc_context3(codec);
    if (!c)
        return base_fail(why, -ENOMEM, "out of memory");
    int averror = avcodec_parameters_to_context(c, stream->codecpar);
    if (averror >= 0) {
        c->pkt_timebase = stream->time_base;
        c->framerate = stream->avg_frame_rate;
        c->thread_count = thread_count(stream, threads);
        c->opaque = errors;
        av_log_set_callback(on_message);
        averror = avcodec_open2(c, codec, NULL);
    }
    if (averror < 0) {
        avcodec_free_context(&c);
        return dec_media_fail(why, averror, "cannot open its decoder");
    }
    *ret = c;
    return 0;
}

bool dec_packets_are_frames(const AVStream *stream)
{
    const AVCodecParameters *par = stream->codecpar;
    bool fields = par->field_order != AV_FIELD_PROGRESSIVE && par->field_order != AV_FIELD_UNKNOWN;
    if (stream->disposition & AV_DISPOSITION_ATTACHED_PIC)
        return false;
    switch (par->codec_id) {
    case AV_CODEC_ID_VP8:
    case AV_CODEC_ID_VP9:
    case AV_CODEC_ID_MJPEG:
    case AV_CODEC_ID_PNG:
    case AV_CODEC_ID_PRORES:
    case AV_CODEC_ID_DNXHD:
    case AV_CODEC_ID_FFV1:
    case AV_CODEC_ID_HUFFYUV:
    case AV_CODEC_ID_FFVHUFF:
    case AV_CODEC_ID_UTVIDEO:
    case AV_CODEC_ID_RAWVIDEO:
    case AV_CODEC_ID_FLV1:
        return true;
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
    case AV_CODEC_ID_AV1:
        return !fields;
    default:
        return false;
    }
}

/* HEVC's mark speaks of one temporal layer: with several, frames of a higher one may refer to such a frame
 * all the same. ISO/IEC 14496-15, 8.3.3.1: numTemporalLayers, 1 = there are no layers. */
static bool has_one_layer(const AVCodecParameters *par)
{
    return par->extradata_size > 22 && par->extradata[0] == 1 && ((par->extradata[21] >> 3) & 7) == 1;
}

bool dec_nonref_can_be_skipped(const AVStream *stream)
{
    switch (stream->codecpar->codec_id) {
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_MPEG1VIDEO:
    case AV_CODEC_ID_MPEG2VIDEO:
    case AV_CODEC_ID_MPEG4:
        return true;
    case AV_CODEC_ID_HEVC:
        return has_one_layer(stream->codecpar);
    default: /* VP8 and VP9 keep probabilities and segment maps from every frame */
        return false;
    }
}

/* ISO/IEC 14496-15, 5.3.3: mp4 and Matroska give NAL units behind their lengths, not between start codes; the
 * fifth byte of the decoder configuration tells how long a length is. ITU-T H.264, 7.3.1 and table 7-1:
 * nal_ref_idc f(2) and nal_unit_type f(5) behind a zero bit; types 1 to 5 are (parts of) slices. */
bool dec_packet_is_nonref(const AVStream *stream, const AVPacket *packet)
{
    const AVCodecParameters *par = stream->codecpar;
    if (par->codec_id != AV_CODEC_ID_H264 || par->extradata_size < 7 || par->extradata[0] != 1)
        return false;
    size_t length_bytes = (par->extradata[4] & 3) + 1u;
    const uint8_t *next = packet->data, *end = next + packet->size;
    bool has_slice = false;
    while ((size_t)(end - next) > length_bytes) {
        size_t length = 0;
        for (size_t i = 0; i < length_bytes; i++)
            length = length << 8 | *next++;
        if (length == 0 || length > (size_t)(end - next))
            return false;
        unsigned type = *next & 31, reference = (*next >> 5) & 3;
        if (type >= 1 && type <= 5) {
            if (reference > 0)
                return false;
            has_slice = true;
        }
        next += length;
    }
    return has_slice && next == end;
}

/* VP8 (RFC 6386, section 9.1): bit 4 of a frame's first byte is show_frame. */
static bool vp8_shows(const AVPacket *packet)
{
    return packet->data[0] & 0x10;
}

/* VP9 bitstream specification, section 6.2 (uncompressed header) for one frame: frame_marker f(2),
 * profile_low_bit, profile_high_bit, reserved_zero when profile is 3, show_existing_frame, frame_type,
 * show_frame. */
static bool vp9_shows(const uint8_t *data)
{
    unsigned bits = data[0];
    unsigned at = 4; /* bits read from the top */
    if (((bits >> 4) & 3) == 3)
        at++;
    bool existing = bits >> (7 - at) & 1;
    bool shown = bits >> (7 - at - 2) & 1;
    return existing || shown;
}

/* Annex B of the same: a superframe ends with an index whose first and last byte are 110ssnnn, and shows the
 * last of its frames. Encoders put at most one shown frame into a packet, and it is the last. */
static bool vp9_packet_shows(const AVPacket *packet)
{
    uint8_t marker = packet->data[packet->size - 1];
    if ((marker & 0xe0) == 0xc0) {
        int n = (marker & 7) + 1, size_bytes = ((marker >> 3) & 3) + 1;
        int index_bytes = 2 + n * size_bytes;
        if (packet->size > index_bytes && packet->data[packet->size - index_bytes] == marker)
            return true;
    }
    return vp9_shows(packet->data);
}

bool dec_packet_shows(const AVStream *stream, const AVPacket *packet)
{
    if (packet->size == 0 || (packet->flags & AV_PKT_FLAG_DISCARD))
        return false;
    switch (stream->codecpar->codec_id) {
    case AV_CODEC_ID_VP8:
        return vp8_shows(packet);
    case AV_CODEC_ID_VP9:
        return vp9_packet_shows(packet);
    default:
        return true;
    }
}
