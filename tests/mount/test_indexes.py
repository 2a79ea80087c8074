#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""DALI's and Energon's indexes beside shards: what is written is what an independent reader finds, and one that lies is told."""
import io
import os
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness

SOURCE = '- { archives: "**/*.{tar,tgz,zip}", samples: webdataset, videos: "*.mp4" }'


def samples(path):
    """[(key, [(field, header, offset, size, name)])] by Python's tarfile."""
    found, end = [], 0
    with tarfile.open(path, 'r:') as tar:
        for info in tar:
            name = info.name
            stem, dot, field = name.rpartition('/')[2].partition('.')
            first = name.split('/')[0]
            if not info.isreg() or not stem or not field or (first.startswith('__') and first.endswith('__')):
                continue
            key = name[:len(name) - len(field) - 1]
            if not found or found[-1][0] != key:
                found.append((key, []))
            found[-1][1].append((field, info.offset, info.offset_data, info.size, name))
            end = info.offset_data + (info.size + 511) // 512 * 512
    return found, end


def dali(path):
    found, _ = samples(path)
    lines = [' '.join(f'{field} {offset} {size} {name}' for field, _, offset, size, name in parts) for _, parts in found]
    return ''.join(line + '\n' for line in [f'v1.2 {len(found)}', *lines]).encode()


def energon(path):
    found, end = samples(path)
    return b''.join(struct.pack('<Q', n) for n in [*(parts[0][1] for _, parts in found), end])


