#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Single-flight: however many readers wait for a missing thing, it is made once."""
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness

VIEWS = {'img/{class}/{clip}/{frame:06d}.jpg': 'frames: {}'}
READERS = 64
GOP, SEGMENT = 64, 32  # frames; cache/media.c says how long a segment is at most
CORPUS = {f'a/{name}.mp4': [*clips.picture(size='160x120', rate=25, seconds=8), *clips.X264, *clips.YUV, '-vf',
                            f'hue=h={hue}', '-g', GOP, '-keyint_min', GOP, '-sc_threshold', 0]
          for name, hue in (('one', 0), ('two', 120), ('three', 180), ('zero', 240))}


def is_blocked(task):
    """Whether a thread waits in the kernel for a page of a file (which no other kind of waiting here does)."""
    state = Path(f'/proc/{task}/stat').read_text(encoding='utf-8').rpartition(')')[2].split()[0]
    return state == 'D'


class Flight(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = clips.make(CORPUS, 'flights')
        # One worker that stands still holds everything.
        self.settings = self.config(self.root, VIEWS, more='workers: 1\n')

    @contextlib.contextmanager
    def known(self, settings=None):
        """A mount whose clips are indexed and measured: reads cause jobs of frames only."""
        with self.mount(settings or self.settings) as mount:
            for clip in ('one.mp4', 'two.mp4'):
                self.assertEqual(len(os.listdir(mount.path / 'img/a' / clip)), 200)
                os.stat(self.frame(mount, clip, 1))
            yield mount

    @staticmethod
    def frame(mount, clip, number):
        return mount.path / f'img/a/{clip}/{number:06d}.jpg'

    def read_at_once(self, mount, paths):
        """Reads each path in a thread of its own; none gets an answer before all of them wait."""
        got, tasks = [None] * len(paths), []

        def read(i):
            tasks.append(threading.get_native_id())
            got[i] = paths[i].read_bytes()
        with mount.held():
            readers = threading.Thread(target=harness.in_threads, args=(len(paths), read))
            readers.start()
            harness.wait_until('all readers to wait', lambda: len(tasks) == len(paths) and all(
                is_blocked(f'self/task/{task}') for task in list(tasks)))
        readers.join()
        self.assertNotIn(None, got)
        return got

    def test_one_frame(self):
        """Readers of one cold frame cause one job, of that frame alone."""
        with self.known() as mount:
            got = self.read_at_once(mount, [self.frame(mount, 'one.mp4', 70)] * READERS)
            self.assertEqual(len(set(got)), 1)
            figures = mount.stats()
            self.assertEqual((figures['jobs_frames'], figures['made']), (1, 1))

    def test_one_gop(self):
        """Readers of the frames of one GOP cause the jobs of its segments, in any order; the bytes are those that
        single reads give."""
        numbers = range(GOP + 1, 2 * GOP + 1)
        with self.known() as mount:
            order = self.shuffled(numbers)
            got = dict(zip(order, self.read_at_once(mount, [self.frame(mount, 'one.mp4', n) for n in order])))
            self.assertEqual(mount.stats()['jobs_frames'], -(-GOP // SEGMENT))
        shutil.rmtree(self.cache)
        with self.known() as mount:
            for n in self.shuffled(numbers):
                self.assertEqual(self.frame(mount, 'one.mp4', n).read_bytes(), got[n], n)
        shutil.rmtree(self.cache)
        with self.known() as mount:
            for n in numbers:
                self.assertEqual(self.frame(mount, 'one.mp4', n).read_bytes(), got[n], n)

    def test_lone_frame(self):
        """A read that nobody joins is paid for by its frame: a fraction of its segment."""
        with self.known() as mount:
            for clip in ('one.mp4', 'two.mp4'):
                self.assertTrue(self.frame(mount, clip, GOP + 2).read_bytes())
            figures = mount.stats()
            self.assertEqual((figures['jobs_frames'], figures['made']), (2, 2))
            self.assertLess(figures['pictures_decoded'], SEGMENT)

    def test_joined_by_the_next(self):
        """A job that makes one frame goes on with its segment for who asks for another before it has ended."""
        with self.known() as mount:
            # The one asks first, and the other while it is made.
            self.read_at_once(mount, [self.frame(mount, 'one.mp4', n) for n in (5, 20)])
            figures = mount.stats()
            self.assertEqual(figures['jobs_frames'], 1)
            before = figures['pictures_decoded']
            self.assertTrue(self.frame(mount, 'one.mp4', 11).read_bytes())
            figures = mount.stats()
            self.assertEqual((figures['jobs_frames'], figures['pictures_decoded']), (1, before), 'all of it is kept')

    def test_a_run_is_read_ahead(self):
        """Only a run of reads, each after the other, makes what nobody asked for."""
        with self.known() as mount:
            for n in (1, 2):
                self.frame(mount, 'one.mp4', n).read_bytes()
            harness.wait_until('the next segment', lambda: mount.stats()['made'] >= 3)
            jobs = mount.stats()['jobs_frames']
            self.assertIn(jobs, (2, 3), 'the second read joins the job of the first, or comes too late for it')
            self.frame(mount, 'one.mp4', SEGMENT + 1).read_bytes()
            self.assertEqual(mount.stats()['jobs_frames'], jobs)

    def test_neighbours_are_looked_into(self):
        """Who reads a second clip finds the ones behind it indexed and measured; who reads one does not cause that."""
        with self.mount(self.config(self.root, VIEWS, more='workers: 2\n')) as mount:
            for n in (5, 150, 90):
                self.frame(mount, 'one.mp4', n).read_bytes()
            self.assertEqual(mount.stats()['jobs_index'], 1)
            self.frame(mount, 'three.mp4', 5).read_bytes()
            harness.wait_until('all but its own', lambda: mount.stats()['jobs_measure'] == len(CORPUS))
            self.assertTrue(self.frame(mount, 'zero.mp4', 7).read_bytes())
            figures = mount.stats()
            self.assertEqual((figures['jobs_index'], figures['jobs_measure']), (len(CORPUS), len(CORPUS)))

    def test_interrupted(self):
        """A reader that is interrupted leaves at once; others get the frame, by the one job that was under way."""
        with self.known() as mount:
            path = self.frame(mount, 'one.mp4', 100)
            truth = self.frame(mount, 'two.mp4', 100).read_bytes()
            with mount.held():
                readers = [subprocess.Popen(['cat', path], stdout=subprocess.PIPE) for _ in range(3)]
                self.addCleanup(lambda: [reader.kill() for reader in readers])
                for reader in readers:
                    harness.wait_until('a reader to wait', lambda r=reader: is_blocked(r.pid))
                readers[1].send_signal(signal.SIGINT)
                self.assertEqual(readers[1].wait(harness.PATIENCE), -signal.SIGINT)
                self.assertEqual([readers[0].poll(), readers[2].poll()], [None, None])
            first, _, last = [reader.communicate(timeout=harness.PATIENCE)[0] for reader in readers]
            self.assertTrue(first)
            self.assertEqual(first, last)
            self.assertNotEqual(first, truth)
            self.assertEqual(path.read_bytes(), first)
            self.assertEqual(mount.stats()['jobs_frames'], 2, 'one for each clip')

    def test_names_of_one_folder(self):
        """Names of a folder are looked up at the same time: the first does not keep the others from being asked for."""
        views = {'flat/{class}/{clip}.npy': 'npy: { kind: rgb }'}
        with self.mount(self.config(self.root, views, more='workers: 1\n')) as mount, contextlib.ExitStack() as stack:
            os.stat(mount.path / 'flat/a/zero.mp4.npy')
            paths = [mount.path / f'flat/a/{name}.mp4.npy' for name in ('one', 'two', 'three')]
            sizes = [0] * len(paths)

            def look(i):
                sizes[i] = os.stat(paths[i]).st_size
            with mount.held():
                readers = threading.Thread(target=harness.in_threads, args=(len(paths), look))
                readers.start()
                stack.callback(readers.join)
                harness.wait_until('three clips to be wanted', lambda: mount.stats()['queued'] == 2)
                self.assertEqual(mount.stats()['workers_busy'], 1)
            readers.join()
            self.assertEqual(len(set(sizes)), 1)
            self.assertGreater(sizes[0], 200 * 160 * 120 * 3)


if __name__ == '__main__':
    harness.main()
