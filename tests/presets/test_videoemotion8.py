#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset videoemotion8, read as the loaders of video emotion read it."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import presets

CLASSES = ('Anger', 'Anticipation', 'Disgust', 'Fear', 'Joy', 'Sadness', 'Surprise', 'Trust')
TESTED = {('Anger', presets.ODD_NAMES[0]), ('Fear', presets.ODD_NAMES[3]), ('Trust', '10000007')}
KINDS = ('short.mp4', 'other.mp4', 'tiny.mp4')


def make(root):
    """{(class, clip): kind}: names by flickr are numbers, those by youtube eleven characters; and some odd ones."""
    made = {}
    for i, label in enumerate(CLASSES):
        folder = root / f'VideoEmotionDataset{i + 1}-{label}'
        for site, name in (('flickr', str(10000000 + i)), ('youtube', presets.ODD_NAMES[i % 6] if i < 6 else f'-_{i}aB3cD4eF')):
            kind = KINDS[len(made) % 3]
            presets.put(folder / site / f'{name}.mp4', kind)
            made[label, name] = kind
    presets.write(root / 'VideoEmotionDataset5-Joy/flickr/10000004.srt', presets.CUES)
    presets.write(root / 'VideoEmotionDataset5-Joy/flickr/._10000004.mp4', b'\0\5\x16\7')
    presets.write(root / 'split.csv', 'clip,subset\n' + ''.join(
        f'"{clip}",{"validation" if (label, clip) in TESTED else "training"}\n' for label, clip in made))
    return made


class VideoEmotion8(presets.Case):
    preset = 'videoemotion8'

    def test_walk(self):
        made = make(self.root)
        with self.mounted() as tree:
            self.assert_names(tree / 'img', CLASSES)
            self.walk_annotation(tree, 've8.json', {'training': set(made) - TESTED, 'validation': TESTED})
            for label in CLASSES:
                self.assert_names(tree / 'img' / label, [clip for l, clip in made if l == label])
            for (label, clip), kind in [*self.shuffled(made.items())[:6], (('Joy', '10000004'), made['Joy', '10000004'])]:
                cues = self.walk_video_emotion(tree, label, clip, kind)
                self.assertEqual([c.text for c in cues], ['No, not again!'] if clip == '10000004' else [])

    def test_same_name(self):
        """A name in two classes: both clips are in the tree, the annotation has the first, and check tells of the other."""
        made = make(self.root)
        presets.put(self.root / 'VideoEmotionDataset7-Surprise/flickr/10000000.mp4', 'tiny.mp4')
        with self.mounted(code=1, allowed=['which is listed: not in the list']) as tree:
            self.assertIn('VideoEmotionDataset7-Surprise/flickr/10000000.mp4 has the {clip} of '
                          'VideoEmotionDataset1-Anger/flickr/10000000.mp4, which is listed: not in the list\n', self.said)
            self.walk_annotation(tree, 've8.json', {'training': set(made) - TESTED, 'validation': TESTED})
            self.walk_video_emotion(tree, 'Surprise', '10000000', 'tiny.mp4')

    def test_options(self):
        made = make(self.root)
        with self.mounted('n_frames: false\noptions: { size: "-1:24", case: upper }\n') as tree:
            (label, clip), kind = self.random.choice(list(made.items()))
            self.assert_frames(sorted((tree / 'img' / label.upper() / clip).iterdir()), kind,
                               presets.oracle.View('cfr', 'jpg', '-1:24'))


if __name__ == '__main__':
    presets.main()
