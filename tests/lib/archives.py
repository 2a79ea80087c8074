# SPDX-License-Identifier: Apache-2.0
"""Random archives by several programs, and what the worker says of an archive (tests/fuzz/list_archive.c)."""
import contextlib
import os
import random
import shutil
import stat
import subprocess
import tarfile
import tempfile
import unittest
import zipfile
from pathlib import Path

from . import harness

TOOL = harness.BUILD / 'tests/fuzz/list_archive'
TOOL_OF_FEW = harness.BUILD / 'tests/fuzz/list_archive_of_few'  # whose lists have no more than 1000 members
ROUNDS = 2  # of what is random
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


def limit_memory(mib):
    """Environment for programs of which a sanitizer is a part: then a limit on all memory is none, and no allocation is
    larger than this instead. {}: there is no sanitizer, or no limit (0)."""
    if mib == 0 or b'__asan_init' not in TOOL.read_bytes():
        return {}
    options = harness.environment()['ASAN_OPTIONS']
    return {'ASAN_OPTIONS': f'{options}:allocator_may_return_null=1:max_allocation_size_mb={mib}'}


class Listed:
    """What the worker says of an archive."""

    def __init__(self, archive, *args, content=None, tool=TOOL, most_mib=0):
        """most_mib: more memory at once there is not; 0 = there is enough."""
        more = ['-x', content] if content else []
        more += ['-m', str(most_mib)] if most_mib else []
        command = [tool, *map(str, args), *more, archive]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                              env=harness.environment(**limit_memory(most_mib)))
        lines = done.stderr.decode(errors='replace').splitlines(keepends=True)
        self.error = ''.join(line for line in lines if 'AddressSanitizer failed to allocate' not in line)
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


def entries(root):
    """All that is below a folder: name, as bytes and relative; path; and what lstat() says."""
    root = os.fsencode(root)
    for folder, dirs, files in os.walk(root):
        for name in dirs + files:
            path = os.path.join(folder, name)
            yield os.path.relpath(path, root), path, os.lstat(path)


def tree_of(folder):
    """As Listed.tree(), of an extracted folder."""
    found = {}
    for name, path, about in entries(folder):
        if stat.S_ISLNK(about.st_mode):
            found[name] = ('link', os.readlink(path))
        elif stat.S_ISDIR(about.st_mode):
            found[name] = ('dir',)
        else:
            found[name] = ('file', Path(os.fsdecode(path)).read_bytes())
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


PACKERS = {
    'gz': ['gzip', '-c'], 'bz2': ['bzip2', '-c'], 'bz2 of small blocks': ['bzip2', '-1', '-c'], 'xz': ['xz', '-c'],
    'xz of blocks': ['xz', '--block-size=700000', '-T2', '-c'], 'zst': ['zstd', '-c'],
}
FILTERS = {'gz': 1, 'bz2': 2, 'xz': 3, 'zst': 4}


def packed(data, packer):
    return subprocess.run(PACKERS[packer], input=data, stdout=subprocess.PIPE, check=True).stdout


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
