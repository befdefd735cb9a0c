"""From one tokenizer's words to another's: what a teacher says of a word, at the student's word.

Logits of words are read at first pieces and logits of segments at separators, so that a teacher
with another tokenizer can still be listened to: only the words have to be matched, by their
offsets in the segment's text.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framelens.decoding import DocumentLogits, word_offsets
from framelens.features import DocumentFeatures, TokenizedSegment
from framelens.schema import ATTRIBUTION_TYPES, AXES, BIO_TAGS, SPAN_LOGITS
from framelens_training.config import LossPart

SIZE = len(AXES) + len(SPAN_LOGITS)
"""Columns of soft targets: the axes' logits, then the span logits."""

Halves = NDArray[np.float16]
_BEGIN, _INSIDE = (slice(first, 1 + 2 * len(ATTRIBUTION_TYPES), 2) for first in (1, 2))
"""Columns of the tags that begin spans, and of those that continue them."""
_NEVER = -50.0
"""Logit of a tag that cannot stand where it is."""


@dataclass(frozen=True, slots=True)
class WordAnswers:
    """A teacher's logits for one segment, word by word; NaN where it has no answer.

    `axes` has shape (3,), columns in `AXES` order; `starts` and `ends` have shape (w,), in code
    points of the segment's text; `words` has shape (w, 8), columns in `SPAN_LOGITS` order.
    """

    axes: Halves
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    words: Halves


SILENCE = WordAnswers(
    np.full(len(AXES), np.nan, np.float16),
    np.zeros(0, np.int32),
    np.zeros(0, np.int32),
    np.zeros((0, len(SPAN_LOGITS)), np.float16),
)
"""No answer for a segment, whatever its words."""


def word_answers(features: DocumentFeatures, logits: DocumentLogits) -> list[WordAnswers]:
    """Keep of a document's logits what stands at segments and at first pieces of words."""
    found: list[WordAnswers] = []
    for segment, axes, tokens in zip(
        features.segments, logits.segments, logits.tokens, strict=True
    ):
        starts, ends = word_offsets(segment)
        found.append(
            WordAnswers(
                axes.astype(np.float16),
                starts.astype(np.int32),
                ends.astype(np.int32),
                tokens[segment.words].astype(np.float16),
            )
        )
    return found


def limited(answers: WordAnswers, parts: Collection[LossPart]) -> WordAnswers:
    """The answers of some parts; NaN in the columns of all others."""
    axes, words = answers.axes.copy(), answers.words.copy()
    axes[[axis not in parts for axis in AXES]] = np.nan
    if "attribution_spans" not in parts:
        words[:, : len(BIO_TAGS)] = np.nan
    if "loaded_spans" not in parts:
        words[:, len(BIO_TAGS) :] = np.nan
    return replace(answers, axes=axes, words=words)


def aligned(answers: WordAnswers, segment: TokenizedSegment) -> Halves:
    """Logits (w, 8) at the words of another tokenization of the same text.

    Each word gets the answer of the teacher's word that holds its first character. Where the
    teacher's word is the longer one, only the first of the words in it can begin a span.
    """
    starts, _ = word_offsets(segment)
    found = np.full((len(starts), len(SPAN_LOGITS)), np.nan, dtype=np.float16)
    if not len(answers.starts):
        return found
    place = np.searchsorted(answers.starts, starts, side="right") - 1
    inside = (place >= 0) & (starts < answers.ends[place])
    found[inside] = answers.words[place[inside]]
    later = np.flatnonzero(inside[1:] & inside[:-1] & (place[1:] == place[:-1])) + 1
    found[later] = moved(found[later], beginning=False)
    return found


def moved(words: Halves, *, beginning: bool) -> Halves:
    """Logits (w, 8) of words that can only begin a span, or only continue one.

    The other tag's probability goes to the one that is left.
    """
    shifted = words.astype(np.float32)
    begin, inside = shifted[:, _BEGIN], shifted[:, _INSIDE]  # views
    keep, drop = (begin, inside) if beginning else (inside, begin)
    with np.errstate(invalid="ignore"):
        keep[:] = np.logaddexp(begin, inside)  # NaN where either is
    drop[~np.isnan(drop)] = _NEVER
    return shifted.astype(np.float16)


def pooled(several: Sequence[WordAnswers], preferred: Collection[int]) -> list[WordAnswers]:
    """Answers of teachers that read the same words as one, their mean; otherwise as they are.

    The mean is that of the `preferred` ones, by number; what none of these answers is the mean
    of all.
    """
    first = several[0]
    if not all(
        np.array_equal(other.starts, first.starts) and np.array_equal(other.ends, first.ends)
        for other in several[1:]
    ):
        return list(several)
    axes = preferred_mean([given.axes for given in several], preferred)
    words = preferred_mean([given.words for given in several], preferred)
    return [replace(first, axes=axes, words=words)]


def preferred_mean(several: Sequence[Halves], preferred: Collection[int]) -> Halves:
    """Mean of the `preferred` answers, by number, and of all where none of these has any."""
    first = [given for number, given in enumerate(several) if number in preferred]
    if not first or len(first) == len(several):
        return mean_answers(several)
    found = mean_answers(first)
    missing = np.isnan(found)
    return np.where(missing, mean_answers(several), found) if missing.any() else found


def mean_answers(several: Sequence[Halves]) -> Halves:
    """Mean of the teachers' logits, over those that have an answer; NaN where none has."""
    if len(several) == 1:
        return several[0]
    stacked = np.stack(several, dtype=np.float32)
    mean: NDArray[np.floating[Any]] = stacked.mean(axis=0)
    if not np.isnan(mean).any():
        return mean.astype(np.float16)
    known = ~np.isnan(stacked)
    total = np.where(known, stacked, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean.astype(np.float16)
