/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/input_clock.h"

static const int64_t jump_us = INT64_C(10) * 1000000;
static const int64_t absurd_us = INT64_C(3600) * 30 * 1000000;

static int64_t to_us(const struct dec_input_clock *c, int64_t time)
{
    return av_rescale_q(time, c->stream->time_base, AV_TIME_BASE_Q);
}

static int64_t from_us(const struct dec_input_clock *c, int64_t us)
{
    return av_rescale_q(us, AV_TIME_BASE_Q, c->stream->time_base);
}

void dec_input_clock_init(struct dec_input_clock *c, const struct dec_media *m, int stream, int decoder_delay)
{
    const AVFormatContext *format = m->format;
    *c = (struct dec_input_clock){
        .stream = format->streams[stream],
        .jumps = format->iformat->flags & AVFMT_TS_DISCONT,
        .last_us = AV_NOPTS_VALUE,
        .dts = AV_NOPTS_VALUE,
        .next_dts = AV_NOPTS_VALUE,
        .pts = AV_NOPTS_VALUE,
        .next_pts = AV_NOPTS_VALUE,
        .decoder_delay = decoder_delay,
    };
    int64_t start = format->start_time != AV_NOPTS_VALUE ? format->start_time : 0;
    /* In formats with jumps only the streams in use count for the start. */
    if (c->jumps && format->start_time != AV_NOPTS_VALUE && c->stream->start_time != AV_NOPTS_VALUE &&
        c->stream->pts_wrap_bits < 64) {
        int64_t own = to_us(c, c->stream->start_time);
        if (own > start)
            start = own;
    }
    c->offset_us = -start;
}

static void shift(struct dec_input_clock *c, AVPacket *packet, int64_t us)
{
    int64_t by = from_us(c, us);
    if (packet->dts != AV_NOPTS_VALUE)
        packet->dts += by;
    if (packet->pts != AV_NOPTS_VALUE)
        packet->pts += by;
}

static void close_jump(struct dec_input_clock *c, AVPacket *packet, int64_t delta)
{
    c->offset_us -= delta;
    c->corrected = true;
    shift(c, packet, -delta);
}

static bool is_beyond(int64_t delta, int64_t limit)
{
    return delta > limit || delta < -limit;
}

void dec_input_clock_packet(struct dec_input_clock *c, AVPacket *packet)
{
    shift(c, packet, c->offset_us);
    if (packet->dts == AV_NOPTS_VALUE)
        return;
    int64_t dts = to_us(c, packet->dts);
    if (c->jumps && c->next_dts == AV_NOPTS_VALUE && c->last_us != AV_NOPTS_VALUE) {
        int64_t delta = dts - c->last_us;
        if (is_beyond(delta, jump_us))
            close_jump(c, packet, delta);
    } else if (c->jumps && c->next_dts != AV_NOPTS_VALUE) {
        int64_t delta = dts - c->next_dts;
        if (is_beyond(delta, jump_us) || dts + 100000 < FFMAX(c->pts, c->dts))
            close_jump(c, packet, delta);
    } else if (c->next_dts != AV_NOPTS_VALUE) {
        if (is_beyond(dts - c->next_dts, absurd_us)) {
            packet->dts = AV_NOPTS_VALUE;
            c->corrected = true;
        }
        if (packet->pts != AV_NOPTS_VALUE && is_beyond(to_us(c, packet->pts) - c->next_dts, absurd_us)) {
            packet->pts = AV_NOPTS_VALUE;
            c->corrected = true;
        }
    }
    if (packet->dts != AV_NOPTS_VALUE)
        c->last_us = to_us(c, packet->dts);
}

int64_t dec_input_clock_send(struct dec_input_clock *c, const AVPacket *packet)
{
    if (!c->started) {
        AVRational rate = c->stream->avg_frame_rate;
        c->dts = rate.num ? (int64_t)(-c->decoder_delay * (double)AV_TIME_BASE / av_q2d(rate)) : 0;
        c->pts = 0;
        c->started = true;
    }
    if (c->next_dts == AV_NOPTS_VALUE)
        c->next_dts = c->dts;
    if (c->next_pts == AV_NOPTS_VALUE)
        c->next_pts = c->pts;
    if (packet && packet->dts != AV_NOPTS_VALUE)
        c->next_dts = c->dts = to_us(c, packet->dts);
    c->pts = c->next_pts;
    c->dts = c->next_dts;
    return c->dts != AV_NOPTS_VALUE ? from_us(c, c->dts) : AV_NOPTS_VALUE;
}

static int64_t packet_duration(const struct dec_input_clock *c, const AVPacket *packet, AVRational frame_rate)
{
    if (packet && packet->duration)
        return to_us(c, packet->duration);
    if (frame_rate.num > 0 && frame_rate.den > 0)
        return av_rescale(AV_TIME_BASE, frame_rate.den, frame_rate.num);
    return 0;
}

void dec_input_clock_sent(struct dec_input_clock *c, const AVPacket *packet, AVRational frame_rate)
{
    int64_t duration = packet_duration(c, packet, frame_rate);
    if (c->dts != AV_NOPTS_VALUE && duration)
        c->next_dts += duration;
    else
        c->next_dts = AV_NOPTS_VALUE;
}

void dec_input_clock_frame(struct dec_input_clock *c, int64_t pts, int64_t duration, AVRational frame_rate)
{
    if (pts != AV_NOPTS_VALUE)
        c->next_pts = c->pts = to_us(c, pts);
    c->next_pts += duration > 0 ? to_us(c, duration) : packet_duration(c, NULL, frame_rate);
}

int64_t dec_input_clock_end(const struct dec_input_clock *c)
{
    return c->next_pts == AV_NOPTS_VALUE ? 0 : c->next_pts;
}
