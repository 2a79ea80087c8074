#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A thousand shards as one corpus."""
import io
import os
import statistics
import sys
import tarfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness

N, FEW = 1000, 20
SOURCE = '- archives: "s-*.tar"'
VIEWS = {'all/{path}': 'files: "*.txt"'}


class Shards(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        self.root.mkdir()

    def write(self, folder, numbers):
        folder.mkdir(exist_ok=True)
        for i in numbers:
            with tarfile.open(self.home / 'new', 'w') as tar:
                for part in 'ab':
                    info = tarfile.TarInfo(f'{i:04}{part}.txt')
                    info.size = 6
                    tar.addfile(info, io.BytesIO(self.content(i, part)))
            os.rename(self.home / 'new', folder / f's-{i:04}.tar')

    @staticmethod
    def content(i, part):
        return f'{i:04}{part}\n'.encode()

    def read(self, mount, i, part):
        """Its bytes, and how long they took."""
        begin = time.perf_counter()
        data = (mount.path / f'all/{i:04}{part}.txt').read_bytes()
        took = time.perf_counter() - begin
        self.assertEqual(data, self.content(i, part))
        return took

    def most_descriptors(self, mount, work):
        """How many archives the daemon had open at most, while work() ran."""
        most, done = [0], threading.Event()

        def look():
            folder = Path(f'/proc/{mount.daemon.pid}/fd')
            while not done.is_set():
                open_now = 0
                for fd in os.listdir(folder):
                    try:
                        open_now += os.readlink(folder / fd).startswith(str(self.root) + '/')
                    except OSError:
                        pass
                most[0] = max(most[0], open_now)
        thread = threading.Thread(target=look)
        thread.start()
        try:
            work()
        finally:
            done.set()
            thread.join()
        return most[0]

    def test_thousand(self):
        """One index, bounded descriptors, a look-up that does not grow, and shards that come while it is mounted."""
        few = self.home / 'few'
        self.write(few, range(FEW))
        other = self.home / 'other'
        with self.mount(self.config(few, VIEWS, source=SOURCE, cache=other, name='few.yaml'), cache=other) as mount:
            among_few = statistics.median(self.read(mount, i, 'a') for i in self.shuffled(range(FEW)))
        self.write(self.root, range(N))
        settings = self.config(self.root, VIEWS, source=SOURCE)
        with self.mount(settings) as mount:
            self.assertEqual(len(os.listdir(mount.path / 'all')), 2 * N)
            took = []
            open_now = self.most_descriptors(
                mount, lambda: took.extend(self.read(mount, i, 'a') for i in self.shuffled(range(N))))
            self.assertLessEqual(open_now, 80)
            self.assertGreater(open_now, 0)
            # A look through all shards would take fifty times as long.
            self.assertLess(statistics.median(took), 10 * among_few)
            self.assertEqual(mount.stats()['jobs_list'], N)
            self.assertEqual([p.name for p in self.cache.rglob('*.sqlite')], ['index.sqlite'])

            self.write(self.root, range(N, N + 5))
            os.unlink(self.root / 's-0007.tar')
            harness.corpusfs('index', settings, check=0)
            want = sorted(f'{i:04}{part}.txt' for i in range(N + 5) if i != 7 for part in 'ab')
            harness.wait_until('the new shards', lambda: sorted(os.listdir(mount.path / 'all')) == want)
            for i in [N, N + 4, 8]:
                self.read(mount, i, 'b')
            self.assertLessEqual(mount.stats()['jobs_list'], N + 5)
        with self.mount(settings) as mount:
            self.read(mount, N + 2, 'a')
            self.assertEqual(mount.stats()['jobs_list'], 0)


harness.main()
