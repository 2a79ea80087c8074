# SPDX-License-Identifier: Apache-2.0
"""The videos and archives that are measured with. Made once, and kept in the work folder.

    a      40 clips 640x360, 25 fps, 10 s, x264 defaults (GOP 250, B-frames): half fractals, half turning test cards
    b      one clip 1080p, 60 s
    c      a folder of real clips, <class>/<clip>.<ext>, which the user names (--corpus-c)
    d      one clip 4K, 10 s, one group of pictures
    tiny   what --quick has instead of all these: 4 clips 320x180, 3 s
    long   for T8: 100 clips 64x48 of 10,000 frames each
    many   for T9: 31,761 copies of one small clip, each with another comment
    mixed  for T13: 1,000 clips, those of `a` 25 times, each with another comment
    shard  for A1, A3, A4 and A6: shard.tar, 100,000 members of 8 KiB
    empty  for A2 and A3: shard.tar, 2,000,000 members with nothing in them
    films  for A5: shard.tar, 5 members of 200 MiB, named .mp4
    minute for N3: 4 clips of a minute, with sound
    shorts for A5: shard.tar, 100 members of 2 MiB, named .mp4
"""
import concurrent.futures
import math
import os
import random
import shutil
import subprocess
import tarfile
from pathlib import Path

from jobs import run

X264 = ['-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-metadata', 'comment=number 00000000']
COMMENT = b'number 00000000'
RATE = 25


def _fractal(turn, size, more=''):
    """Zooms into the edge of the Mandelbrot set's cardioid, where there is always detail; `turn` says where."""
    x = math.cos(turn) / 2 - math.cos(2 * turn) / 4
    y = math.sin(turn) / 2 - math.sin(2 * turn) / 4
    return ['-f', 'lavfi', '-i', f'mandelbrot=size={size}:rate={RATE}:start_x={x:.4f}:start_y={y:.4f}'
            f':start_scale={1.5 + turn / 4:.3f}:end_scale=0.02{more}']


def _card(number, size):
    """A test card that turns, with grain."""
    return ['-f', 'lavfi', '-i', f'testsrc2=size={size}:rate={RATE},rotate={0.1 + number / 40:.3f}*t,'
            f'noise=alls=8:allf=t:all_seed={number + 1}']


def _small_clips(count, size, seconds):
    clips = {}
    for i in range(count):
        source = _card(i, size) if i % 2 else _fractal(0.3 + i * 0.13, size)
        clips[f'{"card" if i % 2 else "fractal"}/clip{i:03d}.mp4'] = [*source, '-t', seconds, *X264]
    return clips


def _grain(seed):
    return f',noise=alls=5:allf=t:all_seed={seed}'


def _minutes(count, seconds):
    """Noise that swells, under a small picture."""
    sound = ['-f', 'lavfi', '-i', f"aevalsrc='0.5*random(0)*abs(sin(t))|0.3*sin(2*PI*(200+40*t)*t)':s=44100:d={seconds}"]
    return {f'sound/clip{i:03d}.mp4': [*_card(i, '96x64'), *sound, '-t', seconds, *X264, '-c:a', 'aac', '-b:a', '128k']
            for i in range(count)}


MADE = {
    'a': _small_clips(40, '640x360', 10),
    'b': {'one/hd.mp4': [*_fractal(0.9, '960x540', f',scale=1920:1080{_grain(1)}'), '-t', 60, *X264]},
    'd': {'one/uhd.mp4': [*_fractal(2.1, '1920x1080', f',scale=3840:2160{_grain(2)}'), '-t', 10, *X264, '-g', '250',
                          '-sc_threshold', '0']},
    'tiny': _small_clips(4, '320x180', 3),
    'minute': _minutes(4, 60),
}


def _ffmpeg(arguments, out):
    part = out.with_name(f'.part{out.suffix}')
    run(['ffmpeg', '-nostdin', '-v', 'error', '-y', *map(str, arguments), str(part)], limit=1800)
    part.rename(out)


def _make_videos(root, clips, progress):
    for i, (name, arguments) in enumerate(clips.items()):
        progress(f'making {root.name}: clip {i + 1} of {len(clips)}')
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        _ffmpeg(arguments, root / name)


def _numbered(video, number):
    """The bytes of a video with another comment; no other byte differs."""
    data = video.read_bytes()
    at = data.find(COMMENT)
    if at < 0:
        raise RuntimeError(f'{video}: the comment is not where it was looked for')
    return data[:at] + b'number %08d' % number + data[at + len(COMMENT):]


