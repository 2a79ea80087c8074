# SPDX-License-Identifier: Apache-2.0
"""N1 to N3: arrays that have to be made. Cold is: a new cache folder, and the sources in the page cache, for both."""
import sys
from pathlib import Path

import mounts
from decoding import count_frames
from jobs import run
from machine import warm
from peers import HERE, LIMIT
from corpora import videos_of
from samples import parse

CLIPS = 10                    # whole tensors are of so many
RGB = {'rgb/{class}/{clip}.npy': 'npy: { kind: rgb }'}
LOGMEL = {'logmel/{class}/{clip}.npy': 'npy: { kind: logmel, rate: 16000, n_fft: 400, hop: 160, bands: 80 }'}


def in_process(how, work):
    """A Python process that makes or reads arrays: lines of `work` as array_files.py takes them."""
    return {'': parse(run([sys.executable, HERE / 'array_files.py', how], LIMIT,
                          ''.join(f'{line}\n' for line in work).encode()))}


def array_path(root, mount, folder, video):
    return (mount.path / folder / video.relative_to(root)).with_name(f'{video.name}.npy')


def n1(bench):
    for corpus in bench.chosen(['a']):
        videos = corpus.videos[::max(1, len(corpus.videos) // CLIPS)][:CLIPS]

        def ours(_, corpus=corpus, videos=videos):
            with mounts.corpusfs(bench.home, corpus.root, RGB) as mount:
                return in_process('load', [array_path(corpus.root, mount, 'rgb', v) for v in videos])
        done = bench.compare(f'N1 {corpus.name}', {'corpusfs': ours, 'PyAV': lambda _, v=videos: in_process('pyav', v)})
        bench.row('N1', corpus.name, f'rgb tensors of {len(videos)} clips, np.load', done, 'PyAV', 'speed-up', bound='>=', target=1.0)


def n2(bench):
    for corpus in bench.chosen(['a']):
        counts = count_frames(bench, corpus)
        views = {**RGB, **mounts.view(corpus.match.quality)}

        def work(number, corpus=corpus, counts=counts):
            chance = bench.random('N2', corpus.name, number)
            chosen = [(video, chance.randrange(counts[video])) for video in corpus.videos]
            chance.shuffle(chosen)
            return chosen

        def rows(number, corpus=corpus):
            with mounts.corpusfs(bench.home, corpus.root, views) as mount:
                return in_process('row', [f'{k} {array_path(corpus.root, mount, "rgb", v)}' for v, k in work(number)])

        def files(how, number, corpus=corpus):
            with mounts.corpusfs(bench.home, corpus.root, views) as mount:
                return in_process(how, [corpus.in_tree(mount.path / 'img', v) / f'{k + 1:06d}.jpg' for v, k in work(number)])
        done = bench.compare(f'N2 {corpus.name}', {'corpusfs': rows, 'its jpg': lambda n: files('read', n),
                                                   'its jpg, decoded': lambda n: files('opencv', n)})
        what = 'one random frame of each clip from its mapped rgb tensor'
        bench.row('N2', corpus.name, what, done, 'its jpg', 'time', bound='<=', target=1.2)
        bench.row('N2', corpus.name, what, done, 'its jpg, decoded', 'time')


def n3(bench):
    root = bench.made.get('minute')
    videos = videos_of(root)
    warm(videos)

    def ours(_):
        with mounts.corpusfs(bench.home, root, LOGMEL) as mount:
            return in_process('load', [array_path(root, mount, 'logmel', v) for v in videos])
    done = bench.compare('N3', {'corpusfs': ours, 'PyAV and numpy': lambda _: in_process('logmel', videos)})
    bench.row('N3', Path(root).name, 'logmel of a minute of sound', done, 'PyAV and numpy', 'speed-up', bound='>=', target=3)
