/* SPDX-License-Identifier: Apache-2.0 */
/* Beginnings of configurations that are whole but for what a test is about. */
#ifndef TESTS_UNIT_CONFIGS_H
#define TESTS_UNIT_CONFIGS_H

#include "tests/unit/corpus.h"

#define SOURCE "root: root\nsources:\n  - videos: \"*\"\n"
#define FRAMES SOURCE "views:\n  - path: \"{clip}/{frame}.jpg\"\n    frames: "
#define PNG SOURCE "views:\n  - path: \"{clip}/{frame}.png\"\n    frames: "
#define AUDIO SOURCE "views:\n  - path: \"{clip}.mp3\"\n    audio: "
#define WAV SOURCE "views:\n  - path: \"{clip}.wav\"\n    audio: "
#define SRT SOURCE "views:\n  - path: \"{clip}.srt\"\n    subtitles: "
#define NPY SOURCE "views:\n  - path: \"{clip}.npy\"\n    npy: "
#define VIEW(path, kind) SOURCE "views:\n  - path: '" path "'\n    " kind "\n"
#define TEXT(text) SOURCE "views:\n  - path: x/{clip}\n    text: " text "\n"
#define MATCH(match) "root: root\nsources:\n  - videos: \"*\"\n    match: '" match "'\n" VIEWS
#define VIDEOS(glob) "root: root\nsources:\n  - videos: '" glob "'\n" VIEWS
#define VIEWS "views: [{path: 'x/{clip}', text: y}]\n"
#define TABLE(table) SOURCE VIEWS "tables: [" table "]\n"
#define TOP(line) SOURCE VIEWS line "\n"

#endif
