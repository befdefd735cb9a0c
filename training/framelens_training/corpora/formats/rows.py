"""Rows of one labelled text each: the columns `text` and `label`, and what may stand beside.

A row annotates the axes that its label answers:

| label | attributed | framed | boilerplate |
|---|---|---|---|
| `sourced` | true | false | false |
| `framed` | unknown | true | false |
| `plain` | false | false | false |
| `boilerplate` | false | false | true |

`framed` says nothing of `attributed`: the label for readers puts `framed` first (see
docs/labels.md), so a framed sentence may be attributed as well. Unknown is not supervised.

Instead of `label`, or beside it, the columns `attributed`, `framed` and `boilerplate` hold
true, false or nothing; yes and no, 1 and 0 are read as well. Optional columns: `id`, `headline`
(the headline over the text, without a label), `role` (`headline` if the text itself is one,
otherwise `body`), `group` (texts of one group stay in one split), `outlet`, `lean`, `date`, `url`,
`weight` (a confidence from 0 to 1 in the row's answers), and `meta.NAME` for anything else.
"""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from framelens.schema import AXES, LABELS, Axis, Label
from framelens_training.corpora.findings import Finding, Located, error, warning
from framelens_training.corpora.formats.base import bad_bytes, document_of
from framelens_training.corpora.labelled import GoldSegment, LabelledDocument
from framelens_training.corpora.splits import group_of

LABEL_AXES: Mapping[Label, Mapping[Axis, bool]] = {
    "sourced": {"attributed": True, "framed": False, "boilerplate": False},
    "framed": {"framed": True, "boilerplate": False},
    "plain": {"attributed": False, "framed": False, "boilerplate": False},
    "boilerplate": {"attributed": False, "framed": False, "boilerplate": True},
}
"""The answers that a label gives."""

COLUMNS = (
    "id", "text", "label", *AXES, "weight", "role", "headline", "group", "outlet", "lean", "date",
    "url",
)  # fmt: skip
META = "meta."
_PLAIN = ("id", "headline", "outlet", "lean", "date", "url")
_ROLES = ("body", "headline")
_TRUTHS = {
    **dict.fromkeys(("true", "yes", "1", "1.0"), True),
    **dict.fromkeys(("false", "no", "0", "0.0"), False),
}
"""As it is written by hand, and by libraries that hold a column with gaps as numbers."""


def column_findings(columns: Sequence[str], where: str) -> list[Finding]:
    """What is wrong with a table's columns; an error means that no row can be read."""
    findings: list[Finding] = []
    labelled = [name for name in ("label", *AXES) if name in columns]
    if "text" not in columns or not labelled:
        findings.append(
            error("columns", where,
                  f"the columns 'text' and 'label' (or some of {', '.join(AXES)})",
                  ", ".join(map(repr, columns)) or "none", "rename the columns")
        )  # fmt: skip
    repeated = sorted(name for name, count in Counter(columns).items() if count > 1)
    if repeated:
        findings.append(
            error("columns", where, "each column once",
                  f"{', '.join(map(repr, repeated))} twice", "take one of them out")
        )  # fmt: skip
    for name in columns:
        if name not in COLUMNS and not name.startswith(META):
            near = difflib.get_close_matches(str(name).casefold(), COLUMNS, n=1, cutoff=0.7)
            hint = f"did you mean {near[0]!r}?" if near else f"call it '{META}{name}' to keep it"
            findings.append(
                warning("columns", where, f"some of {', '.join(COLUMNS)}", repr(name),
                        f"the column is not read; {hint}")
            )  # fmt: skip
    return findings


