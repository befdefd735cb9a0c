"""Documents out of the rows that `Document.to_dict` makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from framelens.schema import (
    ATTRIBUTIONS,
    AXES,
    LABELS,
    SCHEMA_VERSION,
    SPAN_TYPES,
    Document,
    HeadlineCheck,
    ModelInfo,
    OwnWording,
    RowError,
    ScoredSegment,
    Span,
    Summary,
)


def document_of(row: Mapping[str, Any]) -> Document:
    """The document that `Document.to_dict` made this row of.

    Raises:
        KeyError, TypeError, ValueError: if it is no such row, or one of another version.
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
        model=ModelInfo(**{key: row["model"][key] for key in ("name", "version", "sha256")}),
        segments=segments,
        summary=None if summary is None else _summary(summary),
        error=None if error is None else RowError(error["code"], error["message"]),
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


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a string was expected, not {type(value).__name__}")
    return value


def _id(value: Any) -> str:
    """An id: pandas reads one of digits as a number."""
    return str(value) if isinstance(value, int) else _string(value)


def _summary(row: Mapping[str, Any]) -> Summary:
    counts = {name: int(row[name]) for name in ("segments", "sources")}
    return Summary(**{**row, **counts})


def _segment(row: Mapping[str, Any]) -> ScoredSegment:
    start, end, text = int(row["start"]), int(row["end"]), _string(row["text"])
    if end - start != len(text):
        raise ValueError(f"segment {row['index']}: {end - start} code points, text has {len(text)}")
    if row["label"] not in LABELS:
        raise ValueError(f"label {row['label']!r}")
    spans = tuple(_span(span) for span in row["spans"] or ())
    for span in spans:
        if not start <= span.start < span.end <= end:
            raise ValueError(f"span {span.start} to {span.end} outside of segment {row['index']}")
    return ScoredSegment(
        index=int(row["index"]),
        role=row["role"],
        field=row["field"],
        start=start,
        end=end,
        text=text,
        label=row["label"],
        uncertain=bool(row["uncertain"]),
        scores={axis: float(row["scores"][axis]) for axis in AXES},
        spans=spans,
    )


def _span(row: Mapping[str, Any]) -> Span:
    if row["type"] not in SPAN_TYPES:
        raise ValueError(f"span type {row['type']!r}")
    continues = bool(row.get("continues"))
    start, end = int(row["start"]), int(row["end"])
    return Span(row["type"], start, end, _string(row["text"]), float(row["score"]), continues)


def _check(row: Mapping[str, Any] | None, segments: int) -> HeadlineCheck | None:
    if row is None:
        return None
    # pandas has no whole numbers beside missing ones.
    found = row["segment"]
    segment = None if found is None or found != found else int(found)
    if segment is not None and not 0 <= segment < segments:
        raise ValueError(f"headline check of segment {found}, of {segments}")
    if row["attribution"] not in (None, *ATTRIBUTIONS):
        raise ValueError(f"attribution {row['attribution']!r}")
    source, cue, score = row["source"], row["cue"], row.get("dropped_score")
    return HeadlineCheck(
        outcome=row["outcome"],
        segment=segment,
        score=float(row["score"]),
        attributed=bool(row["attributed"]),
        source=None if source is None else _span(source),
        cue=None if cue is None else _span(cue),
        attribution=row["attribution"],
        own_wording=tuple(
            OwnWording(int(own["start"]), int(own["end"]), own["text"], float(own["loaded"]))
            for own in row["own_wording"]
        ),
        dropped_score=None if score is None else float(score),
    )
