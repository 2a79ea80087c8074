#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tables with mistakes: check tells the file, the line and how many, the mount serves the rest, and status has the counts.

The videos are never opened, but for those that are cut, whose length matters.
"""
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness

SOURCE = '- videos: "*/*.mp4"\n    match: "^(?<folder>[^/]+)/(?<clip>[^/]+)[.]mp4$"'
CLIPS = ('a/1', 'a/2', 'b/3', 'b/4')
TABLE = '  - { file: labels.csv, key: clip }\n'
FIELDS = 'fields: { class: { of: label, map: { joy: Joy, sad: Sad } } }\n'
CUT = '  - { file: labels.csv, key: clip, cut: { start: from, end: to } }\n'


class BadTables(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        for clip in CLIPS:
            (self.root / clip).parent.mkdir(parents=True, exist_ok=True)
            (self.root / f'{clip}.mp4').touch()

    def make_videos(self):
        """Of one second each."""
        clips.ffmpeg('-y', *clips.picture(seconds=1), *clips.X264, self.root / f'{CLIPS[0]}.mp4')
        for clip in CLIPS[1:]:
            shutil.copy(self.root / f'{CLIPS[0]}.mp4', self.root / f'{clip}.mp4')

    def examine(self, path, table, served, told, left_out, *, tables=TABLE, fields=FIELDS, name='labels.csv'):
        """told: expressions of lines that check prints, each once. served: the files that the mount has."""
        (self.root / name).write_text(table, encoding='utf-8')
        config = self.config(self.root, {path: 'text: x'}, source=SOURCE, more=f'tables:\n{tables}{fields}')
        said = harness.corpusfs('check', config, check=1).stdout
        for line in told:
            self.assertEqual(len(re.findall(rf'(?m)^{line}$', said)), 1, f'{line!r} in\n{said}')
        problems = int(re.search(rf'(?m)^{re.escape(str(config))}: (\d+) problems$', said)[1])
        self.assertGreater(problems, 0)
        with self.mount(config) as mount:
            self.assertEqual(mount.files(), sorted(served))
            for file in self.shuffled(served):
                self.assertEqual((mount.path / file).read_bytes(), b'x')
            figures = json.loads(harness.corpusfs('status', '--json', mount.path, check=0).stdout)
            self.assertEqual((figures['left_out'], figures['problems']), (left_out, problems))
            self.assertIn(f'left out  {left_out} clips; {problems} problems (corpusfs check tells which)\n',
                          harness.corpusfs('status', mount.path, check=0).stdout)
        return said

    def at(self, line, name='labels.csv'):
        return rf'{re.escape(str(self.root / name))}:{line}: '

    def test_does_not_parse(self):
        """What stands before the mistake, or beside it, is used."""
        with self.subTest('csv'):
            self.examine('{class}/{clip}', 'clip,label\n1,joy\n2\n3,sad,more\n4,sad\n', ['Joy/1', 'Sad/4'],
                         [self.at(3) + 'the row has 1 cells, expected 2: left out',
                          self.at(4) + 'the row has 3 cells, expected 2: left out'], 2)
        with self.subTest('jsonl'):
            self.examine('{class}/{clip}', '{"clip": 1, "label": "joy"}\n{"clip": 2, "label\n{"clip": 3, "label": "sad"}\n',
                         ['Joy/1', 'Sad/3'], [self.at(2, 'labels.jsonl') + '.+'], 2,
                         tables='  - { file: labels.jsonl, key: clip }\n', name='labels.jsonl')
        with self.subTest('json'):
            self.examine('{folder}/{clip}', '[{"clip": 1, "label": "joy"},\n {"clip": 2, "label": }]\n', ['a/1'],
                         [self.at(2, 'labels.json') + 'not JSON: expected a value'], 3,
                         tables='  - { file: labels.json, key: clip }\n', name='labels.json')

    def test_label_outside_the_map(self):
        self.examine('{class}/{clip}', 'clip,label\n1,joy\n2,anger\n3,fear\n4,anger\n', ['Joy/1'],
                     [r'.*/corpus\.yaml:\d+:\d+: the clip a/2\.mp4 \(labels\.csv:3\) gives \{class\} "anger", which its "map" does not know: '
                      r'left out \(and 1 more\)',
                      r'.*/corpus\.yaml:\d+:\d+: the clip b/3\.mp4 \(labels\.csv:4\) gives \{class\} "fear", which its "map" does not know: '
                      r'left out'], 3)

    def test_end_before_start(self):
        self.make_videos()
        self.examine('{clip}/{part}', 'clip,part,from,to\n1,p,2,1\n2,q,1,1\n3,r,0,1\n4,s,0,0.5\n', ['3/r', '4/s'],
                     [self.at(2) + 'its end is before its start: left out', self.at(3) + 'its end is before its start: left out'],
                     2, tables=CUT, fields='')

    def test_many(self):
        """The first ones are told, the rest is counted."""
        self.make_videos()
        rows = ''.join(f'1,p{i},2,1\n' for i in range(50))
        said = self.examine('{clip}/{part}', f'clip,part,from,to\n{rows}2,q,0,1\n', ['2/q'],
                            [r'.*/corpus\.yaml:\d+:\d+: 30 more rows cut out nothing that can be',
                             r'.*/corpus\.yaml: 50 problems'], 52, tables=CUT, fields='')
        self.assertEqual(said.count('its end is before its start'), 20)

    def test_duplicate_clips(self):
        (self.root / 'b/1.mp4').touch()
        self.examine('{class}/{clip}', 'clip,label\n1,joy\n2,joy\n3,sad\n4,sad\n', ['Joy/2', 'Sad/3', 'Sad/4'],
                     [r'.*/corpus\.yaml:\d+:\d+: .*a/1\.mp4.*b/1\.mp4.*'], 2)

    def test_duplicate_parts(self):
        """Of clips that rows cut out, and of fields that rows give, the rows are told."""
        self.make_videos()
        self.examine('{class}/{part}', 'clip,part,label,from,to\n1,p,joy,0,1\n1,p,joy,1,2\n2,,joy,0,1\n3,q,fear,0,1\n4,r,sad,0,1\n',
                     ['Sad/r'],
                     [r'.*/corpus\.yaml:\d+:\d+: two clips give Joy/p: a/1\.mp4 \(labels\.csv:2\) and '
                      r'a/1\.mp4 \(labels\.csv:3\): left out',
                      r'.*/corpus\.yaml:\d+:\d+: the clip a/2\.mp4 \(labels\.csv:4\) has an empty field \{part\}: left out',
                      r'.*/corpus\.yaml:\d+:\d+: the clip b/3\.mp4 \(labels\.csv:5\) gives \{class\} "fear", which its "map" '
                      r'does not know: left out'], 4, tables=CUT)

    def test_row_of_the_field(self):
        """Of several tables, the one that gives it."""
        (self.root / 'more.csv').write_text('clip,note\n1,x\n2,\n3,x\n4,x\n', encoding='utf-8')
        self.examine('{class}/{clip}/{note}', 'label,clip\nsad,4\nsad,2\nfear,1\njoy,3\n', ['Joy/3/x', 'Sad/4/x'],
                     [r'.*/corpus\.yaml:\d+:\d+: the clip a/1\.mp4 \(labels\.csv:4\) gives .*',
                      r'.*/corpus\.yaml:\d+:\d+: the clip a/2\.mp4 \(more\.csv:3\) has an empty field .*'], 2,
                     tables=TABLE + '  - { file: more.csv, key: clip }\n')

    def test_two_rows_for_a_key(self):
        """Rows that say the same are no mistake."""
        self.examine('{class}/{clip}', 'clip,label\n1,joy\n2,sad\n2,sad\n1,sad\n3,sad\n4,sad\n', ['Sad/2', 'Sad/3', 'Sad/4'],
                     [self.at(5) + 'a second row for "1", which line 2 of it has otherwise: its clips are left out'], 1)

    def test_missing_column(self):
        with self.subTest('of the key'):
            self.examine('{folder}/{clip}', 'klip,label\n1,joy\n', [],
                         [self.at(1) + r'there is no column "clip" \(the header has: klip, label\)'], 4)
        with self.subTest('by its number'):
            self.examine('{class}/{clip}', '1\n2\n', [],
                         [self.at(1) + r'there is no column 2 \(the first row has 1\)',
                          r'.*/corpus\.yaml:\d+:\d+: the clip a/1\.mp4 has no field \{class\}: left out \(and 1 more\)'], 4, tables='  - { file: labels.csv, key: clip, columns: [clip, label] }\n')
        with self.subTest('of a field'):
            self.examine('{class}/{clip}', 'clip,lable\n1,joy\n', [],
                         [r'.*/corpus\.yaml:\d+:\d+: nothing gives the field \{label\}: no table has such a column'], 4)

    def test_join_of_nothing(self):
        for join, served, left_out in (('', [], 4), (', join: left', CLIPS, 0)):
            with self.subTest(join):
                self.examine('{folder}/{clip}', 'clip,label\nx1,joy\nx2,sad\n', served,
                             [r'.*/corpus\.yaml:\d+:\d+: no row belongs to a clip: rows have keys such as "x1" '
                              r'\(labels\.csv:2\), clips such as "1" \(a/1\.mp4\)'], left_out,
                             tables=TABLE.replace(' }', join + ' }'), fields='')

    def test_no_rows(self):
        """Nothing is wrong with such a table by itself, but no clip is left; where clips need no row it is none."""
        said = self.examine('{folder}/{clip}', 'clip,label\n', [],
                            [r'.*/corpus\.yaml:\d+:\d+: no row stands in labels\.csv, so that all 4 clips are left out',
                             r'.*/corpus\.yaml: 1 problems'], 4, fields='')
        self.assertNotIn('have no row', said)
        config = self.config(self.root, {'{folder}/{clip}': 'text: x'}, source=SOURCE,
                             more='tables:\n' + TABLE.replace(' }', ', join: left }'))
        self.assertIn('4 clips have no row', harness.corpusfs('check', config, check=0).stdout)

    def test_past_the_end(self):
        """Only the video knows: check and index tell the row, and status counts the clips that were looked into."""
        self.make_videos()
        for clip in ('a/2', 'b/4'):
            (self.root / f'{clip}.mp4').unlink()
        rows = ['1,p,0,0.4', '1,q,0.8,1.6', '3,r,0.2,3', '3,s,0.6,1', '3,t,5,6']
        (self.root / 'labels.csv').write_text('\n'.join(['clip,part,from,to', *rows, '']), encoding='utf-8')
        config = self.config(self.root, {'{clip}/{part}/{frame:03d}.png': 'frames: {}'}, source=SOURCE, more=f'tables:\n{CUT}')
        for command in (['check'], ['check'], ['check', '--media'], ['index'], ['index']):  # what is kept is told again
            said = harness.corpusfs(*command, config, check=1).stdout
            if 'check' in command:
                self.assertIn(f'{config}: 3 problems\n', said)
            self.assertEqual(sorted(line for line in said.splitlines() if 'past its end' in line),
                             [f'{self.root}/labels.csv:{line}: {clip}.mp4: from {times} goes past its end at 1.000 s: cut off there'
                              for line, clip, times in ((3, 'a/1', '0.800 s to 1.600 s'), (4, 'b/3', '0.200 s to 3.000 s'),
                                                        (6, 'b/3', '5.000 s to 6.000 s'))])
            self.assertIn('3 clips go past the end of their video\n', said)
        with self.mount(config, allowed=['goes past its end', 'b/3.mp4']) as mount:
            expected = {'1/p': 10, '1/q': 5, '3/r': 20, '3/s': 10, '3/t': 0}
            self.assertEqual({path: len(os.listdir(mount.path / path)) for path in self.shuffled(expected)}, expected)
            figures = json.loads(harness.corpusfs('status', '--json', mount.path, check=0).stdout)
            self.assertEqual((figures['past_end'], figures['failed'], figures['left_out']), (3, 0, 0))
            self.assertEqual(figures['jobs_index'], 0)
            self.assertIn('past end  3 clips that end after their source (corpusfs check tells which)\n',
                          harness.corpusfs('status', mount.path, check=0).stdout)
            self.mend(mount, rows)
        shutil.rmtree(self.root / 'b')
        (self.root / 'labels.csv').write_text('clip,part,from,to\n1,p,0,0.4\n', encoding='utf-8')
        harness.corpusfs('check', config, check=0)
        harness.corpusfs('index', config, check=0)

    def test_on_a_terminal(self):
        """Lines take the place of the bar that may stand there."""
        self.make_videos()
        (self.root / 'labels.csv').write_text('clip,part,from,to\n1,p,0,9\n', encoding='utf-8')
        config = self.config(self.root, {'{clip}/{part}': 'text: x'}, source=SOURCE, more=f'tables:\n{CUT}')
        ours, theirs = pty.openpty()
        done = subprocess.run([harness.CORPUSFS, 'check', config], stdout=theirs, stderr=theirs, check=False,
                              timeout=harness.PATIENCE, env=harness.environment())
        os.close(theirs)
        said = os.read(ours, 1 << 16).decode()
        os.close(ours)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f'\r\x1b[K{self.root}/labels.csv:2: ', said)
        self.assertRegex(said, rf'(\r\x1b\[K|\n){re.escape(str(config))}: source at line')

    def mend(self, mount, rows):
        """Rows and videos that are put right under the mount count no more."""
        def past_end(rows, frames):
            try:
                for clip in rows:
                    os.listdir(mount.path / clip)
                return [len(os.listdir(mount.path / clip)) for clip in rows] == frames and mount.stats()['past_end']
            except OSError:  # it changes just now
                return None
        (self.root / 'labels.csv').write_text('\n'.join(['clip,part,from,to', rows[0], '1,q,0.8,1', *rows[2:], '']),
                                              encoding='utf-8')
        harness.wait_until('the row', lambda: past_end(['1/q', '3/r', '3/t'], [5, 20, 0]) == 2)
        (self.root / 'labels.csv').write_text('\n'.join(['clip,part,from,to', *rows, '']), encoding='utf-8')
        harness.wait_until('the row as it was', lambda: past_end(['1/q', '3/r', '3/t'], [5, 20, 0]) == 3)
        clips.ffmpeg(*clips.picture(seconds=7), *clips.X264, self.home / 'longer.mp4')
        os.replace(self.home / 'longer.mp4', self.root / 'b/3.mp4')
        harness.wait_until('the longer video', lambda: past_end(['1/q', '3/r', '3/t'], [5, 70, 25]) == 1)

    def test_many_past_the_end(self):
        """The first ones are told, all are counted."""
        self.make_videos()
        rows = ''.join(f'{i % 2 + 1},p{i},0.5,{i + 2}\n' for i in range(50))
        (self.root / 'labels.csv').write_text(f'clip,part,from,to\n{rows}', encoding='utf-8')
        config = self.config(self.root, {'{clip}/{part}': 'text: x'}, source=SOURCE, more=f'tables:\n{CUT}')
        said = harness.corpusfs('check', config, check=1).stdout
        self.assertEqual(said.count('past its end'), 20)
        self.assertIn(f'{config}: 50 clips go past the end of their video\n', said)
        self.assertIn(f'{config}: 50 problems\n', said)

    def test_what_is_cut_is_demuxed(self):
        """And nothing else: videos that no row cuts may be broken, and without a cut there is not even a cache."""
        self.make_videos()
        (self.root / 'a/2.mp4').write_bytes(b'no video')
        (self.root / 'labels.csv').write_text('clip,label\n1,joy\n2,joy\n3,sad\n4,sad\n', encoding='utf-8')
        harness.corpusfs('check', self.config(self.root, {'{clip}': 'text: x'}, source=SOURCE, more=f'tables:\n{TABLE}'),
                         check=0)
        self.assertFalse(self.cache.exists())
        (self.root / 'labels.csv').write_text('clip,part,from,to\n1,p,0,0.4\n', encoding='utf-8')
        views = {'{clip}/{frame:03d}.png': 'frames: {}'}
        config = self.config(self.root, views, source=SOURCE, more='tables:\n' + CUT.replace('cut: ', 'join: left, cut: '))
        said = harness.corpusfs('check', config, check=0).stdout
        self.assertIn('4 clips', said)
        self.assertIn('a/2.mp4: ', harness.corpusfs('check', '--media', config, check=1).stdout)
        (self.root / 'labels.csv').write_text('clip,part,from,to\n1,p,0,0.4\n2,q,0,0.4\n', encoding='utf-8')
        said = harness.corpusfs('check', config, check=1).stdout
        self.assertIn('a/2.mp4: ', said)
        self.assertIn(f'{config}: 1 problems\n', said)


if __name__ == '__main__':
    harness.main()
