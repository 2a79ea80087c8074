#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset mmaction2: lists of `folder total label`, and img_00001.jpg to that total in each folder, by name alone."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import presets

KINDS = ('short.mp4', 'short.webm', 'tiny.mp4', 'short.avi', 'silent.mp4', 'other.mp4')
CLASSES = ('ApplyEyeMakeup', 'archery', 'jump & run', '跳舞')


def make(root, splits=('',)):
    """{(split, class, clip): kind}. A line of a list is divided at its spaces, from the end."""
    made = {}
    for k, split in enumerate(splits):
        for i, name in enumerate(presets.ODD_NAMES):
            label, kind = CLASSES[(i + k) % len(CLASSES)], KINDS[(i + k) % len(KINDS)]
            presets.put(root / split / label / f'{name}{Path(kind).suffix}', kind)
            made[split, label, name] = kind
    return made


class Mmaction2(presets.Case):
    preset = 'mmaction2'

    def walk(self, tree, name, folder, made):
        rows = [line.rsplit(' ', 2) for line in (tree / name).read_text(encoding='utf-8').splitlines()]
        self.assertEqual({path for path, _, _ in rows}, {f'{label}/{clip}' for label, clip in made})
        for path, total, number in self.shuffled(rows):
            label, clip = path.split('/')
            self.assertEqual(CLASSES[int(number)], label)
            home = tree / folder / path
            self.assert_frames([home / f'img_{i:05}.jpg' for i in range(1, int(total) + 1)], made[label, clip])
            self.assertFalse((home / f'img_{int(total) + 1:05}.jpg').exists())

    def test_walk(self):
        made = make(self.root)
        with self.mounted() as tree:
            self.assert_names(tree, ['list_rawframes.txt', 'rawframes'])
            self.walk(tree, 'list_rawframes.txt', 'rawframes', {key[1:]: kind for key, kind in made.items()})

    def test_splits(self):
        made = make(self.root, ('train', 'val'))
        with self.mounted() as tree:
            self.assert_names(tree, ['train_list_rawframes.txt', 'val_list_rawframes.txt', 'rawframes_train', 'rawframes_val'])
            for split in ('train', 'val'):
                self.walk(tree, f'{split}_list_rawframes.txt', f'rawframes_{split}',
                          {key[1:]: kind for key, kind in made.items() if key[0] == split})


if __name__ == '__main__':
    presets.main()
