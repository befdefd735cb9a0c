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

import numpy as np

from framelens.decoding import Floats, word_offsets
from framelens.features import TokenizedSegment
from framelens.token_vectors import TokenVectors

LETTERS_ALIKE = 0.7
"""Share of the longer stem that two words must have in common from their start."""
_MIN_COMMON = 4

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
    counts all words of the segment; `vectors` has shape (n, width), rows of length 1, or is
    None where the model gives no embeddings.
    """

    stems: tuple[str, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    positions: tuple[int, ...]
    vectors: Floats | None


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
        total = float(self.weights.sum())
        if not total:
            return np.zeros(len(self.similarity), dtype=np.float32)
        found: Floats = (self.similarity @ self.weights / total).astype(np.float32)
        return found


def content_words(
    text: str, segment: TokenizedSegment, vectors: TokenVectors | None = None
) -> Words:
    """The content words of a segment, with their vectors if `vectors` knows all its tokens."""
    starts, ends = word_offsets(segment)
    stems: list[str] = []
    kept: list[int] = []
    for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        word = text[start:end].casefold()
        if word in FUNCTION_WORDS or not word[0].isalnum() or (len(word) == 1 and word.isalpha()):
            continue
        stems.append(stem_of(word))
        kept.append(number)
    return Words(
        tuple(stems),
        tuple(starts[kept].tolist()),
        tuple(ends[kept].tolist()),
        tuple(kept),
        _vectors(segment, kept, vectors),
    )


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


def align(headline: Words, body: Sequence[Words]) -> Alignment:
    """Compare a headline's words with those of every body segment."""
    similarity = np.zeros((len(body), len(headline.stems)), dtype=np.float32)
    for row, segment in zip(similarity, body, strict=True):
        if segment.stems:
            row[:] = _similarity(headline, segment)
    return Alignment(similarity, _rarity(headline, body))


def _similarity(headline: Words, segment: Words) -> Floats:
    best = np.zeros(len(headline.stems), dtype=np.float32)
    if headline.vectors is not None and segment.vectors is not None:
        best = np.maximum((headline.vectors @ segment.vectors.T).max(axis=1), 0)
    by_start: dict[str, list[str]] = {}
    for stem in segment.stems:
        by_start.setdefault(stem[:_MIN_COMMON], []).append(stem)
    for at, stem in enumerate(headline.stems):
        if any(alike(stem, other) for other in by_start.get(stem[:_MIN_COMMON], ())):
            best[at] = 1.0
    return best


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


def _vectors(
    segment: TokenizedSegment, kept: Sequence[int], vectors: TokenVectors | None
) -> Floats | None:
    if vectors is None or not kept:
        return None
    rows = vectors.get(segment.ids)
    if rows is None:
        return None
    summed = np.add.reduceat(rows, np.flatnonzero(segment.words), axis=0)[list(kept)]
    lengths = np.linalg.norm(summed, axis=1, keepdims=True)
    unit: Floats = (summed / np.maximum(lengths, 1e-6)).astype(np.float32)
    return unit
