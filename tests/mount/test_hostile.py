#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile archives through a mount: a line in the log that names the archive and what is wrong, a sane tree, and what
stands beside it can be read."""
import io
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import archives, harness

RAW = {'raw/{shard}/{path}': 'files:'}
SOURCE = '- archives: "*.{tar,zip,zst}"'
FAR_MORE = 'left out: it unpacks to far more than any real file would'


def lie_about_first(data, size):
    """A tar whose first member says that it has so many bytes, in octal digits."""
    lie = bytearray(data)
    lie[124:135] = size
    total = sum(lie[:148]) + 8 * 32 + sum(lie[156:512])
    lie[148:156] = b'%06o\0 ' % total
    return lie


def zip_of(members):
    """A zip of (name, what is packed of it, its size, its CRC, where its header is, None = behind the others)."""
    out, directory, count = io.BytesIO(), b'', 0
    for name, data, size, crc, at in members:
        fields = struct.pack('<HHHHHIIIHH', 20, 0, 8, 0, 33, crc, len(data), size, len(name), 0)
        if at is None:
            at = out.tell()
            out.write(b'PK\3\4' + fields + name + data)
        directory += b'PK\1\2\x14\0' + fields + struct.pack('<HHHII', 0, 0, 0, 0, at) + name
        count += 1
    end = struct.pack('<HHHHIIH', 0, 0, count, count, len(directory), out.tell(), 0)
    return out.getvalue() + directory + b'PK\5\6' + end


def deflated(name, data, at=None):
    """A member for zip_of()."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return name, packer.compress(data) + packer.flush(), len(data), zlib.crc32(data), at


