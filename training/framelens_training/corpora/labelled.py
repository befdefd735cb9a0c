"""Labelled documents: the one form in which every corpus reaches training.

On disk it is JSONL, one document a line (`LabelledDocument.to_dict`). Reading never stops at
the first fault: `parse_document` returns every problem of a row, and `read_jsonl` returns
every problem of a file.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any, Literal, get_args

from framelens.schema import ATTRIBUTION_TYPES, AXES, SPAN_TYPES, Axis, Field, SpanType

Annotated = Literal["attributed", "framed", "boilerplate", "attribution_spans", "loaded_spans"]
ANNOTATED: tuple[Annotated, ...] = get_args(Annotated)
"""What a document's annotators can have looked at; only that is supervised."""
LAYER_OF: Mapping[str, Annotated] = {
    kind: "loaded_spans" if kind == "loaded" else "attribution_spans" for kind in SPAN_TYPES
}
"""What a document has to have annotated for its spans of a type to be all that there are."""

FIELDS: tuple[Field, ...] = ("headline", "text")
LEANS = ("left", "center", "right")
_LAYERS = (
    (ATTRIBUTION_TYPES, "a token has at most one of source, cue and content"),
    (("loaded",), "a token is in one loaded span at most"),
)
_KINDS_SHOWN = 10
_PLACES_SHOWN = 5
_TEXT_KEYS = ("id", "headline", "text", "outlet", "lean", "date", "url")


class CorpusError(Exception):
    """A corpus that cannot be used; `problems` holds every problem with its place.

    The message tells each kind once, with its first places, and the first kinds alone.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        places: dict[str, list[str]] = {}
        for problem in self.problems:
            places.setdefault(problem.what, []).append(problem.where)
        lines = [f"{len(self.problems)} problem(s) in the labelled documents:"]
        for what, found in list(places.items())[:_KINDS_SHOWN]:
            lines.append(f"  {found[0]}: {what}")
            if len(found) > 1:
                others = ", ".join(found[1:_PLACES_SHOWN])
                dots = ", ..." if len(found) > _PLACES_SHOWN else ""
                lines.append(f"    and at {len(found) - 1} more: {others}{dots}")
        if len(places) > _KINDS_SHOWN:
            lines.append(
                f"  and {len(places) - _KINDS_SHOWN} more kinds; framelens-train corpora check "
                "--all lists every problem"
            )
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a labelled document: where, what, and how to mend it."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class GoldSegment:
    """A segment's place and its answers on the axes; `None` where nobody looked.

    `weights` holds a confidence in [0, 1] for an axis whose label is in doubt; an axis
    that is not in it counts fully.
    """

    field: Field
    start: int
    end: int
    attributed: bool | None = None
    framed: bool | None = None
    boilerplate: bool | None = None
    weights: Mapping[Axis, float] = dataclass_field(default_factory=dict)

    def axis(self, axis: Axis) -> bool | None:
        """The answer on one axis."""
        value: bool | None = getattr(self, axis)
        return value

    def counted(self, axis: Axis) -> bool | None:
        """The answer on one axis, unless its confidence is 0, which says nothing."""
        return self.axis(axis) if self.weights.get(axis, 1.0) > 0 else None


@dataclass(frozen=True, slots=True)
class GoldSpan:
    """An annotated span, in code points of its field."""

    field: Field
    type: SpanType
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class LabelledDocument:
    """An article, or a lone sentence, with its annotation."""

    id: str
    text: str
    headline: str | None = None
    outlet: str | None = None
    lean: str | None = None
    date: str | None = None
    url: str | None = None
    annotated: frozenset[Annotated] = frozenset()
    segments: tuple[GoldSegment, ...] = ()
    spans: tuple[GoldSpan, ...] = ()
    meta: Mapping[str, str] = dataclass_field(default_factory=dict)

    def field_text(self, name: Field) -> str:
        """The text that offsets into `name` refer to."""
        return self.text if name == "text" else (self.headline or "")

    def segment_text(self, segment: GoldSegment) -> str:
        """The words of one segment."""
        return self.field_text(segment.field)[segment.start : segment.end]

    def to_dict(self) -> dict[str, Any]:
        """The document as one JSONL row."""
        row: dict[str, Any] = {"id": self.id}
        for key in _TEXT_KEYS[1:]:
            value = getattr(self, key)
            if value is not None:
                row[key] = value
        if self.meta:
            row["meta"] = dict(self.meta)
        row["annotated"] = [name for name in ANNOTATED if name in self.annotated]
        row["segments"] = [_segment_row(segment) for segment in self.segments]
        row["spans"] = [
            {"field": s.field, "type": s.type, "start": s.start, "end": s.end} for s in self.spans
        ]
        return row


def answers_of(document: LabelledDocument, axis: Axis) -> list[bool]:
    """The answers of a document's segments on an axis, where it was looked at and is known."""
    if axis not in document.annotated:
        return []
    found = [segment.counted(axis) for segment in document.segments]
    return [answer for answer in found if answer is not None]


