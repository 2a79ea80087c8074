# SPDX-License-Identifier: Apache-2.0
"""Tests that need one short video, and a folder to put copies of it."""
import shutil
import tempfile
from pathlib import Path

from . import clips, harness


class Case(harness.Case):
    """`video`: it, made once for the class. `root`: an empty folder."""

    @classmethod
    def setUpClass(cls):
        made = Path(tempfile.mkdtemp(prefix='corpusfs-test-'))
        cls.addClassCleanup(shutil.rmtree, made)
        cls.video = made / 'v.mp4'
        clips.ffmpeg(*clips.picture(seconds=1), *clips.X264, cls.video)

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        self.root.mkdir()
