#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset afew-va: frames by number from 0, each with its entry in the clip's JSON."""
import json
import os
import sys
from pathlib import Path

import numpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import presets

TRUTH = presets.oracle.View('cfr', 'png')


def make(root, videos):
    """Three clips of the corpus as it comes, frames and JSON; and what was packed as videos, without leading zeros."""
    frames = sorted(presets.oracle.frames(presets.video('short.mp4'), TRUTH).iterdir())
    for clip, n in (('001', 5), ('002', 3), ('600', 8)):
        for i in range(n):
            presets.write(root / clip / f'{i:05d}.png', frames[i].read_bytes())
        presets.write(root / clip / f'{clip}.json', json.dumps({
            'video_id': clip, 'actor': '情感, (a) & [b]', 'frames': {f'{i:05d}': {'valence': i - 3.0, 'arousal': 2.0, 'landmarks': []}
                                                               for i in range(n)}}))
    for clip in videos:
        presets.put(root / 'videos' / f'{clip}.mp4', 'tiny.mp4')


class AfewVa(presets.Case):
    preset = 'afew-va'

    def walk(self, tree, clip, kind):
        """By the JSON: each frame that it names, and no others."""
        about = json.loads((tree / clip / f'{clip}.json').read_bytes())
        names = [f'{key}.png' for key in sorted(about['frames'])]
        self.assert_names(tree / clip, [*names, f'{clip}.json'])
        for name in self.shuffled(names):
            png = presets.oracle.frames(presets.video(kind), TRUTH) / f'{int(name[:5]) + 1:06d}.png'
            self.assertTrue(numpy.array_equal(presets.read_picture(tree / clip / name), presets.read_picture(png)))

    def test_walk(self):
        make(self.root, [])
        with self.mounted(allowed=['no clip']) as tree:
            self.assert_names(tree, ['001', '002', '600'])
            for clip in self.shuffled(['001', '002', '600']):
                self.walk(tree, clip, 'short.mp4')

    def test_videos(self):
        """Clips that are videos give frames under the same names, from 0 on."""
        make(self.root, ['7', '460', *presets.ODD_NAMES])
        with self.mounted() as tree:
            self.assert_names(tree, ['001', '002', '600', '007', '460', *presets.ODD_NAMES])
            for clip in ('007', '460', *presets.ODD_NAMES):
                names = [f'{i:05d}.png' for i in range(8)]
                self.assert_names(tree / clip, names)
                self.assert_frames([tree / clip / n for n in names], 'tiny.mp4', TRUTH)
            self.assertEqual(len(os.listdir(tree / '001')), 6)


if __name__ == '__main__':
    presets.main()
