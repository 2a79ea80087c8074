# SPDX-License-Identifier: Apache-2.0
"""Features of sound by their published definitions: what arrays in the mount are compared with.

The references are written from the formulas: librosa's documentation of melspectrogram, filters.mel, power_to_db and mfcc
(M. Slaney, Auditory Toolbox; the HTK book), and Kaldi's of compute-fbank-feats.
"""
import subprocess

import numpy

# The rate at which TSL-300's programs read sound.
FORMULA = 'int(fps/19.9167*44100/4.323882352941176*4/1.9992360580595874*2)'


def samples(video, rate=None, channels=None, kind='f32'):
    """(channels, T) as ffmpeg decodes them."""
    probe = subprocess.run(['ffprobe', '-v', 'error', '-select_streams', 'a:0', '-show_entries', 'stream=channels', '-of',
                            'csv=p=0', str(video)], stdout=subprocess.PIPE, check=True).stdout
    more = (['-ar', str(rate)] if rate else []) + (['-ac', str(channels)] if channels else [])
    out = subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-i', str(video), '-vn', *more, '-c:a', f'pcm_{kind}le', '-f',
                          f'{kind}le', '-'], stdout=subprocess.PIPE, check=True).stdout
    dtype = numpy.float32 if kind == 'f32' else numpy.int16
    return numpy.frombuffer(out, dtype).reshape(-1, channels or int(probe)).T


def mel_of(hz, htk):
    hz = numpy.asarray(hz, float)
    if htk:
        return 2595 * numpy.log10(1 + hz / 700)
    return numpy.where(hz < 1000, hz * 3 / 200, 15 + numpy.log(numpy.maximum(hz, 1e-9) / 1000) / (numpy.log(6.4) / 27))


def hz_of(mel, htk):
    if htk:
        return 700 * (10 ** (mel / 2595) - 1)
    return numpy.where(mel < 15, mel * 200 / 3, 1000 * numpy.exp((mel - 15) * numpy.log(6.4) / 27))


def mel_bank(rate, n_fft, bands, fmin, fmax, htk, slaney_norm):
    corners = hz_of(numpy.linspace(mel_of(fmin, htk), mel_of(fmax, htk), bands + 2), htk)
    bins = numpy.arange(n_fft // 2 + 1) * rate / n_fft
    rising = (bins - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    falling = (corners[2:, None] - bins) / (corners[2:] - corners[1:-1])[:, None]
    bank = numpy.maximum(0, numpy.minimum(rising, falling))
    return bank * (2 / (corners[2:] - corners[:-2]))[:, None] if slaney_norm else bank


def taper_of(name, n, period):
    hann = 0.5 - 0.5 * numpy.cos(2 * numpy.pi * numpy.arange(n) / period)
    return {'hann': hann, 'hanning': hann, 'hamming': 0.08 + 0.92 * hann, 'povey': hann ** 0.85,
            'rectangular': numpy.ones(n)}[name]


def logmel(x, rate, n_fft=2048, hop=512, bands=128, fmin=0, fmax=None, htk=False, slaney_norm=True, power=2, ref_max=False,
           top_db=80, centre=True, pad='constant', window='hann', win_length=None):
    x = x.astype(float)
    win_length = win_length or n_fft
    taper = numpy.zeros(n_fft)
    taper[(n_fft - win_length) // 2:][:win_length] = taper_of(window, win_length, win_length)
    if centre:
        x = numpy.pad(x, n_fft // 2, mode=pad)
    frames = numpy.lib.stride_tricks.sliding_window_view(x, n_fft)[::hop]
    spectrum = numpy.abs(numpy.fft.rfft(frames * taper)) ** power
    mel = mel_bank(rate, n_fft, bands, fmin, fmax or rate / 2, htk, slaney_norm) @ spectrum.T
    db = 10 * numpy.log10(numpy.maximum(1e-10, mel))
    if ref_max:
        db -= 10 * numpy.log10(max(1e-10, mel.max()))
    return db if top_db is None else numpy.maximum(db, db.max() - top_db)


def mfcc(x, rate, coefficients=20, **more):
    mel = logmel(x, rate, **more)
    n = len(mel)
    k, i = numpy.arange(coefficients)[:, None], numpy.arange(n)
    table = numpy.cos(numpy.pi * k * (2 * i + 1) / (2 * n)) * numpy.sqrt(numpy.where(k > 0, 2, 1) / n)
    return table @ mel


def fbank(x, rate, bands=23, window='povey', frame_ms=25, shift_ms=10, preemphasis=0.97, fmin=20, fmax=None, gain=1):
    width, hop = int(rate * frame_ms * 0.001), int(rate * shift_ms * 0.001)
    n_fft = 1 << (width - 1).bit_length()
    frames = numpy.lib.stride_tricks.sliding_window_view(x.astype(float) * gain, width)[::hop].copy()
    frames -= frames.mean(axis=1, keepdims=True)
    frames -= preemphasis * numpy.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    frames *= taper_of(window, width, width - 1)
    power = numpy.abs(numpy.fft.rfft(frames, n_fft))[:, :n_fft // 2] ** 2

    def mel(hz):
        return 1127 * numpy.log(1 + hz / 700)
    corners = numpy.linspace(mel(fmin), mel(fmax or rate / 2), bands + 2)
    bins = mel(numpy.arange(n_fft // 2) * rate / n_fft)
    bank = numpy.maximum(0, numpy.minimum((bins - corners[:-2, None]) / (corners[1] - corners[0]),
                                          (corners[2:, None] - bins) / (corners[1] - corners[0])))
    return numpy.log(numpy.maximum(power @ bank.T, numpy.finfo(numpy.float32).eps))
