#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Subtitles: from sidecars in every encoding and from embedded streams, always SRT that pysrt and ffmpeg read."""
import os
import re
import shutil
import sys
from pathlib import Path

import pysrt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import clips, harness, oracle

# (start ms, end ms, lines) of clips.SRT; the last cue outlives the clips, which are two seconds long.
CUES = [(200, 900, 'Good morning.'), (1000, 1500, 'Second cue,\nof two lines: naïve café'), (1700, 9000, 'Past the end')]
BLOCK = re.compile(r'(\d+)\n(\d\d:\d\d:\d\d,\d\d\d) --> (\d\d:\d\d:\d\d,\d\d\d)\n((?:[^\n]+\n)+)\n')
VIEWS = {
    'srt/{class}/{clip}.srt': 'subtitles: [sidecar, embedded]',
    'inside/{class}/{clip}.srt': 'subtitles: [embedded]',
    'beside/{class}/{clip}.srt': 'subtitles: [sidecar]',
    'reverse/{class}/{clip}.srt': 'subtitles: [embedded, sidecar]',
}
SOURCE = ('- videos: "**/*.{mp4,mkv,webm}"\n'
          "    match: '^(?<class>[^/]+)/(?<clip>[^/]+)\\.[^.]+$'")


def plain(text):
    """A cue's text without mark-up, which formats write in their own ways."""
    return re.sub(r'<[^>]*>|\{[^}]*\}', '', text).strip()


def cues(data):
    """The cues of an SRT file as (start ms, end ms, text); anything that is not exact SRT raises."""
    text = data.decode('utf-8')
    if '\r' in text or text.startswith('\ufeff') or '\0' in text:
        raise AssertionError(f'not plain SRT: {text!r}')
    blocks = list(BLOCK.finditer(text))
    rest = text[sum(len(b[0]) for b in blocks):]
    if rest or [int(b[1]) for b in blocks] != list(range(1, len(blocks) + 1)):
        raise AssertionError(f'not numbered SRT blocks: {text!r}')
    read = [(c.start.ordinal, c.end.ordinal, plain(c.text)) for c in pysrt.from_string(text)]
    if len(read) != len(blocks):
        raise AssertionError(f'pysrt reads {len(read)} cues of {len(blocks)}: {text!r}')
    return read


