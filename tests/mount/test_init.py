#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""corpusfs init: the preset of a raw corpus, or a configuration made from names; what it writes passes check."""
import os
import re
import sys
import tarfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
from lib import clips, harness, presets


class Init(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        self.root.mkdir()

    def touch(self, *paths):
        for path in paths:
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).touch()

    def written(self, code=0):
        """The configuration for the root, in a file, which check finds nothing wrong with."""
        path = self.home / 'made.yaml'
        path.unlink(missing_ok=True)
        said = harness.corpusfs('init', '-o', path, self.root, check=0).stdout
        self.assertIn(f'{path}: written', said)
        text = path.read_text(encoding='utf-8')
        self.assertEqual(harness.corpusfs('init', self.root, check=0).stdout, text)
        self.said = harness.corpusfs('check', path, check=code, XDG_CACHE_HOME=str(self.home)).stdout
        return text

    def test_presets(self):
        """The raw corpus of each preset's own test is known for what it is."""
        tests = sorted((TESTS / 'presets').glob('test_*.py'))
        self.assertGreater(len(tests), 10)
        for path in tests:
            name = path.stem.removeprefix('test_')
            with self.subTest(preset=name):
                make = presets.generator(path)
                root = self.home / name
                root.mkdir()
                make(root, *presets.ARGUMENTS.get(name, []))
                said = harness.corpusfs('init', root, check=0).stdout
                self.assertIn(name.replace('_', '-'), re.findall(r'^(?:# )?preset: (\S+)$', said, re.MULTILINE))
                self.assertEqual(len(re.findall(r'^preset: ', said, re.MULTILINE)), 1)
                self.assertIn(f'\nroot: "{root}"\n', said)

    def test_most_particular(self):
        """Of presets that fit, the one with more patterns is chosen, and others are named in comments."""
        self.touch(*(f'{label}/{i}.mp4' for i, label in enumerate(('Anger', 'Disgust', 'Fear', 'Joy', 'Sadness', 'Surprise'))))
        text = self.written()
        self.assertRegex(text, r'(?m)^preset: ekman6$')
        self.assertRegex(text, r'(?m)^# preset: class-folders$')
        self.touch('.hidden/x.mp4')
        self.assertEqual(self.written(), text)

    def test_names(self):
        """Folders that no preset is for: what the clips are called follows from how deep they are, and is unique."""
        for files, folder, names in (
            (['one.mp4', 'two.avi', 'two.srt', 'labels.csv', 'odd "name" [1]{2}.mkv'], 'img',
             ['odd "name" [1]{2}', 'one', 'two']),
            (['a.mp4', 'a.avi'], 'img', ['a.avi', 'a.mp4']),
            (['x/y/a.mp4', 'z/a.mp4', 'b.mkv', 'x/meta data.json'], 'img/x/y', ['a.mp4']),
        ):
            with self.subTest(files=files):
                self.root = self.home / f'root{len(files)}'
                self.root.mkdir()
                self.touch(*files)
                text = self.written()
                self.assertNotRegex(text, r'(?m)^preset:')
                for table in ('labels.csv', 'x/meta data.json'):
                    self.assertEqual(f'#   - {{ file: "{table}", key: clip, join: left }}' in text, table in files)
                self.assertIn(f"{sum(f.endswith(('4', 'i', 'v')) and not f.endswith('csv') for f in files)} clips", self.said)
                # The videos are empty, which the log tells where they are looked into.
                with self.mount(self.home / 'made.yaml', cache=self.home / 'corpusfs', XDG_CACHE_HOME=str(self.home),
                                allowed=['.']) as mount:
                    self.assertEqual(sorted(os.listdir(mount.path / folder)), names)

    def test_classes(self):
        """A folder for each class; and clips can be read."""
        root = clips.make(clips.SMALL, 'small')
        said = harness.corpusfs('init', root, check=0).stdout
        self.assertRegex(said, r'(?m)^preset: class-folders$')

    def test_archives(self):
        made = clips.make(clips.SMALL, 'small')
        with tarfile.open(self.root / 'shard (1).tar', 'w') as tar:
            tar.add(made / 'Joy/first.mp4', 'd/first.mp4')
        text = self.written()
        self.assertIn('1 archives', text)
        with self.mount(self.home / 'made.yaml', cache=self.home / 'corpusfs', XDG_CACHE_HOME=str(self.home)) as mount:
            self.assertIn('000001.jpg', os.listdir(mount.path / 'img/shard (1)/d/first.mp4'))
            self.assertEqual((mount.path / 'shard (1)/d/first.mp4').read_bytes(), (made / 'Joy/first.mp4').read_bytes())

    def test_refusals(self):
        """Nothing is overwritten; an empty folder, one that is not there, and a name that would be a variable are told."""
        old = self.home / 'old.yaml'
        old.write_text('mine', encoding='utf-8')
        self.touch('a.mp4')
        said = harness.corpusfs('init', '-o', old, self.root, check=1).stdout
        self.assertIn('nothing is overwritten', said)
        self.assertEqual(old.read_text(encoding='utf-8'), 'mine')
        (self.home / 'empty').mkdir()
        self.assertIn('no video and no archive is below it', harness.corpusfs('init', self.home / 'empty', check=1).stdout)
        self.assertIn('No such file', harness.corpusfs('init', self.home / 'none', check=1).stdout)
        (self.home / 'a $b').mkdir()
        self.assertIn('variable', harness.corpusfs('init', self.home / 'a $b', check=1).stdout)
        for arguments in ([], ['a', 'b'], ['-o', 'x'], ['-x']):
            harness.corpusfs('init', *arguments, check=2)

    def test_raw_is_for_presets(self):
        config = self.home / 'own.yaml'
        config.write_text(f'preset: class-folders\nroot: "{self.root}"\nraw: ["*"]\n', encoding='utf-8')
        self.assertIn('own.yaml:3:1: "raw" is for presets', harness.corpusfs('check', config, check=1).stdout)


if __name__ == '__main__':
    harness.main()
