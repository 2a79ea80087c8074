# SPDX-License-Identifier: Apache-2.0
"""T1 to T5: frames that have to be made. Cold is: a new cache folder, and the sources in the page cache, for both."""
from pathlib import Path

import mounts
import peers
import quality

SAMPLED = 16                  # frames a clip in T4: one from the middle of each of 16 equal stretches, as TSN takes
OF_ONE_CLIP = {'b': 8, 'd': 2}  # random frames in T3



def count_frames(bench, corpus):
    """{video: number of frames}, from a mount."""
    if not corpus.frames:
        with bench.mount(corpus) as mount:
            for video in corpus.videos:
                corpus.frames[video] = sum(1 for _ in corpus.in_tree(mount.path / 'img', video).iterdir())
    return corpus.frames


def frame_path(corpus, mount, video, number):
    """A frame's file; numbers count from 0."""
    return corpus.in_tree(mount.path / 'img', video) / f'{number + 1:06d}.jpg'


def every_frame(bench, test, corpus, readers, target):
    """T1 and T2: all frames of all clips, against extraction to disk."""
    threads = 1 if readers > 1 else None

    def ours(_):
        with bench.mount(corpus) as mount:
            return {'': peers.read_folders([corpus.in_tree(mount.path / 'img', v) for v in corpus.videos], readers)}

    def ffmpeg(_):
        with bench.folder() as out:
            return {'': peers.extract(corpus.root, corpus.videos, Path(out), readers, threads)}
    done = bench.compare(f'{test} {corpus.name}', {'corpusfs': ours, 'ffmpeg': ffmpeg})
    work = f'every frame, {readers} readers' if readers > 1 else 'every frame, one reader'
    bench.row(test, corpus.name, work, done, 'ffmpeg', 'rate', bound='>=', target=target)


def t1(bench):
    for corpus in bench.chosen(['a', 'c']):
        every_frame(bench, 'T1', corpus, 2, 1.8 if corpus.name != 'c' else None)


def t2(bench):
    for corpus in bench.chosen(['a', 'b', 'c', 'd']):
        every_frame(bench, 'T2', corpus, 1, 1.5)


def random_frames(bench, corpus, number):
    """[(video, [frame])] in random order: one of each clip; of a corpus of one clip, some."""
    counts, chance = count_frames(bench, corpus), bench.random('T3', corpus.name, number)
    often = OF_ONE_CLIP.get(corpus.name, 1)
    work = [(video, [chance.randrange(counts[video])]) for video in corpus.videos * often]
    chance.shuffle(work)
    return work


def uniform_frames(bench, corpus):
    counts = count_frames(bench, corpus)
    return [(video, [int((i + 0.5) * counts[video] / SAMPLED) for i in range(SAMPLED)]) for video in corpus.videos]


def read_ours(bench, corpus, work):
    with bench.mount(corpus) as mount:
        return peers.read_list([frame_path(corpus, mount, video, n) for video, numbers in work for n in numbers])


def _beside(number):
    return number - 1 if number else 1


def check_pictures(bench, corpus, work, sides):
    """Each side's pictures of some frames are nearer to the wanted frame than to the one beside it. `sides` are (name,
    function(work, folder)) that leave JPEGs in a folder. Returns words about their quality."""
    if corpus.name in OF_ONE_CLIP:
        return f'at quality {corpus.match.quality}'  # large pictures: what holds for the small ones is not tried again
    work = [(video, numbers[:3]) for video, numbers in work[:4]]
    needed = {}
    for video, numbers in work:
        needed.setdefault(video, []).extend(m for n in numbers for m in (n, _beside(n)))
    planes = {video: quality.planes_of(video, numbers) for video, numbers in needed.items()}
    wanted = [planes[video][n] for video, numbers in work for n in numbers]
    beside = [planes[video][_beside(n)] for video, numbers in work for n in numbers]
    words = []
    for name, save in sides:
        with bench.folder() as folder:
            save(work, folder)
            jpegs = [path.read_bytes() for path in sorted(Path(folder).iterdir())]
        for jpeg, right, wrong in zip(jpegs, wanted, beside):
            if quality.psnr(jpeg, right) <= quality.psnr(jpeg, wrong):
                raise RuntimeError(f'{name} gives other frames than were asked for')
        words.append(f'{name} {quality.mean_psnr(jpegs, wanted):.2f} dB')
    return f'luma PSNR at quality {corpus.match.quality} of {len(wanted)} frames: {", ".join(words)}'


