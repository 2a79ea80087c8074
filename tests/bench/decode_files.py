#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Opens and decodes pictures to RGB or BGR, one after the other: decode_files.py pil|opencv < LIST of paths.
Prints what read_files prints; bytes are those of the pixels."""
import os
import sys
import time


def by_pil(path):
    with PIL.Image.open(path) as image:
        image.load()
        return image.width * image.height * len(image.mode)


def by_opencv(path):
    return cv2.imread(path).nbytes


def main():
    decode = {'pil': by_pil, 'opencv': by_opencv}[sys.argv[1]]
    taken, size = [], 0
    paths = sys.stdin.read().splitlines()
    time.sleep(max(0, int(os.environ.get('START_AT', 0)) - time.monotonic_ns()) / 1e9)  # as in read_files.c
    first = time.monotonic_ns()
    for path in paths:
        start = time.monotonic_ns()
        size += decode(path)
        taken.append(time.monotonic_ns() - start)
    print(first, time.monotonic_ns(), size)
    print('\n'.join(map(str, taken)))


if __name__ == '__main__':
    if sys.argv[1] == 'pil':
        import PIL.Image
    else:
        import cv2
    main()
