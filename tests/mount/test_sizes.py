#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A file's size is known before it is made, is exact, and never changes; and nothing can be written."""
import errno
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness, oracle

VIEWS = {
    'jpg/{class}/{clip}/{frame:06d}.jpg': 'frames: { size: "-1:120" }',
    'png/{class}/{clip}/{frame:06d}.png': 'frames: {}',
    'ppm/{class}/{clip}/{frame:06d}.ppm': 'frames: { fps: 12.5 }',
    'mp3/{class}/{clip}.mp3': 'audio: {}',
    'wav/{class}/{clip}.wav': 'audio: {}',
    'srt/{class}/{clip}.srt': 'subtitles: [sidecar, embedded]',
}


class Sizes(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = clips.make(clips.SMALL, 'small')
        self.settings = self.config(self.root, VIEWS)

    def test_before_during_after(self):
        """stat says one size before a file is made, between reads of its parts, after it, and after a remount."""
        sizes = {}
        with self.mount(self.settings) as mount:
            paths = mount.files()
            for path in self.shuffled(paths):
                sizes[path] = os.stat(mount.path / path).st_size
            self.assertEqual(mount.stats()['jobs_frames'], 0, 'all of this without making a frame')
            for path in self.shuffled(paths):
                with open(mount.path / path, 'rb', buffering=0) as file:
                    half = os.pread(file.fileno(), sizes[path] // 2, 0)
                    self.assertEqual(os.fstat(file.fileno()).st_size, sizes[path], path)
                    rest = os.pread(file.fileno(), sizes[path] + 100000, len(half))
                    self.assertEqual(len(half) + len(rest), sizes[path], path)
                    self.assertEqual(os.pread(file.fileno(), 10, sizes[path]), b'', path)
                    self.assertEqual(os.lseek(file.fileno(), 0, os.SEEK_END), sizes[path], path)
                self.assertEqual(os.stat(mount.path / path).st_size, sizes[path], path)
        with self.mount(self.settings) as mount:
            self.assertEqual({p: os.stat(mount.path / p).st_size for p in mount.files()}, sizes)

    def test_one_size_a_clip(self):
        """All frames of a directory have one size; what fills it up is where the format allows it."""
        with self.mount(self.settings) as mount:
            for kind in ('jpg', 'png', 'ppm'):
                for clip in clips.SMALL:
                    directory = mount.path / kind / clip
                    sizes = {entry.stat().st_size for entry in os.scandir(directory)}
                    self.assertEqual(len(sizes), 1, directory)
            jpeg = (mount.path / 'jpg/Joy/first.mp4/000010.jpg').read_bytes()
            self.assertEqual(jpeg[-2:], b'\xff\xd9')
            png = (mount.path / 'png/Joy/first.mp4/000010.png').read_bytes()
            self.assertEqual([kind for kind, _ in chunks(png)][-1], b'IEND')
            for kind, checked in chunks(png):
                self.assertTrue(checked, f'checksum of {kind}')

    def test_filling_is_bounded(self):
        """Filling is at most a third of the bytes of the frames of natural pictures, and none of their frames had
        to go below the wanted quality."""
        root = self.home / 'root'
        (root / 'Joy').mkdir(parents=True)
        shutil.copy(clips.make(clips.EVERYTHING, 'everything') / 'containers/fractal.mp4', root / 'Joy')
        with self.mount(self.config(root, {'jpg/{class}/{clip}/{frame:06d}.jpg': 'frames: {}'})) as mount:
            data = [(mount.path / p).read_bytes() for p in mount.files()]
            filling = sum(len(d) - len(d[:-2].rstrip(b'\xff')) - 2 for d in data)
            share = filling / sum(map(len, data))
            sys.stderr.write(f'filling: {share:.1%} of {len(data)} frames\n')
            self.assertLessEqual(share, 1 / 3)
            self.assertEqual(mount.stats()['frames_lowered'], 0)

    def test_no_warning_about_filling(self):
        """The strictest readers see nothing to complain about."""
        with self.mount(self.settings) as mount:
            for path in ('jpg/Joy/first.mp4/000010.jpg', 'jpg/Fear/third.webm/000001.jpg'):
                for command in (['djpeg', '-verbose', '-outfile', '/dev/null'], ['jpeginfo', '-c']):
                    done = subprocess.run([*command, mount.path / path], stdout=subprocess.PIPE,
                                          stderr=subprocess.STDOUT, check=False)
                    self.assertEqual(done.returncode, 0, done.stdout)
                    for word in (b'orrupt', b'WARNING', b'rror', b'xtraneous'):
                        self.assertNotIn(word, done.stdout)
            for path in ('jpg/Joy/first.mp4/000010.jpg', 'png/Joy/first.mp4/000010.png'):
                self.assertEqual(oracle.run('-xerror', '-i', mount.path / path, '-f', 'null', '-'), 0)

    def test_read_only(self):
        """Every way of writing gets EROFS, also for root."""
        with self.mount(self.settings) as mount:
            file, directory = mount.path / 'mp3/Joy/first.mp4.mp3', mount.path / 'mp3/Joy'
            new = directory / 'new'
            attempts = {
                'open to write': lambda: os.open(file, os.O_WRONLY),
                'open to read and write': lambda: os.open(file, os.O_RDWR),
                'truncate': lambda: os.truncate(file, 0),
                'create': lambda: os.open(new, os.O_CREAT | os.O_WRONLY),
                'mkdir': lambda: os.mkdir(new),
                'rmdir': lambda: os.rmdir(directory),
                'unlink': lambda: os.unlink(file),
                'rename': lambda: os.rename(file, new),
                'symlink': lambda: os.symlink('x', new),
                'link': lambda: os.link(file, new),
                'chmod': lambda: os.chmod(file, 0o600),
                'chown': lambda: os.chown(file, os.getuid(), os.getgid()),
                'utime': lambda: os.utime(file),
                'mknod': lambda: os.mkfifo(new),
            }
            for what, attempt in attempts.items():
                with self.subTest(what=what), self.assertRaises(OSError) as caught:
                    attempt()
                self.assertEqual(caught.exception.errno, errno.EROFS, what)
            self.assertEqual(len(file.read_bytes()), file.stat().st_size)


def chunks(png):
    """(kind, is its checksum right) of each chunk of a PNG file; raises when bytes are left over."""
    at, found = 8, []
    while at < len(png):
        length, kind = struct.unpack_from('>I4s', png, at)
        check, = struct.unpack_from('>I', png, at + 8 + length)
        found.append((kind, check == zlib.crc32(png[at + 4:at + 8 + length])))
        at += 12 + length
    if at != len(png):
        raise AssertionError('bytes after the last chunk')
    return found


if __name__ == '__main__':
    harness.main()
