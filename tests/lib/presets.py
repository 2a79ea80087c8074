# SPDX-License-Identifier: Apache-2.0
"""What the tests of presets share: small raw corpora, the mount of a preset alone, and how programs walk its tree.

A test of a preset has a function make(root), which writes a raw corpus of exactly the form that the preset's page
describes, out of a few tiny videos that ffmpeg made once, and a Case that mounts it and reads as that dataset's
programs do: the same opens in the same order.
"""
import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import shutil
from pathlib import Path

import numpy
from PIL import Image

from . import clips, compare, harness, oracle

_SOUND = clips.sound(2, rate=22050, layout='mono')
_MPEG4 = ['-c:v', 'mpeg4', '-g', '5', '-bf', '0']
# 64x48 pixels, 10 frames a second. By name:
KINDS = {
    'short.mp4': [*clips.picture('64x48', 10, 2), *_SOUND, *clips.X264, *clips.YUV, *clips.AAC],
    'other.mp4': [*clips.picture('64x48', 10, 2), *_SOUND, '-vf', 'negate', *clips.X264, *clips.YUV, *clips.AAC],
    'short.avi': [*clips.picture('64x48', 10, 2), *_SOUND, *_MPEG4, '-c:a', 'libmp3lame'],
    'short.webm': [*clips.picture('64x48', 10, 2), *_SOUND, '-c:v', 'libvpx', '-g', '10', '-deadline', 'realtime',
                   '-c:a', 'libopus'],
    'tiny.mp4': [*clips.picture('64x48', 10, 0.8), *clips.sound(0.8, rate=22050, layout='mono'), *clips.X264, *clips.YUV,
                 *clips.AAC],
    'silent.mp4': [*clips.picture('64x48', 10, 2), *clips.X264, *clips.YUV],
    'long.mp4': [*clips.picture('64x48', 10, 6), *clips.sound(6, rate=22050, layout='mono'), *clips.X264, *clips.YUV,
                 *clips.AAC],
    'wide.avi': [*clips.picture('96x48', 10, 6), *clips.sound(6, rate=16000), *_MPEG4, '-c:a', 'pcm_s16le'],
}
# Names as real corpora have them.
ODD_NAMES = (
    'plain_01',
    'No, (really) not! & [uncut]',
    "it's  two spaces",
    '情感 视频-3',
    'naïve.café.v2',
    'A very long name, as of a video that was uploaded (with its whole title!) as it is',
)
assert len(ODD_NAMES[-1].encode()) >= 80
# The folder of each raw corpus.
ODD_ROOT = 'raw, (my) [corpus] & 情感!  of a name that is as long as names are that people give to folders'
CUES = '1\n00:00:00,000 --> 00:00:00,700\nNo, not again!\n\n2\n00:00:01,000 --> 00:00:59,000\n走吧。\n\n'
# What a make() needs beside the folder.
ARGUMENTS = {'afew_va': [()]}
# Frames as the reference commands write them: ffmpeg -i V [-vf scale=-1:240] %06d.jpg
PLAIN, LINES_240 = oracle.View('cfr', 'jpg'), oracle.View('cfr', 'jpg', '-1:240')


@functools.cache
def video(kind):
    """A made video. It is shared: read it only."""
    name = 'presets-' + hashlib.sha256(repr(KINDS).encode()).hexdigest()[:12]
    return clips.make(KINDS, name) / kind


def generator(path):
    """make() of a preset's test."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make


def put(path, kind):
    """A video of this kind at `path`, whose folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(video(kind), path)


def write(path, text):
    """A text or bytes at `path`, whose folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(text, bytes):
        path.write_bytes(text)
    else:
        path.write_text(text, encoding='utf-8')


def put_strays(folder, suffix):
    """Videos of odd names in a folder where the corpus's form has numbers. Gives how many."""
    for name in ODD_NAMES:
        put(folder / f'{name}{suffix}', 'tiny.mp4')
    return len(ODD_NAMES)


def read_picture(path):
    """What most loaders do: open, decode, convert."""
    with open(path, 'rb') as file:
        with Image.open(file) as picture:
            return numpy.asarray(picture.convert('RGB'))


