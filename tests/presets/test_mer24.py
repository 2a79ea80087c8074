#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset mer24: a table of names and emotions; frames, sound and video of each by its name."""
import csv
import io
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import compare, presets

CLIPS = {'sample_00001837': 'short.mp4', 'sample_00000001': 'tiny.mp4', 'sample_00119999': 'other.mp4'}
EMOTIONS = {'sample_00001837': 'worried', 'sample_00000001': 'neutral', 'sample_00119999': 'happy'}
for _i, _name in enumerate(presets.ODD_NAMES):
    CLIPS[_name], EMOTIONS[_name] = 'tiny.mp4', ('happy', 'worried')[_i % 2]


def make(root):
    for clip, kind in CLIPS.items():
        presets.put(root / f'video-labeled/{clip}.mp4', kind)
    table = io.StringIO()
    csv.writer(table).writerows([('name', 'discrete', 'valence'),
                                 *((clip, emotion, n / 2 - 1) for n, (clip, emotion) in enumerate(EMOTIONS.items()))])
    presets.write(root / 'label-disdim.csv', table.getvalue())


class Mer24(presets.Case):
    preset = 'mer24'

    def test_walk(self):
        make(self.root)
        with self.mounted() as tree:
            self.assert_names(tree, ['annotation', 'audio', 'frames', 'label-disdim.csv', 'video-labeled'])
            with open(tree / 'label-disdim.csv', encoding='utf-8') as file:
                rows = list(csv.DictReader(file))
            self.assertEqual({row['name']: row['discrete'] for row in rows}, EMOTIONS)
            for row in rows:
                kind = CLIPS[row['name']]
                home = tree / 'frames' / row['name']
                self.assert_frames([home / n for n in sorted(os.listdir(home))], kind)
                compare.check_sound_of(self, presets.video(kind), tree / f'audio/{row["name"]}.wav', 'wav')
                self.assertEqual((tree / f'video-labeled/{row["name"]}.mp4').read_bytes(), presets.video(kind).read_bytes())
            self.assertEqual(self.walk_list(tree, 'annotation/MER24_labeled.txt'),
                             {f'frames/{clip}': emotion for clip, emotion in EMOTIONS.items()})


if __name__ == '__main__':
    presets.main()
