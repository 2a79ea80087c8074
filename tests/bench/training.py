# SPDX-License-Identifier: Apache-2.0
"""T10 to T12: epochs of training as a TSN loader reads: 16 frames a clip, decoded by PIL, by two processes that take
clips in shuffled order."""
import contextlib
from pathlib import Path

import machine
import mounts
import peers
from decoding import SAMPLED, count_frames, uniform_frames
from samples import Sample, timed

WORKERS = 2


def _epoch(bench, corpus, tree, number, work):
    """Decodes the frames of `work`, [(video, [frame])], from a tree. `number` decides the order of the clips."""
    work = list(work)
    bench.random('T10', number).shuffle(work)
    parts = [[corpus.in_tree(tree, video) / f'{n + 1:06d}.jpg' for video, numbers in work[i::WORKERS] for n in numbers]
             for i in range(WORKERS)]
    return peers.decode_parts('pil', parts)


def _other_frames(bench, corpus):
    """A random frame of each of the equal stretches, as TSN samples in training."""
    counts, chance = count_frames(bench, corpus), bench.random('T11')
    return [(video, [int((i + chance.random()) * counts[video] / SAMPLED) for i in range(SAMPLED)])
            for video in corpus.videos]


def _epochs(bench, corpus, tree, before, disk, over=None):
    """{part: Sample}: the first epoch with the `before` seconds that it took until it could begin, and so on; disk() is
    what the frames take then. `over`: the second one again through an overlay over the tree."""
    work = uniform_frames(bench, corpus)
    first = _epoch(bench, corpus, tree, 1, work)
    first.seconds += before
    used = Sample(first.seconds, first.files, disk())
    second = _epoch(bench, corpus, tree, 2, work)
    again = _epoch(bench, corpus, over, 2, work) if over else second
    others = _epoch(bench, corpus, tree, 3, _other_frames(bench, corpus))
    return {'first': first, 'second': second, 'overlay': again, 'others': others, 'disk': used}


def t10(bench):
    as_root = machine.may_drop_caches()
    for corpus in bench.chosen(['a']):
        def ours(_, corpus=corpus):
            with bench.folder() as cache:
                mounting = mounts.corpusfs(bench.home, corpus.root, mounts.view(corpus.match.quality), cache)
                before, mount = timed(mounting.__enter__)
                try:
                    with mounts.overlay(bench.home, mount.path) if as_root else contextlib.nullcontext() as over:
                        return _epochs(bench, corpus, mount.path / 'img', before, lambda: machine.disk_bytes(cache),
                                       over and over / 'img')
                finally:
                    mounting.__exit__(None, None, None)

        def theirs(_, corpus=corpus):
            with bench.folder() as tree:
                extraction = peers.extract(corpus.root, corpus.videos, Path(tree), 2, 1)
                return _epochs(bench, corpus, tree, extraction.seconds, lambda: machine.disk_bytes(tree))
        count_frames(bench, corpus)
        done = bench.compare(f'T10 {corpus.name}', {'corpusfs': ours, 'ffmpeg': theirs})
        sampled = f'{SAMPLED} frames a clip, decoded by PIL, {WORKERS} processes'
        bench.row('T10', corpus.name, f'first epoch, {sampled}', done, 'ffmpeg', 'time', 'first', '<=', 0.25)
        bench.row('T11', corpus.name, 'second epoch, the same frames', done, 'ffmpeg', 'time', 'second', '<=', 1.05)
        if as_root:
            bench.row('T11', corpus.name, 'the same frames again through an overlay', done, 'ffmpeg', 'time', 'overlay', '<=', 1.05)
        bench.row('T11', corpus.name, 'third epoch, other frames', done, 'ffmpeg', 'time', 'others')
        bench.row('T12', corpus.name, 'disk used after T10', done, 'ffmpeg', 'disk', 'disk', '<=', 0.15)
