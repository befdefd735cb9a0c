"""Which body segment carries a headline's claim, and which words stand behind its words.

Words are compared by their letters and, where the model gives them, by the cosine of their
word embeddings, each word with the one nearest to it: greedy matching as in BERTScore (Zhang
et al. 2020), with the lookup table's vectors in place of contextual ones. Those did better
here, and cost no more than a lookup. docs/headline_check.md holds the measurements.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from framelens.decoding import Floats, word_offsets
from framelens.features import TokenizedSegment
from framelens.sentences import with_marks
from framelens.token_vectors import TokenVectors

LETTERS_ALIKE = 0.7
"""Share of the longer stem that two words must have in common from their start."""
_MIN_COMMON = 4

MAX_WORDS = 4096
"""Content words of a segment that are looked at; no sentence has as many."""

_FUNCTION_WORDS = """
a about after again against all also although among an and any are as at be because been before
behind being between both but by can cannot could did do does done down during each else even
for from had has have having he her hers him his how i if in into is it its itself just me may
might more most must my no nor not of off on once one only onto or our out over own same shall
she should since so some such than that the their them then there these they this those though
through till to too under until up upon us very was we were what when where whether which while
who whom whose why will with without would yet you your ll re ve isn aren wasn weren don doesn
didn won wouldn
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that carry no claim of their own; they are neither aligned nor judged."""

_NUMERALS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen twenty
"""
_NUMBERS = {word: str(value) for value, word in enumerate(_NUMERALS.split())} | {
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
    "seventy": "70",
    "eighty": "80",
    "ninety": "90",
    "hundred": "100",
}
_FIGURE = re.compile(r"\d+(?:[.,]\d+)*")
_ENDINGS = ("ing", "ed", "es", "s", "e")


@dataclass(frozen=True, slots=True)
class Words:
    """The content words of one segment.

    `stems` and `starts`, `ends` (code points of the segment's text) have n entries; `positions`
    counts all words of the segment.
    """

    stems: tuple[str, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    positions: tuple[int, ...]

    def only(self, kept: Sequence[bool]) -> Words:
        """The words that are kept, of n."""
        return Words(
            tuple(compress(self.stems, kept)),
            tuple(compress(self.starts, kept)),
            tuple(compress(self.ends, kept)),
            tuple(compress(self.positions, kept)),
        )


@dataclass(frozen=True, slots=True)
class Alignment:
    """How a headline's n content words stand to the m segments of its body.

    `similarity` has shape (m, n): how well the best word of a segment stands behind each word
    of the headline, from 0 to 1. `weights`, (n,), says how rare each word is in the body.
    """

    similarity: Floats
    weights: Floats

    def scores(self) -> Floats:
        """How much of the headline each segment carries, (m,), from 0 to 1."""
        found: Floats = (self.similarity @ self.shares()).astype(np.float32)
        return found

    def shares(self) -> Floats:
        """The weights as shares of their sum, (n,); of a headline without words all are 0."""
        total = float(self.weights.sum())
        return self.weights / total if total else self.weights


def is_function_word(word: str) -> bool:
    """Whether a word carries no claim of its own; "US", "WHO" and "IT" do."""
    return word.casefold() in FUNCTION_WORDS and not (len(word) > 1 and word.isupper())


def content_words(text: str, segment: TokenizedSegment) -> Words:
    """The content words of a segment."""
    starts, ends = (array.tolist() for array in word_offsets(segment))
    capitals = text.isupper()
    stems: list[str] = []
    kept: list[int] = []
    figure_end = 0
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if len(kept) == MAX_WORDS:
            break
        if start < figure_end:
            continue
        figure = _FIGURE.match(text, start)  # "1,000" is one, of which tokenizers make three words
        if figure is not None and figure.end() > end:
            end = ends[number] = figure_end = figure.end()
        word = text[start:end].casefold() if capitals else text[start:end]
        if is_function_word(word) or not word[0].isalnum() or (len(word) == 1 and word.isalpha()):
            continue
        stems.append(stem_of(word.casefold()))
        kept.append(number)
    return Words(
        tuple(stems),
        tuple(starts[number] for number in kept),
        tuple(with_marks(text, ends[number]) for number in kept),
        tuple(kept),
    )


def word_vectors(
    words: Sequence[Words], segments: Sequence[TokenizedSegment], vectors: TokenVectors
) -> Floats | None:
    """Vectors of length 1 of all content words of some segments, one segment after another.

    The result has shape (n, width); it is None if a token was never seen. A word of several
    pieces has their sum.
    """
    begins = np.concatenate([segment.words for segment in segments])
    content = np.zeros(int(begins.sum()), dtype=np.bool_)
    first = 0
    for item, segment in zip(words, segments, strict=True):
        content[[first + position for position in item.positions]] = True
        first += int(segment.words.sum())
    word = np.cumsum(begins) - 1
    kept = content[word]
    rows = vectors.get(np.concatenate([segment.ids for segment in segments])[kept])
    if rows is None:
        return None
    begins, word = begins[kept], (np.cumsum(content) - 1)[word[kept]]
    found: Floats = rows[begins]
    np.add.at(found, word[~begins], rows[~begins])
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)
    return found


