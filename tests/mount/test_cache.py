#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The disk cache: survives, never serves a wrong byte, and stays within its budget."""
import contextlib
import os
import shutil
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness

VIEWS = {
    'img/{class}/{clip}/{frame:06d}.jpg': 'frames: {}',
    'ppm/{class}/{clip}/{frame:06d}.ppm': 'frames: {}',
    'mp3/{class}/{clip}.mp3': 'audio: {}',
    'srt/{class}/{clip}.srt': 'subtitles: [sidecar, embedded]',
}


class Cache(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = clips.make(clips.SMALL, 'small')
        self.settings = self.config(self.root, VIEWS)

    @staticmethod
    def read_all(mount, paths=None):
        return {p: (mount.path / p).read_bytes() for p in paths or mount.files()}

    def segments(self):
        return sorted(p for p in (self.cache / 'segments').rglob('*') if p.is_file())

    def held(self):
        """Bytes of the segments and of what is being written. A file that is renamed meanwhile counts once."""
        sizes = {}
        for place in ('tmp', 'segments'):
            for directory, _, names in os.walk(self.cache / place):
                for name in names:
                    with contextlib.suppress(FileNotFoundError):
                        state = os.stat(os.path.join(directory, name))
                        sizes[state.st_ino] = state.st_size
        return sum(sizes.values())

    def test_survives_a_remount(self):
        with self.mount(self.settings) as mount:
            truth = self.read_all(mount)
        self.assertTrue(self.segments())
        with self.mount(self.settings) as mount:
            self.assertEqual(self.read_all(mount), truth)
            stats = mount.stats()
            made = {key: stats[key] for key in stats if key.startswith('jobs_')}
            self.assertFalse(any(made.values()), made)

    def test_private(self):
        """What a corpus shows is its user's: the cache directory is for nobody else."""
        with self.mount(self.settings):
            self.assertEqual(os.stat(self.cache).st_mode & 0o777, 0o700)

    def damage(self, how):
        for path in self.segments():
            data = bytearray(path.read_bytes())
            how(path, data)

    def test_damaged_segments(self):
        """A segment whose bytes changed on the disk is made again, never served."""
        def flip(path, data):
            data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
            path.write_bytes(data)

        def cut(path, data):
            os.truncate(path, self.random.randrange(len(data)))

        def zero_page(path, data):
            at = self.random.randrange(len(data)) // 4096 * 4096
            data[at:at + 4096] = bytes(len(data[at:at + 4096]))
            path.write_bytes(data)

        def swap(path, data):
            path.write_bytes(self.random.choice(self.segments()).read_bytes())
        ways = {
            'a flipped bit': flip, 'cut short': cut, 'a page of zeros': zero_page,
            'empty': lambda path, data: os.truncate(path, 0),
            'longer': lambda path, data: path.write_bytes(data + b'\0' * 100),
            'another segment': swap, 'removed': lambda path, data: path.unlink(),
        }
        with self.mount(self.settings) as mount:
            truth = self.read_all(mount)
        for name, how in ways.items():
            with self.subTest(damage=name):
                self.damage(how)
                with self.mount(self.settings, allowed=['segment', 'cache']) as mount:
                    again = self.read_all(mount)
                    self.assertEqual([p for p in truth if again[p] != truth[p]], [])

    def test_killed(self):
        """After SIGKILL in the middle of the work the next mount serves right bytes and keeps no half file."""
        with self.mount(self.settings) as mount:
            truth = self.read_all(mount)
        shutil.rmtree(self.cache)
        for _ in range(4):
            mount = self.mount(self.settings)
            try:
                stop = threading.Event()

                def read(_, mount=mount, stop=stop):
                    with contextlib.suppress(OSError):
                        for path in self.shuffled(truth):
                            if stop.is_set():
                                return
                            (mount.path / path).read_bytes()
                readers = threading.Thread(target=harness.in_threads, args=(4, read))
                readers.start()
                goal = self.random.randrange(1, 12)
                harness.wait_until('work', lambda: len(self.segments()) >= goal or not readers.is_alive())
            finally:
                mount.kill()
                stop.set()
                readers.join()
        with self.mount(self.settings) as mount:
            left = [p.name for p in (self.cache / 'tmp').glob('*') if p.suffix != '.lock']  # one says that we live
            self.assertEqual(left, [], 'left over from the crash')
            self.assertEqual(self.read_all(mount), truth)
        self.assert_shrinks(truth)  # what eviction does not know would stay for good

    def assert_shrinks(self, truth):
        """A mount with a smaller budget than the cache holds removes what is too much."""
        self.assertGreater(self.held(), 1 << 20)
        with self.mount(self.config(self.root, VIEWS, name='small.yaml', cache_size='1MiB')) as mount:
            some = self.random.sample(sorted(truth), 20)
            self.assertEqual(self.read_all(mount, some), {p: truth[p] for p in some})
            self.assertLessEqual(self.held(), 1 << 20)

    def test_smaller_budget_next_time(self):
        with self.mount(self.settings) as mount:
            truth = self.read_all(mount)
        self.assert_shrinks(truth)

    def test_stays_within_its_size(self):
        """Eight readers of a tree many times the budget: what the cache holds is sampled all the while."""
        budget = 2 << 20
        settings = self.config(self.root, VIEWS, cache_size='2MiB')
        with self.mount(settings) as mount:
            paths = mount.files()
            total = sum(os.stat(mount.path / p).st_size for p in paths)
            self.assertGreater(total, 4 * budget)
            samples, done = [], threading.Event()

            def sample():
                while not done.wait(0.002):
                    samples.append(self.held())
            sampler = threading.Thread(target=sample)
            sampler.start()
            first, lock = {}, threading.Lock()

            def read(i):
                for path in self.shuffled(paths):
                    data = (mount.path / path).read_bytes()
                    with lock:
                        self.assertEqual(first.setdefault(path, data), data, path)
            try:
                harness.in_threads(8, read)
            finally:
                done.set()
                sampler.join()
            sys.stderr.write(f'{len(samples)} samples, at most {max(samples)} of {budget} bytes held\n')
            self.assertLessEqual(max(samples), budget)
            self.assertGreater(max(samples), budget // 4, 'the budget is used')

    def test_too_small_for_anything(self):
        """A budget below a single segment: everything is served, nothing kept."""
        with self.mount(self.settings) as mount:
            truth = self.read_all(mount)
        shutil.rmtree(self.cache)
        with self.mount(self.config(self.root, VIEWS, cache_size='1KiB')) as mount:
            for path in self.random.sample(sorted(truth), 60):
                self.assertEqual((mount.path / path).read_bytes(), truth[path], path)
            self.assertLessEqual(self.held(), 1024)

    def test_removed_while_mounted(self):
        """Somebody empties ~/.cache: reads go on."""
        with self.mount(self.settings) as mount:
            paths = mount.files()
            truth = self.read_all(mount, paths)
        with self.mount(self.settings, allowed=['cache', 'segment']) as mount:
            few = self.shuffled(paths)[:40]
            self.assertEqual(self.read_all(mount, few), {p: truth[p] for p in few})
            shutil.rmtree(self.cache)
            self.assertEqual(self.read_all(mount, paths), truth)

    def test_shared_by_two_mounts(self):
        """Two mounts at the same time on one cache directory, of the same corpus."""
        with self.mount(self.settings) as first, self.mount(self.settings) as second:
            paths = first.files()
            got = [{}, {}]

            def read(i):
                mount = (first, second)[i % 2]
                for path in self.shuffled(paths):
                    got[i % 2][path] = (mount.path / path).read_bytes()
            harness.in_threads(4, read)
            self.assertEqual(got[0], got[1])

    def test_shared_by_two_configurations(self):
        """Two daemons, two configurations, one cache directory: what one made of a view that both have in equal terms,
        the other need not make; another view's files are not taken for it."""
        frames, small = "frames: {}", 'frames: { size: "96:-2" }'
        first = self.config(self.root, {'img/{class}/{clip}/{frame:06d}.ppm': frames}, name='first.yaml')
        second = self.config(self.root, {'ppm/{clip}-{class}/f{frame:04d}.ppm': frames,
                                         'small/{class}/{clip}/{frame:06d}.ppm': small}, name='second.yaml')
        with self.mount(first) as one, self.mount(second) as other:
            truth = self.read_all(one)
            made = one.stats()
            self.assertGreater(made['jobs_frames'], 0)
            for path, data in truth.items():
                _, group, clip, name = path.split('/')
                self.assertEqual((other.path / 'ppm' / f'{clip}-{group}' / f'f{name[2:]}').read_bytes(), data, path)
            figures = other.stats()
            self.assertEqual([figures[key] for key in ('jobs_index', 'jobs_measure', 'jobs_frames', 'made')], [0] * 4)
            for path, data in truth.items():
                if path.endswith('000007.ppm'):
                    self.assertNotEqual((other.path / path.replace('img', 'small', 1)).read_bytes(), data)
            self.assertGreater(other.stats()['jobs_frames'], 0)
            self.assertEqual(one.stats()['jobs_frames'], made['jobs_frames'])

    def test_shared_and_too_small(self):
        """Eight readers of two daemons at once, on one directory that holds a part of what they read."""
        views = {'img/{class}/{clip}/{frame:06d}.jpg': 'frames: {}'}
        small = {'small/{class}/{clip}/{frame:06d}.jpg': 'frames: { size: "96:-2" }'}
        with self.mount(self.config(self.root, views | small)) as mount:
            truth = self.read_all(mount)
        shutil.rmtree(self.cache)
        first = self.config(self.root, views, name='first.yaml', cache_size='2MiB')
        second = self.config(self.root, views | small, name='second.yaml', cache_size='2MiB')
        with self.mount(first) as one, self.mount(second) as other:
            paths = {mount: mount.files() for mount in (one, other)}

            def read(i):
                mount = (one, other)[i % 2]
                for path in self.random.sample(paths[mount], len(paths[mount]) // 2):
                    self.assertEqual((mount.path / path).read_bytes(), truth[path], path)
            harness.in_threads(8, read)
            self.assertGreater(one.stats()['evicted'] + other.stats()['evicted'], 0)
            self.assertLessEqual(self.held(), 2 << 20)

    def test_same_size_rewrite(self):
        """A source that was rewritten between two mounts, at the same size and time, is a new source."""
        root = self.home / 'root'
        (root / 'a').mkdir(parents=True)
        first, second = root / 'a/clip.mkv', self.home / 'other.mkv'
        for path, hue in ((first, 0), (second, 90)):
            clips.ffmpeg(*clips.picture(seconds=1), '-vf', f'hue=h={hue}', '-c:v', 'rawvideo', *clips.YUV, path)
        self.assertEqual(first.stat().st_size, second.stat().st_size)
        settings = self.config(root, VIEWS)
        with self.mount(settings) as mount:
            before = (mount.path / 'ppm/a/clip.mkv/000003.ppm').read_bytes()
        state = first.stat()
        first.write_bytes(second.read_bytes())
        os.utime(first, ns=(state.st_atime_ns, state.st_mtime_ns))
        with self.mount(settings) as mount:
            self.assertNotEqual((mount.path / 'ppm/a/clip.mkv/000003.ppm').read_bytes(), before)


if __name__ == '__main__':
    harness.main()
