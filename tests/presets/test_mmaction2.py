#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset mmaction2: lists of `folder total label`, and img_00001.jpg to that total in each folder, by name alone."""
import re
import subprocess
import sys
import unittest
from pathlib import Path

import cv2
import numpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness, presets

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

    @unittest.skipUnless((harness.BUILD / 'corpusfs-decoder-flow').exists(), 'this build has no optical flow')
    def test_flow(self):
        """The views of the page, with optical flow beside the frames: flow_x_00001.jpg and so on, one fewer."""
        page = (Path(__file__).parents[2] / 'docs/presets/mmaction2.md').read_text(encoding='utf-8')
        views = re.search(r'^    views:\n(?:    .*\n)+', page, re.MULTILINE)[0]
        presets.put(self.root / 'jump/x 1.mp4', 'tiny.mp4')
        out = subprocess.run(['ffmpeg', '-nostdin', '-v', 'fatal', '-i', str(presets.video('tiny.mp4')), '-pix_fmt', 'rgb24',
                              '-f', 'rawvideo', '-'], stdout=subprocess.PIPE, check=True).stdout
        grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in numpy.frombuffer(out, numpy.uint8).reshape(-1, 48, 64, 3)]
        with self.mounted(re.sub('^    ', '', views, flags=re.MULTILINE)) as tree:
            self.assertEqual((tree / 'list_rawframes.txt').read_text(encoding='utf-8'), f'jump/x 1 {len(grey)} 0\n')
            home = tree / 'rawframes/jump/x 1'
            names = [f'flow_{part}_{i:05}.jpg' for part in 'xy' for i in range(1, len(grey))]
            self.assert_names(home, names + [f'img_{i:05}.jpg' for i in range(1, len(grey) + 1)])
            i = self.random.randrange(1, len(grey))
            found = cv2.optflow.DualTVL1OpticalFlow_create().calc(grey[i - 1], grey[i], None)
            for k, part in enumerate('xy'):
                picture = cv2.imread(str(home / f'flow_{part}_{i:05}.jpg'), cv2.IMREAD_GRAYSCALE)
                expected = numpy.rint((numpy.clip(found[..., k], -20, 20) + 20) * 255 / 40)
                self.assertLess(numpy.abs(picture - expected).mean(), 2)


if __name__ == '__main__':
    presets.main()
