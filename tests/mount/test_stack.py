#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Stacks: one array over clips whose sources are .npy files, compared with what NumPy makes of the same files."""
import contextlib
import csv
import errno
import json
import os
import pickle
import pickletools
import signal
import sys
import tarfile
import time
from pathlib import Path

import numpy
from numpy.lib import format as npy_format

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness


class Stack(harness.Case):

    def config(self, root, views, source='- videos: "*/*.npy"', more=''):
        lines = [f'root: {root}', 'sources:', f'  {source}', r"    match: '(?<split>[^/]+)/(?<clip>[^/]+)\.npy$'", 'views:']
        for path, kind in views.items():
            lines += [f'  - path: "{path}"', f'    {kind}']
        lines += [f'cache: {{ dir: {self.home / "cache"}, size: 1GiB }}', more]
        path = self.home / f'config-{len(list(self.home.iterdir()))}.yaml'
        path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
        return path

    def gaits(self, root, split, n, dtype='<f4'):
        """{name: (T, 48)}; T from 1 to 96."""
        made = {}
        (root / split).mkdir(parents=True)
        generator = numpy.random.default_rng(self.random.randrange(1 << 32))
        for i in range(n):
            values = generator.standard_normal((1 + (i * 37) % 96, 48)) * 100
            made[f'gait{i + 1}'] = values.astype(dtype)
            numpy.save(root / split / f'gait{i + 1}.npy', made[f'gait{i + 1}'])
        return made

    @staticmethod
    def cut(values, rows, pad='zero', centre=False):
        n = len(values)
        if n >= rows:
            first = (n - rows) // 2 if centre else 0
            return values[first:first + rows]
        if pad == 'loop':
            return values[numpy.arange(rows) % n]
        fill = numpy.zeros_like(values[:1]) if pad == 'zero' else values[-1:]
        return numpy.concatenate([values] + [fill] * (rows - n))

    def test_joint(self):
        """(N,3,48,16,1), in the order of the list, read and mapped in any order; the size is known without a job."""
        root = self.home / 'root'
        gaits = {split: self.gaits(root, split, n) for split, n in (('train', 70), ('test', 11))}
        views = {'{split}_joint.npy': 'stack: { shape: [48, 16, 3, 1], axes: [2, 0, 1, 3], sort: clip, pad: edge }',
                 '{split}.txt': 'list: { each: "{clip}\\n", sort: clip, broken: keep }',
                 '{split}_label.pkl': 'list: { pickle: [clip, label:int], sort: clip }'}
        labels = r"fields: { label: { of: clip, match: '\d+' } }"
        with self.mount(self.config(root, views, more=labels)) as mount:
            self.assertEqual(sorted(os.listdir(mount.path)), sorted(
                split + name for split in gaits for name in ('.txt', '_joint.npy', '_label.pkl')))
            for split in self.shuffled(gaits):
                path = mount.path / f'{split}_joint.npy'
                names = (mount.path / f'{split}.txt').read_text(encoding='ascii').split()
                self.assertEqual(names, [f'gait{i + 1}' for i in range(len(gaits[split]))])
                with open(mount.path / f'{split}_label.pkl', 'rb') as file:
                    self.assertEqual(pickle.load(file), (names, list(range(1, len(names) + 1))))
                expected = numpy.array([self.cut(gaits[split][n], 48, 'edge').reshape(48, 16, 3, 1).transpose(2, 0, 1, 3)
                                        for n in names])
                jobs = mount.stats()['jobs_audio']
                self.assertEqual(path.stat().st_size, 4096 + expected.nbytes)
                self.assertEqual(mount.stats()['jobs_audio'], jobs)
                with open(path, 'rb') as file:
                    self.assertEqual(npy_format.read_magic(file), (1, 0))
                    self.assertEqual(npy_format.read_array_header_1_0(file), (expected.shape, False, numpy.dtype('<f4')))
                    self.assertEqual(file.tell(), 4096)
                mapped = numpy.load(path, mmap_mode='r')
                for k in self.shuffled(range(len(names))):
                    numpy.testing.assert_array_equal(mapped[k], expected[k])
                del mapped
                numpy.testing.assert_array_equal(numpy.load(path), expected)

    def unpickled(self, path):
        """What Python reads of a pickle, which is one of protocol 2."""
        data = path.read_bytes()
        self.assertEqual(len(data), path.stat().st_size)
        found = list(pickletools.genops(data))
        self.assertEqual((found[0][0].name, found[0][1]), ('PROTO', 2))
        self.assertEqual(max(opcode.proto for opcode, _, _ in found), 2)
        with open(os.devnull, 'w', encoding='utf-8') as out:
            pickletools.dis(data, out)  # which checks that nothing is left on the stack
        for load in (pickle.loads, pickle._loads):  # the one in C, and the one in Python
            self.assertEqual(load(data), pickle.loads(data))
        return pickle.loads(data)

    def test_pickles(self):
        """Values of all kinds and lengths, in the order of a list beside them."""
        root = self.home / 'root'
        (root / 'a').mkdir(parents=True)
        names = [f'{i:04d}' for i in range(998)] + ['\u4e2d\u6587', os.fsdecode(b'\xff\xe4\xb8\xed\xa0\x80')]
        for name in names:
            (root / 'a' / f'{name}.npy').touch()
        texts = ['it\'s "so"', '\\u0041\\\n.', '', 'a  b', '\U0001f600', 'n' * 80, '\u540d' * 27, 'l' * 255, 'l' * 256]
        ints = [0, -1, 1, 127, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -2**31, -2**31 - 1, 10**18 - 1, 1 - 10**18]
        floats = [0.0, -0.5, 1e300, 5e-324, 0.1, -123456.789]
        rows = {name: [texts[i % len(texts)], ints[i % len(ints)], floats[i % len(floats)]] for i, name in enumerate(names)}
        rows['0100'][0] = '\u9577' * 21000
        del rows['0012']  # it has None
        with open(root / 'all.csv', 'w', encoding='utf-8', errors='surrogateescape', newline='') as file:
            csv.writer(file).writerows([['name', 'text', 'int', 'float']] + [[k, *v] for k, v in rows.items()])
        listed = 'list: { pickle: [clip, text, n:int, x:float, clip:text], sort: n, where: { clip: "[^7]$" } }'
        views = {'all.txt': 'list: { each: "{clip:json}\\n", sort: n, where: { clip: "[^7]$" }, broken: keep }', 'all.pkl': listed,
                 'one.pkl': 'list: { pickle: [clip], where: { clip: "^0007$" } }',
                 'none.pkl': 'list: { pickle: [clip, n:int], where: { clip: "^none" } }'}
        tables = ('tables: [{ file: all.csv, key: clip, columns: { clip: name, text: text, n: int, x: float }, join: left }]')
        config = self.config(root, views, more=tables)
        with self.mount(config) as mount:
            self.assertEqual(self.unpickled(mount.path / 'one.pkl'), (['0007'],))
            self.assertEqual(self.unpickled(mount.path / 'none.pkl'), ([], []))
            self.check_pickle(mount.path, names, rows)

    def check_pickle(self, tree, names, rows):
        clip, text, n, x, again = self.unpickled(tree / 'all.pkl')
        order = [json.loads(line) for line in (tree / 'all.txt').read_text(encoding='ascii').splitlines()]
        self.assertEqual(len(order), sum(not name.endswith('7') for name in names))
        self.assertEqual((clip, again), (order, order))
        for k, values in enumerate((text, n, x)):
            expected = [rows[name][k] if name in rows else None for name in order]
            self.assertEqual(values, expected)
            self.assertEqual([type(v) for v in values], [type(v) for v in expected])

    def test_pickle_changes(self):
        """Labels that change change it, though it stays as long."""
        root = self.home / 'root'
        self.gaits(root, 'train', 3)
        table = root / 'all.csv'
        table.write_text('gait2,5\ngait1,6\ngait3,-7\n', encoding='ascii')
        config = self.config(root, {'n.pkl': 'list: { pickle: [clip, n:int], sort: clip }'},
                             more='tables: [{ file: all.csv, key: clip, columns: [clip, n] }]')
        with self.mount(config) as mount:
            self.assertEqual(self.unpickled(mount.path / 'n.pkl'), (['gait1', 'gait2', 'gait3'], [6, 5, -7]))
            table.write_text('gait2,5\ngait1,4\ngait3,-7\n', encoding='ascii')
            harness.corpusfs('index', config, check=0)
            harness.wait_until('the new label', lambda: self.unpickled(mount.path / 'n.pkl')[1] == [4, 5, -7])

    def test_pickle_mistakes(self):
        """Values that are none of their type keep their place and are told of; mistakes in the view."""
        root = self.home / 'root'
        self.gaits(root, 'train', 3)
        fields = r"fields: { n: { of: clip, match: '\d+', map: { '1': '7', '2': '1e2', '3': 'nan' } } }"
        views = {'n.pkl': 'list: { pickle: [n:int, clip, n:float], sort: clip }'}
        config = self.config(root, views, more=fields)
        with self.mount(config, allowed=['that is no ']) as mount:
            self.assertEqual(self.unpickled(mount.path / 'n.pkl'),
                             ([7, None, None], ['gait1', 'gait2', 'gait3'], [7.0, 100.0, None]))
        self.assertIn('gait2.npy has a field {n} that is no whole number: None in the list (and 1 more)',
                      harness.corpusfs('check', config, check=1).stdout)
        bad = {'[n:long]': 'behind the colon stands int, float or text, found n:long', '[m]': 'nothing gives the field {m}',
               '[]': 'pickle', '[n], each: "x"': '"pickle" excludes "each"', '[n], base: 1': '"pickle" excludes "base"'}
        for text, message in bad.items():
            config = self.config(root, {'n.pkl': f'list: {{ pickle: {text} }}'}, more=fields)
            self.assertIn(message, harness.corpusfs('check', config, check=1).stdout)

    def test_torch(self):
        """torch.from_numpy() over the map."""
        try:
            import torch
        except ImportError:
            self.skipTest('python3-torch is not installed')
        root = self.home / 'root'
        gaits = self.gaits(root, 'train', 5)
        with self.mount(self.config(root, {'all.npy': 'stack: { shape: [10, 48] }'})) as mount:
            tensor = torch.from_numpy(numpy.load(mount.path / 'all.npy', mmap_mode='c'))
            self.assertEqual(tensor[3].tolist(), self.cut(gaits['gait4'], 10).tolist())
            del tensor

    def test_types(self):
        """Sources of every type and order that NumPy writes, and all types of a stack, also from archives."""
        root = self.home / 'root'
        (root / 'a').mkdir(parents=True)
        base = numpy.arange(-30, 30).reshape(5, 4, 3)
        sources = {f'{i:02d}': array for i, array in enumerate(
            [base.astype(t) for t in ('<f4', '>f4', '<f8', '>f8', '<i2', '>i2', 'i1', '<i4', '<i8', '>i8')] +
            [numpy.asfortranarray(base.astype('<i4')), base.transpose(2, 1, 0).copy().transpose(2, 1, 0), base > 3])}
        for name, array in sources.items():
            numpy.save(root / 'a' / f'{name}.npy', array)
        with open(root / 'a/13.npy', 'wb') as file:
            npy_format.write_array(file, base, version=(2, 0))
        sources['13'] = base
        with tarfile.open(self.home / 'all.tar', 'w') as tar:
            tar.add(root / 'a', 'a')
        types = ['float32', 'float64', 'int64', 'int16', 'int8']
        views = {f'{t}.npy': f'stack: {{ shape: [7, 12], dtype: {t}, pad: loop, sort: clip }}' for t in types}
        views['centre.npy'] = 'stack: { shape: [2, 2, 6], axes: [1, 2, 0], dtype: int64, cut: centre, sort: clip }'
        inner = self.config(self.home, views, source='- archives: "*.tar"\n    videos: "a/*.npy"')
        for config in (self.config(root, views), inner):
            with self.mount(config) as mount:
                for name in self.shuffled(views):
                    found = numpy.load(mount.path / name)
                    arrays = [sources[k].reshape(5, 12).astype(found.dtype) for k in sorted(sources)]
                    if name == 'centre.npy':
                        expected = [self.cut(a, 2, centre=True).reshape(2, 2, 6).transpose(1, 2, 0) for a in arrays]
                    else:
                        self.assertEqual(found.dtype, numpy.dtype(name[:-4]))
                        expected = [self.cut(a, 7, 'loop') for a in arrays]
                    numpy.testing.assert_array_equal(found, expected)

    def test_broken(self):
        """What is wrong with a clip gives EIO for its part, with a reason, and the others are whole."""
        root = self.home / 'root'
        gaits = self.gaits(root, 'train', 9)
        whole = (root / 'train/gait2.npy').read_bytes()
        damaged = {
            'gait2': (whole[:-1], 'an array whose end is missing'),
            'gait4': (whole.replace(b'<f4', b'|O8'), 'values that are no booleans'),
            'gait6': (b'\x93NUMPY\x01\x00\xff\xff{' + bytes(100), 'header is cut off'),
            'gait8': (whole.replace(b'48', b'47'), 'rows of 47 values'),
        }
        for name, (data, _) in damaged.items():
            (root / f'train/{name}.npy').write_bytes(data)
        # Parts of pages of their own.
        config = self.config(root, {'all.npy': 'stack: { shape: [64, 48], dtype: float64, sort: clip }'})
        with self.mount(config, allowed=[f'{n}.npy' for n in damaged]) as mount:
            fd = os.open(mount.path / 'all.npy', os.O_RDONLY)
            try:
                for k in self.shuffled(range(9)):
                    name, offset = f'gait{k + 1}', 4096 + k * 64 * 48 * 8
                    if name in damaged:
                        with self.assertRaises(OSError) as caught:
                            os.pread(fd, 4096, offset)
                        self.assertEqual(caught.exception.errno, errno.EIO)
                        self.assertRegex('\n'.join(mount.errors()), rf'{name}\.npy: .*{damaged[name][1]}')
                    else:
                        part = numpy.frombuffer(os.pread(fd, 64 * 48 * 8, offset), '<f8').reshape(64, 48)
                        numpy.testing.assert_array_equal(part, self.cut(gaits[name].astype('<f8'), 64))
            finally:
                os.close(fd)
            self.assertEqual(mount.stats()['worker_restarts'], 0)

    def test_changed(self):
        """A clip that changes changes the stack."""
        root = self.home / 'root'
        gaits = self.gaits(root, 'train', 3)
        config = self.config(root, {'all.npy': 'stack: { shape: [4, 48], sort: clip }'}, more='refresh: 1s')
        with self.mount(config) as mount:
            numpy.testing.assert_array_equal(numpy.load(mount.path / 'all.npy'),
                                             [self.cut(g, 4) for g in gaits.values()])
            gaits['gait2'] = numpy.ones((5, 48), '<f4')
            numpy.save(root / 'train/gait2.npy', gaits['gait2'])
            expected = numpy.array([self.cut(g, 4) for g in gaits.values()])

            def is_new():
                with contextlib.suppress(OSError):
                    return numpy.array_equal(numpy.load(mount.path / 'all.npy'), expected)
                return False
            harness.wait_until('the new clip', is_new)

    def test_killed(self):
        """What was half made when the daemon died is made again."""
        root = self.home / 'root'
        gaits = self.gaits(root, 'train', 60)
        config = self.config(root, {'all.npy': 'stack: { shape: [48, 48], sort: clip }'})
        mount = self.mount(config)
        try:
            with open(mount.path / 'all.npy', 'rb', buffering=0) as file:
                file.read(200000)
            time.sleep(self.random.random() / 10)
            mount.daemon.send_signal(signal.SIGKILL)
        finally:
            mount.kill()
        with self.mount(config) as mount:
            numpy.testing.assert_array_equal(numpy.load(mount.path / 'all.npy'), [self.cut(g, 48) for g in gaits.values()])
            self.assertEqual(mount.stats()['bad'], 0)


if __name__ == '__main__':
    harness.main()
