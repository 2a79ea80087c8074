#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The rooms keep to their dependencies: what each may include, of the others and of the system."""
import re
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness, source

# Headers of our own that each room may include: itself, and what stands below it.
OWN = {
    'base': r'base/',
    'mountcfg': r'base/|mountcfg/',
    'decoders': r'base/|decoders/',
    'cache': r'base/|cache/|decoders/(protocol|index|members|npy|records)\.h$',
    'fs': r'base/|fs/|cache/|mountcfg/|decoders/(protocol|index|members|npy|records)\.h$',
    'cli': r'base/|fs/|cache/|mountcfg/|cli/|decoders/(protocol|index|members|npy|records)\.h$',
}
# Libraries that belong to one room alone.
LIBRARIES = {
    r'fuse': {'fs', 'cli'},
    r'sqlite3': {'cache'},
    r'libav|libsw|turbojpeg|png\.h|zlib|bzlib|lzma|zstd|archive|lame|fftw': {'decoders'},
    r'yaml': {'mountcfg'},
    r'pcre2': {'mountcfg', 'decoders'},
    r'seccomp': {'decoders'},
    r'opencv2': {'decoders'},
}


class Rooms(unittest.TestCase):

    def test_includes(self):
        seen = 0
        for name in source.files('.c', '.cpp', '.h'):
            room = name.partition('/')[0]
            if room not in OWN:
                continue
            text = (source.ROOT / name).read_text(encoding='utf-8')
            for kind, header in re.findall(r'^\s*#\s*include\s+([<"])([^>"]+)', text, re.MULTILINE):
                seen += 1
                with self.subTest(file=name, header=header):
                    if kind == '"':
                        self.assertRegex(header, rf'^(?:{OWN[room]})', 'own headers are named from the top')
                    for library, owners in LIBRARIES.items():
                        if kind == '<' and re.match(library, header):
                            self.assertIn(room, owners)
        self.assertGreater(seen, 20)


if __name__ == '__main__':
    harness.main(needs_mount=False)
