# SPDX-License-Identifier: Apache-2.0
"""What ffmpeg makes of a video: the truth that the mount is compared with.

Every answer comes from ffmpeg's command line as a user would type it, in a process of its own; nothing here
shares code with corpusfs. Answers are kept beside the made corpora.
"""
import contextlib
import dataclasses
import hashlib
import os
import re
import struct
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy
import pysrt

from . import clips


@dataclasses.dataclass(frozen=True)
class View:
    """A frames view, as corpusfs and as ffmpeg are told of it."""
    timing: str  # cfr, passthrough, or the number of an fps view
    ext: str
    size: str = ''
    crop: str = ''

    @property
    def name(self):
        return '_'.join(x for x in (self.timing.replace('/', 'over'), self.ext, self.size.replace(':', 'x'),
                                    self.crop.replace(':', 'x')) if x)

    @property
    def settings(self):
        """The value of `frames:` in a configuration."""
        timing = f'timing: {self.timing}' if self.timing in ('cfr', 'passthrough') else f'fps: {self.timing}'
        return ('{ ' + timing + (f', size: "{self.size}"' if self.size else '') +
                (f', crop: "{self.crop}"' if self.crop else '') + ' }')

    def arguments(self):
        """ffmpeg's arguments between the input and the output."""
        filters = []
        if self.crop:
            named = {'left': 'iw/2:ih:0:0', 'right': 'iw/2:ih:iw-iw/2:0'}
            filters.append(f'crop={named.get(self.crop, self.crop)}')
        if self.size.startswith('short:'):
            short = self.size.partition(':')[2]
            filters.append(f"scale='if(gt(iw,ih),-1,{short})':'if(gt(iw,ih),{short},-1)'")
        elif self.size:
            filters.append(f'scale={self.size}')
        if self.timing not in ('cfr', 'passthrough'):
            filters.insert(0, f'fps={self.timing}')
        args = ['-fps_mode', 'passthrough'] if self.timing == 'passthrough' else []
        return args + (['-vf', ','.join(filters)] if filters else [])


def run(*args, check=True):
    """ffmpeg's exit status with these arguments; its complaints are the exception's text."""
    done = subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', *map(str, args)], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, check=False)
    if check and done.returncode:
        raise RuntimeError(f'ffmpeg {args}: {done.stderr.decode(errors="replace")}')
    return done.returncode


@dataclasses.dataclass(frozen=True)
class Output:
    """One thing that ffmpeg makes of a video: the arguments in front of its name, and its name, which may count."""
    arguments: tuple
    name: str


def answers(video, *outputs):
    """For each output the directory that ffmpeg wrote it to, now or in an earlier run. What is missing is made by one
    process, because starting ffmpeg costs more than most of these videos. The outputs of one call take the same stream:
    then ffmpeg reads the video as it would for each alone."""
    state = os.stat(video)
    home = clips.kept_dir() / 'answers'
    home.mkdir(exist_ok=True)
    paths = {}
    for output in outputs:
        what = repr((str(video), state.st_size, state.st_mtime_ns, output))
        paths[output] = home / hashlib.sha256(what.encode()).hexdigest()[:24]
    missing = [output for output, path in paths.items() if not path.is_dir()]
    if missing:
        with tempfile.TemporaryDirectory(prefix='making-', dir=home) as work:
            parts = {output: Path(work) / str(i) for i, output in enumerate(missing)}
            words = []
            for output, part in parts.items():
                part.mkdir()
                words += [*output.arguments, part / output.name]
            run('-i', video, *words)
            for output, part in parts.items():
                with contextlib.suppress(OSError):  # another test was faster
                    part.rename(paths[output])
    return [paths[output] for output in outputs]


def _truth(view):
    """A view's frames, lossless."""
    ext = 'ppm' if view.ext == 'ppm' else 'png'
    quick = ('-compression_level', 1) if ext == 'png' else ()  # the pixels stay
    return Output((*view.arguments(), *quick), f'%06d.{ext}')


def frames(video, view):
    """The directory of lossless frames that ffmpeg writes for a view: ppm for a ppm view, png for all others."""
    return answers(video, _truth(view))[0]


def prepare_frames(video, views):
    """Has frames() ready for these views, at the price of one."""
    answers(video, *map(_truth, views))


