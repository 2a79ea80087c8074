#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Calls of the daemon and of its workers fail, and disks are full: reads succeed with the right bytes, nothing is
lost, and what was in the way once gone, files are kept again."""
import contextlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, faults, harness, short


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
                control.arm(kind, error, self.random.randrange(1, 20 if kind in ('write', 'sqlite') else 4), length, mode)
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


class Warm(Base):
    """What a read of something that is kept costs."""

    @staticmethod
    def without_uses(statements):
        """Without the transactions that note uses, some seconds later and in batches; one may have begun before."""
        begun = list(itertools.dropwhile(lambda sql: sql.startswith('UPDATE segments SET used'), statements))
        left, batch = [], []
        for sql in begun[1:] if begun[:1] == ['COMMIT'] else begun:
            batch.append(sql)
            if sql == 'COMMIT' and all(s.startswith('UPDATE segments SET used') for s in batch[1:-1]) and len(batch) > 2:
                batch = []
            elif not (batch[0].startswith('BEGIN') and (len(batch) == 1 or sql.startswith('UPDATE segments SET used'))):
                left, batch = left + batch, []
        return left

    def makes_nothing(self, mount):
        """Reads in order, as a run; frames that were made one by one before do not keep it from reading ahead."""
        made = mount.stats()['made']
        for path in self.paths:
            harness.read_and_drop(mount.path / path)
        harness.wait_until('read-ahead to end', lambda: not any(mount.stats()[k] for k in ('queued', 'workers_busy')))
        return mount.stats()['made'] == made

    def test_no_statement(self):
        """A warm open, read and close causes no SQLite statement: out of the kernel's pages, or from the daemon."""
        control = faults.Faults(self.home, self.cache)
        settings = self.config(clips.make(short.CLIPS, 'short'), short.VIEWS, more='workers: 2\n')
        with self.mount(settings, **control.environment) as mount:
            control.trace(True)
            for path in self.shuffled(self.paths):
                self.assertEqual(harness.read_and_drop(mount.path / path), self.truth[path])
            control.trace(False)
            self.assertNotEqual(self.without_uses(control.traced()), [], 'making it causes some')
            harness.wait_until('nothing to be left to make', lambda: self.makes_nothing(mount))
            hits = mount.stats()['hits']
            control.trace(True)
            for _ in range(3):
                for path in self.paths:
                    self.assertEqual(harness.read_and_drop(mount.path / path), self.truth[path])
            control.trace(False)
            self.assertGreaterEqual(mount.stats()['hits'] - hits, 3 * len(self.paths))
            self.assertEqual(self.without_uses(control.traced()), [])
            for path in self.paths:
                (mount.path / path).read_bytes()
            requests = [mount.stats()[key] for key in ('hits', 'misses')]
            control.trace(True)
            for path in self.paths:
                self.assertEqual((mount.path / path).read_bytes(), self.truth[path])
            control.trace(False)
            self.assertEqual([mount.stats()[key] for key in ('hits', 'misses')], requests, 'nobody asked the daemon')
            self.assertEqual(self.without_uses(control.traced()), [])

    def test_no_statement_of_lone_frames(self):
        """Nor does one of a frame that is kept alone, whose segment is not there to be found."""
        control = faults.Faults(self.home, self.cache)
        settings = self.config(clips.make(short.CLIPS, 'short'), short.VIEWS, more='workers: 2\n')
        with self.mount(settings, **control.environment) as mount:
            lone = [p for p in self.paths if p.startswith('jpg/') and int(Path(p).stem) % 8 == 4]
            for path in lone:
                self.assertEqual(harness.read_and_drop(mount.path / path), self.truth[path])
            harness.wait_until('them to be kept', lambda: not mount.stats()['workers_busy'])
            self.assertEqual(mount.stats()['segments'], len(lone))
            control.trace(True)
            for path in self.shuffled(lone * 3):
                self.assertEqual(harness.read_and_drop(mount.path / path), self.truth[path])
            control.trace(False)
            self.assertEqual(mount.stats()['segments'], len(lone))
            self.assertEqual(self.without_uses(control.traced()), [])


class FullDisk(Base):
    """The cache folder is a small disk of its own."""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest('only root can mount a small disk')
        self.cache.mkdir()
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=2m', 'none', self.cache], check=True)
        self.addCleanup(lambda: subprocess.run(['umount', '-l', self.cache], check=True))
        # Far more than the disk has.
        self.settings = self.config(clips.make(short.CLIPS, 'short'), short.VIEWS, cache_size='1GiB', more='workers: 2\n')
        self.strange = self.cache / 'of somebody else'

    def fill(self):
        """Somebody else takes all that is free."""
        with open(self.strange, 'ab', buffering=0) as file, contextlib.suppress(OSError):
            for size in (1 << 16, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while file.write(b'x' * size):
                        pass

    def test_filled_by_itself(self):
        with self.mount(self.settings, wrapper=FEW_FILES) as mount:
            for path in self.shuffled(self.paths):
                self.assertEqual(harness.read_and_drop(mount.path / path), self.truth[path], path)
            self.read_some(mount, 60)
            stats = mount.stats()
            self.assertGreater(stats['evicted'], 0)
            self.assertGreater(stats['segments'], 0)
            self.wait_until_kept(mount)
        self.check_afterwards()

    def test_filled_by_others(self):
        """Before the mount, and in its middle."""
        for when in ('before', 'during'):
            with self.subTest(filled=when):
                if when == 'before':
                    self.fill()
                with self.mount(self.settings, wrapper=FEW_FILES, allowed=['cache', 'index', 'segment', 'kept']) as mount:
                    self.read_some(mount, 20)
                    for _ in range(6):
                        self.fill()
                        self.read_some(mount, 20)
                    self.assertGreater(mount.stats()['unkept'], 0)
                    self.strange.unlink()
                    self.wait_until_kept(mount)
                self.check_afterwards()


if __name__ == '__main__':
    harness.main()
