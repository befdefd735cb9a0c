"""From logits to labels and spans: plain NumPy, called by serving and by evaluation alike."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framelens.features import DocumentFeatures, TokenizedSegment, WindowFeatures
from framelens.model_settings import DecodingConfig as DecodingConfig
from framelens.schema import (
    ATTRIBUTION_TYPES,
    AXES,
    BIO_TAGS,
    SPAN_LOGITS,
    Axis,
    Label,
    SpanType,
)

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class DocumentLogits:
    """What the network said of a document, window overlaps merged.

    `segments` has shape (s, 3), columns in `AXES` order; `tokens` holds one array (n, 8) a
    segment, columns in `SPAN_LOGITS` order.
    """

    segments: Floats
    tokens: tuple[Floats, ...]


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """Evidence within one segment, in code points of the segment's text."""

    segment: int
    type: SpanType
    start: int
    end: int
    score: float
    continues: bool = False


def sigmoid(x: Floats) -> Floats:
    """Logistic function, without overflow for any finite input."""
    small = np.exp(-np.abs(x))
    probability: Floats = (np.where(x < 0, small, 1.0) / (1.0 + small)).astype(np.float32)
    return probability


def softmax(x: Floats) -> Floats:
    """Softmax over the last axis."""
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    shares: Floats = (exponentials / exponentials.sum(axis=-1, keepdims=True)).astype(np.float32)
    return shares


def merge_windows(
    features: DocumentFeatures, outputs: Sequence[tuple[Floats, Floats]]
) -> DocumentLogits:
    """Put the outputs of a document's windows back into segments.

    `outputs` holds for each window the network's two outputs, of shapes (t, 3) and (t, 8).
    A segment that was cut into pieces gets the mean of its pieces' segment logits, weighted
    by their lengths; a token in two pieces is read where it stands farther from the edge.

    A window's first word cannot be seen to continue what the window before it ends with, and
    the network has learned to call it a beginning. There `I-x` is as good as `B-x`, so that a
    span is joined to one of its type that ends the window before.
    """
    segments = np.zeros((len(features.segments), len(AXES)), dtype=np.float32)
    weights = np.zeros((len(features.segments), 1), dtype=np.float32)
    tokens = [
        np.zeros((len(segment.ids), len(SPAN_LOGITS)), dtype=np.float32)
        for segment in features.segments
    ]
    read: dict[int, int] = {}
    for number, (window, (segment_logits, span_logits)) in enumerate(
        zip(features.windows, outputs, strict=True)
    ):
        if number:
            span_logits = _open_first_word(window, span_logits)
        for piece, position in zip(window.pieces, window.positions, strict=True):
            if piece.size == len(tokens[piece.segment]):  # a whole segment
                segments[piece.segment] = segment_logits[position + piece.size]
                weights[piece.segment] = 1
                tokens[piece.segment][:] = span_logits[position : position + piece.size]
                continue
            weight = max(piece.size, 1)
            segments[piece.segment] += weight * segment_logits[position + piece.size]
            weights[piece.segment] += weight
            shared = max(read.get(piece.segment, 0) - piece.start, 0)  # with the piece before
            skip = shared // 2
            read[piece.segment] = piece.end
            tokens[piece.segment][piece.start + skip : piece.end] = span_logits[
                position + skip : position + piece.size
            ]
    segments /= np.maximum(weights, 1)
    return DocumentLogits(segments, tuple(tokens))


_GOES_ON = 0.01
"""Of two equal readings, one span is likelier than two that touch."""


def _open_first_word(window: WindowFeatures, span_logits: Floats) -> Floats:
    """Span logits in which the first word of a window may continue a span."""
    opened = span_logits.copy()
    first = opened[window.positions[0]]
    begins, insides = slice(1, len(BIO_TAGS), 2), slice(2, len(BIO_TAGS), 2)
    first[insides] = np.maximum(first[begins] + _GOES_ON, first[insides])
    return opened


def axis_scores(logits: Floats, config: DecodingConfig) -> Floats:
    """Calibrated probabilities of shape (s, 3) from segment logits of the same shape."""
    temperatures = np.array([config.temperatures[axis] for axis in AXES], dtype=np.float32)
    return sigmoid(logits / temperatures)


def label_of(scores: Mapping[Axis, float], config: DecodingConfig) -> Label:
    """The one label that follows from the axes."""
    return _label({axis: scores[axis] >= config.thresholds[axis] for axis in AXES})


def _label(answers: Mapping[Axis, bool]) -> Label:
    if answers["boilerplate"]:
        return "boilerplate"
    if answers["framed"]:
        return "framed"
    return "sourced" if answers["attributed"] else "plain"


def is_uncertain(scores: Mapping[Axis, float], config: DecodingConfig) -> bool:
    """Whether an axis within the abstention band could change the label."""
    answers = {axis: scores[axis] >= config.thresholds[axis] for axis in AXES}
    label = _label(answers)
    return any(
        abs(scores[axis] - config.thresholds[axis]) < config.uncertain_band
        and _label({**answers, axis: not answers[axis]}) != label
        for axis in AXES
    )


def _transitions() -> Floats:
    """(7, 7) matrix of allowed moves: `I-x` follows only `B-x` or `I-x`."""
    allowed = np.zeros((len(BIO_TAGS), len(BIO_TAGS)), dtype=np.float32)
    for inside in range(2, len(BIO_TAGS), 2):
        allowed[:, inside] = -math.inf
        allowed[[inside - 1, inside], inside] = 0.0
    return allowed


