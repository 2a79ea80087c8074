#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Several folders as one corpus: videos, archives, tables, subtitles and files of each, under its name."""
import hashlib
import json
import os
import re
import shutil
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, compare, harness
from lib.oracle import View

CONFIG = r'''corpus: merged
roots: {{ DFEW: "{home}/one", RAVDESS: two, Lone: "{home}/a/b" }}
{more}
sources:
  - videos: ["DFEW/videos/*.mp4", "Lone/*.webm", "own/*.mp4"]
    match: '^(?<set>[^/]+)/(?:.*/)?(?<clip>[^/]+)[.]'
  - archives: "RAVDESS/*.zip"
    videos: "*/*.mp4"
    match: '^(?<set>[^/]+)/(?<clip>[^/]+)[.]'
tables:
  - file: "*/labels.csv"
    path: '^(?<set>[^/]+)/'
    key: [set, clip]
    join: left
views:
  - path: "png/{{set}}/{{clip}}/{{frame:06d}}.png"
    frames: {{}}
  - path: "srt/{{set}}/{{clip}}.srt"
    subtitles: [sidecar]
  - path: "raw/{{path}}"
    files: ["*/*.csv", "*/videos/*.mp4"]
  - path: "test.json"
    list: {{ begin: "[", each: '{{{{"id": {{index}}, "video": {{path:json}}, "caption": {{caption:json}}}}}}', join: ", ", end: "]" }}
cache: {{ dir: "{home}/cache", size: 1GiB }}
refresh: 1s
'''
# What a program gets: where its input is, and what that holds.
SCRIPT = r'''
import hashlib, os, sys
source, output, path = sys.argv[1:]
names = sorted(os.path.join(source, n) for n in os.listdir(source)) if os.path.isdir(source) else [source]
data = b''.join(open(name, 'rb').read() for name in names)
with open(output, 'w') as file:
    file.write(f'{source}\n{path}\n{len(names)} {hashlib.sha256(data).hexdigest()}\n')
if path.endswith('bad.webm'):
    sys.exit('I do not like it')
'''
PROGRAMS = f'''views:
  - path: "source/{{{{set}}}}/{{{{clip}}}}.txt"
    command: ["{sys.executable}", "say.py", "{{{{input}}}}", "{{{{output}}}}", "{{{{path}}}}"]
  - path: "frames/{{{{set}}}}/{{{{clip}}}}.txt"
    command: {{{{ run: ["{sys.executable}", "say.py", "{{{{input}}}}", "{{{{output}}}}", "{{{{path}}}}"], input: "png/{{{{set}}}}/{{{{clip}}}}" }}}}
'''


