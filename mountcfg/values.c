/* SPDX-License-Identifier: Apache-2.0 */
#include "mountcfg/reading.h"

#include <ctype.h>
#include <pwd.h>

#define MAX_SIDE 16384 /* pixels */

static bool wrong(struct cfg_loader *l, struct cfg_node node, const char *what, const char *expected)
{
    struct cfg_found found;
    cfg_mistake(&l->log, cfg_node_place(node), "%s: expected %s, found %s", what, expected,
                cfg_node_found(node, &found));
    return false;
}

/* The text of a scalar, "" for everything else: a text that no kind of value accepts. */
static const char *scalar_text(struct cfg_node node)
{
    if (node.yaml->type != YAML_SCALAR_NODE ||
        strlen((const char *)node.yaml->data.scalar.value) != node.yaml->data.scalar.length)
        return "";
    return (const char *)node.yaml->data.scalar.value;
}

/* Reads decimal digits; NULL when there are none or the number is above max. */
static const char *digits(const char *text, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    const char *p = text;
    for (; isdigit((unsigned char)*p); p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (digit > max || value > (max - digit) / 10)
            return NULL;
        value = value * 10 + digit;
    }
    *ret = value;
    return p == text ? NULL : p;
}

bool cfg_read_int(struct cfg_loader *l, struct cfg_node node, const char *what, int min, int max, int *ret)
{
    char expected[80];
    uint64_t value = 0;
    const char *end = digits(scalar_text(node), (uint64_t)max, &value);
    if (!end || *end || value < (uint64_t)min) {
        (void)snprintf(expected, sizeof expected, "a whole number from %d to %d", min, max);
        return wrong(l, node, what, expected);
    }
    *ret = (int)value;
    return true;
}

bool cfg_read_number(struct cfg_loader *l, struct cfg_node node, const char *what, double min, double max,
                     double *ret)
{
    char expected[80], *end = NULL;
    const char *text = scalar_text(node);
    /* What strtod() takes beside decimal numbers is none here. */
    bool decimal = *text && strspn(text, "0123456789+-.eE") == strlen(text);
    double value = decimal ? strtod(text, &end) : 0;
    if (!decimal || *end || !(value >= min && value <= max)) {
        (void)snprintf(expected, sizeof expected, "a number from %g to %g", min, max);
        return wrong(l, node, what, expected);
    }
    *ret = value;
    return true;
}

bool cfg_read_bool(struct cfg_loader *l, struct cfg_node node, const char *what, bool *ret)
{
    const char *text = scalar_text(node);
    bool yes = strcasecmp(text, "true") == 0;
    if (!yes && strcasecmp(text, "false") != 0)
        return wrong(l, node, what, "true or false");
    *ret = yes;
    return true;
}

bool cfg_read_fewest(struct cfg_loader *l, struct cfg_node node, const char *what, int *ret)
{
    const char *text = scalar_text(node);
    uint64_t value = strcasecmp(text, "true") == 0;
    const char *end = isdigit((unsigned char)*text) ? digits(text, 1000000, &value) : "";
    if (!end || *end || (value == 0 && strcasecmp(text, "false") != 0))
        return wrong(l, node, what, "true, false, or the fewest frames that count, up to 1000000");
    *ret = (int)value;
    return true;
}

bool cfg_read_choice(struct cfg_loader *l, struct cfg_node node, const char *what, const char *const *names,
                     size_t n, int *ret)
{
    struct cfg_found found;
    const char *text = scalar_text(node);
    char list[400] = "";
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret = (int)i;
            return true;
        }
        int added = snprintf(list + len, sizeof list - len, "%s%s",
                             i == 0      ? ""
                             : i + 1 < n ? ", "
                                         : " or ",
                             names[i]);
        len = BASE_MIN(len + (size_t)BASE_MAX(added, 0), sizeof list - 1);
    }
    const char *meant = cfg_closest(text, names, n);
    cfg_mistake(&l->log, cfg_node_place(node), "%s: expected %s, found %s%s%s%s", what, list,
                cfg_node_found(node, &found), meant ? "; did you mean " : "", meant ? meant : "",
                meant ? "?" : "");
    return false;
}

