/* SPDX-License-Identifier: Apache-2.0 */
/* Command views: what they hang on, and their arguments for a clip. */
#include "fs/private.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* Scripts are hashed whole, of what is larger the ends: 64 KiB each. */
enum { WHOLE_BYTES = 1 << 20, END_BYTES = 64 << 10 };

static int hash_file(int fd, struct base_hash *ret)
{
    struct stat st;
    struct {
        uint64_t size;
        struct base_hash head, tail;
    } parts = {0};
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    parts.size = (uint64_t)st.st_size;
    uint64_t head = parts.size <= WHOLE_BYTES ? parts.size : END_BYTES;
    int err = base_hash_fd(fd, 0, head, &parts.head);
    if (!err && head < parts.size)
        err = base_hash_fd(fd, (off_t)(parts.size - END_BYTES), END_BYTES, &parts.tail);
    if (!err)
        *ret = base_hash_of(&parts, sizeof parts);
    return err;
}

/* Files beside the configuration that the arguments name, such as the program's script: what they make is
 * another when they are. */
static struct base_hash hash_of_files(const struct cfg *cfg, const struct cfg_command *command)
{
    struct base_hash hash = {0};
    for (size_t i = 0; i < command->n_arguments; i++) {
        const char *name = cfg_template_literal(command->arguments[i]);
        base_autofree char *path = NULL;
        struct base_hash both[2] = {hash, {{0}}};
        if (!name || name[0] == '/' || asprintf(&path, "%s/%s", cfg_dir(cfg), name) < 0) {
            path = NULL;
            continue;
        }
        base_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd >= 0 && hash_file(fd, &both[1]) == 0)
            hash = base_hash_of(both, sizeof both);
    }
    return hash;
}

void fs_command_view(const struct cfg *cfg, const struct cfg_view *v, struct cache_command *ret)
{
    const struct cfg_command *command = &v->command;
    const char *extension = cfg_template_extension(v->path);
    *ret = (struct cache_command){
        .what = hash_of_files(cfg, command),
        .input_view = command->input ? (int)command->input_view : -1,
        .npy = command->npy,
        .timeout_s = (uint32_t)command->timeout_s,
        .at_once = (uint32_t)command->at_once,
        .max_bytes = command->max_bytes,
    };
    /* numpy.save() adds what a name lacks. */
    if (*extension && strlen(extension) + 2 <= sizeof ret->suffix)
        (void)snprintf(ret->suffix, sizeof ret->suffix, ".%.14s", extension);
}

/* The command's input: a path of the mount, or, where there is no mount to be run in, of the tree. */
static void put_input(const struct fs *fs, const struct cfg_command *command, size_t clip, bool in_mount,
                      struct base_bytes *out)
{
    if (in_mount)
        base_bytes_printf(out, "%s/", fs->options->mountpoint);
    cfg_expand(command->input, NULL, &fs->clips[clip], 0, 0, out);
    base_bytes_append(out, "", 1);
}

int fs_command_arguments(const void *context, size_t clip, size_t view,
                         const struct cache_command_values *values, struct base_bytes *out)
{
    const struct fs *fs = context;
    const struct cfg_view *v = cfg_view(fs->options->cfg, view);
    struct base_bytes input = {0};
    if (v->command.input)
        put_input(fs, &v->command, clip, values->output != NULL, &input);
    const struct cfg_command_values given = {
        .input = v->command.input ? (const char *)input.data
                 : values->source ? values->source
                                  : "{input}",
        .output = values->output ? values->output : "{output}",
        .start = values->start,
        .end = values->end,
    };
    if (!input.failed)
        cfg_expand_command(v, &fs->clips[clip], &given, out);
    int err = input.failed || out->failed ? -ENOMEM : 0;
    base_bytes_finish(&input);
    return err;
}
