#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""C sources look as clang-format makes them look, and every file says what licence it has."""
import re
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness, source


class Format(unittest.TestCase):

    def test_clang_format(self):
        done = subprocess.run(['clang-format', '--dry-run', '-Werror', *source.files('.c', '.h', '.cpp')], cwd=source.ROOT,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        said = done.stdout.decode(errors='replace')
        differing = sorted(set(re.findall(r'^(\S+?):\d+:\d+: error:', said, re.MULTILINE)))
        self.assertEqual(differing, [], 'for these, run clang-format -i')
        self.assertEqual(done.returncode, 0, said)

    def test_licence_lines(self):
        for name in source.files('.c', '.cpp', '.h', '.py', 'meson.build', 'meson_options.txt', '.sh', '.yaml'):
            with self.subTest(name=name):
                head = (source.ROOT / name).read_text(encoding='utf-8').split('\n')[:3]
                self.assertTrue(any('SPDX-License-Identifier: Apache-2.0' in line for line in head))


if __name__ == '__main__':
    harness.main(needs_mount=False)
