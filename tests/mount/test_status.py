#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""corpusfs status, verify and cache clear: figures against known traffic, and what they do to a cache in use."""
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness

VIEWS = {'ppm/{class}/{clip}/{frame:06d}.ppm': 'frames: {}', 'mp3/{class}/{clip}.mp3': 'audio: {}'}
FOLDER = {'mounted', 'cache_dir', 'size_bytes', 'budget_bytes', 'min_free_bytes', 'segments'}
COUNTERS = {
    'pid', 'uptime_s', 'made', 'evicted', 'bad', 'unkept', 'hits', 'misses', 'jobs_index', 'jobs_measure', 'jobs_frames',
    'jobs_audio', 'jobs_subtitles', 'jobs_list', 'jobs_unpack', 'jobs_command', 'members_refused', 'past_end', 'failed',
    'pictures_decoded', 'frames_lowered', 'worker_restarts', 'workers', 'workers_busy', 'workers_idle', 'queued', 'list_bytes',
    'bytes_read', 'problems', 'left_out', 'unlisted'}
OPERATIONS = ['lookup', 'getattr', 'readdir', 'read_warm', 'read_cold']


class Base(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = clips.make(clips.SMALL, 'small')
        self.settings = self.config(self.root, VIEWS)

    def status(self, path):
        return json.loads(harness.corpusfs('status', '--json', path, check=0).stdout)

    def segments(self):
        return sorted(p for p in (self.cache / 'segments').rglob('*') if p.is_file())

    @staticmethod
    def lone_frames(mount):
        """One frame of each clip that has frames."""
        return sorted(str(p.relative_to(mount.path)) for p in mount.path.glob('ppm/*/*/000003.ppm'))

    @staticmethod
    def read_all(mount, paths):
        return {p: (mount.path / p).read_bytes() for p in paths}


class Figures(Base):

    def test_known_traffic(self):
        """N cold reads make N segments, each read once; after a remount the same reads are N warm ones."""
        with self.mount(self.settings) as mount:
            paths = self.lone_frames(mount)
            n = len(paths)
            self.assertGreater(n, 3)
            before = self.status(mount.path)
            self.assertEqual([before[key] for key in ('hits', 'misses', 'made', 'jobs_frames', 'bytes_read', 'segments')], [0] * 6)
            truth = self.read_all(mount, paths)
            size = sum(map(len, truth.values()))
            cold = self.status(mount.path)
            self.assertEqual([cold[key] for key in ('misses', 'made', 'jobs_frames', 'segments', 'failed', 'bytes_read')],
                             [n, n, n, n, 0, size])
            requests = cold['hits'] + cold['misses']
            self.assertEqual(cold['latency_us']['read_cold']['count'], n)
            self.assertEqual(cold['latency_us']['read_warm']['count'], cold['hits'])
            # The kernel has these pages: nobody asks for them again.
            self.assertEqual(self.read_all(mount, paths), truth)
            self.assertEqual(self.status(mount.path)['bytes_read'], size)
        with self.mount(self.settings) as mount:
            self.assertEqual(self.read_all(mount, paths), truth)
            warm = self.status(mount.path)
            self.assertEqual([warm[key] for key in ('hits', 'misses', 'made', 'segments', 'bytes_read')],
                             [requests, 0, 0, n, size])
            self.assertEqual([key for key in warm if key.startswith('jobs_') and warm[key]], [])
            self.assertEqual(warm['latency_us']['read_cold'], dict.fromkeys(('count', 'p50', 'p90', 'p99', 'max'), 0))
            # The same document goes to CORPUSFS_STATS.
            written = mount.stats()
            self.assertEqual(written['hits'], requests)
            self.assertEqual(written.keys(), warm.keys())

    def test_failures(self):
        """A read that fails is neither a hit nor a miss; the job that failed counts."""
        root = self.home / 'root'
        (root / 'a').mkdir(parents=True)
        (root / 'a/bad.mp4').write_text('no video')
        with self.mount(self.config(root, VIEWS), allowed=['bad.mp4']) as mount:
            with self.assertRaises(OSError):
                (mount.path / 'mp3/a/bad.mp4.mp3').read_bytes()
            figures = self.status(mount.path)
            self.assertGreaterEqual(figures['failed'], 1)
            self.assertEqual(figures['hits'] + figures['misses'], 0)

    def test_reasons(self):
        """What failed last, and why, for programs and people; each source once, a bounded number."""
        root = self.home / 'root'
        (root / 'a').mkdir(parents=True)
        names = [*(f'{i:02}.mp4' for i in range(22)), '\u60c5 \033[31m"x"\n.mp4']
        for name in names:
            (root / 'a' / name).write_text('no video')
        with self.mount(self.config(root, VIEWS), allowed=['mp4: ']) as mount:
            self.assertEqual(self.status(mount.path)['failures'], [])
            self.assertNotIn('failed last', harness.corpusfs('status', mount.path, check=0).stdout)
            for name in [names[21], *names, names[20]]:
                with self.assertRaises(OSError):
                    (mount.path / f'mp3/a/{name}.mp3').read_bytes()
            told = self.status(mount.path)['failures']
            self.assertEqual([row['source'] for row in told],
                             [f'{root}/a/{name}' for name in (names[20], names[22], names[21], *names[19:2:-1])])
            reasons = {row['reason'] for row in told}
            self.assertEqual(len(reasons), 1)
            reason = reasons.pop()
            self.assertIn(f'{root}/a/00.mp4: {reason}\n', mount.log())
            said = harness.corpusfs('status', mount.path, check=0).stdout
            self.assertIn(f'failed last, the newest first:\n  {root}/a/20.mp4: {reason}\n'
                          f'  {root}/a/\u60c5 \\u001b[31m"x"\\u000a.mp4: {reason}\n  {root}/a/21.mp4: {reason}\n', said)

    def test_reason_of_an_array(self):
        """A stack tells which of its arrays is broken; what the last mount found is told again when it is read."""
        root = self.home / 'root'
        root.mkdir()
        for name in 'ab':
            numpy.save(root / f'{name}.npy', numpy.zeros((4, 4096), '<f4'))
        (root / 'b.npy').write_bytes((root / 'b.npy').read_bytes()[:-1])
        settings = self.config(root, {'all.npy': 'stack: { shape: [4, 4096] }'}, source='- videos: "*.npy"')
        for _ in range(2):
            with self.mount(settings, allowed=[r'b\.npy: ']) as mount:
                with open(mount.path / 'all.npy', 'rb') as file, self.assertRaises(OSError):
                    os.pread(file.fileno(), 4096, 128 + 5 * 4 * 4096)
                told = self.status(mount.path)['failures']
                self.assertEqual([row['source'] for row in told], [f'{root}/b.npy'])
                self.assertIn('an array whose end is missing', told[0]['reason'])

    def test_schema(self):
        with self.mount(self.settings) as mount:
            self.read_all(mount, self.lone_frames(mount))
            mount.files()
            figures = self.status(mount.path)
            self.assertEqual(figures.keys(), FOLDER | COUNTERS | {'mountpoint', 'root', 'version', 'failures', 'latency_us'})
            self.assertIs(figures['mounted'], True)
            self.assertEqual((figures['mountpoint'], figures['cache_dir'], figures['pid']),
                             (str(mount.path), str(self.cache), mount.daemon.pid))
            for key in (FOLDER | COUNTERS) - {'mounted', 'cache_dir'}:
                self.assertIsInstance(figures[key], int, key)
                self.assertGreaterEqual(figures[key], 0, key)
            self.assertEqual(figures['workers_busy'] + figures['workers_idle'], figures['workers'])
            self.assertEqual(list(figures['latency_us']), OPERATIONS)
            for name, row in figures['latency_us'].items():
                self.assertEqual(list(row), ['count', 'p50', 'p90', 'p99', 'max'])
                self.assertEqual(sorted(list(row.values())[1:]), list(row.values())[1:], name)
            for name in ('lookup', 'readdir'):
                self.assertGreater(figures['latency_us'][name]['count'], 0)
                self.assertGreater(figures['latency_us'][name]['max'], 0)
        self.assertEqual(self.status(self.settings).keys(), FOLDER)

    def test_for_people(self):
        with self.mount(self.settings) as mount:
            self.read_all(mount, self.lone_frames(mount))
            said = harness.corpusfs('status', mount.path, check=0).stdout
            self.assertIn(f'mount     {mount.path}\nroot      {self.root}\ncache     {self.cache}\nsize      ', said)
            self.assertRegex(said, r'(?m)^size +[\d.]+ MiB of 1\.0 GiB \(\d+ %\)$')
            self.assertRegex(said, r'(?m)^workers +\d+ busy, \d+ idle, 0 restarted; 0 jobs wait$')
            table = said.split('microseconds')[1].splitlines()
            self.assertEqual([re.split(r'  +', line)[0] for line in table[1:]],
                             ['lookup', 'getattr', 'readdir', 'read, warm', 'read, cold'])
            self.assertEqual(len({len(line) for line in table[1:]}), 1, 'aligned')
        said = harness.corpusfs('status', self.settings, check=0).stdout
        self.assertRegex(said, r'\Acache +.*\nsize +.*\nsegments  \d+\n\Z')

    def test_of_a_configuration(self):
        """Looking at a cache folder makes nothing there, and agrees with the daemon."""
        self.assertEqual(self.status(self.settings)['segments'], 0)
        self.assertFalse(self.cache.exists())
        with self.mount(self.settings) as mount:
            self.read_all(mount, self.lone_frames(mount))
            live, folder = self.status(mount.path), self.status(self.settings)
            self.assertEqual({key: live[key] for key in FOLDER - {'mounted'}}, {key: folder[key] for key in FOLDER - {'mounted'}})
        names = sorted(os.listdir(self.cache))
        self.assertEqual(self.status(self.settings)['segments'], live['segments'])
        self.assertEqual(sorted(os.listdir(self.cache)), names)

    def test_who_cannot_be_asked(self):
        """Nothing mounted, a dead daemon, wrong usage: a sentence, no stack of errors."""
        for arguments, code, words in [
                ((self.home,), 1, 'no corpus is mounted there'), ((self.home / 'none',), 1, 'No such file'),
                ((), 2, 'usage'), (('--nonsense', self.home), 2, 'usage'), ((self.home, self.home), 2, 'usage')]:
            self.assertIn(words, harness.corpusfs('status', *arguments, check=code).stdout)
        mount = self.mount(self.settings)
        try:
            mount.daemon.kill()
            mount.daemon.wait()
            self.assertIn('has died', harness.corpusfs('status', mount.path, check=1).stdout)
        finally:
            mount.kill()

    def test_many_ask_and_some_stay(self):
        """Clients that connect and never read neither stop the daemon nor others."""
        runtime = self.home / ('a-long-name-' * 12)
        runtime.mkdir(mode=0o700)
        with self.mount(self.settings, XDG_RUNTIME_DIR=str(runtime)) as mount:
            found = list((runtime / 'corpusfs').glob('*.status'))
            self.assertEqual(len(found), 1)
            self.assertEqual((runtime / 'corpusfs').stat().st_mode & 0o777, 0o700)
            with contextlib.ExitStack() as stack:
                folder = os.open(found[0].parent, os.O_PATH)
                stack.callback(os.close, folder)
                for _ in range(3):
                    silent = stack.enter_context(socket.socket(socket.AF_UNIX))
                    silent.connect(f'/proc/self/fd/{folder}/{found[0].name}')

                def ask(_):
                    for _ in range(5):
                        said = harness.corpusfs('status', '--json', mount.path, check=0, XDG_RUNTIME_DIR=str(runtime))
                        self.assertEqual(json.loads(said.stdout)['mountpoint'], str(mount.path))
                harness.in_threads(4, ask)
        self.assertEqual(list((runtime / 'corpusfs').iterdir()), [], 'left behind')


class Verify(Base):

    def verify(self, code):
        return harness.corpusfs('verify', self.settings, check=code).stdout

    def fill(self):
        with self.mount(self.settings) as mount:
            return self.read_all(mount, self.lone_frames(mount))

    def test_good(self):
        self.assertRegex(self.verify(0), r'\A\S+: 0 segments, 0 B, all good\n\Z')
        self.assertFalse(self.cache.exists())
        n = len(self.fill())
        self.assertRegex(self.verify(0), rf'\A\S+: {n} segments, [\d.]+ [KM]iB, all good\n\Z')

    def test_flipped(self):
        """One bit: found, removed, and made again."""
        truth = self.fill()
        for path in self.random.sample(self.segments(), 2):
            data = bytearray(path.read_bytes())
            data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
            path.write_bytes(data)
        self.assertRegex(self.verify(1), r'2 damaged and removed\n\Z')
        self.assertEqual(len(self.segments()), len(truth) - 2)
        self.verify(0)
        with self.mount(self.settings) as mount:
            self.assertEqual(self.read_all(mount, truth), truth)
            self.assertEqual(self.status(mount.path)['made'], 2)

    def test_strangers_and_losses(self):
        """A file that no row knows, and a row whose file is gone."""
        self.fill()
        first, second, third = self.segments()[:3]
        stranger = first.parent / (first.name[:2] + '0' * 30)
        stranger.write_bytes(b'nothing')
        second.unlink()
        third.write_bytes(b'')
        self.assertRegex(self.verify(1), r'1 damaged and removed, 1 file that the index did not know, 1 lost its file\n\Z')
        self.assertFalse(stranger.exists())
        self.verify(0)

    def test_while_mounted(self):
        """Under readers that evict, verify finds nothing; a damaged segment goes, and is made again."""
        small = self.config(self.root, VIEWS, name='small.yaml', cache_size='3MiB')
        with self.mount(self.settings) as mount:
            paths = [p for p in mount.files() if p.startswith('ppm/')]
            truth = self.read_all(mount, paths)
        with self.mount(small) as mount:
            stop = threading.Event()

            def work(i):
                if i == 0:
                    try:
                        for _ in range(5):
                            self.verify(0)
                    finally:
                        stop.set()
                while not stop.is_set():
                    for path in self.shuffled(paths):
                        self.assertEqual(harness.read_and_drop(mount.path / path), truth[path], path)
            harness.in_threads(3, work)
            self.assertGreater(self.status(mount.path)['evicted'], 0)


class Clear(Base):

    def clear(self):
        return harness.corpusfs('cache', 'clear', self.settings, check=0).stdout

    def test_nothing_there(self):
        self.assertRegex(self.clear(), r'\A\S+: 0 segments removed, 0 B freed\n\Z')
        self.assertFalse(self.cache.exists())

    def test_under_a_live_mount(self):
        """The mount goes on, and makes everything again, the same."""
        with self.mount(self.settings) as mount:
            paths = self.lone_frames(mount)
            n, truth = len(paths), self.read_all(mount, paths)
            self.assertRegex(self.clear(), rf'\A\S+: {n} segments removed, [\d.]+ [KM]iB freed\n\Z')
            self.assertEqual(self.segments(), [])
            self.assertEqual(self.status(mount.path)['segments'], 0)
            others = [p.replace('000003', '000009') for p in paths]
            self.read_all(mount, others)
            self.assertEqual(len(self.segments()), n)
        self.clear()
        with self.mount(self.settings) as mount:
            self.assertEqual(self.read_all(mount, truth), truth)
            figures = self.status(mount.path)
            self.assertEqual([figures[key] for key in ('misses', 'made')], [n, n])
            self.assertGreaterEqual(figures['jobs_index'], n, 'facts are gone, too')

    def test_under_readers(self):
        with self.mount(self.settings) as mount:
            paths = mount.files()
            truth = self.read_all(mount, paths)
        with self.mount(self.settings) as mount:
            def work(i):
                if i == 0:
                    for _ in range(5):
                        self.clear()
                    return
                for path in self.shuffled(paths):
                    self.assertEqual((mount.path / path).read_bytes(), truth[path], path)
            harness.in_threads(4, work)
        self.assertEqual(harness.corpusfs('verify', self.settings, check=0).stdout.count('all good'), 1)

    def test_failures_are_forgotten(self):
        root = self.home / 'root'
        (root / 'a').mkdir(parents=True)
        (root / 'a/bad.mp4').write_text('no video')
        settings = self.config(root, VIEWS)
        for again in (1, 0, 1):
            with self.mount(settings, allowed=['bad.mp4']) as mount:
                with self.assertRaises(OSError):
                    (mount.path / 'mp3/a/bad.mp4.mp3').read_bytes()
                self.assertEqual(self.status(mount.path)['jobs_index'], again)
            if not again:
                harness.corpusfs('cache', 'clear', settings, check=0)


class MinFree(Base):

    def test_of_a_small_disk(self):
        """What min_free names stays free at every moment, and files are served all the same."""
        if os.geteuid() != 0:
            self.skipTest('needs root, to mount a tmpfs')
        disk = self.home / 'disk'
        disk.mkdir()
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            self.skipTest(f'cannot mount a tmpfs: {done.stdout.decode(errors="replace")}')
        self.addCleanup(subprocess.run, ['umount', disk], check=True)
        with self.mount(self.settings) as mount:
            paths = [p for p in mount.files() if p.startswith('ppm/')]
            truth = self.read_all(mount, paths)
            self.assertGreater(sum(map(len, truth.values())), 12 << 20)
        min_free = 16 << 20
        cache = disk / 'cache'
        settings = self.config(self.root, VIEWS, name='free.yaml', cache=cache, cache_size='64MiB, min_free: 16MiB')
        free = []
        with self.mount(settings, cache=cache) as mount:
            stop = threading.Event()

            def sample():
                while not stop.wait(0.002):
                    state = os.statvfs(disk)
                    free.append(state.f_bavail * state.f_frsize)
            sampler = threading.Thread(target=sample)
            sampler.start()
            try:
                def read(i):
                    for path in self.shuffled(paths):
                        self.assertEqual(harness.read_and_drop(mount.path / path), truth[path], path)
                harness.in_threads(4, read)
                figures = self.status(mount.path)
            finally:
                stop.set()
                sampler.join()
            self.assertEqual(figures['min_free_bytes'], min_free)
        sys.stderr.write(f'{len(free)} samples, at least {min(free)} bytes free\n')
        self.assertGreaterEqual(min(free), min_free)
        self.assertGreater(figures['segments'], 0)
        self.assertGreater(figures['evicted'], 0, 'the disk was short')
        self.assertIn('16.0 MiB of the disk left free', harness.corpusfs('status', settings, check=0).stdout)


if __name__ == '__main__':
    harness.main()
