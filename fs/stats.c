/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon did so far, as one JSON document: for `corpusfs status`, and for CORPUSFS_STATS. */
#include "fs/private.h"

#include "base/io.h"
#include "base/json.h"

static void put_text(struct base_bytes *out, const char *name, const char *value)
{
    base_bytes_printf(out, "\"%s\": ", name);
    base_json_text(out, value);
    base_bytes_printf(out, ", ");
}

static void put_number(struct base_bytes *out, const char *name, uint64_t value)
{
    base_bytes_printf(out, "\"%s\": %llu, ", name, (unsigned long long)value);
}

static void put_store(struct base_bytes *out, const struct fs *fs)
{
    struct cache_usage usage;
    cache_usage(fs->cache, &usage);
    put_number(out, "size_bytes", usage.bytes);
    put_number(out, "budget_bytes", usage.budget_bytes);
    put_number(out, "min_free_bytes", cfg_cache_min_free(fs->options->cfg));
    put_number(out, "segments", usage.n_segments);
    put_number(out, "made", usage.made);
    put_number(out, "evicted", usage.evicted);
    put_number(out, "bad", usage.bad);
    put_number(out, "unkept", usage.unkept);
}

static void put_jobs(struct base_bytes *out, const struct fs *fs)
{
    struct cache_counters n;
    cache_counters(fs->cache, &n);
    put_number(out, "hits", n.hits);
    put_number(out, "misses", n.misses);
    put_number(out, "jobs_index", n.jobs_index);
    put_number(out, "jobs_measure", n.jobs_measure);
    put_number(out, "jobs_frames", n.jobs_frames);
    put_number(out, "jobs_audio", n.jobs_audio);
    put_number(out, "jobs_subtitles", n.jobs_subtitles);
    put_number(out, "jobs_list", n.jobs_list);
    put_number(out, "jobs_unpack", n.jobs_unpack);
    put_number(out, "jobs_command", n.jobs_command);
    put_number(out, "members_refused", n.members_refused);
    put_number(out, "list_bytes", n.list_bytes);
    put_number(out, "past_end", n.past_end);
    put_number(out, "failed", n.failed);
    put_number(out, "pictures_decoded", n.pictures_decoded);
    put_number(out, "frames_lowered", n.frames_lowered);
    put_number(out, "worker_restarts", n.worker_restarts);
    put_number(out, "workers", n.workers);
    put_number(out, "workers_busy", n.workers_busy);
    put_number(out, "workers_idle", n.workers - n.workers_busy);
    put_number(out, "queued", n.queued);
}

static void put_failures(struct base_bytes *out, const struct fs *fs)
{
    struct cache_failure failures[CACHE_FAILURES];
    size_t n = cache_failures(fs->cache, failures);
    base_bytes_printf(out, "\"failures\": [");
    for (size_t i = 0; i < n; i++) {
        base_bytes_printf(out, "%s{\"source\": ", i > 0 ? ", " : "");
        base_json_text(out, failures[i].source);
        base_bytes_printf(out, ", \"reason\": ");
        base_json_text(out, failures[i].reason);
        base_bytes_printf(out, "}");
    }
    base_bytes_printf(out, "], ");
}

static void put_latencies(struct base_bytes *out, const struct fs *fs)
{
    static const char *const names[FS_N_OPS] = {
        [FS_LOOKUP] = "lookup",       [FS_GETATTR] = "getattr",     [FS_READDIR] = "readdir",
        [FS_READ_WARM] = "read_warm", [FS_READ_COLD] = "read_cold",
    };
    base_bytes_printf(out, "\"latency_us\": {");
    for (int i = 0; i < FS_N_OPS; i++) {
        struct base_percentiles p = base_histogram_read(&fs->latency_ns[i]);
        base_bytes_printf(
            out, "%s\"%s\": {\"count\": %llu, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f}",
            i > 0 ? ", " : "", names[i], (unsigned long long)p.count, (double)p.p50 / 1000,
            (double)p.p90 / 1000, (double)p.p99 / 1000, (double)p.max / 1000);
    }
    base_bytes_printf(out, "}");
}

void fs_stats_json(const struct fs *fs, struct base_bytes *out)
{
    base_bytes_printf(out, "{\"mounted\": true, ");
    put_text(out, "mountpoint", fs->options->mountpoint);
    put_text(out, "root", cfg_root(fs->options->cfg));
    put_text(out, "cache_dir", cfg_cache_dir(fs->options->cfg));
    put_text(out, "version", CORPUSFS_VERSION);
    put_number(out, "pid", (uint64_t)getpid());
    put_number(out, "uptime_s", (uint64_t)(base_now_ns() - fs->begin_ns) / 1000000000);
    put_number(out, "problems", atomic_load(&fs->n_problems));
    put_number(out, "left_out", atomic_load(&fs->n_left_out));
    put_number(out, "unlisted", fs_lists_n_unlisted(fs->lists));
    put_store(out, fs);
    put_jobs(out, fs);
    put_number(out, "bytes_read", atomic_load(&fs->bytes_read));
    put_failures(out, fs);
    put_latencies(out, fs);
    base_bytes_printf(out, "}\n");
}

void fs_stats_write(const struct fs *fs, const char *path)
{
    base_autofree char *temporary = NULL;
    struct base_bytes text = {0};
    if (asprintf(&temporary, "%s.tmp", path) < 0)
        return;
    fs_stats_json(fs, &text);
    FILE *out = text.failed ? NULL : fopen(temporary, "we");
    bool good = out && fwrite(text.data, 1, text.len, out) == text.len;
    if (out && fclose(out) == 0 && good)
        (void)rename(temporary, path);
    base_bytes_finish(&text);
}
