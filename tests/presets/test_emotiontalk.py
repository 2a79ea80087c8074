#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset emotiontalk: four trees in archives, of which one is packed and one holds a zip, whatever they are called."""
import gzip
import io
import json
import re
import sys
import tarfile
import textwrap
import wave
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import compare, presets

FOLDER = 'G00003/G00003_11/of (b), [c] & 情!'
UTTERANCES = {  # (emotion of the whole, that of the text alone, what is said, kind)
    'G00003_11_13_001': ('happy', 'neutral', '你好, (真的)!', 'short.mp4'),
    'G00003_11_13_002': ('surprise', 'surprise', '', 'tiny.mp4'),
    'G00003_11_13_010': ('happy', 'happy', '[笑] & 走吧', 'other.mp4'),
    **{name: ('happy', 'neutral', name, 'tiny.mp4') for name in presets.ODD_NAMES},
}
PARTS = (('Some', '0.1', '0.25'), ('more', 0.25, 0.5))  # of what is said, and when


def tone(seconds):
    """A wav of 44.1 kHz."""
    out = io.BytesIO()
    with wave.open(out, 'wb') as file:
        file.setparams((1, 2, 44100, 0, 'NONE', ''))
        file.writeframes(bytes(range(0, 200, 2)) * int(seconds * 882))
    return out.getvalue()


def about(name, emotion, text):
    return json.dumps({'emotion_result': emotion, 'speaker_id': name[:9], 'file_name': f'{name}.wav', 'content': text,
                       'paragraphs': [{'start': a, 'end': b, 'text': f'{part} of {text}'} for part, a, b in PARTS if text],
                       'data': [{'emotion': emotion, 'annotator': i} for i in range(5)]}, ensure_ascii=False).encode()


def members():
    """{name of the tree: {path: bytes}}"""
    trees = {tree: {} for tree in ('Audio', 'Text', 'Video', 'Multimodal')}
    for i, (name, (whole, alone, text, kind)) in enumerate(UTTERANCES.items()):
        trees['Audio'][f'Audio/wav/{FOLDER}/{name}.wav'] = tone(i + 1)
        trees['Audio'][f'Audio/json/{FOLDER}/{name}.json'] = about(name, 'neutral', text)
        trees['Text'][f'Text/json/{FOLDER}/{name}.json'] = about(name, alone, text)
        trees['Video'][f'Video/json/{FOLDER}/{name}.json'] = about(name, 'neutral', text)
        trees['Multimodal'][f'Multimodal/json/{FOLDER}/{name}.json'] = about(name, whole, text)
        trees['Multimodal'][f'Multimodal/mp4/{FOLDER}/{name}.mp4'] = presets.video(kind).read_bytes()
    return trees


def tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def make(root):
    """Audio is a tar that gzip packed, Text one that holds a zip; the extensions tell neither."""
    trees = members()
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, data in trees['Text'].items():
            archive.writestr(name, data)
    presets.write(root / 'data/audio/Audio.tar', gzip.compress(tar(trees['Audio'])))
    presets.write(root / 'data/Text/Text.tar', tar({'Text.zip': inner.getvalue()}))
    presets.write(root / 'data/Video/Video.tar', tar(trees['Video']))
    presets.write(root / f'data/Multimodal/{presets.ODD_NAMES[1]} {presets.ODD_NAMES[3]}.tar', tar(trees['Multimodal']))


class EmotionTalk(presets.Case):
    preset = 'emotiontalk'

    def check_clips(self, tree, emotions):
        self.assert_names(tree / 'img', set(emotions.values()))
        for name, emotion in self.shuffled(emotions.items()):
            _, _, text, kind = UTTERANCES[name]
            home = tree / 'img' / emotion / name
            self.assert_frames([home / n for n in sorted(path.name for path in home.iterdir())], kind)
            compare.check_sound_of(self, presets.video(kind), tree / 'mp3' / emotion / f'{name}.mp3', 'mp3')
            cues = presets.oracle.cues(tree / 'srt' / emotion / f'{name}.srt')
            self.assertEqual([c.text for c in cues], [text] if text else [])

    def test_walk(self):
        """Readers find wav files by a pattern, and the JSON of each; frames, sound and words are those of the mp4."""
        make(self.root)
        with self.mounted() as tree:
            found = sorted(tree.glob('Audio/**/*.wav'))
            self.assertEqual(sorted(p.name for p in found), sorted(f'{name}.wav' for name in UTTERANCES))
            for path in self.shuffled(found):
                i = list(UTTERANCES).index(path.stem)
                with wave.open(str(path)) as file:
                    self.assertEqual((file.getframerate(), file.getnframes()), (44100, 44100 * (i + 1)))
                for part in ('Audio', 'Text', 'Video', 'Multimodal'):
                    data = json.loads((tree / part / 'json' / FOLDER / f'{path.stem}.json').read_bytes())
                    self.assertEqual((data['file_name'], len(data['data'])), (path.name, 5))
                self.assertEqual((tree / 'Multimodal/mp4' / FOLDER / f'{path.stem}.mp4').read_bytes(),
                                 presets.video(UTTERANCES[path.stem][3]).read_bytes())
            self.check_clips(tree, {name: u[0] for name, u in UTTERANCES.items()})

    def test_parts_of_what_is_said(self):
        """The tables of the page: a cue for each part."""
        make(self.root)
        page = (Path(__file__).parents[2] / 'docs/presets/emotiontalk.md').read_text(encoding='utf-8')
        tables = textwrap.dedent(re.search(r'^      tables:\n(?:      .*\n)+', page, re.MULTILINE)[0])
        with self.mounted(tables) as tree:
            for name, (emotion, _, text, _) in UTTERANCES.items():
                cues = presets.oracle.cues(tree / 'srt' / emotion / f'{name}.srt')
                self.assertEqual([(c.start.ordinal, c.end.ordinal, c.text) for c in cues],
                                 [(float(a) * 1000, float(b) * 1000, f'{part} of {text}') for part, a, b in PARTS if text])

    def test_labels_of_text(self):
        """The emotion that the text alone tells, from the zip in the tar."""
        make(self.root)
        with self.mounted('options: { labels: Text }\n') as tree:
            self.check_clips(tree, {name: u[1] for name, u in UTTERANCES.items()})


if __name__ == '__main__':
    presets.main()
