"""From gold labels to what the network should say at each position."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from framelens.decoding import word_offsets
from framelens.features import DocumentFeatures, Featurizer, TokenizedSegment, WindowFeatures
from framelens.schema import ATTRIBUTION_TYPES, AXES, BIO_TAGS, Role
from framelens_training.alignment import SIZE, Halves, moved
from framelens_training.config import LOSS_PARTS, LossPart
from framelens_training.corpora.labelled import (
    FIELDS,
    LAYER_OF,
    GoldSegment,
    GoldSpan,
    LabelledDocument,
)

IGNORE = -100
"""The target of a position that is not supervised."""


@dataclass(frozen=True, slots=True)
class SoftTargets:
    """What teachers say of one segment, as logits: NaN where they say nothing.

    `axes` has shape (3,), columns in `AXES` order; `words` has shape (n, 8), columns in
    `SPAN_LOGITS` order, NaN at pieces that do not begin a word.
    """

    axes: Halves
    words: Halves


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
    soft: SoftTargets | None = None


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
    shape (t,). `soft` has shape (t, 11), the axes' logits at separators and the span logits at
    first pieces of words, NaN elsewhere; it is there only where a teacher spoke.
    """

    features: WindowFeatures
    axes: NDArray[np.float32]
    weights: NDArray[np.float32]
    tags: NDArray[np.int64]
    loaded: NDArray[np.int64]
    soft: Halves | None = None


def role_of(segment: GoldSegment) -> Role:
    """A segment of the headline field is a headline; every other is body."""
    return "headline" if segment.field == "headline" else "body"


def is_article_text(document: LabelledDocument, segment: GoldSegment) -> bool:
    """Whether a segment is no page furniture though nobody was asked about that.

    Of the segments that anybody labelled these are: headlines, what is attributed or framed
    (furniture has no voice), and a sentence that was judged for framing on its own, which
    somebody took out of an article for that.
    """
    asked = document.annotated
    if not asked or ("boilerplate" in asked and segment.counted("boilerplate") is not None):
        return False
    attributed = segment.counted("attributed") if "attributed" in asked else None
    framed = segment.counted("framed") if "framed" in asked else None
    judged_alone = framed is not None and len(document.segments) == 1
    return bool(segment.field == "headline" or attributed or framed or judged_alone)


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

    A word belongs to the span that covers more than half of its characters. A span that has
    words in an earlier segment continues with `I-` tags. Where it is open whether a segment is
    framed, and no word in it is marked as loaded, its words are open as well.
    """
    near = _spans_of_segments(document)
    found: list[SegmentTargets] = []
    begun: set[GoldSpan] = set()
    for gold, segment, spans in zip(document.segments, segments, near, strict=True):
        tags, loaded = _span_targets(document, gold, segment, spans, begun)
        found.append(SegmentTargets(*_axis_targets(document, gold), tags, loaded))
    return found


def learnt_parts(
    documents: Iterable[LabelledFeatures], *, labels: bool = True, answers: bool = True
) -> tuple[LossPart, ...]:
    """The parts of the loss for which any label or teacher's answer is there, as far as these count
    in it.
    """
    found: set[LossPart] = set()
    for document in documents:
        for target in document.targets:
            if labels:
                found |= {
                    axis
                    for axis, weight in zip(AXES, target.weights, strict=True)
                    if weight and axis in document.document.annotated
                }
                if (target.tags != IGNORE).any():
                    found.add("attribution_spans")
                if (target.loaded != IGNORE).any():
                    found.add("loaded_spans")
            if answers and target.soft is not None:
                known = ~np.isnan(target.soft.axes)
                found |= {axis for axis, is_known in zip(AXES, known, strict=True) if is_known}
                words = ~np.isnan(target.soft.words)
                if words[:, : len(BIO_TAGS)].any():
                    found.add("attribution_spans")
                if words[:, len(BIO_TAGS) :].any():
                    found.add("loaded_spans")
    return tuple(part for part in LOSS_PARTS if part in found)


def _spans_of_segments(document: LabelledDocument) -> list[list[GoldSpan]]:
    """The spans that touch each segment, by start; one sweep over each field."""
    near: list[list[GoldSpan]] = [[] for _ in document.segments]
    for name in FIELDS:
        spans = sorted((s for s in document.spans if s.field == name), key=lambda s: s.start)
        order = [i for i, segment in enumerate(document.segments) if segment.field == name]
        order.sort(key=lambda i: document.segments[i].start)
        following = iter([*spans, None])
        upcoming = next(following)
        touching: list[GoldSpan] = []
        for index in order:
            segment = document.segments[index]
            while upcoming is not None and upcoming.start < segment.end:
                touching.append(upcoming)
                upcoming = next(following)
            touching = [span for span in touching if span.end > segment.start]
            near[index] = list(touching)
    return near


def _axis_targets(
    document: LabelledDocument, gold: GoldSegment
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    answers = np.zeros(len(AXES), dtype=np.float32)
    weights = np.zeros(len(AXES), dtype=np.float32)
    for column, axis in enumerate(AXES):
        answer = gold.counted(axis)
        if axis in document.annotated and answer is not None:
            answers[column] = answer
            weights[column] = gold.weights.get(axis, 1.0)
        elif axis == "boilerplate" and is_article_text(document, gold):
            weights[column] = 1.0
    return answers, weights


def _span_targets(
    document: LabelledDocument,
    gold: GoldSegment,
    segment: TokenizedSegment,
    spans: Sequence[GoldSpan],
    begun: set[GoldSpan],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tags and `loaded` flags of one segment's pieces.

    `begun` holds the attribution spans with words in segments before, and gets those of this one.
    """
    tags = np.full(len(segment.ids), IGNORE, dtype=np.int64)
    loaded = tags.copy()
    heads = np.flatnonzero(segment.words)
    if "attribution_spans" in document.annotated:
        tags[heads] = 0
    is_marked = any(span.type == "loaded" for span in spans)
    if "loaded_spans" in document.annotated and (is_marked or not framing_is_open(document, gold)):
        loaded[heads] = 0
    starts, ends = word_offsets(segment) if spans else (heads, heads)
    for span in spans:
        if LAYER_OF[span.type] not in document.annotated:
            continue
        # The words of which more than half of the characters lie in the span.
        low, high = span.start - gold.start, span.end - gold.start
        shared = np.minimum(ends, high) - np.maximum(starts, low)
        inside = heads[2 * shared > ends - starts]
        if span.type == "loaded":
            loaded[inside] = 1
            continue
        begin = 1 + 2 * ATTRIBUTION_TYPES.index(span.type)
        tags[inside] = begin + 1
        if len(inside) and span not in begun:
            tags[inside[0]] = begin
            begun.add(span)
    return tags, loaded


