#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Counts what meson's testlog.json tells: `N passed, N failed`, and `, N skipped` if any. Exit code 1 on failures.

A program that speaks TAP counts as many times as it says; one that ended badly without saying so counts as failed.
"""
import json
import re
import sys


def count(test):
    """(passed, failed, skipped) of one line of the log."""
    lines = re.findall(r'^(ok|not ok) \d+(?:[^#\n]*)(# SKIP)?', test.get('stdout') or '', re.MULTILINE)
    skipped = sum(1 for verdict, skip in lines if verdict == 'ok' and skip)
    passed = sum(1 for verdict, skip in lines if verdict == 'ok' and not skip)
    failed = sum(1 for verdict, _ in lines if verdict == 'not ok')
    if test['result'] not in ('OK', 'SKIP', 'EXPECTEDFAIL'):
        return passed, max(failed, 1), skipped
    if not lines:
        return (0, 0, 1) if test['result'] == 'SKIP' else (1, 0, 0)
    return passed, failed, skipped


def main(path):
    with open(path, encoding='utf-8') as log:
        counts = [count(json.loads(line)) for line in log]
    passed, failed, skipped = (sum(column) for column in zip(*counts)) if counts else (0, 0, 0)
    print(f'{passed} passed, {failed} failed' + (f', {skipped} skipped' if skipped else ''))
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
