# SPDX-License-Identifier: Apache-2.0
"""The project's own source files, for the tests that read them."""
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ['base', 'mountcfg', 'decoders', 'cache', 'fs', 'cli', 'tests', 'tools', '.ci']


def files(*endings):
    """Paths relative to the checkout, sorted; build directories are not looked into."""
    found = [p for p in ROOT.iterdir() if p.is_file()]
    for room in ROOMS:
        found += (ROOT / room).rglob('*')
    return sorted(str(p.relative_to(ROOT)) for p in found if p.is_file() and p.name.endswith(endings))
