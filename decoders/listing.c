/* SPDX-License-Identifier: Apache-2.0 */
/* DEC_LIST: what kind of archive a source is, told by its content, and the list of what it holds. */
#include "decoders/listing.h"

#include <errno.h>

enum { REFUSED_NAME_BYTES = 200 };

void dec_listing_truncate(struct dec_listing *l, const char *format, ...)
{
    if (l->facts.truncated)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(l->facts.reason, sizeof l->facts.reason, format, args);
    va_end(args);
    l->facts.truncated = true;
}

static int add(struct dec_listing *l, const struct dec_member *m)
{
    int err = dec_members_add(&l->writer, m);
    if (err == -EFBIG) {
        dec_listing_truncate(l, "more members than a list may have");
        return 1;
    }
    return err ? base_fail(&l->work->why, err, "its list cannot be written: %s", strerror(-err)) : 0;
}

int dec_listing_refuse(struct dec_listing *l, const char *name, enum dec_refusal why)
{
    struct dec_member m = {.kind = DEC_MEMBER_REFUSED, .why = (uint8_t)why, .name = name};
    m.name_len = strnlen(name, REFUSED_NAME_BYTES);
    return add(l, &m);
}

/* The reason why a link may not be, or 0; m->target is set. */
static uint8_t check_target(struct dec_listing *l, struct dec_member *m, const char *target)
{
    size_t len = strlen(target);
    m->target = m->kind == DEC_MEMBER_SYMLINK ? target : l->target;
    m->target_len = len;
    if (m->kind == DEC_MEMBER_SYMLINK)
        return dec_symlink_is_safe(m->name, m->name_len, target, len) ? 0 : DEC_REFUSED_LINK;
    uint8_t why = dec_name_make_plain(target, len, l->target, &m->target_len);
    return why || m->target_len == 0 ? DEC_REFUSED_LINK : 0;
}

int dec_listing_add(struct dec_listing *l, struct dec_member *m, const char *name, const char *target)
{
    uint8_t why = dec_name_make_plain(name, strlen(name), l->name, &m->name_len);
    m->name = l->name;
    if (!why && m->name_len == 0) {
        if (m->kind == DEC_MEMBER_DIR)
            return 0;
        why = DEC_REFUSED_NAME;
    }
    if (!why && (m->kind == DEC_MEMBER_HARDLINK || m->kind == DEC_MEMBER_SYMLINK))
        why = check_target(l, m, target ? target : "");
    if (!why && m->kind == DEC_MEMBER_FILE && m->size > DEC_MAX_MEMBER_BYTES)
        why = DEC_REFUSED_BOMB;
    return why ? dec_listing_refuse(l, name, why) : add(l, m);
}

static int list_plain_tar(struct dec_listing *l)
{
    static struct dec_plain_stream stream;
    int err = dec_plain_stream_begin(&stream, &l->work->source);
    if (err)
        return base_fail(&l->work->why, -EIO, "cannot be read: %s", strerror(-err));
    l->facts.stream_bytes = l->facts.archive_bytes;
    if (l->work->list_fd >= 0)
        err = dec_resume_tar(l, l->work->list_fd, &stream.stream);
    if (!err)
        err = dec_list_tar(l, &stream.stream, DEC_STORED);
    if (err)
        return err;
    err = dec_hash_end(&l->work->source, l->facts.end_offset, l->facts.end_hash);
    return err ? base_fail(&l->work->why, err, "cannot be read: %s", strerror(-err)) : 0;
}

static int list_any(struct dec_listing *l)
{
    uint8_t head[512] = {0};
    ssize_t n = dec_source_read(&l->work->source, head, sizeof head, 0);
    if (n < 0)
        return base_fail(&l->work->why, (int)n, "cannot be read: %s", strerror(-(int)n));
    if (n == sizeof head && dec_is_tar(head)) {
        l->writer.format = l->facts.format = DEC_TAR;
        return list_plain_tar(l);
    }
    return base_fail(&l->work->why, -EIO, "not an archive that corpusfs knows (tar)");
}

int dec_run_list(struct dec_work *work)
{
    static struct dec_listing l;
    l = (struct dec_listing){.work = work, .writer.fd = work->output};
    int err = dec_source_size(&work->source, &l.facts.archive_bytes);
    if (err)
        return base_fail(&work->why, err, "cannot be read: %s", strerror(-err));
    err = list_any(&l);
    if (!err) {
        err = dec_members_close(&l.writer, &l.facts, &work->reply->bytes);
        if (err)
            base_fail(&work->why, err, "its list cannot be written: %s", strerror(-err));
    }
    dec_members_writer_finish(&l.writer);
    return err;
}
