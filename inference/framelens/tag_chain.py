"""Spans by their own probability: forward-backward over a linear chain of BIO tags.

The likeliest sequence of tags as a whole (Viterbi) is not the best answer where spans are counted
one by one: it gives a span with every border in doubt as long as no other sequence is likelier.
Here each span gets the probability that just it is there, the sum over all sequences that have it
(Culotta and McCallum 2004, "Confidence Estimation for Information Extraction"), and is given if
that is high enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framelens.schema import ATTRIBUTION_TYPES

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]

_DEEPEST = 20.0
"""Logits count as at most so far below the best of their word, so that no product becomes 0."""
_LEAST = 1e-6
"""Spans of a threshold below are followed no further, were it 0."""
_ROUNDING = 1e-6
_sum = np.add.reduce  # without what its method looks up at each call
_SLAB = 256
"""Blocks that are gone through side by side: of more, intermediate results leave the cache."""
_BLOCK = 12
"""Words of a block. Blocks are gone through side by side, words within them one by one."""


@dataclass(frozen=True, slots=True)
class ChainSpan:
    """Words `start` up to `end` of a sequence are a span of the type with this number."""

    kind: int
    start: int
    end: int
    probability: float


def _moves(types: int, *, touching: bool) -> Floats:
    """0 for moves from row to column that are allowed, else minus infinity.

    `I-x` follows only `B-x` or `I-x`; where spans do not touch, `B-x` only what is outside.
    """
    moves = np.zeros((1 + 2 * types, 1 + 2 * types), dtype=np.float32)
    for inside in range(2, 1 + 2 * types, 2):
        moves[:, inside] = -math.inf
        moves[[inside - 1, inside], inside] = 0.0
    if not touching:
        moves[1:, 1::2] = -math.inf
    return moves


TRANSITIONS = _moves(len(ATTRIBUTION_TYPES), touching=True)
"""(7, 7) moves between `BIO_TAGS`."""
LOADED_TRANSITIONS = _moves(1, touching=False)
"""(3, 3) moves between `LOADED_TAGS`."""


def spans_of_sequences(
    sequences: Sequence[Floats], scores: Floats | Doubles, thresholds: Sequence[float]
) -> list[list[ChainSpan]]:
    """The spans of each sequence, by start, that are at least as likely as their type's threshold.

    Each of `sequences` has shape (n, 1 + 2 k), logits of outside and, for each of k types, of a
    span's first word and of a later one. `scores`, (1 + 2 k, 1 + 2 k), are those of moving from
    row to column, minus infinity for never. Of spans that overlap, the likeliest is given. Before
    a sequence and after it all is outside. What a sequence gets does not depend on what stands
    beside it, to the last bit.
    """
    found: list[list[ChainSpan]] = [[] for _ in sequences]
    blocks = [-(-(len(s) + 1) // _BLOCK) if len(s) else 0 for s in sequences]
    if not sum(blocks):
        return found
    bases = np.cumsum([0, *blocks]) * _BLOCK
    moves = np.where(
        scores == -np.inf, 0.0, np.exp(np.clip(scores.astype(np.float64), -_DEEPEST, _DEEPEST))
    )
    begins, stays = _posteriors(_weights(sequences, bases, len(scores)), blocks, moves)
    likely = _without_overlaps(_candidates(begins, stays, thresholds), int(bases[-1]))
    owners = np.searchsorted(bases, [span.start for span in likely], "right") - 1
    for span, owner in zip(likely, owners.tolist(), strict=True):
        base = int(bases[owner])
        found[owner].append(
            ChainSpan(span.kind, span.start - base, span.end - base, span.probability)
        )
    return found


def without_hope(logits: Floats, ends: Sequence[int], scores: Floats, threshold: float) -> Bools:
    """Which sequences have no span as likely as the threshold, (m,) for m of them.

    `logits`, (n, 3), are those of sequences one after another, each of a word or more, up to
    `ends`, the same for a span's first and later words; spans do not touch. The odds of a span
    against the same words outside are a product over its words and its ends, and here is the
    most that it can come to.
    """
    words = logits[:, 1].astype(np.float64)
    first = np.array([0, *ends[:-1]])
    ends_of_span = scores[0, 1] + max(scores[1, 0], scores[2, 0]) - 2 * scores[0, 0]
    going_on = max(scores[1, 2], scores[2, 2]) - scores[0, 0]
    most = np.maximum.reduceat(words, first) + ends_of_span
    most += np.add.reduceat(np.maximum(words + going_on, 0.0), first)
    likely = min(max(threshold, _LEAST), 1.0 - _LEAST)
    hopeless: Bools = most < math.log(likely / (1.0 - likely)) - _ROUNDING
    return hopeless


def _weights(sequences: Sequence[Floats], bases: NDArray[np.int64], tags: int) -> Doubles:
    """(t, 1 + 2 k) exponentials of the logits; after each sequence a word or more outside."""
    weights = np.zeros((int(bases[-1]), tags))
    weights[:, 0] = 1.0
    for base, logits in zip(bases.tolist(), sequences, strict=False):
        weights[base : base + len(logits)] = np.maximum(
            logits - logits.max(axis=1, keepdims=True), -_DEEPEST
        )
        np.exp(weights[base : base + len(logits)], out=weights[base : base + len(logits)])
    return weights


def _posteriors(weights: Doubles, blocks: Sequence[int], moves: Doubles) -> tuple[Doubles, Doubles]:
    """For each of t words and k types, what the whole sequence says.

    The first, (t, k), is the probability that a span begins there; the second, (t, 2, k), that one
    goes on to there from its first word (row 0) or from a later one (row 1), once it has come so
    far. `weights` (t, 1 + 2 k) holds one sequence after the other, each of so many whole `blocks`.

    Sums and products of elements alone, no product of matrices: its rounding may depend on how many
    there are, and with it on the company that a sequence has.
    """
    words, tags = weights.shape
    given = weights.reshape(-1, _BLOCK, tags).transpose(1, 2, 0)
    forward, following = _borders(given, blocks, moves)
    begins, stays = np.empty((words, tags // 2)), np.empty((words, 2, tags // 2))
    for some in _slabs(given.shape[2]):
        rows = slice(some.start * _BLOCK, some.stop * _BLOCK)
        begins[rows], stays[rows] = _inside_blocks(
            np.ascontiguousarray(given[:, :, some]), forward[:, some], following[:, some], moves
        )
    return begins, stays


def _slabs(count: int) -> Iterator[slice]:
    """Blocks in groups that fit into a cache."""
    for start in range(0, count, _SLAB):
        yield slice(start, min(start + _SLAB, count))


def _inside_blocks(
    given: Doubles, forward: Doubles, following: Doubles, moves: Doubles
) -> tuple[Doubles, Doubles]:
    """What `_posteriors` gives, of some blocks whose borders are known.

    Nothing becomes so small or large within a block that it would have to be scaled.
    """
    length, tags, count = given.shape
    first, later = slice(1, tags, 2), slice(2, tags, 2)
    before, after, into = np.empty_like(given), np.empty_like(given), np.empty_like(given)
    wide = moves[:, :, np.newaxis]
    for step in range(length):
        forward = _sum(wide * forward[:, np.newaxis], axis=0) * given[step]
        before[step] = forward
    for step in range(length - 1, -1, -1):
        after[step] = following
        following = _sum(wide * (following * given[step]), axis=1)
        into[step] = following  # what may come from there on, after each tag of the word before
    both = before * after
    begins = both[:, first] / _sum(both, axis=1, keepdims=True)
    ahead = after[:, later] * given[:, later]
    own = moves[range(1, tags, 2), range(2, tags, 2)], np.diagonal(moves)[later]
    stays = np.stack(
        [
            ahead * row[:, np.newaxis] / into[:, which]
            for row, which in zip(own, (first, later), strict=True)
        ],
        axis=1,
    )
    words, types = length * count, tags // 2
    return (
        begins.transpose(2, 0, 1).reshape(words, types),
        stays.transpose(3, 0, 1, 2).reshape(words, 2, types),
    )


def _borders(given: Doubles, blocks: Sequence[int], moves: Doubles) -> tuple[Doubles, Doubles]:
    """(1 + 2 k, n) for n blocks: tags of the word before each, and what comes after its last word.

    Where a sequence has several, all ways through each block are summed up by first and last tag,
    so that what comes from its left and right is known before its words are gone through.
    """
    _, tags, count = given.shape
    forward, following = np.zeros((tags, count)), np.ones((tags, count))
    sizes = np.array([size for size in blocks if size])
    first = np.cumsum(sizes) - sizes
    forward[0, first] = 1.0
    order = np.argsort(-sizes, kind="stable")  # at step k the first active[k] have a k-th block
    first, sizes = first[order], sizes[order]
    longest = int(sizes[0])
    if longest == 1:
        return forward, following
    wide = moves[:, :, np.newaxis]
    through = np.empty((tags, tags, count))
    for some in _slabs(count):
        part = np.ascontiguousarray(given[:, :, some])
        ways = wide * part[0]
        for step in range(1, _BLOCK):
            ways = _sum(ways[:, :, np.newaxis] * wide, axis=1) * part[step]
        through[:, :, some] = ways
    active = np.searchsorted(-sizes, -np.arange(longest), "left").tolist()
    for step in range(1, longest):
        here = first[: active[step]] + step
        reached = _sum(forward[:, np.newaxis, here - 1] * through[:, :, here - 1], axis=0)
        forward[:, here] = reached / _sum(reached, axis=0)
    for step in range(longest - 1, 0, -1):
        here = first[: active[step]] + step
        left = _sum(through[:, :, here] * following[:, here], axis=1)
        following[:, here - 1] = left / _sum(left, axis=0)
    return forward, following


def _candidates(begins: Doubles, stays: Doubles, thresholds: Sequence[float]) -> list[ChainSpan]:
    """All spans that are likely enough; a sequence is followed by a word at which none goes on."""
    found: list[ChainSpan] = []
    for kind, least in enumerate(thresholds):
        threshold = max(least, _LEAST)
        second, later = stays[:, 0, kind].tolist(), stays[:, 1, kind].tolist()
        first = begins[:, kind]
        starts = np.flatnonzero(first >= threshold)
        for start, reached in zip(starts.tolist(), first[starts].tolist(), strict=True):
            end, onward = start + 1, second[start + 1]
            while reached >= threshold:
                ended = reached * (1.0 - onward)
                if ended >= threshold:
                    found.append(ChainSpan(kind, start, end, ended))
                reached *= onward
                end += 1
                onward = later[end] if reached >= threshold else 0.0
    return found


def _without_overlaps(candidates: list[ChainSpan], words: int) -> list[ChainSpan]:
    """The likeliest first, then what does not overlap them; by start."""
    taken = bytearray(words)
    kept: list[ChainSpan] = []
    for span in sorted(candidates, key=lambda c: (-c.probability, c.start, c.end, c.kind)):
        if not any(taken[span.start : span.end]):
            taken[span.start : span.end] = b"\1" * (span.end - span.start)
            kept.append(span)
    return sorted(kept, key=lambda span: span.start)
