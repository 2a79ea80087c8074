# SPDX-License-Identifier: Apache-2.0
"""A corpus of four short clips, for tests of the cache in which many jobs run: none of them takes long."""
from . import clips

_PICTURE = {'size': '96x72', 'seconds': 1}
CLIPS = {f'{group}/{clip}': maker for group, clip, maker in (
    ('a', 'one.mp4', [*clips.picture(**_PICTURE), *clips.sound(1), *clips.X264, *clips.YUV, *clips.AAC]),
    ('a', 'two.avi', [*clips.picture(**_PICTURE), *clips.sound(1), '-c:v', 'mjpeg', '-c:a', 'pcm_s16le']),
    ('b', 'three.webm', [*clips.picture(**_PICTURE), *clips.sound(1), '-c:v', 'libvpx', '-g', 10, '-c:a', 'libopus']),
    ('b', 'four.mkv', [*clips.picture(**_PICTURE), *clips.sound(1), '-c:v', 'mpeg2video', '-g', 12, '-c:a', 'mp2']),
)}
VIEWS = {
    'jpg/{class}/{clip}/{frame:06d}.jpg': 'frames: {}',
    'ppm/{class}/{clip}/{frame:06d}.ppm': 'frames: {}',
    'mp3/{class}/{clip}.mp3': 'audio: {}',
    'wave/{class}/{clip}.npy': 'npy: { kind: wave, rate: 8000 }',
    'mel/{class}/{clip}.npy': 'npy: { kind: logmel, bands: 40 }',
}
ARRAYS = VIEWS | {'rgb/{class}/{clip}.npy': 'npy: { kind: rgb, size: "32:24" }'}
# Of the cache: holds about half of the tree, so that segments are made and evicted all the time.
BUDGET = 1536 << 10


def prepare(case, views=None):
    """The settings of a mount with two workers and this budget, and {path: bytes} of the tree, read beforehand."""
    root, views = clips.make(CLIPS, 'short'), views or VIEWS
    settings = case.config(root, views, name='truth.yaml', cache=case.home / 'truth')
    with case.mount(settings, cache=case.home / 'truth') as mount:
        truth = {p: (mount.path / p).read_bytes() for p in mount.files()}
    case.assertGreater(sum(map(len, truth.values())), 1.3 * BUDGET)
    return case.config(root, views, cache_size=BUDGET, more='workers: 2\n'), truth
