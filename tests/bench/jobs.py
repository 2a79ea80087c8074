# SPDX-License-Identifier: Apache-2.0
"""Runs other programs so that none outlives the run: each has a time limit and a process group of its own."""
import contextlib
import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

_live = set()
_lock = threading.Lock()


class Late(RuntimeError):
    """A program was ended because its time was over."""


def start(command, **settings):
    """Starts a program; end() or end_all() ends it with all that it started."""
    with _lock:
        process = subprocess.Popen(list(map(str, command)), start_new_session=True, **settings)
        _live.add(process)
    return process


def end(process, patience=10):
    """Kills what is left of a program. A reader in a hung mount dies only with the daemon, so this gives up."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        return
    with _lock:
        _live.discard(process)


def end_all():
    for process in list(_live):
        end(process)


def run(command, limit, stdin=b'', **variables):
    """Runs a program to its end and returns what it wrote. Late after `limit` seconds, RuntimeError if it failed.
    `variables` are put into its environment."""
    process = start(command, env={**os.environ, **variables}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = process.communicate(stdin, timeout=limit)
    except subprocess.TimeoutExpired as error:
        raise Late(f'{command[0]} was ended after {limit} s') from error
    finally:
        end(process)
    if process.returncode:
        raise RuntimeError(f'{" ".join(map(str, command))[:300]}: exit code {process.returncode}\n'
                           f'{err.decode(errors="replace")[-2000:]}')
    return out


def at_once(count, work, things):
    """[work(thing) for each thing], `count` at a time, in their order. Whatever fails ends all programs."""
    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(work, thing) for thing in things]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            end_all()
            raise
