#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""HDF5 files as archives of .npy files, compared with what h5py reads of the same files."""
import errno
import os
import struct
import sys
from pathlib import Path

import h5py
import numpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness

ROUNDS = 120
TYPES = ('i1', 'u1', '<i2', '>i2', '<u2', '>u2', '<i4', '>i4', '<u4', '>u4', '<i8', '>i8', '<u8', '>u8',
         '<f2', '>f2', '<f4', '>f4', '<f8', '>f8', '?')
LAYOUTS = {
    'contiguous': {},
    'chunked': {'chunks': True},
    'gzip': {'compression': 'gzip', 'chunks': True, 'shuffle': True, 'fletcher32': True},
    'odd': {'chunks': (3, 2, 5), 'compression': 'gzip', 'maxshape': (None, None, None)},
}
SZIPS = {  # its two codings
    'entropy': {'compression': 'szip', 'compression_opts': ('ec', 16)},
    'nearest': {'compression': 'szip', 'compression_opts': ('nn', 8), 'fletcher32': True},
    'shuffled': {'compression': 'szip', 'compression_opts': ('nn', 32), 'shuffle': True},
}


class Hdf5(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        self.root.mkdir()
        self.numbers = numpy.random.default_rng(self.random.randrange(1 << 32))

    def mounted(self, views=None, source='- archives: "*.h5"\n    videos: "**/*.npy"', allowed=(), more='', **settings):
        views = views or {'raw/{shard}/{path}': 'files:'}
        return self.mount(self.config(self.root, views, source=source, more=more), allowed=allowed, **settings)

    def values(self, shape, dtype='<f4'):
        return (self.numbers.standard_normal(shape) * 100).astype(dtype)

    @staticmethod
    def compact(group, name, data):
        """A dataset within its header, which only the low level makes."""
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple(data.shape)
        dataset = h5py.h5d.create(group.id, name.encode(), h5py.h5t.py_create(data.dtype), space, properties)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, data)

    def rich(self, path, **settings):
        """Datasets of all that is read; {name: array}."""
        made = {}
        with h5py.File(path, 'w', **settings) as file:
            for i, dtype in enumerate(TYPES):
                name = f'types/{dtype.strip("<>?") or "bool"}{i}'
                made[name] = self.values((7, 3), dtype) if dtype != '?' else self.values((7, 3)) > 0
                file[name] = made[name]
            for name, layout in LAYOUTS.items():
                made[f'layouts/{name}'] = self.values((17, 9, 6))
                file.create_dataset(f'layouts/{name}', data=made[f'layouts/{name}'], **layout)
            made['layouts/compact'] = self.values((5, 4), '>i4')
            self.compact(file['layouts'], 'compact', made['layouts/compact'])
            made['layouts/unwritten'] = numpy.full((20, 3), 7, '<i4')
            file.create_dataset('layouts/unwritten', (20, 3), '<i4', fillvalue=7)
            made['layouts/large'] = self.values((1000, 700), '<f8')
            file.create_dataset('layouts/large', data=made['layouts/large'], chunks=(64, 51), compression='gzip')
            for n in (0, 1, 2, 4, 7):
                made[f'shapes/of/rank {n}'] = self.values(tuple(range(2, 2 + n)))
                file[f'shapes/of/rank {n}'] = made[f'shapes/of/rank {n}']
            made['shapes/empty'] = numpy.zeros((4, 0, 3), '<f4')
            file['shapes/empty'] = made['shapes/empty']
            file['types'].attrs['about'] = 'an attribute'
            file['shapes/empty'].attrs['unit'] = 3
            file.create_group('nothing here')
            file['hard'] = file['layouts/gzip']
            file['shapes/soft'] = h5py.SoftLink('/layouts/odd')
            file['layouts/near'] = h5py.SoftLink('gzip')
            made['hard'] = made['layouts/near'] = made['layouts/gzip']
            made['shapes/soft'] = made['layouts/odd']
        return made

    def compare(self, folder, made):
        for name in self.shuffled(made):
            path, want = folder / f'{name}.npy', made[name]
            have = numpy.load(path)
            self.assertEqual((have.shape, have.dtype.newbyteorder('<')), (want.shape, want.dtype.newbyteorder('<')), name)
            numpy.testing.assert_array_equal(have, want, name)
            if want.size and want.ndim:
                mapped = numpy.load(path, mmap_mode='r')
                k = self.random.randrange(len(want))
                numpy.testing.assert_array_equal(mapped[k], want[k], name)
                del mapped

    def test_files(self):
        """Every type, byte order, layout and rank, links, and old and new forms of the file; also behind a user's block."""
        made = {'old': self.rich(self.root / 'old.h5', libver='earliest'),
                'new': self.rich(self.root / 'new.h5', libver='latest', track_order=True),
                'block': self.rich(self.root / 'block.h5', userblock_size=1024)}
        with self.mounted() as mount:
            for name in self.shuffled(made):
                folder = mount.path / 'raw' / name
                self.assertEqual(sorted(f'raw/{name}/{n}.npy' for n in made[name]), mount.files(f'raw/{name}'))
                self.assertEqual(os.listdir(folder / 'nothing here'), [])
                self.compare(folder, made[name])

    def test_szip(self):
        """Every type by szip, which compresses chunks of whole blocks and of none."""
        self.assertTrue(h5py.h5z.filter_avail(h5py.h5z.FILTER_SZIP))
        made = {}
        with h5py.File(self.root / 'a.h5', 'w') as file:
            for i, (dtype, (coding, settings)) in enumerate((t, s) for t in TYPES[:-1] for s in SZIPS.items()):
                name = f'{coding}/{i}'
                # Steps, which compress, and noise, which does not.
                made[name] = (self.values((41, 37, 3)) + numpy.arange(37)[:, None] * 9).astype(dtype)
                made[name][20:] = made[name][0]
                dataset = file.create_dataset(name, data=made[name], chunks=(10, 37, 3) if i % 2 else (16, 16, 2), **settings)
                self.assertEqual(dataset.compression, 'szip')
        with self.mounted() as mount:
            self.compare(mount.path / 'raw/a', made)

    def test_lying_sizes(self):
        """Values in one piece that is shorter than the array, or that is not in the file, are left out with the reason;
        nobody reads what stands behind them instead."""
        values = self.values((300, 7), '<f8')
        n, rows, columns = values.nbytes, *values.shape
        with h5py.File(self.root / 'true.h5', 'w', libver='earliest') as file:
            file['bad'], file['good'] = values, values + 1
            self.compact(file, 'compact', values[:9])
            file.create_dataset('unwritten', (20, 3), '<i4', fillvalue=7)
        whole = (self.root / 'true.h5').read_bytes()
        at = whole.index(values.tobytes())
        place = struct.pack('<BBQQ', 3, 1, at, n)  # HDF5's specification, IV.A.2.i: the message of the layout, version 3
        short = struct.pack('<BBH', 3, 0, 9 * 7 * 8)
        shape = struct.pack('<4Q', rows, columns, rows, columns)
        lies = {
            'short': (place, struct.pack('<BBQQ', 3, 1, at, n - 1), 'bad', 'header'),
            'nothing': (place, struct.pack('<BBQQ', 3, 1, at, 0), 'bad', 'header'),
            'long': (place, struct.pack('<BBQQ', 3, 1, at, len(whole) + 1), 'bad', 'beyond'),
            'vast': (place, struct.pack('<BBQQ', 3, 1, at, 1 << 63), 'bad', 'beyond'),
            'end': (place, struct.pack('<BBQQ', 3, 1, len(whole) - n + 1, n), 'bad', 'beyond'),
            'behind': (place, struct.pack('<BBQQ', 3, 1, len(whole) + 1, n), 'bad', 'beyond'),
            'wrapped': (place, struct.pack('<BBQQ', 3, 1, (1 << 64) - n, n), 'bad', 'beyond'),
            'more': (shape, struct.pack('<4Q', rows + 1, columns, rows + 1, columns), 'bad', 'header'),
            'most': (shape, struct.pack('<4Q', 1 << 61, columns, 1 << 61, columns), 'bad', 'far more'),
            'compact': (short, struct.pack('<BBH', 3, 0, 9 * 7 * 8 - 1), 'compact', ''),
        }
        for name, (old, new, _, _) in lies.items():
            begin = whole.index(old)
            (self.root / f'{name}.h5').write_bytes(whole[:begin] + new + whole[begin + len(old):])
        (self.root / 'fits.h5').write_bytes(whole.replace(place, struct.pack('<BBQQ', 3, 1, len(whole) - n, n)))
        made = {'bad': values, 'good': values + 1, 'compact': values[:9], 'unwritten': numpy.full((20, 3), 7, '<i4')}
        allowed = [rf'/{name}\.h5: {lie[2]}\.npy: left out: .*{lie[3]}' for name, lie in lies.items()]
        with self.mounted(allowed=[*allowed, '1 members are left out']) as mount:
            said = '\n'.join(mount.errors())
            for line in allowed:
                self.assertRegex(said, line)
            self.compare(mount.path / 'raw/true', made)
            for name, lie in lies.items():
                there = {k: v for k, v in made.items() if k != lie[2]}
                self.assertEqual(mount.files(f'raw/{name}'), sorted(f'raw/{name}/{k}.npy' for k in there))
                self.compare(mount.path / 'raw' / name, there)
            last = numpy.frombuffer(whole[-n:], '<f8').reshape(values.shape)
            numpy.testing.assert_array_equal(numpy.load(mount.path / 'raw/fits/bad.npy'), last)
            self.assertEqual(mount.stats()['worker_restarts'], 0)

    def test_stack(self):
        """A stack over the datasets of a file."""
        gaits = {f'gait{i}': self.values((i * 13 % 60 + 1, 48), '<f8' if i % 2 else '>f4') for i in range(20)}
        with h5py.File(self.root / 'features.h5', 'w') as file:
            for name, values in gaits.items():
                file.create_dataset(name, data=values, compression='gzip' if len(values) % 2 else None)
        views = {'joint.npy': 'stack: { shape: [48, 16, 3, 1], axes: [2, 0, 1, 3], sort: clip }'}
        source = '- archives: "*.h5"\n    videos: "*.npy"\n    match: \'^(?<clip>.*)[.]npy$\''
        want = numpy.zeros((20, 3, 48, 16, 1), '<f4')
        for i in range(20):
            rows = gaits[f'gait{i}'][:48].astype('<f4').reshape(-1, 16, 3).transpose(2, 0, 1)
            want[i, :, :rows.shape[1], :, 0] = rows
        with self.mounted(views, source) as mount:
            mapped = numpy.load(mount.path / 'joint.npy', mmap_mode='r')
            for i in self.shuffled(range(20)):
                numpy.testing.assert_array_equal(mapped[i], want[i])
            del mapped

    def test_left_out(self):
        """What is no array, or leads out of the file, is left out with its reason; the rest is there."""
        secret = self.home / 'secret.h5'
        with h5py.File(secret, 'w') as file:
            file['data'] = numpy.arange(8)
        (self.home / 'raw.bin').write_bytes(bytes(64))
        with h5py.File(self.root / 'a.h5', 'w') as file:
            file['good'] = numpy.arange(5)
            file['text'] = 'some words'
            file['pair'] = numpy.zeros(3, [('x', '<f4'), ('y', '<i2')])
            file['null'] = h5py.Empty('f')
            file['outside'] = h5py.ExternalLink(str(secret), '/data')
            file['group/loop'] = file.create_group('group')
            file['group/up'] = file['/']
            layout = h5py.VirtualLayout((8,), 'i8')
            layout[:] = h5py.VirtualSource(str(secret), 'data', (8,))
            file.create_virtual_dataset('virtual', layout)
            file.create_dataset('extern', (8,), 'i8', external=[(str(self.home / 'raw.bin'), 0, 64)])
            file.create_dataset('packed', data=numpy.arange(99), compression='lzf')
            file.create_dataset('vast', (1 << 20, 1 << 20), 'u1', chunks=(1024, 1024), compression='gzip')
            file.create_dataset('chunk', (1 << 10, 1 << 10, 1 << 10), 'u1', chunks=(1 << 10, 1 << 10, 1 << 9))
            file['link out'] = h5py.SoftLink('../../../etc/passwd')
        reasons = {'text.npy': 'neither integers', 'pair.npy': 'neither integers', 'null.npy': 'neither integers',
                   'outside': 'may leave the archive', 'group/loop': 'under another name', 'group/up': 'under another name',
                   'virtual.npy': 'in other files', 'extern.npy': 'in other files', 'packed.npy': 'a method',
                   'vast.npy': 'far more', 'chunk.npy': 'far more', 'link out.npy': 'may leave the archive'}
        allowed = [rf'{name}: left out: .*{reason}' for name, reason in reasons.items()] + [r'a\.h5: 12 members are left out']
        with self.mounted(allowed=allowed) as mount:
            self.assertEqual(mount.files(), ['raw/a/good.npy'])
            self.assertEqual(numpy.load(mount.path / 'raw/a/good.npy').tolist(), [0, 1, 2, 3, 4])
            said = '\n'.join(mount.errors())
            for line in allowed:
                self.assertRegex(said, line)
            self.assertEqual(mount.stats()['worker_restarts'], 0)

    def test_damaged_values(self):
        """A checksum that is wrong is EIO for its array, with a reason, and for no other."""
        values = self.numbers.integers(0, 1 << 62, (64, 64))
        with h5py.File(self.root / 'a.h5', 'w') as file:
            file.create_dataset('bad', data=values, chunks=(64, 64), fletcher32=True)
            file['good'] = values + 1
        data = bytearray((self.root / 'a.h5').read_bytes())
        data[data.index(values.tobytes()) + 1234] ^= 1
        (self.root / 'a.h5').write_bytes(data)
        with self.mounted(allowed=[r'a\.h5: the dataset at byte \d+ is damaged: .*checksum']) as mount:
            with self.assertRaises(OSError) as caught:
                (mount.path / 'raw/a/bad.npy').read_bytes()
            self.assertEqual(caught.exception.errno, errno.EIO)
            self.assertRegex('\n'.join(mount.errors()), r'a\.h5: the dataset at byte \d+ is damaged: .*checksum')
            numpy.testing.assert_array_equal(numpy.load(mount.path / 'raw/a/good.npy'), values + 1)

    def test_table(self):
        """Datasets of one number are rows, in groups or not; other tables and what else the file holds do not matter."""
        clips = {'a': numpy.int64(-3), 'b': 2.0, 'c': [True], 'd': numpy.float16(0.5), 'e "x", y': numpy.uint64((1 << 64) - 1)}
        want = {'a': '-3', 'b': '2', 'c': '1', 'd': '0.5', 'e "x", y': '18446744073709551615'}
        with h5py.File(self.root / 'labels.h5', 'w') as file:
            for i, (name, value) in enumerate(clips.items()):
                file[f'{name}/label' if i % 2 else name] = value
            file['words'], file['many'] = 'some', numpy.arange(9)
        for name in clips:
            numpy.save(self.root / f'{name}.npy', numpy.arange(3))
        more = 'tables: [{ file: labels.h5, key: clip, columns: { clip: name, label: value } }]'
        with self.mounted({'all.txt': 'list: { each: "{clip} = {label}\\n", sort: clip }'}, '- videos: "*.npy"',
                          more=more) as mount:
            self.assertEqual((mount.path / 'all.txt').read_text(encoding='utf-8').splitlines(),
                             [f'{name} = {value}' for name, value in sorted(want.items())])

    def damage(self, data):
        """A few bytes of it changed, or its end cut off."""
        data = bytearray(data)
        for _ in range(self.random.randint(1, 6)):
            at, n = self.random.randrange(self.random.choice([len(data), 1500])), self.random.choice([1, 1, 1, 4])
            data[at:at + n] = bytes([self.random.choice([0, 1, 0x7f, 0x80, 0xff, self.random.randrange(256)])]) * n
        if self.random.random() < 0.1:
            del data[self.random.randrange(len(data)):]
        return data

    def small(self, path, libver):
        with h5py.File(path, 'w', libver=libver) as file:
            file['group/plain'] = numpy.arange(20.0)
            file.create_dataset('group/packed', data=numpy.arange(300).reshape(20, 15), chunks=(4, 5), compression='gzip',
                                shuffle=True, fletcher32=True)
            file.create_dataset('group/szip', data=numpy.arange(300).reshape(20, 15), chunks=(8, 8), **SZIPS['nearest'])
            file['bool'] = numpy.arange(9) > 3
            file['soft'] = h5py.SoftLink('/group/plain')
            file['group/hard'] = file['group/packed']
            file['words'] = ['some', 'words']
            for i in range(12):
                file[f'many/{i}'] = i
        return path.read_bytes()

    def test_hostile(self):
        """Random damage costs the file or the array that has it, whatever libhdf5 does of it, and nothing else."""
        forms = [self.small(self.home / 'form.h5', libver) for libver in ('earliest', 'latest')]
        self.small(self.root / 'good.h5', 'latest')
        for i in range(ROUNDS):
            (self.root / f'{i:03d}.h5').write_bytes(self.damage(self.random.choice(forms)))
        read, failed = 0, 0
        with self.mounted(allowed=['.*'], crashing=True) as mount:
            for name in self.shuffled(mount.files()):
                path = mount.path / name
                try:
                    self.assertEqual(len(path.read_bytes()), path.stat().st_size)
                    read += 1
                except OSError as error:
                    self.assertEqual(error.errno, errno.EIO, name)
                    failed += 1
            print(f'# {read} arrays read, {failed} failed, {mount.stats()["worker_restarts"]} workers restarted')
            self.assertGreater(read, ROUNDS)
            self.assertEqual(numpy.load(mount.path / 'raw/good/group/packed.npy').tolist(),
                             numpy.arange(300).reshape(20, 15).tolist())


if __name__ == '__main__':
    harness.main()
