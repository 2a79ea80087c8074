#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon and its workers are killed at 200 random moments of their work on one cache: nothing wrong is ever
read, the index and the files agree at the moment of each death, and the next start leaves nothing behind."""
import collections
import contextlib
import errno
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness, short

# What a kill hits: the daemon with all its workers, the daemon alone (its workers see that and end), some of the
# workers, or a daemon that is only starting.
KILLS = {'all': 75, 'daemon': 45, 'workers': 60, 'start': 20}
WORKER_DIED = r'ended by signal 9|cannot start .*corpusfs-decoder'


class Readers:
    """Four threads that read random files and compare, until they are stopped or the mount dies."""

    def __init__(self, mount, truth, seed):
        self.mount, self.truth, self.paths = mount, truth, sorted(truth)
        self.faults, self.reads = [], 0
        self.stop, self.mount_dies, self.workers_died = threading.Event(), threading.Event(), threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(random.Random(f'{seed} {i}'),)) for i in range(4)]
        for thread in self.threads:
            thread.start()

    def run(self, dice):
        while not self.stop.is_set() and not self.mount_dies.is_set():
            path = dice.choice(self.paths)
            fault = self.read(path)
            with self.lock:
                self.reads += not fault
                self.faults += [f'{path}: {fault}'] if fault and not self.mount_dies.is_set() else []

    def read(self, path):
        """What is wrong with it, or ''. A job whose worker was killed, and the second one too, is an EIO of that read."""
        for _ in range(20):
            try:
                return '' if harness.read_and_drop(self.mount.path / path) == self.truth[path] else 'wrong bytes'
            except OSError as error:
                if self.mount_dies.is_set() or error.errno != errno.EIO or not self.workers_died.is_set():
                    return str(error)
        return 'EIO again and again'

    def wait_for(self, count):
        """Until so many more were right."""
        goal = self.reads + count
        harness.wait_until(f'{count} reads', lambda: self.reads >= goal or self.faults)

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


class Index:
    """The rows of a cache whose users are dead or stopped, from a copy: opening the index itself would mend it."""

    def __init__(self, cache, home):
        with tempfile.TemporaryDirectory(dir=home) as copy:
            for name in ('index.sqlite', 'index.sqlite-wal'):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copy(cache / name, copy)
            with contextlib.closing(sqlite3.connect(f'{copy}/index.sqlite')) as db:
                self.whole = db.execute('PRAGMA integrity_check').fetchall() == [('ok',)]
                self.has_tables = bool(db.execute("SELECT 1 FROM sqlite_master WHERE name = 'work'").fetchall())
                self.segments = self.work = ()
                if self.has_tables:
                    self.segments = {key.hex() for (key,) in db.execute('SELECT key FROM segments')}
                    self.work = db.execute('SELECT owner, seq, key FROM work').fetchall()
                    self.totals = db.execute('SELECT bytes, n FROM totals').fetchone()
                    self.sums = db.execute('SELECT coalesce(sum(bytes), 0), count(*) FROM segments').fetchone()


class Crash(harness.Case):

    def setUp(self):
        super().setUp()
        self.settings, self.truth = short.prepare(self, short.ARRAYS)
        self.seen, self.counts = set(), collections.Counter()

    def files(self):
        return ({p.name for p in (self.cache / 'segments').glob('*/*')}, {p.name for p in (self.cache / 'tmp').glob('*')})

    def check_ground(self, owners):
        """Rows and files of a cache whose processes are stopped, and how many they are at most; None: just killed."""
        if not self.cache.exists():
            return
        segments, tmp = self.files()
        index = Index(self.cache, self.home)
        blocks = {state.st_ino: state.st_blocks for state in map(os.stat, [self.cache, *self.cache.rglob('*')])}
        self.assertLessEqual(sum(blocks.values()) * 512, short.BUDGET)
        self.assertTrue(index.whole)
        if not index.has_tables:
            self.assertEqual(segments, set())
            return
        self.assertEqual(index.totals, index.sums)
        self.assertEqual(set(index.segments) - segments, set(), 'rows without a file')
        keys = {key.hex() for _, _, key in index.work if key}
        self.assertEqual(segments - index.segments - keys, set(), 'files that eviction does not know')
        self.assertEqual(keys & index.segments, set())
        names = {f'{owner:016x}-{seq}' for owner, seq, _ in index.work}
        self.assertEqual({name for name in tmp if not name.endswith('.lock')} - names, set(), 'files without work')
        if owners is not None:
            living = {name[:16] for name in tmp}
            self.assertLessEqual(len(living), owners, tmp)
            self.assertLessEqual({f'{owner:016x}' for owner, _, _ in index.work}, living)
        else:
            self.counts['deaths with work under way'] += bool(index.work)
            self.counts['deaths with files in tmp/'] += any(not name.endswith('.lock') for name in tmp)
        self.counts['segments published'] += len(index.segments - self.seen)
        self.counts['segments evicted'] += len(self.seen - index.segments)
        self.seen = index.segments

    @contextlib.contextmanager
    def stopped(self, mount):
        """The daemon stands still. Its workers may write on, but only it makes, names and removes files."""
        os.kill(mount.daemon.pid, signal.SIGSTOP)
        try:
            os.waitid(os.P_PID, mount.daemon.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            yield
        finally:
            os.kill(mount.daemon.pid, signal.SIGCONT)

    def verify(self):
        done = harness.corpusfs('verify', self.settings)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn('all good', done.stdout)

    def bury(self, mount):
        """After the daemon's death: its log, and that its workers follow it."""
        mount.daemon.wait()
        harness.wait_until('workers to end', lambda: not mount.leftovers())
        mount.kill()
        errors = [line for line in mount.errors() if not re.search(WORKER_DIED, line)]
        self.assertEqual(errors, [], mount.log())
        self.assertIsNone(harness.SANITIZERS.search(mount.log()), mount.log())

    def kill(self, mount, readers, what):
        workers = mount.workers()
        mount.family |= set(workers)
        victims = workers if what == 'all' else []
        if what == 'workers':
            readers.workers_died.set()
            victims = self.random.sample(workers, self.random.randrange(len(workers)) + 1) if workers else []
        else:
            readers.mount_dies.set()
            victims.insert(self.random.randrange(len(victims) + 1), mount.daemon.pid)
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def killed_at_start(self):
        point = Path(tempfile.mkdtemp(dir=self.home))
        with open(f'{point}.log', 'wb') as log:
            daemon = subprocess.Popen([harness.CORPUSFS, 'mount', '-f', self.settings, point], stdin=subprocess.DEVNULL,
                                      stdout=log, stderr=log, env=harness.environment())
        time.sleep(self.random.random() * 0.08)
        daemon.kill()
        daemon.wait()
        # A user's daemon mounts by a helper, which may live a moment longer.
        harness.wait_until('fusermount3 to end', lambda: not any(
            parent == os.getpid() and name.startswith('fusermount') and state != 'Z'
            for parent, state, name in harness.processes().values()))
        harness.unmount_dead(point)

    def moments(self):
        """Kills until the list is used up; a mount lives as long as only its workers die."""
        kinds = self.shuffled(kind for kind, count in KILLS.items() for _ in range(count))
        while kinds:
            if kinds[-1] == 'start':
                kinds.pop()
                self.killed_at_start()
                self.check_ground(owners=None)
                continue
            if self.random.random() < 0.5:
                self.verify()
                self.check_ground(owners=0)
            mount = self.mount(self.settings)
            with self.stopped(mount):
                self.check_ground(owners=1)
            readers = Readers(mount, self.truth, self.random.random())
            try:
                died = False
                while kinds and not died and kinds[-1] != 'start':
                    died = self.moment(mount, readers, kinds.pop())
            finally:
                readers.mount_dies.set()
                mount.daemon.kill()
                readers.end()
                self.bury(mount)
            self.assertEqual(readers.faults, [])
            self.check_ground(owners=None)

    def moment(self, mount, readers, what):
        """One kill under load. True: the mount is dead."""
        readers.wait_for(self.random.randrange(40))
        time.sleep(self.random.random() * 0.03)
        self.kill(mount, readers, what)
        if what == 'workers':
            readers.wait_for(8)
            self.verify()
        return what != 'workers'

    def test_killed(self):
        begin = time.monotonic()
        self.moments()
        self.verify()
        with self.mount(self.settings) as mount:
            for path in self.shuffled(self.truth):
                self.assertEqual((mount.path / path).read_bytes(), self.truth[path], path)
        sys.stderr.write(f'{sum(KILLS.values())} kills in {time.monotonic() - begin:.1f} s: {dict(self.counts)}\n')
        self.assertGreater(self.counts['deaths with work under way'], 0)
        self.assertGreater(self.counts['segments published'], 200)
        self.assertGreater(self.counts['segments evicted'], 200)
        self.verify()

    def test_killed_beside_another(self):
        """What a mount leaves behind goes with the next eviction of another that shares its cache."""
        with self.mount(self.settings) as survivor:
            for _ in range(8):
                other = self.mount(self.settings)
                readers = Readers(other, self.truth, self.random.random())
                try:
                    self.moment(other, readers, 'all')
                finally:
                    readers.mount_dies.set()
                    other.daemon.kill()
                    readers.end()
                    self.bury(other)
                self.assertEqual(readers.faults, [])
                evicted = survivor.stats()['evicted']
                readers = Readers(survivor, self.truth, self.random.random())
                try:
                    harness.wait_until('an eviction', lambda: survivor.stats()['evicted'] > evicted or readers.faults)
                finally:
                    readers.end()
                self.assertEqual(readers.faults, [])
                with self.stopped(survivor):
                    self.check_ground(owners=1)
        self.verify()


if __name__ == '__main__':
    harness.main(limit=480)
