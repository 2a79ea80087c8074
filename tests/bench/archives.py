# SPDX-License-Identifier: Apache-2.0
"""A1 to A6: tars whose members are files of the mount. Each corpus is a folder with one archive, shard.tar."""
import contextlib
import shutil
import tempfile
from pathlib import Path

from lib import harness

import mounts
import peers
from corpora import SHARD_MEMBER, TAR_END, member_name, write_members
from jobs import run
from machine import most_memory, warm
from samples import Sample, timed

SOURCE = '- archives: "*.tar"'
VIEWS = {'{path}': 'files:'}


class Shard:
    """The archive of a corpus, in the page cache, and a folder for configurations and caches of its own."""

    def __init__(self, root, folder):
        self.root, self.folder, self.archive = root, Path(folder), root / 'shard.tar'
        warm([self.archive])

    def new(self, cache=None):
        """(configuration, cache, mount point); without `cache` that is a new one."""
        home = Path(tempfile.mkdtemp(dir=self.folder))
        cache, config, point = cache or home / 'cache', home / 'corpus.yaml', home / 'mnt'
        point.mkdir()
        config.write_text(harness.config_text(self.root, VIEWS, cache, cache_size='40GiB', source=SOURCE), encoding='utf-8')
        return config, cache, point

    def index(self, config):
        """Seconds that `corpusfs index` takes."""
        seconds, _ = timed(lambda: run([harness.CORPUSFS, 'index', config], peers.LIMIT))
        return seconds

    def indexed(self):
        """A cache that has the archive's list."""
        config, cache, _ = self.new()
        self.index(config)
        return cache

    @contextlib.contextmanager
    def mount(self, cache=None):
        config, cache, _ = self.new(cache)
        with harness.Mount(config, self.folder, cache) as mount:
            yield mount

    @contextlib.contextmanager
    def listed(self, cache=None):
        """A mount as a user makes it; gives (seconds to mount and list the first folder, mount point)."""
        config, _, point = self.new(cache)
        with mounts.in_background(config, point) as (seconds, _):
            listing, _ = timed(lambda: run(['ls', point / member_name(0, '').split('/', maxsplit=1)[0]], 60))
            yield seconds + listing, point


@contextlib.contextmanager
def _shard(bench, name):
    root = bench.made.get(name)
    with bench.folder() as folder:
        yield Shard(root, folder)


def _count(bench, full):
    return 2000 if bench.quick else full


def _check(shard, cache, members):
    """The list is whole, and was kept."""
    with shard.mount(cache) as mount:
        found = len(mount.files())
        if found != members or mount.stats()['jobs_list']:
            raise RuntimeError(f'{found} members, not {members}, or the list was not kept')


def a1(bench):
    members = _count(bench, 100000)
    with _shard(bench, 'shard') as shard:
        def ours(number):
            config, cache, _ = shard.new()
            seconds = shard.index(config)
            if number == 0:
                _check(shard, cache, members)
            return {'': Sample(seconds, members)}

        def tar(_):
            seconds, _ = timed(lambda: run(['sh', '-c', f'tar tf {shard.archive} >/dev/null'], peers.LIMIT))
            return {'': Sample(seconds, members)}
        done = bench.compare('A1', {'corpusfs': ours, 'tar tf': tar})
        bench.row('A1', 'shard', f'index a tar of {members:,} members', done, 'tar tf', 'time', bound='<=', target=2)

        def mounted(_):
            with shard.listed() as (seconds, _):
                return {'': Sample(seconds, members)}

        def archivemount(_):
            with contextlib.ExitStack() as stack:
                def mount_and_list():
                    point = stack.enter_context(mounts.archivemount(shard.folder, shard.archive))
                    run(['ls', point / '0000'], peers.LIMIT)
                return {'': Sample(timed(mount_and_list)[0], members)}
        done = bench.compare('A1', {'corpusfs': mounted, 'archivemount': archivemount})
        bench.row('A1', 'shard', 'mount it without an index, then ls of a folder', done, 'archivemount', 'time')


def a2(bench):
    members = _count(bench, 2000000)
    with _shard(bench, 'empty') as shard:
        def ours(_):
            config, cache, _ = shard.new()
            start_to_ls, (daemon, workers) = timed(lambda: _memory(shard, config, cache))
            kept = sum(path.stat().st_size for path in cache.rglob('*') if path.is_file())
            shutil.rmtree(cache)
            return {'daemon': Sample(start_to_ls, members, daemon), 'workers': Sample(start_to_ls, members, workers),
                    'index': Sample(start_to_ls, members, kept)}
        done = bench.compare('A2', {'corpusfs': ours})
    what = f'{members:,} empty members'
    bench.row('A2', 'empty', f'{what}: the most memory of the daemon, listing them', done, '', 'memory', 'daemon', '<=',
              128 * 2 ** 20)
    bench.row('A2', 'empty', f'{what}: the most memory of a worker', done, '', 'memory', 'workers')
    bench.row('A2', 'empty', f'{what}: the cache folder', done, '', 'disk', 'index', '<=', 80 * members)


