#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Boxes of frames: each frame cropped by its own box, from a table, and scaled; frames without one left out."""
import errno
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import numpy

from lib import clips, harness, oracle

SOURCE = '- videos: "*.{mkv,mp4,avi}"\n    match: "^(?<clip>.*)[.][^.]+$"'
BOXES = 'crop: { frame: n, x: x, y: y, w: w, h: h }, size: "40:48"'
VIDEOS = {'open': 'containers/h264_opengop.mkv', 'turned': 'picture/rotate90.mp4'}
TABLE = 'tables:\n  - { file: boxes.csv, key: clip }\n'


@functools.cache
def truth(video, frame, box, before='', coding=('png',)):
    """The picture that ffmpeg's filters make of a frame, counted from 1."""
    x, y, w, h = box
    return subprocess.run(
        ['ffmpeg', '-v', 'error', '-nostdin', '-i', video, '-vf',
         f"{before}select='eq(n,{frame - 1})',crop={w}:{h}:{x}:{y},scale=40:48:flags=bicubic", '-an', '-frames:v', '1',
         '-c:v', *coding, '-f', 'image2pipe', '-'], stdout=subprocess.PIPE, check=True).stdout


class Boxes(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        self.root.mkdir()
        self.videos, self.sizes = {}, {}
        made = clips.make(clips.EVERYTHING, 'everything')
        for clip, source in VIDEOS.items():
            self.videos[clip] = self.root / f'{clip}{Path(source).suffix}'
            shutil.copy(made / source, self.videos[clip])
            first = next(iter(sorted(oracle.frames(made / source, oracle.View('cfr', 'png')).iterdir())))
            self.sizes[clip] = oracle.pixels(first.read_bytes()).shape[1::-1]

    def box(self, clip):
        """Somewhere, and sometimes beyond the edges: as a table has it, and what of it is in the picture."""
        wide, high = self.sizes[clip]
        w, h = self.random.randint(8, wide), self.random.randint(8, high)
        x, y = self.random.randint(-w + 8, wide - 8), self.random.randint(-h + 8, high - 8)
        left, top = max(x, 0), max(y, 0)
        return (x, y, w, h), (left, top, min(x + w, wide) - left, min(y + h, high) - top)

    def table(self, frames, name='boxes.csv', head='clip,n,x,y,w,h', row='{clip},{n},{x},{y},{w},{h}', n_boxes=5):
        """Writes boxes for some of the frames, in any order, and returns {clip: {frame: what is seen of it}}."""
        rows, seen = [], {}
        for clip in self.videos:
            seen[clip] = {}
            for n in sorted(self.random.sample(range(1, frames + 1), n_boxes)):
                (x, y, w, h), seen[clip][n] = self.box(clip)
                rows.append(row.format(clip=clip, n=n, x=x, y=y, w=w, h=h, x2=x + w, y2=y + h, n0=n - 1))
        (self.root / name).write_text('\n'.join([head, *self.shuffled(rows)]) + '\n', encoding='utf-8')
        return seen

    @staticmethod
    def psnr(picture, png):
        return oracle.psnr(oracle.luma(oracle.pixels(picture)), oracle.luma(oracle.pixels(png)))

    def check(self, mount, path, seen, ext, before=''):
        """The directories of clips have so many frames, numbered from 1, and each its picture, in any order."""
        for clip, boxes in seen.items():
            names = [f'{i:06d}.{ext}' for i in range(1, len(boxes) + 1)]
            self.assertEqual(sorted(os.listdir(mount.path / path / clip)), names)
        everything = [(clip, i, n) for clip, boxes in seen.items() for i, n in enumerate(sorted(boxes), 1)]
        got = {}
        for clip, i, n in self.shuffled(everything):
            file = mount.path / path / clip / f'{i:06d}.{ext}'
            size = file.stat().st_size
            data = file.read_bytes()
            with self.subTest(path=path, clip=clip, frame=n, box=seen[clip][n]):
                self.assertEqual(len(data), size)
                png = truth(self.videos[clip], n, seen[clip][n], before)
                if ext == 'jpg':
                    # Of a small part with hard edges and full colours ffmpeg's own JPEG keeps less than 38 dB.
                    theirs = truth(self.videos[clip], n, seen[clip][n], before, ('mjpeg', '-q:v', '2', '-pix_fmt', 'yuvj420p'))
                    self.assertGreater(self.psnr(data, png), min(38, self.psnr(theirs, png) - 0.5))
                else:
                    self.assertTrue(numpy.array_equal(oracle.pixels(data), oracle.pixels(png)))
            got[clip, i] = data
        return got

    def test_frames(self):
        """Each frame is ffmpeg's crop and scale of it; sizes, counts and bytes do not hang on the order of reads."""
        seen = self.table(25)
        views = {'png/{clip}/{frame:06d}.png': f'frames: {{ {BOXES} }}', 'jpg/{clip}/{frame:06d}.jpg': f'frames: {{ {BOXES} }}',
                 'whole/{clip}/{frame:06d}.jpg': 'frames: {}'}
        config = self.config(self.root, views, source=SOURCE, more=TABLE)
        harness.corpusfs('check', config, check=0)
        with self.mount(config) as mount:
            self.check(mount, 'png', seen, 'png')
            jpegs = self.check(mount, 'jpg', seen, 'jpg')
            for clip in seen:
                self.assertGreater(len(os.listdir(mount.path / 'whole' / clip)), 20)
            self.assertEqual(mount.stats()['frames_lowered'], 0)
        with self.mount(config, cache=self.home / 'other') as mount:
            for clip, i in self.shuffled(jpegs):
                self.assertEqual((mount.path / f'jpg/{clip}/{i:06d}.jpg').read_bytes(), jpegs[clip, i])

    def test_corners_and_fps(self):
        """Boxes as two corners, counted from 0, of the frames that a rate gives; the number of frames follows."""
        seen = self.table(5, head='clip,n,x1,y1,x2,y2', row='{clip},{n0},{x}.2,{y}.0,{x2}.4,{y2}', n_boxes=3)
        box = 'crop: { frame: n, x1: x1, y1: y1, x2: x2, y2: y2, base: 0 }, size: "40:48", fps: 5'
        config = self.config(self.root, {'png/{clip}/{frame:06d}.png': f'frames: {{ {box} }}', 'count/{clip}': 'text: "{nframes}"'},
                             source=SOURCE, more=TABLE)
        with self.mount(config) as mount:
            self.check(mount, 'png', seen, 'png', before='fps=5,')
            for clip in seen:
                self.assertEqual((mount.path / 'count' / clip).read_text(), '3')

    def test_arrays(self):
        """An npy view has the boxed frames as rows, and samples of these."""
        seen = self.table(25)
        views = {'all/{clip}.npy': f'npy: {{ kind: rgb, {BOXES} }}',
                 'some/{clip}.npy': f'npy: {{ kind: rgb, {BOXES}, stride: 2, frames: 2, layout: cthw }}'}
        with self.mount(self.config(self.root, views, source=SOURCE, more=TABLE)) as mount:
            for clip, boxes in seen.items():
                rows = [oracle.pixels(truth(self.videos[clip], n, boxes[n]))[..., ::-1] for n in sorted(boxes)]
                whole = numpy.load(mount.path / f'all/{clip}.npy', mmap_mode='r')
                self.assertEqual(whole.shape, (len(rows), 48, 40, 3))
                for i in self.shuffled(range(len(rows))):
                    self.assertTrue(numpy.array_equal(whole[i], rows[i]), (clip, i))
                del whole  # it keeps the file mapped
                some = numpy.load(mount.path / f'some/{clip}.npy')
                self.assertTrue(numpy.array_equal(some.transpose(1, 2, 3, 0), numpy.stack([rows[0], rows[4]])))

    def test_cuts(self):
        """Boxes of a clip that is a cut count its frames; boxes of the whole video count the video's."""
        self.videos.pop('turned').unlink()
        seen = self.table(25, n_boxes=9)['open']
        inside = {n: box for n, box in seen.items() if 11 <= n <= 20}
        (self.root / 'parts.csv').write_text('clip,part,first,last\nopen,a,11,20\n', encoding='utf-8')
        shifted = (self.root / 'boxes.csv').read_text(encoding='utf-8').replace('clip,n', 'part,n').splitlines()
        own = [line.split(',') for line in shifted[1:]]
        (self.root / 'own.csv').write_text('\n'.join([shifted[0]] + [','.join(['a', str(int(r[1]) - 10), *r[2:]]) for r in own
                                                                     if int(r[1]) > 10]) + '\n', encoding='utf-8')
        parts = '  - { file: parts.csv, key: clip, cut: { first: first, last: last } }\n'
        for name, tables in (('whole', TABLE + parts), ('own', 'tables:\n' + parts + '  - { file: own.csv, key: part }\n')):
            with self.subTest(boxes=name):
                config = self.config(self.root, {'png/{clip}/{frame:06d}.png': f'frames: {{ {BOXES} }}'}, source=SOURCE, more=tables)
                with self.mount(config) as mount:
                    self.check(mount, 'png', {'open': inside}, 'png')

    def test_changed_boxes(self):
        """Other boxes are other files, also where an old cache is used, and two views have boxes of their own."""
        seen = self.table(25, n_boxes=3)
        config = self.config(self.root, {'png/{clip}/{frame:06d}.png': f'frames: {{ {BOXES} }}'}, source=SOURCE, more=TABLE)
        with self.mount(config) as mount:
            self.check(mount, 'png', seen, 'png')
            seen = self.table(25, n_boxes=3)
            harness.corpusfs('index', config, check=0)
            clip = next(iter(seen))
            first = min(seen[clip])
            wanted = oracle.pixels(truth(self.videos[clip], first, seen[clip][first]))

            def is_new():
                try:
                    return numpy.array_equal(oracle.pixels((mount.path / f'png/{clip}/000001.png').read_bytes()), wanted)
                except OSError:  # it changes just now
                    return False
            harness.wait_until('the new boxes', is_new)
            self.check(mount, 'png', seen, 'png')
        seen = self.table(25, n_boxes=4)
        with self.mount(config) as mount:
            self.check(mount, 'png', seen, 'png')

    def test_mistakes(self):
        """What is no box is told with its line and left out, or counted; the rest is served."""
        wide, high = self.sizes['open']
        shutil.copy(self.videos['open'], self.root / 'none.mkv')
        (self.root / 'boxes.csv').write_text(
            'clip,n,x,y,w,h\nopen,1,0,0,20,20\nopen,2,0,0,0,0\nopen,3,,,,\nopen,0,0,0,9,9\nopen,4,0,far,9,9\nopen,5,0,0,-9,9\n'
            f'open,6,-30,0,20,20\nopen,1,1,1,20,20\nopen,7,{wide},0,20,20\nopen,1,0,0,20,20\nopen,8,{wide - 1},{high - 1},9,9\n'
            'turned,1,0,0,16,16\nelse,1,0,0,9,9\n', encoding='utf-8')
        views = {'png/{clip}/{frame:06d}.png': f'frames: {{ {BOXES} }}', 'jpg/{clip}/{frame:06d}.jpg': f'frames: {{ {BOXES} }}'}
        config = self.config(self.root, views, source=SOURCE, more=TABLE.replace('key: clip', 'key: clip, join: left'))
        said = harness.corpusfs('check', config, check=1).stdout
        for line, what in ((5, 'its frame is no number of one: the frame is left out'),
                           (6, 'its box has a side that is no number of pixels: the frame is left out'),
                           (7, 'its box has a negative size: the frame is left out'),
                           (8, 'its box lies outside of the picture: the frame is left out'),
                           (9, 'a second box for its frame: the first one is used')):
            self.assertIn(f'boxes.csv:{line}: {what}\n', said)
        self.assertIn('note: 4 rows have no box: their frames are left out', said)  # two rows, in two views
        with self.mount(config, allowed=[r'open\.mkv: frame 6: its box, 20x20 at \d+,0, lies outside of the picture']) as mount:
            self.assertEqual(sorted(os.listdir(mount.path / 'png/open')), ['000001.png', '000002.png', '000003.png'])
            self.assertEqual(os.listdir(mount.path / 'png/none'), [])
            for view, ext in (('png', 'png'), ('jpg', 'jpg')):
                with self.assertRaises(OSError) as caught:
                    (mount.path / f'{view}/open/000002.{ext}').read_bytes()
                self.assertEqual(caught.exception.errno, errno.EIO)
                for name in ('open/000001', 'open/000003', 'turned/000001'):
                    self.assertEqual(oracle.pixels((mount.path / f'{view}/{name}.{ext}').read_bytes()).shape, (48, 40, 3))


if __name__ == '__main__':
    harness.main()
