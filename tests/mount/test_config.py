#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`corpusfs check`: every mistake with its line and column."""
import os
import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness

GOOD = '''corpus: test
root: {root}
sources:
  - videos: "**/*.mp4"
    match: '^(?<class>[^/]+)/(?<clip>[^/]+)\\.mp4$'
views:
  - path: "img/{{class}}/{{clip}}/{{frame:06d}}.jpg"
    frames: {{ size: "-1:120" }}
  - path: "mp3/{{class}}/{{clip}}.mp3"
    audio: {{}}
cache: {{ dir: {home}/cache, size: 1GiB }}
'''
# What is replaced in GOOD, by what, then where the mistake is (line, column) and a word of its message.
MISTAKES = [
    ('corpus:', 'korpus:', (1, 1), 'korpus'),
    ('cache: {{ dir', 'cache: {{ dri', (11, 10), 'dri'),
    ('frames: {{ size', 'frames: {{ sise', (8, 15), 'sise'),
    ('audio: {{}}', 'audio: {{ bitrat: 1 }}', (10, 14), 'bitrat'),
    ('    audio: {{}}', '    video: {{}}', (10, 5), 'video'),
    ('- videos: "**', '- vidoes: "**', (4, 5), 'vidoes'),
    ('"-1:120"', '"wide"', (8, 21), 'wide'),
    ('"-1:120"', '[1, 2]', (8, 21), 'size'),
    ('size: "-1:120"', 'fps: fast', (8, 20), 'fast'),
    ('size: "-1:120"', 'fps: 0', (8, 20), 'fps'),
    ('size: "-1:120"', 'fps: -5', (8, 20), 'fps'),
    ('size: "-1:120"', 'timing: sometimes', (8, 23), 'sometimes'),
    ('size: "-1:120"', 'quality: 101', (8, 24), '100'),
    ('size: "-1:120"', 'quality: best', (8, 24), 'best'),
    ('size: "-1:120"', 'subsampling: 421', (8, 28), '421'),
    ('size: 1GiB', 'size: lots', (11, None), 'lots'),
    ('(?<class>[^/]+)', '(?<class>[^/]+', (5, 12), 'regular expression'),
    ('mp3/{{class}}', 'mp3/{{klass}}', (9, 11), 'klass'),
    ('{{clip}}.mp3', '{{clip.mp3', (9, 11), 'path|{|}'),
    ('{{frame:06d}}.jpg', 'frame.jpg', (7, 11), 'frame'),
    ('{{frame:06d}}.jpg', '{{frame:06d}}.bmp', (7, 11), 'bmp'),
    ('{{clip}}.mp3', '{{clip}}.aac', (9, 11), 'aac'),
    ('root: {root}', 'root: {root}/missing', (2, 7), 'missing'),
    ('root: {root}', '', (None, None), 'root'),
    ('corpus: test', 'corpus: test\nworkers: many', (2, 10), 'workers'),
    ('views:', 'views: many\nviews:', (7, 1), 'views'),
    ('sources:', 'sources: [', (None, None), ''),
    ('corpus: test', 'corpus: test\npreset: nonsense', (2, 9), 'nonsense'),
    ('corpus: test', 'corpus: test\ncorpus: again', (2, 1), 'corpus'),
    ('    audio: {{}}', '    audio: {{}}\n    frames: {{}}', (None, None), 'frames'),
]


