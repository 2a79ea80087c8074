#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`corpusfs index`: what mounts would have to find out is known after it, of files and of members of archives."""
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness, one_video

SOURCE = ('- { videos: "*.{mp4,mkv,wav}" }\n  - { archives: "*.{tar,tgz}", videos: "*.mp4", '
          "match: '(?<clip>.*)[.]mp4' }")
VIEWS = {'{clip}/{frame:03d}.png': 'frames: {}', 'n/{clip}': 'text: "{nframes}"'}


class Index(one_video.Case):

    def all_known(self, settings, names):
        """A mount shows the frames of all, and demuxes none."""
        with self.mount(settings, allowed=['bad']) as mount:
            for name in self.shuffled(names):
                self.assertEqual(len(os.listdir(mount.path / name)), 25, name)
                self.assertEqual((mount.path / 'n' / name).read_bytes(), b'25')
            self.assertEqual(mount.stats()['jobs_index'], 0)

    def test_media(self):
        """Files, members, packed members, and parts of a video; a video that is none is told, and costs itself alone."""
        for name in ['a.mp4', 'b.mkv']:
            shutil.copy(self.video, self.root / name)
        for name, mode in {'t.tar': 'w', 'p.tgz': 'w:gz'}.items():
            with tarfile.open(self.root / name, mode) as tar:
                for part in 'xy':
                    tar.add(self.video, f'{name[0]}{part}.mp4')
        settings = self.config(self.root, VIEWS, source=SOURCE)
        names = ['a', 'b', 'tx', 'ty', 'px', 'py']
        harness.corpusfs('index', settings, check=0)
        self.all_known(settings, names)
        (self.root / 'bad.mp4').write_bytes(self.random.randbytes(5000))
        shutil.copy(self.video, self.root / 'c.mp4')
        said = harness.corpusfs('index', settings, check=1).stdout
        self.assertIn('bad.mp4', said)
        self.all_known(settings, [*names, 'c'])

    def test_interrupted(self):
        """What was known when it was killed is kept, and the next run does the rest."""
        names = [f'c{i:02}' for i in range(40)]
        for name in names:
            # Each is a file of its own.
            (self.root / f'{name}.mp4').write_bytes(self.video.read_bytes() + name.encode())
        settings = self.config(self.root, VIEWS, source=SOURCE)
        with subprocess.Popen([harness.CORPUSFS, 'index', settings], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, env=harness.environment()) as process:
            time.sleep(self.random.random() * 1.5)
            process.kill()
        harness.corpusfs('index', settings, check=0)
        self.all_known(settings, names)


harness.main()
