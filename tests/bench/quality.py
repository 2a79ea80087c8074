# SPDX-License-Identifier: Apache-2.0
"""Equal quality: which `quality:` of corpusfs gives the luma PSNR that ffmpeg gives at -q:v 2. It is the lowest one that
is at most 0.3 dB below; where one step makes more than 0.6 dB, corpusfs' frames are better, and larger, than ffmpeg's."""
import io
import math
import tempfile
from pathlib import Path

import numpy
from PIL import Image

import mounts
from jobs import run

FRAMES = [3, 17, 40]          # of each clip that is looked at, from 0: early ones, since each costs a decode
MOST_CLIPS = 8
TOLERANCE_DB = 0.3
LEAST, START, MOST = 80, 92, 99


def _luma(jpeg):
    """The Y plane as stored, without a way through RGB."""
    image = Image.open(io.BytesIO(jpeg))
    image.draft('YCbCr' if image.mode == 'RGB' else 'L', image.size)
    image.load()
    return numpy.asarray(image.getchannel(0)).astype(numpy.int32)


def psnr(jpeg, plane):
    ours, plane = _luma(jpeg), plane.astype(numpy.int32)
    if ours.shape != plane.shape:
        raise RuntimeError(f'a frame of {ours.shape[::-1]} instead of {plane.shape[::-1]}')
    return 10 * math.log10(255 ** 2 / max(((ours - plane) ** 2).mean(), 0.01))


def _selected(video, numbers, *arguments):
    choice = '+'.join(f'eq(n,{n})' for n in numbers)
    return ['ffmpeg', '-nostdin', '-v', 'error', '-i', video, '-vf', f"select='{choice}'", '-fps_mode', 'passthrough',
            '-frames:v', len(numbers), *arguments]


def planes_of(video, numbers):
    """{number: luma plane} of these decoded frames of a video, in full range, as ffmpeg's JPEG encoder gets them."""
    numbers = sorted(set(numbers))
    stream = run(_selected(video, numbers, '-pix_fmt', 'yuvj420p', '-f', 'yuv4mpegpipe', '-'), limit=300)
    head, _, body = stream.partition(b'\n')
    width, height = (int(word[1:]) for letter in b'WH' for word in head.split()[1:] if word[0] == letter)
    step = len(b'FRAME\n') + width * height + 2 * ((width + 1) // 2) * ((height + 1) // 2)
    return {n: numpy.frombuffer(body, numpy.uint8, width * height, i * step + len(b'FRAME\n')).reshape(height, width)
            for i, n in enumerate(numbers[:len(body) // step])}


def _jpegs_of(video, numbers):
    """ffmpeg's JPEGs of these frames at -q:v 2."""
    with tempfile.TemporaryDirectory() as folder:
        run(_selected(video, numbers, '-q:v', '2', f'{folder}/%06d.jpg'), limit=300)
        return [path.read_bytes() for path in sorted(Path(folder).iterdir())]


def mean_psnr(jpegs, planes):
    if len(jpegs) != len(planes):
        raise RuntimeError(f'{len(jpegs)} pictures instead of {len(planes)}')
    return sum(psnr(j, p) for j, p in zip(jpegs, planes)) / len(planes)


class Match:
    """The quality for one corpus, and what was measured: .quality, .ours_db, .peer_db."""

    def __init__(self, home, root, videos):
        self.home, self.root = home, root
        step = -(-len(videos) // MOST_CLIPS)
        self.planes, self.names, peer = [], [], []
        for video in videos[::step]:
            planes = planes_of(video, FRAMES)
            self.planes += planes.values()
            self.names += [video.relative_to(root) / f'{n + 1:06d}.jpg' for n in planes]
            peer += _jpegs_of(video, FRAMES)
        self.peer_db = mean_psnr(peer, self.planes)
        self._search()
        if self.ours_db < self.peer_db - TOLERANCE_DB:
            raise RuntimeError(f'no quality gives {self.peer_db:.2f} dB; {self.quality} gives {self.ours_db:.2f}')

    def _search(self):
        views = {f'q{q}/{{class}}/{{clip}}/{{frame:06d}}.jpg': f'frames: {{ timing: passthrough, quality: {q} }}'
                 for q in range(LEAST, MOST + 1)}
        known = {}
        with mounts.corpusfs(self.home, self.root, views) as mount:
            def reached(quality):
                if quality not in known:
                    jpegs = [(mount.path / f'q{quality}' / name).read_bytes() for name in self.names]
                    known[quality] = mean_psnr(jpegs, self.planes)
                return known[quality]
            best = START
            while best > LEAST and reached(best) >= self.peer_db - TOLERANCE_DB:
                best -= 1
            while best < MOST and reached(best) < self.peer_db - TOLERANCE_DB:
                best += 1
        self.quality, self.ours_db = best, known[best]

    def words(self):
        return (f'quality {self.quality}: {self.ours_db:.2f} dB luma PSNR, ffmpeg -q:v 2 {self.peer_db:.2f} dB '
                f'({len(self.planes)} frames)')
