#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset erato, read as the loaders of video emotion read it."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import presets

CLIPS = {  # of names of seven fields: (class, kind)
    'film_001_12_20_A_B_Hostile': ('Hostile', 'short.mp4'),
    '电影 2_002_3_44_A_C_intimate': ('Intimate', 'short.avi'),
    'S01E02_mild_7_9_(Rachel & Ross)_[uncut]_x': ('Mild', 'other.mp4'),
    'a_b_c_d_e_f_TENSE': ('tense', 'tiny.mp4'),
    'naïve, really!_1_2_3_neutral_5_6': ('Neutral', 'short.mp4'),
    'one_two_three_four_five_six_seven': ('Mild', 'other.mp4'),  # in the table
}


def make(root):
    for name, (_, kind) in CLIPS.items():
        presets.put(root / f'{name}{Path(kind).suffix}', kind)
    presets.write(root / 'labels.csv', 'clip,label\none_two_three_four_five_six_seven,mild\n')
    presets.write(root / 'film_001_12_20_A_B_Hostile.srt', presets.CUES)


class Erato(presets.Case):
    preset = 'erato'

    def test_walk(self):
        make(self.root)
        with self.mounted() as tree:
            self.assert_names(tree / 'img', ['Hostile', 'Intimate', 'Mild', 'Neutral', 'tense'])
            self.walk_annotation(tree, 'erato.json', {'training': {(label, clip) for clip, (label, _) in CLIPS.items()}})
            for clip, (label, kind) in self.shuffled(CLIPS.items()):
                cues = self.walk_video_emotion(tree, label, clip, kind)
                self.assertEqual(len(cues), 2 if 'Hostile' in clip else 0)

    def test_without_a_class(self):
        """A clip whose name and table tell no class is reported; the others are there. No table is needed."""
        make(self.root)
        (self.root / 'labels.csv').unlink()
        with self.mounted('options: { case: title, size: none }\n', code=1, allowed=['one_two']) as tree:
            self.assertIn('one_two_three_four_five_six_seven.mp4', self.said)
            self.assert_names(tree / 'img', ['Hostile', 'Intimate', 'Mild', 'Neutral', 'Tense'])
            self.assert_names(tree / 'mp3/Mild', ['S01E02_mild_7_9_(Rachel & Ross)_[uncut]_x.mp3'])


if __name__ == '__main__':
    presets.main()
