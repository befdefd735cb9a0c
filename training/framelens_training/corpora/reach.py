"""Gold that training never sees as it was annotated: what windows cut or leave out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from framelens.decoding import word_offsets
from framelens.features import DocumentFeatures, FeatureConfig, Featurizer
from framelens.windows import MAX_TOKENS
from framelens_training.corpora.labelled import GoldSegment, GoldSpan, LabelledDocument
from framelens_training.packaged_encoders import packaged_folder

Reason = Literal["outside", "no word", "longer than a window"]


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A gold span that no window can show whole, and why."""

    span: GoldSpan
    reason: Reason


@dataclass(frozen=True, slots=True)
class Examined:
    """What the windows make of a document.

    `tokens` has the number of word pieces of each segment, `long` the index of each segment
    that does not fit into one window.
    """

    tokens: tuple[int, ...]
    long: tuple[int, ...]
    unreachable: tuple[Unreachable, ...]


def default_featurizer(max_tokens: int = MAX_TOKENS) -> Featurizer:
    """The features of the packaged encoder, without loading its network.

    Raises:
        ValueError: if a window of so many tokens could not hold a segment.
    """
    config = FeatureConfig(max_tokens=max_tokens, overlap=min(64, max(0, max_tokens - 3)))
    return Featurizer.from_file(packaged_folder("minilm-l6") / "tokenizer.json", config)


def examine(document: LabelledDocument, featurizer: Featurizer) -> Examined:
    """Pack a document's segments as training does, and look for its spans in the windows."""
    texts = [document.segment_text(segment) for segment in document.segments]
    features = featurizer.featurize(
        texts, ["headline" if s.field == "headline" else "body" for s in document.segments]
    )
    tokens = tuple(len(segment.ids) for segment in features.segments)
    capacity = featurizer.config.max_tokens - 2
    pieces: dict[int, list[tuple[int, int]]] = {}
    for window in features.windows:
        for piece in window.pieces:
            pieces.setdefault(piece.segment, []).append((piece.start, piece.end))
    found = [
        Unreachable(span, reason)
        for span in document.spans
        if (reason := _reason(document, span, features, pieces)) is not None
    ]
    long = tuple(i for i, size in enumerate(tokens) if size > capacity)
    return Examined(tokens, long, tuple(found))


def _reason(
    document: LabelledDocument,
    span: GoldSpan,
    features: DocumentFeatures,
    pieces: dict[int, list[tuple[int, int]]],
) -> Reason | None:
    near = [
        (index, segment)
        for index, segment in enumerate(document.segments)
        if segment.field == span.field and segment.start < span.end and segment.end > span.start
    ]
    if _reaches_out(document, span, [segment for _, segment in near]):
        return "outside"
    words = 0
    for index, segment in near:
        tokenized = features.segments[index]
        if not len(tokenized.ids):
            continue
        starts, ends = word_offsets(tokenized)
        low, high = span.start - segment.start, span.end - segment.start
        # The rule of framelens_training.targets: a word belongs to the span that has most of it.
        inside = np.flatnonzero(
            2 * (np.minimum(ends, high) - np.maximum(starts, low)) > ends - starts
        )
        if not len(inside):
            continue
        words += len(inside)
        heads = np.append(np.flatnonzero(tokenized.words), len(tokenized.ids))
        first, last = int(heads[inside[0]]), int(heads[inside[-1] + 1])
        if not any(start <= first and last <= end for start, end in pieces[index]):
            return "longer than a window"
    return None if words else "no word"


def _reaches_out(
    document: LabelledDocument, span: GoldSpan, segments: Sequence[GoldSegment]
) -> bool:
    """Whether a span has a character, white space aside, that is in no segment."""
    text = document.field_text(span.field)
    at = span.start
    for segment in sorted(segments, key=lambda s: s.start):
        if text[at : segment.start].strip():
            return True
        at = max(at, segment.end)
    return bool(text[at : span.end].strip())
