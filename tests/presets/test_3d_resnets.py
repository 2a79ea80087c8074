#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset 3d-resnets: an annotation file of clips by name, n_frames in each folder, and image_00001.jpg to there."""
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import presets

KINDS = ('short.mp4', 'short.webm', 'tiny.mp4', 'short.avi', 'silent.mp4', 'other.mp4')
CLASSES = ('brush_hair', 'jump & "run"', '跳舞')
SUBSETS = {'train': 'training', 'val': 'validation', 'test': 'testing'}


def make(root):
    """{(split, class, clip): kind}."""
    made = {}
    for i, name in enumerate(presets.ODD_NAMES):
        split, label = tuple(SUBSETS)[i // 2], CLASSES[i % 3]
        presets.put(root / split / label / f'{name}{Path(KINDS[i]).suffix}', KINDS[i])
        made[split, label, name] = KINDS[i]
    return made


class ThreeDResnets(presets.Case):
    preset = '3d-resnets'

    def test_walk(self):
        made = make(self.root)
        with self.mounted() as tree:
            self.assert_names(tree, ['annotation.json', 'jpg'])
            with open(tree / 'annotation.json', encoding='utf-8') as file:
                data = json.load(file)
            numbers = {label: i for i, label in enumerate(data['labels'])}
            self.assertEqual(list(numbers), sorted(CLASSES))
            self.assertEqual(set(data['database']), {clip for _, _, clip in made})
            for clip, entry in self.shuffled(data['database'].items()):
                label = entry['annotations']['label']
                split = {subset: split for split, subset in SUBSETS.items()}[entry['subset']]
                self.assertIn(label, numbers)
                home = tree / 'jpg' / label / clip
                n = int(open(home / 'n_frames', encoding='ascii').read())
                self.assertEqual(entry['annotations']['segment'], [1, n + 1])
                self.assert_frames([home / f'image_{i:05d}.jpg' for i in range(1, n + 1)], made[split, label, clip])
                self.assert_names(home, ['n_frames', *(f'image_{i:05d}.jpg' for i in range(1, n + 1))])

    def test_no_splits(self):
        """All are for training then."""
        for (_, label, clip), kind in make(self.home / 'elsewhere').items():
            presets.put(self.root / label / f'{clip}{Path(kind).suffix}', kind)
        with self.mounted('n_frames: false\n') as tree:
            data = json.loads((tree / 'annotation.json').read_text(encoding='utf-8'))
            self.assertEqual({e['subset'] for e in data['database'].values()}, {'training'})
            self.assertFalse(list(tree.glob('jpg/*/*/n_frames')))


if __name__ == '__main__':
    presets.main()
