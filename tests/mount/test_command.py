#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Files that a program of the user makes: run once, within bounds, outside of nobody's reach, and never half."""
import contextlib
import errno
import hashlib
import os
import signal
import subprocess
import sys
import tarfile
import textwrap
import time
from pathlib import Path

import numpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness

# Each has bytes of its own: those that are equal, and were made at the same time, would be one to the cache.
CORPUS = {f'{name}.mp4': [*clips.picture(size='64x48', seconds=seconds), *clips.X264, *clips.YUV,
                          '-metadata', f'title={name}']
          for name, seconds in (('a/one', 1), ('a/two', 2), ('b/three', 1), ('b/four', 1), ('b/five', 1))}
CLIPS = sorted(name.removesuffix('.mp4') for name in CORPUS)
# Notes that it runs, then goes on with what a test wants of it. NumPy takes long to load; test_parts uses it.
HEAD = '''
import hashlib, os, struct, sys, time
name = os.path.basename(os.path.dirname(sys.argv[1])) + '-' + os.path.basename(sys.argv[1])
with open('runs', 'a') as runs:
    runs.write(f'{name} {os.getpid()}\\n')

def save(values, kind='<i8'):
    data = bytes(values) if kind == '|u1' else struct.pack(f'<{len(values)}q', *values)
    head = ("{'descr': '%s', 'fortran_order': False, 'shape': (%d,), }" % (kind, len(values))).ljust(117) + '\\n'
    with open(sys.argv[2], 'wb') as file:
        file.write(b'\\x93NUMPY\\x01\\x00' + struct.pack('<H', 118) + head.encode() + data)
'''
HASH = 'save(hashlib.sha512(open(sys.argv[1], "rb").read()).digest(), "|u1")'
FRAMES = '''
save([sum(open(os.path.join(sys.argv[1], n), 'rb').read()) for n in sorted(os.listdir(sys.argv[1]))])
'''
PYTHON = sys.executable
SOURCE = f'["{PYTHON}", "extract.py", "{{input}}", "{{output}}"]'
PATH = 'f/{class}-{clip}.npy'


def hash_of(path):
    return hashlib.sha512(path.read_bytes()).digest()


