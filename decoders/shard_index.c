/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DEC_SHARD_INDEX: the index of a plain tar's samples that other programs keep beside it, made from its
 * headers, and one that is there held against them.
 *
 * Formats: DALI's .idx is text, "v1.2 N", then a line a sample, in which each file has four words: its field,
 * the offset of its bytes, their number, its name; in "v1.1" it has no name. Energon's .tar.idx has
 * little-endian 64-bit numbers: for each sample the offset of its first header, then where the last one ends.
 */
#include "base/io.h"
#include "base/sample.h"
#include "decoders/listing.h"

#include <errno.h>
#include <sys/stat.h>

enum { BLOCK = 512 };

/* A file that belongs to a sample. */
struct part {
    uint64_t header, offset, size;
    size_t name, key_len; /* where its name stands in `names` */
    bool first;           /* of its sample */
};

struct shard {
    struct dec_work *work;
    struct part *parts; /* in the order of the archive, so by offsets */
    size_t n, cap, n_samples;
    struct base_bytes names;
    bool sparse, spaced; /* some file has holes, some name white space */
    struct dec_listing listing;
};

static const char *name_of(const struct shard *s, const struct part *p)
{
    return (const char *)s->names.data + p->name;
}

static const char *field_of(const struct shard *s, const struct part *p)
{
    return name_of(s, p) + p->key_len + 1;
}

static bool same_sample(const struct shard *s, const struct part *a, const struct part *b)
{
    return a->key_len == b->key_len && memcmp(name_of(s, a), name_of(s, b), a->key_len) == 0;
}

static uint64_t padded(uint64_t bytes)
{
    return (bytes + BLOCK - 1) / BLOCK * BLOCK;
}

/* ---- The archive ---- */

static struct part *new_part(struct shard *s)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 1024;
        struct part *parts = cap > DEC_MAX_MEMBERS ? NULL : realloc(s->parts, cap * sizeof *parts);
        if (!parts)
            return NULL;
        s->parts = parts;
        s->cap = cap;
    }
    return &s->parts[s->n++];
}

static int take_file(struct dec_listing *l, uint64_t header, const struct dec_member *m, const char *name)
{
    struct shard *s = (struct shard *)((char *)l - offsetof(struct shard, listing));
    size_t key_len;
    if (!base_sample_split(name, &key_len))
        return 0;
    struct part *p = new_part(s);
    if (!p)
        return base_fail(&s->work->why, -ENOMEM, "out of memory for its samples");
    *p = (struct part){header, m->offset, m->size, s->names.len, key_len, false};
    base_bytes_append(&s->names, name, strlen(name) + 1);
    if (s->names.failed)
        return base_fail(&s->work->why, -ENOMEM, "out of memory for its samples");
    p->first = s->n == 1 || !same_sample(s, p - 1, p);
    s->n_samples += p->first;
    s->sparse = s->sparse || m->packed_bytes != m->size;
    s->spaced = s->spaced || name[strcspn(name, " \t\r\n\v\f")];
    return 0;
}

/* ---- Making one ---- */

static void make_dali(const struct shard *s, struct base_bytes *out)
{
    base_bytes_printf(out, "v1.2 %zu\n", s->n_samples);
    for (size_t i = 0; i < s->n; i++) {
        const struct part *p = &s->parts[i];
        base_bytes_printf(out, "%s%s %llu %llu %s",
                          i == 0     ? ""
                          : p->first ? "\n"
                                     : " ",
                          field_of(s, p), (unsigned long long)p->offset, (unsigned long long)p->size,
                          name_of(s, p));
    }
    base_bytes_append(out, "\n", 1);
}

static void put_u64(struct base_bytes *out, uint64_t value)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    base_bytes_append(out, bytes, sizeof bytes);
}

static uint64_t end_of(const struct shard *s)
{
    return s->parts[s->n - 1].offset + padded(s->parts[s->n - 1].size);
}

