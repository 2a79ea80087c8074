#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset mafw: its own splits of `03747.mp4 anger`, and all pictures of a clip's folder, as PNG."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import presets

CLASSES = ('anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness', 'surprise', 'contempt', 'anxiety',
           'helplessness', 'disappointment')
# 00009 has several labels, and is in no set of single ones.
CLIPS = {'03747': 'short.mp4', '00001': 'tiny.mp4', '10045': 'other.mp4', '09068': 'silent.mp4', '00420': 'tiny.mp4',
         '00009': 'tiny.mp4'} | {name: 'tiny.mp4' for name in presets.ODD_NAMES}
LABELS = {'03747': 'anger', '00001': 'disappointment', '10045': 'neutral', '09068': 'contempt', '00420': 'fear'}
LABELS |= {name: 'helplessness' for name in presets.ODD_NAMES}


def make(root):
    for clip, kind in CLIPS.items():
        presets.put(root / f'videos/{clip}.mp4', kind)
    for k in range(1, 6):
        for part in ('train', 'test'):
            presets.write(root / f'split/single/no_caption/set_{k}/{part}.txt', ''.join(
                f'{clip}.mp4 {label}\n' for n, (clip, label) in enumerate(LABELS.items())
                if (n % 5 + 1 == k) == (part == 'test')))


class Mafw(presets.Case):
    preset = 'mafw'

    def test_walk(self):
        make(self.root)
        view = presets.oracle.View('cfr', 'png')
        with self.mounted() as tree:
            self.assert_names(tree, ['annotation', 'data', 'split'])
            self.assert_names(tree / 'data/frames', CLIPS)
            for k in range(1, 6):
                seen = {}
                for part in ('train', 'test'):
                    rows = (tree / f'split/single/no_caption/set_{k}/{part}.txt').read_text(encoding='utf-8').splitlines()
                    for row in rows:
                        video, label = row.rsplit(' ', 1)
                        home = tree / 'data/frames' / video.removesuffix('.mp4')
                        self.assertTrue(presets.read_picture(sorted(home.glob('*.png'))[0]).size)
                        seen[f'data/frames/{video[:-4]}'] = str(CLASSES.index(label))
                listed = {part: self.walk_list(tree, f'annotation/MAFW_set_{k}_{part}.txt')
                          for part in ('train', 'test')}
                self.assertEqual({**listed['train'], **listed['test']}, seen)
                self.assertEqual(len(seen), len(LABELS))
            for clip, kind in CLIPS.items():
                self.assert_frames(sorted((tree / 'data/frames' / clip).iterdir()), kind, view)


if __name__ == '__main__':
    presets.main()
