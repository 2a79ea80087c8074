#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The preset webdataset: what a reader of the shards gets, sample by sample, is in the tree under its shard and key."""
import io
import os
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import compare, presets

KINDS = ('short.mp4', 'other.mp4', 'short.webm', 'tiny.mp4', 'silent.mp4', 'short.avi')
VIDEOS = ('mp4', 'webm', 'avi')
# Keys as writers have them: a dot ends them, a folder may have one.
KEYS = ('000000', 'v1.0/part/000003', f'{presets.ODD_NAMES[1]}/0004', *(n for n in presets.ODD_NAMES if '.' not in n))
# What stands before the numbers in the names of shards.
SHARDS = 'a (b), [c] & 情! '


def make(root):
    """{(shard, key): kind}: shards 0 to 2 plain, 3 packed; all keys in each; not each sample has a text."""
    made = {}
    for number in range(4):
        name = f'{SHARDS}videos-{number:06d}.tar' + ('.gz' if number == 3 else '')
        (root / 'train').mkdir(exist_ok=True)
        with tarfile.open(root / 'train' / name, 'w:gz' if number == 3 else 'w') as tar:
            for i, key in enumerate(KEYS if number != 2 else KEYS[:1]):
                kind = KINDS[(i + number) % len(KINDS)]
                members = {Path(kind).suffix: presets.video(kind).read_bytes(), '.cls': str(i).encode() + b'\n',
                           '.json': b'{"caption": "in json"}'}
                if i % 2 == 0:
                    members['.txt'] = f'Text {i}, “of” {number}\n'.encode()
                for end, data in sorted(members.items(), reverse=bool(i % 2)):
                    info = tarfile.TarInfo(key + end)
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
                made[f'train/{SHARDS}videos-{number:06d}', key] = kind
    presets.write(root / 'train/sizes.json', '{}')
    return made


def samples(path):
    """As readers of shards group them: neighbours with one key."""
    sample = {}
    with tarfile.open(path) as tar:
        for member in tar:
            folder, _, name = member.name.rpartition('/')
            stem, _, field = name.partition('.')
            key = f'{folder}/{stem}' if folder else stem
            if sample and sample['__key__'] != key:
                yield sample
                sample = {}
            sample['__key__'] = key
            sample[field.lower()] = tar.extractfile(member).read()
    if sample:
        yield sample


class Webdataset(presets.Case):
    preset = 'webdataset'

    def walk(self, tree, shards, made):
        seen, whole = set(), self.random.sample(sorted(made), 5)
        for shard in shards:
            name = str(shard.relative_to(self.root)).partition('.')[0]
            for sample in samples(shard):
                key = sample['__key__']
                seen.add((name, key))
                kind = made[name, key]
                field = next(f for f in VIDEOS if f in sample)
                self.assertEqual((tree / 'samples' / name / f'{key}.{field}').read_bytes(), sample[field])
                self.assertEqual((tree / 'samples' / name / f'{key}.cls').read_bytes(), sample['cls'])
                flat = key.replace('/', '_')
                home = tree / 'frames' / name / flat
                if (name, key) in whole:
                    self.assert_frames([home / n for n in sorted(os.listdir(home))], kind)
                self.assertEqual((tree / 'txt' / name / f'{flat}.txt').read_bytes(), sample.get('txt', b'').rstrip())
                sound = tree / 'mp3' / name / f'{flat}.mp3'
                self.assertEqual(sound.exists(), 'silent' not in kind)
                if (name, key) in whole and sound.exists():
                    compare.check_sound_of(self, presets.video(kind), sound, 'mp3')
        return seen

    def test_walk(self):
        made = make(self.root)
        with self.mounted() as tree:
            self.assert_names(tree, ['frames', 'mp3', 'samples', 'txt'])
            self.assertEqual(self.walk(tree, sorted(self.root.glob('train/*.tar*')), made), set(made))

    def test_braces(self):
        """Some of the shards, as their readers are told which; their classes in paths of one's own."""
        make(self.root)
        more = ('options: { shards: "train/a (b), [[]c] & 情! videos-{000001..000002}.tar" }\n'
                'views:\n  - path: "{cls}/{shard}/{key}/{frame:06d}.jpg"\n    frames: {}\n')
        with self.mounted(more) as tree:
            self.assert_names(tree, [str(i) for i in range(len(KEYS))])
            self.assert_names(tree / '0/train', [f'{SHARDS}videos-000001', f'{SHARDS}videos-000002'])

    def test_dots(self):
        """A key ends at its first dot, whatever the writer meant."""
        text = 'é'.encode()
        with tarfile.open(self.root / 'a-000000.tar', 'w') as tar:
            for name, data in (('naïve.café.v2.mp4', presets.video('tiny.mp4').read_bytes()), ('naïve.txt', text)):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        self.assertEqual([sorted(s) for s in samples(self.root / 'a-000000.tar')], [['__key__', 'café.v2.mp4', 'txt']])
        with self.mounted() as tree:
            home = tree / 'frames/a-000000/naïve'
            self.assert_frames([home / n for n in sorted(os.listdir(home))], 'tiny.mp4')
            self.assertEqual((tree / 'txt/a-000000/naïve.txt').read_bytes(), text)
            self.assert_names(tree / 'samples/a-000000', ['naïve.café.v2.mp4', 'naïve.txt'])


if __name__ == '__main__':
    presets.main()
