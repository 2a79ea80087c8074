# SPDX-License-Identifier: Apache-2.0
"""What one side did in one round, and rounds of several sides in turn."""
import time
from dataclasses import dataclass, field

from jobs import Late


@dataclass
class Sample:
    """`taken_ns` has the latency of each file, where a side has files one by one."""
    seconds: float
    files: int
    bytes: int = 0
    taken_ns: list = field(default_factory=list)

    def as_dict(self):
        """For JSON: the latencies as two percentiles."""
        known = {'seconds': round(self.seconds, 6), 'files': self.files, 'bytes': self.bytes}
        if self.taken_ns:
            ordered = sorted(self.taken_ns)
            known['p50_us'] = round(ordered[len(ordered) // 2] / 1e3, 1)
            known['p99_us'] = round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] / 1e3, 1)
        return known


def parse(*outputs):
    """The sample of readers that ran at once, from what each printed ("START END BYTES", a line of ns a file)."""
    starts, ends, read, taken = [], [], 0, []
    for output in outputs:
        head, *lines = output.decode('ascii').splitlines()
        start, end, count = map(int, head.split())
        starts.append(start)
        ends.append(end)
        read += count
        taken += map(int, lines)
    return Sample((max(ends) - min(starts)) / 1e9, len(taken), read, taken)


def timed(work):
    """(seconds, what work() gave)."""
    start = time.monotonic()
    result = work()
    return time.monotonic() - start, result


def in_turn(count, sides, say, settle):
    """(rounds, notes): rounds [{side: {part: Sample}}], of `sides` that are functions of the round's number, each
    returning {part: Sample}. Every other round they run in the opposite order, and settle() is
    called before each. A round in which a side had to be ended does not count, and gives a note. A part that has another
    number of files on one side than on another is an error."""
    rounds, notes = [], []
    for number in range(count):
        order = list(sides) if number % 2 == 0 else list(reversed(sides))
        done = {}
        try:
            for side in order:
                say(f'round {number + 1} of {count}: {side}')
                settle()
                done[side] = sides[side](number)
        except Late as late:
            notes.append(f'round {number + 1} does not count: {side}: {late}')
            continue
        _check_equal_work(done)
        rounds.append(done)
    return rounds, notes


def _check_equal_work(done):
    counts = {}
    for side, parts in done.items():
        for part, sample in parts.items():
            counts.setdefault(part, {})[side] = sample.files
    for part, files in counts.items():
        if len(set(files.values())) != 1:
            raise RuntimeError(f'not the same work, files of "{part}": {files}')
