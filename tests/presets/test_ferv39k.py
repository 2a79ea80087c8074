#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset ferv39k: its own lists of `scene/class/clip class`, and all files of a clip's folder."""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import presets

CLASSES = ('Angry', 'Disgust', 'Fear', 'Happy', 'Neutral', 'Sad', 'Surprise')
# (scene, class, clip): kind. The same number comes in several folders.
CLIPS = {('Action', 'Happy', '0267'): 'short.mp4', ('Interview', 'Happy', '0267'): 'other.mp4',
         ('Interview', 'Neutral', '0001'): 'tiny.mp4', ('Conflict', 'Angry', '0305'): 'silent.mp4',
         ('DailyLife', 'Sad', '1000'): 'short.mp4'}
CLIPS |= {(f'{name} I', 'Fear', name): 'tiny.mp4' for name in presets.ODD_NAMES}
TRAIN = list(CLIPS)[:9]


def make(root):
    for (scene, label, clip), kind in CLIPS.items():
        presets.put(root / f'0_7_LabelClips/{scene}/{label}/{clip}.mp4', kind)
    for split in ('train', 'test'):
        presets.write(root / f'4_setups/All_scenes/{split}_All.csv', ''.join(
            f'{scene}/{label}/{clip} {label}\n' for scene, label, clip in CLIPS
            if ((scene, label, clip) in TRAIN) == (split == 'train')))


class Ferv39k(presets.Case):
    preset = 'ferv39k'

    def test_walk(self):
        make(self.root)
        seen = {}
        with self.mounted() as tree:
            self.assert_names(tree, ['2_ClipsforFaceCrop', '4_setups', 'annotation'])
            for split in ('train', 'test'):
                with open(tree / f'4_setups/All_scenes/{split}_All.csv', encoding='utf-8') as file:
                    rows = [line.rstrip('\n').rsplit(' ', 1) for line in file]
                listed = self.walk_list(tree, f'annotation/FERV39k_{split}.txt')
                self.assertEqual(listed, {f'2_ClipsforFaceCrop/{path}': str(CLASSES.index(label)) for path, label in rows})
                for path, label in rows:
                    self.assertEqual(path.split('/')[1], label)
                    seen[tuple(path.split('/'))] = split
                    home = tree / '2_ClipsforFaceCrop' / path
                    self.assertGreaterEqual(os.path.getsize(home), 1024)
                    self.assert_frames([home / name for name in sorted(os.listdir(home))], CLIPS[tuple(path.split('/'))])
        self.assertEqual(seen, {clip: 'train' if clip in TRAIN else 'test' for clip in CLIPS})


if __name__ == '__main__':
    presets.main()
