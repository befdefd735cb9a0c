"""A folder of brat standoff: for each document a `.txt`, its `.ann`, and a `.json` beside them.

The `.txt` holds the headline, a line break, and the text. In the `.ann`, `Segment`, `Source`,
`Cue`, `Content` and `Loaded` are entities, and the answers on the axes are attributes of
segments (`Attributed`, `Framed`, `Boilerplate`, with the values `yes` and `no`). Brat has no
place for the id, the length of the headline, confidence weights and the rest: they are in the
`.json`. A folder from elsewhere has none; then the `.txt` is the text, the id its name, a
missing `Segment` layer is made by the segmenter, and what is annotated is what occurs.

`annotation.conf`, which brat needs, is written with the documents.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from framelens.schema import AXES, SPAN_TYPES, Axis, Field
from framelens.segmentation import segment_article
from framelens_training.corpora.brat import Entity, parse_standoff
from framelens_training.corpora.findings import Finding, Located, Parsed, error, warning
from framelens_training.corpora.formats.base import (
    FormatError,
    bad_bytes,
    decode,
    document_of,
    repeated_ids,
    strict_json,
)
from framelens_training.corpora.labelled import (
    ANNOTATED,
    Annotated,
    GoldSegment,
    GoldSpan,
    LabelledDocument,
)

SEGMENT = "Segment"
_SPAN_OF = {kind.capitalize(): kind for kind in SPAN_TYPES}
_AXIS_OF = {axis.capitalize(): axis for axis in AXES}
_ANSWERS = {"yes": True, "no": False}
_ATTRIBUTE = re.compile(r"[AM]\d+\t(\S+) (\S+)(?: (\S+))?\s*\Z")
_UNREAD = re.compile(r"[AMER]\d+\t(\S+)")
_PLAIN = ("outlet", "lean", "date", "url")
_ATTRIBUTES = "\n".join(f"{name}\tArg:{SEGMENT}, Value:yes|no" for name in _AXIS_OF)
_ENTITIES = "\n".join((SEGMENT, *_SPAN_OF))
_CONFIGURATION = f"""\
[entities]
{_ENTITIES}
[relations]
<OVERLAP>\tArg1:<ENTITY>, Arg2:<ENTITY>, <OVL-TYPE>:<ANY>
[events]
[attributes]
{_ATTRIBUTES}
"""


def parse(path: Path) -> Parsed:
    """Read every `.txt` of a folder, in the order of their names."""
    findings: list[Finding] = []
    rows: list[tuple[dict[str, Any], str, bool]] = []
    for text_path in sorted(path.glob("*.txt")):
        if not text_path.with_suffix(".ann").exists():
            findings.append(
                error("missing-file", f"{text_path}:1", f"{text_path.stem}.ann beside it",
                      "no such file", "add it; an empty file means nothing was marked")
            )  # fmt: skip
            continue
        row, own = _read(text_path, findings)
        if row is not None:
            rows.append((row, f"{text_path}:1", own))
    findings += [
        error("missing-file", f"{other}:1", f"{other.stem}.txt beside it", "no such file",
              "add the text that the marks refer to")
        for other in sorted(path.glob("*.ann"))
        if not other.with_suffix(".txt").exists()
    ]  # fmt: skip
    seen = _occurring([row for row, _, own in rows if not own])
    located: list[Located] = []
    for row, where, own in rows:
        if not own:
            row["annotated"] = seen
        item, faults = document_of(row, where)
        findings += faults
        if item is not None:
            located.append(replace(item, is_named=own))
    return Parsed(tuple(located), (*findings, *repeated_ids(located)))


def _occurring(rows: Sequence[Mapping[str, Any]]) -> list[Annotated]:
    kinds = {span["type"] for row in rows for span in row["spans"]}
    axes = {axis for row in rows for segment in row["segments"] for axis in AXES if axis in segment}
    found: list[Annotated] = [axis for axis in AXES if axis in axes]
    if kinds - {"loaded"}:
        found.append("attribution_spans")
    if "loaded" in kinds:
        found.append("loaded_spans")
    return found


def _read(text_path: Path, findings: list[Finding]) -> tuple[dict[str, Any] | None, bool]:
    """The row of one document, and whether a `.json` of our own stands beside it."""
    before = len(findings)
    raw = _text_of(text_path, findings)
    annotation_path = text_path.with_suffix(".ann")
    standoff = _text_of(annotation_path, findings)
    side_path = text_path.with_suffix(".json")
    side: dict[str, Any] = {}
    if side_path.exists():
        try:
            side = strict_json(_text_of(side_path, findings))
            length = side["headline_length"]
            if length is not None and not (isinstance(length, int) and 0 <= length <= len(raw)):
                raise ValueError(f"headline_length {length!r}")
        except (ValueError, KeyError, TypeError) as fault:
            findings.append(
                error("unreadable", f"{side_path}:1", "an object with 'headline_length'",
                      str(fault), "convert the document to brat again")
            )  # fmt: skip
    if len(findings) > before:
        return None, False
    raw = _as_exported(raw, side, text_path, findings)
    length = side.get("headline_length")
    texts: dict[Field, tuple[int, int]] = {"text": (0, len(raw))}
    row: dict[str, Any] = {"id": text_path.stem, "text": raw}
    if length is not None:
        texts = {"headline": (0, length), "text": (length + 1, len(raw))}
        row |= {"headline": raw[:length], "text": raw[length + 1 :]}
    keys = ("id", "annotated", "meta", *_PLAIN)
    row |= {key: side[key] for key in keys if key in side}
    _fill(row, standoff, raw, texts, side, annotation_path, findings)
    if any(f.severity == "error" for f in findings[before:]):
        return None, False
    return row, bool(side)


def _text_of(path: Path, findings: list[Finding]) -> str:
    # A byte-order mark of the text counts in the offsets, and stays.
    raw = path.read_bytes()
    text, faults = decode(raw, str(path))
    if path.suffix == ".txt" and raw.startswith(b"\xef\xbb\xbf"):
        text, faults = "\ufeff" + text, []
    lines = enumerate(text.split("\n"), start=1)
    faults += [f for n, line in lines if (f := bad_bytes(line, f"{path}:{n}")) is not None]
    findings += faults
    return text


def _as_exported(raw: str, side: Mapping[str, Any], path: Path, findings: list[Finding]) -> str:
    """The text that the offsets count in; a checkout may have changed its line ends."""
    wanted = side.get("text_sha256")
    if wanted is None or _sha256(raw) == wanted:
        return raw
    mended = raw.replace("\r\n", "\n")
    if _sha256(mended) == wanted:
        findings.append(
            warning("carriage-return", f"{path}:1", "line feeds, as they were written",
                    "CRLF line ends", "they are read as line feeds; keep tools from changing them")
        )  # fmt: skip
        return mended
    findings.append(
        error("changed-text", f"{path}:1", f"the text with sha256 {wanted[:12]}...",
              f"{_sha256(raw)[:12]}...", "restore the text: the marks count in the one that was "
              "exported; or delete the .json, and check every mark")
    )  # fmt: skip
    return raw


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _fill(
    row: dict[str, Any],
    standoff: str,
    raw: str,
    texts: Mapping[Field, tuple[int, int]],
    side: Mapping[str, Any],
    path: Path,
    findings: list[Finding],
) -> None:
    """Add the segments and spans of an `.ann` to a row."""

    def complain(line: int, what: str) -> None:
        expected, _, found = what.removeprefix("expected ").partition(", found ")
        findings.append(error("unreadable", f"{path}:{line}", expected, found, "correct the line"))

    segments: dict[str, list[dict[str, Any]]] = {}
    row["segments"], row["spans"] = [], []
    for entity in parse_standoff(standoff, complain).entities:
        where = f"{path}:{entity.line}"
        if entity.type != SEGMENT and entity.type not in _SPAN_OF:
            findings.append(
                warning("unknown-type", where, f"{SEGMENT}, {', '.join(_SPAN_OF)}", entity.type,
                        "the mark is not read")
            )  # fmt: skip
            continue
        if not entity.matches(raw):
            findings.append(_shifted(entity, raw, where))
            continue
        for start, end in _joined_fragments(entity.fragments, raw, texts):
            place = _place(start, end, texts)
            if place is None:
                findings.append(
                    error("offsets", where, "a mark inside the headline or inside the text",
                          f"{start}..{end}", "cut it in two where the headline ends")
                )  # fmt: skip
            elif entity.type == SEGMENT:
                segments.setdefault(entity.id, []).append(place)
                row["segments"].append(place)
            else:
                row["spans"].append({**place, "type": _SPAN_OF[entity.type]})
    _answers(standoff, segments, path, findings)
    weights = side.get("weights", {})
    for name, pieces in segments.items():
        if name in weights:
            for segment in pieces:
                segment["weights"] = weights[name]
    if not side and not row["segments"]:
        row["segments"] = [
            {"field": s.field, "start": s.start, "end": s.end} for s in segment_article(row["text"])
        ]


def _joined_fragments(
    fragments: Sequence[tuple[int, int]], raw: str, texts: Mapping[Field, tuple[int, int]]
) -> list[tuple[int, int]]:
    """Fragments, those of one field that only white space parts as one: brat cuts marks at line
    breaks.
    """
    found: list[tuple[int, int]] = []
    for start, end in sorted(fragments):
        if found and not raw[found[-1][1] : start].strip():
            whole = found[-1][0], max(end, found[-1][1])
            if _place(*whole, texts) is not None:
                found[-1] = whole
                continue
        found.append((start, end))
    return found


def _shifted(entity: Entity, raw: str, where: str) -> Finding:
    start, end = entity.fragments[0][0], entity.fragments[-1][1]
    at = raw.find(entity.surface)
    hint = f"; these words begin at {at}" if at >= 0 else ""
    return error(
        "shifted-offsets",
        where,
        f"{entity.surface[:40]!r} at {start}..{end}",
        repr(raw[start:end][:40]),
        "count in code points of the .txt, with its line ends as they are" + hint,
    )


def _place(start: int, end: int, texts: Mapping[Field, tuple[int, int]]) -> dict[str, Any] | None:
    for name, (low, high) in texts.items():
        if low <= start < end <= high:
            return {"field": name, "start": start - low, "end": end - low}
    return None


def _answers(
    standoff: str, segments: Mapping[str, list[dict[str, Any]]], path: Path, findings: list[Finding]
) -> None:
    for number, line in enumerate(standoff.replace("\r\n", "\n").split("\n"), start=1):
        match = _ATTRIBUTE.match(line)
        axis = _AXIS_OF.get(match[1].capitalize()) if match else None
        if match is None or axis is None:
            unread = _UNREAD.match(line)
            if unread and line[0] in "AM" and unread[1].capitalize() in _AXIS_OF:
                findings.append(
                    error("bad-answer", f"{path}:{number}", f"{unread[1]}, a {SEGMENT}, yes or no",
                          line.strip(), "correct the attribute")
                )  # fmt: skip
            elif unread:
                findings.append(
                    warning("unknown-type", f"{path}:{number}", ", ".join(_AXIS_OF), unread[1],
                            "it is not read")
                )  # fmt: skip
            continue
        answer = _ANSWERS.get((match[3] or "yes").lower())
        if answer is None or match[2] not in segments:
            findings.append(
                error("bad-answer", f"{path}:{number}", f"{match[1]}, a {SEGMENT}, and yes or no",
                      " ".join(filter(None, match.groups())), "correct the attribute")
            )  # fmt: skip
        else:
            for segment in segments[match[2]]:
                segment[axis] = answer


def write(documents: Sequence[LabelledDocument], path: Path) -> None:
    """Write three files a document, named by its number and id, and `annotation.conf`.

    Raises:
        FormatError: if the folder holds something already.
    """
    if path.is_dir() and any(path.iterdir()):
        raise FormatError(f"{path}: expected an empty or a new folder, found files in it")
    path.mkdir(parents=True, exist_ok=True)
    (path / "annotation.conf").write_text(_CONFIGURATION, encoding="utf-8", newline="\n")
    for number, document in enumerate(documents, start=1):
        slug = re.sub(r"[^A-Za-z0-9]+", "-", document.id).strip("-")[:60]
        _write_one(document, path / f"{number:06}-{slug}")


def _write_one(document: LabelledDocument, stem: Path) -> None:
    head = document.headline
    raw = document.text if head is None else f"{head}\n{document.text}"
    shift = {"headline": 0, "text": 0 if head is None else len(head) + 1}
    lines: list[str] = []
    weights: dict[str, dict[Axis, float]] = {}

    def mark(item: GoldSegment | GoldSpan, kind: str) -> str:
        start, end = item.start + shift[item.field], item.end + shift[item.field]
        name = f"T{len(lines) + 1}"
        # Brat compares the words with their line breaks as spaces.
        surface = re.sub(r"\s", " ", raw[start:end])
        lines.append(f"{name}\t{kind} {start} {end}\t{surface}")
        return name

    attributes: list[str] = []
    for segment in document.segments:
        name = mark(segment, SEGMENT)
        for kind, axis in _AXIS_OF.items():
            value = segment.axis(axis)
            if value is not None:
                answer = "yes" if value else "no"
                attributes.append(f"A{len(attributes) + 1}\t{kind} {name} {answer}")
        if segment.weights:
            weights[name] = dict(segment.weights)
    for span in document.spans:
        mark(span, span.type.capitalize())
    side: dict[str, Any] = {
        "id": document.id,
        "headline_length": None if head is None else len(head),
        "text_sha256": _sha256(raw),
        **{key: value for key in _PLAIN if (value := getattr(document, key)) is not None},
        "annotated": [name for name in ANNOTATED if name in document.annotated],
        "meta": dict(document.meta),
        "weights": weights,
    }
    contents = {
        ".txt": raw,
        ".ann": "".join(line + "\n" for line in [*lines, *attributes]),
        ".json": json.dumps(side, ensure_ascii=False, indent=1) + "\n",
    }
    for suffix, content in contents.items():
        (stem.parent / (stem.name + suffix)).write_bytes(content.encode("utf-8"))
