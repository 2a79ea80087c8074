#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Listing is cheap: it demuxes a clip once, decodes next to nothing, and after a remount does nothing at all."""
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness, oracle
from lib.oracle import View

VIEWS = {
    'img/{class}/{clip}/{frame:06d}.jpg': 'frames: { size: "-1:120" }',
    'png/{class}/{clip}/{frame:06d}.png': 'frames: { fps: 5 }',
    'mp3/{class}/{clip}.mp3': 'audio: {}',
    'srt/{class}/{clip}.srt': 'subtitles: [sidecar, embedded]',
}
COUNT = {**VIEWS, 'img/{class}/{clip}/n_frames': 'text: "{nframes}"'}


class Listing(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = clips.make(clips.SMALL, 'small')
        self.settings = self.config(self.root, VIEWS)

    @staticmethod
    def count(mount):
        find = subprocess.run(['find', str(mount.path), '-type', 'f'], stdout=subprocess.PIPE, check=True)
        return len(find.stdout.splitlines())

    def most_pictures(self):
        """What looking may decode: two pictures a clip and view, also of an AVI with packed B-frames."""
        return 2 * 2 * len(clips.SMALL)

    def expected_frames(self, clip, view):
        return len(os.listdir(oracle.frames(self.root / clip, view)))

    def test_find_decodes_next_to_nothing(self):
        """At most two pictures a clip and frames view, whatever the length; and no frame, sound or text is made
        that the sizes do not need."""
        with self.mount(self.settings) as mount:
            self.assertEqual(mount.stats()['jobs_index'], 0, 'mounting alone demuxes nothing')
            wanted = sum(self.expected_frames(c, View('cfr', 'png', '-1:120')) + self.expected_frames(c, View('5', 'png'))
                         for c in clips.SMALL)
            wanted += 2 * len(clips.SMALL) - 1  # one clip has no sound
            self.assertEqual(self.count(mount), wanted)
            subprocess.run(['find', str(mount.path), '-size', '+1'], stdout=subprocess.DEVNULL, check=True)
            stats = mount.stats()
            self.assertEqual(stats['jobs_index'], len(clips.SMALL))
            self.assertEqual((stats['jobs_frames'], stats['jobs_audio']), (0, 0))
            self.assertLessEqual(stats['pictures_decoded'], self.most_pictures())
            before = stats
            self.assertEqual(self.count(mount), wanted)
            self.assertEqual(mount.stats()['jobs_index'], before['jobs_index'], 'indexed once')
        with self.mount(self.settings) as mount:
            self.assertEqual(self.count(mount), wanted)
            subprocess.run(['ls', '-lR', str(mount.path)], stdout=subprocess.DEVNULL, check=True)
            stats = mount.stats()
            self.assertEqual((stats['jobs_index'], stats['jobs_measure'], stats['pictures_decoded']), (0, 0, 0),
                             'kept over a remount')

    def test_names_alone(self):
        """`find` without sizes on a fresh mount decodes at most two pictures a clip and view."""
        with self.mount(self.settings) as mount:
            self.count(mount)
            self.assertLessEqual(mount.stats()['pictures_decoded'], self.most_pictures())

    def test_one_directory_touches_one_clip(self):
        with self.mount(self.settings) as mount:
            self.assertEqual(sorted(os.listdir(mount.path)), ['img', 'mp3', 'png', 'srt'])
            self.assertEqual(sorted(os.listdir(mount.path / 'img')), ['Fear', 'Joy', 'Trust'])
            self.assertEqual(sorted(os.listdir(mount.path / 'img/Joy')), ['first.mp4', 'second.avi'])
            self.assertEqual(mount.stats()['jobs_index'], 0)
            names = os.listdir(mount.path / 'img/Joy/second.avi')
            self.assertEqual(len(names), self.expected_frames('Joy/second.avi', View('cfr', 'png', '-1:120')))
            self.assertEqual(mount.stats()['jobs_index'], 1)
            os.listdir(mount.path / 'png/Joy/second.avi')
            self.assertEqual(mount.stats()['jobs_index'], 1, 'one index serves every view')

    def test_kept_when_moved(self):
        """A corpus that was moved keeps its cache."""
        first, second = self.home / 'one', self.home / 'two'
        shutil.copytree(self.root, first)
        with self.mount(self.config(first, VIEWS)) as mount:
            self.count(mount)
            data = (mount.path / 'img/Joy/first.mp4/000007.jpg').read_bytes()
        first.rename(second)
        with self.mount(self.config(second, VIEWS)) as mount:
            self.count(mount)
            self.assertEqual((mount.path / 'img/Joy/first.mp4/000007.jpg').read_bytes(), data)
            stats = mount.stats()
            self.assertEqual((stats['jobs_index'], stats['jobs_frames']), (0, 0))

    def test_attributes(self):
        """What stat says: kinds, modes, owner, times; no directory below 1024 bytes, as one loader skips those."""
        with self.mount(self.config(self.root, COUNT)) as mount:
            for directory, subdirs, names in os.walk(mount.path):
                state = os.stat(directory)
                self.assertEqual(stat.S_IMODE(state.st_mode), 0o555, directory)
                self.assertGreaterEqual(state.st_size, 1024, directory)
                self.assertEqual(state.st_nlink, 2 + len(subdirs), directory)
                self.assertEqual((state.st_uid, state.st_gid), (os.getuid(), os.getgid()))
                for name in names:
                    state = os.stat(os.path.join(directory, name))
                    self.assertEqual(stat.S_IMODE(state.st_mode), 0o444, name)
                    self.assertTrue(stat.S_ISREG(state.st_mode), name)
                    self.assertEqual((state.st_uid, state.st_nlink), (os.getuid(), 1))
            source = os.stat(self.root / 'Joy/first.mp4')
            for path in ('img/Joy/first.mp4/000001.jpg', 'mp3/Joy/first.mp4.mp3'):
                self.assertEqual(os.stat(mount.path / path).st_mtime_ns, source.st_mtime_ns, path)

    def test_inodes(self):
        """Every file and directory has an inode number of its own, the one that listing gave."""
        with self.mount(self.config(self.root, COUNT)) as mount:
            seen = {}
            for directory, _, _ in os.walk(mount.path):
                for entry in os.scandir(directory):
                    self.assertEqual(entry.inode(), entry.stat(follow_symlinks=False).st_ino, entry.path)
                    self.assertNotIn(entry.inode(), seen, f'{entry.path} and {seen.get(entry.inode())}')
                    seen[entry.inode()] = entry.path

    def test_no_such_thing(self):
        with self.mount(self.config(self.root, COUNT)) as mount:
            for path in ('nothing', 'img/nothing', 'img/Joy/nothing', 'img/Joy/first.mp4/000000.jpg',
                         'img/Joy/first.mp4/000051.jpg', 'img/Joy/first.mp4/1.jpg', 'img/Joy/first.mp4/0000001.jpg',
                         'img/Joy/first.mp4/000001.png', 'img/Joy/first.mp4/00001 .jpg',
                         'img/Joy/first.mp4/99999999999999999999.jpg', 'mp3/Trust/silent.mp4.mp3',
                         'mp3/Joy/first.mp4', 'mp3/Joy/' + 'x' * 255):
                with self.assertRaises(FileNotFoundError, msg=path):
                    os.stat(mount.path / path)
            with self.assertRaises(OSError):
                os.listdir(mount.path / 'mp3/Joy/first.mp4.mp3')

    def test_n_frames(self):
        """An ASCII integer without a newline: the number of the last frame."""
        with self.mount(self.config(self.root, COUNT)) as mount:
            for clip in clips.SMALL:
                names = os.listdir(mount.path / 'img' / clip)
                path = mount.path / 'img' / clip / 'n_frames'
                self.assertIn('n_frames', names)
                data = path.read_bytes()
                self.assertEqual(data, str(len(names) - 1).encode())
                self.assertEqual(len(data), path.stat().st_size)
                self.assertTrue((mount.path / 'img' / clip / f'{int(data):06d}.jpg').exists())


if __name__ == '__main__':
    harness.main()