TRANSITIONS = _transitions()


def viterbi(
    logits: Floats, transitions: Sequence[Sequence[float]] | Floats = ()
) -> NDArray[np.int64]:
    """The best sequence of tags that the BIO scheme allows.

    `logits` has shape (n, 7), `transitions` (7, 7) or none at all for zeros; the result, (n,),
    indexes `BIO_TAGS`. The first tag is never `I-`.
    """
    best: NDArray[np.int64] = logits.argmax(axis=1)
    moves = TRANSITIONS
    if len(transitions):
        moves = TRANSITIONS + np.asarray(transitions, dtype=np.float32)
    elif _valid(best):
        return best
    into = np.ascontiguousarray(moves.T)  # row: the tag that is moved to
    scores = logits[0].copy()
    scores[2::2] = -math.inf
    reach = np.empty_like(into)
    flat, rows = reach.reshape(-1), len(BIO_TAGS) * np.arange(len(BIO_TAGS))
    back = np.zeros(logits.shape, dtype=np.int64)
    for came, row in zip(back[1:], logits[1:], strict=True):
        np.add(into, scores, out=reach)
        reach.argmax(axis=1, out=came)
        scores = flat[rows + came] + row
    tag = int(scores.argmax())
    path = [tag]
    for came_from in reversed(back[1:].tolist()):
        tag = came_from[tag]
        path.append(tag)
    return np.array(path[::-1], dtype=np.int64)


def _valid(tags: NDArray[np.int64]) -> bool:
    inside = (tags > 0) & (tags % 2 == 0)
    before = np.concatenate(([0], tags[:-1]))
    return not bool(np.any(inside & (before != tags) & (before != tags - 1)))


def decode_spans(
    segments: Sequence[TokenizedSegment], tokens: Sequence[Floats], config: DecodingConfig
) -> list[TokenSpan]:
    """All evidence spans of a document, by segment and start.

    Tags are read at the first piece of each word, so that no span begins or ends inside a
    word. The tag sequence runs through the whole body: a content that goes on in the next
    segment comes out as a span there that `continues`. A headline has a sequence of its own:
    no body goes on with what a headline quotes.
    """
    spans: list[TokenSpan] = []
    counts = [int(segment.words.sum()) for segment in segments]
    if not sum(counts):
        return spans
    words = np.concatenate([t[s.words] for s, t in zip(segments, tokens, strict=True)])
    bio = words[:, : len(BIO_TAGS)]
    sizes = [
        sum(count for _, count in group)
        for _, group in itertools.groupby(
            zip(segments, counts, strict=True), key=lambda pair: pair[0].role == "headline"
        )
    ]
    parts = np.split(bio, np.cumsum(sizes)[:-1])
    tags = np.concatenate([viterbi(part, config.transitions) for part in parts if len(part)])
    loaded_scores = sigmoid(words[:, len(BIO_TAGS)])
    loaded = loaded_scores >= config.loaded_threshold
    evidence = np.flatnonzero((tags > 0) | loaded)
    tag_scores = softmax(bio)[np.arange(len(tags)), tags]
    edges = np.cumsum([0, *counts])
    for index in sorted({n - 1 for n in np.searchsorted(edges, evidence, "right").tolist()}):
        here = slice(edges[index], edges[index + 1])
        starts, ends = (offsets.tolist() for offsets in word_offsets(segments[index]))
        certain = tag_scores[here].tolist()
        for kind, a, b, continues in tag_runs(tags[here]):
            score = sum(certain[a:b]) / (b - a)
            spans.append(TokenSpan(index, kind, starts[a], ends[b - 1], score, continues))
        charged = loaded_scores[here].tolist()
        for a, b in runs(loaded[here]):
            score = sum(charged[a:b]) / (b - a)
            spans.append(TokenSpan(index, "loaded", starts[a], ends[b - 1], score))
    spans.sort(key=lambda span: (span.segment, span.start, -span.end))
    return spans


def word_offsets(segment: TokenizedSegment) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and end of each word of a segment, in code points of its text."""
    at = np.flatnonzero(segment.words)
    last = np.append(at[1:], len(segment.words))[: len(at)] - 1
    return segment.offsets[at, 0], segment.offsets[last, 1]


def tag_runs(tags: NDArray[np.int64]) -> list[tuple[SpanType, int, int, bool]]:
    """Spans of one segment's tags: type, first word, word after the last, continues."""
    found: list[tuple[SpanType, int, int, bool]] = []
    start = 0
    sequence = tags.tolist()
    for at in range(1, len(sequence) + 1):
        if at < len(sequence) and sequence[at] > 0 and sequence[at] % 2 == 0:
            continue  # inside: a valid sequence has the same type before it
        tag = sequence[start]
        if tag:
            found.append((ATTRIBUTION_TYPES[(tag - 1) // 2], start, at, tag % 2 == 0))
        start = at
    return found


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Maximal runs of true, as (first, one past the last)."""
    found: list[tuple[int, int]] = []
    for at in np.flatnonzero(flags).tolist():
        if found and found[-1][1] == at:
            found[-1] = (found[-1][0], at + 1)
        else:
            found.append((at, at + 1))
    return found
