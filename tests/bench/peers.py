# SPDX-License-Identifier: Apache-2.0
"""The programs that are measured, each as a function that returns a Sample; a hard time limit ends each."""
import json
import os
import sys
import time
from pathlib import Path

from lib import harness

from jobs import at_once, run
from samples import Sample, parse, timed

HERE = Path(__file__).resolve().parent
LIMIT = 150                   # seconds that anything here may take


def build(directory, source):
    """A release build of corpusfs in `directory`."""
    if not (directory / 'build.ninja').exists():
        run(['meson', 'setup', '--buildtype=release', directory, source], limit=300)
    run(['ninja', '-C', directory], limit=1800)


def helper(name):
    """The path of a helper program, from the build of corpusfs; built if it is not there."""
    path = harness.BUILD / 'tests' / 'bench' / name
    if not path.exists():
        run(['ninja', '-C', harness.BUILD, f'tests/bench/{name}'], limit=600)
    return path


def _lines(things):
    return ''.join(f'{thing}\n' for thing in things).encode()


def _together(command, parts, limit):
    """A program for each part of a list; all begin when the slowest should be ready."""
    begin = {'START_AT': str(time.monotonic_ns() + 10 ** 9)} if len(parts) > 1 else {}
    return parse(*at_once(len(parts), lambda part: run(command, limit, _lines(part), **begin), parts))


def _dealt(things, count):
    return [things[i::count] for i in range(count)]


def read_list(paths, readers=1, limit=LIMIT):
    """Reads files in the order given, dealt out to so many readers; measured by the readers' own clocks."""
    return _together([helper('read_files')], _dealt(paths, readers), limit)


def read_folders(folders, readers):
    """Lists and reads folders, a reader's process each, so many at once; measured from outside."""
    seconds, outputs = timed(lambda: at_once(readers, lambda d: run([helper('read_files'), d], LIMIT), folders))
    inside = parse(*outputs)
    return Sample(seconds, inside.files, inside.bytes, inside.taken_ns)


def decode_list(library, paths, readers=1):
    """Opens and decodes files by PIL or OpenCV, dealt out to so many readers."""
    return decode_parts(library, _dealt(paths, readers))


def decode_parts(library, parts):
    """The same with a reader for each part."""
    return _together([sys.executable, HERE / 'decode_files.py', library], parts, LIMIT)


def extract_one(video, out, threads=None):
    """Every frame of a video into the folder `out`, by ffmpeg at -q:v 2."""
    out.mkdir(parents=True)
    one = ['-threads', '1'] if threads == 1 else []
    run(['ffmpeg', '-nostdin', '-v', 'error', *one, '-i', video, '-q:v', '2', out / '%06d.jpg'], LIMIT)


def extract(root, videos, out, processes, threads=None):
    """Every frame of every video below `root` into the same places below `out`."""
    def one(video):
        extract_one(video, out / video.relative_to(root), threads)
    seconds, _ = timed(lambda: at_once(processes, one, videos))
    sizes = [entry.stat().st_size for video in videos for entry in os.scandir(out / video.relative_to(root))]
    return Sample(seconds, len(sizes), sum(sizes))


def in_process(library, how, quality, work, save=None):
    """PyAV or OpenCV; `work` is a list of (video, frame numbers from 0)."""
    command = [sys.executable, HERE / 'in_process.py', library, how, quality, *([save] if save else [])]
    return parse(run(command, LIMIT, json.dumps([[str(video), numbers] for video, numbers in work]).encode()))


def floor(step, threads, quality, lines, processes=1):
    """The loop around libavcodec; `lines` as in floor.c."""
    return _together([helper('floor'), step, threads, quality], _dealt(lines, processes), LIMIT)

