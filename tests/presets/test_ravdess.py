#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset ravdess: zips of an actor each, whose names of files are the labels."""
import csv
import os
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import compare, presets

EMOTIONS = ('neutral', 'calm', 'happy', 'sad', 'angry', 'fearful', 'disgust', 'surprised')
# modality 01: picture and sound, 02: picture alone.
CLIPS = {'01-01-06-01-02-01-12': 'short.mp4', '02-01-06-01-02-01-12': 'silent.mp4', '01-01-01-01-01-02-12': 'tiny.mp4',
         '01-02-04-02-01-01-05': 'other.mp4'}
# In folders of odd names, beside videos of odd names that are none of the corpus.
ODD_CLIPS = [f'01-02-04-02-01-0{i + 1}-07' for i in range(len(presets.ODD_NAMES))]
CLIPS |= {clip: 'tiny.mp4' for clip in ODD_CLIPS}


def make(root):
    """One zip stored, one packed, with a folder's entry and without; and one of folders with odd names."""
    for zip_name, actor, packed in (('Video_Speech_Actor_12.zip', '12', True), ('Video_Song_Actor_05.zip', '05', False)):
        with zipfile.ZipFile(root / zip_name, 'w', zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
            if packed:
                archive.writestr(f'Actor_{actor}/', '')
            for clip, kind in CLIPS.items():
                if clip.endswith(actor):
                    archive.write(presets.video(kind), f'Actor_{actor}/{clip}.mp4')
    with zipfile.ZipFile(root / f'{presets.ODD_NAMES[1]}.zip', 'w') as archive:
        for i, name in enumerate(presets.ODD_NAMES):
            archive.write(presets.video('tiny.mp4'), f'{name}/Actor_07/{ODD_CLIPS[i]}.mp4')
            archive.write(presets.video('tiny.mp4'), f'{name}/Actor_07/{name}.mp4')
    presets.write(root / 'README.txt', 'RAVDESS')


class Ravdess(presets.Case):
    preset = 'ravdess'

    def walk(self, tree):
        self.assert_names(tree, ['data', 'frames', 'labels.csv', 'wav'])
        seen = set()
        self.assert_unmatched(len(presets.ODD_NAMES))
        for name in presets.ODD_NAMES:
            self.assertEqual((tree / 'data' / name / 'Actor_07' / f'{name}.mp4').read_bytes(),
                             presets.video('tiny.mp4').read_bytes())
        for home, _, names in os.walk(tree / 'data'):
            for name in names:
                if Path(name).stem in presets.ODD_NAMES:
                    continue
                fields = Path(name).stem.split('-')
                self.assertEqual((Path(home).name, len(fields)), (f'Actor_{fields[6]}', 7))
                kind = CLIPS[Path(name).stem]
                seen.add(Path(name).stem)
                self.assertEqual((Path(home) / name).read_bytes(), presets.video(kind).read_bytes())
                frames = tree / 'frames' / Path(home).name / Path(name).stem
                self.assert_frames([frames / n for n in sorted(os.listdir(frames))], kind)
                wav = tree / 'wav' / Path(home).name / f'{Path(name).stem}.wav'
                self.assertEqual(wav.exists(), fields[0] == '01')
                if fields[0] == '01':
                    compare.check_sound_of(self, presets.video(kind), wav, 'wav')
        self.assertEqual(seen, set(CLIPS))

    def test_walk(self):
        make(self.root)
        with self.mounted() as tree:
            self.walk(tree)
            with open(tree / 'labels.csv', encoding='utf-8', newline='') as file:
                rows = {row['path']: row['emotion'] for row in csv.DictReader(file)}
            self.assertEqual(rows, {f'Actor_{c[-2:]}/{c}.mp4': EMOTIONS[int(c[6:8]) - 1] for c in CLIPS})

    def test_unpacked(self):
        make(self.root)
        for path in list(self.root.glob('*.zip')):
            with zipfile.ZipFile(path) as archive:
                archive.extractall(self.root)
            path.unlink()
        with self.mounted() as tree:
            self.walk(tree)


if __name__ == '__main__':
    presets.main()
