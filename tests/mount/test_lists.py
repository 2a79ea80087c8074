#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Lists of clips: what stands in them is what is in the tree, and goes on being that."""
import json
import os
import re
import shutil
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness, oracle
from lib.oracle import View

FRAMES = 'img/{class}/{clip}/{frame:06d}.ppm'
SPLITS = ('tables: [{ file: splits.csv, key: [class, clip], columns: [class, clip, split], header: false }]\n'
          'fields: { n: { of: class, index: [Fear, Joy, Trust] } }\n')


def view(begin='', each='', join='', end='', **more):
    """A list view, its texts as JSON strings, which are YAML."""
    keys = {'begin': begin, 'each': each, 'join': join, 'end': end, **more}
    return 'list: ' + json.dumps({key: value for key, value in keys.items() if value != ''})


VE8 = view('{{"labels": {values.class:json}, "database": {{', '{clip:json}: {{"subset": {split:json}, "annotations": '
           '{{"label": {class:json}, "segment": [1, {nframes+1}]}}}}', ', ', '}}}}\n', sort='clip')


class Base(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        shutil.copytree(clips.make(clips.SMALL, 'small'), self.root)
        self.names = sorted(str(p.relative_to(self.root)) for p in self.root.rglob('*.*'))
        self.splits = {name: 'training' if i % 2 else 'validation' for i, name in enumerate(self.names)}
        self.write_splits()

    def write_splits(self):
        lines = [f'{name.replace("/", ",")},{split}\n' for name, split in self.splits.items()]
        (self.root / 'splits.csv').write_text(''.join(lines), encoding='utf-8')

    def tree(self, mount):
        """The number of frames of each clip, as the tree has it; clips that it has none of are not there."""
        found = {}
        for name in self.names:
            try:
                found[name] = len(os.listdir(mount.path / 'img' / name))
            except OSError:
                continue
        return {name: n for name, n in found.items() if n > 0}

    def read(self, mount, path):
        """A file by reads of random places, as long as stat says."""
        size = os.stat(mount.path / path).st_size
        data = bytearray(size)
        with open(mount.path / path, 'rb') as file:
            for at in self.shuffled(range(0, size, 50)):
                file.seek(at)
                data[at:at + 50] = file.read(50)
        self.assertEqual(bytes(data), (mount.path / path).read_bytes())
        return data.decode()


class Lists(Base):

    def test_against_the_tree(self):
        """Short and long form, a list for each value of the path, JSON, sorting: all as the tree is walked."""
        config = self.config(self.root, {
            FRAMES: 'frames: {}',
            'annotation/{split}.txt': r'list: "img/{class}/{clip} {nframes} {n}\n"',
            'annotation/ve8.json': VE8,
            'rev.txt': view(each='{index:03d} {nframes-1} {path}\n', sort=['split', 'class'], base=1,
                            begin='of {nclips}\n', where={'class': '^(Joy|Fear)$'}),
        }, more=SPLITS)
        self.assertIn('annotation/training.txt', harness.corpusfs('check', config, check=0).stdout)
        with self.mount(config) as mount:
            self.assertEqual(sorted(os.listdir(mount.path / 'annotation')), ['training.txt', 'validation.txt', 've8.json'])
            self.assertEqual(mount.stats()['jobs_index'], 0, 'names alone need no clip')
            read = {path: self.read(mount, path) for path in self.shuffled(
                ['annotation/training.txt', 'annotation/validation.txt', 'annotation/ve8.json', 'rev.txt'])}
            tree = self.tree(mount)
            self.assertEqual(sorted(tree), self.names)
            for name in self.names:
                self.assertEqual(tree[name], len(os.listdir(oracle.frames(self.root / name, View('cfr', 'ppm')))), name)
            place = {'Fear': 0, 'Joy': 1, 'Trust': 2}
            for split in ('training', 'validation'):
                expected = [f'img/{name} {tree[name]} {place[name.split("/")[0]]}\n'
                            for name in self.names if self.splits[name] == split]
                self.assertEqual(read[f'annotation/{split}.txt'], ''.join(expected))
            self.assertEqual(json.loads(read['annotation/ve8.json']), {
                'labels': ['Fear', 'Joy', 'Trust'],
                'database': {name.split('/')[1]: {'subset': self.splits[name], 'annotations': {
                    'label': name.split('/')[0], 'segment': [1, tree[name] + 1]}} for name in self.names}})
            wanted = sorted((n for n in self.names if not n.startswith('Trust')),
                            key=lambda n: (self.splits[n], n.split('/')[0], n))
            self.assertEqual(read['rev.txt'], f'of {len(wanted)}\n' + ''.join(
                f'{i:03d} {tree[name] - 1} {name}\n' for i, name in enumerate(wanted, 1)))
            self.assertEqual(mount.stats()['unlisted'], 0)
            newest = max(os.stat(self.root / name).st_mtime_ns for name in wanted)
            self.assertEqual(os.stat(mount.path / 'rev.txt').st_mtime_ns, newest)

    def test_names(self):
        """Odd names come through: as they are in lines, escaped in JSON; without frames no clip is looked into."""
        shutil.rmtree(self.root)
        odd = ['a, (b)! & [c].mp4', 'q"uote\\.mp4', '\u60c5\u611f 1.mp4', 'tab\there.mp4', 'clip10.mp4', 'clip2.mp4']
        (self.root / 'x').mkdir(parents=True)
        for name in odd:
            (self.root / 'x' / name).touch()
        (self.root / 'x' / os.fsdecode(b'\xff.mp4')).touch()
        config = self.config(self.root, {'{clip}.txt': 'text: "{clip:json}"', 'plain.txt': r'list: "{clip}\n"',
                                         'l.json': view('[', '{{"id": {clip:json}, "n": {index}, "none": {gone:json}}}',
                                                        ',', ']', sort='clip')},
                             more="fields: { gone: { of: class, match: 'y' } }\n")
        with self.mount(config) as mount:
            names = [os.fsdecode(n) for n in sorted(map(os.fsencode, os.listdir(self.root / 'x')))]
            self.assertEqual((mount.path / 'plain.txt').read_bytes(), b''.join(os.fsencode(n) + b'\n' for n in names))
            entries = json.loads(self.read(mount, 'l.json'))
            self.assertEqual([e['n'] for e in entries], list(range(len(names))))
            self.assertEqual({e['none'] for e in entries}, {None})
            self.assertEqual(sorted(e['id'] for e in entries), sorted(names))
            order = [e['id'] for e in entries]
            self.assertLess(order.index('clip2.mp4'), order.index('clip10.mp4'))
            self.assertEqual(json.loads((mount.path / 'q"uote\\.mp4.txt').read_text(encoding='utf-8')), 'q"uote\\.mp4')
            self.assertEqual(mount.stats()['jobs_index'], 0)

    def test_values(self):
        """A list of each value once, and lists of nothing."""
        config = self.config(self.root, {
            FRAMES: 'frames: {}', 'classes.txt': view(each='{index} {class}\n', distinct='class', sort='class', base=1),
            'lines.txt': view(begin='{values.class}\n', each='x', where={'class': 'none'}),
            'none.json': view('[', '{clip:json}', ',', ']', where={'clip': 'none'})})
        with self.mount(config) as mount:
            self.assertEqual(self.read(mount, 'classes.txt'), '1 Fear\n2 Joy\n3 Trust\n')
            self.assertEqual(self.read(mount, 'lines.txt'), 'Fear\nJoy\nTrust\n')
            self.assertEqual(self.read(mount, 'none.json'), '[]')
            self.assertEqual(mount.stats()['jobs_index'], 0)

    def test_unique(self):
        """What is to stand once stands once; what does not is reported and counted. Lists of other paths are others."""
        for label in ('Fear', 'Joy', 'Trust'):
            for clip in ('one', 'two'):
                shutil.copy(self.root / self.names[0], self.root / label / clip)
        source = ('- videos: "*/{one,two}"\n    match: "^(?<class>[^/]+)/(?<clip>.+)$"')
        entry = '{clip:json}: {class:json}'
        config = self.config(self.root, {
            FRAMES: 'frames: {}', 'each.json': view('{{', entry, ', ', '}}', unique='clip', sort='class'),
            'both.json': view('[', '{class:json}', ', ', ']', unique=['class', 'clip']),
            'of/{class}.json': view('{{', entry, ', ', '}}', unique=['clip']),
            'n.json': view('{{', '{clip:json}: {nframes}', ', ', '}}', unique='clip')}, source=source)
        said = harness.corpusfs('check', config, check=1).stdout
        told = re.findall(r'the clip (.*) has the (.*) of (.*), which is listed: not in the list(.*)', said)
        self.assertEqual(told, [('Joy/one', '{clip}', 'Fear/one', ' (and 3 more)')] * 2)
        self.assertIn(f'{config}: 2 problems\n', said)
        with self.mount(config, allowed=['not in the list']) as mount:
            self.assertEqual(self.read(mount, 'each.json'), '{"one": "Fear", "two": "Fear"}')
            self.assertEqual(json.loads(self.read(mount, 'both.json')), ['Fear', 'Fear', 'Joy', 'Joy', 'Trust', 'Trust'])
            self.assertEqual(self.read(mount, 'of/Joy.json'), '{"one": "Joy", "two": "Joy"}')
            n = len(os.listdir(mount.path / 'img/Fear/one'))
            self.assertEqual(json.loads(self.read(mount, 'n.json')), {'one': n, 'two': n})
            figures = json.loads(harness.corpusfs('status', '--json', mount.path, check=0).stdout)
            self.assertEqual((figures['problems'], figures['left_out']), (2, 0))

    def test_unique_mistakes(self):
        config = self.config(self.root, {
            FRAMES: 'frames: {}', 'a.txt': view(each='{clip}', unique='clip', distinct='class'),
            'b.pkl': 'list: { pickle: [clip], unique: clip }'})
        said = harness.corpusfs('check', config, check=1).stdout
        self.assertIn('"unique" excludes "distinct"', said)
        self.assertIn('"pickle" excludes "unique"', said)

    def test_groups(self):
        """Annotations below their video, as gt.json has them; a group of which nothing can be read is none."""
        (self.root / 'Anger').mkdir()
        (self.root / 'Anger/bad.mp4').write_bytes(b'no video')
        gt = {'begin': '{class:json}: [', 'join': ', ', 'end': ']'}
        config = self.config(self.root, {
            FRAMES: 'frames: {}',
            'gt.json': view('{{"database": {{', '{{"id": {clip:json}, "segment": [1, {nframes}], "n": {index}}}', ', ',
                            '}}}}', sort='split', group={'by': 'class', **gt}),
            'two.txt': view(each=' {clip}', end=';\n', group={'by': ['class', 'split'], 'begin': '{split}/{class}:', 'join': ';\n'}),
        }, more=SPLITS.replace('header: false', 'header: false, join: left'))
        with self.mount(config, allowed=['bad.mp4', 'has no', 'no row']) as mount:
            tree = self.tree(mount)
            order = sorted(tree, key=lambda name: (name.split('/')[0], self.splits[name], name))
            expected, two = {}, {}
            for i, name in enumerate(order):
                label, clip = name.split('/')
                expected.setdefault(label, []).append({'id': clip, 'segment': [1, tree[name]], 'n': i})
                two.setdefault((label, self.splits[name]), []).append(clip)
            self.assertGreater(len(expected), 1)
            self.assertGreater(max(map(len, expected.values())), 1)
            read = json.loads(self.read(mount, 'gt.json'))['database']
            self.assertEqual((read, list(read)), (expected, list(expected)))
            self.assertEqual(self.read(mount, 'two.txt'), ';\n'.join(
                f'{split}/{label}: {" ".join(names)}' for (label, split), names in two.items()) + ';\n')

    def test_group_mistakes(self):
        config = self.config(self.root, {
            FRAMES: 'frames: {}', 'a.txt': view(each='{clip}', group={'begin': '{class}'}),
            'b.txt': view(each='{clip}', group={'by': 'class', 'begin': '{class} {clip}', 'join': '{class}'})})
        said = harness.corpusfs('check', config, check=1).stdout
        self.assertIn('a group needs "by"', said)
        self.assertIn('begin: {clip} is not the same for all clips of the group: it is not in "by" or the path', said)
        self.assertIn('join: {class} is not the same for all clips of the list: it is not in the path', said)


class Truth(Base):

    VIEWS = {FRAMES: 'frames: {}', 'list.txt': r'list: "{class}/{clip} {nframes}\n"', 'names.txt': r'list: "{class}/{clip}\n"',
             'all.txt': view(each='{class}/{clip}\n', broken='keep')}

    def check_list(self, mount):
        tree = self.tree(mount)
        self.assertEqual(self.read(mount, 'list.txt'), ''.join(f'{name} {n}\n' for name, n in tree.items()))
        return tree

    def test_broken_clips(self):
        """A clip that cannot be read is not listed, unless that is wished; log and status tell."""
        (self.root / 'Joy/bad.mp4').write_bytes(b'no video')
        self.names.append('Joy/bad.mp4')
        with self.mount(self.config(self.root, self.VIEWS), allowed=['bad.mp4']) as mount:
            tree = self.check_list(mount)
            self.assertNotIn('Joy/bad.mp4', tree)
            self.assertEqual(self.read(mount, 'names.txt').split(), list(tree))
            self.assertEqual(self.read(mount, 'all.txt').split(), sorted(self.names))
            self.assertRegex(mount.log(), r'list\.txt: 1 of 6 clips are not listed, since they cannot be read, or have no '
                                          r'frames; the first is Joy/bad\.mp4')
            self.assertEqual(mount.stats()['unlisted'], 2)

    def test_changes(self):
        """After a clip changes, vanishes and comes back, the list says what the tree has then."""
        source = self.root / 'Joy/first.mp4'
        config = self.config(self.root, self.VIEWS, more='refresh: 1s\n')
        with self.mount(config, allowed=['first.mp4', 'cannot be read']) as mount:
            before = self.check_list(mount)

            def listed():
                try:
                    found = re.findall(r'^Joy/first\.mp4 (\d+)$', (mount.path / 'list.txt').read_text(), re.MULTILINE)
                except OSError:
                    return -1  # it changed while it was read
                return int(found[0]) if found else None

            shutil.copy(self.root / 'Fear/third.webm', self.home / 'new')
            os.replace(self.home / 'new', source)
            clips.ffmpeg(*clips.picture(seconds=3), '-c:v', 'mpeg4', self.home / 'long.mp4')
            os.replace(self.home / 'long.mp4', source)
            harness.wait_until('the new number', lambda: listed() == 75)
            self.assertEqual(self.check_list(mount)['Joy/first.mp4'], 75)
            self.assertNotEqual(before['Joy/first.mp4'], 75)
            os.rename(source, self.home / 'away')
            harness.wait_until('the clip to go', lambda: listed() is None)
            self.assertNotIn('Joy/first.mp4', self.check_list(mount))
            os.rename(self.home / 'away', source)
            harness.wait_until('the clip to come back', lambda: listed() == 75)
            self.check_list(mount)

    def test_shrinking(self):
        """When decoding finds less than the packets promised, the list follows."""
        fast = self.home / 'fast.mp4'
        oracle.run('-i', self.root / 'Joy/first.mp4', '-c', 'copy', '-movflags', '+faststart', fast)
        data = fast.read_bytes()
        (self.root / 'Joy/hole.mp4').write_bytes(data[:len(data) * 6 // 10] + bytes(len(data) - len(data) * 6 // 10))
        self.names = sorted([*self.names, 'Joy/hole.mp4'])
        with self.mount(self.config(self.root, self.VIEWS), allowed=['hole.mp4', 'not listed']) as mount:
            before = self.check_list(mount)['Joy/hole.mp4']
            for name in self.tree(mount):
                for frame in sorted(os.listdir(mount.path / 'img' / name)):
                    try:
                        (mount.path / 'img' / name / frame).read_bytes()
                    except OSError:
                        self.assertEqual(name, 'Joy/hole.mp4')
            harness.wait_until('list and tree to agree', lambda: self.agree(mount))
            self.assertLess(self.check_list(mount)['Joy/hole.mp4'], before)

    def test_views_of_some_clips(self):
        """Frames are counted in the view that shows the clip, and a clip that none shows has none."""
        config = self.config(self.root, {'a/{clip}/{frame:06d}.ppm': "frames: { crop: '{side}' }\n    where: { class: Joy }",
                                         'b/{clip}/{frame:06d}.ppm': 'frames: { fps: 5 }\n    where: { class: Fear }',
                                         'list.txt': r'list: "{clip} {nframes}\n"'},
                             more='fields: { side: { of: class, map: { Joy: left }, default: right } }\n')
        with self.mount(config, allowed=['list.txt: 1 of 5']) as mount:
            listed = dict(line.rsplit(' ', 1) for line in self.read(mount, 'list.txt').splitlines())
            tree = {clip: str(len(os.listdir(mount.path / view / clip)))
                    for view in 'ab' for clip in os.listdir(mount.path / view)}
            self.assertEqual(listed, tree)
            self.assertEqual(len(tree), 4)

    def agree(self, mount):
        expected = ''.join(f'{name} {n}\n' for name, n in self.tree(mount).items())
        try:
            return (mount.path / 'list.txt').read_text() == expected
        except OSError:
            return False  # it changed while it was read

    def test_many_readers(self):
        """Whoever asks, however many at once, and also when some give up: one text."""
        for i in range(40):
            shutil.copy(self.root / 'Joy/first.mp4', self.root / f'Joy/copy{i}.mp4')
            self.names.append(f'Joy/copy{i}.mp4')
        self.names.sort()
        with self.mount(self.config(self.root, self.VIEWS)) as mount:
            read = []
            lock = threading.Lock()

            def work(i):
                text = (mount.path / ('list.txt' if i % 4 else 'names.txt')).read_text()
                with lock:
                    read.append(text if i % 4 else None)

            harness.in_threads(16, work)
            self.assertEqual({t for t in read if t}, {self.read(mount, 'list.txt')})
            self.check_list(mount)
            self.assertLessEqual(mount.stats()['jobs_index'], len(self.names))


class Mistakes(Base):

    def test_clashes(self):
        """A list whose name is taken, and clips that lack what it needs, are told; the rest is served."""
        views = {FRAMES: 'frames: {}', 'img/{class}': r'list: "{clip}\n"', 'l.txt': 'list: "{clip} {few}\\n"',
                 'raw/{path}': 'files: "*.csv"', 'raw/splits.csv': r'list: "{clip}\n"'}
        config = self.config(self.root, views, more="fields: { few: { of: clip, match: '^f.*' } }\n")
        said = harness.corpusfs('check', config, check=1).stdout
        self.assertRegex(said, r'corpus\.yaml:\d+:\d+: img/Fear is a directory, too: left out \(and 2 more\)')
        self.assertRegex(said, r'the clip Fear/third\.webm has no field \{few\}: not in the list \(and 2 more\)')
        self.assertRegex(said, r'raw/splits\.csv is a file that another view makes: left out\n')
        with self.mount(config, allowed=['left out', 'not in the list']) as mount:
            self.assertEqual(self.read(mount, 'l.txt'), 'fourth.mkv fourth.mkv\nfirst.mp4 first.mp4\n')
            self.assertEqual(len(self.read(mount, 'raw/splits.csv').split()), len(self.names))
            self.assertEqual(sorted(self.tree(mount)), self.names)


if __name__ == '__main__':
    harness.main()