static void make_energon(const struct shard *s, struct base_bytes *out)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->parts[i].first)
            put_u64(out, s->parts[i].header);
    put_u64(out, end_of(s));
}

/* ---- Holding one against the archive: false with the reason in the reply ---- */

BASE_PRINTF(2, 3) static bool wrong(struct shard *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(s->work->reply->reason, sizeof s->work->reply->reason, format, args);
    va_end(args);
    return false;
}

/* The last part whose header is at or before a place, or with `bytes` what it holds; or NULL. */
static const struct part *part_before(const struct shard *s, uint64_t at, bool bytes)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((bytes ? s->parts[middle].offset : s->parts[middle].header) <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? &s->parts[low - 1] : NULL;
}

/* The next word, and what stands behind it; false at the end of the line. */
static bool next_word(const char **p, const char *end, char *out, size_t room)
{
    size_t len = 0;
    while (*p < end && **p == ' ')
        ++*p;
    while (*p < end && **p != ' ' && len + 1 < room)
        out[len++] = *(*p)++;
    out[len] = 0;
    return len > 0 && (*p == end || **p == ' ');
}

static bool next_number(const char **p, const char *end, uint64_t *ret)
{
    char word[24];
    if (!next_word(p, end, word, sizeof word) || word[strspn(word, "0123456789")])
        return false;
    errno = 0;
    *ret = strtoull(word, NULL, 10);
    return errno == 0;
}

/* One line: the files of sample `number`. *last: the part that was read last. */
static bool check_line(struct shard *s, const char *p, const char *end, uint64_t number, bool named,
                       const struct part **last)
{
    static char field[DEC_MAX_NAME + 1], name[DEC_MAX_NAME + 1];
    unsigned long long n = (unsigned long long)number;
    const struct part *first = NULL;
    while (p < end) {
        uint64_t offset, size;
        if (!next_word(&p, end, field, sizeof field) || !next_number(&p, end, &offset) ||
            !next_number(&p, end, &size) || (named && !next_word(&p, end, name, sizeof name)))
            return wrong(s, "sample %llu: not a field, an offset, a size%s for each file", n,
                         named ? " and a name" : "");
        const struct part *part = part_before(s, offset, true);
        if (!part || part->offset != offset)
            return wrong(s, "sample %llu: at byte %llu no file of a sample begins", n,
                         (unsigned long long)offset);
        if (part->size != size)
            return wrong(s, "sample %llu: the file at byte %llu has %llu bytes, not %llu", n,
                         (unsigned long long)offset, (unsigned long long)part->size,
                         (unsigned long long)size);
        if (strcasecmp(field, field_of(s, part)) != 0 || (named && strcmp(name, name_of(s, part)) != 0))
            return wrong(s, "sample %llu: the file at byte %llu has another name", n,
                         (unsigned long long)offset);
        if (first && !same_sample(s, first, part))
            return wrong(s, "sample %llu: its files have two keys", n);
        first = first ? first : part;
        *last = part;
    }
    return first || wrong(s, "sample %llu: it has no file", n);
}

static bool check_dali(struct shard *s, const char *text, size_t len)
{
    const char *p = text, *end = text + len, *line = memchr(text, '\n', len);
    const struct part *last = NULL;
    char version[8];
    uint64_t total, number = 0;
    bool named = false;
    if (!line || !next_word(&p, line, version, sizeof version) || !next_number(&p, line, &total) ||
        p != line || (!(named = strcmp(version, "v1.2") == 0) && strcmp(version, "v1.1") != 0))
        return wrong(s, "it does not begin with \"v1.2\" and the number of samples");
    for (p = line + 1; p < end; p = line + 1) {
        line = memchr(p, '\n', (size_t)(end - p));
        line = line ? line : end;
        if (!check_line(s, p, line, ++number, named, &last))
            return false;
        s->work->progress(s->work, 0);
        if (line == end)
            break;
    }
    if (number != total)
        return wrong(s, "it has %llu samples, and says %llu", (unsigned long long)number,
                     (unsigned long long)total);
    return last == &s->parts[s->n - 1] || wrong(s, "it ends before the archive does");
}

