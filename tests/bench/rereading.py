# SPDX-License-Identifier: Apache-2.0
"""T6 and T7: frames that were made before, against the extracted tree on the work folder's own filesystem."""
import contextlib
from pathlib import Path

import machine
import mounts
import peers


@contextlib.contextmanager
def both_trees(bench, corpus):
    """(paths in a mount whose every frame is made, paths in the extracted tree), in the same order."""
    with bench.mount(corpus) as mount, bench.folder() as extracted:
        bench.say('making all frames')
        peers.read_folders([corpus.in_tree(mount.path / 'img', v) for v in corpus.videos], 2)
        bench.say('extracting all frames')
        peers.extract(corpus.root, corpus.videos, Path(extracted), 2, 1)
        ours, theirs = [], []
        for video in corpus.videos:
            names = sorted(path.name for path in corpus.in_tree(extracted, video).iterdir())
            ours += [str(corpus.in_tree(mount.path / 'img', video) / name) for name in names]
            theirs += [str(corpus.in_tree(extracted, video) / name) for name in names]
        yield ours, theirs


def filling(paths):
    """The share of these files' bytes that is filling."""
    total = filled = 0
    for path in paths:
        data = Path(path).read_bytes()
        total += len(data)
        filled += len(data) - 2 - len(data[:-2].rstrip(b'\xff'))
    return filled / total


def t6(bench):
    """In the order of names, which is the order that both trees were written in."""
    for corpus in bench.chosen(['a']):
        with both_trees(bench, corpus) as (ours, theirs):
            for readers in (1, 2):
                def dropped(paths, readers=readers):
                    machine.drop_caches()
                    return {'': peers.read_list(paths, readers)}
                done = bench.compare(f'T6 {corpus.name}', {'corpusfs': lambda n: dropped(ours),
                                                           'ext4': lambda n: dropped(theirs)})
                bench.row('T6', corpus.name, f'every frame again, page cache dropped, {words(readers)}', done, 'ext4',
                          'rate', bound='>=', target=1.0)


def words(readers):
    return 'one reader' if readers == 1 else f'{readers} readers'


def t7(bench):
    for corpus in bench.chosen(['a']):
        with both_trees(bench, corpus) as (ours, theirs):
            note = f'filling: {filling(ours):.1%} of the bytes'
            for readers in (1, 2):
                done = warm_rounds(bench, corpus, ours, theirs, lambda paths, r=readers: peers.read_list(3 * paths, r))
                what = f'every frame again, warm, {words(readers)}'
                bench.row('T7a', corpus.name, what, done, 'ext4', 'byte rate', bound='>=', target=0.95, note=note)
                bench.row('T7a', corpus.name, what, done, 'ext4', 'rate')
            some = slice(None, None, max(1, len(ours) // 2000))
            for library in ('pil', 'opencv'):
                decoded_rows(bench, corpus, ours[some], theirs[some], library)
            if machine.may_drop_caches():
                mount = Path(ours[0]).parents[3]
                with mounts.overlay(bench.home, mount) as over:
                    through = [str(over / Path(path).relative_to(mount)) for path in ours[some]]
                    decoded_rows(bench, corpus, through, theirs[some], 'pil', ', through an overlay')


def decoded_rows(bench, corpus, ours, theirs, library, how=''):
    for readers in (1, 2):
        done = warm_rounds(bench, corpus, ours, theirs, lambda paths, r=readers: peers.decode_list(library, paths, r))
        bench.row('T7b', corpus.name, f'{len(ours)} frames, decoded by {library}, {words(readers)}{how}',
                  done, 'ext4', 'rate', bound='>=', target=0.97)


def warm_rounds(bench, corpus, ours, theirs, read):
    """Rounds of read(paths), after one of each that does not count."""
    read(ours)
    read(theirs)
    return bench.compare(f'T7 {corpus.name}', {'corpusfs': lambda n: {'': read(ours)},
                                               'ext4': lambda n: {'': read(theirs)}})
