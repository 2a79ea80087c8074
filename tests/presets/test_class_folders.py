#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset class-folders: <class>/<clip>.<ext>."""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import compare, presets

KINDS = ('short.mp4', 'short.avi', 'short.webm', 'tiny.mp4', 'silent.mp4', 'other.mp4')


def make(root):
    """{(class, clip): kind}: odd names in two classes, one of which is odd itself; the first has a file of cues."""
    made = {}
    for i, name in enumerate(presets.ODD_NAMES):
        label = ('Joy', '愤怒 & Co')[i % 2]
        presets.put(root / label / f'{name}{Path(KINDS[i]).suffix}', KINDS[i])
        made[label, name] = KINDS[i]
    presets.write(root / 'Joy' / f'{presets.ODD_NAMES[0]}.srt', presets.CUES)
    presets.write(root / 'Joy/notes.txt', 'no video')
    presets.write(root / 'Joy/._plain_01.mp4', b'\0\5\x16\7')
    return made


class ClassFolders(presets.Case):
    preset = 'class-folders'

    def test_walk(self):
        """Frames, sound and subtitles of one name; nothing else."""
        made = make(self.root)
        with self.mounted() as tree:
            self.assert_names(tree, ['img', 'mp3', 'srt'])
            for label in ('Joy', '愤怒 & Co'):
                here = {clip: kind for (l, clip), kind in made.items() if l == label}
                self.assert_names(tree / 'img' / label, here)
                self.assert_names(tree / 'mp3' / label, [f'{c}.mp3' for c, kind in here.items() if 'silent' not in kind])
                self.assert_names(tree / 'srt' / label, [f'{c}.srt' for c in here])
            for (label, clip), kind in made.items():
                home = tree / 'img' / label / clip
                self.assert_frames([home / n for n in sorted(os.listdir(home))], kind)
                if 'silent' not in kind:
                    compare.check_sound_of(self, presets.video(kind), tree / 'mp3' / label / f'{clip}.mp3', 'mp3')

    def test_options(self):
        """n_frames and another size, and other views instead of the preset's."""
        made = make(self.root)
        with self.mounted('n_frames: true\noptions: { size: "-1:24" }\n') as tree:
            for (label, clip), kind in made.items():
                n = int((tree / 'img' / label / clip / 'n_frames').read_bytes())
                self.assert_frames([tree / 'img' / label / clip / f'{i:06d}.jpg' for i in range(1, n + 1)], kind,
                                   presets.oracle.View('cfr', 'jpg', '-1:24'))
            cues = presets.oracle.cues(tree / 'srt/Joy/plain_01.srt')
            self.assertEqual([(c.text, c.end.ordinal <= 2100) for c in cues], [('No, not again!', True), ('走吧。', True)])
        with self.mounted('views:\n  - path: "sound/{class}/{clip}.wav"\n    audio: {}\n') as tree:
            self.assert_names(tree, ['sound'])


if __name__ == '__main__':
    presets.main()