def _memory(shard, config, cache):
    """The most that (the daemon, the largest of its workers) had when a mount has listed an archive."""
    with harness.Mount(config, shard.folder, cache) as mount:
        run(['ls', mount.path / '0000'], 60)
        return most_memory(mount.daemon.pid), max(map(most_memory, mount.workers()))


def a3(bench):
    for name, members, target in (('shard', 100000, 0.05), ('empty', 2000000, None)):
        with _shard(bench, name) as shard:
            cache = shard.indexed()

            def ours(_, shard=shard, cache=cache, members=members):
                with shard.listed(cache) as (seconds, _):
                    return {'': Sample(seconds, _count(bench, members))}
            done = bench.compare('A3', {'corpusfs': ours})
        bench.row('A3', name, f'{_count(bench, members):,} members, index present: mount, then ls of a folder', done, '',
                  'time', bound='<=' if target else '', target=target)


def a4(bench):
    members, some = _count(bench, 100000), 100 if bench.quick else 1000
    with _shard(bench, 'shard') as shard, bench.folder() as extracted:
        cache = shard.indexed()
        bench.say('extracting')
        run(['tar', '-xf', shard.archive, '-C', extracted], peers.LIMIT)
        warm(path for path in Path(extracted).rglob('*') if path.is_file())

        def twice(below, number):
            chosen = bench.random('A4', number).sample(range(members), some)
            paths = [Path(below) / member_name(i, '.jpg') for i in chosen]
            return {part: peers.read_list(paths) for part in ('first', 'second')}

        def ours(number):
            with shard.mount(cache) as mount:
                return twice(mount.path, number)
        done = bench.compare('A4', {'corpusfs': ours, 'ext4': lambda number: twice(extracted, number)})
    bench.row('A4', 'shard', f'{some:,} random members', done, 'ext4', 'rate', 'first', '>=', 0.5)
    bench.row('A4', 'shard', 'the same again', done, 'ext4', 'rate', 'second', '>=', 0.95)


def _whole(paths):
    """Files that are read to their ends, as one sample."""
    sample = peers.read_list(paths)
    return Sample(sample.seconds, 1, sample.bytes)


def a5(bench):
    with _shard(bench, 'films') as shard:
        cache = shard.indexed()

        def ours(_):
            with shard.mount(cache) as mount:
                films = [mount.path / name for name in mount.files()]
                return {'first': _whole(films), 'second': _whole(films)}

        def itself(_):
            return {'first': _whole([shard.archive]), 'second': _whole([shard.archive])}
        done = bench.compare('A5', {'corpusfs': ours, 'the tar': itself})
        bench.row('A5', 'films', 'every member in order', done, 'the tar', 'byte rate', 'first', '>=', 0.9)
        bench.row('A5', 'films', 'the same again', done, 'the tar', 'byte rate', 'second', '>=', 0.9)
    with _shard(bench, 'shorts') as shard:
        cache, members = shard.indexed(), 2 if bench.quick else 100

        def members_of(point):
            return {'': _whole([point / member_name(i, '.mp4') for i in range(members)])}

        def ours_short(_):
            with shard.mount(cache) as mount:
                return members_of(mount.path)

        def archivemount(_):
            with mounts.archivemount(shard.folder, shard.archive) as point:
                return members_of(point)
        done = bench.compare('A5', {'corpusfs': ours_short, 'archivemount': archivemount})
        bench.row('A5', 'shorts', 'every member in order', done, 'archivemount', 'byte rate', bound='>=', target=3)


def a6(bench):
    """The archive is a copy, which grows and is cut again; each round has a new cache."""
    members, more = _count(bench, 100000), 100
    with _shard(bench, 'shard') as kept, bench.folder() as folder:
        shutil.copy(kept.archive, folder)
        shard = Shard(Path(folder), kept.folder)
        end = shard.archive.stat().st_size - TAR_END

        def ours(number):
            config, cache, _ = shard.new()
            first = Sample(shard.index(config), members)
            with open(shard.archive, 'r+b') as tar:
                tar.seek(end)
                write_members(tar, range(members, members + more), '.jpg', bytes(SHARD_MEMBER), bench.say)
            again = Sample(shard.index(config), members)
            if number == 0:
                _check(shard, cache, members + more)
            with open(shard.archive, 'r+b') as tar:
                tar.truncate(end)
                tar.seek(end)
                tar.write(bytes(TAR_END))
            return {'first': first, 'again': again}
        rounds, notes = bench.compare('A6', {'corpusfs': ours})
    shares = [{'corpusfs': {'': done['corpusfs']['again']}, 'first': {'': done['corpusfs']['first']}} for done in rounds]
    bench.row('A6', 'shard', f'index {members:,} members again, {more} more at the end', (shares, notes), 'first', 'time')
