#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Files views over plain files: the files themselves, in place, and what happens when they change."""
import contextlib
import io
import os
import pickle
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness

VIEWS = {'all/{path}': 'files:', 'text/{path}.orig': 'files: ["**/*.txt", "*.bin"]'}


class Files(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        self.want = {f'd{i % 7}/{i:03}.txt': self.random.randbytes(self.random.choice([0, 1, 5000, 300_000]))
                     for i in range(100)}
        self.want |= {'x.bin': b'x', 'd1/e/f g \xe9.mp4': b'no video', 'd1/e/\udcff.srt': b'no text'}
        for name, data in self.want.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            when = self.random.randrange(1 << 32)
            os.utime(path, ns=(0, when * 10**9 + self.random.randrange(10**9)))
        (self.root / '.hidden').write_bytes(b'.')
        (self.root / 'link.txt').symlink_to('d0/000.txt')
        os.link(self.root / 'd1/001.txt', self.root / 'hard.txt')
        self.want |= {'link.txt': self.want['d0/000.txt'], 'hard.txt': self.want['d1/001.txt']}

    def test_bytes(self):
        settings = self.config(self.root, VIEWS)
        self.assertIn('105 files', harness.corpusfs('check', settings, check=0).stdout)
        with self.mount(settings) as mount:
            shown = [f'all/{name}' for name in self.want]
            shown += [f'text/{name}.orig' for name in self.want if name.endswith('.txt') or name == 'x.bin']
            self.assertEqual(mount.files(), sorted(shown))

            # More at once than stay open, each whole and in parts.
            def read(number):
                for name in self.shuffled(shown) if number == 0 else shown[number::3]:
                    data = self.want[name.partition('/')[2].removesuffix('.orig')]
                    with open(mount.path / name, 'rb') as file:
                        for at in [0, len(data) // 3, max(0, len(data) - 1), len(data), len(data) + 9]:
                            file.seek(at)
                            self.assertEqual(file.read(70_000), data[at:at + 70_000], name)
            harness.in_threads(4, read)
            for name in shown:
                have = os.stat(mount.path / name)
                source = os.stat(self.root / name.partition('/')[2].removesuffix('.orig'))
                self.assertEqual((have.st_size, have.st_mtime_ns, have.st_mode, have.st_nlink),
                                 (source.st_size, source.st_mtime_ns, 0o100444, 1), name)
            with self.assertRaises(OSError):
                os.open(mount.path / 'all/x.bin', os.O_RDWR)
            # Nothing is copied anywhere, and no worker has had to do with it.
            stats = mount.stats()
            self.assertEqual({stats['segments'], *(n for k, n in stats.items() if k.startswith('jobs_'))}, {0})

    def test_arrays(self):
        """Arrays and pickles in archives, where programs look for them: mapped in place where they are stored."""
        chance = numpy.random.default_rng(self.random.randrange(1 << 32))
        arrays = {'joint': chance.random((9, 3, 48, 16, 1), numpy.float32), 'by_columns': numpy.asfortranarray(chance.random((300, 7))),
                  'long': chance.integers(0, 255, (4000, 999), numpy.uint8), 'one': numpy.int64(7)}
        members = {'label.pkl': pickle.dumps((['a', 'b'], [0, 1]), 2)}
        for name, array in arrays.items():
            written = io.BytesIO()
            numpy.save(written, array)
            members[f'{name}.npy'] = written.getvalue()
        root = self.home / 'shards'
        root.mkdir()
        for name in ('plain.tar', 'packed.tar.gz'):
            with tarfile.open(root / name, 'w:gz' if name.endswith('gz') else 'w') as tar:
                for member, data in members.items():
                    info = tarfile.TarInfo(f'BPM_GCN/{member}')
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
        with zipfile.ZipFile(root / 'zipped.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
            for member, data in members.items():
                archive.writestr(f'BPM_GCN/{member}', data)
        settings = self.config(root, {'{shard}/{path}': 'files: ["**/*.npy", "**/*.pkl"]'},
                               source="- archives: '*.{tar,tar.gz,zip}'")
        with self.mount(settings) as mount:
            shards = sorted(os.listdir(mount.path))
            self.assertEqual(len(shards), 3)
            for shard, name in self.shuffled((s, n) for s in shards for n in arrays):
                path = mount.path / shard / f'BPM_GCN/{name}.npy'
                self.assertEqual(path.stat().st_size, len(members[f'{name}.npy']))
                mapped = numpy.load(path, mmap_mode='r')
                for k in self.shuffled(range(len(mapped)))[:20] if mapped.ndim else ():
                    numpy.testing.assert_array_equal(mapped[k], arrays[name][k])
                numpy.testing.assert_array_equal(mapped, arrays[name])
                self.assertEqual(mapped.flags.f_contiguous, arrays[name].flags.f_contiguous)
                del mapped
                if shard == 'plain':
                    self.assertEqual(path.read_bytes(), members[f'{name}.npy'])
            for shard in shards:
                with open(mount.path / shard / 'BPM_GCN/label.pkl', 'rb') as file:
                    self.assertEqual(pickle.load(file), (['a', 'b'], [0, 1]))
        # Of what is stored nothing is made or kept.
        (root / 'packed.tar.gz').unlink()
        (root / 'zipped.zip').unlink()
        with self.mount(settings) as mount:
            for name in arrays:
                numpy.load(mount.path / f'plain/BPM_GCN/{name}.npy')
            stats = mount.stats()
            self.assertEqual((stats['jobs_unpack'], stats['made']), (0, 0))

    def test_change(self):
        with self.mount(self.config(self.root, VIEWS)) as mount:
            shown, source = mount.path / 'all/x.bin', self.root / 'x.bin'
            self.assertEqual(shown.read_bytes(), b'x')
            with open(shown, 'rb') as old:
                source.write_bytes(b'other and longer')
                harness.wait_until('the new content', lambda: shown.read_bytes() == b'other and longer')
                old.seek(0)
                with contextlib.suppress(OSError):  # never a mixture
                    self.assertIn(old.read(), [b'x', b''])
            (self.root / 'new').write_bytes(b'by rename')
            os.rename(self.root / 'new', source)
            harness.wait_until('the new file', lambda: shown.read_bytes() == b'by rename')
            os.chmod(source, 0o600)
            self.assertEqual(shown.read_bytes(), b'by rename')
            source.unlink()
            harness.wait_until('the end of the name', lambda: not shown.exists())

    def test_beside_clips(self):
        """One file as it is and as frames; names that both views would give stay the clip's."""
        os.makedirs(self.root / 'c')
        clips.ffmpeg(*clips.picture(seconds=1), *clips.X264, self.root / 'c/v.mp4')
        (self.root / 'v').mkdir()
        (self.root / 'v/000001.jpg').write_bytes(b'not a frame')
        settings = self.config(self.root, {'{clip}/{frame:06d}.jpg': 'frames: {}', '{path}': 'files:'},
                               source="- videos: 'c/*.mp4'")
        said = harness.corpusfs('check', settings, check=1).stdout
        self.assertIn('v/000001.jpg is the name of a frame: left out', said)
        with self.mount(settings) as mount:
            self.assertEqual((mount.path / 'c/v.mp4').read_bytes(), (self.root / 'c/v.mp4').read_bytes())
            self.assertEqual((mount.path / 'v/000001.jpg').read_bytes()[:2], b'\xff\xd8')
            self.assertNotIn(os.stat(mount.path / 'v').st_nlink, [0, 1])

    def test_of_clips(self):
        """A clip's video under another path: of a folder, of a zip, of which one is packed, and whole where the clip
        is a part. It is never looked into, and a change shows."""
        for name in ('a 1.mp4', 'b, (2).mp4'):
            (self.root / name).write_bytes(self.random.randbytes(100_000))
        with zipfile.ZipFile(self.root / 'more.zip', 'w') as archive:
            archive.writestr('in/c.mp4', self.random.randbytes(70_000))
            archive.writestr('in/\u60c5.mp4', b'packed ' * 9000, zipfile.ZIP_DEFLATED)
            inner = {Path(n).stem: archive.read(n) for n in archive.namelist()}
        (self.root / 'parts.csv').write_text('clip,n,from,to\na 1,1,0,1\na 1,2,1,2\n', encoding='ascii')
        settings = self.config(
            self.root, {'v/{clip}_{n}.mp4': 'file: {}'},
            source="- videos: '*.mp4'\n  - archives: '*.zip'\n    videos: '**'",
            more="tables: [{ file: parts.csv, key: clip, cut: { start: from, end: to }, join: left }]\n"
                 "fields: { n: { default: all } }\n")
        with self.mount(settings) as mount:
            want = {f'{clip}_all.mp4': data for clip, data in inner.items()}
            want['b, (2)_all.mp4'] = (self.root / 'b, (2).mp4').read_bytes()
            want['a 1_1.mp4'] = want['a 1_2.mp4'] = (self.root / 'a 1.mp4').read_bytes()
            self.assertEqual(mount.files(), sorted(f'v/{name}' for name in want))
            for name in self.shuffled(want):
                self.assertEqual(os.stat(mount.path / 'v' / name).st_size, len(want[name]))
                self.assertEqual((mount.path / 'v' / name).read_bytes(), want[name], name)
            self.assertEqual(os.stat(mount.path / 'v/a 1_1.mp4').st_mtime_ns, os.stat(self.root / 'a 1.mp4').st_mtime_ns)
            (self.root / 'a 1.mp4').write_bytes(b'other')
            harness.wait_until('the new content', lambda: (mount.path / 'v/a 1_2.mp4').read_bytes() == b'other')
            self.assertEqual(mount.stats()['jobs_index'], 0)


harness.main()
