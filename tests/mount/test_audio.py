#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""mp3 and wav files against those that `ffmpeg -i IN OUT` writes."""
import contextlib
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, compare, harness, oracle

VIEWS = {
    'mp3/{class}/{clip}.mp3': 'audio: {}',
    'wav/{class}/{clip}.wav': 'audio: {}',
    'low/{class}/{clip}.wav': 'audio: { rate: 16000, channels: 1 }',
    'small/{class}/{clip}.mp3': 'audio: { rate: 22050, channels: 1, bitrate: 48k }',
    'silence/{class}/{clip}.mp3': 'audio: { silence: true }',
    'silencew/{class}/{clip}.wav': 'audio: { silence: true }',
}
ARGUMENTS = {'mp3': (), 'wav': (), 'low': ('-ar', 16000, '-ac', 1), 'small': ('-ar', 22050, '-ac', 1, '-b:a', '48k'),
             'silence': (), 'silencew': ()}


class Sound(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = clips.make(clips.EVERYTHING, 'everything')
        self.settings = self.config(self.root, VIEWS)

    def test_every_clip(self):
        """Rate, channels, length, alignment and noise, of every clip, read in random order."""
        least = {}
        with self.mount(self.settings) as mount:
            pairs = [(view, clip) for clip in clips.EVERYTHING for view in ('mp3', 'wav')]
            pairs += [(view, clip) for clip in clips.EVERYTHING if 'streams/' in clip or 'mpg' in clip
                      for view in ('low', 'small')]

            def file(pair):
                view, clip = pair
                ext = 'mp3' if view in ('mp3', 'small') else 'wav'
                return mount.path / view / f'{clip}.{ext}', ext, *ARGUMENTS[view]

            def read(pair):
                with contextlib.suppress(OSError):  # no sound, so no file; any other error comes again below
                    file(pair)[0].read_bytes()

            def check(clip):
                views = [view for view, other in pairs if other == clip]
                try:
                    found = compare.check_sounds_of(self, self.root / clip, [file((view, clip)) for view in views])
                    return clip, zip(views, found)
                except (AssertionError, OSError, RuntimeError, ValueError) as error:
                    return clip, error
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(read, self.shuffled(pairs)))
                for clip, found in pool.map(check, self.shuffled(clips.EVERYTHING)):
                    with self.subTest(clip=clip):
                        if isinstance(found, Exception):
                            raise found
                        for view, snr in found:
                            least[view] = min(least.get(view, numpy.inf), numpy.inf if snr is None else snr)
        sys.stderr.write(f'least SNR against ffmpeg, dB: {least}\n')

    def test_silence(self):
        """Asked for, a clip without sound gets silence of its length; a clip with sound keeps it."""
        with self.mount(self.settings) as mount:
            for view, ext in (('silence', 'mp3'), ('silencew', 'wav')):
                for clip, seconds in (('streams/no_audio.mp4', 1), ('timing/fps1.mp4', 5)):
                    path = mount.path / view / f'{clip}.{ext}'
                    self.assertEqual(len(path.read_bytes()), path.stat().st_size)
                    [(sound, rate)] = oracle.decode(path)
                    self.assertLess(numpy.abs(sound).max(), 1e-4)
                    # An mp3 ends with a frame of 1152 samples at the most.
                    self.assertAlmostEqual(len(sound) / rate, seconds, delta=1152 / rate + 0.001)
                clip = 'streams/mono.mp4'
                [truth] = oracle.sound_files(self.root / clip, (ext,))
                compare.check_sound(self, mount.path / view / f'{clip}.{ext}', truth, ext)

    def test_any_part_first(self):
        """Reads from the middle and the end of a file that is not made yet give the file's bytes."""
        clip = 'streams/mono.mp4'
        for view in ('mp3', 'wav'):
            with self.mount(self.settings) as mount:
                path = mount.path / view / f'{clip}.{view}'
                whole = None
                size = path.stat().st_size
                parts = self.shuffled((start, min(4096, size - start)) for start in range(0, size, 4096))
                with open(path, 'rb', buffering=0) as file:
                    got = {start: os.pread(file.fileno(), length, start) for start, length in parts}
                whole = path.read_bytes()
                self.assertEqual(b''.join(got[start] for start in sorted(got)), whole)


class Hour(harness.Case):

    def test_served_while_made(self):
        """The first bytes of an hour of sound come while its end is still being made; then all of it is right."""
        root = clips.make(clips.LONG, 'long')
        video = root / 'long/hour.mkv'
        with self.mount(self.config(root, VIEWS)) as mount:
            path = mount.path / 'mp3/long/hour.mkv.mp3'
            size = path.stat().st_size  # indexes the clip
            tail = {}

            def read_tail():
                with open(path, 'rb') as file:
                    tail['bytes'] = os.pread(file.fileno(), 1000, size - 1000)
            reader = threading.Thread(target=read_tail)
            reader.start()
            start = time.monotonic()
            with open(path, 'rb') as file:
                head = os.pread(file.fileno(), 4096, 0)
            sys.stderr.write(f'first 4 KiB of an hour after {time.monotonic() - start:.2f} s\n')
            self.assertEqual(len(head), 4096)
            reader.join(0.2)
            self.assertTrue(reader.is_alive(), 'the end was there as soon as the beginning')
            reader.join()
            whole = path.read_bytes()
            self.assertEqual(len(whole), size)
            self.assertEqual(tail['bytes'], whole[-1000:])
            self.assertEqual(head, whole[:4096])
            (ours, rate), (theirs, true_rate) = oracle.decode(path, *oracle.sound_files(video, ('mp3',)))
            self.assertEqual((rate, ours.shape[1]), (true_rate, theirs.shape[1]))
            self.assertLessEqual(abs(len(ours) - len(theirs)), 1)
            for at in (0, len(theirs) // 2, len(theirs) - rate):
                piece = slice(at, at + rate)
                self.assertGreaterEqual(oracle.snr(ours[piece], theirs[piece]), compare.LEAST_SNR['mp3'], f'sample {at}')


if __name__ == '__main__':
    harness.main()
