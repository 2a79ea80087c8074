#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Archives: what is mounted is what bsdtar extracts, and what ffmpeg makes of the extracted files."""
import collections
import io
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import archives, clips, harness

RAW = {'raw/{shard}/{path}': 'files:'}
SOURCE = '- archives: ["**/*.{tar,zip,tgz,gz,bz2,xz,zst}", "*.bin"]'
SRT = b'1\n00:00:00,100 --> 00:00:01,000\nHello.\n\n'


def run(*command, **settings):
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          **settings)
    if done.returncode:
        raise RuntimeError(f'{command}: {done.stdout.decode(errors="replace")}')


def extract(archive, into):
    into.mkdir()
    run('bsdtar', '-x', '-f', archive, '-C', into)


def tree(root):
    """{path: what it is}; names of one inode are told by the first of them."""
    found, inodes = {}, {}
    for name, path, about in archives.entries(root):
        key = os.fsdecode(name)
        if stat.S_ISLNK(about.st_mode):
            found[key] = ('link', os.fsdecode(os.readlink(path)))
        elif stat.S_ISDIR(about.st_mode):
            found[key] = ('dir',)
        else:
            inodes.setdefault((about.st_dev, about.st_ino), []).append(key)
            found[key] = ('file', about.st_size, about.st_nlink, int(about.st_mtime))
    for names in inodes.values():
        for name in names:
            found[name] += (min(names),)
    return found


def shows(path, data):
    try:
        return path.read_bytes() == data
    except OSError:  # it changes just now
        return False


class Maker:
    """A folder of random things, and archives of it."""

    def __init__(self, rng, folder):
        self.rng, self.folder = rng, folder
        folder.mkdir()
        self.files, self.names = [], []
        for _ in range(rng.randint(5, 40)):
            self.one()

    def name(self):
        parts = []
        for _ in range(self.rng.choice([1, 1, 2, 3, 5])):
            letters = self.rng.choice(['abc', 'a b', 'x.y', '\xe9\u4e2d', '-_,(!&[', '0123456789'])
            part = ''.join(self.rng.choice(letters) for _ in range(self.rng.choice([1, 3, 8, 60])))
            parts.append(part.strip('. ') or 'n')
        return '/'.join(parts)

    def one(self):
        path = self.folder / self.name()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(path):
                return
            kind = self.rng.choice(['file'] * 6 + ['dir', 'hard', 'soft', 'sparse'])
            if kind == 'dir':
                path.mkdir()
            elif kind == 'hard' and self.files:
                os.link(self.rng.choice(self.files), path)
            elif kind == 'soft':
                path.symlink_to(self.rng.choice(['a', 'b/c', 'n']))
            elif kind == 'sparse':
                with open(path, 'wb') as file:
                    for at in sorted(self.rng.sample(range(1, 40), 3)):
                        file.seek(at * 65536)
                        file.write(self.rng.randbytes(5000))
                    file.truncate(50 * 65536 + self.rng.randint(0, 1))
                self.files.append(path)
            else:
                path.write_bytes(self.rng.randbytes(self.rng.choice([0, 1, 511, 512, 513, 9000, 200_000])))
                self.files.append(path)
            os.utime(path, (0, self.rng.randrange(1 << 31)), follow_symlinks=False)
        except (NotADirectoryError, FileExistsError):
            pass

    def order(self):
        names = [os.path.relpath(os.path.join(d, n), self.folder)
                 for d, dirs, files in os.walk(self.folder) for n in dirs + files]
        self.rng.shuffle(names)
        return names

    def gnu(self, out, *options):
        run('tar', '-C', self.folder, '-c', '-f', out, '--no-recursion', *options, '--', *self.order())

    def bsd(self, out, *options):
        run('bsdtar', '-C', self.folder, '-c', '-f', out, '-n', *options, '--', *self.order())

    def python(self, out, form):
        """Some members twice, with other content: the last is meant."""
        with tarfile.open(out, 'w', format=form) as tar:
            names = self.order()
            for name in names:
                tar.add(self.folder / name, name, recursive=False)
            plain = [n for n in names if os.path.isfile(self.folder / n) and not os.path.islink(self.folder / n)]
            for name in self.rng.sample(plain, min(3, len(plain))):
                data = self.rng.randbytes(self.rng.randint(0, 3000))
                info = tarfile.TarInfo(name)
                info.size, info.mtime = len(data), 1234567890
                tar.addfile(info, io.BytesIO(data))

    def zip(self, out):
        with zipfile.ZipFile(out, 'w') as archive:
            for name in self.order():
                path = self.folder / name
                if path.is_symlink():
                    continue
                how = self.rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
                info = zipfile.ZipInfo(name + '/' * path.is_dir(), (2001, 2, 3, 4, 5, 6))
                info.compress_type, info.external_attr = how, 0o644 << 16
                archive.writestr(info, b'' if path.is_dir() else path.read_bytes())

    def all(self, root):
        makers = {
            'gnu.tar': lambda out: self.gnu(out, '--format=gnu'),
            'sparse00.tar': lambda out: self.gnu(out, '--format=pax', '-S', '--sparse-version=0.0'),
            'sparse01.tar': lambda out: self.gnu(out, '--format=pax', '-S', '--sparse-version=0.1'),
            'sparse10.tar': lambda out: self.gnu(out, '--format=pax', '-S', '--sparse-version=1.0'),
            'sparsegnu.tar': lambda out: self.gnu(out, '--format=gnu', '-S'),
            'gz.tgz': lambda out: self.gnu(out, '-z'),
            'bsd.tar': lambda out: self.bsd(out, '--format=pax'),
            'bsd.tar.zst': lambda out: self.bsd(out, '--zstd'),
            'bsd.tar.xz': lambda out: self.bsd(out, '-J'),
            'named-wrongly.bin': lambda out: self.bsd(out, '-j'),
            'python-gnu.tar': lambda out: self.python(out, tarfile.GNU_FORMAT),
            'python-pax.tar': lambda out: self.python(out, tarfile.PAX_FORMAT),
            'zip.zip': self.zip,
        }
        for name, make in makers.items():
            make(root / name)
        return list(makers)


