"""Spans by their own probability: forward-backward over a linear chain of BIO tags.

The likeliest sequence of tags as a whole (Viterbi) is not the best answer where spans are counted
one by one: it gives a span with every border in doubt as long as no other sequence is likelier.
Here each span gets the probability that just it is there, the sum over all sequences that have it
(Culotta and McCallum 2004, "Confidence Estimation for Information Extraction"), and is given if
that is high enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framelens.schema import ATTRIBUTION_TYPES, BIO_TAGS

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_DEEPEST = 20.0
"""Logits count as at most so far below the best of their word, so that no product becomes 0."""
_BLOCK = 32
"""Words of a block. Blocks are gone through side by side, words within them one by one."""
_TAGS = len(BIO_TAGS)
_TYPES = len(ATTRIBUTION_TYPES)
_BEGINS = slice(1, _TAGS, 2)
_INSIDES = slice(2, _TAGS, 2)


@dataclass(frozen=True, slots=True)
class ChainSpan:
    """Words `start` up to `end` of a sequence are a span of type `ATTRIBUTION_TYPES[kind]`."""

    kind: int
    start: int
    end: int
    probability: float


def _transitions() -> Floats:
    """(7, 7) matrix of allowed moves: `I-x` follows only `B-x` or `I-x`."""
    allowed = np.zeros((_TAGS, _TAGS), dtype=np.float32)
    for inside in range(2, _TAGS, 2):
        allowed[:, inside] = -math.inf
        allowed[[inside - 1, inside], inside] = 0.0
    return allowed


TRANSITIONS = _transitions()


def spans_of_sequences(
    sequences: Sequence[Floats],
    transitions: Sequence[Sequence[float]] | Floats = (),
    thresholds: Sequence[float] = (0.5,) * _TYPES,
) -> list[list[ChainSpan]]:
    """The spans of each sequence, by start, that are at least as likely as their type's threshold.

    Each of `sequences` has shape (n, 7), logits of `BIO_TAGS`; `transitions` (7, 7) or none at
    all for zeros; `thresholds` are in `ATTRIBUTION_TYPES` order. Of spans that overlap, the
    likeliest is given. Before a sequence and after it all is outside. What a sequence gets does not
    depend on what stands beside it, to the last bit.
    """
    scores = TRANSITIONS.astype(np.float64)
    if len(transitions):
        scores = scores + np.asarray(transitions, dtype=np.float64)
    found: list[list[ChainSpan]] = [[] for _ in sequences]
    blocks = [-(-(len(s) + 1) // _BLOCK) if len(s) else 0 for s in sequences]
    if not sum(blocks):
        return found
    bases = np.cumsum([0, *blocks]) * _BLOCK
    begins, stays = _posteriors(_weights(sequences, bases), blocks, np.exp(scores))
    likely = _without_overlaps(_candidates(begins, stays, np.asarray(thresholds)), int(bases[-1]))
    owners = np.searchsorted(bases, [span.start for span in likely], "right") - 1
    for span, owner in zip(likely, owners.tolist(), strict=True):
        base = int(bases[owner])
        found[owner].append(
            ChainSpan(span.kind, span.start - base, span.end - base, span.probability)
        )
    return found


def _weights(sequences: Sequence[Floats], bases: NDArray[np.int64]) -> Doubles:
    """(t, 7) exponentials of the logits; after each sequence at least one word that is outside."""
    weights = np.zeros((int(bases[-1]), _TAGS))
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
    far. `weights` (t, 7) holds one sequence after the other, each of so many whole `blocks`.

    Sums and products of elements alone, no product of matrices: its rounding may depend on how many
    there are, and with it on the company that a sequence has.
    """
    given = np.ascontiguousarray(weights.reshape(-1, _BLOCK, _TAGS).transpose(1, 2, 0))
    forward, following = _borders(given, blocks, moves)
    before, after, into = np.empty_like(given), np.empty_like(given), np.empty_like(given)
    wide = moves[:, :, np.newaxis]
    for step in range(_BLOCK):
        forward = (wide * forward[:, np.newaxis]).sum(axis=0) * given[step]
        forward /= forward.sum(axis=0)
        before[step] = forward
    for step in range(_BLOCK - 1, -1, -1):
        after[step] = following
        following = (wide * (following * given[step])).sum(axis=1)
        into[step] = following  # what may come from there on, after each tag of the word before
        following = following / following.max(axis=0)
    both = before * after
    begins = both[:, _BEGINS] / both.sum(axis=1, keepdims=True)
    ahead = after[:, _INSIDES] * given[:, _INSIDES]
    own = moves[range(1, _TAGS, 2), range(2, _TAGS, 2)], np.diagonal(moves)[_INSIDES]
    stays = np.stack(
        [
            ahead * row[:, np.newaxis] / into[:, which]
            for row, which in zip(own, (_BEGINS, _INSIDES), strict=True)
        ],
        axis=1,
    )
    words = len(weights)
    return (
        begins.transpose(2, 0, 1).reshape(words, _TYPES),
        stays.transpose(3, 0, 1, 2).reshape(words, 2, _TYPES),
    )


