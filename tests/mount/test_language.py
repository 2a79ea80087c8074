#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a configuration derives for each clip reaches the files of the mount."""
import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, compare, harness
from lib.oracle import View

FIELDS = '''fields:
  side: { of: class, map: { Joy: left, Fear: right, Trust: '60:40:8:4' } }
  n: { of: class, index: [Fear, Joy, Trust], base: 1 }
'''


class Fields(harness.Case):

    def test_crop_of_clip(self):
        """Each clip is cropped as its own field says, also when an equal video is cropped otherwise."""
        root = self.home / 'root'
        for folder in ('Joy', 'Fear', 'Trust'):
            (root / folder).mkdir(parents=True)
            shutil.copy(clips.make(clips.SMALL, 'small') / 'Joy/first.mp4', root / folder)
        views = {'x/{n:03d}/{clip}/{frame:06d}.png': 'frames: { crop: "{side}" }'}
        with self.mount(self.config(root, views, more=FIELDS)) as mount:
            for n, (folder, crop) in enumerate((('Fear', 'right'), ('Joy', 'left'), ('Trust', '60:40:8:4')), 1):
                with self.subTest(folder=folder):
                    compare.check_frames(self, root / folder / 'first.mp4', mount.path / f'x/{n:03d}/first.mp4',
                                         View('cfr', 'png', crop=crop))

    def test_unknown_values(self):
        """A clip with a value that a map does not know is told by check and mount, and the rest is served."""
        root = clips.make(clips.SMALL, 'small')
        config = self.config(root, {'x/{side}/{clip}': 'text: "{n}"'},
                             more=FIELDS.replace(' Joy: left,', '').replace('Fear:', 'Joy: ~, Fear:'))
        said = harness.corpusfs('check', config, check=0).stdout
        self.assertIn('leaves out 2 clips', said)
        config.write_text(config.read_text(encoding='utf-8').replace('Joy: ~, ', ''), encoding='utf-8')
        said = harness.corpusfs('check', config, check=1).stdout
        self.assertRegex(said, r'corpus\.yaml:\d+:\d+: the clip Joy/first\.mp4 gives {side} "Joy", which its "map" '
                               r'does not know: left out \(and 1 more\)')
        with self.mount(config) as mount:
            self.assertEqual(sorted(os.listdir(mount.path / 'x')), ['60:40:8:4', 'right'])


if __name__ == '__main__':
    harness.main()