def _segment_row(segment: GoldSegment) -> dict[str, Any]:
    row: dict[str, Any] = {
        "field": segment.field,
        "start": segment.start,
        "end": segment.end,
    }
    for axis in AXES:
        value = segment.axis(axis)
        if value is not None:
            row[axis] = value
    if segment.weights:
        row["weights"] = dict(segment.weights)
    return row


def parse_document(row: object, where: str) -> tuple[LabelledDocument | None, list[Problem]]:
    """Read one row of labelled JSONL.

    Returns the document, or `None` with every problem found in the row. In whatever order somebody
    marked its segments, they stand in that of an article, as windows are packed when it is scored.
    """
    problems: list[Problem] = []

    def complain(what: str) -> None:
        problems.append(Problem(where, what))

    if not isinstance(row, dict):
        complain(f"expected a JSON object, found {type(row).__name__}")
        return None, problems
    known = {*_TEXT_KEYS, "meta", "annotated", "segments", "spans"}
    for key in sorted(set(row) - known):
        complain(f"unknown key {key!r}; expected some of {', '.join(sorted(known))}")
    for key in _TEXT_KEYS:
        value = row.get(key)
        if key in ("id", "text") and not isinstance(value, str):
            complain(f"{key!r} is required and must be a string, found {type(value).__name__}")
        elif value is not None and not isinstance(value, str):
            complain(f"{key!r} must be a string, found {type(value).__name__}")
    if row.get("lean") is not None and row["lean"] not in LEANS:
        complain(f"'lean' must be one of {', '.join(LEANS)}, found {row['lean']!r}")
    if problems:
        return None, problems

    annotated = _parse_annotated(row.get("annotated", []), complain)
    texts = {"text": row["text"], "headline": row.get("headline") or ""}
    segments = [
        segment
        for index, item in enumerate(_rows(row, "segments", complain))
        if (segment := _parse_segment(item, f"segments[{index}]", texts, complain)) is not None
    ]
    spans = [
        span
        for index, item in enumerate(_rows(row, "spans", complain))
        if (span := _parse_span(item, f"spans[{index}]", texts, complain)) is not None
    ]
    meta = row.get("meta") or {}
    if not isinstance(meta, dict) or not all(isinstance(v, str) for v in meta.values()):
        complain("'meta' must be an object of strings")
        meta = {}
    document = LabelledDocument(
        id=row["id"],
        text=row["text"],
        headline=row.get("headline"),
        outlet=row.get("outlet"),
        lean=row.get("lean"),
        date=row.get("date"),
        url=row.get("url"),
        annotated=frozenset(annotated),
        segments=tuple(sorted(segments, key=lambda s: (FIELDS.index(s.field), s.start))),
        spans=tuple(spans),
        meta=meta,
    )
    problems.extend(Problem(where, what) for what in consistency_problems(document))
    return (None if problems else document), problems


def _rows(row: Mapping[str, Any], key: str, complain: Any) -> list[Any]:
    value = row.get(key, [])
    if isinstance(value, list):
        return value
    complain(f"{key!r} must be a list, found {type(value).__name__}")
    return []


def _parse_annotated(value: object, complain: Any) -> list[Annotated]:
    if not isinstance(value, list):
        complain(f"'annotated' must be a list, found {type(value).__name__}")
        return []
    for name in value:
        if name not in ANNOTATED:
            complain(f"'annotated' holds {name!r}; expected some of {', '.join(ANNOTATED)}")
    return [name for name in value if name in ANNOTATED]


def _offsets(
    item: Mapping[str, Any], place: str, texts: Mapping[str, str], complain: Any
) -> tuple[Field, int, int] | None:
    name = item.get("field")
    if not isinstance(name, str) or name not in texts:
        complain(f"{place}: 'field' must be 'headline' or 'text', found {name!r}")
        return None
    start, end = item.get("start"), item.get("end")
    for key, value in (("start", start), ("end", end)):
        if not isinstance(value, int) or isinstance(value, bool):
            complain(f"{place}: {key!r} must be an integer, found {value!r}")
            return None
    assert isinstance(start, int)
    assert isinstance(end, int)
    size = len(texts[name])
    if not 0 <= start < end <= size:
        complain(
            f"{place}: offsets {start}..{end} are out of range; expected "
            f"0 <= start < end <= {size}, the length of {name!r} in code points"
        )
        return None
    return ("headline" if name == "headline" else "text"), start, end


