#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""From mount to unmount: nothing stays behind, and a killed worker costs little."""
import contextlib
import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness

VIEWS = {
    'img/{class}/{clip}/{frame:06d}.jpg': 'frames: {}',
    'png/{class}/{clip}/{frame:06d}.png': 'frames: {}',
    'mp3/{class}/{clip}.mp3': 'audio: {}',
    'srt/{class}/{clip}.srt': 'subtitles: [sidecar, embedded]',
}


class Lifecycle(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = clips.make(clips.SMALL, 'small')
        self.settings = self.config(self.root, VIEWS)

    def read_some(self, mount, count=20):
        for path in self.random.sample(mount.files(), count):
            (mount.path / path).read_bytes()

    # Mount.close() asks after the exit code, processes, temporary files and log of each of these.

    def test_fusermount(self):
        with self.mount(self.settings) as mount:
            self.read_some(mount)

    def test_unused(self):
        with self.mount(self.settings):
            pass

    def test_unmount_command(self):
        with self.mount(self.settings) as mount:
            self.read_some(mount)
            mount.close(unmount=lambda: harness.corpusfs('unmount', mount.path, check=0))
            self.assertFalse(harness.is_mounted(mount.path))
            self.assertEqual(os.listdir(mount.path), [])
        done = harness.corpusfs('unmount', mount.path, check=1)
        self.assertIn(str(mount.path), done.stdout)

    def test_signal_to_a_thread(self):
        """A signal that another thread than the main one takes ends the mount, too."""
        with self.mount(self.settings) as mount:
            pid, blocked = mount.daemon.pid, 1 << (signal.SIGTERM - 1)
            threads = [int(t) for t in os.listdir(f'/proc/{pid}/task') if int(t) != pid]
            takers = [t for t in threads if not int(re.search(r'SigBlk:\s*(\w+)', Path(f'/proc/{t}/status').read_text(
                encoding='ascii')).group(1), 16) & blocked]
            mount.close(unmount=lambda: os.kill(self.random.choice(takers), signal.SIGTERM))

    def test_signals(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(signal=number.name), self.mount(self.settings) as mount:
                self.read_some(mount)
                mount.close(unmount=lambda mount=mount, number=number: mount.daemon.send_signal(number))
                self.assertFalse(harness.is_mounted(mount.path))

    def test_ended_under_reads(self):
        """SIGTERM while eight programs read: each read gives right bytes or fails, and nothing stays behind."""
        with self.mount(self.settings) as mount:
            paths = mount.files('img') + mount.files('mp3')
            started, stop = threading.Semaphore(0), threading.Event()

            def read(i):
                for path in self.shuffled(paths):
                    if stop.is_set():
                        return
                    try:
                        data = (mount.path / path).read_bytes()
                    except OSError:
                        stop.set()  # the end has come
                        return
                    if path.endswith('.jpg'):
                        self.assertEqual((data[:2], data[-2:]), (b'\xff\xd8', b'\xff\xd9'), path)
                    started.release()
            readers = threading.Thread(target=harness.in_threads, args=(8, read))
            readers.start()
            for _ in range(10):
                started.acquire(timeout=harness.PATIENCE)

            def terminate():
                mount.daemon.send_signal(signal.SIGTERM)
                harness.wait_until('the end', lambda: mount.daemon.poll() is not None or not harness.is_mounted(mount.path))
                stop.set()
            mount.close(unmount=terminate)
            stop.set()
            readers.join()

    def test_ended_while_names_are_told(self):
        """SIGTERM while a rescan waits for a lookup to be answered, to forget a name beside it, and others queue."""
        root = self.home / 'root'
        root.mkdir()
        names = [f'{i:03d}' for i in range(100)]
        for name in names:
            (root / f'{name}.webm').write_bytes(b'no video')
        settings = self.config(root, {'d/{clip}.mp3': 'audio: {}', 'd/{clip}.txt': 'text: "x"', 'e/{clip}': 'text: "x"'},
                               source='- { videos: "*.webm", match: "(?<clip>[^/.]+)[.]" }', more='workers: 2\n')
        with self.mount(settings, allowed=['.']) as mount, contextlib.ExitStack() as ended:
            for worker in harness.wait_until('the workers', lambda: len(mount.workers()) == 2 and mount.workers()):
                os.kill(worker, signal.SIGSTOP)

            def look(name):
                readers.append(subprocess.Popen(['stat', mount.path / 'd' / name], stdout=subprocess.DEVNULL,
                                                stderr=subprocess.DEVNULL))
                ended.callback(readers[-1].wait)
                time.sleep(0.1)
                return readers[-1].poll() is None
            readers = []
            harness.wait_until('a lookup that waits', lambda: look('000.mp3'))
            for name in names[1:]:
                os.unlink(root / f'{name}.webm')
            (root / 'new.webm').write_bytes(b'no video')
            harness.corpusfs('index', settings, check=1)  # no video of them can be read
            harness.wait_until('the new tree', (mount.path / 'e/new').exists)
            harness.wait_until('one behind it', lambda: look('none'))
            for i in range(10):
                look(f'none{i}')
            mount.close(unmount=lambda: mount.daemon.send_signal(signal.SIGTERM))

    def test_busy(self):
        """A mount in use is not unmounted, is called busy, and works on."""
        with self.mount(self.settings) as mount:
            path = mount.path / mount.files('img')[0]
            with open(path, 'rb') as file:
                done = harness.corpusfs('unmount', mount.path, check=1)
                self.assertIn('busy', done.stdout.lower())
                self.assertIn(str(mount.path), done.stdout)
                self.assertTrue(harness.is_mounted(mount.path))
                self.assertEqual(len(file.read()), path.stat().st_size)

    def test_log_to_stderr_in_front(self):
        """-f: the log is on standard error, each line begins with the program's name."""
        root = self.home / 'root'
        (root / 'a').mkdir(parents=True)
        (root / 'a/bad.mp4').write_bytes(b'no video')
        with self.mount(self.config(root, VIEWS), allowed=['a/bad.mp4']) as mount:
            with self.assertRaises(OSError):
                os.listdir(mount.path / 'img/a/bad.mp4')
            self.assertRegex(mount.log(), r'(?m)^corpusfs: .*a/bad\.mp4')
            for line in mount.log().splitlines():
                self.assertTrue(line.startswith('corpusfs: '), line)


class Background(harness.Case):
    """Without -f the command returns when the mount is ready, and holds on to nothing of its caller."""

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        (self.root / 'a').mkdir(parents=True)
        shutil.copy(clips.make(clips.SMALL, 'small') / 'Joy/first.mp4', self.root / 'a')
        (self.root / 'a/bad.mp4').write_bytes(b'no video')
        self.point = self.home / 'mnt'
        self.point.mkdir()
        self.addCleanup(self.end)

    def end(self):
        """Whatever the test left."""
        if harness.is_mounted(self.point):
            subprocess.run(['fusermount3', '-u', '-z', self.point], check=False)
        for pid in self.daemons():
            os.kill(pid, signal.SIGKILL)

    @staticmethod
    def daemons():
        family, everyone = harness.descendants(os.getpid()), harness.processes()  # some may start or end between these
        return [p for p in family if p in everyone and everyone[p][2].startswith('corpusfs') and everyone[p][1] != 'Z']

    def test_ready_when_it_returns(self):
        settings, log = self.config(self.root, VIEWS), self.home / 'log'
        before = os.getcwd()
        done = harness.corpusfs('mount', '--log', log, settings, self.point, check=0)  # hangs if our pipe is kept
        self.assertEqual(done.stdout, '')
        self.assertTrue(harness.is_mounted(self.point))
        self.assertEqual(len(os.listdir(self.point / 'img/a/first.mp4')), 50)
        self.assertTrue((self.point / 'img/a/first.mp4/000001.jpg').read_bytes())
        with self.assertRaises(OSError):
            os.listdir(self.point / 'img/a/bad.mp4')
        self.assertRegex(log.read_text(encoding='utf-8'), r'corpusfs: .*a/bad\.mp4')
        pids = self.daemons()
        self.assertTrue(pids)
        for pid in pids:
            self.assertNotEqual(os.getsid(pid), os.getsid(0), 'no session of its own')
            self.assertNotEqual(os.readlink(f'/proc/{pid}/cwd'), before, 'keeps the directory it was started in busy')
        harness.corpusfs('unmount', self.point, check=0)
        self.assertFalse(harness.is_mounted(self.point))
        harness.wait_until('all processes to end', lambda: not self.daemons(), patience=10)
        self.assertEqual(list((self.cache / 'tmp').glob('*')), [])

    def test_ready_with_archives(self):
        """The worker that lists archives, before the mount is ready, keeps no pipe of the command either."""
        root = self.home / 'shards'
        root.mkdir()
        with tarfile.open(root / 'one.tar', 'w') as tar:
            tar.add(self.root / 'a/first.mp4', 'first.mp4')
        settings = self.config(root, {'raw/{path}': 'files:'}, source='- archives: "*.tar"')
        harness.corpusfs('mount', settings, self.point, check=0)  # hangs if our pipe is kept
        self.assertTrue(self.daemons()[1:], 'no worker is left')
        self.assertEqual((self.point / 'raw/first.mp4').read_bytes(), (self.root / 'a/first.mp4').read_bytes())
        harness.corpusfs('unmount', self.point, check=0)

    def test_relative_paths(self):
        """Paths on the command line and in the configuration keep their meaning in the background."""
        settings = self.config('root', VIEWS, cache='cache')
        done = subprocess.run([harness.CORPUSFS, 'mount', settings.name, 'mnt'], cwd=self.home, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=harness.PATIENCE, env=harness.environment())
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertTrue((self.point / 'img/a/first.mp4/000001.jpg').read_bytes())
        self.assertTrue(self.cache.is_dir())
        harness.corpusfs('unmount', self.point, check=0)

    def test_what_cannot_be_mounted(self):
        """One line that names what is wrong, exit code 1, and nothing is mounted; wrong usage is 2."""
        settings = self.config(self.root, VIEWS)
        (self.home / 'file').write_bytes(b'')
        full = self.home / 'full'
        for point, words in ((self.home / 'nothing', 'nothing'), (self.home / 'file', 'file')):
            done = harness.corpusfs('mount', settings, point, check=1)
            self.assertRegex(done.stdout, f'{words}.*: .+')
            self.assertFalse(harness.is_mounted(point))
        done = harness.corpusfs('mount', self.home / 'missing.yaml', self.point, check=1)
        self.assertIn('missing.yaml', done.stdout)
        (self.home / 'bad.yaml').write_text('root: [', encoding='ascii')
        done = harness.corpusfs('mount', self.home / 'bad.yaml', self.point, check=1)
        self.assertRegex(done.stdout, r'bad\.yaml:\d+:\d+: ')
        full.write_bytes(b'')
        done = harness.corpusfs('mount', self.config(self.root, VIEWS, cache=full / 'cache'), self.point, check=1)
        self.assertIn(str(full), done.stdout)
        self.assertFalse(harness.is_mounted(self.point))
        for wrong in (['mount'], ['mount', settings], ['mount', '--nonsense', settings, self.point], ['nonsense'], []):
            done = harness.corpusfs(*wrong, check=2)
            self.assertTrue(done.stdout)
        self.assertEqual(self.daemons(), [])

    def test_fuse_options(self):
        """-o reaches the mount; ro is always on."""
        harness.corpusfs('mount', '-o', 'fsname=mycorpus', self.config(self.root, VIEWS), self.point, check=0)
        table = Path('/proc/self/mountinfo').read_text(encoding='utf-8')
        line = next(line for line in table.splitlines() if f' {self.point} ' in line)
        self.assertRegex(line, r' - fuse\.corpusfs mycorpus ')
        self.assertRegex(line, r' ro[, ]')
        harness.corpusfs('unmount', self.point, check=0)


class Workers(harness.Case):

    def setUp(self):
        super().setUp()
        self.settings = self.config(clips.make(clips.SMALL, 'small'), VIEWS)

    def test_killed_under_reads(self):
        """Workers die again and again while four programs read: a read gets its bytes or EIO, and then all is well."""
        with self.mount(self.settings, allowed=['.']) as mount:
            paths = mount.files('img') + mount.files('png') + mount.files('mp3')
            first, failed, finished = {}, [], threading.Event()

            def kill():
                while not finished.wait(0.05):
                    for pid in mount.workers()[:1]:
                        mount.family.add(pid)
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)

            def read(i):
                for path in self.shuffled(paths)[i::4]:
                    try:
                        first[path] = (mount.path / path).read_bytes()
                    except OSError as error:
                        self.assertEqual(error.errno, errno.EIO)
                        failed.append(path)
            killer = threading.Thread(target=kill)
            killer.start()
            try:
                harness.in_threads(4, read)
            finally:
                finished.set()
                killer.join()
            stats = mount.stats()
            sys.stderr.write(f'{len(failed)} of {len(failed) + len(first)} reads failed; {stats}\n')
            self.assertGreater(stats['worker_restarts'], 0)
            self.assertTrue(first)
            for path in paths:
                data = (mount.path / path).read_bytes()
                self.assertEqual(data, first.get(path, data), path)
            self.assertFalse(re.findall('^corpusfs: .*panic', mount.log(), re.MULTILINE))
        shutil.rmtree(self.cache)
        with self.mount(self.settings) as mount:
            for path, data in first.items():
                self.assertEqual((mount.path / path).read_bytes(), data, path)

    def test_killed_when_idle(self):
        """A worker that dies with nothing to do costs nobody anything."""
        with self.mount(self.settings, allowed=['worker']) as mount:
            paths = mount.files('img')
            (mount.path / paths[0]).read_bytes()
            for pid in mount.workers():
                mount.family.add(pid)
                os.kill(pid, signal.SIGKILL)
            for path in self.random.sample(paths, 20):
                self.assertTrue((mount.path / path).read_bytes())

    def test_locked_in(self):
        """A worker has no new privileges, a seccomp filter, limits, and none of the daemon's descriptors."""
        with self.mount(self.settings) as mount:
            (mount.path / mount.files('img')[0]).read_bytes()
            workers = mount.workers()
            self.assertTrue(workers)
            for pid in workers:
                status = Path(f'/proc/{pid}/status').read_text(encoding='ascii')
                self.assertRegex(status, r'NoNewPrivs:\s+1')
                self.assertRegex(status, r'Seccomp:\s+2')
                links = [os.readlink(f'/proc/{pid}/fd/{fd}') for fd in os.listdir(f'/proc/{pid}/fd')]
                self.assertFalse([link for link in links if 'fuse' in link or 'sqlite' in link], links)


if __name__ == '__main__':
    harness.main()
