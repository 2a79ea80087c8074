#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a configuration derives for each clip reaches the files of the mount."""
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import numpy

from lib import clips, compare, harness, oracle
from lib.oracle import View

FIELDS = '''fields:
  side: { of: class, map: { Joy: left, Fear: right, Trust: '60:40:8:4' } }
  n: { of: class, index: [Fear, Joy, Trust], base: 1 }
'''


class Fields(harness.Case):

    def test_crop_of_clip(self):
        """Each clip is cropped as its own field says, also when an equal video is cropped otherwise."""
        root = self.home / 'root'
        for folder in ('Joy', 'Fear', 'Trust'):
            (root / folder).mkdir(parents=True)
            shutil.copy(clips.make(clips.SMALL, 'small') / 'Joy/first.mp4', root / folder)
        views = {'x/{n:03d}/{clip}/{frame:06d}.png': 'frames: { crop: "{side}" }'}
        with self.mount(self.config(root, views, more=FIELDS)) as mount:
            for n, (folder, crop) in enumerate((('Fear', 'right'), ('Joy', 'left'), ('Trust', '60:40:8:4')), 1):
                with self.subTest(folder=folder):
                    compare.check_frames(self, root / folder / 'first.mp4', mount.path / f'x/{n:03d}/first.mp4',
                                         View('cfr', 'png', crop=crop))

    def test_unknown_values(self):
        """A clip with a value that a map does not know is told by check and mount, and the rest is served."""
        root = clips.make(clips.SMALL, 'small')
        config = self.config(root, {'x/{side}/{clip}': 'text: "{n}"'},
                             more=FIELDS.replace(' Joy: left,', '').replace('Fear:', 'Joy: ~, Fear:'))
        said = harness.corpusfs('check', config, check=0).stdout
        self.assertIn('leaves out 2 clips', said)
        config.write_text(config.read_text(encoding='utf-8').replace('Joy: ~, ', ''), encoding='utf-8')
        said = harness.corpusfs('check', config, check=1).stdout
        self.assertRegex(said, r'corpus\.yaml:\d+:\d+: the clip Joy/first\.mp4 gives {side} "Joy", which its "map" '
                               r'does not know: left out \(and 1 more\)')
        with self.mount(config) as mount:
            self.assertEqual(sorted(os.listdir(mount.path / 'x')), ['60:40:8:4', 'right'])


CLIPS = '- videos: "clips/**/*.mp4"\n    match: "^clips/(?<folder>[^/]+)/(?<clip>[^/]+)[.]mp4$"'


