"""Pairs of texts that are nearly the same: MinHash and LSH find candidates, exact counts decide.

Similarity is the Jaccard index of the sets of five-character shingles of a text's wording
(case, spacing and punctuation aside; Broder 1997). MinHash is rensa's: on the 58,792 distinct
segments of six words or more of all corpora, rensa needs 2.7 s where datasketch needs 25.5 s,
and both find the same 225 pairs (benchmarks/near_duplicates.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SIMILARITY = 0.8
"""Least Jaccard index of near-duplicates."""

_SHINGLE = 5
_PERMUTATIONS = 128
_BANDS = 32
"""Of four rows each: a pair at similarity .8 is missed once in twenty million (1 - .8^4, to the
power of 32), and one in four of those at .3 is looked at in vain."""
_SEED = 13
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts by index, `first < second`, and their Jaccard index."""

    first: int
    second: int
    similarity: float


def near_duplicates(wordings: Sequence[str]) -> list[Pair]:
    """Every pair of distinct wordings (`reading.wording`) at least so similar, in order."""
    import rensa

    index = rensa.RMinHashLSH(SIMILARITY, _PERMUTATIONS, _BANDS)
    sketches: list[object] = []
    for batch in _batches(wordings):
        sketches += rensa.RMinHash.from_token_sets(batch, _PERMUTATIONS, _SEED)
    index.insert_many(sketches)
    pairs: list[Pair] = []
    for first, found in enumerate(index.query_all(sketches)):
        candidates = sorted(second for second in found if second > first)
        own = shingles(wordings[first]) if candidates else set()
        for second in candidates:
            exact = jaccard(own, shingles(wordings[second]))
            if exact >= SIMILARITY:
                pairs.append(Pair(first, second, exact))
    return pairs


def _batches(wordings: Sequence[str]) -> Iterator[list[list[str]]]:
    # The shingles of all texts at once would be many times the size of the texts.
    for start in range(0, len(wordings), _BATCH):
        yield [list(shingles(text)) for text in wordings[start : start + _BATCH]]


def shingles(wording: str) -> set[str]:
    """All runs of five characters; the whole text if it is shorter."""
    last = max(1, len(wording) - _SHINGLE + 1)
    return {wording[at : at + _SHINGLE] for at in range(last)}


def jaccard(left: set[str], right: set[str]) -> float:
    """Size of the intersection over size of the union."""
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared)
