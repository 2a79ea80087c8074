# SPDX-License-Identifier: Apache-2.0
"""Mounts corpusfs for a test, watches over it, and unmounts it whatever happens.

Every mount that ends well ends with the same questions: did the daemon exit with 0, did it leave a process
or a temporary file, did it log an error that the test did not expect, did a sanitizer speak? A test need not
ask them. A test that hangs is ended by a watchdog, which first prints where the daemon stands.
"""
import contextlib
import ctypes
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import unittest
from pathlib import Path

import faulthandler

BUILD = Path(os.environ.get('CORPUSFS_BUILD_DIR', Path(__file__).resolve().parents[2] / 'build')).resolve()
CORPUSFS = BUILD / 'corpusfs'
SEED = int(os.environ.get('CORPUSFS_SEED') or random.SystemRandom().randrange(1 << 32))
CI = bool(os.environ.get('CI'))
# How long to wait for something that must happen. Not a measure of speed: reaching it is a failure. For slow
# machines (or valgrind) CORPUSFS_TEST_PATIENCE multiplies it and the watchdog's limits.
SLOWNESS = int(os.environ.get('CORPUSFS_TEST_PATIENCE', '1'))
PATIENCE = 60 * SLOWNESS
SANITIZERS = re.compile(r'AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|MemorySanitizer')

live_mounts = []  # for the watchdog


def skip_reason():
    """Why nothing can be mounted here, or ''."""
    if not os.path.exists('/dev/fuse'):
        return '/dev/fuse is missing: in a container, start it with --device /dev/fuse --cap-add SYS_ADMIN'
    return ''


def adopt_orphans():
    """Makes processes that the daemon leaves behind our children, so that none is missed."""
    pr_set_child_subreaper = 36
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def processes():
    """{pid: (parent, state, command)} of all processes."""
    found = {}
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                text = Path(f'/proc/{entry}/stat').read_text(encoding='utf-8', errors='replace')
                head, _, tail = text.rpartition(')')
                state, parent = tail.split()[:2]
                found[int(entry)] = (int(parent), state, head.partition('(')[2])
    return found


def descendants(pid):
    """The pids of the live processes below `pid`; those that ended and were not waited for count too."""
    everyone, found, last = processes(), [], [pid]
    while last:
        last = [p for p, (parent, _, _) in everyone.items() if parent in last]
        found += last
    return found


def is_mounted(path):
    """Whether something is mounted at exactly this path; does not touch the path."""
    with open('/proc/self/mountinfo', encoding='utf-8') as table:
        points = [line.split()[4] for line in table]
    return re.sub(r'[ \t\n\\]', lambda m: f'\\{ord(m[0]):03o}', str(path)) in points


def unmount_dead(path):
    """Takes a mount away whose daemon is dead, also while somebody uses it."""
    for command in (['fusermount3', '-u', '-z', str(path)], ['umount', '-l', str(path)]):
        if is_mounted(path):
            subprocess.run(command, check=False)


def wait_until(what, condition, patience=PATIENCE):
    """Waits for condition() to become true, and returns what it gave."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f'waited {patience} s for {what}')
        time.sleep(0.02)


def where_it_stands(pid):
    """The kernel's and scheduler's view of a process and of its children: for a person who debugs a hang."""
    lines = []
    for process in [pid, *descendants(pid)]:
        for task in sorted(Path(f'/proc/{process}/task').glob('*')):
            with contextlib.suppress(OSError):
                name = (task / 'comm').read_text(encoding='utf-8').strip()
                lines.append(f'{process}/{task.name} {name}: {(task / "wchan").read_text(encoding="ascii")} '
                             f'{(task / "syscall").read_text(encoding="ascii").strip()}')
                with contextlib.suppress(OSError):
                    lines.append((task / 'stack').read_text(encoding='ascii'))
    return '\n'.join(lines)


def environment(**more):
    """The environment for the programs under test: sanitizers end the process at the first finding."""
    env = dict(os.environ)
    env.setdefault('ASAN_OPTIONS', 'detect_stack_use_after_return=1')
    env.setdefault('UBSAN_OPTIONS', 'print_stacktrace=1:halt_on_error=1')
    env.update(more)
    return env


def corpusfs(*args, check=None, **env):
    """Runs a subcommand that ends by itself; standard output and error come back together as text."""
    done = subprocess.run([CORPUSFS, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False, env=environment(**env))
    done.stdout = done.stdout.decode('utf-8', errors='backslashreplace')
    if SANITIZERS.search(done.stdout):
        raise AssertionError(f'corpusfs {args}: {done.stdout}')
    if check is not None and done.returncode != check:
        raise AssertionError(f'corpusfs {args}: exit code {done.returncode} instead of {check}: {done.stdout}')
    return done


def read_and_drop(path):
    """A file's bytes, of which the kernel keeps none."""
    with open(path, 'rb') as file:
        data = file.read()
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return data


