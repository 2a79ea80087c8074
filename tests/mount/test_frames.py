#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Frame directories against `ffmpeg -i IN ... %06d.png`: the same names, the same pixels, in any order of reading."""
import hashlib
import itertools
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, compare, harness, oracle
from lib.oracle import View

CANONICAL = View('cfr', 'jpg', '-1:120')
ALWAYS = [View('cfr', 'png'), View('passthrough', 'ppm'), CANONICAL]
# Each clip is read through all of ALWAYS and some of these, so that every pair of settings meets many clips.
ROTATING = [
    View('5', 'png', '160:96'), View('12.5', 'jpg', '-1:120'), View('30000/1001', 'ppm', '-1:120'),
    View('passthrough', 'png', '-1:120'), View('cfr', 'ppm', '160:96'), View('cfr', 'jpg'),
    View('30000/1001', 'png'), View('12.5', 'ppm'), View('5', 'jpg', '160:96'), View('passthrough', 'jpg', '160:96'),
    View('12.5', 'png', '160:96'), View('5', 'ppm'), View('30000/1001', 'jpg', '160:96'), View('cfr', 'png', '160:96'),
    View('passthrough', 'jpg'), View('30000/1001', 'jpg'),
]
EACH = 4
VIEWS = {f'{view.name}/{{class}}/{{clip}}/{{frame:06d}}.{view.ext}': f'frames: {view.settings}'
         for view in ALWAYS + ROTATING}


def views_of(clip):
    """The views that a clip is read through."""
    first = list(clips.EVERYTHING).index(clip) * EACH
    return ALWAYS + [ROTATING[(first + i) % len(ROTATING)] for i in range(EACH)]


class Against(harness.Case):
    """One test a clip (added below): its directories, sizes and pixels, read in random order by four threads."""

    @classmethod
    def setUpClass(cls):
        root = clips.make(clips.EVERYTHING, 'everything')
        cls.root, cls.shared = root, Path(tempfile.mkdtemp(prefix='corpusfs-test-'))
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        config = cls.shared / 'corpus.yaml'
        config.write_text(harness.config_text(root, VIEWS, cls.shared / 'cache'), encoding='utf-8')
        cls.mounted = harness.Mount(config, cls.shared, cls.shared / 'cache')

    @classmethod
    def tearDownClass(cls):
        stats = cls.mounted.stats()
        sys.stderr.write(f'counters: {stats}\n')
        cls.mounted.close()

    def check(self, clip):
        oracle.prepare_frames(self.root / clip, views_of(clip))
        for view in views_of(clip):
            with self.subTest(view=view.name):
                compare.check_frames(self, self.root / clip, self.mounted.path / view.name / clip, view)


for _clip in clips.EVERYTHING:
    setattr(Against, f'test_{_clip}', lambda self, clip=_clip: self.check(clip))


class Parts(harness.Case):
    """Crops, and sizes by the shorter side, of upright, turned, odd and deep pictures."""
    CLIPS = ['containers/h264_opengop.mkv', 'picture/rotate90.mp4', 'picture/odd_444.mp4', 'picture/tenbit_hevc.mkv']
    PARTS = [View('cfr', 'png', crop='left'), View('passthrough', 'png', '64:48', crop='right'),
             View('5', 'ppm', crop='41:31:7:9'), View('5', 'png', 'short:50'), View('cfr', 'jpg', 'short:60', 'left')]

    def test_parts(self):
        root = clips.make(clips.EVERYTHING, 'everything')
        paths = {f'{view.name}/{{class}}/{{clip}}/{{frame:06d}}.{view.ext}': f'frames: {view.settings}'
                 for view in self.PARTS}
        with self.mount(self.config(root, paths)) as mount:
            for clip in self.CLIPS:
                oracle.prepare_frames(root / clip, self.PARTS)
                for view in self.PARTS:
                    with self.subTest(clip=clip, view=view.name):
                        compare.check_frames(self, root / clip, mount.path / view.name / clip, view)


