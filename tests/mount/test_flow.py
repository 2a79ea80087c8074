#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Optical flow, as arrays and as pictures: what OpenCV finds between the frames that ffmpeg decodes."""
import contextlib
import errno
import signal
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

import cv2
import numpy
from numpy.lib import format as npy_format

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness

MOVING = {
    'a/moving.mp4': [*clips.picture(size='96x64', rate=10, seconds=2), *clips.X264, *clips.YUV, '-g', '7'],
    'a/vfr.mkv': [*clips.picture(size='64x48', rate=10, seconds=2), '-vf', "select='not(eq(mod(n,3),1))'",
                  '-fps_mode', 'vfr', *clips.X264, *clips.YUV],
    'a/short.mp4': [*clips.picture(size='64x48', rate=10, seconds=1), '-frames:v', '1', *clips.X264, *clips.YUV],
}
FLOW_WORKER = harness.BUILD / 'corpusfs-decoder-flow'


def frames(video, arguments, shape, grey):
    """The frames that ffmpeg writes, as OpenCV wants them."""
    out = subprocess.run(['ffmpeg', '-nostdin', '-v', 'fatal', '-i', str(video), *arguments, '-pix_fmt',
                          'gray' if grey == 'luma' else 'rgb24', '-f', 'rawvideo', '-'],
                         stdout=subprocess.PIPE, check=True).stdout
    if grey == 'luma':
        return list(numpy.frombuffer(out, numpy.uint8).reshape(-1, *shape))
    return [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in numpy.frombuffer(out, numpy.uint8).reshape(-1, *shape, 3)]


