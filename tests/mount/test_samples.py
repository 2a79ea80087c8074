#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""WebDataset's samples: members of shards that are grouped by their keys."""
import io
import json
import os
import random
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness, one_video

SOURCE = '- { archives: "*.tar", videos: "**/*.mp4", samples: webdataset }'
VIEWS = {'t/{shard}/{key}': 'text: "{key}|{cls}|{txt}|{lang}"'}


def members(path):
    """(name, content, kind) of a tar, in its order."""
    with tarfile.open(path) as tar:
        for info in tar:
            yield info.name, tar.extractfile(info).read() if info.isreg() else b'', info.isreg()


def split(name):
    """(key, field) of a name, or None; written from the rule, not from any program."""
    parts = name.split('/')
    if parts[0].startswith('__') and parts[0].endswith('__') and len(parts[0]) >= 4:
        return None
    stem, dot, rest = parts[-1].partition('.')
    if any(p.startswith('.') for p in parts) or not dot or not stem or not rest:
        return None
    return '/'.join([*parts[:-1], stem]), rest.lower()


def group(path):
    """(good samples, keys of bad ones): a sample is (key, {field: content})."""
    good, bad, last, fields, twice = [], [], None, {}, False

    def end():
        if last is not None:
            if twice:
                bad.append(last)
            else:
                good.append((last, fields))
    for name, content, plain in members(path):
        found = split(name) if plain else None
        if not found:
            continue
        key, field = found
        if key != last:
            end()
            last, fields, twice = key, {}, False
        twice = twice or field in fields
        fields[field] = content
    end()
    return good, bad


