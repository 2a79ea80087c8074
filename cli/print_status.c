/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"
#include "cli/status.h"

/* What stands behind a key; NULL = no such key. Inside a string a quote is written \", so a key is never
 * found there. */
static const char *value_of(const char *json, const char *key)
{
    char name[64];
    (void)snprintf(name, sizeof name, "\"%s\": ", key);
    const char *at = strstr(json, name);
    return at ? at + strlen(name) : NULL;
}

static unsigned long long number(const char *json, const char *key)
{
    const char *at = value_of(json, key);
    return at ? strtoull(at, NULL, 10) : 0;
}

static void put_utf8(uint32_t code, FILE *out)
{
    if (code >= 0x10000)
        (void)fprintf(out, "%c%c%c%c", (int)(0xf0 | code >> 18), (int)(0x80 | (code >> 12 & 0x3f)),
                      (int)(0x80 | (code >> 6 & 0x3f)), (int)(0x80 | (code & 0x3f)));
    else if (code >= 0x800)
        (void)fprintf(out, "%c%c%c", (int)(0xe0 | code >> 12), (int)(0x80 | (code >> 6 & 0x3f)),
                      (int)(0x80 | (code & 0x3f)));
    else
        (void)fprintf(out, "%c%c", (int)(0xc0 | code >> 6), (int)(0x80 | (code & 0x3f)));
}

/* The character that is escaped at text. Letters are printed; what could disturb a terminal stays escaped.
 * Returns the length of the escape. */
static size_t print_escaped(const char *text, FILE *out)
{
    unsigned code = 0, low = 0;
    int n = 0;
    if (sscanf(text, "\\u%4x%n", &code, &n) != 1 || n != 6) {
        (void)fprintf(out, "%.2s", text[1] == '"' ? "\"" : text);
        return 2;
    }
    if (code >= 0xd800 && code < 0xdc00 && sscanf(text + 6, "\\u%4x%n", &low, &n) == 1 && n == 6) {
        put_utf8(0x10000 + ((code & 0x3ff) << 10 | (low & 0x3ff)), out);
        return 12;
    }
    if (code >= 0xa0 && (code < 0xd800 || code > 0xdfff))
        put_utf8(code, out);
    else
        (void)fprintf(out, "%.6s", text);
    return 6;
}

/* The string at this place. */
static void print_string(const char *at, FILE *out)
{
    if (!at || *at++ != '"')
        return;
    while (*at && *at != '"') {
        if (*at == '\\' && at[1])
            at += print_escaped(at, out);
        else
            (void)fputc(*at++, out);
    }
}

static void print_text(const char *json, const char *key, FILE *out)
{
    print_string(value_of(json, key), out);
}

static void print_folder(const char *json, FILE *out)
{
    char size[32], budget[32], min_free[32];
    unsigned long long bytes = number(json, "size_bytes"), of = number(json, "budget_bytes");
    (void)fprintf(out, "cache     ");
    print_text(json, "cache_dir", out);
    (void)fprintf(out, "\nsize      %s of %s (%.0f %%)", cli_size(bytes, size), cli_size(of, budget),
                  of > 0 ? 100.0 * (double)bytes / (double)of : 0.0);
    if (number(json, "min_free_bytes") > 0)
        (void)fprintf(out, ", %s of the disk left free", cli_size(number(json, "min_free_bytes"), min_free));
    (void)fprintf(out, "\nsegments  %llu\n", number(json, "segments"));
}

/* What the scan had to tell. */
static void print_scan(const char *json, FILE *out)
{
    unsigned long long problems = number(json, "problems"), left_out = number(json, "left_out");
    if (problems + left_out > 0)
        (void)fprintf(out, "left out  %llu clips; %llu problems (corpusfs check tells which)\n", left_out,
                      problems);
    if (number(json, "unlisted") > 0)
        (void)fprintf(out, "unlisted  %llu clips that cannot be read (the log tells which)\n",
                      number(json, "unlisted"));
    if (number(json, "past_end") > 0)
        (void)fprintf(out, "past end  %llu clips that end after their source (corpusfs check tells which)\n",
                      number(json, "past_end"));
}

static void print_work(const char *json, FILE *out)
{
    char size[32];
    (void)fprintf(out, "reads     %llu hits, %llu misses, %s\n", number(json, "hits"), number(json, "misses"),
                  cli_size(number(json, "bytes_read"), size));
    (void)fprintf(out, "made      %llu, of which %llu not kept; %llu evicted, %llu damaged\n",
                  number(json, "made"), number(json, "unkept"), number(json, "evicted"), number(json, "bad"));
    (void)fprintf(
        out, "jobs      %llu index, %llu measure, %llu frames, %llu audio, %llu subtitles; %llu failed\n",
        number(json, "jobs_index"), number(json, "jobs_measure"), number(json, "jobs_frames"),
        number(json, "jobs_audio"), number(json, "jobs_subtitles"), number(json, "failed"));
    (void)fprintf(out, "pictures  %llu decoded, %llu encoded below their quality to fit\n",
                  number(json, "pictures_decoded"), number(json, "frames_lowered"));
    (void)fprintf(out, "workers   %llu busy, %llu idle, %llu restarted; %llu jobs wait\n\n",
                  number(json, "workers_busy"), number(json, "workers_idle"), number(json, "worker_restarts"),
                  number(json, "queued"));
}

/* What could not be read, and why. */
static void print_failures(const char *json, FILE *out)
{
    const char *at = value_of(json, "failures"), *end = at ? value_of(at, "latency_us") : NULL;
    at = at ? value_of(at, "source") : NULL;
    if (!at || at > end)
        return;
    (void)fprintf(out, "failed last, the newest first:\n");
    for (; at && at < end; at = value_of(at, "source")) {
        (void)fprintf(out, "  ");
        print_string(at, out);
        (void)fprintf(out, ": ");
        print_string(value_of(at, "reason"), out);
        (void)fprintf(out, "\n");
    }
    (void)fprintf(out, "\n");
}

static void print_latencies(const char *json, FILE *out)
{
    static const char *const ops[][2] = {{"lookup", "lookup"},
                                         {"getattr", "getattr"},
                                         {"readdir", "readdir"},
                                         {"read_warm", "read, warm"},
                                         {"read_cold", "read, cold"}};
    static const char *const columns[] = {"p50", "p90", "p99", "max"};
    (void)fprintf(out, "%-12s %12s %10s %10s %10s %10s\n", "microseconds", "count", "p50", "p90", "p99",
                  "max");
    for (size_t i = 0; i < BASE_ARRAY_LEN(ops); i++) {
        const char *row = value_of(json, ops[i][0]);
        if (!row)
            continue;
        (void)fprintf(out, "%-12s %12llu", ops[i][1], number(row, "count"));
        for (size_t j = 0; j < BASE_ARRAY_LEN(columns); j++) {
            const char *at = value_of(row, columns[j]);
            (void)fprintf(out, " %10.0f", at ? strtod(at, NULL) : 0.0);
        }
        (void)fprintf(out, "\n");
    }
}

void cli_print_status(const char *json, FILE *out)
{
    if (value_of(json, "mountpoint")) {
        (void)fprintf(out, "mount     ");
        print_text(json, "mountpoint", out);
        (void)fprintf(out, "\nroot      ");
        print_text(json, "root", out);
        (void)fprintf(out, "\n");
        print_scan(json, out);
    }
    print_folder(json, out);
    if (value_of(json, "latency_us")) {
        print_work(json, out);
        print_failures(json, out);
        print_latencies(json, out);
    }
}
