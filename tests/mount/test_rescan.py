#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The corpus is scanned again while it is mounted: what is as it was stays the same file, and what is not is another.

The videos are never opened.
"""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness

MORE = 'tables:\n  - { file: cuts.csv, key: clip, cut: { start: from, end: to } }\n'


class Rescan(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        self.root.mkdir()
        self.settings = self.config(self.root, {'{clip}/{id}': 'text: "{id} {label}"'}, more=MORE,
                                    source='- videos: "*.mp4"\n    match: "^(?<clip>[^/]+)[.]mp4$"')

    def write(self, rows):
        """{(clip, id): (start, end, label)}, in any order."""
        for clip in {clip for clip, _ in rows}:
            if not (self.root / f'{clip}.mp4').exists():
                (self.root / f'{clip}.mp4').touch()
        lines = [f'{clip},{name},{start},{end},{label}\n' for (clip, name), (start, end, label) in self.shuffled(rows.items())]
        (self.home / 'new').write_text('clip,id,from,to,label\n' + ''.join(lines), encoding='ascii')
        os.rename(self.home / 'new', self.root / 'cuts.csv')

    def rescan(self, mount):
        scans = mount.log().count('scanned again')
        harness.corpusfs('index', self.settings)
        harness.wait_until('the scan', lambda: mount.log().count('scanned again') > scans)

    def look(self, mount, rows):
        """Checks that there are these files, and returns their inode numbers."""
        self.assertEqual(mount.files(), sorted(f'{clip}/{name}' for clip, name in rows))
        for (clip, name), (_, _, label) in self.shuffled(rows.items()):
            self.assertEqual((mount.path / clip / name).read_text(encoding='ascii'), f'{name} {label}')
        return {key: (mount.path / key[0] / key[1]).stat().st_ino for key in rows}

    def test_numbers(self):
        """Parts of a few videos, which have begin or end in common, in another order each time."""
        rows = {(f'v{v}', f'{start}-{end}'): (start, end, 'x') for v in range(3) for start in range(8) for end in range(8, 14)}
        self.write(rows)
        with self.mount(self.settings) as mount:
            first = self.look(mount, rows)
            self.write(rows)
            self.rescan(mount)
            self.assertEqual(self.look(mount, rows), first)
            changed = dict(rows)
            changed['v1', '3-9'] = (3, 9.5, 'x')
            changed['v1', '4-9'] = (4.5, 9, 'x')
            changed['v2', '4-9'] = (4, 9, 'y')
            del changed['v0', '7-8']
            changed['v0', 'more'] = (7, 8, 'z')
            self.write(changed)
            self.rescan(mount)
            second = self.look(mount, changed)
            kept = {key for key, number in second.items() if first.get(key) == number}
            self.assertEqual(kept, set(rows) - {('v1', '3-9'), ('v1', '4-9'), ('v2', '4-9'), ('v0', '7-8')})
            self.assertEqual(len(set(first.values()) | set(second.values())), len(rows) + 4)
            self.write(rows)
            self.rescan(mount)
            self.look(mount, rows)

    def test_one_line(self):
        """A video that changes is told once, and not for each of its parts."""
        rows = {(clip, f'{i:02}'): (i, i + 1, 'x') for clip in 'vw' for i in range(50)}
        self.write(rows)
        with self.mount(self.settings) as mount:
            for turn in range(1, 4):
                self.look(mount, rows)
                for clip in 'vw':
                    (self.root / f'{clip}.mp4').write_bytes(b'x' * turn)
                    said = f'{clip}.mp4: changed while mounted'
                    harness.wait_until('the change', lambda s=said, t=turn: mount.log().count(s) >= t)
                self.rescan(mount)
            for clip in 'vw':
                self.assertEqual(mount.log().count(f'{clip}.mp4: changed while mounted'), 3)

    def test_crowded(self):
        """As many parts of one video with one begin: each is looked for in a place of its own."""
        rows = {('v', f'{end:06}'): (0, end, 'x') for end in range(1, 100_001)}
        self.write(rows)
        with self.mount(self.settings) as mount:
            names = set(os.listdir(mount.path / 'v'))
            self.assertEqual(len(names), len(rows))
            before = {name: (mount.path / 'v' / name).stat().st_ino for name in self.random.sample(sorted(names), 200)}
            self.write(rows)
            self.rescan(mount)
            self.assertEqual({name: (mount.path / 'v' / name).stat().st_ino for name in before}, before)


harness.main()