def _borders(given: Doubles, blocks: Sequence[int], moves: Doubles) -> tuple[Doubles, Doubles]:
    """(7, n) for n blocks: tags of the word before each, and what comes after its last word.

    Of a block that has neighbours, all ways through it are summed up by first and last tag, so
    that what comes from its left and right is known before its words are gone through.
    """
    count = given.shape[2]
    forward, following = np.zeros((_TAGS, count)), np.ones((_TAGS, count))
    last = np.cumsum(blocks) - 1
    forward[0, np.concatenate(([0], last[:-1] + 1))[np.array(blocks) > 0]] = 1.0
    if max(blocks) == 1:
        return forward, following
    chosen = [
        block
        for end, size in zip(last.tolist(), blocks, strict=True)
        if size > 1
        for block in range(end + 1 - size, end + 1)
    ]
    part = given[:, :, chosen]
    through = moves[:, :, np.newaxis] * part[0]
    for step in range(1, _BLOCK):
        through = (through[:, :, np.newaxis] * moves[:, :, np.newaxis]).sum(axis=1) * part[step]
        through /= through.max(axis=(0, 1))
    ways = dict(zip(chosen, np.ascontiguousarray(through.transpose(2, 0, 1)), strict=True))
    for end, size in zip(last.tolist(), blocks, strict=True):
        for block in range(end + 1 - size, end):
            reached = (forward[:, block, np.newaxis] * ways[block]).sum(axis=0)
            forward[:, block + 1] = reached / reached.sum()
        for block in range(end, end + 1 - size, -1):
            open_ways = (ways[block] * following[:, block]).sum(axis=1)
            following[:, block - 1] = open_ways / open_ways.max()
    return forward, following


def _candidates(begins: Doubles, stays: Doubles, thresholds: Doubles) -> list[ChainSpan]:
    """All spans that are likely enough; a sequence is followed by a word at which none goes on."""
    found: list[ChainSpan] = []
    # The spans that are being followed, word by word from their first one on.
    starts, kinds = np.nonzero(begins >= thresholds)
    at, reached = starts, begins[starts, kinds]
    later = 0  # whether a word before was the span's first
    while len(at):
        onward = stays[at + 1, later, kinds]
        ended = reached * (1.0 - onward)
        rows = np.flatnonzero(ended >= thresholds[kinds])
        found += map(
            ChainSpan,
            kinds[rows].tolist(),
            starts[rows].tolist(),
            (at[rows] + 1).tolist(),
            ended[rows].tolist(),
        )
        reached = reached * onward
        kept = reached >= thresholds[kinds]
        at, starts, kinds, reached = at[kept] + 1, starts[kept], kinds[kept], reached[kept]
        later = 1
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
