#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Arrays of sound: samples as ffmpeg decodes them, and features by their published definitions."""
import errno
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy
from numpy.lib import format as npy_format

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness
from lib.features import FORMULA, fbank, logmel, mfcc, samples

# Noise, loud and soft, so that no band is empty; and a silence, for top_db.
NOISE = ['-f', 'lavfi', '-i', "aevalsrc=0.3*random(0)*lt(mod(t\\,1)\\,0.6)+0.1*sin(2*PI*(300*t+900*t*t))*gt(t\\,1)|"
         '0.2*random(1):s=44100:d=3']
CORPUS = {
    'a/noise.mkv': [*clips.picture(rate='30000/1001', seconds=3), *NOISE, *clips.X264, *clips.YUV, '-c:a', 'pcm_s16le'],
    'a/aac.mp4': [*clips.picture(seconds=3), *NOISE, *clips.X264, *clips.YUV, *clips.AAC],
    'a/mono.webm': [*clips.picture(seconds=2), *clips.sound(layout='mono', rate=48000), *clips.VP9, '-c:a', 'libopus'],
    'a/surround.mkv': clips.EVERYTHING['streams/surround.mkv'],
    'a/silent.mp4': clips.EVERYTHING['streams/no_audio.mp4'],
    'a/long.mp4': [*clips.picture(size='64x48', rate=5, seconds=40), *clips.sound(40), *clips.X264, *clips.YUV, *clips.AAC],
}
FEATURES = {  # name: (what npy: says, the same by the reference, the rate)
    'librosa': ('kind: logmel', logmel, None),
    'tsl': (f'kind: logmel, rate: "{FORMULA}", n_fft: 2048, hop: 1024, bands: 60, transpose: true',
            lambda x, rate: logmel(x, rate, hop=1024, bands=60).T, 'fps'),
    'whisper': ('kind: logmel, rate: 16000, n_fft: 400, hop: 160, bands: 80, top_db: none, pad: reflect',
                lambda x, rate: logmel(x, rate, 400, 160, 80, top_db=None, pad='reflect'), 16000),
    'htk': ('kind: logmel, rate: 22050, n_fft: 1024, win_length: 800, window: hamming, scale: htk, norm: none, power: 1,'
            ' fmin: 50, fmax: 8000, bands: 40, ref: max, top_db: 40, centre: false',
            lambda x, rate: logmel(x, rate, 1024, 256, 40, 50, 8000, True, False, 1, True, 40, False, window='hamming',
                                   win_length=800), 22050),
    'htk areas': ('kind: logmel, rate: 16000, n_fft: 512, hop: 200, window: povey, scale: htk, norm: slaney, power: 1.5,'
                  ' fmin: 20, fmax: 7600, bands: 26, top_db: 30, pad: reflect',
                  lambda x, rate: logmel(x, rate, 512, 200, 26, 20, 7600, True, True, 1.5, False, 30, pad='reflect',
                                         window='povey'), 16000),
    'odd lengths': ('kind: logmel, n_fft: 1001, win_length: 700, hop: 333, window: rectangular, scale: slaney, norm: none,'
                    ' bands: 20, ref: max, top_db: none, centre: true, pad: constant',
                    lambda x, rate: logmel(x, rate, 1001, 333, 20, slaney_norm=False, ref_max=True, top_db=None,
                                           window='rectangular', win_length=700), None),
    'mfcc': ('kind: mfcc, rate: 22050', mfcc, 22050),
    'mfcc all': ('kind: mfcc, rate: "8000 + fps * 0", coefficients: 40, bands: 40, n_fft: 256, scale: htk, norm: none, power: 1,'
                 ' ref: max, top_db: 50, centre: false, fmax: 3800',
                 lambda x, rate: mfcc(x, rate, 40, n_fft=256, hop=64, bands=40, fmax=3800, htk=True, slaney_norm=False,
                                      power=1, ref_max=True, top_db=50, centre=False), 8000),
    'mfcc13': ('kind: mfcc, coefficients: 13, bands: 40, n_fft: 1000, transpose: true',
               lambda x, rate: mfcc(x, rate, 13, n_fft=1000, hop=250, bands=40).T, None),
    'kaldi': ('kind: fbank, rate: 16000', fbank, 16000),
    'ast': ('kind: fbank, rate: 16000, window: hanning, bands: 64, gain: 32768, transpose: true',
            lambda x, rate: fbank(x, rate, 64, 'hanning', gain=32768).T, 16000),
    'frames': ('kind: fbank, rate: 22050, window: hamming, bands: 40, frame_length: 32, frame_shift: 12.5, preemphasis: 0,'
               ' fmin: 64, fmax: 8000',
               lambda x, rate: fbank(x, rate, 40, 'hamming', 32, 12.5, 0, 64, 8000), 22050),
    'plain': ('kind: fbank, window: rectangular, preemphasis: 0.5', lambda x, rate: fbank(x, rate, 23, 'rectangular',
                                                                                        preemphasis=0.5), None),
}


