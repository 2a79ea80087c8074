#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Bad input costs its own files EIO and one log line; everything else stays readable."""
import errno
import os
import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, compare, harness, oracle
from lib.oracle import View

FRAMES = View('cfr', 'png')
VIEWS = {
    'png/{class}/{clip}/{frame:06d}.png': 'frames: {}',
    'mp3/{class}/{clip}.mp3': 'audio: {}',
    'srt/{class}/{clip}.srt': 'subtitles: [embedded]',
}
GOOD = {'first.mp4': 'containers/h264_bframes.mp4', 'last.webm': 'containers/vp9.webm'}


class Bad(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        self.everything = clips.make(clips.EVERYTHING, 'everything')
        for name, clip in GOOD.items():
            self.put(name, (self.everything / clip).read_bytes())
        self.settings = self.config(self.root, VIEWS)

    def put(self, name, data, folder='a'):
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / folder / name).write_bytes(data)

    def take(self, clip):
        return (self.everything / clip).read_bytes()

    def assert_eio(self, action, *args):
        with self.assertRaises(OSError) as caught:
            action(*args)
        self.assertEqual(caught.exception.errno, errno.EIO, caught.exception)

    def assert_good_ones(self, mount):
        for name, clip in GOOD.items():
            compare.check_frames(self, self.everything / clip, mount.path / 'png/a' / name, FRAMES)
            compare.check_sound_of(self, self.everything / clip, mount.path / 'mp3/a' / f'{name}.mp3', 'mp3')
            self.assertEqual((mount.path / 'srt/a' / f'{name}.srt').read_bytes(), b'')

    def assert_lines(self, mount, counts):
        """So many errors or warnings were logged about each source, each with a reason after its name."""
        for name, count in counts.items():
            lines = [line for line in mount.errors() if f'a/{name}' in line]
            self.assertEqual(len(lines), count, f'{name}: {lines}')
            for line in lines:
                self.assertRegex(line, re.escape(f'a/{name}') + r'.*: .+')

    def test_unreadable_clips(self):
        """Nothing of these can be decoded: each of their names gives EIO, each of them one line."""
        whole = self.take('containers/h264_bframes.mp4')  # its moov stands at the end
        self.assertGreater(whole.index(b'moov'), len(whole) // 2)
        bad = {
            'text.mp4': b'This is not a video.\n' * 100,
            'empty.mp4': b'',
            'one.mkv': b'x',
            'noise.avi': self.random.randbytes(100000),
            'nomoov.mp4': whole[:len(whole) // 2],
            'header.webm': self.take('containers/vp9.webm')[:200],
        }
        for name, data in bad.items():
            self.put(name, data)
        names = [*bad, *GOOD]
        with self.mount(self.settings, allowed=[f'a/{re.escape(name)}' for name in bad]) as mount:
            for _ in range(2):
                self.assertEqual(sorted(os.listdir(mount.path / 'png/a')), sorted(names))
                os.listdir(mount.path / 'mp3/a')
                for name in self.shuffled(bad):
                    with self.subTest(name=name):
                        self.assert_eio(os.listdir, mount.path / 'png/a' / name)
                        self.assert_eio(os.stat, mount.path / 'mp3/a' / f'{name}.mp3')
                        self.assert_eio(os.stat, mount.path / 'srt/a' / f'{name}.srt')
            self.assert_good_ones(mount)
            self.assert_lines(mount, {name: 1 for name in bad} | {name: 0 for name in GOOD})
            before = mount.stats()['jobs_index']
            self.assertEqual(before, len(names), 'a failed job is remembered')
        # A whole video in place of the broken one is a new version.
        for name in ('text.mp4', 'nomoov.mp4'):
            self.put(name, whole)
        with self.mount(self.settings, allowed=[f'a/{re.escape(name)}' for name in bad]) as mount:
            compare.check_frames(self, self.everything / 'containers/h264_bframes.mp4', mount.path / 'png/a/text.mp4', FRAMES)
            compare.check_frames(self, self.everything / 'containers/h264_bframes.mp4', mount.path / 'png/a/nomoov.mp4',
                                 FRAMES)

    def damaged(self, name, data, least):
        """Every frame that ffmpeg makes of it is the same here, at least `least` of them. More may be promised
        until it was tried; those give EIO, and then the directory shrinks to the truth.

        How a decoder covers up for lost slices may depend on its threads; such frames need only be readable."""
        self.put(name, data)
        video = self.root / 'a' / name
        sets = []
        for threads in (1, 2, 4):
            sets.append(self.home / f'truth-{name}-{threads}')
            sets[-1].mkdir()
            oracle.run('-threads', threads, '-i', video, sets[-1] / '%06d.png', check=False)
        true_names = sorted(os.listdir(sets[0]))
        certain = {n for n in true_names if all((s / n).exists() and (s / n).read_bytes() == (sets[0] / n).read_bytes()
                                                for s in sets)}
        self.assertGreaterEqual(len(certain), least)
        with self.mount(self.settings, allowed=[re.escape(f'a/{name}')]) as mount:
            directory = mount.path / 'png/a' / name
            for frame in self.shuffled(os.listdir(directory)):
                if frame in true_names:
                    data = (directory / frame).read_bytes()
                    if frame in certain:
                        self.assertEqual(compare.frame_fault(data, frame, FRAMES, sets[0], video), '', frame)
                else:
                    with self.assertRaises(OSError, msg=frame) as caught:
                        (directory / frame).read_bytes()
                    self.assertIn(caught.exception.errno, (errno.EIO, errno.ENOENT))
            self.assertEqual(sorted(os.listdir(directory)), true_names)
            self.assert_good_ones(mount)
            self.assertLessEqual(len([line for line in mount.errors() if f'a/{name}' in line]), 1)

    def test_truncated_faststart(self):
        """A download that stopped: the header is whole and promises more than there is."""
        fast = self.home / 'fast.mp4'
        oracle.run('-i', self.everything / 'containers/h264_bframes.mp4', '-c', 'copy', '-movflags', '+faststart', fast)
        data = fast.read_bytes()
        self.damaged('short.mp4', data[:len(data) * 6 // 10], 15)

    def test_cut_at_the_end(self):
        for clip in ('containers/h264_opengop.mkv', 'containers/mpeg2.mpg', 'containers/h264_opengop.ts',
                     'containers/mpeg4_bframes.avi', 'containers/h264.flv'):
            with self.subTest(clip=clip):
                data = self.take(clip)
                self.damaged(f'end_{Path(clip).name}', data[:len(data) * 6 // 10 + 1], 15)

    def test_cut_at_the_beginning(self):
        """A recording that was tuned into in the middle of a GOP."""
        for clip in ('containers/h264_opengop.ts', 'containers/mpeg2.ts', 'containers/mpeg2.mpg'):
            with self.subTest(clip=clip):
                data = self.take(clip)
                block = 2048 if clip.endswith('mpg') else 188
                self.damaged(f'begin_{Path(clip).name}', data[len(data) // block // 3 * block:], 15)

    def test_hole(self):
        """Zeros in the middle, as a failing disk or a sparse download leaves them."""
        for clip in ('containers/h264_opengop.mkv', 'containers/mpeg2.ts', 'containers/h264.avi'):
            with self.subTest(clip=clip):
                data = bytearray(self.take(clip))
                middle = len(data) // 2
                data[middle:middle + 3000] = bytes(3000)
                self.damaged(f'hole_{Path(clip).name}', bytes(data), 15)

    def test_damaged_but_stable(self):
        """The bytes of frames with lost slices do not depend on who reads what first either."""
        data = bytearray(self.take('containers/h264.avi'))
        data[len(data) // 2:len(data) // 2 + 3000] = bytes(3000)
        self.put('hole.avi', data)
        seen = {}
        for readers in (1, 1, 4, 4):
            with self.mount(self.settings, allowed=['a/hole.avi']) as mount:
                directory = mount.path / 'png/a/hole.avi'
                names = os.listdir(directory)

                def read(_, directory=directory, names=names):
                    for name in self.shuffled(names):
                        found = (directory / name).read_bytes()
                        self.assertTrue(seen.setdefault(name, found) == found, f'{name} has other bytes this time')
                harness.in_threads(readers, read)
            shutil.rmtree(self.cache)

    def test_frames_change_size(self):
        """ffmpeg scales all frames to the first one's size. Here they are the same, or EIO, from the change on."""
        parts = []
        for i, size in enumerate(('160x120', '96x72')):
            parts.append(self.home / f'{i}.ts')
            clips.ffmpeg(*clips.picture(size=size, seconds=1), *clips.X264, *clips.YUV, parts[-1])
        self.put('changing.ts', parts[0].read_bytes() + parts[1].read_bytes())
        truth = oracle.frames(self.root / 'a/changing.ts', FRAMES)
        with self.mount(self.settings, allowed=['a/changing.ts']) as mount:
            directory = mount.path / 'png/a/changing.ts'
            good = 0
            for name in self.shuffled(os.listdir(directory)):
                try:
                    data = (directory / name).read_bytes()
                except OSError as error:
                    self.assertEqual(error.errno, errno.EIO)
                    self.assertGreater(name, '000025.png')
                    continue
                self.assertEqual(compare.frame_fault(data, name, FRAMES, truth, self.root / 'a/changing.ts'), '', name)
                good += 1
            self.assertGreaterEqual(good, 25)
            self.assertLessEqual(len([line for line in mount.errors() if 'a/changing.ts' in line]), 1)
            self.assert_good_ones(mount)

    def test_sound_only(self):
        """A video container without a picture still gives its sound."""
        sound = self.home / 'sound.mp4'
        clips.ffmpeg(*clips.sound(), *clips.AAC, sound)
        self.put('sound.mp4', sound.read_bytes())
        with self.mount(self.settings, allowed=['a/sound.mp4']) as mount:
            compare.check_sound_of(self, self.root / 'a/sound.mp4', mount.path / 'mp3/a/sound.mp4.mp3', 'mp3')
            self.assert_good_ones(mount)

    def test_no_permission(self):
        """Also for root, whose daemon runs here without the capability to read everything."""
        self.put('secret.mp4', self.take('containers/hevc.mp4'))
        os.chmod(self.root / 'a/secret.mp4', 0)
        wrapper = ()
        if os.geteuid() == 0:
            wrapper = ('setpriv', '--bounding-set', '-dac_override,-dac_read_search')
        with self.mount(self.settings, wrapper=wrapper, allowed=['a/secret.mp4']) as mount:
            for _ in range(2):
                self.assert_eio(os.listdir, mount.path / 'png/a/secret.mp4')
                self.assert_eio(os.stat, mount.path / 'mp3/a/secret.mp4.mp3')
            self.assert_good_ones(mount)
            self.assert_lines(mount, {'secret.mp4': 1})
            self.assertRegex(mount.log(), r'a/secret\.mp4.*[Pp]ermission')

    def test_no_permission_on_a_folder(self):
        self.put('secret.mp4', self.take('containers/hevc.mp4'), folder='b')
        os.chmod(self.root / 'b', 0)
        self.addCleanup(os.chmod, self.root / 'b', 0o700)
        wrapper = ()
        if os.geteuid() == 0:
            wrapper = ('setpriv', '--bounding-set', '-dac_override,-dac_read_search')
        with self.mount(self.settings, wrapper=wrapper, allowed=[r'/b\b']) as mount:
            self.assert_good_ones(mount)
            self.assertRegex(mount.log(), r'/b\b.*[Pp]ermission')

    def test_vanished(self):
        """A source that was removed under the mount: EIO or ENOENT, never other bytes; the rest goes on."""
        self.put('gone.mp4', self.take('containers/hevc.mp4'))
        with self.mount(self.settings, allowed=['a/gone.mp4']) as mount:
            names = os.listdir(mount.path / 'png/a/gone.mp4')
            (self.root / 'a/gone.mp4').unlink()
            for name in names[:5]:
                with self.assertRaises(OSError) as caught:
                    (mount.path / 'png/a/gone.mp4' / name).read_bytes()
                self.assertIn(caught.exception.errno, (errno.EIO, errno.ENOENT))
            self.assert_good_ones(mount)

    def test_strange_names(self):
        """Names with every character that a file name may have, also such that are not UTF-8."""
        data = self.take('picture/gray.mp4')
        names = [b'new\nline', b'quote"s', b'back\\slash', b'{brace}', b'%06d', b' ', b'-rf', b'\xff\xfe', b'tab\t']
        for name in names:
            with open(os.fsencode(self.root / 'a') + b'/' + name + b'.mp4', 'wb') as file:
                file.write(data)
        with self.mount(self.settings) as mount:
            directory = os.fsencode(mount.path / 'png/a')
            listed = os.listdir(directory)
            for name in names:
                with self.subTest(name=name):
                    self.assertIn(name + b'.mp4', listed)
                    with open(directory + b'/' + name + b'.mp4/000001.png', 'rb') as file:
                        self.assertEqual(oracle.pixels(file.read()).shape, (120, 160, 3))


if __name__ == '__main__':
    harness.main()
