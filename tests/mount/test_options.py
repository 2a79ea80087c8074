#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What pages of presets say of `size` and `n_frames` holds for each of them."""
import re
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
from PIL import Image

from lib import harness, presets

PAGES = TESTS.parent / 'docs/presets'
SIZE, PICTURES = (50, 38), ('.jpg', '.png')


class Options(harness.Case):

    def look(self, tree, folder, counted):
        """A folder of frames: one of them has the size, and n_frames, where there is one, tells how many they are."""
        names = [path.name for path in (tree / folder).iterdir() if path.suffix in PICTURES]
        with Image.open(tree / folder / self.random.choice(names)) as picture:
            self.assertEqual(picture.size, SIZE, folder)
        count = tree / folder / 'n_frames'
        self.assertEqual(count.read_text(encoding='ascii') if counted else count.exists(), str(len(names)) if counted else False)

    def test_pages(self):
        seen = set()
        for page in sorted(PAGES.glob('*.md')):
            sized, counted = (re.search(rf'(?m)^\| `{key}` ', page.read_text(encoding='utf-8')) for key in ('size', 'n_frames'))
            if not sized:
                self.assertFalse(counted)
                continue
            name = page.stem.replace('-', '_')
            with self.subTest(page.stem):
                root = self.home / page.stem
                root.mkdir()
                presets.generator(TESTS / 'presets' / f'test_{name}.py')(root, *{'afew_va': [['460']]}.get(name, []))
                config = self.home / f'{page.stem}.yaml'
                config.write_text(f'preset: {page.stem}\nroot: {root}\noptions: {{ size: "{SIZE[0]}:{SIZE[1]}" }}\n'
                                  + ('n_frames: true\n' if counted else ''), encoding='utf-8')
                with harness.Mount(config, self.home, self.home / 'corpusfs', allowed=['left out', 'no row', 'no clip'],
                                   XDG_CACHE_HOME=str(self.home)) as mount:
                    folders = sorted({Path(f).parent for f in mount.files() if Path(f).suffix in PICTURES and (
                        name != 'afew_va' or '460/' in f)})  # its other frames are files
                    self.assertTrue(folders)
                    for folder in self.shuffled(folders)[:2]:
                        self.look(mount.path, folder, counted)
                seen.add(page.stem)
        self.assertGreaterEqual(len(seen), 19)


if __name__ == '__main__':
    presets.main()
