#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Arrays of pictures: numpy reads and maps them, and they hold what ffmpeg's rawvideo holds."""
import contextlib
import errno
import io
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy
from numpy.lib import format as npy_format

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness

# One clip for each thing that sizes, times and pixels differ in.
PICTURES = ['containers/h264_opengop.mkv', 'containers/mpeg2.mpg', 'containers/xvid_packed.avi', 'containers/vp9.webm',
            'timing/vfr_dropped.mp4', 'timing/one_frame.mp4', 'picture/rotate90.mp4', 'picture/mirrored.mp4',
            'picture/odd_444.mp4', 'picture/narrow.mp4', 'picture/tenbit_hevc.mkv', 'picture/gray.mp4',
            'picture/fullrange.mp4', 'picture/bt709.mp4', 'picture/anamorphic.mp4', 'picture/rgb.mkv',
            'streams/two_videos.mp4']
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
RGB = {  # name: (what npy: says, what ffmpeg is told)
    'whole': ('', []),
    'passed': ('timing: passthrough', ['-fps_mode', 'passthrough']),
    'small': ('size: "48:64", crop: left, fps: 10', ['-vf', 'fps=10,crop=iw/2:ih:0:0,scale=48:64']),
    'short': ('size: "short:32"', ['-vf', "scale='if(gt(iw,ih),-1,32)':'if(gt(iw,ih),32,-1)'"]),
}
LONG = {'a/long.mp4': [*clips.picture(size='320x180', seconds=8), *clips.X264, *clips.YUV, '-g', '20']}

# So large that each second takes a while to decode, in one group of pictures, so that a row a second is one segment.
LARGE = {f'a/{name}.mp4': [*clips.picture(size='1280x720', seconds=20), *clips.X264, *clips.YUV, '-g', '1000',
                           '-metadata', f'title={name}'] for name in ('one', 'two')}
SMALL = {f'a/{i}.mp4': [*clips.picture(size='64x48', seconds=2), *clips.X264, *clips.YUV, '-metadata', f'title={i}']
         for i in range(9)}


def view(settings):
    return 'npy: { kind: rgb' + (f', {settings}' if settings else '') + ' }'


def raw(video, arguments, shape):
    """The frames that ffmpeg writes, of an array's shape."""
    out = subprocess.run(['ffmpeg', '-nostdin', '-v', 'fatal', '-i', str(video), *arguments, '-pix_fmt', 'rgb24', '-f',
                          'rawvideo', '-'], stdout=subprocess.PIPE, check=True).stdout
    return numpy.frombuffer(out, numpy.uint8).reshape(-1, *shape)


def normalised(rgb, top, mean, std):
    """With one rounding to float32 a step."""
    values = rgb.astype(numpy.float32)
    if top == 1:
        values = values / numpy.float32(255)
    return (values - numpy.float32(mean)) / numpy.float32(std)


class Case(harness.Case):

    def assert_strict(self, path):
        """What numpy's own reader of the format checks, and what the format asks for beyond that."""
        data = path.read_bytes()
        self.assertEqual(len(data), path.stat().st_size)
        file = io.BytesIO(data)
        self.assertEqual(npy_format.read_magic(file), (1, 0))
        shape, fortran, dtype = npy_format.read_array_header_1_0(file)
        self.assertFalse(fortran)
        self.assertEqual(file.tell() % npy_format.ARRAY_ALIGN, 0)
        self.assertEqual(len(data), file.tell() + dtype.itemsize * int(numpy.prod(shape)))
        # The same dict, character for character, as numpy writes; then spaces up to a line feed.
        written = io.BytesIO()
        npy_format.write_array_header_1_0(written, {'shape': shape, 'fortran_order': False,
                                                    'descr': npy_format.dtype_to_descr(dtype)})
        ours, theirs = data[10:file.tell()], written.getvalue()[10:]
        self.assertEqual(ours.rstrip(b' \n'), theirs.rstrip(b' \n'))
        self.assertEqual(ours[-1:], b'\n')
        self.assertEqual(ours.count(b'\n'), 1)