class Case(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = clips.make(CORPUS, 'command')

    def script(self, body, name='extract.py'):
        (self.home / name).write_text(HEAD + textwrap.dedent(body), encoding='ascii')

    def runs(self):
        """Names of what was run, and the process."""
        with contextlib.suppress(FileNotFoundError):
            return [line.split() for line in (self.home / 'runs').read_text(encoding='ascii').splitlines()]
        return []

    def views(self, command=SOURCE, path=PATH, **more):
        more.setdefault('source', '- videos: "**/*.mp4"\n    match: \'(?<class>[^/]+)/(?<clip>[^/]+)\\.mp4$\'')
        return self.config(self.root, {path: f'command: {command}', 'img/{class}/{clip}/{frame:06d}.ppm': 'frames: {}'},
                           **more)

    def assert_fails(self, path):
        for attempt in (lambda: path.stat(), lambda: path.read_bytes()):
            with self.assertRaises(OSError) as caught:
                attempt()
            self.assertEqual(caught.exception.errno, errno.EIO)

    def wait_for_run(self, n=1):
        harness.wait_until('the program', lambda: len(self.runs()) >= n)
        return int(self.runs()[n - 1][1])

    def assert_ends(self, pid):
        harness.wait_until('the program to end', lambda: not os.path.exists(f'/proc/{pid}') or
                           harness.processes().get(pid, (0, 'Z'))[1] == 'Z', patience=10)


class Made(Case):

    def test_of_sources(self):
        """Listing runs nothing; each is run once, has its size at once and for good, and is kept."""
        self.script(HASH)
        config = self.views()
        with self.mount(config) as mount:
            names = os.listdir(mount.path / 'f')
            self.assertEqual(sorted(names), sorted(c.replace('/', '-') + '.npy' for c in CLIPS))
            self.assertEqual(self.runs(), [])
            for clip in self.shuffled(CLIPS):
                path = mount.path / f'f/{clip.replace("/", "-")}.npy'
                size = path.stat().st_size
                array = numpy.load(path, mmap_mode='r')
                self.assertEqual(bytes(array), hash_of(self.root / f'{clip}.mp4'))
                del array
                self.assertEqual((size, len(path.read_bytes())), (128 + 64, 128 + 64))
            self.assertEqual(mount.stats()['jobs_command'], len(CLIPS))
        with self.mount(config) as mount:
            for clip in self.shuffled(CLIPS):
                path = mount.path / f'f/{clip.replace("/", "-")}.npy'
                self.assertEqual(path.stat().st_size, 128 + 64)
                self.assertEqual(bytes(numpy.load(path)), hash_of(self.root / f'{clip}.mp4'))
            self.assertEqual(mount.stats()['jobs_command'], 0)
        self.assertEqual(len(self.runs()), len(CLIPS))

    def test_of_frames(self):
        """A program reads the mount that waits for it, with one worker; as many at once as are allowed."""
        self.script(FRAMES)
        config = self.views('{ run: ' + SOURCE + ', input: "img/{class}/{clip}", at_once: 2 }', more='workers: 1\n')
        with self.mount(config) as mount:
            def read(i):
                clip = CLIPS[i % len(CLIPS)]
                array = numpy.load(mount.path / f'f/{clip.replace("/", "-")}.npy')
                frames = sorted((mount.path / 'img' / clip).iterdir())
                self.assertEqual(array.tolist(), [int(numpy.frombuffer(f.read_bytes(), numpy.uint8).sum()) for f in frames])
            harness.in_threads(3 * len(CLIPS), read)
            self.assertEqual(mount.stats()['jobs_command'], len(CLIPS))

    def test_once_and_bounded(self):
        """64 readers of one file are one run, and no more run at once than may."""
        self.script('''
            mine = f'running-{os.getpid()}'
            open(mine, 'w').close()
            now = sum(f.startswith('running-') for f in os.listdir('.'))
            time.sleep(0.2)
            os.remove(mine)
            save([now])
        ''')
        for at_once in (1, 2):
            config = self.views(f'{{ run: {SOURCE}, at_once: {at_once} }}', cache=self.home / f'cache{at_once}')
            (self.home / 'runs').unlink(missing_ok=True)
            with self.mount(config, cache=self.home / f'cache{at_once}') as mount:
                paths = sorted((mount.path / 'f').iterdir())
                harness.in_threads(64, lambda i: paths[0].read_bytes())
                self.assertEqual(len(self.runs()), 1)
                harness.in_threads(len(paths), lambda i: paths[i].read_bytes())
                self.assertEqual(len(self.runs()), len(paths))
                self.assertLessEqual(max(int(numpy.load(p)[0]) for p in paths), at_once)

    def test_arguments(self):
        """Fields, the folder it runs in, its environment, stdin and descriptors; a file that is no array."""
        (self.home / 'say').write_text('''#!/bin/sh
            { pwd; echo "$2 $3"; echo "$GREETING"; readlink /proc/self/fd/0; ls /proc/$$/fd; } > "$1"
        ''', encoding='ascii')
        (self.home / 'say').chmod(0o755)
        config = self.views('["./say", "{output}", "{class}/{clip}", "{path}"]', path='f/{class}-{clip}.txt')
        with self.mount(config, GREETING='good morning') as mount:
            lines = (mount.path / 'f/a-one.txt').read_text(encoding='ascii').splitlines()
        # 10 and above are the shell's own.
        self.assertEqual([line for line in lines if not (line.isdigit() and int(line) > 9)],
                         [str(self.home), 'a/one a/one.mp4', 'good morning', '/dev/null', '0', '1', '2'])

    def test_anew(self):
        """Another script, or another source, gives another file; what was evicted comes back as it was, or not at all."""
        self.script(HASH)
        root = self.home / 'root'
        subprocess.run(['cp', '-r', str(self.root), str(root)], check=True)
        self.root = root
        config = self.views()
        with self.mount(config) as mount:
            path = mount.path / 'f/a-one.npy'
            first = path.read_bytes()
            (root / 'a/two.mp4').rename(root / 'a/one.mp4')
            harness.wait_until('the change', lambda: path.read_bytes() != first)
            self.assertEqual(bytes(numpy.load(path)), hash_of(root / 'a/one.mp4'))
        self.script(HASH + '\n# changed')
        runs = len(self.runs())
        with self.mount(config) as mount:
            first = (mount.path / 'f/a-one.npy').read_bytes()
        self.assertEqual(len(self.runs()), runs + 1)
        for file in (self.cache / 'segments').glob('*/*'):
            file.unlink()
        with self.mount(config) as mount:
            self.assertEqual((mount.path / 'f/a-one.npy').stat().st_size, len(first))
            self.assertEqual(len(self.runs()), runs + 1)
            self.assertEqual((mount.path / 'f/a-one.npy').read_bytes(), first)
        self.assertEqual(len(self.runs()), runs + 2)

    def test_not_the_same_again(self):
        self.script('save(os.urandom(40), "|u1")')
        config = self.views()
        with self.mount(config) as mount:
            size = (mount.path / 'f/a-one.npy').stat().st_size
        for file in (self.cache / 'segments').glob('*/*'):
            file.unlink()
        with self.mount(config, allowed=[r'a/one.mp4: what \S+ wrote is not what it wrote the first time']) as mount:
            self.assertEqual((mount.path / 'f/a-one.npy').stat().st_size, size)
            with self.assertRaises(OSError) as caught:
                (mount.path / 'f/a-one.npy').read_bytes()
            self.assertEqual(caught.exception.errno, errno.EIO)
            self.assertTrue(mount.errors())
        harness.corpusfs('cache', 'clear', config, check=0)
        with self.mount(config) as mount:
            numpy.load(mount.path / 'f/a-one.npy')


class Clips(Case):

    def test_in_archives(self):
        """The program gets a file, with the name that it has there."""
        self.script('assert os.path.basename(sys.argv[1]) == sys.argv[3]\n' + HASH)
        root = self.home / 'root'
        root.mkdir()
        with tarfile.open(root / 'plain.tar', 'w') as plain, tarfile.open(root / 'packed.tar.gz', 'w:gz') as packed:
            plain.add(self.root / 'a/one.mp4', 'x/one.mp4')
            packed.add(self.root / 'a/two.mp4', 'x/two.mp4')
        self.root = root
        config = self.views(SOURCE[:-1] + ', "{clip}.mp4"]', path='f/{clip}.npy',
                            source="""- archives: "*.{tar,tar.gz}"
    videos: "**/*.mp4"
    match: '(?<class>[^/]+)/(?<clip>[^/]+)\\.mp4$'""")
        made = clips.make(CORPUS, 'command')
        with self.mount(config) as mount:
            for name in self.shuffled(['one', 'two']):
                self.assertEqual(bytes(numpy.load(mount.path / f'f/{name}.npy')), hash_of(made / f'a/{name}.mp4'))

    def test_parts(self):
        """Of a part of a video it gets the part's frames, or the video and where the part is."""
        (self.home / 'frames.py').write_text(HEAD + FRAMES, encoding='ascii')
        self.script('import numpy\nnumpy.save(sys.argv[2], numpy.array([float(x) for x in sys.argv[3:]]))')
        root = self.home / 'root'
        root.mkdir()
        (root / 'two.mp4').write_bytes((self.root / 'a/two.mp4').read_bytes())
        (root / 'cuts.csv').write_text('video,from,to,clip\ntwo,0.4,1.2,p\ntwo,1.2,1.6,q\n', encoding='ascii')
        text = f'''
root: "{root}"
sources: [{{ videos: "*.mp4", match: '^(?<video>.*)\\.mp4$' }}]
tables: [{{ file: cuts.csv, key: video, cut: {{ start: from, end: to }} }}]
views:
  - path: "img/{{clip}}/{{frame:03d}}.ppm"
    frames: {{}}
  - path: "where/{{clip}}.npy"
    command: ["{PYTHON}", "extract.py", "{{input}}", "{{output}}", "{{start}}", "{{end}}"]
  - path: "sums/{{clip}}.npy"
    command: {{ run: ["{PYTHON}", "frames.py", "{{input}}", "{{output}}"], input: "img/{{clip}}" }}
cache: {{ dir: "{self.cache}", size: 1GiB }}
'''
        config = self.home / 'corpus.yaml'
        config.write_text(text, encoding='ascii')
        with self.mount(config) as mount:
            for clip, start, end, n in (('p', 0.4, 1.2, 20), ('q', 1.2, 1.6, 10)):
                self.assertEqual(numpy.load(mount.path / f'where/{clip}.npy').tolist(), [start, end])
                frames = sorted((mount.path / 'img' / clip).iterdir())
                self.assertEqual(numpy.load(mount.path / f'sums/{clip}.npy').tolist(),
                                 [int(numpy.frombuffer(f.read_bytes(), numpy.uint8).sum()) for f in frames])
                self.assertEqual(len(frames), n)
        config.write_text(text.replace(', "{start}", "{end}"', ''), encoding='ascii')
        said = harness.corpusfs('check', config, check=1).stdout
        self.assertIn(':8:5: clips are parts of videos here, and the command would get the whole video', said)


class Failures(Case):

    def test_kinds(self):
        """Each gives EIO with a reason, once, also after a remount; the others' files are made."""
        self.script(f'''
            case = name.removesuffix('.mp4')
            if case == 'a-one':
                sys.stderr.write('no weights\\nTraceback: no such model\\n')
                sys.exit(3)
            if case == 'a-two':
                open(sys.argv[2], 'wb').write(b'\\x93NUMPY\\x01\\x00 nonsense')
            if case == 'b-five':
                save(range(50000))
            if case == 'b-four':
                sys.exit(0)
            if case == 'b-three':
                {HASH}
        ''')
        config = self.views(f'{{ run: {SOURCE}, max_size: 200KiB }}')
        reasons = {'a-one': 'ended with status 3: Traceback: no such model',
                   'a-two': f'what {PYTHON} wrote has a .npy header that is cut off, or too long',
                   'b-five': 'writes a file of more than max_size, 204800 bytes',
                   'b-four': f'what {PYTHON} wrote is not there'}
        for _ in range(2):
            with self.mount(config, allowed=reasons.values()) as mount:
                for name in self.shuffled(reasons):
                    self.assert_fails(mount.path / f'f/{name}.npy')
                self.assertEqual(bytes(numpy.load(mount.path / 'f/b-three.npy')), hash_of(self.root / 'b/three.mp4'))
                for name, reason in reasons.items():
                    self.assertEqual(sum(reason in e and f'/{name.replace("-", "/")}.mp4: ' in e for e in mount.errors()), 1)
        self.assertEqual(len(self.runs()), len(CLIPS))
        # With more room another attempt is made.
        with self.mount(self.views(SOURCE), allowed=reasons.values()) as mount:
            self.assertEqual(numpy.load(mount.path / 'f/b-five.npy').shape, (50000,))

    def test_timeout(self):
        """It is ended with what it has started, also when it does not listen."""
        self.script('''
            import signal, subprocess
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            child = subprocess.Popen(['sleep', '1000'])
            with open('child', 'w') as file:
                file.write(str(child.pid))
            time.sleep(1000)
        ''')
        with self.mount(self.views(f'{{ run: {SOURCE}, timeout: 1s }}'), allowed=['timeout of 1 s']) as mount:
            self.assert_fails(mount.path / 'f/a-one.npy')
            self.assert_ends(int((self.home / 'child').read_text(encoding='ascii')))
            self.assertTrue(mount.errors())
        self.assertEqual(len(self.runs()), 1)

    def test_no_program(self):
        """It is tried again as soon as it can be run."""
        with self.mount(self.views('["./none.sh", "{input}", "{output}"]', path='f/{class}-{clip}.bin'),
                        allowed=['cannot run ./none.sh in .*: No such file']) as mount:
            path = mount.path / 'f/a-one.bin'
            self.assert_fails(path)
            (self.home / 'none.sh').write_text('#!/bin/sh\ncp "$1" "$2"\n', encoding='ascii')
            (self.home / 'none.sh').chmod(0o755)
            self.assertEqual(path.read_bytes(), (self.root / 'a/one.mp4').read_bytes())

    def test_much_is_said(self):
        """Of megabytes on stderr the end is in the log, with the file's name; on stdout likewise."""
        self.script(HASH + '''
for i in range(100000):
    sys.stderr.write(f'warning number {i} of very many of these\\n')
print('the last word')
''')
        with self.mount(self.views()) as mount:
            numpy.load(mount.path / 'f/a-one.npy')
            log = mount.log()
        self.assertLess(len(log), 32 << 10)
        self.assertRegex(log, r'/a/one\.mp4: \S+python3: warning number 99999 of')
        self.assertRegex(log, r'/a/one\.mp4: \S+python3: the last word')

    def test_strange_outputs(self):
        """A link, a folder, or a pipe in the place of the file is none."""
        self.script('''
            kind = name.removesuffix('.mp4')
            if kind == 'a-one': os.symlink(sys.argv[1], sys.argv[2])
            if kind == 'a-two': os.mkfifo(sys.argv[2])
            if kind == 'b-five': os.makedirs(sys.argv[2] + '/sub/folder')
        ''')
        with self.mount(self.views(path='f/{class}-{clip}.bin'), allowed=['is not there']) as mount:
            for name in ('a-one', 'a-two', 'b-five'):
                self.assert_fails(mount.path / f'f/{name}.bin')
            self.assertEqual(len(mount.errors()), 3)


class Ends(Case):

    SLOW = 'if os.path.exists("slow"):\n    save([0, 0, 0])\n    time.sleep(1000)\n'

    def begin(self, mount):
        """Starts a read that waits for a program: the process that reads, and the program's number."""
        reader = subprocess.Popen(['cat', str(mount.path / 'f/a-one.npy')], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        self.addCleanup(reader.wait)
        self.addCleanup(reader.kill)
        return reader, self.wait_for_run()

    def test_killed_daemon(self):
        """What was half made is made again, and nothing of it stays."""
        self.script(self.SLOW + HASH)
        (self.home / 'slow').touch()
        config = self.views()
        mount = self.mount(config)
        reader, pid = self.begin(mount)
        harness.wait_until('its file', lambda: list((self.cache / 'tmp').glob('*/output.npy')))
        mount.daemon.kill()
        self.assert_ends(pid)
        mount.kill()
        self.assertNotEqual(reader.wait(), 0)
        (self.home / 'slow').unlink()
        with self.mount(config) as mount:
            self.assertEqual(bytes(numpy.load(mount.path / 'f/a-one.npy')), hash_of(self.root / 'a/one.mp4'))
        self.assertEqual([p.name for p in (self.cache / 'tmp').iterdir()], [])

    def assert_ended_by(self, end, body, command, name):
        """The mount's end is the program's, and nothing is remembered of it."""
        (self.home / 'runs').unlink(missing_ok=True)
        (self.home / 'slow').touch()
        self.script(body)
        self.cache = self.home / f'cache-{name}'
        config = self.views(command)
        # libfuse keeps an interrupt of a request that was just answered for the next one, and forgets to free it when
        # none comes: the program is killed while it reads.
        (self.home / 'leaks').write_text('leak:libfuse3.so\n', encoding='ascii')
        mount = self.mount(config, LSAN_OPTIONS=f'suppressions={self.home}/leaks:print_suppressions=0')
        reader, pid = self.begin(mount)
        begin = time.monotonic()
        mount.close(lambda: end(mount, reader))
        self.assertLess(time.monotonic() - begin, 20 * harness.SLOWNESS)
        self.assert_ends(pid)
        self.assertNotEqual(reader.wait(), 0)
        (self.home / 'slow').unlink()
        with self.mount(config) as mount:
            self.assertGreater(numpy.load(mount.path / 'f/a-one.npy').size, 0)

    def test_unmount(self):
        def end(mount, reader):
            reader.kill()
            reader.wait()
            mount.unmount()
        self.assert_ended_by(end, self.SLOW + HASH, SOURCE, 'unmount')

    def test_signal(self):
        """Also of one that reads the mount, which goes down around it."""
        def end(mount, _reader):
            mount.daemon.send_signal(signal.SIGTERM)
        reads = 'f = open(os.path.join(sys.argv[1], "000001.ppm"), "rb")\n' \
            'while os.path.exists("slow"): os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED); os.pread(f.fileno(), 9, 0)\n'
        self.assert_ended_by(end, self.SLOW + HASH, SOURCE, 'source')
        self.assert_ended_by(end, reads + FRAMES, '{ run: ' + SOURCE + ', input: "img/{class}/{clip}" }', 'frames')


if __name__ == '__main__':
    harness.main()
