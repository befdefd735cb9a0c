"""From logits to labels and spans: plain NumPy, called by serving and by evaluation alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framelens.features import DocumentFeatures, TokenizedSegment, WindowFeatures
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
class DecodingConfig:
    """Thresholds and calibration, tuned on validation data; they travel with the weights.

    A probability is `sigmoid(logit / temperature)` (temperature scaling, Guo et al. 2017).
    """

    temperatures: Mapping[Axis, float] = field(default_factory=lambda: dict.fromkeys(AXES, 1.0))
    thresholds: Mapping[Axis, float] = field(default_factory=lambda: dict.fromkeys(AXES, 0.5))
    uncertain_band: float = 0.1
    """A segment whose label would change if a score within this distance of its threshold
    fell on the other side is uncertain."""
    loaded_threshold: float = 0.5
    transitions: tuple[tuple[float, ...], ...] = ()
    """(7, 7) score of each tag, by column, after each other, by row, on the scale of the span
    logits: what a linear-chain CRF adds to them. Empty stands for zeros."""

    def to_dict(self) -> dict[str, Any]:
        """The configuration as it stands in a manifest."""
        return {
            "temperatures": dict(self.temperatures),
            "thresholds": dict(self.thresholds),
            "uncertain_band": self.uncertain_band,
            "loaded_threshold": self.loaded_threshold,
            "transitions": [list(row) for row in self.transitions],
        }


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
    with np.errstate(over="ignore"):
        probability: Floats = (1.0 / (1.0 + np.exp(-x))).astype(np.float32)
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
    back = np.empty(logits.shape, dtype=np.int64)
    columns = np.arange(len(BIO_TAGS))
    for step in range(1, len(logits)):
        reach = into + scores
        back[step] = reach.argmax(axis=1)
        scores = reach[columns, back[step]] + logits[step]
    path = np.empty(len(logits), dtype=np.int64)
    path[-1] = scores.argmax()
    for step in range(len(logits) - 1, 0, -1):
        path[step - 1] = back[step, path[step]]
    return path


def _valid(tags: NDArray[np.int64]) -> bool:
    inside = (tags > 0) & (tags % 2 == 0)
    before = np.concatenate(([0], tags[:-1]))
    return not bool(np.any(inside & (before != tags) & (before != tags - 1)))


def decode_spans(
    segments: Sequence[TokenizedSegment], tokens: Sequence[Floats], config: DecodingConfig
) -> list[TokenSpan]:
    """All evidence spans of a document, by segment and start.

    Tags are read at the first piece of each word, so that no span begins or ends inside a
    word. The tag sequence runs through the whole document: a content that goes on in the
    next segment comes out as a span there that `continues`.
    """
    spans: list[TokenSpan] = []
    counts = [int(segment.words.sum()) for segment in segments]
    if not sum(counts):
        return spans
    words = np.concatenate([t[s.words] for s, t in zip(segments, tokens, strict=True)])
    bio = words[:, : len(BIO_TAGS)]
    tags = viterbi(bio, config.transitions)
    tag_scores = softmax(bio)[np.arange(len(tags)), tags]
    loaded_scores = sigmoid(words[:, len(BIO_TAGS)])
    loaded = loaded_scores >= config.loaded_threshold
    first = 0
    for index, (segment, count) in enumerate(zip(segments, counts, strict=True)):
        if not count:
            continue
        here = slice(first, first + count)
        starts, ends = word_offsets(segment)
        for kind, a, b, continues in tag_runs(tags[here]):
            score = float(tag_scores[here][a:b].mean())
            spans.append(TokenSpan(index, kind, int(starts[a]), int(ends[b - 1]), score, continues))
        for a, b in runs(loaded[here]):
            score = float(loaded_scores[here][a:b].mean())
            spans.append(TokenSpan(index, "loaded", int(starts[a]), int(ends[b - 1]), score))
        first += count
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
    for at in range(1, len(tags) + 1):
        if at < len(tags) and tags[at] > 0 and tags[at] % 2 == 0:
            continue  # inside: a valid sequence has the same type before it
        tag = int(tags[start])
        if tag:
            found.append((ATTRIBUTION_TYPES[(tag - 1) // 2], start, at, tag % 2 == 0))
        start = at
    return found


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Maximal runs of true, as (first, one past the last)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
