# SPDX-License-Identifier: Apache-2.0
"""Mounts corpusfs and ffmpegfs for a measurement, and unmounts them whatever happens."""
import contextlib
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from lib import harness

import jobs


def view(quality):
    """The view that is measured: {template: settings}."""
    return {'img/{class}/{clip}/{frame:06d}.jpg': f'frames: {{ quality: {quality} }}'}


@contextlib.contextmanager
def corpusfs(home, root, views, cache=None, more=''):
    """A mount of the corpus in `root`; without `cache` its cache is new, and removed afterwards."""
    with tempfile.TemporaryDirectory(prefix='corpusfs-', dir=home) as folder:
        cache = Path(cache or Path(folder) / 'cache')
        config = Path(folder) / 'corpus.yaml'
        config.write_text(harness.config_text(root, views, cache, cache_size='40GiB', more=more), encoding='utf-8')
        with harness.Mount(config, folder, cache) as mount:
            yield mount


@contextlib.contextmanager
def ffmpegfs(home, root):
    """A mount point where each video is a folder of JPEGs; the cache is new."""
    folder = Path(tempfile.mkdtemp(prefix='ffmpegfs-', dir=home))
    point, cache = folder / 'mnt', folder / 'cache'
    point.mkdir()
    with open(folder / 'log', 'wb') as log:
        daemon = jobs.start(['ffmpegfs', '-f', '--desttype=JPG', f'--cachepath={cache}', root, point],
                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        harness.wait_until('ffmpegfs', lambda: harness.is_mounted(point) or daemon.poll() is not None)
        if daemon.poll() is not None:
            raise RuntimeError(f'ffmpegfs ended: {(folder / "log").read_text(errors="replace")[-2000:]}')
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
