#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Signals that reach a reader while it waits: only those that are to end it let it go."""
import contextlib
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness

VIEWS = {'img/{class}/{clip}/{frame:06d}.jpg': 'frames: {}'}
# Each reader has a clip of its own: the kernel lets one at a time look up names in a folder, however long it takes.
N_CLIPS = 5
CORPUS = {f'a/{i}.mp4': [*clips.picture(size='160x120', rate=25, seconds=2), *clips.X264, *clips.YUV, '-vf', f'hue=h={i * 60}']
          for i in range(N_CLIPS)}

# Calls stat or lists a folder, once: Python does not do it again after EINTR. (Of reads, the kernel asks in a way that no
# signal reaches; who reads waits for a page, and only a signal that ends the program cuts that short.) It has a handler for
# the first signals, and Python's own for SIGINT. The folder is known to the kernel, so it waits in that one call.
READER = """
import os, signal, sys
what, path = sys.argv[1:]
for number in (signal.SIGCHLD, signal.SIGALRM, signal.SIGWINCH):
    signal.signal(number, lambda *_: None)
signal.signal(signal.SIGINT, signal.default_int_handler)
folder = os.path.dirname(path)
os.stat(folder)
call = {'stat': lambda: os.stat(path).st_size, 'list': lambda: len(os.listdir(folder))}[what]
print('ready', flush=True)
try:
    print('got', call())
except (KeyboardInterrupt, InterruptedError):
    print('let go')
"""


class Signals(harness.Case):

    @contextlib.contextmanager
    def mounted(self):
        # One worker that stands still holds everything.
        root = clips.make(CORPUS, 'signals')
        with self.mount(self.config(root, VIEWS, more='workers: 1\n')) as mount:
            self.path = mount.path
            yield mount

    def frame(self, clip):
        return self.path / f'img/a/{clip}.mp4/000007.jpg'

    def reader(self, what, clip):
        """One that waits."""
        reader = subprocess.Popen([sys.executable, '-c', READER, what, self.frame(clip)], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(reader.communicate)
        self.addCleanup(reader.kill)
        self.assertEqual(reader.stdout.readline(), 'ready\n')
        self.wait_until_state(reader, 'S')
        return reader

    @staticmethod
    def wait_until_state(reader, wanted):
        def reached():
            return harness.processes().get(reader.pid, (0, 'Z', ''))[1] in wanted
        harness.wait_until(f'a reader to be one of {wanted}', reached)

    def signal(self, reader, number):
        """Sends one; then the reader waits as one that was interrupted does, or is let go (and stopped)."""
        reader.send_signal(number)
        self.wait_until_state(reader, 'DTZ')

    def check_end(self, what, numbers):
        """The last of these signals ends a reader that waits."""
        reader = self.reader(what, N_CLIPS - 1)
        for number in numbers:
            self.signal(reader, number)
        if numbers[-1] == signal.SIGINT:
            self.assertEqual(reader.communicate(timeout=harness.PATIENCE)[0], 'let go\n')
        else:
            self.assertEqual(reader.wait(harness.PATIENCE), -numbers[-1])

    def check_waiting(self, readers):
        self.assertEqual([reader.poll() for reader in readers], [None] * len(readers))

    def check_stay(self, mount, what):
        """Readers that get harmless signals are not let go while another is, and get what they wait for."""
        numbers = (signal.SIGCHLD, signal.SIGALRM, signal.SIGWINCH, signal.SIGSTOP)
        with mount.held():
            readers = [self.reader(what, clip) for clip in range(len(numbers))]
            for reader, number in zip(readers, numbers):
                self.signal(reader, number)
            readers[-1].send_signal(signal.SIGCONT)
            self.check_waiting(readers)
            # This one is looked at a second time, and by then the others have been.
            self.check_end(what, (signal.SIGCHLD, signal.SIGTERM))
            self.check_waiting(readers)
        for reader in readers:
            self.assertRegex(reader.communicate(timeout=harness.PATIENCE)[0], r'^got [1-9]\d*\n$')

    def test_stat(self):
        """Of a frame of a clip that nobody looked into."""
        with self.mounted() as mount:
            self.check_stay(mount, 'stat')

    def test_list(self):
        """Of the frames of such a clip."""
        with self.mounted() as mount:
            self.check_stay(mount, 'list')

    def test_ended(self):
        """What is to end a reader does so at once, first or after others: the kernel tells of the first only."""
        with self.mounted() as mount, mount.held():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
                self.check_end('stat', (number,))
                self.check_end('stat', (signal.SIGCHLD, number))


if __name__ == '__main__':
    harness.main()
