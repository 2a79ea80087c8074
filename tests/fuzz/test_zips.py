#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Random and hostile zips: the worker's list and bytes are what bsdtar extracts."""
import io
import shutil
import stat
import sys
import zipfile
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness
from lib.archives import PACKED, ROUNDS, STORED, TOOL_OF_FEW, WHY, ZIPS, Archives, Listed, Making, gnu_tar, python_zip, run


class Zips(Archives):

    def test_random(self):
        archive = self.home / 'a.zip'
        for _ in range(ROUNDS):
            folder = self.fresh()
            Making(folder, self.chance, plain=True).tree()
            for name, make in ZIPS.items():
                with self.subTest(name):
                    make(archive, folder)
                    found, tree = self.listed(archive)
                    self.assertEqual((found.told['truncated'], found.told['refused']), (0, 0), found.reason)
                    self.assertSame(tree, self.extracted(archive), name)
            shutil.rmtree(folder)

    def test_python(self):
        folder = self.fresh()
        Making(folder, self.chance, plain=True).tree(links=False)
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            python_zip(self.home / 'a.zip', folder, compression=method)
            found, tree = self.listed(self.home / 'a.zip')
            with zipfile.ZipFile(self.home / 'a.zip') as there:
                want = {name.encode(): there.read(name) for name in there.namelist()}
            self.assertEqual({name: what[1] for name, what in tree.items() if what[0] == 'file'}, want)
            storage = STORED if method == zipfile.ZIP_STORED else PACKED
            self.assertEqual({m.storage for m in found.members if m.size}, {storage})

    def test_names(self):
        """UTF-8 as it is; others as the bytes that stand there."""
        with zipfile.ZipFile(self.home / 'a.zip', 'w') as out:
            out.writestr('ä', b'1')
            out.writestr('plain', b'2')
        data = (self.home / 'a.zip').read_bytes().replace(b'plain', b'pl\x84in')
        (self.home / 'a.zip').write_bytes(data)
        self.assertEqual([m.name for m in Listed(self.home / 'a.zip').members], ['ä'.encode(), b'pl\x84in'])

    def make_zip(self, *members):
        out = io.BytesIO()
        with zipfile.ZipFile(out, 'w') as archive:
            for name, data in members:
                archive.writestr(name, data)
        return bytearray(out.getvalue())

    def refusals(self, data):
        (self.home / 'a.zip').write_bytes(data)
        found = Listed(self.home / 'a.zip')
        self.assertFalse(found.failed, found.error)
        return [(m.name, m.why) for m in found.members]

    def test_hostile(self):
        for name, why in (('../x', 'parent'), ('/x', 'absolute'), ('a/../../x', 'parent'), ('d/' * 2000 + 'x', 'deep'),
                          ('n' * 5000, 'long')):
            refused = self.refusals(self.make_zip(('good', b'1'), (name, b'2')))
            self.assertEqual([w for _, w in refused], [0, WHY[why]], name)
        link = zipfile.ZipInfo('link')
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        self.assertEqual(self.refusals(self.make_zip((link, b'../../etc/passwd'))), [(b'link', WHY['link'])])
        device = zipfile.ZipInfo('device')
        device.create_system, device.external_attr = 3, (stat.S_IFCHR | 0o777) << 16
        self.assertEqual(self.refusals(self.make_zip((device, b''))), [(b'device', WHY['special'])])

    def test_lies(self):
        good = self.make_zip(('one', b'1' * 100), ('two', b'2' * 100))
        directory = good.index(b'PK\1\2')
        second = good.index(b'PK\1\2', directory + 1)
        self.assertEqual(self.refusals(good), [(b'one', 0), (b'two', 0)])

        def changed(at, value, size=2):
            data = bytearray(good)
            data[at:at + size] = value.to_bytes(size, 'little')
            return self.refusals(data)[1]

        self.assertEqual(changed(second + 8, 1), (b'two', WHY['encrypted']))
        self.assertEqual(changed(second + 10, 99), (b'two', WHY['method']))
        self.assertEqual(changed(second + 24, 101, 4), (b'two', WHY['header']))
        self.assertEqual(changed(second + 42, 7, 4), (b'two', WHY['header']))
        self.assertEqual(changed(second + 42, 0, 4), (b'two', WHY['overlap']))
        data = bytearray(good)
        for at in (second + 20, second + 24):
            data[at:at + 4] = (1 << 20).to_bytes(4, 'little')
        self.assertEqual(self.refusals(data)[1], (b'two', WHY['cut']))

    def test_overlapping(self):
        """The zip bomb of entries that quote each other's headers."""
        inner = self.make_zip(('inner', b'x' * 3000))
        local = bytes(inner[:inner.index(b'PK\1\2')])
        outer = self.make_zip(('outer', local))
        directory = outer.index(b'PK\1\2')
        # A second entry in the directory, whose header stands in what the first one holds.
        entry = bytearray(inner[inner.index(b'PK\1\2'):inner.index(b'PK\5\6')])
        entry[42:46] = outer.index(local).to_bytes(4, 'little')
        end = bytearray(outer[outer.index(b'PK\5\6'):])
        first = outer[directory:outer.index(b'PK\5\6')]
        end[8:12] = (2).to_bytes(2, 'little') * 2
        end[12:16] = (len(first) + len(entry)).to_bytes(4, 'little')
        self.assertEqual(self.refusals(outer[:directory] + first + entry + end),
                         [(b'outer', 0), (b'inner', WHY['overlap'])])

    def test_bombs(self):
        data = bytearray(self.make_zip(('good', b'1')))
        with zipfile.ZipFile(self.home / 'b.zip', 'w', compression=zipfile.ZIP_DEFLATED) as out:
            out.writestr('bomb', bytes(1000))
        data = bytearray((self.home / 'b.zip').read_bytes())
        at = data.index(b'PK\1\2')
        data[at + 24:at + 28] = (2 << 30).to_bytes(4, 'little')
        self.assertEqual(self.refusals(data), [(b'bomb', WHY['bomb'])])

    def test_too_many(self):
        """More entries than a list takes: the first ones are there, and can be read."""
        content = self.home / 'content'
        for n in (1000, 1001, 3000):
            (self.home / 'a.zip').write_bytes(self.make_zip(*[(f'{i:04}', b'%d' % i) for i in range(n)]))
            found = Listed(self.home / 'a.zip', content=content, tool=TOOL_OF_FEW)
            self.assertFalse(found.failed, found.error)
            self.assertEqual(found.tree(content), {b'%04d' % i: ('file', b'%d' % i) for i in range(1000)})
            self.assertEqual((found.told['truncated'], found.reason),
                             (1, 'more members than a list may have') if n > 1000 else (0, ''))

    def test_wrong_sizes(self):
        """A member that unpacks to less, or more, than it says: an error, never other bytes."""
        with zipfile.ZipFile(self.home / 'b.zip', 'w', compression=zipfile.ZIP_DEFLATED) as out:
            out.writestr('liar', b'word ' * 1000)
        for size in (4999, 5001):
            data = bytearray((self.home / 'b.zip').read_bytes())
            at = data.index(b'PK\1\2')
            data[at + 24:at + 28] = size.to_bytes(4, 'little')
            (self.home / 'a.zip').write_bytes(data)
            found = Listed(self.home / 'a.zip', content=self.home / 'content')
            self.assertTrue(found.failed)
            self.assertIn('it unpacks to more' if size < 5000 else 'ends before', found.error)

    def test_wrong_crc(self):
        """Of a deflated member; also where it stands behind, as when the zip went to a pipe."""
        folder = self.fresh()
        (folder / 'one').write_bytes(b'word ' * 1000)
        for make in (ZIPS['zip'], ZIPS['zip to a pipe']):
            make(self.home / 'a.zip', folder)
            data = (self.home / 'a.zip').read_bytes()
            crc = zlib.crc32(b'word ' * 1000).to_bytes(4, 'little')
            self.assertEqual(data.count(crc), 2)
            self.assertFalse(Listed(self.home / 'a.zip', content=self.home / 'content').failed)
            (self.home / 'a.zip').write_bytes(data.replace(crc, b'\1\2\3\4'))
            found = Listed(self.home / 'a.zip', content=self.home / 'content')
            self.assertTrue(found.failed)
            self.assertIn('CRC', found.error)

    def test_shifted_and_commented(self):
        """Something stands in front, as in self-extracting ones, and a comment behind."""
        data = self.make_zip(('one', b'1' * 100), ('two', b'2'))
        data[-2:] = (7).to_bytes(2, 'little')
        (self.home / 'a.zip').write_bytes(b'#!/bin/sh\n' * 50 + data + b'comment')
        found, tree = self.listed(self.home / 'a.zip')
        self.assertEqual(tree, {b'one': ('file', b'1' * 100), b'two': ('file', b'2')})
        (self.home / 'c.zip').write_bytes(data[:-30])
        self.assertIn('cut off', Listed(self.home / 'c.zip').error)

    def test_nested(self):
        """A zip in a tar, a tar in a zip: the inner one is a range of the outer."""
        folder = self.make_tree(things=10)
        gnu_tar(self.home / 'inner.tar', folder)
        _, want = self.listed(self.home / 'inner.tar')
        run('zip', '-q0', 'outer.zip', 'inner.tar', cwd=self.home)
        outer = next(m for m in Listed(self.home / 'outer.zip').members if m.name == b'inner.tar')
        self.assertEqual(outer.storage, STORED)
        _, tree = self.listed(self.home / 'outer.zip', '-r', f'{outer.offset},{outer.size}')
        self.assertSame(tree, want, 'tar in zip')
        run('tar', '-cf', self.home / 'outer.tar', '-C', self.home, 'outer.zip')
        outer, = Listed(self.home / 'outer.tar').members
        inner, = Listed(self.home / 'outer.tar', '-r', f'{outer.offset},{outer.size}').members
        _, tree = self.listed(self.home / 'outer.tar', '-r', f'{outer.offset + inner.offset},{inner.size}')
        self.assertSame(tree, want, 'tar in zip in tar')


if __name__ == '__main__':
    harness.main(needs_mount=False)
