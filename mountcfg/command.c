/* SPDX-License-Identifier: Apache-2.0 */
/* `command:` of a view. */
#include "mountcfg/language.h"

enum { MAX_ARGUMENTS = 256, MAX_AT_ONCE = 16 };

enum { C_RUN, C_INPUT, C_OUTPUT, C_TIMEOUT, C_AT_ONCE, C_MAX_SIZE, C_N };
static const struct cfg_key command_keys[C_N] = {
    [C_RUN] = {"run", false},         [C_INPUT] = {"input", false},     [C_OUTPUT] = {"output", false},
    [C_TIMEOUT] = {"timeout", false}, [C_AT_ONCE] = {"at_once", false}, [C_MAX_SIZE] = {"max_size", false},
};

static bool arguments_use(const struct cfg_command *command, enum cfg_part_kind kind)
{
    for (size_t i = 0; i < command->n_arguments; i++)
        if (cfg_template_uses(command->arguments[i], kind))
            return true;
    return false;
}

static void load_arguments(struct cfg_loader *l, struct cfg_node node, struct cfg_command *command)
{
    size_t n = 0;
    if (!cfg_read_list(l, node, "command", MAX_ARGUMENTS, &n))
        return;
    command->arguments = cfg_keep_alloc(l, n, sizeof(struct cfg_template *));
    for (size_t i = 0; command->arguments && i < n; i++) {
        struct cfg_node item = cfg_list_item(node, i);
        const char *text = cfg_read_text(l, item, "an argument of the command");
        struct cfg_template *t =
            text ? cfg_template_parse(l, cfg_node_place(item), text, CFG_USE_COMMAND) : NULL;
        if (!t)
            return;
        command->arguments[command->n_arguments++] = t;
    }
    if (command->n_arguments > 0 && !arguments_use(command, CFG_PART_OUTPUT))
        cfg_mistake(&l->log, cfg_node_place(node),
                    "the command is to write the file that {output} names: give it as an argument");
}

static void load_input(struct cfg_loader *l, struct cfg_node node, struct cfg_command *command)
{
    const char *text = cfg_read_text(l, node, "input");
    if (text && strcmp(text, "source") != 0)
        command->input = cfg_template_parse(l, cfg_node_place(node), text, CFG_USE_PATH);
}

void cfg_load_command(struct cfg_loader *l, struct cfg_node node, struct cfg_view *v)
{
    static const char *const outputs[] = {"npy", "any"};
    struct cfg_command *command = &v->command;
    struct cfg_entry e[C_N] = {0};
    int output = v->path && strcasecmp(cfg_template_extension(v->path), "npy") == 0 ? 0 : 1;
    *command = (struct cfg_command){.timeout_s = 10 * 60, .at_once = 1, .max_bytes = 64 << 20};
    if (node.yaml->type == YAML_SEQUENCE_NODE)
        load_arguments(l, node, command);
    else if (!cfg_read_map(l, node, "command", false, command_keys, C_N, e))
        return;
    else if (!e[C_RUN].value.yaml)
        cfg_mistake(
            &l->log, cfg_node_place(node),
            "a command needs what to \"run\", such as run: [python3, i3d.py, \"{input}\", \"{output}\"]");
    else
        load_arguments(l, e[C_RUN].value, command);
    if (e[C_INPUT].value.yaml)
        load_input(l, e[C_INPUT].value, command);
    if (e[C_OUTPUT].value.yaml)
        (void)cfg_read_choice(l, e[C_OUTPUT].value, "output", outputs, BASE_ARRAY_LEN(outputs), &output);
    command->npy = output == 0;
    if (e[C_TIMEOUT].value.yaml)
        (void)cfg_read_seconds(l, e[C_TIMEOUT].value, "timeout", &command->timeout_s);
    if (e[C_AT_ONCE].value.yaml)
        (void)cfg_read_int(l, e[C_AT_ONCE].value, "at_once", 1, MAX_AT_ONCE, &command->at_once);
    if (e[C_MAX_SIZE].value.yaml)
        (void)cfg_read_bytes(l, e[C_MAX_SIZE].value, "max_size", &command->max_bytes);
}

/* Whether `dir` is all of a path before its last '/'. */
static bool is_dir_of(const struct cfg_template *dir, const struct cfg_template *path)
{
    const struct cfg_cut end = path->dir_end;
    bool equal = dir->n > 0 && dir->n == end.part + (end.offset > 0);
    for (size_t i = 0; equal && i < dir->n; i++) {
        struct cfg_part part = path->parts[i];
        if (i == end.part)
            part.len = end.offset;
        equal = cfg_part_equal(&dir->parts[i], &part);
    }
    return equal;
}

/* The view whose file, or whose frames' directory, a path is. Not of every kind: two commands could wait for
 * each other, and what is made of a subtitle file or of other clips changes by itself. */
static bool find_input(const struct cfg *c, const struct cfg_template *input, size_t *ret)
{
    for (size_t i = 0; i < c->n_views; i++) {
        const struct cfg_view *v = &c->views[i];
        const bool has = v->kind == CFG_FRAMES || v->kind == CFG_AUDIO || v->kind == CFG_NPY;
        if (has && v->path &&
            (v->kind == CFG_FRAMES ? is_dir_of(input, v->path) : cfg_template_equal(input, v->path))) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool has_cuts(const struct cfg *c)
{
    for (size_t i = 0; i < c->n_tables; i++)
        if (c->tables[i].cut.unit != CFG_WHOLE)
            return true;
    return false;
}

void cfg_check_commands(struct cfg_loader *l)
{
    for (size_t i = 0; i < l->c->n_views; i++) {
        struct cfg_view *v = &l->c->views[i];
        const struct cfg_place at = {v->file, v->line, v->column};
        if (v->kind != CFG_COMMAND || v->command.n_arguments == 0)
            continue;
        if (v->command.input && !find_input(l->c, v->command.input, &v->command.input_view))
            cfg_mistake(
                &l->log, at,
                "the command's input is neither source, nor the path of an audio or npy view, nor the "
                "directory of a frames view");
        if (!v->command.input && has_cuts(l->c) && !arguments_use(&v->command, CFG_PART_START))
            cfg_mistake(&l->log, at,
                        "clips are parts of videos here, and the command would get the whole video: give it "
                        "{start} and {end}, which are seconds, or as its input a path of the tree");
    }
}

const char *cfg_command_check(const struct cfg_view *v, const char *const *values, size_t *ret_field)
{
    const struct cfg_command *command = &v->command;
    const char *what = command->input ? cfg_template_check(command->input, values, ret_field) : NULL;
    for (size_t i = 0; !what && i < command->n_arguments; i++)
        what = cfg_template_check(command->arguments[i], values, ret_field);
    return what;
}

void cfg_expand_command(const struct cfg_view *v, const struct cfg_clip *clip,
                        const struct cfg_command_values *values, struct base_bytes *out)
{
    const char *const given[] = {values->input, values->output, values->start, values->end};
    for (size_t i = 0; i < v->command.n_arguments; i++) {
        const struct cfg_template *t = v->command.arguments[i];
        for (size_t k = 0; k < t->n; k++) {
            const enum cfg_part_kind kind = t->parts[k].kind;
            const struct cfg_template part = {.n = 1, .parts = &t->parts[k]};
            if (kind < CFG_PART_INPUT)
                cfg_expand(&part, NULL, clip, 0, 0, out);
            else
                base_bytes_append(out, given[kind - CFG_PART_INPUT], strlen(given[kind - CFG_PART_INPUT]));
        }
        base_bytes_append(out, "", 1);
    }
}
