#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Subtitles: from sidecars in every encoding and from embedded streams, always SRT that pysrt and ffmpeg read."""
import io
import json
import os
import re
import shutil
import sys
import tarfile
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
                [(sound, rate)] = oracle.decode(mount.path / 'mp3' / f'{clip}.mp3')
                last = cues((mount.path / 'srt' / f'{clip}.srt').read_bytes())[-1][1]
                self.assertLessEqual(last, len(sound) / rate * 1000, clip)


class Tables(harness.Case):
    """Rows of tables as cues; those of the whole clip end with its sound."""

    def setUp(self):
        super().setUp()
        self.root = self.home / 'root'
        self.root.mkdir()
        self.video = clips.make(clips.EVERYTHING, 'everything') / 'containers/h264_bframes.mp4'
        [(sound, rate)] = oracle.decode(self.video)
        self.ms = len(sound) * 1000 // rate

    def videos(self, *names):
        for name in names:
            shutil.copy(self.video, self.root / name)

    def write(self, name, text):
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text, encoding='utf-8')

    def configure(self, views, tables, source='- videos: "*.mp4"'):
        return self.config(self.root, views, source=source, more=f'tables:\n{tables}')

    def read(self, mount, names):
        """The cues of files, read in random order, of which stat knew the sizes."""
        found = {}
        for name in self.shuffled(list(names)):
            path = mount.path / name
            size = path.stat().st_size
            data = path.read_bytes()
            self.assertEqual(len(data), size)
            found[name] = cues(data)
        return found

    def test_rows(self):
        """Several rows a clip, out of order, twice, of several lines, without times; and clips without rows."""
        self.videos('many.mp4', 'one.mp4', 'none.mp4', 'beside.mp4')
        self.write('beside.srt', '1\n00:00:00,000 --> 00:00:01,000\nbeside\n')
        self.write('said.csv', 'clip,text,from,to\nmany,"second, \n\n of two lines",0:01.2,1:00:00\nmany,first,0.1004,0.5\n'
                   'many,first,0.1004,0.5\nmany,2,"0:0:0,6",0.7\nmany,after the end,8,9\nmany,,0,1\none,\u4f60\u597d,,\nbeside,table,0,1\n')
        fields = 'text: text, start: from, end: to'
        config = self.configure({
            'srt/{clip}.srt': f'subtitles: {{ from: [sidecar, table], {fields} }}',
            'table/{clip}.srt': f'subtitles: {{ from: [table, sidecar], {fields} }}',
            'only/{clip}.srt': f'subtitles: {{ from: [table], {fields}, missing: none }}',
        }, '  - { file: said.csv, key: clip, join: left }\n')
        many = [(100, 500, 'first'), (600, 700, '2'), (1200, self.ms, 'second,\nof two lines')]
        harness.corpusfs('check', config, check=0)
        with self.mount(config) as mount:
            self.assertEqual(sorted(os.listdir(mount.path / 'only')), ['beside.srt', 'many.srt', 'one.srt'])
            self.assertEqual(sorted(os.listdir(mount.path / 'srt')), ['beside.srt', 'many.srt', 'none.srt', 'one.srt'])
            got = self.read(mount, [p for p in mount.files() if p.endswith('.srt')])
            for view in ('srt', 'table', 'only'):
                self.assertEqual(got[f'{view}/many.srt'], many)
                self.assertEqual(got[f'{view}/one.srt'], [(0, self.ms, '\u4f60\u597d')])
            self.assertEqual(got['srt/beside.srt'], [(0, 1000, 'beside')])
            self.assertEqual(got['table/beside.srt'], [(0, 1000, 'table')])
            self.assertEqual(got['table/none.srt'], [])

    def test_dialogues(self):
        """Transcriptions as IEMOCAP has them: clips are cut out of dialogues, each with a line of its own; and the
        lines of the whole dialogue, of which each clip shows its part."""
        self.videos('Ses05F_script03_1.mp4')
        self.write('emo/x.txt', '[0.2000 - 0.8000]\tSes05F_script03_1_F033\tang\t[1]\n'
                   '[0.6000 - 1.7000]\tSes05F_script03_1_M001\tneu\t[1]\n')
        self.write('said/Ses05F_script03_1.txt', 'Ses05F_script03_1_F033 [000.2000-000.8000]: How? Why [LAUGHTER]\n'
                   'Ses05F_script03_1_M001 [000.6000-001.7000]: Just so.\nM: [no times] x\n')
        tables = ("  - lines: 'said/*.txt'\n"
                  "    match: '^\\S+ \\[(?<from>[\\d.]+)-(?<to>[\\d.]+)\\]: (?<all>.*)'\n"
                  "    path: '(?<dialog>[^/]+)[.]txt$'\n    key: dialog\n"
                  "  - lines: 'emo/*.txt'\n"
                  "    match: '^\\[(?<start>[\\d.]+) - (?<end>[\\d.]+)\\]\\t(?<clip>(?<dialog>\\w+)_\\w+)\\t'\n"
                  "    key: dialog\n    cut: { start: start, end: end }\n"
                  "  - lines: 'said/*.txt'\n    match: '^(?<clip>\\S+) \\[[\\d.-]+\\]: (?<text>.*)'\n    key: clip\n")
        config = self.configure({'srt/{clip}.srt': 'subtitles: [sidecar, embedded, table]',
                                 'all/{clip}.srt': 'subtitles: { from: [table], text: all, start: from, end: to }'}, tables,
                                source='- { videos: "*.mp4", match: "^(?<dialog>.*)[.]mp4$" }')
        harness.corpusfs('check', config, check=0)
        first, second = 'Ses05F_script03_1_F033', 'Ses05F_script03_1_M001'
        with self.mount(config) as mount:
            got = self.read(mount, mount.files())
        self.assertEqual(got, {
            f'srt/{first}.srt': [(0, 600, 'How? Why [LAUGHTER]')], f'srt/{second}.srt': [(0, 1100, 'Just so.')],
            f'all/{first}.srt': [(0, 600, 'How? Why [LAUGHTER]'), (400, 600, 'Just so.')],
            f'all/{second}.srt': [(0, 200, 'How? Why [LAUGHTER]'), (0, 1100, 'Just so.')]})

    def test_records_in_archives(self):
        """EmotionTalk's form: a JSON document a clip in an archive, with its text, and times in a list."""
        said = {'G1_001': ('\u4f60\u597d\uff0c', [('0.1', '0.9')]), 'G1_002': ('a "b" <i>c</i>', [(0.25, 0.5), ('00:01.0', '00:01.5')]),
                'G1_003': ('no times', [])}
        with tarfile.open(self.root / 'Multimodal.tar', 'w') as tar:
            for name in said:
                tar.add(self.video, f'mp4/{name}.mp4')
        with tarfile.open(self.root / 'Audio.tar.gz', 'w:gz') as tar:
            for name, (text, times) in said.items():
                data = json.dumps({'content': text, 'paragraphs': [{'from': a, 'to': b} for a, b in times]}).encode()
                info = tarfile.TarInfo(f'json/{name}.json')
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        each = "    path: '(?<clip>[^/]+)[.]json$'\n    key: clip\n"
        tables = (f'  - file: "json/*.json"\n    columns: {{ content: content }}\n{each}'
                  f'  - file: "json/*.json"\n    records: paragraphs\n    join: left\n    columns: {{ from: from, to: to }}\n{each}')
        config = self.configure({'{clip}.srt': 'subtitles: { from: [table], text: content, start: from, end: to }'}, tables,
                                source='- { archives: "*.tar*", videos: "mp4/*.mp4" }')
        harness.corpusfs('check', config, check=0)
        with self.mount(config) as mount:
            got = self.read(mount, mount.files())
        self.assertEqual(got, {
            'G1_001.srt': [(100, 900, '\u4f60\u597d\uff0c')],
            'G1_002.srt': [(250, 500, 'a "b" c'), (1000, 1500, 'a "b" c')], 'G1_003.srt': [(0, self.ms, 'no times')]})

    def test_derived_text(self):
        """A field that a rule gives is a text, too; and one that an open table may have."""
        self.videos('a_b.mp4')
        self.write('more.jsonl', '{"clip": "a_b", "text": "from the table", "start": "1"}\n')
        config = self.configure({'x/{clip}.srt': 'subtitles: { from: [table], text: upper }', '{clip}.srt': 'subtitles: [table]'},
                                '  - { file: more.jsonl, key: clip }\n'
                                'fields: { upper: { of: clip, case: upper } }\n')
        said = harness.corpusfs('check', config, check=1).stdout
        self.assertIn('more.jsonl:1: its text has a start and no end: not in the subtitles\n', said)
        self.write('more.jsonl', '{"clip": "a_b", "text": "from the table"}\n')
        harness.corpusfs('check', config, check=0)
        with self.mount(config) as mount:
            self.assertEqual(self.read(mount, mount.files()), {
                'x/a_b.srt': [(0, self.ms, 'A_B')], 'a_b.srt': [(0, self.ms, 'from the table')]})

    def test_mistakes(self):
        self.videos('a.mp4')
        self.write('said.tsv', 'clip\ttext\tstart\tend\na\tx\t1\t0.5\na\ty\tsoon\t1\na\tz\t0\tlate\na\tgood\t0\t1\na\tw\t\t1\n')
        config = self.configure({'{clip}.srt': 'subtitles: [table]'}, '  - { file: said.tsv, key: clip }\n')
        said = harness.corpusfs('check', config, check=1).stdout
        for line, what in ((2, 'its end is before its start'), (3, 'its start is no time in seconds'),
                           (4, 'its end is no time in seconds'), (6, 'its text has an end and no start')):
            self.assertIn(f'said.tsv:{line}: {what}: not in the subtitles\n', said)
        with self.mount(config) as mount:
            self.assertEqual(self.read(mount, mount.files()), {'a.srt': [(0, 1000, 'good')]})

    def test_changed_table(self):
        """What a table says anew is told after the corpus was scanned again, and what another cache kept is not."""
        self.videos('a.mp4', 'b.mp4')
        self.write('said.csv', 'clip,text\na,one\nb,two\n')
        config = self.configure({'{clip}.srt': 'subtitles: [table]'}, '  - { file: said.csv, key: clip }\n')
        with self.mount(config) as mount:
            self.assertEqual(self.read(mount, mount.files()), {'a.srt': [(0, self.ms, 'one')], 'b.srt': [(0, self.ms, 'two')]})
            self.write('said.csv', 'clip,text\na,another\nb,two\n')
            harness.corpusfs('index', config, check=0)
            harness.wait_until('the new text', lambda: self.read(mount, ['a.srt'])['a.srt'] == [(0, self.ms, 'another')])
            self.assertEqual(self.read(mount, ['b.srt']), {'b.srt': [(0, self.ms, 'two')]})


if __name__ == '__main__':
    harness.main()