class Subtitles(harness.Case):

    def assert_cues(self, data, wanted=None, clip_ms=2000, slack_ms=1):
        """Equal to `wanted`, the last one cut at the clip's end."""
        got = cues(data)
        wanted = wanted or CUES
        self.assertEqual([c[2] for c in got], [c[2] for c in wanted])
        for (start, end, _), (true_start, true_end, _) in zip(got, wanted):
            self.assertLessEqual(abs(start - true_start), slack_ms)
            if true_end <= clip_ms:
                self.assertLessEqual(abs(end - true_end), slack_ms)
            else:
                self.assertGreater(end, start)
                # Sound may be a little longer than the picture; a codec's last packet is at most 50 ms.
                self.assertTrue(clip_ms - 1 <= end <= clip_ms + 50, f'ends at {end} ms')

    def corpus(self, sidecars):
        """A folder with one video a sidecar: {name with extension: bytes}."""
        root = self.home / 'root'
        video = clips.make(clips.EVERYTHING, 'everything') / 'containers/h264_bframes.mp4'
        (root / 'a').mkdir(parents=True)
        for name, data in sidecars.items():
            shutil.copy(video, root / 'a' / f'{name.rpartition(".")[0]}.mp4')
            (root / 'a' / name).write_bytes(data)
        return root

    def test_embedded(self):
        """Every container's own text, and none where there is none."""
        root = clips.make(clips.EVERYTHING, 'everything')
        settings = self.config(root, VIEWS)
        with self.mount(settings) as mount:
            for clip in self.shuffled(clips.TEXT):
                with self.subTest(clip=clip):
                    path = mount.path / 'srt/text' / f'{clip}.srt'
                    size = path.stat().st_size
                    data = path.read_bytes()
                    self.assertEqual(len(data), size)
                    # What ffmpeg converts it to: a muxer may have moved all streams by the sound's priming.
                    theirs = [(c.start.ordinal, c.end.ordinal, plain(c.text))
                              for c in oracle.cues(oracle.subtitle_file(root / 'text' / clip))]
                    self.assertEqual([c[2] for c in theirs], [c[2] for c in CUES])
                    self.assert_cues(data, theirs)
                    self.assertEqual((mount.path / 'inside/text' / f'{clip}.srt').read_bytes(), data)
                    self.assertEqual((mount.path / 'beside/text' / f'{clip}.srt').read_bytes(), b'')
            self.assertEqual((mount.path / 'srt/streams/no_audio.mp4.srt').read_bytes(), b'')

    def test_sidecars(self):
        """Each encoding and each format beside the video."""
        windows = clips.SRT.replace('\n', '\r\n')
        srt = self.home / 'text.srt'
        srt.write_text(clips.SRT, encoding='utf-8')
        made = {}
        for ext in ('vtt', 'ass'):
            oracle.run('-i', srt, self.home / f'text.{ext}')
            made[ext] = (self.home / f'text.{ext}').read_bytes()
        root = self.corpus({
            'utf8.srt': clips.SRT.encode(), 'bom.srt': windows.encode('utf-8-sig'),
            'utf16le.srt': b'\xff\xfe' + windows.encode('utf-16-le'),
            'utf16be.srt': b'\xfe\xff' + clips.SRT.encode('utf-16-be'),
            'windows.srt': windows.encode('cp1252'), 'web.vtt': made['vtt'], 'substation.ass': made['ass'],
            'noend.srt': clips.SRT.rstrip().encode(),
            'webbom.vtt': made['vtt'].replace(b'\n', b'\r\n').join([b'\xef\xbb\xbf', b'']),
        })
        with self.mount(self.config(root, VIEWS, source=SOURCE)) as mount:
            names = sorted(p.stem for p in root.glob('a/*.mp4'))
            self.assertEqual(sorted(os.listdir(mount.path / 'srt/a')), [f'{n}.srt' for n in names])
            for name in self.shuffled(names):
                with self.subTest(name=name):
                    path = mount.path / 'srt/a' / f'{name}.srt'
                    size = path.stat().st_size
                    data = path.read_bytes()
                    self.assertEqual(len(data), size)
                    self.assert_cues(data, slack_ms=10 if name == 'substation' else 1)
                    self.assertEqual((mount.path / 'inside/a' / f'{name}.srt').read_bytes(), b'')

    def test_order_of_sources(self):
        """A sidecar and an embedded stream: the view's own order decides."""
        root = self.home / 'root'
        (root / 'a').mkdir(parents=True)
        shutil.copy(clips.make(clips.EVERYTHING, 'everything') / 'text/subrip.mkv', root / 'a/both.mkv')
        (root / 'a/both.srt').write_text('1\n00:00:00,100 --> 00:00:00,200\nBeside\n\n', encoding='ascii')
        with self.mount(self.config(root, VIEWS, source=SOURCE)) as mount:
            self.assertEqual(cues((mount.path / 'srt/a/both.srt').read_bytes()), [(100, 200, 'Beside')])
            self.assert_cues((mount.path / 'reverse/a/both.srt').read_bytes(), slack_ms=30)

    def test_untidy_sidecars(self):
        """What people's files look like: it still comes out as numbered SRT, in order, inside the clip."""
        cue = '00:00:0{},000 --> 00:00:0{},500\n{}\n'
        root = self.corpus({
            'unnumbered.srt': (cue.format(0, 0, 'one') + '\n' + cue.format(1, 1, 'two') + '\n').encode(),
            'misnumbered.srt': ('7\n' + cue.format(0, 0, 'one') + '\n7\n' + cue.format(1, 1, 'two') + '\n').encode(),
            'late.srt': ('1\n' + cue.format(0, 0, 'one') + '\n2\n' + cue.format(1, 1, 'two') + '\n3\n' +
                         cue.format(8, 8, 'after the end') + '\n').encode(),
            'gaps.srt': ('\n\n1\n' + cue.format(0, 0, 'one') + '\n\n\n2\n' + cue.format(1, 1, 'two') + '\n\n').encode(),
        })
        with self.mount(self.config(root, VIEWS, source=SOURCE)) as mount:
            for name in sorted(p.stem for p in root.glob('a/*.srt')):
                with self.subTest(name=name):
                    self.assertEqual(cues((mount.path / 'srt/a' / f'{name}.srt').read_bytes()),
                                     [(0, 500, 'one'), (1000, 1500, 'two')])

    def test_never_past_the_sound(self):
        """No cue ends after the mp3 that stands beside it: a loader that cuts sound by cues depends on it."""
        root = clips.make(clips.EVERYTHING, 'everything')
        views = {'srt/{clip}.srt': 'subtitles: [embedded]', 'mp3/{clip}.mp3': 'audio: {}'}
        source = '- videos: "text/*"\n    match: \'/(?<clip>[^/]+)$\''
        with self.mount(self.config(root, views, source=source)) as mount:
            for clip in clips.TEXT:
                sound, rate = oracle.decode(mount.path / 'mp3' / f'{clip}.mp3')
                last = cues((mount.path / 'srt' / f'{clip}.srt').read_bytes())[-1][1]
                self.assertLessEqual(last, len(sound) / rate * 1000, clip)


if __name__ == '__main__':
    harness.main()
