# SPDX-License-Identifier: Apache-2.0
"""Counts what a program does to its cache folder, and makes chosen calls fail while it runs: see faults.h."""
import errno
import mmap
import os
import shutil
import struct
from pathlib import Path

from . import harness

LIBRARY = harness.BUILD / 'tests/lib/libfaults.so'
KINDS = ['write', 'sync', 'rename', 'resize', 'create', 'mkdir', 'unlink', 'sqlite', 'memory']
MODES = ['fail', 'short', 'late']
SQLITE_BUSY, SQLITE_FULL, SQLITE_IOERR_WRITE = 5, 13, 10 | 3 << 8
FOREVER = 1 << 62
# struct faults: device, dir, tracing, poison, then six numbers a kind.
_HEAD = struct.Struct('=Q1024sQQ')
_KIND = struct.Struct('=6Q')
_TRACING = 8 + 1024
_POISON = _TRACING + 8


class Faults:
    """The control file for one program and its folder. `environment` is what the program needs."""

    def __init__(self, home, cache, name='faults'):
        self.path = Path(home) / name
        device = os.stat(home).st_dev
        self.path.write_bytes(_HEAD.pack(device, str(cache).encode(), 0, 0) + bytes(_KIND.size * len(KINDS)))
        os.chmod(self.path, 0o666)
        with open(self.path, 'r+b') as file:
            self.map = mmap.mmap(file.fileno(), 0)
        options = harness.environment()['ASAN_OPTIONS']
        self.environment = {'LD_PRELOAD': str(LIBRARY), 'CORPUSFS_FAULTS': str(self.path),
                            'ASAN_OPTIONS': f'{options}:verify_asan_link_order=0'}

    def _set(self, kind, *numbers):
        _KIND.pack_into(self.map, _HEAD.size + _KIND.size * KINDS.index(kind), *numbers)

    def arm(self, kind, error, nth=1, length=1, mode='fail'):
        """The nth call from now on fails, and those after it until it were `length`."""
        self._set(kind, 0, nth, nth + length - 1, error, MODES.index(mode), 0)

    def disarm(self, kind):
        """How many calls there were, and how many of them failed."""
        calls, _, _, _, _, failed = _KIND.unpack_from(self.map, _HEAD.size + _KIND.size * KINDS.index(kind))
        self._set(kind, 0, 0, 0, 0, 0, 0)
        return calls, failed

    def trace(self, on):
        """Whether the SQL of each step is written down."""
        struct.pack_into('=Q', self.map, _TRACING, int(on))

    def poison(self, path):
        """Who reads this file from now on crashes; None: nobody."""
        struct.pack_into('=Q', self.map, _POISON, os.stat(path).st_ino if path else 0)

    def traced(self):
        """The SQL of the steps since it was asked last."""
        path = Path(f'{self.path}.sql')
        text = path.read_text(encoding='utf-8')
        os.truncate(path, 0)
        return text.splitlines()


def program_with_faulty_workers(home, faults):
    """A daemon's program whose workers, and not itself, are run with these faults: its decoder is a script."""
    folder = Path(home) / 'bin'
    folder.mkdir()
    shutil.copy(harness.CORPUSFS, folder)
    script = folder / 'corpusfs-decoder'
    settings = ' '.join(f"{name}='{value}'" for name, value in faults.environment.items())
    script.write_text(f'#!/bin/sh\n{settings} exec {harness.BUILD}/corpusfs-decoder "$@"\n', encoding='utf-8')
    script.chmod(0o755)
    return folder / 'corpusfs'


# What happens to a daemon: kind, error, mode, and how many calls it hits.
OF_DAEMONS = [
    ('write', errno.ENOSPC, 'short', FOREVER), ('write', errno.EIO, 'fail', 1), ('write', errno.EIO, 'fail', FOREVER),
    ('write', errno.ENOSPC, 'short', 1), ('sync', errno.EIO, 'fail', 1), ('rename', errno.EIO, 'fail', 3),
    ('rename', errno.EIO, 'late', 3), ('rename', errno.ENOSPC, 'fail', FOREVER), ('resize', errno.ENOSPC, 'fail', FOREVER),
    ('resize', errno.EIO, 'fail', FOREVER), ('create', errno.ENOSPC, 'fail', FOREVER), ('create', errno.EIO, 'fail', 1),
    ('create', errno.EMFILE, 'fail', 3), ('mkdir', errno.ENOSPC, 'fail', FOREVER), ('unlink', errno.EIO, 'fail', 1),
    ('unlink', errno.EIO, 'late', 3), ('unlink', errno.EPERM, 'fail', FOREVER), ('sqlite', SQLITE_FULL, 'fail', FOREVER),
    ('sqlite', SQLITE_IOERR_WRITE, 'fail', 1), ('sqlite', SQLITE_IOERR_WRITE, 'late', 1), ('sqlite', SQLITE_BUSY, 'fail', 3),
]
OF_WORKERS = [('write', errno.ENOSPC, 'short', FOREVER), ('write', errno.EIO, 'fail', 1), ('write', errno.ENOSPC, 'short', 1)]
