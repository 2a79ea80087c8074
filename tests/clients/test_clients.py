#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Unmodified programs on the tree, cold and warm: each must see what it would see in an extracted copy.

The extracted copy is made through another mount with another cache, file by file, and is itself compared with
ffmpeg by tests/mount; so here bytes are compared with bytes.
"""
import filecmp
import hashlib
import io
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness, oracle

VIEWS = {
    'img/{class}/{clip}/{frame:06d}.jpg': 'frames: { size: "-1:120" }',
    'img/{class}/{clip}/n_frames': 'text: "{nframes}"',
    'png/{class}/{clip}/{frame:06d}.png': 'frames: { fps: 5 }',
    'ppm/{class}/{clip}/{frame:06d}.ppm': 'frames: { fps: 5 }',
    'mp3/{class}/{clip}.mp3': 'audio: {}',
    'wav/{class}/{clip}.wav': 'audio: {}',
    'srt/{class}/{clip}.srt': 'subtitles: [sidecar, embedded]',
}


def run(*command, **settings):
    """A program's standard output; its failure is the test's."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          **settings)
    if done.returncode:
        raise AssertionError(f'{command}: exit code {done.returncode}: {done.stderr.decode(errors="replace")}')
    return done.stdout


class Clients(harness.Case):
    """Each test runs its program on a cold cache in a fresh mount, and then again, warm."""

    @classmethod
    def setUpClass(cls):
        cls.shared = Path(tempfile.mkdtemp(prefix='corpusfs-test-'))
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        cls.truth = cls.shared / 'truth'
        config = cls.shared / 'corpus.yaml'
        config.write_text(harness.config_text(clips.make(clips.SMALL, 'small'), VIEWS, cls.shared / 'cache'),
                          encoding='utf-8')
        with harness.Mount(config, cls.shared, cls.shared / 'cache') as mount:
            cls.paths = mount.files()
            for path in cls.paths:
                (cls.truth / path).parent.mkdir(parents=True, exist_ok=True)
                (cls.truth / path).write_bytes((mount.path / path).read_bytes())

    def setUp(self):
        super().setUp()
        self.settings = self.config(clips.make(clips.SMALL, 'small'), VIEWS)

    def cold_and_warm(self, check):
        """check(mount) with nothing made yet, again at once, and again in a new mount over the warm cache."""
        with self.mount(self.settings) as mount:
            with self.subTest('cold'):
                check(mount)
            with self.subTest('warm'):
                check(mount)
        with self.subTest('remounted'), self.mount(self.settings) as mount:
            check(mount)

    def some(self, *endings, count=12):
        return self.random.sample([p for p in self.paths if p.endswith(endings)], count)

    def sample(self):
        """A few files of each kind."""
        kinds = ('.jpg', '.png', '.ppm', '.mp3', '.wav', '.srt', 'n_frames')
        return self.shuffled(p for kind in kinds for p in self.some(kind, count=4))

    def assert_same_tree(self, copy):
        copied = sorted(str(p.relative_to(copy)) for p in copy.rglob('*') if p.is_file())
        self.assertEqual(copied, self.paths)
        _, differing, failed = filecmp.cmpfiles(self.truth, copy, self.paths, shallow=False)
        self.assertFalse(differing + failed)

    def same_bytes(self, read):
        """read(path in the mount) gives the file's bytes."""
        def check(mount):
            for path in self.sample():
                self.assertEqual(read(mount.path / path), (self.truth / path).read_bytes(), path)
        self.cold_and_warm(check)

    def test_cat(self):
        self.same_bytes(lambda path: run('cat', path))

    def test_cp(self):
        def check(mount):
            copy = Path(tempfile.mkdtemp(dir=self.home)) / 'copy'
            run('cp', '-r', mount.path, copy)
            self.assert_same_tree(copy)
        self.cold_and_warm(check)

    def test_tar(self):
        def check(mount):
            copy = Path(tempfile.mkdtemp(dir=self.home))
            packed = run('tar', '-C', mount.path, '-cf', '-', '.')
            run('tar', '-C', copy, '-xf', '-', input=packed)
            self.assert_same_tree(copy)
        self.cold_and_warm(check)

    def test_rsync(self):
        copy = self.home / 'copy'

        def check(mount):
            run('rsync', '-a', f'{mount.path}/', f'{copy}/')
            self.assert_same_tree(copy)
            # Sizes and times are stable, so a second run finds nothing to do; nor do checksums differ.
            again = run('rsync', '-ai', f'{mount.path}/', f'{copy}/')
            self.assertEqual(again, b'')
            self.assertEqual(run('rsync', '-aic', f'{mount.path}/', f'{copy}/'), b'')
        self.cold_and_warm(check)

    def test_sha256sum(self):
        sums = b''.join(hashlib.sha256((self.truth / p).read_bytes()).hexdigest().encode() + b'  ' + p.encode() + b'\n'
                        for p in self.paths)
        self.cold_and_warm(lambda mount: run('sha256sum', '--quiet', '-c', '-', input=sums, cwd=mount.path))

    def test_dd_odd_blocks(self):
        for block in (1, 777, 4097, 131073):
            paths = iter(self.sample()[:6])

            def read(path, block=block):
                return run('dd', f'if={path}', f'bs={block}', 'status=none')
            with self.mount(self.settings) as mount:
                for path in paths:
                    if block > 1 or (self.truth / path).stat().st_size < 20000:
                        self.assertEqual(read(mount.path / path), (self.truth / path).read_bytes(), (path, block))
            shutil.rmtree(self.cache)

    def test_dd_skip(self):
        def check(mount):
            for path in self.sample():
                whole = (self.truth / path).read_bytes()
                skip = self.random.randrange(len(whole) + 1)
                self.assertEqual(run('dd', f'if={mount.path / path}', 'bs=61440', f'skip={skip}', 'status=none',
                                     'iflag=skip_bytes'), whole[skip:], (path, skip))
        self.cold_and_warm(check)

    def test_tail(self):
        def check(mount):
            for path in self.sample():
                self.assertEqual(run('tail', '-c', '1000', mount.path / path),
                                 (self.truth / path).read_bytes()[-1000:], path)
        self.cold_and_warm(check)

    def test_python_by_stat_size(self):
        def read(path):
            size = os.stat(path).st_size
            fd = os.open(path, os.O_RDONLY)
            try:
                return os.read(fd, size)
            finally:
                os.close(fd)
        self.same_bytes(read)

    def test_python_mmap(self):
        def read(path):
            if not path.stat().st_size:
                return b''
            with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
                return view[:]
        self.same_bytes(read)

    def test_mmap_backwards(self):
        """Pages faulted in from the end: what np.load(mmap_mode='r') and random access in a mapping do."""
        def check(mount):
            for path in self.some('.ppm', '.wav', '.mp3'):
                whole = (self.truth / path).read_bytes()
                with open(mount.path / path, 'rb') as file:
                    self.assertEqual(file.seek(0, os.SEEK_END), len(whole))
                    with mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ) as view:
                        for at in self.shuffled(range(0, len(whole), 4096)):
                            self.assertEqual(view[at:at + 10], whole[at:at + 10], (path, at))
        self.cold_and_warm(check)

    def test_torchvision_read_image(self):
        """torchvision.io.read_file: stat for the size, then a mapping of that size, then libjpeg on all of it."""
        def check(mount):
            for path in self.some('.jpg', '.png'):
                size = os.stat(mount.path / path).st_size
                fd = os.open(mount.path / path, os.O_RDONLY)
                with mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ) as view:
                    os.close(fd)
                    picture = numpy.asarray(Image.open(io.BytesIO(view[:])))
                numpy.testing.assert_array_equal(picture, numpy.asarray(Image.open(self.truth / path)))
        self.cold_and_warm(check)

    def test_pil(self):
        def check(mount):
            for path in self.some('.jpg', '.png', '.ppm'):
                with Image.open(mount.path / path) as ours, Image.open(self.truth / path) as theirs:
                    ours.load()
                    self.assertEqual(ours.tobytes(), theirs.tobytes(), path)
        self.cold_and_warm(check)

    def test_opencv(self):
        def check(mount):
            for path in self.some('.jpg', '.png', '.ppm'):
                picture = cv2.imread(str(mount.path / path))
                self.assertIsNotNone(picture, path)
                numpy.testing.assert_array_equal(picture, cv2.imread(str(self.truth / path)))
            capture = cv2.VideoCapture(str(mount.path / 'img/Joy/first.mp4/%06d.jpg'))
            frames = 0
            while capture.read()[0]:
                frames += 1
            self.assertEqual(frames, sum(p.startswith('img/Joy/first.mp4/0') for p in self.paths))
        self.cold_and_warm(check)

    def test_numpy(self):
        self.same_bytes(lambda path: numpy.fromfile(path, numpy.uint8).tobytes())
        with self.mount(self.settings) as mount:
            for path in self.some('.wav', count=4):
                view = numpy.memmap(mount.path / path, numpy.uint8, 'r')
                numpy.testing.assert_array_equal(view, numpy.fromfile(self.truth / path, numpy.uint8))
                del view  # or the mount stays busy

    def test_pysrt(self):
        def check(mount):
            for path in self.some('.srt', count=5):
                ours = oracle.cues(mount.path / path)
                theirs = oracle.cues(self.truth / path)
                self.assertEqual([(c.start, c.end, c.text) for c in ours], [(c.start, c.end, c.text) for c in theirs])
            self.assertEqual(len(oracle.cues(mount.path / 'srt/Fear/fourth.mkv.srt')), 3)
        self.cold_and_warm(check)

    def test_ffprobe(self):
        def check(mount):
            for path in self.some('.mp3', '.wav', '.jpg', '.png', count=12):
                command = ['ffprobe', '-v', 'error', '-show_streams', '-show_entries', 'format=duration,size,probe_score']
                self.assertEqual(run(*command, mount.path / path), run(*command, self.truth / path), path)
        self.cold_and_warm(check)

    def test_ffmpeg_image_sequence(self):
        """Back from a frame directory to a video."""
        def check(mount):
            command = ['ffmpeg', '-nostdin', '-v', 'error', '-i']
            for clip in ('Joy/first.mp4', 'Fear/third.webm'):
                ours, theirs = (run(*command, base / 'img' / clip / '%06d.jpg', '-f', 'framemd5', '-')
                                for base in (mount.path, self.truth))
                self.assertEqual(ours, theirs)
        self.cold_and_warm(check)

    def test_djpeg(self):
        def check(mount):
            for path in self.some('.jpg'):
                done = subprocess.run(['djpeg', '-strict', mount.path / path], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, check=True)
                self.assertEqual(done.stderr, b'')
                self.assertEqual(done.stdout, run('djpeg', self.truth / path))
        self.cold_and_warm(check)

    def test_jpeginfo(self):
        def check(mount):
            paths = self.some('.jpg')
            said = run('jpeginfo', '-c', *(mount.path / p for p in paths)).decode()
            self.assertEqual(said.count('OK'), len(paths), said)
        self.cold_and_warm(check)

    def test_file(self):
        """`file` knows every kind."""
        with self.mount(self.settings) as mount:
            for ending, words in (('.jpg', 'JPEG image data'), ('.png', 'PNG image data'), ('.ppm', 'Netpbm'),
                                  ('.mp3', 'MPEG ADTS, layer III|Audio file with ID3'), ('.wav', 'WAVE audio')):
                path = self.some(ending, count=1)[0]
                self.assertRegex(run('file', '-b', mount.path / path).decode(), words)

    def test_many_at_once(self):
        """Different programs on the whole tree at the same time, cold."""
        with self.mount(self.settings) as mount:
            copies = [self.home / 'cp', self.home / 'rsync', self.home / 'python']

            def work(i):
                if i == 0:
                    run('cp', '-r', mount.path, copies[0])
                elif i == 1:
                    run('rsync', '-a', f'{mount.path}/', f'{copies[1]}/')
                else:
                    shutil.copytree(mount.path, copies[2], copy_function=shutil.copyfile)
            harness.in_threads(3, work)
        for copy in copies:
            self.assert_same_tree(copy)