def stem_of(word: str) -> str:
    """A word, in lower case, without its commonest endings; a number as its figures."""
    if word in _NUMBERS:
        return _NUMBERS[word]
    figure = _FIGURE.match(word)
    if figure is not None:
        return figure.group().replace(",", "")
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def align(headline: Words, body: Sequence[Words], cosine: Floats | None = None) -> Alignment:
    """Compare a headline's words with those of every body segment.

    `cosine`, (m, n), holds the `cosines` of their vectors; without it, words are compared by
    their letters alone.
    """
    similarity = np.zeros((len(body), len(headline.stems)), dtype=np.float32)
    if cosine is not None:
        similarity = cosine.copy()
    by_start: dict[str, list[int]] = {}
    for at, stem in enumerate(headline.stems):
        by_start.setdefault(stem[:_MIN_COMMON], []).append(at)
    for row, segment in zip(similarity, body, strict=True):
        for stem in segment.stems:
            for at in by_start.get(stem[:_MIN_COMMON], ()):
                if alike(stem, headline.stems[at]):
                    row[at] = 1.0
    return Alignment(similarity, _rarity(headline, body))


def cosines(body: Sequence[Words], headline: Floats, words: Floats) -> Floats:
    """The cosine, at least 0, of each headline word with its nearest in each segment, (m, n).

    `headline` and `words` are the `word_vectors` of the headline and of the body.
    """
    found = np.zeros((len(body), len(headline)), dtype=np.float32)
    sizes = np.array([len(segment.stems) for segment in body])
    filled = np.flatnonzero(sizes)
    if len(filled) and len(headline):
        starts = np.concatenate(([0], np.cumsum(sizes[filled])[:-1]))
        found[filled] = np.maximum.reduceat(headline @ words.T, starts, axis=1).T
    return np.maximum(found, 0)


def alike(stem: str, other: str) -> bool:
    """Whether two stems are the same or begin alike ("climat-e", "climat-ic")."""
    if stem == other:
        return True
    if stem[:1].isdigit():
        return False
    longer = max(len(stem), len(other))
    common = next(
        (at for at, (a, b) in enumerate(zip(stem, other, strict=False)) if a != b),
        min(len(stem), len(other)),
    )
    return common >= max(_MIN_COMMON, LETTERS_ALIKE * longer)


def _rarity(headline: Words, body: Sequence[Words]) -> Floats:
    """Inverse document frequency of the headline's words, the body's segments as documents."""
    total = len(body)
    stems = [set(segment.stems) for segment in body]
    return np.array(
        [
            math.log((total + 1) / (sum(stem in found for found in stems) + 0.5))
            for stem in headline.stems
        ],
        dtype=np.float32,
    ).clip(0.1)
