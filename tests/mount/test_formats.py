#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each format of archives through a mount: tree and bytes are those that GNU tar and bsdtar extract."""
import os
import stat
import subprocess
import sys
import tarfile
import zipfile

from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import archives, harness

SOURCE = '- { archives: "*.{tar,zip,gz,bz2,xz,zst}", nested: "in/*.{tar,zip,gz}" }'
VIEWS = {'{shard}/{path}': 'files:'}
FORMATS = {
    'v7.tar': ['--format=v7'],
    'ustar.tar': ['--format=ustar'],
    'gnu.tar': ['--format=gnu'],
    'pax.tar': ['--format=posix'],
    'sparse-gnu.tar': ['--format=gnu', '-S'],
    'sparse-00.tar': ['--format=posix', '-S', '--sparse-version=0.0'],
    'sparse-01.tar': ['--format=posix', '-S', '--sparse-version=0.1'],
    'sparse-10.tar': ['--format=posix', '-S', '--sparse-version=1.0'],
    'packed.tar.gz': ['-z'], 'packed2.tar.bz2': ['-j'], 'packed3.tar.xz': ['-J'], 'packed4.tar.zst': ['--zstd'],
}


def run(*command, check=True):
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if check and done.returncode:
        raise RuntimeError(f'{command}: {done.stdout.decode(errors="replace")}')


def tree(root):
    """{name, as bytes: what it is}."""
    found = {}
    for name, path, about in archives.entries(root):
        kind = 'link' if stat.S_ISLNK(about.st_mode) else 'dir' if stat.S_ISDIR(about.st_mode) else 'file'
        found[name] = (kind, about.st_size if kind == 'file' else 0, int(about.st_mtime) if kind == 'file' else 0,
                       os.readlink(path) if kind == 'link' else b'')
    return found


def shard(name):
    stem = name.rpartition('.')[0]
    return stem.removesuffix('.tar')