def config_text(root, views, cache, cache_size='1GiB', source=None, more=''):
    """A configuration. `views` are lines 'PATH: KIND SETTINGS', e.g. 'a/{clip}.mp3: audio: {}'."""
    source = source or ('- videos: "**/*.{mp4,mov,mkv,webm,avi,flv,mpg,ts}"\n'
                        "    match: '^(?<class>[^/]+)/(?<clip>[^/]+)$'")
    lines = []
    for path, view in views.items():
        lines += [f'  - path: "{path}"', f'    {view}']
    return (f'corpus: test\nroot: "{root}"\nsources:\n  {source}\nviews:\n' + '\n'.join(lines) +
            f'\ncache: {{ dir: "{cache}", size: {cache_size} }}\n{more}')


class Mount:
    """A mounted corpus. `path` is its mount point; `allowed` are expressions for errors that may be logged; `crashing`: a
    library may crash workers."""

    def __init__(self, config, home, cache, wrapper=(), options=(), allowed=(), program=CORPUSFS, crashing=False, **env):
        self.home, self.cache, self.config = Path(home), Path(cache), config
        self.path = Path(tempfile.mkdtemp(prefix='mnt-', dir=home))
        self.log_path = Path(f'{self.path}.log')
        self.stats_path = Path(f'{self.path}.stats')
        self.allowed = list(allowed)
        self.sanitizers = re.compile('runtime error:') if crashing else SANITIZERS
        self.family = set()
        self.closed = False
        with open(self.log_path, 'wb') as log:
            self.daemon = subprocess.Popen(
                [*wrapper, program, 'mount', '-f', *options, str(config), str(self.path)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment(CORPUSFS_STATS=str(self.stats_path), **env))
        live_mounts.append(self)
        try:
            wait_until('the mount', lambda: is_mounted(self.path) or self.daemon.poll() is not None)
            if self.daemon.poll() is not None:
                raise AssertionError(f'the daemon ended with {self.daemon.returncode}:\n{self.log()}')
            os.listdir(self.path)
        except BaseException:
            self.kill()
            raise

    def log(self):
        return self.log_path.read_text(encoding='utf-8', errors='backslashreplace')

    def errors(self):
        """Logged errors and warnings, allowed or not."""
        return re.findall(r'^corpusfs: (?:error|warning): .*$', self.log(), re.MULTILINE)

    def stats(self):
        """The daemon's counters now."""
        if self.daemon.poll() is None:
            self.stats_path.unlink(missing_ok=True)
            self.daemon.send_signal(signal.SIGUSR1)
        return wait_until('counters', self._read_stats)

    def _read_stats(self):
        try:
            return json.loads(self.stats_path.read_text(encoding='ascii'))
        except (OSError, ValueError):
            return None

    def workers(self):
        """Pids of the decoder processes."""
        everyone = processes()
        return [p for p in descendants(self.daemon.pid)
                if everyone.get(p, (0, 'Z', ''))[2].startswith('corpusfs-deco') and everyone[p][1] != 'Z']

    @contextlib.contextmanager
    def held(self):
        """The worker, which must be the only one, stands still inside, and goes on at the end."""
        worker, = wait_until('the worker', self.workers)
        os.kill(worker, signal.SIGSTOP)
        try:
            wait_until('the worker to stop', lambda: processes()[worker][1] == 'T')
            yield
        finally:
            os.kill(worker, signal.SIGCONT)

    def files(self, below=''):
        """All files, as paths relative to the mount point, sorted."""
        found = []
        for directory, _, names in os.walk(self.path / below, onerror=_raise):
            found += [os.path.relpath(os.path.join(directory, n), self.path) for n in names]
        return sorted(found)

    def kill(self):
        """The last resort: after this no read can wait any more."""
        self.closed = True
        if self in live_mounts:
            live_mounts.remove(self)
        self.family |= set(descendants(self.daemon.pid))
        with contextlib.suppress(ProcessLookupError):
            self.daemon.kill()
        for pid in self.family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.daemon.wait()
        for pid in self.family:  # they are our children now
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        unmount_dead(self.path)

    def unmount(self):
        """Asks for the unmount as a user would; retried while something that ended a moment ago still holds it."""
        def once():
            return subprocess.run(['fusermount3', '-u', str(self.path)], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False).returncode == 0
        wait_until('fusermount3 -u', once, patience=10)

    def close(self, unmount=None):
        """Unmounts and asks the questions."""
        if self.closed:
            return
        try:
            self.family |= set(descendants(self.daemon.pid))
            (unmount or self.unmount)()
            try:
                self.daemon.wait(PATIENCE)
            except subprocess.TimeoutExpired as error:
                raise AssertionError('the daemon lives on after the unmount:\n'
                                     f'{where_it_stands(self.daemon.pid)}') from error
            if self in live_mounts:
                live_mounts.remove(self)
            self.closed = True
            self.check_end()
        except BaseException:
            self.kill()
            raise

    def check_end(self):
        """What must be true of a daemon that has ended. A worker may take a moment to see that it is alone."""
        faults = []
        if self.daemon.returncode:
            faults.append(f'the daemon ended with {self.daemon.returncode}')
        try:
            wait_until('workers to end', lambda: not self.leftovers(), patience=10)
        except TimeoutError:
            faults.append(f'processes left behind: {self.leftovers()}')
        shared = any(other.cache == self.cache for other in live_mounts)  # then what is there may be the other's
        left = [] if shared else [str(p) for p in (self.cache / 'tmp').glob('*')]
        if left:
            faults.append(f'temporary files left behind: {left}')
        faults += [f'logged: {line}' for line in self.errors()
                   if not any(re.search(pattern, line) for pattern in self.allowed)]
        if self.sanitizers.search(self.log()):
            faults.append('a sanitizer found something')
        if faults:
            raise AssertionError('\n'.join(faults) + f'\nthe log:\n{self.log()}')

    def leftovers(self):
        """Processes of this mount that still live."""
        everyone = processes()
        return {pid: everyone[pid] for pid in self.family
                if pid in everyone and everyone[pid][2].startswith('corpusfs') and everyone[pid][1] != 'Z'}

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.close()
            return
        sys.stderr.write(f'the log of the mount:\n{self.log()[-20000:]}\n')
        try:
            self.close()
        except Exception:  # the first error is the one to report
            traceback.print_exc()


def _raise(error):
    raise error


class Case(unittest.TestCase):
    """A test with a directory of its own and mounts that end with it."""

    def setUp(self):
        self.random = random.Random(f'{SEED} {self.id()}')
        self.home = Path(tempfile.mkdtemp(prefix='corpusfs-test-'))
        self.addCleanup(shutil.rmtree, self.home)
        self.cache = self.home / 'cache'

    def config(self, root, views, name='corpus.yaml', cache=None, **settings):
        path = self.home / name
        path.write_text(config_text(root, views, cache or self.cache, **settings), encoding='utf-8')
        return path

    def mount(self, config, cache=None, **settings):
        """A context manager; without one, a test that fails does not leave the mount behind either."""
        mount = Mount(config, self.home, cache or self.cache, **settings)
        self.addCleanup(lambda: mount.closed or mount.kill())
        return mount

    def shuffled(self, things):
        things = list(things)
        self.random.shuffle(things)
        return things


def in_threads(count, work):
    """Runs work(0) ... work(count - 1) at once; raises the first error."""
    errors = []

    def guarded(i):
        try:
            work(i)
        except BaseException as error:  # handed to the caller's thread
            errors.append(error)
    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class Watchdog:
    """Ends a test that hangs: prints where everybody stands, then kills its mounts, so that its reads fail."""

    def __init__(self, name, seconds):
        self.timer = threading.Timer(seconds, self.bite, (name, seconds))
        self.timer.daemon = True
        self.timer.start()
        self.bitten = False

    def bite(self, name, seconds):
        self.bitten = True
        sys.stderr.write(f'{name} still runs after {seconds} s\n')
        faulthandler.dump_traceback()
        for mount in list(live_mounts):
            sys.stderr.write(f'{where_it_stands(mount.daemon.pid)}\nits log:\n{mount.log()[-20000:]}\n')
            mount.kill()


class TapResult(unittest.TestResult):
    """Prints one TAP line a test, so that meson counts tests and not only programs."""

    def __init__(self, limit):
        super().__init__()
        self.limit, self.count, self.bad, self.notes = limit, 0, False, []

    def startTest(self, test):
        super().startTest(test)
        self.notes = []
        self.watchdog = Watchdog(test.id(), getattr(test, 'limit', self.limit))

    def stopTest(self, test):
        super().stopTest(test)
        self.watchdog.timer.cancel()
        if self.watchdog.bitten:
            self.notes.append(('not ok', 'hung'))
        kinds = [kind for kind, _ in self.notes]
        verdict = 'not ok' if 'not ok' in kinds else 'ok'
        skip = next((f' # SKIP {text}' for kind, text in self.notes if kind == 'skip'), '')
        if skip and CI:
            verdict, skip = 'not ok', ''
        for kind, text in self.notes:
            sys.stderr.write(f'{kind} {test.id()}: {text}\n')
        self.emit(verdict, f'{test.id().removeprefix("__main__.")}{skip if verdict == "ok" else ""}')

    def emit(self, verdict, name):
        self.count += 1
        self.bad |= verdict != 'ok'
        print(f'{verdict} {self.count} - {name}', flush=True)

    def addFailure(self, test, err):
        self.notes.append(('not ok', self._exc_info_to_string(err, test)))

    addError = addFailure

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.notes.append(('not ok', f'{subtest}: {self._exc_info_to_string(err, test)}'))

    def addSkip(self, test, reason):
        self.notes.append(('skip', reason))

    def addUnexpectedSuccess(self, test):
        self.notes.append(('not ok', 'expected to fail, and did not'))


class SetupResult(TapResult):
    """Failures outside of any test (setUpModule, tearDownClass) get a line of their own."""

    def addFailure(self, test, err):
        super().addFailure(test, err)
        if not isinstance(test, unittest.TestCase):
            sys.stderr.write(f'not ok {test}: {self.notes[-1][1]}\n')
            self.emit('not ok', str(test).replace('#', ''))

    addError = addFailure


def _stop(number, _frame):
    raise KeyboardInterrupt(f'signal {number}')


def main(needs_mount=True, limit=240):
    """Runs the tests of the calling module. CORPUSFS_TEST=WORD runs those whose name contains WORD."""
    signal.signal(signal.SIGTERM, _stop)
    # Behind nohup, or a shell's &, these are ignored, and every program that is started here would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    faulthandler.enable()
    adopt_orphans()
    limit_of_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limit_of_files), limit_of_files))
    print(f'# seed: CORPUSFS_SEED={SEED}', flush=True)
    reason = skip_reason() if needs_mount else ''
    if reason and CI:
        print(f'not ok 1 - {reason}\n1..1')
        sys.exit(1)
    if reason:
        print(f'1..0 # SKIP {reason}')
        sys.exit(0)
    tests = unittest.defaultTestLoader.loadTestsFromModule(sys.modules['__main__'])
    word = os.environ.get('CORPUSFS_TEST', '')
    chosen = unittest.TestSuite(t for t in _flat(tests) if word in t.id())
    result = SetupResult(limit * SLOWNESS)
    try:
        chosen.run(result)
    except KeyboardInterrupt as error:
        result.emit('not ok', f'stopped: {error}')
        traceback.print_exc()
    finally:
        for mount in list(live_mounts):
            sys.stderr.write(f'{where_it_stands(mount.daemon.pid)}\n{mount.log()[-20000:]}\n')
            mount.kill()
            result.emit('not ok', f'a mount was left: {mount.path.name}')
    print(f'1..{result.count}', flush=True)
    sys.exit(1 if result.bad else 0)


def _flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _flat(test)
        else:
            yield test