static uint64_t get_u64(const char *bytes)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | (uint8_t)bytes[i];
    return value;
}

static bool check_energon(struct shard *s, const char *bytes, size_t len)
{
    uint64_t before = 0;
    const struct part *part = NULL;
    if (len < 16 || len % 8 != 0)
        return wrong(s, "its length is none that it can have");
    for (size_t i = 0; i + 8 < len; i += 8) {
        uint64_t at = get_u64(bytes + i);
        const struct part *here = part_before(s, at, false);
        /* What stands between them are headers, too: of long names, for one. */
        if (!here || at % BLOCK != 0 || at > here->offset - BLOCK || !here->first || (i > 0 && at <= before))
            return wrong(s, "at byte %llu no sample begins", (unsigned long long)at);
        before = at;
        part = here;
        s->work->progress(s->work, 0);
    }
    uint64_t end = get_u64(bytes + len - 8);
    if (end < end_of(s) || end > s->listing.facts.archive_bytes)
        return wrong(s, "it ends at byte %llu, where the samples do not", (unsigned long long)end);
    while (part < &s->parts[s->n - 1] && !part[1].first)
        part++;
    return part == &s->parts[s->n - 1] || wrong(s, "it ends before the archive does");
}

static int check(struct shard *s, bool *ret)
{
    struct stat st;
    *ret = false;
    if (s->work->list_fd < 0)
        return 0;
    if (fstat(s->work->list_fd, &st) < 0 || (uint64_t)st.st_size > DEC_MAX_LIST_BYTES) {
        (void)wrong(s, "it is larger than any index");
        return 0;
    }
    size_t len = (size_t)st.st_size;
    base_autofree char *bytes = malloc(len + 1);
    if (!bytes)
        return base_fail(&s->work->why, -ENOMEM, "out of memory");
    if (base_pread_all(s->work->list_fd, bytes, len, 0) < 0)
        (void)wrong(s, "it cannot be read");
    else if (s->n == 0)
        (void)wrong(s, "the archive holds no sample");
    else
        *ret = s->work->job->shard_index.format == DEC_DALI ? check_dali(s, bytes, len)
                                                            : check_energon(s, bytes, len);
    return 0;
}

/* ---- The job ---- */

static int make(struct shard *s)
{
    struct base_bytes out = {0};
    bool dali = s->work->job->shard_index.format == DEC_DALI;
    if (s->n == 0 || s->sparse || (dali && s->spaced))
        return 0;
    if (dali)
        make_dali(s, &out);
    else
        make_energon(s, &out);
    int err = out.failed ? base_fail(&s->work->why, -ENOMEM, "out of memory")
                         : dec_output_write(s->work, out.data, out.len, 0);
    if (!err)
        s->work->reply->bytes = out.len;
    base_bytes_finish(&out);
    return err;
}

static int walk(struct shard *s)
{
    static struct dec_plain_stream stream;
    uint8_t head[BLOCK];
    int err = dec_source_size(&s->work->source, &s->listing.facts.archive_bytes);
    ssize_t n = dec_source_read(&s->work->source, head, sizeof head, 0);
    if (err || n < 0)
        return base_fail(&s->work->why, -EIO, "cannot be read");
    if (n != sizeof head || !dec_is_tar(head))
        return 0;
    err = dec_plain_stream_begin(&stream, &s->work->source);
    return err ? err : dec_list_tar(&s->listing, &stream.stream, DEC_STORED);
}

int dec_run_shard_index(struct dec_work *work)
{
    static struct shard s;
    bool good = false;
    s = (struct shard){.work = work, .listing = {.work = work, .on_file = take_file}};
    int err = walk(&s);
    if (!err)
        err = check(&s, &good);
    if (!err)
        err = make(&s);
    work->reply->file_bytes = good;
    free(s.parts);
    base_bytes_finish(&s.names);
    return err;
}
