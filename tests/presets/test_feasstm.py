#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset feasstm: faces by a table of boxes, read as Emotion-FAN reads them."""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import presets

BOXES = ('32:24:0:0', '20:30:40:10', '40:40:5:3')  # w:h:x:y
CLIPS = {  # (split, label, kind, frames that have a face)
    presets.ODD_NAMES[0]: ('Train', 4, 'short.mp4', range(1, 21)),
    presets.ODD_NAMES[1]: ('Train', 1, 'other.mp4', [2, 3, 4, 9, 10, 20]),
    presets.ODD_NAMES[3]: ('Train', 7, 'tiny.mp4', [1, 5]),
    presets.ODD_NAMES[5]: ('Test', 6, 'short.avi', range(3, 18, 2)),
    'a.b': ('Test', 2, 'tiny.mp4', [8]),
}


def make(root):
    """The lists name clips with and without folders and extensions; a clip has no label."""
    rows = 'clip,frame,x,y,w,h\n'
    lists = {'Train': '', 'Test': ''}
    for i, (clip, (split, label, kind, frames)) in enumerate(CLIPS.items()):
        name = f'{clip}{Path(kind).suffix}'
        presets.put(root / 'V' / split / name, kind)
        lists[split] += f'{("", f"{split}/", f"V/{split}/")[i % 3]}{name if i % 2 else clip} {label}\n'
        for n in frames:
            w, h, x, y = BOXES[n % 3].split(':')
            rows += f'"{clip}",{n},{x},{y},{w},{h}\n'
    presets.put(root / 'V/Train/unlabelled.mp4', 'tiny.mp4')
    presets.write(root / 'faces.csv', rows)
    for split, lines in lists.items():
        presets.write(root / f'{split}.txt', lines)
    presets.write(root / 'ASA/ratings, 4 raters.csv', 'clip,a,b,c,d\nplain_01,1,2,3,4\n')


class Feasstm(presets.Case):
    preset = 'feasstm'

    def test_walk(self):
        """The list, then every entry of each folder, sorted: faces alone, as many as the table has, in order."""
        make(self.root)
        views = [presets.oracle.View('cfr', 'jpg', '100:100', crop) for crop in BOXES]
        with self.mounted() as tree:
            self.assert_names(tree, ['FAF', 'V', 'ASA'])
            for split in ('Train', 'Test'):
                with open(tree / 'FAF' / f'{split}.txt', encoding='utf-8') as file:
                    rows = dict(line.rstrip('\n').rsplit(' ', 1) for line in file)
                self.assertEqual(rows, {f'{split}/{clip}': str(c[1]) for clip, c in CLIPS.items() if c[0] == split})
                for path in self.shuffled(rows):
                    clip = path.partition('/')[2]
                    _, _, kind, frames = CLIPS[clip]
                    names = sorted(os.listdir(tree / 'FAF' / path))
                    self.assertEqual(names, [f'{i + 1:07d}.jpg' for i in range(len(frames))])
                    self.assert_names(tree / 'FAF' / path, names)
                    for name, n in self.shuffled(zip(names, frames))[:6]:
                        self.assert_frames([tree / 'FAF' / path / name], kind, views[n % 3], first=n, count=1)
            self.assert_names(tree / 'FAF', ['Train', 'Test', 'Train.txt', 'Test.txt'])
            self.assertIn('1 clips', self.said)
            for name in ('V/Test/a.b.mp4', 'ASA/ratings, 4 raters.csv'):
                self.assertEqual((tree / name).read_bytes(), (self.root / name).read_bytes())

    def test_options(self):
        """Another size; frames that are counted from 0."""
        make(self.root)
        text = (self.root / 'faces.csv').read_text(encoding='utf-8').splitlines()
        rows = [row.rsplit(',', 5) for row in text[1:]]
        presets.write(self.root / 'faces.csv', '\n'.join([text[0], *(','.join([r[0], str(int(r[1]) - 1), *r[2:]]) for r in rows)]))
        with self.mounted('options: { base: 0, size: "24:32" }\n') as tree:
            view = presets.oracle.View('cfr', 'jpg', '24:32', BOXES[2])
            self.assert_frames([tree / 'FAF/Test/a.b/0000001.jpg'], 'tiny.mp4', view, first=8, count=1)


if __name__ == '__main__':
    presets.main()