class Overlay(harness.Case):
    """Programs that write beside their data get an overlay, as the README shows."""

    def test_overlay(self):
        """With each kind of overlay that works here; one must."""
        said = [self.overlaid('fuse-overlayfs'), self.overlaid('mount', '-t', 'overlay', 'overlay')]
        self.assertIn('', said)

    def overlaid(self, *command):
        """'' when the overlay worked as it should, else why it could not be mounted."""
        home = Path(tempfile.mkdtemp(dir=self.home))
        upper, work, merged = (home / name for name in ('upper', 'work', 'merged'))
        for path in (upper, work, merged):
            path.mkdir()
        with self.mount(self.config(clips.make(clips.SMALL, 'small'), VIEWS)) as mount:
            options = f'lowerdir={mount.path},upperdir={upper},workdir={work}'
            try:
                run(*command, '-o', options, merged)
            except (AssertionError, FileNotFoundError) as error:
                return str(error)
            try:
                self.check_overlay(mount.path, merged)
            finally:
                run(*(['umount'] if os.geteuid() == 0 else ['fusermount3', '-u']), merged)
        return ''

    def check_overlay(self, lower, merged):
        frame, count = 'img/Joy/first.mp4/000003.jpg', 'img/Joy/first.mp4/n_frames'
        self.assertEqual((merged / frame).read_bytes(), (lower / frame).read_bytes())
        (merged / 'img/Joy/point_labels.csv').write_text('a,b\n', encoding='ascii')
        (merged / count).write_text('7', encoding='ascii')
        self.assertEqual((merged / count).read_bytes(), b'7')
        self.assertNotEqual((lower / count).read_bytes(), b'7')
        (merged / frame).unlink()
        self.assertFalse((merged / frame).exists())
        self.assertTrue((lower / frame).exists())
        self.assertIn('point_labels.csv', os.listdir(merged / 'img/Joy'))


if __name__ == '__main__':
    harness.main()
