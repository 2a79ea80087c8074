#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Random archives by several programs: the worker's list and bytes are what bsdtar extracts."""
import contextlib
import io
import os
import random
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness

TOOL = harness.BUILD / 'tests/fuzz/list_archive'
FUZZER = harness.BUILD / 'tests/fuzz/fuzz_decode'
ROUNDS = 2
FILE, DIR, HARDLINK, SYMLINK, REFUSED = range(5)
STORED, SPARSE, STREAM, PACKED = range(4)
TOLD = ('format', 'filter', 'truncated', 'members', 'refused', 'end', 'stream', 'points')
WHY = {'absolute': 1, 'parent': 2, 'name': 3, 'long': 4, 'deep': 5, 'special': 6, 'link': 7, 'cut': 8, 'extents': 9,
       'encrypted': 10, 'method': 11, 'overlap': 12, 'bomb': 13, 'header': 14}


class Member:
    def __init__(self, line):
        *numbers, name, target = line.split(' ')
        self.kind, self.storage, self.offset, self.size, self.packed, self.mtime, self.why = map(int, numbers)
        self.name, self.target = (b'' if text == '-' else bytes.fromhex(text) for text in (name, target))


class Listed:
    """What the worker says of an archive."""

    def __init__(self, archive, *args, content=None):
        command = [TOOL, *map(str, args), *(['-x', content] if content else []), archive]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.error = done.stderr.decode(errors='replace')
        self.failed = done.returncode != 0
        if done.returncode not in (0, 1) or harness.SANITIZERS.search(self.error):
            raise AssertionError(f'{command}: {done.returncode}\n{self.error}')
        lines = done.stdout.decode().splitlines()
        self.members = [Member(line) for line in lines[1:]]
        if not self.failed:
            head, _, self.reason = lines[0].partition(' reason ')
            words = head.split()
            self.told = {key: int(value) for key, value in zip(words[::2], words[1::2])}
            assert tuple(self.told) == TOLD, self.told

    def tree(self, content):
        """{name: what is there}, the last of a name; as tree_of() gives it."""
        found = {}
        data, at = Path(content).read_bytes(), 0
        for m in self.members:
            if m.kind == FILE:
                found[m.name] = ('file', data[at:at + m.size])
                at += m.size
            elif m.kind == DIR:
                found[m.name] = ('dir',)
            elif m.kind == SYMLINK:
                found[m.name] = ('link', m.target)
            elif m.kind == HARDLINK:
                found[m.name] = found[m.target]
        for name in list(found):
            while b'/' in name:
                name = name.rpartition(b'/')[0]
                found.setdefault(name, ('dir',))
        return found


