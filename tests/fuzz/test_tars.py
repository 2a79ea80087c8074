#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Random and hostile tars: the worker's list and bytes are what bsdtar extracts."""
import io
import os
import shutil
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness
from lib.archives import FILE, REFUSED, ROUNDS, SPARSE, STORED, TARS, TOOL_OF_FEW, WHY, Archives, Listed, gnu_tar, run


class Tars(Archives):

    def test_random(self):
        archive = self.home / 'a.tar'
        for _ in range(ROUNDS):
            folder = self.make_tree()
            for name, make in TARS.items():
                with self.subTest(name):
                    make(archive, folder)
                    found = self.compare(archive, name)
                    self.assertEqual(found.told['end'] % 512, 0)
                    self.assertLessEqual({m.storage for m in found.members}, {STORED, SPARSE})
            shutil.rmtree(folder)

    def test_old(self):
        """v7 and ustar, whose names are short."""
        folder = self.fresh()
        for name in ('one', 'two/three', 'two/' + 'n' * 80):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(self.chance.randbytes(700))
        os.symlink('one', folder / 'link')
        os.link(folder / 'one', folder / 'hard')
        for form in ('v7', 'ustar'):
            gnu_tar(self.home / 'a.tar', folder, f'--format={form}')
            self.compare(self.home / 'a.tar', form)

    def test_duplicates_and_concatenated(self):
        first, second, third = self.make_tree(things=8), self.make_tree(things=8), self.make_tree(things=8)
        for folder, text in ((first, b'old'), (second, b'newer'), (third, b'newest')):
            (folder / 'again').write_bytes(text)
        a, b = self.home / 'a.tar', self.home / 'b.tar'
        gnu_tar(a, first)
        run('tar', '-rf', a, '-C', second, '.')
        found, tree = self.listed(a)
        self.assertEqual(tree[b'again'], ('file', b'newer'))
        self.assertEqual([m.name for m in found.members].count(b'again'), 2)
        self.compare(a, 'appended')
        gnu_tar(b, third)
        a.write_bytes(a.read_bytes() + b.read_bytes())
        self.compare(a, 'concatenated', '--options', 'read_concatenated_archives')

    def test_large(self):
        """Sizes that need base-256 or PAX, in files of holes."""
        folder = self.fresh()
        with open(folder / 'large', 'wb') as out:
            out.seek(9 << 30)
            out.write(b'end')
        for form in ('gnu', 'posix'):
            archive = self.home / f'{form}.tar'
            header = tarfile.TarInfo('large')
            header.size = (9 << 30) + 3
            after = tarfile.TarInfo('after')
            kind = tarfile.GNU_FORMAT if form == 'gnu' else tarfile.PAX_FORMAT
            with open(archive, 'wb') as out:
                out.write(header.tobuf(kind))
                data_at = out.tell()
                out.seek(data_at + header.size + -header.size % 512)
                out.write(after.tobuf(kind) + bytes(1024))
            found = Listed(archive)
            self.assertEqual([(m.name, m.size) for m in found.members], [(b'large', header.size), (b'after', 0)])
            self.assertEqual(found.members[0].offset, data_at)
            gnu_tar(archive, folder, '--sparse', f'--format={form}')
            large = Listed(archive).members[-1]
            self.assertEqual((large.name, large.size, large.storage), (b'large', header.size, SPARSE))

    def test_grown(self):
        archive, old = self.home / 'a.tar', self.home / 'old.list'
        for how in ('appended', 'concatenated', 'shorter', 'other'):
            with self.subTest(how):
                gnu_tar(archive, self.make_tree(things=12))
                before = Listed(archive, '-o', old)
                size = archive.stat().st_size
                more = self.make_tree(things=5)
                if how == 'appended':
                    run('tar', '-rf', archive, '-C', more, '.')
                elif how == 'concatenated':
                    gnu_tar(self.home / 'b.tar', more)
                    archive.write_bytes(archive.read_bytes() + (self.home / 'b.tar').read_bytes())
                elif how == 'shorter':
                    gnu_tar(archive, self.make_tree(things=3))
                else:
                    gnu_tar(archive, self.make_tree(things=40))
                whole, whole_tree = self.listed(archive)
                grown, grown_tree = self.listed(archive, '-k', f'{old},{size}')
                self.assertEqual(grown.told, whole.told)
                self.assertSame(grown_tree, whole_tree, how)
                if how == 'appended':
                    self.assertGreater(grown.told['end'], before.told['end'])

    def test_replaced_by_one_like_it(self):
        """The old end falls into zeros as it did before, and still is none."""
        archive, old = self.home / 'a.tar', self.home / 'old.list'
        for number, (name, size) in enumerate((('one', 100000), ('two', 200000))):
            folder = self.fresh()
            (folder / name).write_bytes(bytes(size))
            gnu_tar(archive, folder)
            if number == 0:
                Listed(archive, '-o', old)
                known = archive.stat().st_size
        names = [m.name for m in Listed(archive, '-k', f'{old},{known}').members]
        self.assertEqual(names, [b'two'])

    def test_grown_is_read_from_its_end(self):
        """What stands before the old end is not looked at, but for the last header, 4 KiB at either end, and a block here
        and there."""
        archive, old = self.home / 'a.tar', self.home / 'old.list'
        folder = self.fresh()
        for i in range(100):
            (folder / f'{i:03d}').write_bytes(bytes(20000))
        gnu_tar(archive, folder)
        before = Listed(archive, '-o', old)
        size = archive.stat().st_size
        run('tar', '-rf', archive, '-C', self.make_tree(things=5), '.')
        with open(archive, 'r+b') as out:
            sampled = {before.told['end'] // 512 * i // 64 for i in range(64)}
            headers = [m.offset - 512 for m in before.members[1:-1] if m.offset > 8192]
            out.seek(next(at for at in headers if at // 512 not in sampled))
            out.write(b'\xff' * 512)
        self.assertTrue(Listed(archive).told['truncated'])
        grown = Listed(archive, '-k', f'{old},{size}')
        self.assertFalse(grown.told['truncated'])
        self.assertGreater(grown.told['members'], before.told['members'])

    def test_truncated(self):
        archive, cut, old = self.home / 'a.tar', self.home / 'cut.tar', self.home / 'old.list'
        gnu_tar(archive, self.make_tree())
        whole, whole_tree = self.listed(archive)
        data = archive.read_bytes()
        places = [self.chance.randrange(1, whole.told['end']) for _ in range(14)]
        for m in self.chance.sample([m for m in whole.members if m.kind == FILE], 3):
            end = m.offset + m.packed  # in the header, and in the filling, which may have no bytes
            places += [m.offset - self.chance.randrange(1, 512), min(end + self.chance.randrange(-end % 512 or 1), len(data))]
        for at in places:
            cut.write_bytes(data[:at])
            found = Listed(cut, '-o', old)
            if at < 512:
                self.assertTrue(found.failed)
                continue
            have = [m.name for m in found.members if m.kind != REFUSED]
            self.assertEqual(have, [m.name for m in whole.members[:len(have)]])
            files = [(m.name, m.size) for m in found.members if m.kind == FILE]
            self.assertEqual(files, [(m.name, m.size) for m in whole.members
                                     if m.kind == FILE and m.offset + m.packed <= at])
            if at % 512:
                self.assertTrue(found.told['truncated'] and found.reason)
            # The rest comes: it was being written.
            cut.write_bytes(data)
            grown, grown_tree = self.listed(cut, '-k', f'{old},{at}')
            self.assertEqual(grown.told, whole.told)
            self.assertSame(grown_tree, whole_tree, f'cut at {at}')

    def test_hostile(self):
        """Each is refused with its reason, and what stands beside it is listed."""
        cases = {
            'absolute': dict(name='/etc/passwd'), 'parent': dict(name='a/../../b'), 'long': dict(name='n' * 5000),
            'deep': dict(name='d/' * 100000 + 'x'),
            'special': dict(name='dev', type=tarfile.CHRTYPE),
            'link': dict(name='l', type=tarfile.SYMTYPE, linkname='../out'),
        }
        more = [('special', dict(name='fifo', type=tarfile.FIFOTYPE)), ('special', dict(name='b', type=tarfile.BLKTYPE)),
                ('link', dict(name='m', type=tarfile.SYMTYPE, linkname='/etc/passwd')),
                ('link', dict(name='h', type=tarfile.LNKTYPE, linkname='../../etc/passwd')),
                ('link', dict(name='i', type=tarfile.LNKTYPE, linkname='/etc/passwd')),
                ('link', dict(name='j', type=tarfile.SYMTYPE, linkname='a/../../..'))]
        for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            for why, fields in [*cases.items(), *more]:
                with self.subTest(why, form=form):
                    out = io.BytesIO()
                    with tarfile.open(fileobj=out, mode='w', format=form) as archive:
                        archive.addfile(tarfile.TarInfo('before'))
                        hostile = tarfile.TarInfo()
                        for key, value in fields.items():
                            setattr(hostile, key, value)
                        archive.addfile(hostile)
                        archive.addfile(tarfile.TarInfo('after'))
                    path = self.home / 'a.tar'
                    path.write_bytes(out.getvalue())
                    found = Listed(path)
                    kinds = [(m.kind, m.name[:6], m.why) for m in found.members]
                    self.assertEqual(kinds[0], (FILE, b'before', 0))
                    self.assertEqual(kinds[1][::2], (REFUSED, WHY[why]), kinds)
                    self.assertEqual(kinds[2:], [(FILE, b'after', 0)])
                    self.assertFalse(found.told['truncated'])

    def test_many_extents(self):
        """More holes than a list takes; GNU 1.0 has the map in front of the data."""
        for n, why in ((60000, 0), (70000, WHY['extents'])):
            numbers = f'{n}\n' + ''.join(f'{2 * i}\n1\n' for i in range(n))
            data = numbers.encode() + bytes(-len(numbers) % 512) + bytes(n)
            holes = tarfile.TarInfo('./GNUSparseFile.1/holes')
            holes.size = len(data)
            holes.pax_headers = {'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'holes',
                                 'GNU.sparse.realsize': str(2 * n)}
            path = self.home / 'a.tar'
            with tarfile.open(path, 'w', format=tarfile.PAX_FORMAT) as archive:
                archive.addfile(holes, io.BytesIO(data))
            holes, = Listed(path).members
            self.assertEqual((holes.name, holes.why), (b'holes', why))
            self.assertEqual((holes.size, holes.packed), (0, 0) if why else (2 * n, n))

    def test_endless_map(self):
        """A map of holes without end is not read to its end: it would take ten times its length of memory."""
        n = 4_000_000
        data = (f'{n}\n' + ''.join(f'{2 * i}\n1\n' for i in range(n))).encode()
        holes = tarfile.TarInfo('./GNUSparseFile.1/holes')
        holes.size = len(data)
        holes.pax_headers = {'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'holes',
                             'GNU.sparse.realsize': str(1 << 40)}
        path = self.home / 'a.tar'
        with tarfile.open(path, 'w', format=tarfile.PAX_FORMAT) as archive:
            archive.addfile(tarfile.TarInfo('before'))
            archive.addfile(holes, io.BytesIO(data))
        found = Listed(path)
        self.assertEqual([(m.name, m.why) for m in found.members], [(b'before', 0)])
        self.assertIn('a header of more than 32 MiB', found.reason)

    def test_too_many(self):
        """More members than a list takes: the first ones are there, and can be read."""
        path, content = self.home / 'a.tar', self.home / 'content'
        for n in (1000, 1001, 3000):
            with tarfile.open(path, 'w') as archive:
                for i in range(n):
                    info = tarfile.TarInfo(f'{i:04}')
                    info.size = 4
                    archive.addfile(info, io.BytesIO(b'%04d' % i))
            found = Listed(path, content=content, tool=TOOL_OF_FEW)
            self.assertFalse(found.failed, found.error)
            self.assertEqual(found.tree(content), {b'%04d' % i: ('file', b'%04d' % i) for i in range(1000)})
            self.assertEqual((found.told['truncated'], found.reason),
                             (1, 'more members than a list may have') if n > 1000 else (0, ''))

    def test_lying_sizes(self):
        for size in (513, 1 << 33, (1 << 62), (1 << 63) - 1):
            header = tarfile.TarInfo('liar')
            header.size = size
            path = self.home / 'a.tar'
            path.write_bytes(tarfile.TarInfo('before').tobuf(tarfile.GNU_FORMAT) + header.tobuf(tarfile.GNU_FORMAT) +
                             bytes(512))
            found = Listed(path)
            self.assertEqual([(m.name, m.why) for m in found.members if m.name != b'liar'], [(b'before', 0)])
            self.assertEqual([m for m in found.members if m.kind == FILE and m.name == b'liar'], [])
            self.assertTrue(found.told['truncated'])

    def test_range(self):
        """An archive that stands inside another file: nothing around it is seen."""
        folder = self.make_tree()
        archive, inside = self.home / 'a.tar', self.home / 'b.tar'
        gnu_tar(archive, folder)
        data = archive.read_bytes()
        inside.write_bytes(b'\xff' * 1000 + data + data)
        whole, tree = self.listed(archive)
        found, inside_tree = self.listed(inside, '-r', f'1000,{len(data)}')
        self.assertEqual(found.told, whole.told)
        self.assertSame(inside_tree, tree, 'range')

    def test_no_archive(self):
        for data in (b'', b'text', b'\0' * 100, self.chance.randbytes(3000)):
            path = self.home / 'x'
            path.write_bytes(data)
            found = Listed(path)
            self.assertTrue(found.failed)
            self.assertIn('not an archive', found.error)

    def test_empty(self):
        path = self.home / 'x'
        path.write_bytes(bytes(10240))
        self.assertEqual(Listed(path).told['members'], 0)


if __name__ == '__main__':
    harness.main(needs_mount=False)
