#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset erato, read as the loaders of video emotion read it."""
import csv
import io
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
    **{f'{name}_1_2_3_hostile_5_6': ('Hostile', 'tiny.mp4') for name in presets.ODD_NAMES},
}
LISTED = {  # whose class the table tells
    'one_two_three_four_five_six_seven': ('Mild', 'other.mp4'),
    **{f'{name}_1_2_3_4_5_6': ('Neutral', 'tiny.mp4') for name in presets.ODD_NAMES},
}


def write_table(path, rows):
    table = io.StringIO()
    csv.writer(table).writerows(rows)
    presets.write(path, table.getvalue())


def make(root):
    for name, (label, kind) in (CLIPS | LISTED).items():
        presets.put(root / f'{name}{Path(kind).suffix}', kind)
        if label == 'Hostile':
            presets.write(root / f'{name}.srt', presets.CUES)
    write_table(root / 'labels.csv', [('clip', 'label'), *((clip, label.lower()) for clip, (label, _) in LISTED.items())])
    write_table(root / 'split.csv', [('clip', 'subset'), *((clip, 'validation') for clip in LISTED)])


class Erato(presets.Case):
    preset = 'erato'

    def test_walk(self):
        make(self.root)
        with self.mounted() as tree:
            self.assert_names(tree / 'img', ['Hostile', 'Intimate', 'Mild', 'Neutral', 'tense'])
            self.walk_annotation(tree, 'erato.json', {
                subset: {(label, clip) for clip, (label, _) in some.items()}
                for subset, some in (('training', CLIPS), ('validation', LISTED))})
            for clip, (label, kind) in self.shuffled((CLIPS | LISTED).items()):
                cues = self.walk_video_emotion(tree, label, clip, kind)
                self.assertEqual(len(cues), (1 if kind == 'tiny.mp4' else 2) if label == 'Hostile' else 0)

    def test_without_a_class(self):
        """A clip whose name and table tell no class is reported; the others are there. No table is needed."""
        make(self.root)
        (self.root / 'labels.csv').unlink()
        (self.root / 'split.csv').unlink()
        with self.mounted('options: { case: title, size: none }\n', code=1, allowed=['left out (and 6 more)']) as tree:
            self.assertIn(f'has no field {{class}}: left out (and {len(LISTED) - 1} more)', self.said)
            self.assertIn(f'the clip {min(LISTED)}.mp4 ', self.said)
            self.assert_names(tree / 'img', ['Hostile', 'Intimate', 'Mild', 'Neutral', 'Tense'])
            self.assert_names(tree / 'mp3/Mild', ['S01E02_mild_7_9_(Rachel & Ross)_[uncut]_x.mp3'])


if __name__ == '__main__':
    presets.main()
