#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A short run of the decoders over damaged clips, the same every time; longer ones: fuzz_decode -s SEED -n ROUNDS FILE..."""
import os
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness

# Small ones, of every container and of codecs with and without references.
CLIPS = ('containers/h264_bframes.mp4', 'containers/h264.avi', 'containers/h264.flv', 'containers/mpeg2.mpg',
         'containers/mpeg4_bframes.avi', 'containers/h264_opengop.ts', 'containers/vp9.webm', 'containers/mjpeg.avi',
         'text/subrip.mkv')
SEED = 20240229
ROUNDS = 3


class Fuzz(unittest.TestCase):

    def test_damaged_clips(self):
        everything = clips.make(clips.EVERYTHING, 'everything')
        program = Path(os.environ['CORPUSFS_BUILD_DIR']) / 'tests/fuzz/fuzz_decode'
        done = subprocess.run([program, '-v', '-s', str(SEED), '-n', str(ROUNDS), *(everything / c for c in CLIPS)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        said = done.stdout.decode(errors='replace')
        print(f'# fuzz_decode -s {SEED} -n {ROUNDS}', flush=True)
        self.assertEqual(done.returncode, 0, said[-20000:])
        self.assertNotIn('runtime error', said)


if __name__ == '__main__':
    harness.main(needs_mount=False)
