/* SPDX-License-Identifier: Apache-2.0 */
/* Mistakes in a configuration: each is told at its place, with what was expected. */
#include "tests/unit/check.h"
#include "tests/unit/configs.h"

#define WHOLE(from, to) "expected a whole number from " from " to " to
#define KNOWN_TOP                                                                                            \
    "(known: preset, corpus, root, sources, views, n_frames, cache, workers, tables, fields, refresh, "      \
    "immutable, options, roots, raw)"
#define BAD_SCALE                                                                                            \
    "size: expected W:H in pixels up to 16384 where one may be -1 to -16 (keep the shape), such as -1:240 "  \
    "or 224:224, short:N, or none, found "
#define BAD_FPS "fps: expected frames per second up to 1000, such as 5, 12.5 or 30000/1001, found "
#define BAD_CROP "crop: expected left, right or W:H:X:Y in pixels up to 16384, found "
#define BAD_BYTES "size: expected a size such as 20GiB, 500MB or a number of bytes, found "
#define LATER " is not supported by this version"

/* A configuration and all the lines that it must give. */
static const struct {
    const char *text, *said;
} mistakes[] = {
    /* the file */
    {"", "c.yaml:1:1: the configuration is empty\n"},
    {"# nothing\n", "c.yaml:1:1: the configuration is empty\n"},
    {"[a]\n", "c.yaml:1:1: the configuration: expected a mapping (key: value), found a list\n"},
    {"text\n", "c.yaml:1:1: the configuration: expected a mapping (key: value), found \"text\"\n"},
    {"a: 1\nb: [\n", "c.yaml:3:1: not YAML: did not find expected node content, while parsing a flow node\n"},
    {"root: *x\n", "c.yaml:1:7: not YAML: found undefined alias\n"},
    {"a: b\nc: \xff\n", "c.yaml:2:4: not a YAML text in UTF-8: invalid leading UTF-8 octet\n"},
    {"{}\n---\n{}\n", "c.yaml:2:1: a second document: a configuration is one document\n"},
    {"{}\n",
     "c.yaml:1:1: the configuration needs \"root\" (root: /data/corpus)\n"
     "c.yaml:1:1: the configuration needs \"sources\" (a list of what to read, or preset: class-folders)\n"
     "c.yaml:1:1: the configuration needs \"views\" (a list of what to show, or preset: class-folders)\n"},
    /* keys */
    {"korpus: x\n",
     "c.yaml:1:1: unknown key \"korpus\" in the configuration; did you mean \"corpus\"? " KNOWN_TOP "\n"},
    {"zebra: x\n", "c.yaml:1:1: unknown key \"zebra\" in the configuration " KNOWN_TOP "\n"},
    {TOP("root: root"), "c.yaml:5:1: key \"root\" was already given at line 1\n"},
    {TOP("[a]: b"), "c.yaml:5:1: the configuration: expected a key, found a list\n"},
    {TOP("\"a\\nb\": b"), "c.yaml:5:1: unknown key \"a\\x0ab\" in the configuration " KNOWN_TOP "\n"},
    {TOP("tables: []"), "c.yaml:5:9: tables: expected a list of 1 to 64 items, found 0\n"},
    {TABLE("{key: clip}"),
     "c.yaml:5:10: a table needs \"file\": a pattern such as \"labels/*.csv\" (or \"lines\", "
     "\"labels\" or \"member\")\n"},
    {TABLE("{file: a.csv, lines: b, key: clip}"),
     "c.yaml:5:24: a table has one of \"file\", \"lines\", \"labels\" and \"member\"\n"},
    {TABLE("{file: a.csv}"),
     "c.yaml:5:10: a table needs a \"key\": the field by which its rows belong to clips\n"},
    {TABLE("{file: a.txt, key: clip}"),
     "c.yaml:5:17: file: its extension is none of csv, tsv, json, jsonl, h5 and hdf5: set \"format\"\n"},
    {TABLE("{file: a, format: xlsx, key: clip}"),
     "c.yaml:5:28: format: expected csv, tsv, json or jsonl, found \"xlsx\"\n"},
    {TABLE("{file: a.csv, key: clip, header: false}"),
     "c.yaml:5:10: a table without a header needs \"columns\", such as [clip, label]\n"},
    {TABLE("{file: a.csv, key: clip, columns: [x]}"),
     "c.yaml:5:10: key: this table does not give the field {clip}\n"},
    {TABLE("{file: a.csv, key: clip, header: false, columns: {clip: one}}"),
     "c.yaml:5:66: columns: expected a whole number from 1 to 4096, found \"one\"\n"},
    {TABLE("{file: a.csv, key: clip, records: x}"),
     "c.yaml:5:35: \"records\" does not go with a table of this kind\n"},
    {TABLE("{file: a.csv, key: clip, join: outer}"),
     "c.yaml:5:41: join: expected inner or left, found \"outer\"\n"},
    {TABLE("{lines: a, key: clip}"),
     "c.yaml:5:10: a table of lines needs a \"match\": an expression with named groups\n"},
    {TABLE("{lines: a, match: 'x', key: clip}"),
     "c.yaml:5:28: match: it names no field: write a named group such as (?<clip>\\S+)\n"},
    {TABLE("{labels: a, key: clip}"), "c.yaml:5:10: key: this table does not give the field {clip}\n"},
    {TABLE("{file: a.csv, key: clip, to: '{clip'}"),
     "c.yaml:5:39: \"{\" without \"}\" (a brace itself is written {{)\n"},
    {TABLE("{file: a.csv, key: clip, cut: {start: a}}"),
     "c.yaml:5:40: cut: expected { start: FIELD, end: FIELD }, or { first: FIELD, last: FIELD }\n"},
    {TABLE("{file: a.csv, key: clip, cut: {start: a, end: b, base: 1}}"),
     "c.yaml:5:40: cut: expected { start: FIELD, end: FIELD }, or { first: FIELD, last: FIELD }\n"},
    {TABLE("{file: a.csv, key: clip, cut: {start: a, end: b, first: a, last: b}}"),
     "c.yaml:5:40: cut: expected { start: FIELD, end: FIELD }, or { first: FIELD, last: FIELD }\n"},
    {TABLE("{file: a.csv, key: clip, cut: {start: a, end: b}}, {file: b.csv, key: clip, cut: {first: a, "
           "last: b}}"),
     "c.yaml:5:91: cut: another table cuts the videos already\n"},
    {TABLE("{file: a.csv, key: clip, columns: {clip: clip, a: a}, cut: {start: a, end: clap}}"),
     "c.yaml:5:85: cut: nothing gives the field {clap}; did you mean {clip}? (known: clip, a)\n"},
    {TABLE("{file: a.csv, key: k, to: clip, columns: {k: k, a: a}, cut: {start: a, end: clip}}"),
     "c.yaml:5:10: cut: this table does not give the field {clip}\n"},
    {TABLE("{file: '{a.csv', key: clip}"), "c.yaml:5:17: file: pattern \"{a.csv\": \"{\" without \"}\"\n"},
    {TOP("fields: {}"), "c.yaml:5:9: fields: expected a mapping of 1 to 64 keys, found 0\n"},
    {TOP("fields: {a: {set: x}, a: {set: y}}"), "c.yaml:5:23: key \"a\" was already given at line 5\n"},
    {TOP("fields: {<<: {set: x}}"), "c.yaml:5:10: fields: merge keys (<<) do not work here\n"},
    {TOP("fields: {a: 3}"), "c.yaml:5:13: a field: expected a mapping (key: value), found \"3\"\n"},
    {TOP("fields: {a: {off: clip}}"),
     "c.yaml:5:14: unknown key \"off\" in a field; did you mean \"of\"? (known: when, of, set, match, case, "
     "map, "
     "index, base, default)\n"
     "c.yaml:5:13: a field without \"of\" or \"set\": nothing gives the field {a} (known: clip)\n"},
    {TOP("fields: {a: {of: klip}}"),
     "c.yaml:5:18: of: nothing gives the field {klip}; did you mean {clip}? (known: clip)\n"},
    {TOP("fields: {a: {of: clip, set: x}}"), "c.yaml:5:14: \"of\" and \"set\" exclude each other\n"},
    {TOP("fields: {a: {set: '{frame}'}}"), "c.yaml:5:19: {frame} belongs into the path of a frames view\n"},
    {TOP("fields: {a: {set: '{nframes}'}}"), "c.yaml:5:19: {nframes} belongs into a text, not into a path\n"},
    {TOP("fields: {nframes: {set: x}}"),
     "c.yaml:5:10: fields: a field cannot be named \"nframes\": {nframes} has a meaning of its own\n"},
    {TOP("fields: {'a:b': {set: x}}"),
     "c.yaml:5:10: fields: a field cannot be named \"a:b\": no {, } or : in it\n"},
    {TOP("fields: {a: {of: clip, case: camel}}"),
     "c.yaml:5:30: case: expected keep, lower, upper or title, found \"camel\"\n"},
    {TOP("fields: {a: {of: clip, match: '('}}"),
     "c.yaml:5:31: match: bad regular expression: missing closing parenthesis, at its byte 2\n"},
    {TOP("fields: {a: {when: {klip: x}, set: x}}"),
     "c.yaml:5:21: when: nothing gives the field {klip}; did you mean {clip}? (known: clip)\n"},
    {TOP("fields: {a: {of: clip, map: [x]}}"),
     "c.yaml:5:29: map: expected a mapping (key: value), found a list\n"},
    {TOP("fields: {a: {of: clip, index: [x, y, x]}}"), "c.yaml:5:38: index: \"x\" stands twice\n"},
    {TOP("fields: {a: {of: clip, base: 1}}"), "c.yaml:5:24: \"base\" belongs to \"index\"\n"},
    {TOP("refresh: 0s"),
     "c.yaml:5:10: refresh: expected a time of 1s to 24h, such as 60s or 5m, found \"0s\"\n"},
    {TOP("refresh: 25h"),
     "c.yaml:5:10: refresh: expected a time of 1s to 24h, such as 60s or 5m, found \"25h\"\n"},
    {TOP("refresh: 5 m"),
     "c.yaml:5:10: refresh: expected a time of 1s to 24h, such as 60s or 5m, found \"5 m\"\n"},
    {TOP("immutable: 1"), "c.yaml:5:12: immutable: expected true or false, found \"1\"\n"},
    {TOP("sizes: exact"), "c.yaml:5:1: \"sizes\" in the configuration" LATER "\n"},
    {TOP("workers: many"), "c.yaml:5:10: workers: " WHOLE("0", "1024") ", found \"many\"\n"},
    {TOP("workers: -1"), "c.yaml:5:10: workers: " WHOLE("0", "1024") ", found \"-1\"\n"},
    {TOP("workers: 99999999999999999999"),
     "c.yaml:5:10: workers: " WHOLE("0", "1024") ", found \"99999999999999999999\"\n"},
    {TOP("corpus:"), "c.yaml:5:8: corpus: expected a text, found nothing\n"},
    {TOP("corpus: \"a\\0b\""), "c.yaml:5:9: corpus: expected a text, found one with a NUL character in it\n"},
    {TOP("n_frames: -3"),
     "c.yaml:5:11: n_frames: expected true, false, or the fewest frames that count, up to "
     "1000000, found \"-3\"\n"},
    {TOP("n_frames: 0"),
     "c.yaml:5:11: n_frames: expected true, false, or the fewest frames that count, up to "
     "1000000, found \"0\"\n"},
    {TOP("options: { size: none }"), "c.yaml:5:1: \"options\" are those of a \"preset\"\n"},
    {"preset: class-folders\nroot: root\noptions: { siez: none }\n",
     "c.yaml:3:12: preset class-folders has no option \"siez\"; did you mean \"size\"? (known: size)\n"},
    {"preset: class-folders\nroot: root\noptions: { size: [1] }\n",
     "c.yaml:3:18: size: expected a text, found a list\n"},
    {"preset: class-folders\nroot: root\noptions: { size: \"a\\nb\" }\n",
     "c.yaml:3:18: size: an option is one line of text\n"},
    {"preset: class-folders\nroot: root\noptions: { size: 'a\"\\, x: {' }\n",
     "preset class-folders:13:21: " BAD_SCALE "\"a\"\\, x: {\"\n"},
    {"preset: class-folders\nroot: root\noptions: []\n",
     "c.yaml:3:10: options: expected a mapping (key: value), found a list\n"},
    {TOP("cache: 3"), "c.yaml:5:8: cache: expected a mapping (key: value), found \"3\"\n"},
    {TOP("cache: { dri: x }"),
     "c.yaml:5:10: unknown key \"dri\" in cache; did you mean \"dir\"? (known: dir, size, min_free)\n"},
    {TOP("cache: { min_free: some }"),
     "c.yaml:5:20: min_free: expected a size such as 20GiB, 500MB or a number of bytes, found \"some\"\n"},
    {TOP("cache: { size: lots }"), "c.yaml:5:16: " BAD_BYTES "\"lots\"\n"},
    {TOP("cache: { size: 20G }"), "c.yaml:5:16: " BAD_BYTES "\"20G\"\n"},
    {TOP("cache: { size: 9000000000GiB }"), "c.yaml:5:16: " BAD_BYTES "\"9000000000GiB\"\n"},
    {TOP("cache: { dir: $CORPUSFS_NO_SUCH/x }"),
     "c.yaml:5:15: dir: the environment has no variable CORPUSFS_NO_SUCH\n"},
    {TOP("cache: { dir: '${X' }"), "c.yaml:5:15: dir: expected ${NAME}, found \"${X\"\n"},
    {"root: $CORPUSFS_NO_SUCH\nsources: [{videos: x}]\n" VIEWS,
     "c.yaml:1:7: root: the environment has no variable CORPUSFS_NO_SUCH\n"},
    {"root: c.yaml\nsources: [{videos: x}]\n" VIEWS, "c.yaml:1:7: root: DIR/c.yaml is not a directory\n"},
    {"root: none\nsources: [{videos: x}]\n" VIEWS, "c.yaml:1:7: root: DIR/none: No such file or directory\n"},
    /* sources */
    {"root: root\nsources: x\n" VIEWS, "c.yaml:2:10: sources: expected a list, found \"x\"\n"},
    {"root: root\nsources: []\n" VIEWS, "c.yaml:2:10: sources: expected a list of 1 to 256 items, found 0\n"},
    {"root: root\nsources: [{match: '(?<clip>.)'}]\n" VIEWS,
     "c.yaml:2:11: a source needs \"videos\": a pattern such as \"*/*.mp4\"\n"},
    {"root: root\nsources: [{vidoes: x}]\n" VIEWS,
     "c.yaml:2:12: unknown key \"vidoes\" in a source; did you mean \"videos\"? (known: videos, match, "
     "archives, nested, samples)\n"},
    {"root: root\nsources: [{nested: x.tar, videos: y}]\n" VIEWS,
     "c.yaml:2:12: \"nested\" is for members of \"archives\"\n"},
    {"root: root\nsources: [{archives: x.tar, match: '(?<clip>.)'}]\n" VIEWS,
     "c.yaml:2:29: \"match\" is for \"videos\" in the archives\n"},
    {VIDEOS("/a"),
     "c.yaml:3:13: videos: pattern \"/a\": it has an empty name: patterns are relative to the root, "
     "without \"//\" or a \"/\" at an end\n"},
    {VIDEOS("../a"), "c.yaml:3:13: videos: pattern \"../a\": \".\" and \"..\" match nothing\n"},
    {VIDEOS("[a"), "c.yaml:3:13: videos: pattern \"[a\": \"[\" without \"]\"\n"},
    {VIDEOS("{a,b"), "c.yaml:3:13: videos: pattern \"{a,b\": \"{\" without \"}\"\n"},
    {VIDEOS("a\\"), "c.yaml:3:13: videos: pattern \"a\\\": nothing follows the backslash\n"},
    {VIDEOS("{clip}.mp4"), "c.yaml:3:13: videos: pattern: expected {a,b} or {000..012}, found \"{clip}\" (a "
                           "brace itself is written \\{)\n"},
    {VIDEOS("{0..99999}"),
     "c.yaml:3:13: videos: the braces of a pattern expand to more than 4096 patterns or 4095 bytes each\n"},
    {VIDEOS("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}"),
     "c.yaml:3:13: videos: the braces of a pattern expand to more than 4096 patterns or 4095 bytes each\n"},
    {MATCH("(?<clip>[a"), "c.yaml:4:12: match: bad regular expression: missing terminating ] for character "
                          "class, at its byte 11\n"},
    {MATCH("(.*)"), "c.yaml:4:12: match: it names no field: write a named group such as (?<clip>[^/]+)\n"},
    {MATCH("(?<frame>.*)"),
     "c.yaml:4:12: match: a field cannot be named \"frame\": {frame} has a meaning of its own\n"},
    /* views */
    {SOURCE "views: many\n", "c.yaml:4:8: views: expected a list, found \"many\"\n"},
    {SOURCE "views:\n  - 3\n", "c.yaml:5:5: a view: expected a mapping (key: value), found \"3\"\n"},
    {SOURCE "views:\n  - path: 'a/{clip}'\n    files: '*'\n",
     "c.yaml:5:11: the path of a files view takes {path} and {shard}, found {clip}\n"},
    {SOURCE "views:\n  - path: 'a/b'\n    files: '*'\n",
     "c.yaml:5:11: path \"a/b\": the path of a files view needs {path}\n"},
    {SOURCE "views:\n  - path: 'a/{path}'\n    files: '[a'\n",
     "c.yaml:6:12: files: pattern \"[a\": \"[\" without \"]\"\n"},
    {SOURCE "views:\n  - path: a\n", "c.yaml:5:5: a view needs one of frames, audio, subtitles, text, files, "
                                     "file, npy, list, command or stack\n"},
    {SOURCE "views:\n  - text: a\n",
     "c.yaml:5:5: a view needs a \"path\", such as \"img/{clip}/{frame:06d}.jpg\"\n"},
    {SOURCE "views:\n  - path: a\n    video: {}\n",
     "c.yaml:6:5: unknown key \"video\" in a view (known: "
     "path, frames, audio, subtitles, text, files, file, npy, list, command, stack, where)\n"},
    {VIEW("{clip}.mp3", "audio: {}\n    text: x"),
     "c.yaml:7:5: a view is one of frames, audio, subtitles, "
     "text, files, file, npy, list, command or stack; this one has \"audio\" and \"text\"\n"},
    {VIEW("x/{clip}", "text: x\n  - path: x/{clip}\n    text: y"),
     "c.yaml:7:11: the view at line 5 has the same path\n"},
    {VIEW("{klip}", "text: x"),
     "c.yaml:5:11: nothing gives the field {klip}; did you mean {clip}? (known: clip)\n"},
    {VIEW("{clip", "text: x"), "c.yaml:5:11: \"{\" without \"}\" (a brace itself is written {{)\n"},
    {VIEW("clip}", "text: x"), "c.yaml:5:11: \"}\" without \"{\" (a brace itself is written }})\n"},
    {VIEW("/{clip}", "text: x"),
     "c.yaml:5:11: path \"/{clip}\": it has an empty name: a path does not start or end "
     "with \"/\" and has no \"//\"\n"},
    {VIEW("a//{clip}", "text: x"),
     "c.yaml:5:11: path \"a//{clip}\": it has an empty name: a path does not start or "
     "end with \"/\" and has no \"//\"\n"},
    {VIEW("../{clip}", "text: x"),
     "c.yaml:5:11: path \"../{clip}\": \".\" and \"..\" cannot be names in it\n"},
    {VIEW("a/./{clip}", "text: x"),
     "c.yaml:5:11: path \"a/./{clip}\": \".\" and \"..\" cannot be names in it\n"},
    {VIEW("{clip:6d}", "text: x"),
     "c.yaml:5:11: {clip:6d}: behind the colon stands d or 0Nd, such as {clip:05d}\n"},
    {VIEW("{klip:06d}", "text: x"),
     "c.yaml:5:11: nothing gives the field {klip}; did you mean {clip}? (known: clip)\n"},
    {TEXT("'{nframes:04d}'"),
     "c.yaml:6:11: expected {nframes}, {nframes+N} or {nframes-N}, found {nframes:04d}\n"},
    {FRAMES "{crop: '{klip}'}\n",
     "c.yaml:6:20: nothing gives the field {klip}; did you mean {clip}? (known: clip)\n"},
    {VIEW("{nframes}", "text: x"), "c.yaml:5:11: {nframes} belongs into a text, not into a path\n"},
    {VIEW("{frame}.mp3", "audio: {}"), "c.yaml:5:11: {frame} belongs into the path of a frames view\n"},
    {VIEW("{clip}", "file: {}\n    where: {klip: x}"),
     "c.yaml:7:13: where: nothing gives the field {klip}; did you mean {clip}? (known: clip)\n"},
    {VIEW("{clip}", "list: x\n    where: {clip: x}"), "c.yaml:7:5: \"where\" of a list stands in the list\n"},
    {VIEW("{path}", "files: x\n    where: {clip: x}"),
     "c.yaml:7:5: \"where\" is about clips, and these files are of none\n"},
    {VIEW("{clip}", "file: {x: 1}"), "c.yaml:6:11: file: expected {}\n"},
    {VIEW("{clip}.aac", "audio: {}"),
     "c.yaml:5:11: the path of an audio view ends in .mp3 or .wav, found .aac\n"},
    {VIEW("{clip}", "audio: {}"),
     "c.yaml:5:11: the path of an audio view ends in .mp3 or .wav, found no extension at its end\n"},
    {VIEW("{clip}.vtt", "subtitles: []"),
     "c.yaml:5:11: the path of a subtitles view ends in .srt, found .vtt\n"
     "c.yaml:6:16: subtitles: expected a list of 1 to 3 items, found 0\n"},
    {VIEW("{clip}/{frame}.bmp", "frames: {}"),
     "c.yaml:5:11: the path of a frames view ends in .jpg, .jpeg, .png or .ppm, found .bmp\n"},
    {VIEW("{clip}/x.jpg", "frames: {}"),
     "c.yaml:5:11: path \"{clip}/x.jpg\": the last name of a frames view needs {frame} or {frame:0Nd}\n"},
    {VIEW("{frame}/{clip}.jpg", "frames: {}"), "c.yaml:5:11: path \"{frame}/{clip}.jpg\": the last name of a "
                                               "frames view needs {frame} or {frame:0Nd}\n"},
    {VIEW("{clip}/{frame}{frame}.jpg", "frames: {}"), "c.yaml:5:11: {frame} stands twice in the path\n"},
    {VIEW("{clip}/{frame:6d}.jpg", "frames: {}"),
     "c.yaml:5:11: expected {frame} or {frame:0Nd} such as {frame:06d}, found {frame:6d}\n"},
    {VIEW("{clip}/{frame:0d}.jpg", "frames: {}"),
     "c.yaml:5:11: expected {frame} or {frame:0Nd} such as {frame:06d}, found {frame:0d}\n"},
    {VIEW("{clip}/{frame:099d}.jpg", "frames: {}"),
     "c.yaml:5:11: expected {frame} or {frame:0Nd} such as {frame:06d}, found {frame:099d}\n"},
    {VIEW("{clip}{frame}.jpg", "frames: {}"), "c.yaml:5:11: path \"{clip}{frame}.jpg\": {frame} touches a "
                                              "field, so that \"v1\" + 11 and \"v11\" + 1 would be "
                                              "one name: put \"_\" between them, or write {frame:06d}\n"},
    {TEXT("'{frame}'"), "c.yaml:6:11: {frame} belongs into the path of a frames view\n"},
    {TEXT("'{klip}'"), "c.yaml:6:11: nothing gives the field {klip}; did you mean {clip}? (known: clip)\n"},
    {TEXT("{nframes}"),
     "c.yaml:6:11: text: expected a text, found a mapping (a text that starts with a brace needs quotes)\n"},
    /* frames */
    {FRAMES "{ sise: 1 }",
     "c.yaml:6:15: unknown key \"sise\" in frames; did you mean \"size\"? (known: timing, fps, "
     "size, crop, quality, subsampling, base, flow, method, bound, grey)\n"},
    {FRAMES "[]", "c.yaml:6:13: frames: expected a mapping (key: value), found a list\n"},
    {FRAMES "{ timing: sometimes }",
     "c.yaml:6:23: timing: expected cfr or passthrough, found \"sometimes\"\n"},
    {FRAMES "{ timing: cfr, fps: 5 }",
     "c.yaml:6:28: \"fps\" and \"timing\" exclude each other: fps is a timing of its own\n"},
    {FRAMES "{ fps: 0 }", "c.yaml:6:20: " BAD_FPS "\"0\"\n"},
    {FRAMES "{ fps: -5 }", "c.yaml:6:20: " BAD_FPS "\"-5\"\n"},
    {FRAMES "{ fps: 5/0 }", "c.yaml:6:20: " BAD_FPS "\"5/0\"\n"},
    {FRAMES "{ fps: 1001 }", "c.yaml:6:20: " BAD_FPS "\"1001\"\n"},
    {FRAMES "{ fps: 5. }", "c.yaml:6:20: " BAD_FPS "\"5.\"\n"},
    {FRAMES "{ fps: 1.2345678 }", "c.yaml:6:20: " BAD_FPS "\"1.2345678\"\n"},
    {FRAMES "{ size: wide }", "c.yaml:6:21: " BAD_SCALE "\"wide\"\n"},
    {FRAMES "{ size: [1, 2] }", "c.yaml:6:21: " BAD_SCALE "a list\n"},
    {FRAMES "{ size: '-1:-1' }", "c.yaml:6:21: " BAD_SCALE "\"-1:-1\"\n"},
    {FRAMES "{ size: '0:240' }", "c.yaml:6:21: " BAD_SCALE "\"0:240\"\n"},
    {FRAMES "{ size: '-17:240' }", "c.yaml:6:21: " BAD_SCALE "\"-17:240\"\n"},
    {FRAMES "{ size: '16385:1' }", "c.yaml:6:21: " BAD_SCALE "\"16385:1\"\n"},
    {FRAMES "{ size: '1:1:1' }", "c.yaml:6:21: " BAD_SCALE "\"1:1:1\"\n"},
    {FRAMES "{ size: 'short:-1' }", "c.yaml:6:21: " BAD_SCALE "\"short:-1\"\n"},
    {FRAMES "{ crop: middle }", "c.yaml:6:21: " BAD_CROP "\"middle\"\n"},
    {FRAMES "{ crop: { frame: clip, x: clip, y: clip, w: clip, h: clip }, size: '-1:240' }",
     "c.yaml:6:21: crop: boxes have many sizes and the view's files one: set \"size\" to it, such as "
     "224:224\n"},
    {FRAMES "{ crop: { frame: clip, x: clip, y: clip, w: clip, y2: clip }, size: '9:9' }",
     "c.yaml:6:21: crop: expected the fields of boxes, { frame: FIELD, x: FIELD, y: FIELD, w: FIELD, h: "
     "FIELD }, or "
     "x1, y1, x2 and y2\n"},
    {FRAMES "{ crop: { frame: nr, x1: clip, y1: clip, x2: clip, y2: clip }, size: '9:9' }",
     "c.yaml:6:30: crop: nothing gives the field {nr} (known: clip)\n"},
    {FRAMES "{ crop: '0:1:0:0' }", "c.yaml:6:21: " BAD_CROP "\"0:1:0:0\"\n"},
    {FRAMES "{ crop: '1:1:0' }", "c.yaml:6:21: " BAD_CROP "\"1:1:0\"\n"},
    {FRAMES "{ crop: '1:1:0:0:' }", "c.yaml:6:21: " BAD_CROP "\"1:1:0:0:\"\n"},
    {FRAMES "{ quality: 101 }", "c.yaml:6:24: quality: " WHOLE("1", "100") ", found \"101\"\n"},
    {FRAMES "{ quality: 0 }", "c.yaml:6:24: quality: " WHOLE("1", "100") ", found \"0\"\n"},
    {FRAMES "{ subsampling: 421 }",
     "c.yaml:6:28: subsampling: expected 420, 422 or 444, found \"421\"; did you mean 420?\n"},
    {FRAMES "{ base: x }", "c.yaml:6:21: base: " WHOLE("0", "1000000000") ", found \"x\"\n"},
    {PNG "{ quality: 5 }", "c.yaml:6:15: \"quality\" is for .jpg only\n"},
    {FRAMES "{ bound: 5 }", "c.yaml:6:15: \"bound\" is for optical flow: say flow: x or y\n"},
#if CORPUSFS_HAVE_FLOW
    {FRAMES "{ flow: z }", "c.yaml:6:21: flow: expected x or y, found \"z\"\n"},
    {FRAMES "{ flow: x, subsampling: 444 }",
     "c.yaml:6:24: pictures of flow are grey: they have no \"subsampling\"\n"},
    {PNG "{ flow: x }", "c.yaml:6:15: pictures of flow are .jpg\n"},
    {NPY "{ kind: flow, bound: 128 }",
     "c.yaml:6:31: bound: expected a number from 0.01 to 127, found \"128\"\n"},
    {NPY "{ kind: flow, mean: 1 }", "c.yaml:6:24: kind: flow has no \"mean\"\n"},
#else
    {FRAMES "{ flow: x }",
     "c.yaml:6:15: this corpusfs cannot find optical flow: it was built without OpenCV; install "
     "libopencv-contrib-dev, liblapack-dev and libglx-dev, and build it anew\n"},
    {NPY "{ kind: flow }",
     "c.yaml:6:12: this corpusfs cannot find optical flow: it was built without OpenCV; install "
     "libopencv-contrib-dev, liblapack-dev and libglx-dev, and build it anew\n"},
#endif
    {VIEW("{clip}.npy", "stack: { shape: [3, 4], axes: [1, 1] }"),
     "c.yaml:6:35: axes: expected each of the 2 axes of the shape once, from 0, in their new order\n"},
    {VIEW("{clip}.npy", "stack: { pad: edge }"),
     "c.yaml:6:12: a stack needs the \"shape\" that it has of each clip, rows first, such as [48, 16, 3]\n"},
    {VIEW("{clip}.npy", "stack: { shape: [100000000, 100000000] }"),
     "c.yaml:6:21: shape: more than 1 GiB for each clip\n"},
    {NPY "{}", "c.yaml:6:10: npy needs a \"kind\", such as rgb\n"},
    {NPY "{ kind: rbg }", "c.yaml:6:18: kind: expected rgb, flow, wave, logmel, mfcc or fbank, found "
                          "\"rbg\"; did you mean rgb?\n"},
    {VIEW("{clip}.npz", "npy: { kind: rgb }"),
     "c.yaml:5:11: the path of an npy view ends in .npy, found .npz\n"},
    {NPY "{ kind: rgb, sample: centre }",
     "c.yaml:6:23: \"sample\" says which \"frames\": give their number\n"},
    {NPY "{ kind: rgb, frames: 0 }",
     "c.yaml:6:31: frames: expected a whole number from 1 to 1000000, found \"0\"\n"},
    {NPY "{ kind: rgb, mean: 0.5 }", "c.yaml:6:23: \"mean\" is for dtype: float32 only\n"},
    {NPY "{ kind: rgb, dtype: float32, mean: [1, 2] }",
     "c.yaml:6:45: mean: expected one number, or three for red, green and blue\n"},
    {NPY "{ kind: rgb, dtype: float32, std: [1, 0, inf] }",
     "c.yaml:6:48: std: expected a number from 1e-06 to 1e+06, found \"0\"\n"
     "c.yaml:6:51: std: expected a number from 1e-06 to 1e+06, found \"inf\"\n"},
    {NPY "{ kind: rgb, bands: 3 }", "c.yaml:6:23: kind: rgb has no \"bands\"\n"},
    {NPY "{ kind: fbank, n_fft: 512 }", "c.yaml:6:25: kind: fbank has no \"n_fft\"\n"},
    {NPY "{ kind: wave, rate: 8khz }",
     "c.yaml:6:30: rate: expected a number, or a formula of fps with + - * / int(), found \"khz\" in it\n"},
    {NPY "{ kind: wave, rate: 'int(fps' }",
     "c.yaml:6:30: rate: expected a number, or a formula of fps with + - * / int(), found \"\" in it\n"},
    {NPY "{ kind: logmel, fmin: 900, fmax: 800 }",
     "c.yaml:6:43: fmax: expected more than fmin, which is 900\n"},
    {NPY "{ kind: logmel, n_fft: 400, win_length: 401 }",
     "c.yaml:6:50: win_length: expected a whole number from 2 to 400, found \"401\"\n"},
    {NPY "{ kind: mfcc, bands: 10, coefficients: 11 }",
     "c.yaml:6:49: coefficients: expected a whole number from 1 to 10, found \"11\"\n"},
    {NPY "{ kind: logmel, window: han }", "c.yaml:6:34: window: expected hann, hanning, hamming, povey or "
                                          "rectangular, found \"han\"; did you mean "
                                          "hann?\n"},
    {NPY "{ kind: rgb, fps: 5, timing: cfr }",
     "c.yaml:6:23: \"fps\" and \"timing\" exclude each other: fps is a timing of its own\n"},
    {PNG "{ subsampling: 444 }", "c.yaml:6:15: \"subsampling\" is for .jpg only\n"},
    /* audio and subtitles */
    {AUDIO "{ rate: 12345 }",
     "c.yaml:6:20: rate: expected 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100 or "
     "48000, found \"12345\"\n"},
    {AUDIO "{ channels: 6 }", "c.yaml:6:24: channels: " WHOLE("1", "2") ", found \"6\"\n"},
    {AUDIO "{ bitrate: 129k }", "c.yaml:6:23: bitrate: expected a bit rate of mp3 such as 128k (8, 16, 24, "
                                "32, 40, 48, 56, 64, 80, 96, 112, 128, "
                                "144, 160, 192, 224, 256 or 320k), found \"129k\"\n"},
    {AUDIO "{ silence: maybe }", "c.yaml:6:23: silence: expected true or false, found \"maybe\"\n"},
    {WAV "{ bitrate: 128k }", "c.yaml:6:14: \"bitrate\" is for .mp3 only\n"},
    {WAV "{ rate: 1 }", "c.yaml:6:20: rate: " WHOLE("1000", "384000") ", found \"1\"\n"},
    {SRT "[sidecar, sidecar]", "c.yaml:6:26: subtitles: \"sidecar\" stands twice\n"},
    {SRT "[table]", "c.yaml:6:16: subtitles from a table: nothing gives the field {text} (known: clip)\n"},
    {SRT "{ from: [table], text: tex, start: clip }",
     "c.yaml:6:39: text: nothing gives the field {tex} (known: clip)\n"},
    {SRT "{ from: [sidecar], text: clip, end: clip }",
     "c.yaml:6:35: \"text\" is for subtitles from a table only\n"
     "c.yaml:6:47: \"end\" is for subtitles from a table only\n"},
    {SRT "[beside]", "c.yaml:6:17: subtitles: expected sidecar, embedded or table, found \"beside\"\n"},
    {SRT "{ missing: some }",
     "c.yaml:6:27: missing: expected empty or none, found \"some\"; did you mean none?\n"},
    {VIEW("{clip}", "command: [run, '{input}']"),
     "c.yaml:6:14: the command is to write the file that {output} names: give it as an argument\n"},
    {VIEW("{clip}", "command: { input: source }"),
     "c.yaml:6:14: a command needs what to \"run\", such as run: [python3, i3d.py, \"{input}\", "
     "\"{output}\"]\n"},
    {VIEW("{clip}", "command: [run, '{nframes}']"),
     "c.yaml:6:20: {nframes} belongs into a text, not into a path\n"},
    {VIEW("{clip}", "command: { run: [run, '{output}'], input: 'img/{clip}' }"),
     "c.yaml:5:5: the command's input is neither source, nor the path of an audio or npy view, nor the "
     "directory "
     "of a frames view\n"},
    {VIEW("{clip}", "command: { run: [run, '{output}'], at_once: 17, output: npz, timeout: 0 }"),
     "c.yaml:6:61: output: expected npy or any, found \"npz\"; did you mean npy?\n"
     "c.yaml:6:75: timeout: expected a time of 1s to 24h, such as 60s or 5m, found \"0\"\n"
     "c.yaml:6:49: at_once: " WHOLE("1", "16") ", found \"17\"\n"},
    {VIEW("a.txt", "list: { join: x }"),
     "c.yaml:6:11: a list needs \"each\", what it has for each clip, such as \"{clip} {nframes}\\n\"\n"},
    {VIEW("a.txt", "list: { each: x, begin: '{clip}' }"),
     "c.yaml:6:29: begin: {clip} is not the same for all clips of the list: it is not in the path\n"},
    {VIEW("a.txt", "list: '{nframes}'"),
     "c.yaml:5:5: {nframes} counts the frames of a frames view, and there is none\n"},
    {VIEW("a.txt", "list: { each: x, count: '{frame}.jpg' }"),
     "c.yaml:6:22: \"count\" is for lists with {nframes} in \"each\"\n"},
    {VIEW("a.txt", "list: { each: '{nclips}' }"),
     "c.yaml:6:19: nothing gives the field {nclips}; did you mean {clip}? (known: clip)\n"},
    {VIEW("a.txt", "list: { each: x, sort: klip }"),
     "c.yaml:6:28: sort: nothing gives the field {klip}; did you mean {clip}? (known: clip)\n"},
    /* several at once; a broken source does not make its fields unknown */
    {"root: root\nsources: [{videos: '*', match: '(?<a>'}]\nviews: [{path: '{a}', text: 1, txet: 2}]\n",
     "c.yaml:2:32: match: bad regular expression: missing closing parenthesis, at its byte 6\n"
     "c.yaml:3:32: unknown key \"txet\" in a view; did you mean \"text\"? (known: path, frames, audio, "
     "subtitles, text, files, file, npy, list, command, stack, where)\n"},
    {"root: root\nsources: [{videos: '*', match: '(?<a>'}]\nviews: [{path: '{a}', text: 1}]\n",
     "c.yaml:2:32: match: bad regular expression: missing closing parenthesis, at its byte 6\n"},
    /* aliases keep the place of what they stand for; merges are mappings */
    {SOURCE "views:\n  - path: &p '{klip}'\n    text: x\n  - path: *p\n    text: y\n",
     "c.yaml:5:11: nothing gives the field {klip}; did you mean {clip}? (known: clip)\n"
     "c.yaml:5:11: nothing gives the field {klip}; did you mean {clip}? (known: clip)\n"},
    {FRAMES "{ <<: 3 }", "c.yaml:6:19: <<: expected a mapping, found \"3\"\n"},
};

/* Puts DIR where the test's directory stands in the lines. */
static void hide_dir(void)
{
    size_t len = strlen(corpus_dir);
    for (char *p = corpus_said; (p = strstr(p, corpus_dir)); p += 3) {
        memcpy(p, "DIR", 3);
        memmove(p + 3, p + len, strlen(p + len) + 1);
    }
}

static void test_mistakes(void)
{
    for (size_t i = 0; i < BASE_ARRAY_LEN(mistakes); i++) {
        struct cfg *c = NULL;
        int err = corpus_load(mistakes[i].text, &c);
        hide_dir();
        if (!CHECK_INT(err, -EINVAL) || !CHECK_STR(corpus_said, mistakes[i].said))
            (void)fprintf(stderr, "    in: %s\n", mistakes[i].text);
        cfg_destroy(c);
    }
}

int main(void)
{
    corpus_make();
    CHECK_RUN(test_mistakes);
    corpus_remove();
    return check_result();
}
