#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The benchmark suite still runs, counts right, and leaves nothing behind. Says nothing about speed."""
import json
import subprocess
import sys
import unittest.mock
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from lib import harness

import jobs
import machine
import profiles
import report
import samples


def row(rounds, **settings):
    return {'test': 'T0', 'corpus': 'x', 'work': 'work', 'peer': 'peer', 'measure': 'rate', 'bound': '>=', 'target': 2,
            'notes': [], 'rounds': [{'corpusfs': {'seconds': a, 'files': 6, 'bytes': 5},
                                     'peer': {'seconds': b, 'files': 6, 'bytes': 50}} for a, b in rounds], **settings}


class Report(harness.Case):

    def test_ratios_are_taken_in_each_round(self):
        self.assertEqual(report.ratios(row([(1, 2), (2, 8), (3, 3)])), [2, 4, 1])
        self.assertEqual(report.ratios(row([(1, 2), (2, 8)], measure='time')), [0.5, 0.25])
        self.assertEqual(report.ratios(row([(1, 2), (2, 8)], measure='speed-up')), [2, 4])
        self.assertEqual(report.ratios(row([(1, 2)], measure='disk')), [0.1])
        self.assertEqual(report.ratios(row([(1, 2), (3, 2)], measure='time', peer='')), [1, 3])

    def test_verdict_is_the_medians(self):
        self.assertEqual(report.verdict(row([(1, 2), (2, 8), (3, 3)])), 'met')
        self.assertEqual(report.verdict(row([(1, 1.9), (2, 8), (3, 3)])), '**missed**')
        self.assertEqual(report.verdict(row([(1, 2)], measure='time', bound='<=', target=0.5)), 'met')
        self.assertEqual(report.verdict(row([(1, 2)], measure='time', bound='<=', target=0.4)), '**missed**')
        self.assertEqual(report.verdict(row([], bound='<=')), 'not measured')
        self.assertEqual(report.verdict(row([(1, 2)], target=None)), '')

    def test_table(self):
        line = report.table([row([(1, 2), (2, 8), (3, 3)])]).splitlines()[2]
        self.assertEqual(line, '| T0 | x | work | 3 files/s | - | peer | 2 files/s | - | 2.00 (1.00 to 4.00) | >= 2 | met '
                               '| 3 |')

    def test_results_are_joined(self):
        one = {'machine': {'date': 'a'}, 'quality': {}, 'profiles': {}, 'rows': [row([(1, 2)], notes=['n'])]}
        two = {'machine': {'date': 'b'}, 'quality': {}, 'profiles': {}, 'rows': [row([(1, 3)], notes=['n', 'm']),
                                                                                 row([(1, 1)], corpus='y')]}
        both = report.joined([one, two])
        self.assertEqual([(r['corpus'], len(r['rounds']), r['notes']) for r in both['rows']],
                         [('x', 2, ['n', 'm']), ('y', 1, [])])
        self.assertEqual(both['machine'], {'date': 'a; b'})


    def test_profile(self):
        script = (b'swapper     0  ffffffff81 cpu_idle+0x0 ([kernel.kallsyms])\n'
                  b'corpusfs  12  7f12 [unknown] (/usr/lib/libsqlite3.so.0)\n'
                  b'corpusfs-decod  13  7f34 ff_h264_decode+0x1 (/usr/lib/libavcodec.so.59)\n'
                  b'av:h264:df0  13  ffffffff82 do_syscall ([kernel.kallsyms])\n'
                  b'worker thread  12  7f56 memcpy (/usr/lib/libc.so.6)\n'
                  b'ninja  9  7f78 main (/usr/bin/ninja)\n')
        self.assertEqual(profiles.count(script, daemon=12),
                         {'idle': 1, 'SQLite': 1, 'decode': 1, 'worker, in the kernel': 1, 'daemon, rest': 1,
                          'other programs': 1})


class Rounds(harness.Case):

    def test_sides_take_turns(self):
        order = []

        def side(name):
            return lambda number: order.append((number, name)) or {'': samples.Sample(1, 1)}
        rounds, notes = samples.in_turn(2, {'a': side('a'), 'b': side('b')}, lambda text: None, lambda: order.append('settled'))
        self.assertEqual(order, ['settled', (0, 'a'), 'settled', (0, 'b'), 'settled', (1, 'b'), 'settled', (1, 'a')])
        self.assertEqual((len(rounds), notes), (2, []))

    def test_memory_is_kept_for_a_while(self):
        """Settings are put back, also after a failure; those that a kernel has not are not missed."""
        (self.home / 'set').mkdir()
        setting = self.home / 'set/min_free_ms'
        setting.write_text('7\n', encoding='ascii')
        with unittest.mock.patch.object(machine, 'REPORTING', self.home / 'set'), self.assertRaises(KeyError), machine.memory_kept():
            self.assertEqual(setting.read_text(encoding='ascii'), machine.PUT_OFF['min_free_ms'])
            raise KeyError
        self.assertEqual(setting.read_text(encoding='ascii'), '7\n')
        self.assertEqual(list((self.home / 'set').iterdir()), [setting])

    def test_unequal_work_is_an_error(self):
        sides = {name: lambda n, files=files: {'': samples.Sample(1, files)} for name, files in (('a', 1), ('b', 2))}
        with self.assertRaisesRegex(RuntimeError, 'not the same work'):
            samples.in_turn(1, sides, lambda text: None, lambda: None)

    def test_what_hangs_is_ended(self):
        sides = {'a': lambda n: {'': samples.Sample(jobs.run(['sleep', '1000'], limit=0.2), 1)}}
        rounds, notes = samples.in_turn(1, sides, lambda text: None, lambda: None)
        self.assertEqual(rounds, [])
        self.assertIn('sleep was ended', notes[0])

    def test_readers_at_once(self):
        sample = samples.parse(b'1000 3000 7\n900\n800\n', b'1500 5000 8\n100\n')
        self.assertEqual((sample.seconds, sample.files, sample.bytes), (4e-6, 3, 15))
        self.assertEqual(sample.as_dict()['p50_us'], 0.8)


class Run(harness.Case):

    def test_quick(self):
        lacking = machine.missing(['ffmpeg', 'ffprobe', 'fusermount3', 'python3:cv2', 'python3:PIL', 'python3:numpy'])
        if lacking:
            self.skipTest(f'not installed: {" ".join(lacking)}')
        out = self.home / 'results.json'
        done = subprocess.run([HERE / 'run', '--quick', '--build', harness.BUILD, '--work', self.home / 'work', '--json',
                               out, 'T1', 'T8', 'A2', 'A4', 'A6', 'N2'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout.decode(errors='replace'))
        result = json.loads(out.read_text(encoding='utf-8'))
        self.assertEqual([(r['test'], r['rounds'][0]['corpusfs']['files']) for r in result['rows']],
                         [('T1', 300), ('T8', 409), ('T8', 434), ('A2', 2000), ('A2', 2000), ('A2', 2000), ('A4', 100),
                          ('A4', 100), ('A6', 2000), ('N2', 4), ('N2', 4)])
        self.assertIn('| T8 | long | find, warm |', done.stdout.decode())
        with open('/proc/self/mountinfo', encoding='utf-8') as table:
            self.assertNotIn(str(self.home), table.read())
        self.assertEqual([p.name for p in (self.home / 'work').glob('run-*')], [])


if __name__ == '__main__':
    harness.main()