class Roots(harness.Case):

    def setUp(self):
        super().setUp()
        small = clips.make(clips.SMALL, 'small')
        self.one, self.two, self.lone = self.home / 'one', self.home / 'two', self.home / 'a/b'
        (self.one / 'videos').mkdir(parents=True)
        for folder in (self.two, self.lone, self.home / 'root/own'):
            folder.mkdir(parents=True)
        self.first, self.third = small / 'Joy/first.mp4', small / 'Fear/third.webm'
        shutil.copy(self.first, self.one / 'videos/2961.mp4')
        (self.one / 'videos/2961.srt').write_text('1\n00:00:00,100 --> 00:00:00,500\nSaid.\n\n', encoding='utf-8')
        (self.one / 'labels.csv').write_text('clip,caption\n2961,"one, \u60c5"\n', encoding='utf-8')
        shutil.copy(self.third, self.lone / 'x.webm')
        with zipfile.ZipFile(self.two / 'Speech.zip', 'w') as archive:
            archive.write(self.first, 'Actor_01/03.mp4')
        (self.two / 'labels.csv').write_text('set,clip,caption\nActor_01,03,two\n', encoding='utf-8')

    def configure(self, more='', views='views:\n'):
        path = self.home / 'corpus.yaml'
        path.write_text(CONFIG.replace('views:\n', views).format(home=self.home, more=more), encoding='utf-8')
        return path

    def check_tree(self, mount):
        frames = View('cfr', 'png')
        compare.check_frames(self, self.first, mount.path / 'png/DFEW/2961', frames)
        compare.check_frames(self, self.third, mount.path / 'png/Lone/x', frames)
        compare.check_frames(self, self.first, mount.path / 'png/Actor_01/03', frames)
        self.assertIn('Said.', (mount.path / 'srt/DFEW/2961.srt').read_text())
        self.assertEqual((mount.path / 'raw/DFEW/videos/2961.mp4').read_bytes(), self.first.read_bytes())
        self.assertEqual((mount.path / 'raw/RAVDESS/labels.csv').read_bytes(), (self.two / 'labels.csv').read_bytes())

    def test_all_kinds(self):
        """Everything that a corpus is made of, from each root; without `root:` and with one."""
        with self.mount(self.configure()) as mount:
            self.check_tree(mount)
            listed = json.loads((mount.path / 'test.json').read_text(encoding='utf-8'))
            self.assertEqual([(e['video'], e['caption']) for e in listed],
                             [('Actor_01/03.mp4', None), ('DFEW/videos/2961.mp4', 'one, \u60c5'), ('Lone/x.webm', None)])
        shutil.copy(self.third, self.home / 'root/own/y.mp4')
        with self.mount(self.configure('root: root')) as mount:
            self.check_tree(mount)
            compare.check_frames(self, self.third, mount.path / 'png/own/y', View('cfr', 'png'))
            self.assertEqual(mount.stats()['jobs_index'], 1, 'the others are known')

    def assert_said(self, path, source, name, files):
        said = path.read_text(encoding='utf-8').splitlines()
        if source:
            self.assertEqual(said[0], str(source))
        data = b''.join(file.read_bytes() for file in files)
        self.assertEqual(said[1:], [name, f'{len(files)} {hashlib.sha256(data).hexdigest()}'])
        self.assertEqual(len(path.read_bytes()), path.stat().st_size)

    def test_programs(self):
        """A program gets the file where it is, of each root, or a copy of a member, or frames in the mount; it is run anew
        when that changes, and messages name the file where it is."""
        (self.home / 'say.py').write_text(SCRIPT, encoding='ascii')
        shutil.copy(self.third, self.home / 'root/own/y.mp4')
        shutil.copy(self.third, self.lone / 'bad.webm')
        allowed = [re.escape(f'{self.lone}/bad.webm: '), re.escape('bad.webm')]
        config = self.configure('root: root', PROGRAMS)
        clips_of = {'DFEW/2961': (self.one / 'videos/2961.mp4', 'DFEW/videos/2961.mp4'),
                    'Lone/x': (self.lone / 'x.webm', 'Lone/x.webm'),
                    'own/y': (self.home / 'root/own/y.mp4', 'own/y.mp4')}
        with self.mount(config, allowed=allowed) as mount:
            for clip, (source, name) in self.shuffled(clips_of.items()):
                self.assert_said(mount.path / f'source/{clip}.txt', source, name, [source])
            self.assert_said(mount.path / 'source/Actor_01/03.txt', None, 'Actor_01/03.mp4', [self.first])
            for clip, (_, name) in self.shuffled([*clips_of.items(), ('Actor_01/03', (None, 'Actor_01/03.mp4'))]):
                home = mount.path / 'png' / clip
                self.assert_said(mount.path / f'frames/{clip}.txt', home, name, sorted(home.iterdir()))
            with self.assertRaises(OSError):
                (mount.path / 'source/Lone/bad.txt').read_bytes()
            self.assertRegex(mount.log(), re.escape(f'{self.lone}/bad.webm: ') + '.*I do not like it')
            changed = self.third.read_bytes() + b'and more'

            def becomes():
                try:
                    return (mount.path / 'source/Lone/x.txt').read_text(encoding='utf-8')
                except OSError:  # it changes just now
                    return ''
            (self.lone / 'x.webm').write_bytes(changed)
            harness.wait_until('the new one', lambda: hashlib.sha256(changed).hexdigest() in becomes())
        with self.mount(config, allowed=allowed) as mount:
            self.assertEqual(mount.stats()['jobs_command'], 0)
            self.assert_said(mount.path / 'source/DFEW/2961.txt', *clips_of['DFEW/2961'],
                             [clips_of['DFEW/2961'][0]])
            self.assertEqual(mount.stats()['jobs_command'], 0, 'it is kept')

    @staticmethod
    def list_of(mount):
        """The list; '2961' where it changes while it is read."""
        try:
            return (mount.path / 'test.json').read_text(encoding='utf-8')
        except OSError:
            return '2961'

    def test_messages_and_changes(self):
        """Messages name files where they are; changes below each root are noticed."""
        (self.lone / 'bad.webm').write_bytes(b'nothing')
        with (self.one / 'labels.csv').open('a', encoding='utf-8') as file:
            file.write('2961,another\n')
        config = self.configure()
        said = harness.corpusfs('check', config, check=1).stdout
        self.assertIn(f'{self.one}/labels.csv:3: a second row for "DFEW', said.replace('\\x1f', ''))
        (self.one / 'labels.csv').write_text('clip,caption\n2961,one\n', encoding='utf-8')
        with self.mount(config, allowed=[re.escape(f'{self.lone}/bad.webm: '), 'test.json: [12] of 4',
                                         re.escape(f'{self.one}/videos/2961.mp4: the file has vanished')]) as mount:
            with self.assertRaises(OSError):
                os.listdir(mount.path / 'png/Lone/bad')
            before = os.listdir(mount.path / 'png/Lone/x')
            self.assertNotIn('bad', (mount.path / 'test.json').read_text(encoding='utf-8'))
            clips.ffmpeg(*clips.picture(seconds=3), '-c:v', 'libvpx-vp9', self.home / 'new.webm')
            os.replace(self.home / 'new.webm', self.lone / 'x.webm')
            harness.wait_until('the change', lambda: len(os.listdir(mount.path / 'png/Lone/x')) == 75)
            self.assertNotEqual(len(before), 75)
            os.remove(self.one / 'videos/2961.mp4')
            harness.wait_until('the clip to go', lambda: '2961' not in self.list_of(mount))
            self.assertIn(f'{self.one}/videos/2961.mp4: changed', mount.log())

    def test_mistakes(self):
        """A root that is not there, a name that is none, or is taken."""
        (self.home / 'root/DFEW').mkdir()
        said = harness.corpusfs('check', self.configure('root: root'), check=1).stdout
        self.assertRegex(said, r'corpus\.yaml:2:\d+: roots: the root has "DFEW" itself')
        config = self.configure()
        text = config.read_text(encoding='utf-8')
        for old, new, line in (('RAVDESS: two', 'RAVDESS: three', 'roots: .*/three: No such file or directory'),
                               ('RAVDESS: two', 'a/b: two', 'roots: "a/b" cannot be the name of a folder'),
                               ('Lone: ', '.x: ', r'roots: "\.x" cannot be the name of a folder')):
            with self.subTest(new=new):
                config.write_text(text.replace(old, new, 1), encoding='utf-8')
                self.assertRegex(harness.corpusfs('check', config, check=1).stdout, line)


if __name__ == '__main__':
    harness.main()