class Indexes(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        self.root.mkdir()
        self.settings = self.config(self.root, {'{shard}/{path}': 'files: "**/*.{txt,json}"'}, source=SOURCE)

    def write(self, name, form, names):
        with tarfile.open(self.root / name, 'w', format=form) as out:
            for member in names:
                info = tarfile.TarInfo(member)
                data = self.random.randbytes(self.random.choice([0, 1, 511, 512, 513, 3000]))
                if member.endswith('/'):
                    info.type, data = tarfile.DIRTYPE, b''
                info.size = len(data)
                out.addfile(info, io.BytesIO(data))
        return self.root / name

    def names(self):
        """Samples of a few fields, with things between that are in none."""
        found = []
        for i in range(self.random.randint(1, 12)):
            key = self.random.choice(['a', 'd.1/b', 'n' * 150, 'd/' + '\xe9' * 60]) + str(i)
            found += self.random.choice([[], [], [f'd{i}/'], [f'__m__/{i}.x'], [f'README{i}']])
            found += [f'{key}.{field}' for field in self.random.sample(['txt', 'JSON', 'x.npy', 'cls'], self.random.randint(1, 4))]
        return found

    def index(self, code, *options):
        return harness.corpusfs('index', *options, self.settings, check=code).stdout

    def test_written(self):
        """They are written beside plain tars, and what is right is left alone."""
        forms = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
        shards = []
        for i in range(6):
            names = [n for n in self.names() if i % 3 or len(n.encode()) < 100]
            shards.append(self.write(f's{i}.tar', forms[i % 3], [*names, 'z.txt']))
        with tarfile.open(self.root / 'packed.tgz', 'w:gz') as out:
            out.addfile(tarfile.TarInfo('a.txt'))
        with zipfile.ZipFile(self.root / 'zip.zip', 'w') as out:
            out.writestr('a.txt', 'x')
        spaced = self.write('spaced.tar', tarfile.GNU_FORMAT, ['a b.txt'])
        self.assertIn('13 indexes written', self.index(0, '--write-idx'))
        for shard in shards:
            self.assertEqual(shard.with_suffix('.idx').read_bytes(), dali(shard))
            self.assertEqual(shard.with_suffix('.tar.idx').read_bytes(), energon(shard))
        self.assertEqual(spaced.with_suffix('.tar.idx').read_bytes(), energon(spaced))
        wanted = {f'{s.stem}{end}' for s in shards for end in ['.idx', '.tar.idx']} | {'spaced.tar.idx'}
        self.assertEqual({n for n in os.listdir(self.root) if n.endswith('.idx') or n.startswith('.')}, wanted)
        before = {n: (self.root / n).stat().st_ino for n in wanted}
        self.assertIn('0 indexes written', self.index(0, '--write-idx'))
        self.assertEqual({n: (self.root / n).stat().st_ino for n in wanted}, before)
        self.assertNotIn('does not fit', self.index(0))

    def test_lies(self):
        """A wrong index is told, changes nothing in the tree, and is written anew when that is asked for."""
        shard = self.write('s.tar', tarfile.GNU_FORMAT, ['a.txt', 'a.json', 'b.txt', 'c.txt', 'c.json'])
        text, numbers = dali(shard).decode(), energon(shard)
        parts = samples(shard)[0]
        a, b = parts[0][1], parts[1][1]
        lines = text.splitlines(True)
        lies = {
            'no file of a sample begins': text.replace(f' {a[1][2]} ', f' {a[1][2] + 1} '),
            f'has {b[0][3]} bytes, not': text.replace(f' {b[0][2]} {b[0][3]} ', f' {b[0][2]} {b[0][3] + 1} '),
            'has another name': text.replace('b.txt', 'B.txt'),
            'files have two keys': text.replace('3', '2', 1).replace(lines[1], lines[1][:-1] + ' '),
            'it has 3 samples, and says 2': text.replace('v1.2 3', 'v1.2 2'),
            'it does not begin with': text.replace('v1.2', 'v9'),
            'it ends before the archive does': ''.join(['v1.2 2\n', *lines[1:3]]),
            'not a field, an offset': text[:-30],
        }
        for said, lie in lies.items():
            self.assertNotEqual(lie, text, said)
            shard.with_suffix('.idx').write_text(lie)
            out = self.index(1)
            self.assertIn('s.idx: does not fit its shard: ', out)
            self.assertIn(said, out)
        for said, lie in {'no sample begins': numbers[:8] + struct.pack('<Q', 512) + numbers[16:],
                          'its length': numbers[:-3],
                          'where the samples do not': numbers[:-8] + struct.pack('<Q', 1 << 60),
                          'ends before': numbers[:8] + numbers[-8:]}.items():
            shard.with_suffix('.tar.idx').write_bytes(lie)
            out = self.index(1)
            self.assertIn('s.tar.idx: does not fit its shard: ', out)
            self.assertIn(said, out)
        with self.mount(self.settings, allowed=['']) as mount:
            self.assertEqual(mount.files(), sorted(f's/{n}' for n in ['a.json', 'a.txt', 'b.txt', 'c.json', 'c.txt']))
        self.assertIn('2 indexes written', self.index(0, '--write-idx'))
        self.assertEqual(shard.with_suffix('.idx').read_text(), text)
        self.assertEqual(shard.with_suffix('.tar.idx').read_bytes(), numbers)
        # Indexes of the first kind, without names, and noise.
        shard.with_suffix('.idx').write_text('v1.1 3\n' + ''.join(
            ' '.join(f'{f} {o} {n}' for f, _, o, n, _ in files) + '\n' for _, files in parts))
        self.index(0)
        for _ in range(5):
            shard.with_suffix('.idx').write_bytes(self.random.randbytes(self.random.randint(0, 2000)))
            shard.with_suffix('.tar.idx').write_bytes(self.random.randbytes(8 * self.random.randint(0, 200)))
            self.assertEqual(self.index(1).count('does not fit its shard'), 2)

    def test_folders(self):
        """Two shards that would share an index, and a folder that cannot be written to."""
        for name in ['a.x.tar', 'a.y.tar']:
            self.write(name, tarfile.GNU_FORMAT, ['a.txt'])
        said = self.index(1, '--write-idx')
        self.assertEqual(said.count('a.idx: not written: two shards would have this index'), 2)
        self.assertEqual(sorted(n for n in os.listdir(self.root) if n.endswith('idx')), ['a.x.tar.idx', 'a.y.tar.idx'])
        if os.geteuid() == 0:
            os.unlink(self.root / 'a.x.tar')
            os.unlink(self.root / 'a.y.tar.idx')
            subprocess.run(['mount', '--bind', self.root, self.root], check=True)
            self.addCleanup(subprocess.run, ['umount', '-l', self.root], check=True)
            subprocess.run(['mount', '-o', 'remount,bind,ro', self.root], check=True)
            said = self.index(1, '--write-idx')
            self.assertIn('a.idx: cannot be written beside its shard: Read-only file system', said)
            self.assertIn('0 indexes written', said)


harness.main()
