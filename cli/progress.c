/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include "base/io.h"

#define SECOND_NS ((int64_t)1000000000)
enum { BAR_WIDTH = 30, LINE_SECONDS = 10 };

const char *cli_size(uint64_t bytes, char out[32])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes / 1024;
    size_t unit = 0;
    for (; value >= 1023.95 && unit + 1 < BASE_ARRAY_LEN(units); unit++)
        value /= 1024;
    if (bytes < 1024)
        (void)snprintf(out, 32, "%llu B", (unsigned long long)bytes);
    else
        (void)snprintf(out, 32, "%.1f %s", value, units[unit]);
    return out;
}

void cli_progress_begin(struct cli_progress *p, const char *what)
{
    int64_t now = base_now_ns();
    bool terminal = isatty(STDERR_FILENO) == 1;
    *p = (struct cli_progress){.what = what, .terminal = terminal, .begin_ns = now};
    p->next_ns = now + (terminal ? SECOND_NS / 10 : LINE_SECONDS * SECOND_NS);
}

/* "1:05:09", or "0:07". */
static void format_time(int64_t seconds, char out[32])
{
    long long s = BASE_MIN(seconds, (int64_t)100 * 3600);
    if (s >= 3600)
        (void)snprintf(out, 32, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        (void)snprintf(out, 32, "%lld:%02lld", s / 60, s % 60);
}

void cli_progress_show(struct cli_progress *p, uint64_t done, uint64_t total, uint64_t bytes)
{
    int64_t now = base_now_ns();
    if (now < p->next_ns || total == 0)
        return;
    p->next_ns = now + (p->terminal ? SECOND_NS / 10 : LINE_SECONDS * SECOND_NS);
    double seconds = (double)(now - p->begin_ns) / (double)SECOND_NS;
    double part = BASE_MIN((double)done / (double)total, 1.0);
    char rate[48], size[32], left[32] = "-:--";
    if (part > 0)
        format_time((int64_t)(seconds / part * (1 - part) + 0.5), left);
    if (bytes > 0)
        (void)snprintf(rate, sizeof rate, "%s/s", cli_size((uint64_t)((double)bytes / seconds), size));
    else
        (void)snprintf(rate, sizeof rate, "%.1f/s", (double)done / seconds);
    if (!p->terminal) {
        (void)fprintf(stderr, "%s: %llu of %llu (%.0f %%), %s, %s left\n", p->what, (unsigned long long)done,
                      (unsigned long long)total, part * 100, rate, left);
        return;
    }
    char bar[BAR_WIDTH + 1] = {0};
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)(part * BAR_WIDTH));
    (void)fprintf(stderr, "\r%s [%s] %3.0f %%  %s  %s left \033[K", p->what, bar, part * 100, rate, left);
    p->drawn = true;
}

void cli_progress_say(const char *line)
{
    (void)fprintf(stderr, "%s%s\n", isatty(STDERR_FILENO) == 1 ? "\r\033[K" : "", line);
}

void cli_progress_end(struct cli_progress *p)
{
    if (p->drawn)
        (void)fprintf(stderr, "\r\033[K");
    p->drawn = false;
}
