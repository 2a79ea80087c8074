#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is packed in an archive is unpacked once, however many read it, and however often."""
import io
import os
import sys
import tarfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness

READERS = 8
WINDOW = 4 << 20  # cache/members.c: small members of a stream are unpacked together


class Unpacked(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        self.root.mkdir()
        words = self.random.randbytes(50_000)
        self.large = {f'large{i}': b''.join(b'%d ' % n + words for n in range(150 + i)) for i in range(2)}
        self.small = {f'small{i}': self.random.randbytes(20_000) for i in range(20)}
        self.settings = self.config(self.root, {'{path}': 'files:'}, source='- archives: "*.{zip,tgz}"')

    def check(self, want, jobs):
        """Many readers at once, who begin at different places, then again, and after a new mount."""
        with self.mount(self.settings) as mount:
            def read(number):
                names = sorted(want)
                for name in names[number % len(names):] + names[:number % len(names)]:
                    with open(mount.path / name, 'rb') as file:
                        for at in self.parts(number, len(want[name])):
                            file.seek(at)
                            self.assertEqual(file.read(1 << 20), want[name][at:at + (1 << 20)], name)
                        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            self.assertEqual(mount.stats()['jobs_unpack'], 0)
            harness.in_threads(READERS, read)
            self.assertEqual(mount.stats()['jobs_unpack'], jobs)
            harness.in_threads(READERS, read)
            for name in self.shuffled(want):
                self.assertEqual(harness.read_and_drop(mount.path / name), want[name], name)
            self.assertEqual(mount.stats()['jobs_unpack'], jobs)
        with self.mount(self.settings) as mount:
            for name in self.shuffled(want):
                self.assertEqual(harness.read_and_drop(mount.path / name), want[name], name)
            self.assertEqual(mount.stats()['jobs_unpack'], 0)

    @staticmethod
    def parts(number, size):
        """Offsets of 1 MiB each: forward, or backward."""
        offsets = list(range(0, size, 1 << 20))
        return offsets if number % 2 else offsets[::-1]

    def test_zip(self):
        """Each member by itself."""
        members = self.large | self.small
        with zipfile.ZipFile(self.root / 'z.zip', 'w', zipfile.ZIP_DEFLATED) as out:
            for name, data in members.items():
                out.writestr(name, data)
        self.check(members, len(members))

    def test_stream(self):
        """Small members together, large ones by themselves."""
        with tarfile.open(self.root / 't.tgz', 'w:gz') as out:
            for name, data in [*self.small.items(), *self.large.items()]:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                out.addfile(info, io.BytesIO(data))
        self.assertLess(sum(map(len, self.small.values())) + 512 * len(self.small), WINDOW)
        self.assertGreater(min(map(len, self.large.values())), WINDOW)
        self.check(self.small | self.large, 1 + len(self.large))


harness.main()