def save_ours(bench, corpus):
    def save(work, folder):
        with bench.mount(corpus) as mount:
            paths = [frame_path(corpus, mount, video, n) for video, numbers in work for n in numbers]
            for i, path in enumerate(paths):
                (Path(folder) / f'{i:06d}.jpg').write_bytes(path.read_bytes())
    return save


def save_in_process(corpus, library, how):
    return lambda work, folder: peers.in_process(library, how, corpus.match.quality, work, folder)


def t3(bench):
    for corpus in bench.chosen(['a', 'b', 'd']):
        q = corpus.match.quality

        def work(number, corpus=corpus):
            return random_frames(bench, corpus, number)
        note = check_pictures(bench, corpus, work(0), [
            ('corpusfs', save_ours(bench, corpus)), ('PyAV', save_in_process(corpus, 'pyav', 'one')),
            ('OpenCV', save_in_process(corpus, 'opencv', 'one'))])
        done = bench.compare(f'T3 {corpus.name}', {
            'corpusfs': lambda n: {'': read_ours(bench, corpus, work(n))},
            'PyAV': lambda n: {'': peers.in_process('pyav', 'one', q, work(n))},
            'OpenCV': lambda n: {'': peers.in_process('opencv', 'one', q, work(n))}})
        often = OF_ONE_CLIP.get(corpus.name)
        what = f'{often} random frames of one clip' if often else 'one random frame a clip'
        bench.row('T3', corpus.name, what, done, 'PyAV', 'time', bound='<=', target=0.65, note=note)
        bench.row('T3', corpus.name, what, done, 'OpenCV', 'time', bound='<=', target=0.8)


def t4(bench):
    for corpus in bench.chosen(['a', 'b', 'd']):
        work = uniform_frames(bench, corpus)
        q = corpus.match.quality
        note = check_pictures(bench, corpus, work, [
            ('corpusfs', save_ours(bench, corpus)), ('PyAV', save_in_process(corpus, 'pyav', 'pass'))])
        done = bench.compare(f'T4 {corpus.name}', {
            'corpusfs': lambda n: {'': read_ours(bench, corpus, work)},
            'PyAV': lambda n: {'': peers.in_process('pyav', 'pass', q, work)}})
        bench.row('T4', corpus.name, f'{SAMPLED} uniform frames a clip', done, 'PyAV', 'time', bound='<=', target=0.8,
                  note=note)


def t5(bench):
    """ffmpegfs may hang; then its readers are ended after two minutes, and the round does not count."""
    for corpus in bench.chosen(['a']):
        def work(number, corpus=corpus):
            return random_frames(bench, corpus, number)

        def twice(paths, limit):
            return {'first': peers.read_list(paths, limit=limit), 'again': peers.read_list(paths, limit=limit)}

        def ours(number, corpus=corpus):
            with bench.mount(corpus) as mount:
                return twice([frame_path(corpus, mount, v, n) for v, (n,) in work(number)], peers.LIMIT)

        def theirs(number, corpus=corpus):
            with mounts.ffmpegfs(bench.home, corpus.root) as point:
                return twice([corpus.in_tree(point, v) / f'{n + 1:06d}.jpg' for v, (n,) in work(number)], 120)
        done = bench.compare(f'T5 {corpus.name}', {'corpusfs': ours, 'ffmpegfs': theirs})
        bench.row('T5', corpus.name, 'one random frame a clip', done, 'ffmpegfs', 'speed-up', 'first', '>=', 5,
                  note="ffmpegfs' quality cannot be chosen")
        bench.row('T5', corpus.name, 'the same frames again', done, 'ffmpegfs', 'speed-up', 'again', '>=', 1000)
