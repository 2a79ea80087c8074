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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness

TOOL = harness.BUILD / 'tests/fuzz/list_archive'
ROUNDS = 4
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

    def __init__(self, folder, chance):
        self.folder, self.chance = Path(folder), chance

    def name(self):
        letters = [b'a', b'b', b'frame', b'clip.one', b'\xc3\xa4\xe2\x82\xac', b'with space', b"'q\"", b'.hidden', b'\xff\xfe',
                   b'new\nline', b'x' * 90, b'y' * 160]
        return b''.join(self.chance.choices(letters, k=self.chance.randint(1, 2))) + b'%d' % self.chance.randrange(1000)

    def content(self):
        size = self.chance.choice([0, 1, 511, 512, 513, 4096, self.chance.randrange(20000), self.chance.randrange(200000)])
        return self.chance.choice([self.chance.randbytes(size), (b'some words, ' * (size // 12 + 1))[:size], bytes(size)])

    def sparse_file(self, path):
        with open(path, 'wb') as out:
            for _ in range(self.chance.randint(0, 6)):
                out.seek(self.chance.randrange(1 << 21))
                out.write(self.chance.randbytes(self.chance.randint(1, 9000)))
            out.truncate(self.chance.choice([1 << 21, 3 << 20]))

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
            os.utime(path, (0, self.chance.randrange(1 << 31)), follow_symlinks=False)


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

    def test_grown_is_read_from_its_end(self):
        """What stands before the old end is not looked at, but for its last 4 KiB."""
        archive, old = self.home / 'a.tar', self.home / 'old.list'
        folder = self.fresh()
        (folder / 'one').write_bytes(bytes(20000))
        (folder / 'two').write_bytes(bytes(20000))
        gnu_tar(archive, folder)
        before = Listed(archive, '-o', old)
        size = archive.stat().st_size
        run('tar', '-rf', archive, '-C', self.make_tree(things=5), '.')
        with open(archive, 'r+b') as out:
            out.seek(before.members[0].offset - 512)
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
        for _ in range(20):
            at = self.chance.randrange(1, whole.told['end'])
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