class Pictures(Case):

    def test_pixels(self):
        """Every kind of picture, as ffmpeg converts it, in three sizes."""
        root = clips.make(clips.EVERYTHING, 'everything')
        config = self.config(root, {f'{name}/{{class}}/{{clip}}.npy': view(settings)
                                    for name, (settings, _) in RGB.items()})
        with self.mount(config) as mount:
            pairs = [('whole', clip) for clip in PICTURES] + \
                [(name, clip) for name in ('passed', 'small', 'short') for clip in PICTURES[::3]]
            for name, clip in self.shuffled(pairs):
                with self.subTest(view=name, clip=clip):
                    path = mount.path / name / f'{clip}.npy'
                    size = path.stat().st_size
                    array = numpy.load(path)
                    self.assertEqual(array.dtype, numpy.uint8)
                    self.assertEqual(size, path.stat().st_size)
                    numpy.testing.assert_array_equal(array, raw(root / clip, RGB[name][1], array.shape[1:]))

    def test_layouts(self):
        """Planes, floats, and both, of the same pictures; strict headers; mapped and read."""
        root = clips.make(clips.EVERYTHING, 'everything')
        clip = 'containers/h264_bframes.mp4'
        views = {
            'u8': ('', lambda a: a),
            'planes': ('layout: cthw', lambda a: a.transpose(3, 0, 1, 2)),
            'floats': ('dtype: float32', lambda a: normalised(a, 1, 0, 1)),
            'imagenet': (f'dtype: float32, mean: {MEAN}, std: {STD}', lambda a: normalised(a, 1, MEAN, STD)),
            'caffe': ('dtype: float32, top: 255, mean: [123.675, 116.28, 103.53], std: 57.5, layout: cthw',
                      lambda a: normalised(a, 255, [123.675, 116.28, 103.53], 57.5).transpose(3, 0, 1, 2)),
        }
        config = self.config(root, {f'{name}/{{class}}/{{clip}}.npy': view(settings)
                                    for name, (settings, _) in views.items()})
        with self.mount(config) as mount:
            whole = raw(root / clip, [], (120, 160, 3))
            for name in self.shuffled(views):
                with self.subTest(view=name):
                    path = mount.path / name / f'{clip}.npy'
                    expected = views[name][1](whole)
                    numpy.testing.assert_array_equal(numpy.load(path), expected)
                    mapped = numpy.load(path, mmap_mode='r')
                    self.assertEqual(mapped.dtype, expected.dtype)
                    numpy.testing.assert_array_equal(mapped, expected)
                    del mapped
                    self.assert_strict(path)

    def test_sampling(self):
        root = clips.make(clips.EVERYTHING, 'everything')
        clip = 'containers/h264_bframes.mp4'  # of 50 frames
        cases = {
            'stride: 7': list(range(0, 50, 7)),
            'frames: 13': numpy.linspace(0, 49, 13).astype(int),
            'frames: 1': [0],
            'frames: 79': [i * 49 // 78 for i in range(79)],
            'frames: 13, sample: centre': list(range(18, 31)),
            'frames: 5, stride: 4, sample: centre': list(range(0, 50, 4))[4:9],
            'frames: 5, stride: 4, sample: uniform': [0, 12, 24, 36, 48],
            'frames: 8, stride: 10, sample: centre': [0, 10, 20, 30, 40, 40, 40, 40],
            'frames: 6, fps: 5, layout: cthw': None,
        }
        config = self.config(root, {f'{i}/{{class}}/{{clip}}.npy': view(settings) for i, settings in enumerate(cases)})
        with self.mount(config) as mount:
            whole = raw(root / clip, [], (120, 160, 3))
            for i, (settings, frames) in enumerate(cases.items()):
                with self.subTest(settings=settings):
                    array = numpy.load(mount.path / str(i) / f'{clip}.npy')
                    if frames is None:
                        expected = raw(root / clip, ['-vf', 'fps=5'], (120, 160, 3))
                        chosen = [k * (len(expected) - 1) // 5 for k in range(6)]
                        expected = expected[chosen].transpose(3, 0, 1, 2)
                    else:
                        expected = whole[frames]
                    numpy.testing.assert_array_equal(array, expected)


class Reading(Case):
    """How much is made for which read, of a clip of 200 frames in 10 groups of 20."""

    def setUp(self):
        super().setUp()
        self.root = clips.make(LONG, 'npy-long')
        self.settings = self.config(self.root, {
            'rgb/{class}/{clip}.npy': view(''),
            'planes/{class}/{clip}.npy': view('layout: cthw'),
            'thumbs/{class}/{clip}.npy': view('size: "32:18"')})
        self.truth = raw(self.root / 'a/long.mp4', [], (180, 320, 3))

    def test_header(self):
        """Its size, and its header, also mapped, cost no picture."""
        with self.mount(self.settings) as mount:
            path = mount.path / 'rgb/a/long.mp4.npy'
            self.assertEqual(path.stat().st_size, 4096 + self.truth.size)
            for mode in ('r', 'c'):
                mapped = numpy.load(path, mmap_mode=mode)
                self.assertEqual((mapped.shape, mapped.dtype), (self.truth.shape, numpy.uint8))
                del mapped
            with open(path, 'rb') as file:
                self.assertEqual(npy_format.read_magic(file), (1, 0))
            stats = mount.stats()
            self.assertEqual((stats['pictures_decoded'], stats['jobs_frames']), (0, 0))

    def test_mapped_frame(self):
        """map[k] decodes from the keyframe before it up to where the kernel reads ahead, in the group of k."""
        for name in ('rgb', 'planes'):
            with self.subTest(view=name), self.mount(self.settings, cache=self.home / name) as mount:
                mapped = numpy.load(mount.path / name / 'a/long.mp4.npy', mmap_mode='r')
                most_decoded, most_jobs = 0, 0
                for k in self.shuffled([130, 26, 87]):  # inside of groups, each in a segment of its own
                    frame = numpy.array(mapped[k] if name == 'rgb' else mapped[:, k].transpose(1, 2, 0))
                    numpy.testing.assert_array_equal(frame, self.truth[k])
                    # Together with those before it: what is read ahead may be made later.
                    most_decoded, most_jobs = most_decoded + k % 20 + 12, most_jobs + 4
                    stats = mount.stats()
                    self.assertLessEqual(stats['pictures_decoded'], most_decoded)
                    self.assertLessEqual(stats['jobs_frames'], most_jobs)
                del mapped

    def test_random_reads(self):
        """Any part first, small and large, mapped and read, by four at once."""
        for name, truth in (('rgb', self.truth), ('planes', self.truth.transpose(3, 0, 1, 2))):
            whole = truth.tobytes()
            with self.subTest(view=name), self.mount(self.settings, cache=self.home / name) as mount:
                path = mount.path / name / 'a/long.mp4.npy'
                reads = [(offset, self.random.choice([1, 100, 5000, 200000, 1000000])) for offset in
                         (self.random.randrange(len(whole)) for _ in range(60))]

                def read(i, path=path, whole=whole, reads=reads):
                    with open(path, 'rb', buffering=0) as file, \
                            mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
                        for n, (offset, size) in enumerate(reads[i::4]):
                            at = 4096 + offset
                            got = os.pread(file.fileno(), size, at) if n % 2 else mapped[at:at + size]
                            self.assertEqual(got, whole[offset:offset + size])
                harness.in_threads(4, read)

    def test_one_pass(self):
        """Who reads all of it decodes all of it once, or nearly: the first rows, before it shows, twice."""
        with self.mount(self.settings) as mount:
            numpy.testing.assert_array_equal(numpy.load(mount.path / 'rgb/a/long.mp4.npy'), self.truth)
            self.assertLess(mount.stats()['pictures_decoded'], len(self.truth) * 1.2)

    def test_rows_while_others_are_made(self):
        """Who reads one array after the other gets rows before their segment is whole."""
        root = clips.make(LARGE, 'npy-large')
        config = self.config(root, {'rgb/{class}/{clip}.npy': view('fps: 1')}, more='workers: 1')
        truth = raw(root / 'a/two.mp4', ['-vf', 'fps=1'], (720, 1280, 3))
        with self.mount(config) as mount:
            self.assertEqual(numpy.load(mount.path / 'rgb/a/one.mp4.npy').shape, truth.shape)
            harness.wait_until('its segment to be kept', lambda: not mount.stats()['workers_busy'])
            made = mount.stats()['made']
            with open(mount.path / 'rgb/a/two.mp4.npy', 'rb', buffering=0) as file:
                file.seek(4096)
                rows = file.read(truth[:2].nbytes)
                with mount.held():
                    self.assertEqual(mount.stats()['made'], made)
                rows += file.read()
            self.assertEqual(rows, truth.tobytes())

    def test_clips_by_steps(self):
        """Who reads each second clip through finds the next one of these indexed and measured, and no other."""
        root = clips.make(SMALL, 'npy-small')
        with self.mount(self.config(root, {'rgb/{class}/{clip}.npy': view('')}, more='workers: 2')) as mount:
            def known():
                stats = mount.stats()
                return [stats[key] for key in ('jobs_index', 'jobs_measure', 'workers_busy', 'queued')]
            for i in (0, 2, 4):
                numpy.load(mount.path / f'rgb/a/{i}.mp4.npy')
            harness.wait_until('one more to be known', lambda: known() == [4, 4, 0, 0])
            self.assertEqual(numpy.load(mount.path / 'rgb/a/6.mp4.npy', mmap_mode='r').shape, (50, 48, 64, 3))
            self.assertEqual(known(), [4, 4, 0, 0])

    def test_beyond_the_end(self):
        """Who reads each second clip through has the beginning of the next one made while the last rows are read."""
        root = clips.make(SMALL, 'npy-small')
        with self.mount(self.config(root, {'rgb/{class}/{clip}.npy': view('')}, more='workers: 2')) as mount:
            def at_rest():
                stats = mount.stats()
                return not stats['workers_busy'] and not stats['queued'] and stats

            def read(i, known):
                """How many jobs reading the last rows has caused, all else having been made before."""
                with open(mount.path / f'rgb/a/{i}.mp4.npy', 'rb', buffering=0) as file:
                    data = file.read(400_000)
                    harness.wait_until('the next to be known', lambda: at_rest() and mount.stats()['jobs_measure'] == known)
                    before = mount.stats()['jobs_frames']
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                    data += file.read()
                self.assertEqual(data[4096:], raw(root / f'a/{i}.mp4', [], (48, 64, 3)).tobytes())
                return harness.wait_until('it to end', at_rest)['jobs_frames'] - before
            self.assertEqual([read(*which) for which in ((0, 1), (2, 2), (4, 4), (6, 5))], [0, 0, 1, 1])

    def test_small_rows(self):
        """Many rows a page."""
        with self.mount(self.settings) as mount:
            path = mount.path / 'thumbs/a/long.mp4.npy'
            thumbs = raw(self.root / 'a/long.mp4', ['-vf', 'scale=32:18'], (18, 32, 3))
            mapped = numpy.load(path, mmap_mode='r')
            for k in self.shuffled(range(len(thumbs))):
                numpy.testing.assert_array_equal(mapped[k], thumbs[k])
            del mapped
            numpy.testing.assert_array_equal(numpy.load(path), thumbs)

    def test_direct(self):
        """A reader past the kernel's cache is refused nothing."""
        with self.mount(self.settings) as mount:
            fd = os.open(mount.path / 'rgb/a/long.mp4.npy', os.O_RDONLY | os.O_DIRECT)
            try:
                with mmap.mmap(-1, 16384) as buffer:
                    self.assertEqual(os.preadv(fd, [buffer], 0), 16384)
                    self.assertEqual(buffer[4096:], self.truth.tobytes()[:12288])
            finally:
                os.close(fd)

    def test_torch(self):
        """torch.from_numpy() over the map."""
        try:
            import torch
        except ImportError:
            self.skipTest('python3-torch is not installed')
        with self.mount(self.settings) as mount:
            mapped = numpy.load(mount.path / 'rgb/a/long.mp4.npy', mmap_mode='c')
            tensor = torch.from_numpy(mapped)
            self.assertEqual(tensor[150].tolist(), self.truth[150].tolist())
            del tensor, mapped


class Faults(Case):

    def test_broken(self):
        """A clip that is none gives EIO with a reason. So does one whose frames are not what its packets promise,
        when that shows; then there is the truth. Never zeros."""
        root = self.home / 'root'
        root.mkdir()
        whole = (clips.make(LONG, 'npy-long') / 'a/long.mp4').read_bytes()
        middle = len(whole) // 2
        (root / 'none.mp4').write_bytes(whole[:2000])
        (root / 'hole.mp4').write_bytes(whole[:middle] + bytes(6000) + whole[middle + 6000:])
        truth = raw(root / 'hole.mp4', ['-threads', '1'], (180, 320, 3))
        for layout in ('thwc', 'cthw'):
            config = self.config(root, {'rgb/{clip}.npy': view(f'layout: {layout}')}, cache=self.home / layout,
                                 source='- videos: "*.mp4"')
            with self.subTest(layout=layout), \
                    self.mount(config, cache=self.home / layout, allowed=['none.mp4', 'hole.mp4']) as mount:
                for name in ('none', 'hole'):
                    with self.assertRaises(OSError) as caught:
                        (mount.path / f'rgb/{name}.npy').read_bytes()
                    self.assertEqual(caught.exception.errno, errno.EIO)
                    self.assertRegex('\n'.join(mount.errors()), rf'{name}\.mp4: .+')
                array = numpy.load(mount.path / 'rgb/hole.npy')
                if layout == 'cthw':
                    array = array.transpose(1, 2, 3, 0)
                self.assertEqual(array.shape, truth.shape)
                # How a decoder covers up for what is lost may depend on its threads.
                numpy.testing.assert_array_equal(array[:60], truth[:60])
                numpy.testing.assert_array_equal(array[-40:], truth[-40:])

    def test_killed(self):
        """What was half made when the daemon died is made again."""
        root = clips.make(LONG, 'npy-long')
        config = self.config(root, {'rgb/{class}/{clip}.npy': view('')})
        truth = raw(root / 'a/long.mp4', [], (180, 320, 3))
        for _ in range(3):
            mount = self.mount(config)
            try:
                reader = threading.Thread(target=self.read_until_it_dies, args=(mount.path / 'rgb/a/long.mp4.npy',))
                reader.start()
                time.sleep(self.random.random() / 2)
                mount.daemon.send_signal(signal.SIGKILL)
                reader.join()
            finally:
                mount.kill()
        with self.mount(config) as mount:
            numpy.testing.assert_array_equal(numpy.load(mount.path / 'rgb/a/long.mp4.npy'), truth)
            self.assertEqual(mount.stats()['bad'], 0)

    @staticmethod
    def read_until_it_dies(path):
        with contextlib.suppress(OSError), open(path, 'rb') as file:
            while file.read(1000000):
                pass


if __name__ == '__main__':
    harness.main()
