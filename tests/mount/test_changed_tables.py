#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tables that change under the mount: what is in them shows, without `corpusfs index`; a broken one changes nothing.

The videos are never opened.
"""
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness

CLIPS = ('1', '2', '3')
SOURCE = "- videos: '*.mp4'"
CSV = '  - { file: labels.csv, key: clip }\n'
ROWS = {'1': 'joy', '2': 'sad'}
KEPT = 'it was without mistakes when the tree was made, which stays as it is until they are mended'
GONE = 'a table is gone that was there when the tree was made, which stays as it is until it is back'


def as_csv(rows):
    return 'clip,label\n' + ''.join(f'{clip},{label}\n' for clip, label in rows.items())


def as_json(rows):
    return json.dumps([{'clip': clip, 'label': label} for clip, label in rows.items()])


class ChangedTables(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        self.root.mkdir()
        for clip in CLIPS:
            (self.root / f'{clip}.mp4').touch()

    def write(self, text, name='labels.csv'):
        """In place: the file stays the same one."""
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / name).write_text(text, encoding='utf-8')

    def replace(self, text, name='labels.csv'):
        """As most editors save."""
        (self.root / f'{name}.new').write_text(text, encoding='utf-8')
        os.replace(self.root / f'{name}.new', self.root / name)

    def mount_tables(self, tables, more='', allowed=()):
        config = self.config(self.root, {'{label}/{clip}': 'text: "{clip} is {label}"'}, source=SOURCE,
                             more=f'tables:\n{tables}{more}')
        return self.mount(config, allowed=['have no row', *allowed])

    def assert_becomes(self, mount, rows):
        """By listing, and by all names that there could be, which were asked for before."""
        def shown():
            try:
                return {f'{label}/{clip}': (mount.path / label / clip).read_text() for label in ('joy', 'sad', 'fear')
                        for clip in CLIPS if (mount.path / label / clip).exists()}, mount.files()
            except OSError:  # it changes just now
                return None
        texts = {f'{label}/{clip}': f'{clip} is {label}' for clip, label in rows.items()}
        harness.wait_until(f'{rows}', lambda: shown() == (texts, sorted(texts)))

    def status(self, mount):
        return json.loads(harness.corpusfs('status', '--json', mount.path, check=0).stdout)

    def test_rows(self):
        """Added, changed and removed, of a table that is written in place and of one that is replaced."""
        for write in (self.write, self.replace):
            with self.subTest(write.__name__):
                self.write(as_csv(ROWS))
                with self.mount_tables(CSV) as mount:
                    self.assert_becomes(mount, ROWS)
                    self.assertEqual(self.status(mount)['left_out'], 1)
                    for rows in (ROWS | {'3': 'joy'}, {'1': 'fear', '2': 'sad', '3': 'joy'}, {'2': 'joy', '3': 'joy'}, ROWS):
                        write(as_csv(rows))
                        self.assert_becomes(mount, rows)
                    with open(self.root / 'labels.csv', 'a', encoding='utf-8') as table:
                        table.write('3,sad\n')
                    self.assert_becomes(mount, ROWS | {'3': 'sad'})
                    self.assertEqual(self.status(mount)['left_out'], 0)

    def test_texts_beside_videos(self):
        """A file a clip, and two tables at once."""
        tables = '  - { lines: "*.txt", match: "(?<label>.+)", key: clip, path: "(?<clip>.*)[.]txt" }\n'
        for clip, label in ROWS.items():
            self.write(label, f'{clip}.txt')
        with self.mount_tables(tables) as mount:
            self.assert_becomes(mount, ROWS)
            self.write('fear', '1.txt')
            self.write('joy', '2.txt')
            self.assert_becomes(mount, {'1': 'fear', '2': 'joy'})
            (self.root / '1.txt').unlink()  # others are there yet
            self.assert_becomes(mount, {'2': 'joy'})
            self.write('sad', '1.txt')
            self.assert_becomes(mount, {'1': 'sad', '2': 'joy'})

    def test_broken(self):
        """The tree stays while a table has mistakes, and status and the log tell so; mended, it counts."""
        whole = as_json(ROWS)
        self.write(whole, 'labels.json')
        with self.mount_tables('  - { file: labels.json, key: clip }\n', allowed=['labels.json']) as mount:
            self.assert_becomes(mount, ROWS)
            self.write(whole[:-20], 'labels.json')
            harness.wait_until('the log', lambda: f'{self.root}/labels.json: {KEPT}' in mount.log())
            self.assertIn(f'{self.root}/labels.json:1: not JSON', mount.log())
            self.assert_becomes(mount, ROWS)
            figures = self.status(mount)
            self.assertEqual((figures['problems'], figures['left_out']), (1, 1))
            (self.root / '3.mp4').unlink()
            harness.corpusfs('index', mount.config)  # that does not make it whole
            harness.wait_until('a second line', lambda: mount.log().count(KEPT) == 2)
            self.assert_becomes(mount, ROWS)
            rows = {'1': 'sad', '2': 'sad'}
            self.write(as_json(rows), 'labels.json')
            self.assert_becomes(mount, rows)
            self.assertEqual(self.status(mount)['problems'], 0)

    def test_broken_from_the_start(self):
        """Of a table that had mistakes at the mount, the rest was used; so it is when it changes and has some yet."""
        self.write('clip,label\n1,joy\n2\n')
        with self.mount_tables(CSV, allowed=['the row has 1 cells']) as mount:
            self.assert_becomes(mount, {'1': 'joy'})
            self.write('clip,label\n1,sad\n2\n3,joy\n')
            self.assert_becomes(mount, {'1': 'sad', '3': 'joy'})
            self.assertNotIn(KEPT, mount.log())

    def test_gone(self):
        self.write(as_csv(ROWS))
        with self.mount_tables(CSV, allowed=['no file below', 'nothing gives the field', GONE]) as mount:
            self.assert_becomes(mount, ROWS)
            (self.root / 'labels.csv').unlink()
            harness.wait_until('the log', lambda: f'{self.root}: {GONE}' in mount.log())
            self.assert_becomes(mount, ROWS)
            rows = {'2': 'joy'}
            self.write(as_csv(rows))
            self.assert_becomes(mount, rows)

    def test_optional_gone(self):
        """Without a table that may lack, clips are as if it had never been there."""
        self.write(as_csv(ROWS))
        tables = '  - { file: labels.csv, key: clip, join: left, optional: true }\n'
        fields = 'fields: { label: { of: label, default: fear } }\n'
        with self.mount_tables(tables, fields) as mount:
            self.assert_becomes(mount, ROWS | {'3': 'fear'})
            (self.root / 'labels.csv').unlink()
            self.assert_becomes(mount, {clip: 'fear' for clip in CLIPS})
            self.write(as_csv(ROWS))
            self.assert_becomes(mount, ROWS | {'3': 'fear'})

    def test_where_inotify_is_blind(self):
        """The sweep sees what is behind a link."""
        elsewhere = self.home / 'elsewhere.csv'
        elsewhere.write_text(as_csv(ROWS), encoding='utf-8')
        (self.root / 'labels.csv').symlink_to(elsewhere)
        with self.mount_tables(CSV, 'refresh: 1s\n') as mount:
            self.assert_becomes(mount, ROWS)
            rows = {'1': 'sad', '3': 'fear'}
            elsewhere.write_text(as_csv(rows), encoding='utf-8')
            self.assert_becomes(mount, rows)

    def test_in_a_merged_root(self):
        other = self.home / 'other'
        other.mkdir()
        (other / 'labels.csv').write_text(as_csv(ROWS), encoding='utf-8')
        with self.mount_tables(CSV.replace('labels.csv', 'Other/labels.csv'), f'roots: {{ Other: "{other}" }}\n') as mount:
            self.assert_becomes(mount, ROWS)
            rows = {'1': 'sad', '3': 'fear'}
            (other / 'labels.csv').write_text(as_csv(rows), encoding='utf-8')
            self.assert_becomes(mount, rows)

    def test_many_writes(self):
        """A table that grows row by row is read now and then, and in the end as it is."""
        self.write(as_csv({}))
        with self.mount_tables(CSV, allowed=['labels.csv']) as mount:
            rows = {}
            with open(self.root / 'labels.csv', 'a', encoding='utf-8') as table:
                for clip in CLIPS:
                    for part in (clip, ',', 'jo', 'y\n'):
                        table.write(part)
                        table.flush()
                        mount.files()
                    rows[clip] = 'joy'
            self.assert_becomes(mount, rows)


if __name__ == '__main__':
    harness.main()
