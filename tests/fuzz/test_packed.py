#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tars that are packed, by all programs that pack: in any order of reading, cut, damaged, and too large."""
import subprocess
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness
from lib.archives import FILTERS, PACKERS, REFUSED, WHY, Archives, Listed, gnu_tar, packed


class Packed(Archives):

    def test_random(self):
        """Read in any order, with and without the seek points."""
        archive = self.home / 'a.mp4'
        gnu_tar(self.home / 'a.tar', self.make_tree(things=40), '--sparse')
        data = (self.home / 'a.tar').read_bytes()
        whole, tree = self.listed(self.home / 'a.tar')
        for name in PACKERS:
            with self.subTest(name):
                archive.write_bytes(packed(data, name))
                found, have = self.listed(archive)
                self.assertEqual(found.told['filter'], FILTERS[name.split()[0]])
                self.assertEqual((found.told['truncated'], found.told['stream']), (0, len(data)))
                self.assertEqual([(m.name, m.offset, m.size) for m in found.members],
                                 [(m.name, m.offset, m.size) for m in whole.members])
                self.assertSame(have, tree, name)

    def test_parts(self):
        """Several streams one behind the other, as pigz, pbzip2 and pzstd write; with filling behind them."""
        folder = self.fresh()
        for number in range(12):
            (folder / f'{number}').write_bytes(self.chance.randbytes(200000) + b'word ' * 200000)
        gnu_tar(self.home / 'a.tar', folder)
        data = (self.home / 'a.tar').read_bytes()
        _, tree = self.listed(self.home / 'a.tar')
        archive = self.home / 'a'
        for name in PACKERS:
            with self.subTest(name):
                parts, at = b'', 0
                while at < len(data):
                    size = self.chance.randint(1, 4000000)
                    parts += packed(data[at:at + size], name)
                    at += size
                archive.write_bytes(parts + (bytes(1024) if name != 'zst' else b''))
                found, have = self.listed(archive)
                self.assertEqual((found.told['truncated'], found.told['stream']), (0, len(data)), found.reason)
                self.assertSame(have, tree, name)
                self.assertGreater(found.told['points'], 0)

    def test_seek_points(self):
        """Every one leads to the right bytes: read backwards, member by member."""
        folder = self.fresh()
        for number in range(40):
            (folder / f'{number:02}').write_bytes(b'%d ' % self.chance.randrange(1 << 60) * 40000 +
                                                  self.chance.randbytes(100000))
        gnu_tar(self.home / 'a.tar', folder)
        data = (self.home / 'a.tar').read_bytes()
        _, tree = self.listed(self.home / 'a.tar')
        for name in ('gz', 'bz2', 'bz2 of small blocks', 'xz of blocks'):
            with self.subTest(name):
                (self.home / 'a').write_bytes(packed(data, name))
                found, have = self.listed(self.home / 'a', '-b')
                self.assertGreater(found.told['points'], 0)
                self.assertSame(have, tree, name)

    def test_cut(self):
        gnu_tar(self.home / 'a.tar', self.make_tree(things=40))
        data = (self.home / 'a.tar').read_bytes()
        whole = Listed(self.home / 'a.tar')
        archive = self.home / 'a'
        for name in PACKERS:
            all_packed = packed(data, name)
            for _ in range(4):
                damaged = bytearray(all_packed[:self.chance.randrange(20, len(all_packed))])
                flipped = self.chance.random() < 0.5
                if flipped:
                    damaged[self.chance.randrange(len(damaged))] ^= 1 << self.chance.randrange(8)
                archive.write_bytes(damaged)
                found = Listed(archive)
                if found.failed:
                    continue
                self.assertTrue(found.told['truncated'] and found.reason, name)
                have = [m.name for m in found.members if m.kind != REFUSED]
                if not flipped:
                    self.assertEqual(have, [m.name for m in whole.members[:len(have)]])

    def test_single_file(self):
        for name in PACKERS:
            for content in (b'', b'text', self.chance.randbytes(5000)):
                (self.home / 'a.tar').write_bytes(packed(content, name))
                found = Listed(self.home / 'a.tar')
                self.assertTrue(found.failed)
                self.assertIn('a single file that is packed', found.error)

    def test_memory(self):
        """A window of 1 GiB is unpacked with, one of 2 GiB is refused; neither is written to by so little."""
        for log, failed in ((30, False), (31, True)):
            data = tarfile.TarInfo('one').tobuf() + bytes(1024)
            block = (len(data) << 3 | 1).to_bytes(3, 'little') + data
            (self.home / 'a').write_bytes(b'\x28\xb5\x2f\xfd\0' + bytes([(log - 10) << 3]) + block)
            found = Listed(self.home / 'a')
            self.assertEqual(found.failed, failed, found.error)
            if failed:
                self.assertIn('memory', found.error)

    def test_out_of_memory(self):
        """The window cannot be had: at the beginning, and where a member is passed over. That is no fault of the archive, and
        no list of a part of it."""
        def frame(data, log):
            """Zstandard: a raw block, with a window of 1 << log bytes."""
            return b'\x28\xb5\x2f\xfd\0' + bytes([(log - 10) << 3]) + (len(data) << 3 | 1).to_bytes(3, 'little') + data
        info = tarfile.TarInfo('one')
        info.size = 100_000
        header, end = info.tobuf(), bytes(1024)
        body = [bytes(50_000), bytes(-50_000 % 512 + 50_000)]
        for parts, name in (([frame(header + body[0], 30), frame(body[1] + end, 10)], 'first'),
                            ([frame(header + body[0], 17), frame(body[1] + end, 30)], 'passed over'),
                            ([frame(header + body[0] + body[1], 18), frame(end, 30)], 'end')):
            with self.subTest(name):
                (self.home / 'a').write_bytes(b''.join(parts))
                self.assertEqual([m.name for m in Listed(self.home / 'a').members], [b'one'])
                found = Listed(self.home / 'a', most_mib=900)
                self.assertTrue(found.failed, found.members)
                self.assertIn('out of memory', found.error)

    def test_bomb(self):
        """GiBs of nothing in some kilobytes: the list ends, and says why."""
        archive = self.home / 'a'
        before, bomb = tarfile.TarInfo('before'), tarfile.TarInfo('bomb')
        bomb.size = 3 << 30
        with open(archive, 'wb') as out, subprocess.Popen(['zstd', '-q', '-1', '-c'], stdin=subprocess.PIPE,
                                                          stdout=out) as packer:
            packer.stdin.write(before.tobuf() + bomb.tobuf())
            for _ in range(1100):
                packer.stdin.write(bytes(1 << 20))
            packer.stdin.write(bytes(1024))
        found = Listed(archive)
        self.assertEqual([(m.name, m.why) for m in found.members], [(b'before', 0), (b'bomb', WHY['cut'])])
        self.assertIn('200 times', found.reason)


if __name__ == '__main__':
    harness.main(needs_mount=False)
