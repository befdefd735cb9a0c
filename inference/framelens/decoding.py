"""From logits to labels and spans: plain NumPy, called by serving and by evaluation alike."""

from __future__ import annotations

import itertools
from bisect import bisect_right
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
    LOADED_TAGS,
    SPAN_LOGITS,
    Axis,
    Label,
    Role,
    SpanType,
)
from framelens.tag_chain import (
    LOADED_TRANSITIONS,
    TRANSITIONS,
    spans_of_sequences,
    without_hope,
)

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class DocumentLogits:
    """What the network said of a document, window overlaps merged.

    `segments` has shape (s, 3), columns in `AXES` order; `tokens` holds one array (n, 8) a
    segment, columns in `SPAN_LOGITS` order. `headlines`, (s,), tells which segments are headlines.
    """

    segments: Floats
    tokens: tuple[Floats, ...]
    headlines: NDArray[np.bool_]


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


def merge_windows(
    features: DocumentFeatures,
    outputs: Sequence[tuple[Floats, Floats]],
    *,
    joins_spans: bool = True,
) -> DocumentLogits:
    """Put the outputs of a document's windows back into segments.

    `outputs` holds for each window the network's two outputs, of shapes (t, 3) and (t, 8).
    A segment that was cut into pieces gets the mean of its pieces' segment logits, weighted
    by their lengths; a token in two pieces is read where it stands farther from the edge.

    A window's first word cannot be seen to continue what the window before it ends with, and
    the network has learned to call it a beginning. There `I-x` is as good as `B-x`, so that a
    span is joined to one of its type that ends the window before. Without `joins_spans` all logits
    stay as the network gave them.
    """
    segments = np.zeros((len(features.segments), len(AXES)), dtype=np.float32)
    tokens: list[Floats] = [_NO_TOKENS] * len(features.segments)
    read: dict[int, int] = {}  # of a segment in pieces: up to where
    weights: dict[int, int] = {}
    for number, (window, (segment_logits, span_logits)) in enumerate(
        zip(features.windows, outputs, strict=True)
    ):
        if number and joins_spans:
            span_logits = _open_first_word(window, span_logits)
        for piece, position in zip(window.pieces, window.positions, strict=True):
            place, size = piece.segment, len(features.segments[piece.segment].ids)
            if piece.size == size:
                segments[place] = segment_logits[position + size]
                tokens[place] = span_logits[position : position + size]
                continue
            if place not in read:
                tokens[place] = np.zeros((size, len(SPAN_LOGITS)), dtype=np.float32)
            segments[place] += piece.size * segment_logits[position + piece.size]
            weights[place] = weights.get(place, 0) + piece.size
            shared = max(read.get(place, 0) - piece.start, 0)  # with the piece before
            skip = shared // 2
            read[place] = piece.end
            tokens[place][piece.start + skip : piece.end] = span_logits[
                position + skip : position + piece.size
            ]
    for place, weight in weights.items():
        segments[place] /= weight
    headlines = np.array([s.role == "headline" for s in features.segments], dtype=np.bool_)
    return DocumentLogits(segments, tuple(tokens), headlines)


_NO_TOKENS: Floats = np.zeros((0, len(SPAN_LOGITS)), dtype=np.float32)
_GOES_ON = 0.01
"""Of two equal readings, one span is likelier than two that touch."""


def _open_first_word(window: WindowFeatures, span_logits: Floats) -> Floats:
    """Span logits in which the first word of a window may continue a span."""
    opened = span_logits.copy()
    first = opened[window.positions[0]]
    begins, insides = slice(1, len(BIO_TAGS), 2), slice(2, len(BIO_TAGS), 2)
    first[insides] = np.maximum(first[begins] + _GOES_ON, first[insides])
    return opened