class Case(harness.Case):
    """One mount of a preset."""
    preset = ''

    def setUp(self):
        super().setUp()
        self.root = self.home / ODD_ROOT
        self.root.mkdir()

    def write_config(self, more=''):
        path = self.home / 'corpus.yaml'
        path.write_text(f'preset: {self.preset}\nroot: "{self.root}"\n{more}', encoding='utf-8')
        return path

    def check(self, config, code=0):
        """What `corpusfs check` says."""
        return harness.corpusfs('check', config, check=code, XDG_CACHE_HOME=str(self.home)).stdout

    @contextlib.contextmanager
    def mounted(self, more='', code=0, allowed=()):
        """The path of a mount of the preset and the root alone, or with `more` lines; checked before, with this exit
        code. Yields the Path."""
        config = self.write_config(more)
        self.said = self.check(config, code)
        with harness.Mount(config, self.home, self.home / 'corpusfs', allowed=allowed,
                           XDG_CACHE_HOME=str(self.home)) as mount:
            self.mount = mount
            yield mount.path

    def assert_names(self, directory, names):
        """The directory holds these and nothing else, and is a directory that no loader passes over."""
        self.assertEqual(sorted(os.listdir(directory)), sorted(names))
        self.assertGreaterEqual(os.path.getsize(directory), 1024)

    def assert_frames(self, paths, kind, view=PLAIN, first=1, count=None, truth=None):
        """The files `paths`, in this order, are the frames that ffmpeg writes of a video from number `first` on: all
        that there are, or `count`. Four of them, chosen at random, are compared as pictures. `truth`: the video, else
        the one of `kind`."""
        source = truth or video(kind)
        png = oracle.frames(source, view)
        paths = list(paths)
        self.assertEqual(len(paths), len(os.listdir(png)) - first + 1 if count is None else count)
        for i in self.shuffled(range(len(paths)))[:4]:
            path, name = Path(paths[i]), f'{first + i:06d}'
            data = path.read_bytes()
            self.assertEqual(len(data), os.stat(path).st_size, path)
            if view.ext == 'jpg':
                fault = oracle.jpeg_fault(data, (png / f'{name}.png').read_bytes(),
                                          lambda n=name: (oracle.best_jpegs(source, view) / f'{n}.jpg').read_bytes())
            else:
                fault = compare.frame_fault(data, f'{name}.png', view, png, source)
            self.assertEqual(fault, '', path)

    def assert_unmatched(self, n):
        """`corpusfs check` told of so many videos whose names are none of this corpus."""
        self.assertIn(f'note: {n} files suit a "videos" pattern, but no "match", such as ', self.said)

    def walk_list(self, tree, path):
        """What loaders do with a list of `folder nframes label`: list each folder, sort, and open the pictures, of which
        there are as many as the list says. One of each is opened here. A line is divided from its end: a folder's name
        may have spaces. Gives {folder: label}, in the list's order."""
        found = {}
        with open(tree / path, encoding='utf-8') as file:
            for row in file:
                folder, n, label = row.rstrip('\n').rsplit(' ', 2)
                names = sorted(os.listdir(tree / folder))
                self.assertEqual(len(names), int(n), row)
                self.assertGreaterEqual(os.path.getsize(tree / folder), 1024)
                self.assertEqual(read_picture(tree / folder / self.random.choice(names)).ndim, 3)
                found[folder] = label
        return found

    def walk_annotation(self, tree, name, subsets):
        """What the loaders of video emotion do first: of the clips that the annotation has for a subset they take those
        whose folder is there, with the number of their label. `subsets`: {subset: {(label, clip), ...}}."""
        with open(tree / 'annotation' / name, encoding='utf-8') as file:
            data = json.load(file)
        numbers = {label: i for i, label in enumerate(data['labels'])}
        found = {}
        for clip, about in data['database'].items():
            label = about['annotations']['label']
            self.assertIn(label, numbers)
            if (tree / 'img' / label / clip).exists():
                found.setdefault(about['subset'], set()).add((label, clip))
        self.assertEqual(found, {subset: clips for subset, clips in subsets.items() if clips})
        self.assertEqual(set(numbers), set(os.listdir(tree / 'img')))

    def walk_video_emotion(self, tree, label, clip, kind, view=LINES_240, first=1, count=None, fewest=16):
        """What the loaders of video emotion read of a clip, without listing anything: n_frames, then each frame from
        1 to there, the sound, and the subtitles, whose cues lie within the sound. Gives the cues."""
        home = tree / 'img' / label / clip
        n = int(open(home / 'n_frames', encoding='ascii').read())
        there = len(os.listdir(oracle.frames(video(kind), view))) - first + 1 if count is None else count
        self.assertEqual((home / 'n_frames').read_bytes(), str(there if there >= fewest else 0).encode())
        self.assertFalse((home / f'{there + 1:06d}.jpg').exists())
        paths = [home / f'{i:06d}.jpg' for i in range(1, there + 1)]
        shapes = {read_picture(path).shape for path in paths[:n]}
        self.assertLessEqual(len(shapes), 1)
        self.assert_frames(paths, kind, view, first, count)
        [(sound, rate)] = oracle.decode(tree / 'mp3' / label / f'{clip}.mp3')
        cues = oracle.cues(tree / 'srt' / label / f'{clip}.srt')
        for cue in cues:
            self.assertLess(cue.start.ordinal, cue.end.ordinal)
            self.assertGreater(cue.end.ordinal, 0)
            self.assertLessEqual(cue.end.ordinal, len(sound) * 1000 / rate)
        return cues


def main():
    harness.main(limit=120)
