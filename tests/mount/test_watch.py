#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sources that change under the mount: what was told is taken back, the new content shows, and nobody gets a mixture."""
import contextlib
import errno
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness

VIEWS = {
    'ppm/{class}/{clip}/{frame:06d}.ppm': 'frames: {}',
    'jpg/{class}/{clip}/{frame:06d}.jpg': 'frames: {}',
    'mp3/{class}/{clip}.mp3': 'audio: {}',
    'srt/{class}/{clip}.srt': 'subtitles: [sidecar]',
    'n/{class}/{clip}': 'text: "{nframes}"',
}
TEXTS = {'red': 'A line.', 'blue': 'B line.'}


def srt(text):
    return f'1\n00:00:00,100 --> 00:00:00,700\n{text}\n\n'


def make_clip(path, hue, pitch, seconds=1):
    """Nothing is compressed: clips of one length have one size, in bytes, in frames and in sound."""
    clips.ffmpeg(*clips.picture(seconds=seconds), '-f', 'lavfi', '-i', f'sine=frequency={pitch}:duration={seconds}',
                 '-vf', f'hue=h={hue}', '-c:v', 'rawvideo', *clips.YUV, '-c:a', 'pcm_s16le', '-bitexact', path)


class Watch(harness.Case):

    @classmethod
    def setUpClass(cls):
        cls.made = Path(tempfile.mkdtemp(prefix='corpusfs-test-'))
        cls.addClassCleanup(shutil.rmtree, cls.made)
        make_clip(cls.made / 'red.mkv', 0, 300)
        make_clip(cls.made / 'blue.mkv', 120, 500)
        make_clip(cls.made / 'long.mkv', 200, 700, seconds=2)

    def setUp(self):
        super().setUp()
        self.assertEqual(*(os.path.getsize(self.made / f'{name}.mkv') for name in TEXTS))
        self.root = self.home / 'root'
        self.source = self.root / 'a/clip.mkv'
        self.text = self.root / 'a/clip.srt'
        self.source.parent.mkdir(parents=True)
        shutil.copy(self.made / 'red.mkv', self.source)
        self.text.write_text(srt(TEXTS['red']), encoding='utf-8')
        self.settings = self.config(self.root, VIEWS)

    def tree(self, mount):
        """All files' bytes. None while that cannot be had: somebody changes the source."""
        try:
            return {p: (mount.path / p).read_bytes() for p in mount.files()}
        except OSError as error:
            self.assertIn(error.errno, (errno.EIO, errno.ENOENT))
            return None

    def truth(self, video, text):
        """What a mount of its own, with a cache of its own, shows of a video."""
        home = Path(tempfile.mkdtemp(dir=self.home))
        (home / 'root/a').mkdir(parents=True)
        shutil.copy(video, home / 'root/a/clip.mkv')
        if text is not None:
            (home / 'root/a/clip.srt').write_text(srt(text), encoding='utf-8')
        settings = self.config(home / 'root', VIEWS, name=f'{home.name}.yaml', cache=home / 'cache')
        with self.mount(settings, cache=home / 'cache', allowed=['clip.mkv']) as mount:
            return self.tree(mount)

    def assert_becomes(self, mount, truth):
        """The tree becomes this one, sizes included, and that before a sweep would be due."""
        before = self.tree(mount)

        def is_there():
            now = self.tree(mount)
            return now == truth and all(os.stat(mount.path / p).st_size == len(truth[p]) for p in truth)
        begin = time.monotonic()
        try:
            harness.wait_until('the new content', is_there, patience=harness.PATIENCE / 2)
        except TimeoutError:
            now = self.tree(mount) or {}
            self.fail(f'{sorted(p for p in {*now, *truth} if now.get(p) != truth.get(p))[:10]} differ still; '
                      f'before: {before is not None}')
        return time.monotonic() - begin

    def rewrite(self, path, name):
        """In place, by one write, at the same size."""
        with open(path, 'r+b', buffering=0) as file:
            data = (self.made / f'{name}.mkv').read_bytes()
            self.assertEqual(file.write(data), len(data))

    def test_same_size_rewrite(self):
        """Warm in the kernel, some of it open and in use: all of it shows the new content."""
        red, blue = (self.truth(self.made / f'{name}.mkv', 'A line.') for name in ('red', 'blue'))
        self.assertEqual(red.keys(), blue.keys())
        frame, sound = 'ppm/a/clip.mkv/000007.ppm', 'mp3/a/clip.mkv.mp3'
        for path in (frame, sound):
            self.assertNotEqual(red[path], blue[path])
            self.assertEqual(len(red[path]), len(blue[path]))
        with self.mount(self.settings) as mount:
            self.assertEqual(self.tree(mount), red)
            with open(mount.path / frame, 'rb') as old_frame, open(mount.path / sound, 'rb') as old_sound:
                self.assertEqual(old_frame.read(), red[frame])
                for name, truth in (('blue', blue), ('red', red), ('blue', blue)):
                    self.rewrite(self.source, name)
                    self.assert_becomes(mount, truth)
                    self.assertEqual(os.stat(mount.path / frame).st_mtime_ns, self.source.stat().st_mtime_ns)
                # Who had it open before still has what he had, as far as the kernel has it.
                for file, path in ((old_frame, frame), (old_sound, sound)):
                    with contextlib.suppress(OSError):
                        self.assertEqual(os.pread(file.fileno(), 1 << 20, 0), red[path])
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                    with self.assertRaises(OSError) as caught:
                        os.pread(file.fileno(), 1 << 20, 0)
                    self.assertEqual(caught.exception.errno, errno.EIO)

    def test_truncated(self):
        with self.mount(self.settings, allowed=['clip.mkv']) as mount:
            before = self.tree(mount)
            os.truncate(self.source, self.source.stat().st_size // 2)
            truth = self.truth(self.source, 'A line.')
            self.assertLess(len(truth), len(before))
            self.assert_becomes(mount, truth)

    def test_touched(self):
        """The same content, dated otherwise."""
        with self.mount(self.settings) as mount:
            folder = mount.path / 'jpg/a/clip.mkv'  # told without a look into the clip
            self.assertEqual(os.stat(folder).st_mtime_ns, self.source.stat().st_mtime_ns)
            os.utime(self.source, (1_000, 1_000))
            harness.wait_until('the new time of the folder', lambda: os.stat(folder).st_mtime == 1_000)
            before = self.tree(mount)
            frame = folder / '000002.jpg'
            for seconds in (1_000_000_000, 1_500_000_000, 0):
                os.utime(self.source, (seconds, seconds))
                harness.wait_until('the new time', lambda s=seconds: os.stat(frame).st_mtime == s)
                self.assert_becomes(mount, before)

    def test_same_file(self):
        """Other permissions and more links make no other file: who reads it goes on."""
        shutil.copy(self.made / 'blue.mkv', self.source.with_name('other.mkv'))
        with self.mount(self.settings) as mount:
            self.tree(mount)
            frame, other = (mount.path / f'ppm/a/{name}.mkv/000001.ppm' for name in ('clip', 'other'))
            before, other_before = os.stat(frame).st_ino, os.stat(other).st_ino
            with open(frame, 'rb') as file:
                data = file.read()
                os.chmod(self.source, 0o600)
                os.link(self.source, self.home / 'link')
                os.chmod(self.text, 0o600)
                os.utime(self.source.with_name('other.mkv'), (1, 1))
                # Events come in their order.
                harness.wait_until('the other change', lambda: os.stat(other).st_ino != other_before)
                self.assertEqual(os.stat(frame).st_ino, before)
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                self.assertEqual(os.pread(file.fileno(), 1 << 20, 0), data)
            shutil.rmtree(self.cache / 'segments')
            made_again = (mount.path / 'jpg/a/clip.mkv/000025.jpg').read_bytes()
            self.assertEqual(made_again[:2], b'\xff\xd8')
            self.assertNotIn('a/clip.mkv: changed', mount.log())

    def test_replaced(self):
        """By a longer one and back: names come and go."""
        red, long = (self.truth(self.made / f'{name}.mkv', 'A line.') for name in ('red', 'long'))
        self.assertGreater(len(long), len(red))
        with self.mount(self.settings) as mount:
            self.assertEqual(self.tree(mount), red)
            for name, truth in (('long', long), ('red', red)):
                shutil.copy(self.made / f'{name}.mkv', self.home / 'new')
                os.replace(self.home / 'new', self.source)
                self.assert_becomes(mount, truth)
            self.assertFalse((mount.path / 'ppm/a/clip.mkv/000030.ppm').exists())

    def test_replaced_at_the_same_time(self):
        """Size and time are the same: the ends of the file tell."""
        blue = self.truth(self.made / 'blue.mkv', 'A line.')
        with self.mount(self.settings) as mount:
            self.tree(mount)
            state = self.source.stat()
            shutil.copy(self.made / 'blue.mkv', self.home / 'new')
            os.utime(self.home / 'new', ns=(state.st_atime_ns, state.st_mtime_ns))
            os.replace(self.home / 'new', self.source)
            self.assert_becomes(mount, blue)

    def test_opened_again(self):
        """Who reads of what has ended and then opens it again gets what is there now, however many names the kernel
        has to forget first."""
        for name, hue in (('old', 0), ('new', 120)):
            clips.ffmpeg(*clips.picture(size='32x24', rate=200, seconds=40), '-vf', f'hue=h={hue}', '-c:v', 'rawvideo',
                         *clips.YUV, self.home / f'{name}.mkv')
        last = 'ppm/a/clip.mkv/008000.ppm'
        settings = self.config(self.root, {'ppm/{class}/{clip}/{frame:06d}.ppm': 'frames: {}'})
        clips.ffmpeg('-i', self.home / 'new.mkv', '-vf', 'select=eq(n\\,7999)', '-frames:v', 1, self.home / 'new.ppm')
        shutil.copy(self.home / 'old.mkv', self.source)
        with self.mount(settings, allowed=['clip.mkv']) as mount:
            self.assertEqual(len(mount.files()), 8000)
            for path in mount.files():
                os.stat(mount.path / path)
            with open(mount.path / last, 'rb', buffering=0) as file:
                harness.read_and_drop(mount.path / last)
                os.replace(self.home / 'new.mkv', self.source)
                harness.wait_until('the change to be seen', lambda: self.fails(file))
                self.assertEqual((mount.path / last).read_bytes(), (self.home / 'new.ppm').read_bytes())

    @staticmethod
    def fails(file):
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        try:
            os.pread(file.fileno(), 10, 0)
        except OSError as error:
            return error.errno == errno.EIO
        return False

    def test_folder_replaced(self):
        blue = self.truth(self.made / 'blue.mkv', 'B line.')
        with self.mount(self.settings, allowed=['clip.mkv']) as mount:
            self.tree(mount)
            os.rename(self.root / 'a', self.home / 'old')
            (self.home / 'new').mkdir()
            shutil.copy(self.made / 'blue.mkv', self.home / 'new/clip.mkv')
            (self.home / 'new/clip.srt').write_text(srt('B line.'), encoding='utf-8')
            os.rename(self.home / 'new', self.root / 'a')
            self.assert_becomes(mount, blue)

    def test_deleted(self):
        """Its frames are no more; then another comes in its place."""
        blue = self.truth(self.made / 'blue.mkv', 'A line.')
        with self.mount(self.settings, allowed=['clip.mkv: the file has vanished']) as mount:
            self.tree(mount)
            self.source.unlink()
            frames = mount.path / 'ppm/a/clip.mkv'
            harness.wait_until('no frames', lambda: os.listdir(frames) == [])
            harness.wait_until('no sound', lambda: not (mount.path / 'mp3/a/clip.mkv.mp3').exists())
            with self.assertRaises(FileNotFoundError):
                os.stat(frames / '000001.ppm')
            shutil.copy(self.made / 'blue.mkv', self.source)
            self.assert_becomes(mount, blue)

    def test_subtitles(self):
        other, none = self.truth(self.made / 'red.mkv', 'B line.'), self.truth(self.made / 'red.mkv', None)
        with self.mount(self.settings) as mount:
            self.tree(mount)
            self.text.write_text(srt('B line.'), encoding='utf-8')
            self.assert_becomes(mount, other)
            self.text.unlink()
            self.assert_becomes(mount, none)
            self.text.write_text(srt('B line.'), encoding='utf-8')
            self.assert_becomes(mount, other)

    def test_by_sweep(self):
        """What inotify does not tell: here, because the folder that is watched has a link only."""
        elsewhere = self.home / 'elsewhere'
        elsewhere.mkdir()
        shutil.move(self.source, elsewhere / 'clip.mkv')
        self.source.symlink_to(elsewhere / 'clip.mkv')
        red, blue = (self.truth(self.made / f'{name}.mkv', 'A line.') for name in ('red', 'blue'))
        settings = self.config(self.root, VIEWS, more='refresh: 1s\n')
        with self.mount(settings) as mount:
            self.assertEqual(self.tree(mount), red)
            self.rewrite(elsewhere / 'clip.mkv', 'blue')
            self.assert_becomes(mount, blue)
            shutil.copy(self.made / 'red.mkv', elsewhere / 'new')
            os.replace(elsewhere / 'new', elsewhere / 'clip.mkv')
            self.assert_becomes(mount, red)

    def test_immutable(self):
        """Nobody looks: what was told stays."""
        settings = self.config(self.root, VIEWS, more='immutable: true\nrefresh: 1s\n')
        with self.mount(settings) as mount:
            before = self.tree(mount)
            self.rewrite(self.source, 'blue')
            time.sleep(2.5)
            self.assertEqual(self.tree(mount), before)

    def test_moved_corpus(self):
        """Moved between two mounts, it keeps its cache; moved under a mount, it is still watched."""
        blue = self.truth(self.made / 'blue.mkv', 'A line.')
        with self.mount(self.settings) as mount:
            before = self.tree(mount)
        os.rename(self.root, self.home / 'moved')
        with self.mount(self.config(self.home / 'moved', VIEWS)) as mount:
            self.assertEqual(self.tree(mount), before)
            stats = mount.stats()
            made = {key: stats[key] for key in stats if key.startswith('jobs_')}
            self.assertFalse(any(made.values()), made)
            os.rename(self.home / 'moved', self.home / 'again')
            self.rewrite(self.home / 'again/a/clip.mkv', 'blue')
            self.assert_becomes(mount, blue)

    def read_in_parts(self, path, pause):
        """A whole file in parts of a page, each perhaps asked for anew: bytes, or None for an error."""
        got = b''
        try:
            fd = os.open(path, os.O_RDONLY)
        except OSError as error:
            self.assertIn(error.errno, (errno.EIO, errno.ENOENT))
            return None
        try:
            size = os.fstat(fd).st_size
            while len(got) < size:
                if self.random.random() < 0.2:
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                if self.random.random() < pause:
                    time.sleep(0.005)
                part = os.pread(fd, 4096, len(got))
                if not part:
                    self.fail(f'{path} ends at {len(got)} of {size}')
                got += part
        except OSError as error:
            self.assertEqual(error.errno, errno.EIO)
            return None
        finally:
            os.close(fd)
        return got

    def test_no_mixture(self):
        """Readers go through files page by page while the source is replaced, time and again."""
        truths = [self.truth(self.made / f'{name}.mkv', 'A line.') for name in TEXTS]
        paths = ['ppm/a/clip.mkv/000003.ppm', 'ppm/a/clip.mkv/000020.ppm', 'mp3/a/clip.mkv.mp3',
                 'jpg/a/clip.mkv/000011.jpg']
        seen = {path: [0, 0, 0] for path in paths}  # times that each version was read, and errors
        stop = threading.Event()

        def read(i):
            path = paths[i % len(paths)]
            while not stop.is_set():
                got = self.read_in_parts(mount.path / path, 0.3)
                versions = [n for n, truth in enumerate(truths) if truth[path] == got]
                self.assertTrue(got is None or versions, f'{path}: a mixture of {len(got or b"")} bytes')
                seen[path][versions[0] if versions else 2] += 1

        def change():
            end = time.monotonic() + 20
            turn = 0
            while not stop.is_set() and (time.monotonic() < end or not all(min(n[:2]) for n in seen.values())):
                name = list(TEXTS)[turn % 2]
                turn += 1
                if self.random.random() < 0.5:
                    self.rewrite(self.source, name)
                else:
                    shutil.copy(self.made / f'{name}.mkv', self.home / 'new')
                    os.replace(self.home / 'new', self.source)
                time.sleep(self.random.uniform(0.1, 1.2))
        with self.mount(self.settings, allowed=['clip.mkv']) as mount:
            readers = threading.Thread(target=self.guarded, args=(lambda: harness.in_threads(4, read), stop))
            self.error = None
            readers.start()
            try:
                change()
            finally:
                stop.set()
                readers.join()
            if self.error:
                raise self.error
        sys.stderr.write(f'read as red, as blue, and errors: {seen}\n')

    def guarded(self, work, stop):
        try:
            work()
        except BaseException as error:  # for the main thread
            self.error = error
        finally:
            stop.set()


if __name__ == '__main__':
    harness.main()
