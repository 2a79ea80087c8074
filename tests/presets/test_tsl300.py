#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset tsl300, read as the programs for temporal sentiment localization read it."""
import json
import sys
from pathlib import Path

import numpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import features, presets

SETS = {  # by split: the names that its list has, and the video of each
    'train': {'1_Ekman6_7': 'short.mp4', '2_VideoEmotion8_naïve, (real) & [uncut]': 'long.mp4', '10_Ekman6_情感': 'short.webm'},
    'test': {'3_Ekman6_a b': 'other.mp4', '4_VideoEmotion8_x-_y': 'long.mp4'},
}
SETS['train'] |= {f'{i + 20}_Ekman6_{name}': 'tiny.mp4' for i, name in enumerate(presets.ODD_NAMES)}
EXTRA = {'gt.json': b'{"3_Ekman6_a b": [[0.5, 1.5, 1]]}', 'fps_dict.json': b'{"3_Ekman6_a b": 10}', 'time.json': b'{}',
         'videosenti_gt.json': b'{}', 'point_gaussian/point_labels.csv': b'video_id,class\n'}


def make(root, listed=True):
    """Videos in one folder and lists of names, or a folder for each split; rgb features of the user's own extractor."""
    for split, names in SETS.items():
        for name, kind in names.items():
            presets.put(root / ('videos' if listed else f'videos/{split}') / f'{name}{Path(kind).suffix}', kind)
            path = root / 'features' / split / 'rgb' / f'{name}.npy'
            path.parent.mkdir(parents=True, exist_ok=True)
            numpy.save(path, numpy.arange(3 * 1024, dtype=numpy.float32).reshape(3, 1024))
        if listed:
            presets.write(root / f'split_{split}.txt', ''.join(f'{name}\n' for name in names))
    for name, data in EXTRA.items():
        presets.write(root / name, data)


class Tsl300(presets.Case):
    preset = 'tsl300'

    def walk(self, tree, split, name, kind):
        """Both arrays, mapped, cast to float32; two rows of sound a frame."""
        rgb = numpy.load(tree / 'features' / split / 'rgb' / f'{name}.npy', mmap_mode='r')
        self.assertEqual((rgb.shape, float(rgb[2, 1023])), ((3, 1024), 3071))
        mel = numpy.load(tree / 'features' / split / 'logmfcc' / f'{name}.npy', mmap_mode='r').astype(numpy.float32)
        rate = eval(features.FORMULA, {'fps': 10, 'int': int})  # the tests' own constant
        x = features.samples(presets.video(kind), rate, 1)[0]
        truth = features.logmel(x, rate, hop=1024, bands=60).T
        self.assertEqual(mel.shape, truth.shape)
        self.assertLess(abs(mel - truth).max(), 0.05)
        frames = {'long.mp4': 60, 'tiny.mp4': 8}.get(kind, 20)
        self.assertLessEqual(abs(len(mel) - 2 * frames), 4)

    def test_walk(self):
        make(self.root)
        with self.mounted() as tree:
            for split, names in SETS.items():
                listed = (tree / f'split_{split}.txt').read_text(encoding='utf-8').splitlines()
                self.assertEqual(listed, list(names))
                self.assert_names(tree / 'features' / split, ['rgb', 'logmfcc'])
                self.assert_names(tree / 'features' / split / 'logmfcc', [f'{name}.npy' for name in listed])
                for name in self.shuffled(listed):
                    self.walk(tree, split, name, names[name])
            for name, data in EXTRA.items():
                self.assertEqual((tree / name).read_bytes(), data)
            self.assertEqual(json.loads((tree / 'gt.json').read_bytes()), {'3_Ekman6_a b': [[0.5, 1.5, 1]]})

    def test_folders(self):
        """Without lists, the folders train and test tell."""
        make(self.root, listed=False)
        with self.mounted('options: { rate: 22050 }\n') as tree:
            for split, names in SETS.items():
                self.assert_names(tree / 'features' / split / 'logmfcc', [f'{name}.npy' for name in names])
            mel = numpy.load(tree / 'features/train/logmfcc/1_Ekman6_7.npy')
            sound = features.samples(presets.video('short.mp4'), 22050, 1)[0]
            self.assertEqual(mel.shape, (1 + len(sound) // 1024, 60))


if __name__ == '__main__':
    presets.main()
