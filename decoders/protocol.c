/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/protocol.h"

#include "decoders/index.h"

#include "decoders/members.h"
#include "decoders/npy.h"
#include <errno.h>
#include <math.h>
#include <sys/socket.h>

static bool is_terminated(const char *text, size_t room)
{
    return memchr(text, 0, room) != NULL;
}

uint64_t dec_array_bytes(const struct dec_array_spec *spec)
{
    const uint64_t most = 1 << 30;
    unsigned seen = 0;
    if (spec->type > DEC_NPY_F64 || spec->pad > DEC_PAD_LOOP || spec->n_dims < 1 ||
        spec->n_dims > DEC_MAX_DIMS)
        return 0;
    uint64_t bytes = dec_npy_type_bytes((enum dec_npy_type)spec->type);
    for (uint32_t i = 0; i < spec->n_dims; i++) {
        if (spec->axes[i] >= spec->n_dims || (seen & 1u << spec->axes[i]) || spec->shape[i] > most)
            return 0;
        seen |= 1u << spec->axes[i];
        bytes *= spec->shape[i];
        if (bytes == 0 || bytes > most)
            return 0;
    }
    return bytes;
}

uint32_t dec_entries_of_frame(const struct dec_frames_spec *spec)
{
    return spec->flow && spec->format == DEC_JPG ? 2 : 1;
}

uint64_t dec_row_bytes(const struct dec_frames_spec *spec, uint32_t width, uint32_t height)
{
    return (uint64_t)width * height * (spec->flow ? 2 : 3) * (spec->floats ? sizeof(float) : 1);
}

bool dec_reply_check(const struct dec_reply *reply, const struct dec_job *job, uint64_t max_bytes)
{
    if (reply->magic != DEC_MAGIC || reply->version != DEC_VERSION || reply->id != job->id)
        return false;
    if (!is_terminated(reply->reason, sizeof reply->reason) || reply->bytes > max_bytes)
        return false;
    if (reply->fill > 255 || reply->stale > 1 || reply->has_sum > 1 || reply->tail_bytes > 4096)
        return false;
    switch (reply->kind) {
    case DEC_PROGRESS:
        return true;
    case DEC_FIRST:
        return job->kind == DEC_FRAMES && job->wanted != 0 &&
               reply->n_frames == dec_entries_of_frame(&job->frames);
    case DEC_FAILED:
        return reply->error > 0 && reply->error < 4096;
    case DEC_DONE:
        break;
    default:
        return false;
    }
    switch (job->kind) {
    case DEC_MEASURE_FRAMES:
        return reply->width > 0 && reply->height > 0 && reply->width <= 16384 && reply->height <= 16384 &&
               reply->file_bytes > 0 && reply->file_bytes <= UINT32_MAX &&
               (job->frames.format != DEC_RGB ||
                reply->file_bytes == dec_row_bytes(&job->frames, reply->width, reply->height));
    case DEC_FRAMES:
        return reply->n_frames == (job->last - job->first + 1) * dec_entries_of_frame(&job->frames);
    case DEC_AUDIO:
    case DEC_SOUND:
    case DEC_ARRAY:
        return reply->bytes == job->file_bytes;
    case DEC_MEASURE_SOUND:
        return reply->width <= BASE_MAX((uint32_t)DEC_MAX_CHANNELS, (uint32_t)DEC_MAX_BANDS) &&
               reply->file_bytes <= INT64_MAX / 32768 && (reply->width > 0 || reply->file_bytes == 0);
    case DEC_UNPACK:
        return reply->bytes == job->unpack.bytes;
    case DEC_SHARD_INDEX:
        return reply->file_bytes <= 1;
    default:
        return reply->file_bytes <= INT64_MAX;
    }
}

static bool is_range(uint64_t from, uint64_t bytes)
{
    return from <= INT64_MAX && bytes <= INT64_MAX - from;
}

/* A part of a clip, in microseconds; both 0 = all of it. */
static bool is_cut(int64_t from_us, int64_t to_us)
{
    return (from_us == 0 && to_us == 0) || (from_us >= 0 && to_us > from_us && to_us <= DEC_MAX_US);
}

static bool unpack_check(const struct dec_unpack_spec *spec)
{
    if (!is_range(spec->from, spec->bytes) || spec->bytes == 0)
        return false;
    if (spec->storage == DEC_PACKED)
        return is_range(spec->header, spec->packed_bytes) && spec->from + spec->bytes <= spec->size;
    return spec->storage == DEC_STREAM;
}

static bool floats_make_sense(const struct dec_frames_spec *spec)
{
    for (int i = 0; i < 3; i++)
        if (!isfinite(spec->mean[i]) || !isnormal(spec->std[i]))
            return false;
    return spec->top == 1 || spec->top == 255;
}

static bool flow_makes_sense(const struct dec_frames_spec *spec)
{
    const float most = spec->format == DEC_RGB && !spec->floats ? INT8_MAX : DEC_MAX_BOUND;
    return spec->flow <= DEC_DIS && spec->luma <= 1 && (spec->format == DEC_JPG || spec->format == DEC_RGB) &&
           spec->bound > 0 && spec->bound <= most;
}

