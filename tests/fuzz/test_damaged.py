#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Damaged archives."""
import random
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness
from lib.archives import PACKERS, TARS, ZIPS, Archives, Making, packed


FUZZER = harness.BUILD / 'tests/fuzz/fuzz_decode'


class Fuzz(Archives):

    def test_damaged(self):
        """Whatever is done to an archive, its list is one that can be taken. The same every time; longer ones:
        fuzz_decode -a -s SEED -n ROUNDS ARCHIVE..."""
        self.chance = random.Random(20240229)
        folder, plain, archives = self.fresh(), self.fresh(), self.fresh()
        Making(folder, self.chance).tree(things=15)
        Making(plain, self.chance, plain=True).tree(things=15)
        for name in ('gnu sparse', 'pax sparse 0.1', 'pax sparse 1.0', 'bsdtar'):
            TARS[name](archives / f'{name}.tar', folder)
        for name in ('zip', 'zip64', 'bsdtar'):
            ZIPS[name](archives / f'{name}.zip', plain)
        data = (archives / 'gnu sparse.tar').read_bytes()
        for name in PACKERS:
            (archives / name).write_bytes(packed(data, name))
        done = subprocess.run([FUZZER, '-a', '-v', '-s', '20240229', '-n', '30', *sorted(archives.iterdir())],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        said = done.stdout.decode(errors='replace')
        self.assertEqual(done.returncode, 0, said[-5000:])
        self.assertNotIn('runtime error', said)


if __name__ == '__main__':
    harness.main(needs_mount=False)