def framing_is_open(document: LabelledDocument, gold: GoldSegment) -> bool:
    """Whether annotators were asked about framing, and nobody can tell whether a segment has it."""
    is_asked = "framed" in document.annotated
    return is_asked and gold.counted("framed") is None and not gold.boilerplate


def with_soft_labels(item: LabelledFeatures) -> LabelledFeatures:
    """A document whose labels are probabilities, which are their confidences, all of one weight.

    A no of confidence .7 becomes the answer .3. What is masked stays masked.
    """
    return replace(item, targets=tuple(map(_softened, item.targets)))


def _softened(target: SegmentTargets) -> SegmentTargets:
    confidence = target.weights
    known = confidence > 0
    answers = np.where(target.axes > 0.5, confidence, 1 - confidence)
    return replace(
        target,
        axes=np.where(known, answers, 0).astype(np.float32),
        weights=known.astype(np.float32),
    )


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
    soft = _soft_at_positions(window, segment_targets)
    return LabelledWindow(window, axes, weights, tags, loaded, soft)


def _soft_at_positions(
    window: WindowFeatures, segment_targets: Sequence[SegmentTargets]
) -> Halves | None:
    """Soft targets (t, 11) of a window, or None where no segment of it has any."""
    if all(segment_targets[piece.segment].soft is None for piece in window.pieces):
        return None
    soft = np.full((len(window.input_ids), SIZE), np.nan, dtype=np.float16)
    axes, words = soft[:, : len(AXES)], soft[:, len(AXES) :]
    for piece, position in zip(window.pieces, window.positions, strict=True):
        given = segment_targets[piece.segment].soft
        if given is None:
            continue
        stop = position + piece.size
        axes[stop] = given.axes
        words[position:stop] = given.words[piece.start : piece.end]
    known = np.flatnonzero(~np.isnan(words[:, 0]) | ~np.isnan(words[:, -1]))
    if len(known):
        words[known[:1]] = moved(words[known[:1]], beginning=True)
    return soft