bool cfg_read_bytes(struct cfg_loader *l, struct cfg_node node, const char *what, uint64_t *ret)
{
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = {
        {"", 1},
        {"B", 1},
        {"kB", 1000},
        {"MB", 1000000},
        {"GB", 1000000000},
        {"TB", 1000000000000},
        {"KiB", (uint64_t)1 << 10},
        {"MiB", (uint64_t)1 << 20},
        {"GiB", (uint64_t)1 << 30},
        {"TiB", (uint64_t)1 << 40},
    };
    uint64_t value = 0;
    const char *unit = digits(scalar_text(node), INT64_MAX, &value);
    while (unit && *unit == ' ')
        unit++;
    for (size_t i = 0; unit && i < BASE_ARRAY_LEN(units); i++) {
        if (strcasecmp(unit, units[i].name) == 0 && value <= INT64_MAX / units[i].factor) {
            *ret = value * units[i].factor;
            return true;
        }
    }
    return wrong(l, node, what, "a size such as 20GiB, 500MB or a number of bytes");
}

bool cfg_read_seconds(struct cfg_loader *l, struct cfg_node node, const char *what, int *ret)
{
    const uint64_t day = 24 * 60 * 60;
    uint64_t value = 0;
    const char *unit = digits(scalar_text(node), day, &value);
    if (unit && *unit && unit[1] == 0 && strchr("smh", *unit)) {
        value *= *unit == 'h' ? 60 * 60 : *unit == 'm' ? 60 : 1;
        unit++;
    }
    if (!unit || *unit || value == 0 || value > day)
        return wrong(l, node, what, "a time of 1s to 24h, such as 60s or 5m");
    *ret = (int)value;
    return true;
}

bool cfg_read_bitrate(struct cfg_loader *l, struct cfg_node node, const char *what, int *ret)
{
    /* ISO/IEC 11172-3 and 13818-3, layer III: what an mp3 frame header can say. */
    static const int rates_k[] = {8,  16,  24,  32,  40,  48,  56,  64,  80,
                                  96, 112, 128, 144, 160, 192, 224, 256, 320};
    uint64_t value = 0;
    const char *end = digits(scalar_text(node), 1000000, &value);
    if (end && (*end == 'k' || *end == 'K')) {
        value *= 1000;
        end++;
    }
    for (size_t i = 0; end && !*end && i < BASE_ARRAY_LEN(rates_k); i++) {
        if (value == (uint64_t)rates_k[i] * 1000) {
            *ret = (int)value;
            return true;
        }
    }
    return wrong(
        l, node, what,
        "a bit rate of mp3 such as 128k (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 192, "
        "224, 256 or 320k)");
}

bool cfg_read_fps(struct cfg_loader *l, struct cfg_node node, const char *what, int32_t *ret_num,
                  int32_t *ret_den)
{
    uint64_t num = 0, den = 1;
    const char *p = digits(scalar_text(node), 1000000, &num);
    if (p && *p == '/') {
        p = digits(p + 1, 1000000, &den);
    } else if (p && *p == '.') {
        const char *start = ++p;
        for (; isdigit((unsigned char)*p) && p - start < 6 && num <= 1000000000; p++) {
            num = num * 10 + (uint64_t)(*p - '0');
            den *= 10;
        }
        p = p == start ? NULL : p;
    }
    if (!p || *p || num == 0 || den == 0 || num > den * 1000 || num > INT32_MAX)
        return wrong(l, node, what, "frames per second up to 1000, such as 5, 12.5 or 30000/1001");
    uint64_t a = num, b = den;
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    *ret_num = (int32_t)(num / a);
    *ret_den = (int32_t)(den / a);
    return true;
}

/* One side of a scale: a number of pixels, or -N: what keeps the shape, rounded to a multiple of N. */
static const char *side(const char *p, bool *ret_free)
{
    uint64_t value = 0;
    *ret_free = *p == '-';
    p = digits(*ret_free ? p + 1 : p, *ret_free ? 16 : MAX_SIDE, &value);
    return value == 0 ? NULL : p;
}

bool cfg_read_scale(struct cfg_loader *l, struct cfg_node node, const char *what, char ret[64])
{
    const char *text = scalar_text(node), *p = NULL;
    bool free_w = false, free_h = false;
    if (strcmp(text, "none") == 0) {
        ret[0] = 0;
        return true;
    }
    if (strncmp(text, "short:", 6) == 0) {
        p = side(text + 6, &free_w);
    } else {
        p = side(text, &free_w);
        p = p && *p == ':' ? side(p + 1, &free_h) : NULL;
        free_w = free_w && free_h;
    }
    if (!p || *p || free_w || strlen(text) >= 64)
        return wrong(
            l, node, what,
            "W:H in pixels up to 16384 where one may be -1 to -16 (keep the shape), such as -1:240 or "
            "224:224, short:N, or none");
    (void)snprintf(ret, 64, "%s", text);
    return true;
}

