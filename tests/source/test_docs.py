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
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]
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
      for path, kind in (('{frame}.jpg', 'frames'), ('a.mp3', 'audio'), ('a.srt', 'subtitles'), ('a.npy', 'npy'))),
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

    def test_presets(self):
        """Each preset is described."""
        for preset in (ROOT / 'mountcfg/presets').glob('*.yaml'):
            self.assertRegex(text(CONFIG_PAGE), rf'(?m)^\.It Cm {re.escape(preset.stem)}$')


if __name__ == '__main__':
    harness.main(needs_mount=False)