static bool features_check(const struct dec_sound_spec *spec)
{
    if (spec->channels != 1 || spec->bands < 1 || spec->bands > DEC_MAX_BANDS || !isfinite(spec->top_db) ||
        !isfinite(spec->fmin) || !isfinite(spec->fmax) || !(spec->power > 0 && spec->power <= 16))
        return false;
    if (spec->kind == DEC_FBANK)
        return spec->frame_ms > 0 && spec->frame_ms <= 1000 && spec->shift_ms > 0 && spec->shift_ms <= 1000 &&
               isfinite(spec->preemphasis) && isfinite(spec->gain);
    return spec->n_fft >= 2 && spec->n_fft <= 1 << 20 && spec->hop >= 1 && spec->hop <= 1 << 20 &&
           spec->window_samples <= spec->n_fft &&
           (spec->kind != DEC_MFCC || (spec->n_coefficients >= 1 && spec->n_coefficients <= spec->bands));
}

static bool sound_check(const struct dec_sound_spec *spec)
{
    if (spec->kind > DEC_FBANK || spec->window > DEC_RECTANGULAR || spec->channels > DEC_MAX_CHANNELS ||
        spec->rate > 768000 || !is_cut(spec->from_us, spec->to_us) ||
        !is_terminated(spec->rate_formula, sizeof spec->rate_formula))
        return false;
    return spec->kind == DEC_WAVE || features_check(spec);
}

bool dec_job_check(const struct dec_job *job)
{
    if (job->magic != DEC_MAGIC || job->version != DEC_VERSION || job->session == 0)
        return false;
    if (job->kind < DEC_INDEX || job->kind > DEC_ARRAY || job->threads < 1 || job->threads > 64)
        return false;
    if (!is_range(job->range_offset, job->range_bytes))
        return false;
    if (job->kind == DEC_FRAMES || job->kind == DEC_MEASURE_FRAMES) {
        const struct dec_frames_spec *spec = &job->frames;
        if (!is_cut(spec->from_us, spec->to_us))
            return false;
        if (spec->timing > DEC_FPS || spec->format > DEC_RGB || spec->sampling > DEC_CENTRE ||
            spec->quality < 1 || spec->quality > 100)
            return false;
        if (spec->subsampling != 0 && spec->subsampling != 420 && spec->subsampling != 422 &&
            spec->subsampling != 444)
            return false;
        if (spec->timing == DEC_FPS && (spec->fps_num <= 0 || spec->fps_den <= 0))
            return false;
        if (spec->n_sampled > DEC_MAX_FRAMES || spec->boxed > DEC_BOXED_WHOLE ||
            (spec->boxed && spec->flow) ||
            (spec->flow ? !flow_makes_sense(spec) : spec->floats && !floats_make_sense(spec)))
            return false;
        if (!is_terminated(spec->size, sizeof spec->size) || !is_terminated(spec->crop, sizeof spec->crop))
            return false;
        if (job->wanted != 0 && (job->wanted - 1 < job->first || job->wanted - 1 > job->last))
            return false;
        return job->first <= job->last && job->last - job->first < 65536;
    }
    if (job->kind == DEC_AUDIO || job->kind == DEC_MEASURE_AUDIO)
        return is_cut(job->audio.from_us, job->audio.to_us) && job->audio.format <= DEC_WAV &&
               job->audio.channels <= 2 && job->audio.rate <= 768000;
    if (job->kind == DEC_SOUND || job->kind == DEC_MEASURE_SOUND)
        return sound_check(&job->sound);
    if (job->kind == DEC_SHARD_INDEX)
        return job->shard_index.format <= DEC_ENERGON;
    if (job->kind == DEC_ARRAY)
        return dec_array_bytes(&job->array) > 0;
    return job->kind != DEC_UNPACK || unpack_check(&job->unpack);
}

union fd_message {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * DEC_N_FDS)];
};

int dec_send(int socket, const void *message, size_t len, const int *fds)
{
    union fd_message control = {0};
    struct iovec data = {.iov_base = (void *)message, .iov_len = len};
    struct msghdr msg = {.msg_iov = &data, .msg_iovlen = 1};
    size_t n = 0;
    while (fds && n < DEC_N_FDS && fds[n] >= 0)
        n++;
    if (n > 0) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * n);
        struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * n);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * n);
    }
    for (;;) {
        ssize_t sent = sendmsg(socket, &msg, MSG_NOSIGNAL);
        if (sent == (ssize_t)len)
            return 0;
        if (sent >= 0)
            return -EPROTO;
        if (errno == EPIPE || errno == ECONNRESET)
            return -EPIPE;
        if (errno != EINTR)
            return -errno;
    }
}

static void take_fds(struct msghdr *msg, int fds[DEC_N_FDS])
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            if (i < DEC_N_FDS)
                fds[i] = fd;
            else
                close(fd);
        }
    }
}

int dec_receive(int socket, void *message, size_t len, int fds[DEC_N_FDS])
{
    union fd_message control = {0};
    struct iovec data = {.iov_base = message, .iov_len = len};
    struct msghdr msg = {.msg_iov = &data,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         /* Not its size: alignment would leave room for a descriptor more, which the kernel
                            would put there. */
                         .msg_controllen = CMSG_LEN(sizeof(int) * DEC_N_FDS)};
    for (int i = 0; i < DEC_N_FDS; i++)
        fds[i] = -1;
    ssize_t got;
    do
        got = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == ECONNRESET ? -EPIPE : -errno;
    if (got == 0)
        return -EPIPE;
    take_fds(&msg, fds);
    if ((size_t)got == len && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        return 0;
    for (int i = 0; i < DEC_N_FDS; i++) {
        base_close_fd(&fds[i]);
        fds[i] = -1;
    }
    return -EPROTO;
}
