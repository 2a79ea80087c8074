# SPDX-License-Identifier: Apache-2.0
"""What it runs on, and what has to be installed."""
import contextlib
import datetime
import functools
import importlib.util
import mmap
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

# What a thing that is looked for comes with: programs by their name, Python modules behind "python3:".
PACKAGES = {
    'archivemount': 'archivemount', 'ffmpeg': 'ffmpeg', 'ffprobe': 'ffmpeg', 'ffmpegfs': 'ffmpegfs', 'fusermount3': 'fuse3', 'perf': 'linux-perf',
    'python3:av': 'python3-av', 'python3:cv2': 'python3-opencv', 'python3:PIL': 'python3-pil',
    'python3:numpy': 'python3-numpy', 'tar': 'tar', 'meson': 'meson', 'ninja': 'ninja-build',
}

TOUCHED = 6 << 30  # bytes; N1 takes four of these
# Settings of kernels that give free memory back to the host of a virtual machine, and what puts that off.
REPORTING, PUT_OFF = Path('/sys/module/page_reporting/parameters'), {'min_free_ms': '120000', 'max_waiting_mib': '1048576'}
MADV_POPULATE_WRITE = 23  # of Linux 5.14; an older one refuses it, and then nothing is touched


def missing(things):
    """The Debian packages that lack, of those that the things come with."""
    def is_there(thing):
        if thing.startswith('python3:'):
            return importlib.util.find_spec(thing.partition(':')[2]) is not None
        return shutil.which(thing) is not None
    return sorted({PACKAGES[thing] for thing in things if not is_there(thing)})


def _first_line(command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except OSError:
        return 'not installed'
    return done.stdout.decode(errors='replace').partition('\n')[0].strip()


def _field(path, name):
    for line in Path(path).read_text(encoding='utf-8').splitlines():
        if line.startswith(name):
            return line.partition(':')[2].strip()
    return 'unknown'


def _filesystem(path):
    """The type of the filesystem that a path is on."""
    return _first_line(['findmnt', '-n', '-o', 'FSTYPE', '-T', str(path)])


def _packages():
    names = ['archivemount', 'ffmpeg', 'ffmpegfs', 'python3-av', 'python3-opencv', 'python3-pil', 'libturbojpeg0', 'libfuse3-3']
    done = subprocess.run(['dpkg-query', '-W', '-f', '${Package} ${Version}, ', *names], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False)
    return done.stdout.decode().rstrip(', ')


def facts(work, source):
    """What a reader of the numbers has to know: {name: text}."""
    return {
        'processor': f'{_field("/proc/cpuinfo", "model name")}, {os.cpu_count()} processors, '
                     f'{_field("/proc/cpuinfo", "cpu MHz")} MHz',
        'memory': f'{round(int(_field("/proc/meminfo", "MemTotal").split()[0]) / 2 ** 20)} GiB'
                  f'{", not given back to the host meanwhile" if _is_memory_kept() else ""}',
        'kernel': platform.release(),
        'work folder': _filesystem(work),
        'software': _packages(),
        'corpusfs': _first_line(['git', '-C', str(source), 'log', '-1', '--format=%h of %cs']),
        'date': datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d'),
    }


def drop_caches():
    """Empties the page cache and forgets names and attributes; needs root."""
    os.sync()
    Path('/proc/sys/vm/drop_caches').write_text('3\n', encoding='ascii')


@contextlib.contextmanager
def memory_kept():
    """Until the end the free memory is not given back to a host, as on a machine of one's own, where the kernel lets us
    say so (as root)."""
    earlier = {}
    try:
        for name, value in PUT_OFF.items():
            with contextlib.suppress(OSError):
                earlier[name] = (REPORTING / name).read_text(encoding='ascii')
                (REPORTING / name).write_text(value, encoding='ascii')
        yield
    finally:
        for name, value in earlier.items():
            with contextlib.suppress(OSError):
                (REPORTING / name).write_text(value, encoding='ascii')


def _is_memory_kept():
    with contextlib.suppress(OSError):
        return all((REPORTING / name).read_text(encoding='ascii').strip() == value for name, value in PUT_OFF.items())
    return False


@functools.cache
def _touch_most():
    """Once, since what is freed is not what is used next, until all of it was used."""
    _touch(_free_bytes() * 3 // 4)


def settle():
    """Leaves nothing to write to the disk, and memory at hand for the next side."""
    os.sync()
    _touch_most()
    _touch(min(TOUCHED, _free_bytes() // 2))


def _free_bytes():
    return int(_field('/proc/meminfo', 'MemFree').split()[0]) * 1024


def _touch(size):
    """Uses so much of the free memory once, and frees it. A virtual machine may give memory that is free back to its
    host (free page reporting), and whoever uses it next then waits for the host: up to 2 s a GiB."""
    processors = os.cpu_count()
    children = []
    for _ in range(processors):
        child = os.fork()
        if child == 0:
            try:
                mmap.mmap(-1, size // processors).madvise(MADV_POPULATE_WRITE)
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


def may_drop_caches():
    return os.access('/proc/sys/vm/drop_caches', os.W_OK)


def warm(files):
    """Brings files into the page cache."""
    for path in files:
        with open(path, 'rb') as file:
            while file.read(1 << 22):
                pass


def most_memory(pid):
    """The largest resident size that a process had, in bytes."""
    return int(_field(f'/proc/{pid}/status', 'VmHWM').split()[0]) * 1024


@contextlib.contextmanager
def folder(home, prefix):
    """A new folder in `home`. What is in it is emptied afterwards, but not removed: ext4 passes over each inode that was
    freed in the last minute, one by one, for each file that is made, which would cost the next round more than a
    millisecond a file."""
    made = tempfile.mkdtemp(prefix=prefix, dir=home)
    try:
        yield made
    finally:
        for directory, _, files in os.walk(made):
            for path in (os.path.join(directory, name) for name in files):
                if os.path.isfile(path) and not os.path.islink(path):
                    os.truncate(path, 0)


def disk_bytes(path):
    """What a folder takes on disk, itself included."""
    total = os.lstat(path).st_blocks
    for directory, folders, files in os.walk(path):
        total += sum(os.lstat(os.path.join(directory, name)).st_blocks for name in folders + files)
    return total * 512