def pixels(data):
    """The picture in a file's bytes, as it is stored: depth, channels and all."""
    picture = cv2.imdecode(numpy.frombuffer(data, numpy.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise ValueError('not a picture')
    return picture


def luma(picture):
    """BT.601 full-range luma, 0 to 255, of what pixels() gives."""
    full = picture.astype(numpy.float64) / (257 if picture.dtype == numpy.uint16 else 1)
    if full.ndim == 2:
        return full
    return full[..., 0] * 0.114 + full[..., 1] * 0.587 + full[..., 2] * 0.299


def psnr(a, b):
    """Peak signal to noise ratio of two lumas in dB."""
    if a.shape != b.shape:
        raise ValueError(f'{a.shape} against {b.shape}')
    error = numpy.mean((a - b) ** 2)
    return numpy.inf if error == 0 else 10 * numpy.log10(255 ** 2 / error)


def best_jpegs(video, view):
    """The directory of the best JPEGs that ffmpeg writes for a view."""
    # mjpeg wants ascending times; in units of the frame rate those of a passthrough may repeat.
    more = ['-enc_time_base', '-1'] if view.timing == 'passthrough' else []
    return answers(video, Output((*view.arguments(), *more, '-q:v', '1'), '%06d.jpg'))[0]


def jpeg_fault(data, png, ffmpeg_jpeg):
    """Why a JPEG is not good enough, or ''. At least 40 dB of the true frame (the bytes `png`), if ffmpeg's best
    JPEG, which ffmpeg_jpeg() reads, gets there."""
    truth = luma(pixels(png))
    try:
        ours = psnr(luma(pixels(data)), truth)
    except ValueError as error:
        return str(error)
    if ours >= 40:
        return ''
    theirs = psnr(luma(pixels(ffmpeg_jpeg())), truth)
    if theirs >= 40 or ours < theirs - 0.5:
        return f'{ours:.2f} dB, ffmpeg -q:v 1 gets {theirs:.2f} dB'
    return ''


def sound_files(video, *wanted):
    """The files that `ffmpeg -i VIDEO ARGUMENTS OUT.EXT` writes, for each (EXT, ARGUMENTS...), or Nones when ffmpeg finds
    no sound to write."""
    outputs = [Output(tuple(arguments), f'sound.{ext}') for ext, *arguments in wanted]
    try:
        return [path / output.name for path, output in zip(answers(video, *outputs), outputs)]
    except RuntimeError as error:
        if 'does not contain any stream' in str(error):
            return [None for _ in outputs]
        raise


def subtitle_file(video):
    """The SRT that ffmpeg converts the first text stream to."""
    return answers(video, Output((), 'text.srt'))[0] / 'text.srt'


def decode(*paths):
    """Of each file its sound, as an array (samples, channels) of float32, and its rate in Hz. By one process."""
    inputs = [word for path in paths for word in ('-i', path)]
    with tempfile.TemporaryDirectory(prefix='corpusfs-test-') as work:
        wavs = [Path(work) / f'{i}.wav' for i in range(len(paths))]
        run(*inputs, *(word for i, wav in enumerate(wavs) for word in ('-map', f'{i}:a', '-c:a', 'pcm_f32le', wav)))
        return [_samples(wav) for wav in wavs]


def _samples(wav):
    data = wav.read_bytes()
    channels, rate = struct.unpack_from('<HI', data, 22)
    return numpy.frombuffer(data, numpy.float32, offset=data.index(b'data') + 8).reshape(-1, channels), rate


def cues(path):
    """The cues of an SRT file, read by pysrt. (Its open() asks Debian 12's Python for a mode that is gone.)"""
    with open(path, encoding='utf-8') as file:
        return pysrt.SubRipFile().read(file)


def probe(path, stream, *keys):
    """ffprobe's values of a stream's keys, or {} when there is no such stream."""
    done = subprocess.run(['ffprobe', '-v', 'error', '-select_streams', stream, '-show_entries',
                           f'stream={",".join(keys)}', '-of', 'default=nw=1', str(path)],
                          stdout=subprocess.PIPE, check=True)
    return dict(re.findall(r'^(\w+)=(.*)$', done.stdout.decode(), re.MULTILINE))


def shift(a, b, most=3000):
    """By how many samples `a` is later than `b`, from the peak of their cross-correlation."""
    n = min(len(a), len(b), 1 << 18)
    size = 1 << (n + most).bit_length()
    product = numpy.fft.rfft(a[:n], size) * numpy.conj(numpy.fft.rfft(b[:n], size))
    match = numpy.fft.irfft(product, size)
    lags = numpy.concatenate([match[-most:], match[:most + 1]])
    return int(numpy.argmax(lags)) - most


def snr(ours, theirs):
    """Signal to noise ratio in dB of one array against another of the same shape."""
    noise = numpy.sum((ours.astype(numpy.float64) - theirs) ** 2)
    return numpy.inf if noise == 0 else 10 * numpy.log10(numpy.sum(theirs.astype(numpy.float64) ** 2) / noise)
