# SPDX-License-Identifier: Apache-2.0
"""Comparisons of files in a mount with ffmpeg's, for the tests that do it for many clips."""
import os
from concurrent.futures import ThreadPoolExecutor

import numpy

from . import oracle

# At least this far below the sound, in dB, is what differs from ffmpeg's own file.
LEAST_SNR = {'mp3': 30, 'wav': 60}


def frame_fault(data, name, view, png, video):
    """What is wrong with one frame's bytes against ffmpeg's lossless frames in the directory `png`, or ''."""
    stem = name.partition('.')[0]
    if view.ext == 'jpg':
        if data[:2] != b'\xff\xd8' or data[-2:] != b'\xff\xd9':
            return 'not a whole JPEG'
        return oracle.jpeg_fault(data, (png / f'{stem}.png').read_bytes(),
                                 lambda: (oracle.best_jpegs(video, view) / f'{stem}.jpg').read_bytes())
    ours, theirs = oracle.pixels(data), oracle.pixels((png / name).read_bytes())
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return f'{ours.shape} {ours.dtype}, ffmpeg gives {theirs.shape} {theirs.dtype}'
    if numpy.array_equal(ours, theirs):
        return ''
    differing = int((ours != theirs).any(axis=-1).sum() if ours.ndim == 3 else (ours != theirs).sum())
    most = int(abs(ours.astype(int) - theirs).max())
    return f'{differing} of {ours.shape[0] * ours.shape[1]} pixels differ by up to {most}'


def check_frames(case, video, directory, view):
    """A frame directory has ffmpeg's names, and each frame, read in random order by four threads, its picture."""
    png = oracle.frames(video, view)
    names = sorted(os.listdir(directory))
    case.assertEqual(names, sorted(f'{p.stem}.{view.ext}' for p in png.iterdir()))

    def check_frame(name):
        size = os.stat(directory / name).st_size
        data = (directory / name).read_bytes()
        if len(data) != size:
            return f'{name}: {len(data)} bytes, stat says {size}'
        wrong = frame_fault(data, name, view, png, video)
        return f'{name}: {wrong}' if wrong else ''
    with ThreadPoolExecutor(4) as pool:
        faults = [f for f in pool.map(check_frame, case.shuffled(names)) if f]
    case.assertFalse(faults, f'{len(faults)} of {len(names)} frames, e.g. {sorted(faults)[:3]}')


def check_sound(case, path, truth, ext):
    """Rate, channels, length and alignment are those of ffmpeg's file; the SNR, which is returned, is enough."""
    return check_decoded(case, path, *oracle.decode(path, truth), ext)


def check_decoded(case, path, ours, theirs, ext):
    """check_sound() of what oracle.decode() gave for both files."""
    (ours, rate), (theirs, true_rate) = ours, theirs
    case.assertEqual((rate, ours.shape[1]), (true_rate, theirs.shape[1]), f'{path}: rate and channels')
    case.assertLessEqual(abs(len(ours) - len(theirs)), 1, f'{path}: {len(ours)} samples, ffmpeg gives {len(theirs)}')
    if not len(theirs) or not numpy.any(theirs):
        case.assertFalse(numpy.any(numpy.abs(ours) > 1e-4), path)
        return numpy.inf
    case.assertLessEqual(abs(oracle.shift(ours[:, 0], theirs[:, 0])), 1, f'{path}: samples late')
    n = min(len(ours), len(theirs))
    snr = oracle.snr(ours[:n], theirs[:n])
    case.assertGreaterEqual(snr, LEAST_SNR[ext], f'{path}: SNR in dB')
    return snr


def check_sounds_of(case, video, sounds):
    """check_sound() of each (path, ext, arguments...) against `ffmpeg -i VIDEO arguments`; without sound there must be
    no file. Returns each one's SNR, None where there is no sound."""
    truths = oracle.sound_files(video, *(wanted for _, *wanted in sounds))
    heard = []  # what to decode, ours and ffmpeg's: all of it by one process
    for (path, *_), truth in zip(sounds, truths):
        if truth is None:
            case.assertFalse(path.exists(), f'{path}: no sound, so no file')
            case.assertNotIn(path.name, os.listdir(path.parent))
        else:
            case.assertEqual(len(path.read_bytes()), os.stat(path).st_size, path)
            heard += [path, truth]
    decoded = iter(oracle.decode(*heard)) if heard else iter(())
    return [None if truth is None else check_decoded(case, path, next(decoded), next(decoded), ext)
            for (path, ext, *_), truth in zip(sounds, truths)]


def check_sound_of(case, video, path, ext):
    """check_sounds_of() of one."""
    return check_sounds_of(case, video, [(path, ext)])[0]