def flow(pictures, method):
    """(T-1,2,H,W), of one thread, as corpusfs has it."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        found = []
        for first, second in zip(pictures, pictures[1:]):
            engine = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM) if method == 'dis' else \
                cv2.optflow.DualTVL1OpticalFlow_create()
            found.append(engine.calc(first, second, None).transpose(2, 0, 1))
        return numpy.array(found, numpy.float32)
    finally:
        cv2.setNumThreads(before)


def npy(settings):
    return f'npy: {{ kind: flow, {settings} }}'


def pictures(part, settings):
    return f'frames: {{ flow: {part}, {settings} }}'


@unittest.skipUnless(FLOW_WORKER.exists(), 'this build has no optical flow')
class Flow(harness.Case):

    def config(self, root, views, cache=None, source='- videos: "a/*"'):
        lines = [f'root: {root}', 'sources:', f'  {source}', r"    match: '(?<clip>[^/]+)\.[^.]+$'", 'views:']
        for path, kind in views.items():
            lines += [f'  - path: "{path}"', f'    {kind}']
        lines += [f'cache: {{ dir: {cache or self.home / "cache"}, size: 1GiB }}']
        path = self.home / f'config-{len(list(self.home.iterdir()))}.yaml'
        path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
        return path

    def assert_equal(self, got, expected):
        """To the float, but for a few: the library of the system may have other instructions than its archive."""
        difference = numpy.abs(numpy.asarray(got, numpy.float64) - expected)
        self.assertEqual(got.shape, expected.shape)
        self.assertLessEqual(difference.max(), 1 if got.dtype == numpy.int8 else 1e-3)
        self.assertLess((difference > 0).mean(), 0.001)

    def assert_strict(self, path, shape, dtype):
        with open(path, 'rb') as file:
            self.assertEqual(npy_format.read_magic(file), (1, 0))
            self.assertEqual(npy_format.read_array_header_1_0(file), (shape, False, numpy.dtype(dtype)))
            self.assertEqual(file.tell() % 64, 0)
            self.assertEqual(path.stat().st_size,
                             file.tell() + int(numpy.prod(shape)) * numpy.dtype(dtype).itemsize)

    def test_arrays(self):
        """Both methods, types and layouts, read and mapped, in any order."""
        root = clips.make(MOVING, 'flow')
        sizes = {'moving': (64, 96), 'vfr': (48, 64)}
        views = {  # name: (settings, ffmpeg's, method, grey, bound, dtype, transposed)
            'dis': ('method: dis, dtype: float32, layout: tchw, bound: 1000', [], 'dis', 'rgb', 1000, '<f4', False),
            'luma': ('method: dis, dtype: float32, grey: luma, bound: 3', [], 'dis', 'luma', 3, '<f4', True),
            'passed': ('method: dis, timing: passthrough', ['-fps_mode', 'passthrough'], 'dis', 'rgb', 20, '|i1', True),
            'tvl1': ('bound: 2, fps: 5, size: "48:32"', ['-vf', 'fps=5,scale=48:32'], 'tvl1', 'rgb', 2, '|i1', True),
        }
        config = self.config(root, {f'{name}/{{clip}}.npy': npy(v[0]) for name, v in views.items()})
        with self.mount(config) as mount:
            for name, clip in self.shuffled([(n, c) for n in views for c in sizes]):
                _, arguments, method, grey, bound, dtype, transposed = views[name]
                with self.subTest(view=name, clip=clip):
                    video = next((root / 'a').glob(f'{clip}.*'))
                    shape = (32, 48) if name == 'tvl1' else sizes[clip]
                    expected = flow(frames(video, arguments, shape, grey), method).clip(-bound, bound)
                    if dtype == '|i1':
                        expected = expected.round()
                    if transposed:
                        expected = expected.transpose(1, 0, 2, 3)
                    path = mount.path / name / f'{clip}.npy'
                    self.assert_strict(path, expected.shape, dtype)
                    mapped = numpy.load(path, mmap_mode='r')
                    for k in self.shuffled(range(expected.shape[1 if transposed else 0])):
                        row = (slice(None), k) if transposed else k
                        self.assert_equal(mapped[row], expected[row])
                    del mapped
                    self.assert_equal(numpy.load(path), expected)
            self.assertFalse((mount.path / 'dis/short.npy').exists(), 'one frame has no flow')

    def test_sampling(self):
        """Of frames that are taken of a clip, flow is from each to the next."""
        root = clips.make(MOVING, 'flow')
        settings = 'method: dis, dtype: float32, bound: 1000, layout: tchw, '
        cases = {'stride: 3': list(range(0, 20, 3)), 'frames: 5': [0, 4, 9, 14, 19],
                 'frames: 4, sample: centre': [8, 9, 10, 11]}
        config = self.config(root, {f'{i}/{{clip}}.npy': npy(settings + s) for i, s in enumerate(cases)})
        with self.mount(config) as mount:
            whole = frames(root / 'a/moving.mp4', [], (64, 96), 'rgb')
            for i, (case, chosen) in enumerate(cases.items()):
                with self.subTest(case=case):
                    self.assert_equal(numpy.load(mount.path / f'{i}/moving.npy'), flow([whole[k] for k in chosen], 'dis'))

    def test_pictures(self):
        """flow_x and flow_y beside the frames, in grey; both are made at once."""
        root = clips.make(MOVING, 'flow')
        views = {'{clip}/img_{frame:05d}.jpg': 'frames: {}'}
        views.update({f'{{clip}}/flow_{part}_{{frame:05d}}.jpg': pictures(part, 'method: dis, bound: 8')
                      for part in 'xy'})
        with self.mount(self.config(root, views)) as mount:
            expected = flow(frames(root / 'a/moving.mp4', [], (64, 96), 'rgb'), 'dis').clip(-8, 8)
            expected = ((expected.astype(numpy.float64) + 8) * 255 / 16).round()
            names = sorted(p.name for p in (mount.path / 'moving').iterdir())
            self.assertEqual(names, [f'flow_{p}_{i:05d}.jpg' for p in 'xy' for i in range(1, 20)] +
                             [f'img_{i:05d}.jpg' for i in range(1, 21)])
            for i, part in self.shuffled([(i, part) for i in range(19) for part in range(2)]):
                path = mount.path / f'moving/flow_{"xy"[part]}_{i + 1:05d}.jpg'
                size = path.stat().st_size
                data = path.read_bytes()
                self.assertEqual((len(data), data[-2:]), (size, b'\xff\xd9'))
                picture = cv2.imdecode(numpy.frombuffer(data, numpy.uint8), cv2.IMREAD_UNCHANGED)
                self.assertEqual(picture.shape, (64, 96))
                self.assertLess(numpy.abs(picture - expected[i, part]).mean(), 2)
            stats = mount.stats()
            self.assertLessEqual(stats['jobs_frames'], 19)
            self.assertEqual((list((mount.path / 'short').iterdir())), [mount.path / 'short/img_00001.jpg'])

    def test_same_bytes(self):
        """Whatever the order of reads and the number of workers."""
        root = clips.make(MOVING, 'flow')
        views = {'{clip}_x/{frame}.jpg': pictures('x', 'method: dis'), '{clip}_y/{frame}.jpg': pictures('y', 'method: dis'),
                 '{clip}.npy': npy('method: dis, dtype: float32')}
        seen = []
        for workers in (1, 3):
            config = self.config(root, views, cache=self.home / f'cache{workers}')
            with open(config, 'a', encoding='utf-8') as file:
                file.write(f'workers: {workers}\n')
            with self.mount(config, cache=self.home / f'cache{workers}') as mount:
                seen.append({name: (mount.path / name).read_bytes() for name in self.shuffled(mount.files())})
        self.assertEqual(sorted(seen[0]), sorted(seen[1]))
        self.assertEqual([n for n in seen[0] if seen[0][n] != seen[1][n]], [])

    def test_tiny(self):
        """Of a picture that is too small, or of none, there is EIO with a reason, and no worker lost."""
        root = self.home / 'root'
        (root / 'a').mkdir(parents=True)
        clips.ffmpeg(*clips.picture(size='64x48', rate=10), *clips.X264, *clips.YUV, root / 'a/good.mp4')
        (root / 'a/bad.mp4').write_bytes((root / 'a/good.mp4').read_bytes()[:2000])
        config = self.config(root, {'{clip}.npy': npy('method: dis'),
                                    'tiny/{clip}.npy': npy('method: dis, size: "4:2"')})
        with self.mount(config, allowed=['bad.mp4', 'good.mp4']) as mount:
            for name in ('bad.npy', 'tiny/good.npy'):
                with self.subTest(name=name):
                    with self.assertRaises(OSError) as caught:
                        (mount.path / name).read_bytes()
                    self.assertEqual(caught.exception.errno, errno.EIO)
            self.assertRegex('\n'.join(mount.errors()), r'bad\.mp4: .+')
            self.assertRegex('\n'.join(mount.errors()), r'good\.mp4: .*no flow is found in pictures of 4x2')
            self.assertEqual(numpy.load(mount.path / 'good.npy').shape, (2, 19, 48, 64))
            self.assertEqual(mount.stats()['worker_restarts'], 0)

    def test_killed(self):
        """What was half made when the daemon died is made again."""
        root = clips.make(MOVING, 'flow')
        config = self.config(root, {'{clip}.npy': npy('method: tvl1')})
        expected = flow(frames(root / 'a/moving.mp4', [], (64, 96), 'rgb'), 'tvl1').clip(-20, 20).round()
        mount = self.mount(config)
        try:
            reader = threading.Thread(target=self.read_until_it_dies, args=(mount.path / 'moving.npy',))
            reader.start()
            time.sleep(self.random.random())
            mount.daemon.send_signal(signal.SIGKILL)
            reader.join()
        finally:
            mount.kill()
        with self.mount(config) as mount:
            self.assert_equal(numpy.load(mount.path / 'moving.npy'), expected.transpose(1, 0, 2, 3))

    @staticmethod
    def read_until_it_dies(path):
        with contextlib.suppress(OSError):
            path.read_bytes()


if __name__ == '__main__':
    harness.main()
