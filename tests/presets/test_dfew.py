#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset dfew, read as loaders read it that take a list of `path nframes label` and all files of a clip's folder."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import presets

# As in the corpus: numbers without zeros in names, and at the end a clip with several labels, which is in no set.
CLIPS = {1: 'short.mp4', 2: 'other.mp4', 33: 'tiny.mp4', 2961: 'silent.mp4', 7834: 'short.mp4', 16372: 'other.mp4'}
LABELS = {1: 1, 2: 7, 33: 3, 2961: 4, 7834: 5}
SETS = range(1, 6)


def make(root):
    for clip, kind in CLIPS.items():
        presets.put(root / f'Clip/original/{clip}.mp4', kind)
    for k in SETS:
        for i, part in enumerate(('train', 'test')):
            rows = [f'{clip},{label}\r\n' for n, (clip, label) in enumerate(LABELS.items()) if (n % 5 + 1 == k) == bool(i)]
            presets.write(root / f'EmoLabel_DataSplit/{part}(single-labeled)/set_{k}.csv',
                          'video_name,label\r\n' + ''.join(rows))
    presets.write(root / 'EmoLabel_DataSplit/readme.txt', 'five sets')
    presets.write(root / f'EmoLabel_DataSplit/{presets.ODD_NAMES[1]}/set_1.csv', 'no table of the corpus')
    presets.put_strays(root / 'Clip/original', '.mp4')


class Dfew(presets.Case):
    preset = 'dfew'

    def test_walk(self):
        make(self.root)
        with self.mounted() as tree:
            self.assert_names(tree, ['annotation', 'data'])
            self.assert_unmatched(len(presets.ODD_NAMES))
            self.assert_names(tree / 'data', [f'{clip:05d}' for clip in CLIPS])
            self.assert_names(tree / 'annotation', [f'DFEW_set_{k}_{part}.txt' for k in SETS for part in ('train', 'test')])
            for k in SETS:
                train = self.walk_list(tree, f'annotation/DFEW_set_{k}_train.txt')
                test = self.walk_list(tree, f'annotation/DFEW_set_{k}_test.txt')
                self.assertEqual({**train, **test}, {f'data/{clip:05d}': str(label) for clip, label in LABELS.items()})
                self.assertEqual(list(test), [f'data/{list(LABELS)[k - 1]:05d}'])
            for clip, kind in CLIPS.items():
                home = tree / f'data/{clip:05d}'
                names = sorted(p.name for p in home.iterdir())
                self.assertEqual(names[0], f'{clip:05d}_00001.jpg')
                self.assert_frames([home / name for name in names], kind)

    def test_no_tables(self):
        """Videos alone, in parts as they are downloaded, and frames of another size."""
        for i, (clip, kind) in enumerate(CLIPS.items()):
            presets.put(self.root / f'Clip/original/part_{clip % 3}/{presets.ODD_NAMES[i]}/{clip}.mp4', kind)
        with self.mounted('options: { size: "224:224" }\n') as tree:
            self.assert_names(tree, ['data'])
            self.assert_names(tree / 'data', [f'{clip:05d}' for clip in CLIPS])
            home = tree / 'data/00033'
            self.assert_frames(sorted(home.iterdir()), CLIPS[33], presets.oracle.View('cfr', 'jpg', '224:224'))


if __name__ == '__main__':
    presets.main()
