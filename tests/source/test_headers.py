#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every header compiles alone, with the flags of its room and nothing included before it."""
import json
import os
import shlex
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness, source


def flags_of_rooms():
    """{room: compiler and flags}, from a compile command of one of its files."""
    commands = json.loads((harness.BUILD / 'compile_commands.json').read_text(encoding='utf-8'))
    found = {}
    for entry in commands:
        if not entry['file'].endswith('.c'):
            continue
        name = os.path.relpath(os.path.join(entry['directory'], entry['file']), source.ROOT)
        words = shlex.split(entry['command'])
        while '-o' in words or '-MF' in words or '-MQ' in words:
            at = next(i for i, word in enumerate(words) if word in ('-o', '-MF', '-MQ'))
            del words[at:at + 2]
        found.setdefault(os.path.dirname(name), [w for w in words if w not in ('-c', '-MD', entry['file'])])
    return found


class Headers(unittest.TestCase):

    def test_alone(self):
        rooms = flags_of_rooms()
        names = source.files('.h')
        self.assertTrue(names)
        for name in names:
            flags = rooms.get(os.path.dirname(name))
            if flags is None:  # a header in a folder without sources
                flags = rooms['base']
            with self.subTest(header=name):
                done = subprocess.run([*flags, '-fsyntax-only', '-x', 'c', '-'], cwd=harness.BUILD, check=False,
                                      input=f'#include "{name}"\n#include "{name}"\n'.encode(),
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                self.assertEqual(done.returncode, 0, done.stdout.decode(errors='replace'))


if __name__ == '__main__':
    harness.main(needs_mount=False)
