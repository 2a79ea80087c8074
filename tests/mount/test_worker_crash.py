#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One video crashes each worker that reads it: its own files are errors, once and for all, and those of the clips beside
it, read at the same time by the same workers, are right."""
import errno
import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, faults, harness

VIEWS = {'left/{class}/{clip}/{frame:06d}.png': 'frames: { crop: left }',
         'part/{class}/{clip}/{frame:06d}.jpg': 'frames: { crop: "40:30:10:20", size: "20:-1" }',
         'mp3/{class}/{clip}.mp3': 'audio: {}'}
# Of equal videos one failure counts for all, so they differ.
CORPUS = {f'a/{name}': [*clips.picture(size='96x72', seconds=2), *clips.sound(2), *clips.X264, *clips.YUV, *clips.AAC, '-g', 10,
                        '-metadata', f'comment={name}']
          for name in ('bad.mp4', 'before.mp4', 'next.mp4')}
SEGMENTS = 20  # of one video in two views, at most
CRASHED = r'a/bad\.mp4.*the worker crashed on it \(signal \d+\)'


class WorkerCrash(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        shutil.copytree(clips.make(CORPUS, 'crashes'), self.root)
        self.settings = self.config(self.root, VIEWS, more='workers: 2\n')
        with self.mount(self.settings) as mount:
            self.truth = {path: (mount.path / path).read_bytes() for path in mount.files()}
        shutil.rmtree(self.cache)
        self.good = [path for path in self.truth if 'bad.mp4' not in path]
        self.bad = [path for path in self.truth if 'bad.mp4' in path]
        self.assertEqual((len(self.good), len(self.bad)), (2 * 101, 101))
        self.faults = faults.Faults(self.home, self.cache)
        self.program = faults.program_with_faulty_workers(self.home, self.faults)

    def poisoned(self):
        return self.mount(self.settings, program=self.program, allowed=[CRASHED], crashing=True)

    def read(self, path):
        """Its bytes, or the error."""
        try:
            return harness.read_and_drop(path)
        except OSError as error:
            return error.errno

    def read_all(self, mount):
        """Those of the bad one that are errors: some may have been made while its frames were measured."""
        failed = set()
        orders = [self.shuffled([*self.good, *self.bad]) for _ in range(2)]

        def work(number):
            for path in orders[number // 2][number % 2::2]:
                found = self.read(mount.path / path)
                if path in self.bad and found == errno.EIO:
                    failed.add(path)
                else:
                    self.assertTrue(found == self.truth[path], path)
        harness.in_threads(4, work)
        return failed

    def check(self, mount, at_least):
        self.assertGreaterEqual(len(self.read_all(mount)), at_least)
        self.assertTrue(mount.errors())
        self.assertEqual([line for line in mount.errors() if not re.search(CRASHED, line)], [])
        for _ in range(3):
            self.read_all(mount)
        # Each frame by itself, and each segment, is tried once, by two workers.
        self.assertLessEqual(mount.stats()['worker_restarts'], 2 * (len(self.bad) + SEGMENTS))
        for path in self.good:
            self.assertEqual(harness.read_and_drop(mount.path / path), self.truth[path], path)

    def test_decoding(self):
        """It is known by then, and its files are listed."""
        with self.mount(self.settings) as mount:
            for path in mount.files():
                (mount.path / path).stat()
        self.faults.poison(self.root / 'a/bad.mp4')
        with self.poisoned() as mount:
            self.assertEqual(mount.files(), sorted(self.truth))
            self.check(mount, len(self.bad) // 4)
            self.assertEqual(mount.files(), sorted(self.truth))

    def test_indexing(self):
        """It cannot be looked at: its folders are errors, too."""
        self.faults.poison(self.root / 'a/bad.mp4')
        with self.poisoned() as mount:
            self.bad = [path for path in self.bad if path.endswith('000001.png') or path.endswith('.mp3')]
            self.check(mount, len(self.bad))


harness.main()
