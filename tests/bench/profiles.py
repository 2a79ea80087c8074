# SPDX-License-Identifier: Apache-2.0
"""Where the time of T1 to T4 goes: samples of all processors by perf, told apart by process and library."""
import collections
import re

import peers
from decoding import frame_path, random_frames, uniform_frames
from jobs import run, start
from samples import timed

HERTZ = 997

# What a sample of a worker or of the daemon is, by the name of its library; the first that fits. The transform of the
# JPEG encoder is a function of libavcodec, and counts as decoding.
WORKER = [('demux', 'libavformat'), ('decode', 'libavcodec'), ('scale', 'libswscale|libavfilter'),
          ('worker, in the kernel', r'\[|vmlinux'), ('worker, rest', '')]
DAEMON = [('SQLite', 'libsqlite'), ('checksums', 'libxxhash'), ('FUSE, library', 'libfuse'),
          ('daemon, in the kernel (FUSE, IPC)', r'\[|vmlinux'), ('daemon, rest', '')]
PARTS = [*(name for name, _ in WORKER[:3]), 'encode', 'levels', *(name for name, _ in WORKER[3:]),
         *(name for name, _ in DAEMON), 'reader', 'other programs', 'idle']


def part_of(command, pid, symbol, library, daemon):
    """The part that a sample belongs to. `daemon` is the daemon's pid."""
    if pid == 0:
        return 'idle'
    if command.startswith('read_files'):
        return 'reader'
    if pid == daemon:
        rules = DAEMON
    elif command.startswith(('corpusfs-deco', 'av:')):
        if library.endswith('corpusfs-decoder') and re.search('expand|range|level|pixel', symbol):
            return 'levels'
        if library.endswith('corpusfs-decoder') and re.search('jpeg|quantise|add_row|block', symbol):
            return 'encode'
        rules = WORKER
    else:
        return 'other programs'
    return next(name for name, pattern in rules if re.search(pattern, library))


LINE = re.compile(r'^\s*(?P<command>.+?)\s+(?P<pid>\d+)\s+[0-9a-f]+\s+(?P<symbol>.*?)\s+\((?P<library>[^)]*)\)$')


def count(script, daemon):
    """{part: samples} of perf script's lines."""
    counts = collections.Counter()
    for line in script.decode(errors='replace').splitlines():
        match = LINE.match(line)
        if match:
            counts[part_of(match['command'], int(match['pid']), match['symbol'], match['library'], daemon)] += 1
    return counts


def _profiled(bench, mount, work):
    """(seconds, sample, {part: samples}) of work() while perf listens."""
    data = bench.home / 'perf.data'
    perf = start(['perf', 'record', '-q', '-a', '-e', 'cpu-clock', '-F', HERTZ, '-o', data])
    try:
        seconds, sample = timed(work)
    finally:
        perf.terminate()
        perf.wait(30)
    script = run(['perf', 'script', '-i', data, '-F', 'comm,pid,ip,sym,dso'], 600)
    return seconds, sample, count(script, mount.daemon.pid)


def profiles(bench):
    for corpus in bench.chosen(['a']):
        folders = [v.relative_to(corpus.root) for v in corpus.videos]

        def listed(mount, work):
            return lambda: peers.read_list([frame_path(corpus, mount, v, n) for v, numbers in work for n in numbers])
        works = {'T1': lambda m: lambda: peers.read_folders([m.path / 'img' / f for f in folders], 2),
                 'T2': lambda m: lambda: peers.read_folders([m.path / 'img' / f for f in folders], 1),
                 'T3': lambda m: listed(m, random_frames(bench, corpus, 0)),
                 'T4': lambda m: listed(m, uniform_frames(bench, corpus))}
        for name, work in works.items():
            bench.say(f'profile of {name}')
            with bench.mount(corpus) as mount:
                seconds, sample, counts = _profiled(bench, mount, work(mount))
            bench.profiles[name] = {'seconds': round(seconds, 3), 'files': sample.files, 'ms_per_file': {
                part: round(counts[part] * 1e3 / HERTZ / sample.files, 4) for part in PARTS}}
