#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the daemon keeps: bytes of the index for each cached frame, and resident memory. Prints a Markdown table.

    tests/bench/cost.py [--clips N] [--frames N] [--work DIR]

Two corpora are made, of one clip each whose copies differ in their metadata: N frames in clips of 250, of which each
is listed and read, and N short clips, of which one frame each is read. With the default numbers that takes a quarter of
an hour. Takes the programs from CORPUSFS_BUILD_DIR, by default build/ (build it with --buildtype=release).
"""
import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness  # noqa: E402

VIEWS = {'img/{class}/{clip}/{frame:06d}.jpg': 'frames: {}', 'mp3/{class}/{clip}.mp3': 'audio: {}',
         'srt/{class}/{clip}.srt': 'subtitles: [sidecar, embedded]'}
FRAMES_A_CLIP = 250
MARK = '00000000'


def make_corpus(root, n_clips, n_frames):
    """Clips that differ in one tag only, in folders of 1,000."""
    model = root.with_suffix('.mp4')
    clips.ffmpeg(*clips.picture(size='64x48', rate=25, seconds=n_frames / 25), *clips.X264, *clips.YUV,
                 '-metadata', f'comment={MARK}', model)
    data = model.read_bytes()
    at = data.index(MARK.encode())
    for i in range(n_clips):
        path = root / f'c{i // 1000:03d}/v{i:06d}.mp4'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data[:at] + f'{i:08d}'.encode() + data[at + len(MARK):])


def resident(mount):
    """Bytes of the daemon's memory."""
    for line in Path(f'/proc/{mount.daemon.pid}/status').read_text(encoding='ascii').splitlines():
        if line.startswith('VmRSS:'):
            return int(line.split()[1]) * 1024
    raise AssertionError('no VmRSS')


def index_bytes(cache):
    """Of the database; its log was folded back when the mount ended."""
    return sum(p.stat().st_size for p in cache.glob('index.sqlite*'))


def list_all(mount):
    """Names and attributes of everything; paths of the frames by directory."""
    found = {}
    for directory, _, names in os.walk(mount.path):
        for name in names:
            os.stat(os.path.join(directory, name))
        if os.path.relpath(directory, mount.path).startswith('img/') and names:
            found[directory] = sorted(names)
    return found


def measure(work, name, n_clips, n_frames, each):
    """Rows of the table, and of the other."""
    root, cache = work / name, work / f'{name}-cache'
    make_corpus(root, n_clips, n_frames)
    config = work / f'{name}.yaml'
    config.write_text(harness.config_text(root, VIEWS, cache, cache_size='20GiB'), encoding='utf-8')
    with harness.Mount(config, work, cache) as mount:
        steps = [('mounted', resident(mount))]
        found = list_all(mount)
        steps.append(('listed, with attributes', resident(mount)))
        n_read = 0
        for directory, names in found.items():
            for frame in names[::1 if each else len(names)]:
                n_read += len(Path(directory, frame).read_bytes()) > 0
        steps.append((f'{n_read:,} frames read', resident(mount)))
        n_segments = mount.stats()['segments']
    n_listed = sum(map(len, found.values()))
    memory = [(f'{n_clips:,} clips, {n_listed:,} frames: {what}', value, (64 << 20) + 200 * n_clips)
              for what, value in steps]
    index = (f'{n_read:,} frames of {n_clips:,} clips, in {n_segments:,} segments', index_bytes(cache), n_read, n_clips)
    shutil.rmtree(cache)
    return memory, index


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--clips', type=int, default=31761)
    parser.add_argument('--frames', type=int, default=100000)
    parser.add_argument('--work', type=Path, help='a folder for the corpora, default: a temporary one')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix='corpusfs-cost-', dir=args.work) as work:
        results = [measure(Path(work), 'frames', args.frames // FRAMES_A_CLIP, FRAMES_A_CLIP, True),
                   measure(Path(work), 'clips', args.clips, 12, False)]
    print('| daemon | resident MiB | of at most |\n| --- | --- | --- |')
    for memory, _ in results:
        for what, value, bound in memory:
            print(f'| {what} | {value / (1 << 20):.1f} | {bound / (1 << 20):.1f} |')
    print('\n| cached | index KiB | bytes a frame | bytes a clip |\n| --- | --- | --- | --- |')
    for _, (what, size, n_frames, n_clips) in results:
        print(f'| {what} | {size / 1024:.0f} | {size / n_frames:.1f} | {size / n_clips:.0f} |')


if __name__ == '__main__':
    main()