class Archives(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        self.root.mkdir()

    def shard(self, name):
        for end in ['.tar.zst', '.tar.xz', '.tar', '.tgz', '.zip', '.bin']:
            if name.endswith(end):
                return name.removesuffix(end)
        return name

    def test_oracle(self):
        """Random trees by four programs: names, kinds, sizes, links, times and bytes are those of bsdtar's extraction."""
        maker = Maker(self.random, self.home / 'things')
        made = maker.all(self.root)
        # Two archives of one name but for the extension would share a folder.
        for i, name in enumerate(made):
            os.rename(self.root / name, self.root / f'{i}-{name}')
        made = [f'{i}-{name}' for i, name in enumerate(made)]
        for name in made:
            extract(self.root / name, self.home / f'{name}.want')
        used = self.disk()
        with self.mount(self.config(self.root, RAW, source=SOURCE)) as mount:
            for name in made:
                want, have = tree(self.home / f'{name}.want'), tree(mount.path / 'raw' / self.shard(name))
                if name.endswith('.zip'):  # whose times have no zone
                    want, have = ({k: v[:3] for k, v in t.items()} for t in (want, have))
                self.assertEqual(set(want), set(have), name)
                for key in want:
                    self.assertEqual(want[key], have[key], f'{name}: {key}')

            names = [(n, f) for n in made for f, what in tree(self.home / f'{n}.want').items() if what[0] == 'file']

            def read(number):
                for archive, name in random.Random(self.random.random()).sample(names, len(names))[number::2]:
                    want = (self.home / f'{archive}.want' / name).read_bytes()
                    with open(mount.path / 'raw' / self.shard(archive) / name, 'rb') as file:
                        at = len(want) // 2
                        file.seek(at)
                        self.assertEqual(file.read(), want[at:], f'{archive}: {name}')
                        file.seek(0)
                        self.assertEqual(file.read(), want, f'{archive}: {name}')
            harness.in_threads(2, read)
        # Of plain archives nothing was copied: what is on the disk are lists, and what was packed.
        packed = sum(self.size_of(self.home / f'{n}.want') for n in made if not n.endswith('.tar'))
        self.assertLess(self.disk() - used, packed * 2 + (6 << 20))

    def disk(self):
        return self.size_of(self.cache) if self.cache.exists() else 0

    @staticmethod
    def size_of(root):
        return sum(os.lstat(os.path.join(d, f)).st_blocks * 512 for d, _, files in os.walk(root) for f in files)


class Media(harness.Case):
    """Clips in archives give what they give as files."""

    VIEWS = {
        'img/{shard}/{clip}/{frame:06d}.png': 'frames: {}',
        'mp3/{shard}/{clip}.mp3': 'audio: {}',
        'srt/{shard}/{clip}.srt': 'subtitles: [sidecar]',
        'n/{shard}/{clip}': 'text: "{clip} of {shard}: {nframes}"',
    }

    @classmethod
    def setUpClass(cls):
        cls.made = Path(tempfile.mkdtemp(prefix='corpusfs-test-'))
        cls.addClassCleanup(shutil.rmtree, cls.made)
        for name, args in {'d/one.mp4': [*clips.X264, *clips.AAC], 'd/two.mkv': [*clips.X264, *clips.AAC]}.items():
            (cls.made / 'files' / name).parent.mkdir(parents=True, exist_ok=True)
            clips.ffmpeg(*clips.picture(seconds=1), *clips.sound(1), *args, cls.made / 'files' / name)
        (cls.made / 'files/d/one.srt').write_bytes(SRT)
        cls.inner = cls.made / 'inner'
        cls.inner.mkdir()

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        self.root.mkdir()

    def test_media(self):
        files = self.made / 'files'
        run('tar', '-C', files, '-cf', self.root / 'plain.tar', 'd')
        run('tar', '-C', files, '-czf', self.root / 'gz.tar.gz', 'd')
        with zipfile.ZipFile(self.root / 'zip.zip', 'w') as archive:
            archive.write(files / 'd/one.mp4', 'd/one.mp4')
            archive.write(files / 'd/two.mkv', 'd/two.mkv', zipfile.ZIP_DEFLATED)
            archive.write(files / 'd/one.srt', 'd/one.srt', zipfile.ZIP_DEFLATED)
        # One archive in another, packed and not.
        run('tar', '-C', self.root, '-cf', self.root / 'outer.tar', 'plain.tar', 'zip.zip', 'gz.tar.gz')
        run('tar', '-C', self.root, '-czf', self.root / 'packed.tgz', 'plain.tar', 'zip.zip', 'outer.tar')
        shutil.copytree(files, self.root / 'files')
        shards = ['plain', 'gz', 'zip', 'outer/plain', 'outer/zip', 'outer/gz', 'packed/plain', 'packed/zip',
                  'packed/outer/plain', 'packed/outer/zip', 'packed/outer/gz']
        source = '- { archives: "*.{tar,gz,zip,tgz}", videos: "**/*.{mp4,mkv}", nested: "*.{tar,gz,zip}" }'
        plain = {k.replace('{shard}/', 'files/'): v.replace('{shard}', 'files') for k, v in self.VIEWS.items()}
        with self.mount(self.config(self.root, plain, source='- { videos: "files/**/*.{mp4,mkv}" }',
                                    name='plain.yaml', cache=self.home / 'other'), cache=self.home / 'other') as mount:
            want = {name: (mount.path / name).read_bytes() for name in mount.files()}
        self.assertGreater(len(want), 50)
        settings = self.config(self.root, self.VIEWS, source=source)
        with self.mount(settings) as mount:
            for shard in shards:
                for name in self.shuffled(want):
                    here = name.replace('/files/', f'/{shard}/')
                    self.assertEqual((mount.path / here).read_bytes(),
                                     want[name].replace(b'of files', f'of {shard}'.encode()), here)
            self.assertEqual(len(mount.files()), len(want) * len(shards))
            before = mount.stats()
        # A second mount lists nothing, and the moved corpus keeps what was made.
        os.rename(self.root, self.home / 'moved')
        with self.mount(self.config(self.home / 'moved', self.VIEWS, source=source)) as mount:
            name = 'img/outer/plain/one/000007.png'
            self.assertEqual((mount.path / name).read_bytes(), want[name.replace('outer/plain', 'files')])
            after = mount.stats()
        self.assertEqual((after['jobs_list'], after['jobs_index'], after['jobs_frames']), (0, 0, 0))
        self.assertEqual(before['jobs_list'], 14)

    def test_change(self):
        """An archive that is replaced, grows, goes and comes while it is mounted."""
        path = self.root / 'a.tar'

        def write(mode='w', **members):
            with tarfile.open(self.home / 'new', mode) as tar:
                for name, data in members.items():
                    info = tarfile.TarInfo(f'd/{name}')
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))

        def has(mount, **members):
            shown = mount.path / 'raw/a/d'
            try:
                return (sorted(os.listdir(shown)) == sorted(members) and
                        all((shown / k).read_bytes() == v for k, v in members.items()))
            except OSError:
                return False
        write(one=b'1' * 5000, two=b'2' * 70000)
        os.rename(self.home / 'new', path)
        with self.mount(self.config(self.root, RAW, source=SOURCE), allowed=['cannot be listed', 'vanished', 'no clip was found']) as mount:
            self.assertTrue(has(mount, one=b'1' * 5000, two=b'2' * 70000))
            with open(mount.path / 'raw/a/d/two', 'rb') as old:
                self.assertEqual(old.read(10), b'2' * 10)
                write(two=b'other', three=b'3' * 100)
                os.rename(self.home / 'new', path)
                harness.wait_until('the new archive', lambda: has(mount, two=b'other', three=b'3' * 100))
                try:
                    self.assertLessEqual(set(old.read()), set(b'2'))
                except OSError:
                    pass
            with tarfile.open(path, 'a') as tar:
                info = tarfile.TarInfo('d/four')
                info.size = 4
                tar.addfile(info, io.BytesIO(b'4444'))
            harness.wait_until('the grown archive',
                               lambda: has(mount, two=b'other', three=b'3' * 100, four=b'4444'))
            os.rename(path, self.home / 'away')
            harness.wait_until('the end', lambda: not (mount.path / 'raw/a').exists())
            os.rename(self.home / 'away', path)
            self.assertEqual(harness.corpusfs('index', mount.config).returncode, 0)
            harness.wait_until('its return', lambda: has(mount, two=b'other', three=b'3' * 100, four=b'4444'))

    def test_replaced_by_itself(self):
        """An archive in whose place the same comes, with the same time, is read on; descriptors of what was there before
        do not stay open."""
        path, data = self.root / 'a.tar', self.random.randbytes(300_000)
        (self.home / 'b.txt').write_bytes(data)
        run('tar', '-C', self.home, '-cf', path, 'b.txt')

        def opened(mount):
            links = []
            for fd in Path(f'/proc/{mount.daemon.pid}/fd').iterdir():
                try:
                    links.append(os.readlink(fd))
                except OSError:
                    pass
            return [n for n in links if n.startswith(f'{self.root}/')]
        with self.mount(self.config(self.root, RAW, source=SOURCE)) as mount:
            for i in self.shuffled(range(20)):
                fd = os.open(mount.path / 'raw/a/b.txt', os.O_RDONLY)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
                self.assertEqual(os.pread(fd, 4096, i * 4096), data[i * 4096:i * 4096 + 4096])
                os.close(fd)
                shutil.copy2(path, self.home / 'copy')
                os.rename(self.home / 'copy', path)
            with open(mount.path / 'raw/a/b.txt', 'rb') as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                self.assertEqual(file.read(), data)
            self.assertEqual(opened(mount), [str(path)])
            # Others, with other bytes.
            for i in range(5):
                data = self.random.randbytes(30_000)
                (self.home / 'b.txt').write_bytes(data)
                run('tar', '-C', self.home, '-cf', self.home / 'copy', 'b.txt')
                os.rename(self.home / 'copy', path)
                harness.wait_until('the new archive', lambda d=data: shows(mount.path / 'raw/a/b.txt', d))
                self.assertLessEqual(set(opened(mount)), {str(path)})

    def test_busy(self):
        """An archive that changes all the while is not scanned all the while, and is shown when it is at rest."""
        def write(i):
            with tarfile.open(self.home / 'new', 'w') as tar:
                info = tarfile.TarInfo(f'{i}.txt')
                info.size = i
                tar.addfile(info, io.BytesIO(b'x' * i))
            os.rename(self.home / 'new', self.root / 'a.tar')
        write(0)
        with self.mount(self.config(self.root, RAW, source=SOURCE), allowed=['cannot be listed']) as mount:
            end = time.monotonic() + 4
            for i in range(1, 1000):
                write(i)
                time.sleep(0.1)
                if time.monotonic() > end:
                    break
            harness.wait_until('the last one', lambda: mount.files() == [f'raw/a/{i}.txt'])
            self.assertIn(mount.log().count('scanned again'), range(1, 10))

    def test_rewritten_to_the_same_end(self):
        """A tar that is written anew, with other members before the last one, is not taken for the old one that grew."""
        def write(*members):
            with tarfile.open(self.home / 'new', 'w') as tar:
                for name, data in members:
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
            os.rename(self.home / 'new', self.root / 'a.tar')
        last, fill = ('last', b'l' * 9000), ('fill', bytes(200_000))
        write(('old', b'o' * 3000), fill, last)
        with self.mount(self.config(self.root, RAW, source=SOURCE)) as mount:
            self.assertEqual(mount.files(), ['raw/a/fill', 'raw/a/last', 'raw/a/old'])
            for name in ('new', 'newer'):
                write((name, name.encode() * (3000 // len(name))), fill, last, *[('more', b'm')] * len(name))
                harness.wait_until(f'the {name} one', lambda n=name: shows(mount.path / 'raw/a' / n, n.encode() * (3000 // len(n))))
                self.assertEqual(sorted(os.listdir(mount.path / 'raw/a')), sorted(['fill', 'last', 'more', name]))

    def test_index(self):
        """Shards that are added while mounted appear after `corpusfs index`; one lookup knows all shards."""
        for i in range(20):
            with tarfile.open(self.root / f's-{i:03}.tar', 'w') as tar:
                info = tarfile.TarInfo(f'{i:03}.txt')
                info.size = 3
                tar.addfile(info, io.BytesIO(f'{i:03}'.encode()))
        settings = self.config(self.root, {'all/{path}': 'files: "*.txt"'}, source='- archives: "s-{000..011}.tar"')
        text = settings.read_text(encoding='utf-8')
        with self.mount(settings) as mount:
            self.assertEqual(mount.files(), [f'all/{i:03}.txt' for i in range(12)])
            with tarfile.open(self.home / 'new.tar', 'w') as tar:
                info = tarfile.TarInfo('new.txt')
                info.size = 1
                tar.addfile(info, io.BytesIO(b'n'))
            os.rename(self.home / 'new.tar', self.root / 's-005.tar')
            harness.corpusfs('index', settings, check=0)
            want = sorted([f'all/{i:03}.txt' for i in range(12) if i != 5] + ['all/new.txt'])
            harness.wait_until('the new shard', lambda: mount.files() == want)
            self.assertEqual((mount.path / 'all/new.txt').read_bytes(), b'n')
            self.assertEqual((mount.path / 'all/011.txt').read_bytes(), b'011')
        self.assertIn('s-{000..011}', text)

    def test_emotiontalk(self):
        """Clips in one tar, what is said and felt in JSON members of another, sound in a third."""
        video = (self.made / 'files/d/one.mp4').read_bytes()
        sound = self.home / 'sound.wav'
        clips.ffmpeg(*clips.sound(1), sound)

        def tar(name, members):
            with tarfile.open(self.root / name, 'w') as out:
                for member, data in members.items():
                    info = tarfile.TarInfo(member)
                    info.size = len(data)
                    out.addfile(info, io.BytesIO(data))
        names = {'G00003_11_13_001': ('happy', '\u4f60\u597d'), 'G00003_11_13_002': ('sad', 'a, "b"')}
        folder = 'G00003/G00003_11/G00003_11_13'
        tar('Multimodal.tar', {f'Multimodal/mp4/{folder}/{n}.mp4': video for n in names})
        tar('Audio.tar', {f'Audio/wav/{folder}/{n}.wav': sound.read_bytes() for n in names})
        tar('Text.tar', {f'Text/json/{folder}/{n}.json':
                         json.dumps({'emotion_result': e, 'content': t, 'data': [{'emotion': 'x'}]}).encode()
                         for n, (e, t) in names.items()})
        views = {'img/{emotion}/{clip}/{frame:06d}.jpg': 'frames: {}', 'mp3/{emotion}/{clip}.mp3': 'audio: {}',
                 'text/{emotion}/{clip}.txt': 'text: "{content}"', 'data/{path}': 'files: "Audio/**/*.wav"'}
        more = ('tables:\n  - file: "Text/json/**/*.json"\n    key: clip\n'
                "    path: '(?<clip>[^/]+)[.]json$'\n    columns: { emotion: emotion_result, content: content }\n")
        source = ('- { archives: "{Audio,Text,Video,Multimodal}.tar", videos: "Multimodal/mp4/**/*.mp4", '
                  "match: '(?<clip>[^/]+)[.]mp4$' }")
        settings = self.config(self.root, views, source=source, more=more)
        for jobs in [2, 0]:  # the tables are kept as well
            with self.mount(settings) as mount:
                for name, (emotion, text) in names.items():
                    self.assertEqual(len(os.listdir(mount.path / f'img/{emotion}/{name}')), 25)
                    self.assertEqual((mount.path / f'text/{emotion}/{name}.txt').read_text(encoding='utf-8'), text)
                    self.assertGreater((mount.path / f'mp3/{emotion}/{name}.mp3').stat().st_size, 5000)
                    self.assertEqual((mount.path / f'data/Audio/wav/{folder}/{name}.wav').read_bytes(),
                                     sound.read_bytes())
                self.assertEqual(mount.stats()['jobs_index'], jobs)

    def test_webdataset(self):
        """Samples of shards: the fields of a sample's clip are those of the members with its key."""
        video = (self.made / 'files/d/one.mp4').read_bytes()
        for shard in range(2):
            with tarfile.open(self.root / f'train-{shard:06}.tar', 'w') as out:
                for i in range(3):
                    key = f'a.b/{shard}{i}'
                    for field, data in {'mp4': video, 'cls': str(i % 2).encode(), 'txt': f'caption {i}'.encode(),
                                        'json': json.dumps({'lang': 'en' if i else 'de'}).encode()}.items():
                        info = tarfile.TarInfo(f'{key}.x.{field}' if field == 'json' else f'{key}.{field}')
                        info.size = len(data)
                        out.addfile(info, io.BytesIO(data))
        more = ('tables:\n'
                "  - { lines: '**/*.cls', match: '^(?<class>[0-9]+)', path: '(?<clip>[^/.]+)[.][^/]*$', key: clip }\n"
                "  - { lines: '**/*.txt', match: '^(?<caption>.*)$', path: '(?<clip>[^/.]+)[.][^/]*$', key: clip }\n"
                "  - { file: '**/*.json', columns: { lang: lang }, path: '(?<clip>[^/.]+)[.][^/]*$', key: clip }\n")
        source = ('- { archives: "train-{000000..000001}.tar", videos: "**/*.mp4", '
                  "match: '(?<clip>[^/.]+)[.][^/]*$' }")
        views = {'img/{class}/{clip}/{frame:06d}.jpg': 'frames: {}', 'about/{lang}/{clip}': 'text: "{caption}"'}
        with self.mount(self.config(self.root, views, source=source, more=more)) as mount:
            self.assertEqual({d: sorted(os.listdir(mount.path / 'img' / d)) for d in os.listdir(mount.path / 'img')},
                             {'0': ['00', '02', '10', '12'], '1': ['01', '11']})
            self.assertEqual((mount.path / 'about/en/12').read_text(encoding='ascii'), 'caption 2')
            self.assertEqual(sorted(os.listdir(mount.path / 'about/de')), ['00', '10'])

    def test_clashes(self):
        """Of two archives' files of one name none is shown; frames and clips' files stay."""
        for name in ['a.tar', 'b.tar']:
            with tarfile.open(self.root / name, 'w') as tar:
                for member in ['same', name, 'one/000001.png']:
                    info = tarfile.TarInfo(member)
                    info.size = 1
                    tar.addfile(info, io.BytesIO(b'x'))
        run('tar', '-C', self.made / 'files/d', '-cf', self.root / 'c.tar', 'one.mp4')
        settings = self.config(self.root, {'{clip}/{frame:06d}.png': 'frames: {}', '{path}': 'files:'},
                               source='- { archives: "*.tar", videos: "*.mp4" }')
        said = harness.corpusfs('check', settings, check=1).stdout
        self.assertIn('is given by two files of the corpus: left out (and', said)
        with self.mount(settings) as mount:
            top = collections.Counter(os.listdir(mount.path))
            self.assertEqual(sorted(top), ['a.tar', 'b.tar', 'one', 'one.mp4'])
            self.assertEqual((mount.path / 'one/000001.png').read_bytes()[1:4], b'PNG')


harness.main()
