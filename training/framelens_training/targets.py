"""From gold labels to what the network should say at each position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framelens.decoding import word_offsets
from framelens.features import DocumentFeatures, Featurizer, TokenizedSegment, WindowFeatures
from framelens.schema import ATTRIBUTION_TYPES, AXES, Role
from framelens_training.corpora.labelled import GoldSegment, GoldSpan, LabelledDocument
from framelens_training.model import IGNORE


@dataclass(frozen=True, slots=True)
class SegmentTargets:
    """Targets of one segment.

    `axes` and `weights` have shape (3,), weight 0 where an axis is not supervised; `tags`
    (index into `BIO_TAGS`) and `loaded` have shape (n,), `IGNORE` at pieces that do not begin
    a word and wherever the corpus has no such annotation.
    """

    axes: NDArray[np.float32]
    weights: NDArray[np.float32]
    tags: NDArray[np.int64]
    loaded: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelledFeatures:
    """A document as the network sees it, with the targets of its segments."""

    document: LabelledDocument
    features: DocumentFeatures
    targets: tuple[SegmentTargets, ...]


@dataclass(frozen=True, slots=True)
class LabelledWindow:
    """One window and the targets at its positions.

    `axes` and `weights` have shape (t, 3), filled at separators; `tags` and `loaded` have
    shape (t,).
    """

    features: WindowFeatures
    axes: NDArray[np.float32]
    weights: NDArray[np.float32]
    tags: NDArray[np.int64]
    loaded: NDArray[np.int64]


def role_of(segment: GoldSegment) -> Role:
    """A segment of the headline field is a headline; every other is body."""
    return "headline" if segment.field == "headline" else "body"


def featurize_document(document: LabelledDocument, featurizer: Featurizer) -> LabelledFeatures:
    """Features of a document's gold segments, with their targets."""
    texts = [document.segment_text(segment) for segment in document.segments]
    roles = [role_of(segment) for segment in document.segments]
    features = featurizer.featurize(texts, roles)
    return LabelledFeatures(document, features, tuple(targets(document, features.segments)))


def targets(
    document: LabelledDocument, segments: Sequence[TokenizedSegment]
) -> list[SegmentTargets]:
    """Targets of every segment of a document.

    A word belongs to the span that covers more than half of its characters. A span that
    began in an earlier segment continues with `I-` tags.
    """
    spans = sorted(document.spans, key=lambda span: span.start)
    found: list[SegmentTargets] = []
    for gold, segment in zip(document.segments, segments, strict=True):
        near = [
            span
            for span in spans
            if span.field == gold.field and span.start < gold.end and span.end > gold.start
        ]
        found.append(
            SegmentTargets(
                *_axis_targets(document, gold),
                _tags(document, gold, segment, near),
                _loaded(document, gold, segment, near),
            )
        )
    return found


def _axis_targets(
    document: LabelledDocument, gold: GoldSegment
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    answers = np.zeros(len(AXES), dtype=np.float32)
    weights = np.zeros(len(AXES), dtype=np.float32)
    for column, axis in enumerate(AXES):
        answer = gold.axis(axis)
        if axis in document.annotated and answer is not None:
            answers[column] = answer
            weights[column] = gold.weights.get(axis, 1.0)
    return answers, weights


def _tags(
    document: LabelledDocument,
    gold: GoldSegment,
    segment: TokenizedSegment,
    spans: Sequence[GoldSpan],
) -> NDArray[np.int64]:
    tags = np.full(len(segment.ids), IGNORE, dtype=np.int64)
    if "attribution_spans" not in document.annotated:
        return tags
    heads = np.flatnonzero(segment.words)
    tags[heads] = 0
    for span in spans:
        if span.type == "loaded":
            continue
        inside = heads[_covered(gold, segment, span)]
        begin = 1 + 2 * ATTRIBUTION_TYPES.index(span.type)
        tags[inside] = begin + 1
        if len(inside) and span.start >= gold.start:
            tags[inside[0]] = begin
    return tags


def _loaded(
    document: LabelledDocument,
    gold: GoldSegment,
    segment: TokenizedSegment,
    spans: Sequence[GoldSpan],
) -> NDArray[np.int64]:
    flags = np.full(len(segment.ids), IGNORE, dtype=np.int64)
    if "loaded_spans" not in document.annotated:
        return flags
    heads = np.flatnonzero(segment.words)
    flags[heads] = 0
    for span in spans:
        if span.type == "loaded":
            flags[heads[_covered(gold, segment, span)]] = 1
    return flags


def _covered(gold: GoldSegment, segment: TokenizedSegment, span: GoldSpan) -> NDArray[np.bool_]:
    """Which words of a segment have more than half of their characters in a span."""
    starts, ends = word_offsets(segment)
    low, high = span.start - gold.start, span.end - gold.start
    shared = np.minimum(ends, high) - np.maximum(starts, low)
    return 2 * shared > ends - starts


def unsupervised(segment: TokenizedSegment) -> SegmentTargets:
    """Targets of a segment that is there for company only: everything masked."""
    nothing = np.zeros(len(AXES), dtype=np.float32)
    masked = np.full(len(segment.ids), IGNORE, dtype=np.int64)
    return SegmentTargets(nothing, nothing, masked, masked)


def labelled_window(
    window: WindowFeatures, segment_targets: Sequence[SegmentTargets]
) -> LabelledWindow:
    """Lay a window's targets out at its positions.

    The window's first word cannot continue what the window does not show, so that a leading
    `I-` becomes `B-` there.
    """
    size = len(window.input_ids)
    axes = np.zeros((size, len(AXES)), dtype=np.float32)
    weights = np.zeros((size, len(AXES)), dtype=np.float32)
    tags = np.full(size, IGNORE, dtype=np.int64)
    loaded = np.full(size, IGNORE, dtype=np.int64)
    for piece, position in zip(window.pieces, window.positions, strict=True):
        target = segment_targets[piece.segment]
        stop = position + piece.size
        tags[position:stop] = target.tags[piece.start : piece.end]
        loaded[position:stop] = target.loaded[piece.start : piece.end]
        axes[stop], weights[stop] = target.axes, target.weights
    supervised = np.flatnonzero(tags != IGNORE)
    if len(supervised):
        first = supervised[0]
        if tags[first] > 0 and tags[first] % 2 == 0:
            tags[first] -= 1
    return LabelledWindow(window, axes, weights, tags, loaded)
