"""Spans that are right, found and expected: the one rule of every exact-match figure.

A span is right if an annotated one has its type and both its ends. Each side is a set: what stands
twice counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from framelens.schema import SPAN_TYPES, SpanType
from framelens_training.corpora.labelled import LAYER_OF, LabelledDocument
from framelens_training.predictions import SpanKey, answerable, gold_spans

SpanCounts = tuple[int, int, int]
"""Spans that are right, found and expected, as `evaluation.span_f1` takes them."""

Key = TypeVar("Key", bound=tuple[int, str, int, int])
"""Where a span stands, its type, its start and its end."""


def exact_matches(
    gold: Iterable[Key], found: Iterable[Key], kinds: Iterable[SpanType]
) -> dict[SpanType, SpanCounts]:
    """The spans of one document, counted by type."""
    expected, answered = set(gold), set(found)
    counts: dict[SpanType, SpanCounts] = {}
    for kind in kinds:
        ours, theirs = ({key for key in side if key[1] == kind} for side in (answered, expected))
        counts[kind] = len(ours & theirs), len(ours), len(theirs)
    return counts


def answered_matches(
    document: LabelledDocument, found: Sequence[SpanKey]
) -> dict[SpanType, SpanCounts]:
    """A model's spans of a document, counted by each type that its annotators looked at.

    Loaded ones where the words are open do not count (`answerable`).
    """
    kinds = [kind for kind in SPAN_TYPES if LAYER_OF[kind] in document.annotated]
    return exact_matches(gold_spans(document), answerable(document, found), kinds)


def summed(documents: Iterable[Mapping[SpanType, SpanCounts]]) -> dict[SpanType, SpanCounts]:
    """The counts of several documents, of the types that are counted in any."""
    totals: dict[SpanType, SpanCounts] = {}
    for counts in documents:
        for kind, (right, found, expected) in counts.items():
            before = totals.get(kind, (0, 0, 0))
            totals[kind] = before[0] + right, before[1] + found, before[2] + expected
    return {kind: totals[kind] for kind in SPAN_TYPES if kind in totals}
