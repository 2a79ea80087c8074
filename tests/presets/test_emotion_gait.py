#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset emotion-gait: arrays that are mapped, and pickles of names and labels in their order, as BPM-GCN reads them."""
import csv
import io
import pickle
import sys
from pathlib import Path

import h5py
import numpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import presets

N = {'train': 23, 'test': 5}


def name_of(split, i):
    """Names sort as their numbers do."""
    return f'{split}_{i + 1}_{presets.ODD_NAMES[i % len(presets.ODD_NAMES)]}'


def make(root):
    """{split: {gait: ((T, 48), label)}}; some gaits are too long, some too short, some in a group of their own."""
    made, rows = {}, []
    generator = numpy.random.default_rng(1)
    (root / 'BPM_GCN').mkdir(parents=True)
    with h5py.File(root / 'features.h5', 'w') as features, h5py.File(root / 'labels.h5', 'w') as labels:
        for split, n in N.items():
            made[split] = {}
            for i in range(n):
                name = name_of(split, i)
                values = generator.standard_normal(((48, 48, 60, 31)[i % 4], 48)).astype('<f8' if i % 2 else '<f4')
                features[f'{name}/data' if i % 3 else name] = values
                labels[f'{name}/label' if i % 5 else name] = (i % 4, float(i % 4), [i % 4], numpy.uint8(i % 4))[i % 7 % 4]
                made[split][name] = (values, i % 4)
                rows.append((name, split))
            numpy.save(root / f'BPM_GCN/{split}_movement.npy', generator.standard_normal((n, 8, 48, 16, 1)))
            numpy.save(root / f'BPM_GCN/{split}_affective.npy', generator.standard_normal((n, 1488)))
    table = io.StringIO()
    csv.writer(table).writerows([('gait', 'split'), *reversed(rows)])
    presets.write(root / 'splits.csv', table.getvalue())
    presets.write(root / f'BPM_GCN/{presets.ODD_NAMES[3]}.npy', b'of the user')
    return made


class EmotionGait(presets.Case):
    preset = 'emotion-gait'

    def walk(self, tree, split, made):
        with open(tree / f'BPM_GCN/{split}_label.pkl', 'rb') as file:
            names, labels = pickle.load(file)
        self.assertEqual(names, [name_of(split, i) for i in range(N[split])])
        self.assertEqual(labels, [made[name][1] for name in names])
        joint = numpy.load(tree / f'BPM_GCN/{split}_joint.npy', mmap_mode='r')
        self.assertEqual((joint.shape, joint.dtype), ((N[split], 3, 48, 16, 1), numpy.float32))
        for i in self.shuffled(range(N[split])):
            rows = numpy.zeros((48, 48))
            values = made[names[i]][0][:48]
            rows[:len(values)] = values
            numpy.testing.assert_array_equal(joint[i, ..., 0], rows.astype('<f4').reshape(48, 16, 3).transpose(2, 0, 1))
        for part in ('movement', 'affective'):
            array = numpy.load(tree / f'BPM_GCN/{split}_{part}.npy', mmap_mode='r')
            numpy.testing.assert_array_equal(array, numpy.load(self.root / f'BPM_GCN/{split}_{part}.npy'))

    def test_walk(self):
        made = make(self.root)
        with self.mounted() as tree:
            self.assert_names(tree / 'BPM_GCN', [f'{split}_{part}' for split in N for part in
                                                 ('joint.npy', 'label.pkl', 'movement.npy', 'affective.npy')]
                              + [f'{presets.ODD_NAMES[3]}.npy'])
            for split in N:
                self.walk(tree, split, made[split])


if __name__ == '__main__':
    presets.main()