def _parse_segment(
    item: object, place: str, texts: Mapping[str, str], complain: Any
) -> GoldSegment | None:
    if not isinstance(item, dict):
        complain(f"{place}: expected an object, found {type(item).__name__}")
        return None
    for key in sorted(set(item) - {"field", "start", "end", "weights", *AXES}):
        complain(f"{place}: unknown label {key!r}; the axes are {', '.join(AXES)}")
    answers: dict[str, bool | None] = {}
    for axis in AXES:
        value = item.get(axis)
        if value is not None and not isinstance(value, bool):
            complain(f"{place}: {axis!r} must be true, false or null, found {value!r}")
            value = None
        answers[axis] = value
    weights = item.get("weights") or {}
    if not isinstance(weights, dict) or any(
        axis not in AXES
        or isinstance(weight, bool)
        or not isinstance(weight, int | float)
        or not 0 <= weight <= 1
        for axis, weight in weights.items()
    ):
        complain(
            f"{place}: 'weights' must be a mapping of axes to numbers from 0 to 1, "
            f"found {weights!r}"
        )
        weights = {}
    offsets = _offsets(item, place, texts, complain)
    if offsets is None:
        return None
    return GoldSegment(
        *offsets,
        attributed=answers["attributed"],
        framed=answers["framed"],
        boilerplate=answers["boilerplate"],
        weights=weights,
    )


def _parse_span(
    item: object, place: str, texts: Mapping[str, str], complain: Any
) -> GoldSpan | None:
    if not isinstance(item, dict):
        complain(f"{place}: expected an object, found {type(item).__name__}")
        return None
    for key in sorted(set(item) - {"field", "type", "start", "end"}):
        complain(f"{place}: unknown key {key!r}; expected field, type, start, end")
    kind = item.get("type")
    if kind not in SPAN_TYPES:
        complain(f"{place}: 'type' must be one of {', '.join(SPAN_TYPES)}, found {kind!r}")
        return None
    offsets = _offsets(item, place, texts, complain)
    return None if offsets is None else GoldSpan(offsets[0], kind, offsets[1], offsets[2])


def consistency_problems(document: LabelledDocument) -> list[str]:
    """Rules between the labels of one document that no single value can break.

    Segments may not overlap; nor may two attribution spans, or two loaded ones; a boilerplate
    segment is neither attributed nor framed.
    """
    problems: list[str] = []
    for name in FIELDS:
        segments = sorted(
            (s for s in document.segments if s.field == name), key=lambda s: (s.start, s.end)
        )
        for before, after in itertools.pairwise(segments):
            if after.start < before.end:
                problems.append(
                    f"segments {name}[{before.start}:{before.end}] and "
                    f"{name}[{after.start}:{after.end}] overlap; expected disjoint segments"
                )
        for layer, rule in _LAYERS:
            spans = sorted(
                (s for s in document.spans if s.field == name and s.type in layer),
                key=lambda s: (s.start, s.end),
            )
            for left, right in itertools.pairwise(spans):
                if right.start < left.end:
                    problems.append(
                        f"{left.type} {name}[{left.start}:{left.end}] and "
                        f"{right.type} {name}[{right.start}:{right.end}] overlap; {rule}"
                    )
    problems.extend(
        f"segment {segment.field}[{segment.start}:{segment.end}] is boilerplate and "
        "attributed or framed; page furniture has no voice"
        for segment in document.segments
        if segment.boilerplate and (segment.attributed or segment.framed)
    )
    return problems


def read_jsonl(path: Path) -> list[LabelledDocument]:
    """Read labelled documents.

    Raises:
        CorpusError: with every problem of the file, each with its line.
        FileNotFoundError: if there is no such file.
    """
    documents: list[LabelledDocument] = []
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for number, raw in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not raw.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError as error:
            problems.append(Problem(where, f"not UTF-8 at byte {error.start} of the line"))
            continue
        except json.JSONDecodeError as error:
            problems.append(Problem(where, f"not JSON: {error.msg} at column {error.colno}"))
            continue
        document, found = parse_document(row, where)
        problems.extend(found)
        if document is None:
            continue
        if document.id in seen:
            problems.append(
                Problem(where, f"id {document.id!r} stands already in line {seen[document.id]}")
            )
        seen.setdefault(document.id, number)
        documents.append(document)
    if problems:
        raise CorpusError(problems)
    return documents


def write_jsonl(documents: Iterable[LabelledDocument], path: Path) -> None:
    """Write labelled documents, one a line, in a form that `read_jsonl` gives back."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for line in jsonl_lines(documents):
            stream.write(line + "\n")


def jsonl_lines(documents: Iterable[LabelledDocument]) -> Iterator[str]:
    """Each document as one line of JSON, without the line break."""
    for document in documents:
        yield json.dumps(document.to_dict(), ensure_ascii=False)


def digest(documents: Iterable[LabelledDocument]) -> str:
    """sha256 over every row in order: the identity of a corpus, whatever file it came from."""
    sha = hashlib.sha256()
    for line in jsonl_lines(documents):
        sha.update(line.encode("utf-8", "surrogatepass") + b"\n")
    return sha.hexdigest()
