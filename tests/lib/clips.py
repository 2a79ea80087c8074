# SPDX-License-Identifier: Apache-2.0
"""Makes the corpora that the tests mount: one short video for each thing that videos do differently.

A corpus is a dictionary {path: maker}. A maker is a list of ffmpeg arguments without the output, or a
function that gets the output's path. make() runs them once and keeps the result under a name that hangs on
this file and on ffmpeg's version, so that a second run of the tests starts at once.
"""
import concurrent.futures
import fcntl
import functools
import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

SIZE = '160x120'
SECONDS = 2


def ffmpeg(*args):
    """Runs ffmpeg quietly; the error names what it was asked for."""
    command = ['ffmpeg', '-nostdin', '-v', 'error', '-y', *map(str, args)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise RuntimeError(f'{" ".join(command)}: {done.stdout.decode(errors="replace")}')


def picture(size=SIZE, rate=25, seconds=SECONDS):
    """Input arguments: a picture in which every frame differs from the one before."""
    return ['-f', 'lavfi', '-i', f'testsrc2=size={size}:rate={rate}:duration={seconds}']


def sound(seconds=SECONDS, rate=44100, layout='stereo'):
    """Input arguments: a chirp, whose every instant sounds different, so that a shift of one sample shows."""
    chirp = "0.4*sin(2*PI*(200*t+150*t*t))"
    other = "0.3*sin(2*PI*(900*t-60*t*t))"
    channels = {'mono': [chirp], 'stereo': [chirp, other], '5.1': [chirp, other] * 3}[layout]
    return ['-f', 'lavfi', '-i', f'aevalsrc={"|".join(channels)}:s={rate}:d={seconds}:c={layout}']


X264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-g', '12', '-bf', '3', '-threads', '1']
X265 = ['-c:v', 'libx265', '-preset', 'ultrafast', '-threads', '1']
VP9 = ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-g', '20', '-threads', '1']
YUV = ['-pix_fmt', 'yuv420p']
AAC = ['-c:a', 'aac']


def _from(maker, *args):
    """A maker: another maker's video in `ext`, made over with `-i THAT args`; `before` go ahead of -i."""
    return lambda out: _remake(out, maker, args)


def _remake(out, maker, args):
    before, after = [], list(args)
    if '--' in after:
        cut = after.index('--')
        before, after = after[:cut], after[cut + 1:]
    source = out.with_name(f'source{out.suffix}')
    build(source, maker)
    ffmpeg(*before, '-i', source, *after, out)


def _flipped(out):
    """A display matrix that mirrors: ffmpeg's autorotation then puts in hflip."""
    build(out, [*picture(), *X264, *YUV])
    data = bytearray(out.read_bytes())
    at = data.index(b'tkhd') + 4
    version = data[at]
    matrix = at + 4 + (32 if version else 20) + 16
    if struct.unpack_from('>i', data, matrix)[0] != 0x10000:
        raise RuntimeError('no display matrix where it was looked for')
    struct.pack_into('>i', data, matrix, -0x10000)
    out.write_bytes(data)


def _two_rates(out):
    """Two recordings at different rates in one track, as phones and screen recorders write them."""
    parts = []
    for i, rate in enumerate((10, 30)):
        part = out.with_name(f'part{i}.mkv')
        ffmpeg(*picture(rate=rate, seconds=1), *X264, *YUV, part)
        parts.append(part)
    table = out.with_name('parts.txt')
    table.write_text(''.join(f"file '{p.name}'\n" for p in parts))
    ffmpeg('-f', 'concat', '-i', table, '-c', 'copy', out)


def _piped(out):
    """Written to a pipe: no cues, no duration, as a browser's recorder gives it."""
    command = ['ffmpeg', '-nostdin', '-v', 'error', *picture(), *sound(), '-c:v', 'libvpx', '-g', '20',
               '-deadline', 'realtime', '-c:a', 'libopus', '-f', 'webm', '-live', '1', '-']
    with open(out, 'wb') as file:
        subprocess.run(command, stdout=file, check=True)


def _not_coded(out):
    """MPEG-4 in which every fourth picture is marked as not coded, as encoders do that leave pictures out. ISO/IEC
    14496-2, 6.2.5: the mark follows the type (2 bits), seconds (a run of ones, a zero), a marker, the time (5 bits at
    25 a second) and a marker."""
    ffmpeg(*picture(), '-c:v', 'libxvid', '-g', '15', out)
    data = bytearray(out.read_bytes())
    at = data.find(b'movi')
    for number in range(data.count(b'\0\0\1\xb6', at)):
        at = data.find(b'\0\0\1\xb6', at) + 4
        head = f'{int.from_bytes(data[at:at + 4], "big"):032b}'
        mark = head.index('0', 2) + 1 + 1 + 5 + 1
        if number % 4 == 3:
            data[at + mark // 8] &= ~(0x80 >> mark % 8)
    out.write_bytes(data)


SRT = ('1\n00:00:00,200 --> 00:00:00,900\nGood morning.\n\n'
       '2\n00:00:01,000 --> 00:00:01,500\n<i>Second</i> cue,\nof two lines: naïve café\n\n'
       '3\n00:00:01,700 --> 00:00:09,000\nPast the end\n\n')


def _with_text(codec, *args):
    def make(out):
        text = out.with_name('text.srt')
        text.write_text(SRT, encoding='utf-8')
        ffmpeg(*picture(), *sound(), '-i', text, '-map', '0', '-map', '1', '-map', '2', *args, '-c:s', codec, out)
    return make


CONTAINERS = {
    'h264_bframes.mp4': [*picture(), *sound(), *X264, *YUV, *AAC],
    'h264_opengop.mkv': [*picture(), *sound(), *X264, *YUV, '-x264-params', 'open-gop=1', '-c:a', 'libvorbis'],
    'h264_opengop.mp4': [*picture(), *X264, *YUV, '-x264-params', 'open-gop=1'],
    'h264_pyramid.mov': [*picture(), *sound(), *X264, *YUV, '-bf', '8', '-g', '50', '-x264-params',
                         'b-pyramid=normal:b-adapt=2', '-c:a', 'pcm_s16le'],
    'h264_opengop.ts': [*picture(), *sound(), *X264, *YUV, '-x264-params', 'open-gop=1', '-c:a', 'mp2'],
    'h264.flv': [*picture(), *sound(), *X264, *YUV, *AAC],
    'h264.avi': [*picture(), *sound(), *X264, *YUV, '-bf', '0', '-c:a', 'libmp3lame'],
    'h264_fragmented.mp4': [*picture(), *sound(), *X264, *YUV, *AAC, '-movflags', 'frag_keyframe+empty_moov'],
    'flv1.flv': [*picture(), *sound(), '-c:v', 'flv', '-c:a', 'libmp3lame'],
    'hevc.mp4': [*picture(), *sound(), *X265, *YUV, '-x265-params', 'log-level=none:keyint=12:open-gop=0', *AAC],
    'hevc_opengop.mkv': [*picture(), *X265, *YUV, '-x265-params',
                         'log-level=none:keyint=12:min-keyint=12:open-gop=1:bframes=4'],
    'hevc_opengop.ts': [*picture(), *sound(), *X265, *YUV, '-x265-params',
                        'log-level=none:keyint=12:min-keyint=12:open-gop=1:bframes=4', '-c:a', 'aac'],
    'mpeg4_bframes.avi': [*picture(), *sound(), '-c:v', 'mpeg4', '-bf', '2', '-g', '12', '-c:a', 'libmp3lame'],
    'mpeg4_bframes.mp4': [*picture(), *sound(), '-c:v', 'mpeg4', '-bf', '2', '-g', '12', *AAC],
    'xvid_packed.avi': [*picture(), *sound(), '-c:v', 'libxvid', '-bf', '2', '-g', '15', '-c:a', 'libmp3lame'],
    'xvid_unpacked.avi': _from([*picture(), '-c:v', 'libxvid', '-bf', '2', '-g', '15'],
                               '-c', 'copy', '-bsf:v', 'mpeg4_unpack_bframes'),
    'xvid_not_coded.avi': _not_coded,
    'mpeg1.mpg': [*picture(), *sound(), '-c:v', 'mpeg1video', '-bf', '2', '-g', '12', '-c:a', 'mp2'],
    'mpeg2.mpg': [*picture(), *sound(), '-c:v', 'mpeg2video', '-bf', '2', '-g', '12', '-f', 'vob', '-c:a', 'mp2'],
    'mpeg2.ts': [*picture(), *sound(), '-c:v', 'mpeg2video', '-bf', '2', '-g', '12', '-c:a', 'mp2'],
    'vp8.webm': [*picture(), *sound(), '-c:v', 'libvpx', '-g', '20', '-deadline', 'realtime', '-c:a', 'libvorbis'],
    'vp8_altref.webm': [*picture(), '-c:v', 'libvpx', '-g', '20', '-auto-alt-ref', '1', '-lag-in-frames', '10'],
    'vp8_piped.webm': _piped,
    'vp9.webm': [*picture(), *sound(), *VP9, '-c:a', 'libopus'],
    'vp9_altref.webm': [*picture(), '-c:v', 'libvpx-vp9', '-cpu-used', '8', '-g', '20', '-auto-alt-ref', '1',
                        '-lag-in-frames', '10', '-threads', '1'],
    'mjpeg.avi': [*picture(), *sound(), '-c:v', 'mjpeg', '-q:v', '2', '-c:a', 'pcm_s16le'],
    'prores.mov': [*picture(seconds=1), '-c:v', 'prores'],
    'ffv1.mkv': [*picture(seconds=1), *sound(1), '-c:v', 'ffv1', *YUV, '-c:a', 'flac'],
    'fractal.mp4': ['-f', 'lavfi', '-i', 'mandelbrot=size=320x180:rate=25', *sound(), '-t', 2, *X264, *YUV, *AAC],
}

TIMING = {
    'vfr_dropped.mp4': [*picture(), '-vf', "select='lt(n,20)+not(mod(n,3))'", '-fps_mode', 'vfr', *X264, *YUV],
    'vfr_dropped.webm': [*picture(), '-vf', "select='gt(n,30)+not(mod(n,5))'", '-fps_mode', 'vfr', *VP9],
    'vfr_jitter.mkv': [*picture(), '-vf', "settb=1/1000,setpts='PTS+15*sin(N)'", '-fps_mode', 'passthrough',
                       '-enc_time_base', '1:1000', *X264, *YUV],
    'vfr_two_rates.mkv': _two_rates,
    'vfr_two_rates.mp4': _two_rates,
    'gap.mp4': [*picture(), '-vf', "select='lt(n,10)+gt(n,40)'", '-fps_mode', 'vfr', *X264, *YUV],
    'ntsc.mp4': [*picture(rate='30000/1001'), *sound(), *X264, *YUV, *AAC],
    'film.mkv': [*picture(rate='24000/1001'), *sound(), *X264, *YUV, *AAC],
    'fps60.mp4': [*picture(rate=60, seconds=1), *X264, *YUV],
    'fps10.avi': [*picture(rate=10), '-c:v', 'mpeg4', '-bf', '2'],
    'fps1.mp4': [*picture(rate=1, seconds=5), *X264, *YUV],
    'one_frame.mp4': [*picture(rate=25, seconds=0.04), *X264, *YUV],
    'one_frame.mkv': [*picture(rate=25, seconds=0.04), *X264, *YUV],
    'two_frames.avi': [*picture(rate=25, seconds=0.08), '-c:v', 'mpeg4'],
    'start_5s.ts': [*picture(), *sound(), *X264, *YUV, '-c:a', 'mp2', '-output_ts_offset', '5'],
    'start_5s.mkv': [*picture(), *sound(), *X264, *YUV, *AAC, '-output_ts_offset', '5'],
    'start_1s.mp4': [*picture(), *sound(), *X264, *YUV, *AAC, '-output_ts_offset', '1.5'],
    'copyts.ts': _from([*picture(seconds=3), *sound(3), *X264, *YUV, '-c:a', 'mp2'],
                       '-copyts', '-ss', '1.1', '--', '-c', 'copy'),
    'editlist.mp4': _from([*picture(seconds=3), *sound(3), *X264, *YUV, *AAC], '-ss', '1.3', '--', '-c', 'copy'),
    'editlist_long_gop.mov': _from([*picture(seconds=3), *sound(3), *X264, *YUV, '-g', '250', *AAC],
                                   '-ss', '1.3', '--', '-c', 'copy'),
    'editlist_cut_end.mp4': _from([*picture(seconds=3), *sound(3), *X264, *YUV, *AAC],
                                  '-ss', '0.5', '-t', '1.21', '--', '-c', 'copy'),
    'late_audio.mkv': [*picture(), '-itsoffset', '0.7', *sound(), '-map', '0', '-map', '1', *X264, *YUV, *AAC],
    'late_video.mkv': ['-itsoffset', '0.7', *picture(), *sound(), *X264, *YUV, *AAC],
    'late_video.mp4': ['-itsoffset', '0.7', *picture(), *sound(), *X264, *YUV, *AAC],
    'late_video.ts': ['-itsoffset', '0.7', *picture(), *sound(), *X264, *YUV, '-c:a', 'mp2'],
    'long_audio.mp4': [*picture(seconds=1), *sound(3), *X264, *YUV, *AAC],
    'short_audio.mp4': [*picture(), *sound(0.5), *X264, *YUV, *AAC],
}

PICTURE = {
    'rotate90.mp4': _from([*picture(), *X264, *YUV], '-c', 'copy', '-metadata:s:v', 'rotate=90'),
    'rotate180.mp4': _from([*picture(seconds=1), *X264, *YUV], '-c', 'copy', '-metadata:s:v', 'rotate=180'),
    'rotate270.mov': _from([*picture(seconds=1), *X264, *YUV], '-c', 'copy', '-metadata:s:v', 'rotate=270'),
    'mirrored.mp4': _flipped,
    'odd.webm': [*picture(), '-vf', 'scale=161:121', *VP9, *YUV],
    'odd_444.mp4': [*picture(seconds=1), '-vf', 'scale=161:121', *X264, '-pix_fmt', 'yuv444p'],
    'large_odd.mkv': [*picture(seconds=1), '-vf', 'scale=321:241', *VP9, *YUV],
    'narrow.mp4': [*picture(size='40x240', seconds=1), *X264, *YUV],
    'tenbit_h264.mp4': [*picture(seconds=1), *X264, '-pix_fmt', 'yuv420p10le'],
    'tenbit_hevc.mkv': [*picture(seconds=1), *X265, '-pix_fmt', 'yuv420p10le', '-x265-params',
                        'log-level=none:keyint=12'],
    'interlaced_h264.mkv': [*picture(), *X264, *YUV, '-flags', '+ildct+ilme', '-x264-params', 'tff=1'],
    'interlaced_mpeg2.mpg': [*picture(), '-c:v', 'mpeg2video', '-bf', '2', '-flags', '+ildct+ilme', '-top', '1',
                             '-f', 'vob'],
    'yuv444.mp4': [*picture(seconds=1), *X264, '-pix_fmt', 'yuv444p'],
    'yuv422.mkv': [*picture(seconds=1), *X264, '-pix_fmt', 'yuv422p'],
    'gray.mp4': [*picture(seconds=1), *X264, '-pix_fmt', 'gray'],
    'fullrange.mp4': [*picture(seconds=1), *X264, '-vf', 'scale=out_range=pc', '-pix_fmt', 'yuvj420p'],
    'bt709.mp4': [*picture(size='320x180', seconds=1), *X264, '-vf', 'scale=out_color_matrix=bt709', *YUV,
                  '-colorspace', 'bt709', '-color_primaries', 'bt709', '-color_trc', 'bt709'],
    'anamorphic.mp4': [*picture(seconds=1), *X264, '-vf', 'setsar=4/3', *YUV],
    'rgb.mkv': [*picture(seconds=1), '-c:v', 'ffv1', '-pix_fmt', 'bgr0'],
}

STREAMS = {
    'two_videos.mp4': [*picture(size='96x72', seconds=1), *picture(size='192x144', rate=20), *sound(),
                       '-map', '0', '-map', '1', '-map', '2', *X264, *YUV, *AAC, '-disposition:v', 'default'],
    'two_videos.mkv': [*picture(size='192x144', seconds=1), *picture(size='96x72', rate=20),
                       '-map', '0', '-map', '1', *X264, *YUV],
    'cover.mp4': [*picture(), *sound(), *picture(size='400x300', rate=1, seconds=1), '-map', '0', '-map', '1',
                  '-map', '2', '-c:v:0', 'libx264', '-c:v:1', 'png', '-frames:v:1', '1',
                  '-disposition:v:1', 'attached_pic', *AAC, '-pix_fmt:v:0', 'yuv420p'],
    'no_audio.mp4': [*picture(seconds=1), *X264, *YUV],
    'mono.mp4': [*picture(), *sound(layout='mono', rate=22050), *X264, *YUV, *AAC],
    'surround.mkv': [*picture(), *sound(layout='5.1', rate=48000), *X264, *YUV, '-c:a', 'ac3'],
    'two_audios.mkv': [*picture(), *sound(layout='mono'), *sound(rate=48000), '-map', '0', '-map', '1', '-map', '2',
                       *X264, *YUV, *AAC],
    "It's a, (real) name! & [more], naïve 名前.mp4": [*picture(seconds=1), *sound(1), *X264, *YUV, *AAC],
}

TEXT = {
    'mov_text.mp4': _with_text('mov_text', *X264, *YUV, *AAC),
    'subrip.mkv': _with_text('subrip', *X264, *YUV, *AAC),
    'webvtt.webm': _with_text('webvtt', *VP9, '-c:a', 'libopus'),
    'ass.mkv': _with_text('ass', *X264, *YUV, *AAC),
}

EVERYTHING = {f'{name}/{clip}': maker
              for name, group in (('containers', CONTAINERS), ('timing', TIMING), ('picture', PICTURE),
                                  ('streams', STREAMS), ('text', TEXT))
              for clip, maker in group.items()}

# Few clips for the tests whose subject is not the video.
SMALL = {f'{group}/{clip}': maker for group, clip, maker in (
    ('Joy', 'first.mp4', CONTAINERS['h264_bframes.mp4']),
    ('Joy', 'second.avi', CONTAINERS['xvid_packed.avi']),
    ('Fear', 'third.webm', CONTAINERS['vp9.webm']),
    ('Fear', 'fourth.mkv', TEXT['subrip.mkv']),
    ('Trust', 'silent.mp4', STREAMS['no_audio.mp4']),
)}


def _long_audio(out):
    """An hour of sound beside a picture that hardly changes; one minute is encoded and repeated."""
    minute = out.with_name('minute.mkv')
    ffmpeg(*picture(size='64x48', rate=5, seconds=60), *sound(60, rate=22050, layout='mono'),
           '-c:v', 'mpeg2video', '-g', '50', '-c:a', 'mp2', '-shortest', '-f', 'matroska', minute)
    ffmpeg('-stream_loop', 59, '-i', minute, '-c', 'copy', out)


LONG = {'long/hour.mkv': _long_audio}


def build(out, maker):
    """Makes one file, in a directory of its own: it appears under its name only when it is whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.making-', dir=out.parent) as work:
        part = Path(work) / out.name
        if callable(maker):
            maker(part)
        else:
            ffmpeg(*maker, part)
        part.rename(out)


@functools.cache
def kept_dir():
    """Where made corpora and ffmpeg's answers are kept between runs."""
    version = subprocess.run(['ffmpeg', '-version'], stdout=subprocess.PIPE, check=True).stdout.split(b'\n')[0]
    key = hashlib.sha256(version + Path(__file__).read_bytes()).hexdigest()[:16]
    base = Path(os.environ.get('CORPUSFS_TEST_CACHE', Path(os.environ.get('TMPDIR', '/tmp')) / 'corpusfs-test-cache'))
    path = base / key
    path.mkdir(parents=True, exist_ok=True)
    return path


def make(corpus, name):
    """The directory of a made corpus: shared by all tests, so read it only."""
    root = kept_dir() / name
    with open(kept_dir() / f'{name}.lock', 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if root.is_dir():
            return root
        part = kept_dir() / f'{name}.part'
        shutil.rmtree(part, ignore_errors=True)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = [pool.submit(build, part / path, maker) for path, maker in corpus.items()]
        for job in jobs:
            job.result()
        part.rename(root)
    return root
