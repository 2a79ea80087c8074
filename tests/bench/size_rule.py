#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How well the sizes of JPEG frames fit: which share of the frames had to go below the wanted quality, and which share
of the bytes is filling. Prints a Markdown table.

    tests/bench/size_rule.py FOLDER     # of real videos, <class>/<clip>.<ext>

Takes the programs from CORPUSFS_BUILD_DIR, by default build/.
"""
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness  # noqa: E402

SIZES = {'as it is': '', '-1:240': 'size: "-1:240"', '224:224': 'size: "224:224"'}


def filling(data):
    """Bytes 0xFF before the last marker."""
    return len(data) - 2 - len(data[:-2].rstrip(b'\xff'))


def measure(root, home, settings):
    """(frames, lowered, bytes, bytes of filling) of all frames below root."""
    views = {'img/{class}/{clip}/{frame:06d}.jpg': f'frames: {{ timing: passthrough, {settings} }}'}
    config = Path(home) / 'corpus.yaml'
    config.write_text(harness.config_text(root, views, Path(home) / 'cache'), encoding='utf-8')
    frames = total = filled = 0
    with harness.Mount(config, home, Path(home) / 'cache') as mount:
        for name in mount.files():
            data = (mount.path / name).read_bytes()
            frames += 1
            total += len(data)
            filled += filling(data)
        lowered = mount.stats()['frames_lowered']
    return frames, lowered, total, filled


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith('-'):
        sys.stderr.write(__doc__)
        return 2
    root = Path(sys.argv[1]).resolve()
    print('| size | frames | below quality 95 | filling, of all bytes |\n| --- | --- | --- | --- |')
    for name, settings in SIZES.items():
        with tempfile.TemporaryDirectory(prefix='corpusfs-bench-') as home:
            frames, lowered, total, filled = measure(root, home, settings)
        print(f'| {name} | {frames} | {lowered} ({lowered / frames:.2%}) | {filled / total:.1%} |')
    return 0


if __name__ == '__main__':
    sys.exit(main())
