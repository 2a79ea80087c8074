#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the documents say is there: linked and named files, subcommands, options, keys, and examples that pass check."""
import re
import shutil
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib import harness, source

ROOT = source.ROOT
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('**/*.md'))]
COMMAND_PAGE, CONFIG_PAGE = ROOT / 'docs/corpusfs.1', ROOT / 'docs/corpusfs.yaml.5'
# A mistake in each mapping of the language, so that check tells the keys it knows there.
PROBES = [
    'nonsense: 1\n',
    'root: .\nsources:\n  - nonsense: 1\nviews: []\n',
    'root: .\nsources:\n  - videos: "*"\nviews:\n  - nonsense: 1\n',
    'root: .\nsources:\n  - videos: "*"\ntables: [{ nonsense: 1 }]\nviews: []\n',
    'root: .\nsources:\n  - videos: "*"\nfields: { x: { nonsense: 1 } }\nviews: []\n',
    'root: .\nsources:\n  - videos: "*"\nviews: []\ncache: { nonsense: 1 }\n',
    *(f'root: .\nsources:\n  - videos: "*"\nviews:\n  - path: "{path}"\n    {kind}: {{ nonsense: 1 }}\n'
      for path, kind in (('{frame}.jpg', 'frames'), ('a.mp3', 'audio'), ('a.srt', 'subtitles'), ('a.npy', 'npy'), ('a.txt', 'list'), ('a', 'command'), ('a.npy', 'stack'))),
]


def text(page):
    return page.read_text(encoding='utf-8')


def anchors(page):
    """The names by which the headings of a page are linked to."""
    headings = re.findall(r'^#+ (.+)$', re.sub(r'```.*?```', '', text(page), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r'[^\w -]', '', heading.lower()).replace(' ', '-') for heading in headings}


def section(page, head):
    """A manual page from one .Ss to the next."""
    found = re.search(rf'^\.Ss {head}\b.*?(?=^\.S[sh] |\Z)', text(page), re.MULTILINE | re.DOTALL)
    return found[0] if found else None


class Links(unittest.TestCase):

    def test_links(self):
        """Each relative link leads to a file and, behind a #, to a heading."""
        seen = 0
        for page in PAGES:
            for link in re.findall(r'\]\(([^)\s]+)\)', text(page)):
                if re.match(r'[a-z]+:', link):
                    continue
                seen += 1
                path, _, anchor = link.partition('#')
                target = page.parent / path if path else page
                with self.subTest(page=page.name, link=link):
                    self.assertTrue(target.exists())
                    self.assertTrue(not anchor or anchor in anchors(target))
        self.assertGreater(seen, 5)

    def test_named_files(self):
        """Files of the project that are named in backquotes exist; upper-case parts stand for any name."""
        rooms = '|'.join([*(re.escape(room) for room in source.ROOMS), 'docs'])
        for page in PAGES:
            for name in re.findall(rf'`((?:{rooms})/[\w./-]+)[ `]', text(page)):
                if not re.search(r'[A-Z]{3}', name):
                    with self.subTest(page=page.name, name=name):
                        self.assertTrue((ROOT / name).exists())


class Command(unittest.TestCase):

    def test_subcommands(self):
        """Each subcommand has a section in the manual page, and there each of its options."""
        names = re.findall(r'^  ([a-z]+) ', harness.corpusfs('--help', check=0).stdout.partition('\nexample')[0],
                           re.MULTILINE)
        self.assertIn('mount', names)
        for name in names:
            page = section(COMMAND_PAGE, name)
            said = re.split(r'^example', harness.corpusfs(name, '--help', check=0).stdout, flags=re.MULTILINE | re.IGNORECASE)
            with self.subTest(command=name):
                self.assertIsNotNone(page, 'no section')
                for option in set(re.findall(r'(?<![\w-])-(-?[a-z][a-z-]*)', said[0])):
                    self.assertRegex(page, rf'\bFl {option}(?![\w-])')

    def test_sections_are_commands(self):
        """The manual page has no section of a subcommand that is not there."""
        said = harness.corpusfs('--help', check=0).stdout
        part = re.search(r'^\.Sh COMMANDS$.*?(?=^\.Sh )', text(COMMAND_PAGE), re.MULTILINE | re.DOTALL)[0]
        for name in re.findall(r'^\.Ss (\w+)', part, re.MULTILINE):
            self.assertRegex(said, rf'(?m)^  {name} ')