class Sound(harness.Case):

    def setUp(self):
        super().setUp()
        self.root = clips.make(CORPUS, 'features')

    def test_samples(self):
        """Every sample that ffmpeg decodes, at any rate, as float32 and int16, in any order."""
        views = {'wave': ('', None, None, 'f32'), 'int16': (', dtype: int16', None, None, 's16'),
                 'mono': (', rate: 16000, channels: 1', 16000, 1, 'f32')}
        config = self.config(self.root, {f'{name}/{{clip}}.npy': f'npy: {{ kind: wave{settings} }}'
                                         for name, (settings, *_) in views.items()})
        with self.mount(config) as mount:
            self.assertEqual(sorted(os.listdir(mount.path / 'wave')),
                             sorted(Path(c).name + '.npy' for c in CORPUS if 'silent' not in c))
            cases = [(name, clip) for name in views for clip in CORPUS if 'silent' not in clip]
            for name, clip in self.shuffled(cases):
                with self.subTest(view=name, clip=clip):
                    path = mount.path / name / f'{Path(clip).name}.npy'
                    truth = samples(self.root / clip, *views[name][1:])
                    mapped = numpy.load(path, mmap_mode='r')
                    self.assertEqual((mapped.shape, mapped.dtype), (truth.shape, truth.dtype))
                    for _ in range(3):
                        at = self.random.randrange(truth.shape[1])
                        numpy.testing.assert_array_equal(mapped[:, at:at + 5000], truth[:, at:at + 5000])
                    del mapped
                    numpy.testing.assert_array_equal(numpy.load(path), truth)

    def test_range(self):
        """A range makes its block and no more; the header makes nothing."""
        config = self.config(self.root, {'wave/{clip}.npy': 'npy: { kind: wave }'})
        truth = samples(self.root / 'a/long.mp4')
        with self.mount(config) as mount:
            mapped = numpy.load(mount.path / 'wave/long.mp4.npy', mmap_mode='r')
            self.assertEqual(mapped.shape, truth.shape)
            self.assertEqual(mount.stats()['jobs_audio'], 0)
            block, made = 1 << 17, set()
            for at in self.shuffled([50000, 5 * block + 60000, 9 * block + 70000]):
                numpy.testing.assert_array_equal(mapped[0, at:at + 10000], truth[0, at:at + 10000])
                made.add(at)
                self.assertEqual(mount.stats()['jobs_audio'], len(made))
            del mapped

    def test_features(self):
        """Within 1e-3 dB, or 1e-4 of the value, of the definitions."""
        config = self.config(self.root, {f'{name}/{{clip}}.npy': f'npy: {{ {settings} }}'
                                         for name, (settings, _, _) in FEATURES.items()})
        worst = {}
        with self.mount(config) as mount:
            for name in self.shuffled(FEATURES):
                for clip, fps in (('noise.mkv', 30000 / 1001), ('aac.mp4', 25), ('mono.webm', 25)):
                    with self.subTest(view=name, clip=clip):
                        path = mount.path / name / f'{clip}.npy'
                        size = path.stat().st_size
                        array = numpy.load(path)
                        _, reference, rate = FEATURES[name]
                        rate = int(eval(FORMULA, {'fps': fps, 'int': int})) if rate == 'fps' else rate  # pylint: disable=eval-used
                        x = samples(self.root / 'a' / clip, rate, 1)[0]
                        expected = reference(x, rate or (48000 if clip == 'mono.webm' else 44100))
                        self.assertEqual((array.shape, array.dtype), (expected.shape, numpy.float32))
                        error = numpy.abs(array - expected) / numpy.maximum(1, numpy.abs(expected) * 0.1)
                        worst[name] = max(worst.get(name, 0), error.max())
                        self.assertLess(error.max(), 1e-3)
                        self.assertEqual(size, len(path.read_bytes()))
                        if name == 'tsl':  # two rows a frame
                            self.assertAlmostEqual(len(array) / (len(x) / rate * fps), 2, delta=0.05)
        sys.stderr.write(f'largest errors: { {k: float(v) for k, v in worst.items()} }\n')

    def test_cut(self):
        """A part of a clip: its samples, and pictures, are those of the whole."""
        root = self.home / 'root'
        root.mkdir()
        shutil.copy(self.root / 'a/aac.mp4', root)
        (root / 'parts.csv').write_text('clip,name,from,to\naac,one,0.5,1.5\naac,two,1.2,2.8\n', encoding='utf-8')
        config = self.config(root, {'wave/{name}.npy': 'npy: { kind: wave }', 'mel/{name}.npy': 'npy: { kind: logmel }',
                                         'rgb/{name}.npy': 'npy: { kind: rgb }'},
                             source='- videos: "*.mp4"',
                             more='tables:\n  - { file: parts.csv, key: clip, cut: { start: from, end: to } }\n')
        whole = samples(self.root / 'a/aac.mp4')
        frames = subprocess.run(['ffmpeg', '-v', 'error', '-i', str(self.root / 'a/aac.mp4'), '-pix_fmt', 'rgb24', '-f',
                                 'rawvideo', '-'], stdout=subprocess.PIPE, check=True).stdout
        frames = numpy.frombuffer(frames, numpy.uint8).reshape(-1, 120, 160, 3)
        with self.mount(config) as mount:
            for name, begin, end in (('two', 1.2, 2.8), ('one', 0.5, 1.5)):
                part = whole[:, round(begin * 44100):round(end * 44100)]
                numpy.testing.assert_array_equal(numpy.load(mount.path / f'wave/{name}.npy'), part)
                mono = samples(self.root / 'a/aac.mp4', channels=1)[0]
                mel = logmel(mono[round(begin * 44100):round(end * 44100)], 44100)
                numpy.testing.assert_allclose(numpy.load(mount.path / f'mel/{name}.npy'), mel, atol=1e-3)
                rgb = numpy.load(mount.path / f'rgb/{name}.npy')
                numpy.testing.assert_array_equal(rgb, frames[round(begin * 25):][:len(rgb)])
                self.assertEqual(len(rgb), round((end - begin) * 25))

    def test_header(self):
        """As numpy.save() writes it, byte for byte."""
        views = {f'{name}/{{clip}}.npy': f'npy: {{ {settings} }}' for name, (settings, _, _) in FEATURES.items()}
        config = self.config(self.root, {**views, 'mel/{clip}.npy': 'npy: { kind: logmel, silence: true }',
                                         'wave/{clip}.npy': 'npy: { kind: wave }',
                                         'int16/{clip}.npy': 'npy: { kind: wave, dtype: int16, rate: 8000 }'})
        with self.mount(config) as mount:
            for name in self.shuffled(FEATURES):
                data = (mount.path / name / 'aac.mp4.npy').read_bytes()
                written = io.BytesIO()
                numpy.save(written, numpy.load(io.BytesIO(data)))
                self.assertEqual(data, written.getvalue())
            for name in ('wave', 'int16'):  # padded to a page: the same dict, and spaces
                data = (mount.path / name / 'aac.mp4.npy').read_bytes()
                written, array = io.BytesIO(), numpy.load(io.BytesIO(data))
                numpy.save(written, array)
                self.assertEqual(data[10:4096].split(b'\n')[0].rstrip(), written.getvalue()[10:128].split(b'\n')[0].rstrip())
                self.assertEqual((data[:8], data[4095:4096]), (written.getvalue()[:8], b'\n'))
                self.assertEqual(data[4096:], array.tobytes())
            for clip in ('aac.mp4', 'silent.mp4'):
                data = (mount.path / f'mel/{clip}.npy').read_bytes()
                written = io.BytesIO()
                numpy.save(written, numpy.load(io.BytesIO(data)))
                self.assertEqual(data, written.getvalue())
                self.assertEqual(npy_format.read_magic(io.BytesIO(data)), (1, 0))
            self.assertTrue(numpy.all(numpy.load(mount.path / 'mel/silent.mp4.npy') == -100))

    def test_lost_samples(self):
        """Packets that cannot be decoded: EIO, with the reason, where the samples end, and for features; no zeros."""
        root = self.home / 'root'
        root.mkdir()
        data = bytearray((self.root / 'a/long.mp4').read_bytes())
        packets = subprocess.run(['ffprobe', '-v', 'error', '-select_streams', 'a', '-show_entries', 'packet=pos,size', '-of',
                                  'csv=p=0', str(self.root / 'a/long.mp4')], stdout=subprocess.PIPE, check=True).stdout
        for line in packets.decode('ascii').split()[700:740]:
            size, at = (int(n) for n in line.strip(',').split(','))
            data[at:at + size] = b'\xff' * size
        (root / 'long.mp4').write_bytes(data)
        promised, truth = samples(self.root / 'a/long.mp4').shape[1], samples(root / 'long.mp4')
        self.assertLess(truth.shape[1], promised)
        block = 1 << 17
        whole = truth.shape[1] // block * block
        for rate in (None, 16000):
            self.cache = self.home / f'cache{rate}'
            more = f', rate: {rate}' if rate else ''
            config = self.config(root, {'wave/{clip}.npy': f'npy: {{ kind: wave{more} }}',
                                        'mel/{clip}.npy': f'npy: {{ kind: logmel{more} }}'}, cache=self.cache,
                                 source='- videos: "*.mp4"')
            reason = r'long\.mp4: damaged: only [0-9.]+ s of its sound can be decoded'
            with self.mount(config, cache=self.cache, allowed=[reason]) as mount:
                if not rate:
                    mapped = numpy.load(mount.path / 'wave/long.npy', mmap_mode='r')
                    self.assertEqual(mapped.shape, (len(truth), promised))
                    numpy.testing.assert_array_equal(mapped[:, :whole - 4096], truth[:, :whole - 4096])
                    del mapped
                for name in self.shuffled(['wave', 'mel']):
                    with self.assertRaises(OSError) as caught:
                        (mount.path / name / 'long.npy').read_bytes()
                    self.assertEqual(caught.exception.errno, errno.EIO)
                self.assertRegex('\n'.join(mount.errors()), reason)
                self.assertRegex(mount.stats()['failures'][0]['reason'], 'damaged: only')

    def test_bad(self):
        """Bands above what the rate has, or no sound to decode: EIO with the reason, and no zeros."""
        config = self.config(self.root, {'mel/{clip}.npy': 'npy: { kind: logmel, rate: 8000, fmax: 8000 }'})
        with self.mount(config, allowed=['aac.mp4']) as mount:
            with self.assertRaises(OSError) as caught:
                (mount.path / 'mel/aac.mp4.npy').read_bytes()
            self.assertEqual(caught.exception.errno, errno.EIO)
            self.assertRegex(mount.log(), r'aac\.mp4: no bands from 0 to 8000 Hz at a rate of 8000 Hz')


if __name__ == '__main__':
    harness.main()