def document_from_row(
    row: Mapping[str, Any], where: str, default_id: str
) -> tuple[Located | None, list[Finding]]:
    """The document of a row, or every fault of it. Empty cells and nulls count as absent."""
    findings: list[Finding] = []
    cells = {n: _as_text(n, value) for n, value in row.items() if not _is_absent(value)}
    for name, value in cells.items():
        broken = bad_bytes(value, where) if isinstance(value, str) else None
        if broken is not None:
            findings.append(broken)
        elif not isinstance(value, str) and name in (*_PLAIN, "text", "role", "group"):
            findings.append(_fault(where, name, "a text", value, "write it as text"))
    text = cells.get("text")
    if text is None:
        findings.append(_fault(where, "text", "a text", row.get("text"), "fill it in"))
    answers = _answers(row, cells, where, findings)
    weight = _weight(cells.get("weight"), where, findings)
    role = cells.get("role", "body")
    if role not in _ROLES:
        findings.append(_fault(where, "role", " or ".join(_ROLES), role, "correct it"))
    if role == "headline" and "headline" in cells:
        findings.append(
            _fault(where, "headline", "nothing where the text itself is the headline",
                   cells["headline"], "empty one of the two cells")
        )  # fmt: skip
    if findings or text is None:
        return None, findings
    field = "headline" if role == "headline" else "text"
    segment: dict[str, Any] = {"field": field, "start": 0, "end": len(text)}
    segment |= {str(axis): answer for axis, answer in answers.items()}
    if weight is not None:
        segment["weights"] = dict.fromkeys(answers, weight)
    document: dict[str, Any] = {name: cells[name] for name in _PLAIN if name in cells}
    document |= {"headline": text, "text": ""} if field == "headline" else {"text": text}
    document.setdefault("id", default_id)
    meta = {name.removeprefix(META): str(cells[name]) for name in cells if name.startswith(META)}
    if "group" in cells:
        meta["group"] = cells["group"]
    if meta:
        document["meta"] = meta
    row = document | {"annotated": list(answers), "segments": [segment]}
    item, findings = document_of(row, where)
    return (None if item is None else replace(item, is_named="id" in cells)), findings


def _as_text(name: str, value: Any) -> Any:
    """What Parquet and datasets hold as a number or a date, as the text that is meant."""
    if name in ("id", "group") and type(value) is int:
        return str(value)
    if name == "date" and isinstance(value, date):
        return value.isoformat()
    return value