bool cfg_crop_is_good(const char *text)
{
    const char *p = text;
    if (strcmp(text, "left") == 0 || strcmp(text, "right") == 0)
        return true;
    for (int i = 0; i < 4 && p; i++) {
        uint64_t value = 0;
        p = digits(p, MAX_SIDE, &value);
        if (p && ((i < 2 && value == 0) || *p != (i < 3 ? ':' : 0)))
            p = NULL;
        if (p && i < 3)
            p++;
    }
    return p && strlen(text) < 64;
}

bool cfg_read_crop(struct cfg_loader *l, struct cfg_node node, const char *what, char ret[64])
{
    const char *text = scalar_text(node);
    if (!cfg_crop_is_good(text))
        return wrong(l, node, what, "left, right or W:H:X:Y in pixels up to 16384");
    (void)snprintf(ret, 64, "%s", text);
    return true;
}

/* ---- Paths ---- */

const char *cfg_home(struct cfg_loader *l)
{
    const char *home = getenv("HOME");
    if (home && *home)
        return home;
    char buffer[4096];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(getuid(), &entry, buffer, sizeof buffer, &found) != 0 || !found)
        return NULL;
    return cfg_keep(l, entry.pw_dir, strlen(entry.pw_dir));
}

/* Puts the variable at `p`, which points behind its '$', into out and returns what follows; NULL when
 * reported. */
static const char *put_variable(struct cfg_loader *l, struct cfg_node node, const char *what, const char *p,
                                struct base_bytes *out)
{
    bool braced = *p == '{';
    char name[128];
    size_t len = 0;
    p += braced;
    while (p[len] == '_' || isalpha((unsigned char)p[len]) || (len > 0 && isdigit((unsigned char)p[len])))
        len++;
    if (len == 0 && !braced) {
        base_bytes_append(out, "$", 1);
        return p;
    }
    if (len == 0 || len >= sizeof name || (braced && p[len] != '}')) {
        cfg_mistake(&l->log, cfg_node_place(node), "%s: expected ${NAME}, found \"${%s\"", what, p);
        return NULL;
    }
    memcpy(name, p, len);
    name[len] = 0;
    const char *value = getenv(name);
    if (!value) {
        cfg_mistake(&l->log, cfg_node_place(node), "%s: the environment has no variable %s", what, name);
        return NULL;
    }
    base_bytes_append(out, value, strlen(value));
    return p + len + braced;
}

/* Appends the text with ~ and variables put in. False when reported. */
static bool expand(struct cfg_loader *l, struct cfg_node node, const char *what, const char *text,
                   struct base_bytes *out)
{
    if (text[0] == '~' && (text[1] == '/' || text[1] == 0)) {
        const char *home = cfg_home(l);
        if (!home) {
            cfg_mistake(&l->log, cfg_node_place(node), "%s: ~ is used, but no home directory is known", what);
            return false;
        }
        base_bytes_append(out, home, strlen(home));
        text++;
    }
    while (text && *text) {
        size_t plain = strcspn(text, "$");
        base_bytes_append(out, text, plain);
        text += plain;
        if (*text == '$')
            text = put_variable(l, node, what, text + 1, out);
    }
    return text != NULL;
}

/* Removes doubled and closing slashes and "." components. ".." stays: behind a link it is not what it looks
 * like. */
static size_t tidy(char *path)
{
    size_t len = 0;
    for (const char *p = path; *p;) {
        size_t slashes = strspn(p, "/");
        p += slashes;
        size_t part = strcspn(p, "/");
        if (part > 0 && !(part == 1 && *p == '.')) {
            path[len++] = '/';
            memmove(path + len, p, part);
            len += part;
        }
        p += part;
    }
    if (len == 0)
        path[len++] = '/';
    path[len] = 0;
    return len;
}

const char *cfg_read_path(struct cfg_loader *l, struct cfg_node node, const char *what)
{
    const char *text = cfg_read_text(l, node, what);
    if (!text)
        return NULL;
    struct base_bytes expanded = {0}, path = {0};
    const char *kept = NULL;
    if (expand(l, node, what, text, &expanded)) {
        if (expanded.len == 0 || expanded.data[0] != '/') {
            base_bytes_append(&path, l->dir, strlen(l->dir));
            base_bytes_append(&path, "/", 1);
        }
        base_bytes_append(&path, expanded.data, expanded.len);
        base_bytes_append(&path, "", 1);
        if (expanded.failed || path.failed)
            l->no_memory = true;
        else if (path.len > CFG_MAX_PATH)
            cfg_mistake(&l->log, cfg_node_place(node), "%s: the path is longer than %d bytes", what,
                        CFG_MAX_PATH);
        else
            kept = cfg_keep(l, (const char *)path.data, tidy((char *)path.data));
    }
    base_bytes_finish(&expanded);
    base_bytes_finish(&path);
    return kept;
}
