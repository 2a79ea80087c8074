#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset ekman6, read as the loaders of video emotion read it."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import presets

CLASSES = ('Anger', 'Disgust', 'Fear', 'Joy', 'Sadness', 'Surprise')
KINDS = ('short.mp4', 'short.avi', 'short.webm', 'tiny.mp4', 'other.mp4', 'short.mp4')


def make(root):
    """{(class, clip): kind}; one folder is written in lower case."""
    made = {}
    for i, label in enumerate(CLASSES):
        folder = label.lower() if label == 'Fear' else label
        for name, kind in ((presets.ODD_NAMES[i], KINDS[i]), (f'{i}0123', 'tiny.mp4')):
            presets.put(root / folder / f'{name}{Path(kind).suffix}', kind)
            made[label, name] = kind
    presets.write(root / 'Anger' / f'{presets.ODD_NAMES[0]}.srt', presets.CUES)
    presets.write(root / 'readme.txt', 'Ekman-6')
    return made


class Ekman6(presets.Case):
    preset = 'ekman6'

    def test_walk(self):
        made = make(self.root)
        with self.mounted() as tree:
            self.assert_names(tree, ['img', 'mp3', 'srt', 'annotation'])
            self.assert_names(tree / 'img', CLASSES)
            self.walk_annotation(tree, 'ekman6.json', {'training': set(made)})
            for (label, clip), kind in self.shuffled(made.items())[:8]:
                cues = self.walk_video_emotion(tree, label, clip, kind)
                self.assertEqual(len(cues), 2 if (label, clip) == ('Anger', 'plain_01') else 0)

    def test_options(self):
        """Frames of another size, no n_frames; and the names of classes as programs with lower-case ones have them."""
        made = make(self.root)
        with self.mounted('n_frames: false\noptions: { size: none, case: lower }\n') as tree:
            self.assert_names(tree / 'img', [c.lower() for c in CLASSES])
            (label, clip), kind = self.random.choice(list(made.items()))
            home = tree / 'img' / label.lower() / clip
            self.assert_frames(sorted(home.iterdir()), kind)

    def test_unknown_class(self):
        """A folder that is no class is told, and stays out of the tree."""
        make(self.root)
        presets.put(self.root / 'Boredom/x.mp4', 'tiny.mp4')
        with self.mounted(code=1, allowed=['Boredom']) as tree:
            self.assertIn('Boredom/x.mp4', self.said)
            self.assert_names(tree / 'img', CLASSES)


if __name__ == '__main__':
    presets.main()