def tree_of(folder):
    """The same of an extracted folder."""
    found = {}
    folder = os.fsencode(folder)
    for parent, dirs, files in os.walk(folder):
        for name in dirs + files:
            path = os.path.join(parent, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                what = ('link', os.readlink(path))
            elif stat.S_ISDIR(mode):
                what = ('dir',)
            else:
                what = ('file', Path(os.fsdecode(path)).read_bytes())
            found[os.path.relpath(path, folder)] = what
    return found


class Making:
    """A folder of random things, and archives of it."""

    def __init__(self, folder, chance, plain=False):
        self.folder, self.chance, self.plain = Path(folder), chance, plain

    def name(self):
        letters = [b'a', b'b', b'frame', b'clip.one', b'\xc3\xa4\xe2\x82\xac', b'with space', b"'q\"", b'.hidden', b'\xff\xfe',
                   b'new\nline', b'x' * 90, b'y' * 160]
        if self.plain:  # what zip itself can be told to pack
            letters = [b'a', b'b', b'frame', b'clip.one', b'with space', b'.hidden', b'x' * 90]
        return b''.join(self.chance.choices(letters, k=self.chance.randint(1, 2))) + b'%d' % self.chance.randrange(1000)

    def content(self):
        size = self.chance.choice([0, 1, 511, 512, 513, 4096, self.chance.randrange(20000), self.chance.randrange(200000)])
        return self.chance.choice([self.chance.randbytes(size), (b'some words, ' * (size // 12 + 1))[:size], bytes(size)])

    def sparse_file(self, path):
        with open(path, 'wb') as out:
            for _ in range(self.chance.randint(0, 6)):
                out.seek(self.chance.randrange(1 << 19))
                out.write(self.chance.randbytes(self.chance.randint(1, 9000)))
            out.truncate(self.chance.choice([1 << 20, (1 << 20) + 4096]))

    def tree(self, things=30, links=True):
        dirs, files = [os.fsencode(self.folder)], []
        for _ in range(things):
            path = os.path.join(self.chance.choice(dirs), self.name())
            if len(path) > 800 or len(os.path.basename(path)) > 250 or os.path.lexists(path):
                continue
            kind = self.chance.choice(['file'] * 6 + ['dir'] * 2 + ['sparse'] + ['symlink', 'hardlink'] * links)
            if kind == 'dir':
                os.mkdir(path)
                dirs.append(path)
            elif kind == 'symlink':
                os.symlink(self.chance.choice([b'nowhere', b'a/b', b'./x']), path)
            elif kind == 'hardlink' and files:
                os.link(self.chance.choice(files), path)
            elif kind == 'sparse':
                self.sparse_file(path)
            else:
                Path(os.fsdecode(path)).write_bytes(self.content())
                files.append(path)
            os.utime(path, (0, self.chance.randrange(1 << 29, 1 << 31)), follow_symlinks=False)


def run(*command, cwd=None):
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def gnu_tar(archive, folder, *options):
    run('tar', '-cf', archive, *options, '-C', folder, '.')


def python_tar(archive, folder, form):
    with tarfile.open(archive, 'w', format=form) as out:
        out.add(folder, arcname='.')


TARS = {
    'gnu': lambda a, f: gnu_tar(a, f, '--format=gnu'),
    'gnu sparse': lambda a, f: gnu_tar(a, f, '--format=gnu', '--sparse'),
    'pax': lambda a, f: gnu_tar(a, f, '--format=posix'),
    'pax sparse 0.0': lambda a, f: gnu_tar(a, f, '--format=posix', '--sparse', '--sparse-version=0.0'),
    'pax sparse 0.1': lambda a, f: gnu_tar(a, f, '--format=posix', '--sparse', '--sparse-version=0.1'),
    'pax sparse 1.0': lambda a, f: gnu_tar(a, f, '--format=posix', '--sparse', '--sparse-version=1.0'),
    'bsdtar': lambda a, f: run('bsdtar', '-cf', a, '-C', f, '.'),
    'bsdtar gnu': lambda a, f: run('bsdtar', '--format=gnutar', '-cf', a, '-C', f, '.'),
    'python pax': lambda a, f: python_tar(a, f, tarfile.PAX_FORMAT),
    'python gnu': lambda a, f: python_tar(a, f, tarfile.GNU_FORMAT),
}


class Archives(unittest.TestCase):

    def setUp(self):
        self.home = Path(self.enterContext(tempfile.TemporaryDirectory(prefix='corpusfs-test-'))
                         if hasattr(self, 'enterContext') else self.temporary())
        self.chance = random.Random(harness.SEED)
        self.count = 0

    def temporary(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        return stack.enter_context(tempfile.TemporaryDirectory(prefix='corpusfs-test-'))

    def fresh(self):
        self.count += 1
        path = self.home / f'dir{self.count}'
        path.mkdir()
        return path

    def listed(self, archive, *args):
        """The list and the tree that it gives."""
        content = self.home / 'content'
        found = Listed(archive, '-s', self.chance.randrange(1 << 30), *args, content=content)
        self.assertFalse(found.failed, found.error)
        return found, found.tree(content)

    def extracted(self, archive, *options):
        folder = self.fresh()
        # It complains of names that are no UTF-8, and extracts them.
        subprocess.run(['bsdtar', '-xf', archive, *options, '-C', folder], stderr=subprocess.DEVNULL, check=False)
        tree = tree_of(folder)
        shutil.rmtree(folder)
        return tree

    def assertSame(self, have, want, what):
        self.assertEqual(sorted(have), sorted(want), what)
        for name, there in want.items():
            self.assertTrue(have[name] == there, f'{what}: {name!r} differs')

    def compare(self, archive, what, *options):
        found, tree = self.listed(archive)
        self.assertEqual((found.told['truncated'], found.reason), (0, ''), what)
        self.assertEqual(found.told['refused'], 0, what)
        self.assertSame(tree, self.extracted(archive, *options), what)
        return found

    def make_tree(self, **options):
        folder = self.fresh()
        Making(folder, self.chance).tree(**options)
        return folder


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


PACKERS = {
    'gz': ['gzip', '-c'], 'bz2': ['bzip2', '-c'], 'bz2 of small blocks': ['bzip2', '-1', '-c'], 'xz': ['xz', '-c'],
    'xz of blocks': ['xz', '--block-size=700000', '-T2', '-c'], 'zst': ['zstd', '-c'],
}
FILTERS = {'gz': 1, 'bz2': 2, 'xz': 3, 'zst': 4}


def packed(data, packer):
    return subprocess.run(PACKERS[packer], input=data, stdout=subprocess.PIPE, check=True).stdout


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


def zip_tool(archive, folder, *options):
    archive.unlink(missing_ok=True)
    run('zip', '-qry', *options, archive, '.', cwd=folder)


def python_zip(archive, folder, **options):
    with zipfile.ZipFile(archive, 'w', **options) as out:
        for parent, _, files in os.walk(folder):
            for name in files:
                path = os.path.join(parent, name)
                if not os.path.islink(path):
                    out.write(path, os.path.relpath(path, folder))


ZIPS = {
    'zip': zip_tool,
    'zip stored': lambda a, f: zip_tool(a, f, '-0'),
    'zip to a pipe': lambda a, f: subprocess.run(f'cd {f} && zip -qry - . > {a}', shell=True, check=True),
    'zip64': lambda a, f: zip_tool(a, f, '-fz'),
    'bsdtar': lambda a, f: run('bsdtar', '--format=zip', '-cf', a, '-C', f, '.'),
}


class Fuzz(Archives):

    def test_damaged(self):
        """Whatever is done to an archive, its list is one that can be taken. The same every time; longer ones:
        fuzz_decode -a -s SEED -n ROUNDS ARCHIVE..."""
        self.chance = random.Random(20240229)
        folder, plain, archives = self.fresh(), self.fresh(), self.fresh()
        Making(folder, self.chance).tree(things=15)
        Making(plain, self.chance, plain=True).tree(things=15)
        for name in ('gnu sparse', 'pax sparse 0.1', 'pax sparse 1.0', 'bsdtar'):
            TARS[name](archives / f'{name}.tar', folder)
        for name in ('zip', 'zip64', 'bsdtar'):
            ZIPS[name](archives / f'{name}.zip', plain)
        data = (archives / 'gnu sparse.tar').read_bytes()
        for name in PACKERS:
            (archives / name).write_bytes(packed(data, name))
        done = subprocess.run([FUZZER, '-a', '-v', '-s', '20240229', '-n', '30', *sorted(archives.iterdir())],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        said = done.stdout.decode(errors='replace')
        self.assertEqual(done.returncode, 0, said[-5000:])
        self.assertNotIn('runtime error', said)


class Zips(Archives):

    def unzipped(self, archive):
        folder = self.fresh()
        subprocess.run(['bsdtar', '-xf', archive, '-C', folder], stderr=subprocess.DEVNULL, check=False)
        tree = tree_of(folder)
        shutil.rmtree(folder)
        return tree

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
                    self.assertSame(tree, self.unzipped(archive), name)
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
