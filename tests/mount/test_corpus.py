#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every file of a mounted folder of real videos, `<class>/<clip>.<ext>`, against ffmpeg.

CORPUSFS_TEST_CORPUS names the folder; without it there is nothing to test.
"""
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import compare, harness, oracle
from lib.oracle import View

ROOT = Path(os.environ.get('CORPUSFS_TEST_CORPUS') or '/nonexistent')
FRAMES = [View('cfr', 'jpg', '-1:240'), View('cfr', 'png'), View('passthrough', 'ppm'), View('5', 'png', '224:224'),
          View('12.5', 'jpg')]
VIEWS = {f'{view.name}/{{class}}/{{clip}}/{{frame:06d}}.{view.ext}': f'frames: {view.settings}' for view in FRAMES}
VIEWS |= {'mp3/{class}/{clip}.mp3': 'audio: {}', 'wav/{class}/{clip}.wav': 'audio: {}',
          'srt/{class}/{clip}.srt': 'subtitles: [sidecar, embedded]'}
VIDEOS = sorted(p for p in ROOT.glob('*/*') if p.suffix in ('.mp4', '.mov', '.mkv', '.webm', '.avi', '.flv', '.mpg', '.ts'))


class Corpus(harness.Case):
    """One test a video, added below."""

    @classmethod
    def setUpClass(cls):
        cls.shared = Path(tempfile.mkdtemp(prefix='corpusfs-test-'))
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        config = cls.shared / 'corpus.yaml'
        config.write_text(harness.config_text(ROOT, VIEWS, cls.shared / 'cache', cache_size='4GiB'), encoding='utf-8')
        cls.mounted = harness.Mount(config, cls.shared, cls.shared / 'cache')

    @classmethod
    def tearDownClass(cls):
        stats = cls.mounted.stats()
        sys.stderr.write(f'counters: {stats}\n')
        cls.mounted.close()

    def check(self, video):
        clip = video.relative_to(ROOT)
        top = self.mounted.path
        oracle.prepare_frames(video, FRAMES)
        for view in FRAMES:
            with self.subTest(view=view.name):
                compare.check_frames(self, video, top / view.name / clip, view)
        with self.subTest(view='sound'):
            snrs = compare.check_sounds_of(self, video, [(top / ext / f'{clip}.{ext}', ext) for ext in ('mp3', 'wav')])
            sys.stderr.write(f'{clip}, mp3 and wav: SNR {snrs} dB against ffmpeg\n')
        with self.subTest(view='srt'):
            self.check_text(video, top / 'srt' / f'{clip}.srt')

    def check_text(self, video, path):
        """The cues of ffmpeg's conversion that begin within the clip."""
        sidecar = next((p for p in map(video.with_suffix, ('.srt', '.vtt', '.ass')) if p.exists()), None)
        if not sidecar and not oracle.probe(video, 's:0', 'codec_name'):
            self.assertEqual(path.read_bytes(), b'')
            return
        theirs = oracle.cues(oracle.subtitle_file(sidecar or video))
        ours = oracle.cues(path)
        self.assertTrue(ours)
        self.assertEqual([(c.start, c.text) for c in ours], [(c.start, c.text) for c in theirs][:len(ours)])
        self.assertLessEqual({c.end.ordinal for c in ours[:-1]}, {c.end.ordinal for c in theirs})
        self.assertLessEqual(ours[-1].end, theirs[len(ours) - 1].end)


for _video in VIDEOS:
    setattr(Corpus, f'test_{_video.relative_to(ROOT)}', lambda self, video=_video: self.check(video))


if __name__ == '__main__':
    if not VIDEOS:
        print('1..0 # SKIP no folder of real videos: CORPUSFS_TEST_CORPUS names one')
        sys.exit(0)
    harness.main(limit=300)
