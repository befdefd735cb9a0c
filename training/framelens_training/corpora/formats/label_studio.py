"""Label Studio's JSON, import and export, for the labelling config configs/label_studio.xml.

A task shows a headline and a text. Each has two sets of labels, segments (`Segment`) and
evidence spans (the four types), and for each segment three choices, one an axis, with `yes`
and `no`; a choice that is not made is unknown. Regions are named by `from_name`:
`<field>_segment`, `<field>_span`, `<field>_attributed`, ...

Label Studio keeps a task's `data` as it is. What it has no place for (what was annotated,
meta, confidence weights) is in `data.framelens`. A document without marks is a task without
annotations, and `bare` there: it is one to be annotated.

Offsets: newer versions of Label Studio count code points, older ones UTF-16 units, and some
texts lose their carriage returns in the browser. Each region has its words beside its
offsets, so that the way of counting is found by looking: a task is read in the first way in
which all its regions have their words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from framelens.schema import AXES, SPAN_TYPES, Axis
from framelens_training.corpora.findings import Finding, Located, Parsed, error, warning
from framelens_training.corpora.formats.base import (
    bad_bytes,
    decode,
    document_of,
    repeated_ids,
    strict_json,
    write_bytes,
)
from framelens_training.corpora.labelled import (
    ANNOTATED,
    FIELDS,
    GoldSegment,
    GoldSpan,
    LabelledDocument,
)

SEGMENT = "Segment"
_PLAIN = ("outlet", "lean", "date", "url")
_ANSWERS = {"yes": True, "no": False}


def parse(path: Path) -> Parsed:
    """Read an export in the format JSON (not JSON-MIN).

    Of a task with several annotations each becomes a document of its own, all in one group;
    cancelled ones and tasks without any are left out, with a warning. So are empty ones of a task
    that was written bare; without annotations it is the document that was written.
    """
    text, findings = decode(path.read_bytes(), str(path))
    broken = bad_bytes(text, f"{path}:1")
    if broken is not None:
        return Parsed((), (*findings, broken))
    if any(f.severity == "error" for f in findings):
        return Parsed((), tuple(findings))
    try:
        tasks = strict_json(text)
        if not isinstance(tasks, list):
            raise ValueError(f"{type(tasks).__name__} at the top")  # noqa: TRY004
    except (ValueError, RecursionError) as fault:
        return Parsed((), (
            *findings,
            error("unreadable", f"{path}:1", "a list of tasks, as exported by Label Studio",
                  str(fault), "export the project in the format JSON"),
        ))  # fmt: skip
    located: list[Located] = []
    for number, task in enumerate(tasks, start=1):
        where = f"{path}:{number}"
        for row in _rows(task, where, findings):
            item, faults = document_of(row, where)
            findings += faults
            if item is not None:
                located.append(item)
    return Parsed(tuple(located), (*findings, *repeated_ids(located)))


def _rows(task: object, where: str, findings: list[Finding]) -> list[dict[str, Any]]:
    data = task.get("data") if isinstance(task, dict) else None
    if not isinstance(task, dict) or not isinstance(data, dict) or "text" not in data:
        findings.append(
            error("unreadable", where, "a task with 'data' that has 'text', and 'annotations'",
                  str(task)[:60], "export the project in the format JSON, not JSON-MIN")
        )  # fmt: skip
        return []
    wrong = {key: value for key in ("meta", "weights")
             if not isinstance(value := _extra(data).get(key, {}), dict)}  # fmt: skip
    if wrong:
        findings.append(
            error("wrong-type", where, f"objects as {' and '.join(wrong)} of 'framelens' in 'data'",
                  ", ".join(map(repr, wrong.values())), "leave 'framelens' as it was imported")
        )  # fmt: skip
        return []
    annotations = [a for a in task.get("annotations") or [] if isinstance(a, dict)]
    is_bare = _extra(data).get("bare") is True
    done = [a for a in annotations if not a.get("was_cancelled")]
    if is_bare:
        done = [a for a in done if a.get("result")]
    if is_bare and not annotations:
        done = [{"result": []}]
    if len(done) < len(annotations) or not done:
        expected = "annotations that are not cancelled" + (" and not empty" if is_bare else "")
        findings.append(
            warning("not-annotated", where, expected,
                    f"{len(done)} of {len(annotations)}", "the others are left out")
        )  # fmt: skip
    rows: list[dict[str, Any]] = []
    for annotation in done:
        row = _head(data, task)
        if len(done) > 1:
            annotator = _annotator(annotation, len(rows))
            row["meta"] = {"group": str(row["id"]), **row["meta"], "annotator": annotator}
            row["id"] = f"{row['id']}@{annotator}"
            if any(other["id"] == row["id"] for other in rows):  # a second one by the same person
                row["id"] += f"-{annotation.get('id', len(rows))}"
        before = len(findings)
        result = annotation.get("result")
        _fill(row, result if isinstance(result, list) else [], _extra(data), where, findings)
        if not any(f.severity == "error" for f in findings[before:]):
            rows.append(row)
    return rows


def _annotator(annotation: Mapping[str, Any], number: int) -> str:
    """The number of the person who made an annotation, never a name or an address."""
    person = annotation.get("completed_by", annotation.get("id", number))
    return str(person.get("id", number) if isinstance(person, dict) else person)


def _head(data: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, Any]:
    extra = _extra(data)
    name = data.get("id", task.get("id", ""))
    if type(name) is int:  # a task's own, or a column of a table that was imported
        name = str(name)
    row: dict[str, Any] = {"id": name, "text": data["text"]}
    if extra.get("headline", bool(data.get("headline"))):
        row["headline"] = data.get("headline")
    row |= {key: data[key] for key in _PLAIN if data.get(key) is not None}
    if row.get("lean") == "":  # an empty cell of a table that was imported
        del row["lean"]
    row["meta"] = extra.get("meta", {})
    row["annotated"] = extra.get("annotated", list(ANNOTATED))
    return row


def _extra(data: Mapping[str, Any]) -> Mapping[str, Any]:
    extra = data.get("framelens")
    return extra if isinstance(extra, dict) else {}


Count = Callable[[int], int]
"""From an offset of Label Studio to one in code points."""


def _counts(text: str) -> dict[str, Count]:
    """The ways in which Label Studio may have counted, the likeliest first."""
    found: dict[str, Count] = {"code points": lambda offset: offset}
    if any(c > "\uffff" for c in text):
        found["UTF-16 units"] = _translation(text, lambda c: 2 if c > "\uffff" else 1)
    if "\r" in text:
        found["code points without carriage returns"] = _translation(text, lambda c: c != "\r")
    return found


def _translation(text: str, width: Callable[[str], int]) -> Count:
    table: dict[int, int] = {}
    at = 0
    for index, character in enumerate(text):
        table.setdefault(at, index)
        at += width(character)
    table.setdefault(at, len(text))
    return lambda offset: table.get(offset, -1)


def _fill(
    row: dict[str, Any],
    result: Sequence[Any],
    extra: Mapping[str, Any],
    where: str,
    findings: list[Finding],
) -> None:
    """Add the segments and spans of an annotation to a row."""
    regions: list[tuple[str, str, str, dict[str, Any]]] = []
    answers: dict[str, dict[str, bool]] = {}
    for item in result:
        if isinstance(item, dict) and item.get("type") == "relation":  # has no value, only two ends
            findings.append(
                warning("unknown-type", where, "regions and choices of configs/label_studio.xml",
                        "a relation", "it is not read")
            )  # fmt: skip
            continue
        value = item.get("value") if isinstance(item, dict) else None
        if not isinstance(value, dict):
            findings.append(
                error("unreadable", where, "a result with a 'value'", str(item)[:60],
                      "export the project again")
            )  # fmt: skip
            continue
        name, field = str(item.get("id", "")), str(item.get("to_name", ""))
        kind = (value.get("labels") or [""])[0]
        axis = str(item.get("from_name", "")).rpartition("_")[2]
        if item.get("type") == "choices" and axis in AXES:
            answer = _ANSWERS.get((value.get("choices") or [""])[0])
            if answer is not None:
                answers.setdefault(name, {})[axis] = answer
        elif item.get("type") == "labels" and field in FIELDS and kind in (SEGMENT, *SPAN_TYPES):
            regions.append((name, field, kind, value))
        else:
            findings.append(
                warning("unknown-type", where, "regions and choices of configs/label_studio.xml",
                        f"{item.get('from_name')}: {item.get('type')} {kind}".strip(),
                        "it is not read; set the project up with that config")
            )  # fmt: skip
    row["segments"], row["spans"] = [], []
    weights = extra.get("weights", {})
    for name in FIELDS:
        text = row.get(name)
        if not isinstance(text, str):
            text = ""
        own = [region for region in regions if region[1] == name]
        count = _way_of_counting(text, [value for *_, value in own], where, findings)
        if count is None:
            continue
        for region, field, kind, value in own:
            place = {"field": field, "start": count(value["start"]), "end": count(value["end"])}
            if kind == SEGMENT:
                segment = {**place, **answers.get(region, {})}
                if region in weights:
                    segment["weights"] = weights[region]
                row["segments"].append((region, segment))
            else:
                row["spans"].append((region, {**place, "type": kind}))
    # In the order of the result, whatever field they are in.
    order = {region[0]: index for index, region in reversed(list(enumerate(regions)))}
    for key in ("segments", "spans"):
        row[key] = [item for _, item in sorted(row[key], key=lambda pair: order[pair[0]])]


def _way_of_counting(
    text: str, values: Sequence[Mapping[str, Any]], where: str, findings: list[Finding]
) -> Count | None:
    for value in values:
        if not all(type(value.get(key)) is int for key in ("start", "end")):
            findings.append(
                error("offsets", where, "integers as 'start' and 'end'",
                      f"{value.get('start')!r}, {value.get('end')!r}",
                      "use the tag Text, not HyperText, as configs/label_studio.xml does")
            )  # fmt: skip
            return None
    ways = _counts(text)
    for count in ways.values():
        if all(_matches(text, value, count) for value in values):
            return count
    plain = ways["code points"]
    wrong = next(value for value in values if not _matches(text, value, plain))
    start, end = wrong["start"], wrong["end"]
    words = wrong.get("text")
    findings.append(
        error("shifted-offsets", where, f"{words[:40]!r} at {start}..{end}",
              repr(text[start:end][:40]), "the text was changed after it was annotated, or the "
              "offsets were counted in another text: restore it")
        if isinstance(words, str) else
        error("offsets", where, f"0 <= start <= end <= {len(text)}", f"{start}..{end}",
              "count in code points of the text")
    )  # fmt: skip
    return None


def _matches(text: str, value: Mapping[str, Any], count: Count) -> bool:
    start, end = count(value["start"]), count(value["end"])
    if not 0 <= start <= end <= len(text):
        return False
    words = value.get("text")
    return not isinstance(words, str) or _letters(words) == _letters(text[start:end])


def _letters(text: str) -> str:
    # Label Studio writes line breaks as they are, as spaces or as backslash and n.
    return "".join(text.replace("\\n", " ").split())


def write(documents: Sequence[LabelledDocument], path: Path) -> None:
    """Write tasks with annotations, to be imported into a project with our labelling config."""
    tasks = [_task(document) for document in documents]
    content = json.dumps(tasks, ensure_ascii=False, indent=1) + "\n"
    write_bytes(path, content.encode("utf-8"))


def _task(document: LabelledDocument) -> dict[str, Any]:
    result: list[dict[str, Any]] = []
    weights: dict[str, dict[Axis, float]] = {}

    def region(item: GoldSegment | GoldSpan, name: str, control: str, **value: Any) -> None:
        text = document.field_text(item.field)[item.start : item.end]
        result.append({
            "id": name,
            "from_name": f"{item.field}_{control}",
            "to_name": item.field,
            "type": next(iter(value)),
            "value": {"start": item.start, "end": item.end, "text": text, **value},
        })  # fmt: skip

    for index, segment in enumerate(document.segments):
        name = f"segment-{index}"
        region(segment, name, "segment", labels=[SEGMENT])
        for axis in AXES:
            answer = segment.axis(axis)
            if answer is not None:
                region(segment, name, axis, choices=["yes" if answer else "no"])
        if segment.weights:
            weights[name] = dict(segment.weights)
    for index, span in enumerate(document.spans):
        region(span, f"span-{index}", "span", labels=[span.type])
    data: dict[str, Any] = {
        "id": document.id,
        "headline": document.headline or "",
        "text": document.text,
        **{key: value for key in _PLAIN if (value := getattr(document, key)) is not None},
        "framelens": {
            "headline": document.headline is not None,
            "annotated": [name for name in ANNOTATED if name in document.annotated],
            "meta": dict(document.meta),
            "weights": weights,
        },
    }
    if not result:
        data["framelens"]["bare"] = True
        return {"data": data, "annotations": []}
    return {"data": data, "annotations": [{"result": result}]}
