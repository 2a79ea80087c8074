#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset affwild2: runs of one label, read as the loaders of video emotion read them."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import presets

HEADER = 'Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise\n'
# The labels of each frame of a video of 60 frames, as (label, times).
TRAIN = {
    '7-60-1920x1080': [(0, 5), (-1, 3), (4, 22), (6, 20), (0, 10)],
    'video10_1(1)': [(-1, 60)],
    '情感, & [a] 30-30-1280x720': [(1, 18), (2, 17), (3, 16), (5, 9)],
}
TRAIN |= {name: [(4, 18), (-1, 42)] for name in presets.ODD_NAMES}
VALIDATION = {'135-24-1920x1080_left': [(5, 60)], '135-24-1920x1080_right': [(-1, 30), (0, 30)]}
RUNS = {  # (class, clip): the first frame and how many
    ('Neutral', '7-60-1920x1080_Train_1to5'): (1, 5),
    ('Happiness', '7-60-1920x1080_Train_9to30'): (9, 22),
    ('Surprise', '7-60-1920x1080_Train_31to50'): (31, 20),
    ('Neutral', '7-60-1920x1080_Train_51to60'): (51, 10),
    ('Anger', '情感, & [a] 30-30-1280x720_Train_1to18'): (1, 18),
    ('Disgust', '情感, & [a] 30-30-1280x720_Train_19to35'): (19, 17),
    ('Fear', '情感, & [a] 30-30-1280x720_Train_36to51'): (36, 16),
    ('Sadness', '情感, & [a] 30-30-1280x720_Train_52to60'): (52, 9),
    ('Sadness', '135-24-1920x1080_left_Validation_1to60'): (1, 60),
    ('Neutral', '135-24-1920x1080_right_Validation_31to60'): (31, 30),
    **{('Happiness', f'{name}_Train_1to18'): (1, 18) for name in presets.ODD_NAMES},
}


def make(root):
    for batch, name in ((1, '7-60-1920x1080'), (2, 'video10_1(1)'), (2, '情感, & [a] 30-30-1280x720'),
                        (3, '135-24-1920x1080'), *(('2/of (b), [c] & 情', name) for name in presets.ODD_NAMES)):
        presets.put(root / f'batch{batch}' / f'{name}.mp4', 'long.mp4')
    for folder, tables in (('Train', TRAIN), ('Validation', VALIDATION)):
        for name, runs in tables.items():
            presets.write(root / 'EXPR_Recognition_Challenge' / f'{folder}_Set' / f'{name}.txt',
                          HEADER + ''.join(f'{label}\n' * times for label, times in runs))
    presets.write(root / 'batch1/7-60-1920x1080.srt', presets.CUES)


class AffWild2(presets.Case):
    preset = 'affwild2'

    def test_walk(self):
        """Frames are numbered from 1 in each run; runs below 16 are told as 0."""
        make(self.root)
        with self.mounted() as tree:
            self.assert_names(tree / 'img', sorted({label for label, _ in RUNS}))
            self.walk_annotation(tree, 'affwild2.json', {'training': {run for run in RUNS if '_Train_' in run[1]},
                                                         'validation': {run for run in RUNS if '_Validation_' in run[1]}})
            for label in {label for label, _ in RUNS}:
                self.assert_names(tree / 'img' / label, [clip for l, clip in RUNS if l == label])
            for (label, clip), (first, count) in self.shuffled(RUNS.items()):
                cues = self.walk_video_emotion(tree, label, clip, 'long.mp4', first=first, count=count)
                self.assertLessEqual(len(cues), 2)
                [(sound, rate)] = presets.oracle.decode(tree / 'mp3' / label / f'{clip}.mp3')
                self.assertAlmostEqual(len(sound) / rate, count / 10, delta=0.001)
            self.assertEqual(len(presets.oracle.cues(tree / 'srt/Happiness/7-60-1920x1080_Train_9to30.srt')), 1)

    def test_base(self):
        """Of labels whose first line is said to be frame 0, names say so; the frames are the same."""
        make(self.root)
        with self.mounted('n_frames: false\noptions: { base: 0, size: none }\n') as tree:
            home = tree / 'img/Happiness/7-60-1920x1080_Train_8to29'
            self.assert_frames(sorted(home.iterdir()), 'long.mp4', first=9, count=22)


if __name__ == '__main__':
    presets.main()
