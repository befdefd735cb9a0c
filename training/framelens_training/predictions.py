"""What a network says of labelled documents, in the shape that metrics need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framelens.decoding import (
    DecodingConfig,
    DocumentLogits,
    Floats,
    TokenSpan,
    are_furniture,
    axis_scores,
    decode_spans,
    merge_windows,
)
from framelens.features import WindowFeatures
from framelens.schema import AXES, Axis, SpanType
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.splits import group_of
from framelens_training.targets import LabelledFeatures, framing_is_open, is_article_text

NetworkLike = Callable[[WindowFeatures], tuple[Floats, Floats]]
"""One window in, segment logits (t, 3) and span logits (t, 8) out."""

SpanKey = tuple[int, SpanType, int, int]
"""Segment, type, start and end in code points of the segment's text."""


def predict(network: NetworkLike, documents: Sequence[LabelledFeatures]) -> list[DocumentLogits]:
    """Read every document in its article windows, as serving does.

    A network that has `many` reads them side by side.
    """
    windows = [window for item in documents for window in item.features.windows]
    many = getattr(network, "many", None)
    outputs = iter(many(windows) if many else map(network, windows))
    return [
        merge_windows(item.features, [next(outputs) for _ in item.features.windows])
        for item in documents
    ]


@dataclass(frozen=True, slots=True)
class AxisData:
    """Supervised answers on one axis, over all segments of all documents.

    `gold` (n,) holds the answers, `values` (n,) the logits or probabilities, `groups` (n,)
    the number of the article that each segment came from (`article_numbers`).
    """

    gold: NDArray[np.bool_]
    values: NDArray[np.float64]
    groups: NDArray[np.int64]

    def articles_of_both(self) -> int:
        """How many articles each of the two answers stands in at least."""
        return min(len(np.unique(self.groups[self.gold == answer])) for answer in (True, False))


def axis_data(
    documents: Sequence[LabelledDocument],
    values: Sequence[Floats],
    axis: Axis,
    *,
    implied: bool = False,
) -> AxisData:
    """Collect one axis; `values` holds an array (s, 3) a document.

    With `implied`, what other labels say of page furniture counts as an answer where the label
    depends on it, which a headline's does not.
    """
    column = AXES.index(axis)
    numbers = article_numbers(documents).tolist()
    gold: list[bool] = []
    found: list[float] = []
    groups: list[int] = []
    furniture = implied and axis == "boilerplate"
    for number, document, rows in zip(numbers, documents, values, strict=True):
        for segment, row in zip(document.segments, rows, strict=True):
            answer = segment.counted(axis) if axis in document.annotated else None
            if furniture and segment.field == "text" and is_article_text(document, segment):
                answer = False
            if answer is not None:
                gold.append(answer)
                found.append(float(row[column]))
                groups.append(number)
    return AxisData(
        np.array(gold, dtype=np.bool_),
        np.array(found, dtype=np.float64),
        np.array(groups, dtype=np.int64),
    )


def by_axis(row: Floats) -> dict[Axis, float]:
    """A row of scores (3,), columns in `AXES` order, under the names of the axes."""
    return dict(zip(AXES, map(float, row), strict=True))


def article_numbers(documents: Sequence[LabelledDocument]) -> NDArray[np.int64]:
    """The number of each document's article: sentences of one article are not independent."""
    numbers: dict[str, int] = {}
    return np.array(
        [numbers.setdefault(group_of(document), len(numbers)) for document in documents],
        dtype=np.int64,
    )


def article_count(documents: Sequence[LabelledDocument]) -> int:
    """How many articles documents are of."""
    return len({group_of(document) for document in documents})


def gold_spans(document: LabelledDocument) -> list[SpanKey]:
    """Gold spans cut at the borders of segments, without surrounding white space.

    Loaded spans with nothing or only white space between them are one: decoding cannot tell them
    apart.
    """
    keys: list[SpanKey] = []
    for index, segment in enumerate(document.segments):
        text = document.segment_text(segment)
        loaded: list[tuple[int, int]] = []
        for span in document.spans:
            if span.field != segment.field:
                continue
            start = max(span.start - segment.start, 0)
            end = min(span.end - segment.start, len(text))
            if start >= end:
                continue
            piece = text[start:end]
            start += len(piece) - len(piece.lstrip())
            end -= len(piece) - len(piece.rstrip())
            if start >= end:
                continue
            if span.type == "loaded":
                loaded.append((start, end))
            else:
                keys.append((index, span.type, start, end))
        keys += [(index, "loaded", start, end) for start, end in _joined_ranges(loaded, text)]
    return keys


def _joined_ranges(ranges: list[tuple[int, int]], text: str) -> list[tuple[int, int]]:
    """Ranges of a text by start, those as one that touch but for white space."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if found and not text[found[-1][1] : start].strip():
            first, last = found.pop()
            start, end = first, max(last, end)
        found.append((start, end))
    return found


def answerable(document: LabelledDocument, keys: Sequence[SpanKey]) -> list[SpanKey]:
    """Spans without the loaded ones in segments whose words are open: they are not wrong there."""
    is_open = {n for n, gold in enumerate(document.segments) if framing_is_open(document, gold)}
    if is_open:
        is_open -= {segment for segment, kind, *_ in gold_spans(document) if kind == "loaded"}
    return [key for key in keys if key[1] != "loaded" or key[0] not in is_open]


def outside_furniture(
    spans: Sequence[TokenSpan], logits: DocumentLogits, decoding: DecodingConfig
) -> list[TokenSpan]:
    """A document's decoded spans as scoring gives them: none in what it takes for furniture."""
    furniture = are_furniture(axis_scores(logits, decoding), logits.headlines, decoding)
    return [span for span in spans if not furniture[span.segment]]


def answered_spans(
    item: LabelledFeatures,
    logits: DocumentLogits,
    decoding: DecodingConfig,
    *,
    anywhere: bool = False,
) -> list[SpanKey]:
    """The spans that scoring gives in a labelled document; with `anywhere`, also those in what it
    takes for page furniture.
    """
    spans = decode_spans(item.features.segments, logits.tokens, decoding)
    return span_keys(spans if anywhere else outside_furniture(spans, logits, decoding))


def span_keys(spans: Sequence[TokenSpan]) -> list[SpanKey]:
    """Decoded spans in the form that gold ones are compared in."""
    return [(span.segment, span.type, span.start, span.end) for span in spans]
