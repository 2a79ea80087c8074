#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset iemocap: utterances cut out of dialogues, read as the loaders of video emotion read them."""
import sys
from pathlib import Path

import numpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import presets

CLASSES = {'ang': 'Anger', 'hap': 'Happy', 'neu': 'Neutral', 'sad': 'Sadness'}
# The utterances of each dialogue, of a video of 60 frames: (name, from, to, label, what is said)
DIALOGS = {
    'Ses01F_impro01': [('F000', 0.4, 2.2, 'neu', 'Excuse me.'), ('M000', 2.3, 4.1, 'ang', 'Do you have your forms?'),
                       ('F001', 4.0, 4.9, 'sad', ''), ('M001', 4.9, 6.0, 'fru', 'Yeah.')],
    'Ses02M_script03_1b': [('F033', 0, 1.7, 'hap', '[LAUGHTER] 好, & so on: yes'), ('M0a1', 1.7, 3.9, 'exc', 'Great!'),
                           ('MXX0', 3.9, 6.0, 'xxx', 'Who?')],
    **{f'Ses03F_{name}': [('F000', 0.5, 2.3, 'sad', f'{name}: 4.5 - [so]'), ('M000', 3, 4.7, 'hap', '')]
       for name in presets.ODD_NAMES},
}


def session_of(name):
    return f'Session{int(name[3:5])}' + (' of (b), [c] & 情!' if name.startswith('Ses03') else '')


def make(root):
    for name, utterances in DIALOGS.items():
        home = root / session_of(name)
        presets.put(home / 'dialog/avi/DivX' / f'{name}.avi', 'wide.avi')
        presets.write(home / 'dialog/avi/DivX' / f'._{name}.avi', b'\0\5\x16\7')
        presets.write(home / 'dialog/EmoEvaluation' / f'._{name}.txt', b'\0\5\x16\7')
        presets.write(home / 'dialog/EmoEvaluation/Categorical' / f'{name}_e1_cat.txt', f'{name}_F000 :Neutral state; ()\n')
        presets.write(home / 'dialog/EmoEvaluation' / f'{name}.txt', '% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n'
                      + ''.join(f'[{a:.4f} - {b:.4f}]\t{name}_{who}\t{label}\t[2.5000, 2.5000, 2.5000]\n'
                                f'C-E2:\tNeutral;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n\n'
                                for who, a, b, label, _ in utterances))
        presets.write(home / 'dialog/transcriptions' / f'{name}.txt', ''.join(
            f'{name}_{who} [{a:08.4f}-{b:08.4f}]: {text}\n' for who, a, b, _, text in utterances if text) + 'M: Huh?\n')
        for who, *_ in utterances:
            presets.write(home / 'sentences/wav' / name / f'{name}_{who}.wav', f'RIFF {who}'.encode())


class Iemocap(presets.Case):
    preset = 'iemocap'

    def test_walk(self):
        """Four classes; of each picture the half with the speaker; the words of the utterance; sound to the sample."""
        make(self.root)
        [(sound, rate)] = presets.oracle.decode(presets.video('wide.avi'))
        with self.mounted() as tree:
            self.assert_names(tree / 'img', CLASSES.values())
            seen = 0
            for name, utterances in DIALOGS.items():
                for who, a, b, label, text in utterances:
                    clip, label = f'{name}_{who}', CLASSES.get(label)
                    if not label:
                        self.assertFalse([p for p in tree.glob('*/*/*') if p.name.startswith(clip)])
                        continue
                    seen += 1
                    side = 'left' if clip[5] == clip[-4] else 'right'
                    first, end = (round(t * 10) for t in (a, b))
                    cues = self.walk_video_emotion(tree, label, clip, 'wide.avi', presets.oracle.View('cfr', 'jpg', '-1:240', side),
                                                   first + 1, end - first)
                    self.assertEqual([c.text for c in cues], [text] if text else [])
                    [(ours, _)] = presets.oracle.decode(tree / 'wav' / label / f'{clip}.wav')
                    self.assertTrue(numpy.array_equal(ours, sound[round(a * rate):round(b * rate)]), clip)
                    raw = f'sentences/wav/{name}/{clip}.wav'
                    self.assertEqual((tree / session_of(name) / raw).read_bytes(), f'RIFF {who}'.encode())
            self.assertEqual(seen, 4 + 2 * len(presets.ODD_NAMES))
            self.walk_annotation(tree, 'iemocap.json', {'training': {tuple(p.parts[-2:]) for p in tree.glob('img/*/*')}})

    def test_excited(self):
        """Excitement counts as happiness where that is wanted."""
        make(self.root)
        with self.mounted('options: { excited: Happy, case: lower, size: none, validation: 2 }\nn_frames: true\n') as tree:
            self.assert_names(tree / 'img', [c.lower() for c in CLASSES.values()])
            self.assert_names(tree / 'img/happy', ['Ses02M_script03_1b_F033', 'Ses02M_script03_1b_M0a1',
                                                   *(f'Ses03F_{name}_M000' for name in presets.ODD_NAMES)])
            clips = {tuple(p.parts[-2:]) for p in tree.glob('img/*/*')}
            second = {c for c in clips if c[1].startswith('Ses02')}
            self.walk_annotation(tree, 'iemocap.json', {'training': clips - second, 'validation': second})
            self.assertEqual((tree / 'img/happy/Ses02M_script03_1b_M0a1/n_frames').read_bytes(), b'22')


if __name__ == '__main__':
    presets.main()
