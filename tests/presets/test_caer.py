#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset caer, read by loaders that list each clip's folder and take every entry for a frame."""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import presets

CLASSES = ('Anger', 'Disgust', 'Fear', 'Happy', 'Neutral', 'Sad', 'Surprise')
KINDS = ('short.avi', 'wide.avi')


def make(root, below='CAER'):
    """{(split, class, clip): kind}"""
    made = {}
    for i, label in enumerate(CLASSES):
        split, clip = ('train', 'validation', 'test')[i % 3], f'{i + 1:04d}'
        presets.put(root / below / split / label / f'{clip}.avi', KINDS[i % 2])
        made[split, label, clip] = KINDS[i % 2]
    for name in presets.ODD_NAMES:
        presets.put(root / below / 'train/Anger' / f'{name}.avi', 'short.avi')
        made['train', 'Anger', name] = 'short.avi'
    presets.write(root / below / 'train/._Anger', b'\0\5\x16\7')
    presets.write(root / below / 'readme.txt', 'CAER')
    return made


class Caer(presets.Case):
    preset = 'caer'

    def walk(self, tree, made):
        self.assert_names(tree, ['train', 'validation', 'test'])
        for split in ('train', 'validation', 'test'):
            self.assert_names(tree / split, {label for s, label, _ in made if s == split})
        for (split, label, clip), kind in self.shuffled(made.items())[:6]:
            home = tree / split / label / clip
            self.assertGreaterEqual(os.path.getsize(home), 1024)
            self.assert_frames([home / name for name in sorted(os.listdir(home))], kind)

    def test_walk(self):
        made = make(self.root)
        with self.mounted() as tree:
            self.walk(tree, made)

    def test_no_folder_above(self):
        made = make(self.root, '.')
        with self.mounted() as tree:
            self.walk(tree, made)


if __name__ == '__main__':
    presets.main()
