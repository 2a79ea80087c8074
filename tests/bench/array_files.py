#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Arrays one after the other, from a list on stdin:

    load     a .npy, whole
    row      "K PATH": row K of a mapped .npy
    read     a file's bytes
    opencv   a picture, decoded
    pyav     all pictures of a video, as RGB
    logmel   log-mel spectrogram of a video's sound, at 16 kHz

Prints what read_files prints; bytes are those of the arrays."""
import sys
import time
from pathlib import Path

import numpy


def load(path):
    return numpy.load(path)


def row(line):
    number, _, path = line.partition(' ')
    return numpy.load(path, mmap_mode='r')[int(number)].copy()


def read(path):
    return numpy.frombuffer(Path(path).read_bytes(), numpy.uint8)


def opencv(path):
    return cv2.imread(path)


def pyav(path):
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = 'AUTO'
        return numpy.stack([frame.to_ndarray(format='rgb24') for frame in container.decode(stream)])


def logmel(path):
    """As the tests' reference has it, from the formulas of librosa's documentation."""
    with av.open(path) as container:
        resampler = av.AudioResampler(format='fltp', layout='mono', rate=16000)
        parts = [part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return test_features.logmel(numpy.concatenate(parts), 16000, n_fft=400, hop=160, bands=80).astype(numpy.float32)


def main():
    work = {f.__name__: f for f in (load, row, read, opencv, pyav, logmel)}[sys.argv[1]]
    taken, size = [], 0
    lines = sys.stdin.read().splitlines()
    first = time.monotonic_ns()
    for line in lines:
        start = time.monotonic_ns()
        size += work(line).nbytes
        taken.append(time.monotonic_ns() - start)
    print(first, time.monotonic_ns(), size)
    print('\n'.join(map(str, taken)))


if __name__ == '__main__':
    if sys.argv[1] == 'opencv':
        import cv2
    if sys.argv[1] in ('pyav', 'logmel'):
        import av
        av.logging.restore_default_callback()  # its own takes Python's lock, and can wait for ever on decoder threads
    if sys.argv[1] == 'logmel':
        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'mount'))
        import test_features
    main()
