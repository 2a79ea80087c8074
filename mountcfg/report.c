/* SPDX-License-Identifier: Apache-2.0 */
#include "mountcfg/reading.h"

static void put_escaped(struct base_bytes *out, const struct base_bytes *in)
{
    for (size_t i = 0; i < in->len; i++) {
        if (in->data[i] < 0x20 || in->data[i] == 0x7f)
            base_bytes_printf(out, "\\x%02x", in->data[i]);
        else
            base_bytes_append(out, &in->data[i], 1);
    }
}

BASE_PRINTF(3, 0)
static void write_line(struct cfg_log *log, struct cfg_place at, const char *format, va_list args)
{
    if (!log->report)
        return;
    base_autofree char *what = NULL;
    int len = vasprintf(&what, format, args);
    if (len < 0) {
        what = NULL;
        log->report(log->context, "out of memory while reporting a mistake");
        return;
    }
    struct base_bytes plain = {0}, line = {0};
    if (at.line > 0 && at.column == 0)
        base_bytes_printf(&plain, "%s:%d: ", at.file, at.line);
    else if (at.line > 0)
        base_bytes_printf(&plain, "%s:%d:%d: ", at.file, at.line, at.column);
    else
        base_bytes_printf(&plain, "%s: ", at.file);
    base_bytes_append(&plain, what, (size_t)len);
    put_escaped(&line, &plain);
    base_bytes_append(&line, "", 1);
    log->report(log->context, plain.failed || line.failed ? what : (const char *)line.data);
    base_bytes_finish(&plain);
    base_bytes_finish(&line);
}

void cfg_mistake(struct cfg_log *log, struct cfg_place at, const char *format, ...)
{
    log->n++;
    if (log->limit != 0 && log->n > log->limit)
        return;
    va_list args;
    va_start(args, format);
    write_line(log, at, format, args);
    va_end(args);
}

void cfg_note(struct cfg_log *log, struct cfg_place at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(log, at, format, args);
    va_end(args);
}

void cfg_report_view(cfg_report *report, void *context, const struct cfg_view *v, const char *format, ...)
{
    struct cfg_log log = {report, context, 0, 0};
    va_list args;
    va_start(args, format);
    write_line(&log, (struct cfg_place){v->file, v->line, v->column}, format, args);
    va_end(args);
}

/* Edits that turn a into b: insert, remove, replace, swap of neighbours. Texts above 31 bytes count as far
 * apart. */
static int edit_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    int d[32][32];
    if (n > 31 || m > 31)
        return INT16_MAX;
    for (size_t i = 0; i <= n; i++) {
        for (size_t k = 0; k <= m; k++) {
            if (i == 0 || k == 0) {
                d[i][k] = (int)(i + k);
                continue;
            }
            int best = d[i - 1][k - 1] + (a[i - 1] != b[k - 1]);
            best = BASE_MIN(best, BASE_MIN(d[i - 1][k], d[i][k - 1]) + 1);
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
                best = BASE_MIN(best, d[i - 2][k - 2] + 1);
            d[i][k] = best;
        }
    }
    return d[n][m];
}

const char *cfg_closest(const char *text, const char *const *names, size_t n)
{
    const char *closest = NULL;
    int least = BASE_MIN(3, (int)BASE_MIN(strlen(text), (size_t)31) / 2 + 1); /* and less edits than this */
    for (size_t i = 0; i < n; i++) {
        int distance = edit_distance(text, names[i]);
        if (distance < least) {
            least = distance;
            closest = names[i];
        }
    }
    return closest;
}