class Samples(one_video.Case):

    def write(self, shard, things):
        """Names, or (name, content), or a TarInfo for what is no file."""
        with tarfile.open(self.root / f'{shard}.tar', 'w') as out:
            for thing in things:
                if isinstance(thing, tarfile.TarInfo):
                    out.addfile(thing)
                    continue
                name, content = thing if isinstance(thing, tuple) else (thing, None)
                if content is None:
                    field = name.rpartition('.')[2].lower()
                    content = (self.video.read_bytes() if field == 'mp4' else
                               json.dumps({'lang': 'L' + name}).encode() if field == 'json' else
                               name.replace('/', '-').encode() + b'\n')
                info = tarfile.TarInfo(name)
                info.size = len(content)
                out.addfile(info, io.BytesIO(content))

    def want(self, shard):
        """{name: content} of the text view, and the keys of samples that are reported."""
        good, bad = group(self.root / f'{shard}.tar')
        shown = {}
        for key, fields in good:
            if 'mp4' in fields and {'cls', 'txt', 'json'} <= set(fields):
                shown[f'{shard}/{key.replace("/", "_")}'] = '|'.join(
                    [key, fields['cls'].decode().rstrip(), fields['txt'].decode().rstrip(),
                     json.loads(fields['json'])['lang']])
        return shown, bad

    def compare(self, shards, problems):
        settings = self.config(self.root, VIEWS, source=SOURCE)
        said = harness.corpusfs('check', settings, check=int(problems)).stdout
        with self.mount(settings, allowed=['']) as mount:
            want = {}
            for shard in shards:
                shown, bad = self.want(shard)
                want.update(shown)
                for key in bad:
                    self.assertIn(f'{shard}.tar: the sample "{key}" has two members', said)
            self.assertEqual(said.count('has two members'), sum(len(self.want(s)[1]) for s in shards))
            have = {n[2:]: (mount.path / n).read_text(encoding='utf-8') for n in mount.files('t')}
            self.assertEqual(have, want)
        return want

    def test_cases(self):
        """Each part of the rule by itself."""
        link, folder = tarfile.TarInfo('link.mp4'), tarfile.TarInfo('d.mp4')
        link.type, link.linkname, folder.type = tarfile.SYMTYPE, 'a.mp4', tarfile.DIRTYPE
        second = tarfile.TarInfo('l.mp4')
        second.type, second.linkname = tarfile.LNKTYPE, 'v.1/a.mp4'
        whole = ['mp4', 'cls', 'txt', 'json']
        self.write('one', [f'v.1/a.{f}' for f in whole])
        self.write('adjacent', [f'a.{f}' for f in ['mp4', 'CLS', 'Txt', 'JSON']] + [f'b.{f}' for f in whole])
        self.write('apart', ['a.mp4', 'a.cls', 'b.mp4', 'a.txt', 'a.json', 'b.cls', 'b.txt', 'b.json',
                             *[f'c.{f}' for f in whole]])
        self.write('repeated', [*[f'a.{f}' for f in whole], 'a.TXT', *[f'b.{f}' for f in whole], 'c.mp4', 'c.MP4',
                                *[f'd.{f}' for f in whole], 'd.jpg', 'd.JPG'])
        self.write('passed-over', ['__meta__', 'a.mp4', '__meta__/a.txt', 'a.cls', '.a.txt', 'noext', 'a.txt', 'a.',
                                   link, folder, '.hidden/a.cls', 'a.json', 'README', second])
        self.write('hard', [*[f'v.1/a.{f}' for f in whole], second, 'l.cls', 'l.txt', 'l.json'])
        self.write('folders', [*[f'x.y/a.{f}' for f in whole], *[f'z/a.{f}' for f in whole]])
        self.write('lacking', ['a.mp4', 'a.cls', 'b.mp4', 'b.txt', 'c.txt', *[f'd.{f}' for f in whole]])
        shown = self.compare(['one', 'adjacent', 'apart', 'repeated', 'passed-over', 'hard', 'folders', 'lacking'], True)
        self.assertEqual(sorted(shown), sorted(['one/v.1_a', 'adjacent/a', 'adjacent/b', 'apart/c', 'repeated/b',
                                                'passed-over/a', 'hard/v.1_a', 'folders/x.y_a', 'folders/z_a',
                                                'lacking/d']))

    def test_random(self):
        """Members of few names in any order."""
        fields = ['mp4', 'cls', 'txt', 'json', 'TXT', 'x.jpg', 'jpg', 'JPG']
        shards = []
        for i in range(6):
            things, names = [], set()
            for n in range(self.random.randint(1, 40)):
                key = self.random.choice(['a', 'b', 'd/a', 'd.1/a', '__x__', '.h']) + str(n // 4)
                order = (self.random.sample([*fields[:4], 'jpg', 'JPG'], self.random.choice([5, 6]))
                         if self.random.random() < 0.6 else self.random.choices(fields, k=3))
                for field in order:
                    # A name twice is one file, the last: no two samples may share one.
                    if f'{key}.{field}' not in names:
                        names.add(f'{key}.{field}')
                        things.append(f'{key}.{field}')
            self.write(f's{i}', things)
            shards.append(f's{i}')
        # What is reported beside repeated fields are clips that lack one.
        problems = any(self.want(s)[1] or len(self.want(s)[0]) < sum('mp4' in f for _, f in group(self.root / f'{s}.tar')[0])
                       for s in shards)
        self.compare(shards, problems)

    def test_tables(self):
        """Members as tables that the configuration speaks of: columns, another extension, a join that leaves out, cuts."""
        parts = json.dumps({'parts': [{'s': 0, 'e': 0.4, 'who': 'x'}, {'s': 0.4, 'e': 0.8, 'who': 'y'}]}).encode()
        self.write('s', ['a.mp4', ('a.meta.json', b'{"about": {"mood": "glad"}}'), ('a.parts.json', parts),
                         ('a.caption', b'two\nlines \n\n'), 'b.mp4', ('b.caption', b'no more')])
        more = ('tables:\n'
                '  - { member: meta.json, columns: { mood: about.mood } }\n'
                '  - { member: caption, join: left }\n'
                '  - { member: parts.json, records: parts, columns: { s: s, e: e, who: who }, cut: { start: s, end: e } }\n')
        views = {'{mood}/{key}/{who}/{frame:03d}.png': 'frames: {}', 'c/{key}-{who}': 'text: "{caption}"'}
        with self.mount(self.config(self.root, views, source=SOURCE, more=more)) as mount:
            self.assertEqual(sorted(os.listdir(mount.path / 'glad/a')), ['x', 'y'])
            self.assertEqual([len(os.listdir(mount.path / f'glad/a/{who}')) for who in 'xy'], [10, 10])
            self.assertEqual((mount.path / 'c/a-y').read_bytes(), b'two\nlines')
            self.assertEqual(sorted(os.listdir(mount.path)), ['c', 'glad'])

    def test_mistakes(self):
        """What cannot be is told at its place."""
        self.write('s', ['a.mp4'])
        cases = [('- { videos: "*.mp4", samples: webdataset }', '', '"samples" is for members of "archives"'),
                 ('- { archives: "*.tar", videos: "*.mp4", samples: tarred }', '', 'samples: expected webdataset'),
                 ('- { archives: "*.tar", videos: "*.mp4" }', 'tables: [{ member: txt }]\n', 'no source has samples'),
                 (SOURCE, 'tables: [{ member: txt, key: clip }]\n', '"key" does not go with a table of this kind'),
                 (SOURCE, 'tables: [{ member: txt }]\n', 'no sample has a member "txt"')]
        for source, more, said in cases:
            settings = self.config(self.root, {'{clip}': 'text: "{txt}"' if 'tables' in more else 'text: "x"'},
                                   source=source, more=more)
            self.assertIn(said, harness.corpusfs('check', settings, check=1).stdout)


harness.main()