class Configuration(unittest.TestCase):

    def setUp(self):
        self.home = Path(tempfile.mkdtemp(prefix='corpusfs-test-'))
        self.addCleanup(shutil.rmtree, self.home)
        (self.home / 'root').mkdir()

    def check(self, config, code):
        path = self.home / 'corpus.yaml'
        path.write_text(config, encoding='utf-8')
        return harness.corpusfs('check', path, check=code, HOME=str(self.home)).stdout

    def check_example(self, example):
        config, n = re.subn(r'^root: \S+', f'root: "{self.home}/root"', example, flags=re.MULTILINE)
        if not n:
            config, n = re.subn(r'^roots: .*', lambda roots: re.sub(r': [/~][^,} ]*', f': "{self.home}/root"', roots[0]), example,
                                flags=re.MULTILINE)
        self.assertEqual(n, 1, example)
        self.check(config, 0)

    def test_examples_of_pages(self):
        """Each fenced YAML text is a configuration without mistakes, once its root exists."""
        examples = [e for page in PAGES for e in re.findall(r'^```yaml\n(.*?)^```', text(page), re.MULTILINE | re.DOTALL)]
        self.assertGreaterEqual(len(examples), 2)
        for example in examples:
            with self.subTest(example=example[:60]):
                self.check_example(example)

    def test_examples_of_manual(self):
        blocks = re.findall(r'^\.Bd -literal.*?\n(.*?)^\.Ed', text(CONFIG_PAGE), re.MULTILINE | re.DOTALL)
        self.assertGreaterEqual(len(blocks), 2)
        for block in blocks:
            with self.subTest(example=block[:60]):
                self.check_example(textwrap.dedent(block.replace(r'\e', '\\')))

    def test_keys(self):
        """Each key that check knows is described in the manual page, and the page has no other."""
        known = set()
        for probe in PROBES:
            said = self.check(probe, 1)
            found = re.search(r'unknown key "nonsense".*\(known: (.*)\)', said)
            self.assertTrue(found, f'{probe}: {said}')
            known |= set(found[1].split(', '))
        page = text(CONFIG_PAGE)
        described = set(re.findall(r'^\.It Cm ([a-z_]+) :', page, re.MULTILINE))
        described |= set(re.findall(r'^\.Ss (\w+)', page, re.MULTILINE))
        self.assertEqual(described, known)


class Presets(unittest.TestCase):
    """Each preset has a page, with all its options, in the index; a paragraph in the manual; a generator and a test."""
    PARTS = ['What it expects', 'What it gives', 'Options', 'What could not be known']

    def test_pages(self):
        names = {p.stem for p in (ROOT / 'mountcfg/presets').glob('*.yaml')}
        self.assertEqual({p.stem for p in (ROOT / 'docs/presets').glob('*.md')}, names)
        for name in names:
            with self.subTest(preset=name):
                page = text(ROOT / f'docs/presets/{name}.md')
                self.assertTrue(page.startswith(f'# {name}\n'))
                self.assertEqual(re.findall(r'^## (.*)$', page, re.MULTILINE), self.PARTS)
                self.assertRegex(page, rf'(?s)```yaml\npreset: {name}\nroot: [^\n]*\n```')
                self.assertIn(f'[{name}](presets/{name}.md)', text(ROOT / 'docs/presets.md'))
                self.assertRegex(text(CONFIG_PAGE), rf'(?m)^\.It Cm {re.escape(name)}$')
                self.assertRegex(text(ROOT / 'README.md'), rf'(?<![\w-]){name}(?![\w-])')

    def test_options(self):
        """A page has a row for each option, with its default; and each option is put in somewhere."""
        for file in (ROOT / 'mountcfg/presets').glob('*.yaml'):
            preset, page = text(file), text(ROOT / f'docs/presets/{file.stem}.md')
            options = re.search(r'^options:\n((?:  .*\n)+)', preset, re.MULTILINE)
            rows = re.findall(r'^  (\w+): ([^#\n]*[^#\s])', options[1], re.MULTILINE) if options else []
            self.assertEqual({name for name, _ in rows}, set(re.findall(r'\$\{(\w+)\}', preset)), file.stem)
            for name, default in rows:
                with self.subTest(preset=file.stem, option=name):
                    self.assertIn(f'| `{name}` | `{default}` |', page)

    def test_tests(self):
        for file in (ROOT / 'mountcfg/presets').glob('*.yaml'):
            test = ROOT / f'tests/presets/test_{file.stem.replace("-", "_")}.py'
            self.assertRegex(text(test), r'(?m)^def make\(root', test)
            self.assertRegex(text(test), rf"preset = '{file.stem}'", test)

    def test_tests_are_run(self):
        """What stands in a folder of tests is in the build's list of them."""
        listed = text(ROOT / 'tests/meson.build')
        for file in sorted(ROOT.glob('tests/[mcs]*/test_*.py')):
            name = file.stem.removeprefix('test_')
            self.assertRegex(listed, rf"'{name}'[:,\]]", file)


if __name__ == '__main__':
    harness.main(needs_mount=False)