def axis_scores(logits: DocumentLogits, config: DecodingConfig) -> Floats:
    """Calibrated probabilities (s, 3) of a document's segments."""
    calibrated = logits.segments / _of_axes(config.temperatures)
    if any(config.offsets.values()):
        calibrated += _of_axes(config.offsets)
    if logits.headlines.any():
        calibrated[logits.headlines] += _of_axes(config.headline_offsets)
    return sigmoid(calibrated)


def _of_axes(values: Mapping[Axis, float]) -> Floats:
    return np.array([values[axis] for axis in AXES], dtype=np.float32)


def label_of(scores: Mapping[Axis, float], config: DecodingConfig, role: Role) -> Label:
    """The one label that follows from the axes; a headline is never page furniture."""
    return _label({axis: scores[axis] >= config.thresholds[axis] for axis in AXES}, role)


def _label(answers: Mapping[Axis, bool], role: Role) -> Label:
    if answers["boilerplate"] and role != "headline":
        return "boilerplate"
    if answers["framed"]:
        return "framed"
    return "sourced" if answers["attributed"] else "plain"


def is_uncertain(scores: Mapping[Axis, float], config: DecodingConfig, role: Role) -> bool:
    """Whether an axis within the abstention band could change the label."""
    answers = {axis: scores[axis] >= config.thresholds[axis] for axis in AXES}
    label = _label(answers, role)
    return any(
        abs(scores[axis] - config.thresholds[axis]) < config.uncertain_band
        and _label({**answers, axis: not answers[axis]}, role) != label
        for axis in AXES
    )


def are_furniture(
    scores: Floats, headlines: NDArray[np.bool_], config: DecodingConfig
) -> NDArray[np.bool_]:
    """Which segments of a document have the label `boilerplate`, (s,)."""
    over: NDArray[np.bool_] = (
        scores[:, AXES.index("boilerplate")] >= config.thresholds["boilerplate"]
    )
    return over & ~headlines


def label_margins(scores: Floats, headlines: NDArray[np.bool_], config: DecodingConfig) -> Floats:
    """How far each segment's label is from another one, (s,): the least distance of a score from
    a threshold on whose other side the label would differ.

    `scores`, (s, 3), are calibrated probabilities. `is_uncertain` holds below the band.
    """
    thresholds = _of_axes(config.thresholds)
    distances = np.abs(scores - thresholds)
    attributed, framed, boilerplate = map(AXES.index, ("attributed", "framed", "boilerplate"))
    furniture = are_furniture(scores, headlines, config)
    distances[headlines, boilerplate] = np.inf
    distances[furniture, framed] = np.inf
    is_framed = scores[:, framed] >= thresholds[framed]
    distances[furniture | is_framed, attributed] = np.inf
    least: Floats = distances.min(axis=1)
    return least


def decode_spans(
    segments: Sequence[TokenizedSegment], tokens: Sequence[Floats], config: DecodingConfig
) -> list[TokenSpan]:
    """All evidence spans of a document, by segment and start.

    Tags are read at the first piece of each word, so that no span begins or ends inside a
    word. The tag sequence runs through the whole body: a content that goes on in the next
    segment comes out as a span there that `continues`. A headline has a sequence of its own:
    no body goes on with what a headline quotes.

    A span's score is the probability that just this stretch of words is one of its type
    (`framelens.tag_chain`), the same for all pieces of a content. Loaded spans end with their
    segment.
    """
    return decode_many([(segments, tokens)], config)[0]