def _is_absent(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _fault(where: str, column: str, expected: str, found: object, mend: str) -> Finding:
    shown = "nothing" if _is_absent(found) else f"{str(found)[:60]!r} ({type(found).__name__})"
    return error(f"bad-{column}", where, f"{expected} in {column!r}", shown, mend)


def _answers(
    row: Mapping[str, Any], cells: Mapping[str, Any], where: str, findings: list[Finding]
) -> dict[Axis, bool]:
    """Answers of a row's label and axes, which must not contradict each other."""
    label = cells.get("label")
    is_unanswered = label is None and not any(axis in cells for axis in AXES)
    answers: dict[Axis, bool] = {}
    if isinstance(label, str) and label in LABELS:
        answers = dict(LABEL_AXES[label])
    elif is_unanswered and "label" not in row:
        columns = " or ".join(repr(axis) for axis in AXES if axis in row)
        findings.append(
            warning("not-annotated", where, f"an answer in {columns}", "nothing",
                    "the row is left out")
        )  # fmt: skip
    elif label is not None or is_unanswered:
        mend = "map numbers to names first" if isinstance(label, int | float) or (
            isinstance(label, str) and label.isdigit()
        ) else "give each row one of them, in lower case"  # fmt: skip
        findings.append(_fault(where, "label", f"one of {', '.join(LABELS)}", label, mend))
    for axis in AXES:
        if axis not in cells:
            continue
        value = cells[axis]
        truth = value if isinstance(value, bool) else _TRUTHS.get(str(value).casefold())
        if truth is None:
            findings.append(_fault(where, axis, "true, false or nothing", value, "correct it"))
        elif answers.setdefault(axis, truth) != truth:
            findings.append(
                _fault(where, axis, f"{str(not truth).lower()}, as the label {label!r} says",
                       value, "correct one of the two")
            )  # fmt: skip
    return {axis: answers[axis] for axis in AXES if axis in answers}


def _weight(value: object, where: str, findings: list[Finding]) -> float | None:
    if value is None:
        return None
    try:
        weight = float(str(value))
    except ValueError:
        weight = math.nan
    if isinstance(value, bool) or not 0 <= weight <= 1:
        findings.append(_fault(where, "weight", "a number from 0 to 1", value, "correct it"))
        return None
    return weight


def refusals(document: LabelledDocument) -> list[str]:
    """What a row cannot carry of a document; empty if it carries everything."""
    found: list[str] = []
    if len(document.segments) != 1:
        return [f"{len(document.segments)} segments, where a row is exactly one"]
    segment = document.segments[0]
    if document.spans:
        found.append(f"{len(document.spans)} evidence spans")
    if (segment.start, segment.end) != (0, len(document.field_text(segment.field))):
        found.append("a segment that is not the whole text")
    if segment.field == "headline" and document.text:
        found.append("text under a labelled headline")
    answered = frozenset(axis for axis in AXES if segment.axis(axis) is not None)
    if document.annotated != answered or not answered:
        found.append("'annotated' other than the axes that are answered")
    if segment.weights and (
        set(segment.weights) != answered or len(set(segment.weights.values())) > 1
    ):
        found.append("weights that are not the same for every answered axis")
    values = {name: getattr(document, name) for name in _PLAIN} | dict(document.meta)
    found += [f"an empty {name!r}" for name, value in values.items() if value == ""]
    return found


def row_from_document(document: LabelledDocument, labels: bool) -> dict[str, str]:
    """A document without `refusals` as a row of texts; `labels` gives `label` for the axes."""
    segment = document.segments[0]
    row = {name: value for name in _PLAIN if (value := getattr(document, name)) is not None}
    row["text"] = document.segment_text(segment)
    if segment.field == "headline":
        row.pop("headline", None)
        row["role"] = "headline"
    if labels:
        row["label"] = label_of(segment) or ""
    else:
        answers = {axis: segment.axis(axis) for axis in AXES}
        row |= {a: str(value).lower() for a, value in answers.items() if value is not None}
    if segment.weights:
        row["weight"] = repr(float(next(iter(segment.weights.values()))))
    for name, value in document.meta.items():
        row["group" if name == "group" else META + name] = value
    return row


def label_of(segment: GoldSegment) -> Label | None:
    """The label that gives exactly a segment's answers, if one does."""
    answers = {axis: value for axis in AXES if (value := segment.axis(axis)) is not None}
    return next((label for label, axes in LABEL_AXES.items() if axes == answers), None)


def explode(
    documents: Iterable[LabelledDocument],
) -> tuple[list[LabelledDocument], Counter[str]]:
    """One document for each labelled segment, and a count of what is lost on the way.

    The new documents carry their article's id, or group, as group.
    """
    single: list[LabelledDocument] = []
    lost: Counter[str] = Counter()
    for document in documents:
        lost["evidence spans"] += len(document.spans)
        for index, segment in enumerate(document.segments):
            answered = [a for a in AXES if a in document.annotated and segment.axis(a) is not None]
            if not answered:
                lost["segments without a label"] += 1
                continue
            text = document.segment_text(segment)
            weights = {axis: segment.weights.get(axis, 1.0) for axis in answered}
            if len(set(weights.values())) > 1:
                lost["segments whose weights differ by axis (the lowest is kept)"] += 1
            headline = segment.field == "headline"
            single.append(
                replace(
                    document,
                    id=f"{document.id}#{index}",
                    text="" if headline else text,
                    headline=text if headline else (document.headline or None),
                    annotated=frozenset(answered),
                    segments=(
                        GoldSegment(
                            segment.field,
                            0,
                            len(text),
                            weights=dict.fromkeys(answered, min(weights.values()))
                            if segment.weights
                            else {},
                            **{axis: segment.axis(axis) for axis in answered},
                        ),
                    ),
                    spans=(),
                    meta={**document.meta, "group": group_of(document)},
                )
            )
    return single, +lost
