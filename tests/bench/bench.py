# SPDX-License-Identifier: Apache-2.0
"""What the tests share: the corpora, the work folder, rounds, and the rows of the table."""
import os
import random
import sys
from pathlib import Path

import machine
import mounts
import quality
import samples
from corpora import Corpora, videos_of


class Corpus:
    """A corpus that is measured with: .name, .root, .videos."""

    def __init__(self, name, root):
        self.name, self.root, self.videos = name, root, videos_of(root)
        self.match = None
        self.frames = {}

    def in_tree(self, tree, video):
        """The folder of a video's frames below a tree of frames."""
        return Path(tree) / video.relative_to(self.root)


class Bench:
    """One run. `rows` and `profiles` are as report.py describes them."""

    def __init__(self, work, home, settings):
        self.work, self.home, self.settings, self.quick = Path(work), Path(home), settings, settings.quick
        self.rounds = settings.rounds
        self.made = Corpora(work, settings.corpus_c, settings.quick, self.say)
        self.corpora, self.rows, self.profiles, self.title = {}, [], {}, ''

    def say(self, text):
        """Progress: one line that is overwritten, on a terminal."""
        if sys.stderr.isatty():
            sys.stderr.write(f'\r\033[K{self.title}{text}')
            sys.stderr.flush()

    def begin(self, test):
        """A new test: a line of its own where there is no terminal."""
        if not sys.stderr.isatty():
            sys.stderr.write(f'{test}\n')

    def corpus(self, name):
        """A corpus whose sources are in the page cache, with its equal quality measured."""
        if self.quick:
            name = 'tiny'
        if name not in self.corpora:
            root = self.made.get(name)
            corpus = Corpus(name, root)
            self.say(f'measuring the quality for corpus {name}')
            corpus.match = quality.Match(self.home, root, corpus.videos)
            self.corpora[name] = corpus
        machine.warm(self.corpora[name].videos)
        return self.corpora[name]

    def chosen(self, names):
        """Those of a test's corpora that the command line did not leave out."""
        if self.quick:
            names = names[:1]
        else:
            names = [n for n in names if n in self.settings.corpora and self.made.get(n)]
        return [self.corpus(n) for n in names]

    def random(self, *about):
        """A generator of its own for each purpose, the same in each run with one --seed."""
        return random.Random(' '.join(map(str, (self.settings.seed, *about))))

    def folder(self):
        """A context manager: a new folder, emptied afterwards."""
        return machine.folder(self.home, 'side-')

    def mount(self, corpus, **settings):
        """A context manager: the corpus mounted at its equal quality, on a new cache."""
        return mounts.corpusfs(self.home, corpus.root, mounts.view(corpus.match.quality), **settings)

    def compare(self, title, sides, rounds=None):
        """(rounds, notes) of the sides in turn."""
        self.title = f'{title}: '
        result = samples.in_turn(rounds or self.rounds, sides, self.say, os.sync if self.quick else machine.settle)
        self.title = ''
        return result

    def row(self, test, where, work, compared, peer, measure, part='', bound='', target=None, note=''):
        """Adds a row: `part` of corpusfs against that of a peer. `compared` is what compare() gave, `where` the
        corpus' name."""
        rounds, notes = compared
        sides = ['corpusfs', *([peer] if peer else [])]
        self.rows.append({
            'test': test, 'corpus': where, 'work': work, 'peer': peer, 'measure': measure, 'bound': bound,
            'target': target, 'notes': [*notes, *([note] if note else [])],
            'rounds': [{side: done[side][part].as_dict() for side in sides} for done in rounds]})
