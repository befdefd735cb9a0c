"""A document's answer, put together from its segments and what was decoded of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from framelens.decoding import (
    DecodingConfig,
    DocumentLogits,
    TokenSpan,
    axis_scores,
    is_uncertain,
    label_of,
)
from framelens.schema import AXES, Axis, ScoredSegment, Span, Summary
from framelens.segmentation import TextSegment
from framelens.sentences import with_marks

_DIGITS = 4  # of a score: more would be noise of int8 arithmetic


def assemble(
    segments: list[TextSegment],
    logits: DocumentLogits,
    spans: list[TokenSpan],
    config: DecodingConfig,
) -> list[ScoredSegment]:
    """Join a document's segments with their scores, labels and spans; page furniture has none."""
    scores = axis_scores(logits, config)
    by_segment: list[list[Span]] = [[] for _ in segments]
    for span in spans:
        segment = segments[span.segment]
        last = with_marks(segment.text, span.end)
        start, end = segment.start + span.start, segment.start + last
        by_segment[span.segment].append(
            Span(
                span.type,
                start,
                end,
                segment.text[span.start : last],
                round(span.score, _DIGITS),
                span.continues,
            )
        )
    return [
        _scored(index, segment, _row(scores[index]), tuple(by_segment[index]), config)
        for index, segment in enumerate(segments)
    ]


def _row(scores: np.ndarray[Any, np.dtype[np.float32]]) -> dict[Axis, float]:
    return {axis: round(float(score), _DIGITS) for axis, score in zip(AXES, scores, strict=True)}


def _scored(
    index: int,
    segment: TextSegment,
    scores: dict[Axis, float],
    spans: tuple[Span, ...],
    config: DecodingConfig,
) -> ScoredSegment:
    label = label_of(scores, config, segment.role)
    return ScoredSegment(
        index=index,
        role=segment.role,
        field=segment.field,
        start=segment.start,
        end=segment.end,
        text=segment.text,
        label=label,
        uncertain=is_uncertain(scores, config, segment.role),
        scores=scores,
        spans=() if label == "boilerplate" else spans,
    )


def summarize(segments: list[ScoredSegment]) -> Summary:
    """Shares of the labels, leaving boilerplate out, and the number of distinct sources."""
    labels = [segment.label for segment in segments if segment.label != "boilerplate"]
    sources = {
        " ".join(span.text.casefold().split())
        for segment in segments
        for span in segment.spans
        if span.type == "source"
    }

    def share(label: str) -> float:
        return round(labels.count(label) / len(labels), _DIGITS) if labels else 0.0  # type: ignore[arg-type]

    return Summary(
        segments=len(segments),
        sourced=share("sourced"),
        framed=share("framed"),
        plain=share("plain"),
        sources=len(sources),
    )
