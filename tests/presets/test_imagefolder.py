#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset imagefolder, read as torchvision's ImageFolder is documented: each folder of the root is a class, in the
order of its name, and each picture below it, in the order of a walk, is a sample."""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import presets

LABELS = ('b class', '愤怒', 'Anger')


def make(root):
    made = {}
    for i, name in enumerate(presets.ODD_NAMES):
        kind = ('short.mp4', 'tiny.mp4', 'short.webm')[i % 3]
        presets.put(root / LABELS[i % 3] / f'{name}{Path(kind).suffix}', kind)
        made[LABELS[i % 3], name] = kind
    presets.write(root / 'Anger/notes.txt', 'no video')
    return made


def samples(root):
    """[(path, number of its class)]"""
    classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    found = []
    for number, label in enumerate(classes):
        for folder, _, names in sorted(os.walk(root / label, followlinks=True)):
            found += [(Path(folder) / name, number) for name in sorted(names)
                      if name.lower().endswith(('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.webp'))]
    return classes, found


class ImageFolder(presets.Case):
    preset = 'imagefolder'

    def test_walk(self):
        made = make(self.root)
        with self.mounted() as tree:
            classes, found = samples(tree)
            self.assertEqual(classes, sorted(LABELS))
            self.assertEqual([path for path, _ in found],
                             [Path(folder) / name for folder, _, names in sorted(os.walk(tree)) for name in sorted(names)])
            for (label, clip), kind in made.items():
                self.assert_frames([p for p, n in found if p.parent.name == clip and classes[n] == label], kind)

    def test_size(self):
        make(self.root)
        with self.mounted('options: { size: "224:224" }\n') as tree:
            _, found = samples(tree)
            path, _ = self.random.choice(found)
            self.assertEqual(presets.read_picture(path).shape, (224, 224, 3))


if __name__ == '__main__':
    presets.main()
