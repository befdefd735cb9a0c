"""Documents out of the rows that `Document.to_dict` makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

from framelens.schema import (
    ATTRIBUTIONS,
    AXES,
    LABELS,
    SCHEMA_VERSION,
    SPAN_TYPES,
    Document,
    Field,
    HeadlineCheck,
    ModelInfo,
    OwnWording,
    Role,
    RowError,
    ScoredSegment,
    Span,
    Summary,
    Support,
)
from framelens.values import number, one_of, string, whole_number


def document_of(row: Mapping[str, Any]) -> Document:
    """The document that `Document.to_dict` made this row of.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: if it is no such row, or one of another
            version.
    """
    if row["schema"] != SCHEMA_VERSION:
        raise ValueError(f"schema {row['schema']!r}, not {SCHEMA_VERSION}")
    error, summary = row["error"], row["summary"]
    segments = tuple(_segment(segment) for segment in row["segments"] or ())
    for place, segment in enumerate(segments):
        if segment.index != place:
            raise ValueError(f"segment {segment.index} at place {place}: some are left out")
    return Document(
        id=_id(row["id"]),
        status="error" if row["status"] == "error" else "ok",
        model=ModelInfo(
            **{key: string(row["model"][key]) for key in ("name", "version", "sha256")}
        ),
        segments=segments,
        summary=None if summary is None else _summary(summary),
        error=None if error is None else RowError(string(error["code"]), string(error["message"])),
        headline_check=_check(object_of(row.get("headline_check")), len(segments)),
        input=object_of(row.get("input")),
    )


def object_of(value: Any) -> dict[str, Any] | None:
    """A JSON object, also where a table holds it as text; None where there is none.

    Raises:
        TypeError, ValueError: if it is something else.
    """
    found = json.loads(value) if isinstance(value, str) else value
    if found is not None and not isinstance(found, dict):
        raise TypeError(f"an object was expected, not {type(found).__name__}")
    return found


def _id(value: Any) -> str:
    """An id: pandas reads one of digits as a number."""
    return str(value) if isinstance(value, int) else string(value)


def _summary(row: Mapping[str, Any]) -> Summary:
    return Summary(
        segments=whole_number(row["segments"]),
        sourced=number(row["sourced"]),
        framed=number(row["framed"]),
        plain=number(row["plain"]),
        sources=whole_number(row["sources"]),
    )


def _segment(row: Mapping[str, Any]) -> ScoredSegment:
    start, end = whole_number(row["start"]), whole_number(row["end"])
    text = string(row["text"])
    if end - start != len(text):
        raise ValueError(f"segment {row['index']}: {end - start} code points, text has {len(text)}")
    spans = tuple(_span(span) for span in row["spans"] or ())
    for span in spans:
        if not start <= span.start < span.end <= end:
            raise ValueError(f"span {span.start} to {span.end} outside of segment {row['index']}")
    return ScoredSegment(
        index=whole_number(row["index"]),
        role=one_of(row["role"], get_args(Role), "role"),
        field=one_of(row["field"], get_args(Field), "field"),
        start=start,
        end=end,
        text=text,
        label=one_of(row["label"], LABELS, "label"),
        uncertain=bool(row["uncertain"]),
        scores={axis: number(row["scores"][axis]) for axis in AXES},
        spans=spans,
    )


def _span(row: Mapping[str, Any]) -> Span:
    return Span(
        type=one_of(row["type"], SPAN_TYPES, "span type"),
        start=whole_number(row["start"]),
        end=whole_number(row["end"]),
        text=string(row["text"]),
        score=number(row["score"]),
        continues=bool(row.get("continues")),
    )


def _check(row: Mapping[str, Any] | None, segments: int) -> HeadlineCheck | None:
    if row is None:
        return None
    found, score = _given(row["segment"]), _given(row.get("dropped_score"))
    segment = None if found is None else whole_number(found)
    if segment is not None and not 0 <= segment < segments:
        raise ValueError(f"headline check of segment {found}, of {segments}")
    source, cue = row["source"], row["cue"]
    return HeadlineCheck(
        outcome=one_of(row["outcome"], get_args(Support), "outcome"),
        segment=segment,
        score=number(row["score"]),
        attributed=bool(row["attributed"]),
        source=None if source is None else _span(source),
        cue=None if cue is None else _span(cue),
        attribution=one_of(row["attribution"], (None, *ATTRIBUTIONS), "attribution"),
        own_wording=tuple(map(_own_wording, row["own_wording"])),
        dropped_score=None if score is None else number(score),
    )


def _given(value: Any) -> Any:
    """The value, and None for NaN: pandas has it where a number is missing."""
    return None if value != value else value


def _own_wording(row: Mapping[str, Any]) -> OwnWording:
    return OwnWording(
        start=whole_number(row["start"]),
        end=whole_number(row["end"]),
        text=string(row["text"]),
        loaded=number(row["loaded"]),
    )