class Order(harness.Case):
    """A frame's bytes do not depend on what was read before it, nor by whom."""
    CLIPS = ['containers/h264_opengop.mkv', 'containers/hevc_opengop.ts', 'containers/xvid_packed.avi',
             'containers/mpeg2.mpg', 'containers/vp9_altref.webm', 'timing/vfr_dropped.mp4', 'timing/editlist.mp4',
             'timing/start_5s.ts', 'containers/flv1.flv', 'containers/h264_pyramid.mov']
    FEW = {path: view for path, view in VIEWS.items()
           if path.startswith((CANONICAL.name + '/', 'cfr_png/', 'passthrough_ppm/'))}

    def setUp(self):
        super().setUp()
        self.settings = self.config(clips.make(clips.EVERYTHING, 'everything'), self.FEW)

    def paths(self, mount):
        return [p for view in self.FEW for clip in self.CLIPS for p in mount.files(f'{view.partition("/")[0]}/{clip}')]

    @staticmethod
    def digest(mount, path):
        return hashlib.sha256((mount.path / path).read_bytes()).digest()

    def in_steps(self, paths):
        """Of each folder some frames, by a reader who goes forward by as many each time, until he changes his mind."""
        for _, folder in itertools.groupby(paths, os.path.dirname):
            folder, at, step = list(folder), 0, self.random.randrange(4, 8)
            while at < len(folder):
                yield folder[at]
                step = self.random.randrange(1, 12) if self.random.random() < 0.25 else step
                at += step

    def digests(self, mount, paths):
        return {path: self.digest(mount, path) for path in paths}

    def test_order_does_not_matter(self):
        with self.mount(self.settings) as mount:
            paths = self.paths(mount)
            truth = self.digests(mount, paths)
        with self.subTest('after a remount, warm, backwards'), self.mount(self.settings) as mount:
            self.assertEqual(self.digests(mount, reversed(paths)), truth)
            self.assertEqual(mount.stats()['jobs_frames'], 0)
        shutil.rmtree(self.cache)
        with self.subTest('cleared, random'), self.mount(self.settings) as mount:
            self.assertEqual(self.digests(mount, self.shuffled(paths)), truth)
        shutil.rmtree(self.cache)
        with self.subTest('cleared, a few at random, no directory listed before'), self.mount(self.settings) as mount:
            for path in self.random.sample(paths, 60):
                self.assertEqual(self.digest(mount, path), truth[path], path)
        shutil.rmtree(self.cache)
        with self.subTest('cleared, forward in steps that mostly stay'), self.mount(self.settings) as mount:
            for path in self.in_steps(paths):
                self.assertEqual(self.digest(mount, path), truth[path], path)
        shutil.rmtree(self.cache)
        with self.subTest('cleared, eight at once, each in an order of its own'), self.mount(self.settings) as mount:
            orders = [self.shuffled(paths) for _ in range(8)]

            def read(i):
                for path in orders[i]:
                    self.assertEqual(self.digest(mount, path), truth[path], path)
            harness.in_threads(8, read)
        shutil.rmtree(self.cache)
        with self.subTest('cleared, eight on one clip'), self.mount(self.settings) as mount:
            orders = [self.shuffled(p for p in paths if '/h264_opengop.mkv/' in p) for _ in range(8)]
            harness.in_threads(8, lambda i: [self.assertEqual(self.digest(mount, p), truth[p], p) for p in orders[i]])

    def test_one_cold_frame_at_a_time(self):
        """Each frame as the first that is ever read of its clip: nothing helps the decoder find it."""
        clip = self.random.choice(self.CLIPS)
        with self.mount(self.settings) as mount:
            paths = mount.files(f'cfr_png/{clip}')
            truth = self.digests(mount, paths)
        for path in self.random.sample(paths, 6):
            shutil.rmtree(self.cache)
            with self.subTest(path=path), self.mount(self.settings) as mount:
                self.assertEqual(self.digest(mount, path), truth[path])


if __name__ == '__main__':
    harness.main(limit=120)
