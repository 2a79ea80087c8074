#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset dmver: lists of `path , label`, whose arrays are mapped; a text a video."""
import csv
import subprocess
import sys
import unittest
from pathlib import Path

import cv2
import numpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness, presets

KINDS = ('short.mp4', 'tiny.mp4', 'silent.mp4', 'other.mp4', 'short.mp4', 'tiny.mp4')
LABELS = ('happy', 'sad', '惊讶')
N = 79


def make(root):
    """{id: (kind, split, label, text)}; one video has no row."""
    made = {}
    for i, name in enumerate(presets.ODD_NAMES):
        made[name] = (KINDS[i], ('train', 'val', 'test')[i % 3], LABELS[i % 2 + i // 4],
                      ('今天，很高兴', 'He said "no", twice', '')[i % 3])
        presets.put(root / f'videos/{name}.mp4', KINDS[i])
    presets.put(root / 'videos/spare.mp4', 'tiny.mp4')
    with open(root / 'dmver.csv', 'w', encoding='utf-8-sig', newline='') as file:
        table = csv.writer(file)
        table.writerow(['id', 'text', 'label', 'split'])
        table.writerows([name, text, label, split] for name, (_, split, label, text) in made.items())
    return made


def frames(kind):
    """The 79 that are taken, (79, 224, 224, 3)."""
    out = subprocess.run(['ffmpeg', '-nostdin', '-v', 'fatal', '-i', str(presets.video(kind)), '-vf', 'scale=224:224',
                          '-pix_fmt', 'rgb24', '-f', 'rawvideo', '-'], stdout=subprocess.PIPE, check=True).stdout
    every = numpy.frombuffer(out, numpy.uint8).reshape(-1, 224, 224, 3)
    return every[numpy.linspace(0, len(every) - 1, N).astype(int)]


@unittest.skipUnless((harness.BUILD / 'corpusfs-decoder-flow').exists(), 'this build has no optical flow')
class Dmver(presets.Case):
    preset = 'dmver'

    def read_list(self, tree, part):
        rows = {}
        for split in ('train', 'val', 'test'):
            with open(tree / f'annotation/{split}_{part}.txt', encoding='utf-8') as file:
                for line in file:
                    path, label = line.strip().split(' , ')
                    self.assertEqual(path.split('/')[0], split)
                    rows[path] = label
        return rows

    def test_walk(self):
        made = make(self.root)
        with self.mounted() as tree:
            self.assertIn('1 clips have no row', self.said)
            self.assert_names(tree, ['annotation', 'train', 'val', 'test'])
            rgb, flow = self.read_list(tree, 'rgb'), self.read_list(tree, 'flow')
            for part, listed, end in (('RGB', rgb, 'rgb'), ('Flow', flow, 'flow')):
                self.assertEqual(listed, {f'{split}/{part}/{label}/{name}_{end}.npy': label
                                          for name, (_, split, label, _) in made.items()})
            truth = {kind: frames(kind) for kind in set(KINDS)}
            for path in self.shuffled(rgb):
                name = path.rpartition('/')[2].removesuffix('_rgb.npy')
                kind, split, label, text = made[name]
                self.check_rgb(tree / path, truth[kind])
                self.assertEqual((tree / split / 'Text' / label / f'{name}.txt').read_bytes().decode(), text)
            self.check_flow(tree / self.random.choice(list(flow)), made, truth)

    def check_rgb(self, path, truth):
        array = numpy.load(path, mmap_mode='r')
        self.assertEqual((array.shape, array.dtype), ((3, N, 224, 224), numpy.uint8))
        numpy.testing.assert_array_equal(array, truth.transpose(3, 0, 1, 2))

    def check_flow(self, path, made, truth):
        array = numpy.load(path, mmap_mode='r')
        self.assertEqual((array.shape, array.dtype), ((2, N - 1, 224, 224), numpy.int8))
        pictures = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in truth[made[path.name.removesuffix('_flow.npy')][0]]]
        k = next(k for k in range(N - 1) if (pictures[k] != pictures[k + 1]).any())
        found = cv2.optflow.DualTVL1OpticalFlow_create().calc(pictures[k], pictures[k + 1], None)
        expected = numpy.rint(numpy.clip(found, -15, 15)).transpose(2, 0, 1)
        self.assertTrue(expected.any())
        difference = numpy.abs(array[:, k].astype(int) - expected)
        self.assertLessEqual(difference.max(), 1)
        self.assertLess((difference > 0).mean(), 0.01)


if __name__ == '__main__':
    presets.main()