class Formats(harness.Case):

    def setUp(self):
        super().setUp()
        self.root, self.want = self.home / 'root', {}
        self.root.mkdir()

    def things(self, names):
        """A folder of files, one with holes, and links."""
        folder = self.home / f'things{len(os.listdir(self.home))}'
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.random.randbytes(self.random.choice([0, 1, 511, 512, 513, 70_000])))
        with open(folder / 'holes', 'wb') as file:
            for at in [1, 7, 30]:
                file.seek(at * 65536)
                file.write(self.random.randbytes(5000))
            file.truncate(50 * 65536 + 1)
        (folder / 'soft').symlink_to(names[0])
        os.link(folder / names[0], folder / 'hard')
        (folder / 'empty').mkdir()
        for directory, _, files in os.walk(folder):
            for name in files:
                os.utime(os.path.join(directory, name), (0, self.random.randrange(1 << 31)), follow_symlinks=False)
        return folder

    def extract(self, shown, archive, *command):
        into = self.home / f'want{len(self.want)}'
        into.mkdir()
        run(*(command or ['bsdtar', '-x', '-f', archive, '-C']), into, check=not command)
        self.want[shown] = into

    def compare(self, mount):
        files = []
        for shown, into in self.want.items():
            want, have = tree(into), tree(mount.path / shown)
            if 'zip' in shown:  # times of zips have no zone
                want, have = ({k: (v[0], v[1], v[3]) for k, v in t.items()} for t in (want, have))
            self.assertEqual(have, want, shown)
            files += [(shown, into, name) for name, what in want.items() if what[0] == 'file']
        self.assertGreater(len(files), len(self.want))
        for shown, into, name in self.shuffled(files):
            with open(os.path.join(os.fsencode(mount.path / shown), name), 'rb') as have:
                want = Path(os.fsdecode(os.path.join(os.fsencode(into), name))).read_bytes()
                have.seek(len(want) // 3)
                self.assertEqual(have.read(), want[len(want) // 3:], (shown, name))
                have.seek(0)
                self.assertEqual(have.read(), want, (shown, name))

    def test_tars(self):
        """All kinds of tars, and of two in one file; of one that is cut, what is whole."""
        folder = self.things(['a', 'd/b', 'd/\xe9 c', 'x.y/z.w'])
        for name, options in FORMATS.items():
            run('tar', '-C', folder, *options, '-cf', self.root / name, '.')
            if 'sparse' in name:  # bsdtar's word for the others, GNU tar's own for its holes
                self.extract(shard(name), None, 'tar', '-x', '-f', self.root / name, '-C')
            else:
                self.extract(shard(name), self.root / name)
        run('tar', '-C', self.things(['long/' + 'n' * 200, 'p' * 120 + '/q']), '-cf', self.root / 'long.tar', '.')
        self.extract('long', self.root / 'long.tar')
        both = (self.root / 'gnu.tar').read_bytes() + (self.root / 'long.tar').read_bytes()
        (self.root / 'both.tar').write_bytes(both)
        self.extract('both', None, 'tar', '-x', '-i', '-f', self.root / 'both.tar', '-C')
        with tarfile.open(self.root / 'pax.tar') as tar:
            last = max((m for m in tar if m.isreg() and m.size > 600), key=lambda m: m.offset_data)
        (self.root / 'cut.tar').write_bytes((self.root / 'pax.tar').read_bytes()[:last.offset_data + 600])
        self.extract('cut', None, 'bsdtar', '-x', '-f', self.root / 'cut.tar', '-C')
        os.unlink(self.want['cut'] / last.name)  # of which bsdtar keeps the beginning
        with self.mount(self.config(self.root, VIEWS, source=SOURCE), allowed=['']) as mount:
            self.compare(mount)
            self.assertIn('cut off', mount.log())

    def test_large(self):
        """A member of more than 8 GiB, whose size is no octal number any more."""
        size, path = (9 << 30) + 5, self.root / 'large.tar'
        info = tarfile.TarInfo('large')
        info.size = size
        header = info.tobuf(tarfile.GNU_FORMAT)
        self.assertEqual(header[124], 0x80)
        after = tarfile.TarInfo('after')
        after.size = 5
        with open(path, 'wb') as file:
            file.write(header)
            marks = {at: self.random.randbytes(100) for at in [0, 1 << 30, (1 << 33) + 77, size - 100]}
            for at, data in marks.items():
                file.seek(512 + at)
                file.write(data)
            file.seek(512 + (size + 511) // 512 * 512)
            file.write(after.tobuf(tarfile.GNU_FORMAT) + b'after' + bytes(507 + 1024))
        with self.mount(self.config(self.root, VIEWS, source=SOURCE)) as mount:
            self.assertEqual((mount.path / 'large/large').stat().st_size, size)
            with open(mount.path / 'large/large', 'rb') as file:
                for at in self.shuffled(marks):
                    file.seek(at)
                    self.assertEqual(file.read(100), marks[at])
                file.seek(1 << 32)
                self.assertEqual(file.read(1000), bytes(1000))
                file.seek(size - 7)
                self.assertEqual(file.read(), marks[size - 100][-7:])
            self.assertEqual((mount.path / 'large/after').read_bytes(), b'after')

    def test_zips(self):
        """Stored and deflated, with 64-bit fields, names in UTF-8, and such as older programs wrote."""
        data = {name: self.random.randbytes(n) + bytes(n) for name, n in
                {'stored': 70_000, 'deflated': 70_000, 'big': 1000, 'd/\u4e2d.txt': 10, 'none': 0}.items()}
        with zipfile.ZipFile(self.root / 'zip.zip', 'w') as out:
            for name, content in data.items():
                info = zipfile.ZipInfo(name, (2001, 2, 3, 4, 5, 6))
                info.compress_type = zipfile.ZIP_STORED if name == 'stored' else zipfile.ZIP_DEFLATED
                info.external_attr = 0o644 << 16
                with out.open(info, 'w', force_zip64=name == 'big') as member:
                    member.write(content)
        self.extract('zip', self.root / 'zip.zip')
        with zipfile.ZipFile(self.root / 'legacy.zip', 'w') as out:
            out.writestr('cafX.txt', b'legacy')
        legacy = (self.root / 'legacy.zip').read_bytes().replace(b'cafX.txt', b'caf\x82.txt')
        (self.root / 'legacy.zip').write_bytes(legacy)
        with self.mount(self.config(self.root, VIEWS, source=SOURCE)) as mount:
            self.compare(mount)
            top = os.fsencode(mount.path / 'legacy')
            self.assertEqual(os.listdir(top), [b'caf\x82.txt'])
            with open(os.path.join(top, b'caf\x82.txt'), 'rb') as file:
                self.assertEqual(file.read(), b'legacy')

    def test_nested(self):
        """A zip in a tar, a tar in a zip, a packed tar in a tar, and these in packed ones."""
        folder, inner = self.things(['a', 'd/b']), self.home / 'inner'
        (inner / 'in').mkdir(parents=True)
        run('tar', '-C', folder, '-cf', inner / 'in/t.tar', '.')
        run('tar', '-C', folder, '-czf', inner / 'in/z.tar.gz', '.')
        with zipfile.ZipFile(inner / 'in/p.zip', 'w', strict_timestamps=False) as out:
            for name, how in {'a': zipfile.ZIP_STORED, 'd/b': zipfile.ZIP_DEFLATED}.items():
                out.write(folder / name, name, how)
        run('tar', '-C', inner, '-cf', self.root / 'o.tar', 'in')
        run('tar', '-C', inner, '-czf', self.root / 'og.tar.gz', 'in')
        with zipfile.ZipFile(self.root / 'oz.zip', 'w') as out:
            out.write(inner / 'in/t.tar', 'in/t.tar', zipfile.ZIP_STORED)
            out.write(inner / 'in/z.tar.gz', 'in/z.tar.gz', zipfile.ZIP_DEFLATED)
            out.write(inner / 'in/p.zip', 'in/p.zip', zipfile.ZIP_DEFLATED)
        for outer in ['o', 'og', 'oz']:
            for name, stem in {'t.tar': 't', 'z.tar.gz': 'z', 'p.zip': 'p'}.items():
                self.extract(f'x/{outer}/in/{stem}', inner / 'in' / name)
        zips = {k: v for k, v in self.want.items() if k.endswith('/p')}
        self.want = {k: v for k, v in self.want.items() if not k.endswith('/p')}
        views = {'x/{shard}/{path}': 'files: ["a", "d/**", "holes", "soft", "hard", "empty"]'}
        with self.mount(self.config(self.root, views, source=SOURCE)) as mount:
            for shown, into in zips.items():
                for name in ['a', 'd/b']:
                    self.assertEqual((mount.path / shown / name).read_bytes(), (into / name).read_bytes(), shown)
            # Of folders that hold nothing a view with patterns shows none.
            for into in self.want.values():
                (into / 'empty').rmdir()
            self.compare(mount)


harness.main()
