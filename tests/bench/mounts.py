# SPDX-License-Identifier: Apache-2.0
"""Mounts corpusfs and its peers for a measurement, and unmounts them whatever happens."""
import contextlib
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from lib import harness

import jobs
import machine
from samples import timed


def view(quality):
    """The view that is measured: {template: settings}."""
    return {'img/{class}/{clip}/{frame:06d}.jpg': f'frames: {{ quality: {quality} }}'}


@contextlib.contextmanager
def corpusfs(home, root, views, cache=None, more=''):
    """A mount of the corpus in `root`; without `cache` its cache is new, and emptied afterwards."""
    with machine.folder(home, 'corpusfs-') as folder:
        cache = Path(cache or Path(folder) / 'cache')
        config = Path(folder) / 'corpus.yaml'
        config.write_text(harness.config_text(root, views, cache, cache_size='40GiB', more=more), encoding='utf-8')
        with harness.Mount(config, folder, cache) as mount:
            yield mount


@contextlib.contextmanager
def in_background(config, point):
    """Mounts corpusfs as a user does; gives (seconds until the command came back, pid of the daemon)."""
    try:
        with open(f'{point}.log', 'wb') as log:  # no pipe, whose end would be waited for
            seconds, _ = timed(lambda: subprocess.run([harness.CORPUSFS, 'mount', config, point], stdin=subprocess.DEVNULL,
                                                      stdout=log, stderr=log, timeout=60, check=True))
        yield seconds, _daemon_of(point)
    finally:
        subprocess.run([harness.CORPUSFS, 'unmount', point], stderr=subprocess.DEVNULL, check=False)
        if harness.is_mounted(point):
            subprocess.run(['umount', '-l', point], check=False)


def _daemon_of(point):
    for pid in harness.processes():
        with contextlib.suppress(OSError):
            if str(point).encode() in Path(f'/proc/{pid}/cmdline').read_bytes().split(b'\0'):
                return pid
    raise RuntimeError(f'no daemon of {point}')


@contextlib.contextmanager
def overlay(home, lower):
    """A read-only overlay over a folder, as root. Python's open() asks each file whether it is a terminal; an overlay
    answers that in the kernel, where FUSE asks the daemon."""
    with tempfile.TemporaryDirectory(prefix='overlay-', dir=home) as folder:
        empty, point = Path(folder) / 'empty', Path(folder) / 'mnt'
        empty.mkdir()
        point.mkdir()
        subprocess.run(['mount', '-t', 'overlay', 'overlay', '-o', f'ro,lowerdir={lower}:{empty}', point], check=True)
        try:
            yield point
        finally:
            subprocess.run(['umount', '-l', point], check=False)


def ffmpegfs(home, root):
    """A context manager: a mount point where each video is a folder of JPEGs; the cache is new."""
    return _peer(home, lambda cache, point: ['ffmpegfs', '-f', '--desttype=JPG', f'--cachepath={cache}', root, point])


def archivemount(home, archive):
    """A context manager: a mount point with the members of an archive."""
    return _peer(home, lambda _, point: ['archivemount', '-f', '-o', 'readonly', archive, point])


@contextlib.contextmanager
def _peer(home, command):
    """A mount by another program, which stays in the foreground: command(folder for a cache, mount point)."""
    folder = Path(tempfile.mkdtemp(prefix='peer-', dir=home))
    point = folder / 'mnt'
    point.mkdir()
    words = command(folder / 'cache', point)
    with open(folder / 'log', 'wb') as log:
        daemon = jobs.start(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        harness.wait_until(words[0], lambda: harness.is_mounted(point) or daemon.poll() is not None)
        if daemon.poll() is not None:
            raise RuntimeError(f'{words[0]} ended: {(folder / "log").read_text(errors="replace")[-2000:]}')
        yield point
    finally:
        _unmount(point, daemon)
        shutil.rmtree(folder, ignore_errors=True)


def _unmount(point, daemon):
    """ffmpegfs may live on after the unmount, at full speed, and its readers may hang: it is killed then."""
    subprocess.run(['fusermount3', '-u', '-z', str(point)], stderr=subprocess.DEVNULL, check=False)
    with contextlib.suppress(subprocess.TimeoutExpired):
        daemon.wait(5)
    jobs.end(daemon)
    if harness.is_mounted(point):
        subprocess.run(['umount', '-l', str(point)], check=False)


def end_all():
    """After this nothing is mounted and no program runs; for the end of a run that failed."""
    for mount in list(harness.live_mounts):
        mount.kill()
    jobs.end_all()
    time.sleep(0.1)
    jobs.end_all()
