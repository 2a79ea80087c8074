# SPDX-License-Identifier: Apache-2.0
"""T8, T9 and T13: names and numbers of frames, without their pictures."""
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from lib import harness

import mounts
import peers
from corpora import videos_of
from jobs import at_once, run
from machine import most_memory, warm
from samples import Sample, timed

SMALL_VIEW = {'img/{class}/{clip}/{frame:06d}.jpg': 'frames: {}'}


def _lines_of(command, tree):
    return run([*command, tree], peers.LIMIT).count(b'\n')


def _sparse_tree(bench, like):
    """A tree of empty files with the names and sizes of another tree; kept in the work folder."""
    tree = bench.work / 'trees' / f'sparse{"-quick" if bench.quick else ""}'
    if not tree.is_dir():
        part = tree.with_name(f'{tree.name}.part')
        shutil.rmtree(part, ignore_errors=True)
        for directory, _, names in os.walk(like):
            bench.say(f'making the sparse tree: {directory}')
            copy = part / os.path.relpath(directory, like)
            copy.mkdir(parents=True)
            size = os.stat(os.path.join(directory, names[0])).st_size if names else 0
            for name in names:
                fd = os.open(copy / name, os.O_CREAT | os.O_WRONLY)
                os.ftruncate(fd, size)
                os.close(fd)
        part.rename(tree)
    return tree


def t8(bench):
    root = bench.made.get('long')
    with mounts.corpusfs(bench.home, root, SMALL_VIEW) as mount:
        tree = _sparse_tree(bench, mount.path / 'img')
        for command in (['find'], ['ls', '-lR']):
            trees = {'corpusfs': mount.path / 'img', 'ext4': tree}
            lines = {side: _lines_of(command, trees[side]) for side in trees}  # and so both are warm

            def timed_run(side, command=command, lines=lines, trees=trees):
                text = ' '.join([*command, str(trees[side]), '>/dev/null'])
                seconds, _ = timed(lambda: run(['sh', '-c', text], peers.LIMIT))
                return {'': Sample(seconds, lines[side])}
            done = bench.compare('T8', {'corpusfs': lambda n: timed_run('corpusfs'), 'ext4': lambda n: timed_run('ext4')})
            bench.row('T8', 'long', f'{" ".join(command)}, warm', done, 'ext4', 'rate', bound='>=', target=1.0,
                      note=f'{lines["ext4"]:,} lines')


def _program_hash():
    digest = hashlib.sha256()
    for name in ('corpusfs', 'corpusfs-decoder'):
        digest.update((harness.BUILD / name).read_bytes())
    return digest.hexdigest()[:16]


def _indexed_cache(bench, root):
    """A cache folder in which every clip below `root` is indexed by this very build; kept in the work folder."""
    caches = bench.work / 'caches'
    cache = caches / f'{root.name}-{_program_hash()}'
    if not cache.is_dir():
        shutil.rmtree(caches, ignore_errors=True)
        part = caches / 'part'
        with mounts.corpusfs(bench.home, root, SMALL_VIEW, cache=part) as mount:
            folders = [mount.path / 'img' / p for p in (v.relative_to(root) for v in videos_of(root))]
            for i in range(0, len(folders), 1000):
                bench.say(f'listing clip {i} of {len(folders)}')
                at_once(2, lambda some: run(['ls', '-U', *some], 600), [folders[i:i + 500], folders[i + 500:i + 1000]])
        part.rename(cache)
    return cache


def t9(bench):
    root = bench.made.get('many')
    cache = _indexed_cache(bench, root)
    clips = [v.relative_to(root) for v in videos_of(root)]
    with tempfile.TemporaryDirectory(dir=bench.home) as folder:
        config, point = Path(folder) / 'corpus.yaml', Path(folder) / 'mnt'
        config.write_text(harness.config_text(root, SMALL_VIEW, cache, cache_size='40GiB'), encoding='utf-8')
        point.mkdir()

        def ours(number):
            with mounts.in_background(config, point) as (seconds, pid):
                listing, _ = timed(lambda: run(['ls', point / 'img' / clips[0].parent], 60))
                memory = most_memory(pid)
                frames, _ = timed(lambda: run(['ls', point / 'img' / clips[-1 - number]], 60))
                parts = {'ls': Sample(seconds + listing, len(clips)), 'memory': Sample(seconds, len(clips), memory),
                         'frames': Sample(frames, 1)}
                if number == 0:
                    bench.say('listing every clip')
                    all_frames, _ = timed(lambda: _lines_of(['find'], point))
                    parts['find'] = Sample(all_frames, len(clips), most_memory(pid))
                return parts
        done = bench.compare('T9', {'corpusfs': ours})
    what = f'{len(clips):,} clips, index present'
    bench.row('T9', 'many', f'{what}: mount, then ls of a folder of clips', done, '', 'time', 'ls', '<=', 0.3)
    bench.row('T9', 'many', f'{what}: the most memory until then', done, '', 'memory', 'memory', '<=', 64 * 2 ** 20)
    bench.row('T9', 'many', f'{what}: ls of a clip\'s frames after that', done, '', 'time', 'frames')
    first = (done[0][:1], done[1])
    bench.row('T9', 'many', f'{what}: find of all frames after that', first, '', 'time', 'find')
    bench.row('T9', 'many', f'{what}: the most memory with that', first, '', 'memory', 'find')


def t13(bench):
    """Reading its n_frames indexes a clip. ffprobe counts packets, which for these clips is the same number."""
    root = bench.made.get('mixed')
    videos = videos_of(root)
    warm(videos)

    def counts(mount):
        return [mount.path / 'img' / v.relative_to(root) / 'n_frames' for v in videos]

    def check(cache, wanted):
        with mounts.corpusfs(bench.home, root, SMALL_VIEW, cache, 'n_frames: true\n') as mount:
            found = [int(path.read_text()) for path in counts(mount)]
            if found != wanted or mount.stats()['jobs_index']:
                raise RuntimeError('the index is not what ffprobe counts, or was not kept')

    def ours(number):
        with bench.folder() as cache:
            with mounts.corpusfs(bench.home, root, SMALL_VIEW, cache, 'n_frames: true\n') as mount:
                sample = peers.read_list(counts(mount), 2)
            if number == 0:
                check(cache, [int(text) for text in at_once(2, ffprobe, videos)])
        return {'': sample}

    def ffprobe(video):
        return run(['ffprobe', '-v', 'error', '-count_packets', '-select_streams', 'v:0', '-show_entries',
                    'stream=nb_read_packets', '-of', 'csv=p=0', video], peers.LIMIT)

    def theirs(_):
        seconds, found = timed(lambda: at_once(2, ffprobe, videos))
        return {'': Sample(seconds, len(found))}
    done = bench.compare('T13', {'corpusfs': ours, 'ffprobe': theirs})
    bench.row('T13', 'mixed', f'index {len(videos):,} clips, 2 readers', done, 'ffprobe', 'rate', bound='>=', target=10)