def decode_many(
    documents: Sequence[tuple[Sequence[TokenizedSegment], Sequence[Floats]]],
    config: DecodingConfig,
) -> list[list[TokenSpan]]:
    """What `decode_spans` gives for each of several documents: segments, and their span logits."""
    found: list[list[TokenSpan]] = [[] for _ in documents]
    segments = [segment for each, _ in documents for segment in each]
    counts = [int(np.count_nonzero(segment.words)) for segment in segments]
    if not sum(counts):
        return found
    tokens = [array for _, each in documents for array in each]
    words = np.concatenate([t[s.words] for s, t in zip(segments, tokens, strict=True)])
    owners = [number for number, (each, _) in enumerate(documents) for _ in each]
    # A document's headline and its body are sequences of their own.
    sizes = [
        sum(count for *_, count in group)
        for _, group in itertools.groupby(
            zip(owners, segments, counts, strict=True), key=lambda item: (item[0], item[1].role)
        )
    ]
    bases = np.cumsum([0, *sizes]).tolist()
    edges = np.cumsum([0, *counts]).tolist()
    firsts = np.cumsum([0, *(len(each) for each, _ in documents)]).tolist()
    offsets = _Offsets(segments)

    def put(kind: SpanType, place: int, start: int, end: int, score: float, on: bool) -> None:
        first, last = offsets.of(place, start - edges[place], end - edges[place])
        owner = owners[place]
        found[owner].append(TokenSpan(place - firsts[owner], kind, first, last, score, on))

    sequences = np.split(words[:, : len(BIO_TAGS)], bases[1:-1])
    thresholds = [config.span_thresholds[kind] for kind in ATTRIBUTION_TYPES]
    likely = spans_of_sequences(sequences, _plus(TRANSITIONS, config.transitions), thresholds)
    for base, own in zip(bases, likely, strict=False):
        for span in own:
            start, end = base + span.start, base + span.end
            place, at = bisect_right(edges, start) - 1, start
            while at < end:  # one piece in each segment
                stop = min(end, edges[place + 1])
                if stop > at:
                    kind = ATTRIBUTION_TYPES[span.kind]
                    put(kind, place, at, stop, span.probability, at > start)
                place, at = place + 1, stop
    moves = _plus(LOADED_TRANSITIONS, config.loaded_transitions)
    threshold = config.span_thresholds["loaded"]
    logits = loaded_logits(words)
    places = [place for place, count in enumerate(counts) if count]
    hopeless = without_hope(logits, [edges[place + 1] for place in places], moves, threshold)
    places = [place for place, no in zip(places, hopeless.tolist(), strict=True) if not no]
    sequences = [logits[edges[place] : edges[place + 1]] for place in places]
    loaded = spans_of_sequences(sequences, moves, [threshold])
    for place, own in zip(places, loaded, strict=True):
        for span in own:
            start, end = edges[place] + span.start, edges[place] + span.end
            put("loaded", place, start, end, span.probability, False)
    for spans in found:
        spans.sort(key=lambda span: (span.segment, span.start, -span.end))
    return found


def loaded_logits(words: Floats) -> Floats:
    """Logits (n, 3) of `LOADED_TAGS`, from those of words (n, 8)."""
    logits = np.zeros((len(words), len(LOADED_TAGS)), dtype=np.float32)
    logits[:, 1:] = words[:, [len(BIO_TAGS)]]
    return logits


def word_offsets(segment: TokenizedSegment) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and end of each word of a segment, in code points of its text."""
    at = np.flatnonzero(segment.words)
    last = np.append(at[1:], len(segment.words))[: len(at)] - 1
    return segment.offsets[at, 0], segment.offsets[last, 1]


class _Offsets:
    """Where the words of segments begin and end, looked up once a segment."""

    def __init__(self, segments: Sequence[TokenizedSegment]) -> None:
        self._segments = segments
        self._known: dict[int, tuple[list[int], list[int]]] = {}

    def of(self, place: int, start: int, end: int) -> tuple[int, int]:
        """Code points of words `start` up to `end` of a segment."""
        if place not in self._known:
            first, last = word_offsets(self._segments[place])
            self._known[place] = (first.tolist(), last.tolist())
        starts, ends = self._known[place]
        return starts[start], ends[end - 1]


def _plus(moves: Floats, scores: Sequence[Sequence[float]]) -> Floats:
    return moves + np.asarray(scores, dtype=np.float32) if len(scores) else moves
