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
    Role,
    SpanType,
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
    tokens: list[Floats] = [_NO_TOKENS] * len(features.segments)
    read: dict[int, int] = {}  # of a segment in pieces: up to where
    weights: dict[int, int] = {}
    for number, (window, (segment_logits, span_logits)) in enumerate(
        zip(features.windows, outputs, strict=True)
    ):
        if number:
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
    temperatures = np.array([config.temperatures[axis] for axis in AXES], dtype=np.float32)
    calibrated = logits.segments / temperatures
    if logits.headlines.any():
        offsets = [config.headline_offsets[axis] for axis in AXES]
        calibrated[logits.headlines] += np.array(offsets, dtype=np.float32)
    return sigmoid(calibrated)


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
    return viterbi_many([logits], transitions)[0]


def viterbi_many(
    sequences: Sequence[Floats], transitions: Sequence[Sequence[float]] | Floats = ()
) -> list[NDArray[np.int64]]:
    """What `viterbi` gives for each of several sequences, each at least one tag long.

    Many of them are gone through side by side: what a short sentence alone costs is mostly calls
    into NumPy.
    """
    if len(transitions):
        return _paths(sequences, TRANSITIONS + np.asarray(transitions, dtype=np.float32))
    found = [logits.argmax(axis=1) for logits in sequences]
    # One by one, so that rounding in another sequence's company changes nothing.
    doubtful = [number for number, tags in enumerate(found) if not _valid(tags)]
    mended = _paths([sequences[number] for number in doubtful], TRANSITIONS)
    for number, tags in zip(doubtful, mended, strict=True):
        found[number] = tags
    return found


def _paths(sequences: Sequence[Floats], moves: Floats) -> list[NDArray[np.int64]]:
    into = np.ascontiguousarray(moves.T)  # row: the tag that is moved to
    if len(sequences) < _MANY:
        return [_best_path(logits, into) for logits in sequences]
    return _best_paths(sequences, into)


_MANY = 6
"""Fewest sequences that are faster side by side than one after the other."""


def _best_path(logits: Floats, into: Floats) -> NDArray[np.int64]:
    scores = _first_scores(logits[:1])[0]
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


def _first_scores(logits: Floats) -> Floats:
    """Scores of each tag as the first one, (k, 7)."""
    scores = logits.copy()
    scores[:, 2::2] = -math.inf
    return scores


def _best_paths(sequences: Sequence[Floats], into: Floats) -> list[NDArray[np.int64]]:
    """The same sums, in the same order, for all sequences side by side."""
    lengths = np.array([len(logits) for logits in sequences])
    order = np.argsort(-lengths, kind="stable")  # at step t the first active[t] go on
    longest = int(lengths[order[0]])
    active = np.searchsorted(-lengths[order], -np.arange(longest), "left").tolist()
    given = np.zeros((longest, len(BIO_TAGS), len(sequences)), dtype=np.float32)
    for column, number in enumerate(order.tolist()):
        given[: lengths[number], :, column] = sequences[number]
    scores = np.empty_like(given)
    scores[0] = _first_scores(given[0].T).T
    wide = into[:, :, np.newaxis]
    for step in range(1, longest):
        going = active[step]
        reach = wide + scores[step - 1, :, :going]
        np.add(reach.max(axis=1), given[step, :, :going], out=scores[step, :, :going])
    tags = np.zeros((longest, len(sequences)), dtype=np.int64)
    for step in range(longest - 1, -1, -1):
        going = active[step + 1] if step + 1 < longest else 0
        row = scores[step, :, : active[step]].T
        chosen = tags[step, : active[step]]
        row[going:].argmax(axis=1, out=chosen[going:])
        if going:
            (row[:going] + into[tags[step + 1, :going]]).argmax(axis=1, out=chosen[:going])
    columns = np.argsort(order).tolist()
    return [tags[:length, at] for length, at in zip(lengths.tolist(), columns, strict=True)]


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
    bio = words[:, : len(BIO_TAGS)]
    owners = [number for number, (each, _) in enumerate(documents) for _ in each]
    # A document's headline and its body are sequences of their own.
    sizes = [
        sum(count for *_, count in group)
        for _, group in itertools.groupby(
            zip(owners, segments, counts, strict=True), key=lambda item: (item[0], item[1].role)
        )
    ]
    parts = [part for part in np.split(bio, np.cumsum(sizes)[:-1]) if len(part)]
    tags = np.concatenate(viterbi_many(parts, config.transitions))
    loaded_scores = sigmoid(words[:, len(BIO_TAGS)])
    loaded = loaded_scores >= config.loaded_threshold
    evidence = np.flatnonzero((tags > 0) | loaded)
    tag_scores = softmax(bio)[np.arange(len(tags)), tags]
    edges = np.cumsum([0, *counts])
    firsts = np.cumsum([0, *(len(each) for each, _ in documents)]).tolist()
    for place in sorted({n - 1 for n in np.searchsorted(edges, evidence, "right").tolist()}):
        spans, index = found[owners[place]], place - firsts[owners[place]]
        here = slice(edges[place], edges[place + 1])
        starts, ends = (offsets.tolist() for offsets in word_offsets(segments[place]))
        certain = tag_scores[here].tolist()
        for kind, a, b, continues in tag_runs(tags[here]):
            score = sum(certain[a:b]) / (b - a)
            spans.append(TokenSpan(index, kind, starts[a], ends[b - 1], score, continues))
        charged = loaded_scores[here].tolist()
        for a, b in runs(loaded[here]):
            score = sum(charged[a:b]) / (b - a)
            spans.append(TokenSpan(index, "loaded", starts[a], ends[b - 1], score))
    for spans in found:
        spans.sort(key=lambda span: (span.segment, span.start, -span.end))
    return found


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
