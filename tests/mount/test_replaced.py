#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Archives that are replaced while they are mounted: what is read is of the old one or of the new one, never of both,
and of the old one nothing stays in memory."""
import errno
import io
import os
import sys
import tarfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness

RAW = {'raw/{shard}/{path}': 'files:'}
SOURCE = '- { archives: "*.{tar,tgz,zip}", nested: "in/*.{tar,tgz,zip}" }'


def tar_of(members, mode='w'):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zip_of(members, how=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', how) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def content(path):
    """What stands there, or what error is in the way: it changes just now."""
    try:
        return path.read_bytes()
    except OSError as error:
        return error.errno


class Replaced(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        self.root.mkdir()

    def put(self, name, data):
        (self.home / 'new').write_bytes(data)
        os.rename(self.home / 'new', self.root / name)

    def await_content(self, path, data):
        harness.wait_until(f'{path} to be the new one', lambda: content(path) == data)

    def test_nested(self):
        """A zip in a tar, a tar in a zip, both packed and not: the bytes are those of the outer one that stands there."""
        def parts(turn):
            """The members of the inner one; where they stand, and how long they are, is another each turn."""
            names = self.shuffled(['one', 'two', 'three'])
            return {name: f'{name} {turn} '.encode() * self.random.randint(1, 9000) for name in names}

        def fill(turn):
            inner = parts(turn)
            files = {'in/t.tar': tar_of(inner), 'in/z.tgz': tar_of(inner, 'w:gz'), 'in/s.zip': zip_of(inner),
                     'in/d.zip': zip_of(inner, zipfile.ZIP_DEFLATED)}
            files = {name: files[name] for name in self.shuffled(files)}
            for name, data in {'a.tar': tar_of(files), 'b.tgz': tar_of(files, 'w:gz'), 'c.zip': zip_of(files),
                               'e.zip': zip_of(files, zipfile.ZIP_DEFLATED)}.items():
                self.put(name, data)
            return {f'{outer}/in/{shard}/{name}': data for outer in 'abce' for shard in 'tzsd'
                    for name, data in inner.items()}
        before, old = fill(0), {}
        with self.mount(self.config(self.root, RAW, source=SOURCE), allowed=['cannot be listed']) as mount:
            for turn in range(1, 4):
                for name in self.shuffled(before):
                    self.assertEqual((mount.path / 'raw' / name).read_bytes(), before[name], name)
                for name in self.random.sample(sorted(before), 10):
                    old.setdefault((turn, name), (open(mount.path / 'raw' / name, 'rb'), before[name]))
                after = fill(turn)
                for name in self.shuffled(after):
                    path = mount.path / 'raw' / name
                    # Until the change is seen, the old one; in between it may be an error.
                    harness.wait_until(f'{name} of turn {turn}', lambda p=path, n=name: self.is_new(p, before[n], after[n]))
                before = after
            for (turn, name), (file, data) in old.items():
                with file:
                    self.check_old(file, data, f'{name} of turn {turn}')
            shown = [f'raw/{name}' for name in before] + [n for n in mount.files('raw') if n.endswith(('tar', 'tgz', 'zip'))]
            self.assertEqual(mount.files('raw'), sorted(shown))

    def is_new(self, path, old, new):
        found = content(path)
        self.assertIn(found, [old, new, errno.EIO, errno.ESTALE, errno.ENOENT], path)
        return found == new

    def check_old(self, file, data, name):
        """What was opened before gives what it was, as far as the kernel has that, or an error."""
        for at in self.shuffled([0, len(data) // 2, len(data) - 1]):
            file.seek(at)
            try:
                self.assertEqual(file.read(), data[at:], name)
            except OSError as error:
                self.assertEqual(error.errno, errno.EIO, name)

    def test_open_files(self):
        """Who has a file open that is another one now gets EIO for what the kernel does not have, and no byte of the new
        one, which has its name and size; stored, packed, and in an archive in it."""
        def put(letter):
            data = {'big': letter * 400_000 + self.random.randbytes(4_000_000) + letter * 400_000}
            for name, archive in {'a.tar': tar_of(data), 'b.tgz': tar_of(data, 'w:gz'), 'c.zip': zip_of(data),
                                  'd.zip': zip_of(data, zipfile.ZIP_DEFLATED), 'e.tar': tar_of({'in/i.zip': zip_of(data)}),
                                  'f.tgz': tar_of({'in/i.zip': zip_of(data)}, 'w:gz')}.items():
                self.put(name, archive)
            return data['big']
        names = ['a/big', 'b/big', 'c/big', 'd/big', 'e/in/i/big', 'f/in/i/big']
        old = put(b'o')
        with self.mount(self.config(self.root, RAW, source=SOURCE)) as mount:
            paths = [mount.path / 'raw' / name for name in names]
            files = [os.open(path, os.O_RDONLY) for path in paths]
            for file in files:
                self.assertEqual(os.pread(file, 1000, 0), old[:1000])
            new = put(b'n')
            self.assertEqual(len(new), len(old))
            for path in paths:
                self.await_content(path, new)
            for path, file in zip(paths, files):
                for at in (2_000_000, len(old) - 1000):
                    with self.assertRaises(OSError, msg=path) as caught:
                        os.pread(file, 1000, at)
                    self.assertEqual(caught.exception.errno, errno.EIO, path)
                self.assertEqual(content(path), new)
                os.close(file)

    def test_memory(self):
        """The lists of archives, and of those in them, go when these are replaced; so does what was refused."""
        def members(turn):
            names = {f'{i:05}-{turn}': b'' for i in range(20_000)}
            return {'../refused': b'', 'turn': str(turn).encode(), **names}

        def put(turn):
            self.put('a.tar', tar_of(members(turn)))
            self.put('b.tar', tar_of({'in/i.tar': tar_of(members(turn)), 'turn': b'%d' % turn}))
        put(0)
        with self.mount(self.config(self.root, RAW, source=SOURCE), allowed=['left out']) as mount:
            self.assertEqual((mount.path / 'raw/b/in/i/turn').read_bytes(), b'0')
            first = mount.stats()
            self.assertGreater(first['list_bytes'], 2 * 20_000 * 4)
            self.assertEqual(first['members_refused'], 2)
            for turn in range(1, 6):
                put(turn)
                for shard in ['a', 'b/in/i']:
                    self.await_content(mount.path / f'raw/{shard}/turn', b'%d' % turn)
                # Those of the last turn go when the scan that found the new ones has ended.
                stats = harness.wait_until('the old lists to go', lambda: self.is_small(mount.stats(), first))
                self.assertEqual(stats['members_refused'], 2)
            self.assertGreaterEqual(stats['jobs_list'], 3 * 6)

    @staticmethod
    def is_small(stats, first):
        return stats if stats['list_bytes'] <= first['list_bytes'] * 1.2 else None


harness.main()