class Tables(harness.Case):
    """What stands in tables reaches the names of files and their texts. The videos are never opened."""

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        for folder, clip in (('Joy', 'a, (b)! & [c]'), ('Joy', '\u60c5\u611f 1'), ('Fear', '2'), ('Fear', '0030')):
            (self.root / 'clips' / folder).mkdir(parents=True, exist_ok=True)
            (self.root / 'clips' / folder / f'{clip}.mp4').touch()

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(text if isinstance(text, bytes) else text.encode())

    def configure(self, tables, path, text='x', more=''):
        return self.config(self.root, {path: f'text: "{text}"'}, source=CLIPS, more=f'tables:\n{tables}{more}')

    def check_tree(self, config, expected, said=(), code=0):
        """The mount has these files with these contents, and check says these things, and no problem but them."""
        told = harness.corpusfs('check', config, check=code).stdout
        for line in said:
            self.assertRegex(told, line)
        with self.mount(config) as mount:
            self.assertEqual({path: (mount.path / path).read_text(encoding='utf-8') for path in mount.files()}, expected)
            return mount.stats()

    def test_csv(self):
        """A header, a byte order mark, quotes, CR LF; a clip without a row, and a row without a clip."""
        self.write('labels.csv', b'\xef\xbb\xbfclip,label,split\r\n"a, (b)! & [c]",joy,train\r\n'
                   + '\u60c5\u611f 1,"happy, very",test\r\n2,fear,test\r\nnone,fear,test\r\n'.encode())
        stats = self.check_tree(
            self.configure('  - { file: labels.csv, key: clip }\n', '{split}/{clip}', '{label}'),
            {'train/a, (b)! & [c]': 'joy', 'test/\u60c5\u611f 1': 'happy, very', 'test/2': 'fear'},
            [r'note: 1 clips have no row, and are left out; the first is clips/Fear/0030\.mp4, with the key "0030"',
             r'labels\.csv:5: note: 1 rows belong to no clip; this is the first, with the key "none"'])
        self.assertEqual((stats['left_out'], stats['problems']), (1, 0))

    def test_keys(self):
        """Keys of several fields, as templates, with numbers of other widths; a left join; numbered columns."""
        self.write('t/Joy.tsv', 'Joy\ta, (b)! & [c]\tone\n')
        self.write('t/Fear.tsv', 'Fear\t00002\ttwo\nFear\t00030\tthirty\n')
        table = ("  - { file: 't/*.tsv', columns: [where, name, label], key: [where, name], to: ['{folder}', '{key}'], "
                 "join: left }\n")
        fields = ("fields:\n  label: { default: none }\n")
        # A left-joined clip has no label, which the rule of the field then gives.
        with self.subTest('templates'):
            config = self.configure("  - { file: 't/F*.tsv', columns: [folder, n, label], key: '{folder}/{n:d}', "
                                    "to: '{folder}/{clip:d}', join: left }\n", '{folder}/{clip}', '{label}', fields)
            self.check_tree(config, {'Joy/a, (b)! & [c]': 'none', 'Joy/\u60c5\u611f 1': 'none', 'Fear/2': 'two',
                                     'Fear/0030': 'thirty'})
        with self.subTest('several fields'):
            config = self.configure(table.replace("to: ['{folder}', '{key}']", 'to: [folder, clip]'),
                                    '{folder}/{clip}', '{label}', fields)
            self.check_tree(config, {'Joy/a, (b)! & [c]': 'one', 'Joy/\u60c5\u611f 1': 'none', 'Fear/2': 'none',
                                     'Fear/0030': 'none'})

    def test_json(self):
        """Records in an object, by their keys; one file a clip; several tables, of which one knows more."""
        self.write('ve8.json', '{"labels": ["joy"],\n "database": {\n  "2": {"subset": "validation", "annotations": '
                               '{"label": "fear"}},\n  "0030": {"subset": "training", "annotations": {"label": "awe"}}}}')
        self.write('side/2.json', '{"speaker": "G\\u0032", "content": "\u4f60\u597d"}')
        self.write('side/0030.json', '{"speaker": "G1"}')
        self.write('more.jsonl', '{"folder": "Fear", "age": 3}\n{"folder": "Joy"}\n')
        tables = ("  - { file: ve8.json, records: database, keys: clip, key: clip,\n"
                  "      columns: { label: annotations.label, subset: subset } }\n"
                  "  - { file: 'side/*.json', path: 'side/(?<clip>.*)[.]json', key: clip }\n"
                  "  - { file: more.jsonl, key: folder }\n")
        config = self.configure(tables, '{subset}/{clip}', '{label} {speaker} {content} {age}',
                                'fields:\n  content: { default: "-" }\n')
        self.check_tree(config, {'validation/2': 'fear G2 \u4f60\u597d 3', 'training/0030': 'awe G1 - 3'})

    def test_optional(self):
        """A table that may be missing: then nothing is left out, and nothing reported."""
        config = self.configure('  - { file: labels.csv, key: clip, optional: true }\n', '{label}/{clip}',
                                more='fields:\n  label: { default: none }\n')
        self.assertNotIn('labels.csv', harness.corpusfs('check', config, check=0).stdout)
        self.check_tree(config, {f'none/{clip}': 'x' for clip in ('a, (b)! & [c]', '\u60c5\u611f 1', '2', '0030')})
        self.write('labels.csv', 'clip,label\n2,fear\n')
        self.check_tree(config, {'fear/2': 'x'}, ['3 clips have no row, and are left out'])

    def test_where(self):
        """Views of some clips: only these need the fields of the path, and others may have the same one."""
        self.write('labels.csv', 'clip,label\n2,fear\n0030,joy\n')
        config = self.configure('  - { file: labels.csv, key: clip, join: left }\n', '{label}/{clip}', 'one',
                                'fields: { kind: [{ when: { label: . }, set: known }, { set: other }] }\n')
        config.write_text(config.read_text(encoding='utf-8').replace(
            'text: "one"\n', 'text: "one"\n    where: { kind: "^known$", clip: "^2" }\n'
            '  - path: "rest/{folder}"\n    text: "{clip}"\n    where: { kind: other, clip: "^a" }\n'), encoding='utf-8')
        self.check_tree(config, {'fear/2': 'one', 'rest/Joy': 'a, (b)! & [c]'},
                        [r'view at line \d+: fear/2\n', r'view at line \d+: rest/Joy\n'])

    def test_lines(self):
        self.write('ann/x.txt', '% [START_TIME - END_TIME] TURN_NAME EMOTION\r\n\r\n[6.29 - 8.23]\t2\tneu\t[2.5]\r\n'
                                'C-E2:\tNeutral;\r\n[10 - 11.5]\t0030\thap\t[1]\r\n')
        self.write('ann/._x.txt', b'\0\0')
        config = self.configure("  - lines: 'ann/*.txt'\n"
                                "    match: '^\\[(?<start>[\\d.]+) - (?<end>[\\d.]+)\\]\\t(?<clip>\\S+)\\t(?<label>\\w+)'\n"
                                "    key: clip\n", '{label}/{clip}', '{start}-{end}')
        self.check_tree(config, {'neu/2': '6.29-8.23', 'hap/0030': '10-11.5'})

    def test_found(self):
        """check tells what each source has, what none takes, clips by class and split, and how paths look."""
        self.write('labels.csv', 'clip,split\n2,train\n0030,train\n"a, (b)! & [c]",test\n')
        self.write('clips/loose.mp4', '')
        self.write('other/x.mp4', '')
        config = self.configure('  - { file: labels.csv, key: clip }\n', '{split}/{folder}/{clip}')
        config.write_text(config.read_text(encoding='utf-8').replace('views:', '  - videos: "other/*"\nviews:'),
                          encoding='utf-8')
        said = harness.corpusfs('check', config, check=0).stdout
        for line in ('source at line 4: 4 videos', 'source at line 6: 1 videos',
                     'note: 1 files suit a "videos" pattern, but no "match", such as clips/loose.mp4',
                     '2 clips are left out', '{folder}: Fear 2, Joy 1', '{split}: test 1, train 2',
                     'view at line 8: train/Fear/0030', '3 clips, 1 views'):
            self.assertIn(f'{config}: {line}\n', said)
        self.assertNotIn('{clip}:', said)
        self.assertNotIn('suit no', said)

    def test_found_strays(self):
        """Videos that no pattern takes, also where none leads, and in archives; not those that a files view shows."""
        for stray in ('top.MKV', 'deep/er/x.webm', 'deep/shown.mp4', 'clips/Joy/z.avi', 'clips/notes.txt'):
            self.write(stray, '')
        with zipfile.ZipFile(self.root / 'a.zip', 'w') as archive:
            for name in ('taken.mp4', 'y.flv', 'y.txt'):
                archive.writestr(name, '')
        config = self.configure('', '{folder}/{clip}')
        text = config.read_text(encoding='utf-8')
        config.write_text(text.replace('tables:\n', '').replace(
            'views:', '  - { archives: "*.zip", videos: "*.mp4", match: "(?<folder>.)(?<clip>[^.]+)" }\nviews:\n'
                      '  - { path: "files/{path}", files: "deep/*.mp4" }'), encoding='utf-8')
        said = harness.corpusfs('check', config, check=0).stdout
        self.assertIn(f'{config}: note: 4 videos suit no "videos" pattern, such as clips/Joy/z.avi, deep/er/x.webm, top.MKV\n', said)
        for path in ('top.MKV', 'deep/er/x.webm'):
            (self.root / path).unlink()
        said = harness.corpusfs('check', config, check=0).stdout
        self.assertIn(f'{config}: note: 2 videos suit no "videos" pattern, such as clips/Joy/z.avi, a.zip: y.flv\n', said)

    def test_found_many_values(self):
        """Of classes that are many, how many, of how many clips; nothing of names."""
        for i in range(30):
            for clip in range(2 + i % 2):
                self.write(f'clips/class {i:02d}/{i}_{clip}.mp4', '')
        config = self.configure('', '{folder}/{clip}')
        config.write_text(config.read_text(encoding='utf-8').replace('tables:\n', ''), encoding='utf-8')
        said = harness.corpusfs('check', config, check=0).stdout
        self.assertIn(f'{config}: {{folder}}: 32 values, of 2 to 3 clips, such as Fear 2, Joy 2, class 00 2\n', said)
        self.assertNotIn('{clip}:', said)

    def test_mistakes(self):
        """Each is told with its file and line, and the rest is served."""
        self.write('labels.csv', 'clip,label\n2,fear\n0030\n\u60c5\u611f 1,joy\n\u60c5\u611f 1,sad\n,x\n'
                                 '"a, (b)! & [c]",unheard\n')
        config = self.configure('  - { file: labels.csv, key: clip }\n  - { file: "none/*.csv", columns: [clip], key: clip, join: left }\n',
                                '{class}/{clip}', more='fields:\n  class: { of: label, map: { fear: Fear, joy: Joy } }\n')
        stats = self.check_tree(config, {'Fear/2': 'x'}, [
            r'root/labels\.csv:3: the row has 1 cells, expected 2: left out',
            r'root/labels\.csv:5: a second row for ".*", which line 4 of it has otherwise: its clips are left out',
            r'yaml:\d+:5: no file below .*root is this table',
            r'the clip clips/Joy/a, \(b\)! & \[c\]\.mp4 \(labels\.csv:7\) gives {class} "unheard", which its "map" does not know: left out'],
            code=1)
        self.assertEqual(stats['left_out'], 3)
        self.assertGreaterEqual(stats['problems'], 4)
        for what, table, said in (
                ('a column', 'clip,lable\n2,fear\n', r'nothing gives the field {label}: no table has such a column'),
                ('the key', 'klip,label\n2,fear\n', r'labels\.csv:1: there is no column "clip" \(the header has: klip, label\)'),
                ('a join', 'clip,label\nx2,fear\n', r'no row belongs to a clip: rows have keys such as "x2" \(labels\.csv:2\), '
                                                    r'clips such as "0030" \(clips/Fear/0030\.mp4\)'),
                ('all of it', '', r'labels\.csv: the table is empty'),
                ('sense', b'\xff\xfec\0', r'labels\.csv:1: it is UTF-16')):
            with self.subTest(what):
                self.write('labels.csv', table)
                self.assertRegex(harness.corpusfs('check', config, check=1).stdout, said)

    def test_kept(self):
        """A table is read once, by whoever needs it first; a changed one is read again."""
        self.write('labels.csv', 'clip,label\n2,fear\n')
        config = self.configure('  - { file: labels.csv, key: clip }\n', '{clip}', '{label}')
        self.check_tree(config, {'2': 'fear'})
        alone = shutil.copy(harness.CORPUSFS, self.home / 'corpusfs')  # a program without its worker
        done = subprocess.run([alone, 'check', config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.write('labels.csv', 'clip,label\n2,joy\n')
        done = subprocess.run([alone, 'check', config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout.decode(), r'labels\.csv: the worker program .* cannot run')
        self.check_tree(config, {'2': 'joy'})


class Cuts(harness.Case):
    """A part of a video is a clip like any other: what the whole has there, from 1 on."""
    CLIPS = {'h264_opengop.mkv': 25, 'mpeg2.mpg': 25, 'vp9_altref.webm': 25}
    VIEWS = {
        '{clip}/{part}/{frame:06d}.jpg': 'frames: {}',
        'half/{clip}/{part}/{frame:06d}.png': 'frames: { crop: left, size: "-1:60" }',
        'slow/{clip}/{part}/{frame:06d}.png': 'frames: { fps: 5 }',
        'each/{clip}/{part}/{frame:06d}.ppm': 'frames: { timing: passthrough }',
        '{clip}/{part}.wav': 'audio: { silence: true }',
        '{clip}/{part}.mp3': 'audio: { silence: true }',
        '{clip}/{part}.srt': 'subtitles: [sidecar]',
        '{clip}/{part}.txt': 'text: "{nframes}"',
    }
    SOURCE = '- videos: "*.{mkv,mpg,webm}"\n    match: "^(?<clip>.*)[.][^.]+$"'

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        self.root.mkdir()
        for clip in self.CLIPS:
            shutil.copy(clips.make(clips.EVERYTHING, 'everything') / 'containers' / clip, self.root)
        (self.root / 'h264_opengop.srt').write_text(
            '1\n00:00:00,100 --> 00:00:00,500\none\n\n2\n00:00:00,700 --> 00:00:01,300\ntwo\n\n'
            '3\n00:00:01,500 --> 00:00:09,000\nthree\n', encoding='utf-8')

    def whole(self):
        return self.config(self.root, {path.replace('/{part}', '/whole'): view for path, view in self.VIEWS.items()},
                           source=self.SOURCE, name='whole.yaml')

    def cut(self, table, cut):
        (self.root / 'parts.csv').write_text(table, encoding='utf-8')
        return self.config(self.root, self.VIEWS, source=self.SOURCE,
                           more=f'tables:\n  - {{ file: parts.csv, key: clip, cut: {cut} }}\n')

    def frames(self, mount, path):
        return [(mount.path / path / name).read_bytes() for name in sorted(os.listdir(mount.path / path))]

    def check(self, config, parts):
        """parts: {name: (first frame, behind the last), from 0, of 50}."""
        with self.mount(self.whole()) as whole, self.mount(config) as cut:
            for clip in (c.partition('.')[0] for c in self.CLIPS):
                for part, (first, end) in parts.items():
                    with self.subTest(clip=clip, part=part):
                        for view in ('', 'half/', 'each/'):
                            names = sorted(os.listdir(cut.path / f'{view}{clip}/{part}'))
                            self.assertEqual([n.partition('.')[0] for n in names],
                                             [f'{i:06d}' for i in range(1, end - first + 1)])
                            self.assertEqual(self.frames(cut, f'{view}{clip}/{part}'),
                                             self.frames(whole, f'{view}{clip}/whole')[first:end])
                        slow = [i for i in range(10) if first <= i * 5 + 2 < end]
                        self.assertEqual(self.frames(cut, f'slow/{clip}/{part}'),
                                         self.frames(whole, f'slow/{clip}/whole')[slow[0]:slow[-1] + 1] if slow else [])
                        self.assertEqual((cut.path / f'{clip}/{part}.txt').read_text(), str(end - first))
                        (ours, rate), (theirs, _) = oracle.decode(cut.path / f'{clip}/{part}.wav',
                                                                  whole.path / f'{clip}/whole.wav')
                        begin, stop = (min(round(n / 25 * rate), len(theirs)) for n in (first, end))
                        self.assertTrue(numpy.array_equal(ours, theirs[begin:stop]))
                        size = os.stat(cut.path / f'{clip}/{part}.mp3').st_size
                        self.assertEqual(len((cut.path / f'{clip}/{part}.mp3').read_bytes()), size)
                        [(sound, _)] = oracle.decode(cut.path / f'{clip}/{part}.mp3')
                        self.assertEqual(len(sound), len(ours))
            return {part: (cut.path / f'h264_opengop/{part}.srt').read_text(encoding='utf-8') for part in parts}

    def test_frames(self):
        """The first and last frame of each, inclusive, counted from 1."""
        rows = ''.join(f'{c.partition(".")[0]},{part}\n' for c in self.CLIPS for part in
                       ('a,1,50', 'b,1,1', 'c,13,37', 'd,50,50', 'e,26,26'))
        self.check(self.cut('clip,part,one,two\n' + rows, '{ first: one, last: two }'),
                   {'a': (0, 50), 'b': (0, 1), 'c': (12, 37), 'd': (49, 50), 'e': (25, 26)})

    def test_seconds(self):
        """Times; subtitles are told from there on, and go no further."""
        rows = ''.join(f'{c.partition(".")[0]},{part}\n' for c in self.CLIPS for part in ('a,0.4,1.2', 'b,0:01.20,2'))
        texts = self.check(self.cut('clip,part,from,to\n' + rows, '{ start: from, end: to }'), {'a': (10, 30), 'b': (30, 50)})
        self.assertEqual(texts['a'], '1\n00:00:00,000 --> 00:00:00,100\none\n\n2\n00:00:00,300 --> 00:00:00,800\ntwo\n\n')
        self.assertRegex(texts['b'], r'^1\n00:00:00,000 --> 00:00:00,100\ntwo\n\n2\n00:00:00,300 --> 00:00:00,8\d\d\nthree\n\n$')

    def test_boxes(self):
        """A box for each part, from the table, scaled; the same frames of the whole, cut to that box, are the truth."""
        (self.root / 'parts.csv').write_text('clip,part,one,two,x,y,w,h\nmpeg2,a,1,3,8,4,60,40\nmpeg2,b,11,12,0,0,32,32\n'
                                             'mpeg2,c,1,2,0,0,none,32\n', encoding='utf-8')
        table = 'tables:\n  - { file: parts.csv, key: clip, cut: { first: one, last: two } }\n'
        config = self.config(self.root, {'{part}/{frame:07d}.png': 'frames: { crop: "{w}:{h}:{x}:{y}", size: "20:20" }'},
                             source=self.SOURCE, more=table)
        truth = self.config(self.root, {f'{part}/{{frame:07d}}.png': f'frames: {{ crop: "{crop}", size: "20:20" }}'
                                        for part, crop in (('a', '60:40:8:4'), ('b', '32:32:0:0'))},
                            source='- videos: "mpeg2.mpg"', name='truth.yaml')
        said = harness.corpusfs('check', config, check=1).stdout
        self.assertIn('the clip mpeg2.mpg (parts.csv:4) has a crop that is not left, right or W:H:X:Y: left out\n', said)
        with self.mount(config) as ours, self.mount(truth) as theirs:
            self.assertEqual(sorted(os.listdir(ours.path)), ['a', 'b'])
            self.assertEqual(self.frames(ours, 'a'), self.frames(theirs, 'a')[:3])
            self.assertEqual(self.frames(ours, 'b'), self.frames(theirs, 'b')[10:12])

    def test_changed_source(self):
        """When the video changes, all clips that are parts of it do."""
        config = self.cut('clip,part,one,two\nmpeg2,a,1,3\nmpeg2,b,40,50\n', '{ first: one, last: two }')
        with self.mount(config, allowed=[r'mpeg2\.mpg: ']) as mount:  # who reads while it changes may get EIO
            before = {part: self.frames(mount, f'each/mpeg2/{part}') for part in 'ab'}
            new = self.home / 'new.mpg'
            clips.ffmpeg('-i', self.root / 'mpeg2.mpg', '-vf', 'negate', '-c:v', 'mpeg2video', '-an', new)
            os.replace(new, self.root / 'mpeg2.mpg')
            for part in 'ab':
                harness.wait_until(f'part {part}', lambda p=part: self.differs(mount, p, before[p]))

    def test_changed_cut(self):
        """A cut or a box that moves while it is mounted: names that were looked up give the frames of the new one."""
        head, rest = 'clip,part,one,two,box\n', '{ first: one, last: two }'
        views = {'{part}/{frame:06d}.ppm': 'frames: { timing: passthrough, crop: "{box}" }'}
        (self.root / 'parts.csv').write_text(head + 'mpeg2,a,1,20,64:48:0:0\nmpeg2,b,7,8,64:48:0:0\n', encoding='utf-8')
        config = self.config(self.root, views, source=self.SOURCE,
                             more=f'tables:\n  - {{ file: parts.csv, key: clip, cut: {rest} }}\n')
        truth = {}
        for x in (0, 16):
            clips.ffmpeg('-i', self.root / 'mpeg2.mpg', '-vf', f'crop=64:48:{x}:0', '-fps_mode', 'passthrough',
                         self.home / f'{x}-%d.ppm')
            truth |= {(x, n): (self.home / f'{x}-{n}.ppm').read_bytes() for n in range(1, 51)}
        with self.mount(config, allowed=['have no row']) as mount:
            def shows(first, n, x):
                # By name: a listing would tell what is there now.
                for i in self.shuffled(range(1, 21)):
                    path = mount.path / f'a/{i:06d}.ppm'
                    want = truth[x, first + i - 1] if i <= n else None
                    if (path.read_bytes() if path.exists() else None) != want:
                        return False
                return True

            def becomes(first, n, x):
                try:
                    return shows(first, n, x)
                except OSError:  # it changes just now
                    return False
            self.assertTrue(shows(1, 20, 0))
            other = (mount.path / 'b/000001.ppm').read_bytes()
            for first, last, x in ((21, 40, 0), (11, 13, 16), (5, 24, 16)):
                (self.root / 'parts.csv').write_text(f'{head}mpeg2,a,{first},{last},64:48:{x}:0\nmpeg2,b,7,8,64:48:0:0\n',
                                                     encoding='utf-8')
                harness.corpusfs('index', config, check=0)
                harness.wait_until(f'frames {first} to {last}',
                                   lambda f=first, n=last - first + 1, x=x: becomes(f, n, x))
            self.assertEqual((mount.path / 'b/000001.ppm').read_bytes(), other)

    def differs(self, mount, part, before):
        try:
            return self.frames(mount, f'each/mpeg2/{part}') != before
        except OSError:  # it changes just now
            return False

    def test_labels(self):
        """Runs of one label, as in Affwild2; a part that goes past the end is what is left, and told."""
        (self.root / 'ann').mkdir()
        (self.root / 'ann/mpeg2.txt').write_text('Neutral,Anger\n' + '4\n' * 10 + '-1\n' * 20 + '0\n' * 10 + '5\n' * 15,
                                                 encoding='utf-8')
        config = self.config(self.root, {'{class}/{clip}_{first}to{last}/{frame:06d}.png': 'frames: {}'}, source=self.SOURCE,
                             more='tables:\n  - { labels: "ann/*.txt", path: "ann/(?<clip>.*)[.]txt", key: clip, header: true,\n'
                                  '      none: [-1], cut: { first: first, last: last } }\n'
                                  'fields: { class: { of: label, map: { 0: Neutral, 4: Happiness, 5: Sadness } } }\n')
        for command in ('check', 'index'):
            said = harness.corpusfs(command, config, check=1).stdout
            self.assertEqual([line for line in said.splitlines() if 'goes past' in line],
                             [f'{self.root}/ann/mpeg2.txt:42: mpeg2.mpg: from 1.600 s to 2.200 s goes past its end at '
                              '2.011 s: cut off there'])
            self.assertIn('1 clips go past the end of their video\n', said)
        with self.mount(config, allowed=[r'mpeg2\.mpg: a clip from']) as mount:
            found = {path: len(os.listdir(mount.path / path)) for path in
                     ('Happiness/mpeg2_1to10', 'Neutral/mpeg2_31to40', 'Sadness/mpeg2_41to55')}
            self.assertEqual(list(found.values()), [10, 10, 10])
            self.assertIn('mpeg2.mpg: a clip from 1.600 s to 2.200 s goes past its end', mount.log())
            self.assertEqual(mount.stats()['past_end'], 1)
            self.assertIn('past end  1 clips', harness.corpusfs('status', mount.path, check=0).stdout)

    def test_mistakes(self):
        config = self.cut('clip,part,from,to\nmpeg2,a,1,0.5\nmpeg2,b,x,2\nmpeg2,c,0,1e9\nmpeg2,d,0,1\nmpeg2,e,,1\n',
                          '{ start: from, end: to }')
        said = harness.corpusfs('check', config, check=1).stdout
        for line, what in ((2, 'its end is before its start'), (3, 'its start is no time in seconds'),
                           (4, 'its end is no time in seconds'), (6, 'its start is no time in seconds')):
            self.assertIn(f'parts.csv:{line}: {what}: left out', said)
        self.assertIn('note: 2 clips have no row, and are left out', said)
        with self.mount(config) as mount:
            self.assertEqual(os.listdir(mount.path / 'each/mpeg2'), ['d'])
            self.assertEqual(mount.stats()['left_out'], 6)


if __name__ == '__main__':
    harness.main()
