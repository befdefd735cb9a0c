"""Output rows: a scored document as JSON, whole, one row a segment, or one an attribution.

Workers write a row's JSON without `schema` and `id`, so that documents with the same text
share it; `composed` puts the two, and the kept columns, around it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from framelens.relations import AttributionRelation, attribution_relations
from framelens.schema import (
    AXES,
    SCHEMA_VERSION,
    Document,
    ModelInfo,
    RowError,
    RowUnit,
    ScoredSegment,
)

SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
"""For `str.translate`, where a string must be valid UTF-8: one code point for one, so that offsets
stay true."""

DOCUMENT_COLUMNS = (
    "schema",
    "id",
    "status",
    "error",
    "model",
    "segments",
    "summary",
    "headline_check",
    "input",
)
"""Columns of one row a document, in tables."""

SEGMENT_COLUMNS = (
    "schema",
    "id",
    "status",
    "error_code",
    "error_message",
    "model_name",
    "model_version",
    "model_sha256",
    "index",
    "role",
    "field",
    "start",
    "end",
    "text",
    "label",
    "uncertain",
    *AXES,
    "spans",
    "headline_check",
    "input",
)
"""Columns of one row a segment; `headline_check` stands in the headline's row, and the text of a
page (`input`) in the first."""


ATTRIBUTION_COLUMNS = (
    *SEGMENT_COLUMNS[: SEGMENT_COLUMNS.index("index")],
    "index",
    "segment",
    "role",
    "field",
    "label",
    "source",
    "source_start",
    "source_end",
    "source_score",
    "source_segment",
    "cue",
    "cue_start",
    "cue_end",
    "cue_score",
    "content",
    "content_start",
    "content_end",
    "content_score",
    "continues",
    "input",
)
"""Columns of one row an attribution: who (`source`) says what (`content`) in which words (`cue`).
All three stand in the field of the content's segment, whose role and label the row has."""

COLUMNS: Mapping[RowUnit, tuple[str, ...]] = {
    "document": DOCUMENT_COLUMNS,
    "segment": SEGMENT_COLUMNS,
    "attribution": ATTRIBUTION_COLUMNS,
}


def kept_names(names: Iterable[str], own: Iterable[str]) -> list[str]:
    """Names of kept columns in a table: `input_` goes before one that another column has."""
    taken, found = set(own), list[str]()
    for name in names:
        free = name
        while free in taken:
            free = f"input_{free}"
        taken.add(free)
        found.append(free)
    return found


class Answer(NamedTuple):
    """What became of one document.

    `body` holds one JSON object a line, without `schema` and `id`: one line for a document, or one
    for each segment or attribution (and one for a document that has none). Lone surrogates stand
    in it as they are: of two escapes side by side, reading would make one character.
    """

    error: str | None
    segments: int
    labels: dict[str, int]
    body: str
    deferred: bool = False
    """Whether another model answered than the one that was asked."""


def type_error(
    text: object, headline: object, names: tuple[str, str] = ("text", "headline")
) -> RowError | None:
    """What is wrong with a row's two fields, of which the second may be missing."""
    if text is None:
        return RowError("missing_text", f"expected a field {names[0]!r}, found none")
    for code, name, value in (("text", names[0], text), ("headline", names[1], headline)):
        if value is not None and not isinstance(value, str):
            message = f"expected {name!r} to be a string, found {type(value).__name__}"
            return RowError(f"bad_{code}", message)
    return None


def answer_of(document: Document, *, unit: RowUnit, asked: ModelInfo) -> Answer:
    """The rows of a document, with what the run's summary counts; `asked` is the run's model."""
    labels: dict[str, int] = {}
    for segment in document.segments:
        labels[segment.label] = labels.get(segment.label, 0) + 1
    rows = _ROWS[unit](document)
    for row in rows:
        row.pop("schema", None)
        row.pop("id", None)
    code = None if document.error is None else document.error.code
    body = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    return Answer(code, len(document.segments), labels, body, document.model != asked)