class Check(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        (self.root / 'Joy').mkdir(parents=True)
        shutil.copy(clips.make(clips.SMALL, 'small') / 'Joy/first.mp4', self.root / 'Joy')
        self.file = self.home / 'corpus.yaml'

    def write(self, text):
        self.file.write_text(text.format(root=self.root, home=self.home), encoding='utf-8')
        return self.file

    def mistakes(self, text, code=1):
        """(line, column, what) of each reported mistake."""
        said = harness.corpusfs('check', self.write(text), check=code).stdout
        return [(int(line), int(column), what) for line, column, what in
                re.findall(rf'^(?:corpusfs: )?{re.escape(str(self.file))}:(\d+):(\d+): (.+)$', said, re.MULTILINE)]

    def test_good(self):
        self.assertEqual(self.mistakes(GOOD, code=0), [])

    def test_mistakes(self):
        for old, new, (line, column), word in MISTAKES:
            with self.subTest(mistake=new or f'no {old}'):
                self.assertIn(old, GOOD)
                found = self.mistakes(GOOD.replace(old, new, 1))
                self.assertTrue(found, 'nothing reported')
                hits = [f for f in found if (line in (None, f[0])) and (column in (None, f[1])) and
                        re.search(word, f[2])]
                self.assertTrue(hits, f'wanted {line}:{column}: ...{word}..., found {found}')

    def test_all_at_once(self):
        """Several mistakes are reported in one run."""
        text = GOOD.replace('frames: {{ size', 'frames: {{ sise').replace('1GiB', 'lots').replace('corpus:', 'korpus:')
        self.assertEqual({line for line, _, _ in self.mistakes(text)}, {1, 8, 11})

    def test_not_mounted(self):
        """A bad configuration is not mounted; the same lines say why."""
        file = self.write(GOOD.replace('audio: {{}}', 'audios: {{}}'))
        point = self.home / 'mnt'
        point.mkdir()
        said = harness.corpusfs('mount', file, point, check=1).stdout
        self.assertRegex(said, rf'{re.escape(str(file))}:10:5: .*audios')
        self.assertFalse(harness.is_mounted(point))

    def test_two_clips_with_one_path(self):
        """Both clips are named, and kept out of the tree; the rest is mounted."""
        (self.root / 'Joy/part').mkdir()
        for name in ('Joy/same.mp4', 'Joy/part/same.mp4'):
            shutil.copy(self.root / 'Joy/first.mp4', self.root / name)
        text = GOOD.replace("^(?<class>[^/]+)/(?<clip>[^/]+)", "^(?<class>[^/]+)/(?:.*/)?(?<clip>[^/]+)")
        said = harness.corpusfs('check', self.write(text), check=1).stdout
        self.assertIn('Joy/same.mp4', said)
        self.assertIn('Joy/part/same.mp4', said)
        with self.mount(self.file, allowed=['same.mp4']) as mount:
            self.assertEqual(os.listdir(mount.path / 'img/Joy'), ['first'])
            self.assertEqual(os.listdir(mount.path / 'mp3/Joy'), ['first.mp3'])

    def test_clip_without_a_field(self):
        """A clip that lacks a field of a template is named and kept out."""
        shutil.copy(self.root / 'Joy/first.mp4', self.root / 'stray.mp4')
        text = GOOD.replace("^(?<class>[^/]+)/(?<clip>", "^(?:(?<class>[^/]+)/)?(?<clip>")
        said = harness.corpusfs('check', self.write(text), check=1).stdout
        self.assertRegex(said, r'stray\.mp4.*class|class.*stray\.mp4')
        with self.mount(self.file, allowed=['stray.mp4']) as mount:
            self.assertEqual(os.listdir(mount.path / 'mp3'), ['Joy'])

    def test_huge(self):
        """A configuration of many megabytes, and one of deep nesting, are refused, not swallowed."""
        for text in ('# ' + 'x' * (1 << 21) + '\n', 'a: ' + '[' * 100000, '\0' * 1000, '\ufffe', '&a [*a]'):
            self.file.write_text(text, encoding='utf-8')
            harness.corpusfs('check', self.file, check=1)

    def test_alias_bomb(self):
        lines = ['a0: &a0 [x]'] + [f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]' for i in range(1, 12)]
        self.file.write_text('\n'.join(lines), encoding='ascii')
        harness.corpusfs('check', self.file, check=1)


if __name__ == '__main__':
    harness.main()