class Hostile(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        self.root.mkdir()

    def tar(self, name, *members):
        with tarfile.open(self.root / name, 'w', format=tarfile.PAX_FORMAT) as out:
            for member in [*members, {'name': 'good', 'data': b'good'}]:
                fields = {'data': b'', **member}
                info, data = tarfile.TarInfo(), fields.pop('data')
                info.size = len(data)
                for key, value in fields.items():
                    setattr(info, key, value)
                out.addfile(info, io.BytesIO(data))

    def show(self, said, trees, **settings):
        """Mounts, and looks: trees, by archive (None = that it holds `good` is enough); lines of the log, by archive."""
        self.tar('beside.tar')
        with self.mount(self.config(self.root, RAW, source=SOURCE), allowed=[''], **settings) as mount:
            for shard, want in {'beside': ['good'], **trees}.items():
                self.assertEqual((mount.path / f'raw/{shard}/good').read_bytes(), b'good', shard)
                if want is not None:
                    self.assertEqual(mount.files(f'raw/{shard}'), sorted(f'raw/{shard}/{n}' for n in want))
            for name in mount.files('raw'):  # whatever it is, it ends
                path = mount.path / name
                if path.is_symlink():
                    continue
                with open(path, 'rb') as file:
                    size = os.fstat(file.fileno()).st_size
                    self.assertEqual(len(file.read(1 << 20)), min(size, 1 << 20), name)
                    file.seek(max(size - 10, 0))
                    self.assertEqual(len(file.read()), min(size, 10), name)
            log, stats = mount.log(), mount.stats()
            self.assertEqual(stats['worker_restarts'], 0)
        for archive, texts in said.items():
            lines = [line for line in log.splitlines() if f'{self.root}/{archive}: ' in line]
            for text in texts:
                self.assertTrue(any(text in line for line in lines), f'{archive}: nothing says {text!r}: {lines}')
        return log, stats

    def test_names(self):
        """`..`, absolute names, names that are too long, and paths of 20,000 and 100,000 folders; of 700, one that can be opened."""
        deep = '/'.join('d' * 700)
        self.tar('names.tar', {'name': '../up'}, {'name': '/abs'}, {'name': 'a/../../b'}, {'name': 'd' * 300})
        self.tar('deep.tar', {'name': '/'.join('d' * 20_000)}, {'name': '/'.join('e' * 100_000) + '/x', 'data': b'x'},
                 {'name': f'{deep}/x', 'data': b'x'})
        (self.root / 'deep2.zip').write_bytes(zip_of([
            deflated(b'/'.join([b'd'] * 30_000), b'x'), deflated(f'{deep}/x'.encode(), b'x'), deflated(b'good', b'good')]))
        too_deep = 'left out: it stands more than 1024 directories deep'
        _, stats = self.show(
            {'names.tar': ["left out: it has '..' in its name", 'left out: it has an absolute name', '3 members are left out'],
             'deep.tar': [too_deep, '2 members are left out'], 'deep2.zip': [too_deep, '1 members are left out']},
            {'names': ['good'], 'deep': ['good', f'{deep}/x'], 'deep2': ['good', f'{deep}/x']})
        self.assertEqual(stats['members_refused'], 6)

    def test_links(self):
        """Links that leave the archive, that point to nothing, and in a loop."""
        link, hard = {'type': tarfile.SYMTYPE}, {'type': tarfile.LNKTYPE}
        self.tar('links.tar', {'name': 'out', 'linkname': '../../../etc/passwd', **link},
                 {'name': 'abs', 'linkname': '/etc/passwd', **link}, {'name': 'x', 'linkname': 'y', **link},
                 {'name': 'y', 'linkname': 'x', **link}, {'name': 'none', 'linkname': 'nothing', **hard},
                 {'name': 'self', 'linkname': 'self', **hard}, {'name': 'q', 'linkname': 'r', **hard},
                 {'name': 'r', 'linkname': 'q', **hard})
        self.show({'links.tar': ['is a link that may leave', '2 members are left out']}, {'links': ['good', 'x', 'y']})
        with self.mount(self.config(self.root, RAW, source=SOURCE), allowed=['']) as mount:
            with self.assertRaises(OSError):
                (mount.path / 'raw/links/x').read_bytes()

    def test_devices(self):
        self.tar('devices.tar', {'name': 'null', 'type': tarfile.CHRTYPE}, {'name': 'pipe', 'type': tarfile.FIFOTYPE})
        self.show({'devices.tar': ['is a device', '2 members are left out']}, {'devices': ['good']})

    def test_broken(self):
        """Cut, empty, noise, and a size that lies: that archive alone shows less, or nothing."""
        self.tar('whole.tar', {'name': 'one', 'data': b'1'}, {'name': 'two', 'data': b'2' * 5000})
        data = (self.root / 'whole.tar').read_bytes()
        (self.root / 'cut.tar').write_bytes(data[:3072])
        (self.root / 'lie.tar').write_bytes(lie_about_first(data, b'77777777777'))
        (self.root / 'empty.tar').write_bytes(b'')
        (self.root / 'noise.tar').write_bytes(self.random.randbytes(100_000))
        self.show({'cut.tar': ['cut off', 'what stands before that is shown'], 'lie.tar': ['cut off'],
                   'empty.tar': ['not an archive'], 'noise.tar': ['not an archive']}, {'whole': ['one', 'two', 'good']})

    def test_ratio(self):
        """A member of a zip that says that it is large beyond belief; what stands behind it is not blamed."""
        bomb = deflated(b'bomb', bytes(1000))
        bomb = (*bomb[:2], 2 << 30, *bomb[3:])
        (self.root / 'ratio.zip').write_bytes(zip_of([bomb, deflated(b'64M', bytes(64 << 20)), deflated(b'good', b'good')]))
        _, stats = self.show({'ratio.zip': [f'bomb: {FAR_MORE}', '1 members are left out']}, {'ratio': ['64M', 'good']})
        self.assertEqual(stats['members_refused'], 1)

    def test_total(self):
        """Members none of which is a bomb, but all together are: the list ends there for large ones."""
        zeros = deflated(b'', bytes(64 << 20))
        parts = [(b'%02d' % i, *zeros[1:]) for i in range(20)]
        (self.root / 'total.zip').write_bytes(zip_of([*parts, deflated(b'good', b'good')]))
        _, stats = self.show({'total.zip': [f'16: {FAR_MORE}', f'19: {FAR_MORE}', '4 members are left out']},
                             {'total': [f'{i:02}' for i in range(16)] + ['good']})
        self.assertEqual(stats['members_refused'], 4)

    def test_stream(self):
        """The same of a packed tar, whose members only show themselves by and by: those before that place stay."""
        good, bomb = tarfile.TarInfo('good'), tarfile.TarInfo('bomb')
        good.size, bomb.size = 4, 3 << 30
        with open(self.root / 'stream.zst', 'wb') as out, subprocess.Popen(
                ['zstd', '-q', '-1', '-c'], stdin=subprocess.PIPE, stdout=out) as packer:
            packer.stdin.write(good.tobuf() + b'good' + bytes(508) + bomb.tobuf())
            for _ in range(1100):
                packer.stdin.write(bytes(1 << 20))
        self.show({'stream.zst': ['it unpacks to more than 200 times its size', 'what stands before that is shown']},
                  {'stream': ['good']})

    def program_with_small_workers(self, mib):
        """A daemon's program whose workers have so much memory, or with a sanitizer at once."""
        folder = self.home / 'bin'
        folder.mkdir()
        shutil.copy(harness.CORPUSFS, folder)
        script = folder / 'corpusfs-decoder'
        settings = ''.join(f"{name}='{value}' " for name, value in archives.limit_memory(mib).items())
        script.write_text(f'#!/bin/sh\n{settings}exec {harness.BUILD}/corpusfs-decoder {mib << 20}\n', encoding='ascii')
        script.chmod(0o755)
        return folder / 'corpusfs'

    def test_memory(self):
        """A packed tar that asks for a window of 1 GiB, from workers that have less: it is told, and not shown."""
        good = tarfile.TarInfo('good')
        good.size = 4
        data = good.tobuf() + b'good' + bytes(508 + 1024)
        for name, log in (('window.zst', 30), ('small.zst', 20)):
            block = (len(data) << 3 | 1).to_bytes(3, 'little') + data
            (self.root / name).write_bytes(b'\x28\xb5\x2f\xfd\0' + bytes([(log - 10) << 3]) + block)
        # The sanitizer tells of allocations that fail.
        self.show({'window.zst': ['out of memory', 'cannot be listed']}, {'small': ['good']}, crashing=True,
                  program=self.program_with_small_workers(900))

    def test_overlap(self):
        """Members of a zip that share bytes: a header within what another holds, and two names for one header."""
        inner = deflated(b'inner', b'x' * 3000)
        quoted = zip_of([inner])
        quoted = quoted[:quoted.index(b'PK\1\2')]
        packer = zlib.compressobj(0, zlib.DEFLATED, -15)  # as it is, behind five bytes
        outer = (b'outer', packer.compress(quoted) + packer.flush(), len(quoted), zlib.crc32(quoted), None)
        at = 30 + len('outer') + 5
        data = zip_of([outer, (*inner[:4], at), deflated(b'good', b'good'), (b'twin', *outer[1:4], 0)])
        self.assertEqual(data[at:at + 4], b'PK\3\4')
        (self.root / 'overlap.zip').write_bytes(data)
        with zipfile.ZipFile(self.root / 'overlap.zip') as there:
            self.assertEqual(there.read('inner'), b'x' * 3000)
        said = 'left out: it shares bytes with another'
        _, stats = self.show({'overlap.zip': [f'inner: {said}', f'twin: {said}', '2 members are left out']},
                             {'overlap': ['outer', 'good']})
        self.assertEqual(stats['members_refused'], 2)


harness.main()