def _copies(root, videos, count, folders, progress):
    """`count` numbered copies of the videos in turn, as <folder>/clip<number>.mp4."""
    for i in range(count):
        if i % 1000 == 0:
            progress(f'making {root.name}: clip {i + 1} of {count}')
        folder = root / f'class{i * folders // count:02d}'
        folder.mkdir(exist_ok=True)
        (folder / f'clip{i:05d}.mp4').write_bytes(_numbered(videos[i % len(videos)], i))


def _make_many(root, corpora, count, progress):
    seed = root / '.seed.mp4'
    _ffmpeg([*_card(0, '96x64'), '-t', 1, *X264], seed)
    _copies(root, [seed], count, 20, progress)
    seed.unlink()


def _make_mixed(root, corpora, count, progress):
    _copies(root, videos_of(corpora.get('tiny' if corpora.quick else 'a')), count, 20, progress)


def _make_long(root, corpora, count, progress):
    frames = 100 if corpora.quick else 10000
    progress(f'making {root.name}')
    seed = root / '.seed.mp4'
    _ffmpeg([*_card(0, '64x48'), '-frames:v', frames, *X264, '-preset', 'ultrafast'], seed)
    _copies(root, [seed], count, 4, progress)
    seed.unlink()


def write_members(tar, numbers, suffix, body, progress):
    """Writes members that differ in their first bytes, and the end; the length of `body` is a multiple of 512."""
    for i in numbers:
        if i % 10000 == 0:
            progress(f'making a tar: member {i + 1} of {numbers.stop}')
        info = tarfile.TarInfo(member_name(i, suffix))
        info.size = len(body)
        tar.write(info.tobuf(tarfile.USTAR_FORMAT) + (b'number %09d' % i + body[16:])[:len(body)])
    tar.write(bytes(TAR_END))


def member_name(number, suffix):
    """A thousand to a folder."""
    return f'{number // 1000:04d}/{number:07d}{suffix}'


def _make_tar(root, count, suffix, body, progress):
    with open(root / 'shard.tar', 'wb') as tar:
        write_members(tar, range(count), suffix, body, progress)


def _make_shard(root, corpora, count, progress):
    _make_tar(root, count, '.jpg', random.Random(1).randbytes(SHARD_MEMBER), progress)


def _make_empty(root, corpora, count, progress):
    _make_tar(root, count, '.txt', b'', progress)


def _make_films(root, corpora, count, progress):
    _make_tar(root, count, '.mp4', random.Random(2).randbytes((1 if corpora.quick else 200) << 20), progress)


def _make_shorts(root, corpora, count, progress):
    _make_tar(root, count, '.mp4', random.Random(3).randbytes(2 << 20), progress)


TAR_END = 1024                # bytes of zeros after the last member
SHARD_MEMBER = 8192
COPIED = {'many': (_make_many, 31761, 40), 'mixed': (_make_mixed, 1000, 20), 'long': (_make_long, 100, 4),
          'shard': (_make_shard, 100000, 2000), 'empty': (_make_empty, 2000000, 2000), 'films': (_make_films, 5, 2),
          'shorts': (_make_shorts, 100, 2)}


def videos_of(root):
    """All videos below a folder, sorted."""
    return sorted(p for p in root.rglob('*') if p.suffix in ('.mp4', '.mkv', '.webm', '.avi', '.mov')
                  and not p.name.startswith('.'))


class Corpora:
    """Makes a corpus when it is first asked for. With `quick`, the small form of each."""

    def __init__(self, work, real, quick, progress):
        self.base, self.real, self.quick, self.progress = Path(work) / 'corpora', real, quick, progress

    def get(self, name):
        """The folder of a corpus, <class>/<clip>.<ext>. None where the user has to name it and did not."""
        if name == 'c':
            return self.real
        root = self.base / (f'{name}-quick' if self.quick and name in (*COPIED, 'minute') else name)
        if root.is_dir():
            return root
        part = root.with_name(f'{root.name}.part')
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        if name in COPIED:
            make, count, few = COPIED[name]
            make(part, self, few if self.quick else count, self.progress)
        else:
            _make_videos(part, _minutes(1, 3) if name == 'minute' and self.quick else MADE[name], self.progress)
        part.rename(root)
        return root
