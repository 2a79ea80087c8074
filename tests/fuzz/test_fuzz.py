#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A short run of the decoders over damaged clips, the same every time; longer ones: fuzz_decode -s SEED -n ROUNDS FILE..."""
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness

# Small ones, of every container and of codecs with and without references.
CLIPS = ('containers/h264_bframes.mp4', 'containers/h264.avi', 'containers/h264.flv', 'containers/mpeg2.mpg',
         'containers/mpeg4_bframes.avi', 'containers/h264_opengop.ts', 'containers/vp9.webm', 'containers/mjpeg.avi',
         'text/subrip.mkv')
TABLES = {
    'a.csv': '\ufeffclip,label\r\n"a, b",joy\r\nc,"two\nlines ""x"""\r\n',
    'a.json': '{"labels": [1, [], {}],\n "database": {"a": {"annotations": {"label": "j\\u00f6y\\ud83d\\ude00"}},\n'
              ' "b": {"t": [{"start": -1.5e3}, null], "x": "\\\\\\""}}}',
    'a.jsonl': '{"id": 1}\n"text"\n\n{"id": true}\n',
    'a.txt': 'Neutral,Anger\n4\n4\n-1\n0\n',
}
SEED = 20240229
ROUNDS = 3


class Fuzz(unittest.TestCase):

    def fuzz(self, *args):
        everything = clips.make(clips.EVERYTHING, 'everything')
        program = Path(os.environ['CORPUSFS_BUILD_DIR']) / 'tests/fuzz/fuzz_decode'
        done = subprocess.run([program, '-v', '-s', str(SEED), *args], cwd=everything,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        said = done.stdout.decode(errors='replace')
        print(f'# fuzz_decode -s {SEED} {args[0]}, {len(args)} arguments', flush=True)
        self.assertEqual(done.returncode, 0, said[-20000:])
        self.assertNotIn('runtime error', said)
        return said

    def test_damaged_clips(self):
        self.fuzz('-n', str(ROUNDS), *CLIPS)

    def test_damaged_tables(self):
        with tempfile.TemporaryDirectory() as home:
            for name, text in TABLES.items():
                (Path(home) / name).write_text(text, encoding='utf-8')
            said = self.fuzz('-n', '120', *(f'{home}/{name}' for name in TABLES))
        self.assertRegex(said, r'table: 2 records, 0 mistakes')

    def test_demuxing_and_decoding_agree(self):
        """The frames that demuxing tells are those that decoding finds, in every clip; nearly all can be told."""
        said = self.fuzz('-i', *clips.EVERYTHING)
        by_decoding = re.findall(r'(\S+): round 0\n.*, counted', said)
        self.assertEqual(by_decoding, ['containers/h264.avi'])


if __name__ == '__main__':
    harness.main(needs_mount=False)