def _head(document: Document) -> dict[str, Any]:
    """What each flat row of a document begins with."""
    error = document.error
    return {
        "schema": SCHEMA_VERSION,
        "id": document.id,
        "status": document.status,
        "error_code": None if error is None else error.code,
        "error_message": None if error is None else error.message,
        "model_name": document.model.name,
        "model_version": document.model.version,
        "model_sha256": document.model.sha256,
    }


def _with_page(rows: list[dict[str, Any]], document: Document) -> list[dict[str, Any]]:
    """The rows, in whose first stands what was drawn out of a page, in which the offsets count."""
    if document.input is not None:
        rows[0]["input"] = document.to_dict()["input"]
    return rows


def _document_rows(document: Document) -> list[dict[str, Any]]:
    return [document.to_dict()]


def segment_rows(document: Document) -> list[dict[str, Any]]:
    """One flat row a segment; one row without a segment for a document that has none."""
    head = _head(document)
    if not document.segments:
        places = dict.fromkeys(SEGMENT_COLUMNS[len(head) : -1])
        return [{**head, **places}]
    check = None if document.headline_check is None else document.headline_check.to_dict()
    checked = next((s.index for s in document.segments if s.role == "headline"), None)
    rows = [
        {**head, **_flat(s), "headline_check": check if s.index == checked else None}
        for s in document.segments
    ]
    return _with_page(rows, document)


def attribution_rows(document: Document) -> list[dict[str, Any]]:
    """One flat row an attribution relation; one without for a document that has none."""
    head = _head(document)
    places = dict.fromkeys(ATTRIBUTION_COLUMNS[len(head) : -1])
    rows = [
        {**head, "index": index, **_flat_relation(relation, document)}
        for index, relation in enumerate(attribution_relations(document))
    ]
    return _with_page(rows or [{**head, **places}], document)


def _flat_relation(relation: AttributionRelation, document: Document) -> dict[str, Any]:
    segment = document.segments[relation.segment]
    row: dict[str, Any] = {
        "segment": relation.segment,
        "role": segment.role,
        "field": segment.field,
        "label": segment.label,
    }
    spans = {"source": relation.source, "cue": relation.cue, "content": relation.content}
    for name, span in spans.items():
        row[name] = None if span is None else span.text
        row[f"{name}_start"] = None if span is None else span.start
        row[f"{name}_end"] = None if span is None else span.end
        row[f"{name}_score"] = None if span is None else span.score
        if name == "source":
            row["source_segment"] = relation.source_segment
    return {**row, "continues": relation.content.continues}


_ROWS: Mapping[RowUnit, Callable[[Document], list[dict[str, Any]]]] = {
    "document": _document_rows,
    "segment": segment_rows,
    "attribution": attribution_rows,
}


def _flat(segment: ScoredSegment) -> dict[str, Any]:
    row = segment.to_dict()
    spans, scores = row.pop("spans"), row.pop("scores")
    return {**row, **scores, "spans": spans}


def dumps(value: Any) -> str:
    """JSON as it stands in an output row; lone surrogates are escaped, to be valid UTF-8."""
    return _encodable(json.dumps(value, ensure_ascii=False))


def _encodable(line: str) -> str:
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(json.loads(line))
    return line


def composed(id: str, line: str, kept: str | None) -> str:
    """A whole row: one line of an answer's body with schema, id and kept columns."""
    line = _encodable(line)
    tail = line[1:] if kept is None else f'{line[1:-1]}, "input": {kept}}}'
    return f'{{"schema": {SCHEMA_VERSION}, "id": {dumps(id)}, {tail}'


def table_row(id: str, line: str, kept: str | None) -> dict[str, Any]:
    """The same row for a table; its `input` is JSON."""
    row: dict[str, Any] = {"schema": SCHEMA_VERSION, "id": id, **json.loads(line)}
    if kept is not None:
        row["input"] = kept
    return row
