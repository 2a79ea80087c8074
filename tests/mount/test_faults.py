#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Calls of the daemon and of its workers fail, and disks are full: reads succeed with the right bytes, nothing is
lost, and what was in the way once gone, files are kept again."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import faults, harness, short


class Base(harness.Case):

    def setUp(self):
        super().setUp()
        self.settings, self.truth = short.prepare(self)
        self.paths = sorted(self.truth)

    def read_some(self, mount, count):
        """Random files, by two readers, from the daemon and not from the kernel's pages."""
        def read(_):
            for path in self.random.sample(self.paths, count // 2):
                self.assertEqual(harness.read_and_drop(mount.path / path), self.truth[path], path)
        harness.in_threads(2, read)

    def wait_until_kept(self, mount):
        """Until what is made is kept again. After an error the store waits a second before it tries."""
        def kept():
            before = mount.stats()
            self.read_some(mount, 6)
            after = mount.stats()
            return after['made'] > before['made'] and after['unkept'] == before['unkept'] and after['segments'] > 0
        harness.wait_until('files to be kept again', kept)

    def verify(self):
        done = harness.corpusfs('verify', self.settings, check=0)
        self.assertIn('all good', done.stdout)

    def check_afterwards(self):
        """A fresh mount has nothing to complain of, and serves all of it."""
        self.verify()
        with self.mount(self.settings) as mount:
            for path in self.shuffled(self.paths):
                self.assertEqual((mount.path / path).read_bytes(), self.truth[path], path)
        self.verify()


# Few open files: what could not be kept stays in memory as long as it is among the segments used last, and those
# are a quarter of them.
FEW_FILES = ('prlimit', '--nofile=64:64')


class Faults(Base):

    def run_faults(self, mount, control, table):
        for kind, error, mode, length in self.shuffled(table):
            n_calls = n_failed = 0
            for _ in range(3):
                # Close enough to be reached by what these reads cause.
                control.arm(kind, error, self.random.randrange(1, 20), length, mode)
                self.read_some(mount, 12)
                calls, failed = control.disarm(kind)
                n_calls, n_failed = n_calls + calls, n_failed + failed
            sys.stderr.write(f'{kind} {error} {mode} x {min(length, 99)}: {n_failed} of {n_calls} calls failed\n')
            self.wait_until_kept(mount)

    def test_of_the_daemon(self):
        control = faults.Faults(self.home, self.cache)
        with self.mount(self.settings, wrapper=FEW_FILES, allowed=['cache', 'index', 'segment'],
                        **control.environment) as mount:
            self.read_some(mount, 12)
            self.run_faults(mount, control, faults.OF_DAEMONS)
        self.check_afterwards()

    def test_of_workers(self):
        control = faults.Faults(self.home, self.cache)
        program = faults.program_with_faulty_workers(self.home, control)
        with self.mount(self.settings, wrapper=FEW_FILES, allowed=['cache', 'index', 'segment'],
                        program=program) as mount:
            self.read_some(mount, 12)
            self.run_faults(mount, control, faults.OF_WORKERS)
        self.check_afterwards()


if __name__ == '__main__':
    harness.main()
