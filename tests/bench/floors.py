# SPDX-License-Identifier: Apache-2.0
"""The floor of T1 and T3: what the same frames cost in a loop around libavcodec, on as many threads, and what with the
expansion of levels and the encoding of JPEGs besides."""
import peers
from decoding import random_frames, read_ours

STEPS = {'decode': 'decoding alone', 'convert': 'decoding, levels', 'encode': 'decoding, levels, JPEG'}


def _rows(bench, test, corpus, work, sides):
    done = bench.compare(f'floor {test} {corpus.name}', sides)
    for name in STEPS.values():
        bench.row(f'{test} / floor', corpus.name, work, done, name, 'time')


def t1_floor(bench, corpus):
    q = corpus.match.quality

    def ours(_):
        with bench.mount(corpus) as mount:
            return {'': peers.read_folders([corpus.in_tree(mount.path / 'img', v) for v in corpus.videos], 2)}
    floors = {name: lambda n, step=step: {'': peers.floor(step, 1, q, corpus.videos, 2)} for step, name in STEPS.items()}
    _rows(bench, 'T1', corpus, 'every frame, 2 processes', {'corpusfs': ours, **floors})


def t3_floor(bench, corpus):
    q = corpus.match.quality

    def lines(number):
        return [f'{video}\t{n}' for video, numbers in random_frames(bench, corpus, number) for n in numbers]
    floors = {name: lambda n, step=step: {'': peers.floor(step, 2, q, lines(n))} for step, name in STEPS.items()}
    _rows(bench, 'T3', corpus, 'one random frame a clip, 2 threads',
          {'corpusfs': lambda n: {'': read_ours(bench, corpus, random_frames(bench, corpus, n))}, **floors})


def floors(bench):
    for corpus in bench.chosen(['a']):
        t1_floor(bench, corpus)
        t3_floor(bench, corpus)
