#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset dfec: each video of test.json is where it says, whatever form its dataset has, and OpenCV reads it."""
import json
import os
import sys
import zipfile
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import presets

# In test.json: (in its dataset, kind)
VIDEOS = {
    'DFEW/videos/2961.mp4': ('DFEW/Clip/original/2961.mp4', 'short.mp4'),
    'DFEW/videos/7.mp4': ('DFEW/Clip/original/part_1/7.mp4', 'tiny.mp4'),
    'CAER_mp4/train/Surprise/0932.mp4': ('CAER/train/Surprise/0932.avi', 'short.avi'),
    'CAER_mp4/validation/Anger/0932.mp4': ('CAER/validation/Anger/0932.avi', 'wide.avi'),
    'AFEW-VA/videos/460.mp4': ('AFEW-VA/videos/460.mp4', 'silent.mp4'),
    'RAVDESS/data/Actor_05/01-02-04-02-01-01-05.mp4': ('RAVDESS/Video_Song_Actor_05.zip', 'other.mp4'),
    'RAVDESS/data/Actor_06/01-02-04-02-01-01-06.mp4': ('RAVDESS/a (b), [c] & 情.zip', 'tiny.mp4'),
    'RAVDESS/data/Actor_12/01-01-06-01-02-01-12.mp4': ('RAVDESS/Actor_12/01-01-06-01-02-01-12.mp4', 'short.mp4'),
    'MER24/video-labeled/sample_00001837.mp4': ('MER24/video-labeled/sample_00001837.mp4', 'tiny.mp4'),
    'MAFW/videos/09068.mp4': ('MAFW/videos/09068.mp4', 'other.mp4'),
    'FERV39k/videos/0_7_LabelClips_Conflict_Angry_0305.mp4': ('FERV39k/0_7_LabelClips/Conflict/Angry/0305.mp4', 'short.mp4'),
}
# Names of clips, and of folders between, are free in most of the datasets.
for _name in presets.ODD_NAMES:
    VIDEOS |= {
        f'CAER_mp4/train/Surprise/{_name}.mp4': (f'CAER/train/Surprise/{_name}.avi', 'short.avi'),
        f'AFEW-VA/videos/{_name}.mp4': (f'AFEW-VA/videos/{_name}.mp4', 'silent.mp4'),
        f'MAFW/videos/{_name}.mp4': (f'MAFW/videos/{_name}.mp4', 'other.mp4'),
        f'MER24/video-labeled/{_name}.mp4': (f'MER24/video-labeled/{_name}.mp4', 'tiny.mp4'),
        f'RAVDESS/data/Actor_12/{_name}.mp4': (f'RAVDESS/{_name}/Actor_12/{_name}.mp4', 'tiny.mp4'),
        f'FERV39k/videos/0_7_LabelClips_{_name}_Angry_{_name}.mp4': (f'FERV39k/0_7_LabelClips/{_name}/Angry/{_name}.mp4',
                                                                    'tiny.mp4'),
    }
VIDEOS |= {f'DFEW/videos/{100 + i}.mp4': (f'DFEW/Clip/original/{name}/{100 + i}.mp4', 'tiny.mp4')
           for i, name in enumerate(presets.ODD_NAMES)}


def make(root):
    """The datasets lie elsewhere; the collection has links to them."""
    for video, (raw, kind) in VIDEOS.items():
        if raw.endswith('.zip'):
            (root.parent / 'disk/RAVDESS').mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(root.parent / 'disk' / raw, 'w') as archive:
                archive.write(presets.video(kind), video.removeprefix('RAVDESS/data/'))
        else:
            presets.put(root.parent / 'disk' / raw, kind)
    presets.write(root.parent / 'disk/AFEW-VA/460/00000.png', b'a picture')
    presets.put_strays(root.parent / 'disk/DFEW/Clip/original', '.mp4')
    for dataset in (root.parent / 'disk').iterdir():
        (root / dataset.name).symlink_to(dataset)
    entries = [{'id': i, 'video': video, 'caption': f'The man says "no", and frowns. 第{i}句'}
               for i, video in enumerate(VIDEOS)]
    presets.write(root / 'test.json', json.dumps(entries, ensure_ascii=False))


def count_frames(path):
    video = cv2.VideoCapture(str(path))
    n = 0
    while video.read()[0]:
        n += 1
    video.release()
    if not n:
        raise ValueError(f'OpenCV reads nothing of {path}')
    return n


class Dfec(presets.Case):
    preset = 'dfec'

    def test_walk(self):
        make(self.root)
        with self.mounted() as tree:
            self.assert_unmatched(len(presets.ODD_NAMES))
            with open(tree / 'test.json', encoding='utf-8') as file:
                entries = json.load(file)
            self.assertEqual([e['id'] for e in entries], list(range(len(VIDEOS))))
            for entry in self.shuffled(entries):
                path = os.path.join(tree, entry['video'])
                self.assertTrue(os.path.isfile(path), entry)
                self.assertIn(f'第{entry["id"]}句', entry['caption'])
                kind = VIDEOS[entry['video']][1]
                self.assertEqual(count_frames(path), count_frames(presets.video(kind)))
                self.assertEqual(Path(path).read_bytes(), presets.video(kind).read_bytes())
            self.assertEqual(self.mount.files(), sorted([*VIDEOS, 'test.json']))


if __name__ == '__main__':
    presets.main()
