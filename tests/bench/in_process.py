#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What training code does without frames on disk: seek in the video, decode, make a JPEG, all in its own process.

    in_process.py pyav|opencv one|pass QUALITY [SAVE_DIR] < WORK

WORK is JSON, a list of [video, [frame numbers from 0, ascending]]. `one` seeks for each frame, `pass` decodes each
video once from its start (PyAV only). JPEGs are made by OpenCV, 4:2:0: faster than by PIL on either side. Videos must
have a constant rate. Prints what read_files prints. With SAVE_DIR the JPEGs are kept there, numbered in order."""
import json
import sys
import time
from pathlib import Path


def open_pyav(path):
    container = av.open(path)
    stream = container.streams.video[0]
    stream.thread_type = 'AUTO'
    return container, stream


def number_of(frame, stream):
    """A frame's place in a video of constant rate."""
    return round((frame.pts - (stream.start_time or 0)) * stream.time_base * stream.average_rate)


def pyav_one(path, numbers):
    """Yields (start of the work in ns, picture)."""
    for number in numbers:
        start = time.monotonic_ns()
        container, stream = open_pyav(path)
        with container:
            container.seek(int(number / stream.average_rate / stream.time_base) + (stream.start_time or 0), stream=stream)
            for frame in container.decode(stream):
                if number_of(frame, stream) >= number:
                    yield start, frame.to_ndarray(format='bgr24')
                    break


def pyav_pass(path, numbers):
    start = time.monotonic_ns()
    container, stream = open_pyav(path)
    wanted = set(numbers)
    with container:
        for frame in container.decode(stream):
            if number_of(frame, stream) in wanted:
                yield start, frame.to_ndarray(format='bgr24')
                wanted.discard(number_of(frame, stream))
                start = time.monotonic_ns()
            if not wanted:
                break


def opencv_one(path, numbers):
    for number in numbers:
        start = time.monotonic_ns()
        video = cv2.VideoCapture(path)
        video.set(cv2.CAP_PROP_POS_FRAMES, number)
        good, picture = video.read()
        video.release()
        if good:
            yield start, picture


def main():
    library, how, quality, *save = sys.argv[1:]
    pictures = {'pyav one': pyav_one, 'pyav pass': pyav_pass, 'opencv one': opencv_one}[f'{library} {how}']
    work = json.load(sys.stdin)
    taken, size = [], 0
    first = time.monotonic_ns()
    for path, numbers in work:
        for start, picture in pictures(path, numbers):
            jpeg = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
            taken.append(time.monotonic_ns() - start)
            size += len(jpeg)
            if save:
                (Path(save[0]) / f'{len(taken):06d}.jpg').write_bytes(jpeg.tobytes())
    print(first, time.monotonic_ns(), size)
    print('\n'.join(map(str, taken)))


if __name__ == '__main__':
    import cv2
    if sys.argv[1:2] == ['pyav']:
        import av
        av.logging.restore_default_callback()  # its own takes Python's lock, and can wait for ever on decoder threads
    main()
