# SPDX-License-Identifier: Apache-2.0
"""Rows of measurements, as a Markdown table and as JSON.

A row is a dictionary: test, corpus, work, peer (or ''), measure, bound ('>=', '<=' or ''), target (or None), notes, and
rounds: a list of {'corpusfs': sample, peer: sample}, where a sample has seconds, files, bytes, and p50_us and p99_us
where there are latencies. The ratio is taken in each round, and the row's is the median of these.

A profile is {test: {seconds, files, ms_per_file: {part: ms of processor time}}}."""
import json
import statistics

# measure: (value of a sample, how it is written, whether the ratio is the peer's value over ours)
MEASURES = {
    'rate': (lambda s: s['files'] / s['seconds'], lambda v: f'{v:,.0f} files/s', False),
    'byte rate': (lambda s: s['bytes'] / s['seconds'], lambda v: f'{v / 1e9:.2f} GB/s', False),
    'time': (lambda s: s['seconds'], lambda v: f'{v:.3g} s' if v < 10 else f'{v:.1f} s', False),
    'speed-up': (lambda s: s['seconds'], lambda v: f'{v:.3g} s' if v < 10 else f'{v:.1f} s', True),
    'disk': (lambda s: s['bytes'], lambda v: f'{v / 1e6:,.1f} MB', False),
    'memory': (lambda s: s['bytes'], lambda v: f'{v / 2**20:.1f} MiB', False),
}
HEAD = ('| test | corpus | work | corpusfs | p50 / p99 | against | | p50 / p99 | ratio (least to most of the rounds) | '
        'target | | rounds |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |')


def ratios(row):
    """Of each round: corpusfs to the peer, or for a speed-up the other way; without a peer corpusfs' own value."""
    value, _, inverse = MEASURES[row['measure']]
    if not row['peer']:
        return [value(r['corpusfs']) for r in row['rounds']]
    pairs = [(value(r['corpusfs']), value(r[row['peer']])) for r in row['rounds']]
    return [theirs / ours if inverse else ours / theirs for ours, theirs in pairs]


def verdict(row):
    """'met', 'missed', '' without a target."""
    if row['target'] is None:
        return ''
    if not row['rounds']:
        return 'not measured'
    found = statistics.median(ratios(row))
    return 'met' if (found >= row['target'] if row['bound'] == '>=' else found <= row['target']) else '**missed**'


def _number(value):
    return f'{value:,.0f}' if value >= 100 else f'{value:.2f}' if value < 10 else f'{value:.1f}'


def _latency(row, side):
    samples = [r[side] for r in row['rounds']]
    if not samples or 'p50_us' not in samples[0]:
        return '-'
    return ' / '.join(_duration(statistics.median(s[key] for s in samples)) for key in ('p50_us', 'p99_us'))


def _duration(us):
    return f'{us:.0f} us' if us < 1000 else f'{us / 1e3:.3g} ms' if us < 1e6 else f'{us / 1e6:.3g} s'


def _median(row, side):
    value, write, _ = MEASURES[row['measure']]
    return write(statistics.median(value(r[side]) for r in row['rounds'])) if row['rounds'] else '-'


def _spread(row):
    if not row['rounds']:
        return '-'
    if not row['peer']:
        write = MEASURES[row['measure']][1]
        found = ratios(row)
        return f'{write(statistics.median(found))} ({write(min(found))} to {write(max(found))})'
    found = ratios(row)
    return f'{_number(statistics.median(found))} ({_number(min(found))} to {_number(max(found))})'


def _target(row):
    if row['target'] is None:
        return ''
    if row['peer']:
        return f'{row["bound"]} {row["target"]:,}'
    return f'{row["bound"]} {MEASURES[row["measure"]][1](row["target"])}'


def table(rows):
    """Markdown."""
    lines = [HEAD]
    for row in rows:
        peer = (row['peer'], _median(row, row['peer']), _latency(row, row['peer'])) if row['peer'] else ('-', '-', '-')
        cells = [row['test'], row['corpus'], row['work'], _median(row, 'corpusfs'), _latency(row, 'corpusfs'), *peer,
                 _spread(row), _target(row), verdict(row), str(len(row['rounds']))]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def profile_table(profiles):
    """Markdown: processor time by part, in ms a file."""
    lines = [f'| ms of processor time a frame | {" | ".join(profiles)} |', '| --- ' * (len(profiles) + 1) + '|']
    for part in next(iter(profiles.values()))['ms_per_file']:
        spent = [p['ms_per_file'][part] for p in profiles.values()]
        if max(spent) >= 0.005:
            lines.append(f'| {part} | {" | ".join(f"{ms:.2f}" for ms in spent)} |')
    walls = [p['seconds'] * 1e3 / p['files'] for p in profiles.values()]
    lines.append(f'| elapsed, ms a frame | {" | ".join(f"{ms:.2f}" for ms in walls)} |')
    return '\n'.join(lines)


def document(result):
    """All of it as Markdown."""
    lines = [f'- {name}: {text}' for name, text in result['machine'].items()]
    lines += [f'- corpus {name}: {text}' for name, text in result['quality'].items()]
    rows = result['rows']
    if rows:
        lines += ['', table(rows)]
    notes = dict.fromkeys(f'- {row["test"]} {row["corpus"]}: {note}' for row in rows for note in row['notes'])
    lines += ['', *notes] if notes else []
    lines += ['', profile_table(result['profiles'])] if result['profiles'] else []
    return '\n'.join(lines) + '\n'


def joined(results):
    """One result of several: the rounds of equal rows are put together."""
    facts, qualities, rows, profiles = {}, {}, {}, {}
    for result in results:
        for name, text in result['machine'].items():
            known = facts.setdefault(name, text)
            if text not in known:
                facts[name] = f'{known}; {text}'
        qualities.update(result['quality'])
        profiles.update(result['profiles'])
        for row in result['rows']:
            key = (row['test'], row['corpus'], row['work'], row['peer'], row['measure'])
            if key in rows:
                rows[key] = {**rows[key], 'rounds': rows[key]['rounds'] + row['rounds'],
                             'notes': list(dict.fromkeys(rows[key]['notes'] + row['notes']))}
            else:
                rows[key] = row
    return {'machine': facts, 'quality': qualities, 'rows': list(rows.values()), 'profiles': profiles}


def read(path):
    with open(path, encoding='utf-8') as file:
        return json.load(file)


def write(path, result):
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(result, file, indent=1)
        file.write('\n')
